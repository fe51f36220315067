import hashlib
from itertools import pairwise
from pathlib import Path

import cv2
import numbered
import numpy as np
import odd_files
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.errors import RowError
from pipeline.motion.frames import lens_of, run
from pipeline.motion.rows import Clip, Frame, Heading, JudgedClip, Turn
from pipeline.motion.settings import FramesSettings
from pipeline.motion.tracking import Lens
from pipeline.sources.rows import Video
from pipeline.video import reader

REAL = Path(__file__).parents[3] / "shared" / "video"


def row_of(path: Path, hfov_degrees: float | None = None) -> Video:
    info = reader.probe(path)
    return Video(
        video_id="v_test", root=str(path.parent), path=path.name, sha256="0" * 64,
        bytes=path.stat().st_size, container=info.container, codec=info.codec, width=info.width,
        height=info.height, rotation=info.rotation, fps_num=info.fps_num, fps_den=info.fps_den,
        duration_us=info.duration_us, has_audio=info.has_audio,
        hfov_degrees=hfov_degrees or info.hfov_degrees, lens="rectilinear", scene=None, wearer=None,
        source=None, licence=None, consent="local", split_group="g", split="test",
    )  # fmt: skip


def made(
    folder: WorkspaceFolder, path: Path, hfov_degrees: float | None = None, **settings: object
) -> list[Row]:
    rows = Rows({Video: (row_of(path, hfov_degrees),)})
    return list(run(rows, FramesSettings.model_validate(settings), folder))


def of(rows: list[Row], kind: type) -> list:  # type: ignore[type-arg]
    return [row for row in rows if isinstance(row, kind)]


def number_of(folder: WorkspaceFolder, frame: Frame) -> int:
    return numbered.read(cv2.imread(str(folder.media_path(frame.media))))


@pytest.mark.parametrize("motion", [True, False])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("cfr.mp4", {}),
        ("b.mkv", {"options": {"bf": "3", "g": "30"}}),
        ("vfr.ts", {"times_ms": [n * n for n in range(90)], "options": {"bf": "2", "g": "20"}}),
    ],
)
def test_keyframes_are_the_frames_of_their_timestamps(
    tmp_path: Path, name: str, how: dict[str, object], motion: bool
) -> None:
    path = tmp_path / name
    times = numbered.write(path, **how)  # type: ignore[arg-type]
    folder = WorkspaceFolder(tmp_path / "workspace")
    frames = of(made(folder, path, motion=motion), Frame)
    assert len(frames) >= 4
    assert [times[number_of(folder, frame)] for frame in frames] == [frame.t_us for frame in frames]
    exact = {frame.t_us: frame.pts for frame in reader.frames(path)}
    assert all(exact[frame.t_us] == frame.pts for frame in frames)
    assert all(frame.reason for frame in frames)


def test_two_runs_write_the_same_rows_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    numbered.write(path)
    first, second = WorkspaceFolder(tmp_path / "one"), WorkspaceFolder(tmp_path / "two")
    rows = made(first, path)
    assert rows == made(second, path)
    for frame in of(rows, Frame):
        data = first.media_path(frame.media).read_bytes()
        assert data == second.media_path(frame.media).read_bytes()
        assert frame.media.startswith(hashlib.sha256(data).hexdigest()[:2])
    kept = {path.name for path in first.root.rglob("*") if path.is_file()}
    assert kept == {Path(frame.media).name for frame in of(rows, Frame)}, (
        "nothing else is left behind"
    )


@pytest.mark.parametrize("motion", [True, False])
def test_judged_clips_are_kept_when_the_maximum_length_changes(
    tmp_path: Path, motion: bool
) -> None:
    path = tmp_path / "long.mp4"
    numbered.write(path, times_ms=[number * 100 for number in range(440)])
    folder = WorkspaceFolder(tmp_path / "workspace")
    clips = of(made(folder, path, max_clip_seconds=10, motion=motion), Clip)
    judged = sorted(clips, key=lambda clip: clip.start_us)[2]
    earlier = (JudgedClip(**judged.model_dump()),)
    rows = Rows({Video: (row_of(path),)}, {JudgedClip: earlier})
    settings = FramesSettings(max_clip_seconds=3600, motion=motion)
    again = sorted(of(list(run(rows, settings, folder)), Clip), key=lambda clip: clip.start_us)
    assert again[1] == judged
    assert len(again) == 3
    assert again[0].start_us == 0
    assert all(one.end_us == other.start_us for one, other in pairwise(again))
    assert again[2].end_us == max(clip.end_us for clip in clips)


def test_a_long_video_is_cut_into_clips_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    times = numbered.write(path, times_ms=[number * 100 for number in range(340)])
    rows = made(WorkspaceFolder(tmp_path / "workspace"), path, max_clip_seconds=10)
    clips = sorted(of(rows, Clip), key=lambda clip: clip.start_us)
    assert clips[0].start_us == 0
    assert clips[-1].end_us >= times[-1]
    assert all(earlier.end_us == later.start_us for earlier, later in pairwise(clips))
    assert all(1_000_000 <= clip.end_us - clip.start_us <= 10_000_000 for clip in clips)
    for heading in of(rows, Heading):
        (clip,) = (clip for clip in clips if clip.clip_id == heading.clip_id)
        assert heading.yaw_degrees[0] == 0
        assert clip.start_us <= heading.t_us[0] <= heading.t_us[-1] <= clip.end_us
        assert len(heading.t_us) == len(heading.yaw_degrees) > 30


