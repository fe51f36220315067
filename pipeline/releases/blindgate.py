"""The gate on answering without the video, computed from a release's questions alone."""

from collections.abc import Iterable, Sequence

from pipeline.blind.items import from_released
from pipeline.blind.probe import run_probe
from pipeline.blind.sheet import ProbeItem
from pipeline.releases.gates import BlindCell, Gate
from pipeline.releases.layout import QuestionRow

NOT_MEASURED = "not measured"
"""The figure of a gate that is turned off."""
LEARNER = "scikit-learn"
"""The package whose version decides how the probe is fitted."""


def blind(questions: Iterable[QuestionRow], points: float, task_points: float) -> Gate:
    """Require near-chance accuracy on the multiple-choice items without the video.

    The limits are in percentage points off chance: overall, and within a cell, task or kind of options.
    Items without a published answer are left out.
    """
    if points >= 100:
        return Gate(
            name="blind",
            state="met",
            figure=NOT_MEASURED,
            limit="none: export.blind_points = 100",
        )
    items = from_released(
        row.model_dump() for row in questions if row.format == "mcq" and row.answer
    )
    return blind_items(items, points, task_points)


def blind_items(items: Sequence[ProbeItem], points: float, task_points: float) -> Gate:
    """Require near-chance accuracy on items; the limits are those of `blind`."""
    limit = f"chance + {points:g} points, {task_points:g} in a cell"
    if not items:
        return Gate(name="blind", state="met", figure="no multiple-choice items", limit=limit)
    report = run_probe(items, (points / 100, task_points / 100))
    state = report.state()
    figure = report.verdict().removeprefix("unproven: ")  # the gate's own line says it
    fixes = {
        "met": "",
        "failed": "run egost blind, which reports the leak and the items answered most confidently",
        "unproven": "release more clips: a cell needs 600 twins to show that nothing leaks",
    }
    return Gate(
        name="blind",
        state=state,
        figure=f"{figure} ({report.leaks()[0].how})" if state == "failed" else figure,
        limit=limit,
        parts={
            where.removeprefix("task="): round(one.accuracy, 4)
            for where, one in report.learned.within.items()
            if where.startswith("task=")
        },
        cells=tuple(
            BlindCell(
                name=cell.name,
                verdict=cell.verdict,
                twins=cell.figure.twins,
                items=cell.figure.items,
                accuracy=round(cell.figure.accuracy, 4),
                low=round(cell.figure.low, 4),
                high=round(cell.figure.high, 4),
                chance=round(cell.figure.chance, 4),
                reader=cell.reader,
            )
            for cell in report.cells
        ),
        rows=tuple(sorted(one.id for one in report.guessable)) if state == "failed" else (),
        fix=fixes[state],
    )
