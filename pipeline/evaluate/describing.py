"""Ask a model the open items of a release, in the arms of its multiple-choice items, and score what it says.

results/qwen2.5-vl-7b-3f0c…/
  descriptions.parquet  what was replied to each open item in each arm: rows as in predictions.parquet
  open_items.parquet    the open items whose answers are known, with what a description should state
  open.json             their figures, which results.json repeats under "open"
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.lock import locked
from pipeline.errors import EgostError
from pipeline.evaluate import described, results
from pipeline.evaluate.arms import arms_of
from pipeline.evaluate.described import as_description
from pipeline.evaluate.described_files import (
    DESCRIPTIONS,
    OPEN,
    OPEN_ITEMS,
    read_table,
    write_section,
)
from pipeline.evaluate.evaluation import Evaluation, Options
from pipeline.evaluate.item_files import ItemFile
from pipeline.evaluate.metrics import Covered
from pipeline.evaluate.open_items import OpenItems, open_items
from pipeline.evaluate.open_rows import OpenItem
from pipeline.evaluate.prompting import load_open
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.run import Plan, Requests, asked, predicted, usual_error
from pipeline.models.batches import Batches
from pipeline.models.estimate import Estimate, estimate
from pipeline.models.llm import connect
from pipeline.models.settings import EvaluatedModel
from pipeline.models.wire import Wire
from pipeline.releases.reading import Released

_LEFT_OUT = {"reversed", "rotate", "video"}
"""Arms without open items: what is true of reversed frames isn't known of a whole route, there are no options to
rotate, and clips are cut for the arm of multiple-choice items alone."""


@dataclass(frozen=True)
class Descriptions(Covered):
    """What one model replied to the open items, and its figures as lines."""

    items: Sequence[OpenItem]
    predictions: Sequence[Prediction]
    coverage: float
    lines: Sequence[str]
    error: str | None


class OpenEvaluation:
    """The open items of a release, and how models are asked about them; read once for all models."""

    def __init__(self, released: Released | ItemFile, options: Options, whole: Evaluation) -> None:
        """Read the open items of the splits that `whole` asks; their frames are those of `whole`."""
        self.items: OpenItems = open_items(released)
        self._options, self._pictures = options, whole.pictures
        wanted = [one for one in self.items.questions if one.split in options.splits]
        if options.items is not None:
            wanted = sorted(wanted, key=lambda one: one.id)[: options.items]
        self.left_out = 0
        if options.fps is not None:  # frames were cut for the spans of multiple-choice items
            frames = {one.video: one for one in whole.asked}
            found = [
                replace(
                    one,
                    frames=frames[one.video].frames,
                    frame_seconds=frames[one.video].frame_seconds,
                )
                for one in wanted
                if one.video in frames
            ]
            self.left_out, wanted = len(wanted) - len(found), found
        arms = [arm for arm in arms_of(options.arms) if arm not in _LEFT_OUT]
        self._prompt = load_open(options.prompt)
        self._plan = Plan(wanted, arms, options.repeats, self._prompt)

    @cached_property
    def known(self) -> list[OpenItem]:
        """The items that are asked and whose answers are known."""
        known = self.items.known
        return [known[one.id] for one in self._plan.questions if one.id in known]

    @property
    def requests(self) -> int:
        """The number of requests to each model."""
        return self._plan.requests

    def expected(self, folder: Path) -> list[Prediction]:
        """Return the descriptions to be judged: those in a results folder; others are taken to be the references."""
        stored = (
            read_table(folder, DESCRIPTIONS, Prediction) if (folder / DESCRIPTIONS).exists() else []
        )
        made = {(one.id, one.arm, one.repeat): one for one in stored if one.outcome != "failed"}
        wanted = [
            (item, arm, repeat)
            for item in self.known
            for arm in self._plan.arms
            for repeat in range(self._plan.repeats)
        ]
        return [
            made.get((item.id, arm, repeat))
            or Prediction(
                id=item.id,
                arm=arm,
                repeat=repeat,
                reply=item.reference,
                letter=None,
                outcome="answered",
            )
            for item, arm, repeat in wanted
        ]

    def estimate(self, settings: EvaluatedModel, folder: Path) -> Estimate:
        """Return how many requests are still to be sent, and what they may cost; nothing is sent."""
        requests = Requests(self._plan, self._pictures)
        return estimate(requests, settings, WorkspaceFolder(folder), batch=self._options.batch)

    def run(
        self,
        settings: EvaluatedModel,
        folder: Path,
        progress: Callable[[int, int], None] = lambda done, total: None,
        wire: Wire | None = None,
    ) -> Descriptions:
        """Ask one model and write what it says to its results folder; raise UserError if it can't be asked."""
        with locked(folder / ".lock", "egost evaluate"):
            made = asyncio.run(self._predictions(settings, folder, progress, wire))
            return self._written(folder, made)

    async def _predictions(
        self,
        settings: EvaluatedModel,
        folder: Path,
        progress: Callable[[int, int], None],
        wire: Wire | None,
    ) -> list[Prediction]:
        plan, given_up = self._plan, dict[int, EgostError]()
        async with connect(settings, WorkspaceFolder(folder), wire) as client:
            if self._options.batch:
                batches = Batches(client, progress)
                given_up = await batches.fetch(Requests(plan, self._pictures))
            made = await predicted(
                asked(plan, self._pictures),
                client,
                settings.in_flight,
                lambda done: progress(done, plan.requests),
                given_up,
            )
        return [as_description(one) for one in made]

    def _written(self, folder: Path, made: Sequence[Prediction]) -> Descriptions:
        metrics = described.summarise(self.known, made, self.items.vocabulary)
        coverage = sum(one.outcome != "failed" for one in made) / max(1, len(made))
        table = results.packed(Prediction, made)
        write_atomic(folder / OPEN_ITEMS, results.packed(OpenItem, self.known))
        write_atomic(folder / DESCRIPTIONS, table)
        withheld = len(self._plan.questions) - len(self.known)
        body = {
            "prompt_sha256": self._prompt.sha256,
            "asked": len(self._plan.questions),
            "withheld": withheld,
            "left_out": self.left_out,
            "coverage": coverage,
            "descriptions_sha256": sha256(table).hexdigest(),
            **metrics.to_json(),
        }
        write_section(folder, OPEN, body)
        lines = [*described.lines(metrics)]
        if withheld:
            lines.append(f"note: the answers of {withheld} items answered in words are withheld")
        if self.left_out:
            lines.append(
                f"note: {self.left_out} items answered in words have no frames and are left out"
            )
        return Descriptions(self.known, made, coverage, lines, usual_error(made))
