"""How probable a model finds an order of names, from where in a walk it expects each. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence

from pipeline.blind.prior import COMBINATIONS
from pipeline.questions.facts import Fact
from pipeline.questions.rows import Expected

_ANYWHERE = 100 / math.sqrt(12)  # the standard deviation of a position that could be anywhere
# Positions are given in tens, and a walk may skip any of its usual stops: even a position that a model is
# sure of is 9 points off (0.95), and one order in fifty is an exception.
_SUREST, _EXCEPTION = 0.95, 0.02
_SLOPE = 1.702  # of the logistic function that is closest to the normal distribution's

Named = tuple[str, str]
"""The kind of a name (landmark or action) and the name as options show it."""


def probability(first: Expected, second: Expected) -> float:
    """Return how probable it is that one name comes before another, 0.02 to 0.98.

    `sure` is taken as the correlation between positions as given and as they are: the less sure a position,
    the closer to the middle it is expected, and the further off it may be.
    """
    sure, other = (min(one.sure, _SUREST) for one in (first, second))
    apart = other * (second.position - 50) - sure * (first.position - 50)
    spread = _ANYWHERE * math.sqrt((1 - sure**2) + (1 - other**2))
    before = 1 / (1 + math.exp(-_SLOPE * apart / spread))
    return min(max(before, _EXCEPTION), 1 - _EXCEPTION)


def by_clip(expected: Iterable[Expected]) -> dict[str, dict[Named, Expected]]:
    """Return what is expected of each clip, by kind and name."""
    found: dict[str, dict[Named, Expected]] = {}
    for one in expected:
        found.setdefault(one.clip_id, {})[one.kind, one.name] = one
    return found


def belief(
    facts: Sequence[Fact], expected: Mapping[Named, Expected]
) -> tuple[float, float, float, float] | None:
    """Return the probability of each combination of two facts, as in `prior.COMBINATIONS`.

    None if nothing is known about either: a model can't know the side of a turn.
    """
    known = [_true(fact, expected) for fact in facts]
    if known == [None, None]:
        return None
    first, second = (0.5 if one is None else one for one in known)
    one, two, three, four = (
        (first if a > 0 else 1 - first) * (second if b > 0 else 1 - second)
        for a, b in COMBINATIONS.tolist()
    )
    return one, two, three, four


def _true(fact: Fact, expected: Mapping[Named, Expected]) -> float | None:
    names = [expected.get((fact.kind, str(name))) for name in fact.subject]
    if len(names) != 2 or names[0] is None or names[1] is None:
        return None
    return probability(names[0], names[1])
