"""The heading of a clip from measured rotations, and its turns.

A turn is a heading change of 45 degrees or more, `around` from 150. It ends where the heading
reverses by 12 degrees, and is split where the heading rests (below 4 degrees per second for a second,
averaged over a walker's sway). Angles are degrees, positive = left; times are microseconds.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.motion.tracking import RotationStep

Array = NDArray[Any]

LEAST_DEGREES = 45.0
AROUND_DEGREES = 150.0
_HYSTERESIS_DEGREES = 12.0
_REST_DEGREES_PER_SECOND = 4.0
_REST_SECONDS = 1.0
_SMOOTH_SECONDS = 0.3
# At each step the head sways at up to 15 degrees per second: smoothed over 0.3 s, two left turns with
# four seconds of walking between them are measured as one turn around; over a stride they are not.
_STRIDE_SECONDS = 1.0
_LEAST_SHARE = 0.06  # of the corners, below which a rotation is unreliable
_TILT_SECONDS = 10.0  # width of the window for estimating the vertical
_TILT_PRIOR = 15.0  # weight of the prior for a level camera, in degrees of turning
_WEIGHTLESS = 9.0  # standard deviations beyond which weights are negligible
_BLOCK = 512
WALKING_DEGREES_PER_SECOND = 1.5
_AHEAD_DEGREES = 35.0
_AFTER_US = 3_000_000
_GLANCE_US = 5_000_000
_GLANCE_DEGREES = 120.0  # nobody looks farther aside without turning


@dataclass(frozen=True)
class HeadingTrack:
    """The heading over time: unwrapped, 0 at the first frame."""

    t_us: NDArray[np.int64]
    yaw_degrees: NDArray[np.float64]

    def within(self, start_us: int, end_us: int) -> slice:
        """Return which points are from start to end, both included."""
        first, stop = self.t_us.searchsorted([start_us, end_us + 1])
        return slice(int(first), int(stop))

    def between(self, start_us: int, end_us: int) -> "HeadingTrack":
        """Return the part from start to end, starting at 0 degrees again."""
        inside = self.within(start_us, end_us)
        yaw = self.yaw_degrees[inside]
        return HeadingTrack(self.t_us[inside], yaw - yaw[:1])


@dataclass(frozen=True)
class Swing:
    """A heading change: its span, kind and angle."""

    start_us: int
    end_us: int
    kind: Literal["left", "right", "around"]
    yaw_degrees: float


def course(first_us: int, steps: Sequence[RotationStep]) -> HeadingTrack:
    """Return the heading: the accumulated rotation about the vertical, 0 at `first_us`."""
    times = np.array([first_us, *(step.end_us for step in steps)], dtype=np.int64)
    if not steps:
        return HeadingTrack(times, np.zeros(1))
    rotations = _bridged(times / 1e6, steps)
    upright = _verticals(times[1:] / 1e6, rotations)
    yaw = np.concatenate([[0.0], np.cumsum((rotations * upright).sum(axis=1))])
    return HeadingTrack(times, yaw)


def _bridged(seconds: Array, steps: Sequence[RotationStep]) -> Array:
    """Return rotations (n, 3), interpolated where too little could be tracked."""
    rotations = np.array([step.rotation for step in steps])
    reliable = np.array([step.share >= _LEAST_SHARE for step in steps])
    if reliable.all() or not reliable.any():
        return rotations if reliable.any() else np.zeros_like(rotations)
    middles, spans = (seconds[1:] + seconds[:-1]) / 2, np.diff(seconds)
    for axis in rotations.T:
        rates = axis[reliable] / spans[reliable]
        axis[~reliable] = np.interp(middles[~reliable], middles[reliable], rates) * spans[~reliable]
    return rotations


def _verticals(seconds: Array, rotations: Array) -> Array:
    """Return the unit vertical in camera axes (n, 3) per step.

    For a head tilted down by p degrees, a turn about the vertical is one about y and z, with z/y =
    tan p. Nodding and swaying don't correlate with turns, so regressing x and z on y over some seconds
    gives the tilt; without turns nearby the camera is assumed to be level.
    """
    smooth = np.stack([_boxed(column, seconds, 0.7) for column in rotations.T], axis=1)
    together = _summed_nearby(seconds, smooth * smooth[:, 1:2])
    turning = together[:, 1] + _TILT_PRIOR
    limit = math.tan(math.radians(45))
    tilts = [np.clip(together[:, axis] / turning, -limit, limit) for axis in (0, 2)]
    vertical = np.stack([tilts[0], np.ones(len(seconds)), tilts[1]], axis=1)
    return np.asarray(vertical / np.linalg.norm(vertical, axis=1, keepdims=True))


def _summed_nearby(seconds: Array, columns: Array) -> Array:
    """Return for each time the sum of the columns (n, k) around it, weighted by a Gaussian.

    In blocks: all pairs of times of a two-hour video would need 39 GB.
    """
    sums = np.empty_like(columns)
    reach = _TILT_SECONDS * _WEIGHTLESS
    for start in range(0, len(seconds), _BLOCK):
        here = seconds[start : start + _BLOCK]
        low, high = np.searchsorted(seconds, [here[0] - reach, here[-1] + reach])
        apart = (here[:, None] - seconds[None, low:high]) / _TILT_SECONDS
        sums[start : start + _BLOCK] = np.exp(-(apart**2) / 2) @ columns[low:high]
    return sums


def _boxed(values: Array, seconds: Array, span: float) -> Array:
    """Return a moving average over `span` seconds; edges are padded with their value."""
    apart = float(np.median(np.diff(seconds))) if len(seconds) > 1 else span
    count = max(1, round(span / max(apart, 1e-6)))
    count = min(count, 2 * len(values))
    padded = np.pad(values, (count // 2, count - 1 - count // 2), "edge")
    return np.convolve(padded, np.ones(count) / count, "valid")


def swings(course: HeadingTrack) -> list[Swing]:
    """Return the turns in time order; they never overlap."""
    if len(course.t_us) < 3:
        return []
    course = _even(course)
    seconds = course.t_us / 1e6
    yaw = _boxed(course.yaw_degrees, seconds, _SMOOTH_SECONDS)
    calm = _boxed(course.yaw_degrees, seconds, _STRIDE_SECONDS)
    # Rests according to either smoothing; their union must not form a rest that neither has.
    resting = _resting(yaw, seconds) | _resting(calm, seconds)
    found: list[Swing] = []
    for start, end in pairwise(_pivots(yaw)):
        for first, last in _without_rests(seconds, resting, start, end):
            change = float(yaw[last] - yaw[first])
            if abs(change) < LEAST_DEGREES:
                continue
            done = (yaw[first : last + 1] - yaw[first]) / change
            found.append(
                Swing(
                    int(course.t_us[first + int((done >= 0.05).argmax())]),
                    int(course.t_us[first + int((done >= 0.95).argmax())]),
                    kind_of(change),
                    change,
                )
            )
    return found


def _even(course: HeadingTrack) -> HeadingTrack:
    """Return the heading resampled at its shortest step: measured steps differ in length."""
    steps = np.diff(course.t_us)
    shortest = int(np.percentile(steps, 5))
    if shortest <= 0 or steps.max() - steps.min() <= shortest // 5:
        return course
    t_us = np.arange(course.t_us[0], course.t_us[-1] + 1, shortest)
    return HeadingTrack(t_us, np.interp(t_us, course.t_us, course.yaw_degrees))


def kind_of(degrees: float) -> Literal["left", "right", "around"]:
    """Return the kind of a heading change."""
    if abs(degrees) >= AROUND_DEGREES:
        return "around"
    return "left" if degrees > 0 else "right"


def _pivots(yaw: Array) -> list[int]:
    """Return where the heading reverses by more than the hysteresis, with both ends."""
    pivots = [0]
    peak = trough = 0
    sense = 0
    for now in range(len(yaw)):
        peak = now if yaw[now] > yaw[peak] else peak
        trough = now if yaw[now] < yaw[trough] else trough
        if sense >= 0 and yaw[peak] - yaw[now] >= _HYSTERESIS_DEGREES:
            pivots.append(peak)
            sense, peak, trough = -1, now, now
        elif sense <= 0 and yaw[now] - yaw[trough] >= _HYSTERESIS_DEGREES:
            pivots.append(trough)
            sense, peak, trough = 1, now, now
    return sorted({*pivots, len(yaw) - 1})


def _resting(yaw: Array, seconds: Array) -> Array:
    """Return which times are within a rest of a second or more."""
    slow = np.abs(np.gradient(yaw, seconds)) < _REST_DEGREES_PER_SECOND
    resting = np.zeros(len(slow), dtype=bool)
    for first, stop in _long_runs(slow, seconds, 0, len(slow) - 1):
        resting[first:stop] = True
    return resting


def _without_rests(seconds: Array, resting: Array, start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of start..end between rests of a second or more."""
    edges = [start]
    for first, stop in _long_runs(resting, seconds, start, end):
        edges += [first, min(stop, end)]
    edges.append(end)
    pieces = zip(edges[::2], edges[1::2], strict=True)
    return [(first, last) for first, last in pieces if last > first]


