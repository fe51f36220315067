"""What frames must show of a span for an item to become a row, and which happenings a row tells of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_release import release, small_space, varied

from pipeline.errors import GateError
from pipeline.questions.rows import AskedFact
from pipeline.releases.reading import Released, open_release
from pipeline.training.rows import Happening
from pipeline.training.source import UNCOUNTED, UNSEEN, UNTOLD, SourceItem, train_split

SECOND = 1_000_000


@pytest.fixture
def released(tmp_path: Path) -> Released:
    with small_space(tmp_path / "w", 5, walk=varied, split="train") as space:
        return open_release(release(space).folder)


def edited(released: Released, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Released:
    for path in (released.folder / "evidence").iterdir():
        table = pq.read_table(path)
        rows = [change(row) for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return released


def turn(number: int, start: int) -> AskedFact:
    return AskedFact(
        name=f"turn:{number}",
        values=["left", "right", "left", "right"],
        back="",
        rewound="",
        mirrored="",
        seen_us=[start * SECOND, (start + 2) * SECOND],
    )


def order(*starts: int) -> AskedFact:
    times = [at * SECOND for start in starts for at in (start, start + 1)]
    return turn(1, 0).model_copy(update={"name": "landmark:a|b", "seen_us": times})


def item(
    facts: tuple[AskedFact, ...], happenings: tuple[Happening, ...], like: SourceItem
) -> SourceItem:
    return SourceItem(like.row, like.asked, "en", facts, happenings, (), (), None)


def happening(kind: str, what: str, start: int, seconds: float = 2) -> Happening:
    return Happening.model_validate(
        {"kind": kind, "what": what, "start": start, "end": start + seconds}
    )


def every(seconds: float, until: int = 40) -> list[int]:
    count = round(until / seconds)
    return [round((at + 0.5) * seconds * SECOND) for at in range(count)]


def test_a_turn_is_seen_in_frames_close_enough_for_the_field_of_view(released: Released) -> None:
    like = train_split(released).items[0]
    one = item((turn(1, 10),), (happening("turn", "left", 10),), like)
    # 90 degrees in 2 s, of which neighbouring frames may differ by .6 of 70: 0.93 s.
    assert one.why_not(every(0.9)) is None
    assert one.why_not(every(1.0)) == UNSEEN
    narrow = SourceItem(like.row, like.asked, "en", one.facts, one.happenings, (), (), 50.0)
    assert narrow.why_not(every(0.9)) == UNSEEN
    wide = SourceItem(like.row, like.asked, "en", one.facts, one.happenings, (), (), 100.0)
    assert wide.why_not(every(1.0)) is None


def test_an_order_needs_a_frame_in_each_of_its_steps(released: Released) -> None:
    like = train_split(released).items[0]
    one = item((order(3, 20),), (), like)
    assert one.why_not([3 * SECOND, 20 * SECOND]) is None
    assert one.why_not([3 * SECOND, 19 * SECOND]) == UNSEEN
    assert one.why_not([2 * SECOND, 20 * SECOND + 5]) == UNSEEN


def test_turns_must_all_be_seen_where_one_is_asked_about_by_its_number(released: Released) -> None:
    like = train_split(released).items[0]
    quick = happening("turn", "right", 5, 0.3)
    slow = happening("turn", "left", 10)
    turns = item((turn(2, 10),), (quick, slow), like)
    assert turns.why_not(every(0.4)) == UNCOUNTED
    names = item((order(3, 20),), (quick, slow), like)
    assert names.why_not(every(0.4)) is None
    assert names.seen(every(0.4)) == (slow,)  # what isn't shown is told nowhere


def test_a_turn_around_counts_for_no_number(released: Released) -> None:
    like = train_split(released).items[0]
    around = happening("turn", "around", 5, 0.3)
    one = item((turn(1, 10),), (around, happening("turn", "left", 10)), like)
    assert one.why_not(every(0.4)) is None


def test_a_route_that_is_described_must_be_seen_whole(released: Released) -> None:
    like = train_split(released).items[0]
    passed = happening("landmark", "red door", 6, 0.1)
    assert item((), (passed,), like).why_not(every(0.4)) == UNTOLD
    assert item((), (passed,), like).why_not([*every(0.4), round(6.05 * SECOND)]) is None


def test_times_are_from_the_start_of_the_span(released: Released) -> None:
    later = edited(
        released,
        lambda row: (
            row
            | {name: row[name] + 100 for name in ("span_start", "span_end")}
            | {name: [at + 100 for at in row[name]] for name in ("turn_start", "turn_end")}
            | {
                "facts": [
                    fact | {"seen_us": [at + 100 * SECOND for at in fact["seen_us"]]}
                    for fact in row["facts"]
                ],
                "steps": [
                    step | {name: step[name] + 100 * SECOND for name in ("start_us", "end_us")}
                    for step in row["steps"]
                ],
            }
        ),
    )
    for one in train_split(later).items:
        assert all(
            0 <= at <= one.asked.seconds * SECOND for fact in one.facts for at in fact.seen_us
        )
        assert all(0 <= some.start < some.end <= one.asked.seconds for some in one.happenings)
        assert all(0 <= some.start_us < some.end_us for some in one.turns)


def test_only_verified_kinds_are_told(released: Released) -> None:
    # Of the turns alone, people have said that they are right.
    def unverified(row: dict[str, Any]) -> dict[str, Any]:
        turns = row["facts"] and all(fact["name"].startswith("turn:") for fact in row["facts"])
        return row if turns else row | {"status": "draft"}

    found = train_split(edited(released, unverified))
    assert found.items
    kinds = {one.kind for item in found.items for one in item.happenings}
    assert kinds == {"turn"}
    every_one = train_split(released, unverified=True)
    assert len(every_one.items) > len(found.items)
    kinds = {one.kind for item in every_one.items for one in item.happenings}
    assert kinds == {"turn", "landmark"}


def test_an_item_that_a_model_wrote_is_left_out(released: Released) -> None:
    whole = train_split(released)
    first = whole.items[0].row.id
    gone = edited(
        released,
        lambda row: row | {"facts": [], "reference_moves": []} if row["id"] == first else row,
    )
    left = train_split(gone)
    assert {one.row.id for one in left.items} == {one.row.id for one in whole.items} - {first}
    assert sum(left.left_out.values()) == 1


@pytest.mark.parametrize("name", ["canary", "dataset", "settings", "videos", "withheld"])
def test_a_manifest_without_what_rows_need_is_refused(released: Released, name: str) -> None:
    path = released.folder / "manifest.json"
    manifest = {key: value for key, value in released.manifest.items() if key != name}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(GateError, match=f"manifest.json: is damaged: it lacks {name}"):
        train_split(open_release(released.folder))


def test_the_field_of_view_is_that_of_the_video_where_it_is_known(tmp_path: Path) -> None:
    for degrees in (None, 110.0):
        fields = {"hfov_degrees": degrees, "split": "train"}
        with small_space(tmp_path / f"{degrees}", 4, walk=varied, **fields) as space:
            found = train_split(open_release(release(space).folder))
        assert {one.hfov_degrees for one in found.items} == {degrees}
