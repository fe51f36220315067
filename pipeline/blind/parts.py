"""What an option that tells a sequence says: its parts, its sides, its inverse. Pure."""

import re
from functools import lru_cache

_SEPARATOR = re.compile(r"\s*(?:->|→|⟶|=>|;|,|\bthen\b|\.(?=\s|$))\s*")
_OTHER = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)\b")


@lru_cache(2**16)
def pieces(text: str) -> tuple[str, ...]:
    """Return the parts of an option that tells a sequence, without case."""
    return tuple(
        filter(None, (" ".join(part.split()) for part in _SEPARATOR.split(text.casefold())))
    )


@lru_cache(2**16)
def inverse(text: str) -> tuple[str, ...]:
    """Return the parts backwards with left and right swapped."""
    swapped = (_SIDE.sub(lambda match: _OTHER[match.group()], part) for part in pieces(text))
    return tuple(reversed(list(swapped)))


def self_inverse(text: str) -> bool:
    """Tell whether a sequence is its own inverse: left, then right."""
    return pieces(text) == inverse(text)


def sides(text: str) -> list[str]:
    """Return every `left` and `right` of a text, in order."""
    return _SIDE.findall(text.casefold())
