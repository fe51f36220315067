"""How much each row counts: tasks, facts and scenes balanced, 1 on average. Pure."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.training.rows import TrainingRow

LEAST, MOST = 0.2, 5.0
"""No row counts less or more than this: a scene with a single row would count as much as one with hundreds."""
_SWEEPS = 50


def weights(rows: Sequence[TrainingRow]) -> list[float]:
    """Return a weight for each row, between `LEAST` and `MOST`, so that groups weigh the same as far as these allow.

    Groups are the tasks, the kinds and values of the two facts that an answer states (a first turn to the left and a
    second to the right, say), and the split groups. Each of the three is balanced in turn (iterative proportional
    fitting), because they overlap.
    """
    if not rows:
        return []
    groupings = [
        _codes([row.question_type for row in rows]),
        _codes([_stated(row) for row in rows]),
        _codes([row.split_group for row in rows]),
    ]
    found: NDArray[np.float64] = np.ones(len(rows))
    for _ in range(_SWEEPS):
        for codes in groupings:
            totals = np.bincount(codes, found)
            found = found * (totals.mean() / totals)[codes]
        found = _bounded(found)
    return [round(float(one), 6) for one in found]


def _bounded(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights within the limits, 1 on average; each of both steps disturbs the other a little less."""
    for _ in range(_SWEEPS):
        found = np.clip(found / found.mean(), LEAST, MOST)
    scaled: NDArray[np.float64] = found / found.mean()
    return scaled


def _codes(groups: Sequence[Hashable]) -> NDArray[np.int64]:
    known = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([known[group] for group in groups])


def _stated(row: TrainingRow) -> Hashable:
    """Return the kinds of a row's facts with the values that its answer states."""
    at = row.options.index(row.answer_text) if row.answer else None
    return tuple(
        sorted(
            (fact.name.partition(":")[0], fact.values[at] if at is not None else "")
            for fact in row.facts
        )
    )
