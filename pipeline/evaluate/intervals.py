"""95 % intervals of means over items that come in groups, and tests of differences. Pure.

Items of a scene are alike, so a group is one observation. The variance is the cluster-robust one with the CR2
correction, and t has the degrees of freedom of Bell and McCaffrey, in closed form for a mean. A share gets
the interval of Wilson, with as many observations as have the same variance, so it stays within 0 to 1 and
has a width where all items are right. Coverage in 3,000 simulated sets each of 10 and 40 unequal groups (mean
size 4 and 20, log-normal with sigma 0.8, correlation within groups 0, .05 and .2), at shares of .25, .5, .9
and .97: 92 to 98 % (2026-11-27). A percentile bootstrap over groups covered 89 % at 10 groups.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, chdtrc, stdtrit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_GROUPS = 10
"""With fewer groups, no interval is given: their spread can't be estimated."""
_LEAST_EFFECT = 0.05  # least design effect, for groups that are all alike: as of 20 repeats
_NORMAL_KURTOSIS = 3.0
_LEAST_DF = 2.0
# Half an item that differs is added to a difference's variance: without it, coverage falls to 75 % where
# 3 % of 40 items in 10 groups differ, and two models that never differ have no interval.
_PSEUDO_ITEMS = 0.5


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over items with its 95 % interval, and how many items and groups it is of.

    Values are None where nothing can be said; `note` gives the reason.
    """

    value: float | None
    low: float | None
    high: float | None
    items: int
    groups: int
    note: str = ""

    def to_json(self) -> dict[str, float | int | str | None]:
        """Return the fields, rounded to four places; no note where there is none."""
        found: dict[str, float | int | str | None] = {
            name: None if value is None else round(value, 4)
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }
        found |= {"items": self.items, "groups": self.groups}
        return found | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        if self.value is None:
            return f"- ({self.note})"
        within = f" [{self.low:.1%}, {self.high:.1%}]" if self.low is not None else ""
        return f"{self.value:.1%}{within}"


@dataclass(frozen=True)
class Bands:
    """Means with their intervals, each (...,), and the degrees of freedom of their variance."""

    value: Floats
    low: Floats
    high: Floats
    df: Floats
    error: Floats  # standard error


def shares(sums: Floats, sizes: Floats) -> Bands:
    """Return shares with intervals from sums and numbers of items by group, (..., groups).

    Values of items are from 0 to 1. Groups of size 0 don't count; at least two must have items.
    """
    value, parts, df = _clustered(sums, sizes)
    total = sizes.sum(-1)
    variance = parts.sum(-1)
    alone = value * (1 - value) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.maximum(variance / alone, _LEAST_EFFECT)
        # Where all items are right, nothing shows how alike a group's items are: a group counts as one.
        number = np.where(alone > 0, total / effect, total**2 / (sizes * sizes).sum(-1))
        # A few groups that hold all the errors are few observations of the variance.
        heavy = _NORMAL_KURTOSIS * variance**2 / (parts * parts).sum(-1) - 1
    df = np.where(variance > 0, np.minimum(df, np.maximum(heavy, _LEAST_DF)), df)
    t = stdtrit(df, 0.975)
    scale = 1 + t**2 / number
    centre = (value + t**2 / (2 * number)) / scale
    width = t / scale * np.sqrt(value * (1 - value) / number + (t / (2 * number)) ** 2)
    low, high = np.maximum(centre - width, 0), np.minimum(centre + width, 1)
    # Rounding must not leave the share itself outside.
    return Bands(value, np.minimum(low, value), np.maximum(high, value), df, np.sqrt(variance))


def differences(sums: Floats, sizes: Floats) -> Bands:
    """Return mean differences with intervals from sums and numbers of items by group, (..., groups).

    Differences of items are from -1 to 1. Groups of size 0 don't count; at least two must have items.
    """
    value, parts, df = _clustered(sums, sizes)
    error = np.sqrt(parts.sum(-1) + _PSEUDO_ITEMS / sizes.sum(-1) ** 2)
    width = stdtrit(df, 0.975) * error
    return Bands(value, np.maximum(value - width, -1), np.minimum(value + width, 1), df, error)


def _clustered(sums: Floats, sizes: Floats) -> tuple[Floats, Floats, Floats]:
    """Return means (...,), each group's part of their CR2 variance (..., groups), and degrees of freedom."""
    total = sizes.sum(-1, keepdims=True)
    value = sums.sum(-1, keepdims=True) / total
    share = sizes / total
    parts = ((sums - value * sizes) / total) ** 2 / (1 - share)
    leverage = share**2 / (1 - share)
    df = 1 / ((share**2).sum(-1) + leverage.sum(-1) ** 2 - (leverage**2).sum(-1))
    return value[..., 0], parts, df


def share(values: Floats, groups: Ints) -> Figure:
    """Return the mean of values from 0 to 1 with its interval; `groups` are codes from 0, (items,) each."""
    return _figure(values, groups, shares)


def difference(values: Floats, groups: Ints) -> Figure:
    """Return the mean of paired differences with its interval; `groups` are codes from 0, (items,) each."""
    return _figure(values, groups, differences)


def _figure(values: Floats, groups: Ints, bands: Any) -> Figure:
    if not len(values):
        return Figure(None, None, None, 0, 0, "no items")
    sizes = np.bincount(groups).astype(np.float64)
    sums = np.bincount(groups, values)[sizes > 0]
    sizes = sizes[sizes > 0]
    count = len(sizes)
    if count < LEAST_GROUPS:
        note = f"no interval: {count} {'group' if count == 1 else 'groups'}, needs {LEAST_GROUPS}"
        return Figure(float(values.mean()), None, None, len(values), count, note)
    found = bands(sums, sizes)
    return Figure(float(found.value), float(found.low), float(found.high), len(values), count)


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided p of at least as uneven a split if wins and losses were equally likely.

    Items count as independent, so with groups it is too small; the interval of the difference is not.
    """
    number = wins + losses
    return min(1.0, 2 * float(bdtr(min(wins, losses), number, 0.5))) if number else 1.0


def goodness(observed: Iterable[float], expected: Iterable[float]) -> float:
    """Return the p of Pearson's chi-square test of counts against expected counts with the same sum."""
    pairs = [(o, e) for o, e in zip(observed, expected, strict=True) if o or e]
    if any(not e for _, e in pairs):
        return 0.0
    statistic = sum((o - e) ** 2 / e for o, e in pairs)
    return float(chdtrc(len(pairs) - 1, statistic)) if len(pairs) > 1 else 1.0
