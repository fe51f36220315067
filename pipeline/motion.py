"""How the camera turned from each small grey picture to the next, from tracked corners.

Camera axes are x right, y down, z forward. A rotation takes directions as the earlier picture saw
them to directions as the later one sees them, so turning left is positive about y.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_CELL_PX = (
    18  # one corner of each cell: 170 of a 16:9 picture; 220 cost a third more and added nothing
)
_LEAST_QUALITY = 0.003  # of the strongest corner
_WINDOW = (13, 13)
_LEVELS = (
    4  # at 320 px the top level is 20 px wide, so a step of a third of the picture is in reach
)
_BACK_LEVELS = 2  # backwards the answer is known, and only a near one is looked for
_STRAY_PX = 1.0  # forward and backward tracks that end farther apart are not one corner
_NOISE_PX = 1.2
_LEAST = 8  # tracked corners below which a fit says nothing
_HYPOTHESES = 100
_GOOD_SHARE = 0.55  # of the corners could be followed: the first guess was good enough
_PLAIN_SHARE = 0.6  # of the tracks agree with one rotation: no need to look far for another
_COARSE_WIDTH = 40
_SEARCH = (5.0, 2.0)
_POLISH = (1.0,)
_SEARCH_TRACKS = 48
_PARALLAX_WEIGHT = 0.12
_SIDEWAYS_COST = 0.1


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
        return _unit(flat)

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
class Step:
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
        self.steps: list[Step] = []
        self._last: _View | None = None
        self._guess: Array = np.eye(3)

    def add(self, t_us: int, grey: Array) -> None:
        """Take the next picture (height, width), about 320 px wide, all of one size."""
        size = (_COARSE_WIDTH, max(8, round(_COARSE_WIDTH * grey.shape[0] / grey.shape[1])))
        small: Array = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        now = _View(t_us, grey, small)
        if self._last is not None:
            self.steps.append(self._step(self._last, now))
        self._last = now

    def _step(self, then: "_View", now: "_View") -> Step:
        corners = _corners(then.grey)
        tracks = self._follow(then, now, corners, self._guess)
        if tracks is None or tracks.kept < _GOOD_SHARE:
            guesses = (self._coarse(then, now), np.eye(3))
            more = (self._follow(then, now, corners, guess) for guess in guesses)
            tracks = max((one for one in (tracks, *more) if one), key=_kept, default=None)
        if tracks is None:
            self._guess = np.eye(3)
            return Step(then.t_us, now.t_us, (0.0, 0.0, 0.0), 0.0, 0.0, (0.0, 0.0, 1.0))
        noise = _NOISE_PX / self.lens.focal(then.grey.shape[1])
        fit = _fitted(tracks, (self._guess, np.eye(3)), noise)
        self._guess = fit.rotation
        x, y, z = np.degrees(_vector(fit.rotation)).tolist()
        right, down, forward = fit.ahead.tolist()
        share = round(tracks.kept * fit.agreement, 4)
        return Step(
            then.t_us,
            now.t_us,
            (x, y, z),
            share,
            math.degrees(fit.parallax),
            (right, down, forward),
        )

    def _follow(
        self, then: "_View", now: "_View", corners: Array, guess: Array
    ) -> "_Tracks | None":
        """Track corners from a guessed rotation, forwards and backwards."""
        if len(corners) < _LEAST:
            return None
        height, width = then.grey.shape
        before = self.lens.rays(corners[:, 0], width, height)
        start = self.lens.pixels(before @ guess.T, width, height)[:, None]
        flags, stop = cv2.OPTFLOW_USE_INITIAL_FLOW, (3, 15, 0.05)
        there, found, _ = cv2.calcOpticalFlowPyrLK(
            then.grey, now.grey, corners, start.copy(), None, None, _WINDOW, _LEVELS, stop, flags
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
        return _Tracks(before[kept], after, float(kept.mean()))

    def _coarse(self, then: "_View", now: "_View") -> Array:
        """Return the rotation that the best shift of the whole, tiny picture stands for."""
        right, down = _best_shift(then.small, now.small)
        focal = self.lens.focal(_COARSE_WIDTH)
        return _matrix(np.array([0.0, math.atan(right / focal), 0.0])) @ _matrix(
            np.array([-math.atan(down / focal), 0.0, 0.0])
        )


@dataclass(frozen=True, eq=False)
class _View:
    t_us: int
    grey: Array
    small: Array


@dataclass(frozen=True, eq=False)
class _Tracks:
    """Directions (n, 3) of the same corners in two pictures, and the share of corners that they are."""

    before: Array
    after: Array
    kept: float


@dataclass(frozen=True, eq=False)
class _Fit:
    rotation: Array
    ahead: Array
    parallax: float
    agreement: float


def _kept(tracks: _Tracks) -> float:
    return tracks.kept


def _corners(grey: Array) -> Array:
    """Return corners (n, 1, 2), the strongest of every cell of the picture.

    Without the cells, one patterned wall near by outvotes the rest of the room.
    """
    strength = cv2.cornerMinEigenVal(grey, 5)
    rows, columns = (size // _CELL_PX for size in grey.shape)
    top, left = (
        (size - count * _CELL_PX) // 2
        for size, count in zip(grey.shape, (rows, columns), strict=True)
    )
    cells = strength[top : top + rows * _CELL_PX, left : left + columns * _CELL_PX]
    cells = (
        cells.reshape(rows, _CELL_PX, columns, _CELL_PX).swapaxes(1, 2).reshape(rows, columns, -1)
    )
    best = cells.argmax(axis=2)
    row, column = np.nonzero(cells.max(axis=2) > _LEAST_QUALITY * float(strength.max()))
    down, right = np.divmod(best[row, column], _CELL_PX)
    places = np.stack([left + column * _CELL_PX + right, top + row * _CELL_PX + down], axis=1)
    return np.asarray(places[:, None], dtype=np.float32)


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9))


def _cross(a: Array, b: Array) -> Array:
    """Return cross products along the last axis; numpy's own takes three times as long."""
    (ax, ay, az), (bx, by, bz) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _matrix(vector: Array) -> Array:
    return np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)


