"""guess: a model says, without images, where in a walk it expects each landmark and action.

What it knows already can be answered without seeing, so compose doesn't ask it. The model gets the names
alone: no frames, times, narrations or file names.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.errors import RowError, UserError
from pipeline.models.chat import Message, json_schema
from pipeline.models.estimate import Estimate
from pipeline.models.llm import ModelClient, ModelRequest, ParsedReply, connect
from pipeline.models.wire import Wire
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Expected
from pipeline.routes import asking, templates
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from pipeline.routes.tasks import plain
from pipeline.sources.rows import Video

_MOST_NAMES = 100  # of one request: their places take about 2,000 tokens, half of the reply's limit
_LONGEST = 200  # characters of a name
_TYPICAL = 8  # names of a clip that has no route yet, for the estimate


# The docstrings of both replies are part of the schema that is sent: rewording them changes request keys.
class PlaceReply(BaseModel):
    """Where the name with this number is expected: 0 is the start of the walk, 100 its end."""

    model_config = ConfigDict(extra="ignore")
    number: int
    position: float
    sure: float


class PlacesReply(BaseModel):
    """One place for each numbered name."""

    model_config = ConfigDict(extra="ignore")
    places: list[PlaceReply] = Field(max_length=4 * _MOST_NAMES)


@dataclass(frozen=True, order=True)
class Name:
    """A landmark or an action as options show it."""

    kind: Literal["landmark", "action"]
    text: str


@dataclass(frozen=True)
class GuessService:
    """What guessing needs besides rows: both templates and the client, or why there is none."""

    prompt: templates.Prompt
    repair: templates.Prompt
    client: ModelClient | None = None
    absent: UserError | None = None


@asynccontextmanager
async def opens(
    settings: DraftSettings, folder: WorkspaceFolder, wire: Wire | None = None
) -> AsyncIterator[GuessService]:
    """Load the templates, open the journal and the connection to the server.

    A server that can't be asked (no key is set) doesn't stop the run.
    """
    service = _service()
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(connect(settings, folder, wire))
            service = replace(service, client=client)
        except UserError as error:
            service = replace(service, absent=error)
        yield service


def _service() -> GuessService:
    return GuessService(templates.load("guess.j2"), templates.load("repair.j2"))


def depends(settings: DraftSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the templates: changing one asks the model again."""
    service = _service()
    return asking.digest_of([service.prompt.sha256, service.repair.sha256])


async def run(rows: Rows, settings: DraftSettings, service: GuessService) -> list[Row]:
    """Ask where the names of one clip's route are expected; a clip without two names of a kind isn't asked about."""
    clip, found = rows.one(Clip), list[Row]()
    for names in _batches(rows[Route]):
        asking.refuse_to_send(rows.one(Video), settings)
        answer = await _asked(question(names, service), service)
        for place in answer.value.places:
            name = names[place.number - 1]
            found.append(
                Expected(
                    clip_id=clip.clip_id,
                    kind=name.kind,
                    name=name.text,
                    position=place.position,
                    sure=place.sure,
                    model=settings.model,
                    prompt_sha256=answer.prompt_sha256,
                    reply_id=answer.reply_id,
                    cost_usd=answer.cost_usd,
                )
            )
    return found


async def _asked(
    request: ModelRequest[PlacesReply], service: GuessService
) -> ParsedReply[PlacesReply]:
    """Return the model's answer; what would stop the run (the cap, a wrong key) concerns this clip alone."""
    try:
        if service.client:
            return await service.client.ask(request)
        assert service.absent is not None
        raise service.absent
    except UserError as error:
        raise RowError(f"{error.where}: {error.what}", error.fix, again=True) from error


def estimate(units: Iterable[Rows], settings: DraftSettings, folder: WorkspaceFolder) -> Estimate:
    """Return what guessing would take for these clips; nothing is sent.

    A clip without a route is counted as one request about a typical number of names.
    """
    if not settings.guesses:
        return Estimate("")
    service = _service()
    return asking.estimate(
        units,
        settings,
        folder,
        lambda rows: [question(names, service) for names in _batches(rows[Route], estimated=True)],
    )


def names_of(routes: Iterable[Route]) -> list[Name]:
    """Return the names of a clip's best route, each once, in an order that says nothing about the walk.

    A kind with a single name is left out: there is no order to ask about.
    """
    # "draft" sorts before "verified", so a verified route replaces the draft.
    best = sorted(routes, key=lambda route: route.origin)[-1:]
    steps = [step for route in best for step in route.steps]
    names = {Name("landmark", plain(step.landmark or "")) for step in steps}
    names |= {Name("action", plain(step.action or "")) for step in steps}
    names = {name for name in names if name.text}
    often = Counter(name.kind for name in names)
    return sorted(name for name in names if often[name.kind] > 1)


def _batches(routes: Sequence[Route], *, estimated: bool = False) -> list[list[Name]]:
    names = names_of(routes)
    if estimated and not routes:
        names = [Name("landmark", f"landmark number {number}") for number in range(_TYPICAL)]
    return [names[start : start + _MOST_NAMES] for start in range(0, len(names), _MOST_NAMES)]


def question(names: Sequence[Name], service: GuessService) -> ModelRequest[PlacesReply]:
    """Return the request about these names: text alone."""
    prompt, schema = service.prompt, templates.show_schema(json_schema(PlacesReply))
    shown = [
        {"number": number, "kind": name.kind, "name": templates.clean(name.text)[:_LONGEST]}
        for number, name in enumerate(names, start=1)
    ]
    system, user = (
        prompt.render(block, names=shown, schema=schema) for block in ("system", "question")
    )
    return ModelRequest(
        messages=(Message("system", (system,)), Message("user", (user,))),
        answer=PlacesReply,
        problems=lambda reply: problems_of(reply, len(names)),
        repair=lambda found: asking.repair_text(service.repair, found, schema),
        template=prompt.path,
    )


def problems_of(reply: PlacesReply, count: int) -> list[str]:
    """Return what is wrong with a well-formed reply about `count` names, in words that the model can act on."""
    often = Counter(place.number for place in reply.places)
    missing = [str(number) for number in range(1, count + 1) if not often[number]]
    found = [f"places: number {number} is there {n} times" for number, n in often.items() if n > 1]
    if missing:
        found.append(f"places: these numbers are missing: {', '.join(missing)}")
    for index, place in enumerate(reply.places):
        where = f"places[{index}]"
        if not 1 <= place.number <= count:
            found.append(f"{where}.number: {place.number} is not one of 1 to {count}")
        if not 0 <= place.position <= 100:  # false for NaN, too
            found.append(f"{where}.position: {place.position:g} is not within 0 to 100")
        if not 0 <= place.sure <= 1:
            found.append(f"{where}.sure: {place.sure:g} is not within 0 to 1")
    return found
