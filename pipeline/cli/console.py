"""What all commands share: common options, progress bars, error messages, exit codes."""

import errno
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.errors import UserError, warnings_to_stderr

if TYPE_CHECKING:
    from pipeline.engine.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., Any])
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


# The readings of pipeline/blind/answers.py, whose import would slow down every command.
answers_option = click.option(
    "--answers",
    type=click.Choice(("text", "letter", "0", "1")),
    help="What the answers in FILE are, if that isn't clear from the file: option texts, letters, or "
    "numbers of options from 0 or from 1.",
)


@dataclass
class Options:
    """The options common to all commands: the workspace, and settings that override its egost.toml."""

    workspace: Path = Path("workspace")
    overrides: list[str] = field(default_factory=list)


def run(command: click.Command, arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 1 our bug, 2 the user must act, 3 gate not met, 130 interrupted."""
    warnings_to_stderr()
    sys.exit(exit_code(command, arguments))


def exit_code(command: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command line and return its exit code; errors are printed to stderr."""
    try:
        command.main(args=arguments, prog_name="egost", standalone_mode=False)
    except UserError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except click.exceptions.Abort:
        return 130
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "egost"
        click.echo(str(UserError(path, error.format_message(), f"{path} --help")), err=True)
        return 2
    except KeyboardInterrupt:
        click.echo("interrupted: finished work is kept; run the same command to continue", err=True)
        return 130
    except SystemExit:
        # click raises this when our output's reader has closed the pipe: `egost show X | head`
        return 0
    except (OSError, sqlite3.DatabaseError) as error:
        disk_error = _disk_error(error)
        if disk_error is None:
            raise
        click.echo(str(disk_error), err=True)
        return disk_error.exit_code
    return 0


def _disk_error(
    error: OSError | sqlite3.DatabaseError, where: str = "workspace"
) -> UserError | None:
    number = getattr(error, "errno", None)
    where = str(getattr(error, "filename", None) or where)
    if number in _DISK_FULL or "disk is full" in str(error):
        return UserError(
            where,
            "the disk is full, or a quota is used up",
            "free some space and run again: finished work is kept",
        )
    if number in _NOT_WRITABLE or "readonly database" in str(error):
        return UserError(
            where,
            "can't be written",
            "check the permissions of this folder, or choose another one with -w",
        )
    # SQLite reports a file-size limit and a failing disk in the same words.
    if "disk I/O error" in str(error):
        return UserError(
            where,
            "writing failed: a file-size limit or a disk error",
            "check the disk and its limits (ulimit -f), then run again: finished work is kept",
        )
    if "malformed" in str(error) or "not a database" in str(error):
        return UserError(
            where,
            "one of its databases is damaged",
            "move done.sqlite away and run again to rebuild it; llm.sqlite holds replies that you "
            "paid for, so restore it from a backup",
        )
    return None


def _keep_workspace(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Options).workspace = value


def _keep_overrides(context: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    context.ensure_object(Options).overrides.extend(value)


def common(command: Command) -> Command:
    """Add the common options; they may be given before or after the command's name."""
    for option in (
        click.option(
            "-w",
            "--workspace",
            metavar="DIR",
            type=click.Path(path_type=Path, file_okay=False),
            callback=_keep_workspace,
            expose_value=False,
            help="The workspace folder (default: workspace).",
        ),
        click.option(
            "--set",
            metavar="STAGE.NAME=VALUE",
            multiple=True,
            callback=_keep_overrides,
            expose_value=False,
            help="Override one setting of egost.toml for this run.",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def opened(context: click.Context) -> "Iterator[Workspace]":
    """Open the workspace that the command line names, with its settings."""
    from pipeline.flow import open_workspace

    options = context.ensure_object(Options)
    try:
        with open_workspace(options.workspace, options.overrides) as workspace:
            yield workspace
    except sqlite3.DatabaseError as error:  # SQLite names no file
        disk_error = _disk_error(error, str(options.workspace))
        if disk_error is None:
            raise
        raise disk_error from error


def print_and_log(context: click.Context, workspace: "Workspace", lines: Iterable[object]) -> None:
    """Print each line as it comes, and append all of them to the workspace's runs.jsonl."""
    from pipeline.engine.folder import append_run

    printed: list[str] = []
    try:
        for line in lines:
            printed.append(str(line))
            click.echo(printed[-1])
    finally:
        append_run(workspace.folder, {"command": context.command_path, "did": printed})


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield a function that sets it to `done` of `total`."""
    from tqdm import tqdm

    with tqdm(desc=name, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
