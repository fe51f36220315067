"""The blind probe: how well a test can be answered from its text and columns, without the videos. Pure.

run_probe(items)  ->  ProbeReport: the learned probe, untrained baselines, structural attacks, a
                      control, and the items that are easiest to guess
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.blind.attacks import ATTACKS, Attack
from pipeline.blind.learners import baselines, learned_scores, permuted
from pipeline.blind.sheet import (
    Bools,
    Figure,
    Floats,
    OptionTable,
    ProbeItem,
    Strategy,
    lay_out,
    take,
)

State = Literal["met", "failed", "unproven"]
"""Whether a requirement is met, is not met, or can't be decided from the data there is."""

# With fewer items the interval reaches 5 points or more to either side.
ENOUGH = 600
# With fewer clips neither a leak nor its absence can be told from chance.
ENOUGH_CLIPS = 30
LIMITS = (0.05, 0.08)
"""The accuracy above chance that is allowed: overall, and within a task, contrast or kind of options."""
_CONTROLS = 5
_CONTROL_ITEMS = 600
_SHOWN = 10
# A report has some 150 figures, many of them for few items: at 3.5 standard errors one of 16 small sets
# of squares raised a false alarm (31 items of one task), at 4 none did.
_SIGMAS = 4.0
_STRATA: dict[str, Callable[[ProbeItem], str]] = {
    "task": lambda item: item.task,
    "option_kind": lambda item: item.option_kind,
    "contrast": lambda item: item.contrast,
}


@dataclass(frozen=True)
class AttackResult:
    """One method of answering blind: its accuracy overall and within each stratum, such as `task=...`."""

    name: str
    how: str
    overall: Figure
    within: Mapping[str, Figure]
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
class Leak:
    """A figure beyond the limit, with its method and its stratum (`where`; empty: overall)."""

    name: str
    where: str
    how: str
    figure: Figure

    def __str__(self) -> str:
        return f"{self.name}{f' in {self.where}' if self.where else ''}: {self.figure} ({self.how})"


@dataclass(frozen=True)
class ProbeReport:
    """How well a test can be answered blind."""

    learned: AttackResult
    baselines: tuple[AttackResult, ...]
    attacks: tuple[AttackResult, ...]
    control: tuple[float, ...]  # the learned probe's accuracy on random answers
    guessable: tuple[Guessable, ...]
    grouping: str
    given: int  # items before sampling
    limits: tuple[float, float] = LIMITS

    @property
    def measured(self) -> tuple[AttackResult, ...]:
        """The results of all methods."""
        return (self.learned, *self.baselines, *self.attacks)

    @property
    def worst(self) -> AttackResult:
        """The method with the highest accuracy above chance."""
        return max(self.measured, key=lambda one: one.overall.excess)

    def leaks(self) -> list[Leak]:
        """Return the figures that exceed chance by more than the limit and more than noise."""
        limit, within_limit = self.limits
        found = []
        for one in self.measured:
            # The learned probe's overall figure is a single test, fixed in advance: 95 % is enough.
            sigmas = 2.0 if one is self.learned else _SIGMAS
            if one.overall.leaks(limit, sigmas):
                found.append(Leak(one.name, "", one.how, one.overall))
            found += [
                Leak(one.name, where, one.how, figure)
                for where, figure in one.within.items()
                if figure.leaks(within_limit, _SIGMAS)
            ]
        return sorted(found, key=lambda leak: (leak.where != "", -leak.figure.excess))

    def state(self) -> State:
        """Return whether the test is free of leaks, as far as its clips can show."""
        if self.learned.overall.clips < ENOUGH_CLIPS:
            return "unproven"
        return "failed" if self.leaks() else "met"

    def verdict(self) -> str:
        """Return the conclusion that the figures allow, in one line."""
        figure, leaks, state = self.worst.overall, self.leaks(), self.state()
        if state == "unproven":
            text = (
                f"unproven: {figure.clips} clips are too few to find a leak or rule one out (at least "
                f"{ENOUGH_CLIPS}); the best of {len(self.measured)} blind methods answers "
                f"{figure.accuracy:.1%} (chance {figure.chance:.1%})"
            )
        elif state == "failed":
            text = f"LEAKS: {leaks[0].name} answers {leaks[0].figure.accuracy:.1%} blind"
            text += f"{f' in {leaks[0].where}' if leaks[0].where else ''} (chance {leaks[0].figure.chance:.1%})"
        else:
            text = f"no leak found: the best of {len(self.measured)} blind methods answers {figure.accuracy:.1%} (chance {figure.chance:.1%})"
        if figure.items < ENOUGH:
            points = max(5, round(200 * figure.error))
            text += f"; with {figure.items} items (under {ENOUGH}), {points} points either way are noise"
        return text

    def to_json(self) -> dict[str, object]:
        """Return everything as plain values, with the learned probe's figure at the top level."""
        return {
            **self.learned.overall.to_json(),
            "state": self.state(),
            "verdict": self.verdict(),
            "leaks": [str(leak) for leak in self.leaks()],
            "given": self.given,
            "grouping": self.grouping,
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
    seed: int = 0,
    sample: int = 5000,
) -> ProbeReport:
    """Probe a test; of more than `sample` items, whole groups are drawn. Deterministic.

    Attacks on the order of rows need the items in their published order. Raise ValueError if there are
    no items, or an item has fewer than two options or an answer that is none of them.
    """
    for item in items:
        if len(item.options) < 2 or not 0 <= item.answer < len(item.options):
            raise ValueError(f"item {item.id}: needs at least two options and an answer among them")
    if not items:
        raise ValueError("no items")
    sheet = lay_out(take(items, sample, seed), seed)
    # Letters and replay need consecutive rows, so they get the first ones, unsampled.
    head = sheet if len(items) <= sample else lay_out(items[:sample], seed)
    scores = learned_scores(sheet)
    return ProbeReport(
        learned=_measured(
            sheet,
            "learned probe",
            "two learners on text and cues",
            [Strategy("learned probe", scores)],
        ),
        baselines=tuple(
            _measured(sheet, name, "untrained", [Strategy(name, found)])
            for name, found in baselines(sheet).items()
        ),
        attacks=tuple(
            _attacked(head if attack.name in ("letters", "replay") else sheet, attack)
            for attack in ATTACKS
        ),
        control=tuple(permuted(sheet, _CONTROLS, _CONTROL_ITEMS)),
        guessable=tuple(_guessable(sheet, scores)),
        grouping=sheet.grouping,
        given=len(items),
        limits=limits,
    )


