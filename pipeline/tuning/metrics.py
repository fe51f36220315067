"""Reads the metrics of a run of training, whatever a kill or a diverged step left in them. Needs no torch.

A value that is missing, not a number, infinite or beyond 1e100 is NaN here: curves have a gap there, and means leave it out.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOST = 1e100  # a diverged run's: squares of larger numbers are infinite


@dataclass(frozen=True)
class Metrics:
    """The steps of a run in order, each once; `unreadable` counts lines that are no step, but for a last one cut by a kill."""

    steps: tuple[Mapping[str, Any], ...]
    unreadable: int = 0

    @property
    def numbers(self) -> list[int]:
        """The number of each step."""
        return [step["step"] for step in self.steps]

    @property
    def is_grpo(self) -> bool:
        """Whether a step has a reward."""
        return any("reward" in step or "rewards" in step for step in self.steps)

    @property
    def rewards(self) -> list[str]:
        """The names of rewards, in the order of their first step."""
        named = (step.get("rewards") for step in self.steps)
        return list(dict.fromkeys(name for one in named if isinstance(one, dict) for name in one))

    def values(self, name: str) -> list[float]:
        """Return a metric of each step."""
        return [_number(step.get(name)) for step in self.steps]

    def reward(self, name: str) -> list[float]:
        """Return one of the rewards of each step."""
        found = (step.get("rewards") for step in self.steps)
        return [_number(one.get(name) if isinstance(one, dict) else None) for one in found]

    def has(self, name: str) -> bool:
        """Return whether any step has a number of this name."""
        return any(map(math.isfinite, self.values(name)))

    def broken(self, name: str) -> list[int]:
        """Return the steps at which a metric was written, but not as a number: NaN, infinite or beyond 1e100."""
        return [
            step["step"]
            for step in self.steps
            if isinstance(step.get(name), float) and math.isnan(_number(step[name]))
        ]


def read_metrics(run: Path) -> Metrics:
    """Return the metrics of a run's folder; none if nothing is written yet.

    Of a step that is there twice, the last one counts: it was made again after a kill.
    """
    try:
        lines = (run / "metrics.jsonl").read_bytes().split(b"\n")
    except FileNotFoundError:
        return Metrics(())
    steps: dict[int, Mapping[str, Any]] = {}
    unreadable = 0
    for place, line in enumerate(lines, 1):
        step = _step(line)
        if step:
            steps[step["step"]] = step
        elif line.strip() and place < len(lines):  # the last one has no line break: it was cut
            unreadable += 1
    return Metrics(tuple(steps[number] for number in sorted(steps)), unreadable)


def _step(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    number = found.get("step") if isinstance(found, dict) else None
    return found if isinstance(number, int) and not isinstance(number, bool) else None


def mean(values: Sequence[float]) -> float:
    """Return the mean of the numbers among these; NaN if there is none."""
    numbers = [value for value in values if math.isfinite(value)]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def error(values: Sequence[float]) -> float:
    """Return the standard error of the mean of the numbers among these; NaN below two."""
    numbers = [value for value in values if math.isfinite(value)]
    if len(numbers) < 2:
        return math.nan
    middle = mean(numbers)
    spread = math.fsum((value - middle) ** 2 for value in numbers) / (len(numbers) - 1)
    return math.sqrt(spread / len(numbers))


def smoothed(values: Sequence[float], width: int) -> list[float]:
    """Return the mean of the `width` values around each place, of fewer at the ends; a gap stays one."""
    before, after = (width - 1) // 2, width // 2
    return [
        mean(values[max(0, place - before) : place + after + 1])
        if math.isfinite(value)
        else math.nan
        for place, value in enumerate(values)
    ]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if abs(number) < _MOST else math.nan
