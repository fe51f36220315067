"""The blind probe: how well a test can be answered from its text and columns, without the videos. Pure.

run_probe(items)  ->  ProbeReport: the learned probe, untrained baselines, structural attacks, a
                      control, and the items that are easiest to guess
probe(items)      ->  Probed: the same, with what each reader gets right of each item
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.blind.attacks import ATTACKS
from pipeline.blind.cells import (
    ENOUGH_CLIPS,
    LIMITS,
    SIGMAS_OF_MANY,
    Cell,
    Leak,
    State,
    sigmas,
    state_of,
    told,
)
from pipeline.blind.learners import (
    Features,
    Learned,
    baselines,
    features_of,
    learned_scores,
    permuted,
)
from pipeline.blind.picks import MODEL, Picks
from pipeline.blind.sheet import Floats, OptionTable, ProbeItem, lay_out, take
from pipeline.blind.shown import shown
from pipeline.blind.tried import AttackResult, Tried, measure, pooled, single, spread, tried_out
from pipeline.blind.versions import VERSIONS, changed, versions

LEARNED = "learned probe"
SAMPLE = 5000
"""Of more items, whole groups are drawn for the learned probe."""
_CONTROLS = 3
_CONTROL_ITEMS = 600
_SHOWN = 10
# Structural attacks cost a third of the learned probe, and a cell needs 600 twins: they get more items.
_WIDER = 3


@dataclass(frozen=True)
class Guessable:
    """An item that the learned probe answers with a large margin: to be reviewed, not just dropped."""

    id: str
    margin: float
    question: str
    answer: str


@dataclass(frozen=True)
class ProbeReport:
    """How well a test can be answered blind."""

    learned: AttackResult
    baselines: tuple[AttackResult, ...]
    attacks: tuple[AttackResult, ...]
    best: AttackResult  # the best strategy of all, chosen on other scenes than it is measured on
    cells: tuple[Cell, ...]
    control: tuple[float, ...]  # the learned probe's accuracy on random answers
    guessable: tuple[Guessable, ...]
    grouping: str
    given: int  # items before sampling
    limits: tuple[float, float] = LIMITS
    quick: bool = False  # the learned probe alone

    @property
    def measured(self) -> tuple[AttackResult, ...]:
        """The results of all readers."""
        return (self.learned, *self.baselines, *self.attacks)

    @property
    def model(self) -> AttackResult | None:
        """The result of the text-only model, if one was asked."""
        return next((one for one in self.attacks if one.name == MODEL), None)

    @property
    def _single(self) -> tuple[AttackResult, ...]:
        """The results that are a single test each: fixed in advance, or chosen on other scenes."""
        return (self.learned, self.best, *([self.model] if self.model else ()))

    def leaks(self) -> list[Leak]:
        """Return the figures that are off chance by more than the limit and more than noise, each once."""
        found = [
            Leak(one.name, "", one.how, one.overall)
            for one in self._single
            if one.overall.leaks(self.limits[0], sigmas(1))
        ]
        found += [leak for one in self.measured for leak in _leaks(one, self.limits)]
        found += [
            Leak(cell.reader, f"cell={cell.name}", "the best reader", cell.figure)
            for cell in self.cells
            if cell.leaks
        ]
        once = {(leak.name, leak.where): leak for leak in reversed(found)}
        return sorted(once.values(), key=lambda leak: (leak.where != "", -leak.figure.excess))

    def state(self) -> State:
        """Return whether the test is free of leaks, as far as its items can show.

        The learned probe alone can show a leak, but not that there is none.
        """
        state = state_of(self.best.overall, self.leaks(), self.cells, self.limits[0])
        return "unproven" if self.quick and state == "met" else state

    def headline(self) -> AttackResult:
        """Return the result to report first: of the learned probe, the best reader and a model, the highest."""
        return max(self._single, key=lambda one: one.overall.excess)

    @property
    def reader(self) -> str:
        """Which reader the figure of `best` is of, in words."""
        if self.quick:
            return "the learned probe (no other reader was tried)"
        return f"the best of {len(self.measured)} readers, chosen on other scenes,"

    def verdict(self) -> str:
        """Return the conclusion that the figures allow, in one line."""
        figure, leaks, state = self.best.overall, self.leaks(), self.state()
        best = f"{self.reader} answers {figure.accuracy:.1%} (chance {figure.chance:.1%})"
        if state == "failed":
            leak = leaks[0]
            where = f" in {leak.where.partition('=')[2]}" if leak.where else ""
            return (
                f"LEAKS: {leak.name} answers {leak.figure.accuracy:.1%} blind{where} "
                f"(chance {leak.figure.chance:.1%})"
            )
        if figure.clips < ENOUGH_CLIPS:
            return (
                f"unproven: {figure.clips} clips are too few to find a leak or rule one out (at least "
                f"{ENOUGH_CLIPS}); {best}"
            )
        return f"{'unproven: ' if state == 'unproven' else ''}{told(self.cells)}; {best}"

    def to_json(self) -> dict[str, object]:
        """Return everything as plain values, with the learned probe's figure at the top level."""
        return {
            **self.learned.overall.to_json(),
            "state": self.state(),
            "verdict": self.verdict(),
            "cells": [cell.to_json() for cell in self.cells],
            "leaks": [str(leak) for leak in self.leaks()],
            "given": self.given,
            "grouping": self.grouping,
            "best": self.best.to_json(),
            "learned": self.learned.to_json(),
            "baselines": {one.name: one.to_json() for one in self.baselines},
            "attacks": {one.name: one.to_json() for one in self.attacks},
            "control": [round(value, 4) for value in self.control],
            "guessable": [
                {"id": one.id, "margin": round(one.margin, 4), "answer": one.answer}
                for one in self.guessable
            ],
        }

    def __str__(self) -> str:
        return "\n".join(map(shown, _lines(self)))


