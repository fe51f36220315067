"""`egost review clips DIR`: the review clips that people would see, in a folder, without a server."""

import csv
from pathlib import Path

import av
import numbered
import pytest

from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.stage import SCAN
from pipeline.errors import GateError, UserError
from pipeline.flow import make_workspace, open_workspace
from pipeline.review import clips, people
from pipeline.sources.intake import take_in

SETTINGS = {
    "run": {"workers": 1},
    "frames": {"motion": False},
    "review": {"clip_pixels": 160},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with two videos and their clips."""
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        numbered.write(tmp_path / "videos" / name, count=60 if name == "a.mp4" else 45)
    make_workspace(tmp_path / "ws", SETTINGS)
    with open_workspace(tmp_path / "ws") as workspace:
        take_in(workspace, [tmp_path / "videos"])
        list(workspace.run(["ingest", "split", "frames"]))
    return tmp_path / "ws"


def written(root: Path, target: Path, pixels: int | None = None) -> list[str]:
    with open_workspace(root) as workspace:
        return list(people.clips(workspace, target, pixels).lines())


def table(target: Path) -> list[dict[str, str]]:
    with (target / clips.CLIPS_INDEX).open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_clip_is_a_file_with_its_id(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "clips"
    assert written(root, target) == [f"review clips: 2 clips: 2 new, 0 kept; {target}"]
    lines = table(target)
    assert [line["video"] for line in lines] == ["a.mp4", "b.mp4"]
    names = {path.name for path in target.iterdir()}
    assert names == {clips.CLIPS_INDEX, *(f"{line['clip_id']}.mp4" for line in lines)}
    with av.open(str(target / f"{lines[0]['clip_id']}.mp4")) as file:
        shown = [numbered.read(one.to_ndarray(format="bgr24")) for one in file.decode(video=0)]
        assert file.streams.video[0].width == 160
    assert shown == list(range(60))


def test_a_second_run_writes_only_what_is_missing_or_changed(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "clips"
    written(root, target)
    first, second = (target / f"{line['clip_id']}.mp4" for line in table(target))
    before = first.stat().st_mtime_ns
    assert written(root, target) == [f"review clips: 2 clips: 0 new, 2 kept; {target}"]
    second.unlink()
    (target / ".tmp-left.mp4").touch()
    # As a run leaves it that was killed while it added a line.
    index = target / clips.CLIPS_INDEX
    index.write_text(index.read_text()[:-20])
    assert written(root, target) == [f"review clips: 2 clips: 1 new, 1 kept; {target}"]
    assert first.stat().st_mtime_ns == before
    assert len(table(target)) == 2
    assert not list(target.glob(".tmp-*"))
    assert "2 new, 0 kept" in written(root, target, 320)[0]
    with av.open(str(second)) as file:
        assert file.streams.video[0].width == 320


def test_a_clip_that_fails_is_named_and_the_others_are_written(root: Path, tmp_path: Path) -> None:
    (tmp_path / "videos" / "a.mp4").unlink()
    target = tmp_path / "clips"
    failed, last = written(root, target)
    assert "(a.mp4, 0 s): the video" in failed
    assert "\n  fix: restore the file" in failed
    assert last == f"review clips: 2 clips: 1 new, 0 kept, 1 failed; {target}"
    assert [line["video"] for line in table(target)] == ["b.mp4"]
    numbered.write(tmp_path / "videos" / "a.mp4", count=60)
    assert written(root, target) == [f"review clips: 2 clips: 1 new, 1 kept; {target}"]


def test_a_clip_that_was_cut_for_people_is_copied(root: Path, tmp_path: Path) -> None:
    with open_workspace(root) as workspace:
        form = clips.clip_form(people._settings(workspace))
        videos = {one.video_id: one for one in workspace.store.rows(people.Video)}
        found = [(one, videos[one.video_id]) for one in workspace.store.rows(people.Clip)]
        assert clips.cut_all(found, workspace.folder, form, "push", lambda: False) == {}
        kept = {
            one.clip_id: workspace.folder.media_path(clips.clip_name(one, video, form))
            for one, video in found
        }
    for path in (tmp_path / "videos").iterdir():
        path.unlink()
    target = tmp_path / "clips"
    assert "2 new" in written(root, target)[0]
    for name, path in kept.items():
        assert path.is_file()
        assert (target / f"{name}.mp4").read_bytes() == path.read_bytes()


def test_a_folder_with_other_files_is_refused(root: Path, tmp_path: Path) -> None:
    for target, what in (
        (tmp_path / "videos", "is not empty"),
        (tmp_path / "videos" / "a.mp4", "is not a folder"),
        (root / "media" / "clips", "is in the workspace"),
    ):
        with pytest.raises(UserError, match=what):
            written(root, target)
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["a.mp4", "b.mp4"]


def test_a_folder_of_review_clips_is_not_scanned_for_videos(root: Path, tmp_path: Path) -> None:
    written(root, tmp_path / "videos" / "clips")
    with open_workspace(root) as workspace:
        take_in(workspace, [tmp_path / "videos"])
        assert len(workspace.store.keys(SCAN)) == 2


def test_clips_of_an_earlier_state_are_counted_and_kept(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "clips"
    written(root, target)
    (tmp_path / "videos" / "a.mp4").unlink()
    with open_workspace(root) as workspace:
        take_in(workspace, [tmp_path / "videos"])
        list(workspace.run(["ingest", "split", "frames"]))
    (line,) = written(root, target)
    assert line.endswith("(1 older clip there is no longer in the workspace)")
    assert len(table(target)) == 2
    assert len(list(target.glob("*.mp4"))) == 2


def test_the_command_prints_one_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    arguments = ["-w", str(root), "review", "clips", str(tmp_path / "clips"), "--pixels", "200"]
    cli.main(args=arguments, standalone_mode=False)
    assert (
        capsys.readouterr().out == f"review clips: 2 clips: 2 new, 0 kept; {tmp_path / 'clips'}\n"
    )


def test_a_workspace_without_clips_is_an_error(tmp_path: Path) -> None:
    make_workspace(tmp_path / "ws")
    with pytest.raises(UserError, match="no clips yet"):
        written(tmp_path / "ws", tmp_path / "clips")
    assert not WorkspaceFolder(tmp_path / "clips").root.exists()


def test_the_command_fails_if_more_clips_failed_than_max_failed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos" / "a.mp4").unlink()
    arguments = ["-w", str(root), "review", "clips", str(tmp_path / "clips")]
    with pytest.raises(GateError, match=r"1 of 2 clips failed, more than max_failed = 0\.2"):
        cli.main(args=arguments, standalone_mode=False)
    assert "1 new, 0 kept, 1 failed" in capsys.readouterr().out
    cli.main(args=["--set", "run.max_failed=0.5", *arguments], standalone_mode=False)
