"""The workspace on disk: which units are done, their rows, and the tables built from them.

`done.sqlite` is authoritative: a unit's rows and its done mark are one transaction there. The Parquet
files under `tables/` are rebuilt from it in key order, so that a killed run leaves the same tables.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedWriter
from itertools import groupby, islice
from operator import itemgetter

from pipeline.engine.database import open_database, snapshot
from pipeline.engine.folder import WorkspaceFolder, replacing
from pipeline.engine.lock import locked
from pipeline.engine.packing import lines_of, pack
from pipeline.engine.rows import AnyRow, Rejection, Row
from pipeline.engine.sorting import in_key_order
from pipeline.engine.tables import TABLES

_ATTEMPT = "attempt: "  # before the name of a unit: why it could not be replaced
_AT_ONCE = 20_000  # rows in memory while a table is written: about 100 MB
# The stages that have rows, found by one step through the index for each: a scan would read all bodies.
_STAGES = """
WITH RECURSIVE found (stage) AS (
  SELECT min(stage) FROM rows
  UNION ALL
  SELECT (SELECT min(stage) FROM rows WHERE stage > found.stage) FROM found WHERE stage IS NOT NULL
)
SELECT stage FROM found WHERE stage IS NOT NULL
"""


class Store:
    """Finished units with their rows, and the tables built from them; see `opened` and `read`."""

    def __init__(self, folder: WorkspaceFolder, db: sqlite3.Connection) -> None:
        self.folder = folder
        self._db = db

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def keys(self, stage: str) -> dict[str, str]:
        """Return the key of every finished unit of a stage."""
        return dict(self._db.execute("SELECT unit, key FROM units WHERE stage = ?", (stage,)))

    def outcomes(self, stage: str) -> dict[str, str]:
        """Return how each unit of a stage ended: `done`, `rejected` or `failed`."""
        return dict(self._db.execute("SELECT unit, outcome FROM units WHERE stage = ?", (stage,)))

    def finish(self, stage: str, unit: str, key: str, outcome: str, rows: Iterable[Row]) -> None:
        """Replace a unit's rows and set its done mark, in one transaction.

        If iterating over `rows` raises, nothing is changed.
        """
        # Serialised one by one: the rows of 100,000 clips need not be in memory together.
        lines: dict[str, list[tuple[tuple[str | int, ...], bytes]]] = defaultdict(list)
        for row in rows:
            lines[row.table].append((row.identity(), row.model_dump_json().encode()))
        with self._db:
            self._forget(stage, unit)
            self._db.execute("INSERT INTO units VALUES (?, ?, ?, ?)", (stage, unit, key, outcome))
            for name, found in lines.items():
                found.sort(key=itemgetter(0))
                body = pack([line for _, line in found])
                self._db.execute("INSERT INTO rows VALUES (?, ?, ?, ?)", (stage, unit, name, body))
                self._touch(name)

    def fail_keeping(self, stage: str, unit: str, rejection: Rejection) -> None:
        """Record why a unit could not be replaced, and keep its rows and its key."""
        body = pack([rejection.model_dump_json().encode()])
        row = (stage, _ATTEMPT + unit, Rejection.table, body)
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", row)
            self._touch(Rejection.table)

    def forget_attempts(self, stage: str) -> None:
        """Delete the rejections of earlier attempts to replace units."""
        query = "SELECT unit FROM rows WHERE stage = ? AND name = ? AND substr(unit, 1, ?) = ?"
        values = (stage, Rejection.table, len(_ATTEMPT), _ATTEMPT)
        self.forget(stage, [unit for (unit,) in self._db.execute(query, values).fetchall()])

    def archive(self, stage: str, units: Iterable[str]) -> None:
        """Keep the rows of units that are about to be deleted, so that they can be restored."""
        with self._db:
            for unit in units:
                for name in ("units", "rows"):
                    self._db.execute(
                        f"INSERT OR REPLACE INTO archived_{name} SELECT * {_from(name)}",
                        (stage, unit),
                    )

    def restore(self, stage: str, units: Iterable[str]) -> dict[str, str]:
        """Bring back those of the units that are in the archive; return their keys."""
        query = "SELECT unit, key FROM archived_units WHERE stage = ?"
        archived = dict(self._db.execute(query, (stage,)))
        found = {unit: archived[unit] for unit in units if unit in archived}
        with self._db:
            for unit in found:
                for name in ("units", "rows"):
                    of_unit, given = _from(f"archived_{name}"), (stage, unit)
                    self._db.execute(f"INSERT INTO {name} SELECT * {of_unit}", given)
                    self._db.execute(f"DELETE {of_unit}", given)
                for (name,) in self._db.execute(
                    "SELECT name FROM rows WHERE stage = ? AND unit = ?", (stage, unit)
                ).fetchall():
                    self._touch(name)
        return found

    def forget(self, stage: str, units: Iterable[str]) -> None:
        """Delete units and their rows, in one transaction."""
        with self._db:
            for unit in units:
                self._forget(stage, unit)

    def note(self, name: str) -> str | None:
        """Return the workspace's note of this name."""
        found = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def set_note(self, name: str, value: str) -> None:
        """Set a note about the whole workspace, such as which model drafted it."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def outdate(self, stage: str, unit: str) -> None:
        """Mark a unit to be redone by the next run; its rows stay until then."""
        with self._db:
            self._db.execute(
                "UPDATE units SET key = '' WHERE stage = ? AND unit = ?", (stage, unit)
            )

    def _forget(self, stage: str, unit: str) -> None:
        for (name,) in self._db.execute(
            "SELECT name FROM rows WHERE stage = ? AND unit = ?", (stage, unit)
        ).fetchall():
            self._touch(name)
        self._db.execute("DELETE FROM rows WHERE stage = ? AND unit = ?", (stage, unit))
        self._db.execute("DELETE FROM units WHERE stage = ? AND unit = ?", (stage, unit))

    def _touch(self, name: str) -> None:
        self._db.execute(
            "INSERT INTO changes VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET stamp = stamp + 1",
            (name,),
        )

    def rows(self, kind: type[AnyRow], stages: Iterable[str] | None = None) -> list[AnyRow]:
        """Return all rows of a type in key order; if stages are given, only theirs."""
        found = sorted(self.each(kind, stages), key=Row.identity)
        return list(_distinct(found)) if kind.distinct else found

    def rows_of(self, kind: type[AnyRow], stage: str, unit: str) -> list[AnyRow]:
        """Return the rows of a type that one unit of a stage wrote, in key order; reads no others."""
        query = "SELECT body FROM rows WHERE stage = ? AND name = ? AND unit = ?"
        found = self._db.execute(query, (stage, kind.table, unit)).fetchone()
        return [kind.model_validate_json(line) for line in lines_of(found[0])] if found else []

    def each(self, kind: type[AnyRow], stages: Iterable[str] | None = None) -> Iterator[AnyRow]:
        """Yield the rows of a type in no particular order, without loading them all."""
        for body in self._bodies(kind, stages):
            for line in lines_of(body):
                yield kind.model_validate_json(line)

    def marks(self, kind: type[Row], stages: Iterable[str]) -> set[bytes]:
        """Return the digests of these stages' rows of a type, by which new and kept rows are counted."""
        return {
            hashlib.sha256(line.rstrip(b"\n")).digest()
            for body in self._bodies(kind, stages)
            for line in lines_of(body)
        }

    def _bodies(self, kind: type[Row], stages: Iterable[str] | None) -> Iterator[bytes]:
        """Yield each unit's packed rows, in key order."""
        if stages is None:
            stages = [stage for (stage,) in self._db.execute(_STAGES)]
        query = "SELECT body FROM rows WHERE stage = ? AND name = ? ORDER BY unit"
        for stage in sorted(set(stages)):
            for (body,) in self._db.execute(query, (stage, kind.table)):
                yield body

    def rebuild(self, names: Iterable[str] = TABLES) -> None:
        """Write the Parquet files of the tables whose rows have changed since the last time."""
        stamps = dict(self._db.execute("SELECT name, stamp FROM changes"))
        built = dict(self._db.execute("SELECT name, stamp FROM built"))
        for name in names:
            path = self.folder.tables / f"{name}.parquet"
            stamp = str(stamps.get(name, 0))
            if built.get(name) == stamp and path.exists():
                continue
            kind = TABLES[name]
            rows = in_key_order(self.each(kind))
            with replacing(path, via=self.folder.unfinished) as file:
                _write_parquet(file, kind, _distinct(rows) if kind.distinct else rows)
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO built VALUES (?, ?)", (name, stamp))


