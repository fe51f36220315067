"""The settings of compose and check."""

from pydantic import Field

from pipeline.engine.settings import Settings


class ComposeSettings(Settings):
    """How questions are made."""

    apart_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="What is flipped lies at least so far apart, or it can't be seen.",
    )
    min_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Turns measured less surely are flipped only where a clip has no others.",
    )


class CheckSettings(Settings):
    """How far things may be apart before they are doubted."""

    slack_seconds: float = Field(
        1.5,
        ge=0,
        le=30,
        description="How far a step may lie from the measured turn or narration that it tells of.",
    )
    known_words: list[str] = Field(
        [],
        description="Where given, landmarks and actions with any other word are doubted.",
    )
