"""How a stage is run: its units and their keys, the process pool or the event loop, progress, the summary.

`run_stage` is the seam: another engine (a cluster) would map the same functions over the same units.
"""

import asyncio
import inspect
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait as wait_sentinel
from typing import Any

from pydantic import Field
from tqdm import tqdm

from pipeline.config import Settings
from pipeline.errors import GateError, RowError, UserError, warnings_to_stderr
from pipeline.records import Rejection, Row, digest
from pipeline.store import Place, Rows, Store

SCAN, PULL = "scan", "pull"  # rows that come from outside: files found on disk, people's verdicts
_LINKS = ("source_id", "clip_id", "video_id")  # the finest first: how a row belongs to a unit
_ALL = "all"


class RunSettings(Settings):
    """How stages are run."""

    workers: int = Field(0, ge=0, le=256, exclude=True, description="Processes; 0 = one per core.")
    max_failed: float = Field(
        0.2,
        ge=0,
        le=1,
        exclude=True,
        description="Share of failed units above which a run exits 3.",
    )


@dataclass(frozen=True)
class Stage:
    """A named plain function from rows to rows.

    `per` names the row type that makes a unit (None: all rows at once). `remembers` lists types
    whose earlier rows, of this very stage or from people, the function may see without being redone
    for them: a draw never moves, and what people judged stays. An `async` function runs in the
    event loop with what `opens(settings, place)` yields; any other runs in a process pool with the
    Place. `depends` adds to the key what is neither row nor setting, such as a template; `heeds`
    narrows a type's part of the key to the fields that matter (new wording of a licence must not
    decode a video again). A `light` function runs in this process: handing its rows over would take
    longer. `section` names another stage whose settings it shares; a stage that its settings don't
    want (`wanted`) has no units. Raise `version` when the same input should give others.
    """

    name: str
    does: str
    reads: tuple[type[Row], ...]
    writes: tuple[type[Row], ...]
    settings: type[Settings]
    run: Callable[..., Any]
    per: type[Row] | None
    version: int = 1
    remembers: tuple[type[Row], ...] = ()
    opens: Callable[[Any, Place], AbstractAsyncContextManager[Any]] | None = None
    depends: Callable[[Any, Place], str] | None = None
    heeds: Mapping[type[Row], set[str]] = field(default_factory=dict)
    light: bool = False
    section: str = ""
    wanted: Callable[[Any], bool] | None = None

    def key_head(self, settings: Settings, place: Place) -> str:
        """Return the digest of what all units of this stage depend on."""
        extra = self.depends(settings, place) if self.depends else ""
        return digest(self.name, self.version, settings.model_dump_json(), extra)

    def key(self, head: str, seen: Mapping[type[Row], Iterable[Row]]) -> str:
        """Return the digest of all that one unit's rows follow from."""
        parts = [head]
        for kind, rows in seen.items():
            heeded = self.heeds.get(kind)
            parts += [kind.table, *(row.model_dump_json(include=heeded) for row in rows)]
        return digest(*parts)


@dataclass(frozen=True)
class Unit:
    """One piece of a stage's work: its id, its name for people, its key and the rows it sees."""

    id: str
    label: str
    key: str
    rows: Rows


@dataclass(frozen=True)
class Summary:
    """What one run of a stage did."""

    stage: str
    noun: str
    new: int
    kept: int
    rejected: int = 0
    failed: int = 0
    beside: int = 0  # rejections of something else than a unit: a sidecar, a pair of flips

    @property
    def total(self) -> int:
        """How many units there are."""
        return self.new + self.kept + self.rejected + self.failed

    def __str__(self) -> str:
        parts = [f"{self.new} new" if self.new else "nothing new", f"{self.kept} kept"]
        parts += [f"{self.rejected} rejected"] if self.rejected else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.beside} other rejection{'s' * (self.beside > 1)}"] if self.beside else []
        hint = " (egost rejections)" if self.rejected or self.failed or self.beside else ""
        return f"{self.stage}: {self.total} {self.noun}: {', '.join(parts)}{hint}"


Outcome = list[Row] | RowError


