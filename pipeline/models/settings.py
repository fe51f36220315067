"""The settings of every request to a model."""

import json
from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator

from pipeline.engine.settings import Settings

DRAFTING_KEY = "OPENAI_API_KEY"
DRAFTING_SERVER = "https://api.openai.com/v1"
# Of a request's body: what the client sets or reads itself, or what would change the cost of a reply.
_OWN = frozenset(
    (
        "model", "messages", "max_completion_tokens", "max_tokens", "temperature", "response_format",
        "stream", "n", "best_of", "service_tier",
    )
)  # fmt: skip


class ModelSettings(Settings):
    """Which model is used, how, and what it may cost.

    Errors name the settings as those of `section`; `own_key` is the environment variable of the key
    (see keys.py), `fewer_images` what makes requests smaller.
    """

    retired: ClassVar[Mapping[str, object]] = {"max_requests": None}
    section: ClassVar[str] = "draft"
    own_key: ClassVar[str] = DRAFTING_KEY
    fewer_images: ClassVar[str] = "a lower draft.frames"
    model: str = Field("", description="model that drafts, by the server's name for it")
    base_url: str = Field(DRAFTING_SERVER, description="OpenAI-compatible server, up to /v1")
    structured: bool = Field(
        True,
        description="let the server enforce the reply's schema (left out automatically if the server refuses it)",
    )
    detail: Literal["low", "high", "auto"] = Field(
        "low", description="resolution at which the model sees frames; auto leaves it to the server"
    )
    max_completion_tokens: int = Field(
        4000, ge=100, le=200_000, description="maximum tokens of one reply; limits its cost"
    )
    limit_name: Literal["auto", "max_completion_tokens", "max_tokens", "both"] = Field(
        "auto",
        exclude=True,
        description="name under which a request states max_completion_tokens; auto tries one, then the other;"
        " both sends both (for Ollama)",
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
        description="maximum US dollars that this workspace may spend on the model, over all runs",
    )
    input_usd_per_million: float | None = Field(
        None,
        ge=0,
        exclude=True,
        description="price of a million input tokens; overrides prompts/prices.toml; set both prices",
    )
    output_usd_per_million: float | None = Field(
        None,
        ge=0,
        exclude=True,
        description="price of a million output tokens; overrides prompts/prices.toml; set both prices",
    )
    in_flight: int = Field(
        64,
        ge=1,
        le=1024,
        exclude=True,
        description="maximum requests in flight; reduced automatically when the server is overloaded",
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
        description="attempts at one request before its clip counts as failed",
    )
    timeout_seconds: float = Field(
        180, gt=0, exclude=True, description="maximum wait for one complete reply"
    )

    @property
    def key_variable(self) -> str:
        """The environment variable that the user named for the key; empty if none was named."""
        return ""

    @property
    def drafting_server(self) -> str:
        """The server for which OPENAI_API_KEY is meant."""
        return self.base_url

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Further fields of each request's body."""
        return {}

    @field_validator(
        "temperature", "input_usd_per_million", "output_usd_per_million", mode="before"
    )
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value  # TOML has no null: an empty string means "not set"

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


class EvaluatedModel(ModelSettings):
    """The model that is scored; a workspace isn't needed."""

    section: ClassVar[str] = "evaluate"
    own_key: ClassVar[str] = "EGOST_MODEL_API_KEY"
    fewer_images: ClassVar[str] = "fewer or smaller frames (--arms frames-4, --image-pixels 448)"
    model: str = Field("", description="model that is scored, by the server's name for it")
    max_cost_usd: float = Field(
        10.0,
        ge=0,
        exclude=True,
        description="maximum US dollars that this results folder may spend on the model, over all runs",
    )
    extra_body: dict[str, JsonValue] = Field(
        {},
        description="further fields of each request: top_p, top_k, seed, chat_template_kwargs, ...; sent as they are",
    )
    api_key_env: str = Field(
        "",
        exclude=True,
        description="environment variable that holds the server's key; empty = EGOST_MODEL_API_KEY, or"
        " OPENAI_API_KEY for the drafting server",
    )
    draft_base_url: str = Field(
        DRAFTING_SERVER,
        exclude=True,
        description="the drafting server: OPENAI_API_KEY is sent to no other unless api_key_env names it",
    )

    @property
    def key_variable(self) -> str:
        """The environment variable that the user named for the key; empty if none was named."""
        return self.api_key_env

    @property
    def drafting_server(self) -> str:
        """The server for which OPENAI_API_KEY is meant."""
        return self.draft_base_url

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Further fields of each request's body."""
        return self.extra_body

    @field_validator("extra_body")
    @classmethod
    def _sendable(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if own := sorted(_OWN & value.keys()):
            raise ValueError(f"{own[0]} can't be set here: a setting of its own, or not supported")
        json.dumps(value, allow_nan=False)
        return value


class JudgeModel(EvaluatedModel):
    """The model that judges open answers; its key is neither that of drafting nor that of the scored model."""

    section: ClassVar[str] = "judge"
    own_key: ClassVar[str] = "EGOST_JUDGE_API_KEY"
    model: str = Field("", description="model that judges, by the server's name for it")


class SecondJudgeModel(JudgeModel):
    """A second judge, of another family; its key is its own."""

    section: ClassVar[str] = "second_judge"
    own_key: ClassVar[str] = "EGOST_SECOND_JUDGE_API_KEY"


class ThinkModel(EvaluatedModel):
    """The model that writes think texts for training; its key is its own."""

    section: ClassVar[str] = "think"
    own_key: ClassVar[str] = "EGOST_THINK_API_KEY"
    fewer_images: ClassVar[str] = "fewer rows"
    model: str = Field("", description="model that writes think texts, by the server's name for it")
    max_cost_usd: float = Field(
        10.0,
        ge=0,
        exclude=True,
        description="maximum US dollars that this folder of rows may spend on the model, over all runs",
    )
