"""The turns that a release's frames show by measurement, without a model: visual odometry between neighbours.

Released frames are half a second or more apart, too far for the tracker of videos: corners are matched by
their looks instead, and the rest is what measures turns in videos.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.motion.pose import Pose, Tracks, fitted, vector
from pipeline.motion.tracking import Lens, RotationStep
from pipeline.motion.turns import course, swings, travelling

Array = NDArray[Any]

VERSION = f"1 {cv2.__version__}"
"""Raise the number when the turns that are found may change."""
KINDS = frozenset(("left", "right", "around"))

# Releases don't say how wide the camera sees: between a telephone's 70 degrees and an action camera's 120.
# On 13 spans of rendered walks, 8 have their exact turns with 90 degrees, and 5 with 70.
_LENS = Lens(90.0)
_WIDTH = 320  # at 480 px, 6 of the 13 spans had their exact turns, in twice the time
_CORNERS = 500
_LIKE = 0.8  # of the distance of the second best match (Lowe's ratio)
_LEAST_MATCHES = 12
_LEAST_AGREEMENT = 0.25  # of the matches with one pose; matches at random agree by 0.1
_NOISE_PX, _PARALLAX_DEGREES = 1.5, 8.0
_STILL = Pose(np.eye(3), np.array([0.0, 0.0, 1.0]), 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class _View:
    """A frame's corners: their directions (n, 3) and looks (n, 32)."""

    t_us: int
    rays: Array
    looks: Array


def turns_shown(paths: tuple[Path, ...], seconds: tuple[float, ...]) -> tuple[str, ...] | None:
    """Return the turns measured between frames at these times: left, right or around, in order, without glances.

    None if a file is missing or is no image.
    """
    views = []
    for path, second in zip(paths, seconds, strict=True):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
        if grey is None:
            return None
        views.append(_view(round(second * 1e6), grey))
    if not views:
        return ()
    steps = [_step(one, other) for one, other in pairwise(views)]
    found = swings(course(views[0].t_us, steps))
    moving = travelling(found, steps)
    return tuple(swing.kind for swing, moved in zip(found, moving, strict=True) if moved)


def _view(t_us: int, grey: Array) -> _View:
    height = max(8, round(grey.shape[0] * _WIDTH / grey.shape[1]))
    small = cv2.resize(grey, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    detector = cv2.ORB_create(_CORNERS, patchSize=25, edgeThreshold=15, fastThreshold=5)  # type: ignore[attr-defined]
    corners, looks = detector.detectAndCompute(small, None)
    places = np.array([corner.pt for corner in corners], np.float32).reshape(-1, 2)
    return _View(
        t_us,
        _LENS.rays(places, _WIDTH, height),
        looks if looks is not None else np.zeros((0, 32), np.uint8),
    )


def _step(one: _View, other: _View) -> RotationStep:
    """Return the rotation from one frame to the next; a share of 0 if their corners don't match."""
    nothing = RotationStep(one.t_us, other.t_us, (0.0, 0.0, 0.0), 0.0, 0.0, (0.0, 0.0, 1.0))
    if min(len(one.looks), len(other.looks)) < _LEAST_MATCHES:
        return nothing
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(one.looks, other.looks, k=2)
    clear = [best for best, second in pairs if best.distance < _LIKE * second.distance]
    if len(clear) < _LEAST_MATCHES:
        return nothing
    tracks = Tracks(
        one.rays[[match.queryIdx for match in clear]],
        other.rays[[match.trainIdx for match in clear]],
        len(clear) / len(pairs),
    )
    noise = _NOISE_PX / _LENS.focal(_WIDTH)
    pose = fitted(tracks, _STILL, noise, math.radians(_PARALLAX_DEGREES))
    if pose.agreement < _LEAST_AGREEMENT:
        return nothing
    x, y, z = np.degrees(vector(pose.rotation)).tolist()
    right, down, forward = pose.ahead.tolist()
    return RotationStep(
        one.t_us,
        other.t_us,
        (x, y, z),
        pose.agreement,
        math.degrees(pose.parallax),
        (right, down, forward),
    )
