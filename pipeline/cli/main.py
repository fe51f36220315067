"""The command line `egost`: all commands in the order of the work, and those that make data.

Each command parses its arguments, calls the code that does the work, and prints a summary. Heavy
modules are imported inside the commands, so that `egost --help` answers at once.
"""

from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import click

from pipeline import __version__
from pipeline.cli import evaluation, inspection, judge, people, release, results, train
from pipeline.cli.console import (
    InOrder,
    Options,
    common,
    folder_only,
    opened,
    print_and_log,
    progress_bar,
    reading,
    refuse,
    run,
)


def main() -> None:
    """Run the command line `egost`."""
    run(cli)


@click.group(
    cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="egost")
@common
def cli() -> None:
    """Turn first-person video into a verified, versioned, blind-proof benchmark of question-answer pairs."""


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@folder_only
@click.pass_context
def init(context: click.Context, directory: Path | None) -> None:
    """Create a workspace with a commented egost.toml."""
    from pipeline.flow import make_workspace

    if directory:
        refuse(context, "with DIR")
    root = directory or context.ensure_object(Options).workspace
    click.echo(make_workspace(root) or f"{root} is already a workspace: nothing changed")


@click.command()
@click.argument(
    "paths", nargs=-1, metavar="[PATH]...", type=click.Path(readable=False, path_type=Path)
)
@common
@click.pass_context
def frames(context: click.Context, paths: tuple[Path, ...]) -> None:
    """Ingest videos, extract keyframes and measure motion.

    PATH is a video file, or a folder that is searched with its subfolders. Without PATH, the videos
    that the workspace already knows are checked again.
    """
    from pipeline.engine.folder import WorkspaceFolder
    from pipeline.flow import make_workspace
    from pipeline.report import glance
    from pipeline.sources.intake import take_in
    from pipeline.sources.scan import scan

    root = context.ensure_object(Options).workspace
    if paths and not WorkspaceFolder(root).config.exists():
        scan(paths, (), "local")  # a wrong path must not leave an empty workspace behind
        if made := make_workspace(root):
            click.echo(made)
    with opened(context) as workspace:
        before = workspace.store.keys("frames")
        intake = take_in(workspace, paths)
        found = glance.measured(workspace.store, workspace.folder, before)
        done = chain(intake, workspace.run_command("frames"), found, glance.assumed(workspace))
        print_and_log(context, done)


class _Rate(click.ParamType[Fraction]):
    """A frame rate such as 30, 29.97 or 30000/1001."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            rate = Fraction(value)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 1 <= rate <= 1000:
            self.fail(f"{value!r} is no frame rate", param, ctx)
        return rate


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--fps", type=_Rate(), help="Frame rate of a stream that declares none.")
@common
@click.pass_context
def repair(context: click.Context, files: tuple[Path, ...], fps: Fraction | None) -> None:
    """Make usable copies of videos that were refused, and ingest them.

    A copy is kept in the workspace and takes the place of FILE, which is never changed: it has the
    manifest fields, the consent and the narrations of FILE, also when they change later.
    """
    from pipeline.flow import make_workspace
    from pipeline.sources.intake import repair_files
    from pipeline.sources.repaired import Repairs

    if made := make_workspace(context.ensure_object(Options).workspace):
        click.echo(made)
    count = Repairs()
    with opened(context) as workspace, progress_bar("repair") as progress:
        done = repair_files(workspace, files, fps, count, progress)
        # The last line is made when all others have been printed.
        last = (str(one) for one in [count])
        print_and_log(context, chain(done, workspace.run_command("frames"), last))
    count.raise_for_failed()


@click.command("generate-qa")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing; print requests, tokens and cost, and what would be kept because people judged it.",
)
@click.option("--redraft", is_flag=True, help="Also replace drafts that people have judged.")
@click.option("--recompose", is_flag=True, help="Also replace items that people have audited.")
@common
@click.pass_context
def generate_qa(context: click.Context, dry_run: bool, redraft: bool, recompose: bool) -> None:
    """Draft routes, compose items and check them.

    Drafts that people have judged and items that they have audited are kept, even if a prompt, a
    wording or a setting has changed, unless --redraft or --recompose is given.
    """
    from pipeline.questions import generate

    asked = {"--redraft": redraft, "--recompose": recompose}
    redo = {flag for flag, given in asked.items() if given}
    if dry_run:
        with reading(context) as workspace:
            for line in generate.estimate(workspace, redo):
                click.echo(line)
        return
    with opened(context) as workspace:
        print_and_log(context, generate.generate(workspace, redo))


@click.command()
@click.option(
    "--walks", type=click.IntRange(2), help="How many walks to render (default: 4, or 12)."
)
@click.option(
    "--evaluate",
    "scored",
    is_flag=True,
    help="Then score two scripted models on the release, of 12 walks.",
)
@click.option(
    "--train",
    "trained",
    is_flag=True,
    help="Then train a tiny model: on a toy task, and on the release, of 12 walks. Needs the extra train, and no GPU.",
)
@common
@click.pass_context
def demo(context: click.Context, walks: int | None, scored: bool, trained: bool) -> None:
    """Run the whole pipeline on rendered walks, offline.

    Uses a real local Label Studio server and scripted reviewers. The workspace is `demo` unless -w
    names another one; with --evaluate or --train, it is `demo-evaluate`.
    """
    from pipeline.demo import story
    from pipeline.flow import make_workspace

    options = context.ensure_object(Options)
    usual = Path("demo-evaluate" if scored or trained else "demo")
    if trained:
        from pipeline.tuning.installed import check_installed

        check_installed()
    root = options.workspace if "-w" in options.given else usual
    if made := make_workspace(root, story.SETTINGS):
        click.echo(made)
    with opened(context, root) as workspace:
        if not (scored or trained):
            print_and_log(context, story.tell(workspace, walks or 4))
            return
        from pipeline.demo import scored as scoring

        print_and_log(context, story.tell(workspace, walks or scoring.WALKS, scoring.TRAIN))
        if scored:
            print_and_log(context, scoring.score(workspace.folder))
        if trained:
            from pipeline.demo import trained as training

            print_and_log(context, training.train(workspace.folder))


for _command in (
    init,
    frames,
    repair,
    generate_qa,
    people.label_studio,
    people.review,
    people.audit,
    release.gates,
    release.export,
    release.release,
    release.verify,
    release.diff,
    evaluation.evaluate,
    evaluation.score,
    evaluation.compare,
    judge.judge,
    results.results,
    results.leaderboard,
    train.train,
    inspection.report,
    release.import_,
    inspection.blind,
    inspection.status,
    inspection.rejections,
    inspection.show,
    inspection.prompts,
    demo,
):
    cli.add_command(_command)
