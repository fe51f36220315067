"""A chat completion that a server sent as an event stream, although none was asked for."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.models.completion import mappings

_EVENTS = re.compile(r"\s*(?:data|event|id|retry)?:", re.ASCII)  # the first line of a stream


def is_stream(text: str) -> bool:
    """Return whether a body is an event stream."""
    return bool(_EVENTS.match(text))


def read_stream(text: str) -> dict[str, Any] | None:
    """Return the body that a stream's events add up to; None if the stream ends too early.

    An error among the events becomes the body's error.
    """
    body: dict[str, Any] = {}
    message: dict[str, list[Any]] = defaultdict(list)
    arguments: dict[object, list[str]] = defaultdict(list)
    finish = None
    for event in _events(text):
        body |= {name: value for name, value in event.items() if value and name != "choices"}
        for choice in mappings(event.get("choices")):
            if isinstance(choice.get("message"), Mapping):  # one event holds everything
                return {**body, "choices": [choice]}
            finish = choice.get("finish_reason") or finish
            delta = choice.get("delta")
            for name, value in delta.items() if isinstance(delta, Mapping) else ():
                if name == "tool_calls":
                    for call in mappings(value):
                        function = call.get("function")
                        piece = function.get("arguments") if isinstance(function, Mapping) else None
                        arguments[call.get("index")].append(piece if isinstance(piece, str) else "")
                elif value:
                    message[name] += value if isinstance(value, list) else [value]
    if finish is None:
        return body if body.get("error") else None
    calls = [{"function": {"arguments": "".join(pieces)}} for pieces in arguments.values()]
    texts = {
        name: "".join(parts) if all(isinstance(part, str) for part in parts) else parts
        for name, parts in message.items()
    }
    whole = {"message": {**texts, "tool_calls": calls}, "finish_reason": finish}
    return {**body, "choices": [whole]}


def _events(text: str) -> Iterator[Mapping[str, Any]]:
    for line in re.split(r"\r\n|\r|\n", text):
        if line.startswith("data:"):
            try:
                event = json.loads(line.removeprefix("data:"))
            except (ValueError, RecursionError):  # "[DONE]", or a line that was cut off
                continue
            if isinstance(event, Mapping):
                yield event
