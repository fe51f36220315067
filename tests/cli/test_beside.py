"""Commands beside a running one: those that only read work, and leave everything as it is."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from factories import clip, video

from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection
from pipeline.engine.store import opened
from pipeline.flow import make_workspace

READING: dict[str, tuple[list[str], int, str]] = {
    "status": (["status"], 0, "clips: 1"),
    "rejections": (["rejections"], 0, "rejections: 1"),
    "show": (["show", "v_a"], 0, "picture: "),
    "report": (["report", "--to", "REPORT"], 0, "report: 1 clips"),
    "blind": (["blind"], 2, "no "),
    "gates": (["gates"], 3, "NOT MET"),
    "dry run": (["generate-qa", "--dry-run"], 0, "model: not used"),
    "review status": (["review", "status"], 2, "server is not running"),
    "audit status": (["audit", "status"], 2, "server is not running"),
    "invite": (["label-studio", "invite", "someone"], 2, "server is not running"),
    "server status": (["label-studio", "status"], 0, "not running"),
}
DRAWN = ("pictures", "done.sqlite-shm", "done.sqlite-wal")  # by show; SQLite's own

# Holds the workspace as a command does, in the middle of its work, until its input ends.
HOLDER = """
import sys
from pathlib import Path
from factories import clip, video
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.store import opened
with opened(WorkspaceFolder(Path(sys.argv[1])), "egost frames") as store:
    store.finish("frames", "a", "1", "done", [clip("a"), video("a")])
    (store.folder.unfinished).mkdir(exist_ok=True)
    (store.folder.unfinished / ".tmp-table").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    make_workspace(root)
    rejection = Rejection(stage="ingest", unit="b.mp4", what="no video", fix="another file")
    with opened(WorkspaceFolder(root)) as store:
        store.finish("ingest", "b", "", "rejected", [rejection])
        store.rebuild()
    return root


@contextmanager
def running(root: Path) -> Iterator[int]:
    """Hold the workspace in another process; yield its number."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"ready\n"
        yield holder.pid
        holder.communicate()
    assert holder.returncode == 0


def files(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] not in DRAWN
    }


def egost(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(cli, list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("command", READING)
def test_a_command_that_only_reads_works_beside_another(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words, code, said = READING[command]
    words = [str(tmp_path / "r.html") if word == "REPORT" else word for word in words]
    with running(workspace) as process:
        before = files(workspace)
        capsys.readouterr()
        assert egost("-w", str(workspace), *words) == code
        shown = capsys.readouterr()
        assert said in shown.out + shown.err
        if command != "server status":
            assert f"note: egost frames (process {process}, since " in shown.err
        assert files(workspace) == before
    egost("-w", str(workspace), *words)
    assert "note:" not in capsys.readouterr().err


def test_json_output_stays_json_beside_another(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(workspace):
        capsys.readouterr()
        assert egost("-w", str(workspace), "gates", "--json") == 3
    assert json.loads(capsys.readouterr().out)["gates"]


@pytest.mark.parametrize(
    "words",
    [["frames"], ["generate-qa"], ["review", "pull"], ["audit", "push"], ["export", "1.0.0"],
     ["release", "take-down", "a"]],
)  # fmt: skip
def test_a_command_that_writes_is_refused_and_leaves_no_trace(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with running(workspace):
        before = files(workspace)
        assert egost("-w", str(workspace), *words) == 2
        assert "another egost command is running" in capsys.readouterr().err
        assert files(workspace) == before


def test_reading_leaves_no_trace_in_an_idle_workspace(workspace: Path) -> None:
    with opened(WorkspaceFolder(workspace)) as store:
        store.finish("frames", "a", "1", "done", [clip("a"), video("a")])  # no table knows it
    before = files(workspace)
    for command in ("status", "rejections", "gates", "dry run"):
        egost("-w", str(workspace), *READING[command][0])
    assert files(workspace) == before
