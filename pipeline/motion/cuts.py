"""Where a video is cut into clips: between the spans that people have judged, where the heading is steadiest."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pipeline.motion.turns import HeadingTrack, Swing

Span = tuple[int, int]
"""Start and end in microseconds of video time; the end is not included."""

_SHORTEST_US = 1_000_000  # a shorter rest beside judged clips doesn't become a clip
_AROUND_US = 1_000_000


def steady_spans(
    whole: HeadingTrack,
    found: Sequence[Swing],
    judged: Sequence[Span],
    end_us: int,
    longest_us: int,
) -> list[Span]:
    """Return the clips of a video in time order: the judged ones, and the rest cut where it is steadiest.

    `found` are the turns of `whole`. No clip but a judged one is longer than `longest_us`, and no cut
    is within a turn unless there is no other frame to cut at.
    """
    spans = list(judged)
    for start, stop in _unjudged(judged, end_us):
        while stop - start > longest_us:
            pieces = -(-(stop - start) // longest_us)
            # After half to one maximum length, and such that the rest still fits into the other pieces.
            earliest = max(start + longest_us // 2, stop - (pieces - 1) * longest_us)
            latest = min(start + longest_us, stop - longest_us // 10)
            cut = _steadiest(whole, found, earliest, latest)
            spans.append((start, cut))
            start = cut
        spans.append((start, stop))
    return sorted(spans)


def equal_spans(judged: Sequence[Span], end_us: int, longest_us: int) -> list[Span]:
    """Return the clips of a video in time order: the judged ones, and the rest in equal parts."""
    spans = list(judged)
    for start, stop in _unjudged(judged, end_us):
        pieces = max(1, -(-(stop - start) // longest_us))
        edges = [start + (stop - start) * number // pieces for number in range(pieces + 1)]
        spans += pairwise(edges)
    return sorted(spans)


def _unjudged(judged: Sequence[Span], end_us: int) -> Iterator[Span]:
    """Yield the spans before, between and after judged spans; all of 0..end if there are none."""
    reached = 0
    for start, stop in (*judged, (end_us, end_us)):
        if start - reached >= _SHORTEST_US or not judged:
            yield reached, start
        reached = max(reached, stop)


def _steadiest(whole: HeadingTrack, found: Sequence[Swing], earliest: int, latest: int) -> int:
    """Return the frame time in the span with the smallest heading change in the two seconds around it."""
    inside: list[int] = whole.t_us[whole.within(earliest, latest)].tolist()
    outside = [t_us for t_us in inside if not _turning(t_us, found)]

    def change(t_us: int) -> float:
        span = whole.yaw_degrees[whole.within(t_us - _AROUND_US, t_us + _AROUND_US)]
        return float(span.max() - span.min())

    return min(outside or inside, key=lambda t_us: (round(change(t_us), 1), -t_us), default=latest)


def _turning(t_us: int, found: Sequence[Swing]) -> bool:
    """Return whether this time is within a turn; turns are in time order and don't overlap."""
    number = bisect_right(found, t_us, key=lambda swing: swing.start_us)
    return number > 0 and t_us <= found[number - 1].end_us
