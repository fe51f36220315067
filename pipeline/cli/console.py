"""What lies around every command: common options, how errors are told, exit codes."""

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
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHUT = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass
class Options:
    """What holds for every command: which workspace, which settings on top of its egost.toml."""

    workspace: Path = Path("workspace")
    overrides: list[str] = field(default_factory=list)


def run(command: click.Command, arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 1 our bug, 2 the user must act, 3 a gate, 130 interrupted."""
    warnings_to_stderr()
    sys.exit(exit_code(command, arguments))


def exit_code(command: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command line and return what to exit with; what went wrong is told on stderr."""
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
        click.echo("interrupted: what is done is kept; run the same command to go on", err=True)
        return 130
    except (
        SystemExit
    ):  # click ends so when the reader of our output has gone: `egost show X | head`
        return 0
    except (OSError, sqlite3.DatabaseError) as error:
        told = _disk_error(error)
        if told is None:
            raise
        click.echo(str(told), err=True)
        return told.exit_code
    return 0


def _disk_error(
    error: OSError | sqlite3.DatabaseError, where: str = "workspace"
) -> UserError | None:
    number = getattr(error, "errno", None)
    where = str(getattr(error, "filename", None) or where)
    if number in _FULL or "disk is full" in str(error):
        return UserError(
            where,
            "the disk is full, or a quota used up",
            "make room and run again: what is done is kept",
        )
    if number in _SHUT or "readonly database" in str(error):
        return UserError(
            where, "can't be written", "check the rights of this folder, or use another with -w"
        )
    if "disk I/O error" in str(
        error
    ):  # all that SQLite says of a file-size limit or a failing disk
        return UserError(
            where,
            "the disk refuses to write: a size limit, or a fault",
            "look at the disk and its limits (ulimit -f), then run again: what is done is kept",
        )
    if "malformed" in str(error) or "not a database" in str(error):
        return UserError(
            where,
            "a database of it is damaged",
            "move done.sqlite away and run again: it is made anew; llm.sqlite holds paid replies, so "
            "bring that back from a copy",
        )
    return None


def _keep_workspace(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Options).workspace = value


def _keep_overrides(context: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    context.ensure_object(Options).overrides.extend(value)


def common(command: Command) -> Command:
    """Add the options that every command takes, before or after its name."""
    for option in (
        click.option(
            "-w",
            "--workspace",
            metavar="DIR",
            type=click.Path(path_type=Path, file_okay=False),
            callback=_keep_workspace,
            expose_value=False,
            help="The workspace (default: workspace).",
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
        told = _disk_error(error, str(options.workspace))
        if told is None:
            raise
        raise told from error


def tell(context: click.Context, workspace: "Workspace", lines: Iterable[object]) -> None:
    """Print what a command does while it does it, and write it into the workspace's diary."""
    from pipeline.engine.folder import append_run

    told: list[str] = []
    try:
        for line in lines:
            told.append(str(line))
            click.echo(told[-1])
    finally:
        append_run(workspace.folder, {"command": context.command_path, "did": told})
