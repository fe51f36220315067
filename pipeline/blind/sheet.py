"""The items of a blind test laid out as arrays: one row per option, folds, and what a scoring is worth. Pure.

A *scoring* is one number per option row. The option with the highest number of its item is chosen;
ties share the hit evenly, so a scoring that can't tell the options apart is worth exactly chance.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FOLDS = 5
DRAWS = 1000
# A fold that holds more than this share of the items leaves too little to learn from.
_LARGEST = 0.6


@dataclass(frozen=True)
class ProbeItem:
    """One multiple-choice item as a test sees it; `columns` are the other columns published with it."""

    id: str
    question: str
    options: tuple[str, ...]
    answer: int
    group: str
    clip: str
    task: str = ""
    orientation: str = ""
    contrast: str = ""
    option_kind: str = ""
    split: str = ""
    columns: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """An accuracy with its 95 % interval (bootstrap over groups), chance, and what it rests on."""

    accuracy: float
    low: float
    high: float
    chance: float
    items: int
    groups: int
    error: float  # standard error; never below what chance alone would give as many clips

    @property
    def excess(self) -> float:
        """How far above chance."""
        return self.accuracy - self.chance

    def leaks(self, limit: float, sigmas: float) -> bool:
        """Whether it's above chance by more than the limit, and by more than noise explains."""
        return self.excess > limit and self.excess > sigmas * self.error

    def to_json(self) -> dict[str, float | int]:
        """Return the fields, rounded to four places."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"{self.accuracy:.1%} [{self.low:.1%}, {self.high:.1%}], chance {self.chance:.1%}, "
            f"{self.items} items"
        )


@dataclass(frozen=True)
class Way:
    """One way to answer: a scoring; where it was learnt from answers, also from its own half's alone.

    A choice between ways on one half is free of the other half's answers only if the scores that it
    rests on never saw them: else a column that happens to agree in both halves is chosen by both.
    """

    name: str
    scores: Floats
    own_half: Floats | None = None


@dataclass(frozen=True)
class OptionTable:
    """Items with their folds; row arrays have one entry per option, item arrays one per item."""

    items: tuple[ProbeItem, ...]
    seed: int
    fold: Ints  # (items,): items that must not be learnt from one another share one
    half: Ints  # (items,): 0 or 1, for choosing on one half and measuring on the other
    grouping: str  # what shares a fold, in words

    @cached_property
    def size(self) -> Ints:
        """Options of each item, (items,)."""
        return np.array([len(item.options) for item in self.items])

    @cached_property
    def first(self) -> Ints:
        """First row of each item, (items,)."""
        return np.concatenate([[0], np.cumsum(self.size)[:-1]])

    @cached_property
    def item_of(self) -> Ints:
        """The item of each row, (rows,)."""
        return np.repeat(np.arange(len(self.items)), self.size)

    @cached_property
    def position(self) -> Ints:
        """Where the row's option stands in its item, from 0, (rows,)."""
        return np.arange(len(self.item_of)) - self.first[self.item_of]

    @cached_property
    def truth(self) -> Bools:
        """Whether the row is the answer, (rows,)."""
        answers = np.array([item.answer for item in self.items])
        return np.asarray(self.position == answers[self.item_of], dtype=bool)

    @cached_property
    def texts(self) -> list[str]:
        """The option of each row."""
        return [text for item in self.items for text in item.options]

    @cached_property
    def group(self) -> Ints:
        """The group of each item as a number, (items,)."""
        return codes(item.group for item in self.items)

    @cached_property
    def clip(self) -> Ints:
        """The clip of each item as a number, (items,)."""
        return codes(item.clip for item in self.items)

    @cached_property
    def chance(self) -> Floats:
        """The chance of each item, (items,)."""
        return np.asarray(1.0 / self.size, dtype=float)

    @cached_property
    def clips(self) -> dict[str, list[int]]:
        """The items of each clip, in row order."""
        found: dict[str, list[int]] = {}
        for index, item in enumerate(self.items):
            found.setdefault(item.clip, []).append(index)
        return found

    def rows(self, index: int) -> range:
        """Return the rows of one item."""
        first = int(self.first[index])
        return range(first, first + len(self.items[index].options))

    def siblings(self, index: int) -> list[int]:
        """Return the other items of an item's clip."""
        return [other for other in self.clips[self.items[index].clip] if other != index]

    def hits(self, scores: Floats) -> Floats:
        """Return what each item's choice is worth: 1, 0, or a share where options tie, (items,)."""
        best = np.maximum.reduceat(scores, self.first)
        tied = scores >= best[self.item_of] - 1e-9
        right = np.add.reduceat(tied & self.truth, self.first, dtype=float)
        return np.asarray(right / np.add.reduceat(tied, self.first, dtype=float), dtype=float)

    def figure(self, hits: Floats, within: Bools | None = None) -> Figure:
        """Return the accuracy of these hits with its interval, within some of the items."""
        mask = np.ones(len(self.items), bool) if within is None else within
        _, cluster = np.unique(self.group[mask], return_inverse=True)
        count = np.bincount(cluster).astype(float)
        total = np.bincount(cluster, hits[mask])
        clusters, chance = len(count), float(self.chance[mask].mean())
        accuracy = float(hits[mask].mean())
        # Items of one clip are twins, as a rule: chance can't be steadier than that many coins.
        clips = len(np.unique(self.clip[mask]))
        floor = float(np.sqrt(chance * (1 - chance) / clips))
        if clusters < 2:
            return Figure(accuracy, 0.0, 1.0, chance, int(mask.sum()), clusters, 0.5)
        draws = np.random.default_rng(self.seed).multinomial(
            clusters, np.full(clusters, 1 / clusters), size=DRAWS
        )
        means = (draws @ total) / (draws @ count)
        low, high = np.quantile(means, [0.025, 0.975])
        error = max(float(means.std()) * float(np.sqrt(clusters / (clusters - 1))), floor)
        return Figure(accuracy, float(low), float(high), chance, int(mask.sum()), clusters, error)

    def with_answers(self, answers: Sequence[int]) -> "OptionTable":
        """Return the same sheet with other labels: the control."""
        items = tuple(
            replace(item, answer=answer) for item, answer in zip(self.items, answers, strict=True)
        )
        return replace(self, items=items)


