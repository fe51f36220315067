"""Structural attacks: strategies for answering a test from its text and columns alone. Pure.

An attack is a family of strategies, each a scoring of all option rows. A strategy is chosen on one half
of the groups and measured on the other, so a family of hundreds stays at chance if nothing leaks.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from pipeline.blind.learners import per_item, words
from pipeline.blind.lookups import columns, letters, missing_siblings, sorted_rank
from pipeline.blind.orders import combined, direction, majority, transitivity
from pipeline.blind.parts import inverse, pieces, self_inverse, sides
from pipeline.blind.replay import replay
from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints, OptionTable, Strategy

Strategies = Iterator[Strategy]


@dataclass(frozen=True)
class Attack:
    """One family of strategies for answering blind."""

    name: str
    how: str
    strategies: Callable[[OptionTable], Strategies]


def _alike(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of positions where two sequences agree."""
    same = sum(a == b for a, b in zip(one, other, strict=False))
    return same / max(1, len(one), len(other))


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
    """Choose by length, number of parts, repetition, sides, changes of side or alphabetical order."""
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


def disclosure(sheet: OptionTable) -> Strategies:
    """Choose by what distinguishes an item's options, looked up in the clip's other items."""
    for name, facts in _FACTS.items():
        for turned in (False, True):
            label = f"{name} shown by a sibling{', inverted' if turned else ''}"
            yield Strategy(label, _disclosed(sheet, sheet.clip, facts, turned))


def scene(sheet: OptionTable) -> Strategies:
    """Choose what the scene's other items show most or least often, without any answer."""
    for name, facts in {"option": lambda parts: {parts}, **_FACTS}.items():
        for turned in (False, True):
            label = f"{name} shown in the scene{', inverted' if turned else ''}"
            yield from _both(label, _disclosed(sheet, sheet.group, facts, turned))


def _disclosed(
    sheet: OptionTable, group: Ints, facts: Callable[[tuple[str, ...]], set[object]], turned: bool
) -> Floats:
    """Return how often the other items of a group show what only some of an item's options state."""
    seen = [facts(pieces(text)) for text in sheet.texts]
    theirs = [facts(inverse(text)) for text in sheet.texts] if turned else seen
    shown: list[Counter[object]] = []
    by_all: dict[int, Counter[object]] = defaultdict(Counter)
    for index, item in enumerate(sheet.items):
        counts: Counter[object] = Counter()
        for row in sheet.rows(index):
            counts.update(theirs[row])
        # A fact in all of an item's options counts 1, one in half of them 1/2.
        own = Counter({fact: n / len(item.options) for fact, n in counts.items()})
        own.update(dict.fromkeys(facts(pieces(item.question)), 1))
        shown.append(own)
        by_all[int(group[index])].update(own)
    scores = np.zeros(len(seen))
    for index in range(len(sheet.items)):
        rows, own, total = sheet.rows(index), shown[index], by_all[int(group[index])]
        common = set.intersection(*(seen[row] for row in rows))
        for row in rows:
            # Rounded, so that sums in any order are equal and ties stay ties.
            scores[row] = round(sum(total[fact] - own[fact] for fact in seen[row] - common), 6)
    return scores


def _ordered(parts: tuple[str, ...]) -> set[object]:
    return {(a, b) for a, b in combinations(parts, 2) if a != b}


def _sided(parts: tuple[str, ...]) -> set[object]:
    return set(enumerate(side for part in parts for side in sides(part)))


def _neighbours(parts: tuple[str, ...]) -> set[object]:
    return set(zip(("", *parts), (*parts, ""), strict=True))


_FACTS: dict[str, Callable[[tuple[str, ...]], set[object]]] = {
    "part": lambda parts: set(parts),
    "place": lambda parts: set(enumerate(parts)),
    "order": _ordered,
    "side": _sided,
    "neighbour": _neighbours,
}


# ---- trained on other answers ---------------------------------------------------------------------


def name_order(sheet: OptionTable) -> Strategies:
    """Choose by the order of parts, learned from the answers to other items."""
    for name, view in (("parts", pieces), ("words", lambda text: tuple(words(text)))):
        pairs = [_ordered(view(text)) for text in sheet.texts]
        everyone = np.ones(len(pairs), bool)
        own = np.zeros(len(pairs))
        for half in (0, 1):
            own += _usual_order(sheet, pairs, sheet.half[sheet.item_of] == half)
        yield Strategy(f"the usual order of {name}", _usual_order(sheet, pairs, everyone), own)


def _usual_order(sheet: OptionTable, pairs: list[set[object]], within: Bools) -> Floats:
    scores, fold = np.zeros(len(pairs)), sheet.fold[sheet.item_of]
    for number in range(FOLDS):
        before: Counter[object] = Counter()
        for row in np.flatnonzero(within & sheet.truth & (fold != number)).tolist():
            before.update(pairs[row])
        for row in np.flatnonzero(within & (fold == number)).tolist():
            scores[row] = sum(
                math.log((before[pair] + 1) / (before[pair[::-1]] + 1)) for pair in pairs[row]
            )
    return np.round(scores, 6)


ATTACKS = (
    Attack("centrality", "the option most or least similar to the others", centrality),
    Attack("shape", "length, parts, repetition, changes of side, alphabetical order", shape),
    Attack(
        "intersection",
        "the option that another item of the clip also has, as it is or inverted",
        intersection,
    ),
    Attack(
        "disclosure", "the option that agrees with the text of the clip's other items", disclosure
    ),
    Attack("scene", "the option that agrees with the text of the scene's other items", scene),
    Attack("missing siblings", "which other tasks the clip has", missing_siblings),
    Attack("name order", "the usual order of names, learned from other answers", name_order),
    Attack("majority", "what is usually true elsewhere: statement, nouns, verbs, side", majority),
    Attack("transitivity", "the order that follows from orders elsewhere", transitivity),
    Attack("direction", "values that go together elsewhere, such as on the way in", direction),
    Attack("combined", "the three above, weighed by a conditional logit", combined),
    Attack("letters", "the letter, from the row, previous letters, the order of options", letters),
    Attack("columns", "every published column except the answers, and pairs of columns", columns),
    Attack("replay", "the draw of letters, replayed with public seeds, names and ids", replay),
)