def _long_runs(marked: Array, seconds: Array, start: int, end: int) -> list[tuple[int, int]]:
    """Return the runs (first, last + 1) of marked times in start..end that last a second or more."""
    runs: list[tuple[int, int]] = []
    now = start
    while now <= end:
        first = now
        while now <= end and marked[now]:
            now += 1
        if now > first and seconds[min(now, end)] - seconds[first] >= _REST_SECONDS:
            runs.append((first, now))
        now = max(now, first + 1)
    return runs


def travelling(swings: Sequence[Swing], steps: Sequence[RotationStep]) -> list[bool]:
    """Return for each turn whether the wearer continued in the new direction, unlike in a glance.

    A turn that the next one reverses is a glance unless, between their middles, the camera moved in
    the direction of view. Any other turn counts if the camera moved during it or right after.
    """
    moved = [
        _moved(swing.start_us, _after(swings, index), steps) for index, swing in enumerate(swings)
    ]
    for index, (there, back) in enumerate(pairwise(swings)):
        left_over = abs(there.yaw_degrees + back.yaw_degrees)
        aside = abs(there.yaw_degrees)
        returned = there.yaw_degrees * back.yaw_degrees < 0 and left_over < 0.4 * aside
        soon = back.start_us - there.end_us < _GLANCE_US
        middles = (_middle(there), _middle(back))
        if not (returned and soon and aside < _GLANCE_DEGREES):
            continue
        if not _moved(*middles, steps, looking_ahead=True):
            moved[index] = moved[index + 1] = False
    return moved


