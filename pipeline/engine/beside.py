"""Reading a SQLite database beside the command that writes it, which neither waits nor is seen."""

import os
import shutil
import sqlite3
from pathlib import Path

from pipeline.errors import UserError

_TRIES = 3  # how often a database that changes while it is copied is copied again
# In a folder that can't be written, or on a network disk, SQLite may not find or make the index of
# the write-ahead log, which all its users share.
_CANT_SHARE = (
    "SQLITE_CANTOPEN",
    "SQLITE_IOERR_LOCK",
    "SQLITE_IOERR_SHM",
    "SQLITE_PROTOCOL",
    "SQLITE_READONLY",
)


def connect(path: Path, folder: Path) -> sqlite3.Connection:
    """Return a connection in a read transaction; no file is left or changed beside the database.

    Where that isn't possible, it is to a copy in `folder`, a temporary one. Raises UserError if the
    database changes all the time while it is copied.
    """
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if not index.exists():
        # Nobody has it open. Whoever reads it makes an index, and must be able to remove it again.
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        if not writable or (log.exists() and log.stat().st_size):
            return _begin(_copied(path, folder).as_uri())
    try:
        return _begin(f"{path.resolve().as_uri()}?mode={'ro' if index.exists() else 'rw'}")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(_CANT_SHARE) and path.is_file():
            return _begin(_copied(path, folder).as_uri())
        raise


def _begin(uri: str) -> sqlite3.Connection:
    """Connect and start a read transaction."""
    db = sqlite3.connect(uri, timeout=5, uri=True, isolation_level=None)
    try:
        db.execute("BEGIN")
        db.execute(
            "PRAGMA user_version"
        ).fetchone()  # the first read fixes what the transaction sees
    except BaseException:
        db.close()
        raise
    return db


def _copied(path: Path, folder: Path) -> Path:
    """Copy a database with its write-ahead log; raise UserError if it changes all the time."""
    files = [path, path.with_name(f"{path.name}-wal")]
    for _ in range(_TRIES):
        before = [_stamp(file) for file in files]
        for file, stamp in zip(files, before, strict=True):
            if stamp:
                shutil.copyfile(file, folder / file.name)
        if before == [_stamp(file) for file in files]:
            return folder / path.name
    raise UserError(
        str(path),
        "is being changed by another command, and can't be read beside it in this folder",
        "run this again when that command has ended",
    )


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
