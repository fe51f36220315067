"""The lock of a workspace: one command at a time may write; others can see which one it is."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import UserError

_CLOCKS = timedelta(seconds=2)  # how far the times of a process and of a file may be apart


@dataclass(frozen=True)
class Running:
    """A command that holds a workspace: its name, its process, and since when (UTC, ISO 8601)."""

    command: str
    process: int
    since: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.process}, since {self.since})"


def now() -> str:
    """Return the present time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@contextmanager
def locked(path: Path, command: str) -> Iterator[None]:
    """Hold the lock file for a command; raise UserError if another one holds it."""
    # No fallback to a lock file that only has to exist: a killed command would leave it locked.
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise UserError(
            str(path.parent),
            f"another egost command is running here{_which(path)}",
            "wait until it has ended, then run this again",
        ) from error
    with held:
        _name(path, json.dumps(asdict(Running(command, os.getpid(), now()))))
        try:
            yield
        finally:
            _name(path, "")


def _name(path: Path, text: str) -> None:
    with suppress(OSError):  # only for information: on a full disk, the command itself fails or not
        path.write_text(text, encoding="utf-8")


def _which(path: Path) -> str:
    found = running(path)
    return f": {found}" if found else ""


def running(path: Path) -> Running | None:
    """Return the command that holds a lock file, without taking the lock; None if it has ended."""
    try:
        found = Running(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # no command, or one of an older version
        return None
    import psutil  # only where there is a process to look for

    try:
        started = datetime.fromtimestamp(psutil.Process(found.process).create_time(), UTC)
        # A later process has been given the number of one that was killed.
        return found if started <= datetime.fromisoformat(found.since) + _CLOCKS else None
    except (psutil.Error, ValueError, TypeError, OverflowError):
        return None
