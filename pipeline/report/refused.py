"""Rejections by reason: what failed or was refused, then what could not be asked. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.engine.rows import Rejection

_NOT_ASKED = "compose"
"""The stage whose rejections are questions that could not be asked; all others are real failures."""

# What differs between two rejections for the same reason: numbers, quoted text, file names.
_PARTICULARS = re.compile(r"'[^']*'|[^\s:]+\.[A-Za-z]\w{1,4}(?=[\s,;:)]|$)|\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Refused:
    """Rejections for one reason; `what` is that of the first, with its own numbers and names."""

    stage: str
    what: str
    fix: str
    units: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether something failed or was refused; otherwise a question could not be asked."""
        return self.stage != _NOT_ASKED


def by_reason(
    rejections: Iterable[Rejection], stages: Sequence[str] = (), *, each: bool = False
) -> list[Refused]:
    """Return the rejections grouped by stage and reason: failures first, then by stage, then by number.

    `stages` gives the order of stages; others come before them. With `each`, nothing is grouped.
    """
    groups: dict[tuple[str | int, ...], list[Rejection]] = {}
    for one in rejections:
        reason = (one.stage, _PARTICULARS.sub("…", one.what), _PARTICULARS.sub("…", one.fix))
        groups.setdefault(one.identity() if each else reason, []).append(one)
    found = [
        Refused(same[0].stage, same[0].what, same[0].fix, tuple(one.unit for one in same))
        for same in groups.values()
    ]
    rank = {stage: number for number, stage in enumerate(stages)}
    return sorted(
        found,
        key=lambda one: (not one.failed, rank.get(one.stage, -1), -len(one.units), one.what),
    )
