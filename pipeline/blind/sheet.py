"""A blind test's items as arrays: one row per option, folds, and the accuracy of a scoring. Pure.

A *scoring* is one number per option row. The item's option with the highest number is chosen; tied
options share the hit evenly, so a scoring that can't distinguish the options is exactly at chance.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.float32]
"""Whole numbers, for sums and products: half the memory of doubles, and exact up to 16 million."""
Bools = npt.NDArray[np.bool_]

FOLDS = 5
DRAWS = 1000
MOST_STRATA = 40
"""Figures by cell, task or kind of options are given for this many of each; others' benchmarks may have thousands."""
# A fold with more than this share of the items leaves too little to train on.
_LARGEST = 0.6
# Resampling fewer groups than this doesn't show how much they differ: one group has no spread at all.
_GROUPS = 10


@dataclass(frozen=True)
class ProbeItem:
    """One multiple-choice item; `columns` are the other columns published with it.

    `twin` names the two facts that a forward and a reverse item share, where it is known. `written` holds the
    options as they are published, with spaces around them, if that isn't how they are in `options`.
    """

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
    twin: str = ""
    columns: Mapping[str, str | int | float] = field(default_factory=dict)
    written: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """The category and the kinds of facts; the task, where there are none."""
        return f"{self.columns.get('category') or self.task} {self.contrast}".strip() or "all"


@dataclass(frozen=True)
class Figure:
    """An accuracy with its 95 % interval, chance, and sample sizes.

    Interval and standard error are a bootstrap over groups, or over clips if there are fewer than ten groups.
    Twins, a forward and a reverse item on the same facts, are one observation.
    """

    accuracy: float
    low: float
    high: float
    chance: float
    items: int
    groups: int
    clips: int
    twins: int
    error: float  # standard error; at least that of as many independent answers as there are twins

    @property
    def excess(self) -> float:
        """The difference to chance."""
        return self.accuracy - self.chance

    def leaks(self, limit: float, sigmas: float) -> bool:
        """Return whether the accuracy is off chance by more than the limit and more than noise.

        What is below chance leaks, too: whoever knows it excludes that option.
        """
        return abs(self.excess) > max(limit, sigmas * self.error)

    def less_certain(self, error: float) -> "Figure":
        """Return the same accuracy with at least this standard error."""
        return replace(self, error=max(self.error, error))

    def to_json(self) -> dict[str, float | int]:
        """Return the fields, rounded to four places."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"{self.accuracy:.1%} [{self.low:.1%}, {self.high:.1%}], chance {self.chance:.1%}, "
            f"{self.items} items"
        )


@dataclass(frozen=True)
class Strategy:
    """One strategy for answering: a scoring, and for a trained one also that trained within each half.

    When a strategy is chosen on one half, its scores there must not depend on the other half's answers:
    otherwise a column that happens to agree in both halves is chosen by both. `learn` returns both scorings
    for a table with other answers, where that is cheap.
    """

    name: str
    scores: Floats
    half_scores: Floats | None = None
    learn: "Callable[[OptionTable], tuple[Floats, Floats]] | None" = None


@dataclass(frozen=True)
class OptionTable:
    """Items with their folds; row arrays have one entry per option, item arrays one per item."""

    items: tuple[ProbeItem, ...]
    seed: int
    fold: Ints  # (items,): items that share a fold never train on one another
    half: Ints  # (items,): 0 or 1; strategies are chosen on one half and measured on the other
    grouping: str  # in words, what shares a fold

    @cached_property
    def size(self) -> Ints:
        """The number of options of each item, (items,)."""
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
        """The position of the row's option in its item, from 0, (rows,)."""
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
    def twin(self) -> Ints:
        """Which independent observation each item belongs to, as a number, (items,).

        Where no item names its twin, the forward and reverse items of a clip and a cell are paired by their rank.
        """
        ranks: Counter[tuple[str, ...]] = Counter()
        found: list[Hashable] = []
        for item in self.items:
            asked = (item.clip, item.cell)
            ranks[*asked, item.orientation] += 1
            found.append((*asked, item.twin or ranks[*asked, item.orientation]))
        return codes(found)

    @cached_property
    def cells(self) -> dict[str, Bools]:
        """Which items belong to each cell, in sorted order; of very many cells, the smallest are one."""
        often = Counter(item.cell for item in self.items)
        kept = {name for name, _ in often.most_common(MOST_STRATA)}
        names = np.array([item.cell if item.cell in kept else "others" for item in self.items])
        return {name: names == name for name in sorted(set(names.tolist()))}

    @cached_property
    def chance(self) -> Floats:
        """The accuracy of guessing each item, (items,)."""
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
        """Return the hit of each item's choice: 1, 0, or a share if options tie, (items,)."""
        best = np.maximum.reduceat(scores, self.first)
        tied = scores >= best[self.item_of] - 1e-9
        right = np.add.reduceat(tied & self.truth, self.first, dtype=float)
        return np.asarray(right / np.add.reduceat(tied, self.first, dtype=float), dtype=float)

    def figure(self, hits: Floats, within: Bools | None = None) -> Figure:
        """Return the accuracy of these hits with its interval, over all items or those `within`."""
        mask = np.ones(len(self.items), bool) if within is None else within
        groups, clips = (len(np.unique(of[mask])) for of in (self.group, self.clip))
        _, cluster = np.unique(
            (self.group if groups >= _GROUPS else self.clip)[mask], return_inverse=True
        )
        count = np.bincount(cluster).astype(float)
        total = np.bincount(cluster, hits[mask])
        clusters, chance = len(count), float(self.chance[mask].mean())
        accuracy = float(hits[mask].mean())
        twins = len(np.unique(self.twin[mask]))
        sizes = (chance, int(mask.sum()), groups, clips, twins)
        if clusters < 2:  # nothing to resample: the largest error that an accuracy can have
            return Figure(accuracy, 0.0, 1.0, *sizes, 0.5)
        draws = _draws(clusters, self.seed)
        means = (draws @ total) / (draws @ count)
        low, high = np.quantile(means, [0.025, 0.975])
        guessed, varied = chance * (1 - chance), accuracy * (1 - accuracy)
        error = float(means.var()) * clusters / (clusters - 1)
        # Few hits vary little: whoever guesses below chance would seem certain to be below it.
        error *= max(1.0, guessed / varied) if varied else 1.0
        error = max(error, max(guessed, varied) / twins) ** 0.5
        return Figure(accuracy, float(low), float(high), *sizes, error)

    def with_answers(self, answers: Sequence[int]) -> "OptionTable":
        """Return the same table with other answers, for the control."""
        items = tuple(
            replace(item, answer=answer) for item, answer in zip(self.items, answers, strict=True)
        )
        found = replace(self, items=items)
        # All that was computed from the items without their answers stays: tables are redrawn many times.
        known = {name: value for name, value in vars(self).items() if name != "truth"}
        vars(found).update(
            {name: value for name, value in known.items() if name not in vars(found)}
        )
        return found


