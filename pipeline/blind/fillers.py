"""Cells such as `N/A` that a table puts after the options of a row that has fewer than the table has columns. Pure."""

from collections import Counter
from collections.abc import Sequence

from pipeline.blind.answers import Unanswered

_FILLERS = frozenset({"n/a", "na", "nan", "none", "null", "nil", "<na>", "-", "--"})
_SEVERAL = 3  # rows


def without_fillers(rows: Sequence[Unanswered]) -> Sequence[Unanswered]:
    """Return rows without the fillers at the end of their options, if several rows end with the same one.

    Only rows as long as the longest are filled; a text that ends all of them is an option.
    """
    longest = max((len(row.options) for row in rows), default=0)
    ends = [_real(row) if len(row.options) == longest else len(row.options) for row in rows]
    filled = [row for row, end in zip(rows, ends, strict=True) if end < len(row.options)]
    several = Counter(_plain(row.options[-1]) for row in filled)
    twice = any(longest - end > 1 for end in ends)
    if len(filled) == len(rows) and not twice:
        return rows
    return [
        row.choosing(row.options[:end])
        if end < len(row.options) and several[_plain(row.options[-1])] >= _SEVERAL
        else row
        for row, end in zip(rows, ends, strict=True)
    ]


def _real(row: Unanswered) -> int:
    """Return how many options stand before the fillers, at least two."""
    end = len(row.options)
    while end > 2 and _plain(row.options[end - 1]) in _FILLERS:
        end -= 1
    return end


def _plain(text: str) -> str:
    return text.strip().casefold()
