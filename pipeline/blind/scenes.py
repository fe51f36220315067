"""Readers of what a scene's items have in common: what they show, what is true in them, and which exist. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np

from pipeline.blind.parts import inverse, pieces, sides
from pipeline.blind.sequences import in_walking_order, named_sequences
from pipeline.blind.sheet import Floats, Ints, OptionTable, ProbeItem, Strategy
from pipeline.blind.statements import stated
from pipeline.blind.tallies import counted, crossed, numbered, shown_elsewhere, usual

Strategies = Iterator[Strategy]

_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("last", "final", "next"),
)
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_MOST_CLIPS = 50  # neighbours of a scene with more are looked at in its first ones
_MOST_NAMES = 24  # of a clip


def _ordered(parts: Sequence[str]) -> set[object]:
    return {(a, b) for a, b in combinations(parts, 2) if a != b}


def _sided(parts: Sequence[str]) -> set[object]:
    return set(enumerate(side for part in parts for side in sides(part)))


def _neighbours(parts: Sequence[str]) -> set[object]:
    return set(zip(("", *parts), (*parts, ""), strict=True))


FACTS: Mapping[str, Callable[[tuple[str, ...]], set[object]]] = {
    "option": lambda parts: {parts},
    "part": lambda parts: set(parts),
    "place": lambda parts: set(enumerate(parts)),
    "order": _ordered,
    "side": _sided,
    "neighbour": _neighbours,
}
"""What an option states, from its parts: at the level of whole options, and of statements."""


@dataclass(frozen=True)
class _View:
    """What options and questions show of one kind of fact, with the keys of all in one numbering."""

    options: Any
    inverted: Any
    questions: Any


def disclosure(table: OptionTable) -> Strategies:
    """Choose by what distinguishes an item's options, looked up in the clip's other items."""
    views = {name: view for name, view in _views(table).items() if name != "option"}
    for name, scores in _shown(table, views, table.clip, np.arange(len(table.items))):
        yield Strategy(f"{name} shown by a sibling", scores)


def scene(table: OptionTable) -> Strategies:
    """Choose what the scene's other items or clips, or all others, show most or least, without any answer."""
    items, everywhere = np.arange(len(table.items)), np.zeros(len(table.items), np.int64)
    views = _views(table)
    for where, group, own in (
        ("in the scene", table.group, items),
        ("in the scene's other clips", table.group, table.clip),
        ("in other scenes", everywhere, table.group),
    ):
        for name, scores in _shown(table, views, group, own):
            yield Strategy(f"most {name} shown {where}", scores)
            yield Strategy(f"least {name} shown {where}", -scores)


def _views(table: OptionTable) -> Mapping[str, _View]:
    straight = [pieces(text) for text in table.texts]
    turned = [inverse(text) for text in table.texts]
    asked = [pieces(item.question) for item in table.items]
    count, found = len(straight), {}
    for name, facts in FACTS.items():
        # One matrix, so that what is turned around has the same keys.
        both = counted(facts(parts) for parts in (*straight, *turned, *asked))
        found[name] = _View(both[:count], both[count : 2 * count], both[2 * count :])
    return found


def _shown(
    table: OptionTable, views: Mapping[str, _View], group: Ints, own: Ints
) -> Iterator[tuple[str, Floats]]:
    for name, view in views.items():
        for label, shown in ((name, view.options), (f"{name}, inverted,", view.inverted)):
            scores = shown_elsewhere(table, shown, view.questions, group, own, view.options)
            yield label, scores


# ---- with the answers of the scene's other clips -------------------------------------------------------


def pooling(table: OptionTable) -> Strategies:
    """Choose what is true, or never true, in the same scene's other clips, and everywhere but in the clip."""
    matrices = {
        "option": counted([pieces(text)] for text in table.texts),
        "part": counted(pieces(text) for text in table.texts),
        "order": counted(_ordered(pieces(text)) for text in table.texts),
        "statement": counted(_statements(table)),
    }
    # What is true there is false on the way back: both together would tell nothing.
    in_scene = numbered(
        (
            (int(group), item.orientation)
            for group, item in zip(table.group, table.items, strict=True)
        ),
        table,
    )
    task = numbered(((item.task, item.contrast) for item in table.items), table)
    for name, matrix in matrices.items():
        yield from usual(table, f"{name} of the scene", crossed(matrix, in_scene), "clip")
        yield from usual(table, f"{name} but for the clip", matrix, "clip")
        yield from usual(table, f"{name} of the task", crossed(matrix, task), "clip")


def _statements(table: OptionTable) -> list[list[str]]:
    """Return each row's statements, of items whose options combine two."""
    found: list[list[str]] = [[] for _ in table.texts]
    two = stated(table)
    for facts, rows, values in zip(two.facts, two.rows.tolist(), two.values.tolist(), strict=True):
        for row, signs in zip(rows, values, strict=True):
            found[row] = [
                fact.values[0 if sign > 0 else 1] for fact, sign in zip(facts, signs, strict=True)
            ]
    return found


