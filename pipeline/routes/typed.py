"""Reads step lines as people type them: a line with one close reading is read, any other is a mistake. Pure."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.routes import route
from pipeline.routes.route import LineError
from pipeline.routes.rows import Move, Step

_HEAD = re.compile(
    r"[\s\[(]*(?P<time>[\do]{1,6}(?:\s?[:;.,]\s?[\do]{1,6}){1,3}|[\do]{1,2}[:;][\do]{1,2}[.,])(?:s\b)?"
    r"[\s\])>:;.,-]*(?P<words>.*)",
    re.DOTALL,
)
_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212), "-")
_BARS = re.compile("[\uff5c\u2502\u00a6\t]")  # fullwidth, box drawing, broken; cells of a table
# Of "turn left" and "turn right" no text is within 2 edits of one and 1 of the other.
_MOST_EDITS, _LETTERS_PER_EDIT = 2, 4


@dataclass(frozen=True)
class Reading:
    """A line that was not read as it stands: its number from 1, what was typed, what it was read as."""

    line: int
    typed: str
    read: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.typed.strip()!r} was read as {self.read!r}"


@dataclass(frozen=True)
class Lines:
    """What was typed: its steps (none if there is a mistake), corrected readings, and mistakes in line order."""

    steps: tuple[Step, ...]
    readings: tuple[Reading, ...] = ()
    mistakes: tuple[LineError, ...] = ()


def read_lines(
    text: str,
    start_us: int,
    end_us: int,
    known: Sequence[Step] = (),
    words: Mapping[str, Move] | None = None,
) -> Lines:
    """Read the step lines of the clip `start_us`..`end_us` as a person typed them.

    A line that isn't in the exact form is read if exactly one reading is close: other decimal marks,
    digits and dashes, missing spaces, another case, letters swapped or missing. `words` are further
    words for moves. For `known` see `route.parse_lines`.
    """
    phrases = {text: move for move, text in route.MOVE_WORDS.items()}
    phrases |= {move: move for move in route.MOVE_WORDS} | dict(words or {})
    lines: list[str] = []
    readings: list[Reading] = []
    mistakes: list[LineError] = []
    for number, line in enumerate(route.split_lines(text), start=1):
        mistake = _mistake(line, end_us - start_us) if line.strip() else None
        read = _closest(line, end_us - start_us, phrases) if mistake else None
        lines.append(read or line)
        if read:
            readings.append(Reading(number, line, read))
        elif mistake:
            mistakes.append(replace(mistake, line=number))
    if not mistakes:
        try:
            return Lines(
                route.parse_lines("\n".join(lines), start_us, end_us, known), tuple(readings)
            )
        except LineError as error:
            mistakes.append(error)
    return Lines((), tuple(readings), tuple(mistakes))


def _mistake(line: str, length_us: int) -> LineError | None:
    """Return what is wrong with a line on its own, or None if it is in exact form and inside the clip."""
    try:
        route.parse_lines(line, 0, length_us)
    except LineError as error:
        return error
    return None


def _closest(line: str, length_us: int, phrases: Mapping[str, Move]) -> str | None:
    """Return the line in exact form if exactly one reading of it is close, else None."""
    if "|" not in line:
        line = _BARS.sub("|", line)
    head, bar, rest = line.partition("|")
    found = _HEAD.fullmatch(_plain(head))
    if found and not found["words"] and bar:  # a bar between time and move
        head, bar, rest = rest.partition("|")
        words = _plain(head)
    elif found:
        words = found["words"]
    else:
        return None
    times = {time for time in _times(found["time"]) if time < length_us}
    moves = _moves(words, phrases)
    if len(times) != 1 or len(moves) != 1:
        return None
    read = f"{_print_exactly(times.pop())} {route.MOVE_WORDS[moves.pop()]}"
    read += f" | {rest.strip()}" if bar else ""
    return None if _mistake(read, length_us) else read


def _plain(text: str) -> str:
    """Return a text in one case with one kind of digits, spaces and dashes."""
    return unicodedata.normalize("NFKC", text).translate(_DASHES).casefold().strip()


def _times(text: str) -> Iterator[int]:
    """Yield the times in microseconds that a text of digits and separators may mean."""
    parts = re.split(r"[:;.,]", text.replace("o", "0").replace(" ", ""))
    marks = re.findall(r"[:;.,]", text)
    whole = [mark in ":;" for mark in marks]
    if whole[0] or len(parts) == 3:  # minutes and seconds, perhaps a fraction
        yield from _time("0", *parts[:3]) if len(parts) <= 3 else _time(*parts)
    if len(parts) == 3 and all(whole):
        yield from _time(*parts)
    if len(parts) == 2 and not whole[0]:
        yield from _time("0", "0", *parts)
        if len(parts[1]) == 2:
            yield from _time("0", *parts)


def _time(hours: str, minutes: str, seconds: str, fraction: str = "") -> Iterator[int]:
    if int(seconds) < 60 and len(fraction) <= 6:
        whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
        yield whole * 1_000_000 + int(fraction.ljust(6, "0"))


def _print_exactly(time_us: int) -> str:
    seconds, fraction = divmod(time_us, 1_000_000)
    digits = f"{fraction:06d}".rstrip("0") or "0"
    return f"{seconds // 60}:{seconds % 60:02d}.{digits}"


def _moves(text: str, phrases: Mapping[str, Move]) -> set[Move]:
    """Return the moves whose words the text is close to; none if it has a digit, perhaps of the time."""
    if any(map(str.isdigit, text)):
        return set()
    typed = _letters(text)
    close: set[Move] = set()
    for phrase, move in phrases.items():
        wanted = _letters(_plain(phrase))
        if typed == wanted:
            return {move}
        most = min(_MOST_EDITS, len(wanted) // _LETTERS_PER_EDIT)
        longer = len(typed) - len(wanted)  # two letters more may be a word, as in "no turn left"
        if -most <= longer <= 1 and _edits(typed, wanted) <= most:
            close.add(move)
    return close


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _edits(one: str, other: str) -> int:
    """Return the optimal string alignment distance: insertions, deletions, changes, swapped neighbours."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        now = [row]
        for column, wanted in enumerate(other, start=1):
            edits = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != wanted))
            swapped = (
                row > 1 and column > 1 and (letter, one[row - 2]) == (other[column - 2], wanted)
            )
            now.append(min(edits, before[column - 2] + 1) if swapped else edits)
        before, last = last, now
    return last[-1]
