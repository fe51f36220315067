"""The frames of one stretch of a video, decoded from a keyframe shortly before it."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import av

from pipeline.video.display import DecodedFrame
from pipeline.video.reader import frames
from pipeline.video.stream import (
    LEAPING,
    Clock,
    Damage,
    decoded,
    listening,
    main_stream,
    open_video,
    packets,
    tick_us,
)
from pipeline.video.thinning import Leaps

# How far before a time to seek: frames may depend on earlier keyframes, and an index may be inexact.
_BACK_US = (0, 2_000_000, 10_000_000)


def frames_between(
    path: Path, start_us: int, end_us: int, *, rotation: int = 0
) -> Generator[DecodedFrame]:
    """Yield the frames displayed in [start, end); the first is the one displayed at `start`.

    `rotation` is the manifest's, in degrees clockwise, applied after the container's display matrix.

    Decodes joined recordings from their beginning. Raises RowError if nothing can be decoded.
    """
    start_us = max(start_us, 0)
    first = next(frames(path, rotation=rotation))
    for back_us in () if _is_linear(path, path.stat().st_mtime_ns) else _BACK_US:
        sought = _sought(path, first, max(start_us - back_us, 0))
        with closing(sought), closing(_within(sought, start_us, end_us)) as shown:
            found = next(shown, None)
            if found and found.t_us <= start_us and not found.suspect:
                yield found
                yield from shown
                return
    yield from _within(frames(path, rotation=rotation), start_us, end_us)


@lru_cache(maxsize=8)
def _is_linear(path: Path, mtime_ns: int) -> bool:
    """Return whether the time of a frame follows only from all frames before it."""
    with open_video(path) as container:
        if container.format.name not in LEAPING:
            return False
        stream = main_stream(container)
        leaps = Leaps(container, tick_us(stream))
        return any(leaps.at(packet) for packet in packets(container, stream))


def _sought(path: Path, first: DecodedFrame, time_us: int) -> Generator[DecodedFrame]:
    """Yield all frames from the keyframe to which seeking to this time leads."""
    with open_video(path) as container, listening() as complaints:
        stream = main_stream(container)
        clock = Clock(stream, container.format.name, first.pts)
        damage = Damage(stream, container.format.name)
        if time_us:
            try:
                container.seek(first.pts + int(time_us / tick_us(stream)), stream=stream)
            except av.error.FFmpegError:
                return
        complaints.clear()
        begun = False
        for packet in packets(container, stream, damage):
            begun = begun or clock.begin(packet)
            if not begun:
                continue
            damage.hear(complaints)
            for frame in decoded(stream, packet, damage, complaints):
                suspect = damage.touches(frame)
                if read := clock.read(frame):
                    yield first.display.show(frame, stream, *read, suspect)


def _within(shown: Iterator[DecodedFrame], start_us: int, end_us: int) -> Generator[DecodedFrame]:
    """Yield the frame displayed at `start`, and those after it that begin before `end`."""
    last: DecodedFrame | None = None
    for frame in shown:
        if last is not None and frame.t_us > start_us:
            yield last
            if frame.t_us >= end_us:
                return
        last = frame
    if last is not None:
        yield last
