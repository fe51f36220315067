"""Files of multiple-choice items: a release, or any benchmark as JSONL, JSON or Parquet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.blind.parsing import RowFaultError, item_of
from pipeline.blind.sheet import ProbeItem
from pipeline.errors import UserError

_FIX = "each item needs a question, two or more options, and the answer as index (from 0), letter or text"
_SKIP_BAD = "; egost import FILE --to OTHER.jsonl lists all such rows and writes the others"


def read_items(path: Path) -> list[ProbeItem]:
    """Read items from a JSONL, JSON or Parquet file, or a folder of them (in a release: `data/`).

    Open questions, that is rows without options, are skipped. Raise UserError with file and line.
    """
    files = _files(path)
    found: list[ProbeItem] = []
    for file in files:
        for where, row in _rows(file):
            try:
                item = item_of(
                    row, f"{file.stem}:{len(found)}" if len(files) > 1 else str(len(found))
                )
            except RowFaultError as fault:
                raise UserError(where, str(fault), _FIX + _SKIP_BAD) from fault
            if item:
                found.append(item)
    if not found:
        raise UserError(str(path), "contains no multiple-choice items", _FIX)
    return found


def read_rows(path: Path) -> Iterator[tuple[str, ProbeItem | str | None]]:
    """Yield each row's file and line with its item, or what is wrong with it, or None for an open question."""
    files = _files(path)
    for file in files:
        for number, (where, row) in enumerate(_rows(file)):
            try:
                yield (
                    where,
                    item_of(row, f"{file.stem}:{number}" if len(files) > 1 else str(number)),
                )
            except RowFaultError as fault:
                yield where, str(fault)


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
