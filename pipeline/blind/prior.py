"""How probable each combination of two facts is for the strongest reader without frames. Pure.

A reader sees an item's text and knows the true routes of all other scenes. It looks up each fact there at several
levels of generality, alone and together with the other fact, what the names in the span and in the scene tell about
sides, how both facts follow a hidden factor of a walk (which way a corridor is walked), and what was true in walks that
by their names went the same way. A conditional logit weighs these experts. It is fitted out of fold by scene, and so
are its lookups: else its errors would reveal the answer (27 % in a fair world).
"""

import hashlib
from array import array
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from pipeline.blind import shipped
from pipeline.blind.factors import Places, Signs
from pipeline.blind.memory import SHRINK, Along, Clue, Leans, Level, Lists, Memory
from pipeline.blind.sheet import FOLDS, Bools, Counts, Floats, Ints
from pipeline.blind.weighing import around, fit, fitted, tempered, weighed

COMBINATIONS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
"""The values of both facts in each of the four combinations: 1 is true, -1 false."""

_BOTH = COMBINATIONS[:, 0] * COMBINATIONS[:, 1]
_CONSTANTS = np.stack([COMBINATIONS[:, 0], COMBINATIONS[:, 1], _BOTH]).astype(float)
LEVELS, SUMS, TELLS = 6, 3, 2  # the most that a kind of fact may have
CONTEXTS, SIGNS = 4, 3  # lists of what may tell about sides; how many of them about directions, too
MANNERS, RULES = 6, 3  # kinds of orders x rules of names; rules
_SEEDS = (0, 1)  # two ways of making folds, averaged
_MOST_FITTED = 3_000  # pairs per fold
_LEAST_OWN = 60  # pairs of a small cell that a reader of its own is fitted to
LEAST_TOLD = 2.0  # nats by which a reader must be better than chance, on other scenes, to count
_AT_ONCE = 50_000  # pairs whose experts are in memory together


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader can look up about one fact.

    `levels` are the fact's clues from special to general. Each of `sums` is a list of clues whose leans add up. `tells`
    are such lists about the side of a turn that the item asks for as well. `axes` are, for each set of places, the
    combination that is positive where the fact is true. A `sided` fact is about a side. `manner` tells for each rule of
    names (their numbers, lengths, letters) whether it rises or falls where the fact is true. `hunch` is what everybody
    knows about the words: positive where the fact is likely.
    """

    kind: str
    sided: bool
    levels: tuple[Level, ...]
    sums: tuple[tuple[Level, ...], ...]
    tells: tuple[tuple[Level, ...], ...]
    axes: tuple[tuple[tuple[str, float], ...], ...]
    hunch: float = 0.0
    manner: tuple[int, ...] = (0,) * RULES


@dataclass(frozen=True)
class Pairs:
    """Pairs of facts as arrays, (pairs,): cell, numbers of both facts, and the true combination, 0 to 3."""

    cell: Ints
    first: Ints
    second: Ints
    truth: Ints

    def __getitem__(self, at: Ints) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.cell[at], self.first[at], self.second[at], self.truth[at])


class Reader:
    """Learns spans one after another, then the facts that may be asked, and gives its posteriors."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.memory = Memory()
        self.context, self.levels, self.sums, self.tells, self.near = (
            Lists(self.memory, slots) for slots in (CONTEXTS, LEVELS, SUMS, TELLS, MANNERS)
        )
        self._manners = array("b")
        self.places: list[Places] = []
        self._spans, self._hunches, self._sided = array("l"), array("d"), array("b")
        self._scenes, self._kinds = list[str](), list[str]()
        self._depth: dict[str, int] = {}

    def learn(
        self,
        scene: str,
        clues: Iterable[tuple[Clue, bool]],
        context: Iterable[Iterable[Clue]],
        places: Sequence[Mapping[str, float]],
        near: Iterable[Iterable[Clue]] = (),
    ) -> None:
        """Learn the next span: its clues, what it tells about sides and rules, and where its names are.

        Each of `places` maps names to coordinates from -1 to 1: positions, or sides of turns.
        """
        self._scenes.append(scene)
        self.memory.learn(clues)
        self.context.add([[(clue, False) for clue in some] for some in context])
        self.near.add([[(clue, False) for clue in some] for some in near])
        while len(self.places) < len(places):
            self.places.append(Places())
        for one, where in zip(self.places, places, strict=True):
            one.learn(len(self._scenes) - 1, where)

    def ask(self, span: int, asked: Asked) -> int:
        """Add a fact of a span and return its number."""
        self._spans.append(span)
        self._kinds.append(asked.kind)
        self._depth[asked.kind] = len(asked.levels)
        self._hunches.append(asked.hunch)
        self._sided.append(asked.sided)
        # The slots of `near` are those of landmarks, then those of actions.
        own, none = asked.manner, (0,) * RULES
        self._manners.extend((*none, *own) if asked.kind == "action" else (*own, *none))
        self.levels.add([[level] for level in asked.levels])
        self.sums.add(asked.sums)
        self.tells.add(asked.tells)
        for one, axis in zip(self.places, asked.axes, strict=True):
            one.ask(axis)
        return len(self._kinds) - 1

    def again(self, span: int, fact: int) -> int:
        """Add a fact of a span that is asked like an earlier one, and return its number."""
        self._spans.append(span)
        self._kinds.append(self._kinds[fact])
        self._hunches.append(self._hunches[fact])
        self._sided.append(self._sided[fact])
        self._manners.extend(self._manners[fact * MANNERS : (fact + 1) * MANNERS])
        kept: list[Lists | Places] = [self.levels, self.sums, self.tells, *self.places]
        for one in kept:
            one.again(fact)
        return len(self._kinds) - 1

    @cached_property
    def spans(self) -> Ints:
        """The span of each fact, (facts,)."""
        return np.array(self._spans, dtype=np.int64)

    @cached_property
    def sided(self) -> Bools:
        """Whether each fact is about a side, (facts,)."""
        return np.array(self._sided, dtype=bool)

    @cached_property
    def hunches(self) -> Floats:
        """What everybody knows about each fact's words, (facts,)."""
        return np.array(self._hunches, dtype=float)

    @cached_property
    def manners(self) -> Ints:
        """Whether each rule rises or falls where each fact is true, (facts, manners)."""
        return np.array(self._manners, dtype=np.int64).reshape(-1, MANNERS)

    @cached_property
    def scenes(self) -> Ints:
        """The scene of each span as a number, (spans,)."""
        seen: dict[str, int] = {}
        return np.array([seen.setdefault(scene, len(seen)) for scene in self._scenes])

    @cached_property
    def signs(self) -> Signs:
        """What each span shows that may tell in which direction it goes."""
        span, slot, clue, _ = self.context.flat()
        alone = slot < SIGNS
        return Signs(span[alone], clue[alone], self.scenes)

    @cached_property
    def views(self) -> "list[_View]":
        """What the reader knows under each way of making folds; nothing can be learned afterwards."""
        self.memory.sort()
        return [_View(self, _folds(self._scenes, seed)) for seed in _SEEDS]

    def slots(self, pairs: Pairs) -> list[tuple[int, int]]:
        """Return the levels at which both facts of a cell's pairs are looked up together."""
        kinds = self.kinds(pairs)
        levels = [range(self._depth[kind]) for kind in kinds]
        return list(product(*levels) if kinds[0] != kinds[1] else zip(*levels, strict=True))

    def kinds(self, pairs: Pairs) -> tuple[str, str]:
        """Return the kinds of both facts, which are the same for all pairs of a cell."""
        return self._kinds[int(pairs.first[0])], self._kinds[int(pairs.second[0])]

    def posteriors(
        self,
        pairs: Pairs,
        usable: Callable[[Floats], Bools],
        told: Floats | None = None,
        few: Container[int] = (),
    ) -> Floats:
        """Return the probability of each combination, (pairs, 4), from all other scenes.

        `told` are the probabilities that somebody else gives, as one more expert. The cells in `few` are too small
        to fit a reader: the shipped one judges them, too. About the pairs that `usable` selects, it may be too modest.
        """
        found = np.full((len(pairs.cell), 4), 0.25)
        for cell in np.unique(pairs.cell):
            at = np.flatnonzero(pairs.cell == cell)
            logs = None if told is None else around(np.log(told[at]))
            one = Cell(self, pairs[at], logs)
            small = int(cell) in few
            found[at] = one.shipped(usable) if small else one.calibrated(one.believed(), usable)
        return found


