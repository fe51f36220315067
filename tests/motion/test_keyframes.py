import numpy as np
import pytest

from pipeline.motion.keyframes import CandidateFrame, ChosenFrame, TurnEvent, choose

SECOND = 1_000_000


def candidates(seconds: float, apart: float = 0.4, *, still: bool = False) -> list[CandidateFrame]:
    return [
        CandidateFrame(
            round(number * apart * SECOND), 100.0, False,
            np.full((18, 32), 90 if still else number * 37 % 251, np.uint8),
        )
        for number in range(int(seconds / apart))
    ]  # fmt: skip


def times(found: list[ChosenFrame], among: list[CandidateFrame]) -> list[int]:
    return [among[choice.index].t_us for choice in found]


def turn(start: float, end: float, weight: float, name: str = "turn") -> TurnEvent:
    return TurnEvent(round(start * SECOND), round(end * SECOND), name, weight)


def test_both_ends_come_first() -> None:
    among = candidates(60)
    found = choose(among, [turn(20, 22, 90)], budget=2)
    assert [choice.reason for choice in found] == ["start of the clip", "end of the clip"]
    assert (
        times(found, among) == [among[0].t_us, among[-2].t_us] or found[-1].index == len(among) - 1
    )


def test_every_turn_is_shown_within_and_on_both_sides() -> None:
    among = candidates(100)
    events = [turn(start, start + 2, 60 + start, f"turn {start}") for start in (10, 20, 30, 70)]
    shown = times(choose(among, events, budget=16), among)
    for event in events:
        assert any(event.start_us <= t_us <= event.end_us for t_us in shown)
        assert any(event.start_us - 2 * SECOND <= t_us <= event.start_us for t_us in shown)
        assert any(event.end_us <= t_us <= event.end_us + 2 * SECOND for t_us in shown)


def test_a_small_budget_is_spent_on_middles_then_on_the_sides_of_most_weight() -> None:
    among = candidates(100)
    events = [turn(20, 22, 50, "light"), turn(60, 62, 100, "heavy")]
    reasons = [choice.reason for choice in choose(among, events, budget=5)]
    assert reasons == [
        "start of the clip",
        "middle of light",
        "before heavy",
        "middle of heavy",
        "end of the clip",
    ]


def test_one_frame_between_two_close_turns_counts_for_both() -> None:
    among = candidates(100)
    near = [turn(20, 22, 90, "turn 1"), turn(23.5, 25, 80, "turn 2")]
    found = choose(among, near, budget=16)
    between = [one for one in found if 22 * SECOND <= among[one.index].t_us <= 23.5 * SECOND]
    assert [one.reason for one in between] == ["between turn 1 and turn 2"]
    reasons = {one.reason for one in found}
    assert {"before turn 1", "after turn 2"} <= reasons
    assert not {"after turn 1", "before turn 2"} & reasons


def test_the_start_of_the_clip_is_the_side_of_a_turn_right_after_it() -> None:
    among = candidates(100)
    reasons = [one.reason for one in choose(among, [turn(1.2, 3, 90)], budget=8)]
    assert "start of the clip" in reasons
    assert "before turn" not in reasons


def test_the_rest_of_the_budget_halves_the_widest_gaps() -> None:
    among = candidates(81)
    found = choose(among, [], budget=5)
    assert all(
        abs(t - wish * SECOND) <= SECOND
        for t, wish in zip(times(found, among), (0, 20, 40, 60, 80), strict=True)
    )
    assert "widest gap (" in found[2].reason


def test_the_sharpest_nearby_frame_is_chosen() -> None:
    among = candidates(40)
    for number in (49, 50, 51):
        among[number] = CandidateFrame(among[number].t_us, 50.0 + number, False, among[number].look)
    sharp = CandidateFrame(among[49].t_us, 900.0, False, among[49].look)
    among[49] = sharp
    found = choose(among, [turn(18, 22, 90)], budget=3)
    assert found[1].index == 49


def test_suspect_frames_are_a_last_resort() -> None:
    among = candidates(40)
    bad = [
        CandidateFrame(one.t_us, one.sharpness, one.t_us > 20 * SECOND, one.look) for one in among
    ]
    bad[52] = among[52]
    found = choose(bad, [turn(19, 22.5, 90)], budget=16)
    middle = next(choice for choice in found if choice.reason == "middle of turn")
    assert not bad[middle.index].suspect
    assert any(bad[choice.index].suspect for choice in found), (
        "where all are damaged, one still shows"
    )


def test_a_still_scene_is_kept_once() -> None:
    found = choose(candidates(60, still=True), [], budget=16)
    assert len(found) == 1


@pytest.mark.parametrize("budget", [2, 3, 7, 16, 64])
def test_choices_are_in_time_order_once_each_and_within_budget(budget: int) -> None:
    among = candidates(120)
    events = [turn(start, start + 1.5, start) for start in range(5, 115, 4)]
    found = choose(among, events, budget)
    indexes = [choice.index for choice in found]
    assert indexes == sorted(set(indexes))
    assert len(found) == budget
    assert choose(among, events, budget) == found


def test_nothing_to_choose_from() -> None:
    assert choose([], [], 16) == []
