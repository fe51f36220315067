"""What options state is found in their text, in any wording; readers learn nothing from what they answer."""

import blind_items as made
import numpy as np
import pytest

from pipeline.blind.orders import majority
from pipeline.blind.sheet import ProbeItem, lay_out
from pipeline.blind.statements import stated


def item(one: tuple[str, str], other: tuple[str, str], joint: str, answer: int = 0) -> ProbeItem:
    options = tuple(f"{first}{joint}{second}" for first in one for second in other)
    return ProbeItem("i", "Which?", options, answer, "g", "c")


@pytest.mark.parametrize("joint", ["; ", " and ", ", ", " und ", ". ", " "])
def test_both_facts_are_found_whatever_joins_them(joint: str) -> None:
    turn = ("First turn left", "First turn right")
    order = ("the red door before the blue door", "the blue door before the red door")
    found = stated(lay_out([item(turn, order, joint, answer=2)], 0))
    ((side, ordered),) = found.facts
    assert (side.kind, side.names) == ("side", ("left", "right"))
    assert (ordered.kind, ordered.names) == ("order", ("the blue door", "the red door"))
    assert found.truth.tolist() == [[-1, -1]]  # right; the red door first
    assert found.values.tolist() == [[[1, -1], [1, 1], [-1, -1], [-1, 1]]]


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        (
            "the old sofa vor the new sofa",
            "the new sofa vor the old sofa",
            ("the new sofa", "the old sofa"),
        ),
        ("passes a before b on the way", "passes b before a on the way", ("a", "b")),
        (
            "sit down comes before open a door",
            "open a door comes before sit down",
            ("open a door", "sit down"),
        ),
    ],
)
def test_orders_in_other_words(one: str, other: str, names: tuple[str, str]) -> None:
    found = stated(lay_out([item(("turn left", "turn right"), (one, other), "; ")], 0))
    order = found.facts[0][1]
    assert order.kind == "order"
    assert (
        tuple(name.removeprefix("passes ").removesuffix(" on the way") for name in order.names)
        == names
    )


@pytest.mark.parametrize(
    "options",
    [
        ("a", "b", "c", "d"),
        ("x; a", "x; b", "x; c", "x; d"),
        ("left; left", "left; right", "right; left", "left; left"),
        ("turn left", "turn right", "go straight", ""),
        ("a; b; c", "b; a; c", "a; c; b", "c; b; a"),
        ("yes", "no"),
    ],
)
def test_other_options_state_no_two_facts(options: tuple[str, ...]) -> None:
    table = lay_out([ProbeItem("i", "Which?", options, 0, "g", "c")], 0)
    assert stated(table).facts == ()
    assert list(majority(table)) == []


def test_answers_of_a_fold_do_not_reach_the_scores_in_it() -> None:
    """Other answers in one fold change nothing there, and something elsewhere."""
    items = made.usual_statements(200)
    table = lay_out(items, 0)
    flipped = [
        (one.answer + 1) % 4 if fold == 0 else one.answer
        for one, fold in zip(items, table.fold.tolist(), strict=True)
    ]
    inside = np.repeat(table.fold == 0, 4)
    for before, after in zip(majority(table), majority(table.with_answers(flipped)), strict=True):
        assert (before.scores[inside] == after.scores[inside]).all()
    best = next(iter(majority(table))).scores
    assert (
        best[~inside] != next(iter(majority(table.with_answers(flipped)))).scores[~inside]
    ).any()
