"""The requests that are to be batched: which of them lack a reply, in which form each is sent, and which have failed."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import EgostError, RowError, UserError
from pipeline.models.batch_api import ENDPOINT
from pipeline.models.batch_files import FileLine
from pipeline.models.chat import (
    Form,
    PlainRequest,
    RequestKey,
    json_schema,
    request_body,
    request_keys,
    size_of,
)
from pipeline.models.failures import RequestError
from pipeline.models.llm import ModelRequest
from pipeline.models.prices import Price
from pipeline.models.replies import Replies

AnyRequest = ModelRequest[Any] | PlainRequest


@dataclass
class _State:
    """What earlier rounds have shown about a request."""

    plain: bool
    tried: list[Form] = field(default_factory=list)
    form: Form | None = None  # in which it is sent next, if the server refused another
    failed: int = 0  # batches that didn't answer it
    refusal: RequestError | None = None
    error: EgostError | None = None


class BatchRequests:
    """Requests by the key of their first form; a line that is longer than `longest` bytes can't be sent."""

    def __init__(self, replies: Replies, price: Price, longest: int) -> None:
        self._replies, self._settings = replies, replies.settings
        self._price, self._longest = price, longest
        self._states: dict[str, _State] = {}
        self._order: list[str] = []  # the keys of all requests, as they were given
        self._sent: dict[str, str] = {}  # key that was sent -> key of the first form
        self.answered = 0

    @property
    def errors(self) -> dict[int, EgostError]:
        """What was given up, and why, by its position among the requests."""
        found = ((at, self._states[key].error) for at, key in enumerate(self._order))
        return {at: error for at, error in found if error}

    def check(self) -> None:
        """Raise the error that stops the run, if there is one."""
        for error in self.errors.values():
            if isinstance(error, UserError):
                raise error

    def missing(self, requests: Iterable[AnyRequest]) -> dict[str, float]:
        """Return the most that each request may cost that lacks a reply and wasn't given up."""
        missing: dict[str, float] = {}
        self._order.clear()
        for request in requests:
            keys = self._keys(request)
            first = _first(keys)
            self._order.append(first)
            state = self._states.setdefault(first, _State(_schema(request) is None))
            if state.error is None and first not in missing and not self._replies.stored(keys):
                size = size_of(self._settings, request.messages, self._price)
                most = self._price.cost(size.most_tokens, self._settings.max_completion_tokens)
                missing[first] = most
        return missing

    def lines(
        self, requests: Iterable[AnyRequest], missing: Mapping[str, float], scale: float
    ) -> Iterator[FileLine]:
        """Yield each missing request once, with `scale` times its cost."""
        done: set[str] = set()
        for request in requests:
            keys = self._keys(request)
            first = _first(keys)
            if first not in missing or first in done:
                continue
            done.add(first)
            state = self._states[first]
            form = state.form or self._replies.forms(plain=state.plain).current
            body = request_body(self._settings, request.messages, _schema(request), form)
            key = keys[form].key
            line = {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}
            data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
            if len(data) > self._longest:
                state.error = RowError(
                    f"the request is too large for a batch: {len(data) / 1e6:.0f} MB",
                    f"use {self._settings.fewer_images}, or run this without a batch",
                    again=True,
                )
                continue
            state.tried.append(form)
            self._sent[key] = first
            yield FileLine(keys[form], missing[first] * scale, data)

    def got_reply(self, known: RequestKey) -> None:
        """Record that a request was answered; one of an earlier run is none of these."""
        self.answered += 1
        if state := self._state(known):
            self._replies.forms(plain=state.plain).accepted(state.tried[-1], state.refusal)

    def got_error(self, known: RequestKey, error: RequestError) -> None:
        """Decide whether a request without a reply is sent again, and in which form."""
        state = self._state(known)
        if state is None:
            return
        if error.about == "moment":
            state.failed += 1
            if state.failed < self._settings.attempts:
                return
            error.what = f"{state.failed} batches did not answer, the last time: {error.what}"
        elif form := self._replies.forms(plain=state.plain).next(state.tried, error):
            state.refusal, state.form = state.refusal or error, form
            return
        state.error = (state.refusal or error).final(self._settings.base_url)

    def is_plain(self, known: RequestKey) -> bool:
        """Return whether text was asked for; of an earlier run, the text of the request shows it."""
        state = self._state(known)
        return state.plain if state else "response_format" not in json.loads(known.request)

    def _state(self, known: RequestKey) -> _State | None:
        first = self._sent.get(known.key)
        return self._states[first] if first else None

    def _keys(self, request: AnyRequest) -> dict[Form, RequestKey]:
        repeat = request.repeat if isinstance(request, PlainRequest) else 0
        return request_keys(self._settings, request.messages, _schema(request), repeat)


def _schema(request: AnyRequest) -> dict[str, Any] | None:
    return None if isinstance(request, PlainRequest) else json_schema(request.answer)


def _first(keys: Mapping[Form, RequestKey]) -> str:
    return next(iter(keys.values())).key
