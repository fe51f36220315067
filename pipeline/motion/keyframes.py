"""Choosing the keyframes of a clip: a budget spent on its ends, its turns, then its widest gaps."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WINDOW_US = 500_000  # how far from the ideal time a sharper frame may be
_OFFSET_US = 500_000  # ideal distance of the frames before and after a turn
_SIDE_US = 2_000_000  # a frame this close also shows that side
_LEAST_GAP_US = 1_000_000  # no frame is added between two that are closer than this
_DUPLICATE_LEVELS = 3.0  # mean difference of grey levels; noise and compression alone give 1 to 2


@dataclass(frozen=True, eq=False)
class CandidateFrame:
    """A frame that may be kept. `look` is a small grey copy, the same size for all candidates."""

    t_us: int
    sharpness: float
    suspect: bool
    look: NDArray[Any]


@dataclass(frozen=True)
class TurnEvent:
    """A span to show by frames before, within and after it. Events with more weight come first."""

    start_us: int
    end_us: int
    name: str
    weight: float


@dataclass(frozen=True)
class ChosenFrame:
    """The index of a kept candidate, and why it was kept."""

    index: int
    reason: str


def choose(
    candidates: Sequence[CandidateFrame], events: Sequence[TurnEvent], budget: int
) -> list[ChosenFrame]:
    """Return at most `budget` choices in time order; candidates must be in time order.

    The order is: first and last frame; the middle of each event; the frames before and after each
    event; the middle of the widest gap, as long as that shows something new. Events with more weight
    come first. One frame between two close events counts for both. Suspect frames are used only if
    there is no other.
    """
    if not candidates:
        return []
    kept = _Selection(candidates, budget)
    first_us, last_us = candidates[0].t_us, candidates[-1].t_us
    kept.take(first_us, (first_us, first_us + _WINDOW_US), "start of the clip")
    kept.take(last_us, (last_us - _WINDOW_US, last_us), "end of the clip")
    in_time = sorted(events, key=_start)
    ranked = sorted(in_time, key=lambda event: -event.weight)
    for event in ranked:
        kept.take((event.start_us + event.end_us) // 2, _core(event), f"middle of {event.name}")
    for event in ranked:
        for side in _sides(event, in_time, first_us, last_us):
            if not kept.shows(side.near):
                kept.take(side.ideal_us, side.best, side.reason)
    kept.fill_gaps()
    return kept.in_time()


def _core(event: TurnEvent) -> tuple[int, int]:
    """Return the middle half of an event, limited to the window on either side of its middle."""
    middle = (event.start_us + event.end_us) // 2
    reach = min((event.end_us - event.start_us) // 4, _WINDOW_US)
    return middle - reach, middle + reach


@dataclass(frozen=True)
class _Side:
    """One side of an event: the spans in which a frame shows it (near) and shows it best, and the reason."""

    near: tuple[int, int]
    best: tuple[int, int]
    ideal_us: int
    reason: str


def _sides(
    event: TurnEvent, in_time: Sequence[TurnEvent], first_us: int, last_us: int
) -> Iterator[_Side]:
    """Yield the sides before and after an event; `in_time` holds all events by their start."""
    start_us, end_us = event.start_us, event.end_us
    begun = bisect_right(in_time, start_us, key=_start)
    earlier = next(
        (in_time[n] for n in range(begun - 1, -1, -1) if in_time[n].end_us <= start_us), None
    )
    after = bisect_left(in_time, end_us, key=_start)
    later = in_time[after] if after < len(in_time) else None
    since_us = earlier.end_us if earlier else first_us
    until_us = later.start_us if later else last_us
    if earlier and start_us - since_us <= _SIDE_US:
        yield _between(earlier, event)
    else:
        near = max(since_us, start_us - _SIDE_US), start_us
        best = max(since_us, start_us - 2 * _OFFSET_US), start_us
        yield _Side(near, best, start_us - _OFFSET_US, f"before {event.name}")
    if later and until_us - end_us <= _SIDE_US:
        yield _between(event, later)
    else:
        near = end_us, min(until_us, end_us + _SIDE_US)
        best = end_us, min(until_us, end_us + 2 * _OFFSET_US)
        yield _Side(near, best, end_us + _OFFSET_US, f"after {event.name}")


def _start(event: TurnEvent) -> int:
    return event.start_us


def _between(one: TurnEvent, other: TurnEvent) -> _Side:
    span = one.end_us, other.start_us
    return _Side(span, span, sum(span) // 2, f"between {one.name} and {other.name}")


class _Selection:
    """The frames chosen so far."""

    def __init__(self, candidates: Sequence[CandidateFrame], budget: int) -> None:
        self._candidates = candidates
        self._times = np.array([candidate.t_us for candidate in candidates], dtype=np.int64)
        self._budget = budget
        self._reasons: dict[int, str] = {}

    def in_time(self) -> list[ChosenFrame]:
        return [ChosenFrame(index, self._reasons[index]) for index in sorted(self._reasons)]

    def shows(self, span: tuple[int, int]) -> bool:
        """Return whether a frame in this span is kept."""
        return any(span[0] <= self._times[index] <= span[1] for index in self._reasons)

    def take(self, ideal_us: int, span: tuple[int, int], reason: str) -> bool:
        """Keep the sharpest candidate in the span, else the nearest, unless it is kept or a repeat."""
        if len(self._reasons) >= self._budget:
            return False
        inside = range(*self._times.searchsorted([span[0], span[1] + 1]).tolist())
        if inside:
            index = min(inside, key=lambda one: self._rank(one, ideal_us))
        else:
            index = int(np.abs(self._times - ideal_us).argmin())
        if index in self._reasons or self._is_repeat(index):
            return False
        self._reasons[index] = reason
        return True

    def fill_gaps(self) -> None:
        """Halve the widest gap until the budget is spent or nothing new can be shown."""
        exhausted: set[tuple[int, int]] = set()
        while len(self._reasons) < self._budget:
            gaps = [gap for gap in pairwise(sorted(self._reasons)) if gap not in exhausted]
            widest = max(gaps, key=self._width, default=None)
            if widest is None or self._width(widest) < _LEAST_GAP_US:
                return
            start_us, end_us = int(self._times[widest[0]]), int(self._times[widest[1]])
            middle_us = (start_us + end_us) // 2
            reach = min(_WINDOW_US, (end_us - start_us) // 6)
            reason = f"widest gap ({self._width(widest) / 1e6:.1f} s)"
            if not self.take(middle_us, (middle_us - reach, middle_us + reach), reason):
                exhausted.add(widest)

    def _width(self, gap: tuple[int, int]) -> int:
        return int(self._times[gap[1]] - self._times[gap[0]])

    def _rank(self, index: int, ideal_us: int) -> tuple[bool, float, int]:
        candidate = self._candidates[index]
        return candidate.suspect, -candidate.sharpness, abs(candidate.t_us - ideal_us)

    def _is_repeat(self, index: int) -> bool:
        """Return whether a kept neighbour in time looks the same."""
        earlier = max((one for one in self._reasons if one < index), default=None)
        later = min((one for one in self._reasons if one > index), default=None)
        look = self._candidates[index].look.astype(np.float64)
        return any(
            float(np.abs(look - self._candidates[one].look).mean()) < _DUPLICATE_LEVELS
            for one in (earlier, later)
            if one is not None
        )
