"""The frames of rows: how many, from where, which way round; what is cut is kept."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from brightening import brightening
from scripted_answers import question

from pipeline.evaluate.spans import SourceSpan
from pipeline.training.frames import Cut, Form, cut_frames, own_frames, tidy, times_us

FORM = Form(2.5, 64, 85)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightening(tmp_path_factory.mktemp("videos") / "walk.mp4", 20, 10, 10, 30)


def span(path: Path, start: int = 2, end: int = 6, *, mirrored: bool = False) -> SourceSpan:
    return SourceSpan(path, "d" * 64, start * 1_000_000, end * 1_000_000, 0, mirrored)


def cut(spans: dict[str, SourceSpan], folder: Path, both: set[str] | None = None) -> Cut:
    return cut_frames(spans, {}, both or set(), FORM, folder, 1)


@pytest.mark.parametrize("fps", [2.0, 2.5, 3.0])
def test_frames_are_two_to_three_a_second_and_at_most_96(fps: float) -> None:
    for seconds in (1.0, 7.3, 31.8, 38.0, 47.9):
        times = times_us(seconds, fps)
        assert len(times) <= 96
        assert len(times) == 96 or 2 <= len(times) / seconds <= 3.01 or seconds < 1.5
        gaps = np.diff([-times[0], *times, 2 * seconds * 1e6 - times[-1]])
        assert max(gaps) - min(gaps) <= 4  # the midpoints of equal parts
    assert len(times_us(600, fps)) == 96
    assert len(times_us(0.1, fps)) == 1


def test_a_span_is_cut_as_it_is_shown_and_the_other_way_round(film: Path, tmp_path: Path) -> None:
    spans = {"plain": span(film), "mirrored": span(film, mirrored=True)}
    found = cut(spans, tmp_path, {"plain"}).frames
    assert not found["mirrored"].mirrored
    assert found["plain"].mirrored == found["mirrored"].names
    assert len(found["plain"].names) == 10
    for name, side in (
        *((n, 0) for n in found["plain"].names),
        *((n, 1) for n in found["mirrored"].names),
    ):
        pixels = cv2.imread(str(tmp_path / name), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        assert (pixels[:, :28].mean() > 20) == (side == 0)
        assert (pixels[:, 36:].mean() > 20) == (side == 1)


def test_the_longer_side_has_the_pixels_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "portrait.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 96, 160, "yuv420p"
        for _ in range(10):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((160, 96, 3), np.uint8))))
        file.mux(stream.encode())
    found = cut_frames({"a": span(path, 0, 2)}, {}, set(), Form(2.5, 80, 85), tmp_path, 1)
    pixels = cv2.imread(str(tmp_path / found.frames["a"].names[0]))
    assert pixels is not None
    assert pixels.shape[:2] == (80, 48)


def test_frames_that_a_video_lacks_are_known_by_their_own_time(tmp_path: Path) -> None:
    path = tmp_path / "frozen.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = stream.time_base = 1 / stream.codec_context.framerate
        for number in (*range(10), *range(40, 60)):  # nothing between 1 and 4 s
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 3 * number, np.uint8))
            frame.pts, frame.time_base = number, stream.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    one = cut({"a": span(path, 0, 6)}, tmp_path).frames["a"]
    assert len(one.times_us) == len(one.shown_us) == 15
    for told, seen in zip(one.times_us, one.shown_us, strict=True):
        assert seen == (900_000 if 1_150_000 < told < 4_000_000 else told)


def test_what_is_cut_is_kept_and_a_lost_frame_is_cut_again(film: Path, tmp_path: Path) -> None:
    spans = {"../a": span(film), "b": span(film, 8, 14)}  # a name that leads out of the folder
    first = cut(spans, tmp_path)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "media").rglob("*.jpg")}
    gone = Path("gone.mp4")
    assert cut({name: span(gone) for name in spans} | {"b": span(gone, 8, 14)}, tmp_path) == first
    lost = tmp_path / first.frames["b"].names[2]
    lost.unlink()
    assert cut(spans, tmp_path) == first
    assert lost.exists()
    assert all(path.stat().st_mtime_ns == at for path, at in files.items() if path != lost)
    assert not list(tmp_path.parent.glob("*.json"))


def test_a_video_that_can_not_be_read_costs_its_own_spans(film: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:3000])
    spans = {"a": SourceSpan(broken, "b" * 64, 0, 4_000_000, 0, False), "b": span(film)}
    found = cut(spans, tmp_path / "rows")
    assert found.frames.keys() == {"b"}
    assert not found.failed[broken].again


def test_a_video_that_is_gone_can_be_cut_later(tmp_path: Path) -> None:
    found = cut({"a": span(tmp_path / "gone.mp4")}, tmp_path)
    assert found.failed[tmp_path / "gone.mp4"].again


def test_frames_that_no_row_has_are_deleted_with_the_notes(film: Path, tmp_path: Path) -> None:
    found = cut({"a": span(film), "b": span(film, 8, 14)}, tmp_path).frames
    tidy(tmp_path, found["a"].names)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*found["a"].names}
    assert {path.name for path in tmp_path.iterdir()} == {"media"}


def test_notes_of_a_killed_run_are_whole(film: Path, tmp_path: Path) -> None:
    cut({"a": span(film)}, tmp_path)
    (note,) = (tmp_path / ".cut").iterdir()
    assert {*json.loads(note.read_text())} == {"shown_us", "names", "mirrored"}
    note.write_text("{")
    assert len(cut({"a": span(film)}, tmp_path).frames["a"].names) == 10


def test_released_frames_are_used_if_they_are_dense_enough(tmp_path: Path) -> None:
    def asked(count: int) -> object:
        names = tuple(f"{number}.jpg" for number in range(count))
        for name in names:
            (tmp_path / name).touch()
        times = tuple((2 * at + 1) * 10 / (2 * count) for at in range(count))
        return own_frames(
            tmp_path, question("i", frames=names, frame_seconds=times, seconds=10.0), 2.5
        )

    assert asked(19) is None
    few, many = asked(20), asked(90)
    assert few is not None
    assert many is not None
    assert len(few.paths) == 20  # type: ignore[attr-defined]
    assert len(many.paths) == 25  # type: ignore[attr-defined]
    (tmp_path / "3.jpg").unlink()
    assert own_frames(tmp_path, question("i", frames=("3.jpg",) * 20, seconds=10.0), 2.5) is None
