"""What a proof found: cells, changes and the verdict, as an object and as files."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from pipeline import __version__
from pipeline.evaluate.arrays import Answers, ItemTable
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import LEAST_COVERAGE, Metrics, plain, summarise
from pipeline.evaluate.paired import Reversed
from pipeline.evaluate.results import release_digest
from pipeline.evaluate.scoring import Scored
from pipeline.proof.agreement import agreement, solutions_of
from pipeline.proof.asking import MODES, SPLIT, Condition, Proof, Replied
from pipeline.proof.gain import (
    ARMS,
    SHUFFLED,
    Change,
    Verdict,
    change,
    verdict,
    without_figures,
)
from pipeline.proof.models import ProofModel, chain_notes

FORMAT = 1
LEAST_READABLE = 0.5
"""A cell with a smaller share of replies with a letter is marked: its accuracy is about form."""
_FIGURES = ("accuracy", "pairs", "readable", "agreement")
_COMPARED = (("grpo", "base"), ("sft", "base"), ("grpo", "sft"))


@dataclass(frozen=True)
class Cell:
    """A model in a condition and an arm: shares with 95 % intervals clustered by scene.

    `accuracy` is of items, `pairs` of twins with both right, `readable` of replies that have a letter, `agreement` of
    replies with lists and a letter. Figures are None where there are no replies; `note` gives the reason.
    """

    model: ProofModel
    condition: Condition
    arm: str
    accuracy: Figure
    pairs: Figure
    readable: Figure
    agreement: Figure
    coverage: float | None
    note: str = ""

    @property
    def hardly_readable(self) -> bool:
        """Whether most replies have no letter."""
        return self.readable.value is not None and self.readable.value < LEAST_READABLE


@dataclass(frozen=True)
class Order:
    """What a model makes of the frames' order: frames minus shuffled ones, and what it answers to reversed ones."""

    model: ProofModel
    condition: Condition
    gap: Figure | None
    reversed: Reversed | None


