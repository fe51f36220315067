"""The journal of paid requests, `llm.sqlite`: requests are recorded before they are sent, replies before use.

A request that was sent and never settled (a killed run, a lost connection) may have been billed, so
its whole reservation counts against the cap. One thread writes; writes that arrive while it flushes
to disk share the next transaction, so that 64 callers wait for one flush.
"""

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pipeline.engine import beside
from pipeline.errors import UserError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
  id INTEGER PRIMARY KEY, key TEXT, model TEXT, sent_us INTEGER, reserved_usd REAL,
  state TEXT, cost_usd REAL, input_tokens INTEGER, output_tokens INTEGER, note TEXT
);
CREATE INDEX IF NOT EXISTS requests_by_key ON requests (key);
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, request TEXT, reply TEXT);
CREATE TABLE IF NOT EXISTS batches (mark TEXT PRIMARY KEY, server TEXT, state TEXT, sent_us INTEGER, batch_id TEXT);
CREATE TABLE IF NOT EXISTS batch_lines (number INTEGER PRIMARY KEY, mark TEXT, key TEXT, request TEXT);
CREATE INDEX IF NOT EXISTS batch_lines_by_mark ON batch_lines (mark);
CREATE INDEX IF NOT EXISTS batch_lines_by_key ON batch_lines (key);
"""

State = Literal["kept", "failed", "unknown", "paid"]
"""How a request ended: its reply is stored; it cost nothing; it may have been billed; it was billed for nothing."""

# Earlier versions noted this for an error inside a reply, which costs nothing, as of unknown cost.
_ERROR_IN_REPLY = "the reply is not a chat completion"


@dataclass(frozen=True)
class Reply:
    """A server's reply, with its token counts (None where it reports none).

    `text` is the content, also where it holds reasoning in `<think>`. `elsewhere` holds the arguments
    of tool calls (before `reasoning` existed, also reasoning after a `<think>`). `model` and
    `fingerprint` are what the server calls the model that it ran. `seconds` is the time from sending
    the request to the complete reply; None for a batch.
    """

    text: str
    refusal: str | None
    finish: str | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    elsewhere: tuple[str, ...] = ()
    reasoning: str | None = None
    fingerprint: str | None = None
    seconds: float | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """The texts in which a structured answer may be, in the order in which they are searched."""
        places = (self.text, *self.elsewhere)
        if self.reasoning and not any("{" in place for place in places):
            places += (f"<think>{self.reasoning}",)
        return places

    @property
    def most_tokens(self) -> int:
        """The output tokens, or the most that they can be: a token is at least one byte."""
        if self.output_tokens is not None:
            return self.output_tokens
        texts = (self.text, *self.elsewhere, self.reasoning or "")
        return sum(len(text.encode()) for text in texts)

    def stored(self) -> str:
        """Return the reply as the journal holds it: JSON, without the later fields where they are empty."""
        given = {
            name: value
            for name, value in asdict(self).items()
            if name in _ALWAYS or value not in (None, ())
        }
        return json.dumps(given, ensure_ascii=False)


_ALWAYS = frozenset(("text", "refusal", "finish", "model", "input_tokens", "output_tokens"))


def stored_reply(text: str) -> Reply:
    """Return a reply from the journal, also one that an earlier version stored."""
    found = json.loads(text)
    return Reply(**{**found, "elsewhere": tuple(found.get("elsewhere", ()))})


@dataclass(frozen=True)
class Totals:
    """The requests of a workspace, their settled cost, and the most that unsettled ones may have cost."""

    requests: int
    cost_usd: float
    unknown_usd: float


@dataclass(frozen=True)
class MeanUsage:
    """The mean token counts of one model's replies so far."""

    replies: int
    input_tokens: float
    output_tokens: float


Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class _Write:
    statements: tuple[Statement, ...]
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class Ledger:
    """The stored replies of a journal, and what they cost."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def reply(self, key: str) -> tuple[Reply, float | None] | None:
        """Return the stored reply to a request with its cost, or None."""
        row = self._db.execute(
            "SELECT reply, (SELECT cost_usd FROM requests WHERE requests.key = replies.key AND state = 'kept')"
            " FROM replies WHERE key = ?",
            (key,),
        ).fetchone()
        if row is None:
            return None
        return stored_reply(row[0]), row[1]

    def rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._db.execute(query, values).fetchall()

    def batch_of(self, key: str) -> str | None:
        """Return the mark of the batch that holds a request and isn't settled; None if there is none."""
        row = self._db.execute(
            "SELECT mark FROM batch_lines JOIN batches USING (mark) WHERE key = ? AND state != 'settled'",
            (key,),
        ).fetchone()
        return row and str(row[0])

    def totals(self) -> Totals:
        """Return what this workspace has spent so far."""
        requests, cost, unknown = self._db.execute(
            "SELECT count(*), coalesce(sum(CASE WHEN state IN ('kept', 'paid') THEN cost_usd END), 0),"
            " coalesce(sum(CASE WHEN state = 'sent' OR (state = 'unknown' AND note IS NOT ?)"
            " OR (state IN ('kept', 'paid') AND cost_usd IS NULL) THEN reserved_usd END), 0)"
            " FROM requests",
            (_ERROR_IN_REPLY,),
        ).fetchone()
        return Totals(requests, cost, unknown)

    def overrun(self, model: str) -> float:
        """Return how many times its reservation a request to a model has cost at most; at least 1."""
        (most,) = self._db.execute(
            "SELECT max(cost_usd / reserved_usd) FROM requests WHERE model = ? AND reserved_usd > 0",
            (model,),
        ).fetchone()
        return max(1.0, most or 1.0)

    def limits(self, server: str, model: str, least: int) -> dict[str, bool]:
        """Return the names of the limit on tokens under which a model has answered.

        The value is whether one of these replies was complete, or had at least `least` tokens.
        """
        rows = self._db.execute(
            "SELECT json_type(request, '$.max_tokens') IS NOT NULL, max(json_extract(reply, '$.finish') IS NOT 'length'"
            " OR coalesce(json_extract(reply, '$.output_tokens'), 0) >= ?) FROM replies"
            " WHERE json_extract(request, '$.server') = ? AND json_extract(request, '$.model') = ? GROUP BY 1",
            (least, server, model),
        )
        return {
            "max_tokens" if short else "max_completion_tokens": bool(obeyed)
            for short, obeyed in rows
        }

    def usage(self, model: str) -> MeanUsage:
        """Return the mean token counts of a model's stored replies."""
        row = self._db.execute(
            "SELECT count(*), coalesce(avg(input_tokens), 0), coalesce(avg(output_tokens), 0)"
            " FROM requests WHERE state = 'kept' AND model = ? AND output_tokens IS NOT NULL",
            (model,),
        ).fetchone()
        return MeanUsage(*row)


