"""A release's items and a model's results as arrays, repeats averaged. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.evaluate.cells import Units, units_of
from pipeline.evaluate.intervals import Floats, Ints
from pipeline.evaluate.scoring import Question, Scored

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ItemTable:
    """Items with their facts and their twins. Facts are numbered item by item."""

    questions: tuple[Question, ...]
    units: Units
    place: dict[str, int]  # of an item, by its id
    fact_item: Ints  # (facts,): the item of each
    fact_units: Units
    twins: Ints  # (pairs, 2): the items of each pair, both of which are among the items
    pair_units: Units

    @classmethod
    def of(cls, questions: Sequence[Question], least: int = 0) -> "ItemTable":
        """Lay out questions; `least` is the number of items from which a figure is shown."""
        units = units_of(questions, least)
        fact_item = np.repeat(
            np.arange(len(questions)), [len(question.facts) for question in questions]
        )
        kinds = [fact.name.partition(":")[0] for one in questions for fact in one.facts]
        facts = units.taken(fact_item, "fact", kinds)
        members: dict[str, list[int]] = {}
        for index, question in enumerate(questions):
            if question.twin:
                members.setdefault(question.twin, []).append(index)
        pairs = [pair for pair in members.values() if len(pair) == 2]
        twins = np.array(pairs, np.int64).reshape(-1, 2)
        return cls(
            tuple(questions),
            units,
            {question.id: index for index, question in enumerate(questions)},
            fact_item,
            # An item has two facts: as many items are needed for a figure of facts.
            Units(facts.groups, facts.dimensions, 2 * least),
            twins,
            units.both(twins[:, 0], twins[:, 1]),
        )

    @cached_property
    def answer(self) -> Ints:
        """The place of each item's answer, (items,)."""
        return np.array([one.answer_index for one in self.questions], np.int64)

    @cached_property
    def first_fact(self) -> Ints:
        """The number of each item's first fact, (items,)."""
        return np.searchsorted(self.fact_item, np.arange(len(self.questions)))

    @cached_property
    def has_facts(self) -> Bools:
        """Which items have facts, (items,)."""
        return np.array([bool(one.facts) for one in self.questions], bool)

    @cached_property
    def asks_sides(self) -> Bools:
        """Which items ask about the side of a turn, (items,)."""
        return np.array([_asks(one, sides=True) for one in self.questions], bool)

    @cached_property
    def asks_orders(self) -> Bools:
        """Which items ask about an order, (items,)."""
        return np.array([_asks(one, sides=False) for one in self.questions], bool)


def _asks(question: Question, *, sides: bool) -> bool:
    return any(fact.name.startswith("turn:") is sides for fact in question.facts)


