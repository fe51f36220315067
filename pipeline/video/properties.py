"""The properties of a video file: what it contains, how large and long it is, and how it is displayed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import RowError
from pipeline.sources.rows import Lens
from pipeline.video import sniff
from pipeline.video.colour import Declared
from pipeline.video.display import Display
from pipeline.video.lens_tags import read_lens
from pipeline.video.stream import (
    LEAPING,
    Damage,
    decoded,
    in_us,
    is_cover,
    main_stream,
    open_video,
    packets,
    tick_us,
    video_tracks,
)
from pipeline.video.thinning import Leaps

_LEVEL_DEGREES = 1.0  # a display matrix that is off a quarter turn by more is reported
_CUT_OFF_US = 1_000_000  # a file whose tracks all end this long before the declared end was cut off
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
    in degrees counter-clockwise. The rate is the container's average, for information only; times always
    come from presentation timestamps. `hfov_degrees` refers to the displayed width; it and `lens` are None
    if the container doesn't specify them. `conversion` is `mirrored` if the container asks for it, and
    `track N` if the video isn't the first track.
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
    conversion: str = ""
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
        declared = Declared.of(stream)
        first = _first_frame(container, stream)
        duration_us = _duration_us(container, stream) or _scanned_us(path, first.pts)
        if duration_us <= 0:
            raise RowError(
                f"it has no duration and no timestamps ({container.format.name})",
                "make a copy with timestamps: egost repair FILE",
            )
        display = Display.of(first, stream, declared, rotation)
        width, height = display.width, display.height
        rate = stream.average_rate or stream.guessed_rate or Fraction(0)
        lens = read_lens(
            path,
            {**container.metadata, **stream.metadata},
            width,
            height,
            sideways=rotation % 180 != 0,
        )
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
            conversion=", ".join(_conversion(container, stream, display)),
            notes=tuple(_notes(video_tracks(container), display)),
        )


def _conversion(container: InputContainer, stream: VideoStream, display: Display) -> Iterator[str]:
    if display.asked.mirrored:
        yield "mirrored"
    if any(one.index < stream.index for one in container.streams.video if not is_cover(one)):
        yield f"track {stream.index}"


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


def _scanned_us(path: Path, first_pts: int | None) -> int:
    """Return the span of the video packets' times; of a file that was cut off, what it declares.

    It begins with the first displayed frame: a recording that begins between keyframes has packets
    before it that can't be decoded.

    Matroska and FLV declare when the last of all tracks ends: sound may last longer than the video.
    """
    with open_video(path) as container:
        stream = main_stream(container)
        tick = tick_us(stream)
        leaps = Leaps(container, tick)
        parts: list[set[int]] = [set()]
        end_us = 0
        for packet in packets(container):
            if packet.pts is None or not packet.size:
                continue
            end_us = max(
                end_us, in_us(packet.pts + (packet.duration or 0), packet.time_base * 1_000_000)
            )
            if packet.stream_index == stream.index:
                parts += [set()] if leaps.at(packet) else []
                if parts[1:] or first_pts is None or packet.pts >= first_pts:
                    parts[-1].add(packet.pts)
        declared_us = 0 if container.format.name in LEAPING else container.duration or 0
    spans = [sorted(times) for times in parts if len(times) > 1]
    if spans and declared_us - end_us > _CUT_OFF_US:
        return declared_us - in_us(spans[0][0], tick)
    return sum(in_us(times[-1] - times[0] + times[-1] - times[-2], tick) for times in spans)
