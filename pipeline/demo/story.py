"""The demo: every stage on rendered walks, with scripted reviewers in Label Studio.

The reviewers are scripts that know the ground truth. No person takes part, which the release reports
at the top.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.blind.items import from_rows
from pipeline.blind.probe import run_probe
from pipeline.demo import reviewers
from pipeline.demo.walks import write_walks
from pipeline.engine.workspace import Workspace
from pipeline.labelstudio import server as labelstudio_server
from pipeline.motion.rows import Clip, Turn
from pipeline.questions import spans as cutting
from pipeline.questions.generate import generate
from pipeline.questions.rows import Item, Span
from pipeline.questions.truth import true_options
from pipeline.releases import export
from pipeline.releases.settings import ExportSettings
from pipeline.report import glance
from pipeline.report.gallery import gallery_of
from pipeline.report.page import write_report
from pipeline.review import people
from pipeline.review.clips import clip_form, clip_name
from pipeline.review.rows import Verdict
from pipeline.review.settings import AuditSettings, ReviewSettings
from pipeline.routes.route import canonical, turns
from pipeline.routes.rows import Route, Step
from pipeline.routes.settings import DraftSettings
from pipeline.routes.wording import load
from pipeline.sources.intake import take_in
from pipeline.sources.rows import Video

VERSION = "0.1.0"
SETTINGS: dict[str, dict[str, Any]] = {
    # With only four walks, plant an error in each.
    "review": {"agree": 2, "overlap": 2, "planted": 1.0, "log": "verdicts"},
    "audit": {"sample": 12},
}
"""The settings in a demo workspace's egost.toml."""

_SEED = 7


def tell(workspace: Workspace, walks: int, train: int = 0) -> Iterator[str]:
    """Run every stage and yield the lines to print; a second run resumes or finds everything done.

    With `train`, that many walks are put into the split `train`.
    """
    root = workspace.folder.root
    folder = root / "videos"
    if not (folder / "manifest.csv").exists():
        with tqdm(total=walks, desc="render", disable=not sys.stderr.isatty()) as bar:
            write_walks(folder, walks, _SEED, lambda _: bar.update(), train=train)
    yield f"render: {walks} first-person walks with exact ground truth in {folder}"
    before = workspace.store.keys("frames")
    yield from take_in(workspace, [folder])
    yield from map(str, workspace.run_command("frames"))
    yield from glance.measured(workspace.store, workspace.folder, before)
    yield _measured_against_truth(workspace, folder)
    yield from map(str, generate(workspace))
    yield _drafted_against_truth(workspace, folder)
    items = from_rows(
        workspace.store.rows(Item), workspace.store.rows(Video), workspace.store.rows(Span)
    )
    yield f"blind: {run_probe(items).verdict()}"
    yield from _reviewed(workspace, folder)
    yield from _released(workspace)
    richest = Counter(turn.clip_id for turn in workspace.store.rows(Turn)).most_common(1)[0][0]
    shown = [clip for clip in workspace.store.rows(Clip) if clip.clip_id == richest]
    spans = workspace.store.rows(Span)
    for _, picture in glance.drawn(workspace.store, workspace.folder, shown, spans):
        yield f"picture: {picture}"
    page = root / "report.html"
    review = workspace.settings("review", ReviewSettings)
    write_report(gallery_of(workspace.store, workspace.folder, review), page)
    yield f"report: every clip with its question-answer pairs, in {page}"
    yield f"to see the review pages: {_command()} -w {root} label-studio start"


