"""What a reader remembers of other scenes: how often each clue was true there, alone and with another. Pure.

A clue is a binary statement about a span at some level of generality. Counts are kept by fold, so that a
lookup can leave folds out. Clues are numbers in flat arrays: 60,000 spans give 15 million observations.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipeline.blind.sheet import FOLDS, Bools, Counts, Floats, Ints

Clue = tuple[str, ...]
Level = tuple[Clue, bool] | None
"""A clue with whether a fact is its negation; None where a fact has no clue at that level."""

SHRINK = 3.0  # what a lookup of few spans is shrunk by, in spans
_MOST_SPANS = 2_000  # of one clue: more make a lookup no sharper
_MOST_ROWS = 4_000_000  # that one call of `joint` looks through
_AT_ONCE = 1_000_000
# By whether both clues are swapped, and which are negated: where each combination of values is counted.
_ORDERS = [
    np.array(places)[np.arange(4) ^ negated]
    for places in ((0, 1, 2, 3), (0, 2, 1, 3))
    for negated in range(4)
]


class _Numbers(dict[int, int]):
    """Numbers from 0, in order of appearance: what isn't known yet gets the next one."""

    def __missing__(self, key: int) -> int:
        self[key] = number = len(self)
        return number


class Memory:
    """The clues of all spans."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        # By hash: the clues themselves would take 2 GB.
        self.numbers = _Numbers()
        self._learned, self._lengths = array("q"), array("i")

    def number(self, clue: Clue) -> int:
        """Return a clue's number, from 0 in order of appearance."""
        return self.numbers[hash(clue)]

    def __len__(self) -> int:
        return len(self.numbers)

    def learn(self, clues: Iterable[tuple[Clue, bool]]) -> None:
        """Remember the clues of the next span."""
        numbers = self.numbers
        known = [2 * numbers[hash(clue)] + value for clue, value in clues]
        self._learned.extend(known)
        self._lengths.append(len(known))

    def sort(self) -> None:
        """Sort what was learned by clue and span, so that clues can be looked up together."""
        learned: Ints = np.array(self._learned, dtype=np.int64)
        self._index, self._true = learned // 2, learned % 2 > 0
        self._spans = len(self._lengths)
        self._span = np.repeat(np.arange(self._spans), np.array(self._lengths, dtype=np.int64))
        # A span that shows a clue several times counts as what it mostly shows.
        where, first = np.unique(self._index * self._spans + self._span, return_inverse=True)
        net = np.bincount(first, np.where(self._true, 1, -1), minlength=len(where))
        self._where, self._shown = where[net != 0], net[net != 0] > 0
        starts = np.arange(len(self) + 1) * self._spans
        self._start = np.searchsorted(self._where, starts)

    def counts(self, fold: Ints) -> tuple[Floats, Floats]:
        """Return how often each clue was true and false in each fold of spans, (clues, folds) each."""
        at = self._index * FOLDS + fold[self._span]
        size = len(self) * FOLDS
        true = np.bincount(at[self._true], minlength=size).reshape(-1, FOLDS)
        every = np.bincount(at, minlength=size).reshape(-1, FOLDS)
        return true.astype(float), (every - true).astype(float)

    def shown(self, clues: Ints) -> tuple[Ints, Ints, Bools]:
        """Return every sight of these clues, in the order of clues: which clue, in which span, with which value."""
        sizes = np.diff(self._start)[clues]
        which = np.repeat(np.arange(len(clues)), sizes)
        at = np.arange(len(which)) + np.repeat(self._start[clues] - np.cumsum(sizes) + sizes, sizes)
        return which, self._where[at] % self._spans, self._shown[at]

    def joint(
        self, ones: Ints, others: Ints, negated: Ints, folds: Sequence[Ints]
    ) -> Sequence[Counts]:
        """Return how many spans show both clues with each combination of values, by fold, (n, folds, 4).

        Values count the other way round where `negated` is 1 (of the other clue), 2 (of the one) or 3 (of both).
        Where a clue is -1, which stands for none, all are 0. There is one result for each way of making folds.
        """
        found = [np.zeros((len(ones), FOLDS, 4), dtype=np.float32) for _ in folds]
        known = np.flatnonzero((ones >= 0) & (others >= 0))
        if not len(known):
            return found
        sizes = np.diff(self._start)
        swapped = sizes[ones[known]] > sizes[others[known]]
        rare = np.where(swapped, others[known], ones[known])
        common = np.where(swapped, ones[known], others[known])
        pairs, which = np.unique(rare * len(sizes) + common, return_inverse=True)
        kind, span, combination = self._together(*np.divmod(pairs, len(sizes)))
        orders = 4 * swapped + negated[known]
        rows = [(order, np.flatnonzero(orders == order)) for order in np.unique(orders)]
        for to, fold in zip(found, folds, strict=True):
            at = (kind * FOLDS + fold[span]) * 4 + combination
            count = np.bincount(at, minlength=len(pairs) * FOLDS * 4).reshape(-1, FOLDS, 4)
            for order, some in rows:
                to[known[some]] = count[which[some]][:, :, _ORDERS[order]]
        return found

    def _together(self, rare: Ints, common: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the pair, the span and the combination of values wherever both clues of a pair are."""
        start, size = self._start[rare], np.diff(self._start)[rare]
        most = int(min(_MOST_SPANS, max(16, _MOST_ROWS // len(rare))))
        taken = np.minimum(size, most)
        run = np.cumsum(taken) // _AT_ONCE
        found: list[tuple[Ints, Ints, Ints]] = []
        for part in (np.flatnonzero(run == one) for one in np.unique(run)):
            pair = np.repeat(part, taken[part])
            before = np.repeat(np.cumsum(taken[part]) - taken[part], taken[part])
            step = np.arange(len(pair)) - before
            at = start[pair] + step * size[pair] // np.maximum(taken[pair], 1)
            span = self._where[at] % self._spans
            asked = common[pair] * self._spans + span
            to = np.minimum(np.searchsorted(self._where, asked), len(self._where) - 1)
            both: Bools = self._where[to] == asked
            values = 2 * ~self._shown[at[both]] + ~self._shown[to[both]]
            found.append((pair[both], span[both], values))
        pairs, spans, combinations = (np.concatenate(one) for one in zip(*found, strict=True))
        return pairs, spans, combinations


class Lists:
    """Lists of lists of clues, flat: one row of lists per fact or span."""

    def __init__(self, memory: Memory, slots: int) -> None:
        """Keep up to this many lists a row, of the clues of this memory."""
        self.slots = slots
        self._numbers = memory.numbers
        # One number an entry, with the slot and the sign in it: 100,000 clips have 40 million entries.
        self._entries, self._starts = array("q"), array("q", [0])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._starts) - 1

    def add(self, lists: Sequence[Sequence[Level]]) -> None:
        """Add the lists of the next fact or span."""
        numbers, step = self._numbers, 2 * self.slots
        known = [
            step * numbers[hash(level[0])] + 2 * slot + level[1]
            for slot, levels in enumerate(lists)
            for level in levels
            if level
        ]
        self._entries.extend(known)
        self._starts.append(len(self._entries))

    def again(self, row: int) -> None:
        """Add the lists of an earlier row as the next one's."""
        self._entries.extend(self._entries[self._starts[row] : self._starts[row + 1]])
        self._starts.append(len(self._entries))

    def flat(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Return row, slot, clue and sign of every entry, in the order of rows."""
        entries: Ints = np.array(self._entries, dtype=np.int64)
        clue, rest = np.divmod(entries, 2 * self.slots)
        at = np.repeat(np.arange(self.rows), np.diff(self._starts))
        return at, rest // 2, clue, 1 - 2 * (rest % 2)

    def of_rows(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the entries of some rows: the index in `rows`, clue and sign of each."""
        at, _, clue, sign = self.flat()
        start = np.searchsorted(at, rows)
        count = np.searchsorted(at, rows, side="right") - start
        which = np.repeat(np.arange(len(rows)), count)
        entry = np.arange(len(which)) - np.repeat(np.cumsum(count) - count - start, count)
        return which, clue[entry], sign[entry]

    def clues(self) -> tuple[Ints, Ints]:
        """Return the clue in each slot, (rows, slots), -1 for none, and its sign."""
        at, slot, clue, sign = self.flat()
        found = np.full((self.rows, self.slots), -1)
        signs = np.ones((self.rows, self.slots), dtype=np.int64)
        found[at, slot], signs[at, slot] = clue, sign
        return found, signs


class Leans:
    """Half the log odds of clues, with one way of making folds."""

    def __init__(self, memory: Memory, fold: Ints) -> None:
        """Count the clues in each fold of spans."""
        true, false = memory.counts(fold)
        ways: tuple[int | None, ...] = (None, *range(FOLDS))
        # Of each clue in each own fold, (clues, folds): lists look up each of them many times.
        self._leans = {without: _leans(true, false, without) for without in ways}

    def of(self, lists: Lists, fold: Ints, *, mean: bool = False) -> Mapping[int | None, Floats]:
        """Return the sum (or the mean) of the leans in each list, (rows, slots), by the fold left out, or None.

        Each row leaves out its own fold as well.
        """
        at, slot, clue, sign = lists.flat()
        place = clue * FOLDS + fold[at]
        to, size = at * lists.slots + slot, lists.rows * lists.slots
        count = np.maximum(np.bincount(to, minlength=size), 1) if mean else 1
        totals = {
            without: np.bincount(to, leans.ravel()[place] * sign, minlength=size) / count
            for without, leans in self._leans.items()
        }
        return {way: total.reshape(lists.rows, lists.slots) for way, total in totals.items()}


def _leans(true: Floats, false: Floats, without: int | None) -> Floats:
    """Return half the log odds of clues without each fold, and without one more, (clues, folds)."""
    sides = []
    for side in (true, false):
        kept = side.sum(axis=1, keepdims=True) - side
        if without is not None:
            kept -= np.where(np.arange(FOLDS) != without, side[:, [without]], 0)
        sides.append(kept + SHRINK / 2)
    return np.asarray(0.5 * np.log(sides[0] / sides[1]), dtype=float)


class Along:
    """What was true of facts in spans that go the same way as their own."""

    def __init__(self, memory: Memory, levels: Lists, span: Ints) -> None:
        """Take the clues of facts, of which the first is the fact itself, and the span of each fact."""
        clue, sign = (one[:, 0] for one in levels.clues())
        self._span, self._sign = span, np.where(clue >= 0, sign, 0)[:, None]
        known, self._own = np.unique(np.maximum(clue, 0), return_inverse=True)
        self._size = len(known)
        self._which, self._where, shown = memory.shown(known)
        self._value = np.where(shown, 1.0, -1.0)

    def told(self, way: Floats, used: Bools) -> Floats:
        """Return it as half log odds, (facts, ways), by the `used` spans.

        `way` is how far each span goes each way, (spans, ways) from -1 to 1.
        """
        kept = used[self._where]
        which, where, value = self._which[kept], self._where[kept], self._value[kept]
        leans = np.zeros((self._size, way.shape[1]))
        for number, one in enumerate(way.T):
            weight = value * one[where]
            true, false = (
                np.bincount(which, np.maximum(side, 0), minlength=self._size) + SHRINK / 2
                for side in (weight, -weight)
            )
            leans[:, number] = 0.5 * np.log(true / false)
        return np.asarray(leans[self._own] * self._sign * way[self._span], dtype=np.float32)
