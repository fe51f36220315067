"""The body of a server's error, in whatever shape: its words, codes, parameters, and how long to wait. Pure."""

import email.utils
import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# In the order in which their texts are shown; `raw` is what a gateway was sent by its provider.
_TEXTS = (
    "message", "msg", "error", "errors", "error_message", "title", "detail", "details", "description",
    "error_description", "error_msg", "status_msg", "fault", "faultstring", "reasons", "metadata", "raw",
    "response", "base_resp",
)  # fmt: skip
_CODES = ("code", "type", "status", "reason", "error_type", "error_code", "__type")
_INSIDE = (
    "error", "errors", "detail", "details", "innererror", "metadata", "message", "fault", "response", "base_resp",
)  # fmt: skip
_STATUSES = ("code", "status", "statusCode", "status_code", "error_code")
_WAITS = {
    "retrydelay": 1.0, "retryafter": 1.0, "retry_after": 1.0, "retry_after_seconds": 1.0,
    "retryafterseconds": 1.0, "retry_after_ms": 0.001, "retryafterms": 0.001, "estimated_time": 1.0,
}  # fmt: skip
_DEEPEST, _MOST_ITEMS, _MOST_PAGE = 6, 8, 16_000
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = re.compile(
    r"(\d{1,12}(?:\.\d{1,12})?)\s?(ms|milliseconds?|d|days?|h|hours?|hrs?|m|minutes?|mins?|s|seconds?|secs?)"
    r"(?![a-z])",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:retry|try again|wait)(?: again)?(?:[ -](?:in|after|for))?:? (?:about |at least )?"
    rf"((?:{_AMOUNT.pattern}\s?)+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ErrorBody:
    """What an error says.

    `status` is the HTTP status that the body names, `wait_seconds` how long it asks clients to wait.
    """

    text: str = ""
    codes: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    status: int | None = None
    wait_seconds: float = 0.0


def read_error(body: object, now: float) -> ErrorBody:
    """Return what a body says: parsed JSON, or a text that may hold JSON, HTML or XML; `now` is Unix time."""
    if isinstance(body, str | bytes):
        body = _parsed(body if isinstance(body, str) else body.decode("utf-8", "replace"))
    texts: list[str] = []
    for text in _texts(body, 0):
        if not any(text in known for known in texts):
            texts.append(text)
    nodes = list(_nodes(body, 0))
    text = ": ".join(texts[:3])
    waits = [_wait_in(node, now) for node in nodes]
    return ErrorBody(
        text,
        frozenset(code for node in nodes for code in _codes(node)),
        frozenset(name for node in nodes for name in _parameters(node)),
        next((status for node in nodes for status in _statuses(node)), None),
        max([*waits, seconds_in_words(text)]),
    )