@lru_cache(32)
def _draws(clusters: int, seed: int) -> npt.NDArray[np.int16]:
    """Return how often each cluster is in each resample, (DRAWS, clusters); a third of the time was drawing them."""
    drawn = np.random.default_rng(seed).multinomial(
        clusters, np.full(clusters, 1 / clusters), size=DRAWS
    )
    return drawn.astype(np.int16)


def lay_out(items: Sequence[ProbeItem], seed: int) -> OptionTable:
    """Return the items as arrays, with groups and items that share options in the same fold."""
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
    """Return each value's number, by first appearance."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)


def take(
    items: Sequence[ProbeItem], most: int, seed: int, group: str | None = None
) -> list[ProbeItem]:
    """Return at most `most` items in their order, drawn by whole groups; those of `group` in any case.

    A group is cut only if it alone has too many.
    """
    if len(items) <= most:
        return list(items)
    number = codes(item.group for item in items)
    order = np.random.default_rng(seed).permutation(int(number.max()) + 1)
    if group is not None:
        wanted = number[[item.group for item in items].index(group)]
        order = np.concatenate([[wanted], order[order != wanted]])
    sizes, chosen, room = np.bincount(number), np.zeros(len(order), bool), most
    for one in order.tolist():
        if sizes[one] <= room:
            chosen[one], room = True, room - int(sizes[one])
    chosen[order[0]] |= group is not None or not chosen.any()
    return [items[index] for index in np.flatnonzero(chosen[number])[:most]]


def _components(items: Sequence[ProbeItem]) -> tuple[Ints, str]:
    """Return which items must share a fold, by the strictest rule that leaves enough to train on.

    An option that is an answer elsewhere can be excluded by anyone who knows the other answers (measured:
    43 to 45 % where distractors were other videos' answers), hence the first two rules.
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
        ("items of one clip (too few groups)", lambda item: (item.clip,)),
    )
    for name, marks in rules:
        component = _joined(items, marks)
        if np.bincount(component).max() <= _LARGEST * len(items):
            return component, name
    return np.arange(len(items)), "nothing (too few clips)"


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
    """Return the bin of each item: components spread over bins of about equal size, largest first."""
    sizes = np.bincount(component)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load, bin_of = np.zeros(bins), np.zeros(len(sizes), np.int64)
    for one in order:
        bin_of[one] = int(load.argmin())
        load[bin_of[one]] += sizes[one]
    return bin_of[component]
