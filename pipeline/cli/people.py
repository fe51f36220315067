"""The commands around people: the embedded Label Studio server, the review of routes in it, and the audit."""

import sys
from typing import TYPE_CHECKING

import click

from pipeline.cli.console import Options, common, opened, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.engine.workspace import Workspace
    from pipeline.review.sending import Progress, Pushed

_SYNONYMS = 5  # of the words that people differ on, the most frequent


def add_people_commands(group: click.Group) -> None:
    """Add them to the command line, in the order of the work."""
    for command in (label_studio, review, audit):
        group.add_command(command)


@click.group()
def review() -> None:
    """People correct routes in Label Studio."""


def _send(
    context: click.Context, name: str, send: "Callable[[Workspace, Progress], Pushed]", empty: str
) -> None:
    """Push with a progress bar, and say what that did; `empty` says why there is nothing to send."""
    from tqdm import tqdm

    with (
        opened(context) as workspace,
        tqdm(desc="push", disable=not sys.stderr.isatty()) as bar,
    ):

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        pushed = send(workspace, progress)
        news = f"{pushed.new} new" if pushed.new else "nothing new"
        total = pushed.new + pushed.updated + pushed.reopened + pushed.kept
        line = (
            f"{name}: {total} tasks: {news}, {pushed.updated} updated, {pushed.reopened} reopened, "
            f"{pushed.kept} kept, {len(pushed.rejected)} rejected; {pushed.project_url}"
        )
        nothing = not total and not pushed.rejected
        tell(context, workspace, [line, f"{name}: {empty}"] if nothing else [line])


@review.command("push")
@common
@click.pass_context
def review_push(context: click.Context) -> None:
    """Send one task per clip, doubtful ones first; twice is once."""
    from pipeline.review import people

    empty = "there is no draft route to judge: egost frames, then egost generate-qa, make some"
    _send(context, "review push", people.push, empty)


@review.command("adjudicate")
@common
@click.pass_context
def review_adjudicate(context: click.Context) -> None:
    """Send clips on which people differ to a third person, both versions side by side."""
    from pipeline.review import people

    empty = "there is no clip on which people differ"
    _send(context, "review adjudicate", people.adjudicate, empty)


@review.command("pull")
@common
@click.pass_context
def review_pull(context: click.Context) -> None:
    """Bring verdicts and corrected routes back, and renew the items that follow; twice is once."""
    from pipeline.review import people

    with opened(context) as workspace:
        pulled = people.pull(workspace)
        tell(context, workspace, [*pulled.stages, pulled, *pulled.advice])


@review.command("status")
@common
@click.pass_context
def review_status(context: click.Context) -> None:
    """Tell how far the review is."""
    from pipeline.review import people

    with opened(context) as workspace:
        found = people.status(workspace)
        differing = people.differing(workspace)
        advice = people.advice(workspace)
    for name in sorted({*found.annotators, *found.people}):
        aside = ", set aside: these verdicts don't count" if name in found.set_aside else ""
        unread = f"{found.annotators.get(name, 0)} annotations, none pulled yet"
        click.echo(f"{name}: {found.people.get(name, unread)}{aside}")
    for category, one in found.agreement.items():
        click.echo(f"agreement on {category}: {one}")
    for pair in found.synonyms[:_SYNONYMS]:
        click.echo(f"one thing or two? see vocabulary.csv: {pair}")
    for line in advice:
        click.echo(line)
    if found.hours_left is not None:
        click.echo(f"about {found.hours_left:.1f} hours of work left")
    click.echo(
        f"review status: {found.tasks} tasks: {found.done} done, {found.waiting} waiting, "
        f"{found.skipped} skipped, {differing} clips differ (egost review adjudicate); {found.project_url}"
    )


@click.group()
def audit() -> None:
    """People answer items without seeing the answer: how good is the benchmark?"""


@audit.command("push")
@common
@click.pass_context
def audit_push(context: click.Context) -> None:
    """Send a sample of verified items, answers hidden; twice is once."""
    from pipeline.review import people

    empty = "there is no verified multiple-choice item to ask about: egost review status tells how far they are"
    _send(context, "audit push", people.audit_push, empty)


@audit.command("pull")
@common
@click.pass_context
def audit_pull(context: click.Context) -> None:
    """Bring answers back; flawed items are set aside, and their clips are reviewed again."""
    from pipeline.review import people

    with opened(context) as workspace:
        pulled = people.audit_pull(workspace)
        tell(context, workspace, [*pulled.stages, pulled])


@audit.command("status")
@common
@click.pass_context
def audit_status(context: click.Context) -> None:
    """Tell human accuracy, agreement and how many items are flawed, as sampled."""
    from pipeline.review import people

    with opened(context) as workspace:
        found = people.audit_status(workspace)
    for task, share in found.audit.accuracy.items():
        click.echo(f"right on {task}: {share}")
    if found.audit.agreement:
        click.echo(f"agreement on items: {found.audit.agreement}")
    for item_id, reason in found.audit.reasons.items():
        click.echo(f"flawed: {item_id}: {reason}")
    click.echo(f"flawed items, as sampled: {found.audit.flawed}")
    click.echo(f"audit status: {found.tasks} tasks: {found.done} done; {found.project_url}")


@click.group("label-studio")
def label_studio() -> None:
    """The embedded Label Studio server, on loopback."""


@label_studio.command("start")
@click.option("--port", default=0, show_default="a free one", help="The port to listen on.")
@common
@click.pass_context
def label_studio_start(context: click.Context, port: int) -> None:
    """Start the server of this workspace (its first start makes the server's environment)."""
    from pipeline.engine.folder import WorkspaceFolder
    from pipeline.flow import make_workspace
    from pipeline.labelstudio import server as labelstudio_server

    root = context.ensure_object(Options).workspace
    if made := make_workspace(root):
        click.echo(made)
    server = labelstudio_server.start(WorkspaceFolder(root), port)
    click.echo(
        f"label-studio: running at {server.url}, log in as {server.user} with {server.password}"
    )


@label_studio.command("stop")
@common
@click.pass_context
def label_studio_stop(context: click.Context) -> None:
    """Stop the server of this workspace."""
    from pipeline.engine.folder import WorkspaceFolder
    from pipeline.labelstudio import server as labelstudio_server

    stopped = labelstudio_server.stop(WorkspaceFolder(context.ensure_object(Options).workspace))
    click.echo("label-studio: stopped" if stopped else "label-studio: was not running")


@label_studio.command("status")
@common
@click.pass_context
def label_studio_status(context: click.Context) -> None:
    """Tell whether the server of this workspace is running, and where."""
    from pipeline.engine.folder import WorkspaceFolder
    from pipeline.labelstudio import server as labelstudio_server

    server = labelstudio_server.status(WorkspaceFolder(context.ensure_object(Options).workspace))
    if server is None:
        click.echo("label-studio: not running")
    else:
        click.echo(
            f"label-studio: running at {server.url}, log in as {server.user} with {server.password}"
        )


@label_studio.command("invite")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@common
@click.pass_context
def label_studio_invite(context: click.Context, names: tuple[str, ...]) -> None:
    """Make an account for each NAME (or e-mail address) and print its log-in, once."""
    from pipeline.review import people

    with opened(context) as workspace:
        for one in people.invite(workspace, names):
            click.echo(f"{one.name}: log in as {one.email} with {one.password}")
    click.echo(f"label-studio invite: {len(names)} accounts; these passwords are kept nowhere")
