"""The requests to a model: messages, body, key, size and schema."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from pipeline.models.prices import Price, Size
from pipeline.models.settings import ModelSettings


@dataclass(frozen=True)
class PromptImage:
    """A JPEG with its size in pixels."""

    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Message:
    """One message: text and images in the order in which they are sent."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | PromptImage, ...]


@dataclass(frozen=True)
class RequestKey:
    """A request without the bytes of its images, and the sha256 under which its reply is stored."""

    key: str
    request: str


def request_key(
    settings: ModelSettings, messages: tuple[Message, ...], schema: Mapping[str, Any] | None
) -> RequestKey:
    """Return the key of a request: the digest of server and body, with images replaced by digests."""
    body = _body(
        settings, messages, schema, lambda p: "sha256:" + hashlib.sha256(p.jpeg).hexdigest()
    )
    text = json.dumps({"server": settings.base_url, **body}, sort_keys=True, ensure_ascii=False)
    return RequestKey(hashlib.sha256(text.encode()).hexdigest(), text)


def request_body(
    settings: ModelSettings, messages: tuple[Message, ...], schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the body of a chat completion request, with images as data URLs."""
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
    url: Callable[[PromptImage], str],
) -> dict[str, Any]:
    def part(item: str | PromptImage) -> dict[str, Any]:
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
    """Return the size of a request."""
    parts = [part for message in messages for part in message.parts]
    texts = [part for part in parts if isinstance(part, str)]
    images = [part for part in parts if isinstance(part, PromptImage)]
    return Size(
        len(messages),
        sum(len(text.encode()) for text in texts),
        sum(len(text) for text in texts),
        sum(price.image_tokens(image.width, image.height, detail) for image in images),
    )


def prompt_sha256(messages: tuple[Message, ...]) -> str:
    """Return the digest of the rendered text of a prompt, without its images."""
    texts = [[part for part in message.parts if isinstance(part, str)] for message in messages]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def json_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """Return a strict schema: every property is required, no others are allowed, and bounds are omitted.

    Strict mode refuses unknown keywords, and servers differ in the bounds that they support, so the
    bounds are checked on our side.
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
