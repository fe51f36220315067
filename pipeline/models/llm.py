"""Ask a model for one structured answer: from stored replies if possible, with a cost cap, retries, one repair.

ModelClient.ask  question -> validated answer with its provenance
  journal.py     llm.sqlite: every request before it is sent, every reply before it is used
  budget.py      the cost cap
  pace.py        requests in flight, rate limits, Retry-After
  prices.py      the most that a request can cost, and its actual cost
  forms.py       the form of request that the server accepts
  wire.py        one HTTP request; ScriptedModel for tests
  completion.py  the reply in its body; event_stream.py where a server streams it
  failures.py    the meaning of a failure, by status and by what error_body.py reads
  answer.py      the answer in the reply's text
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, ValidationError

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import EgostError, RowError, UserError
from pipeline.models.answer import answers
from pipeline.models.budget import Budget
from pipeline.models.chat import (
    Form,
    Message,
    RequestKey,
    json_schema,
    prompt_sha256,
    request_body,
    request_keys,
    size_of,
)
from pipeline.models.failures import RequestError
from pipeline.models.forms import Forms
from pipeline.models.journal import Journal, Reply, State
from pipeline.models.pace import Pace
from pipeline.models.prices import Price, Size, price_of
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import Wire, on_loopback

log = logging.getLogger(__name__)

T = TypeVar("T", bound=BaseModel)

NO_MODEL = (
    "draft.model",
    "is not set",
    "set draft.model in egost.toml, or use --set draft.model=...",
)
_MAX_BACK_OFF = 60.0  # seconds
_LONG = 120.0  # seconds of Retry-After; longer waits are reported
_FAILURES_IN_FORM = 2  # of a server with status 500, before the request is tried without a schema
_REFUSED_AT_FIRST = 20  # requests: if all are refused and none answered, more won't help
_SHOWN = 100  # characters of an unusable answer
_NEARLY = 0.9  # of max_completion_tokens


@dataclass(frozen=True)
class ModelRequest(Generic[T]):
    """A question: its messages, the type of the answer, further checks, and how to ask for a repair.

    `problems` returns what is wrong with an answer of the right type; an empty list if it is usable.
    """

    messages: tuple[Message, ...]
    answer: type[T]
    problems: Callable[[T], list[str]]
    repair: Callable[[list[str]], str]
    template: str = "prompts/route.j2"


@dataclass(frozen=True)
class ParsedReply(Generic[T]):
    """A usable answer with its provenance; costs and tokens are None if the server doesn't report them."""

    value: T
    prompt_sha256: str
    reply_id: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True)
class _Call:
    key: str
    reply: Reply
    cost_usd: float | None


