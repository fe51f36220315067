"""The options for judges of descriptions, and the commands with which people score the same."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.console import Options, common, names, opened

if TYPE_CHECKING:
    from pipeline.evaluate.in_words import JudgeOptions
    from pipeline.models.settings import ModelSettings

AnyModel = TypeVar("AnyModel", bound="ModelSettings")
AnyCommand = TypeVar("AnyCommand", bound=Callable[..., Any])
_RESULTS = click.Path(path_type=Path)


_OPTIONS = (
    click.option(
        "--judge-model",
        "judge_models",
        multiple=True,
        help="A model that scores descriptions, by its server's name for it; a second one may be given.",
    ),
    click.option(
        "--judge-base-url",
        "judge_urls",
        multiple=True,
        help="The judge's server, up to /v1; with two judges, one for each (default: https://api.openai.com/v1).",
    ),
    click.option(
        "--judge-api-key-env",
        "judge_keys",
        multiple=True,
        help="The environment variable that holds the judge's key; with two judges, one for each.",
    ),
    click.option(
        "--rubric",
        "rubrics",
        default="ours",
        callback=names,
        help="The rules by which a judge scores: ours, reference, or both with a comma (default: ours).",
    ),
    click.option(
        "--judge-repeats",
        type=click.IntRange(1, 20),
        default=3,
        help="How often a judge scores each description (default: 3).",
    ),
)


def judge_options(command: AnyCommand) -> AnyCommand:
    """Give a command the options that name judges; `judges_of` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def judges_of(
    context: click.Context,
    judge_models: tuple[str, ...],
    judge_urls: tuple[str, ...],
    judge_keys: tuple[str, ...],
    rubrics: tuple[str, ...],
    judge_repeats: int,
) -> "JudgeOptions":
    """Return the judges with their settings: those of --set judge.NAME=VALUE or second_judge.NAME=VALUE, under the options.

    Raise UserError if the options don't fit together.
    """
    from pipeline.errors import UserError
    from pipeline.evaluate.in_words import JudgeOptions
    from pipeline.models.settings import JudgeModel, SecondJudgeModel

    kinds = (JudgeModel, SecondJudgeModel)
    if len(judge_models) > len(kinds):
        raise UserError("--judge-model", "is given more than twice", "give one judge, or two")
    if len({*judge_models}) < len(judge_models):
        raise UserError("--judge-model", "names one model twice", "give two models of two families")
    for name, given in (("--judge-base-url", judge_urls), ("--judge-api-key-env", judge_keys)):
        if given and len(given) != len(judge_models):
            what = f"is given {len(given)} times for {len(judge_models)} judges"
            raise UserError(name, what, "give it once for each --judge-model, in the same order")
    judges = [
        settings_of(
            context,
            kinds[at],
            {
                "model": model,
                "base_url": judge_urls[at] if judge_urls else None,
                "api_key_env": judge_keys[at] if judge_keys else None,
            },
        )
        for at, model in enumerate(judge_models)
    ]
    return JudgeOptions(judges, rubrics, judge_repeats)


def settings_of(
    context: click.Context, kind: "type[AnyModel]", given: "Mapping[str, str | None]"
) -> "AnyModel":
    """Return a model's settings: those of --set, under what is given here."""
    from pipeline.engine.config import Config
    from pipeline.models import settings

    kinds = (
        settings.EvaluatedModel,
        settings.JudgeModel,
        settings.SecondJudgeModel,
        settings.ThinkModel,
    )
    known = {one.section: one for one in kinds}
    named = [
        f"{kind.section}.{name}={json.dumps(value)}"
        for name, value in given.items()
        if value is not None
    ]
    overrides = [*context.ensure_object(Options).overrides, *named]
    return Config.load(Path("no file"), known, overrides).settings(kind.section, kind)


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