def test_portrait_video_keeps_upright_keyframes(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    numbered.write(path, rotation=90)
    folder = WorkspaceFolder(tmp_path / "workspace")
    frames = of(made(folder, path), Frame)
    assert {(frame.width, frame.height) for frame in frames} == {(180, 320)}
    turned = cv2.imread(str(folder.media_path(frames[0].media)))
    assert turned.shape == (320, 180, 3)
    assert numbered.read(np.rot90(turned, -1)) == 0 or frames[0].t_us > 0


def test_a_missing_file_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    numbered.write(path, count=5)
    rows = Rows({Video: (row_of(path),)})
    path.unlink()
    with pytest.raises(RowError) as caught:
        list(run(rows, FramesSettings(), WorkspaceFolder(tmp_path / "workspace")))
    assert caught.value.again


def test_a_truncated_video_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    numbered.write(path, count=300, options={"g": "30"})
    row = row_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    rows = list(
        run(Rows({Video: (row,)}), FramesSettings(), WorkspaceFolder(tmp_path / "workspace"))
    )
    (rejection,) = of(rows, Rejection)
    assert (rejection.stage, rejection.unit) == ("frames", "a.mkv")
    assert "contain no frame" in rejection.what
    assert of(rows, Clip)[-1].end_us < 7_000_000


@pytest.mark.parametrize("sound", [(), ("-f", "lavfi", "-i", "sine=duration=10", "-c:a", "aac")])
def test_a_video_that_was_cut_off_before_it_was_probed_is_reported(
    tmp_path: Path, sound: tuple[str, ...]
) -> None:
    whole, path = tmp_path / "whole.mkv", tmp_path / "a.mkv"
    odd_files.film(
        whole,
        *sound[4:],
        *odd_files.X264,
        "-g",
        "30",
        inputs=sound[:4],
        pictures=[odd_files.scene(n) for n in range(300)],
    )
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert reader.probe(path).duration_us == pytest.approx(10_000_000, abs=40_000)
    (rejection,) = of(made(WorkspaceFolder(tmp_path / "workspace"), path), Rejection)
    assert "contain no frame" in rejection.what


def test_frames_that_change_their_aspect_ratio_are_refused_by_name(tmp_path: Path) -> None:
    odd_files.changing((320, 180), (240, 180))(tmp_path / "a.webm")
    with pytest.raises(
        RowError, match=r"its frames change from 320 x 180 to 240 x 180 .* at 1\.0 s"
    ):
        made(WorkspaceFolder(tmp_path / "workspace"), tmp_path / "a.webm")


def test_an_unknown_lens_reduces_confidence(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("the real clips are not beside this checkout (../shared/video)")
    path = REAL / "hololens_indoor" / "video.mp4"
    folder = WorkspaceFolder(tmp_path / "workspace")
    known = of(made(folder, path, 57.2), Turn)
    guessed = of(made(folder, path, None, default_hfov_degrees=57.2), Turn)
    assert [turn.kind for turn in known] == [turn.kind for turn in guessed]
    assert all(less.confidence < more.confidence for less, more in zip(guessed, known, strict=True))


def test_the_lens_comes_from_the_video_or_the_settings(tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=5)
    row = row_of(tmp_path / "a.mp4").model_copy(update={"lens": None})
    settings = FramesSettings(lens="fisheye", default_hfov_degrees=110)
    assert lens_of(row, settings) == Lens(110, "fisheye")
    own = row.model_copy(update={"lens": "rectilinear", "hfov_degrees": 90.0})
    assert lens_of(own, settings) == Lens(90, "rectilinear")
    wide = row.model_copy(update={"hfov_degrees": 180.0})
    assert lens_of(wide, FramesSettings()) == Lens(180, "fisheye")


@pytest.mark.parametrize("motion", [True, False])
def test_a_span_without_frames_is_rejected(tmp_path: Path, motion: bool) -> None:
    path = tmp_path / "a.mp4"
    numbered.write(path, times_ms=[*range(0, 3000, 100), *range(39_000, 42_000, 100)])
    rows = made(WorkspaceFolder(tmp_path / "workspace"), path, motion=motion, max_clip_seconds=10)
    shown = {row.clip_id for row in of(rows, Frame)}
    assert {clip.clip_id for clip in of(rows, Clip)} == shown
    assert "no frame between" in of(rows, Rejection)[0].what


@pytest.mark.parametrize("motion", [True, False])
def test_damage_is_reported_and_its_keyframes_are_suspect(tmp_path: Path, motion: bool) -> None:
    path = tmp_path / "a.mp4"
    numbered.write(path, count=300, options={"g": "60", "bf": "0"})
    row = row_of(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    settings = FramesSettings(motion=motion, budget=64)
    rows = list(run(Rows({Video: (row,)}), settings, WorkspaceFolder(tmp_path / "workspace")))
    (rejection,) = of(rows, Rejection)
    assert rejection.what.startswith("damaged at ")
    suspect = [frame.t_us for frame in of(rows, Frame) if frame.suspect]
    assert suspect or motion, "with motion there are enough intact frames to choose from"
    assert all(3_000_000 < t_us < 7_000_000 for t_us in suspect)


def test_a_missing_end_is_reported_without_motion(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    numbered.write(path, count=300, options={"g": "30"})
    row = row_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    settings = FramesSettings(motion=False)
    rows = list(run(Rows({Video: (row,)}), settings, WorkspaceFolder(tmp_path / "workspace")))
    assert "contain no frame" in of(rows, Rejection)[0].what
