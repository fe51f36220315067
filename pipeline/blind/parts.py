"""Parsing options that list a sequence: their parts, sides and inverse. Pure."""

import re
from functools import lru_cache

_SEPARATOR = re.compile(r"\s*(?:->|→|⟶|=>|;|,|\bthen\b|\.(?=\s|$))\s*")
# Words for left and right in the languages of benchmarks.
_SIDES = (
    ("left", "right"),
    ("links", "rechts"),
    ("gauche", "droite"),
    ("izquierda", "derecha"),
    ("sinistra", "destra"),
    ("esquerda", "direita"),
)
_OTHER = {one: other for pair in _SIDES for one, other in (pair, pair[::-1])}
_LEFT = {left: "left" for left, _ in _SIDES}
_SIDE = re.compile(rf"\b({'|'.join(_OTHER)})\b")


@lru_cache(2**16)
def pieces(text: str) -> tuple[str, ...]:
    """Return the parts of an option that lists a sequence, case-folded."""
    return tuple(
        filter(None, (" ".join(part.split()) for part in _SEPARATOR.split(text.casefold())))
    )


@lru_cache(2**16)
def inverse(text: str) -> tuple[str, ...]:
    """Return the parts in reverse order with left and right swapped."""
    swapped = (_SIDE.sub(lambda match: _OTHER[match.group()], part) for part in pieces(text))
    return tuple(reversed(list(swapped)))


def self_inverse(text: str) -> bool:
    """Return whether a sequence is its own inverse, such as left, then right."""
    return pieces(text) == inverse(text)


def sides(text: str) -> list[str]:
    """Return every side that a text mentions, in order, as `left` or `right`."""
    return [_LEFT.get(word, "right") for word in _SIDE.findall(text.casefold())]
