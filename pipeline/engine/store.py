"""The workspace on disk: which units are done, their rows, and the tables built from them.

`done.sqlite` is authoritative: a unit's rows and its done mark are one transaction there. The Parquet
files under `tables/` are rebuilt from it in key order, so that a killed run leaves the same tables.
"""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter

from filelock import FileLock, Timeout

from pipeline.engine.database import open_database
from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.packing import lines_of, pack
from pipeline.engine.rows import AnyRow, Rejection, Row
from pipeline.engine.tables import TABLES
from pipeline.errors import UserError

_ATTEMPT = "attempt: "  # before the name of a unit: why it could not be replaced
# SQLite has no statistics, and would rather look at all rows of a stage than use an index by unit.
_BY_UNIT = {
    "units": "units",
    "rows": "rows INDEXED BY rows_by_unit",
    "archived_units": "archived_units",
    "archived_rows": "archived_rows INDEXED BY archived_rows_by_unit",
}
_AT_ONCE = 20_000  # rows in memory while a table is written: about 100 MB


class Store:
    """The only writer of a workspace: finished units with their rows, and the tables built from them."""

    def __init__(self, folder: WorkspaceFolder) -> None:
        self.folder = folder
        self._db = open_database(folder.root / "done.sqlite")

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
                        f"INSERT OR REPLACE INTO archived_{name} SELECT * FROM {_BY_UNIT[name]} "
                        "WHERE stage = ? AND unit = ?",
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
                    there = f"FROM {_BY_UNIT[f'archived_{name}']} WHERE stage = ? AND unit = ?"
                    self._db.execute(f"INSERT INTO {name} SELECT * {there}", (stage, unit))
                    self._db.execute(f"DELETE {there}", (stage, unit))
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
        found = [
            kind.model_validate_json(line)
            for body in self._bodies(kind, stages)
            for line in lines_of(body)
        ]
        found.sort(key=Row.identity)
        return found

    def rows_of(self, kind: type[AnyRow], stage: str, unit: str) -> list[AnyRow]:
        """Return the rows of a type that one unit of a stage wrote, in key order; reads no others."""
        query = "SELECT body FROM rows WHERE stage = ? AND name = ? AND unit = ?"
        found = self._db.execute(query, (stage, kind.table, unit)).fetchone()
        return [kind.model_validate_json(line) for line in lines_of(found[0])] if found else []

    def marks(self, kind: type[Row], stages: Iterable[str]) -> set[bytes]:
        """Return the digests of these stages' rows of a type, by which new and kept rows are counted."""
        return {
            hashlib.sha256(line.rstrip(b"\n")).digest()
            for body in self._bodies(kind, stages)
            for line in lines_of(body)
        }

    def _bodies(self, kind: type[Row], stages: Iterable[str] | None) -> Iterator[bytes]:
        """Yield each unit's packed rows, in key order."""
        query, values = "SELECT body FROM rows WHERE name = ?", [kind.table]
        if stages is not None:
            names = list(stages)
            query += f" AND stage IN ({', '.join('?' * len(names))})"
            values += names
        for (body,) in self._db.execute(query, values):
            yield body

    def _in_order(self, kind: type[AnyRow]) -> Iterator[AnyRow]:
        """Yield all rows of a type in key order, without loading them all."""
        units = [map(kind.model_validate_json, lines_of(body)) for body in self._bodies(kind, None)]
        return heapq.merge(*units, key=Row.identity)

    def rebuild(self, names: Iterable[str] = TABLES) -> None:
        """Write the Parquet files of the tables whose rows have changed since the last time."""
        stamps = dict(self._db.execute("SELECT name, stamp FROM changes"))
        built = dict(self._db.execute("SELECT name, stamp FROM built"))
        for name in names:
            path = self.folder.tables / f"{name}.parquet"
            stamp = str(stamps.get(name, 0))
            if built.get(name) == stamp and path.exists():
                continue
            data = _parquet(TABLES[name], self._in_order(TABLES[name]))
            write_atomic(path, data, via=self.folder.unfinished)
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO built VALUES (?, ?)", (name, stamp))


def _parquet(kind: type[Row], rows: Iterator[Row]) -> bytes:
    import pyarrow as pa  # a run with nothing to do writes no table
    import pyarrow.parquet as pq

    from pipeline.engine.arrow import arrow_schema

    schema, sink = arrow_schema(kind), pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        while some := [row.model_dump() for row in islice(rows, _AT_ONCE)]:
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


@contextmanager
def opened(folder: WorkspaceFolder) -> Iterator[Store]:
    """Open a workspace for writing; raise UserError if another command has it open."""
    # No fallback to a lock file that only has to exist: a killed command would leave it locked.
    lock = FileLock(folder.root / ".lock", blocking=False, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise UserError(
            str(folder.root),
            "another egost command is running in this workspace",
            "wait until it has ended, then run this again",
        ) from error
    with held:
        for left in folder.unfinished.glob("*"):
            left.unlink()
        store = Store(folder)
        try:
            yield store
        finally:
            store.close()