def run_probe(
    items: Sequence[ProbeItem],
    limits: tuple[float, float] = LIMITS,
    *,
    earlier: Sequence[ProbeItem] = (),
    seed: int = 0,
    sample: int = SAMPLE,
) -> ProbeReport:
    """Probe a test; of more than `sample` items, whole groups are drawn for the learned probe. Deterministic.

    `earlier` holds an earlier version of the items, for what a correction gives away. Attacks on the order
    of rows need the items in their published order. Raise ValueError if there are no items, or an item has
    fewer than two options or an answer that is none of them.
    """
    return probe(items, limits, earlier=earlier, seed=seed, sample=sample).report


def probe(
    items: Sequence[ProbeItem],
    limits: tuple[float, float] = LIMITS,
    *,
    earlier: Sequence[ProbeItem] = (),
    seed: int = 0,
    sample: int = SAMPLE,
    group: str | None = None,
    quick: bool = False,
    picks: Picks | None = None,
    tick: Callable[[], None] = lambda: None,
) -> "Probed":
    """Probe a test as `run_probe` does, and keep what each reader gets right.

    `group` is in the sample in any case; `quick` leaves out all but the learned probe, and what was asked for:
    the comparison with `earlier`, and `picks`, what a model chose. `tick` is called after each reader and
    after the control.
    """
    for item in items:
        if len(item.options) < 2 or not 0 <= item.answer < len(item.options):
            raise ValueError(f"item {item.id}: needs at least two options and an answer among them")
    if not items:
        raise ValueError("no items")
    sheet = lay_out(take(items, sample if quick else _WIDER * sample, seed, group), seed)
    sampled, head = sheet, sheet
    if len(sheet.items) > sample:
        sampled = lay_out(take(items, sample, seed, group), seed)
    if len(items) > sample:
        # Letters and replay need consecutive rows, so they get the first ones.
        head = lay_out(items[:sample], seed)
    features = features_of(sampled)
    learned = learned_scores(sampled, features)
    readers = [single(sampled, LEARNED, "two learners on text and cues", learned.scores)]
    tick()
    untrained = {} if quick else baselines(sheet)
    readers += [single(sheet, name, "untrained", found) for name, found in untrained.items()]
    for attack in () if quick else ATTACKS:
        table = head if attack.name in ("letters", "replay") else sheet
        readers.append(tried_out(table, attack.name, attack.how, attack.strategies(table)))
        tick()
    # What was not changed tells nothing, and would only dilute what a few corrections tell.
    if corrected := take(changed(items, earlier), _WIDER * sample, seed):
        table, how = lay_out(corrected, seed), "what was kept since the earlier version"
        readers.append(tried_out(table, VERSIONS, how, versions(table, earlier)))
    if picks:
        readers.append(picks.reader(seed))
    control = () if quick else tuple(permuted(sampled, _CONTROLS, _CONTROL_ITEMS))
    tick()
    results = [measure(one) for one in readers]
    pool = pooled([one for one in readers if one.sheet is sheet] or readers)
    best = measure(pool, spread(pool))
    report = ProbeReport(
        learned=results[0],
        baselines=tuple(results[1 : 1 + len(untrained)]),
        attacks=tuple(results[1 + len(untrained) :]),
        best=best,
        cells=tuple(_cells(sheet, best, results, limits)),
        control=control,
        guessable=tuple(_guessable(sampled, learned.scores)),
        grouping=sheet.grouping,
        given=len(items),
        limits=limits,
        quick=quick,
    )
    return Probed(report, sampled, features, learned, tuple(readers), pool, earlier)


