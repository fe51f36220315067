"""Reading narration sidecars: WebVTT, SubRip, CSV and JSON lines. Pure."""

import csv
import io
import json
import math
import re
from dataclasses import dataclass, field

SIDECAR_SUFFIXES = (".jsonl", ".csv", ".srt", ".vtt")
_COLUMNS = ("time", "text", "landmark", "action", "undo")
# Not str.splitlines: it also splits at U+2028, which JSON may contain.
_NEWLINE = re.compile(r"\r\n?|\n")
_CUE = re.compile(r"^\s*((?:\d+:)?\d+:\d+[.,]\d+)\s*-->\s*((?:\d+:)?\d+:\d+[.,]\d+)")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")


@dataclass
class NarrationError(ValueError):
    """A sidecar that can't be read; lines count from 1 (0: no particular line)."""

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


def read(text: str, suffix: str) -> list[Line]:
    """Return the narrations in the text of a sidecar with this suffix, in time order; raise NarrationError."""
    reader = {".jsonl": _jsonl, ".csv": _csv, ".srt": _cues, ".vtt": _cues}[suffix]
    return sorted(reader(text.removeprefix("\ufeff")), key=lambda line: line.t_us)


def _jsonl(text: str) -> list[Line]:
    lines = []
    for number, raw in enumerate(_NEWLINE.split(text), start=1):
        if not raw.strip():
            continue
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise NarrationError(number, f"not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise NarrationError(number, "expected an object with time and text")
        lines.append(_line(fields, number))
    return lines


def _csv(text: str) -> list[Line]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    lines = []
    try:
        names = list(reader.fieldnames or ())
        if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
            raise NarrationError(
                1, "its cells are separated by semicolons or tabs: save it with commas"
            )
        if "time" not in names:
            raise NarrationError(1, f"no column named time; the columns are {', '.join(_COLUMNS)}")
        for fields in reader:
            if None in fields:
                raise NarrationError(reader.line_num, "more cells than columns")
            lines.append(_line(fields, reader.line_num))
    except csv.Error as error:
        raise NarrationError(max(reader.line_num, 1), f"not CSV: {error}") from error
    return lines


def _cues(text: str) -> list[Line]:
    lines, begins, number_of, words = [], -1, 0, list[str]()
    for number, raw in enumerate([*_NEWLINE.split(text), ""], start=1):
        match = _CUE.match(raw)
        if begins >= 0 and (match or not raw.strip()):  # some programs omit the blank line
            lines.append(_line({"time": begins / 1e6, "text": " ".join(words)}, number_of))
            begins = -1
        if match:
            begins, number_of, words = _time(match[1].replace(",", "."), number), number, []
        elif "-->" in raw:
            raise NarrationError(number, f"not a cue time: {raw.strip()[:60]!r}")
        elif begins >= 0:
            words.append(_MARKUP.sub("", raw).strip())
    if text.strip() and not lines and text.strip() != "WEBVTT":
        raise NarrationError(1, "it contains no cue such as 00:01.000 --> 00:02.000")
    return lines


def _line(fields: dict[str, object], number: int) -> Line:
    unknown = sorted(str(name) for name in fields if name not in _COLUMNS)
    if unknown:
        raise NarrationError(
            number, f"unknown column {', '.join(unknown)}; the columns are {', '.join(_COLUMNS)}"
        )
    text, landmark, action, undo = (_text(fields.get(name), number) for name in _COLUMNS[1:])
    if not (text or landmark or action):
        raise NarrationError(number, "text, landmark and action are all empty")
    return Line(_time(fields.get("time"), number), text or "", landmark, action, undo, number)


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


def _time(value: object, number: int) -> int:
    """Return microseconds from seconds, or from hours, minutes and seconds with colons."""
    try:
        parts = [float(part) for part in str(value).split(":")]
    except ValueError as error:
        raise NarrationError(number, f"not a time: {value!r}") from error
    seconds = sum(part * 60.0**power for power, part in enumerate(reversed(parts)))
    if min(parts) < 0 or not (math.isfinite(seconds) and seconds < 1e7):
        raise NarrationError(number, f"not a time within a video: {value!r}")
    return round(seconds * 1_000_000)
