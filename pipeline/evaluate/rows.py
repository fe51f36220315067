"""The rows of an evaluation: the items that were asked, and what a model answered to them."""

from typing import Literal

from pydantic import Field

from pipeline.engine.rows import Record
from pipeline.questions.rows import AskedFact

Outcome = Literal["answered", "unreadable", "refused", "truncated", "failed"]
"""What became of a request. All but `failed`, which is missing data, are the model's own."""


class Prediction(Record):
    """What a model answered to one item in one arm, in one repeat.

    `letter` is in the letters of the released item, also where the arm showed other ones. `sent_sha256` is the
    digest of what was sent; `error` is that of a failed request.
    """

    id: str
    arm: str
    repeat: int = 0
    sent_sha256: str | None = None
    reply: str | None = None
    reasoning: str | None = None
    finish: str | None = None
    refusal: str | None = None
    letter: str | None
    outcome: Outcome
    flags: list[str] = Field(default_factory=list)
    served_model: str | None = None
    fingerprint: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    error: str | None = None


class AskedItem(Record):
    """An item of a release with a known answer, as results keep it: with them alone, metrics can be computed again."""

    id: str
    split: str
    task: str
    category: str
    orientation: str
    contrast: str | None
    split_group: str
    video: str
    question: str
    options: list[str]
    answer: str
    seconds: float
    twin: str | None
    facts: list[AskedFact]
    mirrored: bool | None
    turns: int | None
