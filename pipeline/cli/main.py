"""The commands: each parses its words, calls what does the work, and prints one honest line.

What is heavy is imported inside the commands, so that `egost --help` answers at once.
"""

from itertools import chain
from pathlib import Path

import click

from pipeline import __version__
from pipeline.cli.console import Options, common, opened, run, tell
from pipeline.cli.people import add_people_commands
from pipeline.cli.release import add_release_commands
from pipeline.errors import UserError, plain


def main() -> None:
    """Run the command line `egost`."""
    run(cli)


class _InOrder(click.Group):
    """Lists its commands in the order of the work, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="egost")
@common
def cli() -> None:
    """Turn first-person video into a verified, versioned, blind-proof QA benchmark."""


@cli.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@common
@click.pass_context
def init(context: click.Context, directory: Path | None) -> None:
    """Make a workspace with a commented egost.toml."""
    from pipeline.flow import make_workspace

    root = directory or context.ensure_object(Options).workspace
    click.echo(make_workspace(root) or f"{root} is a workspace already: nothing changed")


@cli.command()
@click.argument(
    "paths", nargs=-1, metavar="[PATH]...", type=click.Path(readable=False, path_type=Path)
)
@common
@click.pass_context
def frames(context: click.Context, paths: tuple[Path, ...]) -> None:
    """Ingest videos (files, or folders with all below) and go on to keyframes and measured motion.

    Without PATH the videos that the workspace knows are looked at again.
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
        tell(
            context,
            workspace,
            chain(intake, workspace.run_command("frames"), found, glance.assumed(workspace)),
        )


@cli.command("generate-qa")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print requests, tokens and cost, and what would stay because people judged it; send nothing.",
)
@click.option("--redraft", is_flag=True, help="Also replace drafts that people have judged.")
@click.option("--recompose", is_flag=True, help="Also replace items that people have audited.")
@common
@click.pass_context
def generate_qa(context: click.Context, dry_run: bool, redraft: bool, recompose: bool) -> None:
    """Draft routes, compose items, check them.

    What people have judged or audited stays as it is, even if a prompt, a word or a setting changed,
    until you ask for --redraft or --recompose.
    """
    from pipeline.questions import generate

    asked = {"--redraft": redraft, "--recompose": recompose}
    redo = {flag for flag, given in asked.items() if given}
    with opened(context) as workspace:
        if dry_run:
            for line in generate.estimate(workspace, redo):
                click.echo(line)
            return
        tell(context, workspace, generate.generate(workspace, redo))


add_people_commands(cli)
add_release_commands(cli)


@cli.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@common
@click.pass_context
def blind(context: click.Context, file: Path | None, as_json: bool) -> None:
    """Measure how well items are answered without a picture: this workspace's, or those in FILE.

    FILE is JSON, JSONL or Parquet with question, options and answer. Gates judge; this only tells.
    """
    from pipeline.blind.items import blind_report

    if file is not None:
        click.echo(blind_report(file, None, as_json))
        return
    with opened(context) as workspace:
        click.echo(blind_report(None, workspace.store, as_json))


@cli.command()
@common
@click.pass_context
def status(context: click.Context) -> None:
    """Show the workspace at a glance."""
    from pipeline.report import glance

    with opened(context) as workspace:
        for line in glance.status(workspace.store):
            click.echo(line)


@cli.command()
@common
@click.pass_context
def rejections(context: click.Context) -> None:
    """List what was refused or failed, each with the reason and the remedy."""
    from pipeline.engine.rows import Rejection

    with opened(context) as workspace:
        found = workspace.store.rows(Rejection)
    for row in found:
        click.echo(f"{row.stage}: {plain(row.unit)}: {plain(row.what)}\n  fix: {plain(row.fix)}")
    click.echo(f"rejections: {len(found)}" if found else "rejections: none")


@cli.command()
@click.argument("unit", metavar="ID")
@common
@click.pass_context
def show(context: click.Context, unit: str) -> None:
    """Show all that is known of a video, clip or item; of a clip or video also as a picture."""
    from pipeline.report import glance

    with opened(context) as workspace:
        for line in glance.show(workspace.store, workspace.folder, unit):
            click.echo(line)


@cli.group()
def prompts() -> None:
    """The templates that word what a model is asked."""


@prompts.command("check")
def prompts_check() -> None:
    """Render every template with sample data in every language; report mistakes by file and line."""
    from pipeline.models import prices
    from pipeline.routes.templates import check_prompts

    problems = [str(problem) for problem in check_prompts()]
    try:
        prices.table()
    except UserError as error:
        problems.append(f"{error.where}: {error.what} (fix: {error.fix})")
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise UserError(
            "prompts", f"{len(problems)} mistake{'s' * (len(problems) > 1)}", "mend the lines above"
        )
    click.echo("prompts check: all templates render")


@cli.command()
@click.option("--walks", default=4, show_default=True, help="How many walks to render.")
@common
@click.pass_context
def demo(context: click.Context, walks: int) -> None:
    """Everything on rendered walks, offline, with a real local Label Studio and scripted reviewers."""
    from pipeline.demo import story
    from pipeline.flow import make_workspace, open_workspace

    options = context.ensure_object(Options)
    root = options.workspace if options.workspace != Path("workspace") else Path("demo")
    if made := make_workspace(root, story.SETTINGS):
        click.echo(made)
    with open_workspace(root, options.overrides) as workspace:
        tell(context, workspace, story.tell(workspace, walks))