def run_stage(
    stage: Stage, store: Store, settings: Settings, how: RunSettings, upstream: Sequence[str]
) -> Summary:
    """Run the units of a stage that are new or changed, drop those that are gone, rebuild its tables.

    `upstream` names the stages whose rows this one may see. Raises UserError when the user has to
    act, GateError when more than `max_failed` of the units failed.
    """
    units = list(_units(stage, store, settings, upstream))
    known = store.keys(stage.name)
    todo = [unit for unit in units if known.get(unit.id) != unit.key]
    before = _bodies(stage, store) if stage.per is None else set()
    store.forget(stage.name, known.keys() - {unit.id for unit in units})
    quiet = not (todo and sys.stderr.isatty())
    try:
        with tqdm(total=len(todo), desc=stage.name, unit="", disable=quiet) as bar:
            for unit, outcome in _mapped(stage, todo, settings, store.place, how):
                _finish(store, stage, unit, outcome)
                bar.update()
    finally:
        store.rebuild()
    summary = _summary(stage, store, units, {unit.id for unit in todo}, before)
    if summary.failed > how.max_failed * summary.total:
        raise GateError(
            stage.name,
            f"{summary.failed} of {summary.total} {summary.noun} failed, more than max_failed = {how.max_failed:g}",
            "egost rejections tells why; mend that and run again: what is done is kept",
        )
    return summary


def pending(stage: Stage, store: Store, settings: Settings, upstream: Sequence[str]) -> list[Unit]:
    """Return the units that a run would work on: the new and the changed ones."""
    known = store.keys(stage.name)
    return [one for one in _units(stage, store, settings, upstream) if known.get(one.id) != one.key]


def _units(
    stage: Stage, store: Store, settings: Settings, upstream: Sequence[str]
) -> Iterator[Unit]:
    if stage.wanted and not stage.wanted(settings):
        return
    sources = (SCAN, PULL, *upstream)
    tables: dict[type[Row], list[Row]] = {kind: store.rows(kind, sources) for kind in stage.reads}
    earlier = {kind: store.rows(kind, (PULL, stage.name)) for kind in stage.remembers}
    key = partial(stage.key, stage.key_head(settings, store.place))
    if stage.per is None:
        yield Unit(_ALL, _ALL, key(tables), Rows(_frozen(tables), _frozen(earlier)))
        return
    grouped, before = (
        {kind: _grouped(rows, stage.per, kind) for kind, rows in kinds.items()}
        for kinds in (tables, earlier)
    )
    for row in tables[stage.per]:
        seen, own = (
            _frozen({kind: by.get(getattr(row, link), ()) for kind, (link, by) in groups.items()})
            for groups in (grouped, before)
        )
        yield Unit(str(row.identity()[0]), row.shown(), key(seen), Rows(seen, own))


def _frozen(tables: Mapping[type[Row], Iterable[Row]]) -> dict[type[Row], tuple[Row, ...]]:
    return {kind: tuple(rows) for kind, rows in tables.items()}


def _grouped(rows: list[Row], per: type[Row], kind: type[Row]) -> tuple[str, dict[str, list[Row]]]:
    link = next(name for name in _LINKS if name in per.model_fields and name in kind.model_fields)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(getattr(row, link), []).append(row)
    return link, groups


def _finish(store: Store, stage: Stage, unit: Unit, outcome: Outcome) -> None:
    if not isinstance(outcome, RowError):
        store.finish(stage.name, unit.id, unit.key, "done", outcome)
        return
    rejection = Rejection(stage=stage.name, unit=unit.label, what=outcome.what, fix=outcome.fix)
    # A failed unit gets no key, so the next run tries it again.
    key, name = ("", "failed") if outcome.again else (unit.key, "rejected")
    store.finish(stage.name, unit.id, key, name, [rejection])


def _bodies(stage: Stage, store: Store) -> set[str]:
    return {row.model_dump_json() for row in store.rows(stage.writes[0], [stage.name])}


def _summary(
    stage: Stage, store: Store, units: list[Unit], tried: set[str], before: set[str]
) -> Summary:
    rejections = store.rows(Rejection, [stage.name])
    if stage.per is None:
        after = _bodies(stage, store)
        noun = stage.writes[0].table
        return Summary(
            stage.name, noun, len(after - before), len(after & before), beside=len(rejections)
        )
    outcomes = store.outcomes(stage.name)
    ends = [(outcomes[unit.id], unit.id in tried) for unit in units]
    rejected = sum(outcome == "rejected" for outcome, _ in ends)
    failed = sum(outcome == "failed" for outcome, _ in ends)
    return Summary(
        stage.name,
        "files" if stage.per.table == "sources" else stage.per.table,
        new=ends.count(("done", True)),
        kept=ends.count(("done", False)),
        rejected=rejected,
        failed=failed,
        beside=len(rejections) - rejected - failed,
    )