@dataclass(frozen=True)
class Answers:
    """A model's results in one arm. Item arrays are nan where every request failed, or none was sent."""

    table: ItemTable
    scored: tuple[Scored, ...]
    item: Ints  # (predictions,)
    counts: Bools  # (predictions,): not failed
    read: Bools  # (predictions,): a letter was read

    @classmethod
    def of(cls, table: ItemTable, scored: Sequence[Scored]) -> "Answers":
        """Lay out the results of one arm."""
        return cls(
            table,
            tuple(scored),
            np.array([table.place[one.question.id] for one in scored], np.int64),
            np.array([one.outcome != "failed" for one in scored], bool),
            np.array([one.outcome in ("right", "wrong") for one in scored], bool),
        )

    @cached_property
    def asked(self) -> Ints:
        """How many requests each item had, (items,)."""
        return np.bincount(self.item, minlength=len(self.table.questions))

    @cached_property
    def kept(self) -> Ints:
        """How many of them didn't fail, (items,)."""
        return np.bincount(self.item[self.counts], minlength=len(self.table.questions))

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return int((~self.counts).sum())

    @cached_property
    def true(self) -> Ints:
        """The place of the option that is right in this arm, (items,)."""
        found = self.table.answer.copy()
        found[self.item] = [one.true for one in self.scored]
        return found

    @cached_property
    def right(self) -> Floats:
        """The share of each item's repeats that are right, (items,)."""
        return self._mean(self._is_right, self.counts)

    @cached_property
    def readable(self) -> Floats:
        """The share of right ones among readable replies, (items,)."""
        return self._mean(self._is_right, self.read)

    @cached_property
    def letter(self) -> Ints:
        """The place of the option chosen in the first repeat, (items,); -1 without a readable reply."""
        found = np.full(len(self.table.questions), -1)
        kept = self.read & (self._repeat == 0)
        found[self.item[kept]] = self._chosen[kept]
        return found

    @cached_property
    def facts_right(self) -> Floats:
        """The share of repeats that have each fact right, (facts,)."""
        return self._fact_mean(self.counts)

    @cached_property
    def facts_readable(self) -> Floats:
        """The same among readable replies, (facts,)."""
        return self._fact_mean(self.read)

    def share(self, what: Callable[[Scored], bool]) -> Floats:
        """Return the share of each item's repeats of which `what` is true, (items,)."""
        return self._mean(np.array([what(one) for one in self.scored], bool), self.counts)

    def share_of(self, options: Ints) -> Floats:
        """Return the share of each item's repeats that chose its option of `options`, (items,)."""
        return self._mean(self._chosen == options[self.item], self.counts)

    def chosen_shares(self) -> Floats:
        """Return how often each option was chosen among readable replies, (items, options)."""
        most = max((len(one.options) for one in self.table.questions), default=0)
        columns = [self._mean(self._chosen == option, self.read) for option in range(most)]
        return np.stack(columns, axis=1) if columns else np.zeros((0, 0))

    def pairs(self) -> Floats:
        """Return the share of repeats in which both twins are right, (pairs,)."""
        right = np.full((len(self.table.questions), len({*self._repeat.tolist()})), np.nan)
        right[self.item[self.counts], self._repeat[self.counts]] = self._is_right[self.counts]
        both = right[self.table.twins].prod(axis=1)  # (pairs, repeats); nan if one is missing
        known = ~np.isnan(both)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(known, both, 0).sum(axis=1) / known.sum(axis=1))

    def runs(self) -> list[float]:
        """Return the accuracy of each repeat over the items that didn't fail in it."""
        repeat = self._repeat[self.counts]
        if not len(repeat):
            return []
        right = np.bincount(repeat, self._is_right[self.counts])
        count = np.bincount(repeat)
        return [float(one) for one in right[count > 0] / count[count > 0]]

    @cached_property
    def _repeat(self) -> Ints:
        """The place of each prediction's repeat among those that there are, (predictions,)."""
        numbers = np.array([one.repeat for one in self.scored], np.int64)
        return np.unique(numbers, return_inverse=True)[1].reshape(-1)

    @cached_property
    def _is_right(self) -> Bools:
        return np.array([one.outcome == "right" for one in self.scored], bool)

    @cached_property
    def _chosen(self) -> Ints:
        found = (one.chosen for one in self.scored)
        return np.array([-1 if place is None else place for place in found], np.int64)

    def _mean(self, values: Bools, used: Bools) -> Floats:
        number = len(self.table.questions)
        return _means(self.item[used], values[used], number)

    def _fact_mean(self, used: Bools) -> Floats:
        known = [index for index in np.flatnonzero(used).tolist() if self.scored[index].facts_right]
        of_item = [self.scored[index].facts_right or () for index in known]
        sizes = [len(rights) for rights in of_item]
        begin = self.table.first_fact[self.item[known]] if known else np.zeros(0, np.int64)
        inside = np.arange(sum(sizes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        values = np.array([right for rights in of_item for right in rights], bool)
        place = (np.repeat(begin, sizes) + inside).astype(np.int64)
        return _means(place, values, len(self.table.fact_item))


def _means(place: Ints, values: Bools, number: int) -> Floats:
    """Return the mean of the values at each place, (number,); nan where there are none."""
    count = np.bincount(place, minlength=number)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(place, values, minlength=number) / count)
