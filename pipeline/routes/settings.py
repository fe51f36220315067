"""The settings of drafting routes."""

from typing import Literal

from pydantic import Field

from pipeline.models.settings import ModelSettings


class DraftSettings(ModelSettings):
    """How routes are drafted, and which further items a model writes."""

    provider: Literal["motion", "openai"] = Field(
        "motion",
        description="motion = from measured turns, without a model; openai = by any OpenAI-compatible server",
    )
    language: str = Field(
        "en",
        description="language of descriptions, questions and options: a section of prompts/stems.toml",
    )
    frames: int = Field(8, ge=1, le=64, description="keyframes sent to the model for one clip")
    # Excluded from the unit keys: adding a task must not draft every route again.
    tasks: list[str] = Field(
        [],
        exclude=True,
        description='tasks of prompts/tasks/ for which the model writes items, such as ["direction"];'
        " one request per clip and task",
    )
