"""The architecture on one screen: the stages in order, the commands that run them, an open workspace.

    files ─ ingest ─ split ─ frames ─ draft ─ review ─ compose ─ check ─ export ─ a release
                                        │       ▲
                            Label Studio: push, people, pull

A stage sees the rows of the stages before it, and what came from outside: files that a scan found,
verdicts that a pull brought. How units are mapped is in engine.py, where rows lie in store.py.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.clients.estimate import Estimate
from pipeline.config import Config, Settings
from pipeline.engine import RunSettings, Stage, Summary, pending, run_stage
from pipeline.errors import UserError
from pipeline.records import (
    Answer,
    Clip,
    Finding,
    Frame,
    Heading,
    Item,
    JudgedClip,
    Narration,
    Probe,
    Rejection,
    Route,
    Source,
    SplitLabel,
    Still,
    Turn,
    Verdict,
    Video,
    Written,
)
from pipeline.stages import (
    audit,
    check,
    compose,
    draft,
    export,
    faces,
    frames,
    ingest,
    review,
    split,
    stills,
    write,
)
from pipeline.store import Place, Store, opened

STAGES = (
    Stage(
        name="ingest",
        does="probe and hash each file, read its manifest line and its narrations",
        reads=(Source,),
        writes=(Probe, Narration),
        settings=ingest.IngestSettings,
        run=ingest.run,
        per=Source,
    ),
    Stage(
        name="split",
        does="admit each content once and assign its split group, for good",
        reads=(Probe,),
        writes=(Video, SplitLabel),
        settings=split.SplitSettings,
        run=split.run,
        per=None,
        remembers=(Video, SplitLabel),
    ),
    Stage(
        name="frames",
        version=2,
        does="decode once: heading, turns, clips, keyframes",
        reads=(Video,),
        writes=(Clip, Heading, Turn, Frame),
        settings=frames.FramesSettings,
        run=frames.run,
        per=Video,
        heeds={Video: {"video_id", "hfov_degrees", "lens"}},
        remembers=(JudgedClip,),
    ),
    Stage(
        name="draft",
        does="draft each clip's route from keyframes, turns and narrations",
        reads=(Clip, Video, Turn, Frame, Narration),
        writes=(Route,),
        settings=draft.DraftSettings,
        run=draft.run,
        per=Clip,
        opens=draft.opens,
        depends=draft.depends,
        heeds={Video: {"video_id", "consent"}},
    ),
    Stage(
        name="write",
        does="have a model write items of the tasks in prompts/tasks/ that are named",
        reads=(Clip, Video, Turn, Frame, Narration),
        writes=(Written,),
        settings=draft.DraftSettings,
        run=write.run,
        per=Clip,
        opens=write.opens,
        depends=write.depends,
        heeds={Video: {"video_id", "consent"}},
        section="draft",
        wanted=write.wanted,
    ),
    Stage(
        name="review",
        does="turn verdicts on exactly these drafts into verified routes",
        reads=(Route, Verdict),
        writes=(Route, Finding),
        settings=review.ReviewSettings,
        run=review.run,
        per=None,
        depends=review.depends,
    ),
    Stage(
        name="compose",
        does="derive the items of all tasks from the routes",
        reads=(Video, Clip, Turn, Route, Written, Rejection, Answer),
        writes=(Item,),
        settings=compose.ComposeSettings,
        run=compose.run,
        per=None,
        remembers=(Item,),
        depends=compose.depends,
        heeds={Video: {"video_id", "split", "split_group"}},
    ),
    Stage(
        name="check",
        does="doubt routes and items automatically",
        reads=(Clip, Turn, Narration, Route, Item),
        writes=(Finding,),
        settings=check.CheckSettings,
        run=check.run,
        per=Clip,
        light=True,
        depends=check.depends,
    ),
    Stage(
        name="faces",
        does="look for faces on the keyframes",
        reads=(Clip, Frame),
        writes=(Finding,),
        settings=faces.FacesSettings,
        run=faces.run,
        per=Clip,
        wanted=faces.wanted,
    ),
    Stage(
        name="stills",
        does="cut the equally distant frames that models are scored with",
        reads=(Video, Clip),
        writes=(Still,),
        settings=stills.StillsSettings,
        run=stills.run,
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
    "audit": audit.AuditSettings,
    "export": export.ExportSettings,
}


@dataclass(frozen=True)
class Space:
    """A workspace that this process has opened, alone, with its settings."""

    place: Place
    store: Store
    config: Config

    def run(self, names: Iterable[str]) -> Iterator[Summary]:
        """Run these stages in order; each yields what it did."""
        how = self.config.settings("run", RunSettings)
        wanted = set(names)
        for index, stage in enumerate(STAGES):
            if stage.name in wanted:
                settings = self.config.settings(stage.section or stage.name, stage.settings)
                if stage.wanted and not (stage.wanted(settings) or self.store.keys(stage.name)):
                    continue  # not asked for, and nothing of it to clear away
                upstream = [earlier.name for earlier in STAGES[:index]]
                yield run_stage(stage, self.store, settings, how, upstream)

    def recorded(self) -> dict[str, dict[str, object]]:
        """Return all settings in force, for a release's manifest."""
        return {
            name: self.config.settings(name, kind).model_dump() for name, kind in SECTIONS.items()
        }


def estimate(space: Space) -> Estimate:
    """Return what a model would still be asked, for routes and for items; send nothing."""
    settings = space.config.settings("draft", draft.DraftSettings)
    found = Estimate("")
    for name, of in (("draft", draft.estimate), ("write", write.estimate)):
        index = next(index for index, stage in enumerate(STAGES) if stage.name == name)
        upstream = [stage.name for stage in STAGES[:index]]
        units = pending(STAGES[index], space.store, settings, upstream)
        found += of((unit.rows for unit in units), settings, space.place)
    return found


@contextmanager
def open_space(root: Path, overrides: Iterable[str] = ()) -> Iterator[Space]:
    """Open a workspace; raise UserError if there is none, it is in use, or a setting is wrong."""
    place = Place(root)
    if not place.config.exists():
        raise UserError(
            str(root), "no workspace there (it has no egost.toml)", f"egost init {root}"
        )
    config = Config.load(place.config, SECTIONS, overrides)
    for name, kind in SECTIONS.items():
        config.settings(name, kind)
    with opened(place) as store:
        yield Space(place, store, config)
