"""Readers of items that state two facts: they learn from other scenes' answers which values go together. Pure.

An *expert* is fitted to some of the items and then says, of every item, how much each option is to be
believed. Each is a strategy of its own, as it is and inverted; a conditional logit weighs all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from pipeline.blind.sheet import Bools, Floats, Ints, OptionTable, Strategy, codes
from pipeline.blind.statements import Stated, Statement, stated
from pipeline.blind.tallies import key_matrix
from pipeline.blind.weighing import fit, weighed

Strategies = Iterator[Strategy]
Expert = Callable[[Bools], Floats]
"""Takes which items to learn from, (m,), and returns what it says of each item's options, (m, 4)."""
_Keys = list[tuple[str, float]]

_PRIOR = 2.0  # what a tally of few items is shrunk by, in items
_LEAST = 60  # items that the logit needs
_CUTS: Mapping[str, slice] = {"name": slice(None), "head": slice(-1, None), "verb": slice(1)}


def majority(table: OptionTable) -> Strategies:
    """Choose what is usually true in other scenes: of a statement, its head nouns or its verbs."""
    yield from _each(table, _tallies)


def transitivity(table: OptionTable) -> Strategies:
    """Choose the order that follows from two or three orders in other scenes."""
    yield from _each(table, _chains)


def direction(table: OptionTable) -> Strategies:
    """Choose values that go together in other scenes: a corridor's names, walked one way or the other."""
    yield from _each(table, _directions)


def combined(table: OptionTable) -> Strategies:
    """Weigh all experts by a conditional logit."""
    found = stated(table)
    if len(found.items) < _LEAST:
        return
    experts = [*_tallies(table, found), *_chains(table, found), *_directions(table, found)]
    answers = np.array([table.items[index].answer for index in found.items.tolist()])
    cell = codes((table.items[at].task, table.items[at].contrast) for at in found.items.tolist())
    fold, half = table.fold[found.items], table.half[found.items]
    believe = [expert for _, expert in experts]
    everyone = np.ones(len(answers), bool)
    own = sum(_weighed(believe, answers, cell, fold, half == one) for one in (0, 1))
    yield Strategy(
        "all experts",
        found.spread(table, _weighed(believe, answers, cell, fold, everyone)),
        found.spread(table, np.asarray(own, float)),
    )


def _weighed(
    experts: Sequence[Expert], answers: Ints, cell: Ints, fold: Ints, within: Bools
) -> Floats:
    """Return each option's probability from the other folds, nested: (m, 4), 0 outside of `within`."""
    result = np.zeros((len(answers), 4))
    folds = sorted(set(fold.tolist()))

    def say(*left_out: int) -> Floats:
        kept = within & ~np.isin(fold, left_out)
        return np.stack([expert(kept) for expert in experts], axis=1)

    nested: dict[tuple[int, int], Floats] = {}
    for f, g in combinations(folds, 2):
        said = say(f, g)
        nested[f, g], nested[g, f] = said[fold == g], said[fold == f]
    for f in folds:
        rows = say(f)
        for g in folds:
            if g != f:
                rows[fold == g] = nested[f, g]
        for one in sorted(set(cell.tolist())):
            members = within & (cell == one)
            tested, fitted = members & (fold == f), members & (fold != f)
            if tested.any() and fitted.sum() >= _LEAST:
                weights = fit(rows[fitted], answers[fitted])[None]
                result[tested] = weighed(
                    rows[tested], weights, np.zeros(int(tested.sum()), np.int64)
                )
    return result


def _each(
    table: OptionTable,
    experts: Callable[[OptionTable, Stated], Iterable[tuple[str, Expert]]],
) -> Strategies:
    found = stated(table)
    if not len(found.items):
        return
    fold, half = table.fold[found.items], table.half[found.items]
    everyone = np.ones(len(fold), bool)
    for name, expert in experts(table, found):
        full = found.spread(table, _held_out(expert, fold, everyone))
        own = sum(_held_out(expert, fold, half == one) for one in (0, 1))
        spread = found.spread(table, np.asarray(own, float))
        yield Strategy(f"the most usual {name}", full, spread)
        yield Strategy(f"the least usual {name}", -full, -spread)


