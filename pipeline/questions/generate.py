"""What a model's work amounts to: what it cost, and whether the items it wrote give their answers away."""

import json
import logging
from collections import Counter
from collections.abc import Container, Iterator

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Held, Rejection
from pipeline.engine.store import Store
from pipeline.engine.workspace import Workspace
from pipeline.errors import GateError, UserError
from pipeline.models.estimate import Estimate
from pipeline.models.journal import Journal, Totals
from pipeline.motion.rows import Clip
from pipeline.questions import compose, write
from pipeline.questions.rows import Item, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.routes import draft, templates
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Video

log = logging.getLogger(__name__)

_ASKING = {"draft": "a route", "write": "an item of draft.tasks"}  # stages that ask a model
_DRAFTED_BY = "drafted_by"  # the note of the workspace that holds [provider, model] as JSON
_ENOUGH = 100  # items; of fewer, 25 % right by chance alone reads anything from 15 to 35 %
_SAMPLE = 1_000  # items that are probed: about 10 s


def estimate(workspace: Workspace, redo: Container[str] = ()) -> Iterator[str]:
    """Yield what a run would ask a model, and what it would leave because people have judged it.

    Nothing is sent and nothing is stored.
    """
    settings = workspace.config.settings("draft", DraftSettings)
    _refuse_other_drafter(workspace, settings, redo)
    found, held = Estimate(""), []
    for name, of in (("draft", draft.estimate), ("write", write.estimate)):
        pending = workspace.pending(name, redo)
        held += [f"  {name}: clip {unit.id}" for unit in pending.held]
        found += of((unit.rows for unit in pending.todo), settings, workspace.folder)
    yield str(found)
    if held:
        yield f"{len(held)} would stay as they are because people have judged them; --redraft would replace:"
        yield from held
    items = _held_items(workspace, redo)
    if items:
        yield f"{len(items)} items would stay as they are because people have audited them; --recompose would replace:"
        yield from (f"  compose: item {item_id}" for item_id in items)


def _held_items(workspace: Workspace, redo: Container[str]) -> list[str]:
    """Return the audited items that a composition of the rows as they are now would keep."""
    pending = workspace.pending("compose", redo).todo
    if not pending:
        return [row.item_id for row in workspace.store.rows(Held, ["compose"])]
    settings = workspace.config.settings("compose", ComposeSettings)
    composed = (
        row for unit in pending for row in compose.run(unit.rows, settings, workspace.folder)
    )
    return sorted(row.item_id for row in composed if isinstance(row, Held))


def generate(workspace: Workspace, redo: Container[str] = ()) -> Iterator[object]:
    """Draft, compose and check; then tell what a model cost and how blind its items are.

    What people have judged stays unless `redo` holds `--redraft` or `--recompose`. Raise GateError
    at the end if a model was to answer and not one clip came out of it.
    """
    settings = workspace.config.settings("draft", DraftSettings)
    for name in settings.tasks:
        templates.load_task(name)  # a task that isn't there is told before routes are paid for
    _refuse_other_drafter(workspace, settings, redo)
    before, written = totals(workspace.folder), _written_items(workspace.store)
    in_vain: list[str] = []
    try:
        for summary in workspace.run_command("generate-qa", redo):
            yield summary
            if summary.stage == "draft":
                _note_drafter(workspace.store, settings)
            if summary.stage in _ASKING and summary.rejected == summary.total > 0:
                in_vain.append(summary.stage)
    except UserError:
        if line := bill(workspace, before):
            log.warning(line)  # money was spent, whatever went wrong afterwards
        raise
    if line := bill(workspace, before):
        yield line
    if _written_items(workspace.store) != written:
        yield from leaks(workspace.store)
    if in_vain:
        raise _nothing(workspace.store, in_vain[0])


def _drafter(settings: DraftSettings) -> list[str | None]:
    """Return the provider and the model that these settings draft routes with."""
    return [settings.provider, None if settings.provider == "motion" else settings.model]


