"""What a prediction gets right: the questions that are scored, and their outcomes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase
from typing import Literal

from pipeline.errors import UserError
from pipeline.evaluate.rows import Prediction
from pipeline.questions.rows import AskedFact

Result = Literal["right", "wrong", "unreadable", "refused", "truncated", "failed"]
"""The outcome of a prediction. A failed request is missing data; all others count."""


REVERSED = "reversed"
"""The arm whose frames are in reverse order."""


@dataclass(frozen=True)
class Question:
    """One multiple-choice item as models are scored on it.

    `answer` is None where it is withheld. `facts`, `twin`, `mirrored` and `turns` (to the left or right, in the
    span) come from the evidence; releases made without facts have none. `words` hold, for each fact, the
    wordings of each value that it may have. `seconds` is the length of the span.
    """

    id: str
    split: str
    task: str
    category: str
    orientation: str
    contrast: str | None
    split_group: str
    video: str
    question: str
    options: tuple[str, ...]
    answer: str | None
    frames: tuple[str, ...]
    frame_seconds: tuple[float, ...]
    seconds: float
    twin: str | None = None
    facts: tuple[AskedFact, ...] = ()
    mirrored: bool | None = None
    turns: int | None = None
    words: tuple[Mapping[str, frozenset[str]], ...] = ()

    @cached_property
    def answer_index(self) -> int | None:
        """The place of the answer among the options."""
        return place_of(self.answer, self.options)

    def option_true_of(self, way: Literal["back", "rewound", "mirrored"]) -> int | None:
        """Return the option that is true of the way back, of reversed or of mirrored frames.

        None where what is true there is about other facts than the item's: the first of three turns is the
        third in reversed frames, about which the item says nothing.
        """
        true = dict(getattr(fact, way).rpartition("=")[::2] for fact in self.facts)
        if not self.facts or true.keys() != {fact.name for fact in self.facts}:
            return None
        return next(
            (
                index
                for index in range(len(self.options))
                if all(fact.values[index] == true[fact.name] for fact in self.facts)
            ),
            None,
        )


@dataclass(frozen=True)
class Scored:
    """A prediction with its result; `true` is the place of the option that is right in its arm.

    `facts_right` is None where the item has no facts or the request failed.
    """

    question: Question
    prediction: Prediction
    true: int
    outcome: Result
    facts_right: tuple[bool, ...] | None

    @property
    def arm(self) -> str:
        """What the model was shown."""
        return self.prediction.arm

    @property
    def repeat(self) -> int:
        """The number of the repeat, from 0."""
        return self.prediction.repeat

    @property
    def letter(self) -> str | None:
        """The letter that was answered; None for every outcome but right and wrong."""
        return self.prediction.letter if self.outcome in ("right", "wrong") else None

    @property
    def chosen(self) -> int | None:
        """The place of the chosen option."""
        return place_of(self.letter, self.question.options)


def place_of(letter: str | None, options: Sequence[str]) -> int | None:
    """Return the place of a letter's option; None if there is no such option."""
    place = ascii_uppercase.find(letter) if letter else -1
    return place if 0 <= place < len(options) and letter and len(letter) == 1 else None


def scored(questions: Iterable[Question], predictions: Iterable[Prediction]) -> list[Scored]:
    """Return the result of each prediction, in their order.

    What is right in the arm `reversed` is what is true of reversed frames; predictions for items that ask about
    facts which those don't show are left out. Raise UserError if an item is unknown, has no answer, or is predicted twice in the same arm and repeat.
    """
    known = {question.id: question for question in questions}
    seen: set[tuple[str, str, int]] = set()
    found = []
    for one in predictions:
        if (question := known.get(one.id)) is None:
            fix = "score predictions for the release that they were made on"
            raise UserError(one.id, "is no multiple-choice item of the release", fix)
        if (key := (one.id, one.arm, one.repeat)) in seen:
            what = f"has two predictions in arm {one.arm}, repeat {one.repeat}"
            raise UserError(one.id, what, "keep one of them")
        seen.add(key)
        if question.answer_index is None:
            fix = "its answer is withheld: score with the sealed answers (egost score --answers)"
            raise UserError(question.id, "has no answer to score with", fix)
        true: int | None = question.answer_index
        if one.arm == REVERSED:
            true = question.option_true_of("rewound")
        if true is not None:
            found.append(_result(question, one, true))
    return found


def _result(question: Question, prediction: Prediction, true: int) -> Scored:
    if prediction.outcome == "failed":
        return Scored(question, prediction, true, "failed", None)
    chosen = place_of(prediction.letter, question.options)
    facts = question.facts
    if prediction.outcome != "answered" or chosen is None:
        own = "unreadable" if prediction.outcome == "answered" else prediction.outcome
        return Scored(question, prediction, true, own, tuple(False for _ in facts) or None)
    right = tuple(fact.values[chosen] == fact.values[true] for fact in facts)
    outcome: Result = "right" if chosen == true else "wrong"
    return Scored(question, prediction, true, outcome, right or None)
