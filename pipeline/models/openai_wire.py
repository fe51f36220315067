"""Requests through the openai client, and the meaning of each of its errors.

The key is read from OPENAI_API_KEY only, and removed from every message.
"""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2
import openai

from pipeline.errors import RowError, UserError
from pipeline.models.journal import Reply
from pipeline.models.wire import (
    PassingError,
    UnsupportedError,
    on_loopback,
    read_completion,
    retry_after,
)

KEY_NAME = "OPENAI_API_KEY"
_FINAL_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_FILTER_CODES = {"content_filter", "content_policy_violation"}
_SCHEMA_WORDS = ("response_format", "json_schema", "structured output", "guided_json")
_PASSING_STATUS = {408, 409, 425, 429}
_OVERLOAD_STATUS = {429, 503, 529}


class OpenAIWire:
    """Requests to one server through the openai client, with the client's own retries turned off."""

    def __init__(self, base_url: str, model: str, timeout_seconds: float) -> None:
        local = on_loopback(base_url)
        key = os.environ.get(KEY_NAME, "").strip()
        if not key and not local:
            raise UserError(
                KEY_NAME,
                f"is not set, and {base_url} needs a key",
                f"export {KEY_NAME}=... in the shell that runs egost",
            )
        self._base_url, self._model, self._key = base_url, model, key
        self._seconds = timeout_seconds
        self._reached = False
        # No proxy for a loopback server, and no redirects: frames and the key are sent only to the
        # host that the user named.
        http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_seconds, connect=10),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=256),
            trust_env=not local,
            follow_redirects=False,
        )
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=key or "none", max_retries=0, http_client=http
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one chat completion request; wire.py lists the errors."""
        try:
            # The client's timeout limits the gap between two bytes; a slow stream needs a total limit.
            async with asyncio.timeout(self._seconds):
                response = await self._client.post(
                    "/chat/completions", body=body, cast_to=httpx2.Response
                )
        except (TimeoutError, openai.APITimeoutError) as error:
            if isinstance(error.__cause__, httpx2.ConnectTimeout):
                raise self._unreached("does not answer") from error
            raise PassingError(
                f"no complete answer within {self._seconds:g} s", unknown=True
            ) from error
        except openai.APIStatusError as error:
            self._reached = True
            raise self._meaning(error) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            if isinstance(error.__cause__, httpx2.ConnectError):
                raise self._unreached("no server answers") from error
            raise PassingError("the connection was lost", unknown=True) from error
        return self._read(response)

    def _unreached(self, what: str) -> Exception:
        if self._reached:
            return PassingError(what, unknown=False)
        return UserError(
            self._base_url, what, "start the server, or change draft.base_url in egost.toml"
        )

    def _read(self, response: httpx2.Response) -> Reply:
        try:
            found = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            if not self._reached and "json" not in response.headers.get("content-type", ""):
                raise UserError(
                    self._base_url,
                    "is not an OpenAI-compatible server",
                    "draft.base_url usually ends in /v1",
                ) from error
            raise PassingError("the reply is not complete JSON", unknown=True) from error
        reply = read_completion(found)
        self._reached = True
        refusal = reply.refusal and self._without_key(reply.refusal)
        return replace(reply, text=self._without_key(reply.text), refusal=refusal)

    def _meaning(self, error: openai.APIStatusError) -> Exception:
        status, reason = error.status_code, self._reason(error.body)
        code, kind, parameter = (_word(error.body, name) for name in ("code", "type", "param"))
        if status in (401, 403):
            return UserError(
                self._base_url,
                f"refused the key ({status}): {reason}",
                f"set {KEY_NAME} to a key that may use {self._model}",
            )
        if status == 402 or {code, kind} & _FINAL_CODES:
            return UserError(
                self._base_url,
                f"the account has no quota left: {reason}",
                "add credit or increase its limit, then run this again: nothing is paid for twice",
            )
        if status == 404:
            return UserError(
                self._base_url,
                f"has no model {self._model!r} ({reason})",
                "change draft.model, or draft.base_url (it usually ends in /v1)",
            )
        if 300 <= status < 400:
            return UserError(
                self._base_url,
                f"redirects to another address ({status})",
                "set draft.base_url to the address that it redirects to",
            )
        if status in _PASSING_STATUS or (status >= 500 and status != 501):
            return PassingError(
                f"the server answered {status}: {reason}",
                unknown=False,
                overload=status in _OVERLOAD_STATUS,
                closed_for=retry_after(error.response.headers),
            )
        if {code, kind} & _FILTER_CODES:
            return RowError(
                f"the server's content filter refused the clip: {reason}",
                "leave the clip out, or draft it with another model",
            )
        if status == 413:
            return RowError(
                f"the request is too large for the server: {reason}", "lower draft.frames"
            )
        if any(word in f"{reason} {parameter}".lower() for word in _SCHEMA_WORDS):
            return UnsupportedError(reason)
        if parameter in ("temperature", "max_completion_tokens", "model"):
            return UserError(
                self._base_url,
                f"refuses the parameter {parameter}: {reason}",
                f"change draft.{parameter}",
            )
        return RowError(
            f"the server refused the request ({status}): {reason}",
            "see the server's message; fewer frames or another model may help",
        )

    def _reason(self, body: object) -> str:
        text = _word(body, "message") or (body if isinstance(body, str) else "")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return self._without_key(text)[:200] or "no message"

    def _without_key(self, text: str) -> str:
        """Remove the key, whole or shortened, from a server's text: replies are stored and errors are shown."""
        return re.sub(rf"{re.escape(self._key[:8])}\S*", "[key]", text) if self._key else text


def _word(body: object, name: str) -> str:
    value = body.get(name) if isinstance(body, Mapping) else None
    return value if isinstance(value, str) else ""
