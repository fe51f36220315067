"""Files of multiple-choice items: a release, or any benchmark as JSON, JSONL, CSV or Parquet."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.blind.answers import (
    Answers,
    Reading,
    RowFaultError,
    Unanswered,
    UndecidedError,
    decide,
)
from pipeline.blind.columns import ANSWER, first, plain_name, plain_row, question_of
from pipeline.blind.decoding import FORMATS, decode, readable
from pipeline.blind.fillers import without_fillers
from pipeline.blind.keys import key_beside
from pipeline.blind.nesting import unnest
from pipeline.blind.parsing import item_of, text_with_options
from pipeline.blind.said import verdict
from pipeline.blind.sheet import ProbeItem
from pipeline.blind.shown import shown
from pipeline.blind.tails import common_tails
from pipeline.errors import UserError

_FIX = (
    "each item needs a question, two or more options, and the answer as text, letter or number "
    "(answers may also be in a file beside it, by id: X_answers.json for X.json)"
)
_REST = "; egost import FILE --to OTHER.jsonl lists all such rows and writes the others"
_NO_OPTIONS = "no options, neither in columns nor in the question (A. ... B. ...)"
_CHOICES = (("Yes", "No"), ("True", "False"))
_LETTER = re.compile(r"\W*[A-Ja-j]\W*")
_FEW = 0.1  # of a file's rows: so many may be broken, more are meant to be so
_SHOWN = 5  # unreadable rows, or columns


class Skipped(Enum):
    """Why a row that can be read is no multiple-choice item."""

    OPEN = "open questions"
    UNANSWERED = "questions without a published answer"


Row = ProbeItem | Skipped | str
"""What a row of a file is: an item, none, or, in words, what is wrong with it."""


@dataclass(frozen=True)
class Benchmark:
    """The rows of a file, or of all files of a folder, with the place of each; and what the answers are."""

    path: Path
    rows: tuple[tuple[str, Row], ...]
    answers: str
    without_questions: tuple[str, ...] = ()  # names of files
    unused: Mapping[str, str] = field(
        default_factory=dict
    )  # why a column doesn't predict the answer

    @cached_property
    def items(self) -> tuple[ProbeItem, ...]:
        """The items that can be read."""
        return tuple(row for _, row in self.rows if isinstance(row, ProbeItem))

    @cached_property
    def faults(self) -> Mapping[str, str]:
        """What is wrong with the rows that can't be read, by place."""
        return {where: row for where, row in self.rows if isinstance(row, str)}

    @cached_property
    def skipped(self) -> Mapping[str, int]:
        """How many rows are no multiple-choice items, by reason."""
        return Counter(row.value for _, row in self.rows if isinstance(row, Skipped))

    @property
    def left_out(self) -> str:
        """How many rows are no multiple-choice items, and why; empty if there are none."""
        return ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())

    @property
    def without_items(self) -> str:
        """What the file holds instead of multiple-choice items; empty if it has some."""
        return "" if self.items else f"{self.path}: no multiple-choice items, {self.left_out}"

    def to_json(self) -> dict[str, object]:
        """Return what the answers are, and the rows that are left out, as plain values."""
        return {
            "answers": self.answers,
            "rows": len(self.rows),
            "skipped": dict(self.skipped),
            "unused": dict(self.unused),
            "unread": dict(self.faults),
        }

    def check_most(self) -> None:
        """Raise UserError for the first row that can't be read, if that is true of half of all rows."""
        if len(self.faults) * 2 >= len(self.rows):
            where, what = next(iter(self.faults.items()))
            count = f"; {len(self.faults):,} of {len(self.rows):,} rows can't be read"
            raise UserError(where, what + (count if len(self.faults) > 1 else ""), _FIX + _REST)

    def notes(self) -> Iterator[str]:
        """Yield what the answers are, and which rows were left out."""
        yield f"answers: {self.answers}"
        if self.skipped:
            yield f"skipped: {self.left_out}"
        if self.unused:
            reasons = dict.fromkeys(self.unused.values())
            named = (f"{self._unused_for(reason)} ({reason})" for reason in reasons)
            yield f"columns not used to predict answers: {'; '.join(named)}"
        if self.without_questions:
            yield f"no questions in {', '.join(self.without_questions)}"
        if self.faults:
            yield f"could not read {len(self.faults):,} of {len(self.rows):,} rows:"
            yield from (f"  {where}: {what}" for where, what in islice(self.faults.items(), _SHOWN))
        if len(self.faults) > _SHOWN:
            yield f"  and {len(self.faults) - _SHOWN:,} more: egost import {self.path} lists all"

    def _unused_for(self, reason: str) -> str:
        names = [name for name, why in self.unused.items() if why == reason]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ", ".join(map(shown, names[:_SHOWN])) + more


