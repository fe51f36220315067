"""The rows of routes: steps in time order, drafted or verified."""

from typing import Literal

from pipeline.engine.rows import Record, Row

Move = Literal["straight", "left", "right", "around", "stay"]


Category = Literal["route", "direction", "landmark", "action"]


Orientation = Literal["forward", "reverse"]


class Step(Record):
    """One step of a route: a time span, a move, and the landmark passed or action done there."""

    start_us: int
    end_us: int
    move: Move
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None


class Route(Row):
    """A clip's steps in time order with both descriptions: drafted, or verified by people.

    `language` is the section of prompts/stems.toml that words its descriptions and questions.
    """

    table = "routes"
    key = ("clip_id", "origin")
    clip_id: str
    origin: Literal["draft", "verified"]
    verified_categories: list[Category]
    fingerprint: str
    provider: str
    model: str | None
    prompt_sha256: str | None
    reply_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    steps: list[Step]
    forward_description: str
    reverse_description: str
    confidence: float
    language: str = "en"
