import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.narrations import SIDECAR_SUFFIXES, Line, NarrationError, read

VTT = """WEBVTT

NOTE written by hand

1
00:00:01.500 --> 00:00:02.000 align:start
Past the <b>red</b> door
and on

01:02.250 --> 01:03.000
{\\an8}Left here
"""


def test_captions_are_read_without_markup() -> None:
    assert read(VTT, ".vtt") == [
        Line(1_500_000, "Past the red door and on"),
        Line(62_250_000, "Left here"),
    ]


def test_subrip_times_have_commas_and_files_may_have_a_byte_order_mark() -> None:
    text = "\ufeff1\r\n00:00:01,500 --> 00:00:02,000\r\nHello\r\n\r\n2\r\n01:00:00,000 --> 01:00:01,000\r\nThere\r\n"
    assert read(text, ".srt") == [Line(1_500_000, "Hello"), Line(3_600_000_000, "There")]


def test_a_cue_without_a_blank_line_after_it_is_not_lost() -> None:
    text = "WEBVTT\n\n00:01.0 --> 00:02.0\nfirst\n00:03.0 --> 00:04.0\nsecond"
    assert [line.text for line in read(text, ".vtt")] == ["first", "second"]


def test_csv_columns_may_be_landmark_action_and_undo() -> None:
    text = 'time,text,landmark,action,undo\n0:02.5,"Now, open",a door,opens it,closes it\n1,hi,,,\n'
    assert read(text, ".csv") == [
        Line(1_000_000, "hi"),
        Line(2_500_000, "Now, open", "a door", "opens it", "closes it"),
    ]


def test_json_lines_may_contain_any_character() -> None:
    text = json.dumps({"time": 1.25, "text": "a\u2028b\x85c"}, ensure_ascii=False)
    assert read(f"\n{text}\n", ".jsonl") == [Line(1_250_000, "a b c")]


def test_lines_are_in_time_order() -> None:
    text = '{"time": 3, "text": "c"}\n{"time": "0:01", "text": "a"}\n{"time": 2, "text": "b"}'
    assert [line.text for line in read(text, ".jsonl")] == ["a", "b", "c"]


@pytest.mark.parametrize("suffix", SIDECAR_SUFFIXES)
def test_an_empty_sidecar_is_an_error_or_gives_no_lines(suffix: str) -> None:
    if suffix == ".csv":
        with pytest.raises(NarrationError, match="no column named time"):
            read("", suffix)
    else:
        assert read("", suffix) == []


@pytest.mark.parametrize(
    ("suffix", "text", "line", "what"),
    [
        (".jsonl", '{"time": 1, "text": "a"}\n{"time": 1', 2, "not JSON"),
        (".jsonl", "[1]", 1, "expected an object"),
        (".jsonl", "[" * 100_000, 1, "not JSON"),
        (".jsonl", '{"text": "a"}', 1, "not a time"),
        (".jsonl", '{"time": -1, "text": "a"}', 1, "not a time within"),
        (".jsonl", '{"time": NaN, "text": "a"}', 1, "not a time within"),
        (".jsonl", '{"time": 1e999, "text": "a"}', 1, "not a time within"),
        (".jsonl", '{"time": 1, "text": "\\ud800"}', 1, "not a text"),
        (".jsonl", '{"time": 1, "text": ["a"]}', 1, "not a text"),
        (".jsonl", '{"time": "1:-5", "text": "a"}', 1, "not a time"),
        (".jsonl", '{"time": true, "text": "a"}', 1, "not a time"),
        (".jsonl", '{"time": 1, "says": "a"}', 1, "unknown column says"),
        (".csv", "time,text\n1,a\n2,b,c\n", 3, "more cells than columns"),
        (".csv", "time,words\n1,a\n", 2, "unknown column words"),
        (".csv", "text\na\n", 1, "no column named time"),
        (".csv", "time,text\n1,\n", 2, "are all empty"),
        (".csv", 'time,text\n1,"a\n', 1, "not CSV"),
        (".vtt", "WEBVTT\n\n00:01 --> 00:02\nx", 3, "not a cue time"),
        (".srt", "hello", 1, "no cue"),
        (".srt", "1\n00:00:01,000 --> 00:00:02,000\n\n", 2, "are all empty"),
    ],
)
def test_a_mistake_is_reported_with_its_line(suffix: str, text: str, line: int, what: str) -> None:
    with pytest.raises(NarrationError) as told:
        read(text, suffix)
    assert what in told.value.what
    assert told.value.line == line


@given(st.text(max_size=80), st.sampled_from(SIDECAR_SUFFIXES))
def test_any_text_is_read_or_rejected(text: str, suffix: str) -> None:
    try:
        lines = read(text, suffix)
    except NarrationError as error:
        assert error.what  # noqa: PT017 (both outcomes are valid)
    else:
        assert lines == sorted(lines, key=lambda line: line.t_us)