def _attacked(sheet: OptionTable, attack: Attack) -> AttackResult:
    return _measured(sheet, attack.name, attack.how, attack.strategies(sheet))


def attack_figure(items: Sequence[ProbeItem], name: str, seed: int = 0) -> AttackResult:
    """Run one structural attack by its name."""
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    return _attacked(lay_out(items, seed), attack)


def _measured(
    sheet: OptionTable, name: str, how: str, strategies: Iterable[Strategy]
) -> AttackResult:
    names, hits, own = [], [], []
    for one in strategies:
        names.append(one.name)
        hits.append(sheet.hits(one.scores))
        own.append(hits[-1] if one.half_scores is None else sheet.hits(one.half_scores))
    if not hits:
        return _measured(
            sheet, name, how, [Strategy("no strategy applies", np.zeros(len(sheet.texts)))]
        )
    table, choice = np.array(hits), np.array(own)
    overall, chosen = _cross_chosen(sheet, table, choice, np.ones(len(sheet.items), bool))
    within = {
        where: sheet.figure(_cross_chosen(sheet, table, choice, mask)[0], mask)
        for where, mask in _strata(sheet)
    }
    if len(names) > 1:
        how = f"{how}; best: {' / '.join(dict.fromkeys(names[index] for index in chosen))}"
    return AttackResult(name, how, sheet.figure(overall), within, len(names))


def _cross_chosen(
    sheet: OptionTable, hits: Floats, choice: Floats, mask: Bools
) -> tuple[Floats, list[int]]:
    """Choose the best strategy on each half of the items and measure it on the other half."""
    result, chosen = np.zeros(len(mask)), []
    for half in (0, 1):
        measured, other = mask & (sheet.half == half), mask & (sheet.half != half)
        best = int(choice[:, other].mean(axis=1).argmax()) if other.any() else 0
        result[measured] = hits[best, measured]
        chosen.append(best)
    return result, chosen


def _strata(sheet: OptionTable) -> Iterator[tuple[str, Bools]]:
    for name, value_of in _STRATA.items():
        values = np.array([value_of(item) for item in sheet.items])
        for value in sorted(set(values.tolist()) - {""}):
            yield f"{name}={value}", values == value


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
    yield f"{sampled} items{of} on {report.learned.overall.clips} clips; always in the same fold: {report.grouping}"
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
    control = ", ".join(f"{value:.1%}" for value in report.control)
    yield f"control, with random answers: {control}"
    if report.guessable:
        yield "easiest to guess (review them, don't just drop them):"
        for item in report.guessable:
            yield f"  {item.id}  {item.answer[:80]}"
    for leak in report.leaks():
        yield f"leak: {leak}"
    yield report.verdict()
