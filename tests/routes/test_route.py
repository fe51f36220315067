import pytest
from factories import SECOND, steps

from pipeline.routes.route import (
    LineError,
    canonical,
    course,
    fingerprint,
    parse_lines,
    print_lines,
    reverse,
    turns,
    worth_describing,
)
from pipeline.routes.rows import Step


def test_the_example_reads_as_meant() -> None:
    text = "0:00.0 go straight\n0:12.4 turn left | past the red door | opens it | closes it"
    first, second = parse_lines(text, 5 * SECOND, 25 * SECOND)
    assert (first.start_us, first.end_us, first.move) == (5 * SECOND, 17_400_000, "straight")
    assert second == Step(
        start_us=17_400_000,
        end_us=25 * SECOND,
        move="left",
        landmark="past the red door",
        action="opens it",
        undo="closes it",
    )


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("", 1, 1, "no steps"),
        ("left", 1, 1, "clip time"),
        ("0:00.0 go straight\n  x turn left", 2, 3, "clip time"),
        ("0:00.0 go straight\n\n0:02.0 go left", 3, 8, "turn around"),
        ("0:02.0 turn left\n0:01.0 turn right", 2, 1, "after the previous one"),
        ("0:02.0 turn left\n0:02.0 turn right", 2, 1, "after the previous one"),
        ("0:00.0 go straight\n1:00.0 turn left", 2, 1, "after the clip ends (0:20.0)"),
        ("0:00.0 go straight | a | b | c | d", 1, 34, "too many parts"),
        ("0:61.0 go straight", 1, 1, "clip time"),
    ],
)
def test_a_line_that_can_not_be_read_says_where(
    text: str, line: int, column: int, what: str
) -> None:
    with pytest.raises(LineError) as caught:
        parse_lines(text, 0, 20 * SECOND)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert what in caught.value.what


def test_unchanged_times_keep_their_microseconds_and_changed_ones_do_not() -> None:
    known = [
        Step(start_us=0, end_us=1_234_567, move="straight"),
        Step(start_us=1_234_567, end_us=9_876_543, move="left"),
        Step(start_us=9_876_543, end_us=20 * SECOND, move="right"),
    ]
    text = print_lines(known, 0).replace("0:09.9", "0:10.9")
    found = parse_lines(text, 0, 20 * SECOND, known)
    assert [step.start_us for step in found] == [0, 1_234_567, 10_900_000]


def test_two_steps_that_print_alike_keep_their_own_times() -> None:
    known = [
        Step(start_us=0, end_us=10_010_000, move="straight"),
        Step(start_us=10_010_000, end_us=10_020_000, move="left"),
        Step(start_us=10_020_000, end_us=SECOND * 20, move="right"),
    ]
    text = print_lines(known, 0)
    assert text.count("0:10.0") == 2
    assert parse_lines(text, 0, 20 * SECOND, known) == tuple(known)


def test_a_bare_straight_merges_with_an_adjacent_straight() -> None:
    one, two, three = steps(["straight", "straight", "straight"])
    door = two.model_copy(update={"landmark": "a door"})
    (merged,) = canonical([one, door, three])
    assert (merged.start_us, merged.end_us, merged.landmark) == (0, three.end_us, "a door")


def test_two_straights_with_facts_stay_separate() -> None:
    one, two = steps(["straight", "straight"])
    both = [one.model_copy(update={"landmark": "a"}), two.model_copy(update={"landmark": "b"})]
    assert canonical(both) == tuple(both)


def test_actions_are_undone_on_the_way_back() -> None:
    (step,) = steps(["left"])
    there = step.model_copy(update={"action": "opens it", "undo": "closes it"})
    (back,) = reverse([there])
    assert (back.move, back.action, back.undo) == ("right", "closes it", "opens it")


def test_the_fingerprint_is_of_the_steps_and_both_descriptions() -> None:
    prints = {
        fingerprint(steps(["left"]), "a", "b"),
        fingerprint(steps(["right"]), "a", "b"),
        fingerprint(steps(["left"]), "b", "a"),
        fingerprint(steps(["left"]), "a", ""),
        fingerprint(steps(["left"]), "ab", ""),
    }
    assert len(prints) == 5


def test_a_stay_is_no_turn_and_reverses_to_a_stay() -> None:
    text = "0:00.0 stay in place | at the sink\n0:05.0 turn left\n0:07.0 stay\n0:12.0 go straight"
    walked = parse_lines(text, 0, 20 * SECOND)
    assert turns(walked) == ("left",)
    assert course(walked) == ("stay", "left", "stay")
    assert [step.move for step in reverse(walked)] == ["straight", "stay", "right", "stay"]
    assert reverse(walked)[-1].landmark == "at the sink"


def test_stays_without_facts_are_one_stay() -> None:
    text = "0:00.0 stay\n0:05.0 stay | at the sink\n0:07.0 stay\n0:09.0 go straight"
    (stay, walk) = canonical(parse_lines(text, 0, 20 * SECOND))
    assert (stay.move, stay.end_us, stay.landmark) == ("stay", 9 * SECOND, "at the sink")
    assert walk.move == "straight"


def test_straights_and_stays_are_not_worth_describing() -> None:
    text = (
        "0:00.0 go straight\n0:02.0 stay\n0:04.0 turn around | at the sink | opens it\n0:09.0 stay"
    )
    assert worth_describing(parse_lines(text, 0, 20 * SECOND)) == 3
    assert worth_describing(parse_lines("0:00.0 go straight\n0:02.0 stay", 0, 20 * SECOND)) == 0
