"""The files of a results folder about open items: who described what, who scored it.

descriptions.parquet  open_items.parquet  open.json       what was said, and its figures (describing.py)
judged.parquet        judge.json                          what judges made of it (judging.py)
people.jsonl                                              what people made of it (judge_people.py)
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.engine.folder import write_atomic
from pipeline.engine.rows import Record
from pipeline.errors import UserError
from pipeline.evaluate import results
from pipeline.evaluate.open_rows import PeopleScores

AnyRecord = TypeVar("AnyRecord", bound=Record)
DESCRIPTIONS, OPEN_ITEMS, OPEN = "descriptions.parquet", "open_items.parquet", "open.json"
JUDGED, JUDGE = "judged.parquet", "judge.json"
PEOPLE = "people.jsonl"


def write_section(folder: Path, name: str, body: Mapping[str, Any]) -> None:
    """Write a part of the results in its own file, then results.json with it."""
    text = json.dumps(body, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    write_atomic(folder / name, text.encode())
    results.amend(folder)


def read_section(folder: Path, name: str) -> dict[str, Any]:
    """Return a part of the results; raise UserError if it isn't there."""
    try:
        found: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(folder / name, error) from error
    return found


def read_table(folder: Path, name: str, kind: type[AnyRecord]) -> list[AnyRecord]:
    """Return the rows of a table; raise UserError if it isn't there."""
    try:
        return list(results.unpacked(folder / name, kind))
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(folder / name, error) from error


def read_people(folder: Path) -> list[PeopleScores]:
    """Return what people scored; nothing before the first pull."""
    path = folder / PEOPLE
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [PeopleScores.model_validate_json(line) for line in lines if line.strip()]
    except (OSError, ValidationError, ValueError) as error:
        raise _unreadable(path, error) from error


def write_people(folder: Path, rows: Iterable[PeopleScores]) -> None:
    """Write what people scored, one line each."""
    text = "".join(f"{row.model_dump_json()}\n" for row in rows)
    write_atomic(folder / PEOPLE, text.encode())


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        str(path),
        f"can't be read: {error}",
        "give a folder with descriptions, which egost evaluate wrote",
    )