def _vector(rotation: Array) -> Array:
    return np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64).ravel()


def _best_shift(then: Array, now: Array) -> tuple[int, int]:
    """Return by how many pixels (right, down) the content moved: highest normalised correlation."""
    height, width = then.shape
    far, high = width // 2, height // 5
    then, now = then - np.float32(then.mean()), now - np.float32(now.mean())
    ones = np.ones_like(then)
    border = (high, high, far, far, cv2.BORDER_CONSTANT)
    padded = cv2.copyMakeBorder(now, *border, value=0)
    inside = cv2.copyMakeBorder(ones, *border, value=0)
    product: Array = cv2.matchTemplate(padded, then, cv2.TM_CCORR)
    energy: Array = cv2.matchTemplate(inside, cv2.multiply(then, then), cv2.TM_CCORR)
    energy = energy * cv2.matchTemplate(cv2.multiply(padded, padded), ones, cv2.TM_CCORR)
    right, down = cv2.minMaxLoc(product / np.sqrt(np.maximum(energy, 1e-3)))[3]
    return right - far, down - high


def _consensus(before: Array, after: Array, noise: float) -> tuple[Array, float]:
    """Return the rotation from two corners that most corners agree with, and its score."""
    count = len(before)
    random = np.random.default_rng(0)  # the same draw for every step: same pictures, same turns
    first = random.integers(0, count, _HYPOTHESES)
    second = (first + random.integers(1, count, _HYPOTHESES)) % count
    source = _frames(before[first], before[second])
    target = _frames(after[first], after[second])
    rotations = target @ source.transpose(0, 2, 1)
    # Unit vectors: the squared gap is 2 - 2 cosine.
    cosines = (rotations @ before.T * after.T).sum(axis=1)
    scores = np.maximum(0, 1 - (2 - 2 * cosines) / noise**2).sum(axis=1)
    best = int(scores.argmax())
    return rotations[best], float(scores[best])


def _frames(first: Array, second: Array) -> Array:
    """Return orthonormal axes (n, 3, 3) spanned by pairs of directions."""
    normal = _unit(_cross(first, second))
    middle = _unit(first + second)
    return np.stack([middle, normal, _cross(middle, normal)], axis=2)


