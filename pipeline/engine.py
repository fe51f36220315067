"""How a stage is run: its units and their keys, the process pool or the event loop, progress, the summary.

`run_stage` is the seam: another engine (a cluster) would map the same functions over the same units.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any

from pydantic import Field
from tqdm import tqdm

from pipeline.config import Settings
from pipeline.errors import GateError, RowError, UserError
from pipeline.pool import in_pool
from pipeline.records import Held, Rejection, Row, digest, digest_of
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
class Later:
    """A function of a module that is imported when it has something to do.

    Decoders and clients of servers take longer to import than a run with nothing to do may take.
    """

    module: str
    name: str = "run"

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself; the first time, this imports its module."""
        return getattr(import_module(self.module), self.name)  # type: ignore[no-any-return]

    def __call__(self, *given: Any) -> Any:
        """Call it."""
        return self.function(*given)


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

    What people have judged is replaced only when the user asks for it: `judged(store)` names the
    units that keep their rows even though their key has changed; a stage with one unit for all rows
    decides that row by row instead, from `Rows.redo`. `redo` is the flag with which the user asks.
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
    judged: Callable[[Store], set[str]] | None = None
    redo: str = ""

    def key_head(self, settings: Settings, place: Place) -> str:
        """Return the digest of what all units of this stage depend on."""
        extra = self.depends(settings, place) if self.depends else ""
        return digest(self.name, self.version, settings.model_dump_json(), extra)

    def key(self, head: str, seen: Mapping[type[Row], Iterable[Row]]) -> str:
        """Return the digest of all that one unit's rows follow from."""
        return digest_of(self._parts(head, seen))

    def _parts(self, head: str, seen: Mapping[type[Row], Iterable[Row]]) -> Iterator[str]:
        yield head
        for kind, rows in seen.items():
            heeded = self.heeds.get(kind)
            yield kind.table
            for row in rows:
                yield row.model_dump_json(include=heeded)


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
    held: int = 0  # of the kept ones: those that would be replaced if nobody had judged them
    redo: str = ""  # the flag that replaces them

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
        noun = self.noun.removesuffix("s") if self.total == 1 else self.noun
        line = f"{self.stage}: {self.total} {noun}: {', '.join(parts)}{hint}"
        if self.held:
            line += (
                f"\n  {self.held} of the kept {self.noun} are out of date but have been judged by "
                f"people, so they stay as they are; {self.redo} would replace them (--dry-run lists them)"
            )
        return line


Outcome = Iterable[Row] | RowError


def run_stage(
    stage: Stage,
    store: Store,
    settings: Settings,
    how: RunSettings,
    upstream: Sequence[str],
    *,
    redo: bool = False,
) -> Summary:
    """Run the units of a stage that are new or changed, drop those that are gone, rebuild its tables.

    `upstream` names the stages whose rows this one may see; `redo` replaces what people have judged,
    too. Raises UserError when the user has to act, GateError when more than `max_failed` of the
    units failed.
    """
    units = list(_units(stage, store, settings, upstream, redo=redo))
    known = store.keys(stage.name)
    todo, judged = _changed(stage, store, units, known, redo=redo)
    held = len(judged)
    before = store.marks(stage.writes[0], [stage.name]) if stage.per is None else set()
    store.forget(stage.name, known.keys() - {unit.id for unit in units})
    ids, tried = [unit.id for unit in units], {unit.id for unit in todo}
    try:
        _work(stage, store, todo, settings, how)
    finally:
        # What the units saw may be as much as the tables that are written now.
        units.clear()
        todo.clear()
        judged.clear()
        store.rebuild()
    held = held or len(store.rows(Held, [stage.name]))
    summary = replace(_summary(stage, store, ids, tried, before), held=held, redo=stage.redo)
    if summary.failed > how.max_failed * summary.total:
        raise GateError(
            stage.name,
            f"{summary.failed} of {summary.total} {summary.noun} failed, more than max_failed = {how.max_failed:g}",
            "egost rejections tells why; mend that and run again: what is done is kept",
        )
    return summary


def _work(
    stage: Stage, store: Store, todo: list[Unit], settings: Settings, how: RunSettings
) -> None:
    quiet = not (todo and sys.stderr.isatty())
    with tqdm(total=len(todo), desc=stage.name, unit="", disable=quiet) as bar:
        for unit, outcome in _mapped(stage, todo, settings, store.place, how):
            _finish(store, stage, unit, outcome)
            bar.update()


@dataclass(frozen=True)
class Pending:
    """The units that a run would work on, and those that it would leave because people judged them."""

    todo: list[Unit]
    held: list[Unit]


