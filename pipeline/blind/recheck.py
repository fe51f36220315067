"""How well readers that know the other questions' answers answer those that were kept. Pure.

The prior (`blind/prior.py`) knows routes; these readers learn from the kept questions alone, so they show
where the prior was wrong. The best is chosen on other scenes than those it is measured on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.blind.memory import Lists
from pipeline.blind.null import COUPLED
from pipeline.blind.prior import COMBINATIONS, Cell, Pairs, Reader
from pipeline.blind.sheet import FOLDS, Floats, Ints
from pipeline.blind.weighing import fitted, weighed

_MOST = 1_500  # pairs of a cell: more make the figure no clearer
_LEAST = 40
_SHRINK = 4.0  # pairs
_DAMPING, _STEPS = 4.0, 15  # of the regression


@dataclass(frozen=True)
class Found:
    """The accuracy of the best reader on a cell's pairs, and its standard error."""

    reader: str
    accuracy: float
    pairs: int
    error: float

    def leaks(self, limit: float, sigmas: float) -> bool:
        """Return whether the accuracy is above the limit by a standard error, and above chance by `sigmas`."""
        return self.accuracy - self.error > limit and self.accuracy - 0.25 > sigmas * self.error


def answered(reader: Reader, pairs: Pairs, kept: Ints) -> Mapping[int, Found]:
    """Return for each cell how well the best reader answers its kept pairs."""
    found = {}
    for cell in np.unique(pairs.cell[kept]):
        at = kept[pairs.cell[kept] == cell]
        at = at[:: -(-len(at) // _MOST)]
        if len(at) >= _LEAST:
            found[int(cell)] = _best(reader, pairs, at)
    return found


def _best(reader: Reader, pairs: Pairs, at: Ints) -> Found:
    first, second, truth = pairs.first[at], pairs.second[at], pairs.truth[at]
    fold = reader.views[0].fold[first]
    hits = {
        "their words": _words(reader, first, second, truth, fold) == truth,
        "how they are asked": _usual(reader, first, second, truth, fold) == truth,
        "the routes": _experts(reader, pairs[at], fold) == truth,
    }
    table = np.array(list(hits.values()))
    right, names = np.zeros(len(at)), []
    for one in np.unique(fold):
        best = int(table[:, fold != one].mean(axis=1).argmax()) if (fold != one).any() else 0
        right[fold == one] = table[best, fold == one]
        names.append(list(hits)[best])
    error = _error(right, reader.scenes[reader.spans[first]])
    return Found(max(set(names), key=names.count), float(right.mean()), len(at), error)


def _error(right: Floats, scene: Ints) -> float:
    """Return the standard error of an accuracy.

    Scenes are drawn, not pairs: where each route is walked five times, fair cells are often at 30 %. If these
    were closed, those left over would be below chance: somebody who knows that answers the opposite.
    """
    drawn = np.sqrt((np.bincount(scene, right - right.mean()) ** 2).sum()) / len(right)
    return float(max(np.sqrt(0.25 * 0.75 / len(right)), COUPLED * drawn))


def _experts(reader: Reader, pairs: Pairs, fold: Ints) -> Ints:
    """Answer by what the prior's experts say, weighed anew."""
    rows = Cell(reader, pairs).rows()
    return np.asarray(weighed(rows, fitted(rows, pairs.truth, fold), fold).argmax(axis=1))


def _usual(reader: Reader, first: Ints, second: Ints, truth: Ints, fold: Ints) -> Ints:
    """Answer with what is most often true where turns are named like this."""
    clue = np.where(reader.sided, reader.levels.clues()[0][:, 0], -1)
    _, like = np.unique(clue[first] * (clue.max() + 2) + clue[second], return_inverse=True)
    found = np.zeros(len(truth), dtype=np.int64)
    for one in np.unique(fold):
        others, tested = fold != one, fold == one
        usual = np.bincount(truth[others], minlength=4) / max(1, others.sum())
        seen = np.zeros((like.max() + 1, 4))
        np.add.at(seen, (like[others], truth[others]), 1)
        found[tested] = (seen + _SHRINK * usual)[like[tested]].argmax(axis=1)
    return found


def _words(reader: Reader, first: Ints, second: Ints, truth: Ints, fold: Ints) -> Ints:
    """Answer by a ridge regression on what each option states, alone and in pairs.

    A logistic regression answers as many, and takes two seconds more to load than all fits take.
    """
    from scipy import sparse

    columns, starts = _columns(reader, first, second)
    _, column = np.unique(columns, return_inverse=True)
    rows = np.repeat(np.arange(len(starts)), starts)
    table = sparse.csr_matrix((np.ones(len(rows)), (rows, column)))
    right = (np.arange(4) == truth[:, None]).ravel() - 1 / 4
    of = np.repeat(fold, 4)
    scores = np.zeros(len(right))
    for one in range(FOLDS):
        others, tested = of != one, of == one
        if tested.any() and others.any():
            weights = sparse.linalg.lsqr(
                table[others], right[others], damp=_DAMPING, iter_lim=_STEPS
            )
            scores[tested] = table[tested] @ weights[0]
    return np.asarray(scores.reshape(-1, 4).argmax(axis=1))


def _columns(reader: Reader, first: Ints, second: Ints) -> tuple[Ints, Ints]:
    """Return the numbers of what each option states, and how many each option has, four options a pair."""
    lists = [_by_row(one) for one in (reader.levels, reader.sums)]
    (context_start, context, _), many = _by_row(reader.context), 2 * len(reader.memory)
    span, sided = reader.spans, reader.sided

    def stated(fact: int) -> tuple[Ints, Ints]:
        slices = [slice(start[fact], start[fact + 1]) for start, _, _ in lists]
        parts = [(clue[at], sign[at]) for (_, clue, sign), at in zip(lists, slices, strict=True)]
        clues, signs = (np.concatenate(some) for some in zip(*parts, strict=True))
        return clues, signs

    found, lengths = [], []
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        facts = [stated(one), stated(other)]
        near = context[context_start[span[one]] : context_start[span[one] + 1]]
        for values in COMBINATIONS:
            codes = [
                2 * clues + (signs * value > 0)
                for (clues, signs), value in zip(facts, values, strict=True)
            ]
            beside = [
                2 * near + (value > 0)
                for fact, value in zip((one, other), values, strict=True)
                if sided[fact]
            ]
            both = (codes[0][:, None] * many + codes[1]).ravel() + 2 * many
            option = np.concatenate([*codes, *(some + many for some in beside), both])
            found.append(option)
            lengths.append(len(option))
    return np.concatenate(found), np.array(lengths)


def _by_row(lists: Lists) -> tuple[Ints, Ints, Ints]:
    at, _, clue, sign = lists.flat()
    return np.searchsorted(at, np.arange(lists.rows + 1)), clue, sign
