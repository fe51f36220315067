"""Review: sends one Label Studio task per clip, and reads one verdict per annotation.

`run` turns draft routes and the verdicts on them into verified routes; it is pure. `push`,
`adjudicate`, `pull` and `status` talk to a server, and neither read nor write the store.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Row, Rows, digest
from pipeline.labelstudio.client import AnnotationServer
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.questions import audited
from pipeline.questions.rows import Item
from pipeline.review import adjudication, routepage, sending
from pipeline.review.agreement import Agreement, Annotator, latest
from pipeline.review.clips import clip_form
from pipeline.review.counted import Counted, by_clip
from pipeline.review.gold import gold_file, gold_of
from pipeline.review.planted import with_planted
from pipeline.review.rounds import Page, Rounds
from pipeline.review.rows import UNREADABLE, Answer, Verdict
from pipeline.review.sending import Progress, Project, Pushed, Sender, silent
from pipeline.review.settings import ReviewSettings
from pipeline.review.verdicts import Kind, Pulled, judge, kind_of, pseudonym
from pipeline.review.verified import DIFFER, verify
from pipeline.review.vocabulary import Synonyms, missing_synonyms, vocabulary_of
from pipeline.routes.rows import Category, Route
from pipeline.routes.wording import STEMS
from pipeline.sources.rows import Video

PUSH_READS = (Video, Clip, Turn, Heading, Frame, Route, Finding, Verdict, Item, Answer)
"""The row types that `push` and `adjudicate` read."""

_OVERLAP_US = 60_000_000  # each pull also asks for the minute before the last known verdict
_EVERYBODY = 1000  # the overlap of gold clips, which all annotators judge


@dataclass(frozen=True)
class ReviewStatus:
    """The progress of the review, in tasks, and the number of annotations by pseudonym.

    `agreement`, `people`, `excluded` and `synonyms` are computed from pulled verdicts only.
    `hours_left` is the number of missing verdicts times the median time per verdict, None before
    the first one.
    """

    tasks: int
    done: int
    skipped: int
    waiting: int
    annotators: dict[str, int]
    project_url: str
    hours_left: float | None
    agreement: dict[Category, Agreement]
    people: dict[str, Annotator]
    excluded: frozenset[str]
    synonyms: tuple[Synonyms, ...]


def depends(settings: ReviewSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the files that the result depends on: wording, synonyms, gold clips."""
    files = [asset("prompts/describe.j2"), asset(STEMS)]
    files += [gold_file(settings)] if settings.gold else []
    same = sorted(vocabulary_of(folder, settings.log).items())
    return digest(same, *(path.read_text(encoding="utf-8") for path in files))


def run(rows: Rows, settings: ReviewSettings, folder: WorkspaceFolder) -> Iterable[Row]:
    """Yield each clip's verified route if enough verdicts on its current draft agree (per=None).

    Reads Route (drafts only) and Verdict; writes Route (origin verified), Finding, and a Rejection
    for a clip that people rejected. Categories are verified independently: people may agree on the
    moves and disagree on the landmarks. Verdicts of excluded annotators don't count.
    """
    counted = Counted.of(rows[Verdict], settings, folder)
    earlier = {one.clip_id: one for one in rows.before(Route)}
    for draft in rows[Route]:
        verdicts = counted.by_clip.get(draft.clip_id, ())
        yield from verify(
            draft, verdicts, settings.agree, counted.facts, earlier.get(draft.clip_id)
        )


def push(
    client: AnnotationServer,
    rows: Rows,
    settings: ReviewSettings,
    folder: WorkspaceFolder,
    progress: Progress = silent,
) -> Pushed:
    """Create one task per clip that has a draft route, doubtful clips first. Idempotent.

    `rows` holds PUSH_READS. A changed draft updates its task while nobody has answered it; otherwise
    it opens a new round. So does an unreadable verdict, an excluded annotator's verdict, and an item
    that the audit found to be flawed. Gold clips go to all annotators, in a project of their own.
    `progress(done, total)` counts clips. Raises UserError if the server or the project can't be used.
    """
    config = routepage.label_config()
    trusted = Counted.of(rows[Verdict], settings, folder).by_clip
    every: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in rows[Verdict]:
        every[verdict.clip_id].append(verdict)
    flawed_us = audited.flawed_clips(rows[Item], rows[Answer])

    def enough(page: Page) -> bool:
        known = trusted.get(page.shown.clip.clip_id, ())
        return len(latest(known, page.data["fingerprint"])) >= settings.overlap

    def again(page: Page, number: int) -> bool:
        clip_id = page.shown.clip.clip_id
        judged = [
            one for one in every.get(clip_id, ()) if (one.round, one.kind) == (number, page.kind)
        ]
        if any(UNREADABLE in one.reasons for one in judged):
            return True
        if page.kind != "real" or not judged:
            return False
        dropped = [one for one in judged if one not in trusted.get(clip_id, ())]
        newest_us = max(one.created_us for one in judged)
        return bool(dropped and not enough(page)) or newest_us < flawed_us.get(clip_id, 0)

    def rounds(title: str, overlap: int) -> Rounds:
        sender = _sender(client, settings, folder, Project(title, config, overlap))
        make = _page_maker(sender)
        return Rounds(sender, folder.secret(), rows[Verdict], make, enough, again)

    queue = routepage.queue(rows)
    planted = with_planted(queue, settings.planted, folder.secret())
    pushed = rounds(settings.project, settings.overlap).send(planted, progress)
    known = gold_of(settings)
    gold: list[tuple[routepage.PageRows, Kind]] = [
        (shown, "gold") for shown in queue if shown.clip.clip_id in known
    ]
    if gold:
        pushed += rounds(settings.gold_project, _EVERYBODY).send(gold)
    return pushed


