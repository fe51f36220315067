"""The architecture on one screen: the stages in order, the commands that run them, an open workspace.

    files ─ ingest ─ split ─ frames ─ draft ─ review ─ compose ─ check ─ export ─ a release
                                        │       ▲
                            Label Studio: push, people, pull

A stage sees the rows of the stages before it, and what came from outside: files that a scan found,
verdicts that a pull brought. How units are mapped is in engine.py, where rows lie in store.py.
"""

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.config import Config
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rejection
from pipeline.engine.run import Pending, pending, run_stage
from pipeline.engine.settings import RunSettings, Settings
from pipeline.engine.stage import Later, Stage, Summary
from pipeline.engine.store import Store, opened
from pipeline.errors import UserError
from pipeline.motion.rows import Clip, Frame, Heading, JudgedClip, Turn
from pipeline.motion.settings import FacesSettings, FramesSettings
from pipeline.questions.rows import ComposedFrom, Item, Written
from pipeline.questions.settings import CheckSettings, ComposeSettings
from pipeline.releases.rows import Still
from pipeline.releases.settings import ExportSettings, StillsSettings
from pipeline.review.rows import Answer, Verdict
from pipeline.review.settings import AuditSettings, ReviewSettings
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Narration, Probe, Source, SplitLabel, Video
from pipeline.sources.settings import IngestSettings, SplitSettings

STAGES = (
    Stage(
        name="ingest",
        does="probe and hash each file, read its manifest line and its narrations",
        reads=(Source,),
        writes=(Probe, Narration),
        settings=IngestSettings,
        run=Later("pipeline.sources.ingest"),
        per=Source,
    ),
    Stage(
        name="split",
        does="admit each content once and assign its split group, for good",
        reads=(Probe,),
        writes=(Video, SplitLabel),
        settings=SplitSettings,
        run=Later("pipeline.sources.split"),
        per=None,
        remembers=(Video, SplitLabel),
    ),
    Stage(
        name="frames",
        version=4,
        does="decode once: heading, turns, clips, keyframes",
        reads=(Video,),
        writes=(Clip, Heading, Turn, Frame),
        settings=FramesSettings,
        run=Later("pipeline.motion.frames"),
        per=Video,
        heeds={Video: {"video_id", "hfov_degrees", "lens"}},
        remembers=(JudgedClip,),
    ),
    Stage(
        name="draft",
        does="draft each clip's route from keyframes, turns and narrations",
        reads=(Clip, Video, Turn, Frame, Narration),
        writes=(Route,),
        settings=DraftSettings,
        run=Later("pipeline.routes.draft"),
        per=Clip,
        opens=Later("pipeline.routes.draft", "opens"),
        depends=Later("pipeline.routes.draft", "depends"),
        heeds={Video: {"video_id", "consent"}},
        judged=Later("pipeline.routes.draft", "judged"),
        redo="--redraft",
    ),
    Stage(
        name="write",
        does="have a model write items of the tasks in prompts/tasks/ that are named",
        reads=(Clip, Video, Turn, Frame, Narration),
        writes=(Written,),
        settings=DraftSettings,
        run=Later("pipeline.questions.write"),
        per=Clip,
        opens=Later("pipeline.questions.write", "opens"),
        depends=Later("pipeline.questions.write", "depends"),
        heeds={Video: {"video_id", "consent"}},
        judged=Later("pipeline.questions.write", "judged"),
        redo="--redraft",
        section="draft",
        wanted=lambda settings: bool(settings.tasks),
    ),
    Stage(
        name="review",
        does="turn verdicts on exactly these drafts into verified routes",
        reads=(Route, Verdict),
        writes=(Route, Finding),
        settings=ReviewSettings,
        run=Later("pipeline.review.review"),
        per=None,
        remembers=(Route,),
        depends=Later("pipeline.review.review", "depends"),
    ),
    Stage(
        name="compose",
        does="derive the items of all tasks from the routes",
        reads=(Video, Clip, Turn, Route, Written, Rejection, Answer),
        writes=(Item,),
        settings=ComposeSettings,
        run=Later("pipeline.questions.compose"),
        per=None,
        remembers=(Item, ComposedFrom),
        depends=Later("pipeline.questions.compose", "depends"),
        heeds={Video: {"video_id", "split", "split_group"}},
        redo="--recompose",
    ),
    Stage(
        name="check",
        does="doubt routes and items automatically",
        reads=(Clip, Turn, Narration, Route, Item),
        writes=(Finding,),
        settings=CheckSettings,
        run=Later("pipeline.questions.check"),
        per=Clip,
        light=True,
        depends=Later("pipeline.questions.check", "depends"),
    ),
    Stage(
        name="faces",
        does="look for faces on the keyframes",
        reads=(Clip, Frame),
        writes=(Finding,),
        settings=FacesSettings,
        run=Later("pipeline.motion.faces"),
        per=Clip,
        wanted=lambda settings: settings.look,
    ),
    Stage(
        name="stills",
        does="cut the equally distant frames that models are scored with",
        reads=(Video, Clip),
        writes=(Still,),
        settings=StillsSettings,
        run=Later("pipeline.releases.stills"),
        per=Video,
        heeds={Video: {"video_id", "consent"}},
    ),
)

