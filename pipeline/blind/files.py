"""Files of multiple-choice items: a release, or any benchmark as JSONL, JSON or Parquet."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.blind.answers import (
    READINGS,
    Answers,
    Reading,
    RowFaultError,
    Unanswered,
    UndecidedError,
    decide,
)
from pipeline.blind.parsing import item_of
from pipeline.blind.sheet import ProbeItem
from pipeline.errors import UserError

_FIX = "each item needs a question, two or more options, and the answer as text, letter or number"
_SKIP_BAD = "; egost import FILE --to OTHER.jsonl lists all such rows and writes the others"


@dataclass(frozen=True)
class ItemFile:
    """One file: how its answers are read, and each row with its item.

    A row's item is a text that says what is wrong if it can't be read, and None if it is an open question.
    """

    path: Path
    answers: str
    rows: tuple[tuple[str, ProbeItem | str | None], ...]


def read_items(path: Path, told: Reading | None = None) -> list[ProbeItem]:
    """Read items from a JSONL, JSON or Parquet file, or a folder of them (in a release: `data/`).

    Open questions, that is rows without options, are skipped. Raise UserError with file and line.
    """
    return items_of(path, read_files(path, told))


def items_of(path: Path, files: Iterable[ItemFile]) -> list[ProbeItem]:
    """Return the items of files read from `path`; raise UserError for the first row that can't be read."""
    found: list[ProbeItem] = []
    for where, item in (row for file in files for row in file.rows):
        if isinstance(item, str):
            raise UserError(where, item, _FIX + _SKIP_BAD)
        found += [item] if item else []
    if not found:
        raise UserError(str(path), "contains no multiple-choice items", _FIX)
    return found


def answers_of(files: Sequence[ItemFile]) -> str:
    """Return what the answers are, in words; by file if they differ."""
    kinds = dict.fromkeys(file.answers for file in files)
    if len(kinds) == 1:
        return next(iter(kinds))
    return "; ".join(f"{file.path.name}: {file.answers}" for file in files)


def read_files(path: Path, told: Reading | None = None) -> list[ItemFile]:
    """Read a file, or those of a folder, row by row.

    `told` is what the answers are, for a file that doesn't show it. Raises UserError for such a file,
    and for one that is not a list of rows.
    """
    files = _files(path)
    return [_read(file, f"{file.stem}:" if len(files) > 1 else "", told) for file in files]


def _read(file: Path, lead: str, told: Reading | None) -> ItemFile:
    parsed: list[tuple[str, Unanswered | str | None]] = []
    for number, (where, row) in enumerate(_rows(file)):
        try:
            parsed.append((where, item_of(row, f"{lead}{number}", where)))
        except RowFaultError as fault:
            parsed.append((where, str(fault)))
    try:
        answers = decide([row for _, row in parsed if isinstance(row, Unanswered)], told)
    except UndecidedError as error:
        fix = f"say what they are with --answers ({', '.join(READINGS)}), or write them as letters"
        raise UserError(str(file), str(error), fix) from error
    rows = tuple((where, _answered(row, answers)) for where, row in parsed)
    return ItemFile(file, str(answers), rows)


def _answered(row: Unanswered | str | None, answers: Answers) -> ProbeItem | str | None:
    if not isinstance(row, Unanswered):
        return row
    try:
        return row.make(answers.position(row))
    except RowFaultError as fault:
        return str(fault)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(str(path), "no such file or folder", "check the path")
    if path.is_file():
        return [path]
    folder = path / "data" if (path / "data").is_dir() else path
    files = sorted(file for file in folder.iterdir() if file.suffix in _READERS)
    if not files:
        raise UserError(
            str(folder), "contains no .jsonl, .json or .parquet file", "name a file of items"
        )
    return files


def _rows(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield each row's file and line with its content, or with a RowFaultError if it can't be decoded."""
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise UserError(str(file), "unknown file type", "use .jsonl, .json or .parquet")
    try:
        yield from reader(file)
    except UnicodeDecodeError as error:
        raise UserError(str(file), f"not UTF-8 text: {error}", "save it as UTF-8") from error


def _read_jsonl(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{file}, line {number}"
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    row = RowFaultError(f"not valid JSON: {error.msg}")
                yield where, row


def _read_json(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file}, line {error.lineno}", f"not valid JSON: {error.msg}", "fix that line"
        ) from error
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else None
    if not isinstance(content, list):
        raise UserError(
            str(file), "not a list of items", "use a JSON list, or JSONL with one item per line"
        )
    for number, row in enumerate(content, start=1):
        yield f"{file}, item {number}", row


def _read_parquet(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = pq.read_table(file).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(str(file), f"not readable as Parquet: {error}", "write it again") from error
    for number, row in enumerate(rows, start=1):
        yield f"{file}, row {number}", row


_READERS = {".jsonl": _read_jsonl, ".json": _read_json, ".parquet": _read_parquet}
