"""A reader that tells the direction of a clip by what else is shown of it. Pure.

A commuter who buys a coffee comes from the station, one who calls home walks back to it; on one path long
clips go uphill; the branch that sells flowers has its shelves the other way round. What is true of other
clips shows which names come early together, and which clues go with that.
"""

from bisect import bisect
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from scipy import sparse

from pipeline.blind.factors import Signs
from pipeline.blind.parts import pieces, sides
from pipeline.blind.sequences import Sequences, in_walking_order, named_sequences
from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints, OptionTable, Strategy, codes
from pipeline.blind.tallies import key_matrix

_LEAST = 60  # clips to learn from
_MOST_NAMES = 400  # the most frequent ones
_BINS = 8  # of a column of numbers
_SHRINK = 2.0  # clips
# Clips; 10 to 400 were tried on five worlds that leak: 100 gave most, 10 up to 5 points less.
_RIDGE = 100.0
_AXES = {"one axis": 1, "three axes": 3}


def context(table: OptionTable) -> Iterator[Strategy]:
    """Choose orders and sides by the direction that the clip's other names, its length or its scene tell."""
    names = named_sequences(table)
    states = _states(table, names)
    truths = _truths(table, states)
    asked = np.diff(truths.indptr) > 0
    if asked.sum() < _LEAST:
        return
    fold, half, scene = (_of_clip(table, of) for of in (table.fold, table.half, table.group))
    signs = _signs(table, names, scene)

    def held_out(within: Bools) -> Floats:
        """Return each row's score by each number of axes, (axes, rows), learned from other folds within."""
        scores = np.zeros((len(_AXES), len(table.texts)))
        clip = table.clip[table.item_of]
        for one in range(FOLDS):
            used = np.flatnonzero(within & asked & (fold != one))
            rows = np.flatnonzero((within & (fold == one))[clip])
            if len(used) < _LEAST:
                continue
            expected, scale, axes = _learned(truths, signs, used)
            follows = states[rows].multiply(scale).tocsr() @ axes
            along = np.cumsum(follows * (expected @ axes)[clip[rows]], axis=1)
            for at, count in enumerate(_AXES.values()):
                # Rounded, so that sums in any order are equal and ties stay ties.
                scores[at, rows] = np.round(along[:, min(count, axes.shape[1]) - 1], 6)
        return scores

    full = held_out(np.ones(len(asked), bool))
    own = held_out(half == 0) + held_out(half == 1)
    for name, scores, half_scores in zip(_AXES, full, own, strict=True):
        yield Strategy(f"most in the direction shown, on {name}", scores, half_scores)
        yield Strategy(f"least in the direction shown, on {name}", -scores, -half_scores)


def _learned(truths: Any, signs: Signs, used: Ints) -> tuple[Floats, Floats, Floats]:
    """Return the names expected early in each clip, (clips, names), their scale, and axes, (names, axes).

    This is a regression of reduced rank: of what the signs tell of each name, only the axes on which they
    tell most are kept. What is usual of a name is left to other readers.
    """
    seen = truths[used]
    often = np.bincount(seen.indices, minlength=truths.shape[1])
    mean = np.asarray(seen.sum(axis=0)).ravel() / (often + _SHRINK)
    scale = 1 / np.sqrt(often + _SHRINK)
    centred = truths.copy()
    centred.data = (truths.data - mean[truths.indices]) * scale[truths.indices]
    expected = signs.expected(used, centred.toarray(), _RIDGE)
    _, vectors = np.linalg.eigh(expected[used].T @ expected[used])
    return expected, scale, vectors[:, ::-1][:, : max(_AXES.values())]


def _of_clip(table: OptionTable, of_item: Ints) -> Ints:
    return of_item[[own[0] for own in table.clips.values()]]


def _states(table: OptionTable, names: Sequences) -> Any:
    """Return how early each name is in each option, from 1 to -1, and which sides it states, (rows, names)."""
    found: list[list[tuple[object, float]]] = []
    for row, walked in enumerate(in_walking_order(table, names)):
        item = table.items[int(table.item_of[row])]
        early: list[tuple[object, float]] = [
            (name, 1 - 2 * at / (len(sequence) - 1))
            for sequence in walked
            for at, name in enumerate(sequence)
        ]
        parts = enumerate(pieces(table.texts[row]))
        way = item.orientation or item.task
        found.append(early + [((way, at, part), 1.0) for at, part in parts if sides(part)])
    matrix = key_matrix(found)
    often = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return matrix[:, np.sort(np.argsort(-often, kind="stable")[:_MOST_NAMES])]


def _truths(table: OptionTable, states: Any) -> Any:
    """Return what is true in each clip, less what the options show anyway, (clips, names)."""
    surplus = table.truth - table.chance[table.item_of]
    where = (table.clip[table.item_of], np.arange(len(surplus)))
    gather = sparse.csr_matrix((surplus, where), shape=(len(table.clips), len(surplus)))
    found = (gather @ states).tocsr()
    found.data[abs(found.data) < 1e-9] = 0
    found.eliminate_zeros()
    return found


def _signs(table: OptionTable, names: Sequences, scene: Ints) -> Signs:
    """Return what each clip shows: its names, which and how many items it has, and its columns of numbers."""
    shown: list[tuple[int, object]] = []
    for clip, own in enumerate(table.clips.values()):
        clues: set[object] = {("items", len(own))}
        for index in own:
            item = table.items[index]
            clues.add((item.cell, item.orientation))
            for row in table.rows(index):
                clues.update(chain.from_iterable(names[row]))
        shown += [(clip, clue) for clue in clues]
    columns = [table.items[own[0]].columns for own in table.clips.values()]
    for name in sorted({*chain.from_iterable(columns)}):
        numbers = {
            clip: value
            for clip, cells in enumerate(columns)
            if isinstance(value := cells.get(name), int | float) and value == value
        }
        # Compared, never calculated with: a broken row's number may be infinite, or too large for a float.
        ranked = sorted(numbers.values())
        edges = sorted({ranked[len(ranked) * cut // _BINS] for cut in range(1, _BINS) if ranked})
        shown += [(clip, (name, bisect(edges, value))) for clip, value in numbers.items()]
    walk = np.array([clip for clip, _ in shown], np.int64)
    return Signs(walk, codes(clue for _, clue in shown), scene)
