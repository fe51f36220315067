"""Review: sends one Label Studio task per clip, and reads one verdict per annotation.

`run` turns draft routes and the verdicts on them into verified routes; it is pure. `push`,
`adjudicate`, `pull` and `status` talk to a server, and neither read nor write the store.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Row, Rows, digest
from pipeline.labelstudio.protocol import AnnotationServer, ServerProject
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.questions import audited
from pipeline.questions.rows import Item
from pipeline.review import adjudication, routepage, sending
from pipeline.review.agreement import Agreement, Annotator, latest
from pipeline.review.clips import clip_form
from pipeline.review.counted import Counted, by_clip
from pipeline.review.gold import gold_file, gold_of
from pipeline.review.planted import with_planted
from pipeline.review.projects import Project, Projects
from pipeline.review.returned import listed, unused, with_returned
from pipeline.review.rounds import Page, Rounds
from pipeline.review.rows import UNREADABLE, Answer, Verdict
from pipeline.review.sending import Progress, Pushed, Sender, silent
from pipeline.review.settings import ReviewSettings
from pipeline.review.verdicts import Kind, Pulled, judge, kind_of, page_of, pseudonym
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

    `agreement`, `people`, `excluded`, `synonyms` and `unused` (a line about each verdict that can't be
    used) are computed from pulled verdicts only. `foreign` counts tasks that this workspace didn't send.
    `hours_left` is the number of missing verdicts times the median time per verdict, None before
    the first one.
    """

    tasks: int
    done: int
    skipped: int
    waiting: int
    foreign: int
    annotators: dict[str, int]
    project_url: str
    hours_left: float | None
    agreement: dict[Category, Agreement]
    people: dict[str, Annotator]
    excluded: frozenset[str]
    synonyms: tuple[Synonyms, ...]
    unused: tuple[str, ...]


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
        sender = _sender(
            client, settings, folder, _project(settings, folder.secret(), title, config, overlap)
        )
        route_page = _page_maker(sender)

        def make(shown: routepage.PageRows, kind: Kind) -> dict[str, Any]:
            given = () if kind == "planted" else every.get(shown.clip.clip_id, ())
            return with_returned(
                route_page(shown, kind), [one for one in given if one.kind == kind]
            )

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

    def judged(shown: routepage.PageRows) -> list[Verdict]:
        """Return the verdicts that count now: settings may have changed since the disagreement."""
        return latest(counted.by_clip.get(shown.clip.clip_id, ()), shown.draft.fingerprint)

    queue: list[tuple[routepage.PageRows, Kind]] = [
        (shown, "adjudication")
        for shown in routepage.queue(rows)
        if shown.clip.clip_id in disputed and len(judged(shown)) >= 2
    ]

    title, config = settings.adjudication_project, adjudication.label_config()
    sender = _sender(client, settings, folder, _project(settings, folder.secret(), title, config))
    route_page = _page_maker(sender)

    def make(shown: routepage.PageRows, kind: Kind) -> dict[str, Any]:
        versions = adjudication.versions(shown, judged(shown), counted.facts, folder.secret())
        given = [one for one in every.get(shown.clip.clip_id, ()) if one.kind == kind]
        return with_returned(route_page(shown, kind) | versions, given)

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


@dataclass(frozen=True)
class Foreign:
    """An annotation of a task that this workspace didn't send as it is now."""

    task: int
    project: int


def pull(
    client: AnnotationServer,
    known: Iterable[Verdict],
    settings: ReviewSettings,
    folder: WorkspaceFolder,
) -> Iterator[Pulled | Foreign]:
    """Yield every annotation that is new or changed since the `known` verdicts were pulled.

    The minute before the last known verdict is fetched again, so known verdicts may be among them.
    """
    newest: Counter[str] = Counter()
    for one in known:
        title = _title(settings, one.kind)
        newest[title] = max(newest[title], one.created_us)
    secret = folder.secret()
    for title, projects in _existing(client, settings, folder, claim=True).items():
        for project in projects:
            # When the last verdict of a copy was given isn't known.
            since_us = max(newest[title] - _OVERLAP_US, 0) if project == projects[0] else 0
            for annotation in client.annotations(project.id, since_us):
                ours = page_of(annotation.task.data, secret)
                if ours is None:
                    yield Foreign(annotation.task.id, project.id)
                else:
                    yield judge(annotation, *ours, secret)


