"""Arms show the same item in other forms, and their letters lead back to the released options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.evaluate.arms import ARMS, COUNTS, arms_of, shown

SECONDS = [0.5 + at for at in range(12)]


def only(arm: str, seconds: list[float] = SECONDS) -> object:
    ((name, one),) = shown(arm, "i_1", seconds, 4)
    assert name == arm
    return one


@given(
    st.sampled_from(sorted(ARMS)),
    st.integers(1, 40),
    st.integers(2, 10),
)
def test_every_arm_shows_released_frames_at_ascending_times_and_all_options(
    arm: str, frames: int, options: int
) -> None:
    seconds = [0.25 + at for at in range(frames)]
    for _, one in shown(arm, "i_1", seconds, options):
        assert sorted(one.order) == list(range(options))
        assert list(one.seconds) == sorted(one.seconds)
        assert len(one.frames) == len(one.seconds)
        assert len(set(one.frames)) == len(one.frames)
        assert {seconds[at] for at in one.frames} == set(one.seconds)


def test_options_are_shown_in_each_rotation_once() -> None:
    orders = {one.order for _, one in shown("rotate", "i_1", SECONDS, 4)}
    assert orders == {(1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)}


def test_frames_are_reversed_shuffled_and_left_out_but_never_made_up() -> None:
    assert only("reversed").frames == tuple(range(12))[::-1]
    assert only("one").frames == (6,)
    assert only("frames-4").frames == (1, 4, 7, 10)
    assert sorted(only("shuffled").frames) == list(range(12))
    assert only("shuffled").frames != tuple(range(12))
    assert only("shuffled") == only("shuffled")
    for count in COUNTS:
        assert bool(shown(f"frames-{count}", "i_1", SECONDS, 4)) == (count < 12)
    assert shown("reversed", "i_1", [1.0], 4) == shown("shuffled", "i_1", [1.0], 4) == []
    assert all(shown("shuffled", f"i_{at}", [1.0, 2.0], 4) for at in range(20))


def test_an_arm_that_does_not_exist_is_named() -> None:
    assert arms_of(["frames", "blind", "frames"]) == ["frames", "blind"]
    with pytest.raises(UserError, match="no arm 'blnd'"):
        arms_of(["blnd"])
