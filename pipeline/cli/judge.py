"""The commands with which people score descriptions, to compare a judge with them."""

from pathlib import Path

import click

from pipeline.cli.console import common, opened

_RESULTS = click.Path(path_type=Path)


@click.group()
def judge() -> None:
    """Have people score a model's descriptions as a judge does."""


@judge.command("push")
@click.argument("folder", metavar="RESULTS", type=_RESULTS)
@click.option(
    "--sample",
    type=click.IntRange(1, 10_000),
    default=50,
    help="How many descriptions (default: 50).",
)
@click.option(
    "--overlap",
    type=click.IntRange(1, 5),
    default=2,
    help="How many people score each description (default: 2).",
)
@common
@click.pass_context
def judge_push(context: click.Context, folder: Path, sample: int, overlap: int) -> None:
    """Send a sample of descriptions to Label Studio. Idempotent.

    RESULTS is a folder that egost evaluate wrote. The workspace's server is used; the page shows question,
    reference and answer, and asks for three scores from 0 to 5.
    """
    from pipeline.evaluate import judge_people
    from pipeline.review import people

    with opened(context) as workspace:
        client = people.connect(workspace)
        click.echo(str(judge_people.push(client, workspace.folder, folder, sample, overlap)))


@judge.command("pull")
@click.argument("folder", metavar="RESULTS", type=_RESULTS)
@common
@click.pass_context
def judge_pull(context: click.Context, folder: Path) -> None:
    """Fetch people's scores, and print how far judges agree with them. Idempotent.

    RESULTS is the folder that was pushed. Scores go to its people.jsonl, agreement to its results.json.
    """
    from pipeline.evaluate import judge_people
    from pipeline.review import people

    with opened(context) as workspace:
        client = people.connect(workspace)
        for line in judge_people.pull(client, workspace.folder, folder).lines():
            click.echo(line)
