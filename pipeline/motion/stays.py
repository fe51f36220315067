"""Where the wearer stays in place: the camera turns and sways, but gets nowhere.

Parallax gives the direction and, relative to the distance of what is seen, the length of each small
movement of the camera. Over a few seconds those of a walk add up, and those of a person who leans,
looks around or works with their hands cancel. Too little parallax for a walk isn't enough: a view over
distant scenery has hardly any. It must also lead nowhere, or be within the noise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.motion.pose import matrix
from pipeline.motion.tracking import RotationStep
from pipeline.motion.turns import WALKING_DEGREES_PER_SECOND

Array = NDArray[Any]

_WINDOW_US = 4_000_000
_LEAST_SHARE = 0.5  # of the corners, below which too little was tracked to tell
# Measured over 4 s on 9 rendered walks with a pause of each kind: standing still, looking around or down,
# or hands in view leave up to 0.13 degrees per second; leaning by 12 cm leaves 0.15 to 0.9 of up to 1.3.
# Walks leave 0.75 to 1.0 of 2 or more, a drone over a far coast 1.0 of 0.34. With these limits all 45
# pauses were found, to within 0.7 s except for one of leaning (5 s too short), and none on 22 plain walks.
_NOISE_DEGREES_PER_SECOND = 0.15
# If the field of view is wrong, turning the head looks like moving ahead: by 0.03 to 0.07 of the turning,
# measured on three pauses with looking around at 50 to 110 degrees instead of 79 to 91.
_LENS_ERROR = 0.06
_MOST_LEFT = 0.5


@dataclass(frozen=True)
class Rest:
    """A span in which the wearer stays in place; `confidence` is 0.5 at the limit, 1 without any drift."""

    start_us: int
    end_us: int
    confidence: float


def rests(steps: Sequence[RotationStep], *, lens_known: bool = True) -> list[Rest]:
    """Return where the wearer stays in place for four seconds or more, in time order, without overlaps."""
    found: list[Rest] = []
    for window in _resting(steps, 0.0 if lens_known else _LENS_ERROR):
        last = found[-1] if found else None
        if last and window.start_us <= last.end_us:
            sure = max(last.confidence, window.confidence)
            found[-1] = Rest(last.start_us, window.end_us, sure)
        else:
            found.append(window)
    return found


def _resting(steps: Sequence[RotationStep], lens_error: float) -> Iterator[Rest]:
    """Yield the windows in which the movements cancel; `lens_error` is the share of turning in them."""
    if not steps:
        return
    starts, ends = (np.array([getattr(s, name) for s in steps]) for name in ("start_us", "end_us"))
    lengths = np.array([step.parallax if step.share else 0.0 for step in steps])
    moved = _summed(_directions(steps) * lengths[:, None])
    covered = _summed(np.abs(lengths))
    turned = _summed(np.linalg.norm([step.rotation for step in steps], axis=1))
    shares = _summed(np.array([step.share for step in steps]) * (ends - starts))
    for first, stop in enumerate(np.searchsorted(ends, starts + _WINDOW_US) + 1):
        if stop > len(steps):
            return
        span_us = int(ends[stop - 1] - starts[first])
        if shares[stop] - shares[first] < _LEAST_SHARE * span_us:
            continue
        drift = float(np.linalg.norm(moved[stop] - moved[first])) / span_us * 1e6
        speed = float(covered[stop] - covered[first]) / span_us * 1e6
        turning = float(turned[stop] - turned[first]) / span_us * 1e6
        limit = max(_NOISE_DEGREES_PER_SECOND + lens_error * turning, _MOST_LEFT * speed)
        if speed < WALKING_DEGREES_PER_SECOND and drift < limit:
            confidence = round(1 - drift / limit / 2, 3)
            yield Rest(int(starts[first]), int(ends[stop - 1]), confidence)


def _summed(values: Array) -> Array:
    """Return the running sums of values (n, ...), starting at 0: (n + 1, ...)."""
    return np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])


def _directions(steps: Sequence[RotationStep]) -> Array:
    """Return the directions of travel (n, 3) in the axes of the first frame."""
    turned = np.eye(3)
    found = []
    for step in steps:
        turned = matrix(np.radians(step.rotation)) @ turned
        found.append(turned.T @ np.array(step.ahead))
    return np.array(found)
