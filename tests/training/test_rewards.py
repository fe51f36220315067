"""What each reward gives for a completion, and that nothing but the right way earns everything."""

import json
from collections.abc import Sequence
from itertools import permutations
from random import Random
from types import SimpleNamespace

import made_rows
import pytest
from composed_rows import composed
from hypothesis import given
from hypothesis import strategies as st
from made_rows import listed, open_row, perfect, said, think, turns_row

from pipeline.questions.rows import AskedFact
from pipeline.routes.rows import Step
from pipeline.training.lists import Event, inverted
from pipeline.training.rewards import SCHEMES, TAU, Rewards, rewards, total
from pipeline.training.rows import TrainingRow
from pipeline.training.solution import solution, solution_text
from pipeline.training.thinking import completion, template_text

FIVE = ("left", "right", "right", "left", "right")


def turning(
    sides: Sequence[str], row: TrainingRow, letter: str | None = None, off: float = 0.0
) -> str:
    """Return a completion whose lists have these turns, at the times of the row's turns, `off` seconds late."""
    known = listed(row)
    events = [
        Event("turn", side, known[at].start + off, known[at].end + off)  # type: ignore[operator]
        if at < len(known)
        else Event("turn", side)
        for at, side in enumerate(sides)
    ]
    return said(think(events, inverted(events)), letter or str(row.answer))


def judged(completion: str, row: TrainingRow) -> Rewards:
    return rewards(completion, solution(row))