def _held_out(expert: Expert, fold: Ints, within: Bools) -> Floats:
    result = np.zeros((len(fold), 4))
    for one in sorted(set(fold.tolist())):
        tested = within & (fold == one)
        result[tested] = expert(within & (fold != one))[tested]
    return result


# ---- tallies -----------------------------------------------------------------------------------------


def _tallies(table: OptionTable, found: Stated) -> Iterator[tuple[str, Expert]]:
    contexts = [table.items[index].orientation for index in found.items.tolist()]
    for name, keys in _LEVELS.items():
        matrix = key_matrix(keys(fact) for facts in found.facts for fact in facts)
        yield name, _tally(matrix, found)
        if len({*contexts}) > 1 and name in ("statement", "side"):
            matrix = key_matrix(
                [(f"{context}: {key}", sign) for key, sign in keys(fact)]
                for facts, context in zip(found.facts, contexts, strict=True)
                for fact in facts
            )
            yield f"{name} of the task", _tally(matrix, found)
    for name in ("statement", "head nouns", "side"):
        matrix = key_matrix(_both(facts, _LEVELS[name]) for facts in found.facts)
        yield f"two {name}s together", _tally_of_both(matrix, found)


def _whole(fact: Statement) -> _Keys:
    sign = 1.0 if fact.kind != "order" or fact.names[0] <= fact.names[1] else -1.0
    return [(f"{fact.kind}: {fact.subject} {'/'.join(sorted(fact.names))}", sign)]


def _side(fact: Statement) -> _Keys:
    return [("/".join(fact.names), 1.0)] if fact.kind == "side" else []


def _ordered(level: str) -> Callable[[Statement], _Keys]:
    def keys(fact: Statement) -> _Keys:
        if fact.kind != "order":
            return []
        one, other = (" ".join(name.split()[_CUTS[level]]) for name in fact.names)
        if one == other:
            return []
        return [(f"{min(one, other)} | {max(one, other)}", 1.0 if one < other else -1.0)]

    return keys


def _early(level: str) -> Callable[[Statement], _Keys]:
    def keys(fact: Statement) -> _Keys:
        if fact.kind != "order":
            return []
        one, other = (" ".join(name.split()[_CUTS[level]]) for name in fact.names)
        return [(one, 1.0), (other, -1.0)]

    return keys


_LEVELS: Mapping[str, Callable[[Statement], _Keys]] = {
    "statement": _whole,
    "side": _side,
    "head nouns": _ordered("head"),
    "verbs": _ordered("verb"),
    "early name": _early("name"),
    "early head noun": _early("head"),
    "early verb": _early("verb"),
}


def _both(
    facts: tuple[Statement, Statement], keys: Callable[[Statement], _Keys]
) -> list[tuple[str, float]]:
    """Return what two facts are about together, with the sign of the product of their values."""
    found = [(key, sign) for fact in facts for key, sign in keys(fact)[:1]]
    if len(found) < 2:
        return []
    return [(" & ".join(sorted(key for key, _ in found)), found[0][1] * found[1][1])]


def _lean(matrix: Any, size: Any, truth: Floats, kept: Bools) -> Floats:
    """Return how much each row's keys speak for +1, from the rows that are kept."""
    sums, counts = matrix.T @ (truth * kept), size.T @ kept.astype(float)
    return np.asarray(matrix @ (sums / (counts + _PRIOR)), dtype=float)


def _tally(matrix: Any, found: Stated) -> Expert:
    size, truth = abs(matrix), found.truth.ravel()

    def say(kept: Bools) -> Floats:
        lean = _lean(matrix, size, truth, np.repeat(kept, 2)).reshape(-1, 2)
        return np.asarray((found.values * lean[:, None, :]).sum(axis=2), dtype=float)

    return say


def _tally_of_both(matrix: Any, found: Stated) -> Expert:
    size, truth = abs(matrix), found.truth.prod(axis=1)
    return lambda kept: found.values.prod(axis=2) * _lean(matrix, size, truth, kept)[:, None]


# ---- names in a fixed order, walked one way or the other -------------------------------------------------


