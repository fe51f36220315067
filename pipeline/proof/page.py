"""The files of a proof: one HTML page without scripts, the same as JSON and CSV, and its plots as SVG."""

import base64
from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from pipeline import __version__
from pipeline.engine.folder import write_atomic
from pipeline.evaluate.arms import ARMS as SHOWS
from pipeline.evaluate.arms import FRAMES
from pipeline.evaluate.scoring import REVERSED
from pipeline.evaluate.table import points
from pipeline.proof import drawing
from pipeline.proof.asking import MODES, Condition
from pipeline.proof.drawing import Row
from pipeline.proof.gain import ARMS, BLANK, SHUFFLED
from pipeline.proof.models import ProofModel
from pipeline.proof.report import Found
from pipeline.releases.plots import Plot
from pipeline.report.intervalbar import interval_bar
from pipeline.report.page import asset, csp_digest, template

PAGE, DATA, CELLS, PLOTS = "report.html", "report.json", "cells.csv", "plots"
_CHIPS = {"shown": "good", "part": "warn", "not shown": "bad", "no gain": "bad"}
_READ = {
    FRAMES: "What a model can do.",
    BLANK: "Nothing to see: what is right here comes from the text, from habits with letters, or from chance.",
    SHUFFLED: "The same question and answer. A model that uses the order of the frames falls here; a model that doesn't stays.",
    REVERSED: "Scored by what is true of the reversed frames, and only asked where that is one of the options: so it has fewer and other "
    "items than the other arms, and isn't to be compared with them. A model that sees order is right here too; one that repeats what fits the "
    "frames in order is wrong. See the table on order.",
}
_FACTS = ("preset", "model", "family", "blind", "seed", "steps", "seconds", "trained_parameters", "peak_gib", "started", "finished")  # fmt: skip
_LONGEST_CARD = 20_000  # characters


def write_proof(found: Found, folder: Path) -> Path:
    """Write all files, each atomically, and return the page."""
    drawn = dict(plots(found))
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    for name, plot in drawn.items():
        write_atomic(folder / PLOTS / f"{name}.svg", drawing.standalone(plot).encode())
    texts = {DATA: found.to_json(), CELLS: found.to_csv(), PAGE: render(found, drawn)}
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return folder / PAGE


def plots(found: Found) -> Iterator[tuple[str, Plot]]:
    """Yield the plots by the names of their files."""
    for of in _by_weight(found):
        arms = {
            arm: {
                one.model.title: one.accuracy
                for one in found.cells
                if one.condition == of and one.arm == arm
            }
            for arm in ARMS
        }
        yield f"accuracy-{_slug(of)}", drawing.accuracy(str(of), arms, found.chance)
    for of in _by_weight(found):
        rows = []
        for one in found.changes[of]:
            rows += [
                Row(f"{one.model} over {one.over}"),
                Row("with frames", f"is-{one.model}", one.by_arm.get(FRAMES)),
                Row("with grey images", "is-base", one.by_arm.get(BLANK)),
                Row("difference", "difference", one.visual),
            ]
        if rows:
            yield f"gains-{_slug(of)}", drawing.gains(str(of), rows)


def _by_weight(found: Found) -> list[Condition]:
    """Return the conditions, that of the headline first."""
    headline = found.proof.headline
    return sorted(found.proof.conditions, key=lambda of: (of.fps != headline.fps, of != headline))


def _slug(of: Condition) -> str:
    return f"{of.mode}-{'released' if of.fps is None else f'{of.fps:g}fps'}"


def render(found: Found, drawn: "dict[str, Plot]") -> str:
    """Return the page."""
    style = asset("report.css") + asset("results.css") + asset("proof.css")
    manifest = found.proof.released.manifest
    return template("proof.html.j2").render(
        found=found,
        title=f"{manifest['dataset']} {found.proof.released.version}",
        split_items=found.proof.asked(found.proof.headline),
        conditions=_by_weight(found),
        modes=MODES,
        chips=_CHIPS,
        bars=[plot for name, plot in drawn.items() if name.startswith("accuracy-")],
        gains=[plot for name, plot in drawn.items() if name.startswith("gains-")],
        arms=ARMS,
        shows=SHOWS,
        read=_READ,
        cards=[card for one in found.proof.models if (card := _card(one))],
        interval=interval_bar,
        points=points,
        markup=Markup,
        version=__version__,
        style=Markup(style),
        style_digest=csp_digest(style),
    )


def _card(model: ProofModel) -> "dict[str, object] | None":
    """Return what is known of a model's training: facts of its run.json, its card and its curves."""
    if model.run is None or model.record is None:
        return None
    record = model.record
    facts = {name: record[name] for name in _FACTS if record.get(name) is not None}
    rows, hardware = record.get("rows"), record.get("hardware")
    if isinstance(rows, dict):
        facts["rows"] = (
            f"{rows.get('count')} of {rows.get('folder')} ({str(rows.get('sha256'))[:12]})"
        )
    if isinstance(hardware, dict):
        facts["hardware"] = hardware.get("gpu") or hardware.get("cpu")
    return {
        "title": model.title,
        "run": str(model.run),
        "facts": facts,
        "text": _text(model.run / "README.md"),
        "curves": _picture(model.run / "curves.png"),
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:_LONGEST_CARD]
    except OSError:
        return ""


def _picture(path: Path) -> str:
    """Return a PNG as a data URL; empty if there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    png = data.startswith(b"\x89PNG")
    return f"data:image/png;base64,{base64.b64encode(data).decode()}" if png else ""
