"""What the options of an item state: two facts each, in all four combinations. Pure.

Options such as `first turn left; red door before plant` make two statements, and the four options combine
two values of each. The parts are found in the text alone, whatever the language: two values of a turn
differ in one word, those of an order swap two names around the same words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np

from pipeline.blind.sheet import Floats, Ints, OptionTable

_JOINTS = (r"\s*;\s*", r"\s*\|\s*", r"(?:,\s*|\s+)(?:and|und|et|y|e)\s+", r"\.\s+", r"\s*,\s*")


@dataclass(frozen=True, slots=True)
class Statement:
    """One of an item's two facts, as its two values are worded; the first value is first in sorted order.

    The value of a `side` differs from the other in one word: `names` holds the first value's word and the
    other's. An `order` swaps its `names`; the first value states them in this order.
    """

    values: tuple[str, str]
    kind: Literal["side", "order", "other"]
    names: tuple[str, str]

    @property
    def subject(self) -> str:
        """What the fact is about, in words that both values share."""
        if self.kind == "side":
            return " ".join(word for word in self.values[0].split() if word != self.names[0])
        return " | ".join(sorted(self.names))


@dataclass(frozen=True)
class Stated:
    """The items of a table whose options combine two facts, as arrays; `m` is their number."""

    items: Ints  # (m,): the item's index
    facts: tuple[tuple[Statement, Statement], ...]
    truth: Floats  # (m, 2): 1 where the first value is true, else -1
    rows: Ints  # (m, 4): the rows of the item's options
    values: Floats  # (m, 4, 2): what each option states, 1 or -1

    def spread(self, table: OptionTable, said: Floats) -> Floats:
        """Return a scoring of all rows from one of these items' options, (m, 4)."""
        scores = np.zeros(len(table.texts))
        # Rounded, so that sums in any order are equal and ties stay ties.
        scores[self.rows] = np.round(said, 6)
        return scores


def stated(table: OptionTable) -> Stated:
    """Return what the items state, of those whose options combine two facts."""
    found = [
        (index, *parsed)
        for index, item in enumerate(table.items)
        if (parsed := _combined(item.options))
    ]
    items = np.array([index for index, _, _ in found], np.int64)
    values = np.array([values for _, _, values in found], float).reshape(-1, 4, 2)
    answers = np.array([table.items[index].answer for index in items.tolist()], np.int64)
    return Stated(
        items,
        tuple(facts for _, facts, _ in found),
        values[np.arange(len(items)), answers],
        table.first[items][:, None] + np.arange(4),
        values,
    )


@lru_cache(2**16)
def _combined(
    options: tuple[str, ...],
) -> tuple[tuple[Statement, Statement], tuple[tuple[int, int], ...]] | None:
    """Return the two facts and each option's values, if the options are the four combinations."""
    for parts in _ways(options) if len(options) == 4 else ():
        first, second = (sorted({part[slot] for part in parts}) for slot in (0, 1))
        if len(first) == len(second) == 2 and {*parts} == {*product(first, second)}:
            signs = tuple(
                (1 if one == first[0] else -1, 1 if other == second[0] else -1)
                for one, other in parts
            )
            return (_statement(first), _statement(second)), signs
    return None


def order_of(options: Sequence[str]) -> tuple[tuple[str, str], ...] | None:
    """Return the two names of each option, in its order, if two options swap them: `a before b`, `b before a`."""
    texts = [" ".join(option.casefold().split()).rstrip(".") for option in options]
    if len(texts) != 2 or texts[0] == texts[1]:
        return None
    names = _swapped(texts[0].split(), texts[1].split())
    return (names, names[::-1]) if names else None


def _ways(options: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Yield the ways to split each option in two: at a joint that occurs once, then at any word."""
    texts = [" ".join(option.casefold().split()).rstrip(".") for option in options]
    for joint in _JOINTS:
        parts = [tuple(re.split(joint, text)) for text in texts]
        if all(len(part) == 2 for part in parts):
            yield [(part[0], part[1]) for part in parts]
    words = [text.split() for text in texts]
    if len({len(one) for one in words}) == 1:
        for at in range(1, len(words[0])):
            yield [(" ".join(one[:at]), " ".join(one[at:])) for one in words]


def _statement(values: Sequence[str]) -> Statement:
    one, other = values
    words, theirs = one.split(), other.split()
    differ = [pair for pair in zip(words, theirs, strict=False) if pair[0] != pair[1]]
    if len(words) == len(theirs) and len(differ) == 1:
        return Statement((one, other), "side", differ[0])
    if names := _swapped(words, theirs):
        return Statement((one, other), "order", names)
    return Statement((one, other), "other", (one, other))


def _swapped(words: Sequence[str], theirs: Sequence[str]) -> tuple[str, str] | None:
    """Return two names between the same words that change places: `A before B`, `B before A`."""
    count = len(words)
    if sorted(words) != sorted(theirs):
        return None
    lead = next((at for at in range(count) if words[at] != theirs[at]), count)
    tail = next((at for at in range(count) if words[-1 - at] != theirs[-1 - at]), count)
    # The longest names first: articles and nouns that both share belong to them.
    for begin, end in product(range(lead + 1), range(count, count - tail - 1, -1)):
        for size, start in product(range(1, end - begin - 1), range(begin + 1, end - 1)):
            first, joint, second = (
                words[begin:start],
                words[start : start + size],
                words[start + size : end],
            )
            if second and [*second, *joint, *first] == [*theirs[begin:end]]:
                return " ".join(first), " ".join(second)
    return None
