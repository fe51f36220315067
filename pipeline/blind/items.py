"""The blind probe's items from a workspace or a release, and the report of `egost blind`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.blind.answers import Answers, Reading
from pipeline.blind.files import read_benchmark
from pipeline.blind.parsing import NO_CLIP, item_of
from pipeline.blind.sheet import ProbeItem
from pipeline.errors import UserError
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Item, Span
from pipeline.sources.rows import Video

if TYPE_CHECKING:
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
) -> str:
    """Probe a file of items, or those of a workspace, and return the report as text or JSON.

    A file needs no workspace; `told` is what its answers are. `limits` are those of the workspace's
    gate. This reports only; it never fails on what it finds.
    """
    from pipeline.blind.cells import LIMITS
    from pipeline.blind.probe import run_probe

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
    report = run_probe(items, limits or LIMITS)
    if as_json:
        return json.dumps(report.to_json() | found, indent=2, ensure_ascii=False)
    lines = notes
    if file and all(item.clip.startswith(NO_CLIP) for item in items):
        lines.append("no column names the clip or the video: each row counts as a clip of its own")
    return "\n".join([*lines, str(report)])
