"""The card of the rows: what they are made of, what was left out, what may be done with them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import jinja2

from pipeline.training.rows import TrainingRow

FORMAT = 1  # of rows.json
_CARD = Path(__file__).with_name("card.md.j2")
_BY: Mapping[str, Callable[[TrainingRow], str]] = {
    "made": lambda row: row.made,
    "tasks": lambda row: row.question_type,
    "categories": lambda row: row.category,
    "orientations": lambda row: row.orientation,
    "formats": lambda row: row.format,
    "languages": lambda row: row.language,
    "think_sources": lambda row: row.think_source,
    "letters": lambda row: row.answer or "in words",
}


def counts(rows: Sequence[TrainingRow]) -> dict[str, Any]:
    """Return what `rows.json` tells of the rows: how many of each kind, of which frames, in how many spans."""
    dense = [len(row.frames) / row.seconds for row in rows]
    return {
        "rows": len(rows),
        **{name: _counted(map(kind, rows)) for name, kind in _BY.items()},
        "spans": len({row.video for row in rows}),
        "split_groups": len({row.split_group for row in rows}),
        "frames": len({name for row in rows for name in row.frames}),
        "frames_per_row": _spread([len(row.frames) for row in rows]),
        "frames_per_second": _spread(dense),
        "weights": _spread([row.weight for row in rows]),
    }


def card(body: Mapping[str, Any], example: TrainingRow) -> str:
    """Return the text of README.md; `body` is that of rows.json."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    template = environment.from_string(_CARD.read_text(encoding="utf-8"))
    return template.render(body=body, example=example).rstrip("\n") + "\n"


def _counted(kinds: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(kinds).items()))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "least": round(min(values), 3),
        "median": round(median(values), 3),
        "most": round(max(values), 3),
    }
