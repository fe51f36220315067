"""draft: a clip's keyframes, turns and narrations become a route, by a model or by the measured motion.

What is drafted is a proposal: the motion drafter tells the camera's heading, the model what it
believes to see. People correct both.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.errors import UserError
from pipeline.models.chat import json_schema
from pipeline.models.estimate import Estimate
from pipeline.models.estimate import estimate as estimated
from pipeline.models.llm import NO_MODEL, ModelClient, ModelRequest, connect
from pipeline.models.wire import Wire
from pipeline.motion.rows import Clip, Turn
from pipeline.routes import motion_draft, route, templates, wording
from pipeline.routes.asking import may_leave, messages, refuse_to_send, repair_text, told
from pipeline.routes.rows import Move, Route, Step
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Video

_LEAST_STRAIGHT_US = 1_000_000  # a first turn later than this has a straight before it
_MAX_STEPS = 60
_MAX_FACT = 80  # characters; longer ones are sentences and belong into the description
_MAX_DESCRIPTION = 1_500
_TEMPLATES = {"motion": ("describe.j2",), "openai": ("route.j2", "repair.j2")}


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
    """What drafting needs besides rows: templates by name, a language, and for a model the way to it."""

    folder: WorkspaceFolder
    prompts: dict[str, templates.Prompt]
    said: wording.Wording
    client: ModelClient | None
    room: asyncio.Semaphore  # bounds the clips whose pictures are in memory


@asynccontextmanager
async def opens(
    settings: DraftSettings, folder: WorkspaceFolder, wire: Wire | None = None
) -> AsyncIterator[DraftService]:
    """Load the templates and, for a model, open the journal and the way to the server."""
    prompts = {name: templates.load(name) for name in _TEMPLATES[settings.provider]}
    said, room = wording.load(settings.language), asyncio.Semaphore(settings.in_flight)
    if settings.provider == "motion":
        yield DraftService(folder, prompts, said, None, room)
    else:
        async with connect(settings, folder, wire) as client:
            yield DraftService(folder, prompts, said, client, room)


def depends(settings: DraftSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the templates and words in use: a changed prompt redoes the drafts."""
    parts = [templates.load(name).sha256 for name in _TEMPLATES[settings.provider]]
    said = wording.load(settings.language)
    # A model is told the language's name alone; our own description is made of its words.
    parts += (
        [said.name] if settings.provider == "openai" else [str(said.moves), str(said.description)]
    )
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


async def run(rows: Rows, settings: DraftSettings, service: DraftService) -> list[Row]:
    """Draft one clip's route."""
    clip = rows.one(Clip)
    if service.client is None:
        describe = service.prompts["describe.j2"]
        return [motion_draft.draft(clip, rows[Turn], told(rows), describe, service.said)]
    async with service.room:
        return [await _by_model(rows, settings, service, service.client)]


def estimate(units: Iterable[Rows], settings: DraftSettings, folder: WorkspaceFolder) -> Estimate:
    """Return what drafting these clips would take; nothing is sent."""
    if settings.provider == "motion":
        return Estimate("")
    if not settings.model:
        raise UserError(*NO_MODEL)
    units = list(units)
    allowed = [rows for rows in units if may_leave(rows.one(Video), settings)]
    prompts = {name: templates.load(name) for name in _TEMPLATES[settings.provider]}
    service = DraftService(
        folder, prompts, wording.load(settings.language), None, asyncio.Semaphore()
    )
    questions = (question(rows, settings, service) for rows in allowed)
    return estimated(questions, settings, folder, withheld=len(units) - len(allowed))


async def _by_model(
    rows: Rows, settings: DraftSettings, service: DraftService, client: ModelClient
) -> Route:
    clip = rows.one(Clip)
    refuse_to_send(rows.one(Video), settings)
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
    """Return what is asked about a clip."""
    clip = rows.one(Clip)
    schema = templates.show_schema(json_schema(RouteReply))
    ask, repair = service.prompts["route.j2"], service.prompts["repair.j2"]
    more = {"schema": schema, "language": service.said.name}
    return ModelRequest(
        messages=messages(rows, settings.frames, service.folder, ask, more),
        answer=RouteReply,
        problems=lambda reply: problems_of(reply, clip),
        repair=lambda problems: repair_text(repair, problems, schema),
    )


def problems_of(reply: RouteReply, clip: Clip) -> list[str]:
    """Return what is wrong with a route of the right form, in words that the model can act on."""
    length_us = clip.end_us - clip.start_us
    found = []
    for number, step in enumerate(reply.steps):
        where, start = f"steps[{number}]", step.start_seconds
        # Compared as they are kept: 19.9999999 s would be a step of no length at the end of 20 s.
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
    """Turn a checked reply into steps in video time that fill the clip.

    A first turn well inside the clip means that the way to it was straight.
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
