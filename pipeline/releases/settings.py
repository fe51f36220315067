"""The settings of stills and export."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from pipeline.engine.settings import Settings
from pipeline.sources.rows import Split


class StillsSettings(Settings):
    """The frames that models are scored with; how many a span has is a setting of compose."""

    retired: ClassVar[Mapping[str, object]] = {"count": None}
    width: int = Field(768, ge=64, le=4096, description="Maximum width of a frame in pixels.")
    quality: int = Field(85, ge=1, le=100, description="JPEG quality of the frames.")


class ExportSettings(Settings):
    """The contents of a release, and the limits of its gates."""

    dataset: str = Field(
        "egost", pattern=r"^[\w .-]+$", description="Name of the dataset, as in every row."
    )
    only_verified: bool = Field(False, description="Leave out items that are not verified.")
    min_verified: float = Field(
        1.0, ge=0, le=1, description="Least share of the released items that people verified."
    )
    min_agreement: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Least agreement between pairs of people in each category; 0 turns this gate off.",
    )
    max_flawed: float = Field(
        0.05, ge=0, le=1, description="Greatest share of audited items that are flawed."
    )
    min_audited: int = Field(120, ge=0, description="Least number of items that people audited.")
    blind_points: float = Field(
        5,
        ge=0,
        le=100,
        description="Greatest accuracy without the video, in points above chance; 100 turns this gate off.",
    )
    blind_task_points: float = Field(
        8,
        ge=0,
        le=100,
        description="The same limit within one category and kinds of facts, task or kind of options.",
    )
    embed: bool = Field(
        False, description="Also write the rows with their frames embedded in the Parquet files."
    )
    withhold: list[Split] = Field(
        [], description="Splits with held-out answers, which are kept in sealed/ for scoring."
    )
    closed_licences: list[str] = Field(
        ["non-redistributable", "proprietary", "all rights reserved"],
        description="Licences, as in manifest.csv, that forbid redistributing frames.",
    )

    @property
    def blind_limits(self) -> tuple[float, float] | None:
        """The accuracy above chance that the blind gate allows, overall and in a task; None if it is off."""
        if self.blind_points >= 100:
            return None
        return self.blind_points / 100, self.blind_task_points / 100
