import asyncio
import logging
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from factories import clip, video
from pydantic import Field

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.pool import in_pool
from pipeline.engine.rows import Finding, Rejection, Row, Rows
from pipeline.engine.run import pending, run_stage
from pipeline.engine.settings import RunSettings, Settings
from pipeline.engine.stage import PULL, SCAN, Stage, Summary
from pipeline.engine.store import Store, opened
from pipeline.errors import GateError, RowError, UserError
from pipeline.motion.rows import Clip, JudgedClip, Turn
from pipeline.sources.rows import Video

HERE = RunSettings(workers=1, max_failed=1)
POOL = RunSettings(workers=2, max_failed=1)


class WordSettings(Settings):
    word: str = "doubt"
    at_once: int = Field(1, exclude=True)


def remark(unit: str, message: str) -> Finding:
    return Finding(unit_kind="clip", unit=unit, kind="k", severity="info", message=message)


def one_remark(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Reject, fail, die or stop, as the clip's id requests."""
    name = rows.one(Clip).clip_id
    if "reject" in name:
        raise RowError("not usable", "use another")
    if "fail" in name:
        raise RowError("did not work", "try again", again=True)
    if "die" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "stop" in name:
        raise UserError("there", "can't go on", "fix it")
    with (folder.root / "calls").open("a", encoding="utf-8") as calls:
        calls.write(f"{name}\n")
    yield remark(name, settings.word)


STAGE = Stage(
    name="remark",
    does="remark on each clip",
    reads=(Clip, Video),
    writes=(Finding,),
    settings=WordSettings,
    run=one_remark,
    per=Clip,
)


def given(store: Store, *names: str, **fields: Any) -> None:
    """Store clips with their videos, as a scan would."""
    for name in names:
        rows = [clip(name), video(name, **fields)]
        store.finish(SCAN, name, repr(rows), "done", rows)


def go(
    store: Store,
    stage: Stage = STAGE,
    settings: Settings | None = None,
    how: RunSettings = HERE,
    upstream: Iterable[str] = (),
) -> Summary:
    return run_stage(stage, store, settings or WordSettings(), how, list(upstream))


def called(store: Store) -> list[str]:
    """Return the clips that were worked on since the last call."""
    path = store.folder.root / "calls"
    names = path.read_text(encoding="utf-8").split() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(names)


def table(store: Store) -> list[tuple[str, str]]:
    path = store.folder.tables / "findings.parquet"
    return pl.read_parquet(path).select("unit", "message").rows()


def test_an_unchanged_unit_is_not_done_again(store: Store) -> None:
    given(store, "a", "b")
    assert str(go(store)) == "remark: 2 clips: 2 new, 0 kept"
    assert called(store) == ["c_a", "c_b"]
    assert str(go(store)) == "remark: 2 clips: nothing new, 2 kept"
    assert called(store) == []
    assert table(store) == [("c_a", "doubt"), ("c_b", "doubt")]


def test_only_a_new_unit_is_done(store: Store) -> None:
    given(store, "a")
    go(store)
    called(store)
    given(store, "b")
    assert str(go(store)) == "remark: 2 clips: 1 new, 1 kept"
    assert called(store) == ["c_b"]


def test_a_changed_row_redoes_only_its_unit(store: Store) -> None:
    given(store, "a", "b")
    go(store)
    called(store)
    given(store, "a", scene="office")
    go(store)
    assert called(store) == ["c_a"]


def test_a_changed_setting_redoes_all_units_and_replaces_their_rows(store: Store) -> None:
    given(store, "a", "b")
    go(store)
    go(store, settings=WordSettings(word="praise"))
    assert table(store) == [("c_a", "praise"), ("c_b", "praise")]


def test_an_operational_setting_redoes_nothing(store: Store) -> None:
    given(store, "a")
    go(store)
    called(store)
    go(store, settings=WordSettings(at_once=9))
    assert called(store) == []


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"depends": lambda settings, folder: "another template"}]
)
def test_a_new_version_or_another_template_redoes_all(store: Store, change: dict[str, Any]) -> None:
    given(store, "a")
    go(store)
    called(store)
    go(store, replace(STAGE, **change))
    assert called(store) == ["c_a"]


