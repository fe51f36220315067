"""Have a judge score a model's descriptions, after testing it on planted answers.

    results/judge-gpt-4o-6b1d…/llm.sqlite   every request to this judge about this release, and its reply
    results/qwen2.5-vl-7b-3f0c…/
      judged.parquet   the scores of each description and of each planted answer, by judge, rubric and repeat
      judge.json       the figures, which results.json repeats under "judge"

A judge's replies are kept apart from any model's, so that its calibration is paid for once. Both files are written when
all judges are done: a run that is killed leaves the earlier ones as they are, and pays for no reply twice.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.lock import locked
from pipeline.engine.rows import digest
from pipeline.errors import EgostError
from pipeline.evaluate import results
from pipeline.evaluate.answers import read_description
from pipeline.evaluate.calibration import Calibration, calibrate
from pipeline.evaluate.cells import units_of
from pipeline.evaluate.described import as_question
from pipeline.evaluate.described_files import (
    JUDGE,
    JUDGED,
    OPEN,
    read_people,
    read_section,
    write_section,
)
from pipeline.evaluate.describing import Descriptions
from pipeline.evaluate.judge_scores import read_scores
from pipeline.evaluate.judged import (
    JudgedArm,
    arm_lines,
    by_people,
    judged_arms,
    score_agreement,
    typical,
)
from pipeline.evaluate.metrics import Covered, plain
from pipeline.evaluate.open_rows import Judgement, OpenItem
from pipeline.evaluate.planted import calibration_clips, planted
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rubrics import GATED, Rubric
from pipeline.evaluate.run import each, usual_error
from pipeline.evaluate.table import wrapped
from pipeline.models.chat import Message, PlainRequest
from pipeline.models.estimate import Estimate, estimate
from pipeline.models.llm import ModelClient, connect
from pipeline.models.prices import price_of
from pipeline.models.settings import JudgeModel
from pipeline.models.wire import Wire

_GUESSED_OUTPUT = 40  # tokens of three scores


@dataclass(frozen=True)
class _Asked:
    """One request to a judge: the row that its reply completes, and what is sent."""

    row: Judgement
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Judged(Covered):
    """What the judges made of one model's descriptions; `coverage` is the lowest share of replies of a judge.

    `error` is the most frequent reason why a request got no reply.
    """

    coverage: float
    lines: Sequence[str]
    error: str | None


class Judges:
    """One judge or two, with the rubrics that they score by; for the descriptions of any number of models."""

    def __init__(
        self,
        judges: Sequence[JudgeModel],
        rubrics: Sequence[str],
        repeats: int,
        items: Iterable[OpenItem],
        release: str,
        out: Path,
    ) -> None:
        """Plant answers for some of `items`; `release` is its digest, `out` the folder for results.

        Raise UserError if a judge's price isn't known: before any model is asked.
        """
        for one in judges:
            price_of(one)
        self._judges, self._repeats, self._release, self._out = judges, repeats, release, out
        self._rubrics = [Rubric.load(name) for name in dict.fromkeys(rubrics)]
        self._clips = calibration_clips(items)
        self._planted = {one.id: planted(one) for one in self._clips}

    def folder(self, settings: JudgeModel) -> Path:
        """Return the folder of a judge's replies."""
        named = re.sub(r"[^\w.-]+", "-", settings.model).strip("-.").lower()[:60] or "model"
        identity = digest(self._release, settings.base_url, settings.for_keys())
        return self._out / f"judge-{named}-{identity[:12]}"

    def estimate(
        self, items: Sequence[OpenItem], expected: Sequence[Prediction]
    ) -> Iterator[Estimate]:
        """Yield for each judge what it may cost to score the descriptions of the items that are `expected`."""
        for settings in self._judges:
            requests = [
                PlainRequest(one.messages, one.row.judge_repeat)
                for one in self._asked(settings, items, expected)
            ]
            folder = WorkspaceFolder(self.folder(settings))
            yield estimate(requests, settings, folder, guessed_output=_GUESSED_OUTPUT)

    def run(
        self,
        folder: Path,
        made: Descriptions,
        progress: Callable[[int, int], None] = lambda done, total: None,
        wires: Mapping[str, Wire] | None = None,
    ) -> Judged:
        """Have each judge score what a model said, and write this to its results folder.

        `wires` replace the judges' servers in tests, by the section of their settings. Raise UserError if a judge can't
        be asked at all.
        """
        with locked(folder / ".lock", "egost evaluate"):
            found = []
            for settings in self._judges:
                home = self.folder(settings)
                home.mkdir(parents=True, exist_ok=True)
                with locked(home / ".lock", "egost evaluate"):
                    wire = (wires or {}).get(settings.section)
                    rows = asyncio.run(self._scored(settings, made, progress, wire))
                found.append(self._figures(settings, made, rows))
            return self._written(folder, found)

    async def _scored(
        self,
        settings: JudgeModel,
        made: Descriptions,
        progress: Callable[[int, int], None],
        wire: Wire | None,
    ) -> list[Judgement]:
        asked = list(self._asked(settings, made.items, made.predictions))
        async with connect(settings, WorkspaceFolder(self.folder(settings)), wire) as client:
            rows = await each(
                asked,
                lambda one: _judgement(one, client),
                _failed,
                client,
                settings.in_flight,
                lambda done: progress(done, len(asked)),
            )
        return [*rows, *self._empty(settings, made)]

    def _asked(
        self, settings: JudgeModel, items: Sequence[OpenItem], predictions: Iterable[Prediction]
    ) -> Iterator[_Asked]:
        """Yield the requests: first about planted answers, so that a judge which fails is known early."""
        known = {one.id: one for one in items}
        for rubric in self._rubrics:
            for item in self._clips:
                for answer in self._planted[item.id]:
                    row = _row(settings, rubric, item.id, planted=answer.kind)
                    yield from self._repeated(row, rubric.messages(item, answer.text))
            for one in predictions:
                if one.id in known and (text := _text(one)):
                    row = _row(settings, rubric, one.id, arm=one.arm, repeat=one.repeat)
                    yield from self._repeated(row, rubric.messages(known[one.id], text))

    def _repeated(self, row: Judgement, messages: tuple[Message, ...]) -> Iterator[_Asked]:
        for number in range(self._repeats):
            yield _Asked(row.model_copy(update={"judge_repeat": number}), messages)

    def _empty(self, settings: JudgeModel, made: Descriptions) -> Iterator[Judgement]:
        """Yield a 0 for each reply that describes nothing: there is nothing to ask a judge about."""
        known = {one.id for one in made.items}
        for rubric in self._rubrics:
            for one in made.predictions:
                if one.id in known and one.outcome != "failed" and not _text(one):
                    row = _row(settings, rubric, one.id, arm=one.arm, repeat=one.repeat)
                    zeros = {"direction": 0, "landmark": 0, "semantics": 0}
                    yield row.model_copy(update={"outcome": "empty", **zeros})

    def _figures(
        self, settings: JudgeModel, made: Descriptions, rows: Sequence[Judgement]
    ) -> "_Found":
        units = units_of([as_question(one) for one in made.items])
        by_rubric = {
            rubric.name: [row for row in rows if row.rubric == rubric.name]
            for rubric in self._rubrics
        }
        calibrations = {name: calibrate(self._planted, some) for name, some in by_rubric.items()}
        gate = calibrations.get(GATED)
        calibrated = gate.passed if gate else None
        arms = {
            name: judged_arms(made.items, some, units, calibrated=calibrated is not False)
            for name, some in by_rubric.items()
        }
        marked = [row.model_copy(update={"calibrated": calibrated}) for row in rows]
        return _Found(settings, marked, calibrations, arms, calibrated)

    def _written(self, folder: Path, found: "Sequence[_Found]") -> Judged:
        people = by_people(read_people(folder))
        rows = [row for one in found for row in one.rows]
        agreement = {
            rubric.name: score_agreement(*(typical(one.of(rubric.name)) for one in pair))
            for pair in combinations(found, 2)
            for rubric in self._rubrics
        }
        body: dict[str, Any] = {
            "descriptions_sha256": read_section(folder, OPEN)["descriptions_sha256"],
            "repeats": self._repeats,
            "rubrics": {one.name: {"prompt_sha256": one.sha256} for one in self._rubrics},
            "judges": [one.to_json(people) for one in found],
            "between_judges": {name: plain(one) for name, one in agreement.items()},
        }
        write_atomic(folder / JUDGED, results.packed(Judgement, rows))
        write_section(folder, JUDGE, body)
        lines = [line for one in found for line in one.lines()]
        lines += [
            f"agreement of both judges, rubric {name}: {one}" for name, one in agreement.items()
        ]
        coverage = min((one.coverage for one in found), default=1.0)
        return Judged(coverage, wrapped(lines), usual_error(rows))


