"""The hidden factors of walks: places that go together, or all the other way, such as the direction of a walk. Pure."""

import math
from array import array
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
from scipy import sparse

from pipeline.blind.memory import SHRINK, Along
from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints

FACTORS, DIRECTIONS = 4, 2
_MOST_WALKS = 10_000
_MOST_NAMES = 400  # the most frequent ones; others show no factor
_MOST_SIGNS, _LEAST_SHOWN = 250, 8  # clues; walks that show one
_MOST_TOLD = 4_000  # walks: more make no direction clearer
_RIDGE = 10.0  # walks


class Places:
    """Where each name is in each walk, from -1 to 1."""

    def __init__(self) -> None:
        """Know no walk yet."""
        self._column: dict[str, int] = {}
        self._rows, self._columns, self._values = array("l"), array("l"), array("d")
        self._starts, self._axes, self._weights = array("l", [0]), array("l"), array("d")

    def learn(self, row: int, where: Mapping[str, float]) -> None:
        """Learn where the names of one walk are."""
        for name, value in where.items():
            self._rows.append(row)
            self._columns.append(self._column.setdefault(name, len(self._column)))
            self._values.append(value)

    def ask(self, axis: Iterable[tuple[str, float]]) -> None:
        """Add the next fact: the combination of places that is positive where it is true."""
        for name, weight in axis:
            if (column := self._column.get(name)) is not None:
                self._axes.append(column)
                self._weights.append(weight)
        self._starts.append(len(self._axes))

    def again(self, fact: int) -> None:
        """Add the next fact with the axis of an earlier one."""
        own = slice(self._starts[fact], self._starts[fact + 1])
        self._axes.extend(self._axes[own])
        self._weights.extend(self._weights[own])
        self._starts.append(len(self._axes))

    def follow(
        self, fold: Ints, walk: Ints, signs: "Signs", along: Along
    ) -> tuple[dict[int | None, Floats], dict[int | None, Floats]]:
        """Return how each fact follows each factor, and how it would lie in its walk by what the walk shows.

        That is (facts, factors) and (facts, 2 * directions) for each fold left out, and for none. The latter goes by
        where the names usually are, then by what was true of the very fact in walks that went the same way.
        Every fact leaves out its own fold as well. `fold` is that of each walk, `walk` is each fact's.
        """
        own, count = fold[walk], len(self._starts) - 1
        facts = np.repeat(np.arange(count), np.diff(self._starts))
        axes = sparse.csr_matrix(
            (np.array(self._weights), (facts, np.array(self._axes, int))),
            shape=(count, max(1, len(self._column))),
        )
        parts = [axes[own == one] for one in range(FOLDS)]
        table = self._table(len(fold))

        @cache
        def learned(one: int, other: int) -> tuple[Floats, Floats, Floats, Floats]:
            kept = (fold != one) & (fold != other)
            used = np.flatnonzero(kept)
            loads, mean = _loads(table[used])
            seen = table.copy()
            seen.data = seen.data - mean[seen.indices]
            axis, direction = signs.directions(seen, used[np.diff(table.indptr)[used] > 0])
            return loads, axis, direction, along.told(np.clip(direction, -1, 1), kept)

        follows, expected = dict[int | None, Floats](), dict[int | None, Floats]()
        for without in (None, *range(FOLDS)):
            follows[without] = np.zeros((count, FACTORS))
            expected[without] = np.zeros((count, 2 * DIRECTIONS))
            for one in range(FOLDS):
                out = (one, one if without is None else without)
                loads, axis, direction, told = learned(min(out), max(out))
                here = own == one
                follows[without][here] = parts[one] @ loads
                # Neighbours on a shelf are nearly as surely in its order as its two ends are.
                apart = np.cbrt(parts[one] @ axis)
                expected[without][here, :DIRECTIONS] = apart * direction[walk[here]]
                expected[without][here, DIRECTIONS:] = told[here]
        return follows, expected

    def _table(self, walks: int) -> sparse.csr_matrix:
        rows, columns = np.array(self._rows, int), np.array(self._columns, int)
        values, names = np.array(self._values), max(1, len(self._column))
        often = np.bincount(columns, minlength=names)
        # Ties by first appearance.
        frequent = np.zeros(names, dtype=bool)
        frequent[np.argsort(-often, kind="stable")[:_MOST_NAMES]] = True
        used: Bools = frequent[columns] & (rows % max(1, walks // _MOST_WALKS) == 0)
        # A place of exactly 0 must not look like an unseen name.
        values = np.where(values == 0, 1e-9, values)
        return sparse.csr_matrix(
            (values[used], (rows[used], columns[used])), shape=(walks, names), dtype=float
        )


class Signs:
    """What walks show besides places, such as names and length: it may tell in which direction they go."""

    def __init__(self, walk: Ints, clue: Ints, scene: Ints) -> None:
        """Take which walk shows which clue, (entries,) each, and the scene of each walk."""
        walks = len(scene)
        often = np.bincount(clue, minlength=1)
        kept = np.argsort(-often, kind="stable")[:_MOST_SIGNS]
        kept = kept[often[kept] >= _LEAST_SHOWN]
        column = np.full(len(often), -1)
        column[kept] = np.arange(len(kept))
        known = column[clue] >= 0
        shape = (walks, len(kept))
        shown = np.zeros(shape, dtype=np.float32)
        shown[walk[known], column[clue[known]]] = 1
        # What the scene's walks show, on average: which branch of a chain a shop is.
        size = np.bincount(scene, minlength=1)
        of = sparse.csr_matrix(
            (np.ones(walks), (scene, np.arange(walks))), shape=(len(size), walks)
        )
        about = (of @ shown / np.maximum(size, 1)[:, None])[scene]
        self._shown = np.concatenate([shown, about], axis=1, dtype=np.float32)
        self._known: dict[bytes, tuple[Floats, Floats]] = {}

    def directions(self, seen: sparse.csr_matrix, used: Ints) -> tuple[Floats, Floats]:
        """Return the axes of places that what is shown tells most about, and where each walk would be on them.

        `seen` is (walks, names), around each name's mean; only the `used` walks are learned from. Returns (names,
        directions) and (walks, directions).
        """
        axes, rank = np.zeros((seen.shape[1], DIRECTIONS)), min(DIRECTIONS, seen.shape[1])
        if not len(used) or self._shown.shape[1] < rank:
            return axes, np.zeros((len(self._shown), DIRECTIONS))
        used = _some(used)
        learned, told = seen[used], self._shown[used] - self._means(used)[0]
        # In standard errors: what is seen often would otherwise hide what tells more.
        errors = np.sqrt(np.bincount(learned.indices, minlength=seen.shape[1]) + SHRINK)
        spread = np.sqrt((told**2).sum(axis=0) / max(1, len(used)) + 1e-3)
        moments = (learned.T @ told) / errors[:, None] / spread
        axes[:, :rank] = np.linalg.svd(moments, full_matrices=False)[0][:, :rank] / errors[:, None]
        # Each walk once more: its direction, as all of its places show it.
        placed = seen @ axes
        expected = self.expected(used, placed - placed[used].mean(axis=0))
        return axes, expected / np.maximum(expected[used].std(axis=0), 1e-9)

    def expected(self, used: Ints, direction: Floats, ridge: float = _RIDGE) -> Floats:
        """Return the direction that each walk would have, (walks, directions), by a ridge on the used walks.

        `direction` is that of each walk, of which only the used ones count; `ridge` is in walks.
        """
        used = _some(used)
        mean, gram = self._means(used)
        told, usual = self._shown[used] - mean, direction[used].mean(axis=0)
        learned = np.linalg.solve(
            gram + ridge * np.eye(len(gram), dtype=np.float32),
            told.T @ (direction[used] - usual).astype(np.float32),
        )
        return np.asarray(self._shown @ learned - mean @ learned + usual, dtype=float)

    def _means(self, used: Ints) -> tuple[Floats, Floats]:
        """Return the mean of what these walks show, (clues,), and the products of clues around it, (clues, clues).

        Kept: all kinds of places ask for the same walks.
        """
        key = used.tobytes()
        if key not in self._known:
            mean = self._shown[used].mean(axis=0)
            told = self._shown[used] - mean
            self._known[key] = mean, told.T @ told
        return self._known[key]


def _some(walks: Ints) -> Ints:
    """Return at most `_MOST_TOLD` walks, evenly taken."""
    return walks[:: max(1, -(-len(walks) // _MOST_TOLD))]


def _loads(table: sparse.csr_matrix) -> tuple[Floats, Floats]:
    """Return how strongly each name loads on each factor, (names, factors), and its mean place, (names,)."""
    columns = np.unique(table.indices)
    loads, means = np.zeros((table.shape[1], FACTORS)), np.zeros(table.shape[1])
    rank = min(FACTORS, len(columns) - 1, table.shape[0] - 1)
    if rank <= 0:
        return loads, means
    seen = table[:, columns].tocsr()
    mean = np.asarray(seen.sum(axis=0)).ravel() / (np.bincount(seen.indices) + SHRINK)
    means[columns] = mean
    seen.data = seen.data - mean[seen.indices]
    squares, vectors = np.linalg.eigh((seen.T @ seen).toarray())
    strength = np.sqrt(np.maximum(squares[-rank:], 0))
    loads[columns, :rank] = vectors[:, -rank:] * (
        strength / math.sqrt(float((seen.data**2).sum()) or 1.0)
    )
    return loads, means
