"""Replies read again, and why each was read as it was."""

from typing import Any

import pytest

from pipeline.evaluate.arms import ARMS, order_of, shown
from pipeline.evaluate.ground import ground
from pipeline.evaluate.recheck import differences, reread
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question

OPTIONS = ["left, then right", "right, then left", "left twice", "right twice"]
ASKED = Question(
    id="i_1",
    split="test",
    task="direction_forward",
    category="direction",
    orientation="forward",
    contrast="turn",
    split_group="g",
    video="v",
    question="Which?",
    options=tuple(OPTIONS),
    answer="A",
    frames=(),
    frame_seconds=(),
    seconds=20.0,
)


def prediction(reply: str | None, arm: str = "frames", **fields: Any) -> Prediction:
    given = {"letter": None, "outcome": "unreadable", "finish": "stop"}
    return Prediction(id="i_1", arm=arm, reply=reply, **(given | fields))


@pytest.mark.parametrize(
    ("one", "letter", "outcome"),
    [
        (prediction("<answer>C</answer>"), "C", "answered"),
        (prediction("<answer>C</answer>", letter="A", outcome="answered"), "C", "answered"),
        (prediction("no idea", letter="A", outcome="answered"), None, "unreadable"),
        (prediction(None, letter="A", outcome="answered"), None, "unreadable"),
        (prediction("<answer>B</answer>", outcome="failed"), "B", "answered"),
        (prediction(None, outcome="failed", error="timed out"), None, "failed"),
        (prediction("so it is", finish="length"), None, "truncated"),
        (prediction("", finish="content_filter"), None, "refused"),
        (prediction("<answer>A</answer>", "rotate-1"), "B", "answered"),
        (prediction("<answer>D</answer>", "rotate-1"), "A", "answered"),
        (prediction("left twice", "rotate-3"), "C", "answered"),
        (prediction("", reasoning="hm <answer>B</answer>"), "B", "answered"),
    ],
)
def test_a_reply_decides_whatever_was_stored(
    one: Prediction, letter: str | None, outcome: str
) -> None:
    again = reread(one, ASKED)
    assert (again.letter, again.outcome) == (letter, outcome)


def test_the_order_of_options_is_that_in_which_an_arm_shows_them() -> None:
    for arm in ARMS:
        for name, one in shown(arm, "i_1", [float(at) for at in range(40)], 4):
            assert order_of(name, 4) == one.order


@pytest.mark.parametrize(
    ("one", "letter", "marked", "told"),
    [
        (prediction("A?\n<answer>C</answer> ok"), "C", "<answer>C</answer>", "tags"),
        (prediction("<answer>A</answer> no <answer>C</answer>"), "C", "<answer>C</answer>", "tags"),
        (prediction("$\\boxed{B}$"), "B", "\\boxed{B}", "box"),
        (prediction("It turns.\n\nAnswer: D\n"), "D", "Answer: D", "line"),
        (prediction("\U0001f600 **B**"), "B", "\U0001f600 **B**", "line"),
        (prediction("I see a wall"), None, "", "no statement"),
        (prediction(" "), None, "", "empty"),
        (prediction("", outcome="failed"), None, "", "missing data"),
        (prediction("", outcome="truncated", finish="length"), None, "", "length"),
        (prediction("I can't help.", outcome="refused"), None, "", "declines"),
        (prediction("", outcome="refused", refusal="policy"), None, "", "flagged"),
        (prediction("", reasoning="<answer>B</answer>"), "B", "", "reasoning field"),
    ],
)
def test_what_decided_is_told_and_marked(
    one: Prediction, letter: str | None, marked: str, told: str
) -> None:
    read = reread(one, ASKED) if one.outcome == "unreadable" else one
    assert read.letter == letter
    found = ground(read, letter, OPTIONS)
    assert (one.reply or "")[found.start : found.end] == marked
    assert told in found.text


def test_only_stored_figures_are_compared() -> None:
    computed = {"a": {"value": 0.5, "low": None}, "list": [1, 2], "new": 3}
    assert list(differences({"a": {"value": 0.50001}}, computed)) == []
    assert list(differences({"a": {"value": 0.51, "low": 0.1}}, computed)) == ["a.value", "a.low"]
    assert list(differences({"list": [1, 3]}, computed)) == ["list.1"]
    assert list(differences({"list": [1]}, computed)) == ["list"]
    assert list(differences({"gone": {"x": 1}, "a": 3}, computed)) == ["gone", "a"]
