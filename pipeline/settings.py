"""Every setting of the stages: a class for each section of `egost.toml`, in the order of the work.

Each field says its type, default, bounds and meaning; `egost init` writes them out. They stand here
together and not with their stages, so that a run with nothing to do needs no decoder or server client.
"""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pipeline.config import Settings
from pipeline.records import Consent, Lens, Split


class ModelSettings(Settings):
    """Which model is asked, how, and what it may cost."""

    model: str = Field("", description="model that drafts, as the server calls it")
    base_url: str = Field(
        "https://api.openai.com/v1", description="OpenAI-compatible server, up to /v1"
    )
    structured: bool = Field(
        True,
        description="let the server enforce the reply's schema (falls back by itself where it refuses)",
    )
    detail: Literal["low", "high", "auto"] = Field(
        "low", description="how closely the model looks at pictures; auto leaves it to the server"
    )
    max_completion_tokens: int = Field(
        4000, ge=100, le=200_000, description="most tokens of one reply; bounds its cost"
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        description="sampling temperature; sent only if set (some models refuse it)",
    )
    max_cost_usd: float = Field(
        10.0,
        ge=0,
        exclude=True,
        description="most US dollars that this workspace may spend on the model, all runs together",
    )
    max_requests: int = Field(
        100_000,
        ge=0,
        exclude=True,
        description="most requests that this workspace may send, all runs together",
    )
    input_usd_per_million: float | None = Field(
        None,
        ge=0,
        exclude=True,
        description="price of a million input tokens; overrides prompts/prices.toml",
    )
    output_usd_per_million: float | None = Field(
        None,
        ge=0,
        exclude=True,
        description="price of a million output tokens; overrides prompts/prices.toml",
    )
    in_flight: int = Field(
        64,
        ge=1,
        le=1024,
        exclude=True,
        description="most requests under way at once; fewer by themselves when the server pushes back",
    )
    requests_per_minute: float = Field(0, ge=0, exclude=True, description="rate limit; 0 = none")
    tokens_per_minute: float = Field(
        0, ge=0, exclude=True, description="rate limit on input tokens; 0 = none"
    )
    attempts: int = Field(
        6,
        ge=1,
        le=50,
        exclude=True,
        description="tries of one request before its clip counts as failed",
    )
    timeout_seconds: float = Field(
        180, gt=0, exclude=True, description="longest wait for one whole reply"
    )

    @field_validator(
        "temperature", "input_usd_per_million", "output_usd_per_million", mode="before"
    )
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value  # TOML has no null: an empty text is "not set"

    @field_validator("base_url")
    @classmethod
    def _plain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as https://host/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError(
                "no user, password or query in the address: keys come from the environment"
            )
        return value.rstrip("/")


class IngestSettings(Settings):
    """What holds for videos of which no manifest line says otherwise."""

    consent: Consent = Field(
        "local",
        exclude=True,  # it travels on each Source, so a change touches only the videos it concerns
        description='How far pictures may go: "local", "model" (a model server), "release" (both).',
    )


class SplitSettings(Settings):
    """The shares of the splits, by duration of footage."""

    train: float = Field(0.15, ge=0, le=1, description="Share of the train split.")
    validation: float = Field(0.05, ge=0, le=1, description="Share of the validation split.")
    test: float = Field(0.80, ge=0, le=1, description="Share of the test split.")
    salt: str = Field(
        "egost", description="Draws another assignment; only for groups that have none."
    )

    @model_validator(mode="after")
    def _whole(self) -> "SplitSettings":
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train + validation + test must be 1")
        return self

    def shares(self) -> dict[Split, float]:
        """Return the share of each split."""
        return {"test": self.test, "train": self.train, "validation": self.validation}


class FramesSettings(Settings):
    """How keyframes, clips and motion are made."""

    motion: bool = Field(
        True,
        description="Measure heading and turns (one full decode); false: keyframes alone, by seeking.",
    )
    budget: int = Field(16, ge=2, le=256, description="Keyframes per clip, at most.")
    width: int = Field(640, ge=64, le=4096, description="Width of a keyframe in pixels, at most.")
    quality: int = Field(90, ge=30, le=100, description="JPEG quality of the keyframes.")
    max_clip_seconds: float = Field(
        120.0, ge=10, le=3600, description="Longer videos are cut into clips at calm moments."
    )
    default_hfov_degrees: float = Field(
        70.0,
        ge=20,
        le=200,
        description="Horizontal field of view of videos that don't say theirs; angles scale with it.",
    )
    lens: Lens = Field(
        "rectilinear",
        description='Lens of videos that don\'t say theirs: "rectilinear", or "fisheye" (equidistant, as Aria\'s).',
    )


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


