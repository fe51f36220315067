"""What a test's items show about being answered blind: a verdict for each cell, and for all. Pure.

A cell is a category with the kinds of facts that its items ask about. In each, the best of all readers is
chosen on half of the scenes and measured on the other half: the best on the same items would be above
chance on fair items, too (measured: above 28 % in 93 of 100 sets of 600 twins).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from pipeline.blind.sheet import Figure

State = Literal["met", "failed", "unproven"]
"""Whether a requirement is met, is not met, or can't be decided from the data there is."""
Verdict = Literal["leak", "no leak found", "too few to tell"]

# With fewer, fair items are within 3 points above chance in less than 88 of 100 sets.
ENOUGH_TWINS = 600
# With fewer clips neither a leak nor its absence can be told from chance.
ENOUGH_CLIPS = 30
LIMITS = (0.05, 0.08)
"""The accuracy above chance that is allowed: overall, and within a cell, task or kind of options."""
# Of fair tests, this share may have a cell off chance by noise alone.
_FALSE_ALARMS = 0.005
# A report has hundreds of other figures, many of them for few items: at 3.5 standard errors one of 16 small
# fair sets raised a false alarm (31 items of one task), at 4 none did.
SIGMAS_OF_MANY = 4.0
_NAMED = 3  # cells that a line names


def sigmas(figures: int) -> float:
    """Return how many standard errors one of so many fair figures is hardly ever off chance."""
    return NormalDist().inv_cdf(1 - _FALSE_ALARMS / 2 / max(1, figures))


@dataclass(frozen=True)
class Leak:
    """A figure off chance beyond the limit: its reader, and its cell or stratum (`where`; empty: overall)."""

    name: str
    where: str
    how: str
    figure: Figure

    def __str__(self) -> str:
        return f"{self.name}{f' in {self.where}' if self.where else ''}: {self.figure} ({self.how})"


@dataclass(frozen=True)
class Cell:
    """The items of one category about the same kinds of facts, and what the best reader gets on them."""

    name: str
    figure: Figure
    reader: str
    leaks: bool

    @property
    def verdict(self) -> Verdict:
        """What can be said: a leak may show in few items, its absence can't."""
        if self.leaks:
            return "leak"
        return "no leak found" if self.figure.twins >= ENOUGH_TWINS else "too few to tell"

    def to_json(self) -> dict[str, object]:
        """Return the fields and the verdict as plain values."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "reader": self.reader,
            **self.figure.to_json(),
        }

    def __str__(self) -> str:
        return f"{self.name:<28} {self.verdict:<16} {self.figure}, {self.figure.twins} twins  {self.reader}"


def state_of(overall: Figure, leaks: Sequence[Leak], cells: Sequence[Cell], limit: float) -> State:
    """Return whether a test is free of leaks, as far as its items can show.

    Cells with too few twins may remain if, even answered completely, they would raise the overall accuracy
    by less than the limit.
    """
    if overall.clips < ENOUGH_CLIPS:
        return "unproven"
    if leaks:
        return "failed"
    few = [cell.figure for cell in cells if cell.verdict == "too few to tell"]
    hidden = sum(figure.items * (1 - figure.chance) for figure in few) / overall.items
    return "met" if hidden < limit and len(few) < len(cells) else "unproven"


def told(cells: Sequence[Cell]) -> str:
    """Return the verdicts in one phrase: `no leak found in 4 of 6 cells; too few to tell: ...`."""
    by: Mapping[Verdict, list[Cell]] = {"leak": [], "no leak found": [], "too few to tell": []}
    for cell in sorted(cells, key=lambda cell: -cell.figure.twins):
        by[cell.verdict].append(cell)
    clean, few = by["no leak found"], by["too few to tell"]
    parts = [f"no leak found in {len(clean)} of {len(cells)} cells"] if clean else []
    if few:
        named = [f"{cell.name} ({cell.figure.twins} twins)" for cell in few[:_NAMED]]
        more = [f"{len(few) - _NAMED} more"] if len(few) > _NAMED else []
        parts.append(f"too few to tell: {', '.join(named + more)}")
    return "; ".join(parts)
