"""The body of a chat completion request: what is asked of which model, or why it is refused.

A field that isn't supported is refused, never ignored: a figure must not rest on a setting without effect.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

# Fields that change nothing about a reply here, or that may be given with the one value that is served.
_WITHOUT_EFFECT = frozenset(("user", "metadata", "service_tier", "safety_identifier"))
_ONLY: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "stream": (False,),
    "logprobs": (False,),
    "store": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
}
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_OF_MESSAGES = frozenset(("role", "content", "refusal", "annotations"))
_FORMATS = ("JPEG", "PNG", "WEBP")
_MOST_PIXELS = 50_000_000  # of one image: 150 MB once decoded
_USUAL_TOKENS = 1024
_MOST_STOPS = 4  # as OpenAI


class RefusedError(Exception):
    """A request that gets an error: its HTTP status, what is wrong, and OpenAI's code and parameter."""

    def __init__(
        self, status: int, what: str, code: str | None = None, parameter: str | None = None
    ) -> None:
        super().__init__(what)
        self.status, self.what, self.code, self.parameter = status, what, code, parameter

    @property
    def body(self) -> dict[str, Any]:
        """The error in OpenAI's form."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": self.what,
                "type": kind,
                "param": self.parameter,
                "code": self.code,
            }
        }


@dataclass(frozen=True)
class Picture:
    """An image as it was sent, whose header was read: its size in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Turn:
    """One message: texts and pictures in their order."""

    role: str
    parts: tuple[str | Picture, ...]


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn: the likeliest one at temperature 0, else by chance from a seed (None: a new one)."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None


@dataclass(frozen=True)
class Ask:
    """A request: the model's name, the conversation, and limits on the reply."""

    model: str
    turns: tuple[Turn, ...]
    max_tokens: int
    drawing: Drawing = Drawing()
    stop: tuple[str, ...] = ()

    @property
    def pictures(self) -> list[Picture]:
        """All pictures, in their order."""
        return [part for turn in self.turns for part in turn.parts if isinstance(part, Picture)]


def parse(data: bytes) -> Ask:
    """Return what a body asks for; raise RefusedError (400) if it is no request, or one that isn't supported."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is no JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "the body is no JSON object")
    given = {name: value for name, value in body.items() if value is not None}
    model = given.pop("model", None)
    if not isinstance(model, str):
        raise _wrong("model", "the name of a model is missing")
    turns = _turns(given.pop("messages", None))
    limits = [
        _whole(given.pop(name), name, 1, 1_000_000)
        for name in ("max_tokens", "max_completion_tokens")
        if name in given
    ]
    drawing = Drawing(
        _number(given.pop("temperature", 0), "temperature", 0, 2),
        _number(given.pop("top_p", 1), "top_p", 0, 1),
        _whole(given.pop("top_k", 0), "top_k", -1, 1_000_000),
        _whole(given.pop("seed"), "seed", -(2**63), 2**63 - 1) if "seed" in given else None,
    )
    stop = _stops(given.pop("stop", ()))
    for name, value in given.items():
        if name not in _WITHOUT_EFFECT and value not in _ONLY.get(name, ()):
            raise _unsupported(name, value)
    return Ask(model, turns, min(limits, default=_USUAL_TOKENS), drawing, stop)


def _turns(messages: object) -> tuple[Turn, ...]:
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "a list of at least one message is needed")
    return tuple(_turn(message, f"messages.{at}") for at, message in enumerate(messages))


def _turn(message: object, where: str) -> Turn:
    if not isinstance(message, dict) or message.get("role") not in [*_ROLES]:
        raise _wrong(where, f"a message has a role ({', '.join(_ROLES)}) and a content")
    for name, value in message.items():
        # The client gives replies back with empty ones.
        if name not in _OF_MESSAGES and value not in (None, []):
            what = f"{where}.{name}: isn't supported by this server"
            raise RefusedError(400, what, "unsupported_parameter", f"{where}.{name}")
    content = message.get("content")
    if isinstance(content, str):
        return Turn(_ROLES[message["role"]], (_text(content, f"{where}.content"),))
    if not isinstance(content, list) or not content:
        raise _wrong(f"{where}.content", "a text, or a list of at least one part, is needed")
    parts = tuple(_part(part, f"{where}.content.{at}") for at, part in enumerate(content))
    return Turn(_ROLES[message["role"]], parts)


def _part(part: object, where: str) -> str | Picture:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "text" and isinstance(part.get("text"), str):
        return _text(part["text"], where)
    if isinstance(part, dict) and kind == "image_url":
        given = part.get("image_url")
        url = given.get("url") if isinstance(given, dict) else given
        if isinstance(url, str):
            return _picture(url, where)
    shown = f" {kind!r}" if isinstance(kind, str) else ""
    raise _wrong(where, f"parts are of the types text and image_url, and this one{shown} isn't")


def _picture(url: str, where: str) -> Picture:
    head, comma, encoded = url.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        raise _wrong(
            where, "an image is sent as data:image/...;base64,...; no other address is fetched"
        )
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(where, "the image's data is no base64") from None
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:  # reads the header alone
            width, height = image.size
    # A damaged header can raise nearly anything; a picture of too many pixels is an error or a warning.
    except (OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError) as error:
        raise _wrong(where, f"the image is none of {', '.join(_FORMATS)}, or is damaged") from error
    if width * height > _MOST_PIXELS:
        raise _wrong(where, f"the image has {width} x {height} pixels, more than {_MOST_PIXELS}")
    return Picture(data, width, height)


def _stops(given: object) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given
    if (
        not isinstance(stops, list | tuple)
        or len(stops) > _MOST_STOPS
        or not all(isinstance(one, str) and one for one in stops)
    ):
        raise _wrong("stop", f"a text, or a list of at most {_MOST_STOPS}, is needed")
    return tuple(_text(one, "stop") for one in stops)


def _text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _wrong(
            where, "the text has half of a surrogate pair, which is no character"
        ) from None
    return text


def _number(value: object, name: str, least: float, most: float) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not least <= value <= most  # nan is never
    ):
        raise _wrong(name, f"a number from {least} to {most} is needed")
    return float(value)


def _whole(value: object, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _wrong(name, f"a whole number from {least} to {most} is needed")
    return value


def _wrong(where: str, what: str) -> RefusedError:
    return RefusedError(400, f"{where}: {what}", None, where)


def _unsupported(name: str, value: object) -> RefusedError:
    what = f"{name}: isn't supported by this server"
    if name in _ONLY:
        what = f"{name}: {json.dumps(value)[:40]} isn't supported by this server"
    if name == "n":
        what += "; send the request several times"
    return RefusedError(400, what, "unsupported_parameter", name)
