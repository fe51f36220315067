"""write: a model writes a clip's items for the user's own tasks, `prompts/tasks/<name>.j2`.

These are raw texts: compose draws the letters of the answers and orders the options.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.errors import RowError
from pipeline.models.estimate import Estimate
from pipeline.models.llm import ModelClient, ModelRequest, ParsedReply, connect
from pipeline.models.wire import Wire
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Written
from pipeline.routes import asking, templates
from pipeline.routes.settings import DraftSettings
from pipeline.routes.tasks import SEPARATOR, plain_option
from pipeline.routes.wording import load as wording_of
from pipeline.sources.rows import Video

_OPTIONS = 4
_MAX_QUESTION, _MAX_OPTION, _MAX_ANSWER, _MAX_EVIDENCE = 300, 200, 1_500, 500  # characters
_LABEL = re.compile(r"^\(?[a-d][).:]\s", re.IGNORECASE)  # "B) turn left": compose draws the letters


# The docstrings of both replies are part of the schema that is sent: rewording them changes request keys.
class ItemReply(BaseModel):
    """One item as a model writes it; times are seconds since the clip began."""

    model_config = ConfigDict(extra="ignore")
    question: str
    answer: str
    distractors: list[str]
    evidence: str
    evidence_seconds: list[float]


class ItemsReply(BaseModel):
    """The items that a model found worth asking; none where the clip shows nothing to ask."""

    model_config = ConfigDict(extra="ignore")
    items: list[ItemReply] = Field(max_length=50)


@dataclass(frozen=True)
class WriteService:
    """What writing needs besides rows: the tasks' templates, the one for repairs, and the client."""

    folder: WorkspaceFolder
    tasks: tuple[templates.Prompt, ...]
    repair: templates.Prompt
    client: ModelClient | None
    slots: asyncio.Semaphore  # bounds the number of clips whose keyframes are in memory


@asynccontextmanager
async def opens(
    settings: DraftSettings, folder: WorkspaceFolder, wire: Wire | None = None
) -> AsyncIterator[WriteService]:
    """Load the tasks' templates, open the journal and the connection to the server."""
    service = _service(settings, folder)
    async with connect(settings, folder, wire) as client:
        yield replace(service, client=client)


def _service(settings: DraftSettings, folder: WorkspaceFolder) -> WriteService:
    tasks = tuple(templates.load_task(name) for name in dict.fromkeys(settings.tasks))
    slots = asyncio.Semaphore(settings.in_flight)
    return WriteService(folder, tasks, templates.load("repair.j2"), None, slots)


