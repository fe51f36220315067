"""What readers get right: the best strategy of each, chosen on one half and measured on the other. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.blind.sheet import (
    MOST_STRATA,
    Bools,
    Figure,
    Floats,
    OptionTable,
    ProbeItem,
    Strategy,
)

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
class Tried:
    """A reader: what each of its strategies gets right, arrays of (strategies, items)."""

    sheet: OptionTable
    name: str
    how: str
    names: tuple[str, ...]
    hits: Floats
    own: Floats  # trained without the half of the scenes on which the strategy is measured


def tried_out(sheet: OptionTable, name: str, how: str, strategies: Iterable[Strategy]) -> Tried:
    """Answer the items by each strategy of a reader."""
    names, hits, own = [], [], []
    for one in strategies:
        names.append(one.name)
        hits.append(sheet.hits(one.scores))
        own.append(hits[-1] if one.half_scores is None else sheet.hits(one.half_scores))
    if not hits:
        return single(sheet, name, how, np.zeros(len(sheet.texts)), "no strategy applies")
    return Tried(sheet, name, how, tuple(names), np.array(hits), np.array(own))


def single(sheet: OptionTable, name: str, how: str, scores: Floats, called: str = "") -> Tried:
    """Answer the items by a reader that has a single strategy."""
    return tried_out(sheet, name, how, [Strategy(called or name, scores)])


def pooled(readers: Sequence[Tried]) -> Tried:
    """Return all strategies of all readers as those of one."""
    return Tried(
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
    )


def measure(tried: Tried) -> AttackResult:
    """Return the accuracy of a reader's best strategy, chosen on one half and measured on the other."""
    sheet = tried.sheet
    overall, chosen = cross_chosen(tried, np.ones(len(sheet.items), bool))
    within, best = {}, {"": called(tried, chosen)}
    for where, mask in strata_of(sheet):
        hits, chosen = cross_chosen(tried, mask)
        within[where], best[where] = sheet.figure(hits, mask), called(tried, chosen)
    how = f"{tried.how}; best: {best['']}" if len(tried.names) > 1 else tried.how
    return AttackResult(tried.name, how, sheet.figure(overall), within, best, len(tried.names))


def called(tried: Tried, chosen: Sequence[int]) -> str:
    """Return the names of the strategies that were chosen."""
    return " / ".join(dict.fromkeys(tried.names[index] for index in chosen))


def cross_chosen(tried: Tried, mask: Bools) -> tuple[Floats, list[int]]:
    """Choose the best strategy on each half of the items and measure it on the other half.

    Returns the hits, (items,), 0 outside of the mask, and the strategy measured on each half.
    """
    result, chosen = np.zeros(len(mask)), []
    for half in (0, 1):
        measured, other = mask & (tried.sheet.half == half), mask & (tried.sheet.half != half)
        best = int(tried.own[:, other].mean(axis=1).argmax()) if other.any() else 0
        result[measured] = tried.hits[best, measured]
        chosen.append(best)
    return result, chosen


def strata_of(sheet: OptionTable) -> Iterator[tuple[str, Bools]]:
    """Yield the tasks, kinds of options and cells, each with the items that belong to it."""
    for name, value_of in _STRATA.items():
        values = np.array([value_of(item) for item in sheet.items])
        often = Counter(values.tolist()).most_common(MOST_STRATA)
        for value in sorted({value for value, _ in often} - {""}):
            yield f"{name}={value}", values == value
    for value, within in sheet.cells.items():
        yield f"cell={value}", within