def _chains(table: OptionTable, found: Stated) -> Iterator[tuple[str, Expert]]:
    where, names = _named_pairs(table, found)
    if len(where) == 0:
        return
    for hops in (2, 3):
        yield (
            f"order over {hops - 1} more name{'s' * (hops > 2)}",
            _chain(where, names, found, hops),
        )


def _named_pairs(table: OptionTable, found: Stated) -> tuple[Ints, int]:
    """Return each order's place among the facts and its two names as numbers, (orders, 3)."""
    number: dict[tuple[str, str], int] = {}
    rows = [
        (2 * at + slot, *(number.setdefault((way, name), len(number)) for name in fact.names))
        for at, facts in enumerate(found.facts)
        for way in (table.items[int(found.items[at])].orientation,)
        for slot, fact in enumerate(facts)
        if fact.kind == "order"
    ]
    return np.array(rows, np.int64).reshape(-1, 3), len(number)


def _chain(where: Ints, names: int, found: Stated, hops: int) -> Expert:
    from scipy import sparse

    place, one, other = where.T
    truth = found.truth.ravel()[place]

    def say(kept: Bools) -> Floats:
        used = np.repeat(kept, 2)[place]
        first = np.where(truth > 0, one, other)[used]
        second = np.where(truth > 0, other, one)[used]
        ones = np.ones(len(first))
        before = sparse.csr_matrix((ones, (first, second)), shape=(names, names))
        net = (before - before.T).multiply(1 / _PRIOR).maximum(0).minimum(1)
        far = net
        for _ in range(hops - 1):
            far = far @ net
        far = (far - far.T).tocsr()
        far.sum_duplicates()  # sorted: one of its values is then found by bisection
        lean = np.zeros(2 * len(kept))
        if len(place):
            lean[place] = np.asarray(far[one, other]).ravel()
        return np.asarray((found.values * lean.reshape(-1, 2)[:, None, :]).sum(axis=2), dtype=float)

    return say


def _directions(table: OptionTable, found: Stated) -> Iterator[tuple[str, Expert]]:
    """Yield experts on what decides many facts of a walk together, such as the way a corridor is walked.

    Each fact is a direction in the space of names: an order from one to the other, a side along its turn.
    What is true of the same clip, or of the same scene, shows which directions go together.
    """
    ways = [table.items[index].orientation for index in found.items.tolist()]
    matrix = key_matrix(
        [(f"{way} {key}", sign) for key, sign in keys(fact)]
        for facts, way in zip(found.facts, ways, strict=True)
        for fact in facts
        for keys in (_early("name") if fact.kind == "order" else _whole,)
    )
    for name, of, hops in (
        ("clip", table.clip, 1),
        ("clip", table.clip, 2),
        ("scene", table.group, 1),
    ):
        over = ", over another fact" if hops > 1 else ""
        yield f"direction of a {name}{over}", _direction(matrix, of[found.items], found, hops)


def _direction(matrix: Any, walk: Ints, found: Stated, hops: int) -> Expert:
    from scipy import sparse

    truth, walk_of = found.truth.ravel(), np.repeat(walk, 2)
    first, second = matrix[0::2], matrix[1::2]

    def say(kept: Bools) -> Floats:
        used = np.flatnonzero(np.repeat(kept, 2))
        true = sparse.diags(truth[used]) @ matrix[used]
        scale = 1 / np.sqrt(np.asarray(abs(true).sum(axis=0)).ravel() + _PRIOR)
        true = true @ sparse.diags(scale)
        gather = sparse.csr_matrix(
            (np.ones(len(used)), (walk_of[used], np.arange(len(used)))),
            shape=(int(walk.max()) + 1, len(used)),
        )
        walks = gather @ true
        # A fact goes with itself whatever is true.
        together = walks.T @ walks - true.T @ true
        for _ in range(hops - 1):
            together = together @ together
        scaled = sparse.diags(scale)
        lean = (first @ scaled @ together).multiply(second @ scaled).sum(axis=1)
        return np.asarray(found.values.prod(axis=2) * np.asarray(lean), dtype=float)

    return say
