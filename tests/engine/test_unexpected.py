"""Any exception in a unit is that unit's failure: it is named, logged and tried again; the others are finished."""

import asyncio
import errno
import os
import pickle
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from factories import clip, video

from pipeline.engine.attempt import concerns_the_run
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rejection, Row, Rows
from pipeline.engine.run import run_stage
from pipeline.engine.settings import RunSettings, Settings
from pipeline.engine.stage import SCAN, Stage, Summary
from pipeline.engine.store import Store
from pipeline.errors import GateError, MistakesError, RowError, UserError
from pipeline.motion.rows import Clip
from pipeline.routes.templates import Problem, TemplateError
from pipeline.sources.rows import Video


class PanicError(BaseException):
    """As a library in Rust raises it: no Exception."""


class TwoPartsError(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def deep() -> None:
    deep()


def raises(error: BaseException) -> None:
    raise error


BUGS: dict[str, Callable[[], object]] = {
    "KeyError": lambda: {}["missing"],
    "ValueError": lambda: raises(ValueError("one\nof several\x1b lines " * 100)),
    "MemoryError": lambda: raises(MemoryError()),
    "RecursionError": deep,
    "AssertionError": lambda: raises(AssertionError()),
    "error": lambda: cv2.resize(np.zeros((0, 0)), (1, 1)),
    "PanicError": lambda: raises(PanicError("index out of range")),
    "TwoPartsError": lambda: raises(TwoPartsError("a", "b")),
    "UnprintableError": lambda: raises(UnprintableError()),
    "StopIteration": lambda: raises(StopIteration()),
    "ExceptionGroup": lambda: raises(ExceptionGroup("two", [ValueError(1), KeyError(2)])),
    "FileNotFoundError": lambda: Path("/no/such/file").read_bytes(),
    "PermissionError": lambda: raises(PermissionError(errno.EACCES, "denied", "/videos/a.mp4")),
    "OSError": lambda: raises(OSError(errno.EIO, "I/O error", "/videos/a.mp4")),
    "DataError": lambda: raises(sqlite3.DataError("string or blob too big")),
    "ValidationError": lambda: Clip.model_validate({}),
}


def work(rows: Rows, settings: Settings, folder: WorkspaceFolder) -> list[Row]:
    """Do what the clip's id names: a bug of the list, a result that can't be stored or sent back, or a row."""
    name = rows.one(Clip).clip_id.removeprefix("c_")
    if name in BUGS:
        BUGS[name]()
    if name == "no row":
        return ["text"]  # type: ignore[list-item]
    if name == "unpicklable":
        return [lambda: None]  # type: ignore[list-item]
    if name == "surrogate":
        return [remark("\ud800")]
    return [remark(name)]


async def async_work(rows: Rows, settings: Settings, service: Any) -> list[Row]:
    await asyncio.sleep(0)
    return work(rows, settings, service)


def lazy_work(rows: Rows, settings: Settings, folder: WorkspaceFolder) -> Iterator[Row]:
    yield remark("first")
    yield from work(rows, settings, folder)


def remark(unit: str) -> Finding:
    return Finding(unit_kind="clip", unit=unit, kind="k", severity="info", message="m")


STAGE = Stage(
    name="remark", does="remark on each clip", reads=(Clip, Video), writes=(Finding,),
    settings=Settings, run=work, per=Clip,
)  # fmt: skip
KINDS = {
    "in this process": (STAGE, 1),
    "in a pool": (STAGE, 2),
    "in an event loop": (replace(STAGE, run=async_work), 2),
    "while rows are stored": (replace(STAGE, run=lazy_work, light=True), 2),
}


def go(store: Store, kind: str, max_failed: float = 1) -> Summary:
    stage, workers = KINDS[kind]
    return run_stage(
        stage, store, Settings(), RunSettings(workers=workers, max_failed=max_failed), []
    )


def given(store: Store, *names: str) -> None:
    for name in names:
        row = video(name).model_copy(update={"path": f"{name}.mp4"})
        store.finish(SCAN, name, name, "done", [clip(name), row])


@pytest.mark.parametrize("kind", KINDS)
def test_any_exception_is_the_failure_of_its_unit(store: Store, kind: str) -> None:
    odd = ("no row", "surrogate")
    given(store, "good", "zgood", *BUGS, *odd)
    summary = go(store, kind)
    assert (summary.new, summary.failed, summary.rejected) == (2, len(BUGS) + len(odd), 0)
    rejections = {row.unit.removeprefix("c_"): row for row in store.rows(Rejection)}
    assert rejections.keys() == {*BUGS, *odd}
    log = store.folder.errors.read_text(encoding="utf-8")
    for name in BUGS:
        what = rejections[name].what
        assert what.startswith(f"{name}.mp4: unexpected error: "), what
        assert f"{name}" in what.removeprefix(f"{name}.mp4"), what
        assert len(what) < 400
        assert f"remark: c_{name} {name}.mp4\nTraceback" in log or name == "ExceptionGroup"
    assert 'test_unexpected.py", line ' in log
    assert str(summary).splitlines()[-1] == (
        f"  {summary.failed} errors were unexpected: the tracebacks are in {store.folder.errors}"
    )
    # Tried again, unlike what was refused: now nothing is wrong any more.
    stage, workers = KINDS[kind]
    calm = replace(stage, run=calm_work, light=True)
    assert run_stage(calm, store, Settings(), RunSettings(workers=workers), []).new == 18
    assert store.rows(Rejection) == []


def calm_work(rows: Rows, settings: Settings, folder: WorkspaceFolder) -> list[Row]:
    return [remark(rows.one(Clip).clip_id)]


def test_a_failure_names_the_file_of_its_video(store: Store) -> None:
    given(store, "a")
    errors = (RowError("its frames change their orientation", "make a copy"), KeyError("missing"))
    for version, error in enumerate(errors, 1):
        stage = replace(STAGE, per=Video, run=lambda *_, e=error: raises(e), version=version)
        run_stage(stage, store, Settings(), RunSettings(max_failed=1), [])
        (row,) = store.rows(Rejection)
        assert row.unit == "a.mp4"
    assert "remark: a.mp4\nTraceback" in store.folder.errors.read_text(encoding="utf-8")


def test_a_result_that_cannot_be_sent_back_fails_only_its_unit(store: Store) -> None:
    given(store, "good", "unpicklable", "zgood")
    summary = go(store, "in a pool")
    assert (summary.new, summary.failed) == (2, 1)
    (row,) = store.rows(Rejection)
    assert "pickle" in row.what


@pytest.mark.parametrize("kind", KINDS)
def test_the_run_ends_as_max_failed_says(store: Store, kind: str) -> None:
    given(store, "good", "zgood", "KeyError")
    with pytest.raises(GateError, match="1 of 3 clips failed") as caught:
        go(store, kind, 0.2)
    assert caught.value.exit_code == 3
    assert str(caught.value).endswith(
        f"1 error was unexpected: the traceback is in {store.folder.errors}"
    )
    assert len(store.rows(Finding)) == (4 if kind == "while rows are stored" else 2)
    assert go(store, kind, 0.4).failed == 1


def test_a_stage_with_one_unit_keeps_its_rows_and_ends_the_run(store: Store) -> None:
    good = replace(STAGE, run=lambda *_: [remark("x")], per=None)
    bad = replace(good, run=lambda *_: {}["missing"], version=2)
    given(store, "a")
    assert run_stage(good, store, Settings(), RunSettings(), []).new == 1
    with pytest.raises(GateError, match="1 of 1 unit failed"):
        run_stage(bad, store, Settings(), RunSettings(), [])
    assert [row.unit for row in store.rows(Finding)] == ["x"]
    (row,) = store.rows(Rejection)
    assert "KeyError: 'missing'" in row.what
    assert run_stage(bad, store, Settings(), RunSettings(max_failed=1), []).kept == 1
    again = replace(good, version=2)
    assert run_stage(again, store, Settings(), RunSettings(), []).kept == 1
    assert store.rows(Rejection) == []


RUN: dict[str, BaseException] = {
    "interrupt": KeyboardInterrupt(),
    "exit": SystemExit(3),
    "user": UserError("there", "wrong", "fix"),
    "gate": GateError("there", "wrong", "fix"),
    "several": MistakesError([UserError("a", "b", "c"), UserError("d", "e", "f")]),
    "template": TemplateError(Problem("route.j2", 3, "no such variable")),
    "full disk": OSError(errno.ENOSPC, "full", "/tmp/x"),
    "quota": OSError(errno.EDQUOT, "quota"),
    "read-only": OSError(errno.EROFS, "read-only", "/x"),
    "database": sqlite3.OperationalError("database or disk is full"),
    "damaged": sqlite3.DatabaseError("malformed"),
    "group": ExceptionGroup("tasks", [ValueError(1), ExceptionGroup("x", [UserError("a", "b", "c")])]),
}  # fmt: skip


def raise_it(rows: Rows, settings: Settings, folder: WorkspaceFolder) -> list[Row]:
    raise RUN[rows.one(Clip).clip_id.removeprefix("c_")]


async def async_raise_it(rows: Rows, settings: Settings, service: Any) -> list[Row]:
    return raise_it(rows, settings, service)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in ("in this process", "in a pool", "in an event loop")
        for name in RUN
        if kind != "in an event loop" or isinstance(RUN[name], Exception)  # asyncio handles others
    ],
)
def test_what_concerns_the_whole_run_ends_it(store: Store, kind: str, name: str) -> None:
    stage, workers = KINDS[kind]
    run = async_raise_it if kind == "in an event loop" else raise_it
    given(store, name, "full disk")  # two, or there is no pool
    expected = RUN[name]
    kinds = (type(expected), OSError)
    if isinstance(expected, ExceptionGroup) and kind == "in an event loop":
        kinds = (UserError, OSError)
    with pytest.raises(kinds):
        run_stage(replace(stage, run=run), store, Settings(), RunSettings(workers=workers), [])
    assert store.rows(Rejection) == []
    assert not store.folder.errors.exists()


