"""Routes from measured turns and narrated facts."""

import pytest

from pipeline.routes import motion_draft, route, templates, wording
from pipeline.routes.rows import Route
from tests.clip_rows import clip, narration, stay, turn, us


@pytest.fixture(scope="module")
def describe() -> templates.Prompt:
    return templates.load("describe.j2")


def draft(describe, turns=(), narrations=(), of=None, language="en", stays=()) -> Route:
    words = wording.load(language)
    return motion_draft.draft(of or clip(), turns, stays, narrations, describe, words)


def lines(drafted: Route, start_s: float = 0) -> list[str]:
    return route.print_lines(drafted.steps, us(start_s)).splitlines()


def test_turns_become_moves_with_straights_where_there_is_room(describe) -> None:
    drafted = draft(describe, (turn(5, 7, "left"), turn(12, 14, "right")))
    assert lines(drafted) == [
        "0:00.0 go straight",
        "0:05.0 turn left",
        "0:07.0 go straight",
        "0:12.0 turn right",
        "0:14.0 go straight",
    ]
    assert drafted.steps[-1].end_us == us(20)


def test_a_glance_is_not_a_move(describe) -> None:
    aside = (turn(5, 6, "left", moving=False), turn(7, 8, "right", moving=False))
    drafted = draft(describe, (*aside, turn(12, 14, "around")))
    assert route.turns(drafted.steps) == ("around",)


def test_a_turn_at_the_very_start_and_end_leaves_no_sliver(describe) -> None:
    drafted = draft(describe, (turn(0.4, 2, "right"), turn(2.5, 4, "left"), turn(17, 19.7, "left")))
    assert lines(drafted) == [
        "0:00.0 turn right",
        "0:02.5 turn left",
        "0:04.0 go straight",
        "0:17.0 turn left",
    ]


def test_overlapping_turns_stay_in_order_and_fill_the_clip(describe) -> None:
    drafted = draft(describe, (turn(5, 9, "left"), turn(8, 8.5, "right"), turn(8.2, 12, "left")))
    starts = [step.start_us for step in drafted.steps]
    assert starts == sorted(set(starts))
    assert [step.end_us for step in drafted.steps[:-1]] == starts[1:]


def test_facts_go_to_the_step_of_their_time_and_cut_a_straight(describe) -> None:
    narrations = (
        narration(1, landmark="red door"),
        narration(3, action="opens it", undo="closes it"),
        narration(6, landmark="stairs"),
        narration(9, "just prose"),
    )
    drafted = draft(describe, (turn(5, 7),), narrations)
    assert lines(drafted) == [
        "0:00.0 go straight | red door",
        "0:02.0 go straight |  | opens it | closes it",
        "0:05.0 turn left | stairs",
        "0:07.0 go straight",
    ]


def test_two_facts_of_one_moment_share_a_step_only_if_they_differ_in_kind(describe) -> None:
    both = draft(
        describe, (), (narration(3, "a", landmark="sink"), narration(3, "b", action="washes"))
    )
    assert lines(both) == ["0:00.0 go straight | sink | washes"]
    same = draft(
        describe, (), (narration(3, "a", landmark="sink"), narration(3, "b", landmark="stove"))
    )
    assert [step.landmark for step in same.steps] == ["sink", "stove"]


def test_more_facts_than_microseconds_keep_the_first(describe) -> None:
    tiny = clip(end_s=0.000002)
    narrations = [narration(0, str(number), landmark=f"door {number}") for number in range(4)]
    drafted = draft(describe, (), narrations, tiny)
    assert [step.landmark for step in drafted.steps] == ["door 0"]


def test_times_are_video_time_in_a_clip_that_begins_later(describe) -> None:
    later = clip(start_s=100, end_s=120)
    drafted = draft(describe, (turn(105, 107),), (narration(106, landmark="gate"),), later)
    assert lines(drafted, 100)[1] == "0:05.0 turn left | gate"
    assert drafted.steps[0].start_us == us(100)


