"""The settings of ingest and split."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator

from pipeline.engine.settings import Settings
from pipeline.sources.rows import Consent, Split

SALT = "egost"  # shuffles groups of the same length before they are assigned


class IngestSettings(Settings):
    """Defaults for videos without a value in a manifest."""

    consent: Consent = Field(
        "local",
        exclude=True,  # stored on each Source, so a change affects only the videos that it applies to
        description='Where frames may be sent: "local" (nowhere), "model" (a model server), "release" (both).',
    )


class SplitSettings(Settings):
    """The shares of the splits, by duration of footage."""

    train: float = Field(0.15, ge=0, le=1, description="Share of the train split.")
    validation: float = Field(0.05, ge=0, le=1, description="Share of the validation split.")
    test: float = Field(0.80, ge=0, le=1, description="Share of the test split.")
    retired: ClassVar[Mapping[str, object]] = {"salt": SALT}

    @model_validator(mode="after")
    def _whole(self) -> "SplitSettings":
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train + validation + test must be 1")
        return self

    def shares(self) -> dict[Split, float]:
        """Return the share of each split."""
        return {"test": self.test, "train": self.train, "validation": self.validation}
