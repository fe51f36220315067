"""Faces on keyframes: a drawn face is detected, and none in a room without one."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rows
from pipeline.errors import RowError
from pipeline.flow import STAGES
from pipeline.motion.faces import count_faces, run
from pipeline.motion.rows import Clip, Frame
from pipeline.motion.settings import FacesSettings
from tests.clip_rows import clip, frames, jpeg


def portrait(size: int = 150, width: int = 640, height: int = 480) -> bytes:
    """A drawn face: head, hair, sockets with eyes and brows, nose, mouth, chin."""
    image = np.full((height, width), 90, np.uint8)

    def oval(x: int, y: int, across: int, down: int, grey: int) -> None:
        scale = size / 200
        centre = (int(width / 2 + x * scale), int(height / 2 + y * scale))
        axes = (int(across * scale), int(down * scale))
        cv2.ellipse(image, centre, axes, 0, 0, 360, grey, -1)

    oval(0, 0, 75, 100, 200)
    oval(0, -75, 78, 35, 50)
    for side in (-1, 1):
        oval(side * 32, -18, 22, 12, 110)
        oval(side * 32, -15, 14, 7, 235)
        oval(side * 32, -15, 7, 7, 30)
        oval(side * 32, -34, 22, 5, 70)
    oval(0, 8, 9, 24, 225)
    oval(0, 30, 16, 7, 150)
    oval(0, 58, 30, 8, 110)
    oval(0, 80, 40, 12, 180)
    return cv2.imencode(".jpg", cv2.GaussianBlur(image, (0, 0), 3 * size / 200))[1].tobytes()


def found(folder: WorkspaceFolder, jpegs: list[bytes]) -> list[Finding]:
    shown = frames(folder, len(jpegs))
    kept = tuple(
        frame.model_copy(update={"media": folder.keep(data, ".jpg")})
        for frame, data in zip(shown, jpegs, strict=True)
    )
    rows = run(Rows({Clip: (clip(),), Frame: kept}), FacesSettings(), folder)
    return [row for row in rows if isinstance(row, Finding)]


@pytest.mark.parametrize("size", [100, 200, 300])
def test_a_face_is_detected(size: int) -> None:
    assert count_faces(portrait(size), FacesSettings()) == 1


def test_a_face_is_detected_in_a_large_frame() -> None:
    assert count_faces(portrait(500, 1920, 1080), FacesSettings()) == 1


def test_faces_below_the_set_size_are_ignored() -> None:
    assert count_faces(portrait(100), FacesSettings(smallest=0.5)) == 0


def test_no_face_no_finding(folder: WorkspaceFolder) -> None:
    assert found(folder, [jpeg(1, 640, 480), jpeg(2, 320, 240)]) == []


def test_one_finding_lists_the_times(folder: WorkspaceFolder) -> None:
    (one,) = found(folder, [portrait(), jpeg(1, 640, 480), portrait(), portrait(), portrait()])
    assert (one.unit_kind, one.kind, one.severity) == ("clip", "face_seen", "info")
    assert one.message == "there may be a face at 0:00.0, 0:08.0, 0:12.0 and 1 more"


def test_a_missing_or_broken_keyframe_is_an_error(folder: WorkspaceFolder) -> None:
    with pytest.raises(RowError, match="not a valid image"):
        found(folder, [b"no jpeg"])
    for path in folder.media.rglob("*.jpg"):
        path.unlink()
    with pytest.raises(RowError, match="can't be read"):
        list(run(Rows({Clip: (clip(),), Frame: _gone(folder)}), FacesSettings(), folder))


def _gone(folder: WorkspaceFolder) -> tuple[Frame, ...]:
    shown = frames(folder, 1)
    Path(folder.media_path(shown[0].media)).unlink()
    return shown


def test_the_search_can_be_switched_off() -> None:
    (stage,) = [one for one in STAGES if one.name == "faces"]
    assert stage.wanted is not None
    assert stage.wanted(FacesSettings())
    assert not stage.wanted(FacesSettings(look=False))
