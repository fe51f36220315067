"""The prior that ships with the toolkit, for workspaces too small to fit a reader: words and weights. Pure.

`shipped.json` is written by `benchmarks/shipped.py` from generated routes of many kinds.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any


def weights(kinds: str) -> Sequence[Sequence[float]]:
    """Return the weights of the experts for two kinds of facts, for each shipped reader."""
    found: Sequence[Sequence[float]] = _read()["weights"][kinds]
    return found


def hunch(kind: str, first: str, second: str) -> float:
    """Return how likely the first name is to come first by its words alone, as half the log odds."""
    early = _read()["early"].get(kind, {})
    one, other = (
        _mean([early[word] for word in name.split() if word in early]) for name in (first, second)
    )
    return one - other


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


@cache
def _read() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = json.loads(
        (Path(__file__).parent / "shipped.json").read_text(encoding="utf-8")
    )
    return found
