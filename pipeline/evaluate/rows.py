"""The rows of an evaluation."""

from typing import Literal

from pipeline.engine.rows import Record

Outcome = Literal["answered", "unreadable", "refused", "truncated", "failed"]
"""What came of a request: a letter; a complete reply without one; a refusal; a reply that was cut off; no reply."""


class Prediction(Record):
    """What one model replied to one item in one arm, for the `repeat`-th time, from 0.

    `letter` is that of the option in the released item, also where the arm showed the options in another order;
    it is null unless the outcome is `answered`. Whether it is right is not stored. `sent_sha256` is the digest of
    what was sent, images as digests; `fingerprint` and `served_model` are what the server calls itself.
    `seconds` is the time until the reply, `error` why there is none.
    """

    id: str
    arm: str
    repeat: int
    sent_sha256: str | None
    reply: str | None
    reasoning: str | None
    finish: str | None
    refusal: str | None
    letter: str | None
    outcome: Outcome
    flags: list[str]
    served_model: str | None
    fingerprint: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    seconds: float | None
    error: str | None
