"""Stills: evenly spaced frames, and their restoration where a licence keeps them out of a release."""

import hashlib
import shutil
from pathlib import Path

import cv2
import factories
import numbered
import numpy as np
import pytest
from small_release import MOVES, drafted, fill, release, small_space

from pipeline.cli.console import run as egost
from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.engine.stage import PULL
from pipeline.engine.workspace import Workspace
from pipeline.errors import GateError, RowError, UserError
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Item
from pipeline.releases.hydrate import hydrate
from pipeline.releases.reading import open_release
from pipeline.releases.rows import Still
from pipeline.releases.settings import StillsSettings
from pipeline.releases.stills import moments, run
from pipeline.releases.verify import verify
from pipeline.sources.rows import Video

CLOSED = "All Rights Reserved"


def video_of(path: Path, **fields: object) -> Video:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    given = {"root": str(path.parent), "path": path.name, "sha256": sha256}
    return factories.video("0000", **(given | fields))


def stills(folder: WorkspaceFolder, path: Path, *clips: Clip, **fields: object) -> list[Still]:
    rows = Rows({Video: (video_of(path, **fields),), Clip: clips})
    return list(run(rows, StillsSettings(), folder))  # type: ignore[arg-type]


def test_stills_are_evenly_spaced_frames(folder: WorkspaceFolder, tmp_path: Path) -> None:
    times = numbered.write(tmp_path / "a.mp4", count=90)
    clip = factories.clip("0000", 2)
    found = stills(folder, tmp_path / "a.mp4", clip)
    assert [still.number for still in found] == list(range(8))
    for still, at in zip(found, moments(clip, 8), strict=True):
        shown = max(number for number, time in enumerate(times) if time <= at)
        data = folder.media_path(still.media).read_bytes()
        assert numbered.read(cv2.imread(str(folder.media_path(still.media)))) == shown
        assert still.t_us == times[shown]
        assert still.sha256 == hashlib.sha256(data).hexdigest()


def test_stills_of_a_clip_with_few_frames_repeat(folder: WorkspaceFolder, tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=3)
    clip = Clip(clip_id="c_0000", video_id="v_0000", start_us=0, end_us=100_000)
    found = stills(folder, tmp_path / "a.mp4", clip)
    assert len(found) == 8
    assert len({still.media for still in found}) == 3


def test_without_consent_there_are_no_stills(folder: WorkspaceFolder, tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=3)
    assert stills(folder, tmp_path / "a.mp4", factories.clip("0000"), consent="model") == []


def test_a_missing_video_fails_alone(folder: WorkspaceFolder, tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=3)
    row = video_of(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(RowError, match="the file is missing") as told:
        list(run(Rows({Video: (row,), Clip: (factories.clip("0000"),)}), StillsSettings(), folder))
    assert told.value.again


def closed_release(space: Workspace, path: Path, version: str = "1.0.0", rotation: int = 0) -> Path:
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
    list(space.run(["compose", "stills"]))
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
    assert hydrate(released, [path.parent]).restored == 8
    (names,) = {tuple(row.frames) for _, row in released.questions()}
    first = cv2.imread(str(folder / names[0]))
    assert (
        numbered.read(np.rot90(first, 2)) == moments(factories.clip("0000", 20), 8)[0] * 30 // 10**6
    )


def test_frames_of_a_closed_licence_are_left_out_and_restored(tmp_path: Path) -> None:
    path = tmp_path / "walks" / "a.mp4"
    path.parent.mkdir()
    numbered.write(path, count=620)
    with small_space(tmp_path / "workspace", clips=0) as space:
        folder = closed_release(space, path)
    assert not (folder / "frames").exists()
    rows = [row for _, row in open_release(folder).questions()]
    assert {len(row.frames) for row in rows} == {8}
    assert CLOSED in (folder / "README.md").read_text(encoding="utf-8")
    before = verify(folder)

    shutil.copy(path, tmp_path / "walks" / "under another name.mkv")
    path.unlink()
    (tmp_path / "walks" / "other.txt").write_text("not it", encoding="utf-8")
    done = hydrate(open_release(folder), [tmp_path / "walks"])
    assert (done.restored, done.missing, done.differing) == (8, (), ())
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
