"""The blind probe's items from a workspace or a release, and the report of `egost blind`."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.blind.answers import Answers, Reading
from pipeline.blind.files import read_benchmark
from pipeline.blind.parsing import NO_CLIP, item_of
from pipeline.blind.sheet import ProbeItem
from pipeline.blind.shown import shown
from pipeline.errors import UserError, plain
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Item, Span
from pipeline.sources.rows import Video

if TYPE_CHECKING:
    from pipeline.blind.audit import Audit
    from pipeline.blind.picks import Picks
    from pipeline.engine.store import Store


def from_rows(
    items: Iterable[Item], videos: Iterable[Video], spans: Iterable[Clip | Span] = ()
) -> list[ProbeItem]:
    """Return the multiple-choice items of a workspace, in release order, each about a video of its own.

    Groups are split groups; columns are those published with the questions. `spans` holds the clips of
    items that an earlier version composed, too.
    """
    group_of = {video.video_id: video.split_group for video in videos}
    length_of = {
        one.span_id if isinstance(one, Span) else one.clip_id: (one.end_us - one.start_us) / 1e6
        for one in spans
    }
    found = []
    for item in sorted(items, key=lambda one: one.item_id):
        if item.format != "mcq" or item.answer_index is None or item.status == "set_aside":
            continue
        shown = item.span_id or item.clip_id
        columns: dict[str, str | int | float] = {"category": item.category, "video": shown}
        if shown in length_of:
            columns |= {"start": 0.0, "end": length_of[shown], "length": length_of[shown]}
        found.append(
            ProbeItem(
                id=item.item_id,
                question=item.question,
                options=tuple(item.options),
                answer=item.answer_index,
                group=group_of.get(item.video_id, item.video_id),
                clip=shown,
                task=item.task,
                orientation=item.orientation,
                contrast=item.contrast or "",
                option_kind=item.option_kind or "",
                split=item.split,
                twin=item.twin or "",
                columns=columns,
            )
        )
    return found


def from_released(rows: Iterable[Mapping[str, Any]]) -> list[ProbeItem]:
    """Return the multiple-choice items among released rows, with all their columns."""
    letters = Answers({("answer", "letter"): "letter"})
    found = (item_of(row, str(number), str(row["id"])) for number, row in enumerate(rows))
    return [row.make(letters.position(row)) for row in found if row]


def blind_report(
    file: Path | None,
    store: "Store | None",
    as_json: bool,
    told: Reading | None = None,
    limits: tuple[float, float] | None = None,
    *,
    earlier: Path | None = None,
    ask: "Callable[[Sequence[ProbeItem]], Picks] | None" = None,
    quick: bool = False,
    page: "Callable[[Audit, str, Sequence[str]], object] | None" = None,
    explain: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Audit a file of items, or those of a workspace, and return the report as text or JSON.

    A file needs no workspace; `told` is what its answers are, and those of the `earlier` version to compare
    with. `limits` are those of the workspace's gate. `ask` asks a model which options it chooses. `quick` runs the learned probe alone; `page` is called with the audit, a title and notes on how
    the items were read; `explain` is the id of an item to report on instead. This reports only; it never
    fails on what it finds.
    """
    from pipeline.blind.audit import audit
    from pipeline.blind.cells import LIMITS

    notes: list[str] = []
    found: dict[str, Any] = {}
    if file is not None:
        benchmark = read_benchmark(file, told)
        benchmark.check_most()
        items, notes, found = list(benchmark.items), list(benchmark.notes()), benchmark.to_json()
        if not items:
            return (
                json.dumps({"items": 0} | found, indent=2) if as_json else benchmark.without_items
            )
    elif store is not None:
        items = from_rows(
            store.rows(Item), store.rows(Video), [*store.rows(Clip), *store.rows(Span)]
        )
        if not items:
            raise UserError(
                str(store.folder.root),
                "has no multiple-choice items",
                "run `egost generate-qa`, or give a file: egost blind FILE",
            )
    else:
        raise UserError("egost blind", "no file and no workspace", "name a file of items")
    before: Sequence[ProbeItem] = ()
    if earlier is not None:
        before = read_benchmark(earlier, told).items
        note, counts = _compared(items, before, earlier)
        notes.append(note)
        found["earlier"] = counts
    if explain is not None:
        return _explanation(items, explain, as_json, earlier=before, quick=quick, progress=progress)
    picks = ask(items) if ask else None
    if picks:
        notes.append(picks.note())
        found["model"] = picks.to_json()
    if file and all(item.clip.startswith(NO_CLIP) for item in items):
        notes.append("no column names the clip or the video: each row counts as a clip of its own")
    audited = audit(
        items, limits or LIMITS, earlier=before, picks=picks, quick=quick, progress=progress
    )
    if page is not None:
        page(audited, file.name if file else "items of the workspace", notes)
    if as_json:
        return json.dumps(audited.to_json() | found, indent=2, ensure_ascii=False)
    return "\n".join([*map(plain, notes), str(audited)])


def _compared(
    items: Sequence[ProbeItem], before: Sequence[ProbeItem], earlier: Path
) -> tuple[str, dict[str, int]]:
    """Return how many items an earlier version has, and how many were changed since, in words and as counts."""
    from pipeline.blind.versions import changed, paired

    known, other = len(paired(items, before)), len(changed(items, before))
    if not known:
        what = f"none of its {len(before)} items is an earlier version of these {len(items)}"
        fix = "items of two versions need the same ids, or the same clips, and an option in common"
        raise UserError(str(earlier), what, fix)
    note = (
        f"earlier version {earlier}: has {known:,} of {len(items):,} items, {other:,} of them with other "
        f"options or in another order{', which are compared' if other else ': nothing to compare'}"
    )
    return note, {"items": len(before), "paired": known, "changed": other}


def _explanation(items: Sequence[ProbeItem], wanted: str, as_json: bool, **asked: Any) -> str:
    from pipeline.blind.audit import explained
    from pipeline.blind.explain import choices, lines

    named = [item for item in items if item.id == wanted]
    if not named:
        near = get_close_matches(wanted, [item.id for item in items], n=3, cutoff=0.5)
        known = ", ".join(near or [item.id for item in items[:3]])
        fix = f"use an id that egost blind reports, such as {known}"
        raise UserError("--explain", f"no multiple-choice item has the id {wanted!r}", fix)
    probed, found = explained(items, named[0], **asked)
    if as_json:
        chose = [
            {"reader": name, "strategy": strategy, "hit": round(hit, 4), "accuracy": round(all_, 4)}
            for name, strategy, hit, all_ in choices(probed, named[0])
        ]
        return json.dumps(found.to_json() | {"readers": chose}, indent=2, ensure_ascii=False)
    several = [f"{len(named)} items have this id; this is the first"] if len(named) > 1 else []
    return "\n".join([*several, *map(shown, lines(probed, found))])
