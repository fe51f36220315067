"""How much a model gains over another with frames, and how much of that without seeing anything. Pure.

The headline is a paired difference in differences: what a model gains with frames minus what it gains with grey images, item
by item, with an interval over scenes. What is learned from the text alone, or about the form of a reply, is in both gains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.evaluate.arms import FRAMES
from pipeline.evaluate.arrays import Answers, ItemTable
from pipeline.evaluate.intervals import LEAST_GROUPS, Figure, Floats, Ints, difference
from pipeline.evaluate.scoring import REVERSED, Scored
from pipeline.evaluate.table import points

BLANK, SHUFFLED = "blank", "shuffled"
ARMS = (FRAMES, BLANK, SHUFFLED, REVERSED)
"""What every model is shown."""
LEAST_ITEMS = 30
"""On fewer items, nothing is concluded: the interval of so few rests on a handful of them."""
_WIDE = 0.1  # an interval that reaches further than so many points above 0 excludes no gain worth having

State = Literal[
    "shown", "part", "not shown", "no gain", "few", "unread", "incomplete", "missing", "withheld"
]


@dataclass(frozen=True)
class Change:
    """What a model gains over another in one condition, as differences in accuracy on the same items.

    `by_arm` has the gain in each arm; with frames and with blank images it is of the items that count in `visual`, the
    one minus the other. `order` is the gain with frames minus that with shuffled ones. `if_read` is `visual` if replies
    without a letter were right as often as the others of their cell, or at chance if that is more often: a model that gives no
    letter for grey images is not right about them, but doesn't prove that it sees either.
    """

    model: str
    over: str
    by_arm: Mapping[str, Figure]
    visual: Figure
    order: Figure
    if_read: Figure


def change(
    table: ItemTable,
    model: Sequence[Scored],
    other: Sequence[Scored],
    names: tuple[str, str],
) -> Change:
    """Return what the first model gains over the other; both are scored on the items of the table."""
    one, two = _answers(table, model), _answers(table, other)
    gains = {arm: one[arm].right - two[arm].right for arm in ARMS if arm in one and arm in two}
    read = {arm: _if_read(one[arm]) - _if_read(two[arm]) for arm in gains}
    visual = _minus(gains, BLANK)
    counted = {
        arm: np.where(np.isnan(visual), np.nan, gain)
        if arm in (FRAMES, BLANK) and len(visual)
        else gain
        for arm, gain in gains.items()
    }
    units = table.units
    return Change(
        *names,
        {arm: units.figure(gain, difference) for arm, gain in counted.items()},
        units.figure(visual, _twice) if len(visual) else _NONE,
        units.figure(order, _twice) if len(order := _minus(gains, SHUFFLED)) else _NONE,
        units.figure(_minus(read, BLANK), _twice) if len(visual) else _NONE,
    )


_NONE = Figure(None, None, None, 0, 0, "not measured")


def _answers(table: ItemTable, results: Sequence[Scored]) -> dict[str, Answers]:
    by_arm: dict[str, list[Scored]] = {}
    for one in results:
        by_arm.setdefault(one.arm, []).append(one)
    return {arm: Answers.of(table, some) for arm, some in by_arm.items()}


def _minus(gains: Mapping[str, Floats], arm: str) -> Floats:
    """Return the gain with frames minus that in an arm, (items,); nothing if one of them is missing."""
    if FRAMES not in gains or arm not in gains:
        return np.zeros(0)
    return gains[FRAMES] - gains[arm]


def _twice(values: Floats, groups: Ints) -> Figure:
    """Return the figure of differences of differences, which are from -2 to 2: twice that of their halves."""
    found = difference(values / 2, groups)
    value, low, high = (
        None if one is None else 2 * one for one in (found.value, found.low, found.high)
    )
    return replace(found, value=value, low=low, high=high)


def _if_read(given: Answers) -> Floats:
    """Return how often each item would be right if replies without a letter were as good as the others, (items,)."""
    chance = np.array([1 / len(one.options) for one in given.table.questions])
    known = given.readable[~np.isnan(given.readable)]
    expected = np.maximum(chance, known.mean() if len(known) else 0.0)
    without = given.share(lambda one: one.outcome not in ("right", "wrong"))
    return np.asarray(given.right + without * expected)


# ---- what follows ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What follows from a change of a model: a state, and a sentence with the figures."""

    model: str
    state: State
    sentence: str


