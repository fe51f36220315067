"""What all commands share: common options, progress bars, error messages, exit codes."""

import sqlite3
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from pipeline.cli.runlog import Run
from pipeline.errors import DISK_FULL, NOT_WRITABLE, UserError, warnings_to_stderr

if TYPE_CHECKING:
    from pipeline.engine.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., Any])

_INTERRUPTED = "interrupted: finished work is kept; run the same command to continue"


# The readings of pipeline/blind/answers.py, whose import would slow down every command.
answers_option = click.option(
    "--answers",
    type=click.Choice(("text", "letter", "0", "1")),
    help="What the answers in FILE are, if that isn't clear from the file: option texts, letters, or "
    "numbers of options from 0 or from 1.",
)


@dataclass
class Options:
    """The options common to all commands: the workspace, and settings that override its egost.toml.

    `given` names those that the command line has.
    """

    workspace: Path = Path("workspace")
    overrides: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    run: "Run | None" = None


def run(command: click.Command, arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 1 our bug, 2 the user must act, 3 gate not met, 130 interrupted."""
    warnings_to_stderr()
    options = Options(run=Run(sys.argv[1:] if arguments is None else list(arguments)))
    code = 1
    try:
        code = exit_code(command, arguments, options)
    finally:
        assert options.run
        options.run.log(code)
    sys.exit(code)


def exit_code(
    command: click.Command, arguments: Sequence[str] | None, options: Options | None = None
) -> int:
    """Run a command line and return its exit code; errors are printed to stderr."""
    try:
        command.main(args=arguments, prog_name="egost", standalone_mode=False, obj=options)
    except UserError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except click.exceptions.Abort as stop:
        if isinstance(stop.__cause__, KeyboardInterrupt):
            click.echo(_INTERRUPTED, err=True)
        return 130
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "egost"
        click.echo(str(UserError(path, error.format_message(), f"{path} --help")), err=True)
        return 2
    except KeyboardInterrupt:
        click.echo(_INTERRUPTED, err=True)
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
    if number in DISK_FULL or "disk is full" in str(error):
        return UserError(
            where,
            "the disk is full, or a quota is used up",
            "free some space and run again: finished work is kept",
        )
    if number in NOT_WRITABLE or "readonly database" in str(error):
        return UserError(
            where,
            "can't be written",
            "check the permissions of its folder, or choose another folder",
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
        options = context.ensure_object(Options)
        options.workspace = value
        options.given.add("-w")


class InOrder(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names in this order."""
        return list(self.commands)


class Rate(click.FloatRange):
    """A number in a range; click takes nan for one that is in every range."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fail if it isn't in the range."""
        found = float(super().convert(value, param, ctx))
        if isnan(found):
            self.fail(f"{value} is not a number", param, ctx)
        return found


def names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    """Return the names in an option's value, which commas separate."""
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _keep_overrides(context: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    if value:
        options = context.ensure_object(Options)
        options.overrides.extend(value)
        options.given.add("--set")


def _with_options(*taken: str) -> Callable[[Command], Command]:
    """Add the common options to a command, which may also be given before its name; refuse those not `taken`."""

    def add(command: Command) -> Command:
        @wraps(command)
        def checked(*given: Any, **named: Any) -> Any:
            unread = "settings" if "-w" in taken else "workspace"
            refuse(click.get_current_context(), f"here: this command uses no {unread}", but=taken)
            return command(*given, **named)

        for option in (
            click.option(
                "-w",
                "--workspace",
                metavar="DIR",
                type=click.Path(path_type=Path, file_okay=False),
                callback=_keep_workspace,
                expose_value=False,
                hidden="-w" not in taken,
                help="The workspace folder (default: workspace).",
            ),
            click.option(
                "--set",
                metavar="STAGE.NAME=VALUE",
                multiple=True,
                callback=_keep_overrides,
                expose_value=False,
                hidden="--set" not in taken,
                help="Override one setting of egost.toml, or of a training preset, for this run.",
            ),
        ):
            option(checked)
        return cast("Command", checked)

    return add


common = _with_options("-w", "--set")
"""Decorates a command that uses a workspace and its settings."""
folder_only = _with_options("-w")
"""Decorates a command that uses the folder of a workspace, but none of its settings."""
settings_only = _with_options("--set")
"""Decorates a command that has settings, but uses no workspace."""
no_workspace = _with_options()
"""Decorates a command that uses no workspace."""


def refuse(context: click.Context, where: str, but: Container[str] = ()) -> None:
    """Raise UserError if the command line has a common option that has no effect `where`, except those in `but`."""
    given = sorted(context.ensure_object(Options).given)
    if found := " and ".join(name for name in given if name not in but):
        raise UserError(
            context.command_path, f"{found} can't be used {where}", f"leave {found} out"
        )


def refuse_answers(context: click.Context, answers: str | None) -> None:
    """Raise UserError if --answers is given without a file that it would be about."""
    if answers is not None:
        what = "--answers says what the answers in FILE are, but there is no FILE"
        raise UserError(context.command_path, what, "name the file, or leave --answers out")


@contextmanager
def opened(context: click.Context, root: Path | None = None) -> "Iterator[Workspace]":
    """Open and lock the workspace that the command line names (or `root`), with its settings.

    The run is recorded in the workspace's runs.jsonl.
    """
    from pipeline.flow import open_workspace

    options = context.ensure_object(Options)
    root = root or options.workspace
    with (
        _database_named(root),
        open_workspace(root, options.overrides, context.command_path) as workspace,
    ):
        if options.run:
            options.run.of(context.command_path, workspace.folder)
        yield workspace


@contextmanager
def reading(context: click.Context) -> "Iterator[Workspace]":
    """Read the workspace that the command line names as it is now, also while another command runs in it."""
    from pipeline.engine.lock import running
    from pipeline.flow import read_workspace

    options = context.ensure_object(Options)
    with (
        _database_named(options.workspace),
        read_workspace(options.workspace, options.overrides) as workspace,
    ):
        if other := running(workspace.folder.lock):
            click.echo(f"note: {other} is running; this is what is finished so far", err=True)
        yield workspace


@contextmanager
def _database_named(root: Path) -> Iterator[None]:
    """Raise the errors of SQLite, which names no file, again with the workspace's name."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        disk_error = _disk_error(error, str(root))
        if disk_error is None:
            raise
        raise disk_error from error


def print_and_log(context: click.Context, lines: Iterable[object]) -> None:
    """Print each line as it comes, and keep it for the workspace's runs.jsonl."""
    record = context.ensure_object(Options).run
    for line in map(str, lines):
        click.echo(line)
        if record:
            record.did.append(line)


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield a function that sets it to `done` of `total`."""
    from tqdm import tqdm

    with tqdm(desc=name, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
