"""`runs.jsonl`: one line for each command that had a workspace open: when, with which arguments, what it did."""

import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.errors import SECRET_NAME, masked

if TYPE_CHECKING:
    from pipeline.engine.folder import WorkspaceFolder

log = logging.getLogger(__name__)


class Run:
    """One run of the command line: its arguments, its start, and the lines that it printed."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.did: list[str] = []
        self._arguments = list(arguments)
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._command, self._path = "", Path()

    @property
    def arguments(self) -> list[str]:
        """The arguments, without secrets."""
        return list(without_secrets(self._arguments))

    def of(self, command: str, folder: "WorkspaceFolder") -> None:
        """Note which command this is and the workspace that it has opened."""
        self._command, self._path = command, folder.runs

    def log(self, code: int) -> None:
        """Append the run's line to the workspace's runs.jsonl; without a workspace, do nothing.

        Times are UTC (ISO 8601), `seconds` the time between.
        """
        if not self._command:
            return
        entry = {
            "command": self._command,
            "arguments": self.arguments,
            "version": __version__,
            "started": _iso(self._started),
            "ended": _iso(datetime.now(UTC)),
            "seconds": round(time.monotonic() - self._clock, 3),
            "exit": code,
            "did": self.did,
        }
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            # Unbuffered: two commands that end at the same time must not mix their lines.
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            log.warning(f"{self._path}: this run is not recorded: {error.strerror}")


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_secrets(arguments: Iterable[str]) -> Iterator[str]:
    """Yield arguments as `masked` does, also without the queries of addresses and settings named like a secret."""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and SECRET_NAME.search(name):
            value = "***"
        yield re.sub(r"(\w+://[^?\s]*\?)\S+", r"\1***", masked(f"{name}{equals}{value}"))
