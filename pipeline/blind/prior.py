"""How probable each combination of two facts is for the strongest reader without frames. Pure.

A reader sees an item's text and knows the true routes of all other scenes. It looks up each fact there at
several levels of generality, alone and together with the other fact, and how both follow a hidden factor of
a walk (which way a corridor is walked). A conditional logit, fitted out of fold by scene, weighs these
experts. `posteriors` returns what this reader believes.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product

import numpy as np

from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints

Clue = tuple[str, ...]
_Level = tuple[Clue, bool] | None
COMBINATIONS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
"""The values of both facts in each of the four combinations: 1 is true, -1 false."""

_CONSTANTS = np.stack(
    [COMBINATIONS[:, 0], COMBINATIONS[:, 1], COMBINATIONS[:, 0] * COMBINATIONS[:, 1]]
).astype(float)
_SEEDS = (0, 1)  # two ways of making folds, averaged
_PRIOR = 3.0  # what a lookup of few spans is shrunk by, in spans
_RIDGE = 3.0
_MOST_SPANS = 2_000  # of one clue: more make a lookup no sharper
_MOST_FITTED = 3_000  # pairs per fold
_FACTORS = 4
_LEAST_FITTED = 40  # pairs: with fewer, all weights are 0


@dataclass(frozen=True, slots=True)
class Span:
    """What the true route of one span teaches: its clues with their values, and where its names are.

    `places` are coordinates from -1 to 1: a name's position in the span, or the side of a turn.
    """

    scene: str
    clues: Sequence[tuple[Clue, bool]]
    places: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """One fact of a pair: its clues, each with whether it is negated there (None: it has none at that level).

    `hints` are clues that the other fact's names give. `axis` is the combination of coordinates that is
    positive where the fact is true.
    """

    clues: tuple[_Level, ...]
    hints: tuple[_Level, ...]
    axis: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two facts of a span, the cell (category and kinds of facts) and the true combination, 0 to 3."""

    span: int
    cell: str
    first: Asked
    second: Asked
    truth: int


