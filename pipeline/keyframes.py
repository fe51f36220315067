"""Which pictures to keep of a clip: a budget spent on its ends, its turns, then its widest gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WINDOW_US = 500_000  # how far a sharper picture may be fetched from
_BESIDE_US = 500_000  # how far before and after a turn its two sides are shown
_LEAST_GAP_US = 1_000_000  # no picture is worth its place between two that are nearer than this
_DUPLICATE_LEVELS = 3.0  # mean difference of grey levels; noise and compression alone make 1 to 2


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture that may be kept. `look` is a small grey copy, the same size for all."""

    t_us: int
    sharpness: float
    suspect: bool
    look: NDArray[Any]


@dataclass(frozen=True)
class Event:
    """A span that pictures should show: within, before and after. Heavier events come first."""

    start_us: int
    end_us: int
    name: str
    weight: float


@dataclass(frozen=True)
class Choice:
    """The number of a kept candidate, and why it was kept."""

    index: int
    reason: str


def choose(candidates: Sequence[Candidate], events: Sequence[Event], budget: int) -> list[Choice]:
    """Return at most `budget` choices in time order; candidates must be in time order.

    First and last come first, then the middle of every event, then their two sides, heavier
    events before lighter ones, then the middle of the widest gap as long as that shows something
    new. Damaged pictures are taken only where there is no other.
    """
    if not candidates:
        return []
    kept = _Kept(candidates, budget)
    first_us, last_us = candidates[0].t_us, candidates[-1].t_us
    kept.take(first_us, (first_us, first_us + _WINDOW_US), "start of the clip")
    kept.take(last_us, (last_us - _WINDOW_US, last_us), "end of the clip")
    in_time = sorted(events, key=lambda event: event.start_us)
    ranked = sorted(in_time, key=lambda event: -event.weight)
    for event in ranked:
        kept.take((event.start_us + event.end_us) // 2, _core(event), f"middle of {event.name}")
    for event in ranked:
        before, after = _sides(event, in_time, first_us, last_us)
        kept.take(before[1] - _BESIDE_US, before, f"before {event.name}")
        kept.take(after[0] + _BESIDE_US, after, f"after {event.name}")
    kept.fill_gaps()
    return kept.in_time()


def _core(event: Event) -> tuple[int, int]:
    """Return the middle half of an event, at most the window to either side."""
    middle = (event.start_us + event.end_us) // 2
    reach = min((event.end_us - event.start_us) // 4, _WINDOW_US)
    return middle - reach, middle + reach


def _sides(
    event: Event, in_time: Sequence[Event], first_us: int, last_us: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the spans before and after an event, half-way to its neighbours at most."""
    ends = [other.end_us for other in in_time if other.end_us <= event.start_us]
    starts = [other.start_us for other in in_time if other.start_us >= event.end_us]
    earliest = (max(ends) + event.start_us) // 2 if ends else first_us
    latest = (min(starts) + event.end_us) // 2 if starts else last_us
    before = max(earliest, event.start_us - 2 * _BESIDE_US), event.start_us
    return before, (event.end_us, min(latest, event.end_us + 2 * _BESIDE_US))


class _Kept:
    """The choices so far."""

    def __init__(self, candidates: Sequence[Candidate], budget: int) -> None:
        self._candidates = candidates
        self._times = np.array([candidate.t_us for candidate in candidates], dtype=np.int64)
        self._budget = budget
        self._reasons: dict[int, str] = {}

    def in_time(self) -> list[Choice]:
        return [Choice(index, self._reasons[index]) for index in sorted(self._reasons)]

    def take(self, wish_us: int, span: tuple[int, int], reason: str) -> bool:
        """Keep the sharpest candidate in the span, else the nearest; not what is there already."""
        if len(self._reasons) >= self._budget:
            return False
        inside = np.flatnonzero((self._times >= span[0]) & (self._times <= span[1]))
        if len(inside):
            index = min(inside.tolist(), key=lambda one: self._rank(one, wish_us))
        else:
            index = int(np.abs(self._times - wish_us).argmin())
        if index in self._reasons or self._is_repeat(index):
            return False
        self._reasons[index] = reason
        return True

    def fill_gaps(self) -> None:
        """Halve the widest gap until the budget is spent or nothing new is left to see."""
        dull: set[tuple[int, int]] = set()
        while len(self._reasons) < self._budget:
            gaps = [gap for gap in pairwise(sorted(self._reasons)) if gap not in dull]
            widest = max(gaps, key=self._width, default=None)
            if widest is None or self._width(widest) < _LEAST_GAP_US:
                return
            start_us, end_us = int(self._times[widest[0]]), int(self._times[widest[1]])
            middle_us = (start_us + end_us) // 2
            reach = min(_WINDOW_US, (end_us - start_us) // 6)
            reason = f"widest gap ({self._width(widest) / 1e6:.1f} s)"
            if not self.take(middle_us, (middle_us - reach, middle_us + reach), reason):
                dull.add(widest)

    def _width(self, gap: tuple[int, int]) -> int:
        return int(self._times[gap[1]] - self._times[gap[0]])

    def _rank(self, index: int, wish_us: int) -> tuple[bool, float, int]:
        candidate = self._candidates[index]
        return candidate.suspect, -candidate.sharpness, abs(candidate.t_us - wish_us)

    def _is_repeat(self, index: int) -> bool:
        """Tell whether a kept neighbour in time looks the same."""
        earlier = max((one for one in self._reasons if one < index), default=None)
        later = min((one for one in self._reasons if one > index), default=None)
        look = self._candidates[index].look.astype(np.float64)
        return any(
            float(np.abs(look - self._candidates[one].look).mean()) < _DUPLICATE_LEVELS
            for one in (earlier, later)
            if one is not None
        )
