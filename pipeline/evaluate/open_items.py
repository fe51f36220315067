"""The items of a release that are answered in words, and what a description of them should state.

Their reference lists come from the evidence; of items that a model wrote, which have none, from the reference answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.evaluate.item_files import ItemFile
from pipeline.evaluate.open_rows import OpenItem
from pipeline.evaluate.reading import question_of
from pipeline.evaluate.scoring import Question
from pipeline.releases.layout import Evidence, QuestionRow
from pipeline.releases.reading import Released
from pipeline.routes.route import reverse
from pipeline.routes.rows import Move, Orientation
from pipeline.routes.told import Vocabulary, told


@dataclass(frozen=True)
class OpenItems:
    """The open items: as they are asked, and those with known answers, by id; and the names that texts are read by."""

    questions: tuple[Question, ...]
    known: dict[str, OpenItem]
    vocabulary: Vocabulary


def open_items(released: Released | ItemFile, sealed: Path | None = None) -> OpenItems:
    """Read the open items of a release; without `sealed`, withheld ones have no known answer.

    Of another benchmark's file, none are read: nothing tells what their descriptions should state.
    """
    if isinstance(released, ItemFile):
        return OpenItems((), {}, Vocabulary())
    questions = {
        row.id: question_of(split, row)
        for split, row in released.questions()
        if row.format == "open"
    }
    if not questions:
        return OpenItems((), {}, Vocabulary())
    phrases = {phrase: move for one in released.said.values() for move, phrase in one.moves.items()}
    entries = list(released.entries(sealed))
    vocabulary = _vocabulary((one.evidence for one in entries), phrases)
    known = {
        one.question.id: _item(one.split, one.question, one.evidence, vocabulary)
        for one in entries
        if one.question.format == "open" and one.question.answer_text
    }
    return OpenItems(tuple(questions.values()), known, vocabulary)


def _vocabulary(evidence: Iterable[Evidence], phrases: dict[str, Move]) -> Vocabulary:
    """Return the landmarks and actions of all steps, those undone included, each once."""
    steps = [step for one in evidence for step in one.steps]
    landmarks = dict.fromkeys(step.landmark for step in steps if step.landmark)
    actions = dict.fromkeys(
        action for step in steps for action in (step.action, step.undo) if action
    )
    return Vocabulary(tuple(landmarks), tuple(actions), phrases)


def _item(split: str, row: QuestionRow, evidence: Evidence, vocabulary: Vocabulary) -> OpenItem:
    way: Orientation = "reverse" if row.orientation == "reverse" else "forward"
    text = row.answer_text or ""
    listed = bool(evidence.reference_moves)
    if listed:
        steps = reverse(evidence.steps) if way == "reverse" else evidence.steps
        moves = [step.move for step in steps]
        landmarks = [step.landmark for step in steps if step.landmark]
        actions = [step.action for step in steps if step.action]
    else:
        found = told(text, vocabulary)
        moves, landmarks = list(found.moves), list(found.landmarks)
        actions = list(found.actions)
    return OpenItem(
        id=row.id,
        split=split,
        task=row.question_type,
        category=row.category,
        orientation=way,
        split_group=row.split_group,
        video=row.video,
        question=row.question,
        reference=text,
        language=row.language,
        seconds=row.end - row.start,
        twin=evidence.twin,
        moves=moves,
        landmarks=landmarks,
        actions=actions,
        source="evidence" if listed else "text",
        steps=list(evidence.steps) if listed else [],
    )
