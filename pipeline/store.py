"""The workspace on disk: where things lie, which units are done, media by digest, typed tables.

`done.sqlite` is the truth: a unit's rows and its done mark are one transaction there. The Parquet
files under `tables/` are rebuilt from it in key order, so any kill ends in the same tables.
"""

import errno
import fcntl
import gzip
import hashlib
import heapq
import io
import json
import logging
import os
import secrets
import shutil
import sqlite3
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from pipeline import __version__
from pipeline.errors import UserError
from pipeline.records import TABLES, Row

log = logging.getLogger(__name__)

AnyRow = TypeVar("AnyRow", bound=Row)

_AT_ONCE = 20_000  # rows that are held while a table is written: some 100 MB
_LARGE = 2**20  # bytes of JSON of one unit from which on they are compressed
_LEAST_ROOM = 64 * 1024  # bytes: with less, SQLite can't even open a database
_SCHEMA = """
CREATE TABLE IF NOT EXISTS units (
  stage TEXT, unit TEXT, key TEXT, outcome TEXT, PRIMARY KEY (stage, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
  stage TEXT, unit TEXT, name TEXT, body BLOB, PRIMARY KEY (stage, name, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS built (name TEXT PRIMARY KEY, stamp TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (name TEXT PRIMARY KEY, stamp INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
FORMAT = 1
"""The format of done.sqlite (its `user_version`): raise it with every change that older code would misread."""

_WRITTEN_BY = "written_by"  # the note that names the version of the toolkit that made the format


@dataclass(frozen=True)
class Place:
    """Where one workspace keeps its files. Cheap to copy into another process."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.root / "egost.toml"

    @property
    def media(self) -> Path:
        """Keyframes and review clips by digest; the only folder that is ever served."""
        return self.root / "media"

    @property
    def tables(self) -> Path:
        """The Parquet tables, rebuilt from done.sqlite."""
        return self.root / "tables"

    @property
    def releases(self) -> Path:
        """One folder per released version."""
        return self.root / "releases"

    @property
    def unfinished(self) -> Path:
        """Files that are being written; what a killed run left there is cleared away by the next."""
        return self.root / ".unfinished"

    def media_path(self, name: str) -> Path:
        """Return the file of a media name such as `ab/ab12….jpg`."""
        return self.media / name

    def keep(self, data: bytes, suffix: str) -> str:
        """Store bytes by their digest and return the media name; known bytes are not written again."""
        name = media_name(data, suffix)
        target = self.media_path(name)
        if not (target.exists() and target.stat().st_size == len(data)):
            write_atomic(target, data, via=self.unfinished)
        return name

    def secret(self) -> bytes:
        """Return the secret seed for composing; drawn once, kept in a 0600 file, never released."""
        path = self.root / "secret"
        if not path.exists():
            write_atomic(path, secrets.token_hex(32).encode(), mode=0o600)
        return path.read_bytes()


