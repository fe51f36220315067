import codecs
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.narrations import (
    SIDECAR_SUFFIXES,
    Line,
    NarrationError,
    decode,
    joined,
    read,
)

VTT = """WEBVTT

NOTE written by hand

1
00:00:01.500 --> 00:00:02.000 align:start
Past the <b>red</b> door
and on

01:02.250 --> 01:03.000
{\\an8}Left here
"""


def lines(text: str, suffix: str, **how: Any) -> list[Line]:
    """Return the narrations of a text without mistakes."""
    reading = read(text, suffix, **how)
    assert reading.mistakes == ()
    return list(reading.lines)


def texts(text: str, suffix: str) -> list[str]:
    return [line.text for line in lines(text, suffix)]


def test_captions_are_read_without_markup() -> None:
    assert lines(VTT, ".vtt") == [
        Line(1_500_000, "Past the red door and on"),
        Line(62_250_000, "Left here"),
    ]


def test_subrip_times_have_commas_and_files_may_have_a_byte_order_mark() -> None:
    text = "\ufeff1\r\n00:00:01,500 --> 00:00:02,000\r\nHello\r\n\r\n2\r\n01:00:00,000 --> 01:00:01,000\r\nThere\r\n"
    assert lines(text, ".srt") == [Line(1_500_000, "Hello"), Line(3_600_000_000, "There")]


def test_a_cue_without_a_blank_line_after_it_is_not_lost() -> None:
    text = "WEBVTT\n\n00:01.0 --> 00:02.0\nfirst\n00:03.0 --> 00:04.0\nsecond"
    assert texts(text, ".vtt") == ["first", "second"]


def test_csv_columns_may_be_landmark_action_and_undo() -> None:
    text = 'time,text,landmark,action,undo\n0:02.5,"Now, open",a door,opens it,closes it\n1,hi,,,\n'
    assert lines(text, ".csv") == [
        Line(1_000_000, "hi"),
        Line(2_500_000, "Now, open", "a door", "opens it", "closes it"),
    ]


def test_json_lines_may_contain_any_character() -> None:
    text = json.dumps({"time": 1.25, "text": "a\u2028b\x85c"}, ensure_ascii=False)
    assert lines(f"\n{text}\n", ".jsonl") == [Line(1_250_000, "a b c")]


def test_lines_are_in_time_order() -> None:
    text = '{"time": 3, "text": "c"}\n{"time": "0:01", "text": "a"}\n{"time": 2, "text": "b"}'
    assert texts(text, ".jsonl") == ["a", "b", "c"]


@pytest.mark.parametrize("suffix", SIDECAR_SUFFIXES)
def test_an_empty_sidecar_gives_no_lines(suffix: str) -> None:
    reading = read("", suffix)
    assert reading.lines == ()
    assert bool(reading.mistakes) == (suffix == ".csv"), "a CSV file has at least its columns"


MISTAKES = [
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
    (".csv", "time,words\n1,a\n", 1, "unknown column words"),
    (".csv", "time,time\n1,1\n", 1, "occurs twice"),
    (".csv", "text\na\n", 1, "no column named time"),
    (".csv", "time,text\n1,\n", 2, "are all empty"),
    (".csv", 'time,text\n1,"a\n', 2, "not CSV"),
    (".vtt", "WEBVTT\n\n00:01.000 --> later\nx", 3, "not a cue time"),
    (".vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nx", 3, "ends before it begins"),
    (".vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nx\n\nlost", 6, "a text without a time: 'lost'"),
    (".srt", "hello", 1, "no cue"),
    (".srt", "1\n00:00:01,000 --> 00:00:02,000\n\n", 2, "the cue has no text"),
]


@pytest.mark.parametrize(("suffix", "text", "line", "what"), MISTAKES)
def test_a_mistake_is_reported_with_its_line(suffix: str, text: str, line: int, what: str) -> None:
    (mistake,) = read(text, suffix).mistakes
    assert what in mistake.what
    assert mistake.line == line


