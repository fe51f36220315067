"""The items of a results page: what was sent of each, and what each model replied.

Items without a known answer, and those of withheld splits, are left out with everything about them. Those answered in
words are in the same list; what differs is in `descriptions.py`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.evaluate import arms
from pipeline.evaluate.ground import ground
from pipeline.evaluate.metrics import MAIN, errs_only_in
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, Scored
from pipeline.evaluate.standings import parser_of
from pipeline.report.descriptions import DESCRIBED, NO_ERROR, reference
from pipeline.report.replies import longest_text, shown_reply, without_gaps
from pipeline.report.result_sources import Source
from pipeline.report.sent import ways_of

INLINED = 200  # items up to which frames are in the page itself
BATCH = 40  # items in one block, which is parsed when the first of them is opened
_OUTCOMES = {
    "right": "r",
    "wrong": "w",
    DESCRIBED: "d",
    "unreadable": "u",
    "refused": "f",
    "truncated": "t",
    "failed": "-",
}
_NOT_ASKED = " "


def ordered(sources: Sequence[Source]) -> list[Question]:
    """Return the items of all sources, those of a scene and of a span next to one another."""
    known = {id_: one for source in sources for id_, one in source.items.items()}
    return sorted(
        known.values(), key=lambda one: (one.split, one.split_group, one.video, one.twin or one.id)
    )


def index(items: Sequence[Question], sources: Sequence[Source]) -> dict[str, Any]:
    """Return what lists and filters need of all items: one character for each outcome and kind of error."""
    names: dict[str, list[str]] = {
        name: sorted({getattr(one, name) for one in items})
        for name in ("task", "category", "split_group", "split")
    }
    place = {name: {label: at for at, label in enumerate(labels)} for name, labels in names.items()}
    return {
        **names,
        "items": [
            [one.id, *(place[name][getattr(one, name)] for name in names), one.twin or ""]
            for one in items
        ],
        "sources": [_outcomes(items, source) for source in sources],
    }


def _outcomes(items: Sequence[Question], source: Source) -> dict[str, Any]:
    at = {one.id: number for number, one in enumerate(items)}
    found: dict[str, dict[int, list[list[str]]]] = defaultdict(dict)
    for one, outcome, error in _made(source):
        rows = found[one.arm].setdefault(one.repeat, [[_NOT_ASKED] * len(items) for _ in range(2)])
        number = at[one.id]
        rows[0][number] = _OUTCOMES[outcome]
        rows[1][number] = error
    return {
        "name": source.label,
        "arms": {
            arm: [["".join(row) for row in repeats[number]] for number in sorted(repeats)]
            for arm, repeats in _in_order(found).items()
        },
    }


def _made(source: Source) -> Iterator[tuple[Prediction, str, str]]:
    """Yield each prediction with its outcome and the character of its kind of error."""
    for one in source.scored:
        yield one.prediction, one.outcome, _error(one)
    if words := source.words:
        for said in words.made:
            yield said.prediction, words.outcome(said), words.error(said)


def _in_order(found: Mapping[str, Any]) -> dict[str, Any]:
    order = {name: number for number, name in enumerate(arms.ARMS)}
    return {arm: found[arm] for arm in sorted(found, key=lambda one: (order.get(one, 99), one))}


def _error(one: Scored) -> str:
    """Return the kind of error: mirror, order, another one; a space where nothing is known of it."""
    if one.outcome != "wrong" or one.facts_right is None:
        return NO_ERROR
    return "m" if errs_only_in(one, sides=True) else "o" if errs_only_in(one, sides=False) else "x"


# ---- details, in blocks ----------------------------------------------------------------------------------


def blocks(items: Sequence[Question], sources: Sequence[Source]) -> list[list[dict[str, Any]]]:
    """Return the details of all items, `BATCH` in each block."""
    longest = longest_text(sum(source.replies for source in sources))
    replies = [_replies(source, longest) for source in sources]
    ways = ways_of(sources)
    listed = {
        id_: one for source in sources if source.words for id_, one in source.words.items.items()
    }
    details = [
        {
            "question": one.question,
            **(_choices(one) if one.options else {"reference": reference(listed[one.id])}),
            "asked": [way.of(one) for way in ways],
            "replies": [own.get(one.id, []) for own in replies],
        }
        for one in items
    ]
    return [details[start : start + BATCH] for start in range(0, len(details), BATCH)]


def _choices(one: Question) -> dict[str, Any]:
    return {
        "options": list(one.options),
        "answer": one.answer_index,
        "facts": [[fact.name, list(fact.values)] for fact in one.facts],
        "mirrored": one.mirrored,
    }


def _replies(source: Source, longest: int) -> Mapping[str, list[dict[str, Any]]]:
    """Return what a model replied to each item, as the page shows it."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    parser = parser_of(source.results.body)
    for one in source.scored:
        found[one.question.id].append(_reply(one, longest, parser))
    if words := source.words:
        for said in words.made:
            found[said.item.id].append(words.reply(said, longest))
    return found


def _reply(one: Scored, longest: int, parser: str) -> dict[str, Any]:
    """Return a prediction with why it was read so."""
    made, options = one.prediction, one.question.options
    order = arms.order_of(one.arm, len(options))
    shown = None if one.chosen is None else chr(ord("A") + order.index(one.chosen))
    why = ground(made, shown, [options[at] for at in order], parser)
    found = shown_reply(made, one.outcome, longest, (why.start, why.end))
    found |= {
        "letter": made.letter,
        "shown": shown if shown != made.letter else None,
        "true": one.true,
        "error": {"m": "mirror", "o": "order"}.get(_error(one)),
        "why": why.text,
    }
    return without_gaps(found)


def arms_shown(sources: Sequence[Source]) -> dict[str, str]:
    """Return the arms of all sources with what each shows; the main one is first."""
    names = _in_order({one.arm: None for source in sources for one, _, _ in _made(source)})
    found = {
        name: arms.ARMS.get(name)
        or ("the options in another rotation" if name.startswith("rotate-") else "")
        for name in names
    }
    return {MAIN: found.pop(MAIN), **found} if MAIN in found else found
