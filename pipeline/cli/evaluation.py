"""The commands that score models on a release: evaluate, score, compare."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.console import Options, no_workspace, progress_bar, settings_only

if TYPE_CHECKING:
    from pipeline.models.settings import EvaluatedModel

_RELEASE = click.Path(path_type=Path)


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


@click.command()
@click.argument("folder", metavar="RELEASE", type=_RELEASE)
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    help="The server's name of a model; may be given several times.",
)
@click.option(
    "--base-url",
    help="The models' server, OpenAI-compatible, up to /v1 (default: https://api.openai.com/v1).",
)
@click.option(
    "--arms",
    default="frames",
    callback=_names,
    help="What models are shown, separated by commas: frames, blind, blank, one, shuffled, reversed, rotate, "
    "frames-4, frames-8, frames-16, frames-32 (default: frames).",
)
@click.option(
    "--repeats", type=click.IntRange(1, 100), default=1, help="How often each item is asked."
)
@click.option(
    "--prompt",
    default="ours",
    help="The words of the question: ours, reference or direct (default: ours).",
)
@click.option(
    "--split",
    "splits",
    default="test",
    callback=_names,
    help="The splits, separated by commas (default: test).",
)
@click.option("--items", type=click.IntRange(1), help="At most so many items, for a trial.")
@click.option(
    "--image-pixels",
    type=click.IntRange(32, 4096),
    help="Scale frames down to so many pixels on the longer side (default: as released).",
)
@click.option(
    "--api-key-env", help="The environment variable that holds the key of the models' server."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    help="Where results go (default: results).",
)
@click.option(
    "--videos",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The release's source videos, or folders with them, to cut --fps frames a second from.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 60, min_open=True),
    help="Frames a second, cut from --videos instead of the released ones.",
)
@click.option(
    "--batch",
    is_flag=True,
    help="Ask through the server's Batch API: at half the price, within a day.",
)
@click.option("--dry-run", is_flag=True, help="Send nothing; print requests, tokens and cost.")
@settings_only
@click.pass_context
def evaluate(
    context: click.Context,
    folder: Path,
    models: tuple[str, ...],
    base_url: str | None,
    arms: tuple[str, ...],
    repeats: int,
    prompt: str,
    splits: tuple[str, ...],
    items: int | None,
    image_pixels: int | None,
    api_key_env: str | None,
    out: Path,
    videos: tuple[Path, ...],
    fps: float | None,
    batch: bool,
    dry_run: bool,
) -> None:
    """Score models on a release's multiple-choice items.

    A killed run goes on where it was, and no reply is paid for twice. Metrics are printed, and written with
    all predictions to a folder in results/. Exit code 3: under 99 % of the requests have a reply.
    """
    from pipeline.errors import GateError, UserError
    from pipeline.evaluate import evaluation
    from pipeline.releases.reading import open_release
    from pipeline.report.results_page import write_results_page

    if (fps is None) != (not videos):
        raise UserError(
            context.command_path, "--videos and --fps go together", "give both, or leave both out"
        )
    options = evaluation.Options(
        arms, repeats, prompt, splits, image_pixels, items, batch, videos, fps
    )
    with progress_bar("frames") as progress:
        released = open_release(folder)
        whole = evaluation.Evaluation(released, options, out, progress)
    incomplete = []
    for settings in _settings(context, models, base_url, api_key_env):
        if dry_run:
            click.echo(str(whole.estimate(settings)))
            continue
        with progress_bar(settings.model) as progress:
            found = whole.run(settings, progress)
        page = write_results_page([found.folder], released)
        for line in (*found.lines, str(found), f"evaluate: every item with its replies: {page}"):
            click.echo(line)
        if not found.complete:
            incomplete.append(found)
    if incomplete:
        first = incomplete[0]
        raise GateError(
            first.identity.model,
            f"{first.coverage:.1%} of the requests have a reply, at least 99 % are needed",
            "see the column error of predictions.parquet, then run this again: replies are kept",
        )


def _settings(
    context: click.Context,
    models: tuple[str, ...],
    base_url: str | None,
    api_key_env: str | None,
) -> "Iterator[EvaluatedModel]":
    """Yield the settings of each model: those of --set evaluate.NAME=VALUE, under the options."""
    from pipeline.engine.config import Config
    from pipeline.models.settings import EvaluatedModel

    section = EvaluatedModel.section
    for model in models:
        given = {"model": model, "base_url": base_url, "api_key_env": api_key_env}
        named = [
            f"{section}.{name}={json.dumps(value)}"
            for name, value in given.items()
            if value is not None
        ]
        overrides = [*context.ensure_object(Options).overrides, *named]
        config = Config.load(Path("no file"), {section: EvaluatedModel}, overrides)
        yield config.settings(section, EvaluatedModel)


@click.command()
@click.argument("folder", metavar="RELEASE", type=_RELEASE)
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "--answers",
    "sealed",
    type=click.Path(path_type=Path),
    help="The folder with the withheld answers.",
)
@no_workspace
def score(folder: Path, predictions: Path, sealed: Path | None) -> None:
    """Score a file of predictions.

    PREDICTIONS is a predictions.parquet, or JSONL or CSV with the columns id, and reply or letter. For
    withheld answers, only rounded figures are printed, none of fewer than 30 items.
    """
    from pipeline.evaluate.score import score_file
    from pipeline.releases.reading import open_release

    for line in score_file(open_release(folder), predictions, sealed):
        click.echo(line)


@click.command()
@click.argument(
    "folders", metavar="RESULTS...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--arm", default="frames", help="The arm to compare (default: frames).")
@click.option(
    "--anyway", is_flag=True, help="Also compare results of other prompts or image sizes."
)
@no_workspace
def compare(folders: tuple[Path, ...], arm: str, anyway: bool) -> None:
    """Compare the results of models on one release, item by item.

    RESULTS are folders that egost evaluate wrote; each is compared with the first.
    """
    from pipeline.evaluate.score import compare_folders

    for line in compare_folders(folders, arm, anyway=anyway):
        click.echo(line)
