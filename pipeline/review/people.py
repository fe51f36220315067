"""Review and audit on an open workspace: sends tasks to people, fetches their work, updates the rows."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.engine.rows import Finding, Rejection, Row, Rows, digest
from pipeline.engine.settings import RunSettings
from pipeline.engine.stage import PULL, Summary
from pipeline.engine.workspace import Workspace
from pipeline.errors import UserError
from pipeline.labelstudio import accounts
from pipeline.labelstudio import client as labelstudio
from pipeline.labelstudio import server as labelstudio_server
from pipeline.labelstudio.accounts import LogIn
from pipeline.motion.rows import Clip, JudgedClip
from pipeline.questions.rows import Item
from pipeline.review import audit, review, verdictlog, vocabulary
from pipeline.review.accuracy import Audit, judged, people
from pipeline.review.agreement import too_few_people
from pipeline.review.clips import Written, clip_form, write_clips
from pipeline.review.returned import told
from pipeline.review.review import ReviewStatus
from pipeline.review.rows import Answer, Verdict
from pipeline.review.sending import Progress, Pushed, silent
from pipeline.review.settings import AuditSettings, ReviewSettings
from pipeline.review.spans import judged_clips, keep_spans, restore_spans
from pipeline.review.verdicts import Pulled
from pipeline.review.verified import DIFFER
from pipeline.routes.rows import Route
from pipeline.sources.rows import Video

_AFTER_PULL = ("review", "guess", "compose", "check")


@dataclass(frozen=True)
class PullSummary:
    """How many annotations a pull fetched, and what the stages after it did."""

    new: int
    kept: int
    sent_back: int
    restored: int
    stages: tuple[Summary, ...]
    advice: tuple[str, ...] = ()
    foreign: int = 0

    def __str__(self) -> str:
        line = f"review pull: {_fetched(self.new, self.kept, 'annotations')}"
        line += f", {self.sent_back} unreadable, to be judged again" if self.sent_back else ""
        line += f", {self.foreign} left out: not sent by this workspace" if self.foreign else ""
        return line + (f", {self.restored} restored from the verdict log" if self.restored else "")


@dataclass(frozen=True)
class AuditSummary:
    """How many answers a pull of the audit fetched, and what the stages after it did."""

    new: int
    kept: int
    own: int
    stale: int
    stages: tuple[Summary, ...]
    foreign: int = 0

    def __str__(self) -> str:
        line = f"audit pull: {_fetched(self.new, self.kept, 'answers')}"
        line += f", {self.own} ignored: by reviewers of the same clip" if self.own else ""
        line += f", {self.stale} ignored: the item has changed since" if self.stale else ""
        return line + (
            f", {self.foreign} left out: not sent by this workspace" if self.foreign else ""
        )


def _fetched(new: int, kept: int, what: str) -> str:
    news = f"{new} new or changed" if new else "nothing new"
    return f"{new + kept} {what}: {news}, {kept} kept"


@dataclass(frozen=True)
class AuditStatus:
    """The progress of the audit, in tasks, and its results so far: of all answers, and of people alone.

    `scripted` counts the answers by scripts.
    """

    tasks: int
    done: int
    project_url: str
    audit: Audit
    people: Audit
    scripted: int


def connect(workspace: Workspace) -> labelstudio.LabelStudioClient:
    """Return a client of the server in `[review] url`, or else of the running embedded server."""
    settings = _settings(workspace)
    if settings.url:
        key = os.environ.get("LABEL_STUDIO_API_KEY", "")
        if not key:
            raise UserError(
                settings.url,
                "LABEL_STUDIO_API_KEY is not set",
                "set it to an access token from that server's Account & Settings page",
            )
        return labelstudio.connect(settings.url, key)
    server = labelstudio_server.status(workspace.folder)
    if server is None:
        raise UserError(
            "label-studio",
            "the embedded server is not running",
            f"egost -w {workspace.folder.root} label-studio start, or set [review] url to another server",
        )
    return labelstudio.connect(server.url, server.token)


def push(workspace: Workspace, progress: Progress = silent) -> Pushed:
    """Send one task per clip with a draft route; clips that can't be cut are stored as rejections."""
    restore(workspace)
    settings = _settings(workspace)

    def send(client: labelstudio.LabelStudioClient, rows: Rows) -> Pushed:
        return review.push(client, rows, settings, workspace.folder, progress)

    return _sent(workspace, "push", review.PUSH_READS, send)


