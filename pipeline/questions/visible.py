"""Which facts the released frames of a span show. Pure."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import ceil

from pipeline.motion.rows import Turn
from pipeline.motion.settings import FramesSettings
from pipeline.questions.facts import KINDS, Fact
from pipeline.questions.rows import AskedFact
from pipeline.questions.settings import ComposeSettings

_OVERLAP = (
    0.6  # of the field of view: neighbouring frames that turned further share too little to compare
)
_SQUARE_DEGREES = 90.0  # assumed of a turn that people told and nothing measured
_FIELD_DEGREES: float = FramesSettings.model_fields["default_hfov_degrees"].default


def moments(
    start_us: int, end_us: int, settings: ComposeSettings, apart_us: Iterable[float] = ()
) -> list[int]:
    """Return the times of a span's frames: the midpoints of equal parts, in microseconds.

    There are more than usual, though no more than `most_frames`, where turns need them: each can be seen in
    frames that are at most its `apart_us` apart.
    """
    length = end_us - start_us
    most = max(settings.most_frames, settings.least_frames)
    needed = [ceil(length / apart) for apart in apart_us]
    usual = max(round(length / 1e6 * settings.frames_per_second), settings.least_frames)
    count = min(most, max([usual, *(one for one in needed if one <= most)]))
    return [
        start_us + (2 * number + 1) * (end_us - start_us) // (2 * count) for number in range(count)
    ]


def apart_us(
    start_us: int, end_us: int, turns: Iterable[Turn], hfov_degrees: float | None
) -> float:
    """Return how far apart frames may be that show a turn between two times, in microseconds."""
    quickest = max(
        degrees / (last - first) for first, last, degrees in _sweeps(start_us, end_us, turns)
    )
    most = _OVERLAP * (hfov_degrees or _FIELD_DEGREES)
    return min(end_us - start_us, most / quickest) if quickest else end_us - start_us


def shown(
    fact: Fact, frame_us: Sequence[int], turns: Iterable[Turn], hfov_degrees: float | None
) -> bool:
    """Return whether frames at these times show a fact.

    A frame must lie in each event. While the camera turns, neighbouring frames must overlap: their
    headings may differ by at most 0.6 of the field of view.
    """
    if not all(any(start <= at < end for at in frame_us) for start, end in fact.seen):
        return False
    if not KINDS[fact.kind].swept:
        return True
    ((start, end),) = fact.seen
    sweeps = _sweeps(start, end, turns)
    most = _OVERLAP * (hfov_degrees or _FIELD_DEGREES)
    return all(_turned(sweeps, one, other) <= most for one, other in pairwise(frame_us))


def sees(
    asked: Iterable[AskedFact],
    frame_us: Sequence[int],
    turns: Sequence[Turn],
    hfov_degrees: float | None,
) -> list[bool]:
    """Return for each fact of an item whether frames at these times show it."""
    found = []
    for one in asked:
        times = tuple(zip(one.seen_us[::2], one.seen_us[1::2], strict=True))
        fact = Fact(one.name.partition(":")[0], (), value=True, seen=times)
        found.append(shown(fact, frame_us, turns, hfov_degrees))
    return found


def _sweeps(start: int, end: int, turns: Iterable[Turn]) -> list[tuple[int, int, float]]:
    """Return when the camera turns during an event, and by how many degrees."""
    return [
        (turn.start_us, turn.end_us, abs(turn.yaw_degrees))
        for turn in turns
        if turn.start_us < end and turn.end_us > start
    ] or [(start, end, _SQUARE_DEGREES)]


def _turned(sweeps: Iterable[tuple[int, int, float]], one_us: int, other_us: int) -> float:
    """Return by how many degrees the camera turns between two times, at an even rate within each turn."""
    return sum(
        degrees * max(0, min(other_us, last) - max(one_us, first)) / (last - first)
        for first, last, degrees in sweeps
    )
