"""The page of results: one HTML file with the metrics of models on a release, and every item with what was replied.

Withheld items aren't on it. Text by models is passed as JSON and shown as text only. Of up to
`result_items.INLINED` items, the frames are in the page, sized down; otherwise they are links into the release.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline import __version__
from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.evaluate.cells import ALL, Parts
from pipeline.evaluate.compare import Comparison, check_comparable, compare
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.judge_scores import SCORES
from pipeline.evaluate.metrics import MAIN, ArmMetrics, Metrics, summarise
from pipeline.evaluate.results import Claims, Results, read_results, release_digest
from pipeline.evaluate.scoring import scored
from pipeline.evaluate.standings import Row, stored_baselines
from pipeline.evaluate.table import points
from pipeline.releases.reading import Released
from pipeline.report import result_items, sent
from pipeline.report.in_words import words_tables
from pipeline.report.intervalbar import interval_bar
from pipeline.report.page import asset, csp_digest, json_for_script, template
from pipeline.report.radar import radar
from pipeline.report.result_sources import Source, sources_of

PAGE = "page.html"
_SCRIPTS = ("results_words.js", "results_item.js", "results.js")
_OWN = ("unreadable", "refused", "truncated", "failed")
_DIMENSIONS = {
    "category": "category",
    "contrast": "kinds of facts",
    "orientation": "orientation",
    "split": "split",
    "turns": "turns in the span",
    "span": "length of the span",
}


@dataclass(frozen=True)
class Shown:
    """One source with its metrics; `free` are the baselines and people that its results.json has."""

    source: Source
    metrics: Metrics
    free: Sequence[Row]

    @property
    def label(self) -> str:
        """The name on the page."""
        return self.source.label

    @cached_property
    def main(self) -> ArmMetrics | None:
        """The figures of the main arm."""
        return self.metrics.arms.get(MAIN)

    def figure(self, dimension: str, cell: str, of: str = "accuracy") -> Figure | None:
        """Return a figure of one cell in the main arm."""
        parts: Parts = getattr(self.main, of) if self.main else {}
        return parts.get(dimension, {}).get(cell)


def write_results_page(
    folders: Sequence[Path],
    released: Released | None,
    target: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the page of one or several results, and return its path.

    `released` is the release that the models were scored on: without it, the page has neither frames nor prompts.
    By default, the page of one result is in its folder, that of several is beside the first. Raise UserError if the
    results are of different releases, or of another one than `released`.
    """
    default = folders[0] / PAGE if len(folders) == 1 else folders[0].resolve().parent / PAGE
    path = target or default
    if path.is_dir():
        raise UserError(str(path), "is a folder", "name a file, such as page.html")
    if not path.absolute().parent.is_dir():
        raise UserError(str(path.parent), "no such folder", "create it, or name another file")
    found = [read_results(folder) for folder in folders]
    _check_release(found, released)
    sources, notices = sources_of(found, released, progress)
    write_atomic(path, render(sources, notices, path.absolute().parent).encode())
    return path


def _check_release(found: Sequence[Results], released: Released | None) -> None:
    first = found[0].identity
    for one in found[1:]:
        if one.identity.release != first.release:
            what = f"is of another release than {found[0].folder}"
            raise UserError(str(one.folder), what, "make a page for each release")
    if released and release_digest(released) != first.release:
        what = f"is another release than that of {found[0].folder}: {first.dataset} {first.version}"
        raise UserError(str(released.folder), what, f"give the release {first.release[:12]}...")