def media_name(data: bytes, suffix: str) -> str:
    """Return the name of these bytes among the media: it begins with their sha256."""
    hexdigest = hashlib.sha256(data).hexdigest()
    return f"{hexdigest[:2]}/{hexdigest[:32]}{suffix}"


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, via: Path | None = None) -> None:
    """Write a file whole or not at all: elsewhere, flushed to disk, renamed into place.

    `via` is the folder to write it in, on the same disk; without it, beside `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    via = via or path.parent
    via.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=via, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        Path(temporary).replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say where
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class Rows(Mapping[type[Row], tuple[Row, ...]]):
    """The rows that one unit may see, by type. `earlier` holds what the stage itself wrote last time.

    `redo` is set when the user asked to replace what people have judged (`--recompose`).
    """

    seen: Mapping[type[Row], tuple[Row, ...]]
    earlier: Mapping[type[Row], tuple[Row, ...]] = field(default_factory=dict)
    redo: bool = False

    def __getitem__(self, kind: type[AnyRow]) -> tuple[AnyRow, ...]:
        """Return the rows of one type, in key order."""
        return self.seen[kind]  # type: ignore[return-value]

    def __iter__(self) -> Iterator[type[Row]]:
        return iter(self.seen)

    def __len__(self) -> int:
        return len(self.seen)

    def one(self, kind: type[AnyRow]) -> AnyRow:
        """Return the single row of this type."""
        (row,) = self[kind]
        return row

    def before(self, kind: type[AnyRow]) -> tuple[AnyRow, ...]:
        """Return what this stage wrote of this type in its last run, or people judged: it never moves."""
        return self.earlier.get(kind, ())  # type: ignore[return-value]


class Store:
    """The one writer of a workspace: finished units with their rows, and the tables they make."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._db = _open(place.root / "done.sqlite")

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

        What `rows` raises while it is read comes out before anything is changed.
        """
        # Written down as they come: the rows of 100,000 clips need not all be there at once.
        lines: dict[str, list[tuple[tuple[str | int, ...], bytes]]] = defaultdict(list)
        for row in rows:
            lines[row.table].append((row.identity(), row.model_dump_json().encode()))
        with self._db:
            self._forget(stage, unit)
            self._db.execute("INSERT INTO units VALUES (?, ?, ?, ?)", (stage, unit, key, outcome))
            for name, found in lines.items():
                found.sort(key=itemgetter(0))
                body = _packed([line for _, line in found])
                self._db.execute("INSERT INTO rows VALUES (?, ?, ?, ?)", (stage, unit, name, body))
                self._touch(name)

    def forget(self, stage: str, units: Iterable[str]) -> None:
        """Drop units that are no longer there, with their rows, in one transaction."""
        with self._db:
            for unit in units:
                self._forget(stage, unit)

    def note(self, name: str) -> str | None:
        """Return what was noted under this name about the whole workspace."""
        found = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def set_note(self, name: str, value: str) -> None:
        """Note something about the whole workspace, such as which model drafted it."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def outdate(self, stage: str, unit: str) -> None:
        """Let the stage do a unit again when it next runs; its rows stay until then."""
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
        """Return all rows of a type in key order, of these stages only if any are named."""
        found = [
            kind.model_validate_json(line)
            for body in self._bodies(kind, stages)
            for line in _lines(body)
        ]
        found.sort(key=Row.identity)
        return found

    def marks(self, kind: type[Row], stages: Iterable[str]) -> set[bytes]:
        """Return a digest of each row of a type, of these stages: what tells new from kept."""
        return {
            hashlib.sha256(line.rstrip(b"\n")).digest()
            for body in self._bodies(kind, stages)
            for line in _lines(body)
        }

    def _bodies(self, kind: type[Row], stages: Iterable[str] | None) -> Iterator[bytes]:
        """Yield the rows of each unit in key order, as they were packed."""
        query, values = "SELECT body FROM rows WHERE name = ?", [kind.table]
        if stages is not None:
            names = list(stages)
            query += f" AND stage IN ({', '.join('?' * len(names))})"
            values += names
        for (body,) in self._db.execute(query, values):
            yield body

    def _in_order(self, kind: type[AnyRow]) -> Iterator[AnyRow]:
        """Yield all rows of a type in key order, without holding them all."""
        units = [map(kind.model_validate_json, _lines(body)) for body in self._bodies(kind, None)]
        return heapq.merge(*units, key=Row.identity)

    def rebuild(self, names: Iterable[str] = TABLES) -> None:
        """Write the Parquet files of the tables whose rows changed since they were last written."""
        stamps = dict(self._db.execute("SELECT name, stamp FROM changes"))
        built = dict(self._db.execute("SELECT name, stamp FROM built"))
        for name in names:
            path = self.place.tables / f"{name}.parquet"
            stamp = str(stamps.get(name, 0))
            if built.get(name) == stamp and path.exists():
                continue
            data = _parquet(TABLES[name], self._in_order(TABLES[name]))
            write_atomic(path, data, via=self.place.unfinished)
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO built VALUES (?, ?)", (name, stamp))


