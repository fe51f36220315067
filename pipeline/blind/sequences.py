"""Readers of options that are sequences: of names on a way, and of sides. Pure.

Without any answer: total turning (a closed walk turns by 0 or 360 degrees), a walk that undoes itself,
alternation. From the answers of other items: n-grams, names that are neighbours or between two others
whichever way a corridor is walked, and which places go together.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from pipeline.blind.learners import words
from pipeline.blind.parts import inverse, pieces, sides
from pipeline.blind.sheet import FOLDS, Bools, Floats, OptionTable, Strategy
from pipeline.blind.statements import order_of, stated
from pipeline.blind.tallies import counted, key_matrix, numbered, usual

Strategies = Iterator[Strategy]
Sequences = list[list[tuple[str, ...]]]
"""The sequences of names that each option row states, in the order of the rows."""

_LONGEST = 4  # n-grams of sides
_MOST_NAMES = 12  # of an option; orders of more names cost more than they tell
_MOST_WORDS = 14


def named_sequences(table: OptionTable) -> Sequences:
    """Return the sequences of names that each option states: `a -> b -> c`, or `a before b`.

    Two statements give two sequences of two names; sides are no names.
    """
    listed = [tuple(part for part in pieces(text) if not sides(part)) for text in table.texts]
    found: Sequences = [[] for _ in listed]
    two = stated(table)
    for at, facts in enumerate(two.facts):
        for option, row in enumerate(two.rows[at].tolist()):
            for slot, fact in enumerate(facts):
                if fact.kind == "order":
                    forward = two.values[at, option, slot] > 0
                    found[row].append(fact.names if forward else fact.names[::-1])
    taken = {*two.items.tolist()}
    for index, item in enumerate(table.items):
        rows = list(table.rows(index))
        orders = order_of(item.options)
        # Whoever parses four orders of four names as two statements misses who is between whom.
        permuted = len({tuple(sorted(listed[row])) for row in rows}) == 1
        if permuted and len(listed[rows[0]]) > 2:
            for row in rows:
                found[row] = [listed[row][:_MOST_NAMES]]
        elif index not in taken:
            for option, row in enumerate(rows):
                if len(listed[row]) > 1:
                    found[row] = [listed[row][:_MOST_NAMES]]
                elif orders:
                    found[row] = [orders[option]]
    return found


def backwards(table: OptionTable, row: int) -> bool:
    """Return whether a row's item asks about the way back."""
    way = table.items[int(table.item_of[row])]
    return way.orientation == "reverse" or way.task.endswith("reverse")


def in_walking_order(table: OptionTable, found: Sequences) -> Sequences:
    """Return the sequences as they would be on the way there."""
    return [
        [one[::-1] for one in sequences] if backwards(table, row) else sequences
        for row, sequences in enumerate(found)
    ]


# ---- names ---------------------------------------------------------------------------------------------


def name_sequences(table: OptionTable) -> Strategies:
    """Choose neighbours, triples and places of names that are usual elsewhere, walked either way."""
    said = named_sequences(table)
    walked = in_walking_order(table, said)
    turned_back = numbered((backwards(table, int(row)) for row in table.first), table)
    for name, keys in (
        ("order of names", _pairs),
        ("neighbours", _neighbours),
        ("triple of names", _triples),
        ("neighbours, either way", _unordered_neighbours),
        ("name between two others, either way", _between),
    ):
        yield from usual(table, name, counted(keys(one) for one in walked))
        if turned_back.any() and name in ("order of names", "neighbours"):
            yield from usual(table, f"{name} as said", counted(keys(one) for one in said))
    bags = [words(text)[:_MOST_WORDS] for text in table.texts]
    yield from usual(table, "order of words", counted(combinations(bag, 2) for bag in bags))
    places = key_matrix(_places(one) for one in walked)
    yield from usual(table, "place of names", places)
    for hops in (1, 2):
        over = ", over another name" if hops > 1 else ""
        yield from _together(table, places, f"places that go together{over}", hops)


def _pairs(sequences: Sequence[tuple[str, ...]]) -> Iterator[object]:
    return (pair for one in sequences for pair in combinations(one, 2))


def _neighbours(sequences: Sequence[tuple[str, ...]]) -> Iterator[object]:
    return (pair for one in sequences for pair in pairwise(("", *one, "")))


def _unordered_neighbours(sequences: Sequence[tuple[str, ...]]) -> Iterator[object]:
    return (tuple(sorted(pair)) for one in sequences for pair in pairwise(one))


def _triples(sequences: Sequence[tuple[str, ...]]) -> Iterator[object]:
    return (three for one in sequences for three in zip(one, one[1:], one[2:], strict=False))


def _between(sequences: Sequence[tuple[str, ...]]) -> Iterator[object]:
    """Yield the middle of each three names with its two others, which have no order."""
    for one in sequences:
        for first, middle, last in combinations(one, 3):
            yield middle, *sorted((first, last))


def _places(sequences: Sequence[tuple[str, ...]]) -> list[tuple[str, float]]:
    """Return where each name is in its sequence, from -1 to 1."""
    return [
        (name, 2 * at / (len(one) - 1) - 1)
        for one in sequences
        if len(one) > 1
        for at, name in enumerate(one)
    ]


