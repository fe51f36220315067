"""Whether what replies think agrees with what they answer: their own two lists, and the letter that they choose."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pipeline.evaluate.arrays import ItemTable
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.scoring import Question, Scored
from pipeline.releases.layout import Evidence
from pipeline.releases.reading import Released
from pipeline.training.rewards import lists_agree
from pipeline.training.rows import TrainingRow
from pipeline.training.solution import solution
from pipeline.training.source import happenings_of

Solutions = Mapping[str, Mapping[str, Any]]
"""What the rewards know about an item, by its id."""


def solutions_of(released: Released, split: str) -> Solutions:
    """Return the solutions of a split's multiple-choice items whose evidence is published, as rows of training have them."""
    questions, evidence = questions_of(released)
    return {
        one.id: solution(_row(one, evidence[one.id]))
        for one in questions
        if one.split == split and one.id in evidence
    }


def _row(question: Question, evidence: Evidence) -> TrainingRow:
    return TrainingRow.model_validate(
        {
            "id": question.id,
            "item": question.id,
            "made": "released",
            "question_type": question.task,
            "category": question.category,
            "orientation": question.orientation,
            "contrast": question.contrast,
            "format": "mcq",
            "language": "en",
            "split_group": question.split_group,
            "video": question.video,
            "question": question.question,
            "options": question.options,
            "answer": question.answer,
            "answer_text": "",
            "facts": question.facts,
            "happenings": happenings_of(evidence, round((evidence.span_start or 0.0) * 1e6)),
            "seconds": question.seconds,
            "frames": [],
            "frame_seconds": [],
            "think": None,
            "think_source": "none",
        }
    )


def agreement(table: ItemTable, results: Iterable[Scored], known: Solutions) -> Figure:
    """Return the share of replies whose list of the asked way makes the option true that they choose.

    Of replies in one arm that state lists and choose a letter; `items` of the figure counts the items that have one.
    """
    total, agreeing = np.zeros(len(table.questions)), np.zeros(len(table.questions))
    for one in results:
        if one.chosen is None or one.question.id not in known:
            continue
        prediction = one.prediction
        text = "\n".join(filter(None, (prediction.reasoning, prediction.reply)))
        agrees = lists_agree(text, one.chosen, known[one.question.id])
        if agrees is not None:
            place = table.place[one.question.id]
            total[place] += 1
            agreeing[place] += agrees
    with np.errstate(invalid="ignore"):
        return table.units.figure(agreeing / total)
