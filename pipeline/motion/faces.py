"""faces: search the keyframes for faces, as a hint to check them before publication.

OpenCV's frontal-face cascade detects most faces that look at the camera, few in profile, and mistakes
some patterns for faces. That it finds none doesn't mean that there are none.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Row, Rows
from pipeline.errors import RowError
from pipeline.motion.rows import Clip, Frame
from pipeline.motion.settings import LEAST_HITS, FacesSettings
from pipeline.times import print_time

_HEIGHT = 360  # keyframes are scaled to this height: 30 ms instead of 300 ms for 1080p
_CASCADE = "haarcascade_frontalface_default.xml"
_SHOWN = 3


def run(rows: Rows, settings: FacesSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Search one clip's keyframes; yield one finding with the times of possible faces."""
    clip = rows.one(Clip)
    times = [
        print_time(frame.t_us - clip.start_us)
        for frame in rows[Frame]
        if count_faces(_jpeg(folder, frame), settings)
    ]
    if times:
        more = f" and {len(times) - _SHOWN} more" if len(times) > _SHOWN else ""
        yield Finding(
            unit_kind="clip",
            unit=clip.clip_id,
            kind="face_seen",
            severity="info",
            message=f"there may be a face at {', '.join(times[:_SHOWN])}{more}",
        )


def count_faces(jpeg: bytes, settings: FacesSettings) -> int:
    """Return the number of faces detected in a JPEG; raise RowError if it can't be decoded."""
    grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise RowError("a keyframe is not a valid image", "run egost frames again")
    height = min(grey.shape[0], _HEIGHT)
    width = max(1, round(grey.shape[1] * height / grey.shape[0]))
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    least = max(20, round(settings.smallest * height))
    cv2.setNumThreads(1)  # the pool already has a process per core
    found = _cascade().detectMultiScale(
        small, scaleFactor=1.15, minNeighbors=LEAST_HITS, minSize=(least, least)
    )
    return len(found)


@cache
def _cascade() -> cv2.CascadeClassifier:
    path = Path(cv2.__file__).parent / "data" / _CASCADE
    cascade = cv2.CascadeClassifier(str(path)) if path.exists() else None
    if cascade is None or cascade.empty():
        raise RowError(
            f"this OpenCV doesn't include {_CASCADE}",
            "install the version in constraints.txt, or set faces.look = false",
        )
    return cascade


def _jpeg(folder: WorkspaceFolder, frame: Frame) -> bytes:
    try:
        return folder.media_path(frame.media).read_bytes()
    except OSError as error:
        raise RowError(
            f"the keyframe {frame.media} can't be read: {error.strerror}",
            "run egost frames again: it recreates missing keyframes",
        ) from error
