"""What readers get right: the best strategy of each, chosen on one half and measured on the other. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.blind import null
from pipeline.blind.null import COUPLED
from pipeline.blind.sheet import (
    MOST_STRATA,
    Bools,
    Figure,
    Floats,
    OptionTable,
    ProbeItem,
    Strategy,
)

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
class Tried:
    """A reader: what each of its strategies gets right, arrays of (strategies, items)."""

    sheet: OptionTable
    name: str
    how: str
    names: tuple[str, ...]
    hits: Floats
    own: Floats  # trained without the half of the scenes on which the strategy is measured
    kept: tuple[Strategy, ...] = ()  # some of the strategies, to be tried on other truths

    @property
    def coupled(self) -> bool:
        """Whether what is true in each half of the items decides how the other half is answered."""
        return len(self.names) > 1 or any(one.half_scores is not None for one in self.kept)


def tried_out(sheet: OptionTable, name: str, how: str, strategies: Iterable[Strategy]) -> Tried:
    """Answer the items by each strategy of a reader."""
    names: list[str] = []
    hits, own, kept = [], [], []
    for one in strategies:
        if len(names) % _KEPT == 0:
            kept.append(one)
        names.append(one.name)
        hits.append(sheet.hits(one.scores))
        own.append(hits[-1] if one.half_scores is None else sheet.hits(one.half_scores))
    if not hits:
        return single(sheet, name, how, np.zeros(len(sheet.texts)), "no strategy applies")
    return Tried(sheet, name, how, tuple(names), np.array(hits), np.array(own), tuple(kept))


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
        tuple(kept for one in readers for kept in one.kept),
    )


def measure(tried: Tried, spread: Mapping[str, float] | None = None) -> AttackResult:
    """Return the accuracy of a reader's best strategy, chosen on one half and measured on the other.

    `spread` is what truths drawn anew show, overall ("") and within strata; without it, the largest that
    the coupling of the halves can make of the error is assumed.
    """
    sheet = tried.sheet
    masks: dict[str, Bools] = {"": np.ones(len(sheet.items), bool)} | dict(strata_of(sheet))
    figures, best = {}, {}
    for where, mask in masks.items():
        hits, chosen = cross_chosen(tried, mask)
        figure = sheet.figure(hits, mask)
        if spread is not None and where in spread:
            figure = figure.less_certain(spread[where])
        elif tried.coupled:
            figure = figure.less_certain(COUPLED * figure.error)
        figures[where], best[where] = figure, called(tried, chosen)
    how = f"{tried.how}; best: {best['']}" if len(tried.names) > 1 else tried.how
    return AttackResult(tried.name, how, figures.pop(""), figures, best, len(tried.names))


def spread(tried: Tried) -> Mapping[str, float]:
    """Return the spread of the best strategy if truths are drawn anew, overall ("") and in each cell."""
    masks: dict[str, Bools] = {"": np.ones(len(tried.sheet.items), bool)}
    masks |= {f"cell={name}": mask for name, mask in tried.sheet.cells.items()}
    return null.spreads(tried.sheet, tried.kept, masks)


def called(tried: Tried, chosen: Sequence[int]) -> str:
    """Return the names of the strategies that were chosen."""
    return " / ".join(dict.fromkeys(tried.names[index] for index in chosen))


def cross_chosen(tried: Tried, mask: Bools) -> tuple[Floats, list[int]]:
    """Return the hits of the strategies that are best on the other half of the items, and which these are."""
    return null.cross_chosen(tried.sheet, tried.hits, tried.own, mask)


def strata_of(sheet: OptionTable) -> Iterator[tuple[str, Bools]]:
    """Yield the tasks, kinds of options and cells, each with the items that belong to it."""
    for name, value_of in _STRATA.items():
        values = np.array([value_of(item) for item in sheet.items])
        often = Counter(values.tolist()).most_common(MOST_STRATA)
        for value in sorted({value for value, _ in often} - {""}):
            yield f"{name}={value}", values == value
    for value, within in sheet.cells.items():
        yield f"cell={value}", within
