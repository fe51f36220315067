"""What the words of two names may tell about their order. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping

from pipeline.blind.memory import Clue, Level

_DIGITS = re.compile(r"\d{1,9}")


def _numbered(name: str) -> int | None:
    found = _DIGITS.search(name)
    return int(found.group()) if found else None


_CUTS: Mapping[str, Callable[[str], str]] = {
    "name": str,
    "head": lambda name: name.rpartition(" ")[2],
    "verb": lambda name: name.partition(" ")[0],
}
_RANKS: Mapping[str, Callable[[str], int | None]] = {"number": _numbered, "length": len}


def sorted_names(names: tuple[str, str]) -> tuple[tuple[str, str], bool]:
    """Return two names in sorted order, and whether they were in it."""
    return (names, True) if names[0] <= names[1] else (names[::-1], False)


def order_levels(kind: str, first: str, second: str) -> tuple[Level, ...]:
    """Return the order of two names as clues: of their words, and of their numbers and lengths."""
    found: list[Level] = []
    for level, cut in _CUTS.items():
        names, same = sorted_names((cut(first), cut(second)))
        found.append(((kind, level, *names), not same) if names[0] != names[1] else None)
    for level, rank in _RANKS.items():
        one, other = rank(first), rank(second)
        if one is None or other is None or one == other:
            found.append(None)
        else:
            found.append(((kind, level), one > other))
    return tuple(found)


def parts(kind: str, name: str) -> Iterator[list[Clue]]:
    """Yield what of a name may have a usual position: the name, its head noun, its words."""
    words = name.split()
    yield [("early", kind, name)]
    yield [("early", kind, "head", words[-1])]
    yield [("early", kind, "word", word) for word in words]
