"""The rows that hold people's judgements: verdicts on routes, answers to items."""

from typing import Literal

from pipeline.engine.rows import Row
from pipeline.routes.rows import Step

UNREADABLE = "unreadable"
"""The reason given to a verdict that can't be used; its clip is sent again."""

MISSED = "planted turn left as it was"
"""The reason given to a correction of a planted draft that left the planted error in place."""


class Verdict(Row):
    """One person's judgement of one clip's route; it applies only to the draft with this fingerprint.

    `typed` holds the step lines as typed, unless they are exactly `steps`. The reasons of a verdict
    that can't be used are UNREADABLE and what is wrong.
    """

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
    typed: str = ""

    @property
    def worked(self) -> bool:
        """Whether the person judged the clip, even if the verdict can't be used; False for a plain skip."""
        return self.verdict != "skip" or UNREADABLE in self.reasons


class Answer(Row):
    """One person's answer to one item in the audit; it applies only to the item with this fingerprint.

    `choice` is an option's index, `none` (no option is right), `many` (more than one is) or `unsure`.
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
