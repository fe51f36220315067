"""How the camera turned from each small grey picture to the next, from tracked corners.

Camera axes are x right, y down, z forward. A rotation takes directions as the earlier picture saw
them to directions as the later one sees them, so turning left is positive about y.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.motion.pose import Pose, Tracks, fitted, matrix, unit, vector

Array = NDArray[Any]

_CELL_PX = 11  # of the halved picture; one corner of each cell: 112 of a 16:9 picture
_LEAST_QUALITY = 0.003  # of the strongest corner
_WINDOW = (16, 11)  # as wide as two steps of its vector code: in half the time of 13 by 13
# At 320 px the top level is 20 px wide, so a step of a third of the picture is in reach.
_LEVELS = 4
_NEAR_LEVELS = 2  # where the guess is good
_BACK_LEVELS = 2  # backwards the answer is known, and only a near one is looked for
_STRAY_PX = 1.0  # forward and backward tracks that end farther apart are not one corner
_NOISE_PX = 0.8
_LEAST = 8  # tracked corners below which a fit says nothing
_GOOD_SHARE = 0.55  # of the corners could be followed: the first guess was good enough
_GOOD_AGREEMENT = 0.5  # of those followed
_TURNING = math.radians(2)  # in a step: going on like that is more likely than standing still
_COARSE_WIDTH = 40
_SAME_LIGHT = 0.02  # change of the mean that LK bears
_APART_US = 105_000  # 10 pictures per second of 20 or 30; all of 12 or 15, where steps are large
# While the head turns fast. On walks at twice their speed, angles are off by 3.2 % then instead of
# 12 % (90th percentile), and 9 of 214 turns are missed instead of 18.
_CLOSE_US, _FAST_DEGREES_PER_SECOND = 70_000, 40.0
_CALM_US = 160_000
_CALM_STEPS = 2  # in a row, before every second picture is enough
_CALM_SHARE = 0.5
# At 8, angles are hardly truer (90th percentile 2.0 % off instead of 2.1), for 15 % more steps: what
# matters is that pictures lie close where the head turns fast.
_CALM_DEGREES_PER_SECOND = 25.0
_JERK_DEGREES = 15.0
_USUAL_PARALLAX = 7.0  # degrees per second of a walk in a corridor
_PARALLAX_SECONDS = 0.7  # for how long the parallax seen tells what to expect
_PARALLAX_REACH = 4.0  # times what is expected may well be
_PARALLAX_LIMITS = (0.5, 8.0)  # degrees


@dataclass(frozen=True)
class Lens:
    """What a pixel sees: the horizontal field of view and how angles map to pixels.

    `rectilinear` keeps straight lines straight; `fisheye` is equidistant (radius = focal x angle).
    """

    hfov_degrees: float = 70.0
    kind: Literal["rectilinear", "fisheye"] = "rectilinear"

    def focal(self, width: int) -> float:
        """Return the focal length in pixels of a picture this wide."""
        half = math.radians(self.hfov_degrees) / 2
        return width / 2 / (half if self.kind == "fisheye" else math.tan(half))

    def rays(self, points: Array, width: int, height: int) -> Array:
        """Return unit directions (n, 3) of pixel positions (n, 2)."""
        flat = np.empty((len(points), 3))
        flat[:, :2] = (points - np.array([width - 1, height - 1]) / 2) / self.focal(width)
        if self.kind == "fisheye":
            angle = np.hypot(flat[:, 0], flat[:, 1])
            flat[:, :2] *= np.sinc(angle / np.pi)[:, None]
            flat[:, 2] = np.cos(angle)
            return flat
        flat[:, 2] = 1.0
        return unit(flat)

    def pixels(self, rays: Array, width: int, height: int) -> Array:
        """Return pixel positions (n, 2) of directions (n, 3); those behind land far outside."""
        if self.kind == "fisheye":
            side = np.hypot(rays[:, 0], rays[:, 1])
            stretch = np.arctan2(side, rays[:, 2]) / np.maximum(side, 1e-9)
        else:
            stretch = 1 / np.maximum(rays[:, 2], 0.05)
        flat = rays[:, :2] * stretch[:, None] * self.focal(width)
        return np.asarray(flat + np.array([width - 1, height - 1]) / 2, dtype=np.float32)


@dataclass(frozen=True)
class RotationStep:
    """What two neighbouring pictures say.

    `rotation` is a rotation vector in degrees (x, y, z). `share` is the part of the earlier
    picture's corners that follow it, 0 when nothing could be measured. `parallax` is the median
    angle in degrees that is left along the direction of travel `ahead` (a unit vector).
    """

    start_us: int
    end_us: int
    rotation: tuple[float, float, float]
    share: float
    parallax: float
    ahead: tuple[float, float, float]


class Tracker:
    """Measures the rotation from each grey picture to the next. Deterministic."""

    def __init__(self, lens: Lens) -> None:
        self.lens = lens
        self.steps: list[RotationStep] = []
        self._last: _LensView | None = None
        self._pose = _STILL
        self._parallax = _USUAL_PARALLAX
        self.apart_us = _APART_US
        """How far apart the next pictures may lie, at most."""

    def wants(self, t_us: int) -> bool:
        """Tell whether the picture at this time is worth adding: every one while the head turns.

        In between, longer steps measure better (drift comes from their number, and parallax grows).
        """
        if self._last is None or t_us - self._last.t_us >= _CALM_US:
            return True
        steps = self.steps[-_CALM_STEPS:]
        return _quickening(steps) or not all(_is_calm(step) for step in steps)

    def add(
        self, t_us: int, grey: Array, passed: Callable[[], tuple[int, Array]] | None = None
    ) -> None:
        """Take the next picture (height, width), about 320 px wide, all of one size.

        `passed` gives the time and the picture last left out: it counts if the head began to turn.
        """
        now = _LensView(t_us, grey)
        if self._last is not None:
            found = self._step(self._last, now)
            if passed and not _is_calm(found[0]):
                between = _LensView(*passed())
                self._take(*self._step(self._last, between))
                found = self._step(between, now)
            self._take(*found)
        self._last = now

    def _take(self, step: RotationStep, pose: Pose) -> None:
        self.steps.append(step)
        self._pose = pose
        if step.share:
            seconds = (step.end_us - step.start_us) / 1e6
            memory = math.exp(-seconds / _PARALLAX_SECONDS)
            self._parallax = memory * self._parallax + (1 - memory) * step.parallax / seconds
            self.apart_us = _CLOSE_US if _speed(step) > _FAST_DEGREES_PER_SECOND else _APART_US

    def _step(self, then: "_LensView", now: "_LensView") -> tuple[RotationStep, Pose]:
        then, now = _alike(then, now)
        corners = _corners(then.grey)
        seconds = (now.t_us - then.t_us) / 1e6
        guess = self._guess(seconds)
        noise = _NOISE_PX / self.lens.focal(then.grey.shape[1])
        least, most = _PARALLAX_LIMITS
        expected = min(max(_PARALLAX_REACH * self._parallax * seconds, least), most)
        last = replace(self._pose, rotation=guess)
        found: list[tuple[float, Pose]] = []
        for start, levels in self._starts(then, now, guess):
            tracks = self._follow(then, now, corners, start, levels)
            if tracks is not None:
                pose = fitted(tracks, last, noise, math.radians(expected))
                found.append((tracks.kept * pose.agreement, pose))
                if tracks.kept >= _GOOD_SHARE and pose.agreement >= _GOOD_AGREEMENT:
                    break
        if not found:
            return RotationStep(
                then.t_us, now.t_us, (0.0, 0.0, 0.0), 0.0, 0.0, (0.0, 0.0, 1.0)
            ), _STILL
        if len(found) > 1:
            found.sort(key=lambda one: -one[0] * _likely(one[1].rotation, guess))
        share, pose = found[0]
        x, y, z = np.degrees(vector(pose.rotation)).tolist()
        right, down, forward = pose.ahead.tolist()
        parallax = math.degrees(pose.parallax)
        step = RotationStep(
            then.t_us, now.t_us, (x, y, z), round(share, 4), parallax, (right, down, forward)
        )
        return step, pose

    def _starts(
        self, then: "_LensView", now: "_LensView", guess: Array
    ) -> Iterator[tuple[Array, int]]:
        """Yield rotations to start looking for the corners from, and how coarse to look first."""
        yield guess, _LEVELS
        # On a repeating pattern, the coarse look may have been caught by the neighbour of each corner.
        if np.linalg.norm(vector(guess)) > _TURNING:
            yield guess, _NEAR_LEVELS
        yield self._coarse(then, now), _LEVELS
        yield np.eye(3), _LEVELS

    def _guess(self, seconds: float) -> Array:
        """Return the rotation of a step this long if the head turns on as it did."""
        if not self.steps:
            return np.eye(3)
        last = self.steps[-1]
        before = (last.end_us - last.start_us) / 1e6
        return matrix(np.radians(last.rotation) * (seconds / before))

    def _follow(
        self, then: "_LensView", now: "_LensView", corners: Array, guess: Array, levels: int
    ) -> "Tracks | None":
        """Track corners from a guessed rotation, forwards and backwards."""
        if len(corners) < _LEAST:
            return None
        height, width = then.grey.shape
        before = self.lens.rays(corners[:, 0], width, height)
        start = self.lens.pixels(before @ guess.T, width, height)[:, None]
        flags, stop = cv2.OPTFLOW_USE_INITIAL_FLOW, (3, 15, 0.05)
        there, found, _ = cv2.calcOpticalFlowPyrLK(
            then.grey, now.grey, corners, start.copy(), None, None, _WINDOW, levels, stop, flags
        )
        back, refound, _ = cv2.calcOpticalFlowPyrLK(
            now.grey,
            then.grey,
            there,
            corners.copy(),
            None,
            None,
            _WINDOW,
            _BACK_LEVELS,
            stop,
            flags,
        )
        to = there[:, 0]
        kept = (found.ravel() > 0) & (refound.ravel() > 0)
        kept &= np.abs(back - corners).max(axis=(1, 2)) < _STRAY_PX
        kept &= (to > 1).all(axis=1) & (to[:, 0] < width - 2) & (to[:, 1] < height - 2)
        if kept.sum() < _LEAST:
            return None
        after = self.lens.rays(to[kept], width, height)
        return Tracks(before[kept], after, float(kept.mean()))

    def _coarse(self, then: "_LensView", now: "_LensView") -> Array:
        """Return the rotation that the best shift of the whole, tiny picture stands for."""
        right, down = _best_shift(_tiny(then.grey), _tiny(now.grey))
        focal = self.lens.focal(_COARSE_WIDTH)
        across = matrix(np.array([0.0, math.atan(right / focal), 0.0]))
        return across @ matrix(np.array([-math.atan(down / focal), 0.0, 0.0]))


@dataclass(frozen=True, eq=False)
class _LensView:
    t_us: int
    grey: Array


_STILL = Pose(np.eye(3), np.array([0.0, 0.0, 1.0]), 0.0, 0.0)


def _alike(then: _LensView, now: _LensView) -> tuple[_LensView, _LensView]:
    """Return both with the brighter one dimmed to the other: LK takes a changed exposure for motion."""
    bright, brighter = (float(cv2.meanStdDev(one.grey)[0][0, 0]) + 1 for one in (then, now))
    if abs(brighter / bright - 1) < _SAME_LIGHT:
        return then, now
    if brighter > bright:
        return then, replace(now, grey=cv2.convertScaleAbs(now.grey, alpha=bright / brighter))
    return replace(then, grey=cv2.convertScaleAbs(then.grey, alpha=brighter / bright)), now


def _is_calm(step: RotationStep) -> bool:
    """Tell whether the camera hardly turned and what it saw could be followed."""
    return step.share >= _CALM_SHARE and _speed(step) <= _CALM_DEGREES_PER_SECOND


def _quickening(steps: Sequence[RotationStep]) -> bool:
    """Tell whether the head will turn fast if its speed goes on growing as it just did.

    On a repeating pattern, a first long step of a turn may be as long as the pattern's period.
    """
    before, last = [0.0, 0.0, *map(_speed, steps)][-2:]
    return 2 * last - before > _CALM_DEGREES_PER_SECOND


def _speed(step: RotationStep) -> float:
    """Return degrees per second."""
    return math.hypot(*step.rotation) / (step.end_us - step.start_us) * 1e6


def _likely(rotation: Array, guess: Array) -> float:
    """Return 0 to 1: how well a rotation goes on from the step before; no head stops at once."""
    apart = math.degrees(float(np.linalg.norm(vector(rotation @ guess.T))))
    return 1 / (1 + (apart / _JERK_DEGREES) ** 2)


def _corners(grey: Array) -> Array:
    """Return corners (n, 1, 2), the strongest of every cell of the picture.

    Without the cells, one patterned wall near by outvotes the rest of the room. Looked for at half
    the size: LK follows what is two pixels wide, and it costs a third.
    """
    strength = cv2.cornerMinEigenVal(cv2.pyrDown(grey), 3)
    rows, columns = (size // _CELL_PX for size in strength.shape)
    top, left = (
        (size - count * _CELL_PX) // 2
        for size, count in zip(strength.shape, (rows, columns), strict=True)
    )
    cells = strength[top : top + rows * _CELL_PX, left : left + columns * _CELL_PX]
    cells = (
        cells.reshape(rows, _CELL_PX, columns, _CELL_PX).swapaxes(1, 2).reshape(rows, columns, -1)
    )
    best = cells.argmax(axis=2)
    row, column = np.nonzero(cells.max(axis=2) > _LEAST_QUALITY * float(strength.max()))
    down, right = np.divmod(best[row, column], _CELL_PX)
    places = np.stack([left + column * _CELL_PX + right, top + row * _CELL_PX + down], axis=1)
    return np.asarray(2 * places[:, None], dtype=np.float32)


def _tiny(grey: Array) -> Array:
    size = (_COARSE_WIDTH, max(8, round(_COARSE_WIDTH * grey.shape[0] / grey.shape[1])))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _best_shift(then: Array, now: Array) -> tuple[int, int]:
    """Return by how many pixels (right, down) the content moved: highest normalised correlation."""
    height, width = then.shape
    far, high = width // 2, height // 5
    size = (height + 2 * high, width + 2 * far)
    then, now = then - then.mean(), now - now.mean()
    shown = np.ones_like(then)
    # Sums over where both overlap: of their product, and of each one's square.
    of_now = np.fft.rfft2([now, now * now, shown], size)
    of_then = np.fft.rfft2([then, shown, then * then], size)
    product, energy_now, energy_then = np.fft.irfft2(of_now * of_then.conj(), size)
    match = product / np.sqrt(np.maximum(energy_now * energy_then, 1e-3))
    match = np.roll(match, (high, far), axis=(0, 1))[: 2 * high + 1, : 2 * far + 1]
    down, right = np.unravel_index(match.argmax(), match.shape)
    return int(right) - far, int(down) - high
