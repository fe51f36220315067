"""The queue before one or several models: a single worker answers what waits for the same model in batches."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from pipeline.tuning.chat_body import Ask, RefusedError
from pipeline.tuning.served import Said, Served, Tensors

log = logging.getLogger(__name__)
_GATHER_SECONDS = 0.02  # for requests that were sent together to arrive
_PLACES_PER_BATCH = 4
_LEAST_PLACES = 16
_LONGEST_WAIT = 30  # seconds that a client is asked to wait at most


@dataclass(eq=False)
class Job:
    """A request that waits for its reply; `gone` is set when its client is."""

    ask: Ask
    reply: "Future[Said]" = field(default_factory=Future)
    gone: bool = False


class Queue:
    """Requests in the order of their arrival, and the thread that answers them.

    Only so many are taken at once: whoever sends more is asked to wait, so that their bodies don't fill the memory.
    """

    def __init__(
        self, models: Mapping[str, Served], batch: int = 8, threads: int | None = None
    ) -> None:
        """Take models by name, the most requests in a batch, and torch's threads (None: as they are)."""
        self.models, self.batch = models, batch
        self.places = max(_LEAST_PLACES, _PLACES_PER_BATCH * batch)
        self.answered = self.taken = 0
        self._jobs: list[Job] = []
        self._threads = threads
        self._seconds = 1.0  # of the last batch
        self._closed = False
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._work, name="generating", daemon=True)
        self._worker.start()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for a request, before its body is read; raise RefusedError (503) if none is free."""
        with self._changed:
            if self._closed:
                raise _ending()
            if self.taken >= self.places:
                raise RefusedError(
                    503, f"{self.taken} requests are waiting already; send this one again later"
                )
            self.taken += 1
        try:
            yield
        finally:
            with self._changed:
                self.taken -= 1

    @property
    def wait_seconds(self) -> int:
        """How long a client that got no place should wait: until a batch is done, by the last one."""
        return max(1, min(_LONGEST_WAIT, round(self._seconds)))

    def submit(self, ask: Ask) -> Job:
        """Queue a request; raise RefusedError if it can't be answered (unknown model, too many tokens)."""
        model = self.models.get(ask.model)
        if model is None:
            what = f"the model {ask.model!r} does not exist; served: {', '.join(self.models)}"
            raise RefusedError(404, what, "model_not_found", "model")
        model.count(ask)
        job = Job(ask)
        with self._changed:
            if self._closed:
                raise _ending()
            self._jobs.append(job)
            self._changed.notify_all()
        return job

    def leave(self, job: Job) -> None:
        """Drop a request whose client is gone: from the queue, or at its next token."""
        with self._changed:
            job.gone = True
            self._jobs = [one for one in self._jobs if one is not job]

    def close(self) -> None:
        """End the batch at its next token, refuse what waits, and wait for the worker."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._worker.join()

    def _work(self) -> None:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        while jobs := self._next():
            begun = time.monotonic()
            self._answer(self.models[jobs[0].ask.model], jobs)
            self._seconds = time.monotonic() - begun
        for job in self._jobs:
            job.reply.set_exception(_ending())

    def _next(self) -> list[Job]:
        """Wait for requests, and return the next batch: the oldest, and others for its model; none at the end."""
        with self._changed:
            while not self._closed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                self._changed.wait_for(
                    lambda: len(self._jobs) >= self.batch or self._closed, _GATHER_SECONDS
                )
                if self._jobs:  # clients may have left
                    break
            if self._closed:
                return []
            name = self._jobs[0].ask.model
            jobs = [job for job in self._jobs if job.ask.model == name][: self.batch]
            self._jobs = [job for job in self._jobs if job not in jobs]
            return jobs

    def _answer(self, model: Served, jobs: list[Job]) -> None:
        prepared: list[tuple[Job, Tensors]] = []
        for job in jobs:
            try:
                prepared.append((job, model.inputs(job.ask)))
            except Exception as error:  # noqa: BLE001 - one request must not end the server
                job.reply.set_exception(_failed(error))
        if prepared:
            self._generate(model, prepared)

    def _generate(self, model: Served, prepared: list[tuple[Job, Tensors]]) -> None:
        jobs = [job for job, _ in prepared]
        said = None
        try:
            said = model.answers(
                [job.ask for job in jobs],
                [prompt for _, prompt in prepared],
                lambda row: jobs[row].gone or self._closed,
            )
        except Exception as error:
            if len(jobs) == 1:
                log.exception("a request failed")
                jobs[0].reply.set_exception(_failed(error))
        if said is None:
            # One of them may be at fault, or the batch too large for the memory, which the error no longer holds.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            for one in prepared if len(jobs) > 1 else ():
                self._generate(model, [one])
            return
        for job, reply in zip(jobs, said, strict=True):
            if self._closed:  # it may be cut
                job.reply.set_exception(_ending())
            elif not job.gone:
                self.answered += 1
                job.reply.set_result(reply)


def _failed(error: Exception) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    return RefusedError(500, f"generating failed: {type(error).__name__}: {error}")


def _ending() -> RefusedError:
    return RefusedError(503, "the server is being stopped")