def read_benchmark(path: Path, told: Reading | None = None) -> Benchmark:
    """Read a JSON, JSONL, CSV or Parquet file, or a folder of them (in a release: `data/`), row by row.

    `told` is what the answers are, for a file that doesn't show it. Raises UserError for such a file, and
    if no row can be read.
    """
    sources, without = _sources(path)
    rows: list[tuple[str, Row]] = []
    answers: dict[str, str] = {}
    unused: dict[str, str] = {}
    for source in sources:
        lead = f"{source.path.stem}:" if len(sources) > 1 else ""
        found, kind, aside = _read(source, lead, told)
        rows += found
        unused |= aside
        answers |= {source.path.name: kind} if kind else {}
    kinds = set(answers.values())
    each = "; ".join(f"{name}: {kind}" for name, kind in answers.items())
    benchmark = Benchmark(
        path,
        tuple(rows),
        each if len(kinds) > 1 else "".join(kinds) or "none",
        tuple(without),
        unused,
    )
    if not rows:
        raise UserError(str(path), "contains no multiple-choice items", _FIX)
    if len(benchmark.faults) == len(rows):
        benchmark.check_most()
    return benchmark


@dataclass(frozen=True)
class _Source:
    """One file's rows, and the name of the file that its answers come from, if that is another."""

    path: Path
    rows: list[tuple[str, Any]]
    key: str = ""


def _sources(path: Path) -> tuple[list[_Source], list[str]]:
    """Return the files of a folder that hold questions, with their rows; and the names of the others."""
    if not path.exists():
        raise UserError(str(path), "no such file or folder", "check the path")
    if path.is_file():
        return [_answered(path, _rows(path))], []
    folder = path / "data" if (path / "data").is_dir() else path
    files = sorted(file for file in folder.iterdir() if file.is_file() and readable(file))
    if not files:
        raise UserError(str(folder), f"contains no {FORMATS} file", "name a file of items")
    read = [(file, _rows(file)) for file in files]
    if len(read) > 1:
        read = [(file, rows) for file, rows in read if any(_asks(row) for _, row in rows)]
    found = [_answered(file, rows) for file, rows in read]
    keys = {one.key for one in found}  # these may repeat the questions
    found = [one for one in found if one.path.name not in keys]
    used = {one.path for one in found} | {folder / one.key for one in found}
    return found, [file.name for file in files if file not in used]


def _rows(file: Path) -> list[tuple[str, Any]]:
    records = decode(file)
    return unnest(records.roots, records.places)


def _asks(row: Any) -> bool:
    return isinstance(row, Mapping) and question_of(plain_row(row)) is not None


def _open(row: Any) -> bool:
    """Return whether a row says that it is an open question, rather than merely has no options."""
    return isinstance(row, Mapping) and plain_row(row).get("format") == "open"


def _answered(file: Path, rows: list[tuple[str, Any]]) -> _Source:
    """Return a file's rows; if none has an answer, with those in a file of answers beside it."""
    asked = [plain_row(row) for _, row in rows if _asks(row)]
    if not asked or any(first(row, ANSWER) is not None for row in asked):
        return _Source(file, rows)
    key = key_beside(file, asked)
    if key is None:
        return _Source(file, rows)
    joined = [
        (where, {**row, "answer": key.answer(plain_row(row))} if _asks(row) else row)
        for where, row in rows
    ]
    return _Source(file, joined, key.file.name)