@contextmanager
def read_ledger(path: Path) -> Iterator[Ledger]:
    """Read a journal as it is now, also beside a running command and in a folder that can't be written.

    Without a file, it is empty. Raises UserError if it is damaged.
    """
    with TemporaryDirectory() as folder, ExitStack() as stack:
        try:
            db = beside.connect(path, Path(folder)) if path.exists() else None
            if db:
                stack.callback(db.close)
            # A command that is killed as it makes the file leaves one without tables.
            if not (
                db and db.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchone()
            ):
                db = stack.enter_context(closing(sqlite3.connect(":memory:")))
                db.executescript(_SCHEMA)
            yield Ledger(db)
        except sqlite3.Error as error:
            raise _broken(path, error) from error


class Journal:
    """An open `llm.sqlite`; use it from one event loop and close it. `ledger` reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        opened: list[sqlite3.Connection] = []
        try:
            self._db = sqlite3.connect(
                path, timeout=5, isolation_level=None, check_same_thread=False
            )
            opened.append(self._db)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._reader = sqlite3.connect(path, timeout=5)
            opened.append(self._reader)
            (last,) = self._reader.execute("SELECT coalesce(max(id), 0) FROM requests").fetchone()
        except sqlite3.Error as error:
            for connection in opened:
                connection.close()
            raise _broken(path, error) from error
        self.ledger = Ledger(self._reader)
        self._next = int(last) + 1
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish pending writes and close."""
        self._writes.put(None)
        self._thread.join()
        self._reader.close()
        self._db.close()

    def numbers(self, count: int) -> range:
        """Return numbers for this many further requests."""
        begin, self._next = self._next, self._next + count
        return range(begin, self._next)

    async def sending(self, key: str, model: str, reserved_usd: float) -> int:
        """Record that a request is about to be sent; return its number once the record is on disk."""
        (number,) = self.numbers(1)
        await self.write(sent(number, key, model, reserved_usd))
        return number

    async def keep(
        self, number: int, key: str, request: str, reply: Reply, cost_usd: float | None
    ) -> None:
        """Store a reply and settle its request, in one transaction that is on disk on return."""
        await self.write(*kept(number, key, request, reply, cost_usd))

    async def settle(
        self, number: int, state: State, note: str, cost_usd: float | None = None
    ) -> None:
        """Record that a request got no usable reply, and its cost if it is known."""
        await self.write(settled(number, state, note, cost_usd))

    async def write(self, *statements: Statement) -> None:
        """Execute statements in one transaction that is on disk on return."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._writes.put(_Write(statements, done, loop))
        try:
            await asyncio.shield(done)
        except sqlite3.Error as error:
            raise _broken(self.path, error) from error

    def _write_all(self) -> None:
        while (first := self._writes.get()) is not None:
            batch, last = [first], False
            while not self._writes.empty():
                following = self._writes.get()
                if following is None:
                    last = True
                    break
                batch.append(following)
            failure = self._commit(batch)
            for write in batch:
                if not write.loop.is_closed():
                    write.loop.call_soon_threadsafe(_resolve, write.done, failure)
            if last:
                return

    def _commit(self, batch: list[_Write]) -> sqlite3.Error | None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for write in batch:
                for statement, values in write.statements:
                    self._db.execute(statement, values)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return error
        return None


def sent(number: int, key: str, model: str, reserved_usd: float) -> Statement:
    """Return the statement that records a request before it is sent."""
    insert = "INSERT INTO requests (id, key, model, sent_us, reserved_usd, state) VALUES (?, ?, ?, ?, ?, 'sent')"
    return insert, (number, key, model, time.time_ns() // 1000, reserved_usd)


def kept(
    number: int, key: str, request: str, reply: Reply, cost_usd: float | None
) -> tuple[Statement, Statement]:
    """Return the statements that store a reply and settle its request."""
    update = "UPDATE requests SET state = 'kept', cost_usd = ?, input_tokens = ?, output_tokens = ? WHERE id = ?"
    insert = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?)"
    return (
        (update, (cost_usd, reply.input_tokens, reply.output_tokens, number)),
        (insert, (key, request, reply.stored())),
    )


def settled(number: int, state: State, note: str, cost_usd: float | None = None) -> Statement:
    """Return the statement that settles a request without a usable reply."""
    update = "UPDATE requests SET state = ?, note = ?, cost_usd = ? WHERE id = ?"
    return update, (state, note, cost_usd, number)


def _resolve(done: asyncio.Future[None], failure: sqlite3.Error | None) -> None:
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def _broken(path: Path, error: sqlite3.Error) -> UserError:
    return UserError(
        path.name,
        f"the journal of paid requests can't be used: {error}",
        "check the disk and the folder's permissions; don't delete the file: it holds replies that were paid for",
    )
