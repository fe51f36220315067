"""Structural attacks: strategies for answering a test from its text and columns alone. Pure.

An attack is a family of strategies, each a scoring of all option rows. A strategy is chosen on one half
of the groups and measured on the other, so a family of hundreds stays at chance if nothing leaks.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import eq

import numpy as np

from pipeline.blind.amounts import amounts
from pipeline.blind.context import context
from pipeline.blind.learners import per_item, words
from pipeline.blind.lookups import columns, letters, missing_siblings, sorted_rank
from pipeline.blind.names import file_names
from pipeline.blind.orders import combined, direction, majority, transitivity
from pipeline.blind.parts import inverse, pieces, self_inverse, sides
from pipeline.blind.replay import replay
from pipeline.blind.scenes import disclosure, existing, neighbours, pooling, scene
from pipeline.blind.sense import common_sense
from pipeline.blind.sequences import name_sequences, side_sequences
from pipeline.blind.sheet import Floats, OptionTable, Strategy

Strategies = Iterator[Strategy]


@dataclass(frozen=True)
class Attack:
    """One family of strategies for answering blind."""

    name: str
    how: str
    strategies: Callable[[OptionTable], Strategies]


def _alike(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of positions where two sequences agree."""
    return int(sum(map(eq, one, other))) / max(1, len(one), len(other))


def _jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    a, b = set(one), set(other)
    return len(a & b) / max(1, len(a | b))


def _bigrams(text: str) -> list[str]:
    found = words(text)
    return [f"{a} {b}" for a, b in zip(["", *found], [*found, ""], strict=True)]


def _both(name: str, scores: Floats) -> Strategies:
    yield Strategy(f"most {name}", scores)
    yield Strategy(f"least {name}", -scores)


# ---- the options of one item -----------------------------------------------------------------------


def centrality(sheet: OptionTable) -> Strategies:
    """Choose the option most or least similar to the others."""
    for name, view, alike in (
        ("similar to the others by position", pieces, _alike),
        ("similar to the others by words", words, _jaccard),
        ("similar to the others by bigrams", _bigrams, _jaccard),
    ):
        seen = [view(text) for text in sheet.texts]
        yield from _both(
            name,
            per_item(
                sheet,
                lambda rows, seen=seen, alike=alike: [  # type: ignore[misc]
                    sum(alike(seen[row], seen[other]) for other in rows if other != row)
                    for row in rows
                ],
            ),
        )
    yield from _both("contained in the others", _contained(sheet))


def _contained(sheet: OptionTable) -> Floats:
    parts = [" \0 ".join(pieces(text)) for text in sheet.texts]
    return per_item(
        sheet,
        lambda rows: [
            float(sum(parts[row] in parts[other] for other in rows if other != row)) for row in rows
        ],
    )


def shape(sheet: OptionTable) -> Strategies:
    """Choose by length, number of parts, repetition, sides, size of numbers or alphabetical order."""
    texts = sheet.texts
    yield from _both("characters", np.array([len(text) for text in texts], float))
    yield from _both("words", np.array([len(words(text)) for text in texts], float))
    yield from _both("parts", np.array([len(pieces(text)) for text in texts], float))
    yield from _both(
        "repetition", np.array([len(p) - len(set(p)) for p in map(pieces, texts)], float)
    )
    yield from _both("left turns", np.array([sides(t).count("left") for t in texts], float))
    yield from _both("changes of side", np.array([_changes(sides(text)) for text in texts], float))
    yield from _both("self-inverse", np.array([self_inverse(text) for text in texts], float))
    yield from amounts(sheet)
    for rank in range(int(sheet.size.max())):
        yield Strategy(f"sorted rank {rank}", (sorted_rank(sheet) == rank).astype(float))


def _changes(sequence: Sequence[str]) -> int:
    return sum(one != other for one, other in pairwise(sequence))


# ---- the items of one clip -------------------------------------------------------------------------


