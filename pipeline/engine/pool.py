"""A process pool in which a crash fails only the task that caused it; its processes end with the parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_sentinel
from pathlib import Path
from typing import TypeVar

from pipeline.engine.attempt import Attempt
from pipeline.errors import RowError, warnings_to_stderr

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_pool(
    work: Callable[[Given], Made], given: Sequence[Given], workers: int, root: Path
) -> Iterator[tuple[int, Made | RowError]]:
    """Map over a pool; yield each result with the index of its input, in order of completion.

    A task whose process dies (out of memory, a crash in a decoder) or whose result can't be sent
    back yields a RowError. `root` is the workspace.
    """
    waiting = list(reversed(range(len(given))))
    while waiting:
        suspects: list[int] = []
        with _pool(workers) as pool:
            running: dict[Future[Made], int] = {}
            while running or (waiting and not suspects):
                # A short queue: after a crash, few tasks have to be retried one by one.
                while waiting and len(running) < 2 * workers and not suspects:
                    position = waiting.pop()
                    try:
                        running[pool.submit(work, given[position])] = position
                    except BrokenProcessPool:
                        suspects.append(position)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    position = running.pop(future)
                    try:
                        made = _result(future, root)
                    except BrokenProcessPool:
                        suspects.append(position)
                    else:
                        yield position, made
        for position in suspects:
            yield position, _alone(work, given[position], root)


def _result(future: Future[Made], root: Path) -> Made | RowError:
    """Return what a task came to; raise BrokenProcessPool if its process, or another of the pool, died."""
    wait([future])
    if isinstance(broken := future.exception(), BrokenProcessPool):
        raise broken
    with Attempt(root) as attempt:
        return future.result()
    assert attempt.error is not None
    return attempt.error


def _alone(work: Callable[[Given], Made], given: Given, root: Path) -> Made | RowError:
    with _pool(1) as pool:
        try:
            return _result(pool.submit(work, given), root)
        except BrokenProcessPool:
            return RowError(
                "its process died (out of memory, or a crash in a decoder)",
                "free memory or set run.workers = 1; if that fails too, make another copy of the video: egost repair FILE",
                again=True,
            )


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    # spawn: forking a process that holds SQLite, Polars or OpenCV threads can hang the child.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_child)
    try:
        yield pool
    except BaseException:
        # After Ctrl-C or on a full disk, don't wait for a long video, which may take minutes.
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _child() -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent ends, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings_to_stderr()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_sentinel([sentinel])
    os._exit(1)
