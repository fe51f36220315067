"""Costs of the store: rows are sorted outside of memory, and a unit costs the same however many there are."""

import tracemalloc
from collections.abc import Callable

import polars as pl
import pytest
from factories import clip
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.rows import Finding, Row
from pipeline.engine.sorting import in_key_order
from pipeline.engine.store import Store
from pipeline.sources.rows import Narration

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


def finding(unit: str, message: str) -> Finding:
    return Finding(unit_kind="clip", unit=unit, kind="k", severity="info", message=message)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_TEXT, st.integers(-(2**63), 2**63 - 1), _TEXT), max_size=30))
def test_the_order_is_that_of_the_keys(keys: list[tuple[str, int, str]]) -> None:
    rows = [Narration(video_id=unit, t_us=at, text=text) for unit, at, text in keys]
    assert list(in_key_order(rows)) == sorted(rows, key=Row.identity)


def test_equal_keys_keep_their_order() -> None:
    rows = [
        finding("a", "x"),
        finding("b", "x"),
        finding("a", "x").model_copy(update={"severity": "error"}),
    ]
    assert [row.severity for row in in_key_order(rows) if row.unit == "a"] == ["info", "error"]


def test_a_table_is_rebuilt_without_all_rows_in_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engine.store._AT_ONCE", 20)
    total, each = 0, 10
    for number in range(400):
        rows = [finding(f"{number * 7 % 400:03d}", f"{at} {number:5000d}") for at in range(each)]
        total += sum(len(row.message) for row in rows)
        store.finish("check", f"{number:03d}", "1", "done", rows)
    store.rebuild()  # imports Arrow
    store.outdate("check", "000")
    store.finish("check", "000", "1", "done", [finding("000", "other")])
    tracemalloc.start()
    try:
        store.rebuild()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total > 20e6
    assert peak < 4e6
    table = pl.read_parquet(store.folder.tables / "findings.parquet")
    assert table.height == 399 * each + 1
    assert table["unit"].is_sorted()


def steps(store: Store, work: Callable[[], object]) -> int:
    """Return how many instructions SQLite's machine executes, in tens."""
    count = 0

    def count_up() -> None:
        nonlocal count
        count += 1

    store._db.set_progress_handler(count_up, 10)
    work()
    store._db.set_progress_handler(None, 0)
    return count


def test_a_unit_costs_the_same_however_many_there_are(store: Store) -> None:
    def finish(name: str) -> None:
        store.finish("frames", name, "1", "done", [clip(name), finding(name, "x")])

    def replaced() -> None:
        finish("u00005")
        store.archive("frames", ["u00006"])
        store.forget("frames", ["u00006"])
        store.restore("frames", ["u00006"])

    few, many = 20, 2000
    for number in range(few):
        finish(f"u{number:05d}")
    first = steps(store, replaced)
    for number in range(few, many):
        finish(f"u{number:05d}")
    assert steps(store, replaced) < 2 * first + 20


def test_reading_one_table_does_not_scan_the_others(store: Store) -> None:
    for number in range(500):
        store.finish("check", f"u{number:05d}", "1", "done", [finding("a", f"{number}")])
    store.finish("frames", "a", "1", "done", [clip("a")])
    found = steps(store, lambda: list(store.each(type(clip("a")))))
    assert found < 50
