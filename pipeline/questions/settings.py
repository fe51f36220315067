"""The settings of compose and check."""

from typing import Literal

from pydantic import Field

from pipeline.engine.settings import Settings


class ComposeSettings(Settings):
    """How clips are cut into spans, and what items ask about them."""

    span_seconds: float = Field(
        40.0,
        ge=5,
        le=600,
        description="Wanted length of a span, the part that an item asks about; an eighth more where that gives more items.",
    )
    shortest_span_seconds: float = Field(
        10.0,
        ge=0,
        le=600,
        description="Least length of a span; a shorter clip is one span.",
    )
    frames_per_second: float = Field(
        1.0, gt=0, le=30, description="Frames of a span on which models are scored, per second."
    )
    least_frames: int = Field(8, ge=1, le=256, description="Least number of frames of a span.")
    most_frames: int = Field(
        64,
        ge=1,
        le=256,
        description="Greatest number of frames of a span. Brisk turns need more than `frames_per_second`.",
    )
    mirror: Literal["off", "coin"] = Field(
        "off",
        description="With coin, half of all spans, drawn by the secret seed, are shown flipped left to right.",
    )
    never_mirror: list[str] = Field(
        [],
        description='Words such as ["sign", "poster", "clock", "drives"]: a span with one of them in a landmark or '
        "an action is never flipped, because mirrored text or traffic would look wrong.",
    )

    apart_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Least time between the events of an item; closer ones can't be told apart in the video.",
    )
    min_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Turns measured with less confidence are asked about only once people have verified them.",
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
