"""What follows from gains: planted ones are told apart, and the intervals of their difference cover it."""

import numpy as np
import pytest
from scripted_answers import predicted, question

from pipeline.evaluate.arrays import ItemTable
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Scored, scored
from pipeline.proof.gain import Change, State, change, verdict

SCENES, EACH = 30, 6


def results(
    table: ItemTable, draw: np.random.Generator, sure: dict[str, float], unread: dict[str, float]
) -> list[Scored]:
    """Return answers in both arms: right with these probabilities, easier in some scenes, without a letter in a share."""
    ease = draw.uniform(-0.15, 0.15, SCENES)
    made: list[Prediction] = []
    for arm, known in sure.items():
        for place, one in enumerate(table.questions):
            if draw.random() < unread.get(arm, 0):
                made.append(predicted(one.id, None, arm=arm))
                continue
            right = draw.random() < known + ease[place // EACH]
            letter = "A" if right else draw.choice(["B", "C", "D"])
            made.append(predicted(one.id, str(letter), arm=arm))
    return scored(table.questions, made)


def items(scenes: int = SCENES, each: int = EACH) -> ItemTable:
    return ItemTable.of(
        [
            question(f"q{scene}-{number}", split_group=f"g{scene}")
            for scene in range(scenes)
            for number in range(each)
        ]
    )


def changed(
    seed: int,
    model: dict[str, float],
    base: dict[str, float],
    table: ItemTable | None = None,
    unread: dict[str, float] | None = None,
) -> Change:
    draw, table = np.random.default_rng(seed), table or items()
    trained, other = results(table, draw, model, unread or {}), results(table, draw, base, {})
    return change(table, trained, other, ("SFT", "base"))


BASE = {"frames": 0.4, "blank": 0.35}
SEER, BLIND, BOTH = (
    {"frames": frames, "blank": blank} for frames, blank in ((0.8, 0.35), (0.8, 0.75), (0.85, 0.55))
)


@pytest.mark.parametrize(("model", "true"), [(SEER, 0.4), (BLIND, 0.0), (BOTH, 0.25)])
def test_intervals_of_the_difference_cover_it(model: dict[str, float], true: float) -> None:
    found = [changed(seed, model, BASE).visual for seed in range(120)]
    inside = sum((one.low or 0) <= true <= (one.high or 0) for one in found)
    assert 107 <= inside <= 120  # 95 % of 120 is 114
    assert abs(np.mean([one.value for one in found]) - true) < 0.02


@pytest.mark.parametrize(
    ("model", "states"),
    [(SEER, {"shown"}), (BLIND, {"not shown"}), (BOTH, {"part"}), (BASE, {"no gain", "few"})],
)
def test_planted_gains_are_told_apart(model: dict[str, float], states: set[State]) -> None:
    found = [verdict(changed(seed, model, BASE)).state for seed in range(40)]
    assert sum(one in states for one in found) >= 34, found


def test_gains_with_frames_and_grey_images_add_up_to_the_difference() -> None:
    table = items()
    draw = np.random.default_rng(1)
    trained = results(table, draw, SEER, {})
    base = [one for one in results(table, draw, BASE, {}) if draw.random() < 0.9]  # some failed
    found = change(table, trained, base, ("SFT", "base"))
    frames, blank = (found.by_arm[arm] for arm in ("frames", "blank"))
    assert frames.items == blank.items == found.visual.items < len(table.questions)
    assert found.visual.value == pytest.approx((frames.value or 0) - (blank.value or 0))


def test_a_difference_of_differences_may_be_more_than_one() -> None:
    swapped = changed(0, {"frames": 1.2, "blank": -0.2}, {"frames": -0.2, "blank": 1.2}).visual
    assert swapped.value == 2
    assert swapped.low is not None
    assert 1.9 < swapped.low < 2


def test_silence_about_grey_images_is_no_sight() -> None:
    # A model that knows the answers from the text, but says nothing about grey images.
    unread = {"blank": 0.9}
    found = verdict(changed(3, BLIND, BASE, unread=unread))
    assert found.state == "unread"
    assert "right as often as the others" in found.sentence
    # One that sees, and is as silent, has proved it all the same.
    assert verdict(changed(3, SEER, BASE, unread=unread)).state == "shown"


def test_few_scenes_and_few_items_tell_nothing() -> None:
    scenes = verdict(changed(0, SEER, BASE, items(9, 6)))
    assert scenes.state == "few"
    assert "at least 10 scenes are needed" in scenes.sentence
    some = verdict(changed(0, SEER, BASE, items(28, 1)))
    assert some.state == "few"
    assert "at least 30 items are needed" in some.sentence


def test_an_interval_that_holds_all_and_none_of_a_gain_tells_nothing() -> None:
    def figure(value: float, half: float) -> Figure:
        return Figure(value, value - half, value + half, 100, 20)

    def state(frames: Figure, blank: Figure, visual: Figure) -> State:
        gains = {"frames": frames, "blank": blank}
        return verdict(Change("SFT", "base", gains, visual, visual, visual)).state

    assert state(figure(0.3, 0.1), figure(0.2, 0.15), figure(0.1, 0.25)) == "few"
    assert state(figure(0.3, 0.1), figure(0.25, 0.1), figure(0.05, 0.1)) == "not shown"
    assert state(figure(0.02, 0.3), figure(0.0, 0.3), figure(0.02, 0.3)) == "few"
    # Worse with grey images alone is no gain.
    assert state(figure(0.0, 0.05), figure(-0.4, 0.1), figure(0.4, 0.1)) == "no gain"


def test_a_missing_arm_tells_nothing() -> None:
    table = items(12)
    draw = np.random.default_rng(0)
    trained = results(table, draw, {"frames": 0.9}, {})
    found = verdict(change(table, trained, results(table, draw, BASE, {}), ("SFT", "base")))
    assert found.state == "missing"