def lay_out(items: Sequence[ProbeItem], seed: int) -> OptionTable:
    """Lay items out, with folds that keep groups, and items that share options, together."""
    component, grouping = _components(items)
    rng = np.random.default_rng(seed)
    return OptionTable(
        tuple(items),
        seed,
        _pack(component, FOLDS, rng),
        _pack(component, 2, rng),
        grouping,
    )


def codes(values: Iterable[Hashable]) -> Ints:
    """Number values by first appearance."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)


def take(items: Sequence[ProbeItem], most: int, seed: int) -> list[ProbeItem]:
    """Return at most so many items, whole groups at a time, in their own order."""
    if len(items) <= most:
        return list(items)
    group = codes(item.group for item in items)
    rank = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group]
    chosen = np.sort(np.argsort(rank, kind="stable")[:most])
    return [items[index] for index in chosen]


def _components(items: Sequence[ProbeItem]) -> tuple[Ints, str]:
    """Join items that must share a fold, by the strictest rule that leaves something to learn from.

    An option that is never an answer elsewhere gives itself away to whoever knows the other answers
    (measured: 43 to 45 % where distractors were other videos' answers), hence the first two rules.
    """
    rules: tuple[tuple[str, Callable[[ProbeItem], Iterable[Hashable]]], ...] = (
        (
            "items of one group, and items that share an option",
            lambda item: (("g", item.group), ("c", item.clip), *map(_plain, item.options)),
        ),
        (
            "items of one group, and items with the same options",
            lambda item: (
                ("g", item.group),
                ("c", item.clip),
                tuple(sorted(map(_plain, item.options))),
            ),
        ),
        ("items of one group", lambda item: (("g", item.group), ("c", item.clip))),
        ("items of one clip (there are too few groups)", lambda item: (item.clip,)),
    )
    for name, marks in rules:
        component = _joined(items, marks)
        if np.bincount(component).max() <= _LARGEST * len(items):
            return component, name
    return np.arange(len(items)), "nothing (there are too few clips)"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _joined(items: Sequence[ProbeItem], marks: Callable[[ProbeItem], Iterable[Hashable]]) -> Ints:
    parent = list(range(len(items)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    seen: dict[Hashable, int] = {}
    for index, item in enumerate(items):
        for mark in marks(item):
            parent[root(index)] = root(seen.setdefault(mark, index))
    return codes(root(index) for index in range(len(items)))


def _pack(component: Ints, bins: int, rng: np.random.Generator) -> Ints:
    """Spread components over bins of about equal size, the largest first."""
    sizes = np.bincount(component)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load, bin_of = np.zeros(bins), np.zeros(len(sizes), np.int64)
    for one in order:
        bin_of[one] = int(load.argmin())
        load[bin_of[one]] += sizes[one]
    return bin_of[component]
