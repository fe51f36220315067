"""Stills: evenly spaced frames, and their restoration where a licence keeps them out of a release."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import factories
import numbered
import numpy as np
import pytest
from factories import SECOND
from small_release import MOVES, drafted, fill, release, small_space

from pipeline.cli.console import run as egost
from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.engine.stage import PULL
from pipeline.engine.workspace import Workspace
from pipeline.errors import GateError, RowError, UserError
from pipeline.flow import open_workspace
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Item, Span
from pipeline.releases.hydrate import hydrate
from pipeline.releases.reading import open_release
from pipeline.releases.rows import Looks, Still
from pipeline.releases.settings import StillsSettings
from pipeline.releases.stills import evenly, run
from pipeline.releases.verify import verify
from pipeline.sources.rows import Video

CLOSED = "All Rights Reserved"


def video_of(path: Path, **fields: object) -> Video:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    given = {"root": str(path.parent), "path": path.name, "sha256": sha256}
    return factories.video("0000", **(given | fields))


def span(frame_us: Sequence[int], name: str = "s_0000", *, mirrored: bool = False) -> Span:
    return Span(
        span_id=name, clip_id="c_0000", video_id="v_0000", start_us=0, end_us=10 * SECOND,
        frame_us=list(frame_us), mirrored=mirrored, made="",
    )  # fmt: skip


def extracted(
    folder: WorkspaceFolder,
    path: Path,
    *spans: Span,
    clips: Sequence[Clip] = (),
    earlier: Sequence[Still] = (),
    **fields: object,
) -> list[Row]:
    seen = {Video: (video_of(path, **fields),), Clip: tuple(clips), Span: spans}
    return list(run(Rows(seen, {Still: tuple(earlier)}), StillsSettings(), folder))


def stills(folder: WorkspaceFolder, path: Path, *spans: Span, **fields: Any) -> list[Still]:
    return [row for row in extracted(folder, path, *spans, **fields) if isinstance(row, Still)]


def number_on(folder: WorkspaceFolder, still: Still) -> int:
    return numbered.read(cv2.imread(str(folder.media_path(still.media))))


def test_the_stills_of_a_span_are_the_frames_shown_at_its_times(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    """Two spans of one clip have different numbers of frames; the last time is the video's end."""
    times = numbered.write(tmp_path / "a.mp4", count=90)
    one, other = span(evenly(0, 1_000_000, 8), "s_1"), span([1_500_000, 3_000_000], "s_2")
    found = stills(folder, tmp_path / "a.mp4", one, other)
    assert Counter(still.span_id for still in found) == {"s_1": 8, "s_2": 2}
    wanted = {"s_1": one.frame_us, "s_2": other.frame_us}
    for still in found:
        at = wanted[still.span_id][still.number]
        shown = max(number for number, time in enumerate(times) if time <= at)
        assert number_on(folder, still) == shown
        assert (still.t_us, still.video_id) == (times[shown], "v_0000")
        data = folder.media_path(still.media).read_bytes()
        assert still.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("rotation", [0, 90])
def test_the_stills_of_a_mirrored_span_are_flipped_after_rotation(
    folder: WorkspaceFolder, tmp_path: Path, rotation: int
) -> None:
    numbered.write(tmp_path / "a.mp4", count=30)
    both = [span([500_000], "s_1"), span([500_000], "s_2", mirrored=True)]
    rows = extracted(folder, tmp_path / "a.mp4", *both, manifest_rotation=rotation)
    plain, mirrored = (row for row in rows if isinstance(row, Still))
    images = [cv2.imread(str(folder.media_path(one.media))) for one in (plain, mirrored)]
    # JPEG's blocks begin at the left, so flipped pixels are compressed a little differently.
    assert np.abs(images[0][:, ::-1].astype(int) - images[1]).mean() < 4
    assert np.abs(images[0].astype(int) - images[1]).mean() > 8
    looks = {row.span_id: row for row in rows if isinstance(row, Looks)}
    assert looks["s_1"].looks == looks["s_2"].flipped
    assert looks["s_1"].flipped == looks["s_2"].looks == mirrored.look


