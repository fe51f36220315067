"""Audit: people answer a sample of verified items without seeing the answer.

A task holds the question, its options and the keyframes, but neither the key nor a fingerprint: the
free edition of Label Studio lets everybody with an account read all task data.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows, digest
from pipeline.labelstudio.client import Annotation, AnnotationServer, AnnotationTask
from pipeline.motion.rows import Clip, Frame
from pipeline.questions.rows import Item
from pipeline.review import routepage, sending
from pipeline.review.rows import Answer, Verdict
from pipeline.review.sending import Outcome, PlannedTask, Progress, Project, Pushed, Sender, silent
from pipeline.review.settings import AuditSettings
from pipeline.review.verdicts import by, pseudonym
from pipeline.sources.rows import Video
from pipeline.video import reviewclip
from pipeline.video.reviewclip import Form

CONFIG = "annotations/item.xml"
PUSH_READS = (Video, Clip, Frame, Item, Verdict)
"""The row types that `push` reads."""
PULL_READS = (Item, Verdict, Answer)
"""The row types that `pull` reads."""

_OTHER_CHOICES = {
    "none": "none of these is right",
    "many": "more than one is right",
    "unsure": "can't tell",
}
_OTHER_CHOICES_OPEN = {
    "none": "this answer is wrong",
    "many": "another answer is equally right",
    "unsure": "can't tell",
}
_CHOICES = (*map(str, range(4)), *_OTHER_CHOICES)
_OVERLAP_US = 60_000_000  # each pull also asks for the minute before the last known answer


@dataclass(frozen=True)
class MediaAccess:
    """How pages show media: the format of review clips, and the settings `url` and `media_url`."""

    form: Form
    url: str = ""
    media_url: str = ""


@dataclass(frozen=True)
class Answered:
    """The result of a pull: the answers that count, and how many don't.

    `own` counts answers by people who reviewed the clip, `stale` those to items that have changed.
    """

    answers: tuple[Answer, ...]
    own: int
    stale: int


def push(
    client: AnnotationServer,
    rows: Rows,
    settings: AuditSettings,
    shown: MediaAccess,
    folder: WorkspaceFolder,
    progress: Progress = silent,
) -> Pushed:
    """Create one task for each item of the sample. Idempotent. `rows` holds PUSH_READS.

    The sample is random and balanced over tasks; items asked earlier stay in it. An item that only
    the clip's own reviewers answered is sent again.
    """
    project = Project(settings.project, label_config(), settings.overlap)
    media = sending.media(folder, shown.url, shown.media_url)
    sender = Sender(client, folder, media, project, shown.form)
    secret = folder.secret()
    existing = {str(task.data.get("uid")): task for task in sender.tasks()}
    rounds = {item.item_id: _rounds(item, existing, secret) for item in rows[Item]}
    wanted = sample(
        rows[Item], {key for key, found in rounds.items() if found}, settings.sample, secret
    )
    independent: Mapping[str, int] = {}
    if any(rounds.values()):
        independent = _independent(client, sender.number, rows, rounds, secret)
    clips = {clip.clip_id: clip for clip in rows[Clip]}
    videos = {video.video_id: video for video in rows[Video]}
    frames: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in rows[Frame]:
        frames[frame.clip_id].append(frame)

    def plan(item: Item) -> PlannedTask | None:
        asked = rounds[item.item_id]
        full = bool(asked) and asked[-1].finished >= settings.overlap
        if asked and not (full and independent.get(item.item_id, 0) < settings.overlap):
            return None
        clip, video = clips[item.clip_id], videos[item.video_id]
        keyframes = frames[item.clip_id]
        head = {"uid": _uid(secret, item, len(asked) + 1), "round": len(asked) + 1}

        def data() -> dict[str, Any]:
            name = sender.clip_name(clip, video)
            return head | page(item, clip, keyframes, name, sender.media_url)

        outcome: Outcome = "reopened" if asked else "new"
        return PlannedTask(clip, video, keyframes, outcome, data)

    return sender.send(wanted, lambda item: item, lambda: plan, "audit", progress)


def sample(items: Iterable[Item], asked: set[str], size: int, secret: bytes) -> list[Item]:
    """Return the items to ask: those asked earlier, then random ones, alternating between tasks.

    Items that a model wrote are not based on a verified route, so all of them are asked. Open items
    of a route are not asked, because people have already verified their text.
    """
    tasks: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        sampled = item.format == "mcq" and item.status == "verified"
        if sampled or item.option_kind == "model":
            tasks[item.task].append(item)
    ranked: list[tuple[bool, int, str, Item]] = []
    for task, found in tasks.items():
        found.sort(key=lambda item: digest("audit", secret.hex(), item.item_id))
        ranked += [
            (item.item_id not in asked and item.option_kind != "model", index, task, item)
            for index, item in enumerate(found)
        ]
    ranked.sort(key=lambda one: one[:3])
    always = sum(not later for later, *_ in ranked)
    return [item for *_, item in ranked[: max(size, always) if size else len(ranked)]]


def page(
    item: Item,
    clip: Clip,
    frames: Sequence[Frame],
    clip_name: str,
    media_url: Callable[[str], str],
) -> dict[str, Any]:
    """Return a task's data except for its round. The reasons of keyframes are hidden: they name turns.

    An open item has no options: people judge whether its answer is right.
    """
    texts = dict(zip(_CHOICES, item.options, strict=False)) | _OTHER_CHOICES
    if item.format == "open":
        texts = {"0": f"the answer is: {item.answer_text}"} | _OTHER_CHOICES_OPEN
    return {
        "clip": media_url(clip_name),
        "fps": reviewclip.FPS,
        "frames": routepage.grid(frames, clip.start_us, media_url, reasons=False),
        "question": item.question,
        "choices": [
            {"value": value, "html": escape(text), "hotkey": str(number)}
            for number, (value, text) in enumerate(texts.items(), start=1)
        ],
    }


def label_config() -> str:
    """Return `annotations/item.xml`; raise UserError if the control that pull reads is missing."""
    return routepage.checked_config(CONFIG, {}, ("choice",))


def pull(
    client: AnnotationServer, rows: Rows, settings: AuditSettings, folder: WorkspaceFolder
) -> Answered:
    """Return the answers that are new or changed since those in `rows`, which holds PULL_READS."""
    project = sending.known_project(client, settings.project, "egost audit push")
    secret = folder.secret()
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
            continue  # skipped: the server offers the task to somebody else
        elif pseudonym(one.email, secret) in judges.get(item.clip_id, ()):
            own += 1
        else:
            answers.append(_answer(one, item, choice, secret))
    return Answered(tuple(answers), own, stale)


def status(client: AnnotationServer, settings: AuditSettings) -> tuple[int, int, str]:
    """Return the number of tasks, the number of finished ones, and the project's address."""
    project = sending.known_project(client, settings.project, "egost audit push")
    finished = [task.finished for task in client.tasks(project)]
    done = sum(count >= settings.overlap for count in finished)
    return len(finished), done, sending.project_url(client, project)


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


def _rounds(
    item: Item, existing: Mapping[str, AnnotationTask], secret: bytes
) -> list[AnnotationTask]:
    found: list[AnnotationTask] = []
    while task := existing.get(_uid(secret, item, len(found) + 1)):
        found.append(task)
    return found


def _independent(
    client: AnnotationServer,
    project: int,
    rows: Rows,
    rounds: Mapping[str, Sequence[AnnotationTask]],
    secret: bytes,
) -> Counter[str]:
    """Count the answers to each item by people who did not review its clip."""
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
