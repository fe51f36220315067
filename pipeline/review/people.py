"""What goes out to people and what comes back: review and audit on an open workspace."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.rows import Finding, Rejection, Row, Rows, digest
from pipeline.engine.stage import PULL, Summary
from pipeline.engine.workspace import Workspace
from pipeline.errors import UserError
from pipeline.labelstudio import accounts
from pipeline.labelstudio import client as labelstudio
from pipeline.labelstudio import server as labelstudio_server
from pipeline.labelstudio.accounts import LogIn
from pipeline.motion.rows import Clip, JudgedClip, clip_id
from pipeline.questions.rows import Item
from pipeline.review import audit, review, verdictlog, vocabulary
from pipeline.review.accuracy import Audit, judged
from pipeline.review.agreement import short_of_people
from pipeline.review.review import ReviewStatus
from pipeline.review.rows import Answer, Verdict
from pipeline.review.sending import Progress, Pushed, clip_form, silent
from pipeline.review.settings import AuditSettings, ReviewSettings
from pipeline.review.verdicts import Pulled
from pipeline.review.verified import DIFFER
from pipeline.sources.rows import Video

_AFTER_PULL = ("review", "compose", "check")
_PUSH, _ADJUDICATE, _AUDIT = "push", "adjudicate", "audit"


@dataclass(frozen=True)
class PullSummary:
    """How many annotations a pull brought, and what the stages after it did."""

    new: int
    kept: int
    sent_back: int
    restored: int
    stages: tuple[Summary, ...]
    advice: tuple[str, ...] = ()

    def __str__(self) -> str:
        news = f"{self.new} new or changed" if self.new else "nothing new"
        back = f", {self.sent_back} with step lines that can't be read" if self.sent_back else ""
        back += f", {self.restored} read back from the verdict log" if self.restored else ""
        return f"review pull: {self.new + self.kept} annotations: {news}, {self.kept} kept{back}"


@dataclass(frozen=True)
class AuditSummary:
    """How many answers a pull of the audit brought, and what the stages after it did."""

    new: int
    kept: int
    own: int
    stale: int
    stages: tuple[Summary, ...]

    def __str__(self) -> str:
        news = f"{self.new} new or changed" if self.new else "nothing new"
        aside = f", {self.own} by the clip's own reviewers set aside" if self.own else ""
        aside += f", {self.stale} about items that have changed since" if self.stale else ""
        return f"audit pull: {self.new + self.kept} answers: {news}, {self.kept} kept{aside}"


@dataclass(frozen=True)
class AuditStatus:
    """Where the audit stands, in tasks, and what its answers say."""

    tasks: int
    done: int
    project_url: str
    audit: Audit


def connect(workspace: Workspace) -> labelstudio.LabelStudioClient:
    """Return a client of the server that `[review] url` names, else of the running embedded one."""
    settings = _settings(workspace)
    if settings.url:
        key = os.environ.get("LABEL_STUDIO_API_KEY", "")
        if not key:
            raise UserError(
                settings.url,
                "LABEL_STUDIO_API_KEY is not set",
                "copy an access token from Account & Settings there into that variable",
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
    """Send one task per clip with a draft route; what could not be cut is kept as rejections."""
    restore(workspace)
    return _sent(workspace, _PUSH, review.push, progress)


def adjudicate(workspace: Workspace, progress: Progress = silent) -> Pushed:
    """Send the clips on which people differ to a third pair of eyes."""
    return _sent(workspace, _ADJUDICATE, review.adjudicate, progress)


def _sent(
    workspace: Workspace, name: str, send: Callable[..., Pushed], progress: Progress
) -> Pushed:
    client = connect(workspace)
    rows = Rows({kind: tuple(workspace.store.rows(kind)) for kind in review.PUSH_READS})
    pushed = send(client, rows, _settings(workspace), workspace.folder, progress)
    workspace.store.finish(name, name, "", "done", pushed.rejected)
    workspace.store.rebuild([Rejection.table])
    return pushed


def pull(workspace: Workspace) -> PullSummary:
    """Bring new and changed annotations in, log each, then renew what follows from them.

    The log is written before the workspace: what a kill leaves between them is read back.
    """
    restored = restore(workspace)
    client = connect(workspace)
    log = _log(workspace)
    known = workspace.store.rows(Verdict)
    found = list(review.pull(client, known, _settings(workspace), workspace.folder))
    verdictlog.append(log, (one.verdict for one in found))
    new = sent_back = 0
    keys = workspace.store.keys(PULL)
    _hold(workspace, [*known, *(one.verdict for one in found)])
    recut = _hold_as_sent(workspace, found)
    for pulled in found:
        key = _key(pulled.verdict)
        if keys.get(pulled.annotation_id) != key:
            rows = [pulled.verdict, *pulled.findings]
            workspace.store.finish(PULL, pulled.annotation_id, key, "done", rows)
            new += 1
            sent_back += bool(pulled.findings)
    workspace.store.rebuild([Verdict.table, Finding.table, JudgedClip.table])
    kept = len(workspace.store.rows(Verdict)) - new
    stages = tuple(workspace.run(_AFTER_PULL))
    said = (*advice(workspace), recut, _grow_vocabulary(workspace))
    return PullSummary(new, kept, sent_back, restored, stages, tuple(filter(None, said)))


def _grow_vocabulary(workspace: Workspace) -> str | None:
    """Append the names that people gave to one thing to the vocabulary, for somebody to settle."""
    settings = _settings(workspace)
    path = vocabulary.vocabulary_path(workspace.folder, settings.log)
    known = vocabulary.vocabulary_of(workspace.folder, settings.log)
    new = vocabulary.propose(
        path, vocabulary.missing_synonyms(workspace.store.rows(Verdict), known)
    )
    return (
        f"{path}: {new} new pairs of names: take away the # of a line where both mean one thing"
        if new
        else None
    )


def restore(workspace: Workspace) -> int:
    """Read back verdicts of this workspace's clips that only the log still holds; return how many."""
    keys = workspace.store.keys(PULL)
    clips = {clip.clip_id for clip in workspace.store.rows(Clip)}
    lost = [
        one
        for one in verdictlog.read_log(_log(workspace)).values()
        if one.annotation_id not in keys and one.clip_id in clips
    ]
    _hold(workspace, lost)
    for one in lost:
        workspace.store.finish(PULL, one.annotation_id, _key(one), "done", [one])
    if lost:
        workspace.store.rebuild([Verdict.table, JudgedClip.table])
        for _ in workspace.run(_AFTER_PULL):
            pass
    return len(lost)


