"""Likeness of descriptions: from 0 to 1, 1 for what says the same, and less for each thing missing or invented."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.routes.likeness import (
    Reference,
    common_f1,
    edits,
    likeness,
    order_kept,
    turn_likeness,
)
from pipeline.routes.rows import Move
from pipeline.routes.told import Told, Vocabulary, told

MOVES = st.lists(st.sampled_from(("left", "right", "around")), max_size=6)


@given(MOVES, MOVES)
def test_edits_are_a_distance(one: list[Move], other: list[Move]) -> None:
    assert edits(one, one) == 0
    assert edits(one, other) == edits(other, one)
    assert abs(len(one) - len(other)) <= edits(one, other) <= max(len(one), len(other))
    assert 0 <= turn_likeness(one, other) <= 1


def test_each_missing_invented_or_flipped_turn_costs_the_same() -> None:
    wanted: list[Move] = ["left", "right", "left", "left"]
    for worse in (["left", "right", "left"], ["left", "left", "left", "left"]):
        assert turn_likeness(worse, wanted) == 0.75  # type: ignore[arg-type]
    assert turn_likeness([*wanted, "right"], wanted) == 0.8
    assert turn_likeness([], wanted) == 0
    assert turn_likeness([], []) == 1


def test_names_missing_invented_or_out_of_order_cost() -> None:
    assert common_f1(["a", "b", "c"], ["a", "b", "c"]) == 1
    assert common_f1(["a", "b"], ["a", "b", "c"]) == 0.8
    assert common_f1(["a", "x", "b", "c"], ["a", "b", "c"]) == 6 / 7
    assert common_f1(["c", "b", "a"], ["a", "b", "c"]) == 1 / 3
    assert order_kept(["c", "a", "b"], ["a", "b", "c"]) == 1 / 3
    assert order_kept(["a"], ["a", "b"]) is None


def test_stays_are_no_turns_and_names_are_compared_without_articles() -> None:
    found = likeness(
        Told(("left", "stay", "right"), ("red doors",), ()),
        Reference(("straight", "left", "right"), ("the red door",)),
    )
    assert (found.turns, found.landmarks, found.actions, found.order) == (1, 1, None, None)


def test_the_way_back_may_begin_with_turning_around() -> None:
    back = Reference(("left", "right"), orientation="reverse")
    for moves in (("around", "left", "right"), ("left", "right")):
        assert likeness(Told(moves), back).turns == 1  # type: ignore[arg-type]
    assert likeness(Told(("around", "left", "right")), Reference(("left", "right"))).turns < 1
    own = Reference(("around", "left"), orientation="reverse")
    assert likeness(Told(("around", "around", "left")), own).turns == 1


def test_saying_everything_or_both_sides_earns_less_than_the_walk() -> None:
    names = Vocabulary(["sofa", "lamp", "red door", "printer"], ["opens the door", "sits down"])
    wanted = Reference(("left", "right", "right"), ("sofa", "lamp"), ("opens the door",))
    true = "Turn left at the sofa, turn right at the lamp, turn right. He opens the door."
    assert likeness(told(true, names), wanted).turns == 1
    for text in (
        "left, right, " * 10,
        "Turn left or right. " * 3,
        "Turn left/right, then left/right, then left/right.",
        f"{true} {true}",
        f"Turn right. {true}",
        "Turn left. Turn left. Turn left. Turn right. Turn right. Turn right.",
    ):
        assert likeness(told(text, names), wanted).turns <= 0.75
    for text in ("sofa, lamp, red door, printer. " * 3, "sofa, lamp. " * 2, "lamp, sofa", ""):
        assert (likeness(told(text, names), wanted).landmarks or 0) <= 0.67
    twice = likeness(told("Opens the door, sits down, opens the door.", names), wanted)
    assert twice.actions == 0.5


def test_the_order_of_many_actions_is_told_at_once() -> None:
    order_kept(["a", "b"] * 50_000, ["a", "b", "c"])
