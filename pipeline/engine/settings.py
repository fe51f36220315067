"""The base of every section of `egost.toml`, and the settings of the engine itself."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """The settings of one stage.

    Each field carries its name, type, default, bounds and one-line meaning (`Field(description=)`).
    A field with `exclude=True` tells how to work, not what comes out (workers, requests in flight):
    it stays out of the unit keys, so changing it redoes nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


AnySettings = TypeVar("AnySettings", bound=Settings)


class RunSettings(Settings):
    """How stages are run."""

    workers: int = Field(0, ge=0, le=256, exclude=True, description="Processes; 0 = one per core.")
    max_failed: float = Field(
        0.2,
        ge=0,
        le=1,
        exclude=True,
        description="Share of failed units above which a run exits 3.",
    )
