"""The database of a workspace, `done.sqlite`: open it, refuse newer formats, migrate older ones."""

import errno
import json
import logging
import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from pipeline import __version__
from pipeline.engine.packing import lines_of
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
"""
FORMAT = 1
"""The format of done.sqlite (its `user_version`): increase it with every change that older code would misread."""

_WRITTEN_BY = "written_by"  # the note with the version of the toolkit that wrote this format


def open_database(path: Path) -> sqlite3.Connection:
    """Open a database and migrate it to this format; raise UserError for a newer or damaged one."""
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
        # On a full disk, SQLite reports no more than "I/O error".
        if shutil.disk_usage(path.parent).free < _LEAST_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise UserError(
            str(path),
            f"can't be opened: {error}",
            "check the disk and the folder's permissions; if the file is damaged, move it away: it is rebuilt",
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
    """Copy a database, including its write-ahead log, atomically."""
    unfinished = target.with_name(f".tmp-{target.name}")
    unfinished.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(unfinished)) as copy:
            db.backup(copy)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _drafted_by(db: sqlite3.Connection) -> str | None:
    """Return provider and model of most drafts in a workspace of format 0, which didn't record them."""
    makers: Counter[str] = Counter()
    for (body,) in db.execute("SELECT body FROM rows WHERE stage = 'draft' AND name = 'routes'"):
        for line in lines_of(body):
            route = json.loads(line)
            makers[json.dumps([route["provider"], route["model"]])] += 1
    return makers.most_common(1)[0][0] if makers else None