@dataclass(frozen=True)
class Probed:
    """A report with what it rests on; other readers may have more items than the learned probe."""

    report: ProbeReport
    sheet: OptionTable  # the learned probe's items
    features: Features
    learned: Learned
    readers: tuple[Tried, ...]  # the learned probe is the first
    pool: Tried  # the strategies of all readers that have all the items of the cells
    earlier: Sequence[ProbeItem] = ()  # the version that these items were compared with


def attack_figure(items: Sequence[ProbeItem], name: str, seed: int = 0) -> AttackResult:
    """Run one structural attack by its name."""
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    sheet = lay_out(items, seed)
    return measure(tried_out(sheet, attack.name, attack.how, attack.strategies(sheet)))


def _leaks(one: AttackResult, limits: tuple[float, float]) -> Iterator[Leak]:
    """Yield a reader's figures that are off chance, as one of very many readers and strata."""
    for where, figure in {"": one.overall, **one.within}.items():
        if figure.leaks(limits[1] if where else limits[0], SIGMAS_OF_MANY):
            yield Leak(one.name, where, one.how, figure)


def _cells(
    sheet: OptionTable,
    best: AttackResult,
    results: Sequence[AttackResult],
    limits: tuple[float, float],
) -> Iterator[Cell]:
    for name in sheet.cells:
        where = f"cell={name}"
        figure, reader = best.within[where], best.best[where]
        leaks = figure.leaks(limits[1], sigmas(len(sheet.cells)))
        worse = [leak for one in results for leak in _leaks(one, limits) if leak.where == where]
        if not leaks and worse:
            worst = max(worse, key=lambda leak: abs(leak.figure.excess))
            figure, reader = worst.figure, worst.name
        yield Cell(name, figure, reader, leaks or bool(worse))


def _guessable(sheet: OptionTable, scores: Floats) -> Iterator[Guessable]:
    margins = []
    for index, item in enumerate(sheet.items):
        rows = scores[sheet.first[index] : sheet.first[index] + len(item.options)]
        margins.append(float(rows[item.answer] - np.delete(rows, item.answer).max()))
    for index in np.argsort(np.negative(margins), kind="stable")[:_SHOWN].tolist():
        item = sheet.items[index]
        if margins[index] > 0:
            yield Guessable(item.id, margins[index], item.question, item.options[item.answer])


def _lines(report: ProbeReport) -> Iterator[str]:
    sampled = report.learned.overall.items
    of = f" of {report.given}" if report.given != sampled else ""
    yield (
        f"{sampled} items{of} on {report.learned.overall.clips} clips; always in the same fold: "
        f"{report.grouping}"
    )
    if report.best.overall.items != sampled:
        yield f"structural attacks and cells: {report.best.overall.items} items"
    for title, results in (
        ("trained on the other items", (report.learned,)),
        ("untrained baselines", report.baselines),
        (
            "structural attacks (strategies chosen on one half, measured on the other)",
            report.attacks,
        ),
    ):
        if results:
            yield f"{title}:"
        for one in results:
            figure = one.overall
            yield (
                f"  {one.name:<20} {figure.accuracy:6.1%} [{figure.low:.1%}, {figure.high:.1%}]"
                f"  chance {figure.chance:.1%}{f'  {one.how}' if one.tried > 1 else ''}"
            )
            if one in (report.learned, report.model):
                for where, figure in one.within.items():
                    yield (
                        f"    {where:<28} {figure.accuracy:6.1%} [{figure.low:.1%}, "
                        f"{figure.high:.1%}]  {figure.items} items"
                    )
    yield "cells (the best reader, chosen on other scenes):"
    for cell in report.cells:
        yield f"  {cell}"
    if report.control:
        control = ", ".join(f"{value:.1%}" for value in report.control)
        yield f"control, with random answers: {control}"
    for leak in report.leaks():
        yield f"leak: {leak}"
    yield report.verdict()
