import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import factories
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.engine.arrow import arrow_schema
from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.rows import Finding
from pipeline.engine.store import Store, opened
from pipeline.engine.tables import TABLES
from pipeline.errors import UserError
from pipeline.motion.rows import Clip


def finding(unit: str, message: str = "doubt") -> Finding:
    return Finding(unit_kind="clip", unit=unit, kind="k", severity="info", message=message)


def test_tables_are_sorted_by_key_in_any_order_of_completion(tmp_path: Path) -> None:
    made = []
    for number, order in enumerate((["a", "b", "c"], ["c", "a", "b"])):
        folder = WorkspaceFolder(tmp_path / str(number))
        folder.root.mkdir()
        with opened(folder) as store:
            for name in order:
                store.finish("frames", name, "key", "done", [factories.clip(name)])
            store.rebuild()
        made.append({path.name: path.read_bytes() for path in folder.tables.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {f"{name}.parquet" for name in TABLES}


def test_all_rows_of_a_unit_are_replaced(store: Store) -> None:
    store.finish("check", "c_a", "1", "done", [finding("c_a", "one"), finding("c_a", "two")])
    store.finish("check", "c_a", "2", "done", [finding("c_a", "three")])
    assert [row.message for row in store.rows(Finding)] == ["three"]
    assert store.keys("check") == {"c_a": "2"}


def test_rows_that_raise_change_nothing(store: Store) -> None:
    store.finish("check", "c_a", "1", "done", [finding("c_a", "old")])

    def interrupted() -> Iterator[Finding]:
        yield finding("c_a", "new")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        store.finish("check", "c_a", "2", "done", interrupted())
    assert store.keys("check") == {"c_a": "1"}
    assert [row.message for row in store.rows(Finding)] == ["old"]


def test_many_rows_of_one_unit_round_trip(store: Store) -> None:
    rows = [finding("c_a", f"doubt {number:06d}, in \n two lines") for number in range(12_000)]
    store.finish("check", "all", "1", "done", reversed(rows))
    assert store.rows(Finding) == rows
    store.rebuild()
    table = pl.read_parquet(store.folder.tables / "findings.parquet")
    assert table["message"].to_list() == [row.message for row in rows]
    marks = store.marks(Finding, ["check"])
    assert len(marks) == len(rows)
    # A mark depends only on its row, not on how the other rows are packed.
    store.finish("check", "all", "2", "done", rows[:3])
    assert store.marks(Finding, ["check"]) < marks


def test_a_table_is_written_in_batches_across_units(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engine.store._AT_ONCE", 3)
    texts = [f"{number:02d}" for number in range(11)]
    for unit, some in (("odd", texts[1::2]), ("even", texts[::2])):
        store.finish("check", unit, "1", "done", [finding("c_a", text) for text in some[::-1]])
    store.rebuild()
    table = pl.read_parquet(store.folder.tables / "findings.parquet")
    assert table["message"].to_list() == texts


def test_rows_and_done_mark_are_one_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.finish("check", "c_a", "1", "done", [finding("c_a", "old")])

    def fail(name: str) -> None:
        raise RuntimeError("killed between the rows and the end")

    monkeypatch.setattr(store, "_touch", fail)
    with pytest.raises(RuntimeError):
        store.finish("check", "c_a", "2", "done", [finding("c_a", "new")])
    assert store.keys("check") == {"c_a": "1"}
    assert [row.message for row in store.rows(Finding)] == ["old"]


def test_a_forgotten_unit_loses_its_rows_and_the_table_is_rebuilt(store: Store) -> None:
    store.finish("check", "c_a", "1", "done", [finding("c_a")])
    store.finish("check", "c_b", "1", "done", [finding("c_b")])
    store.rebuild()
    store.forget("check", ["c_a", "never there"])
    store.rebuild()
    table = pl.read_parquet(store.folder.tables / "findings.parquet")
    assert table["unit"].to_list() == ["c_b"]
    assert store.keys("check") == {"c_b": "1"}


def test_only_changed_tables_are_rewritten(store: Store) -> None:
    store.finish("frames", "v_a", "1", "done", [factories.clip()])
    store.rebuild()
    before = {path.name: path.stat().st_ino for path in store.folder.tables.iterdir()}
    store.finish("check", "c_a", "1", "done", [finding("c_a")])
    store.rebuild()
    after = {path.name: path.stat().st_ino for path in store.folder.tables.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"findings.parquet"}


def test_a_deleted_table_is_rebuilt(store: Store) -> None:
    store.finish("frames", "v_a", "1", "done", [factories.clip()])
    store.rebuild()
    path = store.folder.tables / "clips.parquet"
    before = path.read_bytes()
    path.unlink()
    store.rebuild()
    assert path.read_bytes() == before


def test_an_empty_table_has_the_schema_of_its_rows(store: Store) -> None:
    store.rebuild()
    for name, kind in TABLES.items():
        found = pq.read_schema(store.folder.tables / f"{name}.parquet")
        assert found.equals(arrow_schema(kind)), name


def test_rows_of_named_stages_only(store: Store) -> None:
    store.finish("review", "c_a", "1", "done", [factories.route(origin="verified")])
    store.finish("draft", "c_a", "1", "done", [factories.route()])
    kind = type(factories.route())
    assert [row.origin for row in store.rows(kind)] == ["draft", "verified"]
    assert [row.origin for row in store.rows(kind, ["draft"])] == ["draft"]
    assert store.rows(kind, []) == []


def test_unusual_texts_round_trip(store: Store) -> None:
    texts = ["a\nb", "q\"uo'te", "\u2028\x85", "bell \a nul \0", "日本 🧭", ""]
    store.finish("check", "c_a", "1", "done", [finding("c_a", text) for text in texts])
    assert sorted(row.message for row in store.rows(Finding)) == sorted(texts)
    store.rebuild()
    table = pl.read_parquet(store.folder.tables / "findings.parquet")
    assert sorted(table["message"].to_list()) == sorted(texts)


def test_equal_media_are_stored_once(folder: WorkspaceFolder) -> None:
    name = folder.keep(b"image", ".jpg")
    first = folder.media_path(name).stat()
    assert folder.keep(b"image", ".jpg") == name
    assert folder.media_path(name).stat().st_mtime_ns == first.st_mtime_ns
    assert folder.keep(b"another", ".jpg") != name
    folder.media_path(name).write_bytes(b"im")  # truncated by a crash of the machine
    folder.keep(b"image", ".jpg")
    assert folder.media_path(name).read_bytes() == b"image"


def test_the_secret_is_drawn_once_and_readable_only_by_its_owner(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    secret = folder.secret()
    assert folder.secret() == secret
    assert len(secret) >= 32
    assert stat.S_IMODE((folder.root / "secret").stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    assert WorkspaceFolder(tmp_path / "other").secret() != secret


def test_a_failed_write_leaves_only_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table"
    write_atomic(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_reported_with_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*, dir: Path, prefix: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{dir}/{prefix}x1y2")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(OSError, match="Read-only") as caught:
        write_atomic(tmp_path / "report.html", b"new")
    assert caught.value.filename == str(tmp_path / "report.html")


def test_a_second_command_in_one_workspace_is_refused(store: Store) -> None:
    with pytest.raises(UserError, match="another egost command") as caught, opened(store.folder):
        pass
    assert caught.value.exit_code == 2


def test_older_versions_respect_the_lock(store: Store) -> None:
    with (store.folder.root / ".lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        store.close()


def test_the_lock_of_an_older_version_is_respected(folder: WorkspaceFolder) -> None:
    with (folder.root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(UserError, match="another egost command"), opened(folder):
            pass
    with opened(folder):
        pass


def test_a_killed_command_leaves_no_lock(folder: WorkspaceFolder) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from pipeline.engine.folder import WorkspaceFolder; from pipeline.engine.store import opened\n"
        "with opened(WorkspaceFolder(Path(sys.argv[1]))): os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", script, str(folder.root)]
    assert subprocess.run(command, check=False).returncode == -9
    with opened(folder):
        pass


def test_the_lock_is_released_with_the_command(folder: WorkspaceFolder) -> None:
    for _ in range(2):
        with opened(folder):
            pass


def test_a_damaged_database_is_reported(folder: WorkspaceFolder) -> None:
    (folder.root / "done.sqlite").write_bytes(b"not a database, certainly" * 100)
    with pytest.raises(UserError, match=r"done\.sqlite"), opened(folder):
        pass


def test_the_database_uses_a_write_ahead_log(store: Store) -> None:
    with sqlite3.connect(store.folder.root / "done.sqlite") as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()


def test_a_reader_sees_either_the_old_table_or_the_new_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.folder.tables / "clips.parquet"
    store.finish("frames", "v_a", "1", "done", [factories.clip("a")])
    store.rebuild()
    seen = []
    replace = Path.replace

    def read_first(self: Path, target: Any) -> Any:
        seen.append(pl.read_parquet(path).height)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", read_first)
    store.finish("frames", "v_b", "1", "done", [factories.clip("b")])
    store.rebuild([Clip.table])
    assert [*seen, pl.read_parquet(path).height] == [1, 2]


def test_a_full_disk_is_not_reported_as_a_damaged_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "done.sqlite").mkdir()  # SQLite can't open that either
    with pytest.raises(UserError, match="can't be opened"), opened(WorkspaceFolder(tmp_path)):
        pass
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4096))
    with pytest.raises(OSError, match=r"done\.sqlite") as full, opened(WorkspaceFolder(tmp_path)):
        pass
    assert full.value.errno == errno.ENOSPC


def instructions(store: Store, work: Callable[[], object]) -> int:
    """Return how many steps SQLite takes for this work."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    store._db.set_progress_handler(count, 1)
    work()
    store._db.set_progress_handler(None, 1)
    return counted


def test_a_unit_is_stored_and_restored_without_looking_at_its_whole_stage(tmp_path: Path) -> None:
    """Once, each of n units looked at all rows of its stage: 8,000 took 22 s instead of 3."""
    with opened(WorkspaceFolder(tmp_path)) as store:

        def stored(units: Sequence[str]) -> int:
            def work() -> None:
                for unit in units:
                    store.finish("draft", unit, "key", "done", [factories.clip(unit)])

            return instructions(store, work)

        def restored(units: Sequence[str]) -> int:
            store.archive("draft", units)
            store.forget("draft", units)
            return instructions(store, lambda: store.restore("draft", units))

        names = [f"{number:04}" for number in range(880)]
        few = stored(names[:80])
        assert stored(names[80:]) < 15 * few
        few = restored(names[:80])
        assert restored(names[80:]) < 15 * few
        assert len(store.rows(Clip)) == len(names)


def test_one_units_rows_are_read_alone(tmp_path: Path) -> None:
    with opened(WorkspaceFolder(tmp_path)) as store:
        for unit in ("a", "b"):
            clips = [factories.clip(f"{unit}{number}") for number in (2, 1)]
            store.finish("frames", unit, "key", "done", [*clips, finding(unit)])
        assert [one.clip_id for one in store.rows_of(Clip, "frames", "b")] == ["c_b1", "c_b2"]
        assert store.rows_of(Clip, "frames", "c") == store.rows_of(Clip, "split", "b") == []
