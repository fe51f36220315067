"""The architecture on one screen: the stages in order, and the command that runs each.

    files ─ ingest ─ split ─ frames ─ draft ─ review ─ compose ─ check ─ export ─ a release
                                        │       ▲
                            Label Studio: push, people, pull

A stage sees the rows of earlier stages and external rows: files found by a scan, verdicts fetched
by a pull. Units are run by engine/run.py and engine/local.py; rows are stored by engine/store.py.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pipeline.engine import workspace
from pipeline.engine.rows import Finding, Rejection
from pipeline.engine.settings import RunSettings
from pipeline.engine.stage import LazyFunction, Stage
from pipeline.engine.workspace import Sections, Workspace
from pipeline.motion.rows import Clip, Frame, Heading, JudgedClip, Stay, Turn
from pipeline.motion.settings import FacesSettings, FramesSettings
from pipeline.questions.rows import (
    AuditedBefore,
    ComposedFrom,
    Expected,
    Item,
    Span,
    Stratum,
    Written,
)
from pipeline.questions.settings import CheckSettings, ComposeSettings
from pipeline.releases.rows import Still
from pipeline.releases.settings import ExportSettings, StillsSettings
from pipeline.review.rows import Answer, Verdict
from pipeline.review.settings import AuditSettings, ReviewSettings
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import CopyConsent, Narration, Probe, Source, SplitLabel, Video
from pipeline.sources.settings import IngestSettings, SplitSettings

STAGES: tuple[Stage, ...] = (
    Stage(
        name="ingest",
        command="frames",
        does="probe and hash each file, read its manifest line and its narrations",
        reads=(Source,),
        writes=(Probe, Narration),
        settings=IngestSettings,
        run=LazyFunction("pipeline.sources.ingest"),
        per=Source,
    ),
    Stage(
        name="split",
        command="frames",
        does="merge the copies of each video; assign it its split group, permanently",
        reads=(Probe,),
        writes=(Video, SplitLabel),
        settings=SplitSettings,
        run=LazyFunction("pipeline.sources.split"),
        per=None,
        remembers=(Video, SplitLabel, CopyConsent),
    ),
    Stage(
        name="frames",
        command="frames",
        version=4,
        does="decode each video once: heading, turns, stays, clips, keyframes",
        reads=(Video,),
        writes=(Clip, Heading, Turn, Stay, Frame),
        settings=FramesSettings,
        run=LazyFunction("pipeline.motion.frames"),
        per=Video,
        key_fields={Video: {"video_id", "hfov_degrees", "lens", "manifest_rotation", "conversion"}},
        remembers=(JudgedClip,),
    ),
    Stage(
        name="draft",
        command="generate-qa",
        rejects=2,
        does="draft each clip's route from keyframes, turns, stays and narrations",
        reads=(Clip, Video, Turn, Stay, Frame, Narration),
        writes=(Route,),
        settings=DraftSettings,
        run=LazyFunction("pipeline.routes.draft"),
        per=Clip,
        opens=LazyFunction("pipeline.routes.draft", "opens"),
        depends=LazyFunction("pipeline.routes.draft", "depends"),
        key_fields={Video: {"video_id", "consent"}},
        judged=LazyFunction("pipeline.review.held", "judged_drafts"),
        redo="--redraft",
    ),
    Stage(
        name="write",
        command="generate-qa",
        rejects=2,
        does="let a model write the items of the tasks named in the settings",
        reads=(Clip, Video, Turn, Frame, Narration),
        writes=(Written,),
        settings=DraftSettings,
        run=LazyFunction("pipeline.questions.write"),
        per=Clip,
        opens=LazyFunction("pipeline.questions.write", "opens"),
        depends=LazyFunction("pipeline.questions.write", "depends"),
        key_fields={Video: {"video_id", "consent"}},
        judged=LazyFunction("pipeline.review.held", "audited_by_model"),
        redo="--redraft",
        section="draft",
        wanted=lambda settings: bool(settings.tasks),
    ),
    Stage(
        name="review",
        command="generate-qa",
        does="turn verdicts on the current drafts into verified routes",
        reads=(Route, Verdict),
        writes=(Route, Finding),
        settings=ReviewSettings,
        run=LazyFunction("pipeline.review.review"),
        per=None,
        remembers=(Route,),
        depends=LazyFunction("pipeline.review.review", "depends"),
        key_fields={Verdict: set(Verdict.model_fields) - {"typed"}},
    ),
    Stage(
        name="guess",
        command="generate-qa",
        does="ask the model, without frames, where in a walk it expects each landmark and action",
        reads=(Clip, Video, Route),
        writes=(Expected,),
        settings=DraftSettings,
        run=LazyFunction("pipeline.questions.guess"),
        per=Clip,
        opens=LazyFunction("pipeline.questions.guess", "opens"),
        depends=LazyFunction("pipeline.questions.guess", "depends"),
        key_fields={
            Clip: {"clip_id"},
            Video: {"video_id", "consent"},
            Route: {"clip_id", "origin", "steps"},
        },
        section="draft",
        wanted=lambda settings: settings.guesses,
        optional=True,
    ),
    Stage(
        name="compose",
        command="generate-qa",
        version=2,
        does="cut clips into spans; ask about pairs of facts that can't be guessed without the video",
        reads=(Video, Clip, Turn, Route, Written, Expected, Rejection, Answer),
        writes=(Item, Span, Stratum),
        settings=ComposeSettings,
        run=LazyFunction("pipeline.questions.compose"),
        per=None,
        remembers=(Item, Span, Stratum, Rejection, ComposedFrom, AuditedBefore),
        depends=LazyFunction("pipeline.questions.compose", "depends"),
        key_fields={
            Video: {"video_id", "split", "split_group", "hfov_degrees"},
            Expected: {"clip_id", "kind", "name", "position", "sure"},
        },
        redo="--recompose",
    ),
    Stage(
        name="check",
        command="generate-qa",
        does="check routes and items automatically",
        reads=(Clip, Turn, Narration, Route, Item, Span),
        writes=(Finding,),
        settings=CheckSettings,
        run=LazyFunction("pipeline.questions.check"),
        per=Clip,
        remembers=(ComposedFrom,),
        light=True,
        depends=LazyFunction("pipeline.questions.check", "depends"),
    ),
    Stage(
        name="faces",
        command="generate-qa",
        does="search the keyframes for faces",
        reads=(Clip, Frame),
        writes=(Finding,),
        settings=FacesSettings,
        run=LazyFunction("pipeline.motion.faces"),
        per=Clip,
        wanted=lambda settings: settings.look,
    ),
    Stage(
        name="stills",
        command="export",
        does="extract evenly spaced frames, on which models are scored",
        reads=(Video, Clip, Span),
        writes=(Still,),
        settings=StillsSettings,
        run=LazyFunction("pipeline.releases.stills"),
        per=Video,
        key_fields={
            Video: {"video_id", "consent", "manifest_rotation", "conversion"},
            Clip: {"clip_id", "start_us", "end_us"},
            Span: {"span_id", "clip_id", "frame_us", "mirrored"},
        },
        remembers=(Still,),
    ),
)

SECTIONS: Sections = {
    "run": RunSettings,
    **{stage.section or stage.name: stage.settings for stage in STAGES},
    "audit": AuditSettings,
    "export": ExportSettings,
}


def stages_of(command: str) -> tuple[str, ...]:
    """Return the names of the stages that a command runs, in order."""
    return tuple(stage.name for stage in STAGES if stage.command == command)


def open_workspace(
    root: Path, overrides: Iterable[str] = (), command: str = "egost"
) -> AbstractContextManager[Workspace]:
    """Open and lock a workspace; raise UserError if there is none, it is in use, or a setting is wrong."""
    return workspace.open_workspace(root, STAGES, SECTIONS, overrides, command)


def read_workspace(root: Path, overrides: Iterable[str] = ()) -> AbstractContextManager[Workspace]:
    """Open a workspace as it is now, to be read only; raise UserError if there is none or a setting is wrong."""
    return workspace.read_workspace(root, STAGES, SECTIONS, overrides)


def make_workspace(root: Path, values: Mapping[str, Mapping[str, Any]] | None = None) -> str | None:
    """Create a workspace with these settings; return a message, or None if there already is one."""
    return workspace.make_workspace(root, SECTIONS, values)
