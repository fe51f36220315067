"""Ask a model: for one structured answer with one repair, or for plain text; from stored replies if possible.

ModelClient.ask       question -> validated answer with its provenance
ModelClient.complete  messages -> the reply as it is, whatever it says
  replies.py     the reply to a request, stored or requested: cap, pace, retries, forms
  journal.py     llm.sqlite: every request before it is sent, every reply before it is used
  budget.py      the cost cap
  pace.py        requests in flight, rate limits, Retry-After
  prices.py      the most that a request can cost, and its actual cost
  forms.py       the form of request that the server accepts
  keys.py        which key is sent to which server
  wire.py        one HTTP request; ScriptedModel for tests
  completion.py  the reply in its body; event_stream.py where a server streams it
  failures.py    the meaning of a failure, by status and by what error_body.py reads
  answer.py      the answer in the reply's text
  abilities.py   what a server can't do, found out before a run
  batches.py     many requests at half the price, through the Batch API
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError, UserError
from pipeline.models.answer import answers
from pipeline.models.chat import Message, json_schema, prompt_sha256
from pipeline.models.journal import Journal, Reply
from pipeline.models.prices import price_of
from pipeline.models.replies import Completion, Replies, cut_early
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import Wire

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")

_SHOWN = 100  # characters of an unusable answer


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


class ModelClient:
    """A client of one model; its methods may be called concurrently.

    Before they raise a UserError, all requests in flight are awaited: the caller will stop, and their
    replies are paid for.
    """

    def __init__(self, replies: Replies) -> None:
        self.replies = replies
        self.settings = replies.settings

    async def ask(self, question: ModelRequest[T]) -> ParsedReply[T]:
        """Return a validated answer, from stored replies if there are any; raise RowError or UserError."""
        return await self._until_idle(self._ask(question))

    async def complete(self, messages: tuple[Message, ...], *, repeat: int = 0) -> Completion:
        """Return the reply to these messages as it is: also a refused, cut off, unreadable or empty one.

        Each repeat has its own reply; a stored reply is not requested again. Raises RowError if there
        is no reply (the next run asks again), or UserError if the run can't go on.
        """
        return await self._until_idle(self._complete(messages, repeat))

    async def _until_idle(self, work: Awaitable[R]) -> R:
        try:
            return await work
        except UserError:
            await self.replies.budget.idle()
            raise

    async def _complete(self, messages: tuple[Message, ...], repeat: int) -> Completion:
        made = await self.replies.get(messages, None, repeat)
        return replace(made[-1], cost_usd=_total([one.cost_usd for one in made]))

    async def _ask(self, question: ModelRequest[T]) -> ParsedReply[T]:
        schema = json_schema(question.answer)
        messages = question.messages
        made: list[Completion] = []
        problems: list[str] = []
        for _ in range(2):
            made += await self.replies.get(messages, schema)
            reply = made[-1].reply
            _check_refusal(reply)
            value, problems = _parse(reply, question)
            if value is not None:
                return ParsedReply(
                    value,
                    prompt_sha256(question.messages),
                    made[-1].key,
                    _total([one.reply.input_tokens for one in made]),
                    _total([one.reply.output_tokens for one in made]),
                    _total([one.cost_usd for one in made]),
                )
            _check_complete(reply, self.settings)
            wrong = Message("assistant", (reply.text[:4000],))
            messages = (*question.messages, wrong, Message("user", (question.repair(problems),)))
        section = self.settings.section
        raise RowError(
            f"the model's answer is unusable, also after one repair: {'; '.join(problems[:3])}"
            f" (it answered: {_start(reply.text)})",
            f"change the prompt ({question.template}), {section}.model or {section}.structured",
        )


@asynccontextmanager
async def connect(
    settings: ModelSettings, folder: WorkspaceFolder, wire: Wire | None = None
) -> AsyncIterator[ModelClient]:
    """Open the folder's journal and a client of the model; `wire` replaces the server in tests."""
    if not settings.model:
        raise no_model(settings)
    price = price_of(settings)
    wire = wire or _wire(settings)
    journal = Journal(folder.root / "llm.sqlite")
    try:
        yield ModelClient(Replies(settings, wire, journal, price))
    finally:
        journal.close()
        await wire.close()


def _wire(settings: ModelSettings) -> Wire:
    # Imported here: importing openai would cost every other command half a second.
    from pipeline.models.openai_wire import OpenAIWire

    return OpenAIWire(settings)


def no_model(settings: ModelSettings) -> UserError:
    """Return the error for settings without a model."""
    name = f"{settings.section}.model"
    fix = f"set {name} in egost.toml, or use --set {name}=..."
    return UserError(name, "is not set", fix)


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


def _check_complete(reply: Reply, settings: ModelSettings) -> None:
    """Raise RowError for a reply that was cut off."""
    limit = f"{settings.section}.max_completion_tokens"
    if cut_early(reply, settings):
        raise RowError(
            f"the server cut the answer off before it reached {limit}",
            "increase the server's own limit or context length, then change"
            f" {limit}, so that the clip is asked about again; or set"
            f" {settings.section}.limit_name",
        )
    if reply.finish == "length":
        raise RowError(
            "the answer reached max_completion_tokens and was cut off", f"increase {limit}"
        )


def _parse(reply: Reply, question: ModelRequest[T]) -> tuple[T | None, list[str]]:
    """Return the first of the reply's objects that fits, or what is wrong with the likeliest one."""
    mistakes: list[str] = []
    for text in reply.places:
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