def status(workspace: Workspace) -> ReviewStatus:
    """Ask the server how far the review is; pulled verdicts say how well people agree."""
    verdicts = workspace.store.rows(Verdict)
    return review.status(connect(workspace), _settings(workspace), workspace.folder, verdicts)


def advice(workspace: Workspace) -> tuple[str, ...]:
    """Return what to do where too few people have judged, or verdicts are about no clip of these."""
    alone = short_of_people(workspace.store.rows(Verdict), _settings(workspace).agree)
    return tuple(filter(None, (alone, _homeless(workspace))))


def _homeless(workspace: Workspace) -> str | None:
    """Return what to do about verdicts that only the log holds, as their clips are not there."""
    log, keys = _log(workspace), workspace.store.keys(PULL)
    lost = sum(one.annotation_id not in keys for one in verdictlog.read_log(log).values())
    return (
        f"{log}: {lost} verdicts are about clips that this workspace doesn't have: add their videos, "
        "or set [frames] as it was when they were given, then run egost frames and egost generate-qa"
        if lost
        else None
    )


def differing(workspace: Workspace) -> int:
    """Return on how many clips people differ."""
    return len({one.unit for one in workspace.store.rows(Finding) if one.kind == DIFFER})


def invite(workspace: Workspace, names: Sequence[str]) -> list[LogIn]:
    """Make an account on the server for each name; each log-in can be told this once."""
    return accounts.invite(connect(workspace), names)


def audit_push(workspace: Workspace, progress: Progress = silent) -> Pushed:
    """Send a sample of verified items to people, answers hidden."""
    client = connect(workspace)
    rows = Rows({kind: tuple(workspace.store.rows(kind)) for kind in audit.PUSH_READS})
    pushed = audit.push(
        client, rows, _audit(workspace), _media(workspace), workspace.folder, progress
    )
    workspace.store.finish(_AUDIT, _AUDIT, "", "done", pushed.rejected)
    workspace.store.rebuild([Rejection.table])
    return pushed


