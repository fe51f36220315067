"""What a reader remembers of other scenes: how often each clue was true there, alone and with another. Pure.

A clue is a binary statement about a span at some level of generality. All lookups leave out the scene that
asks. Clues are kept as numbers in flat arrays: 100,000 clips give 30 million observations.
"""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.blind.sheet import Bools, Floats, Ints

Clue = tuple[str, ...]
Level = tuple[Clue, bool] | None
"""A clue with whether a fact is its negation; None where a fact has no clue at that level."""

SHRINK = 3.0  # what a lookup of few spans is shrunk by, in spans
_MOST_SPANS = 2_000  # of one clue: more make a lookup no sharper
_MOST_ROWS = 4_000_000  # that one call of `joint` looks through
_AT_ONCE = 1_000_000


class Memory:
    """The clues of all spans, by span and scene."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        # By hash: the clues of 60,000 spans would take 2 GB.
        self._number: dict[int, int] = {}
        self._found, self._values, self._lengths = array("l"), array("b"), array("l")
        self._scene_of: dict[str, int] = {}
        self._scenes = array("l")

    def number(self, clue: Clue) -> int:
        """Return a clue's number, from 0 in order of appearance."""
        return self._number.setdefault(hash(clue), len(self._number))

    def __len__(self) -> int:
        return len(self._number)

    def learn(self, scene: str, clues: Iterable[tuple[Clue, bool]]) -> None:
        """Remember the clues of the next span."""
        before = len(self._found)
        for clue, value in clues:
            self._found.append(self.number(clue))
            self._values.append(value)
        self._lengths.append(len(self._found) - before)
        self._scenes.append(self._scene_of.setdefault(scene, len(self._scene_of)))

    def close(self) -> None:
        """Sort what was learned; nothing can be learned afterwards."""
        self.scenes: Ints = np.array(self._scenes, dtype=np.int64)
        index: Ints = np.array(self._found, dtype=np.int64)
        values = np.array(self._values, dtype=bool)
        spans = np.repeat(np.arange(len(self.scenes)), np.array(self._lengths, dtype=np.int64))
        count = len(self._number)
        self._true = np.bincount(index[values], minlength=count)
        self._all = np.bincount(index, minlength=count)
        mine = index * len(self._scene_of) + self.scenes[spans]
        self._mine, self._mine_all = np.unique(mine, return_counts=True)
        self._mine_true = np.bincount(
            np.searchsorted(self._mine, mine[values]), minlength=len(self._mine)
        )
        # A span that shows a clue several times counts as what it mostly shows.
        where, first = np.unique(index * len(self.scenes) + spans, return_inverse=True)
        net = np.bincount(first, np.where(values, 1, -1), minlength=len(where))
        self._where, self._shown = where[net != 0], net[net != 0] > 0
        starts = np.arange(count + 1) * len(self.scenes)
        self._start = np.searchsorted(self._where, starts)

    def lean(self, clues: Ints, scenes: Ints) -> Floats:
        """Return half the log odds that each clue is true, in all other scenes; 0 for no clue (-1)."""
        known = clues >= 0
        if not len(self._mine):
            return np.zeros(clues.shape)
        asked = np.where(known, clues, 0) * len(self._scene_of) + scenes
        at = np.minimum(np.searchsorted(self._mine, asked), len(self._mine) - 1)
        own = (self._mine[at] == asked) & known
        true = self._true[clues] - np.where(own, self._mine_true[at], 0)
        false = self._all[clues] - np.where(own, self._mine_all[at], 0) - true
        lean = 0.5 * np.log((true + SHRINK / 2) / (false + SHRINK / 2))
        return np.where(known, lean, 0.0)

    def joint(self, ones: Ints, others: Ints, scenes: Ints) -> Floats:
        """Return in how many spans of other scenes both clues had each combination of values, (n, 4)."""
        found = np.zeros((len(ones), 4))
        known = np.flatnonzero((ones >= 0) & (others >= 0))
        if not len(known):
            return found
        sizes = np.diff(self._start)
        swapped = sizes[ones[known]] > sizes[others[known]]
        rare = np.where(swapped, others[known], ones[known])
        common = np.where(swapped, ones[known], others[known])
        pairs, which = np.unique(rare * len(sizes) + common, return_inverse=True)
        kind, scene, combination = self._together(*np.divmod(pairs, len(sizes)))
        count = np.bincount(4 * kind + combination, minlength=4 * len(pairs)).reshape(-1, 4)[which]
        mine = (kind * len(self._scene_of) + scene) * 4 + combination
        cells, times = np.unique(mine, return_counts=True)
        if len(cells):
            asked = (which * len(self._scene_of) + scenes[known])[:, None] * 4 + np.arange(4)
            at = np.minimum(np.searchsorted(cells, asked), len(cells) - 1)
            count = count - np.where(cells[at] == asked, times[at], 0)
        found[known] = np.where(swapped[:, None], count[:, [0, 2, 1, 3]], count)
        return found

    def _together(self, rare: Ints, common: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the pair, the scene and the combination of values wherever both clues of a pair are."""
        spans = len(self.scenes)
        start, size = self._start[rare], np.diff(self._start)[rare]
        most = int(min(_MOST_SPANS, max(16, _MOST_ROWS // len(rare))))
        taken = np.minimum(size, most)
        found: list[tuple[Ints, Ints, Ints]] = []
        for part in _parts(taken):
            pair = np.repeat(part, taken[part])
            step = np.arange(len(pair)) - np.repeat(
                np.cumsum(taken[part]) - taken[part], taken[part]
            )
            at = start[pair] + step * size[pair] // np.maximum(taken[pair], 1)
            span = self._where[at] % spans
            asked = common[pair] * spans + span
            to = np.minimum(np.searchsorted(self._where, asked), len(self._where) - 1)
            both: Bools = self._where[to] == asked
            values = 2 * ~self._shown[at[both]] + ~self._shown[to[both]]
            found.append((pair[both], self.scenes[span[both]], values))
        pairs, scenes, combinations = (np.concatenate(one) for one in zip(*found, strict=True))
        return pairs, scenes, combinations


def _parts(taken: Ints) -> list[Ints]:
    """Return runs of pairs with about as many rows as can be looked through at once."""
    run = np.cumsum(taken) // _AT_ONCE
    return [np.flatnonzero(run == one) for one in np.unique(run)]


class Lists:
    """Lists of lists of clues, flat: one row of lists per fact or span."""

    def __init__(self, memory: Memory, slots: int) -> None:
        """Keep up to this many lists a row, of the clues of this memory."""
        self._memory, self.slots = memory, slots
        self._at, self._slot, self._clue, self._sign = (array("l") for _ in range(4))
        self.rows = 0

    def add(self, lists: Sequence[Sequence[Level]]) -> None:
        """Add the lists of the next fact or span."""
        for slot, levels in enumerate(lists):
            for level in levels:
                if level:
                    self._at.append(self.rows)
                    self._slot.append(slot)
                    self._clue.append(self._memory.number(level[0]))
                    self._sign.append(-1 if level[1] else 1)
        self.rows += 1

    def flat(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Return row, slot, clue and sign of every entry, in the order of rows."""
        at, slot, clue, sign = (
            np.array(one, dtype=np.int64) for one in (self._at, self._slot, self._clue, self._sign)
        )
        return at, slot, clue, sign

    def clues(self) -> tuple[Ints, Ints]:
        """Return the clue in each slot, (rows, slots), -1 for none, and its sign."""
        at, slot, clue, sign = self.flat()
        found = np.full((self.rows, self.slots), -1)
        signs = np.ones((self.rows, self.slots), dtype=np.int64)
        found[at, slot], signs[at, slot] = clue, sign
        return found, signs

    def leans(self, scenes: Ints, mean: bool = False) -> Floats:
        """Return the sum (or the mean) of the leans of each list, (rows, slots)."""
        at, slot, clue, sign = self.flat()
        lean = self._memory.lean(clue, scenes[at]) * sign
        to, size = at * self.slots + slot, self.rows * self.slots
        total = np.bincount(to, lean, minlength=size)
        if mean:
            total = total / np.maximum(np.bincount(to, minlength=size), 1)
        return total.reshape(self.rows, self.slots)
