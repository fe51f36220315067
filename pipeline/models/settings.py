"""The settings of every request to a model."""

from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pipeline.engine.settings import Settings


class ModelSettings(Settings):
    """Which model is used, how, and what it may cost."""

    retired: ClassVar[Mapping[str, object]] = {"max_requests": None}
    model: str = Field("", description="model that drafts, by the server's name for it")
    base_url: str = Field(
        "https://api.openai.com/v1", description="OpenAI-compatible server, up to /v1"
    )
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
    limit_name: Literal["auto", "max_completion_tokens", "max_tokens"] = Field(
        "auto",
        exclude=True,
        description="name under which a request states max_completion_tokens; auto tries both",
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
