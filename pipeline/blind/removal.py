"""How many items remain without those that can be guessed, and what a reader gets on these. Pure.

A reader that chooses what to remove by answers it knows proves nothing: what is left is what it gets wrong.
So a reader fitted on one half of the scenes decides on the other half, where it never sees an answer: the
items that it is most certain about go, whether it is right or wrong. Then it is fitted anew.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.blind.cells import ENOUGH_CLIPS
from pipeline.blind.learners import Features, learned_scores
from pipeline.blind.probe import Probed
from pipeline.blind.sheet import FOLDS, Bools, Figure, Floats, Ints, OptionTable

# What is removed uncovers weaker leaks: in items of which 60 % leak, one round leaves the reader at 37 %.
_ROUNDS = 3


@dataclass(frozen=True)
class Remaining:
    """What remains of `items` items, and what a reader that is fitted anew gets on it, if enough remain."""

    items: int
    removed: tuple[str, ...]
    figure: Figure | None

    @property
    def kept(self) -> int:
        """How many items remain."""
        return self.items - len(self.removed)

    def to_json(self) -> dict[str, object]:
        """Return the fields as plain values."""
        return {
            "items": self.kept,
            "of": self.items,
            "figure": self.figure.to_json() if self.figure else None,
            "removed": list(self.removed),
        }

    def __str__(self) -> str:
        measured = f"gets {self.figure}" if self.figure else "can't be measured: too few remain"
        return (
            f"{self.kept} of {self.items} items remain without those that can be guessed; "
            f"a reader fitted anew {measured}"
        )


def remaining(probed: Probed, limit: float) -> Remaining | None:
    """Return what remains once no reader that knows the other half is certain of an item.

    A certainty counts if it is worth more than twice the limit, or all together more than half of it.
    Returns None if there are too few clips, or one half has none.
    """
    sheet = probed.sheet
    if len(sheet.clips) < ENOUGH_CLIPS or len(set(sheet.half.tolist())) < 2:
        return None
    kept: Ints = np.arange(len(sheet.items))
    # Who knows half of the items knows less than the learned probe: where that gains nothing, nothing goes.
    gains = probed.report.learned.overall.excess > _noise(sheet, limit)
    for _ in range(_ROUNDS if gains else 0):
        staying = _stay(*_only(sheet, probed.features, kept), limit)
        kept = kept[staying]
        if staying.all() or len({sheet.items[at].clip for at in kept}) < ENOUGH_CLIPS:
            break
    if len(kept) == len(sheet.items):  # then the probe's own figure is that of a reader fitted anew
        return Remaining(len(sheet.items), (), probed.report.learned.overall)
    left = set(kept.tolist())
    removed = tuple(item.id for at, item in enumerate(sheet.items) if at not in left)
    return Remaining(len(sheet.items), removed, _measured(*_only(sheet, probed.features, kept)))


def _noise(sheet: OptionTable, limit: float) -> float:
    """Return how far above chance a reader's accuracy may be for nothing to be removed."""
    spread = float(np.sqrt((sheet.chance * (1 - sheet.chance)).sum()))
    return limit / 2 + spread / len(sheet.items)


def _only(sheet: OptionTable, features: Features, kept: Ints) -> tuple[OptionTable, Features]:
    """Return a part of the items with their folds and halves, and their features."""
    rows = np.isin(sheet.item_of, kept)
    part = replace(
        sheet,
        items=tuple(sheet.items[at] for at in kept),
        fold=sheet.fold[kept],
        half=sheet.half[kept],
    )
    return part, replace(
        features, text=features.text[rows], cues=features.cues[rows], bags=features.bags[rows]
    )


def _stay(sheet: OptionTable, features: Features, limit: float) -> Bools:
    """Return which items remain, (items,), by readers that know the other half."""
    from sklearn.isotonic import IsotonicRegression

    found = np.zeros(len(sheet.items), bool)
    halves = [sheet.half == half for half in (0, 1)]
    if not all(half.any() for half in halves):
        return ~found
    scores = np.zeros(len(sheet.texts))
    for own in halves:
        parts = np.where(own, FOLDS, sheet.fold)
        scores += learned_scores(sheet, features, parts, (FOLDS,)).scores
    certain = np.maximum.reduceat(scores / 2, sheet.first) - sheet.chance
    surplus, mean = sheet.hits(scores) - sheet.chance, _noise(sheet, limit)
    if surplus.mean() <= mean:
        return ~found
    for own in halves:
        # What a certainty is worth shows on the other half, whose answers decide about nothing here.
        worth = IsotonicRegression(out_of_bounds="clip").fit(certain[~own], surplus[~own])
        found |= _least_certain(certain, worth.predict(certain), own, mean, 2 * limit)
    return found


def _least_certain(
    certain: Floats, worth: Floats, within: Bools, mean: float, most: float
) -> Bools:
    """Return the least certain items, as many as have a mean worth up to `mean` and are each worth `most`."""
    places = np.flatnonzero(within)
    order = places[np.argsort(certain[places], kind="stable")]
    means = np.cumsum(worth[order]) / np.arange(1, len(order) + 1)
    fits = np.flatnonzero((means <= mean) & (worth[order] <= most))
    found = np.zeros(len(certain), bool)
    found[order[: fits[-1] + 1 if len(fits) else 0]] = True
    return found


def _measured(sheet: OptionTable, features: Features) -> Figure | None:
    """Return what a reader gets that is fitted anew, to other scenes of the same half."""
    if len(sheet.clips) < ENOUGH_CLIPS:
        return None
    hits = np.zeros(len(sheet.items))
    for half in sorted(set(sheet.half.tolist())):
        own = np.flatnonzero(sheet.half == half)
        table, seen = _only(sheet, features, own)
        hits[own] = table.hits(learned_scores(table, seen).scores)
    return sheet.figure(hits)
