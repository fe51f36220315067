"""Reading video files: all frames in one pass, and frames at given times.

Video time is integer microseconds; 0 is the first displayed frame. Every function here uses one
decoder thread: two processes with one thread each take 0.80 of the time of one process with two.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import RowError
from pipeline.video.colour import Declared
from pipeline.video.display import DecodedFrame, Display, Image, shrunk
from pipeline.video.properties import VideoInfo, probe
from pipeline.video.stream import (
    Clock,
    Complaint,
    Damage,
    decoded,
    in_us,
    listening,
    main_stream,
    open_video,
    packets,
    tick_us,
)
from pipeline.video.thinning import Leaps, Thinned, skip_unless

__all__ = ["DecodedFrame", "Image", "VideoInfo", "frames", "frames_at", "probe", "shrunk"]

_MOST_RESCUES = 8  # each reads the file again up to that point, so heavy damage needs a limit


def frames(
    path: Path, apart_us: Callable[[], int] | None = None, *, rotation: int = 0
) -> Iterator[DecodedFrame]:
    """Decode a video once and yield its frames in display order, upright and at one size.

    `rotation` is the manifest's, in degrees clockwise, applied after the container's display matrix.

    With `apart_us`, skip frames as long as the yielded ones are at most this far apart (as far as the
    video has them), at a fairly even spacing; the last frame is always yielded. `apart_us` is called
    for each packet, so its value may change.

    Frames are suspect from any sign of damage (a decoding error, a log message, a packet marked as
    corrupt) to the next keyframe after it. Raises RowError if nothing can be decoded, or if the aspect
    ratio changes.
    """
    thinned = Thinned.of(path, next(frames(path)).pts) if apart_us else None
    with open_video(path) as container, listening() as complaints:
        stream = main_stream(container)
        declared = Declared.of(stream)
        clock = Clock(stream, container.format.name)
        damage = Damage(stream, container.format.name)
        damage.hear(complaints)  # FFmpeg reads ahead when it opens a file
        display: Display | None = None
        yielded_us = -1
        waiting: DecodedFrame | None = None
        for packet in packets(container, stream, damage):
            if damage.hear(complaints) and waiting:
                # The message may concern the previous packet.
                waiting = replace(waiting, suspect=True)
            apart = apart_us() if apart_us else 0
            wanted = thinned.to(apart) if thinned else frozenset()
            if thinned:
                skip_unless(packet.pts in wanted, stream)
            for frame in decoded(stream, packet, damage, complaints):
                suspect = damage.touches(frame)
                read = clock.read(frame)
                if read is None:
                    continue
                pts, t_us = read
                if waiting and (
                    yielded_us < 0 or t_us - yielded_us > apart or waiting.pts in wanted
                ):
                    yield waiting
                    yielded_us = waiting.t_us
                display = display or Display.of(frame, stream, declared, rotation)
                waiting = display.show(frame, stream, pts, t_us, suspect)
        if waiting is None:
            raise RowError("none of its frames can be decoded", "copy or download it again")
        yield waiting


def frames_at(path: Path, times_us: Iterable[int], *, rotation: int = 0) -> Iterator[DecodedFrame]:
    """Yield the frame displayed at each of these times (the last at or before it), each frame once.

    `rotation` is the manifest's, in degrees clockwise, applied after the container's display matrix.

    Decodes only the wanted frames and those that they depend on; exact for variable rates, B-frames
    and containers without an index. Wanted frames that can't be decoded are omitted. Raises RowError
    if nothing can be decoded.
    """
    times = sorted(times_us)
    first = next(frames(path, rotation=rotation))
    plan = _plan(path, first.pts, times)
    if plan is None:
        yield from _shown_at(frames(path, rotation=rotation), times)
        return
    rescues = _MOST_RESCUES
    with open_video(path) as container, listening() as complaints:
        runs = _Runs(container, first, complaints)
        for start, end in plan.runs:
            waiting = plan.wanted_in(start, end)
            for frame in runs.decode(start, end, frozenset(waiting)):
                if start and rescues and (frame.suspect or frame.pts != waiting[0]):
                    break
                waiting = [pts for pts in waiting if pts > frame.pts]
                yield frame
            if start and rescues and waiting:
                # With intra refresh, frames are complete only one group after a "keyframe", so start
                # from the previous one.
                rescues -= 1
                with open_video(path) as again:
                    earlier = max((key for key in plan.keys if key < start), default=0)
                    yield from _Runs(again, first, complaints).decode(
                        earlier, end, frozenset(waiting)
                    )


class _Runs:
    """Decodes runs of packets of an open container in order."""

    def __init__(
        self, container: InputContainer, first: DecodedFrame, complaints: list[Complaint]
    ) -> None:
        self._stream = main_stream(container)
        self._first = first
        self._tick = tick_us(self._stream)
        self._complaints = complaints
        self._damage = Damage(self._stream, container.format.name)
        self._damage.hear(complaints)
        sized = (p for p in packets(container, self._stream, self._damage) if p.size)
        self._numbered = enumerate(sized)
        self._ahead: list[tuple[int, av.Packet[VideoStream]]] = []

    def decode(self, start: int, end: int, wanted: frozenset[int]) -> Iterator[DecodedFrame]:
        """Yield the wanted frames of the packets from number `start` to before `end`."""
        self._stream.codec_context.flush_buffers()
        waiting: DecodedFrame | None = None
        for number, packet in chain(self._ahead, self._numbered):
            damaged = self._damage.hear(self._complaints)
            if number < start:
                continue
            if number == start:
                self._damage.forget()
            if waiting:
                yield replace(waiting, suspect=True) if damaged else waiting
                waiting = None
            skip_unless(packet.pts in wanted, self._stream)
            frames = decoded(self._stream, packet, self._damage, self._complaints)
            if number == end - 1:
                frames += decoded(self._stream, None, self._damage, self._complaints)
            for frame in frames:
                suspect = self._damage.touches(frame)
                if frame.pts in wanted:
                    t_us = in_us(frame.pts - self._first.pts, self._tick)
                    if waiting:
                        yield waiting
                    waiting = self._first.display.show(
                        frame, self._stream, frame.pts, t_us, suspect
                    )
            if number == end - 1:
                break
        self._ahead = list(islice(self._numbered, 1))
        damaged = self._damage.hear(self._complaints)
        if waiting:
            yield replace(waiting, suspect=True) if damaged else waiting


@dataclass(frozen=True)
class _SeekPlan:
    """The wanted timestamps, and the runs of packets (first, end) to decode for them.

    `stamps` are the timestamps of all packets, `keys` the numbers of the keyframes among them.
    """

    wanted: frozenset[int]
    runs: tuple[tuple[int, int], ...]
    stamps: tuple[int, ...]
    keys: tuple[int, ...]

    def wanted_in(self, start: int, end: int) -> list[int]:
        """Return the wanted timestamps of a run in display order."""
        return sorted(pts for pts in self.stamps[start:end] if pts in self.wanted)


def _plan(path: Path, first_pts: int, times: list[int]) -> _SeekPlan | None:
    """Read all packets without decoding; return None if packets lack presentation times."""
    stamps: list[int] = []
    keys: list[int] = []
    shown: set[int] = set()
    with open_video(path) as container:
        stream = main_stream(container)
        tick = tick_us(stream)
        leaps = Leaps(container, tick)
        for packet in packets(container, stream):
            if not packet.size:  # the final one
                continue
            if packet.pts is None or container.format.name == "avi" or leaps.at(packet):
                return None
            if packet.is_keyframe:
                keys.append(len(stamps))
            stamps.append(packet.pts)
            if packet.pts >= first_pts and not packet.is_discard:
                shown.add(packet.pts)
    in_order = sorted(shown)
    shown_us = [in_us(pts - first_pts, tick) for pts in in_order]
    wanted = frozenset(in_order[max(0, bisect_right(shown_us, t_us) - 1)] for t_us in times)
    runs: list[tuple[int, int]] = []
    for before, start, end in zip([*keys[:1], *keys], keys, [*keys[1:], len(stamps)], strict=False):
        inside = [number for number in range(start, end) if stamps[number] in wanted]
        if not inside:
            continue
        # A frame displayed before its keyframe also depends on the previous group of pictures.
        first_run = before if min(stamps[number] for number in inside) < stamps[start] else start
        if runs and runs[-1][1] > first_run:
            first_run, _ = runs.pop()
        runs.append((first_run, inside[-1] + 1))
    return _SeekPlan(wanted, tuple(runs), tuple(stamps), tuple(keys))


def _shown_at(shown: Iterator[DecodedFrame], times: list[int]) -> Iterator[DecodedFrame]:
    """Yield the frames that are displayed at these times."""
    wanted = iter(times)
    time_us = next(wanted, None)
    last: DecodedFrame | None = None
    for frame in shown:
        taken = False
        while last is not None and time_us is not None and time_us < frame.t_us:
            if not taken:
                yield last
            taken = True
            time_us = next(wanted, None)
        last = frame
    if last is not None and time_us is not None:
        yield last
