"""Evaluate a model on a release: ask it, score what it replied, write the results."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.lock import locked
from pipeline.errors import EgostError, UserError
from pipeline.evaluate import results
from pipeline.evaluate.arms import FRAMES, arms_of
from pipeline.evaluate.baselines import Baselines, Human, baselines
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.denser import denser
from pipeline.evaluate.export_files import write_exports
from pipeline.evaluate.metrics import LEAST_COVERAGE, ArmMetrics, Metrics, plain, summarise
from pipeline.evaluate.pictures import Pictures
from pipeline.evaluate.prompting import load
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.run import Plan, Requests, asked, predicted
from pipeline.evaluate.scoring import Question, Scored, scored
from pipeline.evaluate.table import table
from pipeline.models.abilities import probe
from pipeline.models.batches import Batches
from pipeline.models.estimate import Estimate, estimate
from pipeline.models.llm import ModelClient, connect
from pipeline.models.settings import EvaluatedModel
from pipeline.models.wire import Wire
from pipeline.releases.reading import Released

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a release is asked: in which arms, how often, in which words, which splits, and images how large.

    `items` is the most that are asked, for a trial; `batch` asks through the server's Batch API. With `fps`, so many
    frames a second are cut from `videos` instead of the released ones.
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


@dataclass(frozen=True)
class Evaluated:
    """Where the results of one model are, and what they amount to; no metrics where no answer is known."""

    folder: Path
    identity: results.Identity
    predictions: int
    withheld: int
    coverage: float
    lines: Sequence[str]

    @property
    def complete(self) -> bool:
        """Whether so many requests have a reply that the figures can stand."""
        return self.coverage >= LEAST_COVERAGE

    def __str__(self) -> str:
        held = f", {self.withheld} of withheld items" if self.withheld else ""
        return f"evaluate: {self.identity.model}: {self.predictions} predictions{held} in {self.folder}"


class Evaluation:
    """A release and how models are asked about it; read once for all models."""

    def __init__(
        self,
        released: Released,
        options: Options,
        out: Path,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Read the release, and cut frames if denser ones are wanted; `progress` gets the number of videos.

        Raise UserError if it has none of the splits, no multiple-choice item in them, or none of the videos.
        """
        arms_of(options.arms)
        self._released, self._options, self._out = released, options, out
        self._questions, self._evidence = questions_of(released)
        if unknown := [split for split in options.splits if split not in released.splits]:
            raise UserError(
                "--split",
                f"the release has no split '{unknown[0]}'",
                f"choose from {', '.join(released.splits)}",
            )
        self.asked = [one for one in self._questions if one.split in options.splits]
        if options.items is not None:
            self.asked = _some(self.asked, options.items)
        if not self.asked:
            raise UserError(
                str(released.folder), "has no multiple-choice item in these splits", "choose others"
            )
        self._prompt = load(options.prompt)
        self.left_out, frames = 0, released.folder
        if options.fps is not None:
            frames = out / f"frames-{results.release_digest(released)[:12]}-{options.fps:g}"
            found = denser(
                released, self.asked, self._evidence, options.videos, options.fps, frames, progress
            )
            self.asked, self.left_out = list(found.questions), found.left_out
        self._plan = Plan(self.asked, options.arms, options.repeats, self._prompt)
        self._pictures = Pictures(frames, options.image_pixels)

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
        identity, folder = self._identity(settings), self.folder(settings)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock", "egost evaluate"):
            made = asyncio.run(self._predictions(settings, folder, progress, wire))
            return self._written(identity, folder, made)

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
    ) -> list[Prediction]:
        total = self._plan.requests
        async with connect(settings, WorkspaceFolder(folder), wire) as client:
            await self._check_images(client)
            given_up: Mapping[int, EgostError] = {}
            if self._options.batch:
                batches = Batches(client, progress)
                given_up = await batches.fetch(Requests(self._plan, self._pictures))
            return await predicted(
                asked(self._plan, self._pictures),
                client,
                settings.in_flight,
                lambda done: progress(done, total),
                given_up,
            )

    async def _check_images(self, client: ModelClient) -> None:
        """Ask once whether so many images reach the model; raise UserError if they don't."""
        images, names = self._plan.most_images
        if not images:
            return
        (first,) = self._pictures.frames(names[:1])
        able = await probe(client, images, first.width, first.height)
        if able.warning:
            log.warning(able.warning)

    def _written(
        self, identity: results.Identity, folder: Path, made: Sequence[Prediction]
    ) -> Evaluated:
        known = {one.id for one in self.asked if one.answer_index is not None}
        measured = None
        if known:
            scored_ones = [one for one in made if one.id in known]
            measured = Measured.of(self._known, scored_ones, self._free)
        coverage = sum(one.outcome != "failed" for one in made) / max(1, len(made))
        results.write_results(
            folder,
            identity,
            self.asked,
            made,
            measured.metrics if measured else None,
            {
                "arms": list(self._options.arms),
                "repeats": self._options.repeats,
                "splits": list(self._options.splits),
                "asked": len(self.asked),
                "coverage": coverage,
                "baselines": plain(measured.baselines) if measured else None,
                "people": plain(measured.human) if measured else None,
            },
        )
        if measured:
            write_exports(folder, identity.about(), measured.results, measured.metrics)
        withheld = len(self.asked) - len(known)
        lines = measured.lines() if measured else ["no metrics: all answers are withheld"]
        if self.left_out:
            lines.append(
                f"note: {self.left_out} items are left out: their videos aren't known or not there"
            )
        return Evaluated(folder, identity, len(made), withheld, coverage, lines)


@dataclass(frozen=True)
class Measured:
    """The metrics of a model, next to the baselines that cost nothing and to people."""

    results: Sequence[Scored]
    metrics: Metrics
    baselines: Mapping[str, ArmMetrics]
    human: Human | None
    notes: Sequence[str]

    @classmethod
    def of(
        cls,
        questions: Sequence[Question],
        predictions: Sequence[Prediction],
        free: Baselines,
        least: int = 0,
    ) -> "Measured":
        """Score predictions for questions with known answers."""
        judged = partial(summarise, questions, least=least)
        found = scored(questions, predictions)
        return cls(
            found,
            judged(found),
            judged(scored(questions, free.predictions)).arms,
            free.human,
            free.notes,
        )

    def lines(self) -> list[str]:
        """Return everything as a table for the terminal."""
        people = self.human.accuracy[ALL][ALL] if self.human else None
        found = table(self.metrics, self.baselines, people)
        return [*found, *(f"note: {note}" for note in self.notes)]


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
