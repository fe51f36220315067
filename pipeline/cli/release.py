"""The commands around a release: export, gates, verify, diff, report."""

import sys
from pathlib import Path

import click

from pipeline.cli.console import Options, common, opened, tell


def add_release_commands(group: click.Group) -> None:
    """Add them to the command line, in the order of the work."""
    for command in (gates, export, release, verify, diff, report, import_):
        group.add_command(command)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every row.")
@common
@click.pass_context
def gates(context: click.Context, file: Path | None, as_json: bool) -> None:
    """Show what an export would be measured by, without exporting; or measure a FILE of items.

    Each gate tells its figure, the limit, the rows at fault (egost show ID shows one) and a remedy.
    """
    from pipeline.errors import GateError
    from pipeline.releases import export as stage
    from pipeline.releases import foreign
    from pipeline.releases.settings import ExportSettings

    if file:
        measured = stage.GateResults(foreign.audit(foreign.read(file)), ())
    else:
        with opened(context) as workspace:
            settings = workspace.config.settings("export", ExportSettings)
            measured = stage.measure(workspace.store, settings)
    if as_json:
        click.echo(measured.as_json())
    else:
        for line in measured.lines():
            click.echo(line)
    failed = [gate for gate in measured.gates if not gate.met]
    if failed:
        what = f"{len(failed)} of {len(measured.gates)} not met"
        raise GateError("gates", what, failed[0].fix)
    if not as_json:
        click.echo(f"gates: all {len(measured.gates)} met")


@click.command()
@click.argument("version")
@click.option(
    "--allow-failing", is_flag=True, help="Release even so; the card says which gates failed."
)
@click.option(
    "--withhold",
    metavar="SPLIT",
    multiple=True,
    help="Keep the answers of this split at home, sealed, for a scorer.",
)
@common
@click.pass_context
def export(
    context: click.Context, version: str, allow_failing: bool, withhold: tuple[str, ...]
) -> None:
    """Check the gates, then write the release VERSION (such as 1.0.0), which never changes again."""
    from pipeline.releases import export as stage
    from pipeline.releases.settings import ExportSettings
    from pipeline.releases.stills import forget_damaged

    if withhold:
        splits = ", ".join(f'"{split}"' for split in withhold)
        context.ensure_object(Options).overrides.append(f"export.withhold=[{splits}]")
    with opened(context) as workspace:
        settings = workspace.config.settings("export", ExportSettings)
        stage.check_version(workspace.folder, version)
        damaged = forget_damaged(workspace.store)
        done: list[object] = [f"stills: {damaged} missing or changed, cut again"] if damaged else []
        done += workspace.run_command("export")
        made = stage.export(
            workspace.store,
            workspace.folder,
            version,
            settings,
            workspace.recorded(),
            allow_failing=allow_failing,
        )
        for gate in made.gates:
            click.echo(str(gate))
        for why, count in made.left_out.items():
            click.echo(f"left out: {count} items {why} (egost gates names them)")
        splits = ", ".join(f"{count} {split}" for split, count in made.counts.items())
        line = f"export: {sum(made.counts.values())} items ({splits}) in {made.folder}; root digest {made.root_digest}"
        kept = [f"export: the withheld answers are in {made.sealed}"] if made.sealed else []
        tell(context, workspace, [*done, *kept, line])


@click.group()
def release() -> None:
    """What may become necessary once a release is out."""


@release.command("take-down")
@click.argument("video")
@common
@click.pass_context
def release_take_down(context: click.Context, video: str) -> None:
    """Make the next version without VIDEO (its path or sha256 in a manifest), and keep it out for good."""
    from pipeline.releases.takedown import take_video_down

    with opened(context) as workspace:
        tell(context, workspace, [take_video_down(workspace.folder, video)])


@release.command("hydrate")
@click.argument("folder", metavar="RELEASE", type=click.Path(path_type=Path))
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@common
def release_hydrate(folder: Path, videos: tuple[Path, ...]) -> None:
    """Cut pictures that a licence kept out of RELEASE from your own copies below VIDEOS."""
    from pipeline.releases.hydrate import hydrate
    from pipeline.releases.reading import open_release

    click.echo(str(hydrate(open_release(folder), videos)))


@click.command()
@click.argument("folder", metavar="RELEASE", type=click.Path(path_type=Path))
@click.option("--digest", help="The root digest that export printed: it vouches for SHA256SUMS.")
@common
def verify(folder: Path, digest: str | None) -> None:
    """Check a RELEASE folder: its bytes, its columns, and the gates' figures, recomputed."""
    from pipeline.releases.verify import verify as verified

    click.echo(str(verified(folder, digest)))


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common
def diff(before: Path, after: Path, as_json: bool) -> None:
    """Tell two release folders apart, row by row."""
    from pipeline.releases.difference import difference
    from pipeline.releases.reading import open_release

    found = difference(open_release(before), open_release(after))
    if as_json:
        click.echo(found.as_json())
        return
    for line in found.lines():
        click.echo(line)
    click.echo(str(found))


@click.command()
@click.argument("folder", metavar="[RELEASE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--to", type=click.Path(path_type=Path), help="The file to write (default: report.html)."
)
@common
@click.pass_context
def report(context: click.Context, folder: Path | None, to: Path | None) -> None:
    """Write one HTML file that shows the workspace, or a RELEASE folder: pictures first."""
    from tqdm import tqdm

    from pipeline.releases.reading import open_release
    from pipeline.report.gallery import gallery_of
    from pipeline.report.page import write_report
    from pipeline.report.release_gallery import gallery_of_release

    root = context.ensure_object(Options).workspace
    if folder:
        gallery = gallery_of_release(open_release(folder))
        # Beside the release, not in it: what is released never changes.
        target = to or folder.parent / f"{folder.name}.html"
    else:
        with opened(context) as workspace:
            gallery = gallery_of(workspace.store, workspace.folder)
        target = to or root / "report.html"
    with tqdm(desc="report", disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        write_report(gallery, target, progress)
    size = target.stat().st_size / 1e6
    click.echo(f"report: {len(gallery.clips)} clips in {target} ({size:.1f} MB)")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--to", type=click.Path(path_type=Path), help="Write the items here in our form, as JSONL."
)
@common
def import_(file: Path, to: Path | None) -> None:
    """Read somebody's benchmark (JSON, JSONL, Parquet; options may stand in the question) and audit it row by row."""
    from pipeline.releases import foreign

    found = foreign.read(file)
    results = foreign.audit(found)
    for line in foreign.faults_by_row(found, results):
        click.echo(line)
    for gate in results:
        click.echo(str(gate))
    if to:
        foreign.write(found, to)
        click.echo(f"import: written to {to}; egost blind {to} probes it")
    click.echo(str(found))
