"""The leaderboard as files: one static page without scripts, and the same rows as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from pipeline import __version__
from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.evaluate.leaderboard import Table, to_json
from pipeline.evaluate.table import points
from pipeline.report.intervalbar import interval_bar
from pipeline.report.page import asset, csp_digest, template

PAGE, DATA = "index.html", "leaderboard.json"
_CHIPS = {"verified": "good", "reported": "warn", "contradicted": "bad"}


def write_leaderboard(tables: Sequence[Table], folder: Path) -> Path:
    """Write both files, each atomically, and return the page; raise UserError if the folder is a file."""
    if folder.exists() and not folder.is_dir():
        raise UserError(str(folder), "is no folder", "name a folder, such as leaderboard")
    made = datetime.now(UTC).isoformat(timespec="seconds")
    texts = {DATA: to_json(tables, made, __version__), PAGE: render(tables, made)}
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return folder / PAGE


def render(tables: Sequence[Table], made: str) -> str:
    """Return the page."""
    style = asset("report.css") + asset("results.css") + asset("leaderboard.css")
    return template("leaderboard.html.j2").render(
        tables=tables,
        made=made,
        chips=_CHIPS,
        interval=interval_bar,
        points=points,
        version=__version__,
        style=Markup(style),
        style_digest=csp_digest(style),
    )
