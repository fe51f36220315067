"""Ask a model for one structured answer: from stored replies if possible, with a cost cap, retries, one repair.

ModelClient.ask  question -> validated answer with its provenance
  journal.py     llm.sqlite: every request before it is sent, every reply before it is used
  budget.py      the cost cap
  pace.py        requests in flight, rate limits, Retry-After
  prices.py      the most that a request can cost, and its actual cost
  wire.py        one HTTP request and the meaning of its failure; ScriptedModel for tests
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, ValidationError

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError, UserError
from pipeline.models.budget import Budget
from pipeline.models.chat import (
    Message,
    RequestKey,
    json_schema,
    prompt_sha256,
    request_body,
    request_key,
    size_of,
)
from pipeline.models.journal import Journal, Reply, State
from pipeline.models.pace import Pace
from pipeline.models.prices import Price, Size, price_of
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import PassingError, UnsupportedError, Wire, on_loopback

log = logging.getLogger(__name__)

T = TypeVar("T", bound=BaseModel)

NO_MODEL = (
    "draft.model",
    "is not set",
    "set draft.model in egost.toml, or use --set draft.model=...",
)
_MAX_REPLY = 100_000  # characters of a reply that are parsed; a route takes 2,000
_MAX_BACK_OFF = 60.0  # seconds
_LONG = 120.0  # seconds of Retry-After; longer waits are reported


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
        self._structured = settings.structured
        self._requesting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._final: UserError | None = None

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
            call = await self._call(messages, schema)
            calls.append(call)
            _check_complete(call.reply)
            value, problems = _parse(call.reply.text, question)
            if value is not None:
                return ParsedReply(
                    value,
                    prompt_sha256(question.messages),
                    call.key,
                    _total([c.reply.input_tokens for c in calls]),
                    _total([c.reply.output_tokens for c in calls]),
                    _total([c.cost_usd for c in calls]),
                )
            wrong = Message("assistant", (call.reply.text[:4000],))
            messages = (*question.messages, wrong, Message("user", (question.repair(problems),)))
        raise RowError(
            f"the model's answer is unusable, also after one repair: {'; '.join(problems[:3])}",
            f"change the prompt ({question.template}), draft.model or draft.max_completion_tokens",
        )

    async def _call(self, messages: tuple[Message, ...], schema: Mapping[str, Any]) -> _Call:
        """Return the stored reply to these messages, with or without a schema, or request one."""
        forms = (schema, None) if self._settings.structured else (None,)
        keys = [request_key(self._settings, messages, form) for form in forms]
        lock = self._requesting.setdefault(keys[0].key, asyncio.Lock())
        async with lock:  # two clips with the same request pay for it once
            for known in keys:
                if kept := self._journal.reply(known.key):
                    return _Call(known.key, *kept)
            if self._structured:
                try:
                    return await self._request(keys[0], messages, schema)
                except UnsupportedError as error:
                    if self._structured:
                        log.warning("the server refuses schemas (%s): continuing without", error)
                    self._structured = False
            try:
                return await self._request(keys[-1], messages, None)
            except UnsupportedError as error:
                raise RowError(
                    f"the server refused the request: {error}", "use another server or model"
                ) from error

    async def _request(
        self, known: RequestKey, messages: tuple[Message, ...], schema: Mapping[str, Any] | None
    ) -> _Call:
        size = size_of(messages, self._price, self._settings.detail)
        body = request_body(self._settings, messages, schema)
        failure, back_off = "", 0.0
        for attempt in range(self._settings.attempts):
            await self._sleep(back_off)
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
                except PassingError as error:
                    failure = error.what
                    reserved.cost = reserved.usd if error.unknown else 0.0
                    state: State = "unknown" if error.unknown else "failed"
                    await self._journal.settle(number, state, failure)
                    if error.overload:
                        self._pace.pushed_back(sent)
                    self._pace.close_for(error.closed_for)
                    if error.closed_for > _LONG:
                        log.warning("the server asked to wait %.0f s: waiting", error.closed_for)
                except (UnsupportedError, RowError, UserError) as error:
                    reserved.cost = 0.0
                    await self._journal.settle(number, "failed", str(error))
                    if isinstance(error, UserError):
                        self._final = error
                    raise
                else:
                    cost = self._cost(reply)
                    reserved.cost = reserved.usd if cost is None else cost
                    await self._journal.keep(number, known.key, known.request, reply, cost)
                    self._pace.went_well()
                    return _Call(known.key, reply, cost)
            back_off = min(_MAX_BACK_OFF, 0.5 * 2**attempt) * random.uniform(0.5, 1.5)
        raise RowError(
            f"the model server failed {self._settings.attempts} times, the last time: {failure}",
            "run this again later; the replies so far are stored",
            again=True,
        )

    def _most(self, size: Size) -> float:
        return self._price.cost(size.most_tokens, self._settings.max_completion_tokens)

    def _cost(self, reply: Reply) -> float | None:
        if self._price.input == self._price.output == 0:
            return 0.0
        if reply.input_tokens is None or reply.output_tokens is None:
            return None
        return self._price.cost(reply.input_tokens, reply.output_tokens)


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


def _check_complete(reply: Reply) -> None:
    """Raise RowError for a reply that can't be repaired."""
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
    if reply.finish == "length":
        raise RowError(
            "the answer reached max_completion_tokens and was cut off",
            "increase draft.max_completion_tokens",
        )


def _parse(text: str, question: ModelRequest[T]) -> tuple[T | None, list[str]]:
    try:
        found = json.loads(_object(text[:_MAX_REPLY]))
    except (ValueError, RecursionError):
        return None, ["it is not a JSON object"]
    try:
        value = question.answer.model_validate(found)
    except ValidationError as error:
        return None, [f"{_path(e['loc'])}: {e['msg']}" for e in error.errors()[:8]]
    problems = question.problems(value)
    return (None, problems) if problems else (value, [])


def _object(text: str) -> str:
    """Return the JSON object in a text, without code fences or sentences around it."""
    begin, end = text.find("{"), text.rfind("}")
    return text[begin : end + 1] if 0 <= begin < end else text


def _path(location: Sequence[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "the answer"


def _total(values: Sequence[int | float | None]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
