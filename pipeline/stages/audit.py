"""Audit: people answer a sample of verified items without seeing the answer.

A task holds the question, its options and the pictures; neither the key nor any fingerprint, since
the free edition of Label Studio lets everybody with an account read all task data.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pydantic import Field

from pipeline.clients import reviewclip
from pipeline.clients.labelstudio import Annotation, Client, Task
from pipeline.config import Settings
from pipeline.errors import UserError
from pipeline.records import Answer, Clip, Frame, Item, Verdict, Video, digest
from pipeline.stages import routepage, sending
from pipeline.stages.sending import Progress, Pushed, silent
from pipeline.stages.verdicts import by, pseudonym
from pipeline.store import Place, Rows

CONFIG = "annotations/item.xml"
PUSH_READS = (Video, Clip, Frame, Item, Verdict)
"""The row types that `push` wants to see."""

_BESIDE = {
    "none": "none is right",
    "many": "more than one is right",
    "unsure": "can't tell",
}
_CHOICES = (*map(str, range(4)), *_BESIDE)
_BATCH = 200
_OVERLAP_US = 60_000_000  # pull again what changed a minute before the last known answer


class AuditSettings(Settings):
    """How people answer items, to measure how good the benchmark is."""

    sample: int = Field(
        200, ge=0, exclude=True, description="How many verified items are asked; 0 = all."
    )
    overlap: int = Field(2, ge=1, le=5, exclude=True, description="How many people answer each.")
    project: str = Field(
        "egost audit",
        min_length=3,
        max_length=50,
        exclude=True,
        description="Title of the Label Studio project.",
    )


@dataclass(frozen=True)
class Shown:
    """How pages show media: the longest side of clips, a server of one's own, where media are then."""

    pixels: int
    url: str = ""
    media_url: str = ""


@dataclass(frozen=True)
class Answered:
    """What a pull brought: answers that count, and how many don't.

    `own` were given by people who reviewed the clip, `stale` to questions that have changed since.
    """

    answers: tuple[Answer, ...]
    own: int
    stale: int


def push(
    client: Client,
    rows: Rows,
    settings: AuditSettings,
    shown: Shown,
    place: Place,
    progress: Progress = silent,
) -> Pushed:
    """Make one task for each item of the sample; twice = once. `rows` holds PUSH_READS.

    The sample is random and has as many items of each task as can be; what was asked once stays in
    it. Where only the clip's own reviewers answered, the item goes out once more.
    """
    media = sending.media(place, shown.url, shown.media_url)
    config = label_config()
    project = client.project(settings.project, config, settings.overlap)
    if media.served:
        client.serve(project, media.served)
    secret = place.secret()
    there = {str(task.data.get("uid")): task for task in client.tasks(project)}
    rounds = {item.item_id: _rounds(item, there, secret) for item in rows[Item]}
    wanted = sample(
        rows[Item], {key for key, found in rounds.items() if found}, settings.sample, secret
    )
    foreign = _foreign(client, project, rows, rounds, secret) if any(rounds.values()) else {}
    clips = {clip.clip_id: clip for clip in rows[Clip]}
    videos = {video.video_id: video for video in rows[Video]}
    frames: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in rows[Frame]:
        frames[frame.clip_id].append(frame)
    counted: Counter[str] = Counter()
    rejected = []
    for begin in range(0, len(wanted), _BATCH):
        plans = []
        for item in wanted[begin : begin + _BATCH]:
            asked = rounds[item.item_id]
            full = bool(asked) and asked[-1].finished >= settings.overlap
            if asked and not (full and foreign.get(item.item_id, 0) < settings.overlap):
                counted["kept"] += 1
                continue
            counted["reopened" if asked else "new"] += 1
            plans.append((item, len(asked) + 1))
        pairs = {item.clip_id: (clips[item.clip_id], videos[item.video_id]) for item, _ in plans}
        failed = sending.cut_all(pairs.values(), place, shown.pixels, "audit")
        rejected += failed
        without = {one.unit for one in failed}
        pages = [
            page(item, number, *pairs[item.clip_id], frames[item.clip_id], shown, media.url, secret)
            for item, number in plans
            if item.clip_id not in without
        ]
        for one in pages:
            sending.check_fields(config, one)
        client.add(project, pages)
        progress(min(begin + _BATCH, len(wanted)), len(wanted))
    return Pushed(
        new=counted["new"],
        reopened=counted["reopened"],
        kept=counted["kept"],
        rejected=tuple(rejected),
        project_url=sending.project_url(client, project),
    )


def sample(items: Iterable[Item], asked: set[str], size: int, secret: bytes) -> list[Item]:
    """Return the items to ask: those that were asked, then random ones, the tasks in turn.

    Items that a model wrote have no verified route behind them: all of those are asked.
    """
    tasks: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        model = item.option_kind == "model"
        if item.format == "mcq" and (item.status == "verified" or model):
            tasks[item.task].append(item)
    ranked: list[tuple[bool, int, str, Item]] = []
    for task, found in tasks.items():
        found.sort(key=lambda item: digest("audit", secret.hex(), item.item_id))
        ranked += [
            (item.item_id not in asked and item.option_kind != "model", place, task, item)
            for place, item in enumerate(found)
        ]
    ranked.sort(key=lambda one: one[:3])
    always = sum(not later for later, *_ in ranked)
    return [item for *_, item in ranked[: max(size, always) if size else len(ranked)]]


