"""The audit of a test: what can be answered blind, what leaks and where, which items, and what would remain. Pure.

audit(items)  ->  Audit, which is printed as text or JSON, or shown as a page (`pipeline/report/blindpage.py`)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.blind.attacks import ATTACKS
from pipeline.blind.causes import Cause, causes_of, cells_of, tables_of
from pipeline.blind.cells import LIMITS, Cell
from pipeline.blind.explain import Explained, explain, margins
from pipeline.blind.picks import MODEL, Picks
from pipeline.blind.probe import SAMPLE, Probed, ProbeReport, probe
from pipeline.blind.removal import Remaining, remaining
from pipeline.blind.sheet import Figure, ProbeItem
from pipeline.blind.shown import shown

_GUESSABLE = 50
_VERDICTS = {
    "met": "no leak found",
    "failed": "it leaks",
    "unproven": "no leak found, but too little to rule one out",
}


@dataclass(frozen=True)
class Audit:
    """A probe's report with its causes, its verdicts by stratum, the most guessable items and what would remain."""

    report: ProbeReport
    causes: tuple[Cause, ...]
    tables: Mapping[str, Sequence[Cell]]
    guessable: tuple[Explained, ...]  # the most guessable first
    examples: Mapping[str, Explained]  # by item, those that the causes name
    remaining: Remaining | None

    @property
    def figure(self) -> Figure:
        """The figure of the headline."""
        return self.report.headline().overall

    @property
    def sampled(self) -> str:
        """Which items were probed, in words; empty if all were."""
        given, learned = self.report.given, self.report.learned.overall.items
        if learned == given:
            return ""
        return (
            f"a sample of {learned} of {given} items, by whole groups and a fixed seed, for the learned "
            f"probe; {self.report.best.overall.items} for other readers"
        )

    def headline(self) -> str:
        """Return what a reader without frames gets, against what chance, and how sure that is."""
        figure = self.figure
        return (
            f"Without frames, a reader answers {figure.accuracy:.1%} of {figure.items} items right "
            f"(95% interval {figure.low:.1%} to {figure.high:.1%}); chance is {figure.chance:.1%}. "
            f"Verdict: {self.report.state()} ({_VERDICTS[self.report.state()]})."
        )

    def to_json(self) -> dict[str, object]:
        """Return everything as plain values."""
        return {
            "headline": self.headline(),
            **self.report.to_json(),
            "sampled": self.sampled,
            "causes": {one.kind: one.to_json() for one in self.causes},
            "by": {title: [c.to_json() for c in cells] for title, cells in self.tables.items()},
            "guessable": [one.to_json() for one in self.guessable],
            "remaining": self.remaining.to_json() if self.remaining else None,
        }

    def __str__(self) -> str:
        return "\n".join(map(shown, _lines(self)))


def audit(
    items: Sequence[ProbeItem],
    limits: tuple[float, float] = LIMITS,
    *,
    earlier: Sequence[ProbeItem] = (),
    picks: Picks | None = None,
    quick: bool = False,
    seed: int = 0,
    sample: int = SAMPLE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Audit a test; `quick` runs the learned probe alone. Deterministic.

    `earlier` is an earlier version to compare with, `picks` what a text-only model chose. `progress` is called with the readers that are done and their number. Raises ValueError as `probe` does.
    """
    tick = _counter(progress, _steps(quick) + 2)
    probed = probe(
        items,
        limits,
        earlier=earlier,
        seed=seed,
        sample=sample,
        quick=quick,
        picks=picks,
        tick=tick,
    )
    causes = () if quick else tuple(causes_of(probed, limits[0]))
    tick()
    rest = None if quick else remaining(probed, limits[0])
    tick()
    guessable, examples = _shown(probed, causes)
    tables = {} if quick else tables_of(probed, limits[1])
    if picks:
        tables[f"category and kinds of facts, {MODEL} alone"] = cells_of(probed, MODEL, limits[1])
    return Audit(probed.report, causes, tables, guessable, examples, rest)


def explained(
    items: Sequence[ProbeItem],
    item: ProbeItem,
    *,
    earlier: Sequence[ProbeItem] = (),
    quick: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Probed, Explained]:
    """Probe a test with one of its items in the sample, and return what readers used on that item."""
    tick = _counter(progress, _steps(quick) + 1)
    probed = probe(items, earlier=earlier, quick=quick, group=item.group, tick=tick)
    causes = () if quick else tuple(causes_of(probed, LIMITS[0]))
    tick()
    index = next(at for at, one in enumerate(probed.sheet.items) if one is item)
    return probed, explain(probed, index, causes)


def _steps(quick: bool) -> int:
    """Return how often `probe` calls its tick: for each reader and the control."""
    return 2 if quick else len(ATTACKS) + 2


def _counter(progress: Callable[[int, int], None], total: int) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return tick


def _shown(
    probed: Probed, causes: Sequence[Cause]
) -> tuple[tuple[Explained, ...], dict[str, Explained]]:
    """Return the most guessable items, and those that the causes name and the learned probe has seen."""
    margin = margins(probed)
    first = [at for at in np.argsort(-margin, kind="stable")[:_GUESSABLE] if margin[at] > 0]
    named = {id(item) for cause in causes for item in cause.examples}
    examples = {
        item.id: explain(probed, at, causes)
        for at, item in enumerate(probed.sheet.items)
        if id(item) in named
    }
    return tuple(explain(probed, at, causes) for at in first), examples


def _lines(audit: Audit) -> Iterator[str]:
    yield audit.headline()
    if audit.sampled:
        yield f"measured on {audit.sampled}"
    if audit.causes:
        yield "what leaks:"
    for cause in audit.causes:
        yield f"  {cause.cell}"
        if cause.cell.leaks:
            yield from (f"      {tell}" for tell in cause.tells[:6])
    for title, cells in audit.tables.items():
        yield f"by {title}:"
        yield from (f"  {cell}" for cell in cells)
    if audit.remaining:
        yield str(audit.remaining)
    if audit.guessable:
        yield "most guessable:"
    for one in audit.guessable[:10]:
        yield f"  {one.item.id}  {'; '.join(one.reasons)}"
    yield from str(audit.report).splitlines()
