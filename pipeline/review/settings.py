"""The settings of review and audit."""

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from pipeline.engine.settings import Settings


class ReviewSettings(Settings):
    """How people judge routes."""

    agree: int = Field(
        2,
        ge=1,
        le=5,
        description="How many people must agree to verify a route (1 if you work alone).",
    )
    overlap: int = Field(
        2,
        ge=1,
        le=5,
        exclude=True,
        validate_default=True,
        description="How many people judge each clip (1 if you work alone).",
    )
    min_caught: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Annotators who catch a smaller share of planted errors are excluded; their clips reopen.",
    )
    min_right: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Annotators who are right on a smaller share of gold clips are excluded; their clips reopen.",
    )
    min_known: int = Field(
        5,
        ge=1,
        description="How many planted or gold tasks an annotator must have done before these limits apply.",
    )
    project: str = Field(
        "egost routes",
        min_length=3,
        max_length=37,  # Label Studio allows 50, and " adjudication" takes 13
        exclude=True,
        description="Title of the Label Studio project.",
    )
    url: str = Field(
        "",
        exclude=True,
        description="Your own Label Studio server (with LABEL_STUDIO_API_KEY); empty: the embedded one.",
    )
    planted: float = Field(
        0.05,
        ge=0,
        le=1,
        exclude=True,
        description="Share of clips that are also sent with one turn flipped; annotators who accept that did not look.",
    )
    gold: str = Field(
        "",
        exclude=True,
        description="A JSONL file of clips whose true routes are known; empty: none.",
    )
    media_url: str = Field(
        "",
        exclude=True,
        description="URL of the workspace's media folder if `url` is set; empty: media are uploaded to that server.",
    )
    clip_pixels: int = Field(
        640,
        ge=160,
        le=1920,
        exclude=True,
        description="Longest side of the review clips, in pixels.",
    )
    clip_sound: bool = Field(
        False,
        exclude=True,
        description="Whether review clips have sound; voices may be personal data.",
    )
    log: str = Field(
        "",
        exclude=True,
        description="Folder of the verdict log, relative to the workspace; empty: annotations/verdicts if the workspace is in a checkout, else verdicts.",
    )

    @field_validator("overlap")
    @classmethod
    def _reaches_agree(cls, overlap: int, info: ValidationInfo) -> int:
        agree = info.data.get("agree", 1)
        if overlap < agree:
            raise PydanticCustomError(
                "too_few",
                "{overlap} is less than review.agree = {agree}: nothing could ever be verified",
                {"overlap": overlap, "agree": agree},
            )
        return overlap

    @property
    def gold_project(self) -> str:
        """The title of the project for gold clips, which every annotator judges."""
        return f"{self.project} gold"

    @property
    def adjudication_project(self) -> str:
        """The title of the project for clips on which people disagree."""
        return f"{self.project} adjudication"


class AuditSettings(Settings):
    """How people answer items in the audit, which measures the benchmark's quality."""

    sample: int = Field(
        200, ge=0, exclude=True, description="How many verified items are asked; 0: all."
    )
    overlap: int = Field(
        2,
        ge=1,
        le=5,
        exclude=True,
        description="How many people answer each item; two equal answers verify an item written by a model, or set an item aside.",
    )
    project: str = Field(
        "egost audit",
        min_length=3,
        max_length=50,
        exclude=True,
        description="Title of the Label Studio project.",
    )
