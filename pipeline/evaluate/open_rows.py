"""The rows about items that are answered in words: what a description should state, and who scored it how. Pure."""

from typing import Literal

from pydantic import Field

from pipeline.engine.rows import Record
from pipeline.routes.rows import Move, Orientation, Step


class OpenItem(Record):
    """An item that is answered in words, with a known answer: what a description of it should state.

    `moves`, `landmarks` and `actions` are in the order of the item's orientation. Their `source` is the evidence, or
    the reference answer as the grammar reads it, where the evidence lists nothing. `steps` are those of the span
    in time order, and empty in the second case.
    """

    id: str
    split: str
    task: str
    category: str
    orientation: Orientation
    split_group: str
    video: str
    question: str
    reference: str
    language: str | None
    seconds: float
    twin: str | None
    moves: list[Move]
    landmarks: list[str]
    actions: list[str]
    source: Literal["evidence", "text"]
    steps: list[Step]


Judging = Literal["scored", "empty", "unreadable", "refused", "truncated", "failed"]
"""What became of a judgement: all but `scored` and `empty` (nothing was said, so 0) have no scores."""


class Judgement(Record):
    """The scores that a judge gave a description, by one rubric, in one of its repeats.

    `id`, `arm` and `repeat` are those of the description; that of a planted answer has the name of its kind in
    `planted`, and no arm. Scores are whole numbers from 0 to 5. `calibrated` is None until the judge's calibration
    is known. `served_model` is the model's name as the server returned it.
    """

    id: str
    arm: str | None
    repeat: int
    planted: str | None
    judge: str
    rubric: str
    judge_repeat: int
    outcome: Judging
    direction: int | None = None
    landmark: int | None = None
    semantics: int | None = None
    calibrated: bool | None = None
    sent_sha256: str | None = None
    reply: str | None = None
    served_model: str | None = None
    fingerprint: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    error: str | None = None


class PeopleScores(Record):
    """The scores that a person gave a description, each from 0 to 5; `annotator` is a pseudonym.

    Those by a script don't count.
    """

    id: str
    arm: str
    repeat: int
    annotator: str
    by: Literal["person", "script"]
    direction: int = Field(ge=0, le=5)
    landmark: int = Field(ge=0, le=5)
    semantics: int = Field(ge=0, le=5)
    seconds: float
    created_us: int
    annotation_id: str
