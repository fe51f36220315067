"""One request to an OpenAI-compatible server, and the kinds of failure.

    PassingError      retry: rate limits, 5xx, stalls, lost connections, broken replies
    UnsupportedError  the server refuses schemas: send the request without
    RowError          this request can never work (too large, refused by a filter)
    UserError         no request can work: wrong key, wrong model, no quota, no server

`OpenAIWire` is in openai_wire.py, because importing openai takes half a second.
"""

import email.utils
import ipaddress
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel

from pipeline.models.journal import Reply


class PassingError(Exception):
    """A temporary failure.

    `unknown`: the server may have done (and billed) the work; `overload`: the server is overloaded;
    `closed_for`: the seconds for which it asked clients to wait.
    """

    def __init__(
        self, what: str, *, unknown: bool, overload: bool = False, closed_for: float = 0.0
    ) -> None:
        super().__init__(what)
        self.what, self.unknown, self.overload = what, unknown, overload
        self.closed_for = closed_for


class UnsupportedError(Exception):
    """The server refuses requests that name a schema."""


class Wire(Protocol):
    """Sends request bodies and returns replies."""

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply, or raise PassingError, UnsupportedError, RowError or UserError."""

    async def close(self) -> None:
        """Close the connections."""


class ScriptedModel:
    """A fake server for tests: replies from a list or a function, and records the requests."""

    def __init__(
        self,
        *script: Reply | BaseException | str,
        answer: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self._script = list(script)
        self._answer = answer

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Return or raise the next entry of the script; a string becomes a complete reply."""
        self.asked.append(body)
        if not self._script and self._answer is None:
            raise AssertionError("there are more requests than replies in the script")
        line = self._script.pop(0) if self._script or self._answer is None else self._answer(body)
        if isinstance(line, BaseException):
            raise line
        return line if isinstance(line, Reply) else Reply(line, None, "stop", "scripted", 100, 50)

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def on_loopback(base_url: str) -> bool:
    """Return whether a server is on this machine."""
    host = urlsplit(base_url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _ReplyMessage(BaseModel):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None


class _ReplyChoice(BaseModel):
    message: _ReplyMessage
    finish_reason: str | None = None


class _TokenUsage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    model: str | None = None
    choices: list[_ReplyChoice]
    usage: _TokenUsage | None = None


def read_completion(found: object) -> Reply:
    """Parse a chat completion; raise PassingError if it isn't one or has no choice."""
    try:
        completion = _Completion.model_validate(found)
    except ValueError as error:
        raise PassingError("the reply is not a chat completion", unknown=True) from error
    if not completion.choices:
        raise PassingError("the reply has no choice", unknown=True)
    choice = completion.choices[0]
    content = choice.message.content or ""
    if isinstance(content, list):
        content = "".join(text for part in content if isinstance(text := part.get("text"), str))
    usage = completion.usage or _TokenUsage()
    return Reply(
        content,
        choice.message.refusal,
        choice.finish_reason,
        completion.model,
        usage.prompt_tokens,
        usage.completion_tokens,
    )


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float:
    """Return the seconds that a server asks to wait, given as milliseconds, seconds or a date; else 0."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    moment = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(moment) - now()) if moment else 0.0
