"""The page of results: one HTML file with the metrics of models on a release, and every item with what was replied.

Withheld items aren't on it. Text by models is passed as JSON and shown as text only. Of up to
`result_items.INLINED` items, the frames are in the page, sized down; otherwise they are links into the release.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from pipeline.evaluate.denser import cut_before, folder_of
from pipeline.evaluate.described_files import DESCRIPTIONS, read_table
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import MAIN, ArmMetrics, Metrics, summarise
from pipeline.evaluate.open_items import OpenItems, open_items
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.recheck import recheck, recheck_open
from pipeline.evaluate.results import Claims, Results, read_results, release_digest
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored
from pipeline.evaluate.standings import PARSER, Row, parser_of, stored_baselines
from pipeline.evaluate.table import points
from pipeline.releases.reading import Released
from pipeline.report import result_items
from pipeline.report.in_words import words_tables
from pipeline.report.intervalbar import interval_bar
from pipeline.report.page import asset, csp_digest, json_for_script, template
from pipeline.report.radar import radar
from pipeline.report.result_items import Frames, Source

PAGE = "page.html"
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


def sources_of(
    found: Sequence[Results],
    released: Released | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Source], list[str]]:
    """Return results as the page shows them, and what a reader has to know before believing their figures."""
    known = questions_of(released) if released else None
    spoken = open_items(released) if released else None
    withheld = released.manifest["withheld"] if released else ()
    sources: list[Source] = []
    notices: list[str] = []
    for done, (label, one) in enumerate(zip(_labels(found), found, strict=True), start=1):
        frames = _frames(one, released, known) if released and known else None
        source = Source.of(label, one, frames, withheld)
        sources.append(source)
        notices += _notices(source, {each.id: each for each in known[0]} if known else {})
        if spoken:
            notices += _notices_in_words(source, spoken)
        progress(done, len(found))
    return sources, notices


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
    style, script = asset("report.css") + asset("results.css"), asset("results.js")
    bases = [
        os.path.relpath(folder, beside).replace(os.sep, "/") if folder else None
        for folder in result_items.folders(sources)
    ]
    index = result_items.index(items, sources) | {
        "batch": result_items.BATCH,
        "ways": result_items.way_numbers(sources),
        "bases": bases,
        "shows": result_items.arms_shown(sources),
        "models": [_model(source) for source in sources],
    }
    first = sources[0].results.identity
    return template("results.html.j2").render(
        title=f"{first.dataset} {first.version}",
        release=first.release,
        shown=shown,
        items=items,
        notices=notices,
        arms=result_items.arms_shown(sources),
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
            for one in (result_items.pictures(items, sources) if inlined else ())
        ],
    )


def _labels(found: Sequence[Results]) -> list[str]:
    """Return a name for each result, all different."""
    labels: list[str] = []
    for one in found:
        parser = parser_of(one.body)
        named = str(one.identity.model) + ("" if parser == PARSER else f", parser {parser}")
        name, number = named, 1
        while name in labels:
            number += 1
            name = f"{named} ({number})"
        labels.append(name)
    return labels


def _frames(
    one: Results, released: Released, known: tuple[Sequence[Question], Mapping[str, Any]]
) -> Frames:
    """Return the frames that were sent: those of the release, or those cut from videos beside the results."""
    questions, _ = known
    fps = one.identity.fps
    if fps is None:
        return Frames(released.folder, {each.id: each for each in questions})
    folder = folder_of(one.folder.resolve().parent, one.identity.release, fps)
    found = cut_before(questions, fps, folder)
    return Frames(folder, {each.id: each for each in found})


def _notices(source: Source, known: Mapping[str, Question]) -> Iterator[str]:
    found, label = source.results, source.label
    if held := len({one.id for one in found.predictions} - source.questions.keys()):
        yield f"{label}: {held} items have no page, since their answers are withheld."
    if source.frames is None:
        yield f"{label}: the release isn't there, so neither frames nor prompts are shown; add --release."
    elif source.prompt is None:
        prompt = found.identity.prompt
        yield f"{label}: the prompt {prompt} has changed since, so the text that was sent isn't shown."
    if parser_of(found.body) == PARSER and source.questions.keys() <= known.keys():
        questions = [known[id_] for id_ in source.questions]
        made = [one for one in found.predictions if one.id in source.questions]
        again = recheck(questions, made, found.body.get("metrics") or {})
        if again.letters:
            yield f"{label}: {again.letters} letters or outcomes aren't what the parser reads in their replies now."
        if again.differing:
            yield f"{label}: results.json has other figures than its predictions give, such as {again.differing[0]}; this page shows the latter."


def _notices_in_words(source: Source, items: OpenItems) -> Iterator[str]:
    """Yield what is wrong with the stored figures of descriptions; what judges scored isn't checked."""
    found = source.results
    stored = found.body.get("open")
    if not isinstance(stored, Mapping):
        return
    try:
        made = read_table(found.folder, DESCRIPTIONS, Prediction)
    except UserError as error:
        yield f"{source.label}: the figures of items answered in words can't be checked: {error.where} {error.what}"
        return
    if differing := recheck_open(items.known, items.vocabulary, made, stored):
        yield f"{source.label}: results.json has other figures of items answered in words than the replies give, such as {differing[0]}."


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