def _note_drafter(store: Store, settings: DraftSettings) -> None:
    """Note who drafted this workspace, as soon as one of its drafts is by the drafter in force."""
    provider, model = _drafter(settings)
    drafts = store.rows(Route, ["draft"])
    if any((one.provider, one.model) == (provider, model) for one in drafts):
        store.set_note(_DRAFTED_BY, json.dumps([provider, model]))


def _refuse_other_drafter(
    workspace: Workspace, settings: DraftSettings, redo: Container[str]
) -> None:
    """Raise UserError if another provider or model drafted this workspace and may not be replaced.

    A `--set` that was left out would otherwise replace every draft that a model was paid for.
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


def _nothing(store: Store, stage: str) -> GateError:
    refused = store.rows(Rejection, [stage])
    (what, fix), often = Counter((row.what, row.fix) for row in refused).most_common(1)[0]
    return GateError(
        stage,
        f"no clip got {_ASKING[stage]}; {often} of {len(refused)} for this reason: {what}",
        f"{fix} (egost rejections tells all)",
    )


def totals(folder: WorkspaceFolder) -> Totals:
    """Return what this workspace has spent on models so far."""
    path = folder.root / "llm.sqlite"
    if not path.exists():
        return Totals(0, 0.0, 0.0)
    journal = Journal(path)
    try:
        return journal.totals()
    finally:
        journal.close()


def bill(workspace: Workspace, before: Totals) -> str:
    """Tell what a model cost in this run, per clip and in total; nothing where none was ever asked."""
    now = totals(workspace.folder)
    if not now.requests:
        return ""
    routes, items = workspace.store.rows(Route), workspace.store.rows(Written)
    clips = {row.clip_id for row in routes if row.provider != "motion" and row.reply_id}
    clips |= {row.clip_id for row in items}
    asked, cost = now.requests - before.requests, now.cost_usd - before.cost_usd
    parts = [f"{asked} requests, {cost:.4f} USD" if asked else "no request"]
    if clips:
        parts.append(f"{now.cost_usd / len(clips):.4f} USD per clip over {len(clips)} clips")
    cap = workspace.config.settings("draft", DraftSettings).max_cost_usd
    total = f"{now.cost_usd:.4f} of max_cost_usd = {cap:.2f} spent in all"
    if now.unknown_usd:
        total += f", at most {now.unknown_usd:.4f} more for requests of unknown cost"
    return f"model: {'; '.join([*parts, total])}"


def leaks(store: Store) -> Iterator[str]:
    """Tell whether the choices that a model wrote can be answered blind, and offer composed ones."""
    from pipeline.blind.items import from_rows
    from pipeline.blind.probe import run_probe

    items = store.rows(Item)
    written = [item for item in items if item.option_kind == "model" and item.format == "mcq"]
    if not written:
        return
    if len(written) < _ENOUGH:
        yield f"model: {len(written)} items with options: too few to tell whether they leak (under {_ENOUGH})"
        return
    probed = from_rows(written, store.rows(Video), store.rows(Clip))
    report = run_probe(probed, sample=_SAMPLE)
    found = report.leaks()
    if not found:
        yield f"model: {len(written)} items with options: {report.verdict}"
        return
    worst, tasks = found[0], sorted({item.task for item in written})
    yield (
        f"model: the {len(written)} items that it wrote LEAK: {worst.name} answers "
        f"{worst.figure.accuracy:.0%} without seeing{f' in {worst.where}' if worst.where else ''}, "
        f"chance is {worst.figure.chance:.0%}"
    )
    yield f"  {_offer(items, {item.clip_id for item in written}, tasks)}"


def _offer(items: list[Item], clips: set[str], tasks: list[str]) -> str:
    composed = Counter(
        item.category for item in items if item.option_kind == "square" and item.clip_id in clips
    )
    there = ", ".join(f"{count} {category}" for category, count in sorted(composed.items()))
    instead = f"the same clips have composed items instead ({there})" if there else ""
    mend = f"mend prompts/tasks/{{{','.join(tasks)}}}.j2, or leave them out: draft.tasks = []"
    return "; ".join(text for text in (instead, mend) if text)


def _written_items(store: Store) -> frozenset[tuple[str, str]]:
    return frozenset(
        (item.item_id, item.fingerprint) for item in store.rows(Item) if item.option_kind == "model"
    )
