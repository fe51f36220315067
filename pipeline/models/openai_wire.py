"""Requests through the openai client.

keys.py decides which key is sent. It is hidden in errors, and a reply that contains it is refused.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import httpx2
import openai

from pipeline.models.completion import read_completion
from pipeline.models.error_body import read_error, wait_seconds
from pipeline.models.event_stream import is_stream, read_stream
from pipeline.models.failures import Names, RequestError, failure
from pipeline.models.journal import Reply
from pipeline.models.keys import key_for, same_server
from pipeline.models.secret import Secret
from pipeline.models.settings import DRAFTING_KEY, ModelSettings
from pipeline.models.wire import on_loopback

T = TypeVar("T")


class OpenAIWire:
    """Requests to one server through the openai client, with the client's own retries turned off."""

    def __init__(self, settings: ModelSettings) -> None:
        key = key_for(settings)
        self.names = Names(settings.model, settings.section, key.name, settings.fewer_images)
        self._base_url, self._seconds = settings.base_url, settings.timeout_seconds
        self._secret = Secret(key.value)
        self._reached = False
        # No proxy for a loopback server, and no redirects: frames and the key are sent only to the
        # host that the user named.
        http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(self._seconds, connect=10),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=256),
            trust_env=not on_loopback(settings.base_url),
            follow_redirects=False,
        )
        self.client = openai.AsyncOpenAI(
            base_url=settings.base_url,
            api_key=key.value or "none",
            max_retries=0,
            http_client=http,
        )
        drafting = same_server(settings.base_url, settings.drafting_server)
        if not (drafting and key.name == DRAFTING_KEY):
            # The library takes these from the environment; they belong to the account of that key.
            self.client.organization = self.client.project = self.client.admin_api_key = None
            self.client._custom_headers = {}

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one chat completion request; failures.py lists the errors."""
        request = self.client.post("/chat/completions", body=body, cast_to=httpx2.Response)
        response = await self.answered(request, temperature="temperature" in body)
        return self._read(response)

    async def answered(
        self, request: Awaitable[T], *, seconds: float | None = None, temperature: bool = False
    ) -> T:
        """Return the response to a request of `client`, or raise RequestError.

        `seconds` is the longest that it may take if that isn't `timeout_seconds`.
        """
        try:
            return await self._answered(request, seconds or self._seconds, temperature)
        except RequestError as error:
            error.what = self._secret.hidden(error.what)
            raise

    async def _answered(self, request: Awaitable[T], seconds: float, temperature: bool) -> T:
        try:
            # The client's timeout limits the gap between two bytes; a slow stream needs a total limit.
            async with asyncio.timeout(seconds):
                response = await request
        except (TimeoutError, openai.APITimeoutError) as error:
            if isinstance(error.__cause__, httpx2.ConnectTimeout):
                raise self._unreached("does not answer") from error
            raise RequestError(
                "moment", f"no complete answer within {seconds:g} s", unknown=True
            ) from error
        except openai.APIStatusError as error:
            self._reached = True
            refused, now = error.response, time.time()
            raise failure(
                refused.status_code,
                read_error(refused.content, now),
                self.names,
                temperature=temperature,
                wait_seconds=wait_seconds(refused.headers, now),
            ) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            if isinstance(error.__cause__, httpx2.ConnectError):
                raise self._unreached("no server answers") from error
            raise RequestError("moment", "the connection was lost", unknown=True) from error
        return response

    def _unreached(self, what: str) -> RequestError:
        if self._reached:
            return RequestError("moment", what)
        return RequestError(
            "server", what, f"start the server, or change {self.names.section}.base_url"
        )

    def _unreadable(self, text: str) -> RequestError:
        if is_stream(text) or text.lstrip().startswith(("{", "[")):
            return RequestError("moment", "the reply is not complete", unknown=True)
        shown = (read_error(text, time.time()).text or text.strip())[:100] or "it is empty"
        if self._reached:
            return RequestError("moment", f"the reply is no JSON: {shown}")
        return RequestError(
            "server",
            f"is not an OpenAI-compatible server: its reply is no JSON: {shown}",
            f"{self.names.section}.base_url usually ends in /v1",
        )

    def _read(self, response: httpx2.Response) -> Reply:
        text = response.content.decode("utf-8-sig", "replace")
        try:
            found = read_stream(text) if is_stream(text) else json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if found is None:
            raise self._unreadable(text)
        return self.reply_in(found)

    def reply_in(self, found: object) -> Reply:
        """Return the reply in a chat completion, or raise RequestError; one with the key in it is refused."""
        reply = read_completion(found, self.names, time.time())
        self._reached = True
        if self._secret.found_in(
            (reply.text, reply.refusal, reply.model, reply.reasoning, *reply.elsewhere)
        ):
            known = reply.input_tokens is not None and reply.output_tokens is not None
            raise RequestError(
                "request",
                f"the server's reply contains the key in {self.names.key}, so it isn't stored",
                "use another server, and replace the key: this one passes it on",
                unknown=not known,
                tokens=(reply.input_tokens or 0, reply.output_tokens or 0) if known else None,
            )
        return reply
