"""The settings of compose and check."""

from pydantic import Field

from pipeline.engine.settings import Settings


class ComposeSettings(Settings):
    """How items are composed."""

    apart_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Minimum time between two flipped events; closer ones can't be told apart in the video.",
    )
    min_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Turns measured with less confidence are flipped only if the clip has no others.",
    )


class CheckSettings(Settings):
    """When checks report a finding."""

    slack_seconds: float = Field(
        1.5,
        ge=0,
        le=30,
        description="Maximum time between a step and the measured turn or narration that it describes.",
    )
    known_words: list[str] = Field(
        [],
        description="If given, landmarks and actions with any other word are reported as findings.",
    )