# ---- which facts and items exist -----------------------------------------------------------------------


def existing(table: OptionTable) -> Strategies:
    """Choose by which items, cells and ordinals the clip has: what isn't asked tells something, too."""
    parts = counted(pieces(text) for text in table.texts)
    turns = counted([tuple(sides(text))] for text in table.texts)
    for name, context in _contexts(table).items():
        yield from usual(table, f"part given {name}", crossed(parts, context))
        yield from usual(table, f"sides given {name}", crossed(turns, context))


def _contexts(table: OptionTable) -> dict[str, Ints]:
    members = list(table.clips.values())
    of_clip: dict[str, list[object]] = {"the number of items": [], "cells": [], "ordinals": []}
    for own in members:
        items = [table.items[index] for index in own]
        of_clip["the number of items"].append(len(items))
        of_clip["cells"].append(tuple(sorted((one.cell, one.orientation) for one in items)))
        said = {word for one in items for word in _ordinals(one)}
        of_clip["ordinals"].append(tuple(sorted(said)))
    found = {}
    for name, values in of_clip.items():
        if len(set(values)) > 1:
            value_of = dict(zip(table.clips, values, strict=True))
            found[name] = numbered(((one.task, value_of[one.clip]) for one in table.items), table)
    return found


def _ordinals(item: ProbeItem) -> set[str]:
    text = " ".join((item.question, *item.options)).casefold()
    return set(_WORD.findall(text)).intersection(_ORDINALS) | set(_DIGITS.findall(text))


# ---- neighbours ----------------------------------------------------------------------------------------


def neighbours(table: OptionTable) -> Strategies:
    """Choose the order in which names occur in consecutive clips of a scene, or of the file, without any answer."""
    walked = in_walking_order(table, named_sequences(table))
    if not any(walked):
        return
    names = [
        sorted({name for row in table.rows(index) for one in walked[row] for name in one})
        for index in range(len(table.items))
    ]
    of_clip = {
        clip: sorted({name for index in own for name in names[index]})[:_MOST_NAMES]
        for clip, own in table.clips.items()
    }
    for name, chains in _chains(table).items():
        before: Counter[tuple[int, str, str]] = Counter()
        for group, clips in chains:
            for one, other in pairwise(clips):
                before.update((group, *pair) for pair in product(of_clip[one], of_clip[other]))
        for where, shared in (("its scene", False), ("all scenes", True)):
            tally: Counter[tuple[int, str, str]] = before
            if shared:
                tally = Counter()
                for (_, one, other), count in before.items():
                    tally[-1, one, other] += count
            scores = np.zeros(len(walked))
            for row, sequences in enumerate(walked):
                group = -1 if shared else int(table.group[table.item_of[row]])
                scores[row] = sum(
                    tally[group, one, other] - tally[group, other, one]
                    for sequence in sequences
                    for one, other in combinations(sequence, 2)
                )
            yield Strategy(f"most like {name} in {where}", scores)
            yield Strategy(f"least like {name} in {where}", -scores)


def _chains(table: OptionTable) -> dict[str, list[tuple[int, list[str]]]]:
    """Return the clips of each scene in several orders."""
    first = {clip: table.items[own[0]] for clip, own in table.clips.items()}
    group = {clip: int(table.group[own[0]]) for clip, own in table.clips.items()}
    lowest = {
        clip: min(table.items[index].id for index in own) for clip, own in table.clips.items()
    }
    row = {clip: own[0] for clip, own in table.clips.items()}
    keys: dict[str, Callable[[str], object]] = {
        "the order of rows": lambda clip: row[clip],
        "the order of ids": lambda clip: lowest[clip],
        "the order of clips": lambda clip: _natural(clip),
        "the order of starts": lambda clip: (
            str(first[clip].columns.get("video", "")),
            _start(first[clip]),
        ),
    }
    found = {}
    for name, key in keys.items():
        chains: dict[int, list[str]] = {}
        for clip in sorted(first, key=key):  # type: ignore[arg-type]
            chains.setdefault(group[clip], []).append(clip)
        found[name] = [(one, clips[:_MOST_CLIPS]) for one, clips in chains.items()]
    return found


def _natural(text: str) -> tuple[tuple[str, int], ...]:
    """Return a key by which `clip 10` sorts after `clip 9`."""
    parts = re.split(r"(\d+)", text)
    return tuple((part, 0) if at % 2 == 0 else ("", int(part)) for at, part in enumerate(parts))


def _start(item: ProbeItem) -> float:
    start = item.columns.get("start", 0.0)
    return start if isinstance(start, int | float) else 0.0  # compared only: may be no float