def _mapped(
    stage: Stage, todo: list[Unit], settings: Settings, place: Place, how: RunSettings
) -> Iterator[tuple[Unit, Outcome]]:
    if not todo:
        return iter(())
    if inspect.iscoroutinefunction(stage.run):
        return _in_loop(stage, todo, settings, place)
    work = partial(_attempt, stage.run, settings=settings, place=place)
    workers = min(how.workers or os.cpu_count() or 1, len(todo))
    if stage.per is None or stage.light or workers == 1:
        return ((unit, work(unit.rows)) for unit in todo)
    return _in_pool(work, todo, workers)


def _attempt(
    run: Callable[..., Iterable[Row]], rows: Rows, settings: Settings, place: Place
) -> Outcome:
    try:
        return list(run(rows, settings, place))
    except RowError as error:
        return error


# ---- the process pool --------------------------------------------------------------------------


def _in_pool(
    work: Callable[[Rows], Outcome], todo: list[Unit], workers: int
) -> Iterator[tuple[Unit, Outcome]]:
    """Map over a pool. A unit whose process dies (memory, a decoder's crash) fails alone."""
    waiting = list(reversed(todo))
    while waiting:
        suspects: list[Unit] = []
        with _pool(workers) as pool:
            running: dict[Future[Outcome], Unit] = {}
            while running or (waiting and not suspects):
                # A short queue: when the pool breaks, few units have to be tried again one by one.
                while waiting and len(running) < 2 * workers and not suspects:
                    unit = waiting.pop()
                    try:
                        running[pool.submit(work, unit.rows)] = unit
                    except BrokenProcessPool:
                        suspects.append(unit)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    unit = running.pop(future)
                    try:
                        yield unit, future.result()
                    except BrokenProcessPool:
                        suspects.append(unit)
        for unit in suspects:
            yield unit, _alone(work, unit)


def _alone(work: Callable[[Rows], Outcome], unit: Unit) -> Outcome:
    with _pool(1) as pool:
        try:
            return pool.submit(work, unit.rows).result()
        except BrokenProcessPool:
            return RowError(
                "the process that worked on this died (out of memory, or a crash in a decoder)",
                "free memory or set run.workers = 1; if it dies again, convert the file with ffmpeg",
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
        # Ctrl-C or a full disk: don't wait for the minutes that a long video may still take.
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _child() -> None:
    """Leave Ctrl-C to the parent, and end with it even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings_to_stderr()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_sentinel([sentinel])
    os._exit(1)


# ---- the event loop ----------------------------------------------------------------------------

_AT_ONCE = 256  # bounds memory only: a service limits its own requests in flight


def _in_loop(
    stage: Stage, todo: list[Unit], settings: Settings, place: Place
) -> Iterator[tuple[Unit, Outcome]]:
    """Drive an asyncio loop from a plain generator, handing over each unit as it ends."""
    with asyncio.Runner() as runner:
        results: asyncio.Queue[tuple[Unit, Outcome] | None] = asyncio.Queue()
        main = runner.get_loop().create_task(_all_units(stage, todo, settings, place, results))
        while (result := runner.run(results.get())) is not None:
            yield result
        try:
            runner.run(_wait_for(main))
        except* UserError as group:
            raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group, out of any groups inside it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _wait_for(task: "asyncio.Task[None]") -> None:
    await task


async def _all_units(
    stage: Stage,
    todo: list[Unit],
    settings: Settings,
    place: Place,
    results: "asyncio.Queue[tuple[Unit, Outcome] | None]",
) -> None:
    queue = iter(todo)

    async def work(service: Any) -> None:
        for unit in queue:
            try:
                outcome: Outcome = list(await stage.run(unit.rows, settings, service))
            except RowError as error:
                outcome = error
            await results.put((unit, outcome))

    try:
        async with (
            (stage.opens or _nothing)(settings, place) as service,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(min(_AT_ONCE, len(todo))):
                group.create_task(work(service))
    finally:
        await results.put(None)


@asynccontextmanager
async def _nothing(settings: Settings, place: Place) -> Any:
    yield place
