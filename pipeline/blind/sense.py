"""Common sense about orders, without any training: open before take, street before hall before room. Pure."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np

from pipeline.blind.learners import words
from pipeline.blind.sequences import in_walking_order, named_sequences
from pipeline.blind.sheet import OptionTable, Strategy
from pipeline.blind.shipped import hunch

Strategies = Iterator[Strategy]

# Earlier words first; words on one line have no order among them.
_ACTIONS = """
    unlock
    open knock
    enter arrive turn_on switch_on start
    take grab get pick fetch remove unpack
    fill wash peel cut chop slice
    pour add mix stir season
    heat boil cook fry bake
    sit
    serve taste drink eat write type read
    stand rinse clean wipe dry tidy
    put place return store pack throw
    close shut stop switch_off turn_off
    leave exit
    lock
"""
_PLACES = """
    street road pavement sidewalk kerb car park bus crossing
    gate path garden yard driveway
    porch entrance doorstep mailbox
    hall hallway lobby foyer reception coat mat shoe
    lift elevator stairs staircase corridor
    door doorway
    room office kitchen living bedroom bathroom
    desk table counter sofa bed fridge sink stove shelf television
"""


def _ranks(text: str) -> dict[str, float]:
    lines = text.split("\n")[1:-1]
    return {word: float(at) for at, line in enumerate(lines) for word in line.split()}


def common_sense(table: OptionTable) -> Strategies:
    """Choose the order that rules and shipped words expect; on the way back, the other one."""
    said = named_sequences(table)
    if not any(said):
        return
    walked = in_walking_order(table, said)
    views = {"": walked, ", as said": said} if walked != said else {"": walked}
    actions, places = _ranks(_ACTIONS), _ranks(_PLACES)
    for name, earlier in _readers(actions, places).items():
        for how, sequences in views.items():
            scores = np.zeros(len(said))
            for row, found in enumerate(sequences):
                scores[row] = round(
                    sum(earlier(*pair) for one in found for pair in combinations(one, 2)), 6
                )
            if np.ptp(scores):
                yield Strategy(f"most expected by {name}{how}", scores)
                yield Strategy(f"least expected by {name}{how}", -scores)


_Earlier = Callable[[str, str], float]


def _readers(actions: dict[str, float], places: dict[str, float]) -> dict[str, _Earlier]:
    return {
        "rules for actions": lambda one, other: _rule(actions, one, other),
        "rules for places": lambda one, other: _rule(places, one, other),
        "shipped words for actions": lambda one, other: hunch("action", one, other),
        "shipped words for places": lambda one, other: hunch("landmark", one, other),
    }


def _rule(rank: dict[str, float], one: str, other: str) -> float:
    """Return 1 if the first is expected earlier, -1 if later, 0 if nothing is known."""
    first, second = (_mean(rank, words(name)) for name in (one, other))
    if first is None or second is None:
        return 0.0
    return float(np.sign(second - first))


def _mean(rank: dict[str, float], found: Sequence[str]) -> float | None:
    phrases = [*found, *("_".join(pair) for pair in pairwise(found))]
    # `switch on` is not what `switch` alone would be, so phrases count alone if there are any.
    known = [rank[word] for word in phrases if "_" in word and word in rank]
    known = known or [rank[word] for word in phrases if word in rank]
    return sum(known) / len(known) if known else None
