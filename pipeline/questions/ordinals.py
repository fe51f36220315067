"""How the turns of a span are named: by ordinals, from either end. Pure."""

from pipeline.questions.draw import Draw

NAMED = 3  # turns are named by ordinals up to the third, counted from the start or from the end


def from_end(index: int, count: int, span_id: str, draw: Draw) -> bool | None:
    """Return whether a turn is named from the end; None if it is too far from both ends.

    Drawn, so that the name of a turn doesn't reveal how many turns there are.
    """
    ways = [False] * (index < NAMED) + [True] * (count - 1 - index < NAMED)
    return ways[draw(span_id, "ordinal", str(index)) % len(ways)] if ways else None


def ordinal(index: int, count: int, *, last: bool) -> str:
    """Return the key of a turn's ordinal: `nth_1` is the first, `last_1` the last."""
    return f"last_{count - index}" if last else f"nth_{index + 1}"
