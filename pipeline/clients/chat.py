"""What is sent to a model: its settings, messages, the request's body, its key, its size, its schema."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from pipeline.clients.prices import Price, Size
from pipeline.config import Settings


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


@dataclass(frozen=True)
class Picture:
    """A JPEG with its size in pixels."""

    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Message:
    """One message: text and pictures in the order in which they are sent."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Picture, ...]


@dataclass(frozen=True)
class RequestKey:
    """A request without its pictures' bytes, and the sha256 that its reply is kept by."""

    key: str
    request: str


def request_key(
    settings: ModelSettings, messages: tuple[Message, ...], schema: Mapping[str, Any] | None
) -> RequestKey:
    """Return what makes two requests the same: the server and the body, pictures by digest."""
    body = _body(
        settings, messages, schema, lambda p: "sha256:" + hashlib.sha256(p.jpeg).hexdigest()
    )
    text = json.dumps({"server": settings.base_url, **body}, sort_keys=True, ensure_ascii=False)
    return RequestKey(hashlib.sha256(text.encode()).hexdigest(), text)


def request_body(
    settings: ModelSettings, messages: tuple[Message, ...], schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the body of a chat completion request, pictures as data URLs."""
    return _body(
        settings,
        messages,
        schema,
        lambda p: "data:image/jpeg;base64," + base64.b64encode(p.jpeg).decode(),
    )


def _body(
    settings: ModelSettings,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any] | None,
    url: Callable[[Picture], str],
) -> dict[str, Any]:
    def part(item: str | Picture) -> dict[str, Any]:
        if isinstance(item, str):
            return {"type": "text", "text": item}
        image = {"url": url(item)} | (
            {} if settings.detail == "auto" else {"detail": settings.detail}
        )
        return {"type": "image_url", "image_url": image}

    def content(message: Message) -> str | list[dict[str, Any]]:
        if len(message.parts) == 1 and isinstance(message.parts[0], str):
            return message.parts[0]
        return [part(item) for item in message.parts]

    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": message.role, "content": content(message)} for message in messages],
        "max_completion_tokens": settings.max_completion_tokens,
    }
    if schema is not None:
        form = {"name": "answer", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    return body


def size_of(messages: tuple[Message, ...], price: Price, detail: str) -> Size:
    """Measure a request."""
    parts = [part for message in messages for part in message.parts]
    texts = [part for part in parts if isinstance(part, str)]
    pictures = [part for part in parts if isinstance(part, Picture)]
    return Size(
        len(messages),
        sum(len(text.encode()) for text in texts),
        sum(len(text) for text in texts),
        sum(price.picture_tokens(picture.width, picture.height, detail) for picture in pictures),
    )


def prompt_sha256(messages: tuple[Message, ...]) -> str:
    """Return the digest of the rendered text of a prompt, without its pictures."""
    texts = [[part for part in message.parts if isinstance(part, str)] for message in messages]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def json_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """Return a strict schema: every property required, none beyond; bounds are checked here, not there.

    Strict mode refuses unknown keywords, and servers differ in which bounds they know.
    """
    schema: dict[str, Any] = _strict(kind.model_json_schema())
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        name: {key: _strict(value) for key, value in item.items()}
        if name in ("properties", "$defs")
        else _strict(item)
        for name, item in node.items()
        if name
        in ("type", "properties", "items", "anyOf", "enum", "const", "$ref", "$defs", "description")
    }
    if "properties" in kept:
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return kept