def test_descriptions_cover_both_directions_and_the_reverse_one_turns_around_first(
    describe,
) -> None:
    narrations = (
        narration(1, landmark="red door"),
        narration(10, action="opens it", undo="closes it"),
    )
    drafted = draft(describe, (turn(5, 7, "left"),), narrations)
    assert drafted.forward_description == (
        "Go straight past red door, then turn left, then go straight (opens it)."
    )
    assert drafted.reverse_description == (
        "Turn around, then go straight (closes it), then turn right, then go straight past red door."
    )


def test_a_landmark_with_its_own_preposition_keeps_it(describe) -> None:
    drafted = draft(describe, (), (narration(1, landmark="Through the gate"),))
    assert drafted.forward_description == "Go straight Through the gate."


def test_confidence_is_that_of_the_least_certain_move_or_shows_that_nothing_was_measured(
    describe,
) -> None:
    pair = (turn(5, 7, confidence=0.9), turn(10, 12, confidence=0.4))
    assert draft(describe, pair).confidence == 0.4
    assert draft(describe).confidence == 0.5


def test_the_fingerprint_is_that_of_what_people_judge(describe) -> None:
    drafted = draft(describe, (turn(5, 7),))
    assert drafted.fingerprint == route.fingerprint(
        drafted.steps, drafted.forward_description, drafted.reverse_description
    )


def test_every_step_has_a_duration_whatever_the_turns(describe) -> None:
    late = turn(20, 21)  # begins where the clip ends
    same = (turn(5, 7, "left"), turn(5, 6, "right"), turn(6.9999999, 7, "left"))
    for given in ((late,), (turn(5, 7), late), same, (turn(19.9, 20), late)):
        drafted = draft(
            describe, given, (narration(5, landmark="sink"), narration(5, "b", landmark="stove"))
        )
        assert all(step.start_us < step.end_us for step in drafted.steps), given
        starts = [step.start_us for step in drafted.steps]
        assert starts == sorted(set(starts))
        assert drafted.steps[-1].end_us == us(20)
        text = route.print_lines(drafted.steps, 0)
        assert route.parse_lines(text, 0, us(20), drafted.steps) == tuple(drafted.steps)


def test_a_measured_stay_is_a_step_of_its_own_and_turns_on_the_spot_remain_turns(describe) -> None:
    drafted = draft(describe, (turn(9, 11, "left"),), stays=(stay(4, 16, 0.7),))
    assert lines(drafted) == [
        "0:00.0 go straight",
        "0:04.0 stay in place",
        "0:09.0 turn left",
        "0:11.0 stay in place",
        "0:16.0 go straight",
    ]
    assert route.turns(drafted.steps) == ("left",)
    assert drafted.confidence == 0.7


def test_less_than_a_second_beside_a_stay_is_no_step(describe) -> None:
    stays = (stay(0.4, 8), stay(8.6, 9.2), stay(14, 19.5))
    assert lines(draft(describe, stays=stays)) == [
        "0:00.0 stay in place",
        "0:08.0 go straight",
        "0:14.0 stay in place",
    ]


def test_what_is_done_in_a_stay_is_done_in_place(describe) -> None:
    facts = (
        narration(3, landmark="the sink", action="takes a cup", undo="puts the cup back"),
        narration(9, action="washes the cup"),
        narration(17, landmark="the door"),
    )
    drafted = draft(describe, narrations=facts, stays=(stay(0, 13),))
    assert lines(drafted) == [
        "0:00.0 stay in place | the sink | takes a cup | puts the cup back",
        "0:06.0 stay in place |  | washes the cup",
        "0:13.0 go straight | the door",
    ]
    assert drafted.forward_description == (
        "Stay in place at the sink (takes a cup), then stay in place (washes the cup), "
        "then go straight past the door."
    )
    assert drafted.reverse_description == (
        "Turn around, then go straight past the door, then stay in place, "
        "then stay in place at the sink (puts the cup back)."
    )


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_stay_at_a_landmark_is_not_passing_it(describe, language: str) -> None:
    words = wording.load(language)
    drafted = draft(
        describe, (), (narration(3, landmark="Bank"),), language=language, stays=(stay(0, 20),)
    )
    place = words.description["at"].replace("{landmark}", "Bank")
    assert drafted.forward_description.casefold() == f"{words.moves['stay']} {place}.".casefold()