def _middle(swing: Swing) -> int:
    return (swing.start_us + swing.end_us) // 2


def _after(swings: Sequence[Swing], index: int) -> int:
    """Return the end of the time after a turn that is attributed to it."""
    until = swings[index].end_us + _AFTER_US
    return min(until, swings[index + 1].start_us) if index + 1 < len(swings) else until


def _moved(
    start_us: int, end_us: int, steps: Sequence[RotationStep], *, looking_ahead: bool = False
) -> bool:
    """Return whether the camera moved in this span, from parallax; optionally in the direction of view."""
    inside = [step for step in during(start_us, end_us, steps) if step.share]
    if not inside:
        return False
    rates = [step.parallax / (step.end_us - step.start_us) * 1e6 for step in inside]
    if float(np.median(rates)) < WALKING_DEGREES_PER_SECOND:
        return False
    if not looking_ahead:
        return True
    weights = np.maximum(rates, 0.0)
    ahead = (np.array([step.ahead for step in inside]) * weights[:, None]).sum(axis=0)
    return abs(math.degrees(math.atan2(ahead[0], ahead[2]))) < _AHEAD_DEGREES


def during(start_us: int, end_us: int, steps: Sequence[RotationStep]) -> Sequence[RotationStep]:
    """Return the steps that overlap a span; steps are in time order and don't overlap."""
    first = bisect_right(steps, start_us, key=lambda step: step.end_us)
    return steps[first : bisect_left(steps, end_us, lo=first, key=lambda step: step.start_us)]


def confidence(swing: Swing, steps: Sequence[RotationStep], *, lens_known: bool) -> float:
    """Return 0 to 1: how well corners were tracked, and how far the angle is from another kind."""
    inside = during(swing.start_us, swing.end_us, steps)
    share = float(np.mean([step.share for step in inside])) if inside else 0.0
    tracked = min(1.0, share / 0.5)
    angle = abs(swing.yaw_degrees)
    margin = min(angle - LEAST_DEGREES, abs(angle - AROUND_DEGREES))
    clear = 0.5 + 0.5 * min(1.0, max(0.0, margin) / 20.0)
    return round(tracked * clear * (1.0 if lens_known else 0.6), 3)
