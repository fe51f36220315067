"""How alike two descriptions of a walk are: their turns, landmarks and actions, each from 0 to 1. Pure.

Scores of open answers and rewards in training are both computed here, from what `told.py` reads.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.routes.route import TURNS
from pipeline.routes.rows import Move, Orientation
from pipeline.routes.told import Told, apart, name_key


@dataclass(frozen=True)
class Reference:
    """What a description should state, in the order of its orientation."""

    moves: tuple[Move, ...]
    landmarks: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    orientation: Orientation = "forward"


@dataclass(frozen=True)
class Likeness:
    """How far a description agrees with the reference; None where the reference has nothing of a kind.

    `turns` is 1 - edits / length of the longer list. `landmarks` and `actions` are F1 of the longest common
    subsequence, so both what is missing and what is invented or out of order counts. `order` is the share of pairs of
    told actions in the right order.
    """

    turns: float
    landmarks: float | None
    actions: float | None
    order: float | None


def likeness(text: Told, reference: Reference) -> Likeness:
    """Compare what a text states with the reference.

    A description of the way back may begin with turning around, but needn't: it is no step of the reference.
    """
    wanted = tuple(move for move in reference.moves if move in TURNS)
    turns = turn_likeness(text.turns, wanted)
    if reference.orientation == "reverse" and text.turns[:1] == ("around",):
        turns = max(turns, turn_likeness(text.turns[1:], wanted))
    landmarks, actions = _keys(text.landmarks), _keys(text.actions)
    return Likeness(
        turns,
        common_f1(landmarks, known) if (known := _keys(reference.landmarks)) else None,
        common_f1(actions, done) if (done := _keys(reference.actions)) else None,
        order_kept(actions, done),
    )


def _keys(names: Sequence[str]) -> list[str]:
    return [name_key(name) for name in apart(names)]


def turn_likeness(told: Sequence[str], wanted: Sequence[str]) -> float:
    """Return 1 - edits / length of the longer list; 1 if both are empty."""
    longest = max(len(told), len(wanted))
    return 1 - edits(told, wanted) / longest if longest else 1.0


def edits(told: Sequence[str], wanted: Sequence[str]) -> int:
    """Return the least number of insertions, deletions and changes that turn one list into the other."""
    last = list(range(len(wanted) + 1))
    for row, one in enumerate(told, start=1):
        now = [row]
        for column, other in enumerate(wanted):
            now.append(min(now[-1] + 1, last[column + 1] + 1, last[column] + (one != other)))
        last = now
    return last[-1]


def common_f1(told: Sequence[str], wanted: Sequence[str]) -> float:
    """Return the F1 of the longest common subsequence of two lists; 1 if both are empty."""
    if not told and not wanted:
        return 1.0
    last = [0] * (len(wanted) + 1)
    for one in told:
        now = [0]
        for column, other in enumerate(wanted):
            longer = last[column] + 1 if one == other else max(now[-1], last[column + 1])
            now.append(longer)
        last = now
    return 2 * last[-1] / (len(told) + len(wanted))


def order_kept(told: Sequence[str], wanted: Sequence[str]) -> float | None:
    """Return the share of pairs of told things that are in the wanted order; None if there is no such pair.

    Things that occur twice in either list have no one place, so they are left out.
    """
    often, asked = Counter(told), Counter(wanted)
    place = {name: at for at, name in enumerate(wanted) if asked[name] == 1}
    known = [place[name] for name in told if name in place and often[name] == 1]
    pairs = list(combinations(known, 2))
    return sum(first < second for first, second in pairs) / len(pairs) if pairs else None