def posteriors(
    spans: Sequence[Span], pairs: Sequence[Pair], usable: Callable[[Floats], Bools]
) -> Floats:
    """Return the reader's probability of each combination, (pairs, 4), from all other scenes.

    The pairs that `usable` selects by it are the ones about which the reader may be too modest, so their
    probabilities are calibrated once more, on these pairs alone.
    """
    found = np.full((len(pairs), 4), 0.25)
    memory = _Memory(spans)
    cells: dict[str, list[int]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        cells[pair.cell].append(index)
    looked_up = {
        cell: np.array([_looked_up(memory, spans, pairs[index]) for index in members])
        for cell, members in cells.items()
    }
    folds = {seed: _folds((span.scene for span in spans), seed) for seed in _SEEDS}
    factors = {
        (seed, fold): _Factors(spans, folds[seed] != fold)
        for seed in _SEEDS
        for fold in range(FOLDS)
    }
    for cell, members in cells.items():
        chosen = [pairs[index] for index in members]
        truth = np.array([pair.truth for pair in chosen])
        where = np.array([pair.span for pair in chosen])
        believed = np.zeros((len(chosen), 4))
        for seed in _SEEDS:
            fold = folds[seed][where]
            rows = np.concatenate([looked_up[cell], np.zeros((len(chosen), _FACTORS, 4))], axis=1)
            for one in range(FOLDS):
                at = np.flatnonzero(fold == one)
                rows[at, -_FACTORS:] = factors[seed, one].of([chosen[index] for index in at])
            believed += out_of_fold(rows, truth, fold) / len(_SEEDS)
        found[members] = _calibrated(
            believed, truth, [folds[seed][where] for seed in _SEEDS], usable
        )
    return found


def _calibrated(
    believed: Floats, truth: Ints, folds: Sequence[Ints], usable: Callable[[Floats], Bools]
) -> Floats:
    at = np.flatnonzero(usable(believed))
    logs = np.log(believed[at])
    constants = np.broadcast_to(_CONSTANTS, (len(at), *_CONSTANTS.shape))
    rows = np.concatenate([(logs - logs.mean(axis=1, keepdims=True))[:, None], constants], axis=1)
    found = believed.copy()
    if len(at):
        found[at] = np.mean([out_of_fold(rows, truth[at], fold[at]) for fold in folds], axis=0)
    return found


def _folds(scenes: Iterable[str], seed: int) -> Ints:
    return np.array(
        [
            int(hashlib.sha256(f"{seed}:{scene}".encode()).hexdigest(), 16) % FOLDS
            for scene in scenes
        ]
    )


# ---- lookups -------------------------------------------------------------------------------------------


class _Memory:
    """The clues of all spans; every lookup leaves out one scene."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._scene_of = [span.scene for span in spans]
        self._times: Counter[tuple[Clue, bool]] = Counter()
        self._in_scene: dict[str, Counter[tuple[Clue, bool]]] = defaultdict(Counter)
        self._spans: dict[tuple[Clue, bool], set[int]] = defaultdict(set)
        for number, span in enumerate(spans):
            for clue in span.clues:
                self._times[clue] += 1
                self._in_scene[span.scene][clue] += 1
                if len(self._spans[clue]) < _MOST_SPANS:
                    self._spans[clue].add(number)
        self._joint: dict[tuple[Clue, Clue], tuple[list[int], dict[str, list[int]]]] = {}

    def lean(self, clue: Clue, scene: str) -> float:
        """Return half the log odds that a clue is true, in other scenes."""
        own = self._in_scene[scene]
        true, false = (self._times.get((clue, v), 0) - own.get((clue, v), 0) for v in (True, False))
        return 0.5 * math.log((true + _PRIOR / 2) / (false + _PRIOR / 2))

    def joint(self, one: Clue, other: Clue, scene: str) -> list[int]:
        """Return in how many spans of other scenes both clues had each combination of values."""
        found = self._joint.get((one, other))
        if found is None:
            total = [0] * 4
            scenes: dict[str, list[int]] = defaultdict(lambda: [0] * 4)
            for number, (first, second) in enumerate(((1, 1), (1, 0), (0, 1), (0, 0))):
                for span in self._where(one, bool(first)) & self._where(other, bool(second)):
                    total[number] += 1
                    scenes[self._scene_of[span]][number] += 1
            found = self._joint[one, other] = (total, dict(scenes))
        total, by_scene = found
        own = by_scene.get(scene)
        return [a - b for a, b in zip(total, own, strict=True)] if own else total

    def _where(self, clue: Clue, value: bool) -> Set[int]:
        return self._spans.get((clue, value), frozenset())


def _looked_up(memory: _Memory, spans: Sequence[Span], pair: Pair) -> list[Floats]:
    """Return what each lookup says of the four combinations, as log probabilities around 0."""
    scene = spans[pair.span].scene
    found: list[Floats] = []
    for which, asked in enumerate((pair.first, pair.second)):
        for clue in (*asked.clues, *asked.hints):
            lean = 0.0
            if clue:
                lean = memory.lean(clue[0], scene) * (-1 if clue[1] else 1)
            found.append(COMBINATIONS[:, which] * lean)
    for one, other in _levels(pair):
        counts = [0] * 4
        if one and other:
            counts = memory.joint(one[0], other[0], scene)
            if one[1]:
                counts = counts[2:] + counts[:2]
            if other[1]:
                counts = [counts[1], counts[0], counts[3], counts[2]]
        smooth = np.log((np.array(counts) + _PRIOR / 4) / (sum(counts) + _PRIOR))
        found.append(smooth - smooth.mean())
    return [*found, *_CONSTANTS]


def _levels(pair: Pair) -> list[tuple[_Level, _Level]]:
    """Return the levels at which both facts are looked up together."""
    first, second = pair.first.clues, pair.second.clues
    if len(first) == len(second):
        return list(zip(first, second, strict=True))
    return list(product(first, second))


class _Factors:
    """The hidden factors of walks: names' positions and turns' sides that go together, or all the other way."""

    def __init__(self, spans: Sequence[Span], kept: Bools) -> None:
        from scipy import sparse
        from scipy.sparse.linalg import svds

        rows, columns, values = [], [], []
        self._column: dict[str, int] = {}
        for number in np.flatnonzero(kept).tolist():
            for name, value in spans[number].places.items():
                rows.append(number)
                columns.append(self._column.setdefault(name, len(self._column)))
                values.append(value)
        shape = (len(spans), max(1, len(self._column)))
        table = sparse.csr_matrix((values, (rows, columns)), shape=shape, dtype=float)
        seen = np.asarray((table != 0).sum(axis=0)).ravel()
        mean = np.asarray(table.sum(axis=0)).ravel() / (seen + _PRIOR)
        around = table.tocoo()
        around.data = around.data - mean[around.col]
        self._loads = np.zeros((shape[1], _FACTORS))
        rank = min(_FACTORS, min(shape) - 1)
        if rank > 0 and around.nnz:
            _, strength, loads = svds(around.tocsr(), k=rank, random_state=0)
            scale = math.sqrt(float((around.data**2).sum())) or 1.0
            self._loads[:, :rank] = loads.T * (strength / scale)

    def of(self, pairs: Sequence[Pair]) -> Floats:
        """Return how much each factor speaks for each combination, (pairs, factors, 4)."""
        together = np.array(
            [self._direction(pair.first.axis) * self._direction(pair.second.axis) for pair in pairs]
        ).reshape(len(pairs), _FACTORS)
        return np.asarray(
            together[:, :, None] * (COMBINATIONS[:, 0] * COMBINATIONS[:, 1]), dtype=float
        )

    def _direction(self, axis: Sequence[tuple[str, float]]) -> Floats:
        found = np.zeros(_FACTORS)
        for name, weight in axis:
            if (column := self._column.get(name)) is not None:
                found += weight * self._loads[column]
        return found


# ---- weighing --------------------------------------------------------------------------------------------


def out_of_fold(rows: Floats, truth: Ints, fold: Ints) -> Floats:
    """Return a conditional logit's probabilities, (pairs, 4), each from the pairs of all other folds.

    `rows` holds what each expert says of each combination, (pairs, experts, 4).
    """
    spread = rows.std(axis=(0, 2))
    scaled = rows / np.where(spread > 0, spread, 1)[None, :, None]
    found = np.full((len(rows), 4), 0.25)
    for one in sorted(set(fold.tolist())):
        fitted = np.flatnonzero(fold != one)
        if len(fitted) < _LEAST_FITTED:
            continue
        # Evenly spaced: the pairs are in the order of the secret draw.
        fitted = fitted[:: max(1, len(fitted) // _MOST_FITTED)]
        tested = fold == one
        weights = _fitted(scaled[fitted], truth[fitted])
        found[tested] = _softmax(np.einsum("nkc,k->nc", scaled[tested], weights))
    return found


def _fitted(rows: Floats, truth: Ints) -> Floats:
    """Return the weights of a conditional logit with a ridge penalty, by Newton's method."""
    pairs, experts, _ = rows.shape
    weights = np.zeros(experts)
    true = rows[np.arange(pairs), :, truth]
    for _ in range(20):
        chance = _softmax(np.einsum("nkc,k->nc", rows, weights))
        mean = np.einsum("nkc,nc->nk", rows, chance)
        slope = (true - mean).sum(axis=0) - _RIDGE * weights
        around = ((rows - mean[:, :, None]) * np.sqrt(chance)[:, None, :]).transpose(0, 2, 1)
        flat = around.reshape(-1, experts)
        step = np.linalg.solve(flat.T @ flat + _RIDGE * np.eye(experts), slope)
        weights += step
        if np.abs(step).max() < 1e-4:
            break
    return weights


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=float)
