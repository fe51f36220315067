"""Batches in the journal: their requests are recorded before a file is uploaded, and settled together.

planned   its requests are recorded; nothing was sent
creating  its file is uploaded, and the server was asked to make the batch: it may exist
running   the server named the batch
settled   its requests are settled: it ended, or it was never made
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.models.chat import RequestKey
from pipeline.models.journal import Journal, Reply, State, Statement, kept, sent, settled

BatchState = Literal["planned", "creating", "running", "settled"]


@dataclass(frozen=True)
class OpenBatch:
    """A batch that isn't settled; `mark` is in its metadata, `sent_us` when the server was last asked to make it."""

    mark: str
    state: BatchState
    sent_us: int
    batch_id: str | None


@dataclass(frozen=True)
class Line:
    """One request of a batch."""

    number: int
    known: RequestKey
    reserved_usd: float


@dataclass(frozen=True)
class End:
    """How one request of a batch ended: with a reply, or with a state and a note."""

    line: Line
    reply: Reply | None
    cost_usd: float | None
    state: State = "kept"
    note: str = ""

    @property
    def counted_usd(self) -> float:
        """What counts against the cap: the whole reservation if the cost isn't known."""
        if self.state == "unknown" or (self.state != "failed" and self.cost_usd is None):
            return self.line.reserved_usd
        return self.cost_usd or 0.0


class BatchJournal:
    """The batches of one server in a journal."""

    def __init__(self, journal: Journal, server: str) -> None:
        self._journal, self._server = journal, server

    def open(self) -> list[OpenBatch]:
        """Return the batches that aren't settled, the oldest first."""
        rows = self._journal.ledger.rows(
            "SELECT mark, state, sent_us, batch_id FROM batches WHERE server = ? AND state != 'settled'"
            " ORDER BY sent_us, mark",
            (self._server,),
        )
        return [OpenBatch(*row) for row in rows]

    def lines(self, mark: str) -> list[Line]:
        """Return the requests of a batch."""
        rows = self._journal.ledger.rows(
            "SELECT number, batch_lines.key, request, reserved_usd FROM batch_lines"
            " JOIN requests ON requests.id = number WHERE mark = ? ORDER BY number",
            (mark,),
        )
        return [
            Line(number, RequestKey(key, text), reserved) for number, key, text, reserved in rows
        ]

    async def plan(
        self, mark: str, model: str, requests: Sequence[tuple[RequestKey, float]]
    ) -> None:
        """Record a batch with its requests and what is reserved for each."""
        numbers = self._journal.numbers(len(requests))
        statements: list[Statement] = [
            (
                "INSERT INTO batches VALUES (?, ?, 'planned', ?, NULL)",
                (mark, self._server, time.time_ns() // 1000),
            )
        ]
        for number, (known, usd) in zip(numbers, requests, strict=True):
            statements.append(sent(number, known.key, model, usd))
            line = (number, mark, known.key, known.request)
            statements.append(("INSERT INTO batch_lines VALUES (?, ?, ?, ?)", line))
        await self._journal.write(*statements)

    async def creating(self, mark: str) -> None:
        """Record that the server is about to be asked to make a batch."""
        update = "UPDATE batches SET state = 'creating', sent_us = ? WHERE mark = ?"
        await self._journal.write((update, (time.time_ns() // 1000, mark)))

    async def running(self, mark: str, batch_id: str) -> None:
        """Record the server's name for a batch."""
        update = "UPDATE batches SET state = 'running', batch_id = ? WHERE mark = ?"
        await self._journal.write((update, (batch_id, mark)))

    async def settle(self, mark: str, ends: Iterable[End]) -> None:
        """Record how all requests of a batch ended, in one transaction."""
        statements: list[Statement] = [
            ("UPDATE batches SET state = 'settled' WHERE mark = ?", (mark,))
        ]
        for end in ends:
            number, known = end.line.number, end.line.known
            if end.reply:
                statements += kept(number, known.key, known.request, end.reply, end.cost_usd)
            else:
                statements.append(settled(number, end.state, end.note, end.cost_usd))
        await self._journal.write(*statements)
