"""The unit boundary: the one place where any exception becomes the failure of the unit that raised it."""

import asyncio
import errno
import sqlite3
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pipeline.errors import DISK_FULL, NOT_WRITABLE, RowError, UserError

_LONGEST = 300  # characters of an exception's message; the log has all of it


@dataclass
class Attempt:
    """A block of a unit's code, entered with `with`; `error` is why the unit has no rows, if it has none.

    A RowError is kept as it is; any other exception becomes one that is tried again, with its
    traceback. Exceptions about the whole run go on: see `concerns_the_run`.
    """

    root: Path  # the workspace
    error: RowError | None = None

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if error is None or concerns_the_run(error, self.root):
            return False
        self.error = error if isinstance(error, RowError) else _unexpected(error)
        return True


def concerns_the_run(error: BaseException, root: Path) -> bool:
    """Return whether an exception in a unit ends the run: an interrupt, a UserError, a disk that is full or failing.

    `root` is the workspace: a file in it that can't be written concerns every unit, a video that
    can't be read only its own.
    """
    if isinstance(error, BaseExceptionGroup):
        return any(concerns_the_run(one, root) for one in error.exceptions)
    if isinstance(error, OSError):
        if error.errno in DISK_FULL | {errno.EROFS}:
            return True
        name = error.filename if isinstance(error.filename, str) else ""
        inside = bool(name) and Path(name).resolve().is_relative_to(root.resolve())
        return inside and error.errno in NOT_WRITABLE | {errno.EIO}
    if isinstance(error, sqlite3.Error):
        return not isinstance(error, sqlite3.DataError)  # that is a value too large to store
    # Not `Exception`: a panic in a Rust library, such as Polars, is none.
    ends = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, UserError)
    return isinstance(error, ends)


def _unexpected(error: BaseException) -> RowError:
    said = " ".join("".join(traceback.format_exception_only(error)).split())
    fix = (
        "free memory, or set run.workers = 1"
        if isinstance(error, MemoryError)
        else "this is a bug: please report it with the traceback in the workspace's errors.log"
    )
    trace = "".join(traceback.format_exception(error))
    return RowError(f"unexpected error: {said[:_LONGEST]}", fix, again=True, trace=trace)
