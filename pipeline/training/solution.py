"""A row's solution: everything that rewards need to know about it, as one JSON object. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from pipeline.questions.rows import AskedFact
from pipeline.questions.truth import split_names
from pipeline.routes.tasks import plain
from pipeline.routes.told import GRAMMARS
from pipeline.routes.wording import load
from pipeline.training.rows import Happening, TrainingRow


def solution(row: TrainingRow) -> dict[str, Any]:
    """Return what rewards need to know about a row.

    `happenings` are in time order, in seconds from the start of the span. `facts` are those that the item asks about,
    on its way (there or back), each with what the options A, B, ... state of it; `undone` is whether they name actions by
    what undoes them. For an item that is answered in words in a language without a grammar, `phrases` are its words for moves.
    """
    known: dict[str, Any] = {
        "id": row.id,
        "format": row.format,
        "orientation": row.orientation,
        "answer": row.answer,
        "options": len(row.options),
        "facts": [_fact(fact, row.happenings) for fact in row.facts],
        "undone": row.orientation == "reverse" and any(map(_undone, row.facts)),
        "happenings": [one.model_dump() for one in row.happenings],
    }
    if row.format == "open" and row.language not in GRAMMARS:
        known["phrases"] = {phrase: move for move, phrase in load(row.language).moves.items()}
    return known


def solution_text(row: TrainingRow) -> str:
    """Return a row's solution as the text that is in every trainer's format."""
    return json.dumps(solution(row), ensure_ascii=False)


def _fact(fact: AskedFact, happenings: Sequence[Happening]) -> dict[str, Any]:
    kind, _, subject = fact.name.partition(":")
    if kind == "turn":
        return {"kind": kind, "subject": int(subject), "values": fact.values}
    known = {plain(name) for one in happenings for name in (one.what, one.undo) if name}
    divided = list(split_names(subject))
    both = next((names for names in divided if known.issuperset(names)), divided[0])
    return {"kind": kind, "subject": list(both), "values": fact.values}


def _undone(fact: AskedFact) -> bool:
    """Return whether a fact about the way back names actions by what undoes them: on the way there they have other names."""
    return fact.name.startswith("action:") and fact.back.rpartition("=")[0] != fact.name
