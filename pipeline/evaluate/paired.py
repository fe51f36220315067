"""What arms differ in on the same items: gains, agreement, reversed frames, rotated options. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pipeline.evaluate.arrays import Answers, ItemTable
from pipeline.evaluate.cells import Parts
from pipeline.evaluate.intervals import Figure, difference
from pipeline.evaluate.scoring import REVERSED

_ROTATIONS = ("frames", "rotate-1", "rotate-2", "rotate-3")
_GAINS = (
    ("frames", "blind", "what the frames add to the text"),
    ("frames", "blank", "what the frames' content adds to grey frames at the same times"),
    ("blank", "blind", "what grey frames change, which show nothing"),
    ("frames", "one", "what the frames add to a single one"),
    ("frames", "shuffled", "what the order of the frames adds"),
    ("video", "frames", "what a clip adds to the frames"),
)
_FEWER = re.compile(r"frames-(\d+)")


@dataclass(frozen=True)
class Gain:
    """The difference in accuracy of two arms on the items that both have, and what it measures."""

    arm: str
    over: str
    measures: str
    parts: Parts


@dataclass(frozen=True)
class Agreement:
    """The share of items with the same answer in two arms, of those with a readable reply in both."""

    arm: str
    other: str
    same: Figure


@dataclass(frozen=True)
class Reversed:
    """What was answered to reversed frames, of items whose answer they change to another option.

    `follows` is the share with the option that is true of the reversed frames, `keeps` with that of the
    frames in order. `before` is how often the first is chosen for frames in order: a model that doesn't see
    order has the same share in both, so `gain`, the difference on the same items, is 0. `unchanged` items
    have the same answer either way; `left_out` items ask about facts that reversed frames don't show, and
    are not in that arm.
    """

    follows: Parts
    keeps: Parts
    before: Figure
    gain: Figure
    unchanged: int
    left_out: int


def gains(table: ItemTable, answers: Mapping[str, Answers]) -> Iterator[Gain]:
    """Yield what each arm measures, by comparison with another arm that was asked, too."""
    fewer = sorted((int(found[1]), arm) for arm in answers if (found := _FEWER.fullmatch(arm)))
    counts = [("frames", arm, f"what all frames add to {number} of them") for number, arm in fewer]
    for arm, over, measures in (*_GAINS, *counts):
        if arm in answers and over in answers:
            change = answers[arm].right - answers[over].right
            yield Gain(arm, over, measures, table.units.figures(change, difference))


def agreements(table: ItemTable, answers: Mapping[str, Answers]) -> Iterator[Agreement]:
    """Yield how often two arms have the same answer in the first repeat."""
    for one, other in combinations(answers, 2):
        first, second = answers[one].letter, answers[other].letter
        same = np.where((first >= 0) & (second >= 0), first == second, np.nan)
        yield Agreement(one, other, table.units.figure(same))


def reversal(table: ItemTable, answers: Mapping[str, Answers]) -> Reversed | None:
    """Return what was answered to reversed frames; None if they weren't shown or nothing is known of facts."""
    given = answers.get(REVERSED)
    if given is None or not len(table.fact_item):
        return None
    true = [question.option_true_of("rewound") for question in table.questions]
    other = np.array([-1 if place is None else place for place in true])
    flips = (other >= 0) & (other != table.answer)
    # A reply that can't be read follows nothing; a failed one is missing.
    follows = np.where(flips, given.share_of(other), np.nan)
    keeps = np.where(flips, given.share_of(table.answer), np.nan)
    frames = answers.get("frames")
    before = np.where(flips, frames.share_of(other) if frames else np.nan, np.nan)
    return Reversed(
        table.units.figures(follows),
        table.units.figures(keeps),
        table.units.figure(before),
        table.units.figure(follows - before, difference),
        unchanged=int((other == table.answer).sum()),
        left_out=int((other < 0).sum()),
    )


def rotated(table: ItemTable, answers: Mapping[str, Answers]) -> Parts:
    """Return how often an item is right in all four rotations of its options.

    Repeats of one rotation are combined with every repeat of the others.
    """
    if not all(arm in answers for arm in _ROTATIONS):
        return {}
    return table.units.figures(np.prod([answers[arm].right for arm in _ROTATIONS], axis=0))