_SAYS: Mapping[State, str] = {
    "shown": "The gain of {model} over {over} comes from what the frames show",
    "part": "Part of the gain of {model} over {over} comes from what the frames show, and part is there without seeing",
    "not shown": "It isn't shown that the gain of {model} over {over} comes from what the frames show",
    "no gain": "No gain of {model} over {over} is shown",
    "few": "Too few items to tell whether {model} gains over {over} by what the frames show",
    "unread": "It can't be told whether {model} gains over {over} by what the frames show, because too many replies have no letter",
    "incomplete": "It can't be told yet whether {model} gains over {over} by what the frames show",
    "missing": "It can't be told whether {model} gains over {over} by what the frames show",
    "withheld": "No figures for {model}: the answers are withheld",
}


def verdict(found: Change) -> Verdict:
    """Return what follows from a change with complete results."""
    state = _state(found)
    if state == "missing":
        return without_figures(
            found.model, found.over, "missing", "a part of the results is missing"
        )
    gains = [
        f"{points_alone(found.by_arm[arm])} points with {word}"
        for arm, word in ((FRAMES, "frames"), (BLANK, "grey images"))
    ]
    extra = ""
    if state == "unread":
        extra = f"; were those right as often as the others, it would be {points(found.if_read)}"
    if state == "few" and found.visual.items < LEAST_ITEMS:
        extra = f"; at least {LEAST_ITEMS} items are needed"
    if state == "few" and found.visual.groups < LEAST_GROUPS:
        extra = f"; at least {LEAST_GROUPS} scenes are needed for an interval"
    told = f"{', '.join(gains)}; the difference is {_sure(found.visual)}{extra}"
    return Verdict(found.model, state, f"{_say(state, found.model, found.over)}: {told}.")


def without_figures(model: str, over: str, state: State, why: str) -> Verdict:
    """Return the verdict on a change that has no figures, or none that can stand."""
    return Verdict(model, state, f"{_say(state, model, over)}: {why}.")


def _say(state: State, model: str, over: str) -> str:
    return _SAYS[state].format(model=model, over=f"the {over}" if over == "base" else over)


def _state(found: Change) -> State:
    visual, frames = found.visual, found.by_arm.get(FRAMES)
    if visual.value is None or frames is None or frames.value is None:
        return "missing"
    if visual.items < LEAST_ITEMS or visual.low is None or visual.high is None:
        return "few"
    assert frames.low is not None
    assert frames.high is not None
    if frames.low <= 0:
        return "few" if frames.high > _WIDE else "no gain"
    if visual.low > 0:
        if found.if_read.low is None or found.if_read.low <= 0:
            return "unread"
        blank = found.by_arm[BLANK]
        return "part" if blank.low is not None and blank.low > 0 else "shown"
    # All of the gain, or none of it: both are within the interval.
    return "few" if visual.high >= frames.value else "not shown"


def points_alone(figure: Figure) -> str:
    """Return a difference in points without its unit and interval, such as `+3.1`."""
    return "-" if figure.value is None else f"{100 * figure.value:+.1f}"


def _sure(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        within = f"no interval, {_of(figure)}"
    else:
        within = f"95 % interval {100 * figure.low:+.1f} to {100 * figure.high:+.1f}, {_of(figure)}"
    return f"{points_alone(figure)} points ({within})"


def _of(figure: Figure) -> str:
    scenes = f"{figure.groups} scene{'s' * (figure.groups != 1)}"
    return f"{figure.items} item{'s' * (figure.items != 1)} in {scenes}"