@pytest.mark.parametrize(
    ("suffix", "text", "line"),
    [
        (".jsonl", '{"time": 1, "text": "a"}\n{"time": 2, "text": \n{"time": 3, "text": "c"}', 2),
        (".csv", "time,text\n1,a\nx,b\n3,c\n", 3),
        (".csv", 'time,text\n1,a\n2,"b\n3,c\n', 3),
        (".csv", "time,text\n1,a\n2,b,b,b\n3,c\n", 3),
        (".vtt", "WEBVTT\n\n0:01.0 --> 0:02.0\na\n\n0:0x.0 --> 0:03.0\nb\nb\n\n0:03.0 --> 0:04.0\nc", 6),
        (".vtt", "WEBVTT\n\n0:01.0 --> 0:02.0\na\n\n0:02.0 -->\nb\n0:03.0 --> 0:04.0\nc", 6),
        (".srt", "1\n0:0:1,0 --> 0:0:2,0\na\n2\n0:0:5,0 --> 0:0:2,0\nb\n3\n0:0:3,0 --> 0:0:4,0\nc", 5),
    ],
)  # fmt: skip
def test_a_mistake_loses_only_its_own_cue(suffix: str, text: str, line: int) -> None:
    reading = read(text, suffix)
    assert [one.text for one in reading.lines] == ["a", "c"]
    assert [one.line for one in reading.mistakes] == [line]


def test_cue_numbers_without_blank_lines_are_not_text() -> None:
    text = "1\n0:0:1,0 --> 0:0:2,0\nfirst\n2\n0:0:3,0 --> 0:0:4,0\nhouse\n42\n\n3\n0:0:5,0 --> 0:0:6,0\nlast"
    assert texts(text, ".srt") == ["first", "house 42", "last"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Tom &amp; Jerry&#39;s &lt;door&gt;", "Tom & Jerry's <door>"),
        ("past&nbsp;it", "past it"),
        ("AT&T &copy me", "AT&T &copy me"),
        ("a < b and c > d", "a < b and c > d"),
        ("if x <y then", "if x <y then"),
        ("<v Ann Smith>turn <i.loud>left</i></v>", "turn left"),
        ("one<br/>two", "one two"),
        ("go<00:01.500><c> on</c>", "go on"),
        ('<font color="red">red</font> door', "red door"),
        ("the door --> on the left", "the door --> on the left"),
        ("{\\an8}above", "above"),
    ],
)
def test_the_text_of_a_cue_is_what_a_player_shows(written: str, text: str) -> None:
    cue = f"WEBVTT\n\n00:01.000 --> 00:02.000 line:0\nsee\n{written}\n"
    assert texts(cue, ".vtt") == [f"see {text}"]


