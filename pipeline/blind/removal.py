"""How many items remain without those that can be guessed, and what a reader gets on these. Pure.

A reader that chooses what to remove by answers it knows proves nothing: what is left is what it gets wrong.
So a reader fitted on one half of the scenes decides on the other half, where it never sees an answer: the
items that it is most certain about go, whether it is right or wrong. Then it is fitted anew.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.blind.cells import ENOUGH_CLIPS
from pipeline.blind.learners import features_of, learned_scores
from pipeline.blind.probe import Probed
from pipeline.blind.sheet import FOLDS, Bools, Figure, Floats, OptionTable, lay_out


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
        return (
            f"{self.kept} of {self.items} items remain without those that can be guessed; a reader "
            f"fitted anew gets {self.figure or 'nothing to measure: too few remain'}"
        )


def remaining(probed: Probed, limit: float) -> Remaining | None:
    """Return what remains if each half loses the fewest items that bring its reader within half of `limit`.

    Returns None if there are too few clips, or one half has none.
    """
    from sklearn.isotonic import IsotonicRegression

    sheet = probed.sheet
    if len(sheet.clips) < ENOUGH_CLIPS or len(set(sheet.half.tolist())) < 2:
        return None
    scores = np.zeros(len(sheet.texts))
    for half in (0, 1):
        parts = np.where(sheet.half == half, FOLDS, sheet.fold)
        scores += learned_scores(sheet, probed.features, parts, (FOLDS,)).scores
    certain = np.maximum.reduceat(scores / 2, sheet.first) - sheet.chance
    surplus = sheet.hits(scores) - sheet.chance
    kept = np.zeros(len(sheet.items), bool)
    for half in (0, 1):
        # What a certainty is worth shows on the other half, whose answers decide about nothing here.
        own, other = sheet.half == half, sheet.half != half
        worth = IsotonicRegression(out_of_bounds="clip").fit(certain[other], surplus[other])
        kept |= _least_certain(certain, worth.predict(certain), own, limit / 2)
    removed = tuple(
        item.id for item, keep in zip(sheet.items, kept.tolist(), strict=True) if not keep
    )
    return Remaining(len(sheet.items), removed, _measured(sheet, kept))


def _least_certain(certain: Floats, worth: Floats, within: Bools, limit: float) -> Bools:
    """Return the most items whose mean worth is at most the limit, from the least certain on."""
    places = np.flatnonzero(within)
    order = places[np.argsort(certain[places], kind="stable")]
    fits = np.flatnonzero(np.cumsum(worth[order]) <= limit * np.arange(1, len(order) + 1))
    found = np.zeros(len(certain), bool)
    found[order[: fits[-1] + 1 if len(fits) else 0]] = True
    return found


def _measured(sheet: OptionTable, kept: Bools) -> Figure | None:
    """Return what a reader gets that is fitted anew to other scenes of the same half."""
    everything = lay_out([sheet.items[at] for at in np.flatnonzero(kept)], sheet.seed)
    if len(everything.clips) < ENOUGH_CLIPS:
        return None
    half, hits = sheet.half[kept], np.zeros(int(kept.sum()))
    for one in (0, 1):
        items = [everything.items[at] for at in np.flatnonzero(half == one)]
        if items:
            table = lay_out(items, sheet.seed)
            hits[half == one] = table.hits(learned_scores(table, features_of(table)).scores)
    return everything.figure(hits)
