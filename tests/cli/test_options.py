"""The common options: a command that would ignore one refuses it."""

from pathlib import Path

import click
import pytest

from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.engine.workspace import make_workspace
from pipeline.flow import SECTIONS

NO_WORKSPACE = {
    "verify": ["verify", "RELEASE"],
    "diff": ["diff", "RELEASE", "RELEASE"],
    "import": ["import", "FILE"],
    "hydrate": ["release", "hydrate", "RELEASE", "VIDEO"],
    "prompts": ["prompts", "check"],
    "report of a release": ["report", "RELEASE"],
    "blind with a file": ["blind", "FILE"],
    "gates with a file": ["gates", "FILE"],
}
NO_SETTINGS = {
    "init": ["init"],
    "start": ["label-studio", "start"],
    "stop": ["label-studio", "stop"],
    "status": ["label-studio", "status"],
}
GIVEN = {"-w": ["-w", "some folder"], "--workspace": ["--workspace", "x"], "--set": ["--set", "frames.budget=8"]}  # fmt: skip


def egost(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(cli, list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def refused(capsys: pytest.CaptureFixture[str], option: str, words: list[str]) -> None:
    """Expect an option to be refused before a command's name and after it."""
    given, name = GIVEN[option], option.replace("--workspace", "-w")
    for line in ([*given, *words], [*words, *given]):
        assert egost(*line) == 2, line
        shown = capsys.readouterr()
        first, fix = shown.err.splitlines()
        assert first.startswith("error: egost ")
        assert f": {name} can't be used " in first
        assert fix == f"  fix: leave {name} out"
        assert shown.out == ""


@pytest.mark.parametrize("option", GIVEN)
@pytest.mark.parametrize("command", NO_WORKSPACE)
def test_a_command_without_a_workspace_refuses_both(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    option: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(capsys, option, NO_WORKSPACE[command])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", NO_SETTINGS)
def test_a_command_without_settings_refuses_them(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(capsys, "--set", NO_SETTINGS[command])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_named_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert egost("-w", "one", "init", "other") == 2
    assert "-w can't be used with DIR" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_both_are_named_where_both_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert egost("-w", "x", "verify", "RELEASE", "--set", "frames.budget=8") == 2
    assert "--set and -w can't be used here" in capsys.readouterr().err


def commands(group: click.Group) -> list[click.Command]:
    found = []
    for command in group.commands.values():
        found += commands(command) if isinstance(command, click.Group) else [command]
    return found


def test_every_command_has_a_rule_for_the_common_options() -> None:
    """A command without one would ignore what stands before its name."""
    for command in commands(cli):
        names = {parameter.name for parameter in command.params}
        assert {"workspace", "set"} <= names, command.name


def test_help_lists_only_what_a_command_takes(capsys: pytest.CaptureFixture[str]) -> None:
    for words, there in ((["verify"], ()), (["init"], ("-w",)), (["status"], ("-w", "--set"))):
        assert egost(*words, "--help") == 0
        shown = capsys.readouterr().out
        assert [name for name in ("-w", "--set") if f"{name}" in shown] == list(there)


def test_the_default_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's folder is another one, unless one is named, be it the default of all others."""
    monkeypatch.chdir(tmp_path)
    make_workspace(tmp_path / "demo", SECTIONS)
    assert egost("-w", "workspace", "demo", "--set", "frames.nonsense=1") == 2
    assert (tmp_path / "workspace" / "egost.toml").exists()
