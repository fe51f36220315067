"""The figures of items that are answered in words, and of their judges, as tables of a results page. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.evaluate.cells import ALL


@dataclass(frozen=True)
class WordsTable:
    """A figure for each arm (row) and measure (column), as text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def words_tables(body: Mapping[str, Any]) -> Iterator[WordsTable]:
    """Yield the tables of a `results.json`; what isn't as `egost evaluate` writes it is left out."""
    arms = _at(body, "open", "arms")
    if arms:
        rows = {arm: _at(arms, arm, "figures") for arm in arms}
        rows["another walk"] = _at(body, "open", "another_walk")
        yield _table("answered in words, scored without a judge, in %", rows, 100)
    judges = _at(body, "judge").get("judges")
    for judge in judges if isinstance(judges, list) else ():
        rubrics = _at(judge, "rubrics")
        for rubric in rubrics:
            arms = _at(rubrics, rubric, "arms")
            title = f"judged by {_at(judge).get('model')}, rubric {rubric}, from 0 to 5"
            if _at(judge).get("calibrated") is False:
                title += " (uncalibrated: this judge failed its calibration)"
            yield _table(title, {arm: _at(arms, arm, "scores") for arm in arms}, 1)


def _table(title: str, rows: Mapping[str, Mapping[str, Any]], scale: int) -> WordsTable:
    columns = tuple(dict.fromkeys(name for figures in rows.values() for name in figures))
    found = (
        (arm, tuple(_text(_at(figures, name, ALL, ALL), scale) for name in columns))
        for arm, figures in rows.items()
    )
    return WordsTable(title, columns, tuple(found))


def _text(figure: Mapping[str, Any], scale: int) -> str:
    value, low, high = (figure.get(name) for name in ("value", "low", "high"))
    if not isinstance(value, int | float):
        return "-"
    digits = 1 if scale > 1 else 2
    text = f"{value * scale:.{digits}f}"
    if isinstance(low, int | float) and isinstance(high, int | float):
        text += f" [{low * scale:.{digits}f}, {high * scale:.{digits}f}]"
    return text


def _at(value: object, *names: str) -> Mapping[str, Any]:
    """Return what is in nested mappings under these names, empty if it isn't there or is no mapping."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