def depends(settings: DraftSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the tasks in use: changing or adding one asks the model again."""
    service = _service(settings, folder)
    shas = [prompt.sha256 for prompt in (*service.tasks, service.repair)]
    return asking.digest_of([*shas, wording_of(settings.language).name])


async def run(rows: Rows, settings: DraftSettings, service: WriteService) -> list[Row]:
    """Have the model write one clip's items, task by task; a failed task doesn't affect the others."""
    asking.refuse_to_send(rows.one(Video), settings)
    clip, client = rows.one(Clip), service.client
    assert client is not None
    found: list[Row] = []
    failures: list[Rejection] = []
    for prompt in service.tasks:
        async with service.slots:
            try:
                answer = await client.ask(question(rows, settings, service, prompt))
            except RowError as error:
                if error.again:
                    raise
                failures.append(_refused(clip, prompt, error.what, error.fix))
                continue
        written = list(_written(answer, clip, prompt, settings.model))
        found += written
        if not written:
            fix = "ignore this, or change the rules in the task's template"
            failures.append(_refused(clip, prompt, "the model found nothing to ask", fix))
    if not found:
        raise RowError("; ".join(row.what for row in failures), failures[0].fix)
    return [*found, *failures]


def _refused(clip: Clip, prompt: templates.Prompt, what: str, fix: str) -> Rejection:
    return Rejection(stage="write", unit=clip.clip_id, what=f"{prompt.path}: {what}", fix=fix)


def estimate(units: Iterable[Rows], settings: DraftSettings, folder: WorkspaceFolder) -> Estimate:
    """Return what writing these clips' items would take; nothing is sent."""
    if not settings.tasks:
        return Estimate("")
    asked = requests(settings, folder)
    return asking.estimate(units, settings, folder, asked, batch=settings.batch)


def requests(settings: DraftSettings, folder: WorkspaceFolder) -> asking.Requests:
    """Return the function that gives the requests for a clip's items, one for each task."""
    service = _service(settings, folder)
    return lambda rows: [question(rows, settings, service, prompt) for prompt in service.tasks]


def question(
    rows: Rows, settings: DraftSettings, service: WriteService, prompt: templates.Prompt
) -> ModelRequest[ItemsReply]:
    """Return the request for one task's items about a clip."""
    clip, language = rows.one(Clip), wording_of(settings.language).name
    return asking.request(
        rows,
        settings,
        service.folder,
        prompt,
        service.repair,
        ItemsReply,
        problems=lambda reply: problems_of(reply, clip, prompt.front),
        more={"count": prompt.front.count, "language": language},
    )


def problems_of(reply: ItemsReply, clip: Clip, front: templates.FrontMatter) -> list[str]:
    """Return what is wrong with well-formed items, in words that the model can act on."""
    found = []
    if len(reply.items) > (front.count or 1):
        found.append(f"items: {len(reply.items)}, expected at most {front.count}")
    questions = [templates.clean(item.question).casefold() for item in reply.items]
    if len(set(questions)) < len(questions):
        found.append("items: two ask the same question")
    for number, item in enumerate(reply.items):
        found += [f"items[{number}].{problem}" for problem in _problems(item, clip, front)]
    return found


def _problems(item: ItemReply, clip: Clip, front: templates.FrontMatter) -> Iterator[str]:
    seconds = (clip.end_us - clip.start_us) / 1e6
    longest = _MAX_OPTION if front.format == "mcq" else _MAX_ANSWER
    for name, text, most in (
        ("question", item.question, _MAX_QUESTION),
        ("answer", item.answer, longest),
        ("evidence", item.evidence, _MAX_EVIDENCE),
    ):
        length = len(templates.clean(text))
        if not 0 < length <= most:
            yield f"{name}: has {length} characters, expected 1 to {most}"
    if not item.evidence_seconds:
        yield "evidence_seconds: name at least one moment"
    for moment in item.evidence_seconds:
        if not 0 <= moment <= seconds:  # false for NaN, too
            yield f"evidence_seconds: {moment:g} is not within the clip (0 to {seconds:g})"
    if front.format == "open":
        if item.distractors:
            yield "distractors: expected none for an open question"
        return
    options = [normalized(text) for text in (item.answer, *item.distractors)]
    if len(options) != _OPTIONS:
        yield f"distractors: {len(options) - 1}, expected {_OPTIONS - 1}"
    elif len(set(options)) != _OPTIONS:
        yield "distractors: the answer and the distractors have to differ in more than case or a full stop"
    for text in options:
        if not 0 < len(text) <= _MAX_OPTION:
            yield f"distractors: {len(text)} characters, expected 1 to {_MAX_OPTION}"
        if _LABEL.match(text):
            yield f"distractors: no letters before an option ({text[:20]!r})"


def normalized(text: str) -> str:
    """Return an option in the form in which an item will show it."""
    # Cleaned part by part: the tip of an arrow is an angle bracket, which `clean` would replace.
    return plain_option(SEPARATOR.join(templates.clean(part) for part in text.split("->")))


def _written(
    answer: ParsedReply[ItemsReply], clip: Clip, prompt: templates.Prompt, model: str
) -> Iterator[Written]:
    front = prompt.front
    for ordinal, item in enumerate(answer.value.items):
        mcq = front.format == "mcq"
        yield Written.model_validate(
            {
                "clip_id": clip.clip_id,
                "task": front.name,
                "ordinal": ordinal,
                "category": front.category,
                "orientation": front.orientation,
                "format": front.format,
                "question": templates.clean(item.question),
                "answer": normalized(item.answer) if mcq else templates.clean(item.answer),
                "distractors": [normalized(text) for text in item.distractors],
                "evidence": templates.clean(item.evidence),
                "evidence_us": _moments(item.evidence_seconds, clip),
                "model": model,
                "prompt_sha256": answer.prompt_sha256,
                "reply_id": answer.reply_id,
                "cost_usd": answer.cost_usd,
            }
        )


def _moments(seconds: Sequence[float], clip: Clip) -> list[int]:
    return sorted({clip.start_us + round(moment * 1_000_000) for moment in seconds})
