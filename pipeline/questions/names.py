"""What the words of two names may tell about their order. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from pipeline.blind.memory import Clue, Level

Named = TypeVar("Named")
"""What has a name."""

_REMEMBERED = 50_000  # pairs of names: each is asked for several times
_DIGITS = re.compile(r"\d{1,9}")
_DIRECTIONS = {"away", "back", "down", "from", "into", "onto", "over", "through", "with"}


def _numbered(name: str) -> tuple[int, ...] | None:
    return tuple(map(int, _DIGITS.findall(name))) or None


_CUTS: Mapping[str, Callable[[str], str]] = {
    "name": str,
    "head": lambda name: name.rpartition(" ")[2],
    "verb": lambda name: name.partition(" ")[0],
}
_RANKS: Mapping[str, Callable[[str], Any]] = {"number": _numbered, "length": len, "alphabet": str}
RANKS = tuple(_RANKS)
"""The rules that may tell the order of names nobody has seen before."""


def sorted_names(names: tuple[str, str]) -> tuple[tuple[str, str], bool]:
    """Return two names in sorted order, and whether they were in it."""
    return (names, True) if names[0] <= names[1] else (names[::-1], False)


@lru_cache(_REMEMBERED)
def distinct(one: str, other: str) -> bool:
    """Return whether each of two names has a word that the other doesn't have."""
    words = set(one.split()), set(other.split())
    return not (words[0] <= words[1] or words[1] <= words[0])


@lru_cache(_REMEMBERED)
def of_one_thing(one: str, other: str) -> bool:
    """Return whether two actions are done with one thing: it is opened before it is closed.

    Its name is the last word, or a longer word after the verb that isn't just a direction.
    """
    words = [name.split() for name in (one, other)]
    things = [
        {word for word in some[1:] if len(word) > 3 and word not in _DIRECTIONS} | {some[-1]}
        for some in words
    ]
    return bool(things[0] & things[1])


def least_useless(
    rows: Iterable[list[Named]], useless: Callable[[Named, Named], bool]
) -> list[Named]:
    """Return the first row with the fewest useless neighbours."""
    fewest, found = -1, list[Named]()
    for row in rows:
        count = sum(useless(one, other) for one, other in pairwise(row))
        if fewest < 0 or count < fewest:
            fewest, found = count, row
        if not fewest:
            break
    return found


@lru_cache(_REMEMBERED)
def order_levels(kind: str, first: str, second: str) -> tuple[Level, ...]:
    """Return the order of two names as clues: of their words, and of their numbers and lengths."""
    found: list[Level] = []
    for level, cut in _CUTS.items():
        names, same = sorted_names((cut(first), cut(second)))
        found.append(((kind, level, *names), not same) if names[0] != names[1] else None)
    for level in RANKS:
        rising = _rising(level, first, second)
        found.append(((kind, level), rising < 0) if rising else None)
    return tuple(found)


@lru_cache(_REMEMBERED)
def order_clues(kind: str, first: str, second: str) -> tuple[tuple[Clue, bool], ...]:
    """Return what a span shows where the first name comes before the second: clues with their values."""
    levels = order_levels(kind, first, second)
    return tuple((level[0], not level[1]) for level in levels if level)


@lru_cache(_REMEMBERED)
def rises(first: str, second: str) -> tuple[int, ...]:
    """Return for each of `RANKS` whether names go up (1) or down (-1) from the first to the second, or neither (0)."""
    return tuple(_rising(rank, first, second) for rank in RANKS)


def manners(kind: str, names: Iterable[str]) -> tuple[tuple[Clue, ...], ...]:
    """Return, for each of `RANKS`, what may tell whether it rises or falls along a walk: the names seen on it."""
    seen = tuple(names)
    return tuple(tuple((kind, rank, "near", name) for name in seen) for rank in RANKS)


def _rising(rank: str, first: str, second: str) -> int:
    one, other = _RANKS[rank](first), _RANKS[rank](second)
    return 0 if one is None or other is None else int(one < other) - int(one > other)


def parts(kind: str, name: str) -> Iterator[list[Clue]]:
    """Yield what of a name may have a usual position: the name, its head noun, its words."""
    words = name.split()
    yield [("early", kind, name)]
    yield [("early", kind, "head", words[-1])]
    yield [("early", kind, "word", word) for word in words]