def _existing(
    client: AnnotationServer,
    settings: ReviewSettings,
    folder: WorkspaceFolder,
    *,
    claim: bool = False,
) -> dict[str, list[ServerProject]]:
    """Return this workspace's projects by title, the one in use first; there is one of routes at least.

    With `claim`, those without a mark are marked.
    """
    projects, secret = Projects(client, folder), folder.secret()
    titles = (settings.project, settings.gold_project, settings.adjudication_project)
    routes, *others = (_project(settings, secret, title) for title in titles)
    found = {routes.title: projects.existing(routes, claim=claim)}
    look = projects.claimed if claim else projects.all
    return found | {other.title: look(other) for other in others}


def _project(
    settings: ReviewSettings, secret: bytes, title: str, config: str = "", overlap: int = 1
) -> Project:
    def ours(data: Mapping[str, Any]) -> bool:
        kind = kind_of(data, secret)
        return kind is not None and _title(settings, kind) == title

    return Project(title, ours, config, overlap)


def _title(settings: ReviewSettings, kind: Kind) -> str:
    if kind == "gold":
        return settings.gold_project
    return settings.adjudication_project if kind == "adjudication" else settings.project


def outside(
    client: AnnotationServer, settings: ReviewSettings, folder: WorkspaceFolder
) -> Iterator[str]:
    """Yield a line about each copy of a project, and about work that people have not submitted."""
    secret = folder.secret()
    for projects in _existing(client, settings, folder).values():
        for copy in projects[1:]:
            url = sending.project_url(client, copy.id)
            yield f"verdicts are also pulled from {copy.title!r}, a copy of the project: {url}"
        for project in projects:
            for one in client.unsubmitted(project.id):
                if ours := page_of(one.task.data, secret):
                    clip_id, who = ours[0].clip_id, pseudonym(one.email, secret)
                    yield f"clip {clip_id}: {who} has begun work that is not submitted yet"


def status(
    client: AnnotationServer,
    settings: ReviewSettings,
    folder: WorkspaceFolder,
    verdicts: Sequence[Verdict] = (),
) -> ReviewStatus:
    """Count the project's tasks and annotations; agreement is computed from the pulled `verdicts`."""
    vocabulary = vocabulary_of(folder, settings.log)
    counted = Counted.of(verdicts, settings, folder)
    project = _existing(client, settings, folder)[settings.project][0].id
    secret = folder.secret()
    tasks = list(client.tasks(project))
    finished = [task.finished for task in tasks if page_of(task.data, secret)]
    done = sum(count >= settings.overlap for count in finished)
    given = [one for one in client.annotations(project) if page_of(one.task.data, secret)]
    answered = [one for one in given if not one.skipped]
    missing = sum(max(settings.overlap - count, 0) for count in finished)
    usual = median([one.seconds for one in answered]) if answered else None
    return ReviewStatus(
        tasks=len(finished),
        done=done,
        skipped=len(given) - len(answered),
        waiting=len(finished) - done,
        foreign=len(tasks) - len(finished),
        annotators=dict(Counter(pseudonym(one.email, secret) for one in answered)),
        project_url=sending.project_url(client, project),
        hours_left=None if usual is None else missing * usual / 3600,
        agreement=counted.agreement(),
        people=dict(counted.people),
        excluded=counted.excluded,
        synonyms=tuple(missing_synonyms(verdicts, vocabulary)),
        unused=tuple(map(listed, unused(verdicts))),
    )
