"""The commands that only look: report, blind, status, rejections, show, prompts check."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.console import (
    Options,
    answers_option,
    common,
    no_workspace,
    progress_bar,
    reading,
    refuse,
    refuse_answers,
)
from pipeline.errors import UserError, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.blind.answers import Reading
    from pipeline.blind.picks import Picks
    from pipeline.blind.sheet import ProbeItem


@click.command()
@click.argument("folder", metavar="[RELEASE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="The file to write (default: report.html in the workspace, or RELEASE.html beside the release).",
)
@common
@click.pass_context
def report(context: click.Context, folder: Path | None, to: Path | None) -> None:
    """Write one HTML file about the workspace or a RELEASE.

    It shows the funnel from files to pairs, figures, and every clip with its keyframes and pairs.
    """
    from pipeline.releases.reading import open_release
    from pipeline.report.gallery import gallery_of
    from pipeline.report.page import write_report
    from pipeline.report.release_gallery import gallery_of_release
    from pipeline.review.settings import ReviewSettings

    root = context.ensure_object(Options).workspace
    if folder:
        refuse(context, "with RELEASE")
        gallery = gallery_of_release(open_release(folder))
        # Beside the release, not in it: a release never changes.
        target = to or folder.parent / f"{folder.name}.html"
    else:
        with reading(context) as workspace:
            review = workspace.settings("review", ReviewSettings)
            gallery = gallery_of(workspace.store, workspace.folder, review)
        target = to or root / "report.html"
    with progress_bar("report") as progress:
        write_report(gallery, target, progress)
    size = target.stat().st_size / 1e6
    click.echo(f"report: {len(gallery.clips)} clips in {target} ({size:.1f} MB)")


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--html",
    "page",
    metavar="PAGE",
    type=click.Path(path_type=Path),
    help="Write an HTML page as well: what leaks, why, and which items are easiest to guess.",
)
@click.option(
    "--explain", metavar="ID", help="Print what readers used on one item instead of the report."
)
@click.option("--quick", is_flag=True, help="Run the learned probe alone.")
@click.option(
    "--earlier",
    metavar="OLD",
    type=click.Path(path_type=Path),
    help="An earlier version of the items: report what the corrections since then give away.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="Also ask a language model up to 600 items of FILE, without images. The key is read from "
    "OPENAI_API_KEY; replies are kept, so that a repeated run asks only what is missing.",
)
@click.option(
    "--base-url",
    metavar="URL",
    help="The model's server, OpenAI-compatible, up to /v1 (default: https://api.openai.com/v1).",
)
@answers_option
@common
@click.pass_context
def blind(
    context: click.Context,
    file: Path | None,
    as_json: bool,
    page: Path | None,
    explain: str | None,
    quick: bool,
    earlier: Path | None,
    model: str | None,
    base_url: str | None,
    answers: "Reading | None",
) -> None:
    """Measure how well items can be answered without video.

    Probes the workspace's items or those in FILE (JSON, JSONL, CSV or Parquet of any benchmark, also
    nested). For each category and kinds of facts it reports a leak, no leak found, or too few to tell
    (under 600 independent questions). Of more than 5,000 items, whole groups are sampled. Reports only;
    never fails.
    """
    from pipeline.blind.items import blind_report
    from pipeline.releases.settings import ExportSettings

    for one, given in (("--html", page), ("--model", model)):
        if given and explain is not None:
            what = f"{one} and --explain can't be used together"
            raise UserError(context.command_path, what, "leave one of them out")
    if model is not None and file is None:
        what = "--model asks about the items of a FILE, but there is no FILE"
        fix = "name a file or a release; a workspace asks its model while it composes (draft.guess)"
        raise UserError(context.command_path, what, fix)
    if base_url is not None and model is None:
        what = "--base-url is the server of a --model, but there is no --model"
        raise UserError(context.command_path, what, "name the model, or leave --base-url out")
    write = None
    if page:
        from pipeline.report.blindpage import page_writer

        write = page_writer(page)
    with progress_bar("blind") as progress:
        asked: dict[str, Any] = {
            "earlier": earlier,
            "quick": quick,
            "page": write,
            "explain": explain,
            "progress": progress,
        }
        if file is not None:
            refuse(context, "with FILE", but=("--set",) if model is not None else ())
            ask = _asking(context, file, model, base_url, progress) if model is not None else None
            told = blind_report(file, None, as_json, answers, ask=ask, **asked)
        else:
            refuse_answers(context, answers)
            with reading(context) as workspace:
                limits = workspace.settings("export", ExportSettings).blind_limits
                told = blind_report(None, workspace.store, as_json, limits=limits, **asked)
    click.echo(told)
    if page:
        click.echo(f"blind: wrote {page}", err=True)


def _asking(
    context: click.Context,
    file: Path,
    model: str,
    base_url: str | None,
    progress: Callable[[int, int], None],
) -> "Callable[[Sequence[ProbeItem]], Picks]":
    """Return a function that asks a model; its server, prices and limits are those of --set draft.NAME=VALUE."""
    from pipeline.blind.asking import PATIENCE, ask_model, replies_of
    from pipeline.engine.config import Config
    from pipeline.flow import SECTIONS
    from pipeline.routes.settings import DraftSettings

    folder = replies_of(file)
    named = [f"draft.model={json.dumps(model)}"]
    named += [f"draft.base_url={json.dumps(base_url)}"] if base_url is not None else []
    overrides = [*PATIENCE, *context.ensure_object(Options).overrides, *named]
    config = Config.load(folder.config, SECTIONS, overrides)
    settings = config.settings("draft", DraftSettings)
    return lambda items: ask_model(items, settings, folder, progress)


@click.command()
@common
@click.pass_context
def status(context: click.Context) -> None:
    """Summarize the workspace."""
    from pipeline.report import glance

    with reading(context) as workspace:
        for line in glance.status(workspace.store):
            click.echo(line)


@click.command()
@click.argument("unit", metavar="[ID]", required=False)
@click.option("--all", "each", is_flag=True, help="List each one, not one line for each reason.")
@common
@click.pass_context
def rejections(context: click.Context, unit: str | None, each: bool) -> None:
    """List what failed or was refused, and which questions could not be asked.

    Grouped by reason, with a count, up to three examples and a fix; failures come first. With ID (a
    clip, or a video or its path), each one of that clip or video is listed.
    """
    from pipeline.engine.rows import Rejection
    from pipeline.flow import STAGES
    from pipeline.motion.rows import Clip
    from pipeline.report.refused import by_reason
    from pipeline.sources.rows import Video

    with reading(context) as workspace:
        found = workspace.store.rows(Rejection)
        if unit is not None:
            videos = [v for v in workspace.store.rows(Video) if unit in (v.path, v.video_id)]
            ids = {video.video_id for video in videos}
            wanted = {unit, *ids, *(video.path for video in videos)}
            wanted |= {c.clip_id for c in workspace.store.rows(Clip) if c.video_id in ids}
            found = [row for row in found if row.unit in wanted]
    groups = by_reason(found, [stage.name for stage in STAGES], each=each or unit is not None)
    for one in groups:
        shown = plain(", ".join(one.units[:3]))
        what, fix = plain(one.what), plain(one.fix)
        if len(one.units) == 1:
            click.echo(f"{one.stage}: {shown}: {what}\n  fix: {fix}")
            continue
        more = f" and {len(one.units) - 3} more" if len(one.units) > 3 else ""
        click.echo(
            f"{one.stage}: {what}\n  {len(one.units)} of this kind: {shown}{more}\n  fix: {fix}"
        )
    failed = sum(len(one.units) for one in groups if one.failed)
    kinds = f" (failed or refused: {failed}, questions not asked: {len(found) - failed})"
    click.echo(f"rejections: {len(found)}{kinds}" if found else "rejections: none")


@click.command()
@click.argument("unit", metavar="ID")
@common
@click.pass_context
def show(context: click.Context, unit: str) -> None:
    """Show everything known about a video, clip or item.

    ID may also be a video's path. For a video or a clip, an image of each clip is written as well.
    """
    from pipeline.report import glance

    with reading(context) as workspace:
        for line in glance.show(workspace.store, workspace.folder, unit):
            click.echo(line)


@click.group()
def prompts() -> None:
    """Check the prompt templates."""


@prompts.command("check")
@no_workspace
def prompts_check() -> None:
    """Render every template with sample data in every language.

    Mistakes are reported with file and line.
    """
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
        count = f"{len(problems)} mistake{'s' * (len(problems) > 1)}"
        raise UserError("prompts", count, "correct the lines listed above")
    click.echo("prompts check: all templates render")
