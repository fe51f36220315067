"""What readers get if nothing leaks: their answers to the same items with truths drawn anew. Pure.

A tally that is learned in one half and measured in the other agrees with that learned the other way
round: its spread on fair items is larger than resampling scenes shows (measured: .037 against .023).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.blind.parts import pieces
from pipeline.blind.sheet import Bools, Floats, OptionTable, Strategy

_DRAWS = 24
_STRATEGIES = 40
COUPLED = 2**0.5
"""How much larger the error is of a reader that learns from each half about the other: two sums of the same terms."""


def spreads(
    table: OptionTable, strategies: Sequence[Strategy], masks: Mapping[str, Bools]
) -> dict[str, float]:
    """Return the spread around chance of the best strategy, chosen on one half and measured on the other.

    Truths are drawn anew within each twin: both of its items get the same change. Of very many strategies
    every nth is tried; more don't change the spread, as the best is chosen elsewhere than it is measured.
    """
    every = max(1, len(strategies) // _STRATEGIES)
    tried = [one for one in strategies[::every] if one.learn or one.half_scores is None]
    changes = _changes(table)
    rng = np.random.default_rng(table.seed)
    sums = dict.fromkeys(masks, 0.0)
    for _ in range(_DRAWS):
        fair = _redrawn(table, changes, rng)
        hits, own = _hits(fair, tried)
        for name, mask in masks.items():
            sums[name] += _excess(fair, hits, own, mask) ** 2
    return {name: float(np.sqrt(total / _DRAWS)) for name, total in sums.items()}


def _hits(table: OptionTable, tried: Sequence[Strategy]) -> tuple[Floats, Floats]:
    hits, own = [], []
    for one in tried:
        if one.learn:
            scores, half_scores = one.learn(table)
            hits.append(table.hits(scores))
            own.append(table.hits(half_scores))
        else:
            hits.append(table.hits(one.scores))
            own.append(hits[-1])
    return np.array(hits), np.array(own)


def cross_chosen(
    table: OptionTable, hits: Floats, own: Floats, mask: Bools
) -> tuple[Floats, list[int]]:
    """Return the hits of the strategies that are best on the other half of the items, and which these are.

    `hits` and `own` are (strategies, items); the second has those of scores learned within each half.
    """
    result, chosen = np.zeros(len(mask)), []
    for half in (0, 1):
        measured, other = mask & (table.half == half), mask & (table.half != half)
        best = int(own[:, other].mean(axis=1).argmax()) if other.any() else 0
        result[measured] = hits[best, measured]
        chosen.append(best)
    return result, chosen


def _excess(table: OptionTable, hits: Floats, own: Floats, mask: Bools) -> float:
    found, _ = cross_chosen(table, hits, own, mask)
    return float((found - table.chance)[mask].mean())


def _changes(table: OptionTable) -> list[list[int]]:
    """Return each item's options: the true one, then those that differ from it, by where they differ.

    Twins have the same order, as far as their texts show.
    """
    found = []
    for item in table.items:
        parts = [pieces(text) for text in item.options]
        true = parts[item.answer]
        keys = [_differs(one, true, item.orientation == "reverse") for one in parts]
        rest = [place for place in range(len(parts)) if place != item.answer]
        found.append([item.answer, *sorted(rest, key=lambda place, keys=keys: keys[place])])  # type: ignore[misc]
    return found


def _differs(
    one: Sequence[str], true: Sequence[str], back: bool
) -> tuple[int, list[int], Sequence[str]]:
    where = [at for at, pair in enumerate(zip(one, true, strict=False)) if pair[0] != pair[1]]
    if back:
        where = [len(true) - 1 - at for at in reversed(where)]
    return len(where), where, one


def _redrawn(
    table: OptionTable, changes: Sequence[Sequence[int]], rng: np.random.Generator
) -> OptionTable:
    drawn = rng.random(int(table.twin.max()) + 1)[table.twin]
    return table.with_answers(
        [
            order[int(share * len(order))]
            for order, share in zip(changes, drawn.tolist(), strict=True)
        ]
    )