def _packed(lines: Sequence[bytes]) -> bytes:
    """Return lines of JSON as one value; many of them compressed, to an eighth.

    The items of 100,000 clips are 575 MB of JSON: SQLite would copy them twice, and takes 1 GB at most.
    """
    if sum(map(len, lines)) < _LARGE:
        return b"\n".join(lines)
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS + 16)
    packed = [packer.compress(line + b"\n") for line in lines]
    return b"".join([*packed, packer.flush()])


def _lines(body: bytes) -> Iterable[bytes]:
    return io.BytesIO(body) if body.startswith(b"{") else gzip.open(io.BytesIO(body))


def _parquet(kind: type[Row], rows: Iterator[Row]) -> bytes:
    import pyarrow as pa  # a run with nothing to do writes no table
    import pyarrow.parquet as pq

    from pipeline.arrow import arrow_schema

    schema, sink = arrow_schema(kind), pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        while some := [row.model_dump() for row in islice(rows, _AT_ONCE)]:
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _open(path: Path) -> sqlite3.Connection:
    db = None
    try:
        db = sqlite3.connect(path, timeout=5)
        _refuse_newer(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        _migrate(db, path)
    except UserError:
        assert db is not None
        db.close()
        raise
    except sqlite3.DatabaseError as error:
        if db is not None:
            db.close()
        # SQLite says no more of a full disk than "I/O error".
        if shutil.disk_usage(path.parent).free < _LEAST_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise UserError(
            str(path),
            f"can't be opened: {error}",
            "check the disk and the folder's rights; a damaged file can be moved away and is made again",
        ) from error
    return db


def _format_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(db: sqlite3.Connection, path: Path) -> None:
    number = _format_of(db)
    if number <= FORMAT:
        return
    try:
        note = db.execute("SELECT value FROM notes WHERE name = ?", (_WRITTEN_BY,)).fetchone()
    except sqlite3.OperationalError:  # a later format may keep its notes elsewhere
        note = None
    needed = f"egost {note[0]}" if note else "the version of egost that wrote it"
    raise UserError(
        str(path),
        f"has format {number}, which {needed} wrote; this is egost {__version__}, which reads "
        f"formats up to {FORMAT}",
        f"install {needed} or later",
    )


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the database to this format, in one transaction, after copying what it was before."""
    number = _format_of(db)
    if number == FORMAT:
        return
    old = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'units'").fetchone()
    if old:
        copy = path.with_name(f"{path.stem}.format-{number}{path.suffix}")
        _copy(db, copy)
        log.warning(
            f"{path}: updated from format {number} to {FORMAT}; the old file is {copy.name}"
        )
    with db:
        db.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.strip().split(";\n"):
            db.execute(statement)
        if old and (drafted := _drafted_by(db)):
            db.execute("INSERT OR REPLACE INTO notes VALUES ('drafted_by', ?)", (drafted,))
        db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_WRITTEN_BY, __version__))
        db.execute(f"PRAGMA user_version = {FORMAT}")


def _copy(db: sqlite3.Connection, target: Path) -> None:
    """Copy a whole database, with what its write-ahead log holds; the copy appears whole or not at all."""
    unfinished = target.with_name(f".tmp-{target.name}")
    unfinished.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(unfinished)) as copy:
            db.backup(copy)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _drafted_by(db: sqlite3.Connection) -> str | None:
    """Return what most drafts of a workspace of format 0, which did not note it, were made by."""
    makers: Counter[str] = Counter()
    for (body,) in db.execute("SELECT body FROM rows WHERE stage = 'draft' AND name = 'routes'"):
        for line in _lines(body):
            route = json.loads(line)
            makers[json.dumps([route["provider"], route["model"]])] += 1
    return makers.most_common(1)[0][0] if makers else None


def append_run(place: Place, entry: Mapping[str, object]) -> None:
    """Add one line to runs.jsonl, the workspace's diary."""
    with (place.root / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")


@contextmanager
def opened(place: Place) -> Iterator[Store]:
    """Open a workspace for writing; a second run at the same time stops with a clear error."""
    with (place.root / ".lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                str(place.root),
                "another egost command is at work here",
                "wait until it has ended, then run this again",
            ) from error
        for left in place.unfinished.glob("*"):
            left.unlink()
        store = Store(place)
        try:
            yield store
        finally:
            store.close()