def audit_pull(workspace: Workspace) -> AuditSummary:
    """Bring answers in; flawed items are set aside, and their clips go out for review again."""
    client = connect(workspace)
    rows = Rows({kind: tuple(workspace.store.rows(kind)) for kind in (Item, Verdict, Answer)})
    pulled = audit.pull(client, rows, _audit(workspace), workspace.folder)
    keys = workspace.store.keys(PULL)
    new = 0
    for one in pulled.answers:
        if keys.get(one.annotation_id) != _key(one):
            workspace.store.finish(PULL, one.annotation_id, _key(one), "done", [one])
            new += 1
    workspace.store.rebuild([Answer.table])
    kept = len(workspace.store.rows(Answer)) - new
    return AuditSummary(new, kept, pulled.own, pulled.stale, tuple(workspace.run(_AFTER_PULL)))


def audit_status(workspace: Workspace) -> AuditStatus:
    """Ask the server how far the audit is, and say what its answers say."""
    tasks, done, url = audit.status(connect(workspace), _audit(workspace))
    said = judged(workspace.store.rows(Item), workspace.store.rows(Answer))
    return AuditStatus(tasks, done, url, said)


def _hold(workspace: Workspace, verdicts: Iterable[Verdict]) -> None:
    """Keep the spans of judged clips before their verdicts: from here on no setting moves them."""
    judged = {one.clip_id for one in verdicts if one.verdict != "skip"}
    keys = workspace.store.keys(PULL)
    for clip in workspace.store.rows(Clip):
        unit = _span_unit(clip.clip_id)
        if clip.clip_id in judged and unit not in keys:
            span = JudgedClip.model_validate(clip.model_dump())
            workspace.store.finish(PULL, unit, clip.clip_id, "done", [span])


def _hold_as_sent(workspace: Workspace, found: Iterable[Pulled]) -> str | None:
    """Bring back spans that were judged as they were sent, and cut otherwise meanwhile.

    Return what makes clips of them again, None where there are none.
    """
    clips = {clip.clip_id for clip in workspace.store.rows(Clip)}
    lost = {
        one.verdict.clip_id: one.span_us
        for one in found
        if one.verdict.clip_id not in clips and one.verdict.verdict != "skip"
    }
    if not lost:
        return None
    held = workspace.store.rows(JudgedClip)
    videos = [video.video_id for video in workspace.store.rows(Video)]
    for key, (start, end) in sorted(lost.items()):
        video = next((one for one in videos if clip_id(one, start, end) == key), None)
        if video is None or any(
            one.video_id == video and one.start_us < end and start < one.end_us for one in held
        ):
            continue  # the video is gone; or people have judged the new span of these moments, too
        span = JudgedClip(clip_id=key, video_id=video, start_us=start, end_us=end)
        workspace.store.finish(PULL, _span_unit(key), key, "done", [span])
        workspace.store.outdate("frames", video)
        held.append(span)
    back = len(lost.keys() & {one.clip_id for one in held})
    gone = len(lost) - back
    said = []
    if back:
        said.append(
            f"{back} clips were judged as they were sent, and [frames] has cut them otherwise since: "
            "run egost frames and egost generate-qa, which cut them as they were judged"
        )
    if gone:
        said.append(
            f"{gone} judged clips can't be cut again, as their video is gone or their moments were "
            "judged in other clips; their verdicts are kept and count for nothing"
        )
    return "; ".join(said)


def _span_unit(key: str) -> str:
    return f"span of {key}"


def _key(row: Row) -> str:
    return digest(row.model_dump_json())


def _log(workspace: Workspace) -> Path:
    settings = _settings(workspace)
    return verdictlog.log_path(workspace.folder, settings.log, settings.project)


def _settings(workspace: Workspace) -> ReviewSettings:
    return workspace.config.settings("review", ReviewSettings)


def _audit(workspace: Workspace) -> AuditSettings:
    return workspace.config.settings("audit", AuditSettings)


def _media(workspace: Workspace) -> audit.MediaAccess:
    settings = _settings(workspace)
    return audit.MediaAccess(clip_form(settings), settings.url, settings.media_url)
