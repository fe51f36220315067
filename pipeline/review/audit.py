"""Audit: people answer a sample of verified items without seeing the answer.

A task shows the span that its item asks about, flipped left to right if the release shows it so. It holds
the question, its options and the keyframes, but neither the key nor a fingerprint: the free edition of
Label Studio lets everybody with an account read all task data.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows, digest
from pipeline.labelstudio.protocol import (
    Annotation,
    AnnotationServer,
    AnnotationTask,
    ServerProject,
)
from pipeline.motion.rows import Clip, Frame
from pipeline.questions.rows import Item, Span
from pipeline.review import routepage, sending
from pipeline.review.clips import Stretch, flipped_keyframe
from pipeline.review.projects import Project, Projects
from pipeline.review.rows import Answer, Verdict
from pipeline.review.sending import Outcome, PlannedTask, Progress, Pushed, Sender, silent
from pipeline.review.settings import AuditSettings
from pipeline.review.verdicts import by, pseudonym, values
from pipeline.sources.rows import Video
from pipeline.video import reviewclip
from pipeline.video.reviewclip import Form

CONFIG = "annotations/item.xml"
PUSH_READS = (Video, Clip, Frame, Span, Item, Verdict)
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
_MOST_ROUNDS = 1000
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

    `own` counts answers by people who reviewed the clip, `stale` those to items that have changed,
    `foreign` those to tasks that somebody imported or changed.
    """

    answers: tuple[Answer, ...]
    own: int
    stale: int
    foreign: int


class _Sent:
    """Finds the item that a task asks."""

    def __init__(self, items: Sequence[Item], secret: bytes) -> None:
        self._items, self._secret = items, secret
        self._by_round: dict[int, dict[str, Item]] = {}

    def item(self, data: Mapping[str, Any]) -> Item | None:
        """Return the item that a task with this data asks, or None if it asks none as it is now."""
        number = _round(data)
        if number is None:
            return None
        if number not in self._by_round:
            self._by_round[number] = {_uid(self._secret, one, number): one for one in self._items}
        return self._by_round[number].get(data["uid"])


def push(
    client: AnnotationServer,
    rows: Rows,
    settings: AuditSettings,
    shown: MediaAccess,
    folder: WorkspaceFolder,
    progress: Progress = silent,
) -> Pushed:
    """Create one task for each item of the sample. Idempotent. `rows` holds PUSH_READS.

    The sample is random and balanced over categories and kinds of facts; items asked earlier stay in it.
    An item that only the clip's own reviewers answered is sent again.
    """
    project = _project(settings, rows[Item], folder, label_config())
    media = sending.media(folder, shown.url, shown.media_url)
    sender = Sender(client, folder, media, project, shown.form)
    secret = folder.secret()
    existing = {str(task.data.get("uid")): task for task in sender.tasks()}
    rounds = {item.item_id: _rounds(item, existing, secret) for item in rows[Item]}
    videos = {video.video_id: video for video in rows[Video]}
    stretches = _Stretches(rows, folder)
    there = [one for one in rows[Item] if one.video_id in videos and stretches.of(one)]
    wanted = sample(there, {key for key, found in rounds.items() if found}, settings.sample, secret)
    independent: Mapping[str, int] = {}
    if any(rounds.values()):
        independent = _independent(client, sender.number, rows, rounds, secret)

    def plan(item: Item) -> PlannedTask | None:
        asked = rounds[item.item_id]
        full = bool(asked) and asked[-1].finished >= settings.overlap
        if asked and not (full and independent.get(item.item_id, 0) < settings.overlap):
            return None
        video, shown = videos[item.video_id], stretches.of(item)
        assert shown is not None
        keyframes = stretches.frames(shown)
        head = {"uid": _uid(secret, item, len(asked) + 1), "round": len(asked) + 1}

        def data() -> dict[str, Any]:
            name = sender.clip_name(shown, video)
            return head | page(item, shown, keyframes, name, sender.media_url)

        outcome: Outcome = "reopened" if asked else "new"
        return PlannedTask(shown, video, keyframes, outcome, data)

    return sender.send(wanted, lambda item: item, lambda: plan, "audit", progress)


class _Stretches:
    """What each item's page shows: its span, or its whole clip if an earlier version composed it."""

    def __init__(self, rows: Rows, folder: WorkspaceFolder) -> None:
        self._folder = folder
        self._spans = {span.span_id: span for span in rows[Span]}
        self._clips = {clip.clip_id: clip for clip in rows[Clip]}
        self._frames: defaultdict[str, list[Frame]] = defaultdict(list)
        for frame in rows[Frame]:
            self._frames[frame.clip_id].append(frame)
        self._flipped: dict[str, list[Frame]] = {}

    def of(self, item: Item) -> Stretch | None:
        """Return the stretch of video that an item asks about; None if its clip has just been recut."""
        return self._spans.get(item.span_id) if item.span_id else self._clips.get(item.clip_id)

    def frames(self, shown: Stretch) -> list[Frame]:
        """Return the keyframes of a stretch; those of a mirrored span are flipped copies."""
        frames = self._frames[shown.clip_id]
        if not isinstance(shown, Span):
            return frames
        inside = [one for one in frames if shown.start_us <= one.t_us < shown.end_us]
        if not shown.mirrored:
            return inside
        if shown.span_id not in self._flipped:
            self._flipped[shown.span_id] = [
                flipped_keyframe(frame, self._folder) for frame in inside
            ]
        return self._flipped[shown.span_id]


