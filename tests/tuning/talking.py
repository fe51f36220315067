"""Requests to a served model, as tests send them."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image


def image_url(colour: str = "red", size: tuple[int, int] = (64, 48)) -> str:
    data = BytesIO()
    Image.new("RGB", size, colour).save(data, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def image(colour: str = "red", size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": image_url(colour, size), "detail": "low"}}


def body(*content: object, model: str = "tiny", **fields: Any) -> dict[str, Any]:
    parts = [{"type": "text", "text": one} if isinstance(one, str) else one for one in content]
    messages = [{"role": "user", "content": parts}]
    return {"model": model, "messages": messages, "max_tokens": 8} | fields


@dataclass(frozen=True)
class Replied:
    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def text(self) -> str:
        return str(self.body["choices"][0]["message"]["content"])

    @property
    def finish(self) -> str:
        return str(self.body["choices"][0]["finish_reason"])

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


def asked(
    url: str, data: object = None, path: str = "/chat/completions", **headers: str
) -> Replied:
    """Send a body (bytes as they are; None: a GET) and return what is answered, whatever the status."""
    raw = data if isinstance(data, bytes | None) else json.dumps(data).encode()
    request = urllib.request.Request(url + path, raw, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return Replied(reply.status, json.load(reply), dict(reply.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Replied(error.code, json.load(error), dict(error.headers))
