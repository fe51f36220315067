import re
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from pipeline.routes.route import (
    LineError,
    canonical,
    course,
    parse_lines,
    print_lines,
    reverse,
    turns,
    worth_describing,
)
from pipeline.routes.rows import Move, Step
from pipeline.times import print_time

SEPARATORS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\u00a0\u3000"
TEXTS = st.text(
    st.one_of(st.sampled_from("|\\ :x" + SEPARATORS), st.characters(exclude_categories=["Cs"])),
    max_size=12,
)
FACTS = st.none() | TEXTS.map(lambda text: " ".join(text.split()) or None)
MOVES = st.sampled_from(get_args(Move))


@st.composite
def routes(draw: st.DrawFn, shortest_us: int = 0) -> list[Step]:
    """Return steps in time order without gaps, some as short as a microsecond."""
    at = draw(st.integers(0, 10**9))
    found = []
    for _ in range(draw(st.integers(1, 7))):
        end = at + draw(st.integers(shortest_us, 10**7))
        found.append(
            Step(
                start_us=at,
                end_us=end,
                move=draw(MOVES),
                landmark=draw(FACTS),
                action=draw(FACTS),
                undo=draw(FACTS),
            )
        )
        at = end
    return found


@given(routes())
def test_reversing_twice_gives_the_canonical_route(steps: list[Step]) -> None:
    assert reverse(reverse(steps)) == canonical(steps)


@given(routes())
def test_canonical_is_final_and_says_the_same(steps: list[Step]) -> None:
    once = canonical(steps)
    assert canonical(once) == once
    assert turns(once) == turns(steps)
    assert worth_describing(once) == worth_describing(steps)

    def content(found: object) -> list[object]:
        return [
            (step.landmark, step.action, step.undo)
            for step in found  # type: ignore[attr-defined]
            if step.landmark or step.action or step.undo
        ]

    assert content(once) == content(steps)


@given(routes())
def test_the_way_back_has_the_opposite_moves_in_the_opposite_order(steps: list[Step]) -> None:
    other = {"left": "right", "right": "left", "around": "around", "stay": "stay"}
    assert turns(reverse(steps)) == tuple(other[move] for move in reversed(turns(steps)))
    assert course(reverse(steps)) == tuple(other[m] for m in reversed(course(canonical(steps))))


@given(routes(shortest_us=1))
def test_step_lines_come_back_as_they_were(steps: list[Step]) -> None:
    start, end = steps[0].start_us, steps[-1].end_us
    text = print_lines(steps, start)
    assert len(text.split("\n")) == len(steps)
    assert parse_lines(text, start, end, steps) == tuple(steps)


@given(routes(shortest_us=100_000), st.sampled_from(["\n", "\r\n"]))
def test_without_the_known_steps_times_are_right_to_half_a_tenth(
    steps: list[Step], newline: str
) -> None:
    start = steps[0].start_us
    text = print_lines(steps, start).replace("\n", newline)
    found = parse_lines(text, start, steps[-1].end_us + 100_000)
    for was, now in zip(steps, found, strict=True):
        assert abs(was.start_us - now.start_us) <= 50_000
        assert (was.move, was.landmark, was.action) == (now.move, now.landmark, now.action)


@given(TEXTS | st.text(st.sampled_from("0:1.2 turnleft|\\\n"), max_size=60))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    refused: LineError | None = None
    try:
        assert parse_lines(text, 0, 10**8)[-1].end_us == 10**8
    except LineError as error:
        refused = error
    if refused:
        lines = re.split(r"\r\n?|\n", text)
        assert 1 <= refused.line <= len(lines)
        assert 1 <= refused.column <= len(lines[refused.line - 1]) + 1
        assert refused.what


@given(TEXTS, TEXTS)
def test_a_separator_inside_a_text_does_not_break_the_line(before: str, after: str) -> None:
    inside = f"{before}\u2028{after}\x85".replace("\n", " ").replace("\r", " ")
    cell = inside.replace("\\", "\\\\").replace("|", "\\|")
    (step,) = parse_lines(f"0:00.0 go straight | {cell}", 0, 10**6)
    assert step.landmark == (" ".join(inside.split()) or None)


@given(st.integers(0, 10**10))
def test_times_print_to_the_nearest_tenth(time_us: int) -> None:
    minutes, seconds = print_time(time_us).split(":")
    assert abs(int(minutes) * 60 + float(seconds) - time_us / 1e6) < 0.0501
    assert float(seconds) < 60