def page(
    item: Item,
    number: int,
    clip: Clip,
    video: Video,
    frames: Sequence[Frame],
    shown: Shown,
    media_url: str,
    secret: bytes,
) -> dict[str, Any]:
    """Return a task's data. Why a keyframe was kept is not told: it names the turns."""
    movie = reviewclip.clip_name(video.video_id, clip.start_us, clip.end_us, shown.pixels)
    texts = [*item.options, *_BESIDE.values()]
    return {
        "uid": _uid(secret, item, number),
        "round": number,
        "clip": media_url + movie,
        "fps": reviewclip.FPS,
        "frames": routepage.grid(frames, clip.start_us, media_url, why=False),
        "question": item.question,
        "choices": [
            {"value": value, "html": escape(text), "hotkey": str(place)}
            for place, (value, text) in enumerate(zip(_CHOICES, texts, strict=True), start=1)
        ],
    }


def label_config() -> str:
    """Return `annotations/item.xml`; raise UserError if the control that pull reads is missing."""
    return routepage.checked_config(CONFIG, {}, ("choice",))


def pull(client: Client, rows: Rows, settings: AuditSettings, place: Place) -> Answered:
    """Return the answers that are new or changed since those of `rows` (Item, Verdict, Answer)."""
    project = _known(client, settings)
    secret = place.secret()
    newest = max((one.created_us for one in rows[Answer]), default=0)
    given = client.annotations(project, max(newest - _OVERLAP_US, 0))
    rounds = max((int(one.task.data.get("round", 1)) for one in given), default=1)
    asked = {
        _uid(secret, item, number): item for item in rows[Item] for number in range(1, rounds + 1)
    }
    judges = _reviewers(rows[Verdict])
    answers, own, stale = [], 0, 0
    for one in given:
        item, choice = asked.get(str(one.task.data.get("uid"))), _choice(one)
        if item is None:
            stale += 1
        elif choice is None:
            continue  # skipped: the server serves it to somebody else
        elif pseudonym(one.email, secret) in judges.get(item.clip_id, ()):
            own += 1
        else:
            answers.append(_answer(one, item, choice, secret))
    return Answered(tuple(answers), own, stale)


def status(client: Client, settings: AuditSettings) -> tuple[int, int, str]:
    """Return how many tasks there are, how many are done, and where people open them."""
    project = _known(client, settings)
    tasks = client.tasks(project)
    done = sum(task.finished >= settings.overlap for task in tasks)
    return len(tasks), done, sending.project_url(client, project)


def _answer(one: Annotation, item: Item, choice: str, secret: bytes) -> Answer:
    return Answer.model_validate(
        {
            "item_id": item.item_id,
            "fingerprint": item.fingerprint,
            "annotator": pseudonym(one.email, secret),
            "choice": choice,
            "seconds": one.seconds,
            "created_us": one.updated_us,
            "annotation_id": f"{one.task.data['uid']}-{one.id}",
            "by": by(one.email),
        }
    )


def _choice(one: Annotation) -> str | None:
    if one.skipped:
        return None
    for control in one.result:
        if control.get("from_name") == "choice":
            chosen = control.get("value", {}).get("choices", [])
            return next((value for value in chosen if value in _CHOICES), None)
    return None


def _uid(secret: bytes, item: Item, number: int) -> str:
    return digest("audit", secret.hex(), item.item_id, item.fingerprint, number)


def _rounds(item: Item, there: Mapping[str, Task], secret: bytes) -> list[Task]:
    found: list[Task] = []
    while task := there.get(_uid(secret, item, len(found) + 1)):
        found.append(task)
    return found


def _foreign(
    client: Client, project: int, rows: Rows, rounds: Mapping[str, Sequence[Task]], secret: bytes
) -> Counter[str]:
    """Count each item's answers by people who did not review its clip."""
    judges = _reviewers(rows[Verdict])
    asked = {task.id: item for item in rows[Item] for task in rounds[item.item_id]}
    found: Counter[str] = Counter()
    for one in client.annotations(project):
        item = asked.get(one.task.id)
        if item and not one.skipped:
            found[item.item_id] += pseudonym(one.email, secret) not in judges.get(item.clip_id, ())
    return found


def _reviewers(verdicts: Iterable[Verdict]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in verdicts:
        if one.verdict != "skip":
            found[one.clip_id].add(one.annotator)
    return found


def _known(client: Client, settings: AuditSettings) -> int:
    project = client.find(settings.project)
    if project is None:
        raise UserError(
            client.url, f"there is no project {settings.project!r}", "run `egost audit push` first"
        )
    return project
