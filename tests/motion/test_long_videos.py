"""Hours of video: each clip looks at its own part of the measurements, and the results are those of short ones."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, SupportsIndex, overload

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.motion import cuts
from pipeline.motion.cuts import equal_spans, steady_spans
from pipeline.motion.keyframes import CandidateFrame, TurnEvent, choose
from pipeline.motion.tracking import RotationStep
from pipeline.motion.turns import HeadingTrack, confidence, course, swings, travelling

SECOND = 1_000_000


def walk(seconds: int) -> list[RotationStep]:
    """Return ten steps per second of a walk: a turn every ten seconds, every fourth one a glance."""
    steps = []
    for number in range(10 * seconds):
        turn, at = divmod(number, 100)
        sense = (1, -1, -1, 1, 1, -1, 1)[turn % 7]
        turning = 70 <= at < 80 + turn % 5
        back = turn % 4 == 3 and 90 <= at < 94 + turn % 5
        rate = 9.0 * sense if turning else -20.0 * sense if back else 0.2 * math.sin(number / 3)
        start_us = number * 100_000
        parallax = 0.0 if turn % 4 == 3 else 0.4
        rotation = (0.1 * math.sin(number), rate, 0.1 * math.cos(number))
        share = 0.9 if number % 37 else 0.0
        steps.append(
            RotationStep(start_us, start_us + 100_000, rotation, share, parallax, (0.0, 0.0, 1.0))
        )
    return steps


GOLDEN_TURNS = [
    (7.1, 90, True, 1.0), (17.1, -100, True, 1.0), (27.1, -108, True, 1.0), (37.1, 113, False, 1.0),
    (39.1, -140, False, 0.749), (47.1, 125, True, 1.0), (57.1, -90, True, 1.0), (67.1, 100, True, 1.0),
    (77.1, 108, False, 1.0), (79.0, -121, False, 1.0), (87.1, -117, True, 1.0), (97.1, -125, True, 1.0),
    (107.1, 90, True, 1.0), (117.1, 99, False, 1.0), (119.0, -101, False, 1.0),
    (127.1, -108, True, 1.0), (137.1, 122, True, 1.0), (147.1, 126, True, 1.0),
]  # fmt: skip
GOLDEN_SPANS = [(0.0, 36.0), (36.0, 60.0), (60.0, 75.0), (75.0, 115.0), (115.0, 150.0)]


def test_the_turns_and_cuts_of_a_walk() -> None:
    """Golden values, measured before the search for a turn's steps and for a cut was made linear."""
    steps = walk(150)
    whole = course(0, steps)
    found = swings(whole)
    moved = travelling(found, steps)
    sure = [confidence(one, steps, lens_known=True) for one in found]
    assert [
        (round(one.start_us / SECOND, 1), round(one.yaw_degrees), moving, trust)
        for one, moving, trust in zip(found, moved, sure, strict=True)
    ] == GOLDEN_TURNS
    spans = steady_spans(whole, found, [(60 * SECOND, 75 * SECOND)], 150 * SECOND, 40 * SECOND)
    assert [(start / SECOND, end / SECOND) for start, end in spans] == GOLDEN_SPANS


class CountedSteps(Sequence[RotationStep]):
    """Steps that count how many of them are looked at."""

    def __init__(self, steps: Sequence[RotationStep]) -> None:
        self.steps, self.seen = steps, 0

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: SupportsIndex) -> RotationStep: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RotationStep]: ...
    def __getitem__(self, index: Any) -> Any:
        found = self.steps[index]
        self.seen += len(found) if isinstance(index, slice) else 1
        return found

    def __iter__(self) -> Iterator[RotationStep]:
        self.seen += len(self.steps)
        return iter(self.steps)


class CountedPoints(np.ndarray):
    """Points of a heading that count how many of them are compared or added up."""

    seen = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **named: Any) -> Any:
        plain = [one.view(np.ndarray) if isinstance(one, CountedPoints) else one for one in given]
        CountedPoints.seen += max(np.size(one) for one in plain)
        return getattr(ufunc, method)(*plain, **named)

    def __iter__(self) -> Iterator[Any]:
        CountedPoints.seen += len(self)
        return iter(self.view(np.ndarray))


def looked_at_by_turns(seconds: int) -> int:
    """Return how many steps are looked at for all turns of a walk."""
    steps = walk(seconds)
    found = swings(course(0, steps))
    assert len(found) > seconds // 11
    counted = CountedSteps(steps)
    travelling(found, counted)
    for one in found:
        confidence(one, counted, lens_known=True)
    return counted.seen


