"""The commands that score models on a release: evaluate, score, compare."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.console import Rate, names, no_workspace, progress_bar, settings_only
from pipeline.cli.judge import judge_options, judges_of, settings_of

if TYPE_CHECKING:
    from pipeline.evaluate.item_files import ItemFile
    from pipeline.models.settings import EvaluatedModel
    from pipeline.releases.reading import Released

_RELEASE = click.Path(path_type=Path)
_parser = click.option(
    "--parser",
    default="strict",
    help="How replies are read: strict, or by the reference's rule (reference): the first capital A to D. "
    "Figures are labelled, with those of the strict parser beside them (default: strict).",
)


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
    callback=names,
    help="What models are shown, separated by commas: frames, blind, blank, one, shuffled, reversed, rotate, "
    "frames-4, frames-8, frames-16, frames-32, video; or all (of them but video) (default: frames).",
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
    callback=names,
    help="The splits, separated by commas (default: test).",
)
@click.option(
    "--items",
    type=click.IntRange(1),
    help="At most so many items with options, and as many that are answered in words, for a trial.",
)
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
    help="The release's source videos, or folders with them: for the arm video, and for --fps.",
)
@click.option(
    "--fps",
    type=Rate(0, 60, min_open=True),
    help="Frames a second, cut from --videos instead of the released ones; also of the clips of the arm video.",
)
@click.option(
    "--batch",
    is_flag=True,
    help="Ask through the server's Batch API: at half the price, within a day.",
)
@_parser
@judge_options
@click.option("--dry-run", is_flag=True, help="Send nothing; print requests, tokens and cost.")
@settings_only
@click.pass_context
def evaluate(
    context: click.Context,
    /,
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
    parser: str,
    dry_run: bool,
    **judging: Any,
) -> None:
    """Score models on a release.

    RELEASE may also be another benchmark's file (JSON, JSONL, CSV, Parquet) whose items name whole videos: of
    each, eight evenly spaced frames are cut from --videos.

    A killed run goes on where it was, and no reply is paid for twice. Metrics are printed, and written with
    all predictions to a folder in results/. Exit code 3: under 99 % of the requests have a reply.
    """
    from pipeline.errors import GateError, UserError
    from pipeline.evaluate import evaluation
    from pipeline.evaluate.in_words import InWords, Spoken
    from pipeline.releases.reading import Released
    from pipeline.report.results_page import PAGE, write_results_page

    judges = judges_of(context, **judging)
    source = _opened(folder)
    if videos and fps is None and "video" not in arms and not folder.is_file():
        fix = "add --fps, or the arm video, or leave it out"
        raise UserError(context.command_path, "--videos is not used", fix)
    options = evaluation.Options(
        arms, repeats, prompt, splits, image_pixels, items, batch, videos, fps, parser
    )
    with progress_bar("cutting") as progress:
        whole = evaluation.Evaluation(source, options, out, progress)
        in_words = InWords(source, options, whole, judges, out)
    incomplete: list[str] = []
    unjudged: UserError | None = None
    for settings in _settings(context, models, base_url, api_key_env):
        if dry_run:
            described, *judged = in_words.estimates(settings, whole.folder(settings))
            for estimate in (whole.estimate(settings) + described, *judged):
                click.echo(str(estimate))
            continue
        with progress_bar(settings.model) as progress:
            found = whole.run(settings, progress)
        for line in found.lines:
            click.echo(line)
        spoken, home = Spoken(), whole.folder(settings)
        if found.complete:  # else the server is gone, or the cap is reached
            spoken = in_words.run(settings, home, progress_bar)
        # As another parser reads the replies, and strictly.
        both = list(dict.fromkeys((found.folder, home)))
        released = source if isinstance(source, Released) else None
        page = write_results_page(both, released, home / PAGE)
        for line in (*spoken.lines, f"page: {page}", str(found)):
            click.echo(line)
        if not (found.complete and spoken.complete):
            coverage = min(found.coverage, spoken.coverage)
            kind = " about descriptions" if found.complete else ""
            error = found.error or spoken.error
            why = f" (most often, there is none because {error})" if error else ""
            incomplete.append(
                f"{settings.model}: {coverage:.1%} of the requests{kind} have a reply{why}"
            )
        unjudged = unjudged or spoken.unjudged
    if unjudged:
        raise unjudged
    if incomplete:
        raise GateError(
            context.command_path,
            f"at least 99 % of the requests need a reply; {'; '.join(incomplete)}",
            "see the column error of the Parquet files in the results, then run this again: replies are kept",
        )


def _opened(path: Path) -> "Released | ItemFile":
    """Open a release, or a file of items."""
    from pipeline.evaluate.item_files import open_file
    from pipeline.releases.reading import open_release

    return open_file(path) if path.is_file() else open_release(path)


def _settings(
    context: click.Context,
    models: tuple[str, ...],
    base_url: str | None,
    api_key_env: str | None,
) -> "Iterator[EvaluatedModel]":
    """Yield the settings of each model: those of --set evaluate.NAME=VALUE, under the options."""
    from pipeline.models.settings import EvaluatedModel

    for model in models:
        given = {"model": model, "base_url": base_url, "api_key_env": api_key_env}
        yield settings_of(context, EvaluatedModel, given)


@click.command()
@click.argument("folder", metavar="RELEASE", type=_RELEASE)
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "--answers",
    "sealed",
    type=click.Path(path_type=Path),
    help="The folder with the withheld answers.",
)
@_parser
@no_workspace
@click.pass_context
def score(
    context: click.Context, folder: Path, predictions: Path, sealed: Path | None, parser: str
) -> None:
    """Score a file of predictions.

    PREDICTIONS is a predictions.parquet, or JSONL or CSV with the columns id, and reply or letter; where both
    are given, the reply is read. A column release with the root digest of the release is checked. For withheld
    answers, only rounded figures are printed, none of fewer than 30 items. RELEASE may also be another
    benchmark's file of items.
    """
    from pipeline.errors import UserError
    from pipeline.evaluate.score import score_file

    if folder.is_file() and sealed:
        what = "--answers is for a release: in a file, no answer is withheld"
        raise UserError(context.command_path, what, "leave --answers out")
    for line in score_file(_opened(folder), predictions, sealed, parser):
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