class _View:
    """What a reader knows under one way of making folds."""

    def __init__(self, reader: Reader, fold: Ints) -> None:
        self._reader, self.by_span, self.fold = reader, fold, fold[reader.spans]
        ways: tuple[int | None, ...] = (None, *range(FOLDS))
        along = Along(reader.memory, reader.levels, reader.spans)
        found = (one.follow(fold, reader.spans, reader.signs, along) for one in reader.places)
        self.follows, self.expected = (
            {
                way: np.concatenate([one[way] for one in some], axis=1, dtype=np.float32)
                for way in ways
            }
            for some in zip(*found, strict=True)  # double would take 2 GB more at 100,000 clips
        )
        leans = Leans(reader.memory, fold)
        levels, sums, tells = (
            leans.of(lists, self.fold) for lists in (reader.levels, reader.sums, reader.tells)
        )
        # What the names in the span, and in the scene's other spans, tell about sides and about rules.
        context, near = (
            leans.of(lists, self.by_span, mean=True) for lists in (reader.context, reader.near)
        )
        hunches, sided = reader.hunches[:, None], reader.sided[:, None]
        self.alone, self.tells = {}, {}
        for way in ways:
            about = np.where(sided, np.concatenate(self._around(context[way]), axis=1), 0.0)
            rules = [self._followed(one) for one in self._around(near[way])]
            parts = [levels[way], sums[way], hunches, about, *rules]
            self.alone[way] = np.concatenate(parts, axis=1).astype(np.float32)
            self.tells[way] = tells[way].astype(np.float32)
        del self._reader  # it keeps its views: such cycles stay while collection is paused

    def _followed(self, told: Floats) -> Floats:
        """Return what is told about the rule that each fact follows, (facts, rules)."""
        parts = (told * self._reader.manners).reshape(-1, MANNERS // RULES, RULES)
        return np.asarray(parts.sum(axis=1), dtype=float)

    def _around(self, near: Floats) -> list[Floats]:
        """Return what is told of each fact's span, and of all spans of its scene, (facts, lists) each."""
        reader, scenes = self._reader, self._reader.scenes
        size = np.maximum(np.bincount(scenes), 1)
        scene = np.stack([np.bincount(scenes, one) / size for one in near.T], axis=1)
        return [near[reader.spans], scene[scenes[reader.spans]]]


class Cell:
    """The pairs of one cell: what each expert says of them, and how probable that makes each combination."""

    def __init__(self, reader: Reader, pairs: Pairs, told: Floats | None = None) -> None:
        """Take pairs of the same kinds, and what somebody else says of them, (pairs, 4), around 0."""
        self._reader, self._pairs, self._told = reader, pairs, told
        self._slots = reader.slots(pairs)
        self._clues, self._signs = reader.levels.clues()

    def believed(self) -> Floats:
        """Return the probabilities, (pairs, 4), as fitted."""
        size = len(self._pairs.truth)
        some = np.arange(0, size, max(1, size // _MOST_FITTED))
        truth, joint, weights = self._pairs.truth[some], self._joint(some), []
        for seed, view in enumerate(self._reader.views):
            fold = view.fold[self._pairs.first[some]]
            weights.append(
                [
                    fit(self._rows(some, joint[seed], seed, one)[fold != one], truth[fold != one])
                    for one in range(FOLDS)
                ]
            )
        found = []
        for start in range(0, size, _AT_ONCE):
            part = np.arange(start, min(size, start + _AT_ONCE))
            joint = self._joint(part)
            found.append(
                np.mean(
                    [
                        weighed(
                            self._rows(part, joint[seed], seed, None),
                            np.array(weights[seed]),
                            view.fold[self._pairs.first[part]],
                        )
                        for seed, view in enumerate(self._reader.views)
                    ],
                    axis=0,
                )
            )
        return np.concatenate(found)

    def calibrated(self, believed: Floats, usable: Callable[[Floats], Bools]) -> Floats:
        """Return the probabilities, calibrated where they are usable."""
        at = np.flatnonzero(usable(believed))
        if not len(at):
            return believed
        found, truth = believed.copy(), self._pairs.truth[at]
        own = around(np.log(believed[at]))[:, None]
        rows = np.concatenate([own, np.broadcast_to(_CONSTANTS, (len(at), 3, 4))], axis=1)
        folds = [view.fold[self._pairs.first[at]] for view in self._reader.views]
        fits = [weighed(rows, fitted(rows, truth, fold), fold) for fold in folds]
        found[at] = np.mean(fits, axis=0)
        # Pairs that are thinned by mere noise tell what others show, read backwards.
        if np.log(4 * found[at, truth]).sum() <= LEAST_TOLD:
            found[at] = 0.25
        return found

    def shipped(self, usable: Callable[[Floats], Bools]) -> Floats:
        """Return for each pair what several readers believe on average, or one of them that must not answer it.

        They are the shipped ones (of worlds of all kinds, and of predictable ones) and, if there are enough
        pairs to fit it, an own one. A pair is usable only if it is for all of them. Where it is, the most
        certain one would go too far: against somebody who knows the shipped readers, too.
        """
        rows, everywhere = self.rows(), np.zeros(len(self._pairs.truth), dtype=int)
        kinds = " ".join(self._reader.kinds(self._pairs))
        beliefs = [
            weighed(rows, np.array([weights]), everywhere) for weights in shipped.weights(kinds)
        ]
        if self._told is not None:
            beliefs = [belief * np.exp(self._told) for belief in beliefs]
        if len(rows) >= _LEAST_OWN:
            beliefs = [self._sobered(belief) for belief in (*beliefs, self.believed())]
        every = np.stack([one / one.sum(axis=1, keepdims=True) for one in beliefs])
        certain = every[every.min(axis=2).argmin(axis=0), np.arange(len(rows))]
        fit_for_use = np.all([usable(one) for one in every], axis=0)
        return np.asarray(np.where(fit_for_use[:, None], every.mean(axis=0), certain), dtype=float)

    def _sobered(self, believed: Floats) -> Floats:
        """Return probabilities that are as certain as they were right on other scenes.

        Otherwise a reader that finds nothing here is certain of chance: of 260 pairs of actions in a fair
        world, 2 % seemed uncertain.
        """
        logs, pairs = around(np.log(believed)), self._pairs
        folds = [view.fold[pairs.first] for view in self._reader.views]
        return np.asarray(
            np.mean([tempered(logs, pairs.truth, fold) for fold in folds], axis=0), dtype=float
        )

    def rows(self) -> Floats:
        """Return what each expert says of each combination, (pairs, experts, 4), around 0."""
        every = np.arange(len(self._pairs.truth))
        rows = self._rows(every, self._joint(every)[0], 0, None)
        return rows if self._told is None else rows[:, :-1]

    def _joint(self, some: Ints) -> Sequence[Counts]:
        """Return how often both facts had each combination, (pairs, levels, folds, 4), for each view."""
        first, second = self._pairs.first[some], self._pairs.second[some]
        views = self._reader.views
        size = (len(some), len(self._slots), FOLDS, 4)
        found = [np.empty(size, dtype=np.float32) for _ in views]
        for slot, (one, other) in enumerate(self._slots):
            clues = self._clues[first, one], self._clues[second, other]
            negated = 2 * (self._signs[first, one] < 0) + (self._signs[second, other] < 0)
            counts = self._reader.memory.joint(*clues, negated, [view.by_span for view in views])
            for to, count in zip(found, counts, strict=True):
                to[:, slot] = count
        return found

    def _rows(self, some: Ints, joint: Counts, seed: int, without: int | None) -> Floats:
        """Return what each expert says, without each pair's own fold and one more."""
        view, pairs = self._reader.views[seed], self._pairs[some]
        alone, tells = view.alone[without], view.tells[without]
        follows, expected = view.follows[without], view.expected[without]
        first, second, sided = pairs.first, pairs.second, self._reader.sided
        ones = [alone[first], np.where(sided[first][:, None], tells[second], 0.0)]
        others = [alone[second], np.where(sided[second][:, None], tells[first], 0.0)]
        kept = np.arange(FOLDS) != view.fold[first][:, None]
        if without is not None:
            kept[:, without] = False
        counts = np.einsum("nlfc,nf->nlc", joint, kept.astype(np.float32)).astype(float)
        together = follows[first] * follows[second]
        found = [
            np.concatenate(ones, axis=1)[:, :, None] * COMBINATIONS[:, 0],
            np.concatenate(others, axis=1)[:, :, None] * COMBINATIONS[:, 1],
            around(np.log(counts + SHRINK / 4)),
            np.broadcast_to(_CONSTANTS, (len(first), 3, 4)),
            together[:, :, None] * _BOTH,
            expected[first][:, :, None] * COMBINATIONS[:, 0],
            expected[second][:, :, None] * COMBINATIONS[:, 1],
        ]
        if self._told is not None:
            found.append(self._told[some][:, None])
        return np.concatenate(found, axis=1)


def _folds(scenes: Sequence[str], seed: int) -> Ints:
    """Return the fold of each span by its scene; few scenes are dealt out, lest most of them share a fold."""
    texts = {scene: f"{seed}:{scene}".encode() for scene in scenes}
    drawn = {scene: int(hashlib.sha256(text).hexdigest(), 16) for scene, text in texts.items()}
    if len(drawn) < 2 * FOLDS:
        drawn = {scene: at for at, scene in enumerate(sorted(drawn, key=drawn.__getitem__))}
    return np.array([drawn[scene] % FOLDS for scene in scenes])
