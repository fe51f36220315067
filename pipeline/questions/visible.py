"""Which facts the released frames of a span show. Pure."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

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


def moments(start_us: int, end_us: int, settings: ComposeSettings) -> list[int]:
    """Return the times of a span's frames: the midpoints of equal parts, in microseconds."""
    wanted = round((end_us - start_us) / 1e6 * settings.frames_per_second)
    count = min(
        max(wanted, settings.least_frames), max(settings.most_frames, settings.least_frames)
    )
    return [
        start_us + (2 * number + 1) * (end_us - start_us) // (2 * count) for number in range(count)
    ]


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
    measured = [turn for turn in turns if turn.start_us < end and turn.end_us > start]
    most = _OVERLAP * (hfov_degrees or _FIELD_DEGREES)
    return all(
        _turned(start, end, measured, one, other) <= most for one, other in pairwise(frame_us)
    )


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


def _turned(start: int, end: int, measured: Sequence[Turn], one_us: int, other_us: int) -> float:
    """Return by how many degrees the camera turns between two times, at an even rate within each turn."""
    spans = [(turn.start_us, turn.end_us, abs(turn.yaw_degrees)) for turn in measured]
    return sum(
        degrees * max(0, min(other_us, last) - max(one_us, first)) / (last - first)
        for first, last, degrees in spans or [(start, end, _SQUARE_DEGREES)]
    )