def wait_seconds(headers: Mapping[str, str], now: float) -> float:
    """Return the seconds that the headers ask to wait: Retry-After, else the end of a spent rate limit; else 0."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if seconds := _number(headers.get(name, ""), unit):
            return seconds
    moment = email.utils.parsedate_tz(headers.get("retry-after", ""))
    if moment:
        return max(0.0, email.utils.mktime_tz(moment) - now)
    resets = [
        _until(value, now)
        for name, value in headers.items()
        if "ratelimit" in name.lower()
        and "reset" in name.lower()
        # A limit that isn't spent yet says nothing about this refusal.
        and headers.get(re.sub("reset", "remaining", name.lower()), "0").strip() in ("0", "0.0")
    ]
    return max(resets, default=0.0)


def seconds_in_words(text: str) -> float:
    """Return the seconds in a sentence such as "Please try again in 1m30s"; 0 if there is none."""
    found = _ASKED.search(text)
    return _duration(found[1]) if found else 0.0


def _duration(text: str) -> float:
    return sum(
        float(amount)
        * _UNITS["ms" if unit.lower().startswith(("ms", "milli")) else unit[0].lower()]
        for amount, unit in _AMOUNT.findall(text)
    )


def _number(text: str, unit: float = 1.0) -> float:
    try:
        seconds = float(text) * unit
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


def _until(text: str, now: float) -> float:
    """Return the seconds until the end of a rate limit: a duration, a number of seconds, or a moment."""
    number = _number(text)
    for unit in (0.001, 1.0):  # since 1970, in milliseconds or seconds
        if number * unit > 1e9:
            return max(0.0, number * unit - now)
    if number:
        return number
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp() - now)
    except ValueError:
        return _duration(text)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _line(text: str) -> str:
    """Return a text on one line, a page without its markup."""
    if text.lstrip().startswith("<"):
        page = text[:_MOST_PAGE]
        title = re.search(r"<title[^<>]*>([^<>]*)</title>", page, re.IGNORECASE)
        text = html.unescape(title[1] if title else re.sub(r"<[^<>]*>", " ", page))
    return " ".join("".join(c if c.isprintable() else " " for c in text[:_MOST_PAGE]).split())


def _texts(node: object, depth: int) -> Iterator[str]:
    if isinstance(node, str):
        inner = _parsed(node) if node.lstrip().startswith(("{", "[")) else node
        if inner is not node and depth < _DEEPEST:
            yield from _texts(inner, depth + 1)
        elif line := _line(node):
            yield line
    elif depth >= _DEEPEST:
        return
    elif isinstance(node, list):
        for item in node[:_MOST_ITEMS]:
            yield from _texts(item, depth + 1)
    elif isinstance(node, Mapping):
        if "loc" in node and isinstance(
            node.get("msg"), str
        ):  # FastAPI names the field beside the message
            yield f"{'.'.join(_location(node))}: {_line(node['msg'])}"
            return
        lower = {str(key).lower(): value for key, value in node.items()}
        for name in _TEXTS:
            if name in lower and not (name == "reasons" and isinstance(lower[name], str)):
                yield from _texts(lower[name], depth + 1)


def _location(node: Mapping[str, Any]) -> list[str]:
    location = node["loc"]
    return [str(part) for part in location] if isinstance(location, list) else [str(location)]


def _nodes(node: object, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings that describe the error, outermost first."""
    if isinstance(node, str) and node.lstrip().startswith(("{", "[")):
        node = _parsed(node)
    if depth > _DEEPEST:
        return
    if isinstance(node, list):
        for item in node[:_MOST_ITEMS]:
            yield from _nodes(item, depth + 1)
    elif isinstance(node, Mapping):
        yield node
        for name in (*_INSIDE, "raw"):
            yield from _nodes(node.get(name), depth + 1)


def _codes(node: Mapping[str, Any]) -> Iterator[str]:
    for name in _CODES:
        value = node.get(name)
        if isinstance(value, str) and not re.search(r"\s", value):
            yield value.rpartition("#")[2].lower()


def _parameters(node: Mapping[str, Any]) -> Iterator[str]:
    for name in ("param", "parameter", "field"):
        if isinstance(node.get(name), str):
            yield node[name]
    if "loc" in node:
        yield from _location(node)


def _statuses(node: Mapping[str, Any]) -> Iterator[int]:
    for name in _STATUSES:
        value = str(node.get(name))
        if re.fullmatch(r"[45]\d\d", value):
            yield int(value)


def _wait_in(node: Mapping[str, Any], now: float) -> float:
    waits = [0.0]
    for name, value in node.items():
        unit = _WAITS.get(str(name).lower())
        if unit and isinstance(value, int | float | str) and not isinstance(value, bool):
            waits.append(_number(str(value), unit) or _duration(str(value)))
        elif unit and isinstance(value, Mapping):  # of protobuf: {"seconds": 36, "nanos": 0}
            waits.append(_number(str(value.get("seconds"))))
    headers = node.get("headers")
    if isinstance(headers, Mapping):  # a gateway passes on its provider's
        named = {str(name).lower(): str(value) for name, value in headers.items()}
        waits.append(wait_seconds(named, now))
    return max(waits)
