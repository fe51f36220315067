"""The turns that a release's frames show by measurement, without a model: visual odometry between neighbours."""

from collections.abc import Sequence
from pathlib import Path

import cv2

from pipeline.motion.tracking import Lens, Tracker
from pipeline.motion.turns import course, swings

_WIDTH = 320  # as the frames of a video from which turns are measured


def turns_shown(paths: Sequence[Path], seconds: Sequence[float]) -> list[str] | None:
    """Return the kinds of turns measured between frames at these times: left, right or around, in order.

    Releases don't say how wide the camera sees, so it is taken to see as wide as a video that doesn't
    specify it. None if a file is missing or is no image.
    """
    tracker = Tracker(Lens())
    for path, second in zip(paths, seconds, strict=True):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
        if grey is None:
            return None
        height, width = grey.shape
        size = (_WIDTH, max(8, round(height * _WIDTH / width)))
        tracker.add(round(second * 1e6), cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    if not tracker.steps:
        return []
    return [swing.kind for swing in swings(course(round(seconds[0] * 1e6), tracker.steps))]
