"""The settings of drafting routes."""

from typing import Literal

from pydantic import Field

from pipeline.models.settings import ModelSettings


class DraftSettings(ModelSettings):
    """How routes are drafted, and what else a model is asked."""

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
    # Excluded: a draft doesn't depend on it.
    guess: bool = Field(
        True,
        exclude=True,
        description="if a model drafts, also ask it, without frames, where in each walk it expects the landmarks"
        " and actions: what it knows without seeing isn't asked; one short request per clip",
    )
    batch: bool = Field(
        False,
        exclude=True,
        description="ask for routes and items of tasks through the server's Batch API: half the price, within 24 hours;"
        " repairs, and what batches leave unanswered, are asked for singly",
    )

    @property
    def guesses(self) -> bool:
        """Whether a model is asked what it expects without seeing."""
        return self.guess and self.provider != "motion"