@dataclass(frozen=True)
class _Found:
    """What one judge gave: rows, and by rubric its calibration and the figures of each arm.

    `calibrated` is whether it passed by the rubric that decides; None where it wasn't asked by that.
    """

    settings: JudgeModel
    rows: Sequence[Judgement]
    calibrations: Mapping[str, Calibration]
    arms: Mapping[str, Mapping[str, JudgedArm]]
    calibrated: bool | None

    @property
    def coverage(self) -> float:
        return sum(row.outcome != "failed" for row in self.rows) / max(1, len(self.rows))

    def of(self, rubric: str) -> list[Judgement]:
        return [row for row in self.rows if row.rubric == rubric]

    def to_json(self, people: Mapping[Any, Mapping[str, int]]) -> dict[str, Any]:
        served = Counter(row.served_model for row in self.rows if row.served_model)
        return {
            "model": self.settings.model,
            "base_url": self.settings.base_url,
            "served_models": dict(served),
            "settings": json.loads(self.settings.for_keys()),
            "calibrated": self.calibrated,
            "coverage": round(self.coverage, 4),
            "cost_usd": round(sum(row.cost_usd or 0.0 for row in self.rows), 4),
            "rubrics": {
                name: {
                    "calibration": self.calibrations[name].to_json(),
                    "arms": plain(self.arms[name]),
                    "people": plain(score_agreement(typical(self.of(name)), people)),
                }
                for name in self.arms
            },
        }

    def lines(self) -> Iterator[str]:
        for name, calibration in self.calibrations.items():
            of = f"judge {self.settings.model}, rubric {name}"
            yield from arm_lines(of, self.arms[name], calibrated=self.calibrated is not False)
            passed = "passed" if calibration.passed else "failed"
            only = "" if name == GATED else " (reported only)"
            yield f"  calibration on {calibration.clips} clips: {passed}{only}"
            yield from (f"    {problem}" for problem in calibration.problems)


