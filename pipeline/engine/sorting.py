"""Rows in key order, sorted outside of memory."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from pipeline.engine.rows import AnyRow

_MEMORY_KB = 32_000  # of SQLite's sorter; what is beyond it goes to a temporary file


def in_key_order(rows: Iterable[AnyRow]) -> Iterator[AnyRow]:
    """Yield rows of one type in key order, equal keys as they came; at no time are all of them in memory.

    A temporary database sorts them: text by code point and numbers by value, as Python does.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    kind = type(first)
    keys = ", ".join(f"k{number}" for number in range(len(kind.key)))
    with closing(sqlite3.connect("", isolation_level=None)) as db:  # "": in a temporary file
        db.execute(f"PRAGMA cache_size = -{_MEMORY_KB}")
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"CREATE TABLE lines (number INTEGER PRIMARY KEY, {keys}, line TEXT)")
        marks = ", ".join("?" * (len(kind.key) + 2))
        db.execute("BEGIN")
        db.executemany(
            f"INSERT INTO lines VALUES ({marks})",
            (
                (number, *row.identity(), row.model_dump_json())
                for number, row in enumerate(_chained(first, rows))
            ),
        )
        for (line,) in db.execute(f"SELECT line FROM lines ORDER BY {keys}, number"):
            yield kind.model_validate_json(line)


def _chained(first: AnyRow, rest: Iterable[AnyRow]) -> Iterator[AnyRow]:
    yield first
    yield from rest
