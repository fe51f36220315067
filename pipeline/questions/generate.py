"""The command `generate-qa`: its estimate, its run, what the model cost, whether its items can be answered blind."""

import json
import logging
from collections import Counter
from collections.abc import Container, Iterator

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Held, Rejection, Rows
from pipeline.engine.store import Store
from pipeline.engine.workspace import Workspace
from pipeline.errors import GateError, UserError
from pipeline.models.estimate import Estimate
from pipeline.models.journal import Totals, read_ledger
from pipeline.questions import compose, guess, write
from pipeline.questions.rows import Expected, Item, Span, Stratum, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.questions.summary import composed
from pipeline.routes import draft, templates
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Video

log = logging.getLogger(__name__)

_ASKING = {"draft": "a route", "write": "an item of draft.tasks"}  # stages that ask a model
_DRAFTED_BY = "drafted_by"  # the note of the workspace that holds [provider, model] as JSON
_ENOUGH = 100  # items; with fewer, guessing (25 %) may score anything from 15 to 35 %
_SAMPLE = 1_000  # items to probe, which takes about 10 s


def estimate(workspace: Workspace, redo: Container[str] = ()) -> Iterator[str]:
    """Yield what a run would ask a model, and what it would keep because people have judged it.

    Sends nothing and stores nothing.
    """
    settings = workspace.settings("draft", DraftSettings)
    _refuse_other_drafter(workspace, settings, redo)
    found, held, drafted = Estimate(""), [], dict[str, Rows]()
    for name, of in (("draft", draft.estimate), ("write", write.estimate)):
        pending = workspace.pending(name, redo)
        held += [f"  {name}: clip {unit.id}" for unit in pending.held]
        if name == "draft":
            drafted = {unit.id: Rows({**unit.rows, Route: ()}) for unit in pending.todo}
        found += of((unit.rows for unit in pending.todo), settings, workspace.folder)
    # The names of clips that a run would draft first aren't known yet.
    guessed = {unit.id: unit.rows for unit in workspace.pending("guess", redo).todo} | drafted
    found += guess.estimate(guessed.values(), settings, workspace.folder)
    yield str(found)
    if held:
        yield f"{len(held)} would be kept because people have judged them; --redraft would replace:"
        yield from held
    items = _held_items(workspace, redo)
    if items:
        yield (
            f"{len(items)} items would be kept because people have audited them, if their routes stay "
            "the same; --recompose would replace:"
        )
        yield from (f"  compose: item {item_id}" for item_id in items)


def _held_items(workspace: Workspace, redo: Container[str]) -> list[str]:
    """Return the audited items that composing the current rows would keep."""
    pending = workspace.pending("compose", redo).todo
    if not pending:
        return [row.item_id for row in workspace.store.rows(Held, ["compose"])]
    settings = workspace.settings("compose", ComposeSettings)
    rows = (row for unit in pending for row in compose.run(unit.rows, settings, workspace.folder))
    return sorted(row.item_id for row in rows if isinstance(row, Held))


def generate(workspace: Workspace, redo: Container[str] = ()) -> Iterator[object]:
    """Draft, compose and check; then report the model's cost, what was composed and what can be answered blind.

    What people have judged is kept unless `redo` holds `--redraft` or `--recompose`. Raise GateError
    at the end if a model was asked and no clip got an answer.
    """
    settings = workspace.settings("draft", DraftSettings)
    for name in settings.tasks:
        templates.load_task(name)  # a missing task stops the run before it pays for routes
    _refuse_other_drafter(workspace, settings, redo)
    before, written = totals(workspace.folder), _written_items(workspace.store)
    unanswered: list[str] = []
    try:
        if settings.batch:
            yield from _fetch(workspace, settings, redo)
        for summary in workspace.run_command("generate-qa", redo):
            yield summary
            if summary.stage == "draft":
                _note_drafter(workspace.store, settings)
            if summary.stage == "guess" and (lacking := summary.rejected + summary.failed):
                yield (
                    f"  no model prior for {lacking} clips: whether their questions can be answered "
                    "without seeing is judged by the other readers alone"
                )
            if summary.stage in _ASKING and summary.rejected == summary.total > 0:
                unanswered.append(summary.stage)
    except UserError:
        _note_drafter(workspace.store, settings)
        if line := bill(workspace, before):
            log.warning(line)  # report the cost even if the run fails afterwards
        raise
    if line := bill(workspace, before):
        yield line
    if _written_items(workspace.store) != written:
        yield from leaks(workspace.store)
    strata = workspace.store.rows(Stratum)
    mirror = workspace.settings("compose", ComposeSettings).mirror
    refused = workspace.store.rows(Rejection, ["compose"])
    spans = workspace.store.rows(Span)
    yield from composed(workspace.store.each(Item), spans, strata, mirror, refused)
    if unanswered:
        raise _no_answer(workspace.store, unanswered[0])


def _fetch(workspace: Workspace, settings: DraftSettings, redo: Container[str]) -> Iterator[str]:
    """Have batches answer what the stages will ask."""
    asked = [("draft", draft.requests)] if settings.provider != "motion" else []
    asked += [("write", write.requests)] if settings.tasks else []
    units = [
        (unit.rows, requests)
        for name, of in asked
        for requests in [of(settings, workspace.folder)]
        for unit in workspace.pending(name, redo).todo
    ]
    if not units:
        return
    from pipeline.routes import batched  # imports openai, which takes half a second

    if left := batched.fetch(units, settings, workspace.folder):
        yield f"batches left {len(left)} requests unanswered; they are asked for singly: {left[0]}"


