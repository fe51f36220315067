"""Reading video files: their properties, all frames in one pass, and frames at given times.

Video time is integer microseconds; 0 is the first displayed frame. Every function here uses one
decoder thread: two processes with one thread each take 0.80 of the time of one process with two.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import RowError
from pipeline.sources.rows import Lens
from pipeline.video import sniff
from pipeline.video.display import DecodedFrame, Display, Image, shrunk
from pipeline.video.lens_tags import read_lens
from pipeline.video.stream import (
    LEAPING,
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
    video_tracks,
)
from pipeline.video.thinning import Leaps, Thinned, skip_unless

__all__ = ["DecodedFrame", "Image", "VideoInfo", "frames", "frames_at", "probe", "shrunk"]

_MOST_RESCUES = 8  # each reads the file again up to that point, so heavy damage needs a limit
_LEVEL_DEGREES = 1.0  # a display matrix that is off a quarter turn by more is reported
_PROBE_PACKETS = 900  # 30 s at 30 fps; a stream without a frame by then is unreadable


@dataclass(frozen=True)
class Note:
    """Something about a readable video that people should check, and what they can do about it."""

    what: str
    fix: str


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a readable video.

    `width` and `height` are as displayed: after rotation, in square pixels. `rotation` is the container's
    in degrees counter-clockwise. The rate is the container's average, for information only;
    times always come from presentation timestamps. `hfov_degrees` refers to the displayed width; it
    and `lens` are None if the container doesn't specify them.
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
    lens: Lens | None
    notes: tuple[Note, ...] = ()


def probe(path: Path, rotation: int = 0) -> VideoInfo:
    """Open a file, decode its first two frames and return its properties.

    `rotation` is the manifest's, in degrees clockwise, applied after the container's display matrix.

    Raises RowError for an unusable file: a folder, no permission, an empty file, text, an image, no
    moov, no video stream, no decoder, no frame that decodes, a single frame, no duration.
    """
    sniff.refuse_by_bytes(path)
    with open_video(path) as container:
        stream = main_stream(container)
        first = _first_frame(container, stream)
        duration_us = _duration_us(container, stream) or _scanned_us(path)
        if duration_us <= 0:
            raise RowError(
                f"it has no duration and no timestamps ({container.format.name})",
                "make a copy with timestamps: egost repair FILE",
            )
        display = Display.of(first, stream, rotation)
        width, height = display.width, display.height
        rate = stream.average_rate or stream.guessed_rate or Fraction(0)
        lens = read_lens(path, {**container.metadata, **stream.metadata}, width, height)
        return VideoInfo(
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            rotation=-90 * display.asked.quarters % 360,
            fps_num=rate.numerator,
            fps_den=rate.denominator,
            duration_us=duration_us,
            has_audio=bool(container.streams.audio),
            hfov_degrees=lens.hfov_degrees,
            lens=lens.lens,
            notes=tuple(_notes(video_tracks(container), display)),
        )


def _notes(tracks: Sequence[VideoStream], display: Display) -> Iterator[Note]:
    if len(tracks) > 1:
        names = ", ".join(f"{one.index} ({_size(one)})" for one in tracks)
        yield Note(
            f"it has {len(tracks)} video tracks: {names}; track {tracks[0].index} is used, the others aren't",
            "for another track, export a file with that track alone",
        )
    if abs(display.asked.clockwise - 90 * round(display.asked.clockwise / 90)) > _LEVEL_DEGREES:
        yield Note(
            f"the file asks for a rotation by {display.asked.clockwise:.0f} degrees; "
            f"it is rotated by {90 * display.asked.quarters}",
            "if it isn't upright, set rotation in manifest.csv",
        )


def _size(stream: VideoStream) -> str:
    return f"{stream.width} x {stream.height}" if stream.codec_context else "unknown codec"


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
                display = display or Display.of(frame, stream, rotation)
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
    for start, end in pairwise([*keys, len(stamps)]):
        inside = [number for number in range(start, end) if stamps[number] in wanted]
        if not inside:
            continue
        first_run = start
        if stamps[inside[0]] < stamps[start] or min(stamps[n] for n in inside) < stamps[start]:
            # Displayed before its keyframe, so it also depends on the previous group of pictures.
            first_run = max((key for key in keys if key < start), default=start)
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


def _first_frame(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    """Return the first frame; raise RowError for a stream with none or only one."""
    first: av.VideoFrame | None = None
    for number, packet in enumerate(packets(container, stream)):
        for frame in decoded(stream, packet, Damage(stream, container.format.name), []):
            if first is not None:
                return first
            first = frame
        if number > _PROBE_PACKETS:
            break
    if first is None:
        raise RowError("none of its frames can be decoded", "copy or download it again")
    raise RowError("it has only one frame", "use a video, or remove the file")


def _duration_us(container: InputContainer, stream: VideoStream) -> int:
    """Return the declared duration of the video track in microseconds, or 0 if there is none to rely on."""
    # What transport and program streams declare is computed from their first and last timestamps,
    # whatever is between. Matroska and FLV declare only when the last of all tracks ends.
    if container.format.name in LEAPING or not stream.duration:
        return 0
    return in_us(stream.duration, tick_us(stream))


def _scanned_us(path: Path) -> int:
    """Return the span of the packets' times, for a recording without a declared duration."""
    with open_video(path) as container:
        stream = main_stream(container)
        tick = tick_us(stream)
        leaps = Leaps(container, tick)
        parts: list[set[int]] = [set()]
        for packet in packets(container, stream):
            if packet.pts is not None and packet.size:
                parts += [set()] if leaps.at(packet) else []
                parts[-1].add(packet.pts)
    spans = [sorted(times) for times in parts if len(times) > 1]
    return sum(in_us(times[-1] - times[0] + times[-1] - times[-2], tick) for times in spans)
