"""The questions of a release that models are scored on, with what its evidence says about them."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.evaluate.item_files import ItemFile
from pipeline.evaluate.scoring import Question
from pipeline.questions.rows import AskedFact
from pipeline.questions.truth import wordings
from pipeline.releases.layout import Evidence, QuestionRow
from pipeline.releases.reading import Released

_SIDES = ("left", "right")


def questions_of(
    released: Released | ItemFile, sealed: Path | None = None
) -> tuple[list[Question], dict[str, Evidence]]:
    """Return the multiple-choice items, and the evidence of those whose answers are known, by id.

    `sealed` is the folder of the withheld answers; without it, items of withheld splits have no answer and
    nothing that comes from evidence. Items that are answered in words are left out. A file has no evidence.
    """
    if isinstance(released, ItemFile):
        return list(released.questions), {}
    said = {language: one.facts for language, one in released.said.items()}
    questions: dict[str, Question] = {}
    for split, row in released.questions():
        if row.format == "mcq":
            questions[row.id] = question_of(split, row)
    evidence = {}
    for item in released.entries(sealed):
        if item.question.format == "mcq":
            words = said.get(item.question.language or "") or next(iter(said.values()), {})
            questions[item.question.id] = question_of(
                item.split, item.question, item.evidence, words
            )
            evidence[item.question.id] = item.evidence
    return list(questions.values()), evidence


def question_of(
    split: str,
    row: QuestionRow,
    evidence: Evidence | None = None,
    said: Mapping[str, str] = MappingProxyType({}),
) -> Question:
    """Return a released row as it is asked; with its `evidence` and the words `said` of facts, as it is scored."""
    sides = (
        sum(step.move in _SIDES for step in evidence.steps) if evidence and evidence.steps else None
    )
    facts = tuple(evidence.facts) if evidence else ()
    return Question(
        id=row.id,
        split=split,
        task=row.question_type,
        category=row.category,
        orientation=row.orientation,
        contrast=row.contrast,
        split_group=row.split_group,
        video=row.video,
        question=row.question,
        options=tuple(row.options),
        answer=row.answer,
        frames=tuple(row.frames),
        frame_seconds=tuple(row.frame_seconds),
        seconds=row.end - row.start,
        twin=evidence.twin if evidence else None,
        facts=facts,
        mirrored=evidence.mirrored if evidence else None,
        turns=sides,
        words=tuple(_words(fact, sides or 0, said) for fact in facts) if said else (),
    )


def _words(fact: AskedFact, sides: int, said: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    # Earlier releases don't record their words, which are then empty.
    return {
        value: frozenset(filter(None, wordings(fact.name, value, sides, said)))
        for value in {*fact.values}
    }
