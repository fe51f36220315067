"""Whether options are true of the steps, and whether forward and reverse options invert each other. Pure.

Items about two facts are judged by their facts, those that earlier versions composed by their words.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from pipeline.questions.rows import Item
from pipeline.questions.truth import true_options
from pipeline.releases.candidate import NOWHERE, ReleaseCandidate, place_of
from pipeline.routes.route import OPPOSITE
from pipeline.routes.tasks import SEPARATOR, RouteText, holds, plain

_FACTS = 2
_FACT = re.compile(r"turn:\d{1,9}|(landmark|action):.+\|.+", re.DOTALL)


def without_inverse(candidate: ReleaseCandidate) -> Iterator[str]:
    """Yield the composed items without a forward or reverse item whose options are their inverses."""
    pairs: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in candidate.items:
        if item.option_kind in _INVERSE or item.category == "route":
            pairs[place_of(item), item.twin or item.category].append(item)
    for pair in pairs.values():
        sides = {item.orientation: item for item in pair}
        if len(pair) != 2 or len(sides) != 2 or len({item.option_kind for item in pair}) != 1:
            yield from (item.item_id for item in pair)
            continue
        inverse = _INVERSE.get(sides["forward"].option_kind)
        if inverse and not inverse(sides["forward"], sides["reverse"], candidate):
            yield sides["reverse"].item_id


def with_other_truth(candidate: ReleaseCandidate) -> Iterator[str]:
    """Yield the composed items whose answer isn't the only option that is true of the steps.

    An option whose text doesn't say what its facts state may be true, too.
    """
    for item in candidate.items:
        if item.option_kind not in _INVERSE:
            continue
        found = _true(item, candidate)
        if None in found or [index for index, one in enumerate(found) if one] != [
            item.answer_index
        ]:
            yield item.item_id


def _true(item: Item, candidate: ReleaseCandidate) -> Sequence[bool | None]:
    place = candidate.places.get(place_of(item))
    if place is None:
        return []
    if item.option_kind == "square":
        route = RouteText(place.steps, place.said.moves)
        return [holds(text, route, item.category, item.orientation) for text in item.options]
    return true_options(item, place.steps, place.said.facts) if _well_formed(item) else []


def _facts_inverse(forward: Item, back: Item, candidate: ReleaseCandidate) -> bool:
    """Return whether the maps of the facts lead from each forward option to one of the reverse item."""
    if not (_well_formed(forward) and _well_formed(back)):
        return False
    offered = [frozenset(_stated(back, index)) for index in range(len(back.options))]
    values = {fact.name: {*fact.values} for fact in back.facts}
    mapped = []
    for index in range(len(forward.options)):
        statements = set()
        for fact in forward.facts:
            name, _, value = fact.back.rpartition("=")
            if fact.values[index] != fact.values[forward.answer_index or 0]:
                others = values.get(name, set()) - {value}
                value = others.pop() if len(others) == 1 else ""
            statements.add((name, value))
        mapped.append(frozenset(statements))
    return (
        {*mapped} == {*offered}
        and len({*mapped}) == len(mapped) == len(offered)
        and mapped[forward.answer_index or 0] == offered[back.answer_index or 0]
    )


def _stated(item: Item, index: int) -> list[tuple[str, str]]:
    return [(fact.name, fact.values[index]) for fact in item.facts]


def _well_formed(item: Item) -> bool:
    """Return whether an item names two facts and states both in each option, and has an answer."""
    index = item.answer_index
    return (
        index is not None
        and 0 <= index < len(item.options)
        and len(item.facts) == _FACTS
        and all(
            _FACT.fullmatch(fact.name) and len(fact.values) == len(item.options)
            for fact in item.facts
        )
    )


def _square_inverse(forward: Item, back: Item, candidate: ReleaseCandidate) -> bool:
    place = candidate.places.get(place_of(forward), NOWHERE)
    moves = place.said.moves
    inverses = {plain(s.action): plain(s.undo) for s in place.steps if s.action and s.undo}
    inverses |= {words: moves[OPPOSITE[move]] for move, words in moves.items()}
    inverted = {_inverted(text, inverses) for text in forward.options}
    return (
        inverted == set(back.options)
        and _inverted(forward.answer_text, inverses) == back.answer_text
    )


_INVERSE: Mapping[str | None, Callable[[Item, Item, ReleaseCandidate], bool]] = {
    "facts": _facts_inverse,
    "square": _square_inverse,
}


def _inverted(text: str, inverses: Mapping[str, str]) -> str:
    return SEPARATOR.join(inverses.get(part, part) for part in reversed(text.split(SEPARATOR)))