def _failed(one: _Asked, error: EgostError) -> Judgement:
    return one.row.model_copy(update={"outcome": "failed", "error": str(error)})


async def _judgement(one: _Asked, client: ModelClient) -> Judgement:
    made = await client.complete(one.messages, repeat=one.row.judge_repeat)
    reply = made.reply
    outcome, scores = read_scores(reply.text, reply.finish, reply.refusal)
    return one.row.model_copy(
        update={
            "outcome": outcome,
            **(vars(scores) if scores else {}),
            "sent_sha256": made.key,
            "reply": reply.text,
            "served_model": reply.model,
            "fingerprint": reply.fingerprint,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "cost_usd": made.cost_usd,
            "seconds": reply.seconds,
        }
    )


def _row(
    settings: JudgeModel,
    rubric: Rubric,
    id_: str,
    *,
    arm: str | None = None,
    repeat: int = 0,
    planted: str | None = None,
) -> Judgement:
    return Judgement(
        id=id_,
        arm=arm,
        repeat=repeat,
        planted=planted,
        judge=settings.model,
        rubric=rubric.name,
        judge_repeat=0,
        outcome="failed",
    )


def _text(one: Prediction) -> str:
    """Return what a reply describes; nothing for one that doesn't."""
    if one.outcome != "answered":
        return ""
    return read_description(one.reply, one.finish, one.refusal).text