class ModelClient:
    """A client of one model; `ask` may be called concurrently."""

    def __init__(
        self,
        settings: ModelSettings,
        wire: Wire,
        journal: Journal,
        price: Price,
        *,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings, self._wire, self._journal, self._price = settings, wire, journal, price
        self._pace = pace or Pace(
            settings.in_flight,
            settings.requests_per_minute,
            settings.tokens_per_minute,
            sleep=sleep,
        )
        self._sleep = sleep
        self._budget = Budget(settings, journal)
        self._forms = Forms(settings)
        self._requesting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._final: UserError | None = None
        self._answered, self._refused = False, 0

    async def ask(self, question: ModelRequest[T]) -> ParsedReply[T]:
        """Return a validated answer, from stored replies if there are any.

        Raises RowError or UserError. Before a UserError is raised, all requests in flight are
        awaited: the caller will stop, and their replies are paid for.
        """
        try:
            return await self._ask(question)
        except UserError:
            await self._budget.idle()
            raise

    async def _ask(self, question: ModelRequest[T]) -> ParsedReply[T]:
        schema = json_schema(question.answer)
        messages = question.messages
        calls: list[_Call] = []
        problems: list[str] = []
        for _ in range(2):
            calls += await self._calls(messages, schema)
            call = calls[-1]
            _check_refusal(call.reply)
            value, problems = _parse(call.reply, question)
            if value is not None:
                return ParsedReply(
                    value,
                    prompt_sha256(question.messages),
                    call.key,
                    _total([c.reply.input_tokens for c in calls]),
                    _total([c.reply.output_tokens for c in calls]),
                    _total([c.cost_usd for c in calls]),
                )
            self._check_complete(call.reply)
            wrong = Message("assistant", (call.reply.text[:4000],))
            messages = (*question.messages, wrong, Message("user", (question.repair(problems),)))
        raise RowError(
            f"the model's answer is unusable, also after one repair: {'; '.join(problems[:3])}"
            f" (it answered: {_start(calls[-1].reply.text)})",
            f"change the prompt ({question.template}), draft.model or draft.structured",
        )

    async def _calls(self, messages: tuple[Message, ...], schema: Mapping[str, Any]) -> list[_Call]:
        """Return the stored reply to these messages in any form, or request one.

        A reply that the server cut off early comes first, if another form had to be tried.
        """
        keys = request_keys(self._settings, messages, schema)
        lock = self._requesting.setdefault(next(iter(keys.values())).key, asyncio.Lock())
        async with lock:  # two clips with the same request pay for it once
            calls: dict[Form, _Call] = {}
            for form, known in keys.items():
                if kept := self._journal.ledger.reply(known.key):
                    calls[form] = _Call(known.key, *kept)
                    if not self._cut_early(calls[form].reply):
                        break
            while True:
                if not calls:
                    form = self._forms.current
                elif not self._cut_early(list(calls.values())[-1].reply):
                    return list(calls.values())
                elif other := self._forms.other_limit(calls):
                    form = other
                else:
                    return list(calls.values())
                try:
                    form, call = await self._request(keys, messages, schema, form, list(calls))
                except RequestError as error:
                    if calls and error.about != "moment":  # only the first form is answered
                        self._forms.limit_is_known()
                        return list(calls.values())
                    raise self._final_error(error) from error
                if calls:
                    self._forms.limit_is_known(None if self._cut_early(call.reply) else form)
                calls[form] = call

    async def _request(
        self,
        keys: Mapping[Form, RequestKey],
        messages: tuple[Message, ...],
        schema: Mapping[str, Any],
        form: Form,
        tried: list[Form],
    ) -> tuple[Form, _Call]:
        """Request a reply, in other forms if this one is refused and `attempts` times if the server fails."""
        size = size_of(messages, self._price, self._settings.detail)
        refusal: RequestError | None = None
        failed, failed_in_form, back_off = 0, 0, 0.0
        tried = [*tried, form]
        while True:
            await self._sleep(back_off)
            body = request_body(self._settings, messages, schema, form)
            try:
                call = await self._send(keys[form], body, size)
            except RequestError as error:
                back_off = 0.0
                if error.about == "moment":
                    failed, failed_in_form = failed + 1, failed_in_form + error.form
                    if failed == self._settings.attempts:
                        error.what = (
                            f"the model server failed {failed} times, the last time: {error.what}"
                        )
                        raise
                    back_off = min(_MAX_BACK_OFF, 0.5 * 2 ** (failed - 1)) * random.uniform(
                        0.5, 1.5
                    )
                    if failed_in_form < _FAILURES_IN_FORM:
                        continue
                if refusal is None or error.kind not in ("schema", "limit"):
                    refusal = error
                following = self._forms.next(tried, error)
                if following:
                    form, failed_in_form = following, 0
                    tried.append(form)
                elif error.about != "moment":
                    raise refusal from None
            else:
                self._forms.accepted(form, refusal)
                return form, call

    async def _send(self, known: RequestKey, body: Mapping[str, Any], size: Size) -> _Call:
        """Send one request, with its place in pace, budget and journal."""
        async with (
            self._pace.slot(size.likely_tokens) as sent,
            self._budget.reserved(self._most(size)) as reserved,
        ):
            if self._final is not None:
                reserved.cost = 0.0
                raise self._final
            number = await self._journal.sending(known.key, self._settings.model, reserved.usd)
            try:
                reply = await self._wire.send(body)
            except RequestError as error:
                cost = self._price.cost(*error.tokens) if error.tokens else None
                state: State = "unknown" if error.unknown else "paid" if error.tokens else "failed"
                reserved.cost = reserved.usd if error.unknown else cost or 0.0
                await self._journal.settle(number, state, error.what, cost)
                if error.overload:
                    self._pace.pushed_back(sent)
                self._pace.close_for(error.wait_seconds)
                if error.wait_seconds > _LONG:
                    log.warning("the server asked to wait %.0f s: waiting", error.wait_seconds)
                raise
            cost = self._cost(reply)
            reserved.cost = reserved.usd if cost is None else cost
            await self._journal.keep(number, known.key, known.request, reply, cost)
            self._pace.went_well()
            self._answered = True
            return _Call(known.key, reply, cost)

    def _final_error(self, error: RequestError) -> EgostError:
        """Return what to raise; a server that refuses every request stops the run."""
        final = error.final(self._settings.base_url)
        if error.about == "request" and not self._answered:
            self._refused += 1
            if self._refused >= _REFUSED_AT_FIRST:
                what = f"refused the first {self._refused} requests, the last time: {error.what}"
                final = UserError(self._settings.base_url, what, error.fix)
        if isinstance(final, UserError):
            self._final = self._final or final
        return final

    def _most(self, size: Size) -> float:
        return self._price.cost(size.most_tokens, self._settings.max_completion_tokens)

    def _cost(self, reply: Reply) -> float | None:
        if self._price.input == self._price.output == 0:
            return 0.0
        if reply.input_tokens is None or reply.output_tokens is None:
            return None
        return self._price.cost(reply.input_tokens, reply.output_tokens)

    def _cut_early(self, reply: Reply) -> bool:
        """Return whether a reply was cut off well before the limit: the server may not know its name."""
        most = reply.output_tokens
        if most is None:  # a token is at least one byte
            most = sum(len(text.encode()) for text in (reply.text, *reply.elsewhere))
        return reply.finish == "length" and most < _NEARLY * self._settings.max_completion_tokens

    def _check_complete(self, reply: Reply) -> None:
        """Raise RowError for a reply that was cut off."""
        if self._cut_early(reply):
            raise RowError(
                "the server cut the answer off before it reached draft.max_completion_tokens",
                "increase the server's own limit or context length, then change"
                " draft.max_completion_tokens, so that the clip is asked about again; or set"
                " draft.limit_name",
            )
        if reply.finish == "length":
            raise RowError(
                "the answer reached max_completion_tokens and was cut off",
                "increase draft.max_completion_tokens",
            )


@asynccontextmanager
async def connect(
    settings: ModelSettings, folder: WorkspaceFolder, wire: Wire | None = None
) -> AsyncIterator[ModelClient]:
    """Open the workspace's journal and a client of its model; `wire` replaces the server in tests."""
    if not settings.model:
        raise UserError(*NO_MODEL)
    local = on_loopback(settings.base_url)
    price = price_of(
        settings.model, settings.input_usd_per_million, settings.output_usd_per_million, local=local
    )
    wire = wire or _wire(settings)
    journal = Journal(folder.root / "llm.sqlite")
    try:
        yield ModelClient(settings, wire, journal, price)
    finally:
        journal.close()
        await wire.close()


def _wire(settings: ModelSettings) -> Wire:
    # Imported here: importing openai would cost every other command half a second.
    from pipeline.models.openai_wire import OpenAIWire

    return OpenAIWire(settings.base_url, settings.model, settings.timeout_seconds)


def _check_refusal(reply: Reply) -> None:
    """Raise RowError for a reply in which the model or a filter refuses to answer."""
    if reply.refusal:
        raise RowError(
            f"the model refused: {reply.refusal[:200]}",
            "leave the clip out, or draft it with another model",
        )
    if reply.finish == "content_filter":
        raise RowError(
            "the server's content filter cut off the answer",
            "leave the clip out, or draft it with another model",
        )


def _parse(reply: Reply, question: ModelRequest[T]) -> tuple[T | None, list[str]]:
    """Return the first of the reply's objects that fits, or what is wrong with the likeliest one."""
    mistakes: list[str] = []
    for text in (reply.text, *reply.elsewhere):
        for found in answers(text, cut_off=reply.finish == "length"):
            try:
                value = question.answer.model_validate(found)
            except ValidationError as error:
                # Other objects are parts of an answer that is no JSON, or were never meant as one.
                if found.keys() & question.answer.model_fields.keys():
                    mistakes = mistakes or [
                        f"{_path(e['loc'])}: {e['msg']}" for e in error.errors()[:8]
                    ]
                continue
            problems = question.problems(value)
            return (None, problems) if problems else (value, [])
    return None, mistakes or ["it is not a JSON object"]


def _start(text: str) -> str:
    line = " ".join(text[:1000].split())
    return (f"{line[:_SHOWN]}..." if len(line) > _SHOWN else line) or "nothing"


def _path(location: Sequence[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "the answer"


def _total(values: Sequence[int | float | None]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
