"""Denser frames of spans are cut from the source videos as the released ones were, and kept."""

from pathlib import Path

import cv2
import pytest
from brightening import brightening
from scripted_answers import question

from pipeline.errors import UserError
from pipeline.evaluate.denser import Denser, denser
from pipeline.evaluate.spans import source_spans
from pipeline.releases.layout import Evidence, file_digest
from pipeline.releases.reading import Released

SECONDS, FPS = 6, 10


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightening(tmp_path_factory.mktemp("videos") / "walk.mp4", SECONDS, FPS, 40, 20)


def cut(video: Path, folder: Path, *, mirrored: bool, fps: float = 2, digest: str = "") -> Denser:
    known = digest or file_digest(video)
    released = Released(
        folder, {"videos": [{"sha256": known, "path": "x.mp4"}], "settings": {"stills": {}}}
    )
    asked = [question("i_1", video="../s_1"), question("i_2", video="s_2")]
    evidence = {
        "i_1": Evidence.model_construct(
            video_sha256=known, span_start=1.0, span_end=5.0, mirrored=mirrored
        )
    }
    spans = source_spans(released, asked, evidence, [video.parent])
    return denser(released, asked, spans, fps, folder / "frames")


def halves(path: Path) -> tuple[float, float]:
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    return float(pixels[:, :24].mean()), float(pixels[:, 40:].mean())


def test_frames_are_evenly_spaced_in_the_span_and_mirrored_as_released(
    video: Path, tmp_path: Path
) -> None:
    for mirrored in (False, True):
        found = cut(video, tmp_path / str(mirrored), mirrored=mirrored)
        (one,) = found.questions
        assert one.frame_seconds == tuple(0.25 + 0.5 * number for number in range(8))
        lit = [halves(found.folder / name)[mirrored] for name in one.frames]
        assert lit == pytest.approx([20 + 40 * (1 + number // 2) for number in range(8)], abs=6)
        assert max(halves(found.folder / name)[not mirrored] for name in one.frames) < 10
        assert found.left_out == 1  # nobody knows where the other span is from


def test_what_is_cut_is_kept_and_lies_in_the_folder(video: Path, tmp_path: Path) -> None:
    first = cut(video, tmp_path, mirrored=False)
    times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.jpg")}
    assert len(times) == 8
    assert cut(video, tmp_path, mirrored=False) == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.jpg")} == times


def test_without_the_videos_nothing_is_asked(video: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the release's videos"):
        cut(video, tmp_path, mirrored=False, digest="0" * 64)
