"""The settings of drafting routes."""

from typing import Literal

from pydantic import Field

from pipeline.models.settings import ModelSettings


class DraftSettings(ModelSettings):
    """How routes are drafted, and which items a model writes besides."""

    provider: Literal["motion", "openai"] = Field(
        "motion",
        description="motion = from measured turns, no model; openai = any OpenAI-compatible server",
    )
    language: str = Field(
        "en",
        description="The section of prompts/stems.toml that routes are told and questions asked in",
    )
    frames: int = Field(8, ge=1, le=64, description="keyframes sent to the model for one clip")
    # Out of the unit keys: to name one more task must not draft every route again.
    tasks: list[str] = Field(
        [],
        exclude=True,
        description='tasks of prompts/tasks/ whose items the model writes, such as ["direction"];'
        " one request per clip and task",
    )
