"""How many frames a span has, where it ends, and which turns its frames show."""

from itertools import pairwise

import pytest

from pipeline.motion.rows import Turn
from pipeline.questions.composition import RouteToAsk, spans_of
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS
from pipeline.questions.settings import ComposeSettings
from pipeline.questions.spantext import SpanText
from pipeline.questions.visible import apart_us, moments
from pipeline.routes.rows import Step
from pipeline.routes.wording import load

SETTINGS = ComposeSettings()
FEW = ComposeSettings(most_frames=32)
SECOND = 1_000_000


def turn(start: float, seconds: float, degrees: float = 90.0) -> Turn:
    return Turn(
        clip_id="c",
        start_us=round(start * SECOND),
        end_us=round((start + seconds) * SECOND),
        yaw_degrees=degrees,
        kind="left" if degrees > 0 else "right",
        moving=True,
        confidence=1.0,
    )


def walk(turns: list[Turn], seconds: float) -> RouteToAsk:
    """Return a route that goes straight between its turns."""
    steps, at = [], 0
    for one in turns:
        steps.append(Step(start_us=at, end_us=one.start_us, move="straight"))
        steps.append(Step(start_us=one.start_us, end_us=one.end_us, move=one.kind))
        at = one.end_us
    steps.append(Step(start_us=at, end_us=round(seconds * SECOND), move="straight"))
    return RouteToAsk("c", "scene", "test", tuple(steps), load("en"), turns, 90.0)


@pytest.mark.parametrize(
    ("seconds", "apart", "frames"),
    [
        (4, [], 8),
        (20, [], 20),
        (40, [], 40),
        (100, [], 64),
        (20, [0.8], 25),  # a quick turn
        (20, [0.3], 20),  # a turn that no allowed number of frames shows needs none
        (20, [0.8, 0.3, 2.0], 25),
    ],
)
def test_quick_turns_get_more_frames(seconds: int, apart: list[float], frames: int) -> None:
    found = moments(0, seconds * SECOND, SETTINGS, [one * SECOND for one in apart])
    assert len(found) == frames
    gaps = {later - one for one, later in pairwise(found)}
    assert max(gaps) - min(gaps) <= 1
    assert found[0] == pytest.approx(seconds * SECOND - found[-1], abs=1)


def test_how_far_apart_frames_may_be_follows_from_the_quickest_part_of_a_turn() -> None:
    slow, quick = turn(10, 3), turn(10, 1)
    assert apart_us(10 * SECOND, 13 * SECOND, [slow], 90.0) == pytest.approx(1.8 * SECOND)
    assert apart_us(10 * SECOND, 13 * SECOND, [quick], 90.0) == pytest.approx(0.6 * SECOND)
    assert apart_us(10 * SECOND, 13 * SECOND, [quick], 120.0) == pytest.approx(0.8 * SECOND)
    # Small turns are seen if a frame lies inside.
    assert apart_us(10 * SECOND, 11 * SECOND, [turn(10, 1, 20)], 90.0) == SECOND
    # A turn that only people know is taken for a right angle.
    assert apart_us(10 * SECOND, 12 * SECOND, [], 90.0) == pytest.approx(1.2 * SECOND)


@pytest.mark.parametrize(("seconds", "shown"), [(3.0, 1.0), (1.1, 0.8), (0.1, 0.0)])
def test_spans_of_a_brisk_walk_are_shorter_so_that_frames_show_its_turns(
    seconds: float, shown: float
) -> None:
    turns = [turn(8 * number + 4, seconds, 90 * (-1) ** number) for number in range(14)]
    spans = spans_of(walk(turns, 116), FEW, Draw(b"a"))
    longest = 45 if seconds != 1.1 else 32 * 0.66
    assert max(one.end_us - one.start_us for one in spans) <= longest * SECOND
    assert all(len(one.frame_us) <= FEW.most_frames for one in spans)
    asked = {
        fact.seen
        for one in spans
        for fact in KINDS["turn"].find(SpanText(one.span_id, one.steps), Draw(b"a"), 0)
        if one.asks(fact)
    }
    assert len(asked) >= shown * len(turns)


def test_one_jerk_does_not_shorten_the_spans_of_a_calm_walk() -> None:
    turns = [turn(8 * number + 4, 3 if number else 0.2) for number in range(14)]
    spans = spans_of(walk(turns, 116), FEW, Draw(b"a"))
    assert max(one.end_us - one.start_us for one in spans) > 30 * SECOND
