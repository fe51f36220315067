"""The blind probe: how well a test can be answered from its text and columns, without the videos. Pure.

run_probe(items)  ->  ProbeReport: the learned probe, untrained baselines, structural attacks, a
                      control, and the items that are easiest to guess
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from pipeline.blind.learners import baselines, learned_scores, permuted
from pipeline.blind.null import COUPLED, cross_chosen, spreads
from pipeline.blind.sheet import (
    MOST_STRATA,
    Bools,
    Figure,
    Floats,
    OptionTable,
    ProbeItem,
    Strategy,
    lay_out,
    take,
)
from pipeline.blind.versions import versions

_CONTROLS = 3
_CONTROL_ITEMS = 600
_SHOWN = 10
# Structural attacks cost a third of the learned probe, and a cell needs 600 twins: they get more items.
_WIDER = 3
_KEPT = 8  # every nth strategy of a reader is tried on other truths
_STRATA: dict[str, Callable[[ProbeItem], str]] = {
    "task": lambda item: item.task,
    "option_kind": lambda item: item.option_kind,
}


@dataclass(frozen=True)
class AttackResult:
    """One method of answering blind: its accuracy overall and within each stratum, such as `task=...`."""

    name: str
    how: str
    overall: Figure
    within: Mapping[str, Figure]
    best: Mapping[str, str]  # the best strategy overall (""), and within each stratum
    tried: int = 1

    def to_json(self) -> dict[str, object]:
        """Return the fields as plain values."""
        return {
            "how": self.how,
            "tried": self.tried,
            **self.overall.to_json(),
            "within": {name: figure.to_json() for name, figure in self.within.items()},
        }


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

    @property
    def measured(self) -> tuple[AttackResult, ...]:
        """The results of all readers."""
        return (self.learned, *self.baselines, *self.attacks)

    def leaks(self) -> list[Leak]:
        """Return the figures that are off chance by more than the limit and more than noise."""
        found = [leak for one in self.measured for leak in _leaks(one, self.limits)]
        # Fixed in advance, or chosen elsewhere: a single test each.
        found += [
            Leak(one.name, "", one.how, one.overall)
            for one in (self.learned, self.best)
            if one.overall.leaks(self.limits[0], sigmas(1))
        ]
        found += [
            Leak(cell.reader, f"cell={cell.name}", "the best reader", cell.figure)
            for cell in self.cells
            if cell.leaks
        ]
        return sorted(found, key=lambda leak: (leak.where != "", -leak.figure.excess))

    def state(self) -> State:
        """Return whether the test is free of leaks, as far as its items can show."""
        return state_of(self.best.overall, self.leaks(), self.cells, self.limits[0])

    def verdict(self) -> str:
        """Return the conclusion that the figures allow, in one line."""
        figure, leaks, state = self.best.overall, self.leaks(), self.state()
        best = (
            f"the best of {len(self.measured)} readers, chosen on other scenes, answers "
            f"{figure.accuracy:.1%} (chance {figure.chance:.1%})"
        )
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
        return "\n".join(_lines(self))


def run_probe(
    items: Sequence[ProbeItem],
    limits: tuple[float, float] = LIMITS,
    *,
    earlier: Sequence[ProbeItem] = (),
    seed: int = 0,
    sample: int = 5000,
) -> ProbeReport:
    """Probe a test; of more than `sample` items, whole groups are drawn for the learned probe. Deterministic.

    `earlier` holds an earlier version of the items, for what a correction gives away. Attacks on the order of rows need the items in their published order. Raise ValueError if there are
    no items, or an item has fewer than two options or an answer that is none of them.
    """
    for item in items:
        if len(item.options) < 2 or not 0 <= item.answer < len(item.options):
            raise ValueError(f"item {item.id}: needs at least two options and an answer among them")
    if not items:
        raise ValueError("no items")
    sheet = lay_out(take(items, _WIDER * sample, seed), seed)
    sampled, head = sheet, sheet
    if len(items) > sample:
        # Letters and replay need consecutive rows, so they get the first ones.
        sampled, head = lay_out(take(items, sample, seed), seed), lay_out(items[:sample], seed)
    scores = learned_scores(sampled)
    learned = _try(sampled, "learned probe", "two learners on text and cues", scores)
    untrained = [_try(sheet, name, "untrained", found) for name, found in baselines(sheet).items()]
    attacks = []
    for attack in ATTACKS:
        table = head if attack.name in ("letters", "replay") else sheet
        attacks.append(_tried(table, attack.name, attack.how, attack.strategies(table)))
    if earlier:
        how = "what was kept since the earlier version"
        attacks.append(_tried(sheet, "versions", how, versions(sheet, earlier)))
    everyone = [learned, *untrained, *attacks]
    results = [_measured(one) for one in everyone]
    pooled = _pooled([one for one in everyone if one.sheet is sheet])
    best = _measured(pooled, _spread(pooled))
    return ProbeReport(
        learned=results[0],
        baselines=tuple(results[1 : 1 + len(untrained)]),
        attacks=tuple(results[1 + len(untrained) :]),
        best=best,
        cells=tuple(_cells(sheet, best, results, limits)),
        control=tuple(permuted(sampled, _CONTROLS, _CONTROL_ITEMS)),
        guessable=tuple(_guessable(sampled, scores)),
        grouping=sheet.grouping,
        given=len(items),
        limits=limits,
    )


@dataclass(frozen=True)
class _Tried:
    """What each strategy of a reader gets right: arrays of (strategies, items)."""

    sheet: OptionTable
    name: str
    how: str
    names: tuple[str, ...]
    hits: Floats
    own: Floats  # trained without the half of the scenes on which the strategy is measured
    kept: tuple[Strategy, ...]  # some of the strategies, to be tried on other truths

    @property
    def coupled(self) -> bool:
        """Whether what is true in each half of the items decides how the other half is answered."""
        return len(self.names) > 1 or any(one.half_scores is not None for one in self.kept)


def _tried(sheet: OptionTable, name: str, how: str, strategies: Iterable[Strategy]) -> _Tried:
    names: list[str] = []
    hits, own, kept = [], [], []
    for one in strategies:
        if len(names) % _KEPT == 0:
            kept.append(one)
        names.append(one.name)
        hits.append(sheet.hits(one.scores))
        own.append(hits[-1] if one.half_scores is None else sheet.hits(one.half_scores))
    if not hits:
        return _try(sheet, name, how, np.zeros(len(sheet.texts)), "no strategy applies")
    return _Tried(sheet, name, how, tuple(names), np.array(hits), np.array(own), tuple(kept))


def _try(sheet: OptionTable, name: str, how: str, scores: Floats, called: str = "") -> _Tried:
    return _tried(sheet, name, how, [Strategy(called or name, scores)])


def _pooled(readers: Sequence[_Tried]) -> _Tried:
    """Return all strategies of all readers as those of one."""
    return _Tried(
        readers[0].sheet,
        "the best reader",
        "chosen on one half of the scenes, measured on the other",
        tuple(
            one.name if len(one.names) == 1 else f"{one.name}: {name}"
            for one in readers
            for name in one.names
        ),
        np.concatenate([one.hits for one in readers]),
        np.concatenate([one.own for one in readers]),
        tuple(kept for one in readers for kept in one.kept),
    )


def attack_figure(items: Sequence[ProbeItem], name: str, seed: int = 0) -> AttackResult:
    """Run one structural attack by its name."""
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    sheet = lay_out(items, seed)
    return _measured(_tried(sheet, attack.name, attack.how, attack.strategies(sheet)))


def _measured(tried: _Tried, spread: Mapping[str, float] | None = None) -> AttackResult:
    """Return the accuracy of a reader's best strategy, chosen on one half and measured on the other.

    `spread` is what truths drawn anew show, overall ("") and within strata; without it, the largest that
    the coupling of the halves can make of the error is assumed.
    """
    sheet = tried.sheet
    masks: dict[str, Bools] = {"": np.ones(len(sheet.items), bool)} | dict(_strata(sheet))
    figures, best = {}, {}
    for where, mask in masks.items():
        hits, chosen = cross_chosen(sheet, tried.hits, tried.own, mask)
        figure = sheet.figure(hits, mask)
        if spread is not None and where in spread:
            figure = figure.less_certain(spread[where])
        elif tried.coupled:
            figure = figure.less_certain(COUPLED * figure.error)
        figures[where] = figure
        best[where] = " / ".join(dict.fromkeys(tried.names[index] for index in chosen))
    how = f"{tried.how}; best: {best['']}" if len(tried.names) > 1 else tried.how
    return AttackResult(tried.name, how, figures.pop(""), figures, best, len(tried.names))


def _spread(tried: _Tried) -> Mapping[str, float]:
    masks: dict[str, Bools] = {"": np.ones(len(tried.sheet.items), bool)}
    masks |= {f"cell={name}": mask for name, mask in tried.sheet.cells.items()}
    return spreads(tried.sheet, tried.kept, masks)


def _strata(sheet: OptionTable) -> Iterator[tuple[str, Bools]]:
    for name, value_of in _STRATA.items():
        values = np.array([value_of(item) for item in sheet.items])
        often = Counter(values.tolist()).most_common(MOST_STRATA)
        for value in sorted({value for value, _ in often} - {""}):
            yield f"{name}={value}", values == value
    for value, within in sheet.cells.items():
        yield f"cell={value}", within


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
        yield f"{title}:"
        for one in results:
            figure = one.overall
            yield (
                f"  {one.name:<20} {figure.accuracy:6.1%} [{figure.low:.1%}, {figure.high:.1%}]"
                f"  chance {figure.chance:.1%}{f'  {one.how}' if one.tried > 1 else ''}"
            )
            if one is report.learned:
                for where, figure in one.within.items():
                    yield (
                        f"    {where:<28} {figure.accuracy:6.1%} [{figure.low:.1%}, "
                        f"{figure.high:.1%}]  {figure.items} items"
                    )
    yield "cells (the best reader, chosen on other scenes):"
    for cell in report.cells:
        yield f"  {cell}"
    control = ", ".join(f"{value:.1%}" for value in report.control)
    yield f"control, with random answers: {control}"
    if report.guessable:
        yield "easiest to guess (review them, don't just drop them):"
        for item in report.guessable:
            yield f"  {item.id}  {item.answer[:80]}"
    for leak in report.leaks():
        yield f"leak: {leak}"
    yield report.verdict()
