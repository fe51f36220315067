"""What figures are of: units such as items, pairs or facts, with their groups and their cells. Pure.

A cell is a part of the items with something in common, such as those of one task. For withheld splits no
figure is of fewer than `least` items, none can be computed from the others of its dimension, and all are rounded.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.evaluate.intervals import Figure, Floats, Ints, share
from pipeline.evaluate.scoring import Question

Parts = Mapping[str, Mapping[str, Figure]]
"""Figures by dimension and cell: `{"all": {"all": …}, "task": {"direction_forward": …, …}, …}`."""

LEAST_WITHHELD = 30
ALL = "all"
_SPAN_SECONDS = (10, 20, 30, 60)
_MANY_TURNS = 6
_NONE = -1  # the code of a unit that is in no cell of a dimension


@dataclass(frozen=True)
class Dimension:
    """One way of dividing units into cells; `codes` (units,) are places in `labels`, or -1."""

    labels: tuple[str, ...]
    codes: Ints


@dataclass(frozen=True)
class Units:
    """What a figure is of, with the group of each (units,), and the dimensions by name."""

    groups: Ints
    dimensions: Mapping[str, Dimension]
    least: int = 0

    def figures(self, values: Floats, of: Callable[[Floats, Ints], Figure] = share) -> Parts:
        """Return the figure of all units and of each cell; units with the value nan are left out."""
        known = ~np.isnan(values)
        found = {ALL: {ALL: self._figure(values, known, of)}}
        for name, dimension in self.dimensions.items():
            cells = {
                label: known & (dimension.codes == code)
                for code, label in enumerate(dimension.labels)
            }
            hidden = self._hidden({label: int(cell.sum()) for label, cell in cells.items()})
            found[name] = {
                label: self._figure(values, cell, of, hide=label in hidden)
                for label, cell in cells.items()
                if cell.any()
            }
        return {name: cells for name, cells in found.items() if cells}

    def figure(self, values: Floats, of: Callable[[Floats, Ints], Figure] = share) -> Figure:
        """Return the figure of all units whose value isn't nan."""
        return self._figure(values, ~np.isnan(values), of)

    def enough(self, count: int) -> bool:
        """Return whether a figure of this many units may be shown."""
        return count >= self.least

    def taken(self, places: Ints, named: str = "", labels: Sequence[str] = ()) -> "Units":
        """Return the units at these places, (other units,), with the dimension `named` added by `labels`."""
        dimensions = {
            name: Dimension(one.labels, one.codes[places]) for name, one in self.dimensions.items()
        }
        added = {named: _dimension(labels)} if named else {}
        return Units(self.groups[places], dimensions | added, self.least)

    def both(self, one: Ints, other: Ints) -> "Units":
        """Return pairs of units, in the cells that both members are in."""
        dimensions = {
            name: Dimension(
                known.labels,
                np.where(known.codes[one] == known.codes[other], known.codes[one], _NONE),
            )
            for name, known in self.dimensions.items()
        }
        return Units(self.groups[one], dimensions, self.least)

    def _figure(
        self,
        values: Floats,
        cell: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]",
        of: Callable[[Floats, Ints], Figure],
        *,
        hide: bool = False,
    ) -> Figure:
        if hide or not self.enough(int(cell.sum())):
            return Figure(None, None, None, 0, 0, f"withheld: shown from {self.least} items on")
        found = of(values[cell], self.groups[cell])
        value, low, high = (
            one if one is None else self.rounded(one)
            for one in (found.value, found.low, found.high)
        )
        return replace(found, value=value, low=low, high=high)

    def rounded(self, value: float) -> float:
        """Return a value as it may be shown: of withheld items, to a hundredth.

        More digits would tell from two scorings whether a single changed letter is right.
        """
        return round(value, 2) if self.least else value

    def _hidden(self, counts: Mapping[str, int]) -> set[str]:
        """Return the cells that are too small to show, or whose figure would give away one that is."""
        hidden = {label for label, count in counts.items() if 0 < count < self.least}
        shown = sorted((label for label in counts if label not in hidden), key=counts.__getitem__)
        for label in shown:
            if not 0 < sum(counts[one] for one in hidden) < self.least:
                break
            if counts[label]:
                hidden.add(label)
        return hidden


def units_of(questions: Sequence[Question], least: int = 0) -> Units:
    """Return items as units, with their groups and all dimensions that have cells."""
    dimensions = {
        "task": _dimension(one.task for one in questions),
        "category": _dimension(one.category for one in questions),
        "orientation": _dimension(one.orientation for one in questions),
        "contrast": _dimension(one.contrast for one in questions),
        "split": _dimension(one.split for one in questions),
        "turns": _dimension(_turns(one.turns) for one in questions),
        "span": _dimension(_length(one.seconds) for one in questions),
    }
    groups = codes_of(one.split_group for one in questions)
    return Units(groups, {name: one for name, one in dimensions.items() if one.labels}, least)


def _dimension(labels: Iterable[str | None]) -> Dimension:
    """Return the dimension of these labels, one for each unit; None is no cell."""
    given = list(labels)
    known = tuple(sorted({label for label in given if label is not None}, key=_in_order))
    place = {label: code for code, label in enumerate(known)}
    codes = (_NONE if label is None else place[label] for label in given)
    return Dimension(known, np.fromiter(codes, np.int64, len(given)))


def _in_order(label: str) -> tuple[int, str]:
    """Sort labels that begin with a number by it."""
    number = label.partition(" ")[0].rstrip("+")
    return (int(number) if number.isdecimal() else -1, label)


def codes_of(values: Iterable[Hashable]) -> Ints:
    """Return a code from 0 for each value, the same for equal ones."""
    place: dict[Hashable, int] = {}
    return np.array([place.setdefault(value, len(place)) for value in values], np.int64)


def _turns(count: int | None) -> str | None:
    if count is None:
        return None
    return f"{_MANY_TURNS}+ turns" if count >= _MANY_TURNS else f"{count} turn{'s' * (count != 1)}"


def _length(seconds: float) -> str:
    place = bisect_right(_SPAN_SECONDS, seconds)
    if place == len(_SPAN_SECONDS):
        return f"{_SPAN_SECONDS[-1]}+ s"
    return f"{(0, *_SPAN_SECONDS)[place]} to {_SPAN_SECONDS[place]} s"
