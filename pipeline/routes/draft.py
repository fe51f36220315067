"""draft: a clip's keyframes, turns and narrations become a route, by a model or by the measured motion.

A draft is a proposal for people to correct: the motion drafter reports the camera's heading, a model
what it believes it sees.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.models.estimate import Estimate
from pipeline.models.llm import ModelClient, ModelRequest, connect
from pipeline.models.wire import Wire
from pipeline.motion.rows import Clip, Stay, Turn
from pipeline.routes import asking, motion_draft, route, templates
from pipeline.routes import wording as languages
from pipeline.routes.rows import Move, Route, Step
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Video

_LEAST_STRAIGHT_US = 1_000_000  # a first turn or stay later than this is preceded by a straight
_MAX_STEPS = 60
_MAX_FACT = 80  # characters; anything longer is a sentence and belongs in the description
_MAX_DESCRIPTION = 1_500
_TEMPLATES = {"motion": ("describe.j2",), "openai": ("route.j2", "repair.j2")}


# The docstrings of both replies are part of the schema that is sent: rewording them changes request keys.
class StepReply(BaseModel):
    """One step as a model reports it; times are seconds since the clip began."""

    model_config = ConfigDict(extra="ignore")
    start_seconds: float = Field(ge=0, allow_inf_nan=False)
    move: Move
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None


class RouteReply(BaseModel):
    """A route as a model reports it."""

    model_config = ConfigDict(extra="ignore")
    steps: list[StepReply] = Field(min_length=1, max_length=_MAX_STEPS)
    forward_description: str
    reverse_description: str
    confidence: float = Field(ge=0, le=1)


@dataclass(frozen=True)
class DraftService:
    """What drafting needs besides rows: templates by name, a language and, to ask a model, its client."""

    folder: WorkspaceFolder
    prompts: dict[str, templates.Prompt]
    wording: languages.Wording
    client: ModelClient | None
    slots: asyncio.Semaphore  # bounds the number of clips whose keyframes are in memory


@asynccontextmanager
async def opens(
    settings: DraftSettings, folder: WorkspaceFolder, wire: Wire | None = None
) -> AsyncIterator[DraftService]:
    """Load the templates and, to ask a model, open the journal and the connection to the server."""
    service = _service(settings, folder)
    if settings.provider == "motion":
        yield service
    else:
        async with connect(settings, folder, wire) as client:
            yield replace(service, client=client)


def _service(settings: DraftSettings, folder: WorkspaceFolder) -> DraftService:
    prompts = {name: templates.load(name) for name in _TEMPLATES[settings.provider]}
    slots = asyncio.Semaphore(settings.in_flight)
    return DraftService(folder, prompts, languages.load(settings.language), None, slots)


def depends(settings: DraftSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the templates and words in use: a changed prompt redoes the drafts."""
    service = _service(settings, folder)
    texts, wording = [prompt.sha256 for prompt in service.prompts.values()], service.wording
    # A model gets only the language's name; our own descriptions consist of its words.
    if settings.provider == "openai":
        texts.append(wording.name)
    else:
        texts += [str(wording.moves), str(wording.description)]
    return asking.digest_of(texts)


async def run(rows: Rows, settings: DraftSettings, service: DraftService) -> list[Row]:
    """Draft one clip's route."""
    clip = rows.one(Clip)
    if service.client is None:
        describe = service.prompts["describe.j2"]
        narrations = asking.narrations_of(rows)
        return [
            motion_draft.draft(clip, rows[Turn], rows[Stay], narrations, describe, service.wording)
        ]
    async with service.slots:
        return [await _by_model(rows, settings, service, service.client)]


def estimate(units: Iterable[Rows], settings: DraftSettings, folder: WorkspaceFolder) -> Estimate:
    """Return what drafting these clips would take; nothing is sent."""
    if settings.provider == "motion":
        return Estimate("")
    asked = requests(settings, folder)
    return asking.estimate(units, settings, folder, asked, batch=settings.batch)


def requests(settings: DraftSettings, folder: WorkspaceFolder) -> asking.Requests:
    """Return the function that gives the request for a clip's route."""
    service = _service(settings, folder)
    return lambda rows: [question(rows, settings, service)]


