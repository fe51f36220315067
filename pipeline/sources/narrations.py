"""Reading narration sidecars: WebVTT, SubRip, CSV and JSON lines. Pure."""

import codecs
import csv
import html
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from pipeline.sources.timecodes import read_time

SIDECAR_SUFFIXES = (".jsonl", ".csv", ".srt", ".vtt")
FACTS = ("landmark", "action", "undo")
_COLUMNS = ("time", "text", *FACTS)
# Not str.splitlines: it also splits at U+2028, which JSON may contain.
_NEWLINE = re.compile(r"\r\n?|\n")
_SEPARATOR = re.compile(r'"?sep=', re.I)  # a line for Excel, above the header
_NOT_CUES = re.compile(r"(WEBVTT|NOTE|STYLE|REGION)(\s|$)")
# Only known tags: "a <b and c> d" is a text.
_TAG = re.compile(
    r"</?(?:b|c|i|u|s|v|em|strong|lang|ruby|rt|font|span|p)(?:[.\s][^<>]*)?/?>"
    r"|<\d[\d:.,]*>|\{\\[^}]*\}",
    re.I,
)
_BREAK = re.compile(r"<br\s*/?>", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass
class NarrationError(ValueError):
    """What is wrong in a sidecar; lines count from 1 (0: no particular line)."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}" if self.line else self.what


@dataclass(frozen=True)
class Line:
    """One narration; `t_us` is video time, `number` its line in the file."""

    t_us: int
    text: str
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None
    number: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Reading:
    """What a sidecar holds: its narrations in time order, and the lines that can't be used."""

    lines: tuple[Line, ...]
    mistakes: tuple[NarrationError, ...]


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of a file and the name of its encoding; raise NarrationError.

    Without a byte order mark it is UTF-8, or else Windows-1252, which is a guess.
    """
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data[:2]:  # UTF-16 without a mark
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    for guess in (encoding, "cp1252") if encoding == "utf-8" else (encoding,):
        try:
            return data.decode(guess).removeprefix("\ufeff"), guess
        except UnicodeDecodeError as error:
            number = data[: error.start].count(b"\n") + 1
    raise NarrationError(number, "its letters can't be read: save it as UTF-8")


def read(text: str, suffix: str, rate: Fraction | None = None) -> Reading:
    """Return the narrations in the text of a sidecar with this suffix.

    A mistake loses its own line or cue, and the others are kept. `rate` is the video's frame rate.
    """
    reader = {".jsonl": _jsonl, ".csv": _csv, ".srt": _cues, ".vtt": _cues}[suffix]
    lines, mistakes = [], []
    for found in reader(text.removeprefix("\ufeff")):
        if isinstance(found, NarrationError):
            mistakes.append(found)
            continue
        try:
            lines.append(_line(found, rate))
        except NarrationError as error:
            mistakes.append(error)
    return Reading(tuple(sorted(lines, key=lambda line: line.t_us)), tuple(mistakes))


@dataclass(frozen=True)
class _Fields:
    """One narration as the file has it: its line number, and texts by column."""

    number: int
    values: dict[str, object]
    end: str | None = None


_Found = Iterator[_Fields | NarrationError]


def _jsonl(text: str) -> _Found:
    for number, raw in enumerate(_NEWLINE.split(text), start=1):
        if not raw.strip():
            continue
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError) as error:
            yield NarrationError(number, f"not JSON: {error}")
            continue
        if isinstance(fields, dict):
            yield _Fields(number, fields)
        else:
            yield NarrationError(number, "expected an object with time and text")


def _csv(text: str) -> _Found:
    lines = list(io.StringIO(text, newline=""))
    top = 1 if lines and _SEPARATOR.match(lines[0]) else 0
    header, delimiter = _header(lines[top] if len(lines) > top else "")
    unknown = [name for name in header if name not in _COLUMNS]
    columns = f"the columns are {', '.join(_COLUMNS)}"
    if "time" not in header:
        yield NarrationError(top + 1, f"no column named time; {columns}")
        return
    if unknown or len(set(header)) < len(header):
        what = f"unknown column {', '.join(unknown)}" if unknown else "a column occurs twice"
        yield NarrationError(top + 1, f"{what}; {columns}")
        return
    start = top + 1
    while start < len(lines):
        rest = (lines[at] for at in range(start, len(lines)))
        rows = csv.reader(rest, delimiter=delimiter, strict=True)
        done = 0  # lines that were read as whole rows
        try:
            for cells in rows:
                number, done = start + done + 1, rows.line_num
                if len(cells) > len(header):
                    yield NarrationError(number, "more cells than columns")
                elif any(cell.strip() for cell in cells):
                    yield _Fields(number, dict(zip(header, cells, strict=False)))
            return
        except csv.Error as error:
            # An open quote would swallow the rest of the file.
            yield NarrationError(start + done + 1, f"not CSV: {error}")
            start += done + 1


def _header(line: str) -> tuple[list[str], str]:
    """Return the column names and what separates them: spreadsheets also save semicolons or tabs."""
    for delimiter in ",;\t":
        try:
            names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        header = [name.strip().lower() for name in names]
        if "time" in header:
            return header, delimiter
    return [], ","


def _cues(text: str) -> _Found:
    """Yield the cues of WebVTT or SubRip; either may lack blank lines, or its cues their numbers."""
    lines = [*_NEWLINE.split(text), ""]
    cue: _Cue | None = None
    skipping = False  # a header, note or style block, or a cue whose times can't be read
    any_cue = any_text = False
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        times = _times(line, within=cue is not None)
        if times is None and cue and (line or (raw and not cue.words)):
            # Captions of YouTube begin with a line that holds only a space.
            cue.words.append(line)
            continue
        if cue:
            numbered = cue.numbered and times is not None
            yield cue.fields(without_number=numbered)
            cue = None
        if isinstance(times, tuple):
            before = lines[number - 2].strip() if number > 1 else ""
            cue = _Cue(number, *times, numbered=before.isdecimal())
            skipping, any_cue = False, True
        elif times:
            yield NarrationError(number, times)
            skipping = any_cue = True
        elif not line:
            skipping = False
        elif not skipping:
            any_text = True
            if _NOT_CUES.match(line):
                skipping = True
                any_text = not line.startswith("WEBVTT")
            elif "-->" not in lines[number] and any_cue:  # else the name of the next cue
                yield NarrationError(number, f"a text without a time: {line[:60]!r}")
    if any_text and not any_cue:
        yield NarrationError(1, "it contains no cue such as 00:01.000 --> 00:02.000")


@dataclass
class _Cue:
    """A cue while its lines are read; `numbered` if a line with a number is above it."""

    number: int
    begin: str
    end: str
    numbered: bool
    words: list[str] = field(default_factory=list)

    def fields(self, *, without_number: bool) -> _Fields:
        words = self.words
        # Where cues follow each other without a blank line, the next one's number looks like text.
        if without_number and words and words[-1].isdecimal():
            words = words[:-1]
        text = _TAG.sub("", _BREAK.sub(" ", " ".join(words)))
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
        return _Fields(self.number, {"time": self.begin, "text": text}, self.end)


def _times(line: str, *, within: bool) -> tuple[str, str] | str | None:
    """Return a timing line's begin and end, what is wrong with it, or None for any other line.

    Within a cue, an arrow between two words is text.
    """
    begin, arrow, rest = line.partition("-->")
    if not arrow:
        return None
    begin, end = begin.strip(), (rest.split() or [""])[0]
    clocks = [bool(re.match(r"[-+]?\d+:", part)) for part in (begin, end)]
    if all(clocks):
        return begin, end
    if within and not any(clocks):
        return None
    return f"not a cue time: {line[:60]!r}"


def _line(found: _Fields, rate: Fraction | None) -> Line:
    number, values = found.number, found.values
    unknown = sorted(str(name) for name in values if name not in _COLUMNS)
    if unknown:
        raise NarrationError(
            number, f"unknown column {', '.join(unknown)}; the columns are {', '.join(_COLUMNS)}"
        )
    text, landmark, action, undo = (_text(values.get(name), number) for name in _COLUMNS[1:])
    if not (text or landmark or action):
        empty = "the cue has no text" if found.end else "text, landmark and action are all empty"
        raise NarrationError(number, empty)
    try:
        t_us = read_time(values.get("time"), rate)
        end_us = t_us if found.end is None else read_time(found.end, rate)
    except ValueError as error:
        raise NarrationError(number, str(error)) from error
    if end_us < t_us:
        raise NarrationError(number, "the cue ends before it begins")
    return Line(t_us, text or "", landmark, action, undo, number)


def _text(value: object, number: int) -> str | None:
    if value is None:
        return None
    try:
        str(value).encode()  # JSON can encode a lone surrogate, which UTF-8 can't
    except UnicodeEncodeError as error:
        raise NarrationError(number, f"not a text: {value!r}") from error
    if isinstance(value, dict | list):
        raise NarrationError(number, f"not a text: {value!r}"[:80])
    return " ".join(str(value).split()) or None


def joined(earlier: Sequence[Line], lines: Iterable[Line]) -> Reading:
    """Merge lines with the same time and text, such as a landmark and an action at 0:05.

    A line that contradicts an earlier one is a mistake.
    """
    together = {(line.t_us, line.text): line for line in earlier}
    mistakes = []
    for line in lines:
        other = together.get((line.t_us, line.text), line)
        both = {name: (getattr(other, name), getattr(line, name)) for name in FACTS}
        if any(one and two and one != two for one, two in both.values()):
            what = f"conflicting lines at {line.t_us / 1e6:g} s; give each its own time or text"
            mistakes.append(NarrationError(line.number, what))
            continue
        facts = {name: one or two for name, (one, two) in both.items()}
        together[line.t_us, line.text] = Line(line.t_us, line.text, **facts, number=line.number)
    return Reading(tuple(together.values()), tuple(mistakes))
