"""How probable each combination of two facts is for the strongest reader without frames. Pure.

A reader sees an item's text and knows the true routes of all other scenes. It looks up each fact there at
several levels of generality, alone and together with the other fact, what the names in the span and in the
scene tell about sides, and how both facts follow a hidden factor of a walk (which way a corridor is walked).
A conditional logit, fitted out of fold by scene, weighs these experts.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pipeline.blind.factors import Places
from pipeline.blind.memory import SHRINK, Clue, Level, Lists, Memory
from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints
from pipeline.blind.weighing import fitted, weighed

COMBINATIONS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
"""The values of both facts in each of the four combinations: 1 is true, -1 false."""

_BOTH = COMBINATIONS[:, 0] * COMBINATIONS[:, 1]
_CONSTANTS = np.stack([COMBINATIONS[:, 0], COMBINATIONS[:, 1], _BOTH]).astype(float)
_SEEDS = (0, 1)  # two ways of making folds, averaged
_MOST_FITTED = 3_000  # pairs per fold
_AT_ONCE = 50_000  # pairs whose experts are in memory together


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader can look up about one fact.

    `levels` are the fact's clues from special to general. Each of `sums` is a list of clues whose leans add
    up. `tells` are such lists about the side of a turn that the item asks for as well. `axes` are, for each
    set of places, the combination that is positive where the fact is true. A `sided` fact is about a side.
    """

    kind: str
    sided: bool
    levels: tuple[Level, ...]
    sums: tuple[tuple[Level, ...], ...]
    tells: tuple[tuple[Level, ...], ...]
    axes: tuple[tuple[tuple[str, float], ...], ...]


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
        self.context, self.levels, self.sums, self.tells = (Lists(self.memory) for _ in range(4))
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
        self._sided.append(asked.sided)
        self.levels.add([[level] for level in asked.levels])
        self.sums.add(asked.sums)
        self.tells.add(asked.tells)
        for one, axis in zip(self._places, asked.axes, strict=True):
            one.ask(axis)
        return len(self._kinds) - 1

    def posteriors(
        self, pairs: Pairs, usable: Callable[[Floats], Bools], told: Floats | None = None
    ) -> Floats:
        """Return the probability of each combination, (pairs, 4), from all other scenes.

        `told` are the probabilities that somebody else gives, as one more expert.

        The pairs that `usable` selects by it are the ones about which the reader may be too modest, so
        their probabilities are calibrated once more, on these pairs alone.
        """
        found = np.full((len(pairs.cell), 4), 0.25)
        if not len(found):
            return found
        self.memory.close()
        facts = _Facts(self)
        by_span = [_folds(self._scenes, seed) for seed in _SEEDS]
        folds = [fold[facts.spans] for fold in by_span]
        follows = [
            np.concatenate([one.follow(fold, facts.spans) for one in self._places], axis=1)
            for fold in by_span
        ]
        for cell in np.unique(pairs.cell):
            at = np.flatnonzero(pairs.cell == cell)
            one = _Cell(facts, folds, follows, pairs, told, at)
            found[at] = _calibrated(
                one.believed(), pairs.truth[at], [fold[pairs.first[at]] for fold in folds], usable
            )
        return found


@dataclass(frozen=True)
class _Cell:
    """The pairs `at` of one cell, with what is known about all facts."""

    facts: "_Facts"
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


class _Facts:
    """What the lookups say about all facts, as arrays."""

    def __init__(self, reader: Reader) -> None:
        memory = reader.memory
        self._memory = memory
        self.spans: Ints = np.array(reader._span_of, dtype=np.int64)
        self._scene = memory.scenes[self.spans]
        self._kind = np.array(reader._kinds)
        self._clue, self._sign = reader.levels.clues()
        self._used = (self._clue >= 0).any(axis=0)
        alone = memory.lean(self._clue, self._scene[:, None]) * self._sign
        # What the names in the span, and in the scene's other spans, tell about sides.
        near = reader.context.leans(memory.scenes, mean=True)[:, :1]
        scenes = memory.scenes
        around = np.bincount(scenes, near.sum(axis=1)) / np.maximum(np.bincount(scenes), 1)
        sided = np.array(reader._sided, dtype=bool)[:, None]
        here = near[self.spans] if near.shape[1] else np.zeros((len(self.spans), 1))
        about = np.concatenate([here, around[self._scene][:, None]], axis=1)
        self._alone = np.concatenate(
            [alone, reader.sums.leans(self._scene), np.where(sided, about, 0.0)], axis=1
        )
        self._tells = reader.tells.leans(self._scene)
        self._sided = sided

    def experts(self, first: Ints, second: Ints) -> Floats:
        """Return what each lookup says of the four combinations, as log probabilities around 0, (n, experts, 4)."""
        ones = [self._alone[first], np.where(self._sided[first], self._tells[second], 0.0)]
        others = [self._alone[second], np.where(self._sided[second], self._tells[first], 0.0)]
        found = [
            np.concatenate(ones, axis=1)[:, :, None] * COMBINATIONS[:, 0],
            np.concatenate(others, axis=1)[:, :, None] * COMBINATIONS[:, 1],
        ]
        alike = self._kind[first[0]] == self._kind[second[0]]
        slots = range(self._clue.shape[1])
        for one, other in zip(slots, slots, strict=True) if alike else product(slots, slots):
            if self._used[one] and self._used[other]:
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
