"""The rows of training: an item of the train split as a model is trained on it."""

from typing import Literal

from pydantic import Field

from pipeline.engine.rows import Record
from pipeline.questions.rows import AskedFact
from pipeline.routes.rows import Category, Orientation

Made = Literal["released", "rewound", "mirrored"]
"""Which frames a row shows: as released, in reverse order, or flipped left to right (both synthetic)."""
ThinkSource = Literal["template", "model", "none"]


class Happening(Record):
    """What happens in a span, as its frames show it: a turn, a landmark that is passed, or an action.

    `what` is left, right or around for a turn, and otherwise a name; `undo` is what undoes an action. Times are in
    seconds from the start of the span.
    """

    kind: Literal["turn", "landmark", "action"]
    what: str
    start: float
    end: float
    undo: str | None = None


class TrainingRow(Record):
    """One row: an item, its frames, and the text that leads to its answer.

    `id` is the released item's, with `-rewound` or `-mirrored` if the frames are (then the answer is what is true of
    them). `frames` are files of the rows' folder, shown at `frame_seconds` of the span. `happenings` are in time
    order, and the times of `facts` are microseconds from the start of the span, both as the row's frames show them.
    `think` ends before `</think>`; it is None in rows without thinking. `weight` is 1 on average. Items that are
    answered in words have no options, facts and answer: `answer_text` is the reference.
    """

    id: str
    item: str
    made: Made
    question_type: str
    category: Category
    orientation: Orientation
    contrast: str | None
    format: Literal["mcq", "open"]
    language: str
    split_group: str
    video: str
    question: str
    options: list[str]
    answer: str | None
    answer_text: str
    facts: list[AskedFact]
    happenings: list[Happening]
    seconds: float
    frames: list[str]
    frame_seconds: list[float]
    think: str | None
    think_source: ThinkSource
    weight: float = Field(default=1.0, gt=0)