def sample(items: Iterable[Item], asked: set[str], size: int, secret: bytes) -> list[Item]:
    """Return the items to ask: those asked earlier, then random ones, alternating between cells.

    A cell is a category with its kinds of facts. Twins are one observation: the second one of a pair is
    asked only once one of each pair is, and they don't follow each other if there is another item.

    Items that a model wrote are not based on a verified route, so all of them are asked. Open items
    of a route are not asked, because people have already verified their text.
    """
    cells: Counter[tuple[bool, str, str | None]] = Counter()
    met: set[str] = set()
    ranked: list[tuple[bool, bool, int, str, Item]] = []
    for item in sorted(items, key=lambda one: digest("audit", secret.hex(), one.item_id)):
        written = item.option_kind == "model"
        if not written and (item.format != "mcq" or item.status != "verified"):
            continue
        second = item.twin in met
        met |= {item.twin} if item.twin else set()
        cell = (second, item.category, item.contrast)
        later = item.item_id not in asked and not written
        ranked.append((later, second, cells[cell], f"{item.category} {item.contrast}", item))
        cells[cell] += 1
    ranked.sort(key=lambda one: one[:-1])
    always = sum(not later for later, *_ in ranked)
    return _apart(item for *_, item in ranked[: max(size, always) if size else len(ranked)])


def _apart(items: Iterable[Item]) -> list[Item]:
    """Return items in the same order, except that twins don't follow each other."""
    found: list[Item] = []
    held: Item | None = None
    for item in items:
        if found and item.twin and item.twin == found[-1].twin:
            held = item
            continue
        found.append(item)
        if held:
            found.append(held)
            held = None
    if held:  # twins came last
        found.insert(0 if len(found) > 1 else 1, held)
    return found


def page(
    item: Item,
    shown: Stretch,
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
        "frames": routepage.grid(frames, shown.start_us, media_url, reasons=False),
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
    first, *copies = _existing(client, settings, rows[Item], folder, claim=True)
    secret = folder.secret()
    newest = max((one.created_us for one in rows[Answer]), default=0)
    given = client.annotations(first.id, max(newest - _OVERLAP_US, 0))
    for copy in copies:  # when the last answer in a copy was given isn't known
        given += client.annotations(copy.id)
    sent, judges = _Sent(rows[Item], secret), _reviewers(rows[Verdict])
    answers, own, stale, foreign = [], 0, 0, 0
    for one in given:
        item, choice = sent.item(one.task.data), _choice(one)
        if _round(one.task.data) is None:
            foreign += 1
        elif item is None:
            stale += 1
        elif choice is None:
            continue  # skipped: the server offers the task to somebody else
        elif pseudonym(one.email, secret) in judges.get(item.clip_id, ()):
            own += 1
        else:
            answers.append(_answer(one, item, choice, secret))
    return Answered(tuple(answers), own, stale, foreign)


def status(
    client: AnnotationServer,
    settings: AuditSettings,
    items: Sequence[Item],
    folder: WorkspaceFolder,
) -> tuple[int, int, str]:
    """Return the number of tasks, the number of finished ones, and the project's address."""
    project = _existing(client, settings, items, folder)[0].id
    finished = [task.finished for task in client.tasks(project) if _round(task.data) is not None]
    done = sum(count >= settings.overlap for count in finished)
    return len(finished), done, sending.project_url(client, project)


def _existing(
    client: AnnotationServer,
    settings: AuditSettings,
    items: Sequence[Item],
    folder: WorkspaceFolder,
    *,
    claim: bool = False,
) -> list[ServerProject]:
    wanted = _project(settings, items, folder)
    return Projects(client, folder).existing(wanted, "egost audit push", claim=claim)


def _project(
    settings: AuditSettings, items: Sequence[Item], folder: WorkspaceFolder, config: str = ""
) -> Project:
    sent = _Sent(items, folder.secret())
    return Project(
        settings.project, lambda data: sent.item(data) is not None, config, settings.overlap
    )


def _round(data: Mapping[str, Any]) -> int | None:
    """Return the round of a task, or None if its data are not as `push` makes them."""
    number = data.get("round")
    if isinstance(data.get("uid"), str) and isinstance(number, int) and 0 < number <= _MOST_ROUNDS:
        return number
    return None


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
    chosen = values(one.result).get("choice", "").split("\n")
    return next((value for value in chosen if value in _CHOICES), None)


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
    answered = {
        (item.item_id, person)
        for one in client.annotations(project)
        if (item := asked.get(one.task.id)) and not one.skipped
        if (person := pseudonym(one.email, secret)) not in judges.get(item.clip_id, ())
    }
    return Counter(item_id for item_id, _ in answered)


def _reviewers(verdicts: Iterable[Verdict]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in verdicts:
        if one.verdict != "skip":
            found[one.clip_id].add(one.annotator)
    return found