def _together(table: OptionTable, places: Any, name: str, hops: int) -> Strategies:
    """Yield the options whose places go together in other items' answers: all of them, or all reversed."""
    fold, half = table.fold[table.item_of], table.half[table.item_of]
    everyone = np.ones(len(fold), bool)
    scores, own = np.zeros((2, len(fold)))
    for one in range(FOLDS):
        tested = fold == one
        scores[tested] = _agree(table, places, everyone & ~tested, tested, hops)
        for part in (0, 1):
            mine = tested & (half == part)
            own[mine] = _agree(table, places, (half == part) & ~tested, mine, hops)
    yield Strategy(f"the most usual {name}", scores, own)
    yield Strategy(f"the least usual {name}", -scores, -own)


def _agree(table: OptionTable, places: Any, kept: Bools, tested: Bools, hops: int) -> Floats:
    from scipy import sparse

    true, all_rows = places[kept & table.truth], places[kept]
    share = sparse.diags(table.chance[table.item_of][kept])
    # What all options show together is subtracted: only what the answers add tells anything.
    joint = (true.T @ true - all_rows.T @ share @ all_rows).tocsr()
    # A name goes with itself whatever is true.
    joint = joint - sparse.diags(joint.diagonal())
    for _ in range(hops - 1):
        joint = (joint @ joint).tocsr()
        joint = joint - sparse.diags(joint.diagonal())
    mine = places[tested]
    said = np.asarray((mine @ joint).multiply(mine).sum(axis=1), dtype=float).ravel()
    largest = float(np.abs(said).max(initial=0)) or 1.0
    return np.round(said / largest, 9)


# ---- sides ---------------------------------------------------------------------------------------------


def side_sequences(table: OptionTable) -> Strategies:
    """Choose by total turning, own inverse and alternation, and by n-grams learned elsewhere."""
    turns = [_sides(text) for text in table.texts]
    if not any(len(one) > 1 for one in turns):
        return
    net = np.array([sum(one) for one in turns], float)
    for name, scores in (
        ("turning to one side", np.abs(net)),
        ("left", net),
        ("closing after 360 degrees", -np.abs(np.abs(net) - 4)),
        ("undoing itself", np.array([_undone(one) for one in turns])),
        ("alternating", np.array([_changes(one) for one in turns], float)),
        ("in twos", np.array([_in_twos(one) for one in turns])),
        ("like its first turn", np.array([_like_first(one) for one in turns])),
    ):
        yield Strategy(f"most {name}", scores)
        yield Strategy(f"least {name}", -scores)
    for longest in range(1, _LONGEST + 1):
        yield from usual(
            table, f"{longest}-gram of sides", counted(_grams(one, longest, False) for one in turns)
        )
        yield from usual(
            table,
            f"{longest}-gram of sides, or its mirror image",
            counted(_grams(one, longest, True) for one in turns),
        )
    forward = [
        _sides(" ".join(inverse(text))) if backwards(table, row) else turns[row]
        for row, text in enumerate(table.texts)
    ]
    for name, mirrored in (("sides from start to end", False), ("the same or its mirror", True)):
        yield from usual(table, name, counted(_grams(one, 3, mirrored) for one in forward))
    yield from usual(table, "total turning", counted([sum(one), abs(sum(one))] for one in turns))
    yield from usual(table, "shape of a walk", counted(_outline(one) for one in turns))


@lru_cache(2**16)
def _sides(text: str) -> tuple[int, ...]:
    """Return the sides in a text: 1 for left, -1 for right."""
    return tuple(1 if side == "left" else -1 for side in sides(text))


def _changes(turns: Sequence[int]) -> int:
    return sum(one != other for one, other in pairwise(turns))


def _undone(turns: Sequence[int]) -> float:
    """Return the share of turns that the walk, reversed with its sides swapped, has in common."""
    same = sum(one == -other for one, other in zip(turns, reversed(turns), strict=True))
    return same / max(1, len(turns))


def _in_twos(turns: Sequence[int]) -> float:
    """Return how well left, left, right, right fits: each turn against the one two before it."""
    return sum(one != other for one, other in zip(turns, turns[2:], strict=False)) / max(
        1, len(turns) - 2
    )


def _like_first(turns: Sequence[int]) -> float:
    return sum(one == turns[0] for one in turns) / len(turns) if turns else 0.0


@lru_cache(2**16)
def _grams(turns: tuple[int, ...], longest: int, mirrored: bool) -> tuple[object, ...]:
    """Return the n-grams up to this length with the walk's ends; `mirrored`, each begins with a left."""
    padded = (0, *turns, 0)
    found: list[object] = []
    for size in range(min(2, longest), longest + 1):
        for at in range(len(padded) - size + 1):
            gram = padded[at : at + size]
            lead = next((one for one in gram if one), 1) if mirrored else 1
            found.append(tuple(one * lead for one in gram))
    return tuple(found)


def _outline(turns: Sequence[int]) -> list[object]:
    """Return what a walk looks like as a whole, whichever way round it is walked."""
    net, count = abs(sum(turns)), len(turns)
    return [
        ("net", net, count),
        ("changes", _changes(turns), count),
        ("undone", round(_undone(turns) * count), count),
        ("twos", round(_in_twos(turns), 3)),
        ("pattern", tuple(one * turns[0] for one in turns) if turns else ()),
    ]