class ReviewSettings(Settings):
    """How people judge routes."""

    agree: int = Field(
        2,
        ge=1,
        le=5,
        description="How many people must say the same to verify a route (1 if you work alone).",
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
        description="Who catches a smaller share of planted errors is set aside, and their clips reopen.",
    )
    min_right: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Who is right on a smaller share of gold clips is set aside, and their clips reopen.",
    )
    min_known: int = Field(
        5, ge=1, description="How many planted or gold tasks it takes to judge a person by them."
    )
    project: str = Field(
        "egost routes",
        min_length=3,
        max_length=37,  # of the 50 that a title may have, " adjudication" takes 13
        exclude=True,
        description="Title of the Label Studio project.",
    )
    url: str = Field(
        "",
        exclude=True,
        description="A Label Studio server of your own (with LABEL_STUDIO_API_KEY); empty: the embedded one.",
    )
    planted: float = Field(
        0.05,
        ge=0,
        le=1,
        exclude=True,
        description="Share of clips that also go out with one turn flipped: who accepts that did not look.",
    )
    gold: str = Field(
        "", exclude=True, description="A file of clips whose true routes are known; empty: none."
    )
    media_url: str = Field(
        "",
        exclude=True,
        description="Where browsers find the workspace's media folder when `url` is set; empty: media are uploaded to that server.",
    )
    clip_pixels: int = Field(
        640,
        ge=160,
        le=1920,
        exclude=True,
        description="Longest side of the review clips, in pixels.",
    )
    clip_sound: bool = Field(
        False, exclude=True, description="Whether review clips have sound: voices may be personal."
    )
    log: str = Field(
        "",
        exclude=True,
        description="Folder of the verdict log, below the workspace; empty: annotations/verdicts of the checkout around it, else verdicts.",
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
        """The title of the project of the gold clips, which go to everybody."""
        return f"{self.project} gold"

    @property
    def adjudication_project(self) -> str:
        """The title of the project of the clips on which people differ."""
        return f"{self.project} adjudication"


class ComposeSettings(Settings):
    """How questions are made."""

    apart_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="What is flipped lies at least so far apart, or it can't be seen.",
    )
    min_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Turns measured less surely are flipped only where a clip has no others.",
    )


class CheckSettings(Settings):
    """How far things may be apart before they are doubted."""

    slack_seconds: float = Field(
        1.5,
        ge=0,
        le=30,
        description="How far a step may lie from the measured turn or narration that it tells of.",
    )
    known_words: list[str] = Field(
        [],
        description="Where given, landmarks and actions with any other word are doubted.",
    )


class FacesSettings(Settings):
    """Whether keyframes are searched for faces."""

    look: bool = Field(True, description="Search the keyframes for faces.")
    smallest: float = Field(
        0.08, ge=0.05, le=0.9, description="Height of the smallest face, as a share of the picture."
    )
    # On 48 keyframes of three walks on which no face is to be seen, 6 found four and 10 one.
    sureness: int = Field(
        10,
        ge=1,
        le=50,
        description="Overlapping hits that make a face; fewer find more, wrongly too.",
    )


class StillsSettings(Settings):
    """The frames that models are scored with."""

    count: int = Field(8, ge=1, le=64, description="Equally distant frames of each clip.")
    width: int = Field(768, ge=64, le=4096, description="Their width in pixels, at most.")
    quality: int = Field(85, ge=1, le=100, description="Their JPEG quality.")


class AuditSettings(Settings):
    """How people answer items, to measure how good the benchmark is."""

    sample: int = Field(
        200, ge=0, exclude=True, description="How many verified items are asked; 0 = all."
    )
    overlap: int = Field(
        2,
        ge=1,
        le=5,
        exclude=True,
        description="How many people answer each; what a model wrote is verified by two.",
    )
    project: str = Field(
        "egost audit",
        min_length=3,
        max_length=50,
        exclude=True,
        description="Title of the Label Studio project.",
    )


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
