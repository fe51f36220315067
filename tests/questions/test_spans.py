"""Spans give as many items as they can, and never cut a turn."""

import random
from itertools import combinations, pairwise

import pytest

from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS
from pipeline.questions.spans import cut, inside, mirrored, pairs_of
from pipeline.questions.spantext import SpanText
from pipeline.routes.route import canonical, worth_describing
from pipeline.routes.rows import Step

S = 1_000_000


def steps_of(seed: int, count: int) -> tuple[Step, ...]:
    rng, at, found = random.Random(seed), 0, []
    for number in range(count):
        end = at + rng.randint(1, 9) * S
        move = rng.choice(["straight", "straight", "left", "right", "around"])
        mark = f"the door {number}" if move == "straight" and rng.random() < 0.6 else None
        found.append(Step(start_us=at, end_us=end, move=move, landmark=mark))
        at = end
    return canonical(found)


def pairs_in(steps: tuple[Step, ...], start: int, end: int) -> int:
    found = inside(steps, start, end)
    sided = sum(step.move in ("left", "right") for step in found)
    landmarks = sum(bool(step.landmark) for step in found)
    pairs = pairs_of(sided, landmarks, 0)
    return pairs - (pairs > 0 and worth_describing(found) < 3)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_cut_gives_more_items(seed: int) -> None:
    steps = steps_of(seed, 9)
    spans = cut(steps, 25 * S, 8 * S)
    kept = sum(pairs_in(steps, *span) for span in spans)
    times = sorted({time for step in steps for time in (step.start_us, step.end_us)})
    possible = [
        (start, end) for start, end in combinations(times, 2) if 8 * S <= end - start <= 25 * S
    ]
    most = 0
    for count in range(4):
        for some in combinations(possible, count):
            if all(one[1] <= other[0] for one, other in pairwise(sorted(some))):
                most = max(most, sum(pairs_in(steps, *span) for span in some))
    assert kept >= most


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_disjoint_as_long_as_allowed_and_cut_no_turn(seed: int) -> None:
    steps = steps_of(seed, 30)
    spans = cut(steps, 40 * S, 10 * S)
    assert spans
    for start, end in spans:
        assert 10 * S <= end - start <= 40 * S
        for time in (start, end):
            turns = [step for step in steps if step.move != "straight"]
            assert not any(step.start_us < time < step.end_us for step in turns)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_a_clip_that_fits_into_one_span_is_one_although_two_could_be_described() -> None:
    steps = canonical(
        Step(
            start_us=5 * at * S, end_us=5 * (at + 1) * S, move="straight", landmark=f"the door {at}"
        )
        for at in range(6)
    )
    assert cut(steps, 40 * S, 10 * S) == [(0, 30 * S)]


def test_a_step_is_given_up_where_that_leaves_more_to_ask() -> None:
    times = [0, 11, 22, 33, 44, 55, 66, 77, 88, 99, 110]
    steps = [
        Step(start_us=one * S, end_us=other * S, move="stay", action=f"do {one}")
        for one, other in pairwise(times)
    ]
    spans = cut(steps, 60 * S, 10 * S)
    assert [len(inside(steps, *span)) for span in spans] == [5, 5]
    # Of spans of up to 45 s, two of four actions hold a pair each, as three of three would not.
    spans = cut(steps, 45 * S, 10 * S)
    assert sorted(len(inside(steps, *span)) for span in spans) == [2, 4, 4]


def test_a_span_is_longer_than_wanted_only_where_that_gives_more_to_ask() -> None:
    def done(seconds: float, count: int) -> list[Step]:
        times = [round(seconds * at * S) for at in range(count + 1)]
        return [
            Step(start_us=one, end_us=other, move="stay", action=f"do {one}")
            for one, other in pairwise(times)
        ]

    # Five actions of 8.5 s make two pairs; the four that fit into 40 s make one.
    assert cut(done(8.5, 5), 45 * S, 10 * S, wanted_us=40 * S) == [(0, 42_500_000)]
    for start, end in cut(done(8.5, 4), 45 * S, 10 * S, wanted_us=30 * S):
        assert end - start <= 40 * S
    # Six of them make two pairs, too.
    (span,) = cut(done(7.3, 6), 45 * S, 10 * S, wanted_us=40 * S)
    assert span[1] - span[0] <= 40 * S


def test_nothing_is_cut_from_nothing() -> None:
    assert cut((), 40 * S, 10 * S) == []


def test_mirroring_swaps_every_side_and_nothing_else() -> None:
    draw, span = Draw(b"x"), SpanText("s", steps_of(3, 20))
    before, after = (
        [fact for kind in KINDS.values() for fact in kind.find(one, draw, 0)]
        for one in (span, SpanText(span.span_id, mirrored(span.steps)))
    )
    assert {fact.kind for fact in before} == {"turn", "landmark"}
    assert after == [fact.mirrored() for fact in before]
    assert mirrored(mirrored(span.steps)) == span.steps
