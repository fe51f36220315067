"""One request to an OpenAI-compatible server, and what each way of failing means.

    PassingError      try again: rate limits, 5xx, stalls, cut connections, broken replies
    UnsupportedError  the server refuses to enforce a schema: ask without
    RowError          this request will never work (too large, refused by a filter)
    UserError         no request will work: wrong key, wrong model, no quota, no server

The real one, `OpenAIWire`, is in openai_wire.py: importing that costs half a second.
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
    """A failure that may be over the next time.

    `unknown`: the server may have done (and billed) the work; `overload`: it has too much to do;
    `closed_for`: the seconds that it asked everyone to stay away.
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
    """Whatever takes a request body and brings a reply."""

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply, or raise PassingError, UnsupportedError, RowError or UserError."""

    async def close(self) -> None:
        """Let go of the connections."""


class ScriptedModel:
    """A stand-in server for tests: answers from a list (or a function), remembers what it was asked."""

    def __init__(
        self,
        *script: Reply | BaseException | str,
        answer: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self._script = list(script)
        self._answer = answer

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Return or raise the next line of the script; text becomes a whole reply."""
        self.asked.append(body)
        if not self._script and self._answer is None:
            raise AssertionError("the script is at its end, and yet there is one more request")
        line = self._script.pop(0) if self._script or self._answer is None else self._answer(body)
        if isinstance(line, BaseException):
            raise line
        return line if isinstance(line, Reply) else Reply(line, None, "stop", "scripted", 100, 50)

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def on_loopback(base_url: str) -> bool:
    """Tell whether a server is on this machine."""
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
    """Read a chat completion; raise PassingError for what isn't one or holds no choice."""
    try:
        completion = _Completion.model_validate(found)
    except ValueError as error:
        raise PassingError("the reply is not a chat completion", unknown=True) from error
    if not completion.choices:
        raise PassingError("the reply holds no choice", unknown=True)
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
    """Return the seconds that a server asks to wait: as milliseconds, seconds or a date; else 0."""
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