def clips(
    workspace: Workspace, target: Path, pixels: int | None, progress: Progress = silent
) -> Written:
    """Write the review clips of all clips into a folder; `pixels` overrides `review.clip_pixels`."""
    form = clip_form(_settings(workspace))
    form = replace(form, pixels=pixels or form.pixels)
    videos = {video.video_id: video for video in workspace.store.rows(Video)}
    found = [(clip, videos[clip.video_id]) for clip in workspace.store.rows(Clip)]
    if not found:
        raise UserError(str(workspace.folder.root), "no clips yet", "run egost frames PATH first")
    found.sort(key=lambda one: (one[1].path, one[0].start_us))
    workers = workspace.settings("run", RunSettings).workers
    return write_clips(workspace.folder, found, form, target, workers, progress)


def adjudicate(workspace: Workspace, progress: Progress = silent) -> Pushed:
    """Send the clips on which people disagree to a third person."""
    settings = _settings(workspace)

    def send(client: labelstudio.LabelStudioClient, rows: Rows) -> Pushed:
        return review.adjudicate(client, rows, settings, workspace.folder, progress)

    return _sent(workspace, "adjudicate", review.PUSH_READS, send)


def audit_push(workspace: Workspace, progress: Progress = silent) -> Pushed:
    """Send a sample of verified items to people, without the answers."""
    settings, how = _audit_settings(workspace), _settings(workspace)
    shown = audit.MediaAccess(clip_form(how), how.url, how.media_url)

    def send(client: labelstudio.LabelStudioClient, rows: Rows) -> Pushed:
        return audit.push(client, rows, settings, shown, workspace.folder, progress)

    return _sent(workspace, "audit", audit.PUSH_READS, send)


def _sent(
    workspace: Workspace,
    name: str,
    kinds: Iterable[type[Row]],
    send: Callable[[labelstudio.LabelStudioClient, Rows], Pushed],
) -> Pushed:
    """Send tasks, and store the rejections as rows of the stage `name`."""
    pushed = send(connect(workspace), _rows(workspace, kinds))
    workspace.store.finish(name, name, "", "done", pushed.rejected)
    workspace.store.rebuild([Rejection.table])
    return pushed


def pull(workspace: Workspace) -> PullSummary:
    """Fetch new and changed annotations, log their verdicts, then update what depends on them.

    The log is written before the workspace: a pull that is killed in between is completed from it.
    """
    logged = _only_in_log(workspace)
    restored = restore(workspace)
    client = connect(workspace)
    known = workspace.store.rows(Verdict)
    seen = list(review.pull(client, known, _settings(workspace), workspace.folder))
    found = [one for one in seen if isinstance(one, Pulled)]
    verdictlog.append(_log(workspace), (one.verdict for one in found))
    keep_spans(workspace, judged_clips([*known, *(one.verdict for one in found)]))
    recut = restore_spans(workspace, found)
    new = sent_back = 0
    typed: list[str] = []
    keys = workspace.store.keys(PULL)
    for pulled in found:
        key = _key(pulled.verdict)
        if keys.get(pulled.annotation_id) != key:
            rows = [pulled.verdict, *pulled.findings]
            workspace.store.finish(PULL, pulled.annotation_id, key, "done", rows)
            new += 1
            sent_back += bool(pulled.findings)
            typed += told(pulled)
    workspace.store.rebuild([Verdict.table, Finding.table, JudgedClip.table])
    kept = len(workspace.store.rows(Verdict)) - new
    stages = tuple(workspace.run(_AFTER_PULL))
    unfit = _unfit(workspace, [*logged, *(one.verdict for one in found)])
    outside = review.outside(client, _settings(workspace), workspace.folder)
    notes = (*typed, *outside, *advice(workspace), recut, unfit, _extend_vocabulary(workspace))
    foreign = len(seen) - len(found)
    return PullSummary(new, kept, sent_back, restored, stages, tuple(filter(None, notes)), foreign)


def _unfit(workspace: Workspace, pulled: Iterable[Verdict]) -> str | None:
    """Return advice on pulled or restored verdicts about drafts that have been replaced since."""
    drafts = {one.clip_id: one.fingerprint for one in workspace.store.rows(Route, ["draft"])}
    lost = [
        one
        for one in pulled
        if one.verdict != "skip"
        and one.kind in ("real", "adjudication")
        and drafts.get(one.clip_id, one.fingerprint) != one.fingerprint
    ]
    if not lost:
        return None
    return (
        f"{len(lost)} of these verdicts are about drafts that were replaced after they were sent (a prompt, "
        "a word or a setting changed before this pull); they are kept and don't count, unless the change "
        "is undone and egost generate-qa --redraft brings those drafts back"
    )


def _extend_vocabulary(workspace: Workspace) -> str | None:
    """Append possible synonyms to the vocabulary, commented out; return advice on them, if any."""
    log = _settings(workspace).log
    path = vocabulary.vocabulary_path(workspace.folder, log)
    known = vocabulary.vocabulary_of(workspace.folder, log)
    pairs = vocabulary.missing_synonyms(workspace.store.rows(Verdict), known)
    new = vocabulary.propose(path, pairs)
    return f"{path}: {new} new pairs of names: uncomment those that are synonyms" if new else None