@dataclass(frozen=True)
class Found:
    """Everything that a proof found; `verdicts` are those of the headline, of the last stage first."""

    proof: Proof
    command: str
    made: str
    cells: tuple[Cell, ...]
    changes: Mapping[Condition, Sequence[Change]]
    orders: tuple[Order, ...]
    verdicts: tuple[Verdict, ...]
    chance: float | None
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The sentence of the last stage."""
        return self.verdicts[0].sentence

    @property
    def asked_how(self) -> str:
        """How models were asked for the headline."""
        return str(self.proof.headline)

    def to_json(self) -> str:
        """Return everything as JSON."""
        proof = self.proof
        body: dict[str, Any] = {
            "format": FORMAT,
            "egost": __version__,
            "made": self.made,
            "command": self.command,
            "release": {
                "dataset": str(proof.released.manifest["dataset"]),
                "version": proof.released.version,
                "sha256": release_digest(proof.released),
                "split": SPLIT,
            },
            "headline": {
                "condition": self.asked_how,
                "verdicts": [
                    {"model": one.model, "state": one.state, "sentence": one.sentence}
                    for one in self.verdicts
                ],
            },
            "models": [_model(one) for one in proof.models],
            "chance": self.chance,
            "cells": list(self.rows(flat=False)),
            "changes": [
                {"mode": of.mode, "fps": of.fps, **plain(one)}
                for of, some in self.changes.items()
                for one in some
            ],
            "order": [
                {
                    "model": one.model.name,
                    "mode": one.condition.mode,
                    "fps": one.condition.fps,
                    "frames_minus_shuffled": plain(one.gap),
                    "reversed": plain(one.reversed),
                }
                for one in self.orders
            ],
            "missing": list(self.missing),
            "notes": list(self.notes),
        }
        return json.dumps(body, ensure_ascii=False, indent=1) + "\n"

    def to_csv(self) -> str:
        """Return the cells as a table."""
        rows = list(self.rows(flat=True))
        into = StringIO(newline="")
        writer = csv.DictWriter(into, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return into.getvalue()

    def rows(self, *, flat: bool) -> Iterator[dict[str, Any]]:
        """Yield the cells as rows; `flat` gives each part of a figure a column of its own."""
        for cell in self.cells:
            row: dict[str, Any] = {
                "stage": cell.model.role,
                "model": cell.model.name,
                "mode": cell.condition.mode,
                "prompt": MODES[cell.condition.mode],
                "fps": cell.condition.fps,
                "arm": cell.arm,
                "coverage": None if cell.coverage is None else round(cell.coverage, 4),
            }
            for name in _FIGURES:
                figure: Figure = getattr(cell, name)
                told = figure.to_json()
                if flat:
                    row |= {name: told["value"]} | {
                        f"{name}_{part}": told[part] for part in ("low", "high", "items", "groups")
                    }
                else:
                    row[name] = told
            yield row | {"note": cell.note}


def _model(one: ProofModel) -> dict[str, Any]:
    run = None if one.run is None else str(one.run)
    named = {"stage": one.role, "given": one.given, "name": one.name, "served": one.served}
    return named | {"run": run, "record": one.record}


def found_by(
    proof: Proof, replies: Iterable[tuple[ProofModel, Condition, Replied]], command: str
) -> Found:
    """Return what follows from the replies of all models in all conditions."""
    known = {} if proof.withheld else solutions_of(proof.released, SPLIT)
    made: dict[tuple[str, Condition], tuple[ProofModel, Replied]] = {}
    cells: list[Cell] = []
    orders: list[Order] = []
    missing: list[str] = []
    chance: float | None = None
    for model, condition, replied in replies:
        made[model.role, condition] = (model, replied)
        if not replied.complete:
            why = f": {replied.error}" if replied.error else ""
            share = (
                "no results" if replied.folder is None else f"{replied.coverage:.1%} of the replies"
            )
            missing.append(f"{model.title} ({condition}): {share}{why}")
        table = ItemTable.of(replied.questions)
        metrics = summarise(replied.questions, replied.scored) if replied.questions else None
        if metrics:
            chance = metrics.chance
            gap = next((one for one in metrics.gains if one.over == SHUFFLED), None)
            whole = gap.parts[ALL][ALL] if gap else None
            orders.append(Order(model, condition, whole, metrics.reversed))
        for arm in ARMS:
            some = [one for one in replied.scored if one.arm == arm]
            asked = agreement(table, some, known)
            cells.append(_cell(model, condition, arm, replied, metrics, table, some, asked))
    changes = {of: list(_changes(proof, made, of)) for of in proof.conditions}
    return Found(
        proof,
        command,
        datetime.now(UTC).isoformat(timespec="seconds"),
        tuple(cells),
        changes,
        tuple(orders),
        tuple(_verdicts(proof, made, changes[proof.headline])),
        chance,
        tuple(missing),
        tuple(_notes(proof, cells)),
    )


def _cell(
    model: ProofModel,
    condition: Condition,
    arm: str,
    replied: Replied,
    metrics: Metrics | None,
    table: ItemTable,
    some: Sequence[Scored],
    agrees: Figure,
) -> Cell:
    measured = metrics.arms.get(arm) if metrics else None
    if measured is None:
        why = replied.error or (
            "nothing to show in this arm" if metrics else "answers are withheld"
        )
        nothing = Figure(None, None, None, 0, 0, why)
        return Cell(model, condition, arm, nothing, nothing, nothing, nothing, None, why)
    given = Answers.of(table, some)
    readable = table.units.figure(given.share(lambda one: one.outcome in ("right", "wrong")))
    cell = Cell(
        model,
        condition,
        arm,
        measured.accuracy[ALL][ALL],
        measured.pairs[ALL][ALL],
        readable,
        agrees,
        measured.coverage,
    )
    notes = []
    if cell.hardly_readable:
        notes.append("most replies have no letter")
    if measured.coverage < LEAST_COVERAGE:
        notes.append(f"{measured.coverage:.1%} of the requests have a reply")
    return Cell(**{**vars(cell), "note": "; ".join(notes)})


def _changes(
    proof: Proof,
    made: Mapping[tuple[str, Condition], tuple[ProofModel, Replied]],
    of: Condition,
) -> Iterator[Change]:
    for role, over in _COMPARED:
        if (role, of) in made and (over, of) in made:
            (one, first), (other, second) = made[role, of], made[over, of]
            questions = first.questions or second.questions
            if questions and first.scored and second.scored:
                table = ItemTable.of(questions)
                yield change(table, first.scored, second.scored, (one.title, other.title))


def _verdicts(
    proof: Proof,
    made: Mapping[tuple[str, Condition], tuple[ProofModel, Replied]],
    changes: Sequence[Change],
) -> Iterator[Verdict]:
    """Yield what follows for each trained model over the base, in the condition of the headline."""
    of = proof.headline
    base, based = made["base", of]
    for role in ("grpo", "sft"):
        if (role, of) not in made:
            continue
        model, replied = made[role, of]
        found = next(
            (one for one in changes if (one.model, one.over) == (model.title, base.title)), None
        )
        lost = [(one, some) for one, some in ((model, replied), (base, based)) if not some.complete]
        if absent := [(one, some) for one, some in lost if some.folder is None]:
            why = "; ".join(
                f"there are no results of {_the(one)} ({some.error})" for one, some in absent
            )
            yield without_figures(model.title, base.title, "missing", why)
        elif lost:
            why = "; ".join(
                f"{some.coverage:.1%} of the requests to {_the(one)} have a reply"
                for one, some in lost
            )
            yield without_figures(model.title, base.title, "incomplete", why)
        elif proof.withheld:
            why = f"those who have them score the predictions in {proof.out} with egost score --answers"
            yield without_figures(model.title, base.title, "withheld", why)
        elif found is None:
            why = "no reply could be scored"
            yield without_figures(model.title, base.title, "missing", why)
        else:
            yield verdict(found)


def _the(model: ProofModel) -> str:
    return "the base" if model.role == "base" else model.title


def _notes(proof: Proof, cells: Sequence[Cell]) -> Iterator[str]:
    if proof.in_words:
        yield f"{proof.in_words} items that are answered in words are left out: this is about items with options"
    if proof.options.items is not None:
        yield f"a trial on {proof.asked(proof.headline)} items (--items): all items count for a proof"
    whole = proof.asked(proof.conditions[0])
    if (fewer := whole - proof.asked(proof.headline)) > 0:
        yield f"{fewer} items are left out at {proof.headline.frames}: their videos aren't known or not there"
    yield from chain_notes({one.role: one for one in proof.models})
    for one in proof.models:
        if one.folder is None and one.run is None:
            yield f"{one.title} is what the server calls {one.served}: nothing tells whether it was changed (NAME=RUN does)"
    marked = dict.fromkeys(
        (one.model.title, str(one.condition)) for one in cells if one.hardly_readable
    )
    for title, condition in marked:
        yield f"most replies of {title} ({condition}) have no letter in some arms: its accuracy there is about the form of replies"
