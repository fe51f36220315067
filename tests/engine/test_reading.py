"""Reading a workspace beside a running command: a snapshot is seen, and nothing is changed."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import factories
import pytest

from pipeline.engine.database import FORMAT
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.lock import locked, running
from pipeline.engine.store import Store, opened, read
from pipeline.errors import UserError
from pipeline.motion.rows import Clip

FORMAT_0 = Path(__file__).parents[1] / "data" / "bd52d40" / "workspace"
SHARED = ("done.sqlite-shm", "done.sqlite-wal")  # SQLite's, for readers and writers to share


def add(store: Store, name: str) -> None:
    store.finish("frames", name, "key", "done", [factories.clip(name)])


def seen(folder: WorkspaceFolder) -> list[str]:
    with read(folder) as store:
        return [clip.clip_id for clip in store.rows(Clip)]


def files(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name not in SHARED
    }


def killed_writer(folder: WorkspaceFolder) -> None:
    """Add a clip in another process, which is killed before SQLite moves it to the database."""
    script = (
        "import os, sys; from pathlib import Path; import factories\n"
        "from pipeline.engine.folder import WorkspaceFolder; from pipeline.engine.store import opened\n"
        "with opened(WorkspaceFolder(Path(sys.argv[1])), 'egost frames') as store:\n"
        "    store.finish('frames', 'x', 'key', 'done', [factories.clip('x')]); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", script, str(folder.root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment, check=False).returncode == -9


def test_a_reader_sees_what_was_finished_when_it_began(store: Store) -> None:
    add(store, "a")
    with read(store.folder) as reader:
        add(store, "b")
        store.forget("frames", ["a"])
        store.rebuild()
        assert [clip.clip_id for clip in reader.rows(Clip)] == ["c_a"]
        assert reader.keys("frames") == {"a": "key"}
    assert seen(store.folder) == ["c_b"]


def test_a_reader_changes_nothing_and_cannot(store: Store) -> None:
    add(store, "a")
    store.folder.unfinished.mkdir()
    (store.folder.unfinished / ".tmp-x").write_bytes(b"a table being written")
    before = files(store.folder.root)
    with read(store.folder) as reader:
        for write in (lambda: add(reader, "b"), lambda: reader.forget("frames", ["a"])):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                write()
    assert files(store.folder.root) == before
    add(store, "b")  # the writer goes on


def test_a_reader_leaves_no_files(store: Store) -> None:
    folder = store.folder
    add(store, "a")
    store.close()
    before = sorted(folder.root.iterdir())
    assert folder.done in before
    assert not {folder.root / name for name in SHARED} & set(before)
    assert seen(folder) == ["c_a"]
    assert sorted(folder.root.iterdir()) == before


def test_a_reader_does_not_migrate(tmp_path: Path) -> None:
    folder = WorkspaceFolder(tmp_path / "workspace")
    shutil.copytree(FORMAT_0, folder.root, copy_function=shutil.copyfile)
    before = files(folder.root)
    with read(folder) as store:
        assert len(store.rows(Clip)) == 3
        drafter = store.note("drafted_by")
    assert files(folder.root) == before
    with opened(folder) as store:
        assert store.note("drafted_by") == drafter is not None


@pytest.mark.parametrize("index", ["there", "gone", "unusable"])
def test_what_a_killed_command_finished_is_read(folder: WorkspaceFolder, index: str) -> None:
    """An index that can't be opened simulates a folder that can't be written."""
    killed_writer(folder)
    shared = folder.root / "done.sqlite-shm"
    if index != "there":
        shared.unlink()
    if index == "unusable":
        shared.mkdir()
    before = files(folder.root)
    assert seen(folder) == ["c_x"]
    assert running(folder.lock) is None
    assert files(folder.root) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("state", ["closed", "killed", "killed, no index", "open"])
def test_another_user_reads_a_workspace_that_only_its_owner_can_write(state: str) -> None:
    with TemporaryDirectory() as root, ExitStack() as still_open:
        folder = WorkspaceFolder(Path(root))
        if state.startswith("killed"):
            killed_writer(folder)
        else:
            store = still_open.enter_context(opened(folder))
            add(store, "x")
        if state == "closed":
            still_open.close()
        if state == "killed, no index":
            (folder.root / "done.sqlite-shm").unlink()
        folder.root.chmod(0o755)
        assert seen_by_nobody(folder) == "c_x"


def seen_by_nobody(folder: WorkspaceFolder) -> str:
    """Return the clips that a user without rights sees."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os.write(writing, " ".join(seen(folder)).encode())
        except BaseException as error:  # noqa: BLE001 (a child must never return into its parent's code)
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        return told.read()


def test_a_workspace_without_a_database_is_empty(folder: WorkspaceFolder) -> None:
    assert seen(folder) == []
    assert list(folder.root.iterdir()) == []
    folder.done.touch()  # a first command is just creating it
    assert seen(folder) == []
    assert folder.done.stat().st_size == 0
    folder.tables.mkdir()
    (folder.tables / "clips.parquet").touch()
    with pytest.raises(UserError, match="is empty, although tables/ holds results"):
        seen(folder)


def test_a_newer_or_damaged_database_is_refused(folder: WorkspaceFolder) -> None:
    with closing(sqlite3.connect(folder.done)) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(UserError, match=f"has format {FORMAT + 1}"):
        seen(folder)
    folder.done.write_bytes(b"not a database, certainly" * 100)
    with pytest.raises(UserError, match=r"done\.sqlite"):
        seen(folder)
    folder.done.unlink()
    folder.done.mkdir()
    with pytest.raises(UserError, match="can't be opened"):
        seen(folder)


def test_the_lock_names_the_command_that_holds_it(folder: WorkspaceFolder) -> None:
    assert running(folder.lock) is None
    with locked(folder.lock, "egost frames"):
        found = running(folder.lock)
        assert found
        assert (found.command, found.process) == ("egost frames", os.getpid())
        with pytest.raises(UserError, match=r"egost frames \(process"), opened(folder):
            pass
        assert running(folder.lock) == found
    assert running(folder.lock) is None


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"command": 1}', "\0", "999999999"])
def test_a_lock_file_of_another_version_names_no_command(
    folder: WorkspaceFolder, text: str
) -> None:
    folder.lock.write_text(text)
    assert running(folder.lock) is None


def test_a_later_process_with_the_same_number_is_not_the_command(folder: WorkspaceFolder) -> None:
    entry = {"command": "egost", "process": os.getpid(), "since": "2001-01-01T00:00:00Z"}
    folder.lock.write_text(json.dumps(entry))
    assert running(folder.lock) is None
    for odd in ({"process": -1}, {"process": 2**70}, {"process": "1"}, {"since": "now"}):
        folder.lock.write_text(json.dumps({**entry, **odd}))
        assert running(folder.lock) is None
