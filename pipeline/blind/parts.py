"""What an option that tells a sequence says: its parts, its sides, its inverse. Pure."""

import re
from functools import lru_cache

_SEPARATOR = re.compile(r"\s*(?:->|→|⟶|=>|;|,|\bthen\b|\.(?=\s|$))\s*")
# Which side a part tells, in languages that benchmarks are written in.
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
    """Return every side that a text tells, in order, as `left` or `right`."""
    return [_LEFT.get(word, "right") for word in _SIDE.findall(text.casefold())]
