"""Evaluate a model on a release: ask it, score what it replied, write the results."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.lock import locked
from pipeline.errors import EgostError, UserError
from pipeline.evaluate import item_files, results
from pipeline.evaluate.arms import FRAMES, VIDEO, arms_of
from pipeline.evaluate.baselines import Baselines, baselines
from pipeline.evaluate.clips import Clips, clips_form, cut_clips
from pipeline.evaluate.denser import denser, folder_of
from pipeline.evaluate.export_files import write_exports
from pipeline.evaluate.item_files import ItemFile
from pipeline.evaluate.measured import Measured
from pipeline.evaluate.metrics import Covered, plain
from pipeline.evaluate.pictures import Pictures
from pipeline.evaluate.prompting import load
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rules import RULES, STRICT, check_parser, read
from pipeline.evaluate.run import Plan, Requests, asked, predicted, usual_error
from pipeline.evaluate.scoring import Question
from pipeline.evaluate.spans import source_spans
from pipeline.evaluate.table import wrapped
from pipeline.models.abilities import colours, probe, probe_video
from pipeline.models.batches import Batches
from pipeline.models.estimate import Estimate, estimate
from pipeline.models.llm import ModelClient, connect
from pipeline.models.settings import EvaluatedModel
from pipeline.models.wire import Wire
from pipeline.releases.hydrate import stills_settings
from pipeline.releases.reading import Released

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a release is asked: in which arms, how often, in which words, which splits, and images how large.

    `items` is the most that are asked, for a trial; `batch` asks through the server's Batch API. From `videos`, clips
    are cut for the arm `video` and, with `fps`, so many frames a second instead of the released ones. `parser` reads
    the replies; it is one of `rules.RULES`, and no part of what is asked.
    """

    arms: Sequence[str] = (FRAMES,)
    repeats: int = 1
    prompt: str = "ours"
    splits: Sequence[str] = ("test",)
    image_pixels: int | None = None
    items: int | None = None
    batch: bool = False
    videos: Sequence[Path] = ()
    fps: float | None = None
    parser: str = STRICT


@dataclass(frozen=True)
class Evaluated(Covered):
    """Where the results of one model are, and what they amount to; no metrics where no answer is known.

    `error` is the most frequent reason why a request got no reply.
    """

    folder: Path
    identity: results.Identity
    predictions: int
    withheld: int
    coverage: float
    lines: Sequence[str]
    error: str | None

    def __str__(self) -> str:
        held = f", {self.withheld} of the items withheld" if self.withheld else ""
        lost = f", {self.coverage:.1%} of them with a reply" if self.coverage < 1 else ""
        parser = self.identity.parser
        rule = f", read by {RULES[parser]}" if parser != STRICT else ""
        return f"evaluate: {self.identity.model}: {self.predictions} predictions{lost}{held}{rule}: {self.folder}"