@pytest.mark.parametrize("orientation", ["forward", "reverse"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_right_way_and_answer_earn_everything(orientation: str, language: str) -> None:
    row = turns_row(FIVE, orientation)  # type: ignore[arg-type]
    assert judged(perfect(row, language=language), row) == (1, 1, 1, 1, 1, 0.1)


def test_over_composed_rows_only_what_the_options_tell_is_not_defined() -> None:
    some = Random(0).sample(made_rows.many(), 600)
    assert {row.orientation for row in some} == {"forward", "reverse"}
    assert {row.contrast for row in some} == {"turn", "order", "mixed"}
    assert any(solution(row)["undone"] for row in some)
    found = [judged(perfect(row), row) for row in some]
    assert {one.exact for one in found} == {one.square for one in found} == {1.0}
    assert {one.route for one in found} == {one.consistency for one in found} == {1.0, None}
    assert sum(one.route is None for one in found) < 20
    assert min(one.times for one in found if one.times is not None) > 0.97  # times are rounded


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_models_are_trained_to_reply_earns_everything(language: str) -> None:
    found = set()
    for row in composed("fair", 40, language=language):
        text = template_text(row, "seed")
        assert text
        reply = completion(row.model_copy(update={"think": text}))
        one = judged(reply, row)
        assert all(value is None or value > 0.97 for value in one[:5]), (reply, one)
        assert one.format == 0.1
        found.add((row.made, row.format, row.orientation, one.consistency))
    assert len(found) > 7  # released, rewound and mirrored frames, both ways, answered in words


@pytest.mark.parametrize(
    ("letter", "exact", "square"), [("A", 1, 1), ("B", 0, 0.25), ("C", 0, 0.25), ("D", 0, 0)]
)
def test_each_asked_fact_counts_in_square(letter: str, exact: float, square: float) -> None:
    row = turns_row(("left", "left", "right"))  # A is both, B and C one, D none
    found = judged(said("So.", letter), row)
    assert (found.exact, found.square) == (exact, square)
    assert (found.route, found.times, found.consistency) == (0, 0, 0)


@pytest.mark.parametrize(
    ("sides", "route"),
    [
        (FIVE, 1),
        (("left", "right", "right", "left", "left"), 0.8),  # one changed
        (FIVE[:4], 0.8),  # one missing
        ((*FIVE, "left"), 5 / 6),  # one too many
        (("left", "left", "right", "left", "left"), 0),  # no better than all options in a row
    ],
)
def test_route_is_one_less_the_share_of_edits(sides: Sequence[str], route: float) -> None:
    row = turns_row(FIVE)
    assert judged(turning(sides, row), row).route == pytest.approx(route)


def landmarks_row(names: Sequence[str], asked: tuple[str, str]) -> TrainingRow:
    steps = [
        Step(
            start_us=at * 2_000_000,
            end_us=at * 2_000_000 + 1_000_000,
            move="straight",
            landmark=name,
        )
        for at, name in enumerate(names)
    ]
    facts = [
        AskedFact(
            name="landmark:" + "|".join(asked),
            values=["first", "second"] * 2,
            back="",
            rewound="",
            mirrored="",
            seen_us=[],
        )
    ]
    return made_rows.row(
        "i_marks", steps, facts=facts, options=["x"] * 4, category="landmark", contrast="order"
    )


def passing(names: Sequence[str]) -> str:
    events = [Event("landmark", name) for name in names]
    return said(think(events, inverted(events)), "A")


def test_landmarks_earn_the_f1_of_those_in_order_once_they_beat_the_options() -> None:
    row = landmarks_row(["a door", "a lamp", "a sofa", "a desk"], ("a door", "a lamp"))
    for names, route in {
        ("a door", "a lamp", "a sofa", "a desk"): 1.0,
        ("a door", "a lamp", "a sofa"): 6 / 7,
        ("the door", "A Lamp", "sofa"): 6 / 7,  # articles and case don't count
        ("a door", "a lamp"): 0.0,  # what the options state
        ("a lamp", "a door", "a lamp", "a door"): 0.0,
        ("a desk", "a sofa", "a lamp", "a door"): 0.0,  # all names, wrong order: no better
        ("a door", "a lamp", "a sofa", "a rug", "a bin", "a cup"): 0.0,
    }.items():
        assert judged(passing(names), row).route == pytest.approx(route), names


def test_a_way_that_the_options_tell_completely_is_not_rewarded() -> None:
    row = turns_row(("left", "right"))
    found = judged(perfect(row), row)
    assert (found.exact, found.route, found.consistency, found.times) == (1, None, None, 1)


def test_turns_of_a_row_without_turns_are_errors() -> None:
    row = landmarks_row(["a door", "a lamp", "a sofa"], ("a door", "a lamp"))
    events = [*listed(row), Event("turn", "left")]
    found = judged(said(think(events, inverted(events)), "A"), row)
    assert (found.route, found.times) == (0.5, None)


@pytest.mark.parametrize(("off", "times"), [(0, 1), (0.5, 0.75), (1, 0.5), (2, 0)])
def test_a_turn_earns_less_the_further_off_its_time_is(off: float, times: float) -> None:
    row = turns_row(FIVE)  # 4 s apart
    assert TAU == 2
    assert judged(turning(FIVE, row, off=off), row).times == pytest.approx(times)


def test_times_are_matched_by_side_whatever_the_order_of_lines() -> None:
    row = turns_row(FIVE)
    events = [listed(row)[at] for at in (0, 2, 1, 3, 4)]  # the second and the third are both right
    assert judged(said(think(events, inverted(events)), "A"), row).times == pytest.approx(1)
    mixed = [*listed(row)[:4], Event("turn", "left", 16, 18)]
    assert judged(said(think(mixed, inverted(mixed)), "A"), row).times == pytest.approx(0.8)


MIDDLES = st.lists(st.integers(0, 40).map(lambda tenths: tenths / 4), max_size=4)


@given(MIDDLES, MIDDLES)
def test_turns_are_matched_one_to_one_as_well_as_can_be(
    stated: list[float], true: list[float]
) -> None:
    row = made_rows.row(
        "i", [Step(start_us=round(at * 1e6), end_us=round(at * 1e6), move="left") for at in sorted(true)],
        options=["x"] * 4,
    )  # fmt: skip
    events = [Event("turn", "left", at, at) for at in stated]
    found = judged(said(think(events, inverted(events)), "A"), row).times
    if not true:
        assert found is None
        return
    long, short = sorted((stated, true), key=len, reverse=True)
    best = max(
        sum(max(0.0, 1 - abs(one - other) / TAU) for one, other in zip(some, short, strict=False))
        for some in permutations(long)
    )
    # What is written has a tenth of a second, and these times a quarter.
    assert found == pytest.approx(2 * best / (len(stated) + len(true)), abs=0.06)


@pytest.mark.parametrize(
    "times",
    [
        "nan s to nan s: ",
        "inf s to inf s: ",
        "-3 s to -1 s: ",
        "6.0 s to 4.0 s: ",
        f"{'9' * 400} s to {'9' * 400} s: ",
        "",
    ],
)
def test_impossible_times_earn_nothing(times: str) -> None:
    row = turns_row(FIVE)
    lines = "\n".join(f"- {times}turn: {side}" for side in FIVE)
    found = judged(said(f"Forward:\n{lines}\nBackward:\n- turn: left", "A"), row)
    assert found.times == 0


def test_lists_that_do_not_invert_each_other_are_inconsistent() -> None:
    row = turns_row(FIVE)
    events = listed(row)
    for back in (
        inverted(events[1:]),
        events,
        inverted(inverted(events)),
        [],
        inverted(events)[::-1],
    ):
        assert judged(said(think(events, back), "A"), row).consistency == 0
    assert judged(said(think(events, inverted(events)), "A"), row).consistency == 1


@pytest.mark.parametrize("orientation", ["forward", "reverse"])
def test_an_answer_that_the_lists_contradict_is_inconsistent(orientation: str) -> None:
    row = turns_row(FIVE, orientation)  # type: ignore[arg-type]
    for letter in "BCD":
        assert judged(turning(FIVE, row, letter), row).consistency == 0
    # Consistent with a wrong answer: as much as the way is right.
    wrong = ["right", *FIVE[1:]] if orientation == "forward" else [*FIVE[:4], "left"]
    letter = row.options[0:4].index(next(
        text for text in row.options if text.startswith("first turn right")
        and text.endswith("right" if orientation == "forward" else row.options[0].rpartition(" ")[2])
    ))  # fmt: skip
    found = judged(turning(wrong, row, "ABCD"[letter]), row)
    assert (found.exact, found.route, found.consistency) == (
        0,
        pytest.approx(0.8),
        pytest.approx(0.8),
    )


def test_undone_actions_are_what_a_reverse_item_may_ask_about() -> None:
    undone = [row for row in made_rows.rows("fair", 120) if solution(row)["undone"]]
    assert undone
    for row in undone[:40]:
        events = listed(row)
        assert judged(perfect(row), row).consistency == 1
        as_done = said(think(events, inverted(events)), str(row.answer))
        assert judged(as_done, row).consistency == 0


def test_a_list_may_undo_actions_where_the_question_does_not() -> None:
    (row, *_) = (
        row for row in made_rows.rows("fair", 120)
        if row.orientation == "forward" and any(one.undo for one in row.happenings)
    )  # fmt: skip
    events = listed(row)
    undo = {one.what: one.undo for one in row.happenings if one.undo}
    assert (
        judged(said(think(events, inverted(events, undo)), str(row.answer)), row).consistency == 1
    )


@pytest.mark.parametrize(
    ("completion", "form", "exact"),
    [
        ("<think>Left.</think><answer>A</answer>", 0.1, 1),
        ("  <think>\nLeft.\n</think>\n\n<answer> A </answer>\n", 0.1, 1),
        ("<think>Left.</think><answer>D</answer>", 0.1, 0),
        ("<answer>A</answer>", 0, 1),  # rows without thinking
        ("Left, so it is this one.\n<answer>A</answer>", 0, 1),
        ("Left.\n</think>\n<answer>A</answer>", 0, 1),  # some chat templates begin the thinking
        ("<think> </think><answer>A</answer>", 0, 1),
        ("<think>Left.</think> So: <answer>A</answer>", 0, 1),
        ("<think>Left.</think><think>Right.</think><answer>A</answer>", 0, 1),
        ("<think>Left.</think><answer>a</answer>", 0.1, 0),
        ("<think>Left.</think>A", 0, 0),
        ("<think>Left.</think>Answer: A", 0, 0),
        ("<think>Left.</think>\\boxed{A}", 0, 0),
    ],
)
def test_form_and_letter(completion: str, form: float, exact: float) -> None:
    found = judged(completion, turns_row(FIVE))
    assert (found.format, found.exact) == (form, exact)


STEPS = [
    Step(start_us=0, end_us=2_000_000, move="left", landmark="the red door"),
    Step(start_us=2_000_000, end_us=4_000_000, move="right", action="open the fridge", undo="close the fridge"),
    Step(start_us=4_000_000, end_us=6_000_000, move="right"),
]  # fmt: skip
THERE = "Turn left at the red door, open the fridge and turn right. Then turn right again."
BACK = (
    "Turn around. Turn left, then close the fridge and turn left again. At the red door turn right."
)


@pytest.mark.parametrize(("orientation", "text"), [("forward", THERE), ("reverse", BACK)])
def test_a_description_is_rewarded_for_the_way_it_describes(orientation: str, text: str) -> None:
    row = open_row(STEPS, text, orientation)  # type: ignore[arg-type]
    found = judged(perfect(row), row)
    assert found == (None, None, 1, 1, 1, 0.1)
    assert total(found, "paper") is None
    assert total(found, "ours") == pytest.approx(3.1)
    assert judged(said("", text), row) == (None, None, 1, 0, 0, 0)
    other = judged(said("So.", "Turn left at the red door."), row)
    assert other.route is not None
    assert 0 < other.route < 0.7
    assert judged(said("So.", "I can't tell."), row).route == 0
    assert judged(said("So.", row.question), row).route == 0
    wrong = perfect(row, text.replace("left", "straight"))
    assert judged(wrong, row).consistency == 0


def test_a_description_in_a_language_without_a_grammar_is_read_by_its_words_for_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipeline.training import solution as module

    moves = {"left": "gira verso sinistra", "right": "gira verso destra", "straight": "vai dritto"}
    monkeypatch.setattr(module, "load", lambda language: SimpleNamespace(moves=moves))
    row = open_row(STEPS[2:], "gira verso destra", language="it")
    assert json.loads(solution_text(row))["phrases"]["gira verso destra"] == "right"
    assert judged(said("Bene.", "gira verso destra"), row).route == 1
    assert judged(said("Bene.", "gira verso sinistra"), row).route == 0


def test_schemes() -> None:
    assert SCHEMES["paper"] == ("exact",)
    assert SCHEMES["ours"] == Rewards._fields
    found = Rewards(1.0, 0.25, 0.5, 0.125, 0.0, 0.1)
    assert total(found) == 1
    assert total(found, "ours") == pytest.approx(1.975)
    assert total(Rewards(None, None, 0.5, None, None, 0.1), "ours") == pytest.approx(0.6)
    # All but the reference's reward are named as ours.
    assert {name: names for name, names in SCHEMES.items() if not name.startswith("ours")} == {
        "paper": ("exact",)
    }


def test_names_with_the_bar_that_divides_them_are_told_apart() -> None:
    row = landmarks_row(["the a|b sign", "the lamp", "the desk"], ("the a|b sign", "the lamp"))
    assert solution(row)["facts"][0]["subject"] == ["the a|b sign", "the lamp"]
    assert judged(passing(["the a|b sign", "the lamp", "the desk"]), row).consistency == 1


@pytest.mark.parametrize(
    "names",
    [
        ["the door", "the desk", "the doors"],
        ["left luggage", "the lamp", "the left luggage"],
        ["a", "the lamp", "A-frame", "the"],
    ],
)
def test_things_that_differ_in_wording_alone_are_told_apart(names: Sequence[str]) -> None:
    row = landmarks_row(names, (names[0], names[1]))
    assert judged(passing(names), row).consistency == 1
    row = landmarks_row(["the door", "the desk", "the lamp"], ("the door", "the desk"))
    assert judged(passing(["doors", "DESK", "A lamp"]), row).consistency == 1


ROWS = made_rows.mixed()


@given(st.text(), st.sampled_from(ROWS))
def test_any_text_gets_rewards_within_their_ranges(text: str, row: TrainingRow) -> None:
    for reply in (text, said(text, "A"), said("x", text)):
        *others, form = judged(reply, row)
        assert form in (0, 0.1)
        assert all(one is None or 0 <= one <= 1 for one in others)


EVENTS = st.lists(
    st.one_of(
        st.builds(Event, st.just("turn"), st.sampled_from(["left", "right", "around"])),
        st.builds(
            Event,
            st.sampled_from(["landmark", "action"]),
            st.sampled_from(["the red door", "a desk", "open a drawer", "\u2615", "2: b - c"]),
        ),
        st.integers(0, 300).map(lambda at: Event("turn", "left", at / 10, at / 10 + 1)),
    ),
    max_size=12,
)


@given(EVENTS, EVENTS, st.sampled_from("ABCDE"), st.sampled_from(ROWS))
def test_any_lists_get_rewards_within_their_ranges(
    forward: list[Event], backward: list[Event], letter: str, row: TrainingRow
) -> None:
    found = judged(said(think(forward, backward), letter), row)
    assert all(one is None or 0 <= one <= 1 for one in found)
    if found.consistency is not None:
        assert found.route is not None
        assert found.consistency in (0, found.route)
