"""Run a stage's function on its units on this machine: in a process pool or an event loop.

Another engine (a cluster) would implement `mapped` for the same functions and units.
"""

import asyncio
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from pipeline.engine.attempt import Attempt
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.pool import in_pool
from pipeline.engine.rows import Row, Rows
from pipeline.engine.settings import RunSettings, Settings
from pipeline.engine.stage import LazyFunction, Outcome, Stage, Unit
from pipeline.errors import UserError


def mapped(
    stage: Stage, todo: list[Unit], settings: Settings, folder: WorkspaceFolder, how: RunSettings
) -> Iterator[tuple[Unit, Outcome]]:
    """Yield each unit with its outcome, in order of completion."""
    if not todo:
        return iter(())
    run = stage.run.function if isinstance(stage.run, LazyFunction) else stage.run
    if inspect.iscoroutinefunction(run):
        return _in_loop(stage, todo, settings, folder)
    workers = min(how.workers or os.cpu_count() or 1, len(todo))
    if stage.per is None or stage.light or workers == 1:
        return ((unit, _one_by_one(run, unit.rows, settings, folder)) for unit in todo)
    work = partial(_attempt, run, settings=settings, folder=folder)
    found = in_pool(work, [unit.rows for unit in todo], workers, folder.root)
    return ((todo[index], outcome) for index, outcome in found)


def _one_by_one(
    run: Callable[..., Iterable[Row]], rows: Rows, settings: Settings, folder: WorkspaceFolder
) -> Iterator[Row]:
    yield from run(rows, settings, folder)


def _attempt(
    run: Callable[..., Iterable[Row]], seen: Rows, settings: Settings, folder: WorkspaceFolder
) -> Outcome:
    rows: list[Row] = []
    with Attempt(folder.root) as attempt:
        rows = list(run(seen, settings, folder))
    return attempt.error or rows


# ---- the event loop ----------------------------------------------------------------------------

_AT_ONCE = 256  # only bounds memory: a service limits its own requests in flight


def _in_loop(
    stage: Stage, todo: list[Unit], settings: Settings, folder: WorkspaceFolder
) -> Iterator[tuple[Unit, Outcome]]:
    """Run an asyncio loop from a plain generator; yield each unit as it is completed."""
    with asyncio.Runner() as runner:
        results: asyncio.Queue[tuple[Unit, Outcome] | None] = asyncio.Queue()
        main = runner.get_loop().create_task(_all_units(stage, todo, settings, folder, results))
        while (result := runner.run(results.get())) is not None:
            yield result
        try:
            runner.run(_wait_for(main))
        except BaseExceptionGroup as group:
            raise _most_telling(group) from None


def _most_telling(group: BaseExceptionGroup) -> BaseException:
    """Return a UserError of a group, which may be nested, or else its first error."""
    error: BaseException = group.subgroup(UserError) or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _wait_for(task: "asyncio.Task[None]") -> None:
    await task


async def _all_units(
    stage: Stage,
    todo: list[Unit],
    settings: Settings,
    folder: WorkspaceFolder,
    results: "asyncio.Queue[tuple[Unit, Outcome] | None]",
) -> None:
    queue = iter(todo)

    async def work(service: Any) -> None:
        for unit in queue:
            rows: list[Row] = []
            with Attempt(folder.root) as attempt:
                rows = list(await stage.run(unit.rows, settings, service))
            await results.put((unit, attempt.error or rows))

    try:
        async with (
            (stage.opens or _nothing)(settings, folder) as service,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(min(_AT_ONCE, len(todo))):
                group.create_task(work(service))
    finally:
        await results.put(None)


@asynccontextmanager
async def _nothing(settings: Settings, folder: WorkspaceFolder) -> Any:
    yield folder
