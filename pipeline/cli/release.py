"""The commands about releases: gates, export, release, verify, diff, import."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.console import (
    Options,
    answers_option,
    common,
    no_workspace,
    opened,
    print_and_log,
    reading,
    refuse,
    refuse_answers,
)

_SHOWN = 20
"""Rows with mistakes that egost gates lists."""

if TYPE_CHECKING:
    from pipeline.blind.answers import Reading


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every row.")
@answers_option
@common
@click.pass_context
def gates(
    context: click.Context, file: Path | None, as_json: bool, answers: "Reading | None"
) -> None:
    """Check the gates without exporting.

    Checks the workspace's items or those in FILE, also without the video, like egost blind. For each
    gate: its value, its limit, the rows that fail it (egost show ID shows one) and a fix.
    """
    from pipeline.blind.cells import LIMITS
    from pipeline.blind.files import read_benchmark
    from pipeline.errors import GateError
    from pipeline.releases import export as stage
    from pipeline.releases import foreign
    from pipeline.releases.blindgate import blind_items
    from pipeline.releases.settings import ExportSettings
    from pipeline.review.settings import ReviewSettings

    if file:
        refuse(context, "with FILE")
        found = read_benchmark(file, answers)
        if not found.items:
            click.echo(json.dumps(found.to_json()) if as_json else found.without_items)
            return
        audited = foreign.audit(found)
        points, task_points = (100 * limit for limit in LIMITS)
        probed = blind_items(found.items, points, task_points)
        measured = stage.GateResults([*audited.gates, probed], ())
        if not as_json:
            for line in (f"answers: {found.answers}", *audited.lines(_SHOWN)):
                click.echo(line)
    else:
        refuse_answers(context, answers)
        with reading(context) as workspace:
            settings = workspace.settings("export", ExportSettings)
            review = workspace.settings("review", ReviewSettings)
            measured = stage.measure(workspace.store, settings, review)
    if as_json:
        click.echo(measured.as_json())
    else:
        for line in measured.lines():
            click.echo(line)
    failed = [gate for gate in measured.gates if gate.state == "failed"]
    if failed:
        what = f"{len(failed)} of {len(measured.gates)} not met"
        raise GateError("gates", what, failed[0].fix)
    if not as_json:
        unproven = [gate.name for gate in measured.gates if gate.state == "unproven"]
        met, total = len(measured.gates) - len(unproven), len(measured.gates)
        click.echo(
            f"gates: {met} of {total} met; unproven: {', '.join(unproven)}"
            if unproven
            else f"gates: all {total} met"
        )


@click.command()
@click.argument("version")
@click.option(
    "--allow-failing",
    is_flag=True,
    help="Write the release even if gates fail; its card names them.",
)
@click.option(
    "--withhold",
    metavar="SPLIT",
    multiple=True,
    help="Withhold the answers of this split: write them to a private folder, for scoring.",
)
@common
@click.pass_context
def export(
    context: click.Context, version: str, allow_failing: bool, withhold: tuple[str, ...]
) -> None:
    """Check the gates, then write an immutable release.

    VERSION is a semantic version such as 1.0.0.
    """
    from pipeline.releases import export as stage
    from pipeline.releases.settings import ExportSettings
    from pipeline.releases.stills import forget_damaged
    from pipeline.review.settings import ReviewSettings

    if withhold:
        splits = ", ".join(f'"{split}"' for split in withhold)
        context.ensure_object(Options).overrides.append(f"export.withhold=[{splits}]")
    with opened(context) as workspace:
        settings = workspace.settings("export", ExportSettings)
        stage.check_version(workspace.folder, version)
        damaged = forget_damaged(workspace.store)
        done: list[object] = [f"stills: {damaged} missing or changed, cut again"] if damaged else []
        done += workspace.run_command("export")
        made = stage.export(
            workspace.store,
            workspace.folder,
            version,
            settings,
            workspace.settings("review", ReviewSettings),
            workspace.recorded(),
            allow_failing=allow_failing,
        )
        for gate in made.gates:
            click.echo(str(gate))
        for why, count in made.left_out.items():
            click.echo(f"left out: {count} items {why} (egost gates lists them)")
        kept = [f"export: the withheld answers are in {made.sealed}"] if made.sealed else []
        print_and_log(context, [*done, *kept, made])


@click.group()
def release() -> None:
    """Maintain published releases."""


@release.command("take-down")
@click.argument("video")
@common
@click.pass_context
def release_take_down(context: click.Context, video: str) -> None:
    """Write the next version without a video.

    VIDEO is its path or sha256 as a release's manifest.json has it, or the id of one of its spans. No
    later version will contain it.
    """
    from pipeline.releases.takedown import take_video_down

    with opened(context) as workspace:
        print_and_log(context, [take_video_down(workspace.folder, video)])


@release.command("hydrate")
@click.argument("folder", metavar="RELEASE", type=click.Path(path_type=Path))
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@no_workspace
def release_hydrate(folder: Path, videos: tuple[Path, ...]) -> None:
    """Restore frames that a licence kept out of a release.

    They are cut from your own copies of the videos: VIDEOS are files, or folders that are searched
    with their subfolders.
    """
    from pipeline.releases.hydrate import hydrate
    from pipeline.releases.reading import open_release

    click.echo(str(hydrate(open_release(folder), videos)))


@click.command()
@click.argument("folder", metavar="RELEASE", type=click.Path(path_type=Path))
@click.option(
    "--digest", help="The root digest that export printed; proves that SHA256SUMS is unchanged."
)
@no_workspace
def verify(folder: Path, digest: str | None) -> None:
    """Check a release's files and columns; recompute its gates."""
    from pipeline.releases.verify import verify as verified

    click.echo(str(verified(folder, digest)))


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@no_workspace
def diff(before: Path, after: Path, as_json: bool) -> None:
    """Compare two releases row by row."""
    from pipeline.releases.difference import difference
    from pipeline.releases.reading import open_release

    found = difference(open_release(before), open_release(after))
    if as_json:
        click.echo(found.as_json())
        return
    for line in found.lines():
        click.echo(line)
    click.echo(str(found))


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), help="Write the items to this JSONL file.")
@answers_option
@no_workspace
def import_(file: Path, to: Path | None, answers: "Reading | None") -> None:
    """Read another benchmark and check it row by row.

    FILE is JSON, JSONL, CSV or Parquet; the options may be part of the question's text. With --to,
    the items are written in the format that egost blind and egost gates read.
    """
    from pipeline.blind.files import read_benchmark
    from pipeline.releases import foreign

    found = read_benchmark(file, answers)
    if not found.items:
        click.echo(found.without_items)
        return
    audited = foreign.audit(found)
    for line in audited.lines():
        click.echo(line)
    for gate in audited.gates:
        click.echo(str(gate))
    if to:
        foreign.write(found, to)
        click.echo(f"import: wrote {to}; probe it with: egost blind {to}")
    skipped = f", skipped: {found.left_out}" if found.skipped else ""
    click.echo(
        f"import: {file}: {len(found.items)} multiple-choice items read, answers are {found.answers}, "
        f"{len(found.faults)} rows can't be read{skipped}"
    )