def test_headers_notes_and_styles_are_no_narrations() -> None:
    text = """WEBVTT - a title
Kind: captions
Language: en

STYLE
::cue { color: red }

REGION
id:fred

NOTE
of several
lines

the first cue
00:01.000 --> 00:02.000
hello

NOTE about the end
"""
    assert texts(text, ".vtt") == ["hello"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_unicode_files_are_read_in_any_encoding(encoding: str) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\nTür\n"
    found, _ = decode(text.encode(encoding))
    assert texts(found, ".vtt") == ["Tür"]


def test_other_encodings_are_a_guess_or_a_mistake() -> None:
    assert decode("time,text\n1,Tür".encode("cp1252")) == ("time,text\n1,Tür", "cp1252")
    with pytest.raises(NarrationError, match="line 2: "):
        decode(b"time,text\n1,\x81")
    with pytest.raises(NarrationError, match="save it as UTF-8"):
        decode(codecs.BOM_UTF16_LE + b"\0\xd8")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheets_separate_cells_otherwise(delimiter: str) -> None:
    text = delimiter.join(["Time", " text"]) + "\r\n" + delimiter.join(["2,5", "a, b"]) + "\r\n"
    assert lines(text + delimiter + "\r\n", ".csv") == [Line(2_500_000, "a, b")]


def test_cues_may_have_frame_timecodes() -> None:
    text = "1\n00:00:01:15 --> 00:00:02:00\nhello\n"
    assert lines(text, ".srt", rate=Fraction(30)) == [Line(1_500_000, "hello")]


def test_lines_with_the_same_text_are_merged_unless_they_contradict() -> None:
    door = Line(1, "here", landmark="door")
    both = joined(
        [door], [Line(1, "here", action="opens"), Line(1, "here", landmark="gate", number=3)]
    )
    assert both.lines == (Line(1, "here", landmark="door", action="opens"),)
    assert [mistake.line for mistake in both.mistakes] == [3]


@given(st.text(max_size=80), st.sampled_from(SIDECAR_SUFFIXES))
def test_any_text_is_read_or_its_mistakes_are_reported(text: str, suffix: str) -> None:
    reading = read(text, suffix)
    assert list(reading.lines) == sorted(reading.lines, key=lambda line: line.t_us)
    count = text.count("\n") + text.count("\r") + 2
    assert all(0 <= one.line <= count and one.what for one in reading.mistakes)


@given(st.binary(max_size=80), st.sampled_from(SIDECAR_SUFFIXES))
def test_any_bytes_are_read_or_a_mistake(data: bytes, suffix: str) -> None:
    try:
        text, _ = decode(data)
    except NarrationError as error:
        assert error.what  # noqa: PT017 (both outcomes are valid)
    else:
        read(text, suffix)


WORDS = st.lists(
    st.sampled_from(["door", "a < b", "&amp;", "<i>x</i>", "7", "-->", "NOTE", "é"]), min_size=1
)
BAD = st.sampled_from(
    ["0:0x.0 --> 0:03.0", "0:05.0 --> 0:01.0", "--> 0:01.0", "0:01.0 -->", "-0:01.0 --> 0:02.0"]
)


@given(st.lists(WORDS, min_size=1, max_size=6), st.data())
def test_a_bad_cue_among_good_ones_loses_no_other(
    said: list[list[str]], data: st.DataObject
) -> None:
    cues = [f"{n}:00.0 --> {n}:01.0\nsaid {' '.join(words)}" for n, words in enumerate(said)]
    at = data.draw(st.integers(0, len(cues)))
    bad = data.draw(BAD) + "\nlost"
    newline = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = "\n\n".join(["WEBVTT", *cues[:at], bad, *cues[at:]]).replace("\n", newline)
    reading = read(text, ".vtt")
    assert reading.lines == read("\n\n".join(["WEBVTT", *cues]), ".vtt").lines
    assert len(reading.lines) == len(cues)
    assert [mistake.line for mistake in reading.mistakes] == [3 + 3 * at]


@given(
    st.lists(st.tuples(st.integers(0, 999), st.text('ab,;"é ', min_size=1, max_size=8)), max_size=8)
)
def test_what_a_spreadsheet_writes_is_read_again(rows: list[tuple[int, str]]) -> None:
    told = [(t, f"x{text}") for t, text in rows]
    text = "time,text\n" + "".join(
        '{},"{}"\n'.format(t, text.replace('"', '""')) for t, text in told
    )
    found = [(line.t_us // 1_000_000, line.text) for line in lines(text, ".csv")]
    assert found == sorted(
        ((t, " ".join(text.split())) for t, text in told), key=lambda one: one[0]
    )


def test_json_lines_name_one_bad_line_of_many() -> None:
    good = [json.dumps({"time": n, "text": f"t{n}"}) for n in range(1000)]
    reading = read("\n".join([*good[:500], "{", *good[500:]]), ".jsonl")
    assert len(reading.lines) == 1000
    assert [mistake.line for mistake in reading.mistakes] == [501]


def test_automatic_captions_of_youtube_are_read_whole() -> None:
    words = "okay<00:00:00.400><c> so</c><00:00:00.560><c> we</c>"
    spoken = f"00:00:00.160 --> 00:00:02.389 align:start position:0%\n \n{words}\n"
    shown = "00:00:02.389 --> 00:00:02.399 align:start position:0%\nokay so we\n \n"
    reading = read(f"WEBVTT\nKind: captions\nLanguage: en\n\n{spoken}\n{shown}\n", ".vtt")
    assert [(line.t_us, line.text) for line in reading.lines] == [
        (160_000, "okay so we"),
        (2_389_000, "okay so we"),
    ]
    assert reading.mistakes == ()
    empty = read("WEBVTT\n\n00:01.000 --> 00:02.000\n\n00:03.000 --> 00:04.000\nx\n", ".vtt")
    assert [str(mistake) for mistake in empty.mistakes] == ["line 3: the cue has no text"]


def test_a_separator_line_for_excel_is_skipped() -> None:
    reading = read('sep=;\r\ntime;text\r\n0,5;"Tür; links"\r\nx;y\r\n', ".csv")
    assert [(line.t_us, line.text) for line in reading.lines] == [(500_000, "Tür; links")]
    assert [mistake.line for mistake in reading.mistakes] == [4]
    (mistake,) = read("sep=;\nZeit;Text\n", ".csv").mistakes
    assert mistake.line == 2
