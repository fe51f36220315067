"""The camera's rotation from each small grey frame to the next, from tracked corners.

Camera axes are x right, y down, z forward. A rotation maps directions in the earlier frame to
directions in the later one, so turning left is positive about y.
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

_CELL_PX = 11  # of the frame at half size; one corner per cell: 112 in a 16:9 frame
_LEAST_QUALITY = 0.003  # of the strongest corner
_WINDOW = (16, 11)  # two steps of the vector code wide: takes half the time of 13 by 13
# At 320 px the top level is 20 px wide, so a shift by a third of the frame can be tracked.
_LEVELS = 4
_NEAR_LEVELS = 2  # if the guess is good
_BACK_LEVELS = 2  # tracking back, the expected position is known
_STRAY_PX = 1.0  # tracks whose way forward and back ends farther from the start are dropped
_NOISE_PX = 0.8
_LEAST = 8  # minimum of tracked corners for a fit
_GOOD_SHARE = 0.55  # of the corners tracked: the first guess was good enough
_GOOD_AGREEMENT = 0.5  # of those tracked
_TURNING = math.radians(2)  # per step: continuing the turn is more likely than stopping
_COARSE_WIDTH = 40
_SAME_LIGHT = 0.02  # change of the mean brightness that LK tolerates
_APART_US = (
    105_000  # 10 frames per second of 20 or 30; all frames at 12 or 15, where steps are large
)
# While the head turns fast. On walks played at twice their speed, this reduces the error of angles
# from 12 % to 3.2 % (90th percentile), and the missed turns from 18 to 9 of 214.
_CLOSE_US, _FAST_DEGREES_PER_SECOND = 70_000, 40.0
_CALM_US = 160_000
_CALM_STEPS = 2  # in a row, before frames are skipped
_CALM_SHARE = 0.5
# At 8, angles are hardly more accurate (error 2.0 % instead of 2.1, 90th percentile), for 15 % more
# steps: what matters is a close spacing where the head turns fast.
_CALM_DEGREES_PER_SECOND = 25.0
_JERK_DEGREES = 15.0
_USUAL_PARALLAX = 7.0  # degrees per second of a walk in a corridor
_PARALLAX_SECONDS = 0.7  # time constant of the expected parallax
_PARALLAX_REACH = 4.0  # times the expected parallax is still likely
_PARALLAX_LIMITS = (0.5, 8.0)  # degrees


@dataclass(frozen=True)
class Lens:
    """The camera model: the horizontal field of view and how angles map to pixels.

    `rectilinear` keeps straight lines straight; `fisheye` is equidistant (radius = focal x angle).
    """

    hfov_degrees: float = 70.0
    kind: Literal["rectilinear", "fisheye"] = "rectilinear"

    def focal(self, width: int) -> float:
        """Return the focal length in pixels for a frame of this width."""
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
        """Return pixel positions (n, 2) of directions (n, 3); those behind the camera are far outside."""
        if self.kind == "fisheye":
            side = np.hypot(rays[:, 0], rays[:, 1])
            stretch = np.arctan2(side, rays[:, 2]) / np.maximum(side, 1e-9)
        else:
            stretch = 1 / np.maximum(rays[:, 2], 0.05)
        flat = rays[:, :2] * stretch[:, None] * self.focal(width)
        return np.asarray(flat + np.array([width - 1, height - 1]) / 2, dtype=np.float32)


@dataclass(frozen=True)
class RotationStep:
    """The measurement from two consecutive frames.

    `rotation` is a rotation vector in degrees (x, y, z). `share` is the fraction of the earlier
    frame's corners that agree with it, 0 if nothing could be measured. `parallax` is the median
    remaining angle in degrees along the direction of travel `ahead` (a unit vector).
    """

    start_us: int
    end_us: int
    rotation: tuple[float, float, float]
    share: float
    parallax: float
    ahead: tuple[float, float, float]


class Tracker:
    """Measures the rotation from each grey frame to the next. Deterministic."""

    def __init__(self, lens: Lens) -> None:
        self.lens = lens
        self.steps: list[RotationStep] = []
        self._last: _View | None = None
        self._pose = _STILL
        self._parallax = _USUAL_PARALLAX
        self.apart_us = _APART_US
        """Maximum spacing of the next frames."""

    def wants(self, t_us: int) -> bool:
        """Return whether to add the frame at this time: every frame while the head turns.

        Otherwise longer steps are more accurate (drift grows with their number, and parallax is larger).
        """
        if self._last is None or t_us - self._last.t_us >= _CALM_US:
            return True
        steps = self.steps[-_CALM_STEPS:]
        return _accelerates(steps) or not all(_is_calm(step) for step in steps)

    def add(
        self, t_us: int, grey: Array, skipped: Callable[[], tuple[int, Array]] | None = None
    ) -> None:
        """Add the next frame (height, width), about 320 px wide, all of the same size.

        `skipped` returns the time and pixels of the last skipped frame, used if the head began to turn.
        """
        now = _View(t_us, grey)
        if self._last is not None:
            found = self._step(self._last, now)
            if skipped and not _is_calm(found[0]):
                between = _View(*skipped())
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

    def _step(self, then: "_View", now: "_View") -> tuple[RotationStep, Pose]:
        then, now = _same_brightness(then, now)
        corners = _corners(then.grey)
        seconds = (now.t_us - then.t_us) / 1e6
        guess = self._guess(seconds)
        noise = _NOISE_PX / self.lens.focal(then.grey.shape[1])
        least, most = _PARALLAX_LIMITS
        expected = min(max(_PARALLAX_REACH * self._parallax * seconds, least), most)
        last = replace(self._pose, rotation=guess)
        found: list[tuple[float, Pose]] = []
        for start, levels in self._starts(then, now, guess):
            tracks = self._track(then, now, corners, start, levels)
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

    def _starts(self, then: "_View", now: "_View", guess: Array) -> Iterator[tuple[Array, int]]:
        """Yield initial rotations for tracking the corners, and the number of pyramid levels."""
        yield guess, _LEVELS
        # On a repeating pattern, coarse levels may match the neighbour of each corner.
        if np.linalg.norm(vector(guess)) > _TURNING:
            yield guess, _NEAR_LEVELS
        yield self._coarse(then, now), _LEVELS
        yield np.eye(3), _LEVELS

    def _guess(self, seconds: float) -> Array:
        """Return the rotation of a step of this length if the head keeps turning at the same rate."""
        if not self.steps:
            return np.eye(3)
        last = self.steps[-1]
        before = (last.end_us - last.start_us) / 1e6
        return matrix(np.radians(last.rotation) * (seconds / before))

    def _track(
        self, then: "_View", now: "_View", corners: Array, guess: Array, levels: int
    ) -> "Tracks | None":
        """Track corners forwards and backwards, starting from a guessed rotation."""
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

    def _coarse(self, then: "_View", now: "_View") -> Array:
        """Return the rotation given by the best shift between the downscaled frames."""
        right, down = _best_shift(_tiny(then.grey), _tiny(now.grey))
        focal = self.lens.focal(_COARSE_WIDTH)
        across = matrix(np.array([0.0, math.atan(right / focal), 0.0]))
        return across @ matrix(np.array([-math.atan(down / focal), 0.0, 0.0]))


@dataclass(frozen=True, eq=False)
class _View:
    t_us: int
    grey: Array


_STILL = Pose(np.eye(3), np.array([0.0, 0.0, 1.0]), 0.0, 0.0)


def _same_brightness(then: _View, now: _View) -> tuple[_View, _View]:
    """Return both frames, the brighter one dimmed to match: LK mistakes a changed exposure for motion."""
    bright, brighter = (float(cv2.meanStdDev(one.grey)[0][0, 0]) + 1 for one in (then, now))
    if abs(brighter / bright - 1) < _SAME_LIGHT:
        return then, now
    if brighter > bright:
        return then, replace(now, grey=cv2.convertScaleAbs(now.grey, alpha=bright / brighter))
    return replace(then, grey=cv2.convertScaleAbs(then.grey, alpha=brighter / bright)), now


def _is_calm(step: RotationStep) -> bool:
    """Return whether the camera hardly turned and its corners could be tracked."""
    return step.share >= _CALM_SHARE and _speed(step) <= _CALM_DEGREES_PER_SECOND


def _accelerates(steps: Sequence[RotationStep]) -> bool:
    """Return whether the head will turn fast if its speed keeps growing at the same rate.

    On a repeating pattern, a long first step of a turn may be as long as the pattern's period.
    """
    before, last = [0.0, 0.0, *map(_speed, steps)][-2:]
    return 2 * last - before > _CALM_DEGREES_PER_SECOND


def _speed(step: RotationStep) -> float:
    """Return the speed of rotation in degrees per second."""
    return math.hypot(*step.rotation) / (step.end_us - step.start_us) * 1e6


def _likely(rotation: Array, guess: Array) -> float:
    """Return 0 to 1: how well a rotation continues the previous step; heads don't stop abruptly."""
    apart = math.degrees(float(np.linalg.norm(vector(rotation @ guess.T))))
    return 1 / (1 + (apart / _JERK_DEGREES) ** 2)


def _corners(grey: Array) -> Array:
    """Return corners (n, 1, 2), the strongest in each cell of the frame.

    Without cells, a patterned wall nearby would provide most corners. Detected at half size, which
    takes a third of the time: LK needs features of two pixels.
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
    """Return the shift in pixels (right, down) with the highest normalised correlation."""
    height, width = then.shape
    far, high = width // 2, height // 5
    size = (height + 2 * high, width + 2 * far)
    then, now = then - then.mean(), now - now.mean()
    shown = np.ones_like(then)
    # Sums over the overlap: of the product, and of each frame's square.
    of_now = np.fft.rfft2([now, now * now, shown], size)
    of_then = np.fft.rfft2([then, shown, then * then], size)
    product, energy_now, energy_then = np.fft.irfft2(of_now * of_then.conj(), size)
    match = product / np.sqrt(np.maximum(energy_now * energy_then, 1e-3))
    match = np.roll(match, (high, far), axis=(0, 1))[: 2 * high + 1, : 2 * far + 1]
    down, right = np.unravel_index(match.argmax(), match.shape)
    return int(right) - far, int(down) - high
