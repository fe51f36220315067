"""The files of requests that batches are made of, within the limits of the Batch API."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.models.chat import RequestKey


@dataclass(frozen=True)
class BatchLimits:
    """The limits of OpenAI's Batch API, and how often it is asked.

    `seconds_to_appear`: a batch is listed by then, if the request to make it has reached the server.
    """

    most_bytes: int = 200_000_000
    most_requests: int = 50_000
    first_wait: float = 5.0
    longest_wait: float = 60.0
    seconds_to_appear: float = 30.0


@dataclass(frozen=True)
class FileLine:
    """One request of a file; `reserved_usd` is the most that it may cost."""

    known: RequestKey
    reserved_usd: float
    data: bytes


class BatchFile:
    """A file of requests, and the mark of its batch."""

    def __init__(self, folder: Path) -> None:
        self.mark = secrets.token_hex(16)
        self.path = folder / f"batch-{self.mark}.jsonl"
        self.requests: list[tuple[RequestKey, float]] = []
        self._bytes = 0
        self._file = self.path.open("wb")

    def fits(self, line: FileLine, limits: BatchLimits) -> bool:
        """Return whether another line is within the limits."""
        size = self._bytes + len(line.data)
        return size <= limits.most_bytes and len(self.requests) < limits.most_requests

    def add(self, line: FileLine) -> None:
        """Add a line."""
        self._file.write(line.data)
        self._bytes += len(line.data)
        self.requests.append((line.known, line.reserved_usd))

    def close(self) -> None:
        """Write the last bytes."""
        self._file.close()


def files_of(lines: Iterable[FileLine], folder: Path, limits: BatchLimits) -> Iterator[BatchFile]:
    """Write lines to files in a folder and yield each; it is deleted before the next one is written."""
    for left in folder.glob("batch-*.jsonl"):  # of a run that was killed
        left.unlink(missing_ok=True)
    file: BatchFile | None = None
    try:
        for line in lines:
            if file and not file.fits(line, limits):
                file.close()
                yield file
                file.path.unlink()
                file = None
            file = file or BatchFile(folder)
            file.add(line)
        if file:
            file.close()
            yield file
    finally:
        if file:
            file.close()
            file.path.unlink(missing_ok=True)
