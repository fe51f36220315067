"""Telling turns from glances: head turns to the side and back."""

from dataclasses import replace

import pytest

from pipeline.motion.tracking import RotationStep
from pipeline.motion.turns import Swing, travelling

SECOND = 1_000_000


def still(seconds: int) -> list[RotationStep]:
    """Return the steps of a camera that doesn't move, ten per second."""
    return [
        RotationStep(t, t + SECOND // 10, (0.0, 0.0, 0.0), 0.9, 0.0, (0.0, 0.0, 1.0))
        for t in range(0, seconds * SECOND, SECOND // 10)
    ]


def swing(start: float, end: float, degrees: float) -> Swing:
    around = abs(degrees) >= 150
    kind = "around" if around else "left" if degrees > 0 else "right"
    return Swing(round(start * SECOND), round(end * SECOND), kind, degrees)


def walked(steps: list[RotationStep], start: float, end: float) -> list[RotationStep]:
    """Return the steps with forward travel in this span."""
    inside = [start * SECOND <= step.start_us < end * SECOND for step in steps]
    return [replace(step, parallax=0.8 * one) for step, one in zip(steps, inside, strict=True)]


def test_a_glance_to_the_side_and_back_is_not_a_turn() -> None:
    steps = walked(still(30), 8, 30)
    assert travelling([swing(4, 5, 70), swing(6, 7, -68)], steps) == [False, False]


@pytest.mark.parametrize("degrees", [125, 200])
def test_nobody_glances_so_far_to_the_side(degrees: float) -> None:
    """In a real office, two turns around within a few seconds were once measured as a glance."""
    steps = [replace(step, ahead=(1.0, 0.0, 0.0)) for step in walked(still(30), 4, 12)]
    assert travelling([swing(4, 6, degrees), swing(7, 9, -degrees)], steps) == [True, True]


def test_walking_on_in_between_makes_two_turns() -> None:
    steps = walked(still(30), 4, 12)
    assert travelling([swing(4, 6, 90), swing(8, 9, -90)], steps) == [True, True]