def _read(
    source: _Source, lead: str, told: Reading | None
) -> tuple[list[tuple[str, Row]], str, dict[str, str]]:
    """Return a file's rows by place, what its answers are, and which columns are not used, each with the reason."""
    texts = (text_with_options(row) for _, row in source.rows)
    tails = common_tails([text for text in texts if text])
    parsed: list[tuple[str, Unanswered | Skipped | str]] = []
    for number, (where, row) in enumerate(source.rows):
        try:
            parsed.append((where, item_of(row, f"{lead}{number}", where, tails) or Skipped.OPEN))
        except RowFaultError as fault:
            parsed.append((where, str(fault)))
    if sum(row is Skipped.OPEN for _, row in parsed) <= _FEW * len(parsed):
        parsed = [
            (where, _NO_OPTIONS if row is Skipped.OPEN and not _open(raw) else row)
            for (where, row), (_, raw) in zip(parsed, source.rows, strict=True)
        ]
    kinds = _Kinds([row for _, row in parsed if isinstance(row, Unanswered)], bool(source.key))
    sorted_out = [
        (where, kinds.of(row) if isinstance(row, Unanswered) else row) for where, row in parsed
    ]
    whole = [row for _, row in sorted_out if isinstance(row, Unanswered)]
    try:
        cut, answers = _decided(whole, told)
    except UndecidedError as error:
        fix = f"say what they are with --answers ({', '.join(error.readings)}), or write them as letters"
        raise UserError(str(source.path), str(error), fix) from error
    rest = iter(cut)
    rows = [
        (where, _with_answer(next(rest), answers) if isinstance(row, Unanswered) else row)
        for where, row in sorted_out
    ]
    if _numbered_anew([row for _, row in rows if isinstance(row, ProbeItem)]):
        rows = [
            (where, replace(row, id=f"{row.clip}:{row.id}") if isinstance(row, ProbeItem) else row)
            for where, row in rows
        ]
    kind = str(answers) if answers.readings else ""
    read = {column for column, _ in answers.readings}
    unused = {
        name: why
        for _, row in parsed
        if isinstance(row, Unanswered)
        for name, why in row.unused.items()
        if plain_name(name) not in read
    }
    return rows, f"{kind}, from {source.key}" if source.key and kind else kind, unused


def _decided(
    rows: Sequence[Unanswered], told: Reading | None
) -> tuple[Sequence[Unanswered], Answers]:
    """Return rows without the fillers of a table's empty cells, and how their answers are read."""
    cut = without_fillers(rows)
    if cut != rows:
        try:
            answers = decide(cut, told)
        except UndecidedError:
            return rows, decide(rows, told)
        places = ((_place(row, answers), less) for row, less in zip(rows, cut, strict=True))
        if all(place is None or place < len(less.options) for place, less in places):
            return cut, answers
    return rows, decide(rows, told)


def _place(row: Unanswered, answers: Answers) -> int | None:
    try:
        return answers.position(row)
    except RowFaultError:
        return None


def _numbered_anew(items: Sequence[ProbeItem]) -> bool:
    """Return whether ids are those of questions within a video, not within the file."""
    ids = {item.id for item in items}
    return 2 * len(ids) <= len(items) == len({(item.clip, item.id) for item in items})


class _Kinds:
    """What the rows of one file without options, or without an answer, are."""

    def __init__(self, rows: Sequence[Unanswered], with_key: bool) -> None:
        bare = [row for row in rows if not row.options]
        given = [{verdict(str(value)) for value in row.given.values()} for row in bare]
        self._choices = next((pair for pair in _CHOICES if _chosen_from(pair, given)), None)
        answered = sum(map(bool, given))
        lettered = sum(any(map(_LETTER.fullmatch, one)) for one in given)
        self._open = 2 * lettered < answered and 2 * answered > len(bare) > _FEW * len(rows)
        named = Counter(name for row in bare for name in row.lists).most_common(1)
        self._column = named[0][0] if named and named[0][1] > (1 - _FEW) * len(bare) else ""
        blank = sum(not row.published for row in rows)
        self._withheld = with_key or len(rows) > blank > len(rows) / 2

    def of(self, row: Unanswered) -> Unanswered | Skipped | str:
        """Return a row with its options, or why it is no item."""
        if row.options:
            if self._withheld and not row.published:
                return Skipped.UNANSWERED
            return row if row.answered else "no answer"
        if self._choices:
            return row.choosing(self._choices)
        if self._column:
            return (
                f"no options under a known name; are they in {self._column}? Then call it options"
            )
        if self._open:
            return Skipped.OPEN
        return _NO_OPTIONS


def _chosen_from(pair: Sequence[str], given: Sequence[set[str]]) -> bool:
    texts = {text.casefold() for text in pair}
    return sum(bool(one) and one <= texts for one in given) > (1 - _FEW) * len(given)


def _with_answer(row: Unanswered, answers: Answers) -> ProbeItem | str:
    try:
        return row.make(answers.position(row))
    except RowFaultError as fault:
        return str(fault)