def intersection(sheet: OptionTable) -> Strategies:
    """Choose the option whose text or inverse is, or nearly is, an option of a sibling."""
    straight = [pieces(text) for text in sheet.texts]
    turned = [inverse(text) for text in sheet.texts]
    exact, near, mirrored, both = (np.zeros(len(straight)) for _ in range(4))
    for index in range(len(sheet.items)):
        for other in sheet.siblings(index):
            theirs = [straight[row] for row in sheet.rows(other)]
            for row in sheet.rows(index):
                exact[row] += straight[row] in theirs
                mirrored[row] += turned[row] in theirs
                near[row] += max(_alike(turned[row], their) for their in theirs)
                both[row] += straight[row] in theirs or turned[row] in theirs
    yield from _both("often a sibling's option", exact)
    yield from _both("often the inverse of a sibling's option", mirrored)
    yield from _both("nearly the inverse of a sibling's option", near)
    yield from _both("often either", both)
    shared = _equalized(sheet, mirrored + exact)
    yield Strategy("each option equally often among items with the same options", shared)


def _equalized(sheet: OptionTable, scores: Floats) -> Floats:
    """Return scores by which items with the same options choose each equally often (Sinkhorn)."""
    result = np.zeros(len(scores))
    sets: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, item in enumerate(sheet.items):
        sets[tuple(sorted(item.options))].append(index)
    for options, members in sets.items():
        columns = {text: column for column, text in enumerate(dict.fromkeys(options))}
        where = np.array(
            [[columns[sheet.texts[row]] for row in sheet.rows(one)] for one in members]
        )
        weights = np.zeros((len(members), len(columns)))
        for line, one in enumerate(members):
            own = scores[list(sheet.rows(one))]
            # A clip with hundreds of items scores in the hundreds; bounded, exp neither overflows nor vanishes.
            weights[line, where[line]] = np.exp(np.maximum(3 * (own - own.max()), -50))
        for _ in range(20):
            weights /= weights.sum(axis=0, keepdims=True)
            weights /= weights.sum(axis=1, keepdims=True)
        for line, one in enumerate(members):
            result[list(sheet.rows(one))] = np.round(weights[line, where[line]], 6)
    return result


ATTACKS = (
    Attack("centrality", "the option most or least similar to the others", centrality),
    Attack("shape", "length, parts, repetition, sides, size of numbers, alphabetical order", shape),
    Attack(
        "intersection",
        "the option that another item of the clip also has, as it is or inverted",
        intersection,
    ),
    Attack(
        "disclosure", "the option that agrees with the text of the clip's other items", disclosure
    ),
    Attack("scene", "the option that other items of the scene, or of all scenes, show most", scene),
    Attack("neighbours", "the order in which names occur in neighbouring clips", neighbours),
    Attack("missing siblings", "which other tasks the clip has", missing_siblings),
    Attack("existence", "how many and which items and ordinals the clip has", existing),
    Attack("name order", "the usual order of names, learned from other answers", name_sequences),
    Attack("turn sequence", "total turning, own inverse, alternation, n-grams", side_sequences),
    Attack("file names", "the words of file names, ids and titles, and their order", file_names),
    Attack("common sense", "the order that one would expect without any training", common_sense),
    Attack("pooling", "what is true in the scene's other clips, or never true", pooling),
    Attack("majority", "what is usually true elsewhere: statement, nouns, verbs, side", majority),
    Attack("transitivity", "the order that follows from orders elsewhere", transitivity),
    Attack("direction", "values that go together elsewhere, such as on the way in", direction),
    Attack("combined", "the three above, weighed by a conditional logit", combined),
    Attack(
        "context",
        "the direction of the clip, from its other names, its length and its scene",
        context,
    ),
    Attack("letters", "the letter, from the row, previous letters, the order of options", letters),
    Attack("columns", "every published column except the answers, and pairs of columns", columns),
    Attack("replay", "the draw of letters, replayed with public seeds, names and ids", replay),
)
