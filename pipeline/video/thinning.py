"""Choosing which frames of a video need not be decoded, from its packets alone."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.video.stream import LEAPING, in_us, is_leap, main_stream, open_video, packets, tick_us

# Only these decoders skip single frames correctly; libdav1d also loses wanted frames.
_SKIPS_SINGLE = {"h264", "hevc"}


def skip_unless(wanted: bool, stream: VideoStream) -> None:
    """Skip decoding the next packet's frame if it is neither wanted nor a reference frame."""
    if stream.codec_context.name in _SKIPS_SINGLE:
        stream.codec_context.skip_frame = "DEFAULT" if wanted else "NONREF"


class Thinned:
    """Chooses the frames of a video that are sufficient for a given spacing.

    `stamps` maps timestamps to whether the frame is decoded after all frames displayed before it;
    `times` are their sorted video times (rounded, so equal intervals may differ by 1 us).
    """

    def __init__(self, stamps: dict[int, bool], times: Sequence[int]) -> None:
        self._stamps, self._in_order, self._times = stamps, sorted(stamps), times
        self._known: dict[int, frozenset[int]] = {}

    @classmethod
    def of(cls, path: Path, first: int) -> "Thinned | None":
        """Read the packets of a video whose first displayed frame has the timestamp `first`.

        Returns None if the packets don't determine which frames are displayed.
        """
        with open_video(path) as container:
            stream = main_stream(container)
            if stream.codec_context.name not in _SKIPS_SINGLE or container.format.name == "avi":
                return None
            tick = tick_us(stream)
            stamps: dict[int, bool] = {}
            furthest = first
            leaps = Leaps(container, tick)
            for packet in packets(container, stream):
                if not packet.size:  # the final one
                    continue
                if packet.pts is None or leaps.at(packet):
                    return None
                if packet.pts >= first and not packet.is_discard:
                    stamps[packet.pts] = packet.pts >= furthest
                    furthest = max(furthest, packet.pts)
        return cls(stamps, [in_us(pts - first, tick) for pts in sorted(stamps)])

    def to(self, apart_us: int) -> frozenset[int]:
        """Return the timestamps of frames that are at most this far apart, as far as the video has them."""
        if apart_us not in self._known:
            self._known[apart_us] = frozenset(self._chosen(apart_us))
        return self._known[apart_us]

    def _chosen(self, apart_us: int) -> Iterator[int]:
        times, at = self._times, 0
        while at < len(times):
            yield self._in_order[at]
            within = range(at + 1, bisect_right(times, times[at] + apart_us))
            # If a frame in order is close enough, the frames before it depend on it and can be skipped.
            far = [
                number
                for number in within
                if self._stamps[self._in_order[number]]
                and times[number] - times[at] >= apart_us / 2
            ]
            at = far[-1] if far else max(at + 1, within.stop - 1)
        yield from self._in_order[-1:]


class Leaps:
    """Finds where recordings were concatenated: from there on timestamps are not unique."""

    def __init__(self, container: InputContainer, tick: Fraction) -> None:
        self._may = container.format.name in LEAPING
        self._tick = tick
        self._last: int | None = None

    def at(self, packet: "av.Packet[Any]") -> bool:
        """Return whether timestamps jump between the previous packet and this one."""
        last, self._last = self._last, packet.dts
        if not self._may or last is None or packet.dts is None:
            return False
        return is_leap(last, packet.dts, self._tick)
