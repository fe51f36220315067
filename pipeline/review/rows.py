"""The rows of people's judgements: verdicts on routes, answers to items."""

from typing import Literal

from pipeline.engine.rows import Row
from pipeline.routes.rows import Step

UNREADABLE = "unreadable"
"""The reason of a verdict that can't count as it was given: its clip goes out again."""

MISSED = "planted turn left as it was"
"""The reason of a correction of a planted draft that corrected something else."""


class Verdict(Row):
    """One judgement of one clip's route; it counts for the fingerprint that was judged alone."""

    table = "verdicts"
    key = ("clip_id", "annotation_id")
    clip_id: str
    fingerprint: str
    round: int
    annotator: str
    verdict: Literal["accept", "corrected", "reject", "skip"]
    reasons: list[str]
    steps: list[Step]
    forward_description: str
    reverse_description: str
    seconds: float
    guideline_version: str
    created_us: int
    annotation_id: str
    kind: Literal["real", "gold", "planted", "adjudication"]
    by: Literal["person", "script"]


class Answer(Row):
    """What one person chose for one item without seeing its answer; it counts for this fingerprint alone.

    `choice` is the number of an option, or: no option is right, more than one is, can't tell.
    """

    table = "answers"
    key = ("item_id", "annotation_id")
    item_id: str
    fingerprint: str
    annotator: str
    choice: Literal["0", "1", "2", "3", "none", "many", "unsure"]
    seconds: float
    created_us: int
    annotation_id: str
    by: Literal["person", "script"]
