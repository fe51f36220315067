"""Run a stage: find new and changed units, run them, store the outcomes, summarise."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial

from tqdm import tqdm

from pipeline.engine.attempt import Attempt
from pipeline.engine.crashes import Crashes
from pipeline.engine.local import mapped
from pipeline.engine.rows import Held, Rejection, Row, Rows
from pipeline.engine.settings import RunSettings, Settings
from pipeline.engine.stage import PULL, SCAN, Outcome, Stage, Summary, Unit
from pipeline.engine.store import Store
from pipeline.engine.tables import TABLES
from pipeline.errors import GateError, RowError

_LINKS = ("source_id", "clip_id", "video_id")  # fields that assign a row to a unit, finest first
_ALL = "all"


def run_stage(
    stage: Stage,
    store: Store,
    settings: Settings,
    how: RunSettings,
    upstream: Sequence[str],
    *,
    redo: bool = False,
) -> Summary:
    """Run the new and changed units of a stage, delete units that no longer exist, rebuild the tables.

    `upstream` names the stages whose rows this one may see; with `redo`, judged rows are replaced
    too. Raises UserError if the user has to act, GateError if more than `max_failed` of the units
    failed and the stage isn't optional.
    """
    units = list(_units(stage, store, settings, upstream, redo=redo))
    ids = {unit.id for unit in units}
    before = store.marks(stage.writes[0], [stage.name]) if stage.per is None else set()
    store.forget_attempts(stage.name)
    back = store.restore(stage.name, ids - store.keys(stage.name).keys()).keys()
    left = _drop_gone(stage, store, settings, ids, redo=redo)
    known = store.keys(stage.name)
    todo, held = _changed(stage, store, units, known, redo=redo, also=back)
    kept = len(held) + len(left)
    # Even if the user asks to replace judged rows, an attempt that fails must not lose them.
    precious = stage.judged(store) & known.keys() if stage.judged and redo and todo else set()
    tried, crashes, failed = {unit.id for unit in todo}, Crashes(stage.name, store), 0
    try:
        for unit, outcome in _outcomes(stage, store, todo, settings, how):
            error = _finish(store, stage, unit, outcome, crashes, keep=unit.id in precious)
            if error and unit.id in precious:
                tried.remove(unit.id)
            # These keep their rows, so that they aren't counted among those that failed below.
            failed += bool(error and error.again and (unit.id in precious or stage.per is None))
    finally:
        # Free the units' rows first: they may be as large as the tables.
        for rows in (units, todo, held):
            rows.clear()
        store.rebuild()
    kept = kept or sum(1 for _ in store.each(Held, [stage.name]))
    summary = _summary(stage, store, ids | left, tried, before)
    summary = replace(summary, held=kept, redo=stage.redo, crashes=str(crashes))
    failed += summary.failed
    total, noun = (summary.total, summary.noun) if stage.per else (1, "unit")
    if failed > how.max_failed * total and not stage.optional:
        raise GateError(
            stage.name,
            f"{failed} of {total} {noun} failed, more than max_failed = {how.max_failed:g}",
            "see egost rejections for the reasons; then run this again: finished units are kept"
            + (f"; {crashes}" if crashes.count else ""),
        )
    return summary


def _drop_gone(
    stage: Stage, store: Store, settings: Settings, ids: Set[str], *, redo: bool
) -> Set[str]:
    """Delete the units that no longer exist; return those that are kept because people judged them."""
    gone = store.keys(stage.name).keys() - ids
    people = gone & stage.judged(store) if gone and stage.judged else set()
    if _is_wanted(stage, settings) or redo:
        # A file may be missing for a while: people's work returns with it.
        store.archive(stage.name, people)
        people = set()
    # Otherwise the settings no longer ask for this stage, perhaps because a --set was forgotten.
    store.forget(stage.name, gone - people)
    return people


def _outcomes(
    stage: Stage, store: Store, todo: list[Unit], settings: Settings, how: RunSettings
) -> Iterator[tuple[Unit, Outcome]]:
    """Yield what each unit came to, under a progress bar."""
    quiet = not (todo and sys.stderr.isatty())
    with tqdm(total=len(todo), desc=stage.name, unit="", disable=quiet) as bar:
        for found in mapped(stage, todo, settings, store.folder, how):
            yield found
            bar.update()


@dataclass(frozen=True)
class Pending:
    """The units that a run would work on, and those that it would keep because people judged them."""

    todo: list[Unit]
    held: list[Unit]


def pending(
    stage: Stage, store: Store, settings: Settings, upstream: Sequence[str], *, redo: bool = False
) -> Pending:
    """Return the units that a run with these settings would work on, without running them."""
    known = store.keys(stage.name)
    units = _units(stage, store, settings, upstream, redo=redo)
    todo, held = _changed(stage, store, units, known, redo=redo)
    if stage.judged and not redo and not _is_wanted(stage, settings):
        people = sorted(stage.judged(store) & known.keys())
        held += [Unit(unit, unit, known[unit], Rows({})) for unit in people]
    return Pending(todo, held)


def _is_wanted(stage: Stage, settings: Settings) -> bool:
    return stage.wanted is None or stage.wanted(settings)


def _changed(
    stage: Stage,
    store: Store,
    units: Iterable[Unit],
    known: Mapping[str, str],
    *,
    redo: bool,
    also: Set[str] = frozenset(),
) -> tuple[list[Unit], list[Unit]]:
    """Return the units to run, and separately the changed units that are kept because they were judged.

    `also` names units that were judged before their rows came back.
    """
    if redo and stage.per is None and store.rows(Held, [stage.name]):
        return list(units), []
    rejected = {unit for unit, how in store.outcomes(stage.name).items() if how == "rejected"}
    changed = [
        unit
        for unit in units
        if known.get(unit.id) != (stage.rejected_key(unit.key) if unit.id in rejected else unit.key)
    ]
    if redo or not changed or stage.judged is None:
        return changed, []
    judged = (stage.judged(store) | also) & known.keys()
    return (
        [unit for unit in changed if unit.id not in judged],
        [unit for unit in changed if unit.id in judged],
    )


def _units(
    stage: Stage, store: Store, settings: Settings, upstream: Sequence[str], *, redo: bool
) -> Iterator[Unit]:
    if not _is_wanted(stage, settings):
        return
    sources = (SCAN, PULL, *upstream)
    tables: dict[type[Row], list[Row]] = {kind: store.rows(kind, sources) for kind in stage.reads}
    earlier = _Earlier(stage, store)
    key = partial(stage.key, stage.key_head(settings, store.folder))
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
    """The rows that a stage remembers, read on demand: if nothing changed, never."""

    stage: Stage
    store: Store

    def __getitem__(self, kind: type[Row]) -> tuple[Row, ...]:
        if kind not in self.stage.remembers:
            raise KeyError(kind)
        # Rows that are no table are notes between stages: each sees those of the others.
        stages = (PULL, self.stage.name) if kind.table in TABLES else None
        return tuple(self.store.rows(kind, stages))

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


def _finish(
    store: Store, stage: Stage, unit: Unit, outcome: Outcome, crashes: Crashes, *, keep: bool
) -> RowError | None:
    """Store what a unit came to; return the error if it has none. `keep` keeps its rows then."""
    if isinstance(outcome, RowError):
        error: RowError | None = outcome
    else:
        # A function may yield its rows while they are stored.
        with Attempt(store.folder.root) as attempt:
            store.finish(stage.name, unit.id, unit.key, "done", outcome)
        error = attempt.error
    if error is None:
        return None
    what = crashes.logged(unit, error) if error.trace else error.what
    rejection = Rejection(stage=stage.name, unit=unit.label, what=what, fix=error.fix)
    # Without the rows of a stage's only unit, every later stage would delete all of its own.
    if keep or (error.again and stage.per is None):
        store.fail_keeping(stage.name, unit.id, rejection)
        return error
    # A failed unit gets no key, so the next run retries it.
    key, name = ("", "failed") if error.again else (stage.rejected_key(unit.key), "rejected")
    store.finish(stage.name, unit.id, key, name, [rejection])
    return error


def _summary(
    stage: Stage, store: Store, ids: Set[str], tried: Set[str], before: Set[bytes]
) -> Summary:
    rejections = store.rows(Rejection, [stage.name])
    if stage.per is None:
        after = store.marks(stage.writes[0], [stage.name])
        noun = stage.writes[0].table
        return Summary(
            stage.name,
            noun,
            len(after - before),
            len(after & before),
            other_rejections=len(rejections),
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
        other_rejections=len(rejections) - rejected - failed,
    )
