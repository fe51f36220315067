import pytest
from hypothesis import given
from hypothesis import strategies as st
from walked import steps

from pipeline.routes import wording
from pipeline.routes.route import print_lines
from pipeline.routes.typed import read_lines

END = 20_000_000


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("0:03,9 turn rihgt", "0:03.9 turn right"),
        ("0:03.9 trun left", "0:03.9 turn left"),
        ("0:03.9turnleft", "0:03.9 turn left"),
        ("0:03.9 turn-left", "0:03.9 turn left"),
        ("0:03.9 go staright", "0:03.9 go straight"),
        ("0:03.9 turn arround", "0:03.9 turn around"),
        ("0:03.9 lft", "0:03.9 turn left"),
        ("0:03.9 \u2013 turn left", "0:03.9 turn left"),
        ("[0:03.9] turn left", "0:03.9 turn left"),
        ("0:03.9s turn left", "0:03.9 turn left"),
        ("0:03;9 turn left", "0:03.9 turn left"),
        ("0;03.9 turn left", "0:03.9 turn left"),
        ("0:03. turn left", "0:03.0 turn left"),
        ("0:03:9 turn left", "0:03.9 turn left"),  # as hours, it would be after the clip's end
        ("3,9 turn left", "0:03.9 turn left"),
        ("O:03.9 turn left", "0:03.9 turn left"),
        ("\uff10\uff1a\uff10\uff13\uff0e\uff19\u3000turn left", "0:03.9 turn left"),
        ("0:03.9 Links abbiegen", "0:03.9 turn left"),
        ("0:03.9 links abbigen", "0:03.9 turn left"),
        ("0:03.9 | turn left | the door", "0:03.9 turn left | the door"),
        ("0:03,9 turn left|the \\| bar|opens it", "0:03.9 turn left | the \\| bar|opens it"),
        ("0:03.9 turn left\uff5cthe door", "0:03.9 turn left | the door"),
        ("0:03.9\tturn left\tthe door", "0:03.9 turn left | the door"),
        ("0:03.9 strait", "0:03.9 go straight"),
        ("0:03,9 Stay | at the sink", "0:03.9 stay in place | at the sink"),
        ("0:03.9 stay inplace", "0:03.9 stay in place"),
        ("0:03.9 stehenbleiben", "0:03.9 stay in place"),
    ],
)
def test_a_line_with_one_close_reading_is_read_and_reported(typed: str, read: str) -> None:
    found = read_lines(f"0:00.0 go straight\n{typed}", 0, END, (), wording.move_words())
    assert found.mistakes == ()
    assert [(one.line, one.typed, one.read) for one in found.readings] == [(2, typed, read)]
    assert found.steps == read_lines(f"0:00.0 go straight\n{read}", 0, END).steps != ()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("0:03 turn leght", "column 6: expected go straight"),  # as close to left as to right
        ("0:03-5 turn left", "expected a clip time"),
        ("0:03 9 turn left", "not '9 turn left'"),
        ("0:03.9 no turn left", "not 'no turn left'"),
        ("0:03.9 turn", "column 8: expected go straight"),
        ("0:03.9 stop", "not 'stop'"),
        ("0:03.9 turn left past the door", "not 'turn left past the door'"),
        ("I think they stop here", "expected a clip time"),
        ("0:75.0 turn left", "expected a clip time"),
        ("turn left", "expected a clip time"),
        ("1:30,0 turn left", "expected a clip time"),
        ("1:30.0 turn left", "after the clip ends"),
        ("0:03.9 turn left | a | b | c | d", "too many parts"),
    ],
)
def test_a_line_with_no_or_several_close_readings_is_a_mistake(typed: str, says: str) -> None:
    found = read_lines(f"0:00.0 go straight\n{typed}\n0:12.0 turn up", 0, END)
    assert (found.steps, [one.line for one in found.mistakes]) == ((), [2, 3])
    assert says in str(found.mistakes[0])


def test_words_in_any_case_are_exact() -> None:
    found = read_lines("0:00.0 Go Straight\n0:01.0\u00a0TURN  left", 0, END)
    assert (len(found.steps), found.readings, found.mistakes) == (2, (), ())


def test_a_corrected_time_keeps_the_microseconds_of_the_draft() -> None:
    known = steps("straight", "left", "straight")
    shifted = [step.model_copy(update={"start_us": step.start_us + 7}) for step in known]
    text = print_lines(shifted, 0).replace(".", ",")
    found = read_lines(text, 0, known[-1].end_us, shifted)
    assert len(found.readings) == 3
    assert [step.start_us for step in found.steps] == [step.start_us for step in shifted]


@given(st.text(max_size=60))
def test_any_text_gives_steps_or_mistakes(text: str) -> None:
    found = read_lines(text, 0, END)
    assert bool(found.steps) != bool(found.mistakes)