async def _by_model(
    rows: Rows, settings: DraftSettings, service: DraftService, client: ModelClient
) -> Route:
    clip = rows.one(Clip)
    asking.refuse_to_send(rows.one(Video), settings)
    answer = await client.ask(question(rows, settings, service))
    steps = steps_of(answer.value, clip)
    forward = templates.clean(answer.value.forward_description)
    reverse = templates.clean(answer.value.reverse_description)
    return Route(
        clip_id=clip.clip_id,
        origin="draft",
        verified_categories=[],
        fingerprint=route.fingerprint(steps, forward, reverse),
        provider="openai",
        model=settings.model,
        prompt_sha256=answer.prompt_sha256,
        reply_id=answer.reply_id,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_usd=answer.cost_usd,
        steps=list(steps),
        forward_description=forward,
        reverse_description=reverse,
        confidence=answer.value.confidence,
        language=settings.language,
    )


def question(
    rows: Rows, settings: DraftSettings, service: DraftService
) -> ModelRequest[RouteReply]:
    """Return the request for a clip's route."""
    clip = rows.one(Clip)
    return asking.request(
        rows,
        settings,
        service.folder,
        service.prompts["route.j2"],
        service.prompts["repair.j2"],
        RouteReply,
        problems=lambda reply: problems_of(reply, clip),
        more={"language": service.wording.name, "stays": _stays(rows)},
    )


def _stays(rows: Rows) -> list[dict[str, float]]:
    """Return the measured stays as the template sees them, in seconds since the clip began."""
    start_us = rows.one(Clip).start_us
    return [
        {
            "start": (stay.start_us - start_us) / 1e6,
            "end": (stay.end_us - start_us) / 1e6,
            "confidence": stay.confidence,
        }
        for stay in rows[Stay]
    ]


def problems_of(reply: RouteReply, clip: Clip) -> list[str]:
    """Return what is wrong with a well-formed route, in words that the model can act on."""
    length_us = clip.end_us - clip.start_us
    found = []
    for number, step in enumerate(reply.steps):
        where, start = f"steps[{number}]", step.start_seconds
        # Compare the microseconds that are stored: 19.9999999 s would be an empty step at the end of 20 s.
        if _us(start) >= length_us:
            found.append(
                f"{where}.start_seconds: {start:g} is not before the clip ends ({length_us / 1e6:g})"
            )
        if number and _us(start) <= _us(reply.steps[number - 1].start_seconds):
            found.append(f"{where}.start_seconds: {start:g} is not after the step before it")
        found += [
            f"{where}.{name}: longer than {_MAX_FACT} characters"
            for name in ("landmark", "action", "undo")
            if len(templates.fact(getattr(step, name)) or "") > _MAX_FACT
        ]
    for name in ("forward_description", "reverse_description"):
        length = len(templates.clean(getattr(reply, name)))
        if not 0 < length <= _MAX_DESCRIPTION:
            found.append(f"{name}: has {length} characters, expected 1 to {_MAX_DESCRIPTION}")
    return found


def steps_of(reply: RouteReply, clip: Clip) -> tuple[Step, ...]:
    """Return a checked reply as steps in video time that fill the clip.

    If the first turn or stay comes well after the clip's start, the walk up to it was straight.
    """
    begins = [clip.start_us + _us(step.start_seconds) for step in reply.steps]
    steps = list(reply.steps)
    if steps[0].move != "straight" and begins[0] - clip.start_us >= _LEAST_STRAIGHT_US:
        steps.insert(0, StepReply(start_seconds=0, move="straight"))
        begins.insert(0, clip.start_us)
    begins[0] = clip.start_us
    return route.canonical(
        Step(
            start_us=start_us,
            end_us=end_us,
            move=step.move,
            landmark=templates.fact(step.landmark),
            action=templates.fact(step.action),
            undo=templates.fact(step.undo) if templates.fact(step.action) else None,
        )
        for step, start_us, end_us in zip(steps, begins, [*begins[1:], clip.end_us], strict=True)
    )


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