def _fitted(tracks: _Tracks, guesses: tuple[Array, ...], noise: float) -> _Fit:
    """Return the rotation and the direction of travel that explain the tracks best.

    A corner at rest lies, after the rotation, on the arc that leads away from the direction of
    travel: at its start if it is far, farther along if it is near. Being far along is cheap, being
    off the arc or behind its start is not; so a walk past a near wall does not read as a turn.
    """
    rotation, score = _consensus(tracks.before, tracks.after, 2 * noise)
    for _ in range(2):
        seen = tracks.before @ rotation.T
        gaps = tracks.after - seen
        weights = 1 / (1 + (gaps * gaps).sum(axis=1) / noise**2)
        rotation = _matrix(_turned(seen, gaps, weights)) @ rotation
    starts: list[Array] = [np.zeros(3)]
    if score < _PLAIN_SHARE * len(tracks.before):
        others = (_vector(guess @ rotation.T) for guess in guesses)
        starts += [other for other in others if 0.003 < np.linalg.norm(other) < 0.35]
    ways, ahead = _WAYS, _WAYS[0]
    # A search over many directions needs few tracks; the strongest of each part come first.
    few = slice(None, None, max(1, len(tracks.before) // _SEARCH_TRACKS))
    for spread in (0.0, 12.0):
        ways = _around(ahead, spread) if spread else ways
        part = slice(None) if spread else few
        seen = tracks.before[part] @ rotation.T
        begin = np.repeat(np.array(starts), len(ways), axis=0)
        tried = np.tile(ways, (len(starts), 1))
        schedule = _POLISH if spread else _SEARCH
        turns, costs, along, squares = _with_travel(
            tried, begin, seen, tracks.after[part] - seen, noise, schedule
        )
        best = int((costs + _SIDEWAYS_COST * len(seen) * (1 - tried[:, 2]) / 2).argmin())
        rotation = _matrix(turns[best]) @ rotation
        ahead, starts = tried[best], [np.zeros(3)]
    agreement = float((1 / (1 + squares[best] / 4)).mean())
    return _Fit(rotation, ahead, float(np.median(along[best])), agreement)


def _turned(seen: Array, gaps: Array, weights: Array) -> Array:
    """Return the small rotation vector that closes the weighted gaps best."""
    normal = weights.sum() * np.eye(3) - (seen * weights[:, None]).T @ seen
    return np.linalg.solve(normal, (_cross(seen, gaps) * weights[:, None]).sum(axis=0))


def _with_travel(
    ways: Array, vectors: Array, seen: Array, gaps: Array, noise: float, schedule: tuple[float, ...]
) -> tuple[Array, Array, Array, Array]:
    """Fit a small rotation per direction of travel (k, 3), from these rotation vectors (k, 3).

    `schedule` gives the noise of each round as a multiple of `noise`: wide first, to get past the
    nearest valley. Returns vectors (k, 3), costs (k,), parallaxes and squared misfits (k, n).
    """
    outward = _unit((ways @ seen.T)[..., None] * seen - ways[:, None])
    across = _cross(seen[None], outward)
    along_gap = np.einsum("kni,ni->kn", outward, gaps)
    across_gap = np.einsum("kni,ni->kn", across, gaps)
    for wider in (*schedule, 1.0):
        along = along_gap - (across @ vectors[..., None])[..., 0]
        aside = across_gap + (outward @ vectors[..., None])[..., 0]
        ease = np.where(along > 0, _PARALLAX_WEIGHT**2, 1.0)
        squares = (ease * along**2 + aside**2) / noise**2
        weights = 1 / (1 + squares / wider**2)
        pull = weights * ease
        normal: Array = (across * pull[..., None]).transpose(0, 2, 1) @ across
        normal += (outward * weights[..., None]).transpose(0, 2, 1) @ outward + 1e-9 * np.eye(3)
        right = (pull * along_gap)[:, None] @ across - (weights * across_gap)[:, None] @ outward
        vectors = np.linalg.solve(normal, right.transpose(0, 2, 1))[..., 0]
    return vectors, np.log1p(squares).sum(axis=1), along, squares


def _sphere() -> Array:
    """Return 44 directions all around, straight ahead first."""
    grid = [(0, 0)] + [
        (azimuth, elevation)
        for elevation, apart in ((0, 30), (-30, 30), (30, 30), (-60, 60), (60, 60))
        for azimuth in range(0, 360, apart)
        if (azimuth, elevation) != (0, 0)
    ]
    azimuth, elevation = np.radians(np.array(grid, dtype=np.float64)).T
    return np.stack(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ],
        axis=1,
    )


def _around(ahead: Array, degrees: float) -> Array:
    """Return a direction and eight at this angle around it."""
    right = _unit(np.cross(ahead, [0.3, 1.0, 0.1]))
    down = np.cross(ahead, right)
    angles = np.arange(8) * np.pi / 4
    ring = np.cos(angles)[:, None] * right + np.sin(angles)[:, None] * down
    return np.vstack([ahead, _unit(ahead + math.tan(math.radians(degrees)) * ring)])


_WAYS = _sphere()
