"""Camera rotation and direction of travel between two frames, from corners tracked between them.

Once the rotation is undone, a static corner is on the arc that leads away from the direction of
travel: at its start if it is far away, farther along if it is near. Deviations from the arc and
positions before its start have full cost; positions along the arc have a low cost that depends on the
parallax of the last seconds. So neither walking past a near wall nor sidestepping is measured as a
turn. Travelling backwards is unlikely, and so is travelling towards the side of a turn: the head turns
first, while the body continues in its old direction. So a fast turn close to a wall isn't measured as
sidestepping.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_HYPOTHESES = 60
_PLAIN_SHARE = (
    0.6  # if more tracks than this agree with one rotation, fewer starting points are tried
)
_SEARCH_TRACKS = 50
# Noise of each iteration as a multiple of the true one: wide first, to avoid local minima.
_SEARCH = (4.0, 1.5)
_FINISH = (1.5, 1.0, 1.0, 1.0)
_ENOUGH = 0.2  # of the noise: converged if the rotation changes by less
_LEAST_NOISE = 0.25  # of the given noise, however well the tracks fit
_MEDIAN_TO_NOISE = 1.5
_AHEAD_COST = 0.3  # per track, of travelling backwards, which people rarely do
_CONTRARY_COST = 0.6  # per track, of travelling towards the side that the head turns to
_TURNING = 0.05  # radians per step from which the contrary cost is full
_LEAST_TURNING = 0.1  # of that; below it there is no contrary cost
_LEAST_SINE = 0.05  # of the angle to the direction of travel, below which arcs are undefined
_LONGEST_BEND = 0.7  # radians by which one iteration may change the direction of travel


@dataclass(frozen=True, eq=False)
class Tracks:
    """Directions (n, 3) of the same corners in two frames, and the share of corners that were tracked."""

    before: Array
    after: Array
    kept: float

    def thinned(self, count: int) -> "Tracks":
        """Return about `count` of them, evenly spaced; they are ordered by position."""
        some = slice(None, None, max(1, len(self.before) // count))
        return Tracks(self.before[some], self.after[some], self.kept)


@dataclass(frozen=True, eq=False)
class Pose:
    """A rotation matrix, the unit direction of travel, and their support by the tracks.

    `parallax` is the median angle along the arcs in radians, `agreement` 0 to 1.
    """

    rotation: Array
    ahead: Array
    parallax: float
    agreement: float


def fitted(tracks: Tracks, last: Pose, noise: float, parallax: float) -> Pose:
    """Return the pose that explains the tracks best.

    `last` is the pose of the step before; `noise` and the `parallax` to expect are radians.
    """
    few = tracks.thinned(_SEARCH_TRACKS)
    rotation, score = _consensus(few, 2 * noise)
    ways = np.vstack([_WAYS, last.ahead, last.ahead])
    rotations = np.repeat(rotation[None], len(ways), axis=0)
    rotations[-1] = last.rotation
    if score < _PLAIN_SHARE * len(few.before):
        rotations = np.concatenate([rotations, last.rotation[None], _EYE[None], _EYE[None]])
        ways = np.vstack([ways, _WAYS[0], last.ahead, _WAYS[0]])
    coarse = _refined(few, rotations, ways, noise, noise / parallax, _SEARCH)
    best = int(coarse.costs.argmin())
    # If the tracks are more precise than expected, they outweigh the prior on parallax.
    misfit = math.sqrt(_median(coarse.squares[best]))
    real = noise * min(1.0, max(_LEAST_NOISE, _MEDIAN_TO_NOISE * misfit))
    some = slice(best, best + 1)
    fine = _refined(
        tracks, coarse.rotations[some], coarse.ways[some], real, real / parallax, _FINISH
    )
    agreement = float((1 / (1 + fine.squares[0] * (real / noise) ** 2 / 4)).mean())
    return Pose(fine.rotations[0], fine.ways[0], _median(fine.along[0]), agreement)


def matrix(turn: Array) -> Array:
    """Return the rotation matrix (3, 3) of a rotation vector (3,) in radians."""
    return np.asarray(cv2.Rodrigues(turn)[0], dtype=np.float64)


def vector(rotation: Array) -> Array:
    """Return the rotation vector (3,) in radians of a rotation matrix."""
    return np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64).ravel()


def unit(vectors: Array) -> Array:
    """Return vectors (..., n) scaled to unit length."""
    lengths = np.sqrt(
        np.einsum("...i,...i", vectors, vectors)
    )  # a fifth of the time of linalg.norm
    return np.asarray(vectors / np.maximum(lengths, 1e-9)[..., None])


def _consensus(tracks: Tracks, noise: float) -> tuple[Array, float]:
    """Return the rotation, computed from two corners, that most corners agree with, and its score."""
    before, after = tracks.before, tracks.after
    first, second = _pairs(len(before))
    both = np.array([before, after])
    source, target = _frames(both[:, first], both[:, second])
    rotations = target @ source.transpose(0, 2, 1)
    # For unit vectors the squared distance is 2 - 2 cosine; one matrix product gives all cosines.
    products = after[:, :, None] * before[:, None]
    cosines = rotations.reshape(-1, 9) @ products.reshape(-1, 9).T
    scores = np.maximum(0, (2 / noise**2) * cosines + (1 - 2 / noise**2)).sum(axis=1)
    best = int(scores.argmax())
    return rotations[best], float(scores[best])


@lru_cache(maxsize=256)
def _pairs(count: int) -> tuple[Array, Array]:
    """Return random pairs of different numbers below `count`, always the same ones."""
    random = np.random.default_rng(0)
    first = random.integers(0, count, _HYPOTHESES)
    return first, (first + random.integers(1, count, _HYPOTHESES)) % count


@dataclass(frozen=True, eq=False)
class _Fits:
    """k candidate poses: rotations (k, 3, 3), directions of travel (k, 3), costs (k,), and (k, n) per track."""

    rotations: Array
    ways: Array
    costs: Array
    along: Array
    squares: Array


def _refined(
    tracks: Tracks, rotations: Array, ways: Array, noise: float, ease: float, schedule: tuple[float, ...]
) -> _Fits:  # fmt: skip
    """Refine rotations (k, 3, 3) and directions of travel `ways` (k, 3) by reweighted least squares.

    The returned costs are those before the last, small change: evaluating once more takes half an
    iteration and doesn't improve the choice.
    """
    # (3, n), since numpy is fastest along the last axis.
    before, after = np.ascontiguousarray(tracks.before.T), np.ascontiguousarray(tracks.after.T)
    count = before.shape[1]
    stiffness = noise**2 * _STIFFNESS
    slopes = np.empty((len(ways), 6, count))
    turning = np.maximum(np.minimum(rotations[:, 0, 2] / _TURNING, 1), -1)
    turns = np.abs(turning).max() > _LEAST_TURNING
    contrary = np.zeros(len(ways))
    for wider in schedule:
        tried = ways
        seen = rotations @ before
        cosines = (ways[:, None] @ seen)[:, 0]
        sines = np.sqrt(np.maximum(1 - cosines * cosines, _LEAST_SINE**2))
        outwards = (cosines[:, None] * seen - ways[:, :, None]) / sines[:, None]
        # The difference after - seen, along the arc away from the direction of travel and across it.
        along = np.einsum("kin,in->kn", outwards, after)
        across = (_crossing(ways) @ seen) / sines[:, None]
        aside = np.einsum("kin,in->kn", across, after)
        outward = np.maximum(along, 0)
        inward = along - outward
        squares = ((ease * outward) ** 2 + inward * inward + aside * aside) / noise**2
        weights = 1 / (1 + squares / wider**2)
        slopes[:, :3] = outwards
        # Changing the direction of travel moves the end of the arc sideways in proportion to its length.
        slopes[:, 3:] = (outward / sines)[:, None] * across
        weighed = slopes * weights[:, None]
        eased = across * np.where(along > 0, ease**2 * weights, weights)[:, None]
        normal = weighed @ slopes.transpose(0, 2, 1)
        normal[:, :3, :3] += eased @ across.transpose(0, 2, 1)
        # Without parallax the direction of travel doesn't change.
        normal += stiffness
        pull = weighed @ aside[..., None]
        pull[:, :3] -= eased @ along[..., None]
        if turns:
            contrary = np.minimum(0, ways[:, 0] * turning)
            contrariness = (noise**2 * count * _CONTRARY_COST) * (contrary < 0) * turning**2
            normal[:, 3, 3] += contrariness
            # Keeps the direction of travel at unit length.
            normal[:, 3:, 3:] += count * ways[:, :, None] * ways[:, None]
            pull[:, 3, 0] += contrariness * ways[:, 0]
        change = np.linalg.solve(normal, pull)[..., 0]
        rotations = _small(-change[:, :3]) @ rotations
        bend = np.maximum(np.minimum(change[:, 3:], _LONGEST_BEND), -_LONGEST_BEND)
        ways = unit(ways - bend)
        if np.abs(change[:, :3]).max() < _ENOUGH * noise:
            break
    unlikely = _AHEAD_COST * (1 - tried[:, 2]) / 2 + _CONTRARY_COST * contrary**2
    costs = np.log1p(squares).sum(axis=1) + count * unlikely
    return _Fits(rotations, ways, costs, along, squares)


def _frames(first: Array, second: Array) -> Array:
    """Return orthonormal axes (..., 3, 3), as columns, spanned by pairs of directions (..., 3)."""
    axes = np.empty((*first.shape, 3))
    # The sum and the difference of two unit vectors are orthogonal.
    middle, apart = axes[..., 0], axes[..., 1]
    middle[:] = unit(first + second)
    apart[:] = unit(first - second)
    axes[..., 2] = _cross(middle, apart)
    return axes


def _cross(a: Array, b: Array) -> Array:
    """Return cross products along the last axis; numpy.cross takes three times as long."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _small(turns: Array) -> Array:
    """Return the rotations (k, 3, 3) of rotation vectors (k, 3) of up to a few degrees (Cayley transform)."""
    turns = turns / 2
    half = _crossing(turns)
    share = 2 / (1 + (turns * turns).sum(axis=1))
    return np.asarray(_EYE + share[:, None, None] * (half + half @ half))


def _median(values: Array) -> float:
    """Return the median (the upper one of an even number); numpy.median takes five times as long."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


def _crossing(vectors: Array) -> Array:
    """Return the cross-product matrices (k, 3, 3) of vectors (k, 3)."""
    return np.asarray((vectors @ _CROSSING).reshape(-1, 3, 3))


_EYE = np.eye(3)
# A vector times this is its cross-product matrix, flattened.
_CROSSING = np.array([(0, 0, 0, 0, 0, -1, 0, 1, 0), (0, 0, 1, 0, 0, 0, -1, 0, 0), (0, -1, 0, 1, 0, 0, 0, 0, 0)])  # fmt: skip
_STIFFNESS = np.diag([1e-3, 1e-3, 1e-3, 1.0, 1.0, 1.0])
_WAYS = np.array([(0, 0, 1), (1, 0, 0), (-1, 0, 0), (0, 0, -1)], dtype=np.float64)
