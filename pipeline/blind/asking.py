"""Asking a text-only model the items of a test, without any image: what general knowledge alone answers.

Requests hold ten items each, drawn from all over the test, so that few are of one scene. Replies are stored in
the user's cache folder, one file for each test: a run that was killed goes on, and nothing is paid for twice.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, Field

from pipeline.blind.explain import letter
from pipeline.blind.picks import Picks
from pipeline.blind.sheet import ProbeItem
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.lock import locked
from pipeline.errors import RowError, UserError
from pipeline.models.chat import Message, json_schema
from pipeline.models.llm import ModelClient, ModelRequest, ParsedReply, connect
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import Wire
from pipeline.routes import templates
from pipeline.routes.asking import repair_text

MOST = 600
"""Items that are asked: an accuracy is then known to 4 points either way."""
PATIENCE = ("draft.attempts=4", "draft.timeout_seconds=60", "draft.in_flight=16")
"""Settings of requests where none are given: a server that stalls is given up after minutes, not an hour."""
_BATCH = 10
_LONGEST_QUESTION, _LONGEST_OPTION = 4000, 1000  # characters


# The docstrings of both replies are part of the schema that is sent: rewording them changes request keys.
class PickReply(BaseModel):
    """The option chosen for the question with this number, or null."""

    model_config = ConfigDict(extra="ignore")
    number: int
    letter: str | None


class PicksReply(BaseModel):
    """One choice for each numbered question."""

    model_config = ConfigDict(extra="ignore")
    picks: list[PickReply] = Field(max_length=4 * _BATCH)


def replies_of(file: Path) -> WorkspaceFolder:
    """Return the folder that keeps the replies about a file of items."""
    name = hashlib.sha256(str(file.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return WorkspaceFolder(user_cache_path("egost", appauthor=False) / "blind" / name)


def ask_model(
    items: Sequence[ProbeItem],
    settings: ModelSettings,
    folder: WorkspaceFolder,
    progress: Callable[[int, int], None] = lambda done, total: None,
    wire: Wire | None = None,
) -> Picks:
    """Ask a model what it chooses of at most `MOST` items; `wire` replaces the server in tests.

    Raises UserError if the server can't be asked (no model, a wrong key, the cap), if another run is asking
    about the same test, or if there is no usable answer at all.
    """
    asked = drawn(items)
    batches = [asked[start : start + _BATCH] for start in range(0, len(asked), _BATCH)]
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"can't be made for the model's replies: {error.strerror}"
        fix = "set XDG_CACHE_HOME to a folder that can be written"
        raise UserError(str(folder.root), what, fix) from error
    with locked(folder.lock, "egost blind --model"):
        answers = asyncio.run(_answers(batches, settings, folder, progress, wire))
    chosen: list[tuple[ProbeItem, int | None]] = []
    failed = Counter[str]()
    for batch, answer in zip(batches, answers, strict=True):
        why = answer.what if isinstance(answer, RowError) else "the model refused"
        own = list(zip(batch, _choices(batch, answer), strict=True))
        failed.update(why for _, choice in own if choice is None)
        chosen += own
    if failed.total() == len(asked):
        ((reason, _),) = failed.most_common(1)
        what = f"{settings.model} gave no usable answer to any of {len(asked)} items: {reason}"
        fix = "see that the server works, or use another model; the replies so far are stored"
        raise UserError(settings.base_url, what, fix)
    costs = [one.cost_usd for one in answers if isinstance(one, ParsedReply)]
    known = [cost for cost in costs if cost is not None]
    cost = sum(known) if len(known) == len(costs) else None
    return Picks(settings.model, len(items), tuple(chosen), failed, cost)


def _choices(
    batch: Sequence[ProbeItem], answer: ParsedReply[PicksReply] | RowError
) -> list[int | None]:
    """Return the position that was chosen of each item of a request, or None."""
    if isinstance(answer, RowError):
        return [None] * len(batch)
    picks = {pick.number: pick.letter for pick in answer.value.picks}
    return [_position(item, picks[number]) for number, item in enumerate(batch, start=1)]


def drawn(items: Sequence[ProbeItem], most: int = MOST) -> list[ProbeItem]:
    """Return at most `most` items, in an order that depends on each item's own text alone."""
    return sorted(items, key=_digest)[:most]


def _digest(item: ProbeItem) -> bytes:
    text = "\0".join((item.id, item.question, *item.options))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


async def _answers(
    batches: Sequence[Sequence[ProbeItem]],
    settings: ModelSettings,
    folder: WorkspaceFolder,
    progress: Callable[[int, int], None],
    wire: Wire | None,
) -> list[ParsedReply[PicksReply] | RowError]:
    prompt, repair = templates.load("blind.j2"), templates.load("repair.j2")
    done = 0

    async def answer(
        client: ModelClient, batch: Sequence[ProbeItem]
    ) -> ParsedReply[PicksReply] | RowError:
        nonlocal done
        try:
            return await client.ask(_request(batch, prompt, repair))
        except RowError as error:
            return error
        finally:
            done += 1
            progress(done, len(batches))

    async with connect(settings, folder, wire) as client:
        found = await asyncio.gather(
            *(answer(client, one) for one in batches), return_exceptions=True
        )
    # Only once all have ended: what was in flight is paid for, and stored.
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, RowError):
            raise one
    return [one for one in found if not isinstance(one, BaseException) or isinstance(one, RowError)]


def _request(
    batch: Sequence[ProbeItem], prompt: templates.Prompt, repair: templates.Prompt
) -> ModelRequest[PicksReply]:
    schema = templates.show_schema(json_schema(PicksReply))
    questions = [
        {
            "number": number,
            # What is asked is at the end, after a passage or instructions.
            "text": templates.clean(item.question)[-_LONGEST_QUESTION:],
            "options": [
                {"letter": letter(at), "text": templates.clean(text)[:_LONGEST_OPTION]}
                for at, text in enumerate(item.options)
            ],
        }
        for number, item in enumerate(batch, start=1)
    ]
    system, user = (
        prompt.render(block, questions=questions, schema=schema) for block in ("system", "question")
    )
    return ModelRequest(
        messages=(Message("system", (system,)), Message("user", (user,))),
        answer=PicksReply,
        problems=lambda reply: problems_of(reply, batch),
        repair=lambda found: repair_text(repair, found, schema),
        template=prompt.path,
    )


def problems_of(reply: PicksReply, batch: Sequence[ProbeItem]) -> list[str]:
    """Return what is wrong with a well-formed reply about these items, in words that the model can act on."""
    often = Counter(pick.number for pick in reply.picks)
    found = [f"picks: number {number} is there {n} times" for number, n in often.items() if n > 1]
    missing = [str(number) for number in range(1, len(batch) + 1) if not often[number]]
    if missing:
        found.append(f"picks: these numbers are missing: {', '.join(missing)}")
    for index, pick in enumerate(reply.picks):
        if not 1 <= pick.number <= len(batch):
            found.append(f"picks[{index}].number: {pick.number} is not one of 1 to {len(batch)}")
            continue
        last = len(batch[pick.number - 1].options) - 1
        if pick.letter is not None and _position(batch[pick.number - 1], pick.letter) is None:
            found.append(
                f"picks[{index}].letter: {pick.letter[:20]!r} is not one of A to {letter(last)}"
            )
    return found


def _position(item: ProbeItem, given: str | None) -> int | None:
    """Return the position of the option with this letter; None if there is none."""
    wanted = (given or "").strip(" .:()").upper()
    return next((at for at in range(len(item.options)) if letter(at) == wanted), None)
