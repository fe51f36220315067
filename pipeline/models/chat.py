"""The requests to a model: messages, body, key, size and schema."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from pipeline.models.prices import Price, Size
from pipeline.models.settings import ModelSettings


@dataclass(frozen=True)
class PromptImage:
    """A JPEG with its size in pixels; its digest and its data URL are made once, however often it is sent."""

    jpeg: bytes
    width: int
    height: int
    frames: ClassVar[int] = 1

    @cached_property
    def digest(self) -> str:
        """The digest that stands for the image in a request's key."""
        return _digest(self.jpeg)

    @cached_property
    def url(self) -> str:
        """The image as a data URL."""
        return _data_url("image/jpeg", self.jpeg)


@dataclass(frozen=True)
class PromptVideo:
    """An MP4 with the size and the number of its frames; not every server accepts videos."""

    mp4: bytes
    width: int
    height: int
    frames: int

    @cached_property
    def digest(self) -> str:
        """The digest that stands for the video in a request's key."""
        return _digest(self.mp4)

    @cached_property
    def url(self) -> str:
        """The video as a data URL."""
        return _data_url("video/mp4", self.mp4)


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


Part = str | PromptImage | PromptVideo


@dataclass(frozen=True)
class Message:
    """One message: text, images and videos in the order in which they are sent."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class PlainRequest:
    """A request for text, without a schema; each repeat has a reply of its own."""

    messages: tuple[Message, ...]
    repeat: int = 0


@dataclass(frozen=True)
class Form:
    """How a request is put: with a schema or without, and the name of its limit on tokens.

    Servers differ in what they accept; the question is the same. Ollama ignores
    max_completion_tokens (ollama#7125), others refuse max_tokens; some take both.
    """

    schema: bool
    limit: Literal["max_completion_tokens", "max_tokens", "both"]

    @property
    def limit_names(self) -> tuple[str, ...]:
        """The fields of the body that hold the limit."""
        return ("max_completion_tokens", "max_tokens") if self.limit == "both" else (self.limit,)


FORMS = (
    Form(True, "max_completion_tokens"),
    Form(False, "max_completion_tokens"),
    Form(True, "max_tokens"),
    Form(False, "max_tokens"),
    Form(True, "both"),
    Form(False, "both"),
)


def forms(settings: ModelSettings, *, plain: bool) -> tuple[Form, ...]:
    """Return the forms in which a request may have been sent, the preferred one first."""
    schemas = settings.structured and not plain
    known = [form for form in FORMS if schemas or not form.schema]
    return tuple(sorted(known, key=lambda form: settings.limit_name not in ("auto", form.limit)))


@dataclass(frozen=True)
class RequestKey:
    """A request without the bytes of its images, and the sha256 under which its reply is stored."""

    key: str
    request: str


def request_keys(
    settings: ModelSettings,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any] | None,
    repeat: int = 0,
) -> dict[Form, RequestKey]:
    """Return the key of a request in each form: the digest of server and body, images as digests.

    Without a schema, text is asked for. Repeat 0 is not part of the digest.
    """
    digests = _messages(messages, settings.detail, lambda media: media.digest)
    again = {"repeat": repeat} if repeat else {}
    keys = {}
    for form in forms(settings, plain=schema is None):
        body = {"server": settings.base_url, **again, **_body(settings, digests, schema, form)}
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        keys[form] = RequestKey(hashlib.sha256(text.encode()).hexdigest(), text)
    return keys


def request_body(
    settings: ModelSettings,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any] | None,
    form: Form,
) -> dict[str, Any]:
    """Return the body of a chat completion request, with images as data URLs."""
    whole = _messages(messages, settings.detail, lambda media: media.url)
    return _body(settings, whole, schema, form)


def _messages(
    messages: tuple[Message, ...], detail: str, url: Callable[[PromptImage | PromptVideo], str]
) -> list[dict[str, Any]]:
    def part(item: Part) -> dict[str, Any]:
        if isinstance(item, str):
            return {"type": "text", "text": item}
        if isinstance(item, PromptVideo):
            return {"type": "video_url", "video_url": {"url": url(item)}}
        image = {"url": url(item)}
        return {
            "type": "image_url",
            "image_url": image | ({} if detail == "auto" else {"detail": detail}),
        }

    def content(message: Message) -> str | list[dict[str, Any]]:
        if len(message.parts) == 1 and isinstance(message.parts[0], str):
            return message.parts[0]
        return [part(item) for item in message.parts]

    return [{"role": message.role, "content": content(message)} for message in messages]


def _body(
    settings: ModelSettings,
    messages: list[dict[str, Any]],
    schema: Mapping[str, Any] | None,
    form: Form,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": messages,
        **dict.fromkeys(form.limit_names, settings.max_completion_tokens),
    }
    if form.schema:
        answer = {"name": "answer", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": answer}
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    return {**body, **settings.parameters}


def size_of(settings: ModelSettings, messages: tuple[Message, ...], price: Price) -> Size:
    """Return the size of a request; a video counts as its frames."""
    parts = [part for message in messages for part in message.parts]
    texts = [part for part in parts if isinstance(part, str)]
    if settings.parameters:
        texts.append(json.dumps(settings.parameters))  # tools and documents are billed as text
    images = [part for part in parts if not isinstance(part, str)]
    return Size(
        len(messages),
        sum(len(text.encode()) for text in texts),
        sum(len(text) for text in texts),
        sum(
            image.frames * price.image_tokens(image.width, image.height, settings.detail)
            for image in images
        ),
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
