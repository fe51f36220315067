"""The hidden factors of walks: places that go together, or all the other way, such as the direction of a walk. Pure."""

import math
from array import array
from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.blind.memory import SHRINK
from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints

FACTORS = 4
_MOST_WALKS = 10_000
_DENSE = 600  # names: with fewer, a dense decomposition is faster


class Places:
    """Where each name is in each walk, from -1 to 1."""

    def __init__(self) -> None:
        """Know no walk yet."""
        self._column: dict[str, int] = {}
        self._rows, self._columns, self._values = array("l"), array("l"), array("d")
        self._facts, self._axes, self._weights = array("l"), array("l"), array("d")
        self._asked = 0

    def learn(self, row: int, where: Mapping[str, float]) -> None:
        """Learn where the names of one walk are."""
        for name, value in where.items():
            self._rows.append(row)
            self._columns.append(self._column.setdefault(name, len(self._column)))
            self._values.append(value)

    def ask(self, axis: Iterable[tuple[str, float]]) -> None:
        """Add the next fact: the combination of places that is positive where it is true."""
        for name, weight in axis:
            if (column := self._column.get(name)) is not None:
                self._facts.append(self._asked)
                self._axes.append(column)
                self._weights.append(weight)
        self._asked += 1

    def follow(self, fold: Ints, spans: Ints) -> Floats:
        """Return how each fact follows each factor of the walks in other folds, (facts, factors)."""
        from scipy import sparse

        axes = sparse.csr_matrix(
            (np.array(self._weights), (np.array(self._facts, int), np.array(self._axes, int))),
            shape=(self._asked, max(1, len(self._column))),
        )
        found = np.zeros((self._asked, FACTORS))
        for one in range(FOLDS):
            tested = np.flatnonzero(fold[spans] == one)
            found[tested] = axes[tested] @ self._loads(fold != one)
        return found

    def _loads(self, kept: Bools) -> Floats:
        from scipy import sparse
        from scipy.sparse.linalg import svds

        kept = kept & (np.arange(len(kept)) % max(1, len(kept) // _MOST_WALKS) == 0)
        rows, columns = np.array(self._rows, int), np.array(self._columns, int)
        at = kept[rows]
        rows, columns, values = rows[at], columns[at], np.array(self._values)[at]
        shape = (len(kept), max(1, len(self._column)))
        seen = np.bincount(columns, minlength=shape[1])
        mean = np.bincount(columns, values, minlength=shape[1]) / (seen + SHRINK)
        around = sparse.csr_matrix((values - mean[columns], (rows, columns)), shape=shape)
        loads = np.zeros((shape[1], FACTORS))
        rank = min(FACTORS, min(shape) - 1)
        if rank <= 0 or not around.nnz:
            return loads
        if shape[1] <= _DENSE:
            squares, vectors = np.linalg.eigh((around.T @ around).toarray())
            strength, vectors = np.sqrt(np.maximum(squares[-rank:], 0)), vectors[:, -rank:]
        else:
            _, strength, found = svds(around, k=rank, random_state=0)
            vectors = found.T
        loads[:, :rank] = vectors * (strength / math.sqrt(float((around.data**2).sum()) or 1.0))
        return loads