FRAMES = ("ingest", "split", "frames")
GENERATE = ("draft", "write", "review", "compose", "check", "faces")
RELEASE = ("stills",)

SECTIONS: dict[str, type[Settings]] = {
    "run": RunSettings,
    **{stage.section or stage.name: stage.settings for stage in STAGES},
    "audit": AuditSettings,
    "export": ExportSettings,
}


@dataclass(frozen=True)
class Space:
    """A workspace that this process has opened, alone, with its settings."""

    folder: WorkspaceFolder
    store: Store
    config: Config

    def run(self, names: Iterable[str], redo: Container[str] = ()) -> Iterator[Summary]:
        """Run these stages in order; each yields what it did.

        `redo` holds the flags (`--redraft`, `--recompose`) that let judged work be replaced.
        """
        how = self.config.settings("run", RunSettings)
        wanted = set(names)
        for index, stage in enumerate(STAGES):
            if stage.name in wanted:
                settings = self.config.settings(stage.section or stage.name, stage.settings)
                if stage.wanted and not (stage.wanted(settings) or self.store.keys(stage.name)):
                    continue  # not asked for, and nothing of it to clear away
                upstream = [earlier.name for earlier in STAGES[:index]]
                yield run_stage(stage, self.store, settings, how, upstream, redo=stage.redo in redo)

    def pending(self, name: str, redo: Container[str] = ()) -> Pending:
        """Return the units that a run of this stage would work on now."""
        index = next(index for index, stage in enumerate(STAGES) if stage.name == name)
        stage, upstream = STAGES[index], [earlier.name for earlier in STAGES[:index]]
        settings = self.config.settings(stage.section or name, stage.settings)
        return pending(stage, self.store, settings, upstream, redo=stage.redo in redo)

    def recorded(self) -> dict[str, dict[str, object]]:
        """Return all settings in force, for a release's manifest."""
        return {
            name: self.config.settings(name, kind).model_dump() for name, kind in SECTIONS.items()
        }


@contextmanager
def open_space(root: Path, overrides: Iterable[str] = ()) -> Iterator[Space]:
    """Open a workspace; raise UserError if there is none, it is in use, or a setting is wrong."""
    folder = WorkspaceFolder(root)
    if not folder.config.exists():
        raise UserError(
            str(root), "no workspace there (it has no egost.toml)", f"egost init {root}"
        )
    config = Config.load(folder.config, SECTIONS, overrides)
    for name, kind in SECTIONS.items():
        config.settings(name, kind)
    with opened(folder) as store:
        yield Space(folder, store, config)