def test_a_file_of_the_workspace_that_cannot_be_written_concerns_the_run(tmp_path: Path) -> None:
    inside, outside = tmp_path / "w" / "media" / "x.jpg", tmp_path / "videos" / "a.mp4"
    for number in (errno.EACCES, errno.EPERM, errno.EIO):
        assert concerns_the_run(OSError(number, "", str(inside)), tmp_path / "w")
        assert not concerns_the_run(OSError(number, "", str(outside)), tmp_path / "w")
    assert not concerns_the_run(FileNotFoundError(errno.ENOENT, "", str(inside)), tmp_path / "w")


@pytest.mark.parametrize("name", [name for name in RUN if name not in ("interrupt", "exit")])
def test_errors_cross_a_process_boundary_unchanged(name: str) -> None:
    error = RUN[name]
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    if isinstance(error, UserError):
        assert vars(copy).keys() == vars(error).keys()
    told = UserError("a", "b", "c", ["a line of a log"])
    assert pickle.loads(pickle.dumps(told)).log == told.log
    row = RowError("what", "fix", again=True, trace="trace")
    assert vars(pickle.loads(pickle.dumps(row))) == vars(row)


@asynccontextmanager
async def full(settings: Settings, folder: WorkspaceFolder) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(fill())
        yield None


async def fill() -> None:
    raise OSError(errno.ENOSPC, "full", "llm.sqlite")


def test_a_full_disk_in_a_service_leaves_the_event_loop_ungrouped(store: Store) -> None:
    given(store, "good")
    stage = replace(STAGE, run=async_work, opens=full)
    with pytest.raises(OSError, match="full"):
        run_stage(stage, store, Settings(), RunSettings(), [])


def test_the_log_holds_no_secret_and_a_bounded_number_of_tracebacks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234567890")
    monkeypatch.setattr("pipeline.engine.crashes._MOST", 3)

    def leak(rows: Rows, settings: Settings, folder: WorkspaceFolder) -> list[Row]:
        raise ValueError(f"bad header: Bearer {os.environ['OPENAI_API_KEY']}")

    given(store, *"abcde")
    stage = replace(STAGE, run=leak, light=True)
    summary = run_stage(stage, store, Settings(), RunSettings(max_failed=1), [])
    log = store.folder.errors.read_text(encoding="utf-8")
    assert log.count("Bearer ***") == 3
    assert log.count("Traceback") == 3
    assert "sk-1234567890" not in log + "".join(row.what for row in store.rows(Rejection))
    assert "5 errors were unexpected" in str(summary)
