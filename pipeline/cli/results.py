"""The commands that show what models scored: results, leaderboard."""

from pathlib import Path

import click

from pipeline.cli.console import no_workspace, progress_bar

_FOLDERS = click.argument(
    "folders", metavar="RESULTS...", nargs=-1, required=True, type=click.Path(path_type=Path)
)


@click.command()
@_FOLDERS
@click.option(
    "--release",
    "release",
    type=click.Path(path_type=Path),
    help="The release that the models were scored on: without it, the page has no frames and no prompts.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write (default: page.html in RESULTS; of several, beside the first).",
)
@no_workspace
def results(folders: tuple[Path, ...], release: Path | None, out: Path | None) -> None:
    """Write one HTML file about results, of several models side by side.

    It shows metrics, and every item with the frames and the prompt that were sent, the replies, and the letter that was
    read. RESULTS are folders that egost evaluate wrote, all for one release. Withheld items are left out.
    """
    from pipeline.releases.reading import open_release
    from pipeline.report.results_page import write_results_page

    with progress_bar("results") as progress:
        released = open_release(release) if release else None
        path = write_results_page(folders, released, out, progress)
    click.echo(f"results: {len(folders)} in {path} ({path.stat().st_size / 1e6:.1f} MB)")


@click.command()
@_FOLDERS
@click.option(
    "--release",
    "releases",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A release that results are of: their replies are then scored again with its answers. May be given several times.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("leaderboard"),
    help="The folder for index.html and leaderboard.json (default: leaderboard).",
)
@no_workspace
def leaderboard(folders: tuple[Path, ...], releases: tuple[Path, ...], out: Path) -> None:
    """Write a leaderboard of results: a static page and a JSON file.

    RESULTS are folders that egost evaluate wrote, or that have a results.json alone. Rows are verified where replies are
    there and their --release is given, otherwise as reported. Different releases and items have tables of their own.
    """
    from pipeline.evaluate.leaderboard import leaderboard as tables_of
    from pipeline.report.leaderboard_page import write_leaderboard

    with progress_bar("leaderboard") as progress:
        tables = tables_of(folders, releases, progress)
        path = write_leaderboard(tables, out)
    for table in tables:
        counts = [row.status for row in table.rows if row.kind == "model"]
        told = ", ".join(f"{counts.count(one)} {one}" for one in dict.fromkeys(counts))
        click.echo(f"{table.dataset} {table.version}, {table.items}: {told}")
    click.echo(f"leaderboard: {len(tables)} tables in {path}")
