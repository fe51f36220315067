"""What the earlier answers of a scene tell about its next ones, where names have places. Pure.

A museum's rooms are toured in one order, and each visit leaves some out: no two visits show the same two names, but
together their answers tell which rooms come early. So each fact is predicted by a ridge regression on its clues (its
names and their words, its ordinal, for a turn the names around) from the facts of all pairs before its own.
"""

import numpy as np
from scipy.linalg import solve_triangular

from pipeline.blind.memory import Lists
from pipeline.blind.sheet import Bools, Floats, Ints

_NOISES = (0.2, 2.0)  # against a name's variance of 1: strict places, and loose ones
_MOST = 400  # facts that are regressed together: time grows with the square of it


def foretold(spread: tuple[Ints, Ints, Floats], value: Ints, scene: Ints, rank: Floats) -> Floats:
    """Return what is expected of both facts of each pair, and of their product, (pairs, noises, 3).

    `spread` are the clues of facts as row (pair * 2 + fact), clue and weight; `value`, (pairs, 2), is 1 or -1 where
    weights are positive for 1. What is expected of a pair follows from those of lower `rank` in its scene.
    """
    row, clue, weight = spread
    order = np.lexsort((rank, scene))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    at = 2 * place[row // 2] + row % 2
    by = np.argsort(at, kind="stable")
    at, clue, weight = at[by], clue[by], weight[by]
    starts = np.flatnonzero(np.r_[True, np.diff(scene[order]) != 0])
    found = np.zeros((len(order), len(_NOISES), 3))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        for first in range(start, end, _MOST // 2):
            last = min(end, first + _MOST // 2)
            part = slice(*np.searchsorted(at, [2 * first, 2 * last]))
            known, column = np.unique(clue[part], return_inverse=True)
            table = np.zeros((2 * (last - first), len(known)))
            np.add.at(table, (at[part] - 2 * first, column), weight[part])
            found[first:last] = _in_turn(table, value[order[first:last]].astype(float))
    return found[place]


def _in_turn(table: Floats, value: Floats) -> Floats:
    """Return what is expected of each pair by those before it, (pairs, noises, 3); `table` is (2 * pairs, clues)."""
    table = table / np.sqrt(np.maximum((table**2).sum(axis=1, keepdims=True), 1e-9))
    like = table @ table.T
    one, other, across = like[::2, ::2], like[1::2, 1::2], like[::2, 1::2]
    alone = [_before(like, value.reshape(-1), 2, noise).reshape(-1, 2) for noise in _NOISES]
    product = one * other + across * across.T
    both = [_before(product, value.prod(axis=1), 1, noise) for noise in _NOISES]
    return np.stack([np.column_stack(some) for some in zip(alone, both, strict=True)], axis=1)


def _before(like: Floats, value: Floats, block: int, noise: float) -> Floats:
    """Return the prediction of each value by a regression on those of all blocks before its own.

    With the Cholesky factor L of the covariance, L^-1 value are the errors of such predictions, one after another.
    """
    factor = np.linalg.cholesky(like + noise * np.eye(len(like)))
    error = solve_triangular(factor, value, lower=True, check_finite=False)
    at = np.arange(0, len(like), block)
    found = value.copy()
    for row in range(block):
        for column in range(row + 1):
            found[at + row] -= factor[at + row, at + column] * error[at + column]
    return found


def clues(lists: Lists, rows: Ints) -> tuple[Ints, Ints, Floats]:
    """Return row, clue and weight of these rows' entries."""
    which, clue, sign = lists.of_rows(rows)
    return which, clue, sign.astype(float)


def around(context: Lists, spans: Ints, sided: Bools) -> tuple[Ints, Ints, Floats]:
    """Return what is seen around each turn, as row, clue and weight; all names of a span weigh as much as one clue."""
    at, slot, clue, _ = context.flat()
    seen = slot == 0
    at, clue = at[seen], clue[seen]
    start = np.searchsorted(at, spans)
    size = np.where(sided, np.searchsorted(at, spans, side="right") - start, 0)
    which = np.repeat(np.arange(len(spans)), size)
    entry = np.arange(len(which)) - np.repeat(np.cumsum(size) - size - start, size)
    return which, clue[entry], 1 / np.sqrt(size[which])