def _command() -> str:
    """Return how the reader calls egost: make starts it without changing the PATH."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "egost" and not shutil.which("egost") else "egost"


def _reviewed(workspace: Workspace, folder: Path) -> Iterator[str]:
    server = labelstudio_server.start(workspace.folder)
    yield f"label-studio: server started at {server.url}"
    try:
        client = people.connect(workspace)
        names = ("careful", "hasty", "thorough", "adjudicator", "auditor", "second-auditor")
        scripts = {name: reviewers.join(server, client, name) for name in names}
        yield from _judged(workspace, folder, scripts)
        yield from _audited(workspace, folder, scripts)
    finally:
        labelstudio_server.stop(workspace.folder)


def _judged(
    workspace: Workspace, folder: Path, scripts: dict[str, reviewers.Reviewer]
) -> Iterator[str]:
    """Let two different scripts judge every clip, and a third adjudicate where they disagree."""
    settings = workspace.settings("review", ReviewSettings)
    truths = {
        clip: reviewers.Truth(true) for clip, (_, true) in _by_clip(workspace, folder).items()
    }
    pushed = people.push(workspace)
    yield f"review push: {pushed.new} new tasks, {pushed.kept} kept; these include drafts with planted errors"
    # Someone who catches none of many planted errors isn't counted, and nothing would be verified.
    judged = len(truths) >= settings.min_known
    second = ("thorough", reviewers.careful, 15) if judged else ("hasty", reviewers.hasty, 3)
    for name, habit, seconds in (("careful", reviewers.careful, 20), second):
        counted = reviewers.work(scripts[name], settings.project, truths, habit, seconds)
        yield f"{name} (a script, not a person): {_listed(counted)}"
    pulled = people.pull(workspace)
    yield from map(str, (*pulled.stages, pulled))
    disputed = people.adjudicate(workspace)
    if disputed.new + disputed.reopened + disputed.updated + disputed.kept:
        yield f"review adjudicate: {disputed.new} clips on which they disagree, {disputed.kept} kept"
        counted = reviewers.work(
            scripts["adjudicator"], settings.adjudication_project, truths, reviewers.adjudicate
        )
        yield f"adjudicator (a script, not a person): {_listed(counted)}"
        pulled = people.pull(workspace)
        yield from map(str, (*pulled.stages, pulled))
    for name, one in sorted(people.status(workspace).people.items()):
        yield f"review status: {name}: {one}"
    verified = sum(item.status == "verified" for item in workspace.store.rows(Item))
    spent = sum(one.seconds for one in workspace.store.rows(Verdict) if one.kind != "planted")
    yield (
        f"one viewing verifies all items of a clip: {len(truths)} clips, {verified} verified items, "
        f"{spent / max(verified, 1):.0f} s per item (as reported by the scripts)"
    )


def _audited(
    workspace: Workspace, folder: Path, scripts: dict[str, reviewers.Reviewer]
) -> Iterator[str]:
    """Let two other scripts answer items without seeing the answer."""
    pushed = people.audit_push(workspace)
    yield f"audit push: {pushed.new} new tasks, {pushed.kept} kept; answers hidden"
    known = _known_answers(workspace, folder)
    project = workspace.settings("audit", AuditSettings).project
    for name in ("auditor", "second-auditor"):
        counted = reviewers.answer(scripts[name], project, known)
        yield f"{name} (a script, not a person): {counted.total()} answers"
    pulled = people.audit_pull(workspace)
    yield from map(str, (*pulled.stages, pulled))
    found = people.audit_status(workspace).audit
    for task, share in found.accuracy.items():
        yield f"audit status: correct on {task}: {share}"
    yield f"audit status: flawed items in the sample: {found.flawed}"


def _known_answers(workspace: Workspace, folder: Path) -> dict[reviewers.AskedQuestion, str]:
    """Return the correct choice for every item, from the walks' ground truth in its span."""
    form = clip_form(workspace.settings("review", ReviewSettings))
    spans = {span.span_id: span for span in workspace.store.rows(Span)}
    videos = {video.video_id: video for video in workspace.store.rows(Video)}
    said = load(workspace.settings("draft", DraftSettings).language).facts
    truth = _by_clip(workspace, folder)
    found = {}
    for item in workspace.store.rows(Item):
        span = spans[item.span_id or ""]
        true = true_options(item, _seen_in(span, truth[item.clip_id][1]), said)
        right = [str(index) for index, is_true in enumerate(true) if is_true]
        movie = clip_name(span, videos[item.video_id], form)
        choice = right[0] if len(right) == 1 else "many" if right else "none"
        found[reviewers.AskedQuestion(movie, item.question, tuple(item.options))] = choice
    return found


def _seen_in(span: Span, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the true steps that a span shows; drafted steps begin and end a little earlier or later."""
    found = [
        step for step in steps if span.start_us <= (step.start_us + step.end_us) // 2 < span.end_us
    ]
    return cutting.mirrored(found) if span.mirrored else tuple(found)


def _listed(verdicts: Counter[str]) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    return counts or "nothing left to judge"


def _released(workspace: Workspace) -> Iterator[str]:
    folder = workspace.folder.releases / f"v{VERSION}"
    if folder.exists():
        yield f"export: {folder} exists already, and a release never changes"
    else:
        yield from map(str, workspace.run_command("export"))
        settings = workspace.settings("export", ExportSettings)
        release = export.export(
            workspace.store,
            workspace.folder,
            VERSION,
            settings,
            workspace.settings("review", ReviewSettings),
            workspace.recorded(),
            allow_failing=True,
        )
        yield from (str(gate) for gate in release.gates if gate.state != "met")
        yield "the gates about people can't be met here: scripts judged these clips, and no person did"
        yield str(release)
    yield "read it with:"
    yield "  import polars as pl"
    yield f'  questions = pl.read_parquet("{folder}/data/*.parquet")'
    yield '  print(questions.group_by("question_type").len())'


def _truth(folder: Path, video: Video) -> dict[str, Any]:
    path = folder / "truth" / f"{Path(video.path).stem}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _by_clip(
    workspace: Workspace, folder: Path
) -> dict[str, tuple[dict[str, Any], tuple[Step, ...]]]:
    """Return each clip's ground truth and steps; rendered walks are short, so each is one clip."""
    videos = {video.video_id: video for video in workspace.store.rows(Video)}
    found = {}
    for clip in workspace.store.rows(Clip):
        truth = _truth(folder, videos[clip.video_id])
        steps = canonical(Step.model_validate(step) for step in truth["steps"])
        found[clip.clip_id] = (truth, steps)
    return found


def _measured_against_truth(workspace: Workspace, folder: Path) -> str:
    measured: dict[str, list[Turn]] = {}
    for turn in workspace.store.rows(Turn):
        measured.setdefault(turn.clip_id, []).append(turn)
    found = missed = false = 0
    for clip, (truth, _) in _by_clip(workspace, folder).items():
        rest = list(measured.get(clip, ()))
        for turn in (*truth["turns"], *truth["glances"]):
            match = next((one for one in rest if _same(one, turn)), None)
            if match:
                rest.remove(match)
                found += 1
            else:
                missed += 1
        false += len(rest)
    return f"compared with ground truth: {found} turns and glances found, {missed} missed, {false} false"


def _same(turn: Turn, true: dict[str, Any]) -> bool:
    overlaps = turn.start_us < true["end_us"] and turn.end_us > true["start_us"]
    return bool(overlaps and turn.kind == true["kind"])


def _drafted_against_truth(workspace: Workspace, folder: Path) -> str:
    truth = _by_clip(workspace, folder)
    drafts = [route for route in workspace.store.rows(Route) if route.origin == "draft"]
    right = sum(turns(route.steps) == turns(truth[route.clip_id][1]) for route in drafts)
    return f"compared with ground truth: every turn is correct in {right} of {len(drafts)} drafted routes"
