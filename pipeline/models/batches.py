"""Many requests at half the price, through the Batch API: their replies land in the journal like any others.

A request is in at most one batch that isn't settled, and a batch is made once, also if this process is killed: its
requests are recorded before its file is uploaded, and its mark is in its metadata, so that one that was made before a
kill is found by listing. What a batch didn't answer (it expired, a line failed) is put into the next one.
"""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pipeline.errors import EgostError, UserError
from pipeline.models.batch_api import BatchApi, ServerBatch
from pipeline.models.batch_files import BatchFile, BatchLimits, files_of
from pipeline.models.batch_journal import BatchJournal, End, Line, OpenBatch
from pipeline.models.batch_requests import AnyRequest, BatchRequests
from pipeline.models.completion import refusal_of
from pipeline.models.error_body import read_error
from pipeline.models.failures import RequestError, failure
from pipeline.models.journal import Reply
from pipeline.models.llm import ModelClient
from pipeline.models.openai_wire import OpenAIWire

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the number of requests that the server has worked off, and of those in its batches."""


class _GoneError(UserError):
    """The server doesn't have a batch or a file, or no Batch API at all."""


class Batches:
    """The batches of one server, with the journal, the cap and the forms of a client.

    `client` must be connected to a server, not to a script.
    """

    def __init__(
        self,
        client: ModelClient,
        progress: Progress = lambda done, total: None,
        limits: BatchLimits | None = None,
    ) -> None:
        self._replies, self._settings = client.replies, client.settings
        assert isinstance(self._replies.wire, OpenAIWire)
        self._wire = self._replies.wire
        self._api = BatchApi(self._wire)
        self._journal = BatchJournal(self._replies.journal, self._settings.base_url)
        self._price = self._replies.price.batched()
        self._progress, self._limits = progress, limits or BatchLimits()

    async def fetch(self, requests: Iterable[AnyRequest]) -> dict[int, EgostError]:
        """Store a reply to each request, and return what was given up, by its position in `requests`.

        `requests` is iterated several times: with many images, give an object that makes them anew.
        `ask` and `complete` find the replies; for what was given up, they would ask the server singly.
        Raises UserError, before anything is uploaded, if the cap has no room for all of them; also if
        the server can't go on. Batches that were made are collected by the next call.
        """
        if isinstance(requests, Iterator):
            requests = list(requests)
        of = BatchRequests(self._replies, self._price, self._limits.most_bytes)
        await self._collect_all(of)
        while missing := of.missing(requests):
            before = of.answered
            await self._send(of, requests, missing)
            ended = await self._collect_all(of)
            of.check()
            self._check(ended, progress=of.answered > before)
        return of.errors

    def _check(self, ended: Sequence[ServerBatch], *, progress: bool) -> None:
        """Raise UserError if sending what is missing again would help nothing, or isn't wanted."""
        server = self._settings.base_url
        if any(batch.status == "cancelled" for batch in ended):
            fix = "run this again to send what it left unanswered; its replies are stored"
            raise UserError(server, "a batch was cancelled", fix)
        failed = [batch for batch in ended if batch.status == "failed"]
        if failed and not progress:
            why = failed[0].problem or "the server gives no reason"
            fix = "see the server's message, or run this without a batch; nothing is paid for twice"
            raise UserError(server, f"the batch failed: {why}", fix)

    # ---- sending -----------------------------------------------------------------------------------

    async def _send(
        self, of: BatchRequests, requests: Iterable[AnyRequest], missing: Mapping[str, float]
    ) -> None:
        """Reserve the cost of all missing requests, then upload them and make their batches."""
        total = sum(missing.values())
        async with self._replies.budget.reserved(total) as reserved:
            lines = of.lines(requests, missing, reserved.usd / total if total else 1.0)
            reserved.cost = 0.0
            for file in files_of(lines, self._replies.journal.path.parent, self._limits):
                await self._journal.plan(file.mark, self._settings.model, file.requests)
                # What is in a batch counts in full until it is settled.
                reserved.cost += sum(usd for _, usd in file.requests)
                await self._make(file)

    async def _make(self, file: BatchFile) -> None:
        """Upload a file and make its batch."""
        try:
            file_id = await self._patiently(partial(self._api.upload, file.path))
            made = await self._create(file_id, file.mark)
        except UserError as error:
            lines = self._journal.lines(file.mark)
            await self._settle(file.mark, [_without(line, "failed", error.what) for line in lines])
            raise
        await self._journal.running(file.mark, made.id)

    async def _create(self, file_id: str, mark: str) -> ServerBatch:
        """Make a batch once: after a failed request, it is looked for before the next attempt."""
        for attempt in range(self._settings.attempts):
            await self._journal.creating(mark)
            sent = time.time()
            try:
                return await self._api.create(file_id, mark)
            except RequestError as error:
                if error.about != "moment":
                    raise self._final(error) from error
                log.warning("making a batch failed (%s): looking for it", error.what)
                await self._replies.sleep(max(error.wait_seconds, self._back_off(attempt)))
            if found := await self._find(mark, sent):
                return found
        raise UserError(
            self._settings.base_url,
            f"no batch could be made in {self._settings.attempts} attempts",
            "run this again later; nothing is paid for twice",
        )

    async def _find(self, mark: str, sent: float) -> ServerBatch | None:
        """Return the batch with this mark; None if it isn't listed some time after `sent` (Unix time)."""
        while True:
            left = sent + self._limits.seconds_to_appear - time.time()
            listed: list[ServerBatch] = await self._patiently(self._api.marked)
            for batch in listed:
                if batch.mark == mark:
                    return batch
            if left <= 0:
                return None
            await self._replies.sleep(min(self._limits.first_wait, left))

    # ---- collecting --------------------------------------------------------------------------------

    async def _adopt(self) -> list[OpenBatch]:
        """Return the batches that the server has; settle those that a killed run didn't come to make."""
        for batch in self._journal.open():
            if batch.state == "running":
                continue
            made = None
            if batch.state == "creating":
                made = await self._find(batch.mark, batch.sent_us / 1e6)
            if made:
                await self._journal.running(batch.mark, made.id)
            else:
                lines = self._journal.lines(batch.mark)
                ends = [_without(line, "failed", "its batch was not made") for line in lines]
                await self._settle(batch.mark, ends)
        return self._journal.open()

    async def _collect_all(self, of: BatchRequests) -> list[ServerBatch]:
        """Wait for every batch, and store what it answered; return the batches."""
        ended: list[ServerBatch] = []
        left = {batch.mark: str(batch.batch_id) for batch in await self._adopt()}
        counts = {mark: len(self._journal.lines(mark)) for mark in left}
        done, wait = Counter[str](), self._limits.first_wait
        while left:
            for mark, batch_id in list(left.items()):
                found = await self._patiently(partial(self._api.get, batch_id))
                done[mark] = counts[mark] if found.ended else found.done
                if found.ended:
                    await self._collect(mark, found, of)
                    ended.append(found)
                    del left[mark]
            self._progress(done.total(), sum(counts.values()))
            if left:
                await self._replies.sleep(wait)
                wait = min(self._limits.longest_wait, 1.5 * wait)
        return ended

    async def _collect(self, mark: str, batch: ServerBatch, of: BatchRequests) -> None:
        """Store the replies of a batch that has ended, settle the rest, and delete its files."""
        results: dict[str, Mapping[str, Any]] = {}
        for file_id in batch.results:
            try:
                found = await self._patiently(partial(self._api.results, file_id))
            except _GoneError as error:
                log.warning("the results of a batch are lost: %s", error.what)
                continue
            for result in found:
                results.setdefault(str(result.get("custom_id")), result)
        # What was answered first: it shows that the form of the refused ones is not what was refused.
        lines = sorted(
            self._journal.lines(mark), key=lambda line: not _answered(results.get(line.known.key))
        )
        ends = [self._end(line, results.get(line.known.key), batch, of) for line in lines]
        await self._settle(mark, ends)
        kept = sum(end.state == "kept" for end in ends)
        if batch.status != "completed" or kept < len(ends):
            why = f": {batch.problem}" if batch.problem else ""
            log.warning(f"a batch is {batch.status} with {kept} of {len(ends)} replies{why}")
        for file_id in filter(None, (batch.input_file, *batch.results)):
            await self._api.delete(file_id)

    async def _settle(self, mark: str, ends: Sequence[End]) -> None:
        await self._journal.settle(mark, ends)
        less = sum(end.counted_usd - end.line.reserved_usd for end in ends)
        await self._replies.budget.correct(less)

    def _end(
        self,
        line: Line,
        result: Mapping[str, Any] | None,
        batch: ServerBatch,
        of: BatchRequests,
    ) -> End:
        """Return how a request ended."""
        try:
            reply = self._reply(result, batch)
        except RequestError as error:
            if error.about != "clip" or not of.is_plain(line.known):
                if batch.status != "failed":  # that concerns the batch, such as its size
                    of.got_error(line.known, error)
                if error.unknown:
                    return _without(line, "unknown", error.what)
                cost = self._price.cost(*error.tokens) if error.tokens else None
                return _without(line, "paid" if error.tokens else "failed", error.what, cost)
            reply = refusal_of(error)
        of.got_reply(line.known)
        return End(line, reply, self._price.of(reply.input_tokens, reply.output_tokens))

    def _reply(self, result: Mapping[str, Any] | None, batch: ServerBatch) -> Reply:
        """Return the reply in a line of a result file; raise RequestError if there is none."""
        if result is None:
            # Only what is completed is billed; a completed batch names every request.
            what = f"the batch is {batch.status}, and its results don't name the request"
            raise RequestError("moment", what, unknown=batch.status == "completed")
        response = result.get("response")
        if not isinstance(response, Mapping):
            problem = read_error(result.get("error") or "", time.time()).text or "no reason given"
            raise RequestError("moment", f"the batch did not answer it: {problem}")
        if _answered(result):
            return self._wire.reply_in(response.get("body"))
        status = response.get("status_code")
        body = read_error(response.get("body"), time.time())
        set_one = self._settings.temperature is not None
        code = status if isinstance(status, int) else 500
        raise failure(code, body, self._wire.names, temperature=set_one)

    # ---- the server --------------------------------------------------------------------------------

    async def _patiently(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return what a request gives, repeated while the server fails; raise UserError in the end."""
        for attempt in range(self._settings.attempts):
            try:
                return await request()
            except RequestError as error:
                last = error
                if error.about != "moment":
                    break
                if attempt + 1 < self._settings.attempts:
                    await self._replies.sleep(max(error.wait_seconds, self._back_off(attempt)))
        raise self._final(last) from last

    def _back_off(self, attempt: int) -> float:
        return min(self._limits.longest_wait, self._limits.first_wait * 2.0**attempt / 10)

    def _final(self, error: RequestError) -> UserError:
        server = self._settings.base_url
        if error.status in (404, 405, 501):
            return _GoneError(
                server,
                f"has no such batch or file, or no Batch API ({error.status}): {error.what}",
                "run this without a batch if the server has no Batch API; a batch is known only with"
                f" the key that made it ({self._wire.names.key})",
            )
        fix = f"{error.fix}; batches that were made go on, and running this again collects them"
        return UserError(server, error.what, fix)


def _answered(result: Mapping[str, Any] | None) -> bool:
    response = result.get("response") if result else None
    return isinstance(response, Mapping) and response.get("status_code") in (None, 200)


def _without(line: Line, state: Any, why: str, cost_usd: float | None = None) -> End:
    return End(line, None, cost_usd, state, why)
