"""A connection to an OpenAI-compatible server, and a fake one for tests.

`OpenAIWire` is in openai_wire.py, because importing openai takes half a second.
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from pipeline.models.journal import Reply


class Wire(Protocol):
    """Sends request bodies and returns replies."""

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply, or raise RequestError."""

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
