"""The commands that involve people: the embedded Label Studio server, review and audit."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.console import (
    Options,
    common,
    folder_only,
    opened,
    print_and_log,
    progress_bar,
    reading,
)
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.engine.folder import WorkspaceFolder
    from pipeline.engine.workspace import Workspace
    from pipeline.labelstudio.server import Server
    from pipeline.review.sending import Progress, Pushed

_SYNONYMS = 5  # the most frequent ones are printed


@click.group()
def review() -> None:
    """Have people check and correct routes in Label Studio."""


def _send(
    context: click.Context, name: str, send: "Callable[[Workspace, Progress], Pushed]", empty: str
) -> None:
    """Push with a progress bar and print what was sent; `empty` explains why nothing was."""
    with opened(context) as workspace, progress_bar("push") as progress:
        pushed = send(workspace, progress)
        news = f"{pushed.new} new" if pushed.new else "nothing new"
        total = pushed.new + pushed.updated + pushed.reopened + pushed.kept
        line = (
            f"{name}: {total} tasks: {news}, {pushed.updated} updated, {pushed.reopened} reopened, "
            f"{pushed.kept} kept, {len(pushed.rejected)} rejected; {pushed.project_url}"
        )
        nothing = not total and not pushed.rejected
        print_and_log(context, [line, f"{name}: {empty}"] if nothing else [line])


@review.command("push")
@common
@click.pass_context
def review_push(context: click.Context) -> None:
    """Send one task per clip, doubtful clips first. Idempotent."""
    from pipeline.review import people

    empty = "there are no draft routes to review; run egost frames, then egost generate-qa"
    _send(context, "review push", people.push, empty)


@review.command("clips")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--pixels",
    type=click.IntRange(160, 1920),
    help="Longest side of the clips (default: review.clip_pixels).",
)
@common
@click.pass_context
def review_clips(context: click.Context, directory: Path, pixels: int | None) -> None:
    """Write the review clips that people see into a folder. Idempotent.

    DIR gets one CLIP_ID.mp4 for each clip and review-clips.csv, which names their videos and times: to
    check clips before they are sent, or for other annotation tools. No server is needed.
    """
    from pipeline.engine.settings import RunSettings
    from pipeline.review import people

    with opened(context) as workspace, progress_bar("review clips") as progress:
        written = people.clips(workspace, directory, pixels, progress)
        print_and_log(context, written.lines())
        written.raise_for_failed(workspace.settings("run", RunSettings).max_failed)


@review.command("adjudicate")
@common
@click.pass_context
def review_adjudicate(context: click.Context) -> None:
    """Send clips on which people disagree to a third person.

    The page shows both versions side by side.
    """
    from pipeline.review import people

    _send(context, "review adjudicate", people.adjudicate, "people disagree on no clip")


@review.command("pull")
@common
@click.pass_context
def review_pull(context: click.Context) -> None:
    """Fetch verdicts and corrected routes, and update the items. Idempotent."""
    from pipeline.review import people

    with opened(context) as workspace:
        pulled = people.pull(workspace)
        print_and_log(context, [*pulled.stages, pulled, *pulled.advice])


@review.command("status")
@common
@click.pass_context
def review_status(context: click.Context) -> None:
    """Show progress, agreement and each annotator's catch rate."""
    from pipeline.review import people

    with reading(context) as workspace:
        found = people.status(workspace)
        differing = people.differing(workspace)
        advice = people.advice(workspace)
        outside = people.outside(workspace)
    for name in sorted({*found.annotators, *found.people}):
        excluded = "; excluded, these verdicts don't count" if name in found.excluded else ""
        not_pulled = f"{found.annotators.get(name, 0)} annotations, none pulled yet"
        click.echo(f"{name}: {found.people.get(name, not_pulled)}{excluded}")
    for category, agreement in found.agreement.items():
        click.echo(f"agreement on {category}: {agreement}")
    for pair in found.synonyms[:_SYNONYMS]:
        click.echo(f"possible synonyms (see vocabulary.csv): {pair}")
    for line in found.unused:
        click.echo(f"not usable, kept as typed: {line}")
    for line in (*outside, *advice):
        click.echo(line)
    if found.hours_left is not None:
        click.echo(f"about {found.hours_left:.1f} hours of review left")
    click.echo(
        f"review status: {found.tasks} tasks: {found.done} done, {found.waiting} waiting, "
        f"{found.skipped} skipped, {differing} clips in dispute (egost review adjudicate)"
        f"{f', {found.foreign} tasks not sent by this workspace' if found.foreign else ''}; "
        f"{found.project_url}"
    )


