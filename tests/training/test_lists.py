"""The two lists of a think text: reading what was written, and inverting twice, give what was there before."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.routes.tasks import plain
from pipeline.training.lists import HEADINGS, Event, inverted, read, write

LANGUAGES = sorted(HEADINGS)
ODD = [
    "2.0 s to 3.0 s: turn: left",
    "a: b - c",
    "- x",
    "forward:",
    "turn: right",
    "\u2028e\u0301 | ß",
    "“left”",
    "1 s",
]
names = (st.text(min_size=1, max_size=30) | st.sampled_from(ODD)).map(plain).filter(bool)
# Hypothesis takes seconds for its table of characters when it needs it first.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
tenths = st.integers(0, 36_000).map(lambda number: number / 10)


@st.composite
def events(draw: st.DrawFn, *, timed: bool = True) -> Event:
    kind = draw(st.sampled_from(["turn", "landmark", "action"]))
    what = draw(st.sampled_from(["left", "right", "around"]) if kind == "turn" else names)
    if not timed:
        return Event(kind, what)
    start, end = sorted((draw(tenths), draw(tenths)))
    return Event(kind, what, start, end)


@pytest.mark.parametrize("language", LANGUAGES)
@unhurried
@given(st.lists(events(), max_size=12), st.lists(events(timed=False), max_size=12))
def test_what_was_written_is_read(language: str, ahead: list[Event], back: list[Event]) -> None:
    headings = HEADINGS[language]
    text = f"Some words.\n{headings[0]}\n{write(ahead, language)}\nMore.\n{headings[1]}\n{write(back, language)}\nSo."
    assert read(text) == (tuple(ahead), tuple(back))


@unhurried
@given(st.lists(events(), max_size=12), st.data())
def test_inverting_twice_gives_the_list_without_times(
    ahead: list[Event], data: st.DataObject
) -> None:
    acts = sorted({one.what for one in ahead if one.kind == "action"})
    undone = data.draw(st.lists(st.sampled_from(acts), unique=True)) if acts else []
    # What undoes an action is no action of the span itself: otherwise there would be two of it on the way back.
    undo = {name: f"{name} back" for name in undone if f"{name} back" not in acts}
    there = {back: name for name, back in undo.items()}
    assert inverted(inverted(ahead, undo), there) == tuple(
        Event(one.kind, one.what) for one in ahead
    )
    assert inverted(inverted(ahead)) == tuple(Event(one.kind, one.what) for one in ahead)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Forward:\n- turn: left",
        "Backward:\n- turn: left\nForward:\n- turn: right",
        "Forward:\n- turn: left\nForward:\n- turn: left\nBackward:\n- turn: right",
        "Forward:\n- turn: left\nRückwärts:\n- turn: right",
    ],
)
def test_without_both_headings_once_in_order_nothing_is_read(text: str) -> None:
    assert read(text) is None


def test_only_actions_are_undone() -> None:
    """A landmark, or a side, that is called as an action is keeps its name."""
    same = [Event("action", "left"), Event("landmark", "left"), Event("turn", "left")]
    assert inverted(same, {"left": "back"}) == (
        Event("turn", "right"),
        Event("landmark", "left"),
        Event("action", "back"),
    )


def test_a_time_just_below_zero_is_zero() -> None:
    """A difference of two times may be -4e-15, and lists have no minus sign."""
    text = f"Forward:\n{write([Event('turn', 'left', 25.199999999999996 - 25.2, 0.04)], 'en')}\nBackward:\n"
    assert read(text) == ((Event("turn", "left", 0.0, 0.0),), ())