def test_a_field_outside_the_key_redoes_nothing(store: Store) -> None:
    stage = replace(STAGE, key_fields={Video: {"video_id", "lens"}})
    given(store, "a")
    go(store, stage)
    called(store)
    given(store, "a", licence="CC-BY-4.0")
    go(store, stage)
    assert called(store) == []
    given(store, "a", lens="fisheye")
    go(store, stage)
    assert called(store) == ["c_a"]


def test_a_unit_sees_its_own_rows_only(store: Store) -> None:
    seen: dict[str, list[str]] = {}

    def look(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        seen[rows.one(Clip).clip_id] = [rows.one(Video).video_id]
        seen[rows.one(Clip).clip_id] += [turn.clip_id for turn in rows[Turn]]
        return []

    given(store, "a", "b")
    turn = Turn(
        clip_id="c_b", start_us=1, end_us=2, kind="left", yaw_degrees=90, moving=True, confidence=1
    )
    store.finish("frames", "v_b", "1", "done", [turn])
    go(store, replace(STAGE, run=look, reads=(Clip, Video, Turn)), upstream=["frames"])
    assert seen == {"c_a": ["v_a"], "c_b": ["v_b", "c_b"]}


def test_a_stage_sees_no_rows_of_later_stages(store: Store) -> None:
    seen = []

    def look(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        seen.append(len(rows[Finding]))
        return []

    stage = replace(STAGE, run=look, reads=(Clip, Finding), per=None)
    given(store, "a")
    store.finish("earlier", "c_a", "1", "done", [remark("c_a", "earlier")])
    store.finish("later", "c_a", "1", "done", [remark("c_a", "later")])
    go(store, stage, upstream=["earlier"])
    assert seen == [1]


def test_rows_of_a_removed_unit_are_deleted(store: Store) -> None:
    given(store, "a", "b")
    go(store)
    store.forget(SCAN, ["a"])
    go(store)
    assert table(store) == [("c_b", "doubt")]


def test_rejected_units_are_reported_and_not_retried(store: Store) -> None:
    given(store, "a", "reject")
    summary = go(store)
    assert str(summary) == "remark: 2 clips: 1 new, 0 kept, 1 rejected (egost rejections)"
    (row,) = store.rows(Rejection)
    assert (row.stage, row.unit, row.what) == ("remark", "c_reject", "not usable")
    calls: list[str] = []

    def count(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        calls.append(rows.one(Clip).clip_id)
        return []

    assert go(store, replace(STAGE, run=count)).rejected == 1
    assert calls == []


def test_what_an_older_version_rejected_is_tried_once_more(store: Store) -> None:
    given(store, "a", "reject")
    go(store)
    newer = replace(STAGE, rejects=2)
    pending_units = pending(newer, store, WordSettings(), [SCAN]).todo
    assert [unit.id for unit in pending_units] == ["c_reject"]
    stopped = replace(newer, run=lambda rows, settings, folder: [remark("c_reject", "works now")])
    summary = go(store, stopped)
    assert (summary.new, summary.kept, summary.rejected) == (1, 1, 0)
    assert called(store) == ["c_a"]
    given(store, "a", "reject", "reject too")
    assert go(store, newer).rejected == 1
    assert pending(newer, store, WordSettings(), [SCAN]).todo == []


def test_failed_units_are_retried(store: Store) -> None:
    given(store, "fail")
    assert go(store).failed == 1

    def works(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        return [remark(rows.one(Clip).clip_id, "at last")]

    assert go(store, replace(STAGE, run=works)).new == 1
    assert store.rows(Rejection) == []
    assert table(store) == [("c_fail", "at last")]


def test_too_many_failures_stop_the_run_and_finished_units_are_kept(store: Store) -> None:
    given(store, "a", "b", "fail1", "fail2")
    with pytest.raises(GateError, match="2 of 4 clips failed") as caught:
        go(store, how=RunSettings(workers=1, max_failed=0.4))
    assert caught.value.exit_code == 3
    assert table(store) == [("c_a", "doubt"), ("c_b", "doubt")]
    go(store, how=RunSettings(workers=1, max_failed=0.5))


def test_rejections_never_count_as_failures(store: Store) -> None:
    given(store, "reject1", "reject2")
    assert go(store, how=RunSettings(workers=1, max_failed=0)).rejected == 2


def test_the_order_of_units_does_not_matter(tmp_path: Path) -> None:
    made = []
    for number, names in enumerate((["a", "b", "reject"], ["reject", "b", "a"])):
        folder = WorkspaceFolder(tmp_path / str(number))
        folder.root.mkdir()
        with opened(folder) as store:
            for name in names:
                given(store, name)
                go(store)
        made.append({path.name: path.read_bytes() for path in folder.tables.iterdir()})
    assert made[0] == made[1]


def test_a_stage_that_remembers_sees_its_own_last_rows(store: Store) -> None:
    seen = []

    def look(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        seen.append([row.message for row in rows.before(Finding)])
        return [remark("c_a", settings.word)]

    stage = replace(STAGE, run=look, per=None, remembers=(Finding,))
    given(store, "a")
    store.finish("other", "c_a", "1", "done", [remark("c_a", "another stage's")])
    go(store, stage)
    go(store, stage, WordSettings(word="second"))
    assert seen == [[], ["doubt"]]
    assert go(store, stage, WordSettings(word="second")).kept == 1
    assert len(seen) == 2


def test_a_run_with_nothing_to_do_reads_none_of_its_last_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        return [remark("c_a", f"{len(rows.before(Finding))} before")]

    stage = replace(STAGE, run=look, per=None, remembers=(Finding,))
    given(store, "a")
    go(store, stage)
    read: list[type[Row]] = []
    rows = store.rows
    monkeypatch.setattr(store, "rows", lambda kind, *of: read.append(kind) or rows(kind, *of))
    assert go(store, stage).kept == 1
    assert Finding not in read
    assert go(store, stage, WordSettings(word="other")).new == 1
    assert Finding in read


def test_a_row_error_after_some_rows_discards_them(store: Store) -> None:
    def some(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> Iterator[Row]:
        yield remark("c_a", "first")
        raise RowError("not usable", "use another")

    given(store, "a")
    for how in (HERE, POOL):
        assert go(store, replace(STAGE, run=some), how=how).rejected == 1
        assert store.rows(Finding) == []


def test_a_stage_that_remembers_nothing_sees_none_of_its_last_rows(store: Store) -> None:
    def look(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        assert rows.before(Finding) == ()
        return [remark("c_a", settings.word)]

    given(store, "a")
    go(store, replace(STAGE, run=look, per=None))
    go(store, replace(STAGE, run=look, per=None), WordSettings(word="second"))


# ---- the process pool


def test_only_the_unit_whose_process_dies_fails(store: Store) -> None:
    given(store, *"abcdef", "die", "reject", "fail")
    summary = go(store, how=POOL)
    assert (summary.new, summary.rejected, summary.failed) == (6, 1, 2)
    assert [unit for unit, _ in table(store)] == [f"c_{name}" for name in "abcdef"]
    died = {row.unit: row.what for row in store.rows(Rejection)}["c_die"]
    assert "process" in died
    assert store.outcomes("remark")["c_die"] == "failed"


def test_a_task_in_a_pool_may_return_nothing(tmp_path: Path) -> None:
    """Nothing was once taken for a dead process, and the task was done again."""
    assert sorted(in_pool(time.sleep, [0, 0, 0], 2, tmp_path)) == [(0, None), (1, None), (2, None)]


def test_a_user_error_crosses_the_process_boundary_unchanged(store: Store) -> None:
    given(store, "stop", "a")
    with pytest.raises(UserError) as caught:
        go(store, how=POOL)
    assert (caught.value.where, caught.value.what, caught.value.fix) == (
        "there",
        "can't go on",
        "fix it",
    )


# ---- the event loop


async def async_remark(rows: Rows, settings: WordSettings, service: Any) -> list[Row]:
    await asyncio.sleep(0)
    name = rows.one(Clip).clip_id
    if "stop" in name:
        raise UserError("there", "can't go on", "fix it")
    if "fail" in name:
        raise RowError("did not work", "try again", again=True)
    return [remark(name, f"{service}")]


@asynccontextmanager
async def service(settings: WordSettings, folder: WorkspaceFolder) -> AsyncIterator[str]:
    (folder.root / "opened").touch()
    try:
        yield "served"
    finally:
        (folder.root / "shut").touch()


ASYNC = replace(STAGE, run=async_remark, opens=service)


def test_an_async_stage_uses_what_it_opens(store: Store) -> None:
    given(store, "a", "b", "fail")
    summary = go(store, ASYNC)
    assert (summary.new, summary.failed) == (2, 1)
    assert table(store) == [("c_a", "served"), ("c_b", "served")]
    assert (store.folder.root / "shut").exists()


def test_nothing_is_opened_when_there_is_nothing_to_do(store: Store) -> None:
    given(store, "a")
    go(store, ASYNC)
    (store.folder.root / "opened").unlink()
    go(store, ASYNC)
    assert not (store.folder.root / "opened").exists()


def test_an_async_stage_without_a_service_gets_the_folder(store: Store) -> None:
    given(store, "a")
    go(store, replace(ASYNC, opens=None))
    ((_, message),) = table(store)
    assert str(store.folder.root) in message


def test_a_user_error_leaves_the_event_loop_ungrouped(store: Store) -> None:
    given(store, "a", "stop1", "stop2")
    with pytest.raises(UserError, match="can't go on"):
        go(store, ASYNC)
    assert (store.folder.root / "shut").exists()


@asynccontextmanager
async def service_with_tasks(settings: WordSettings, folder: WorkspaceFolder) -> AsyncIterator[str]:
    async with asyncio.TaskGroup():
        yield "served"


def test_a_user_error_is_ungrouped_although_the_service_has_its_own_tasks(store: Store) -> None:
    given(store, "stop")
    with pytest.raises(UserError, match="can't go on"):
        go(store, replace(ASYNC, opens=service_with_tasks))


@asynccontextmanager
async def no_service(settings: WordSettings, folder: WorkspaceFolder) -> AsyncIterator[str]:
    raise UserError("the server", "no key", "set it")
    yield ""


def test_a_service_that_cannot_be_opened_raises_its_error(store: Store) -> None:
    given(store, "a")
    with pytest.raises(UserError, match="no key"):
        go(store, replace(ASYNC, opens=no_service))
    assert store.keys("remark") == {}


def test_more_units_than_run_at_once_are_all_finished(store: Store) -> None:
    given(store, *(f"{number:03}" for number in range(300)))
    assert go(store, ASYNC).new == 300


def test_a_full_disk_in_the_event_loop_stops_the_service(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(store, "a", "b")

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "finish", full)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        go(store, ASYNC)
    assert store.keys("remark") == {}


def test_warnings_of_a_worker_reach_stderr(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    given(store, "a", "b")
    go(store, replace(STAGE, run=warn), how=POOL)
    assert capfd.readouterr().err.count("warning: mind c_") == 2


def warn(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
    logging.getLogger("worker").warning("mind %s", rows.one(Clip).clip_id)
    return []


def test_a_unit_remembers_only_its_own_rows_and_is_not_redone_after_a_judgement(
    store: Store,
) -> None:
    seen: list[list[str]] = []

    def look(rows: Rows, settings: WordSettings, folder: WorkspaceFolder) -> list[Row]:
        seen.append([row.clip_id for row in rows.before(JudgedClip)])
        return []

    stage = replace(STAGE, run=look, remembers=(JudgedClip,), light=True)
    given(store, "a", "b")
    assert go(store, stage).new == 2
    judged = JudgedClip(clip_id="c_b", video_id="v", start_us=0, end_us=1)
    store.finish(PULL, "span", "1", "done", [judged])
    assert go(store, stage).kept == 2
    assert go(store, stage, WordSettings(word="second")).new == 2
    assert seen == [[], [], [], ["c_b"]]