def looked_at_by_cuts(seconds: int) -> int:
    """Return how many points are looked at to cut a walk into clips of 20 seconds."""
    whole = course(0, walk(seconds))
    found = swings(whole)
    counted = HeadingTrack(whole.t_us.view(CountedPoints), whole.yaw_degrees.view(CountedPoints))
    CountedPoints.seen = 0
    spans = steady_spans(counted, found, [], seconds * SECOND, 20 * SECOND)
    assert len(spans) >= seconds // 20
    for start, end in spans:
        counted.between(start, end)
    return CountedPoints.seen


@pytest.mark.parametrize("looked_at", [looked_at_by_turns, looked_at_by_cuts])
def test_eight_times_the_length_is_eight_times_the_work(looked_at: Any) -> None:
    assert looked_at(1600) <= 10 * looked_at(200)


def test_a_clip_with_many_turns_looks_at_each_turn_few_times() -> None:
    """Of the events, only those next to each are looked at."""

    class CountedEvent(TurnEvent):
        seen = 0

        def __getattribute__(self, name: str) -> Any:
            CountedEvent.seen += name == "end_us"
            return super().__getattribute__(name)

    look = np.zeros((2, 2), np.uint8)
    among = [CandidateFrame(n * 400_000, 1.0, False, look + n % 7 * 40) for n in range(9000)]
    events = [
        CountedEvent(n * 4 * SECOND, n * 4 * SECOND + SECOND, f"turn {n}", 90.0) for n in range(850)
    ]
    choose(among, events, budget=256)
    assert CountedEvent.seen <= 20 * len(events)


# ---- the same as looking at everything ------------------------------------------------------------


def steadiest(whole: HeadingTrack, found: Sequence[Any], earliest: int, latest: int) -> int:
    """Look at every point and every turn."""
    inside = [int(t) for t in whole.t_us if earliest <= t <= latest]
    outside = [t for t in inside if not any(one.start_us <= t <= one.end_us for one in found)]

    def change(t_us: int) -> float:
        near = whole.yaw_degrees[np.abs(whole.t_us - t_us) <= SECOND]
        return float(near.max() - near.min())

    return min(outside or inside, key=lambda t: (round(change(t), 1), -t), default=latest)


@given(st.integers(0, 2**32), st.integers(30, 600))
@settings(max_examples=40, deadline=None)
def test_cuts_and_turns_are_those_of_looking_at_everything(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    t_us = np.cumsum(
        draw.choice([33_000, 100_000, 400_000, 3_000_000], count, p=[0.4, 0.4, 0.15, 0.05])
    )
    yaw = np.cumsum(draw.choice([0.0, 0.1, 7.0, -9.0], count))
    whole = HeadingTrack(t_us, yaw)
    found = swings(whole)
    for earliest in range(0, int(t_us[-1]), 7 * SECOND):
        latest = earliest + 10 * SECOND
        assert cuts._steadiest(whole, found, earliest, latest) == steadiest(
            whole, found, earliest, latest
        )
        part = whole.between(earliest, latest)
        inside = (t_us >= earliest) & (t_us <= latest)
        assert part.t_us.tolist() == t_us[inside].tolist()
        assert part.yaw_degrees.tolist() == (yaw[inside] - yaw[inside][:1]).tolist()


HOUR = HeadingTrack(
    np.arange(0, 3600 * SECOND, SECOND // 10),
    np.cumsum(np.sin(np.arange(36_000) / 300) * (np.arange(36_000) % 100 > 80) * 9),
)


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 40)), max_size=3),
    st.integers(1, 300),
    st.integers(10, 60),
)
@settings(max_examples=80, deadline=None)
def test_spans_cover_the_video_once(
    judged: list[tuple[int, int]], seconds: int, longest: int
) -> None:
    """Judged spans remain, and what is left between them is covered, except for less than a second."""
    kept: list[tuple[int, int]] = []
    for start, length in sorted(judged):
        if start >= (kept[-1][1] if kept else 0) and start + length <= seconds:
            kept.append((start, start + length))
    in_us = [(start * SECOND, end * SECOND) for start, end in kept]
    whole = HOUR.between(0, seconds * SECOND)
    for spans in (
        steady_spans(whole, swings(whole), in_us, seconds * SECOND, longest * SECOND),
        equal_spans(in_us, seconds * SECOND, longest * SECOND),
    ):
        assert set(in_us) <= set(spans)
        assert spans == sorted(spans)
        edges = [0, *(edge for span in spans for edge in span), seconds * SECOND]
        assert all(
            later - earlier < SECOND for earlier, later in zip(edges[::2], edges[1::2], strict=True)
        )
        assert all(end - start <= longest * SECOND for start, end in set(spans) - set(in_us))
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
