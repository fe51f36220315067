"""The database of a workspace, `done.sqlite`: open or read it, refuse newer formats, migrate older ones."""

import errno
import json
import logging
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.engine import beside
from pipeline.engine.packing import lines_of, pack
from pipeline.engine.rows import digest
from pipeline.errors import UserError

log = logging.getLogger(__name__)

_LEAST_SPACE = 64 * 1024  # bytes: with less, SQLite can't open a database
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
CREATE TABLE IF NOT EXISTS archived_units (
  stage TEXT, unit TEXT, key TEXT, outcome TEXT, PRIMARY KEY (stage, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archived_rows (
  stage TEXT, unit TEXT, name TEXT, body BLOB, PRIMARY KEY (stage, name, unit)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rows_by_unit ON rows (stage, unit);
CREATE INDEX IF NOT EXISTS archived_rows_by_unit ON archived_rows (stage, unit);
"""
FORMAT = 2
"""The format of done.sqlite (its `user_version`): increase it with every change that older code would misread."""

_WRITTEN_BY = "written_by"  # the note with the version of the toolkit that wrote this format


def open_database(path: Path) -> sqlite3.Connection:
    """Open a database and migrate it to this format; raise UserError for a newer or damaged one."""
    with _errors_named(path):
        _refuse_empty(path)
        db = sqlite3.connect(path, timeout=5)
        try:
            _refuse_newer(db, path)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            _migrate(db, path)
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database as it is now, to read it beside a running command, which neither waits nor is seen.

    The file isn't changed: an older format is migrated in a temporary copy. Without a file, the
    database is empty. Raises UserError for a newer or damaged one.
    """
    with tempfile.TemporaryDirectory() as folder:
        with _errors_named(path):
            db = _snapshot(path, Path(folder))
        with closing(db):
            db.execute("PRAGMA query_only = ON")
            yield db


def _snapshot(path: Path, folder: Path) -> sqlite3.Connection:
    """Open a database in one read transaction, in this format."""
    if not path.exists():
        db = sqlite3.connect(":memory:")
        _upgrade(db)
        return db
    _refuse_empty(path)
    db = beside.connect(path, folder)
    try:
        _refuse_newer(db, path)
        if _format_of(db) == FORMAT:
            return db
        copy = sqlite3.connect("")  # in a temporary file
        try:
            db.backup(copy)
            _upgrade(copy)
        except BaseException:
            copy.close()
            raise
    except BaseException:
        db.close()
        raise
    db.close()
    return copy


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Raise SQLite's errors again as UserError, or as an OSError where the disk is full."""
    try:
        yield
    except (sqlite3.DatabaseError, ValueError, KeyError, EOFError) as error:
        # On a full disk, SQLite may report no more than "I/O error".
        full = "full" in str(error) or shutil.disk_usage(path.parent).free < _LEAST_SPACE
        if full and isinstance(error, sqlite3.DatabaseError):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise UserError(
            str(path),
            f"can't be opened: {error or type(error).__name__}",
            "check the disk and the folder's permissions; if the file is damaged, restore a copy of it "
            "(without one: move it away, and everything is computed again, but audit answers are lost)",
        ) from error


def _refuse_empty(path: Path) -> None:
    """Raise UserError for an empty file next to tables that hold rows: opening it would empty them."""
    empty = path.exists() and path.stat().st_size == 0
    if empty and any((path.parent / "tables").glob("*.parquet")):
        raise UserError(
            str(path),
            "is empty, although tables/ holds results: it was damaged",
            "restore a copy of it (without one: delete it, and everything is computed again, but audit "
            "answers are lost)",
        )


def _format_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(db: sqlite3.Connection, path: Path) -> None:
    number = _format_of(db)
    if number <= FORMAT:
        return
    try:
        note = db.execute("SELECT value FROM notes WHERE name = ?", (_WRITTEN_BY,)).fetchone()
    except sqlite3.OperationalError:  # a later format may store its notes elsewhere
        note = None
    needed = f"egost {note[0]}" if note else "the version of egost that wrote it"
    raise UserError(
        str(path),
        f"has format {number}, written by {needed}; this is egost {__version__}, which reads "
        f"formats up to {FORMAT}",
        f"install {needed} or later",
    )


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Migrate the database to this format in one transaction; copy the old file first."""
    number = _format_of(db)
    if number == FORMAT:
        _create_tables(db)
        return
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'units'").fetchone():
        copy = path.with_name(f"{path.stem}.format-{number}{path.suffix}")
        _copy(db, copy)
        log.warning(
            f"{path}: updated from format {number} to {FORMAT}; the old file is {copy.name}"
        )
    _upgrade(db)


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring an older or empty database to this format, in one transaction."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        old = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'units'").fetchone()
        number = _format_of(db)
        _create_tables(db)
        if old and number < 1:
            _record_drafter(db)
            _record_facts(db)
        if old and number < 2:
            _name_spans_of_stills(db)
        db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_WRITTEN_BY, __version__))
        db.execute(f"PRAGMA user_version = {FORMAT}")


def _create_tables(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA.strip().split(";\n"):  # executescript would commit first
        db.execute(statement)


def _copy(db: sqlite3.Connection, target: Path) -> None:
    """Copy a database, including its write-ahead log, atomically."""
    unfinished = target.with_name(f".tmp-{target.name}")
    unfinished.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(unfinished)) as copy:
            db.backup(copy)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _rows_of_format_0(db: sqlite3.Connection, stage: str, table: str) -> Iterator[dict[str, Any]]:
    query = "SELECT body FROM rows WHERE stage = ? AND name = ?"
    for (body,) in db.execute(query, (stage, table)):
        yield from map(json.loads, lines_of(body))


def _record_drafter(db: sqlite3.Connection) -> None:
    """Note the provider and model of most drafts, which format 0 didn't record."""
    drafts = _rows_of_format_0(db, "draft", "routes")
    makers = Counter(json.dumps([route["provider"], route["model"]]) for route in drafts)
    if makers:
        ((drafter, _),) = makers.most_common(1)
        db.execute("INSERT OR REPLACE INTO notes VALUES ('drafted_by', ?)", (drafter,))


def _record_facts(db: sqlite3.Connection) -> None:
    """Store which facts the items were composed from, which format 0 didn't record."""
    routes = {
        route["clip_id"]: route["steps"]
        for stage in ("draft", "review")  # a verified route replaces the draft
        for route in _rows_of_format_0(db, stage, "routes")
    }
    clips = {item["clip_id"] for item in _rows_of_format_0(db, "compose", "items")}
    names = ("move", "landmark", "action", "undo")
    lines = [
        json.dumps({"clip_id": clip_id, "facts": digest(*facts)}).encode()
        for clip_id in sorted(clips & routes.keys())
        for facts in [[tuple(step[name] for name in names) for step in routes[clip_id]]]
    ]
    if lines:
        row = ("compose", "all", "composed_from", pack(lines))
        db.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", row)


def _name_spans_of_stills(db: sqlite3.Connection) -> None:
    """Let stills name their span, which is a whole clip until format 2, and their video."""
    query = "SELECT unit, body FROM rows WHERE stage = 'stills' AND name = 'stills'"
    for unit, body in db.execute(query).fetchall():
        lines = [
            json.dumps({"span_id": still.pop("clip_id"), "video_id": unit, **still}).encode()
            for still in map(json.loads, lines_of(body))
        ]
        db.execute(
            "UPDATE rows SET body = ? WHERE stage = 'stills' AND name = 'stills' AND unit = ?",
            (pack(lines), unit),
        )
    # The table on disk has the columns of before.
    db.execute("DELETE FROM built WHERE name = 'stills'")