def _from(name: str) -> str:
    """Return the SQL for one unit's part of a table; SQLite's own plan would read the whole stage."""
    indexed = f" INDEXED BY {name}_by_unit" if name.endswith("rows") else ""
    return f"FROM {name}{indexed} WHERE stage = ? AND unit = ?"


def _distinct(rows: Iterable[AnyRow]) -> Iterator[AnyRow]:
    """Yield rows that are in key order, equal ones once."""
    for _, group in groupby(rows, key=Row.identity):
        same = list(group)
        if len(same) == 1:
            yield same[0]
        else:  # in the order of their content, because units end in any order
            lines = {row.model_dump_json(): row for row in same}
            yield from (lines[line] for line in sorted(lines))


def _write_parquet(file: BufferedWriter, kind: type[Row], rows: Iterator[Row]) -> None:
    import pyarrow as pa  # a run with nothing to do writes no table
    import pyarrow.parquet as pq

    from pipeline.engine.arrow import arrow_schema

    schema = arrow_schema(kind)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while some := [row.model_dump() for row in islice(rows, _AT_ONCE)]:
            writer.write_table(pa.Table.from_pylist(some, schema=schema))


@contextmanager
def opened(folder: WorkspaceFolder, command: str = "egost") -> Iterator[Store]:
    """Open a workspace for writing; raise UserError if another command has it open."""
    with locked(folder.lock, command):
        for left in folder.unfinished.glob("*"):
            left.unlink()
        store = Store(folder, open_database(folder.done))
        try:
            yield store
        finally:
            store.close()


@contextmanager
def read(folder: WorkspaceFolder) -> Iterator[Store]:
    """Open a workspace as it is now, to be read only: it may be in use, and nothing in it changes."""
    with snapshot(folder.done) as db:
        yield Store(folder, db)