def render(sources: Sequence[Source], notices: Sequence[str], beside: Path) -> str:
    """Return the page; links to frames are relative to the folder `beside`."""
    shown = [
        Shown(
            source,
            summarise(list(source.questions.values()), source.scored),
            stored_baselines(Claims(one.identity, one.body), one.folder),
        )
        for source in sources
        for one in [source.results]
    ]
    items = result_items.ordered(sources)
    inlined = len(items) <= result_items.INLINED
    style, script = asset("report.css") + asset("results.css"), "".join(map(asset, _SCRIPTS))
    words = sum(not one.options for one in items)
    shows = result_items.arms_shown(sources)
    bases = [
        os.path.relpath(folder, beside).replace(os.sep, "/") if folder else None
        for folder in sent.folders(sources)
    ]
    index = result_items.index(items, sources) | {
        "batch": result_items.BATCH,
        "ways": sent.way_numbers(sources),
        "bases": bases,
        "shows": shows,
        "scores": SCORES,
        "words": words,
        "models": [_model(source) for source in sources],
    }
    first = sources[0].results.identity
    return template("results.html.j2").render(
        title=f"{first.dataset} {first.version}",
        release=first.release,
        shown=shown,
        items=items,
        words=words,
        notices=notices,
        arms={
            arm: text
            for arm, text in shows.items()
            if any(arm in one.metrics.arms for one in shown)
        },
        having=lambda arm: [one for one in shown if arm in one.metrics.arms],
        own=_OWN,
        dimensions=_dimensions(shown),
        tasks=_tasks(shown),
        counts=Counter(one.task for one in items),
        radar=Markup(_radar(shown)),
        gains=_gains(shown),
        compared=list(_compared(shown)),
        free=_free(shown),
        in_words=[
            (one.label, table) for one in shown for table in words_tables(one.source.results.body)
        ],
        interval=interval_bar,
        points=points,
        whole=lambda parts: parts[ALL][ALL] if parts else None,
        MAIN=MAIN,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        style_digest=csp_digest(style),
        script_digest=csp_digest(script),
        index=Markup(json_for_script(index)),
        blocks=[Markup(json_for_script(one)) for one in result_items.blocks(items, sources)],
        pictures=[
            Markup(json_for_script(one))
            for one in (sent.pictures(items, sources) if inlined else ())
        ],
    )


def _model(source: Source) -> dict[str, Any]:
    identity = source.results.identity
    return {"prompt": identity.prompt, "pixels": identity.image_pixels, "fps": identity.fps}


# ---- tables ----------------------------------------------------------------------------------------------


def _tasks(shown: Sequence[Shown]) -> list[str]:
    return sorted(
        {task for one in shown for task in (one.main.accuracy if one.main else {}).get("task", ())}
    )


def _radar(shown: Sequence[Shown]) -> str:
    tasks = _tasks(shown)
    rows = {}
    for one in shown:
        figures = [one.figure("task", task) for task in tasks]
        rows[one.label] = [figure.value if figure else None for figure in figures]
    return radar(tasks, rows, "accuracy by task; rings mark 25, 50, 75 and 100 %")


def _dimensions(shown: Sequence[Shown]) -> dict[str, list[tuple[str, list[Figure | None]]]]:
    """Return the accuracies in the main arm by dimension: cells with the figure of each model."""
    found = {}
    for name, title in _DIMENSIONS.items():
        cells = {
            cell: None for one in shown if one.main for cell in one.main.accuracy.get(name, ())
        }
        if len(cells) > 1:
            found[title] = [(cell, [one.figure(name, cell) for one in shown]) for cell in cells]
    return found


def _gains(shown: Sequence[Shown]) -> list[tuple[str, str, list[Figure | None]]]:
    """Return what arms measure: the comparison, its meaning, and the figure of each model."""
    meanings = {(gain.arm, gain.over): gain.measures for one in shown for gain in one.metrics.gains}
    found = []
    for (arm, over), measures in meanings.items():
        own = [
            next(
                (
                    gain.parts[ALL][ALL]
                    for gain in one.metrics.gains
                    if (gain.arm, gain.over) == (arm, over)
                ),
                None,
            )
            for one in shown
        ]
        found.append((f"{arm} over {over}", measures, own))
    return found


def _compared(shown: Sequence[Shown]) -> Iterator[tuple[Comparison, list[str]]]:
    """Yield how the first model differs from each other, on the items of both."""
    first, *others = shown
    for other in others:
        pair = (first.source, other.source)
        if not all(MAIN in one.metrics.arms for one in (first, other)):
            continue
        differing = check_comparable(
            pair[0].results.identity.compared, pair[1].results.identity.compared, anyway=True
        )
        shared = pair[0].questions.keys() & pair[1].questions.keys()
        questions = [pair[0].questions[id_] for id_ in sorted(shared)]
        made = [
            scored(questions, [row.prediction for row in one.scored if row.question.id in shared])
            for one in pair
        ]
        if questions:
            yield compare(questions, made[0], made[1], (first.label, other.label)), differing


def _free(shown: Sequence[Shown]) -> list[Row]:
    """Return what is reached without a model, as the first results with such rows have it."""
    rows = next((one.free for one in shown if one.free), ())
    return [row for row in rows if row.kind != "chance"]
