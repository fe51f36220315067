"""Reading video files: what a file is, its pictures in one pass, and its pictures at given times.

Video time is integer microseconds and 0 is the first picture shown. Every function here uses one
decoder thread: two processes with one thread each beat one process with two (wall 0.80, measured).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.clients import sniff
from pipeline.clients.stream import (
    Clock,
    Damage,
    Image,
    Picture,
    decoded,
    listening,
    main_stream,
    open_video,
    packets,
    quarter,
    shown_size,
)
from pipeline.errors import RowError

__all__ = ["Image", "Picture", "VideoInfo", "pictures", "pictures_at", "probe"]

_FULL_FRAME_DIAGONAL_MM = 43.27
# Containers carry the field of view in no agreed key; these are what cameras and our renderer write.
_HFOV_KEYS = ("hfov_degrees", "horizontal_fov", "hfov")
_FOCAL_KEYS = ("com.apple.quicktime.camera.focal_length.35mm_equivalent", "focal_length_35mm")
_PROBE_PACKETS = 900  # half a minute at 30 fps; a stream that shows nothing by then is unreadable
# Only these decoders leave out single pictures rightly; libdav1d then loses wanted ones, too.
_SKIPS_SINGLE = {"h264", "hevc"}


@dataclass(frozen=True)
class VideoInfo:
    """What a readable video says about itself.

    `width` and `height` are as shown: rotation applied, pixels made square. `rotation` is what was
    applied, in degrees counter-clockwise. The rate is the container's average, for people to read;
    times always come from presentation timestamps. `hfov_degrees` spans the shown width, or is None.
    """

    container: str
    codec: str
    width: int
    height: int
    rotation: int
    fps_num: int
    fps_den: int
    duration_us: int
    has_audio: bool
    hfov_degrees: float | None


def probe(path: Path) -> VideoInfo:
    """Open a file, decode its first two pictures and say what it is.

    Raises RowError for whatever can't be used: a folder, no permission, nothing or text inside, an
    image, no moov, no video stream, no decoder, no picture that decodes, one picture, no duration.
    """
    sniff.refuse_by_bytes(path)
    with open_video(path) as container:
        stream = main_stream(container)
        first = _first_picture(container, stream)
        duration_us = _duration_us(container, stream) or _scanned_us(path)
        if duration_us <= 0:
            raise RowError(
                "it says no duration and its pictures have no times",
                f"give it times: ffmpeg -i IN -c copy OUT.mkv (container {container.format.name})",
            )
        width, height = shown_size(first, stream)
        rate = stream.average_rate or stream.guessed_rate or Fraction(0)
        tags = {**container.metadata, **stream.metadata}
        return VideoInfo(
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            rotation=quarter(first.rotation),
            fps_num=rate.numerator,
            fps_den=rate.denominator,
            duration_us=duration_us,
            has_audio=bool(container.streams.audio),
            hfov_degrees=_hfov_degrees(tags, width, height),
        )


def pictures(path: Path, apart_us: int = 0) -> Iterator[Picture]:
    """Decode a video once and yield its pictures in the order shown.

    With `apart_us`, leave out as many as can be while those yielded lie at most so far apart (where
    the video itself has them): steps stay even at any rate, and the last picture is among them.

    A picture is suspect from any sign of damage (a decoder's error, a complaint, a packet that its
    container calls broken) to the next keyframe after it. Raises RowError if nothing can be decoded.
    """
    wanted = _wanted(path, apart_us) if apart_us else None
    with open_video(path) as container, listening() as complaints:
        stream = main_stream(container)
        clock = Clock(stream, container.format.name)
        damage = Damage()
        yielded_us = -1
        waiting: Picture | None = None
        for packet in packets(container, stream, damage):
            if wanted is not None:
                _skip_unless(packet.pts in wanted, stream)
            for frame in decoded(stream, packet, damage, complaints):
                suspect = damage.touches(frame)
                read = clock.read(frame)
                if read is None:
                    continue
                pts, t_us = read
                if waiting and (yielded_us < 0 or t_us - yielded_us > apart_us):
                    yield waiting
                    yielded_us = waiting.t_us
                waiting = Picture.of(frame, stream, pts, t_us, suspect)
        if waiting is None:
            raise RowError("none of its pictures can be decoded", "copy or download it again")
        yield waiting


def pictures_at(path: Path, times_us: Iterable[int]) -> Iterator[Picture]:
    """Yield the picture on show at each of these times (the last one at or before it), each once.

    Decodes only what the wanted pictures rest on; exact for variable rates, B-frames and containers
    without an index. A wanted picture that damage has destroyed is left out. Raises RowError if the
    video shows nothing.
    """
    times = sorted(times_us)
    first = next(pictures(path))
    plan = _plan(path, first.pts, times)
    if plan is None:
        yield from _shown_at(pictures(path), times)
        return
    with open_video(path) as container, listening() as complaints:
        stream = main_stream(container)
        context = stream.codec_context
        base = (stream.time_base or Fraction(0)) * 1_000_000
        damage = Damage()
        sized = (packet for packet in packets(container, stream, damage) if packet.size)
        for number, packet in enumerate(sized):
            run = next((run for run in plan.runs if number < run[1]), None)
            if run is None:
                break
            if number < run[0]:
                continue
            if number == run[0]:
                damage = Damage()
            _skip_unless(packet.pts in plan.wanted, stream)
            frames = decoded(stream, packet, damage, complaints)
            if number == run[1] - 1:
                frames += decoded(stream, None, damage, complaints)
                context.flush_buffers()
            for frame in frames:
                suspect = damage.touches(frame)
                if frame.pts in plan.wanted:
                    t_us = round((frame.pts - first.pts) * base)
                    yield Picture.of(frame, stream, frame.pts, t_us, suspect)


def _skip_unless(wanted: bool, stream: VideoStream) -> None:
    """Have the next packet's picture left undecoded if it isn't wanted and nothing rests on it."""
    if stream.codec_context.name in _SKIPS_SINGLE:
        stream.codec_context.skip_frame = "DEFAULT" if wanted else "NONREF"


def _wanted(path: Path, apart_us: int) -> frozenset[int] | None:
    """Return the timestamps that `pictures` will yield; None where packets don't tell them."""
    with open_video(path) as container:
        stream = main_stream(container)
        if stream.codec_context.name not in _SKIPS_SINGLE or container.format.name == "avi":
            return None
        base = (stream.time_base or Fraction(0)) * 1_000_000
        first = next(pictures(path)).pts
        stamps: set[int] = set()
        for packet in packets(container, stream):
            if not packet.size:  # the closing one
                continue
            if packet.pts is None:
                return None
            if packet.pts >= first and not packet.is_discard:
                stamps.add(packet.pts)
    in_order = sorted(stamps)
    wanted: set[int] = set()
    kept_us = -1
    # Times as the clock reads them: a difference of rounded times may be 1 us more than another.
    times = [round((pts - first) * base) for pts in in_order]
    for index, t_us in enumerate(times):
        last = index + 1 == len(times)
        if last or kept_us < 0 or times[index + 1] - kept_us > apart_us:
            wanted.add(in_order[index])
            kept_us = t_us
    return frozenset(wanted)