class Evaluation:
    """A release and how models are asked about it; read once for all models."""

    def __init__(
        self,
        released: Released | ItemFile,
        options: Options,
        out: Path,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Read the release, and cut frames if denser ones are wanted; `progress` gets the number of videos.

        Raise UserError if it has none of the splits, no multiple-choice item in them, or none of the videos.
        """
        self._arms = arms_of(options.arms)
        check_parser(options.parser)
        if isinstance(released, ItemFile):
            released = _with_frames(released, options, self._arms, out, progress)
        self._released, self._options, self._out = released, options, out
        self._questions, self._evidence = questions_of(released)
        if unknown := [split for split in options.splits if split not in released.splits]:
            raise UserError(
                "--split",
                f"the release has no split '{unknown[0]}'",
                f"choose from {', '.join(released.splits)}",
            )
        asked = [one for one in self._questions if one.split in options.splits]
        if options.items is not None:
            asked = _some(asked, options.items)
        # One span after the other, so that its frames are read once.
        self.asked = sorted(asked, key=lambda one: one.video)
        if not self.asked:
            raise UserError(
                str(released.folder), "has no multiple-choice item in these splits", "choose others"
            )
        self._prompt = load(options.prompt)
        self._notes = [*released.notes] if isinstance(released, ItemFile) else []
        frames, clips = released.folder, None
        if options.fps is not None or VIDEO in self._arms:
            frames, clips = self._cut(progress)
        self._plan = Plan(self.asked, self._arms, options.repeats, self._prompt, clips)
        self._pictures = Pictures(frames, options.image_pixels)
        if not self._plan.requests:
            raise UserError(
                "--arms",
                f"nothing can be shown of these items in {', '.join(self._arms)}",
                f"use other arms, such as {FRAMES}",
            )

    def _cut(self, progress: Callable[[int, int], None]) -> tuple[Path, Clips | None]:
        """Cut what is asked for from the videos; return the folder of the frames, and the clips."""
        of, released, clips = self._options, self._released, None
        assert isinstance(released, Released)  # a file has its frames already
        folder = released.folder
        if not of.videos:
            raise UserError(
                "--fps" if VIDEO not in self._arms else f"--arms {VIDEO}",
                "a release has frames alone, and no source videos were given",
                "add --videos with the videos that the release was made from",
            )
        out = results.made(self._out)
        spans = source_spans(released, self.asked, self._evidence, of.videos)
        named = results.release_digest(released)[:12]
        if of.fps is not None:
            folder = folder_of(out, named, of.fps)
            found = denser(released, self.asked, spans, of.fps, folder, progress)
            self._note_left_out(found.left_out, "")
            self.asked = list(found.questions)
        if VIDEO in self._arms:
            form = clips_form(of.image_pixels or stills_settings(released).width, of.fps)
            clips = cut_clips(spans, form, out / f"clips-{named}", progress)
            missing = sum(one.video not in clips.paths for one in self.asked)
            self._note_left_out(missing, f" of the arm {VIDEO}")
        return folder, clips

    def _note_left_out(self, items: int, where: str) -> None:
        if items:
            why = "their videos aren't known or not there"
            self._notes.append(f"note: {items} items are left out{where}: {why}")

    @cached_property
    def _known(self) -> list[Question]:
        return [one for one in self.asked if one.answer_index is not None]

    @cached_property
    def _free(self) -> Baselines:
        """What is reached without a model, which is the same for all models."""
        ids = {one.id for one in self._known}
        return baselines(
            self._questions,
            self._evidence,
            self._released.folder,
            scored=lambda one: one.id in ids,
        )

    @property
    def pictures(self) -> Pictures:
        """The frames that are shown."""
        return self._pictures

    def folder(self, settings: EvaluatedModel) -> Path:
        """Return the folder of a model's results."""
        return self._out / self._identity(settings).folder

    def estimate(self, settings: EvaluatedModel) -> Estimate:
        """Return how many requests are still to be sent, and what they may cost; nothing is sent."""
        requests, folder = Requests(self._plan, self._pictures), self.folder(settings)
        return estimate(requests, settings, WorkspaceFolder(folder), batch=self._options.batch)

    def run(
        self,
        settings: EvaluatedModel,
        progress: Callable[[int, int], None] = lambda done, total: None,
        wire: Wire | None = None,
    ) -> Evaluated:
        """Ask one model, write its results and return them; raise UserError if it can't be asked at all."""
        identity, folder = self._identity(settings), results.made(self.folder(settings))
        with locked(folder / ".lock", "egost evaluate"):
            made, notes = asyncio.run(self._predictions(settings, folder, progress, wire))
            notes = [*self._notes, *notes]
            found = self._written(identity, folder, made, notes)
            if (parser := self._options.parser) == STRICT:
                return found
            # The same replies as another parser reads them, beside the strict reading of them.
            known = {one.id: one for one in self.asked}
            other = [read(one, known[one.id], parser) for one in made]
            beside = folder / f"read-by-{parser}"
            return self._written(replace(identity, parser=parser), beside, other, notes, made)

    def _identity(self, settings: EvaluatedModel) -> results.Identity:
        of = self._options
        return results.Identity.of(
            self._released,
            settings,
            self._prompt.name,
            self._prompt.sha256,
            of.image_pixels,
            of.fps,
        )

    async def _predictions(
        self,
        settings: EvaluatedModel,
        folder: Path,
        progress: Callable[[int, int], None],
        wire: Wire | None,
    ) -> tuple[list[Prediction], list[str]]:
        """Return the predictions, and notes on what the server can't do."""
        async with connect(settings, WorkspaceFolder(folder), wire) as client:
            plan, notes = await self._able(client)
            total = plan.requests
            given_up: Mapping[int, EgostError] = {}
            if self._options.batch:
                batches = Batches(client, progress)
                given_up = await batches.fetch(Requests(plan, self._pictures))
            made = await predicted(
                asked(plan, self._pictures),
                client,
                settings.in_flight,
                lambda done: progress(done, total),
                given_up,
            )
        return made, notes

    async def _able(self, client: ModelClient) -> tuple[Plan, list[str]]:
        """Return the plan without what the server can't do, and notes on that.

        Ask once whether so many images reach the model, and whether videos do. Raise UserError if images don't,
        or if nothing is left to ask.
        """
        plan = self._plan
        images, names = plan.most_images
        if images:
            (first,) = self._pictures.frames(names[:1])
            able = await probe(client, images, first.width, first.height)
            if able.warning:
                log.warning(able.warning)
        if not (plan.clips and plan.clips.paths):
            return plan, []
        shown = colours(3, 0)
        video = await probe_video(client, plan.clips.colours(shown), shown)
        if video.warning:
            log.warning(video.warning)
        if video.refusal is None:
            return plan, []
        others = [arm for arm in plan.arms if arm != VIDEO]
        if not others:
            raise UserError(
                client.settings.base_url,
                f"takes no videos: {video.refusal}",
                "use a server and a model that take video_url, or other arms",
            )
        note = f"note: the arm {VIDEO} is left out: the server takes no videos: {video.refusal}"
        return replace(plan, arms=others), [note]

    def _written(
        self,
        identity: results.Identity,
        folder: Path,
        made: Sequence[Prediction],
        notes: Sequence[str],
        strictly: Sequence[Prediction] = (),
    ) -> Evaluated:
        known = {one.id for one in self.asked if one.answer_index is not None}
        measured = None
        if known:
            measured = Measured.of(
                self._known,
                [one for one in made if one.id in known],
                self._free,
                parser=identity.parser,
                strictly=[one for one in strictly if one.id in known],
            )
        coverage = sum(one.outcome != "failed" for one in made) / max(1, len(made))
        results.write_results(
            folder,
            identity,
            self.asked,
            made,
            measured.metrics if measured else None,
            {
                "arms": self._arms,
                "repeats": self._options.repeats,
                "splits": list(self._options.splits),
                "asked": len(self.asked),
                "coverage": coverage,
                "notes": [note.removeprefix("note: ") for note in notes],
                "baselines": plain(measured.baselines) if measured else None,
                "people": plain(measured.human) if measured else None,
                "strictly": plain(measured.strictly) if measured and strictly else None,
            },
        )
        if measured:
            write_exports(folder, identity.about(), measured.results, measured.metrics)
        withheld = len(self.asked) - len(known)
        of = f"{identity.model} on {identity.dataset} {identity.version}, prompt {identity.prompt}"
        figures = measured.lines() if measured else ["no metrics: all answers are withheld"]
        lines = [of, *figures, *wrapped(notes)]
        return Evaluated(folder, identity, len(made), withheld, coverage, lines, usual_error(made))


def _with_frames(
    items: ItemFile,
    options: Options,
    arms: Sequence[str],
    out: Path,
    progress: Callable[[int, int], None],
) -> ItemFile:
    """Return a file's items with the frames of their videos; raise UserError for what is for releases alone."""
    if options.fps is not None or VIDEO in arms:
        what = f"is for releases: of a file's videos, {item_files.FRAMES} frames are shown"
        raise UserError("--fps" if VIDEO not in arms else f"--arms {VIDEO}", what, "leave it out")
    if options.videos:
        return item_files.with_frames(items, options.videos, results.made(out), progress)
    if {*arms} != {"blind"} and not any(one.frames for one in items.questions):
        what = "a file has no frames: they are cut from the videos that its items name"
        raise UserError(str(items.path), what, "add --videos DIR, or --arms blind")
    return items


def _some(questions: Sequence[Question], most: int) -> list[Question]:
    """Return at most this many questions, twins together: those with the lowest ids."""
    pairs: dict[str, list[Question]] = {}
    for one in questions:
        pairs.setdefault(one.twin or one.id, []).append(one)
    found: list[Question] = []
    for name in sorted(pairs):
        if len(found) + len(pairs[name]) > most:
            break
        found += pairs[name]
    return found or list(questions[:most])