def test_looks_are_taken_five_times_per_second(folder: WorkspaceFolder, tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=90)
    rows = extracted(folder, tmp_path / "a.mp4", span([0, 1_000_000, 2_000_000]))
    (found,) = (row for row in rows if isinstance(row, Looks))
    assert (len(found.looks) // 16, len(found.flipped) // 16) == (11, 3)


def test_frames_of_a_variable_rate_are_those_displayed(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    """A frame is shown until the next one, however long that takes."""
    times = numbered.write(tmp_path / "a.mkv", times_ms=[0, 33, 66, 1300, 1333, 4000])
    wanted = [times[3] - 1000, times[3], times[4] + 1_000_000, times[5] + 10_000_000]
    found = stills(folder, tmp_path / "a.mkv", span(wanted))
    assert [number_on(folder, still) for still in found] == [2, 3, 4, 5]


def test_stills_of_a_span_with_few_frames_repeat(folder: WorkspaceFolder, tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=3)
    found = stills(folder, tmp_path / "a.mp4", span(evenly(0, 100_000, 8)))
    assert len(found) == 8
    assert len({still.media for still in found}) == 3


def test_a_clip_of_an_earlier_version_keeps_its_number_of_frames(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    """Its items ask about the whole clip; a clip with spans has no frames of its own."""
    numbered.write(tmp_path / "a.mp4", count=90)
    clip = factories.clip("0000", 2)
    first = stills(folder, tmp_path / "a.mp4", clips=[clip])
    assert [still.span_id for still in first] == ["c_0000"] * 8
    again = stills(folder, tmp_path / "a.mp4", clips=[clip], earlier=first[:4])
    assert [still.t_us for still in again] == [233_000, 733_000, 1_233_000, 1_733_000]
    spans = stills(folder, tmp_path / "a.mp4", span([0]), clips=[clip], earlier=first)
    assert {still.span_id for still in spans} == {"s_0000"}


def test_the_frames_of_an_earlier_version_outlast_their_video(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    numbered.write(tmp_path / "a.mp4", count=90)
    row, clip = video_of(tmp_path / "a.mp4"), factories.clip("0000", 2)
    first = stills(folder, tmp_path / "a.mp4", clips=[clip])
    (tmp_path / "a.mp4").unlink()
    seen: dict[Any, Any] = {Video: (row,), Clip: (clip,), Span: ()}
    rows = Rows(seen, {Still: tuple(first)})
    assert list(run(rows, StillsSettings(), folder)) == first
    folder.media_path(first[0].media).unlink()
    with pytest.raises(RowError, match="the file is missing"):
        list(run(rows, StillsSettings(), folder))


def test_without_consent_there_are_no_stills(folder: WorkspaceFolder, tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=3)
    assert extracted(folder, tmp_path / "a.mp4", span([0]), consent="model") == []


def test_a_missing_video_fails_alone(folder: WorkspaceFolder, tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=3)
    row = video_of(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(RowError, match="the file is missing") as told:
        list(run(Rows({Video: (row,), Clip: (), Span: (span([0]),)}), StillsSettings(), folder))
    assert told.value.again


def closed_release(
    space: Workspace,
    path: Path,
    version: str = "1.0.0",
    rotation: int = 0,
    *,
    mirrored: bool = False,
) -> Path:
    """Release one clip of a real video whose licence forbids redistribution."""
    draft = drafted("0000", 0)
    length = 5 * len(MOVES[0])
    checked = draft.model_copy(update={"origin": "verified", "verified_categories": ["direction"]})
    for stage, rows in {
        "split": [video_of(path, licence=CLOSED, manifest_rotation=rotation)],
        "frames": [factories.clip("0000", length)],
        "draft": [draft],
        "review": [checked],
        PULL: [factories.verdict(draft)],
    }.items():
        space.store.finish(stage, "all", "made up", "done", rows)
    list(space.run(["compose"]))
    if mirrored:
        flip = {"mirrored": True}
        spans = [row.model_copy(update=flip) for row in space.store.rows(Span)]
        asked = space.store.rows(Item)
        space.store.finish("compose", "all", "edited", "done", [*spans, *asked])
    list(space.run(["stills"]))
    return release(space, version).folder


def test_frames_are_restored_as_the_manifest_rotated_them(tmp_path: Path) -> None:
    path = tmp_path / "walks" / "a.mp4"
    path.parent.mkdir()
    numbered.write(path, count=620)
    with small_space(tmp_path / "workspace", clips=0) as space:
        folder = closed_release(space, path, rotation=180)
    released = open_release(folder)
    (video,) = released.manifest["videos"]
    assert video["rotation"] == 180
    assert hydrate(released, [path.parent]).restored == 20
    (names,) = {tuple(row.frames) for _, row in released.questions()}
    first = cv2.imread(str(folder / names[0]))
    assert numbered.read(np.rot90(first, 2)) == 15  # half a second


def test_frames_of_mirrored_spans_are_restored(tmp_path: Path) -> None:
    """No public column tells which spans are mirrored: the digest does."""
    path = tmp_path / "a.mp4"
    numbered.write(path, count=620)
    with small_space(tmp_path / "workspace", clips=0) as space:
        folder = closed_release(space, path, mirrored=True)
    released = open_release(folder)
    assert not (folder / "frames").exists()
    assert str(hydrate(released, [path])) == "release hydrate: 20 frames restored, 0 were present"
    (names,) = {tuple(row.frames) for _, row in released.questions()}
    first = cv2.imread(str(folder / names[0]))
    assert numbered.read(np.ascontiguousarray(first[:, ::-1])) == 15


def test_lost_frames_of_an_open_licence_cant_be_restored(tmp_path: Path) -> None:
    """The release doesn't say which videos its spans are cut from."""
    with small_space(tmp_path / "workspace", clips=2) as space:
        folder = release(space, "1.0.0").folder
    row = next(row for _, row in open_release(folder).questions())
    (folder / row.frames[0]).unlink()
    done = hydrate(open_release(folder), [tmp_path])
    assert (done.restored, done.unknown) == (0, (row.video,))
    assert f"1 spans lack frames that the release contains ({row.video})" in str(done)


def test_stills_of_an_earlier_format_name_their_clip_and_video(tmp_path: Path) -> None:
    before = Path(__file__).parents[1] / "data" / "bd52d40" / "workspace"
    shutil.copytree(before, tmp_path / "workspace", copy_function=shutil.copyfile)
    with open_workspace(tmp_path / "workspace") as space:
        found, videos = space.store.rows(Still), space.store.rows(Video)
        clips = {clip.clip_id: clip.video_id for clip in space.store.rows(Clip)}
        # The videos are gone from where they were; their frames remain, four of each clip.
        list(space.run(["stills"]))
        assert space.store.rows(Still) == found
    assert len(found) == 8
    assert {still.video_id for still in found} <= {video.video_id for video in videos}
    assert all(clips[still.span_id] == still.video_id for still in found)


def test_frames_of_a_closed_licence_are_left_out_and_restored(tmp_path: Path) -> None:
    path = tmp_path / "walks" / "a.mp4"
    path.parent.mkdir()
    numbered.write(path, count=620)
    with small_space(tmp_path / "workspace", clips=0) as space:
        folder = closed_release(space, path)
    assert not (folder / "frames").exists()
    rows = [row for _, row in open_release(folder).questions()]
    assert {len(row.frames) for row in rows} == {20}
    assert CLOSED in (folder / "README.md").read_text(encoding="utf-8")
    before = verify(folder)

    shutil.copy(path, tmp_path / "walks" / "under another name.mkv")
    path.unlink()
    (tmp_path / "walks" / "other.txt").write_text("not it", encoding="utf-8")
    done = hydrate(open_release(folder), [tmp_path / "walks"])
    assert (done.restored, done.missing, done.differing) == (20, (), ())
    assert all((folder / name).is_file() for row in rows for name in row.frames)
    assert verify(folder).root_digest == before.root_digest
    assert hydrate(open_release(folder), [tmp_path / "walks"]).restored == 0

    (folder / rows[0].frames[0]).write_bytes(b"another picture")
    with pytest.raises(GateError, match="is not part of the release"):
        verify(folder)


FREE = [
    word
    for limit in ("min_agreement=0", "min_audited=0", "blind_points=100", "min_verified=0")
    for word in ("--set", f"export.{limit}")
]


def command(root: Path, *words: str) -> object:
    with pytest.raises(SystemExit) as ended:
        egost(cli, ["-w", str(root), *words, *FREE])
    return ended.value.code


@pytest.mark.parametrize("damage", ["a changed byte", "a missing file"])
def test_a_damaged_still_is_named_by_its_gate_and_fixed_as_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    numbered.write(tmp_path / "a.mp4", count=620)
    root = tmp_path / "workspace"
    with small_space(root, clips=0) as space:
        closed_release(space, tmp_path / "a.mp4", "0.1.0")
        victim, asked = space.store.rows(Still)[3], space.store.rows(Item)
    path = WorkspaceFolder(root).media_path(victim.media)
    whole = path.read_bytes()
    path.unlink() if damage == "a missing file" else path.write_bytes(whole[:-1] + b"?")

    capsys.readouterr()
    assert command(root, "gates") == 3
    shown = capsys.readouterr()
    rows = f"({', '.join(sorted(item.item_id for item in asked)[:3])}"
    assert f"media: NOT MET: {len(asked)} items whose frames are missing or changed" in shown.out
    assert rows in shown.out
    assert "fix: run egost export, which extracts them again" in shown.err

    assert command(root, "export", "0.1.1") == 0
    assert "stills: 1 missing or changed, cut again" in capsys.readouterr().out
    assert path.read_bytes() == whole
    assert command(root, "gates") == 0


def test_a_damaged_still_of_a_missing_video_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbered.write(tmp_path / "a.mp4", count=620)
    root = tmp_path / "workspace"
    with small_space(root, clips=0) as space:
        closed_release(space, tmp_path / "a.mp4", "0.1.0")
        WorkspaceFolder(root).media_path(space.store.rows(Still)[3].media).unlink()
    (tmp_path / "a.mp4").unlink()
    assert command(root, "export", "0.1.1") == 3
    assert "see egost rejections for the reasons" in capsys.readouterr().err
    command(root, "rejections")
    assert "the file is missing: a.mp4" in capsys.readouterr().out
    assert not (root / "releases" / "v0.1.1").exists()


def test_hydrate_names_videos_that_it_does_not_find(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    numbered.write(path, count=620)
    with small_space(tmp_path / "workspace", clips=0) as space:
        folder = closed_release(space, path)
    (tmp_path / "empty").mkdir()
    assert hydrate(open_release(folder), [tmp_path / "empty"]).missing == ("a.mp4",)
    with pytest.raises(UserError, match="no such file"):
        hydrate(open_release(folder), [tmp_path / "nowhere"])


def test_a_stray_frame_is_named_even_if_its_name_is_its_digest(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=0) as space:
        fill(space, 2)
        folder = release(space, "1.0.0").folder
        data = b"a picture of something else"
        WorkspaceFolder(folder / "frames").keep(data, ".jpg")
    name = hashlib.sha256(data).hexdigest()[:32]
    stray = folder / "frames" / name[:2] / f"{name}.jpg"
    stray.parent.mkdir(exist_ok=True)
    shutil.move(folder / "frames" / "media" / name[:2] / f"{name}.jpg", stray)
    shutil.rmtree(folder / "frames" / "media")
    with pytest.raises(GateError, match=f"{name}.jpg belongs to no row"):
        verify(folder)
