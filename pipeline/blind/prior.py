"""How probable each combination of two facts is for the strongest reader without frames. Pure.

A reader sees an item's text and knows the true routes of all other scenes. It looks up each fact there at
several levels of generality, alone and together with the other fact, what the names in the span and in the
scene tell about sides, and how both facts follow a hidden factor of a walk (which way a corridor is walked).
A conditional logit, fitted out of fold by scene, weighs these experts.
"""

import hashlib
from array import array
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pipeline.blind import shipped
from pipeline.blind.factors import Places
from pipeline.blind.memory import SHRINK, Clue, Level, Lists, Memory
from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints
from pipeline.blind.weighing import fitted, weighed

COMBINATIONS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
"""The values of both facts in each of the four combinations: 1 is true, -1 false."""

_BOTH = COMBINATIONS[:, 0] * COMBINATIONS[:, 1]
_CONSTANTS = np.stack([COMBINATIONS[:, 0], COMBINATIONS[:, 1], _BOTH]).astype(float)
LEVELS, SUMS, TELLS = 5, 3, 2  # the most that a kind of fact may have
_SEEDS = (0, 1)  # two ways of making folds, averaged
_MOST_FITTED = 3_000  # pairs per fold
_LEAST_OWN = 60  # pairs of a small cell that a reader of its own is fitted to
_AT_ONCE = 50_000  # pairs whose experts are in memory together


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader can look up about one fact.

    `levels` are the fact's clues from special to general. Each of `sums` is a list of clues whose leans add
    up. `tells` are such lists about the side of a turn that the item asks for as well. `axes` are, for each
    set of places, the combination that is positive where the fact is true. A `sided` fact is about a side.
    `hunch` is what everybody knows about the words: positive where the fact is likely.
    """

    kind: str
    sided: bool
    levels: tuple[Level, ...]
    sums: tuple[tuple[Level, ...], ...]
    tells: tuple[tuple[Level, ...], ...]
    axes: tuple[tuple[tuple[str, float], ...], ...]
    hunch: float = 0.0


@dataclass(frozen=True)
class Pairs:
    """Pairs of facts as arrays, (pairs,): cell, numbers of both facts, and the true combination, 0 to 3."""

    cell: Ints
    first: Ints
    second: Ints
    truth: Ints


class Reader:
    """Learns spans one after another, then the facts that may be asked, and gives its posteriors."""

    def __init__(self) -> None:
        self.memory = Memory()
        self._scenes: list[str] = []
        self._places: list[Places] = []
        self.context, self.levels, self.sums, self.tells = (
            Lists(self.memory, slots) for slots in (1, LEVELS, SUMS, TELLS)
        )
        self.depth: dict[str, int] = {}
        self._hunches = array("d")
        self._span_of = array("l")
        self._kinds: list[str] = []
        self._sided = array("b")

    def learn(
        self,
        scene: str,
        clues: Iterable[tuple[Clue, bool]],
        context: Iterable[Clue],
        places: Sequence[Mapping[str, float]],
    ) -> None:
        """Learn the next span: its clues, what its names tell about sides, and where its names are.

        Each of `places` maps names to coordinates from -1 to 1: positions, or sides of turns.
        """
        self._scenes.append(scene)
        self.memory.learn(scene, clues)
        self.context.add([[(clue, False) for clue in context]])
        while len(self._places) < len(places):
            self._places.append(Places())
        for one, where in zip(self._places, places, strict=True):
            one.learn(len(self._scenes) - 1, where)

    def ask(self, span: int, asked: Asked) -> int:
        """Add a fact of a span and return its number."""
        self._span_of.append(span)
        self._kinds.append(asked.kind)
        self.depth[asked.kind] = len(asked.levels)
        self._hunches.append(asked.hunch)
        self._sided.append(asked.sided)
        self.levels.add([[level] for level in asked.levels])
        self.sums.add(asked.sums)
        self.tells.add(asked.tells)
        for one, axis in zip(self._places, asked.axes, strict=True):
            one.ask(axis)
        return len(self._kinds) - 1

    def posteriors(
        self,
        pairs: Pairs,
        usable: Callable[[Floats], Bools],
        told: Floats | None = None,
        few: Container[int] = (),
    ) -> Floats:
        """Return the probability of each combination, (pairs, 4), from all other scenes.

        `told` are the probabilities that somebody else gives, as one more expert. The cells in `few` are
        too small to fit a reader, so the shipped one judges them, too. The pairs that `usable` selects by it are the ones about which the reader may be too modest, so
        their probabilities are calibrated once more, on these pairs alone.
        """
        found = np.full((len(pairs.cell), 4), 0.25)
        if not len(found):
            return found
        self.memory.close()
        facts = self.facts = Facts(self)
        by_span = [_folds(self._scenes, seed) for seed in _SEEDS]
        self._folds = folds = [fold[facts.spans] for fold in by_span]
        follows = [
            np.concatenate([one.follow(fold, facts.spans) for one in self._places], axis=1)
            for fold in by_span
        ]
        for cell in np.unique(pairs.cell):
            at = np.flatnonzero(pairs.cell == cell)
            one = _Cell(facts, folds, follows, pairs, told, at)
            if int(cell) in few:
                found[at] = one.shipped()
            else:
                where = [fold[pairs.first[at]] for fold in folds]
                found[at] = _calibrated(one.believed(), pairs.truth[at], where, usable)
        return found


    @property
    def sided(self) -> Bools:
        """Whether each fact is about a side, (facts,)."""
        return np.array(self._sided, dtype=bool)

    def folds(self, seed: int) -> Ints:
        """Return the fold of each fact, by scene."""
        return self._folds[seed]


@dataclass(frozen=True)
class _Cell:
    """The pairs `at` of one cell, with what is known about all facts."""

    facts: "Facts"
    folds: Sequence[Ints]
    follows: Sequence[Floats]
    pairs: Pairs
    told: Floats | None
    at: Ints

    def believed(self) -> Floats:
        """Return the probabilities, (pairs, 4), as fitted."""
        some = self.at[:: max(1, len(self.at) // _MOST_FITTED)]
        fixed = self._fixed(some)
        weights = [
            fitted(self._rows(fixed, some, seed), self.pairs.truth[some], self._fold(some, seed))
            for seed in _SEEDS
        ]
        found = []
        for start in range(0, len(self.at), _AT_ONCE):
            part = self.at[start : start + _AT_ONCE]
            fixed = self._fixed(part)
            beliefs = [
                weighed(self._rows(fixed, part, seed), weights[seed], self._fold(part, seed))
                for seed in _SEEDS
            ]
            found.append(np.mean(beliefs, axis=0))
        return np.concatenate(found)

    def shipped(self) -> Floats:
        """Return the mean of what the shipped reader and, if there is enough to fit one, an own one believe."""
        rows = self.rows()
        kinds = " ".join(self.facts.kinds(self.pairs.first[self.at], self.pairs.second[self.at]))
        weights = np.array(shipped.weights().get(kinds, np.zeros(rows.shape[1])))
        found = weighed(rows, weights[None], np.zeros(len(rows), dtype=int))
        if len(self.at) < _LEAST_OWN:
            return found
        return np.asarray((found + self.believed()) / 2, dtype=float)

    def rows(self) -> Floats:
        """Return what each expert says of each combination, (pairs, experts, 4), without being told."""
        fixed = self.facts.experts(self.pairs.first[self.at], self.pairs.second[self.at])
        return self._rows(fixed, self.at, 0)

    def _fixed(self, some: Ints) -> Floats:
        found = self.facts.experts(self.pairs.first[some], self.pairs.second[some])
        if self.told is None:
            return found
        logs = np.log(self.told[some])
        return np.concatenate([found, _around(logs)[:, None]], axis=1)

    def _rows(self, fixed: Floats, some: Ints, seed: int) -> Floats:
        follows = self.follows[seed]
        together = follows[self.pairs.first[some]] * follows[self.pairs.second[some]]
        return np.concatenate([fixed, together[:, :, None] * _BOTH], axis=1)

    def _fold(self, some: Ints, seed: int) -> Ints:
        return self.folds[seed][self.pairs.first[some]]


def _calibrated(
    believed: Floats, truth: Ints, folds: Sequence[Ints], usable: Callable[[Floats], Bools]
) -> Floats:
    at = np.flatnonzero(usable(believed))
    found = believed.copy()
    if len(at):
        own = _around(np.log(believed[at]))[:, None]
        rows = np.concatenate([own, np.broadcast_to(_CONSTANTS, (len(at), 3, 4))], axis=1)
        found[at] = np.mean(
            [weighed(rows, fitted(rows, truth[at], fold[at]), fold[at]) for fold in folds], axis=0
        )
    return found


def _around(logs: Floats) -> Floats:
    return np.asarray(logs - logs.mean(axis=1, keepdims=True), dtype=float)


def _folds(scenes: Sequence[str], seed: int) -> Ints:
    fold = {
        scene: int(hashlib.sha256(f"{seed}:{scene}".encode()).hexdigest(), 16) % FOLDS
        for scene in dict.fromkeys(scenes)
    }
    return np.array([fold[scene] for scene in scenes])


class Facts:
    """What the lookups say about all facts, as arrays."""

    def __init__(self, reader: Reader) -> None:
        memory = reader.memory
        self._memory = memory
        self.spans: Ints = np.array(reader._span_of, dtype=np.int64)
        self._scene = memory.scenes[self.spans]
        self._kind = np.array(reader._kinds)
        self._clue, self._sign = reader.levels.clues()
        self._depth = reader.depth
        alone = memory.lean(self._clue, self._scene[:, None]) * self._sign
        # What the names in the span, and in the scene's other spans, tell about sides.
        scenes = memory.scenes
        near = reader.context.leans(scenes, mean=True)[:, 0]
        around = np.bincount(scenes, near) / np.maximum(np.bincount(scenes), 1)
        about = np.stack([near[self.spans], around[self._scene]], axis=1)
        sided = reader.sided[:, None]
        self._alone = np.concatenate(
            [
                alone,
                reader.sums.leans(self._scene),
                np.array(reader._hunches)[:, None],
                np.where(sided, about, 0.0),
            ],
            axis=1,
        )
        self._tells = reader.tells.leans(self._scene)
        self._sided = sided

    def kinds(self, first: Ints, second: Ints) -> tuple[str, str]:
        """Return the kinds of both facts, which are the same for all pairs of a cell."""
        return str(self._kind[first[0]]), str(self._kind[second[0]])

    def experts(self, first: Ints, second: Ints) -> Floats:
        """Return what each lookup says of the four combinations, as log probabilities around 0, (n, experts, 4)."""
        ones = [self._alone[first], np.where(self._sided[first], self._tells[second], 0.0)]
        others = [self._alone[second], np.where(self._sided[second], self._tells[first], 0.0)]
        found = [
            np.concatenate(ones, axis=1)[:, :, None] * COMBINATIONS[:, 0],
            np.concatenate(others, axis=1)[:, :, None] * COMBINATIONS[:, 1],
        ]
        kinds = self.kinds(first, second)
        slots = [range(self._depth[kind]) for kind in kinds]
        for one, other in product(*slots) if kinds[0] != kinds[1] else zip(*slots, strict=True):
            found.append(self._together(first, one, second, other)[:, None])
        found.append(np.broadcast_to(_CONSTANTS, (len(first), 3, 4)))
        return np.concatenate(found, axis=1)

    def _together(self, first: Ints, one: int, second: Ints, other: int) -> Floats:
        counts = self._memory.joint(
            self._clue[first, one], self._clue[second, other], self._scene[first]
        )
        flip = self._sign[first, one] < 0
        counts[flip] = counts[flip][:, [2, 3, 0, 1]]
        flip = self._sign[second, other] < 0
        counts[flip] = counts[flip][:, [1, 0, 3, 2]]
        return _around(np.log(counts + SHRINK / 4))