def _drafter(settings: DraftSettings) -> list[str | None]:
    """Return the provider and model with which these settings draft routes."""
    return [settings.provider, None if settings.provider == "motion" else settings.model]


def _note_drafter(store: Store, settings: DraftSettings) -> None:
    """Record the provider and model that drafted this workspace, once one of its drafts is by them."""
    provider, model = _drafter(settings)
    drafts = store.rows(Route, ["draft"])
    if any((one.provider, one.model) == (provider, model) for one in drafts):
        store.set_note(_DRAFTED_BY, json.dumps([provider, model]))


def _refuse_other_drafter(
    workspace: Workspace, settings: DraftSettings, redo: Container[str]
) -> None:
    """Raise UserError if another provider or model drafted this workspace and `--redraft` isn't given.

    Otherwise a forgotten `--set` would replace every draft that a model was paid for.
    """
    noted = workspace.store.note(_DRAFTED_BY)
    if noted is None or "--redraft" in redo or json.loads(noted) == _drafter(settings):
        return
    provider, model = json.loads(noted)
    given = "".join(
        f" draft.{name} = {value}"
        for name, value in zip(("provider", "model"), _drafter(settings), strict=True)
        if value
    )
    before = f"draft.provider = {provider}" + (f" and draft.model = {model}" if model else "")
    raise UserError(
        str(workspace.folder.config),
        f"this workspace was drafted with {before}, but the settings now say{given}",
        f"set {before} again, or add --redraft to replace the drafts",
    )


def _no_answer(store: Store, stage: str) -> GateError:
    refused = store.rows(Rejection, [stage])
    (what, fix), often = Counter((row.what, row.fix) for row in refused).most_common(1)[0]
    return GateError(
        stage,
        f"no clip got {_ASKING[stage]}; the most frequent reason ({often} of {len(refused)}): {what}",
        f"{fix} (`egost rejections` lists all reasons)",
    )


def totals(folder: WorkspaceFolder) -> Totals:
    """Return what this workspace has spent on models so far."""
    with read_ledger(folder.root / "llm.sqlite") as ledger:
        return ledger.totals()


def bill(workspace: Workspace, before: Totals) -> str:
    """Return the model's cost in this run, per clip and in total; empty if no model was ever asked."""
    now = totals(workspace.folder)
    if not now.requests:
        return ""
    routes = workspace.store.rows(Route)
    replied: list[Route | Written | Expected] = [
        *(row for row in routes if row.provider != "motion" and row.reply_id),
        *workspace.store.rows(Written),
        *workspace.store.rows(Expected),
    ]
    clips = {row.clip_id for row in replied}
    # What is spent in total includes clips that were rejected or drafted again; these replies don't.
    replies = {row.reply_id: row.cost_usd or 0.0 for row in replied}
    asked, cost = now.requests - before.requests, now.cost_usd - before.cost_usd
    parts = [f"{asked} requests, {cost:.4f} USD" if asked else "no requests"]
    if clips:
        parts.append(
            f"{sum(replies.values()) / len(clips):.4f} USD per clip over {len(clips)} clips"
        )
    cap = workspace.settings("draft", DraftSettings).max_cost_usd
    total = f"{now.cost_usd:.4f} of max_cost_usd = {cap:.2f} spent in total"
    if now.unknown_usd:
        total += f", plus at most {now.unknown_usd:.4f} for requests of unknown cost"
    return f"model: {'; '.join([*parts, total])}"


def leaks(store: Store) -> Iterator[str]:
    """Yield whether the multiple-choice items by a model can be answered blind, and what to use instead."""
    from pipeline.blind.items import from_rows
    from pipeline.blind.probe import run_probe

    items = store.rows(Item)
    written = [item for item in items if item.option_kind == "model" and item.format == "mcq"]
    if not written:
        return
    if len(written) < _ENOUGH:
        yield f"model: {len(written)} multiple-choice items: unproven: under {_ENOUGH} are too few for the blind probe"
        return
    probed = from_rows(written, store.rows(Video), store.rows(Span))
    report = run_probe(probed, sample=_SAMPLE)
    if report.state() != "failed":
        yield f"model: {len(written)} multiple-choice items: {report.verdict()}"
        return
    worst, tasks = report.leaks()[0], sorted({item.task for item in written})
    yield (
        f"model: its {len(written)} multiple-choice items LEAK: {worst.name} answers "
        f"{worst.figure.accuracy:.0%} blind{f' in {worst.where}' if worst.where else ''} "
        f"(chance {worst.figure.chance:.0%})"
    )
    yield f"  {_alternatives(items, {item.clip_id for item in written}, tasks)}"


def _alternatives(items: list[Item], clips: set[str], tasks: list[str]) -> str:
    asked = Counter(item.category for item in items if item.facts and item.clip_id in clips)
    there = ", ".join(f"{count} {category}" for category, count in sorted(asked.items()))
    instead = f"use the composed items of the same clips instead ({there})" if there else ""
    change = f"change prompts/tasks/{{{','.join(tasks)}}}.j2, or drop the tasks: draft.tasks = []"
    return "; ".join(text for text in (instead, change) if text)


def _written_items(store: Store) -> frozenset[tuple[str, str]]:
    if next(store.each(Written), None) is None:
        return frozenset()  # without reading all items
    return frozenset(
        (item.item_id, item.fingerprint) for item in store.rows(Item) if item.option_kind == "model"
    )
