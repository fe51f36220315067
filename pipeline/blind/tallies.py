"""Tallies: how often what an option shows is true elsewhere, or shown elsewhere, for any features. Pure.

Features are a sparse matrix of (option rows, keys). A tally of answers leaves out the row's own fold, or
only its clip: where statements were balanced exactly, the labels of all others tell the last one.
"""

from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from pipeline.blind.sheet import FOLDS, Floats, Ints, OptionTable, Strategy, codes

Strategies = Iterator[Strategy]
_PRIOR = 2.0  # what a tally of few rows is shrunk by, in rows


def key_matrix(rows: Iterable[Sequence[tuple[Hashable, float]]]) -> Any:
    """Return which keys each row has, (rows, keys), with their values; keys that repeat are added up."""
    found = list(rows)
    values = [value for keys in found for _, value in keys]
    return _summed(([key for key, _ in keys] for keys in found), values)


def counted(rows: Iterable[Iterable[Hashable]]) -> Any:
    """Return how often each row has each key, (rows, keys)."""
    return _summed(rows, None)


def _summed(rows: Iterable[Iterable[Hashable]], values: Sequence[float] | None) -> Any:
    from scipy import sparse

    column: defaultdict[Hashable, int] = defaultdict()
    column.default_factory = column.__len__
    starts, where = [0], array("l")
    for keys in rows:
        where.extend(map(column.__getitem__, keys))
        starts.append(len(where))
    data = np.ones(len(where)) if values is None else np.array(values, dtype=float)
    shape = (len(starts) - 1, max(1, len(column)))
    matrix = sparse.csr_matrix((data, np.array(where, int), starts), shape=shape)
    matrix.sum_duplicates()
    return matrix


def crossed(matrix: Any, context: Ints) -> Any:
    """Return the features anew for each value of a context, which is one number per row."""
    from scipy import sparse

    of_row = np.repeat(context, np.diff(matrix.indptr))
    seen, column = np.unique(
        of_row.astype(np.int64) * matrix.shape[1] + matrix.indices, return_inverse=True
    )
    shape = (matrix.shape[0], max(1, len(seen)))
    return sparse.csr_matrix((matrix.data, column.ravel(), matrix.indptr), shape=shape)


def usual(
    table: OptionTable, name: str, matrix: Any, leave: Literal["fold", "clip"] = "fold"
) -> Strategies:
    """Yield the option whose features are most often true elsewhere, and, as contrarian, the least often."""
    if not matrix.nnz:
        return
    held_out = _without_fold if leave == "fold" else _without_clip
    scores, own = held_out(table, matrix)
    yield Strategy(f"the most usual {name}", scores, own, lambda other: held_out(other, matrix))
    yield Strategy(
        f"the least usual {name}", -scores, -own, lambda other: _negated(held_out(other, matrix))
    )


def _negated(both: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    return -both[0], -both[1]


def _surplus(table: OptionTable) -> Floats:
    return np.asarray(table.truth - table.chance[table.item_of], dtype=float)


def _without_fold(table: OptionTable, matrix: Any) -> tuple[Floats, Floats]:
    """Return scores from all other folds, and from those of the row's own half."""
    surplus, size = _surplus(table), abs(matrix)
    fold, half = table.fold[table.item_of], table.half[table.item_of]
    sums, counts = np.zeros((2, 2, FOLDS, matrix.shape[1]))
    where = {}
    for part in range(2):
        for one in range(FOLDS):
            rows = np.flatnonzero((half == part) & (fold == one))
            where[part, one] = rows
            sums[part, one] = matrix[rows].T @ surplus[rows]
            counts[part, one] = np.asarray(size[rows].sum(axis=0)).ravel()
    scores, own = np.zeros((2, len(surplus)))
    for (part, one), rows in where.items():
        for result, parts in ((scores, [0, 1]), (own, [part])):
            true, seen = (
                of[parts].sum(axis=(0, 1)) - of[parts, one].sum(axis=0) for of in (sums, counts)
            )
            result[rows] = matrix[rows] @ (true / (seen + _PRIOR))
    # Rounded, so that sums in any order are equal and ties stay ties.
    return np.round(scores, 6), np.round(own, 6)


def _without_clip(table: OptionTable, matrix: Any) -> tuple[Floats, Floats]:
    """Return scores from all other clips, and from those of the row's own half."""
    clip, half = table.clip[table.item_of], table.half[table.item_of]
    row, key = _row(matrix), matrix.indices
    found: list[Floats] = []
    for of in (np.zeros_like(half), half):
        inner = clip * 2 + of  # a clip may have items in both halves
        true, seen = (
            (_gather(of) @ values).toarray()[of[row], key]
            - _values(_gather(inner) @ values, inner[row], key)
            for values in (_scaled(matrix, _surplus(table)), abs(matrix))
        )
        said = np.bincount(row, matrix.data * true / (seen + _PRIOR), matrix.shape[0])
        found.append(np.round(said.astype(float), 6))
    return found[0], found[1]


def _values(matrix: Any, rows: Ints, keys: Ints) -> Floats:
    """Return what a sparse matrix has in these places, one number each."""
    if not len(rows):  # scipy answers with a matrix
        return np.zeros(0)
    matrix.sum_duplicates()  # sorted: a place is then found by bisection
    return np.asarray(matrix[rows, keys], dtype=float).ravel()


def _row(matrix: Any) -> Ints:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _scaled(matrix: Any, by: Floats) -> Any:
    from scipy import sparse

    return (sparse.diags(by) @ matrix).tocsr()


def _gather(of: Ints) -> Any:
    from scipy import sparse

    shape = (int(of.max()) + 1, len(of))
    return sparse.csr_matrix((np.ones(len(of)), (of, np.arange(len(of)))), shape=shape)


def shown_elsewhere(
    table: OptionTable, shown: Any, asked: Any, group: Ints, own: Ints, looked_up: Any
) -> Floats:
    """Return how often other items of a group show what each option states, without any answer, (rows,).

    `group` and `own` number the items: those with the same `own` are left out. `shown` and `looked_up` are
    (rows, keys), `asked` is (items, keys), what the questions show. A key in half of an item's options
    counts 1/2, one in all of them 1.
    """
    share = _gather(table.item_of) @ _scaled(shown, table.chance[table.item_of]) + asked
    by_group, by_own = _gather(group) @ share, _gather(own) @ share
    row, key = _row(looked_up), looked_up.indices
    index = table.item_of[row]
    rest = _values(by_group, group[index], key) - _values(by_own, own[index], key)
    said = looked_up.data * rest
    return np.round(np.bincount(row, said, looked_up.shape[0]), 6)


def numbered(values: Iterable[Hashable], table: OptionTable) -> Ints:
    """Return the number of each item's value, for each of its rows, (rows,)."""
    return np.asarray(codes(values)[table.item_of], dtype=np.int64)
