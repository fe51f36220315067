"""The base class of every section of `egost.toml`, and the engine's own settings."""

import json
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """The settings of one stage.

    Each field carries its name, type, default, bounds and one-line description. A field with
    `exclude=True` affects how the work is done, not its result (workers, requests in flight): it
    stays out of the unit keys, so changing it redoes nothing.

    `retired` names the settings of older versions that no longer exist. Files that still name them
    get a warning. Where they were part of the unit keys, `retired` holds their default, with which
    they stay part of the keys, so that nothing is redone; it holds None where they were excluded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    retired: ClassVar[Mapping[str, object]] = {}

    def for_keys(self) -> str:
        """Return these settings as JSON for unit keys; retired ones follow the present fields."""
        text = self.model_dump_json()
        retired = {name: value for name, value in self.retired.items() if value is not None}
        if not retired:
            return text
        return f"{text[:-1]},{json.dumps(retired, separators=(',', ':'))[1:]}"


AnySettings = TypeVar("AnySettings", bound=Settings)


class RunSettings(Settings):
    """How stages are run."""

    workers: int = Field(
        0, ge=0, le=256, exclude=True, description="Number of processes; 0 = one per core."
    )
    max_failed: float = Field(
        0.2,
        ge=0,
        le=1,
        exclude=True,
        description="Largest share of failed units; a run with more exits with code 3.",
    )