def adjudicate(
    client: AnnotationServer,
    rows: Rows,
    settings: ReviewSettings,
    folder: WorkspaceFolder,
    progress: Progress = silent,
) -> Pushed:
    """Send the clips on which people disagree to a third person, with both versions side by side.

    They go to a project of their own, one person each. A ruling by somebody who judged the clip
    before doesn't count, and the task is sent again. `rows` holds PUSH_READS.
    """
    counted, every = Counted.of(rows[Verdict], settings, folder), by_clip(rows[Verdict])
    disputed = {one.unit for one in rows[Finding] if one.kind == DIFFER}
    queue: list[tuple[routepage.PageRows, Kind]] = [
        (shown, "adjudication") for shown in routepage.queue(rows) if shown.clip.clip_id in disputed
    ]

    project = Project(settings.adjudication_project, adjudication.label_config(), 1)
    sender = _sender(client, settings, folder, project)
    route_page = _page_maker(sender)

    def make(shown: routepage.PageRows, kind: Kind) -> dict[str, Any]:
        verdicts = latest(counted.by_clip.get(shown.clip.clip_id, ()), shown.draft.fingerprint)
        versions = adjudication.versions(shown, verdicts, counted.facts, folder.secret())
        return route_page(shown, kind) | versions

    def again(page: Page, number: int) -> bool:
        """A pulled ruling that counted would have resolved the disagreement."""
        return any(
            one.verdict != "skip" or UNREADABLE in one.reasons
            for one in every.get(page.shown.clip.clip_id, ())
            if (one.round, one.kind) == (number, "adjudication")
        )

    rounds = Rounds(sender, folder.secret(), rows[Verdict], make, again=again)
    return rounds.send(queue, progress)


def _sender(
    client: AnnotationServer, settings: ReviewSettings, folder: WorkspaceFolder, project: Project
) -> Sender:
    media = sending.media(folder, settings.url, settings.media_url)
    return Sender(client, folder, media, project, clip_form(settings))


def _page_maker(sender: Sender) -> Callable[[routepage.PageRows, Kind], dict[str, Any]]:
    guidelines = routepage.guideline_version()

    def make(shown: routepage.PageRows, kind: Kind) -> dict[str, Any]:
        name = sender.clip_name(shown.clip, shown.video)
        return routepage.page(shown, name, sender.media_url, guidelines)

    return make


def pull(
    client: AnnotationServer,
    known: Iterable[Verdict],
    settings: ReviewSettings,
    folder: WorkspaceFolder,
) -> Iterator[Pulled]:
    """Yield every annotation that is new or changed since the `known` verdicts were pulled.

    The minute before the last known verdict is fetched again, so known verdicts may be among them.
    """
    newest: Counter[str] = Counter()
    for one in known:
        title = _title(settings, one.kind)
        newest[title] = max(newest[title], one.created_us)
    secret = folder.secret()
    projects = {settings.project: sending.known_project(client, settings.project)}
    for title in (settings.gold_project, settings.adjudication_project):
        found = client.find(title)
        if found is not None:
            projects[title] = found
    for title, project in projects.items():
        for annotation in client.annotations(project, max(newest[title] - _OVERLAP_US, 0)):
            if kind_of(annotation.task.data, secret):  # the project may contain other tasks
                yield judge(annotation, secret)


def _title(settings: ReviewSettings, kind: Kind) -> str:
    if kind == "gold":
        return settings.gold_project
    return settings.adjudication_project if kind == "adjudication" else settings.project


def status(
    client: AnnotationServer,
    settings: ReviewSettings,
    folder: WorkspaceFolder,
    verdicts: Sequence[Verdict] = (),
) -> ReviewStatus:
    """Count the project's tasks and annotations; agreement is computed from the pulled `verdicts`."""
    counted = Counted.of(verdicts, settings, folder)
    project = sending.known_project(client, settings.project)
    secret = folder.secret()
    finished = [task.finished for task in client.tasks(project) if kind_of(task.data, secret)]
    done = sum(count >= settings.overlap for count in finished)
    given = [one for one in client.annotations(project) if kind_of(one.task.data, secret)]
    answered = [one for one in given if not one.skipped]
    missing = sum(max(settings.overlap - count, 0) for count in finished)
    usual = median([one.seconds for one in answered]) if answered else None
    return ReviewStatus(
        tasks=len(finished),
        done=done,
        skipped=len(given) - len(answered),
        waiting=len(finished) - done,
        annotators=dict(Counter(pseudonym(one.email, secret) for one in answered)),
        project_url=sending.project_url(client, project),
        hours_left=None if usual is None else missing * usual / 3600,
        agreement=counted.agreement(),
        people=dict(counted.people),
        excluded=counted.excluded,
        synonyms=tuple(missing_synonyms(verdicts, vocabulary_of(folder, settings.log))),
    )
