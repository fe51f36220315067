"""Ask a model the items of a release: one request for each item, arm and repeat; a stored reply is not asked for again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from pipeline.errors import EgostError, RowError, UserError
from pipeline.evaluate.arms import VIDEO, Shown, shown
from pipeline.evaluate.clips import Clips
from pipeline.evaluate.open_rows import Judgement
from pipeline.evaluate.pictures import Pictures
from pipeline.evaluate.prompting import Prompt
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rules import read
from pipeline.evaluate.scoring import REVERSED, Question
from pipeline.models.chat import Message, PlainRequest, PromptImage, PromptVideo
from pipeline.models.llm import ModelClient
from pipeline.models.replies import Completion

_LEAST_IN_A_ROW = 20
Request = TypeVar("Request")
Row = TypeVar("Row")


@dataclass(frozen=True)
class Plan:
    """What a model is asked: questions in arms, each `repeats` times, in the words of a prompt.

    `clips` are those of the arm `video`, in which items without one are left out.
    """

    questions: Sequence[Question]
    arms: Sequence[str]
    repeats: int
    prompt: Prompt
    clips: Clips | None = None

    @cached_property
    def requests(self) -> int:
        """The number of requests."""
        return self.repeats * sum(1 for _ in self.shown())

    @cached_property
    def most_images(self) -> tuple[int, Sequence[str]]:
        """The greatest number of images in a request, and the names of that item's frames."""
        counts = ((len(one.frames), question.frames) for question, _, one in self.shown())
        return max(counts, key=lambda count: count[0], default=(0, ()))

    def shown(self) -> Iterator[tuple[Question, str, Shown]]:
        """Yield what is shown of each item, with the name of the arm.

        An item is left out of `reversed` if what is true of its reversed frames is none of its options.
        """
        for question in self.questions:
            for arm in self.arms:
                if arm == REVERSED and _undefined(question):
                    continue
                if arm == VIDEO and not (self.clips and question.video in self.clips.paths):
                    continue
                seconds, options = question.frame_seconds, len(question.options)
                for name, one in shown(arm, question.id, seconds, options):
                    yield question, name, one


@dataclass(frozen=True)
class Asked:
    """One request: an item in an arm."""

    question: Question
    arm: str
    repeat: int
    messages: tuple[Message, ...]


def asked(plan: Plan, pictures: Pictures) -> Iterator[Asked]:
    """Yield every request of a plan, item by item."""
    for question, arm, one in plan.shown():
        options = [question.options[at] for at in one.order]
        parts = plan.prompt.parts(
            question.question, options, one.seconds, _seen(question, one, plan, pictures)
        )
        for repeat in range(plan.repeats):
            yield Asked(question, arm, repeat, parts)


def _undefined(question: Question) -> bool:
    """Return whether nothing is right for reversed frames; of withheld items, that isn't known here."""
    return question.answer is not None and question.option_true_of("rewound") is None


def _seen(
    question: Question, one: Shown, plan: Plan, pictures: Pictures
) -> Sequence[PromptImage | PromptVideo]:
    if one.pictures == "video":
        assert plan.clips
        return [plan.clips.of(question.video)]
    names = [question.frames[at] for at in one.frames]
    return pictures.grey(names) if one.pictures == "grey" else pictures.frames(names)


@dataclass(frozen=True)
class Requests:
    """The requests of a plan, made anew whenever they are iterated: their images don't fit in memory."""

    plan: Plan
    pictures: Pictures

    def __iter__(self) -> Iterator[PlainRequest]:
        return (PlainRequest(one.messages, one.repeat) for one in asked(self.plan, self.pictures))


async def predicted(
    requests: Iterable[Asked],
    client: ModelClient,
    workers: int,
    progress: Callable[[int], None] = lambda done: None,
    given_up: Mapping[int, EgostError] | None = None,
) -> list[Prediction]:
    """Return the prediction for every request, in their order; what `each` says of failures holds."""

    async def ask(one: Asked) -> Prediction:
        return prediction(one, await client.complete(one.messages, repeat=one.repeat))

    return await each(requests, ask, _failed, client, workers, progress, given_up)


async def each(
    requests: Iterable[Request],
    ask: Callable[[Request], Awaitable[Row]],
    failed: Callable[[Request, EgostError], Row],
    client: ModelClient,
    workers: int,
    progress: Callable[[int], None],
    given_up: Mapping[int, EgostError] | None = None,
) -> list[Row]:
    """Return a row for every request, in their order: what `ask` makes of its reply, or `failed` if there is none.

    Requests in `given_up`, by their position, are not asked, and none is after two rounds without any reply: the
    server is gone. Raise UserError if there is no reply at all, because the server can't be asked (no such model, a
    wrong key, the cap).
    """
    waiting, lost = enumerate(requests), given_up or {}
    found: dict[int, Row] = {}
    stopped: list[UserError] = []
    in_a_row = replied = 0

    async def work() -> None:
        nonlocal in_a_row, replied
        for at, one in waiting:  # shared: each worker takes the next request when it is free
            if at in lost:
                found[at] = failed(one, lost[at])
                continue
            try:
                found[at] = await ask(one)
                replied += 1
                in_a_row = 0
            except UserError as error:
                found[at] = failed(one, error)
                stopped.append(error)
            except RowError as error:
                found[at] = failed(one, error)
                in_a_row += 1
                if in_a_row >= max(2 * workers, _LEAST_IN_A_ROW):
                    client.replies.stop(_gone(client, in_a_row, error))
            progress(len(found))

    await asyncio.gather(*(work() for _ in range(workers)))
    if stopped and not replied:
        raise stopped[0]
    return [found[at] for at in sorted(found)]


def _gone(client: ModelClient, requests: int, last: RowError) -> UserError:
    return UserError(
        client.settings.base_url,
        f"gave no reply to {requests} requests in a row, the last time: {last.what}",
        "run this again when the server answers: replies are kept",
    )


def usual_error(made: Iterable[Prediction | Judgement]) -> str | None:
    """Return the most frequent reason why requests got no reply, if any got none: without what to do about it."""
    errors = Counter(one.error for one in made if one.error).most_common(1)
    return errors[0][0].partition("\n")[0].removeprefix("error: ") if errors else None


def prediction(one: Asked, made: Completion) -> Prediction:
    """Return what a reply says by the strict parser, in the letters of the released item."""
    reply = made.reply
    row = Prediction(
        id=one.question.id,
        arm=one.arm,
        repeat=one.repeat,
        sent_sha256=made.key,
        reply=reply.text,
        reasoning=reply.reasoning,
        finish=reply.finish,
        refusal=reply.refusal,
        letter=None,
        outcome="unreadable",
        served_model=reply.model,
        fingerprint=reply.fingerprint,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost_usd=made.cost_usd,
        seconds=reply.seconds,
    )
    return read(row, one.question)


def _failed(one: Asked, error: EgostError) -> Prediction:
    return Prediction(
        id=one.question.id,
        arm=one.arm,
        repeat=one.repeat,
        letter=None,
        outcome="failed",
        error=str(error),
    )
