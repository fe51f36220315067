"""The settings of stills and export."""

from pydantic import Field

from pipeline.engine.settings import Settings
from pipeline.sources.rows import Split


class StillsSettings(Settings):
    """The frames that models are scored with."""

    count: int = Field(8, ge=1, le=64, description="Equally distant frames of each clip.")
    width: int = Field(768, ge=64, le=4096, description="Their width in pixels, at most.")
    quality: int = Field(85, ge=1, le=100, description="Their JPEG quality.")


class ExportSettings(Settings):
    """What a release holds, and what it must meet."""

    dataset: str = Field(
        "egost", pattern=r"^[\w .-]+$", description="The dataset's name in every row."
    )
    only_verified: bool = Field(False, description="Leave out items that no verdict has verified.")
    min_verified: float = Field(
        1.0, ge=0, le=1, description="Share of the released items that people must have verified."
    )
    min_agreement: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Share of pairs of people who agree on a category; 0 asks for none.",
    )
    max_flawed: float = Field(
        0.05, ge=0, le=1, description="Share of audited items that may turn out flawed."
    )
    min_audited: int = Field(120, ge=0, description="Items that people must have audited.")
    blind_points: float = Field(
        5,
        ge=0,
        le=100,
        description="Points above chance that answering blind may reach; 100 asks for none, unmeasured.",
    )
    blind_task_points: float = Field(
        8, ge=0, le=100, description="The same within one task, contrast or kind of options."
    )
    embed: bool = Field(
        False, description="Write the rows once more with their frames inside the Parquet files."
    )
    withhold: list[Split] = Field(
        [], description="Splits whose answers stay at home, sealed, for a scorer."
    )
    closed_licences: list[str] = Field(
        ["non-redistributable", "proprietary", "all rights reserved"],
        description="Licences (as manifest.csv writes them) of videos whose pictures must not leave.",
    )