def pending(
    stage: Stage, store: Store, settings: Settings, upstream: Sequence[str], *, redo: bool = False
) -> Pending:
    """Return what a run with these settings would work on; nothing is run."""
    units = _units(stage, store, settings, upstream, redo=redo)
    return Pending(*_changed(stage, store, units, store.keys(stage.name), redo=redo))


def _changed(
    stage: Stage, store: Store, units: Iterable[Unit], known: Mapping[str, str], *, redo: bool
) -> tuple[list[Unit], list[Unit]]:
    """Return the new and changed units, and apart from them those that people's judgements hold."""
    if redo and stage.per is None and store.rows(Held, [stage.name]):
        return list(units), []
    changed = [unit for unit in units if known.get(unit.id) != unit.key]
    if redo or not changed or stage.judged is None:
        return changed, []
    judged = stage.judged(store)
    return (
        [unit for unit in changed if unit.id not in judged],
        [unit for unit in changed if unit.id in judged],
    )


def _units(
    stage: Stage, store: Store, settings: Settings, upstream: Sequence[str], *, redo: bool
) -> Iterator[Unit]:
    if stage.wanted and not stage.wanted(settings):
        return
    sources = (SCAN, PULL, *upstream)
    tables: dict[type[Row], list[Row]] = {kind: store.rows(kind, sources) for kind in stage.reads}
    earlier = _Earlier(stage, store)
    key = partial(stage.key, stage.key_head(settings, store.place))
    if stage.per is None:
        yield Unit(_ALL, _ALL, key(tables), Rows(_frozen(tables), earlier, redo))
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
        yield Unit(str(row.identity()[0]), row.shown(), key(seen), Rows(seen, own, redo))


@dataclass(frozen=True)
class _Earlier(Mapping[type[Row], tuple[Row, ...]]):
    """What a stage wrote of what it remembers, read when it is asked for: if nothing changed, never."""

    stage: Stage
    store: Store

    def __getitem__(self, kind: type[Row]) -> tuple[Row, ...]:
        if kind not in self.stage.remembers:
            raise KeyError(kind)
        return tuple(self.store.rows(kind, (PULL, self.stage.name)))

    def __iter__(self) -> Iterator[type[Row]]:
        return iter(self.stage.remembers)

    def __len__(self) -> int:
        return len(self.stage.remembers)


def _frozen(tables: Mapping[type[Row], Iterable[Row]]) -> dict[type[Row], tuple[Row, ...]]:
    return {kind: tuple(rows) for kind, rows in tables.items()}


def _grouped(
    rows: Iterable[Row], per: type[Row], kind: type[Row]
) -> tuple[str, dict[str, list[Row]]]:
    link = next(name for name in _LINKS if name in per.model_fields and name in kind.model_fields)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(getattr(row, link), []).append(row)
    return link, groups


def _finish(store: Store, stage: Stage, unit: Unit, outcome: Outcome) -> None:
    if not isinstance(outcome, RowError):
        try:
            store.finish(stage.name, unit.id, unit.key, "done", outcome)
        except RowError as error:  # of a function that makes its rows while they are stored
            outcome = error
        else:
            return
    rejection = Rejection(stage=stage.name, unit=unit.label, what=outcome.what, fix=outcome.fix)
    # A failed unit gets no key, so the next run tries it again.
    key, name = ("", "failed") if outcome.again else (unit.key, "rejected")
    store.finish(stage.name, unit.id, key, name, [rejection])


def _summary(
    stage: Stage, store: Store, ids: list[str], tried: set[str], before: set[bytes]
) -> Summary:
    rejections = store.rows(Rejection, [stage.name])
    if stage.per is None:
        after = store.marks(stage.writes[0], [stage.name])
        noun = stage.writes[0].table
        return Summary(
            stage.name, noun, len(after - before), len(after & before), beside=len(rejections)
        )
    outcomes = store.outcomes(stage.name)
    ends = [(outcomes[unit], unit in tried) for unit in ids]
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
    run = stage.run.function if isinstance(stage.run, Later) else stage.run
    if inspect.iscoroutinefunction(run):
        return _in_loop(stage, todo, settings, place)
    work = partial(_attempt, run, settings=settings, place=place)
    workers = min(how.workers or os.cpu_count() or 1, len(todo))
    if stage.per is None or stage.light or workers == 1:
        return ((unit, _one_by_one(run, unit.rows, settings, place)) for unit in todo)
    found = in_pool(work, [unit.rows for unit in todo], workers)
    return ((todo[place], outcome) for place, outcome in found)


def _one_by_one(
    run: Callable[..., Iterable[Row]], rows: Rows, settings: Settings, place: Place
) -> Iterator[Row]:
    yield from run(rows, settings, place)


def _attempt(
    run: Callable[..., Iterable[Row]], rows: Rows, settings: Settings, place: Place
) -> Outcome:
    try:
        return list(run(rows, settings, place))
    except RowError as error:
        return error


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
