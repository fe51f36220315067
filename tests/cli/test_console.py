"""The command line: exit codes, error messages, and how little --help imports."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pipeline import __version__
from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.store import opened
from pipeline.errors import GateError, UserError

HEAVY = (
    "av",
    "cv2",
    "numpy",
    "polars",
    "pyarrow",
    "openai",
    "pydantic",
    "jinja2",
    "label_studio_sdk",
)


def egost(*arguments: str | Path, command: click.Command = cli) -> int:
    with pytest.raises(SystemExit) as ended:
        run(command, [str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("there", "wrong", "fix it"), 2, "error: there: wrong\n  fix: fix it\n"),
        (GateError("gate", "unmet", "more"), 3, "error: gate: unmet\n  fix: more\n"),
        (click.UsageError("bad"), 2, "error: egost: bad\n  fix: egost --help\n"),
        (KeyboardInterrupt(), 130, ""),
        (OSError(errno.ENOSPC, "No space left", "f"), 2, "error: f: the disk is full"),
        (OSError(errno.EDQUOT, "Quota", "f"), 2, "error: f: the disk is full"),
        (OSError(errno.EFBIG, "File too large", "f"), 2, "error: f: the disk is full"),
        (sqlite3.OperationalError("database or disk is full"), 2, "error: workspace: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "f"), 2, "error: f: can't be written"),
        (OSError(errno.EROFS, "Read-only", "f"), 2, "error: f: can't be written"),
    ],
)  # fmt: skip
def test_errors_are_printed_and_set_the_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    assert egost(command=raising(error)) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("error", [KeyError("bug"), OSError(errno.EIO, "I/O error")])
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run(raising(error), [])


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert egost("--help") == 0
    assert "generate-qa" in capsys.readouterr().out
    assert egost("--version") == 0
    assert __version__ in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pipeline.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    assert "Usage" in done.stdout
    assert done.stderr.strip() == ""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    assert egost("init", root) == 0
    return root


def test_init_makes_a_workspace_once(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (workspace / "egost.toml").read_bytes()
    capsys.readouterr()
    assert egost("init", workspace) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert (workspace / "egost.toml").read_bytes() == before


def test_init_does_not_touch_other_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").touch()
    assert egost("init", tmp_path) == 2
    assert "exists and is not a workspace" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.tex"]


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no such command": (["fly"], "No such command 'fly'"),
    "no such option": (["status", "--fast"], "No such option"),
    "no argument": (["export"], "Missing argument"),
    "unknown setting": (["status", "--set", "split.trian=1"], "unknown setting split.trian"),
    "unknown section": (["status", "--set", "splits.train=1"], "unknown section [splits]"),
    "bad override": (["status", "--set", "train"], "not of the form stage.name=value"),
    "out of bounds": (["status", "--set", "split.train=2"], "split.train: "),
    "no videos known": (["frames"], "no videos yet"),
    "no such path": (["frames", "nowhere"], "no such file or folder"),
    "nothing to release": (["export", "1.0.0"], "there is nothing to release"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_exits_2_and_prints_a_fix(
    workspace: Path, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    arguments, what = MISTAKES[mistake]
    capsys.readouterr()
    assert egost("-w", workspace, *arguments) == 2
    error, fix = capsys.readouterr().err.split("\n  fix: ")
    assert error.startswith("error: ")
    assert what in error
    assert fix.strip()


@pytest.mark.parametrize(
    "command", [["status"], ["rejections"], ["gates"], ["show", "x"], ["generate-qa"]]
)
def test_without_a_workspace_the_fix_is_init(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert egost("-w", tmp_path / "none", *command) == 2
    message = capsys.readouterr().err
    assert "no workspace there" in message
    assert "fix: egost init" in message
    assert not (tmp_path / "none").exists()


def test_options_may_stand_before_or_after_the_command(workspace: Path) -> None:
    assert egost("-w", workspace, "rejections") == 0
    assert egost("rejections", "-w", workspace) == 0


def test_a_second_command_at_the_same_time_is_refused(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(WorkspaceFolder(workspace), "egost frames"):
        assert egost("-w", workspace, "generate-qa") == 2
    error = capsys.readouterr().err
    assert "another egost command is running here: egost frames (process" in error


def test_an_unmet_gate_exits_3(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert egost("-w", workspace, "gates") == 3
    shown = capsys.readouterr()
    assert "NOT MET" in shown.out
    assert shown.err.startswith("error: gates: ")


@pytest.mark.parametrize("limit", [1024])
def test_a_full_disk_is_reported_and_leaves_no_partial_files(workspace: Path, limit: int) -> None:
    """A file-size limit simulates a full disk."""
    code = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from pipeline.__main__ import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-w", str(workspace), "generate-qa"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((workspace / "tables").glob(".tmp-*"))
    assert egost("-w", workspace, "generate-qa") == 0


def test_a_closed_pipe_is_not_an_error(workspace: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "-w", str(workspace), "rejections"],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