@dataclass(frozen=True)
class _Plan:
    """Which timestamps are wanted, and the runs of packets (first, end) to decode for them."""

    wanted: frozenset[int]
    runs: tuple[tuple[int, int], ...]


def _plan(path: Path, first_pts: int, times: list[int]) -> _Plan | None:
    """Read all packets without decoding; None where packets say no presentation time."""
    stamps: list[int] = []
    keys: list[int] = []
    shown: set[int] = set()
    with open_video(path) as container:
        stream = main_stream(container)
        for packet in packets(container, stream):
            if not packet.size:  # the closing one
                continue
            if packet.pts is None or container.format.name == "avi":
                return None
            if packet.is_keyframe:
                keys.append(len(stamps))
            stamps.append(packet.pts)
            if packet.pts >= first_pts and not packet.is_discard:
                shown.add(packet.pts)
        base = (stream.time_base or Fraction(0)) * 1_000_000
    in_order = sorted(shown)
    shown_us = [round((pts - first_pts) * base) for pts in in_order]
    wanted = frozenset(in_order[max(0, bisect_right(shown_us, t_us) - 1)] for t_us in times)
    runs: list[tuple[int, int]] = []
    for start, end in pairwise([*keys, len(stamps)]):
        inside = [number for number in range(start, end) if stamps[number] in wanted]
        if not inside:
            continue
        first_run = start
        if stamps[inside[0]] < stamps[start] or min(stamps[n] for n in inside) < stamps[start]:
            # Shown before its keyframe: it rests on the group of pictures before, too.
            first_run = max((key for key in keys if key < start), default=start)
        if runs and runs[-1][1] > first_run:
            first_run, _ = runs.pop()
        runs.append((first_run, inside[-1] + 1))
    return _Plan(wanted, tuple(runs))


def _shown_at(shown: Iterator[Picture], times: list[int]) -> Iterator[Picture]:
    """Yield of all pictures those on show at these times."""
    wishes = iter(times)
    wish = next(wishes, None)
    last: Picture | None = None
    for picture in shown:
        taken = False
        while last is not None and wish is not None and wish < picture.t_us:
            if not taken:
                yield last
            taken = True
            wish = next(wishes, None)
        last = picture
    if last is not None and wish is not None:
        yield last


def _first_picture(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    """Return the first picture; refuse a stream that shows none, or only one."""
    first: av.VideoFrame | None = None
    for number, packet in enumerate(packets(container, stream)):
        for frame in decoded(stream, packet, Damage(), []):
            if first is not None:
                return first
            first = frame
        if number > _PROBE_PACKETS:
            break
    if first is None:
        raise RowError("none of its pictures can be decoded", "copy or download it again")
    raise RowError(
        "one picture only, so no time passes in it", "give a video, or take the image away"
    )


def _duration_us(container: InputContainer, stream: VideoStream) -> int:
    """Return the declared duration in microseconds, or 0."""
    if stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * 1_000_000)
    return container.duration or 0  # already microseconds; what a Matroska file has


def _scanned_us(path: Path) -> int:
    """Return the span of the packets' times: for a recording whose duration was never written."""
    with open_video(path) as container:
        stream = main_stream(container)
        times = sorted(
            {packet.pts for packet in packets(container, stream) if packet.pts is not None}
        )
    if len(times) < 2 or not stream.time_base:
        return 0
    span = times[-1] - times[0] + (times[-1] - times[-2])
    return round(span * stream.time_base * 1_000_000)


def _hfov_degrees(tags: dict[str, str], width: int, height: int) -> float | None:
    """Return the horizontal field of view that the tags tell, if any; 35 mm focal lengths are by diagonal."""
    for key in _HFOV_KEYS:
        degrees = _number(tags.get(key))
        if degrees is not None and 10 <= degrees <= 220:
            return degrees
    for key in _FOCAL_KEYS:
        focal = _number(tags.get(key))
        if focal is not None and 5 <= focal <= 400:
            pixels = focal / _FULL_FRAME_DIAGONAL_MM * math.hypot(width, height)
            return round(2 * math.degrees(math.atan(width / 2 / pixels)), 2)
    return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