@click.group()
def audit() -> None:
    """Have people answer items without seeing the answers."""


@audit.command("push")
@common
@click.pass_context
def audit_push(context: click.Context) -> None:
    """Send a sample of verified items without their answers. Idempotent."""
    from pipeline.review import people

    empty = "there are no verified multiple-choice items to ask; egost review status shows progress"
    _send(context, "audit push", people.audit_push, empty)


@audit.command("pull")
@common
@click.pass_context
def audit_pull(context: click.Context) -> None:
    """Fetch answers; flawed items are set aside and their clips reopened."""
    from pipeline.review import people

    with opened(context) as workspace:
        pulled = people.audit_pull(workspace)
        print_and_log(context, [*pulled.stages, pulled])


@audit.command("status")
@common
@click.pass_context
def audit_status(context: click.Context) -> None:
    """Show human accuracy, agreement and the share of flawed items."""
    from pipeline.review import people

    with reading(context) as workspace:
        found = people.audit_status(workspace)
    accuracy = {**found.people.accuracy, "all tasks": found.people.overall}
    for task, share in accuracy.items() if found.people.overall.total else ():
        click.echo(f"accuracy on {task}: {share}")
    if found.scripted:
        click.echo(f"{found.scripted} answers by scripts don't count in these figures")
    if found.people.agreement:
        click.echo(f"agreement on items: {found.people.agreement}")
    for item_id, reason in found.audit.reasons.items():
        doubted = item_id in found.audit.doubted
        why = "doubted, not set aside (needs two people)" if doubted else "flawed"
        click.echo(f"{why}: {item_id}: {reason}")
    click.echo(f"flawed items in the sample: {found.people.flawed}")
    click.echo(f"audit status: {found.tasks} tasks: {found.done} done; {found.project_url}")


@click.group("label-studio")
def label_studio() -> None:
    """Run the embedded Label Studio server, on loopback only."""


@label_studio.command("start")
@click.option("--port", default=0, show_default="a free one", help="The port to listen on.")
@folder_only
@click.pass_context
def label_studio_start(context: click.Context, port: int) -> None:
    """Start this workspace's server.

    The first start installs Label Studio in an environment of its own (1 GB).
    """
    from pipeline.flow import make_workspace
    from pipeline.labelstudio import server as labelstudio_server

    if made := make_workspace(context.ensure_object(Options).workspace):
        click.echo(made)
    click.echo(_running(labelstudio_server.start(_folder(context), port)))


@label_studio.command("stop")
@folder_only
@click.pass_context
def label_studio_stop(context: click.Context) -> None:
    """Stop this workspace's server."""
    from pipeline.labelstudio import server as labelstudio_server

    stopped = labelstudio_server.stop(_folder(context))
    click.echo("label-studio: stopped" if stopped else "label-studio: was not running")


@label_studio.command("status")
@folder_only
@click.pass_context
def label_studio_status(context: click.Context) -> None:
    """Show whether this workspace's server is running, and where."""
    from pipeline.labelstudio import server as labelstudio_server

    server = labelstudio_server.status(_folder(context))
    click.echo(_running(server) if server else "label-studio: not running")


def _folder(context: click.Context) -> "WorkspaceFolder":
    from pipeline.engine.folder import WorkspaceFolder

    return WorkspaceFolder(context.ensure_object(Options).workspace)


def _running(server: "Server") -> str:
    return f"label-studio: running at {server.url}, log in as {server.user} with {server.password}"


@label_studio.command("invite")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@common
@click.pass_context
def label_studio_invite(context: click.Context, names: tuple[str, ...]) -> None:
    """Create an account for each NAME and print its login once.

    NAME may be an e-mail address.
    """
    from pipeline.review import people

    made = 0
    with reading(context) as workspace:
        for one in people.invite(workspace, names):
            if isinstance(one, UserError):
                click.echo(str(one), err=True)
            else:
                made += 1
                click.echo(f"{one.name}: log in as {one.email} with {one.password}")
    if made:
        click.echo(
            f"label-studio invite: {made} accounts; the passwords are not stored: note them now"
        )
    if made < len(names):
        what = f"{len(names) - made} of {len(names)} people have no account"
        raise UserError(
            "label-studio invite", what, "see the errors above; invite only these again"
        )