def restore(workspace: Workspace) -> int:
    """Restore verdicts on this workspace's clips that only the log contains; return how many."""
    clips = {clip.clip_id for clip in workspace.store.rows(Clip)}
    lost = [one for one in _only_in_log(workspace) if one.clip_id in clips]
    keep_spans(workspace, judged_clips(lost))
    for one in lost:
        workspace.store.finish(PULL, one.annotation_id, _key(one), "done", [one])
    if lost:
        workspace.store.rebuild([Verdict.table, JudgedClip.table])
        for _ in workspace.run(_AFTER_PULL):
            pass
    return len(lost)


def _only_in_log(workspace: Workspace) -> list[Verdict]:
    keys = workspace.store.keys(PULL)
    logged = verdictlog.read_log(_log(workspace)).values()
    return [one for one in logged if one.annotation_id not in keys]


def status(workspace: Workspace) -> ReviewStatus:
    """Return the progress of the review on the server, and agreement from the pulled verdicts."""
    verdicts = workspace.store.rows(Verdict)
    return review.status(connect(workspace), _settings(workspace), workspace.folder, verdicts)


def outside(workspace: Workspace) -> tuple[str, ...]:
    """Return lines about copies of projects, and about work that people have not submitted."""
    return tuple(review.outside(connect(workspace), _settings(workspace), workspace.folder))


def advice(workspace: Workspace) -> tuple[str, ...]:
    """Return advice if too few people have judged, or if logged verdicts are about unknown clips."""
    alone = too_few_people(workspace.store.rows(Verdict), _settings(workspace).agree)
    return tuple(filter(None, (alone, _unknown_clips(workspace))))


def _unknown_clips(workspace: Workspace) -> str | None:
    lost = len(_only_in_log(workspace))
    return (
        f"{_log(workspace)}: {lost} verdicts are about clips that this workspace doesn't have: add "
        "their videos, or restore the [frames] settings under which they were given, then run egost "
        "frames and egost generate-qa"
        if lost
        else None
    )


def differing(workspace: Workspace) -> int:
    """Return the number of clips on which people disagree."""
    return len({one.unit for one in workspace.store.rows(Finding) if one.kind == DIFFER})


def invite(workspace: Workspace, names: Sequence[str]) -> Iterator[LogIn | UserError]:
    """Create an account on the server for each name; the passwords can be shown only this once.

    Yields an error for each name that fails.
    """
    return accounts.invite(connect(workspace), names)


def audit_pull(workspace: Workspace) -> AuditSummary:
    """Fetch answers; flawed items are set aside, and their clips will be reviewed again."""
    client = connect(workspace)
    rows = _rows(workspace, audit.PULL_READS)
    pulled = audit.pull(client, rows, _audit_settings(workspace), workspace.folder)
    clip_of = {item.item_id: item.clip_id for item in workspace.store.rows(Item)}
    keep_spans(workspace, {clip_of[one.item_id] for one in pulled.answers})
    keys = workspace.store.keys(PULL)
    new = 0
    for one in pulled.answers:
        if keys.get(one.annotation_id) != _key(one):
            workspace.store.finish(PULL, one.annotation_id, _key(one), "done", [one])
            new += 1
    workspace.store.rebuild([Answer.table, JudgedClip.table])
    kept = len(workspace.store.rows(Answer)) - new
    stages = tuple(workspace.run(_AFTER_PULL))
    return AuditSummary(new, kept, pulled.own, pulled.stale, stages, pulled.foreign)


def audit_status(workspace: Workspace) -> AuditStatus:
    """Return the progress of the audit on the server, and its results from the pulled answers."""
    items, answers = workspace.store.rows(Item), workspace.store.rows(Answer)
    tasks, done, url = audit.status(
        connect(workspace), _audit_settings(workspace), items, workspace.folder
    )
    human = people(answers)
    scripted = len(answers) - len(human)
    return AuditStatus(tasks, done, url, judged(items, answers), judged(items, human), scripted)


def _rows(workspace: Workspace, kinds: Iterable[type[Row]]) -> Rows:
    return Rows({kind: tuple(workspace.store.rows(kind)) for kind in kinds})


def _key(row: Row) -> str:
    return digest(row.model_dump_json())


def _log(workspace: Workspace) -> Path:
    settings = _settings(workspace)
    return verdictlog.log_path(workspace.folder, settings.log, settings.project)


def _settings(workspace: Workspace) -> ReviewSettings:
    return workspace.settings("review", ReviewSettings)


def _audit_settings(workspace: Workspace) -> AuditSettings:
    return workspace.settings("audit", AuditSettings)
