"""One open video stream: its packets, its clock, and signs of damage.

FFmpeg reports neither where video time starts nor that it concealed damage; this module does.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, overload

import av
from av import logging as av_logging
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import RowError
from pipeline.video import sniff

Complaint = tuple[int, str, str]  # level, source, message
LEAPING = {"mpegts", "mpeg"}  # may be concatenations of recordings, each with its own timestamps
_LEAP_US, _LEAP_BACK_US = 10_000_000, 1_000_000  # the limits that FFmpeg itself uses
_LOST_PACKET = re.compile(r"Packet corrupt \(stream = (?P<stream>\d+), dts = (?P<dts>-?\d+|NOPTS)")
_DAMAGE = re.compile(r"corrupt|invalid|conceal|damaged|size mismatch", re.IGNORECASE)
_DEMUX_FAILURES = 20
_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_PICTURE_CODECS = {"mjpeg", "png", "bmp", "gif", "tiff", "webp"}


def open_video(path: Path) -> InputContainer:
    """Open a container for reading; raise RowError with the reason if it can't be opened."""
    try:
        return av.open(str(path.absolute()), metadata_errors="replace")
    except PermissionError as error:
        raise RowError("permission denied", "make it readable: chmod u+r FILE") from error
    except FileNotFoundError as error:
        raise RowError(
            "the file is gone", "restore it, or run egost frames on its new location", again=True
        ) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise sniff.unreadable(path, error) from error


def main_stream(container: InputContainer) -> VideoStream:
    """Return the video track to read, set to one decoder thread; raise RowError if there is none."""
    tracks = video_tracks(container)
    if not tracks:
        raise RowError("no video stream (audio or data only)", "use the file with the video stream")
    stream = tracks[0]
    if stream.codec_context is None:
        raise RowError(
            "no decoder for its video codec",
            "export it as H.264 or H.265 with the software of its camera",
        )
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    return stream


def video_tracks(container: InputContainer) -> list[VideoStream]:
    """Return the tracks that show video, the one to read first: the default one, else the largest.

    Cover art and thumbnails are left out, also where they aren't marked as such, unless there is
    nothing else.
    """
    tracks = [one for one in container.streams.video if not is_cover(one)]
    most = max((one.frames for one in tracks), default=0)

    def is_pictures(one: VideoStream) -> bool:
        # Matroska doesn't count frames.
        return one.frames * 10 < most if one.frames else _codec(one) in _PICTURE_CODECS

    def rank(one: VideoStream) -> tuple[bool, int]:
        size = one.width * one.height if one.codec_context else 0
        return bool(one.disposition & Disposition.default), size

    moving = [one for one in tracks if not is_pictures(one)]
    return sorted(moving or tracks, key=rank, reverse=True)


def is_cover(stream: VideoStream) -> bool:
    """Return whether a track is marked as cover art, thumbnails or a still image."""
    return bool(stream.disposition & _PICTURES)


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.name if stream.codec_context else ""


def tick_us(stream: Stream) -> Fraction:
    """Return the time base of this stream in microseconds."""
    return (stream.time_base or Fraction(0)) * 1_000_000


def in_us(ticks: int, tick: Fraction) -> int:
    """Return ticks in microseconds, rounded; multiplying by the Fraction takes six times as long."""
    return round(ticks * tick.numerator / tick.denominator)


@contextmanager
def listening() -> Iterator[list[Complaint]]:
    """Collect FFmpeg's log: the only place where it reports that it concealed damage."""
    level, skipped = av_logging.get_level(), av_logging.get_skip_repeated()
    # Includes warnings and infos: lost packets of a transport stream and concealed blocks aren't errors.
    av_logging.set_level(av_logging.INFO)
    # A second pass over a file repeats its messages, which must not be suppressed.
    av_logging.set_skip_repeated(False)
    try:
        with av_logging.Capture() as complaints:
            yield complaints
    finally:
        av_logging.set_level(level)
        av_logging.set_skip_repeated(skipped)


class Clock:
    """Converts timestamps to video time; None for a frame without a timestamp or out of order.

    Where decoding doesn't begin at the first displayed frame, `first` is its timestamp.
    """

    def __init__(self, stream: VideoStream, container: str, first: int | None = None) -> None:
        self._tick = tick_us(stream)
        # AVI stores no presentation times: the decoder passes decoding times through, which are in
        # display order, and the `pts` that it guesses from them are not.
        self._by_dts = container == "avi"
        self._leaps = container in LEAPING
        self._first = first
        self._last: int | None = None
        self._apart = 0
        self._leapt = 0

    def begin(self, packet: "av.Packet[VideoStream]") -> bool:
        """Begin at a keyframe: frames displayed before it depend on an earlier one and give no time."""
        stamp = packet.dts if self._by_dts else packet.pts
        if stamp is None or not packet.is_keyframe:
            return False
        self._last = (stamp if self._first is None else max(stamp, self._first)) - 1
        return True

    def read(self, frame: av.VideoFrame) -> tuple[int, int] | None:
        """Return the timestamp and the video time in microseconds."""
        stamp = frame.dts if self._by_dts else frame.pts
        if stamp is None and self._by_dts and self._last is not None:
            stamp = self._last + self._apart  # the last frames are returned after the last packet
        if stamp is None:
            return None
        if self._last is not None:
            if self._leaps and is_leap(self._last, stamp, self._tick):
                self._leapt += self._last + self._apart - stamp  # video time continues
            elif stamp <= self._last:
                return None
            else:
                self._apart = stamp - self._last
        if self._first is None:
            self._first = stamp
        self._last = stamp
        return stamp, in_us(stamp + self._leapt - self._first, self._tick)


def is_leap(earlier: int, later: int, tick: Fraction) -> bool:
    """Return whether a new recording begins between two timestamps; `tick` is the time base in microseconds."""
    return not -_LEAP_BACK_US < (later - earlier) * tick < _LEAP_US


class Damage:
    """Tracks whether frames may be damaged: from any sign of damage to the next intact keyframe."""

    def __init__(self, stream: VideoStream, container: str) -> None:
        self._stream_index = stream.index
        # In an AVI the time of a frame is its number, so after a lost frame all are too early.
        self._recovers = container != "avi"
        self._seen = 0
        # Decoding times of packets that were reported as corrupt before they were read.
        self._corrupt: list[int] = []
        self.forget()

    def forget(self) -> None:
        """Reset, at a keyframe that doesn't follow the packets seen so far."""
        self._since: int | None = None  # number of packets seen at the last damage
        self._keys: dict[int, int] = {}  # timestamp of a keyframe's packet -> packets seen by then

    def see(self, packet: "av.Packet[VideoStream]") -> None:
        """Record a packet before it is decoded."""
        self._seen += 1
        if packet.is_keyframe and packet.pts is not None:
            self._keys[packet.pts] = self._seen
        reached = [dts for dts in self._corrupt if packet.dts is None or dts <= packet.dts]
        if packet.is_corrupt or reached:
            self._corrupt = [dts for dts in self._corrupt if dts not in reached]
            self.happened()

    def hear(self, complaints: list[Complaint]) -> bool:
        """Evaluate FFmpeg's messages and clear them; return whether they mean damage at this packet."""
        here = False
        for level, _, message in complaints:
            if lost := _LOST_PACKET.search(message):
                # Logged when FFmpeg reads ahead, possibly long before the packet is returned.
                if int(lost["stream"]) == self._stream_index and lost["dts"] != "NOPTS":
                    self._corrupt.append(int(lost["dts"]))
            elif level <= av_logging.ERROR or _DAMAGE.search(message):
                here = True
        complaints.clear()
        if here:
            self.happened()
        return here

    def happened(self) -> None:
        """Record damage at this packet."""
        self._since = self._seen

    def touches(self, frame: av.VideoFrame) -> bool:
        """Return whether damage was seen with no intact keyframe since."""
        if frame.is_corrupt:
            self.happened()
        seen = self._keys.pop(frame.pts, None) if frame.pts is not None else None
        if self._recovers and seen is not None and self._since is not None and seen > self._since:
            self._since = None
        return self._since is not None


def decoded(
    stream: VideoStream,
    packet: "av.Packet[VideoStream] | None",
    damage: Damage,
    complaints: list[Complaint],
) -> list[av.VideoFrame]:
    """Return the frames that the decoder returns for this packet (None: the end); record damage."""
    if packet is not None:
        damage.see(packet)
    try:
        frames = stream.codec_context.decode(packet)
    except av.error.EOFError:
        return []  # already flushed
    except av.error.FFmpegError:
        damage.happened()
        frames = []
    damage.hear(complaints)
    return frames


@overload
def packets(
    container: InputContainer, stream: VideoStream, damage: "Damage | None" = None
) -> Iterator["av.Packet[VideoStream]"]: ...
@overload
def packets(container: InputContainer) -> Iterator["av.Packet[Any]"]: ...
def packets(
    container: InputContainer, stream: VideoStream | None = None, damage: "Damage | None" = None
) -> Iterator["av.Packet[Any]"]:
    """Yield the packets of one stream (None: of all) in decoding order, with the final empty ones.

    Continues after parse errors.
    """
    wanted = () if stream is None else (stream,)
    failures = 0
    while failures < _DEMUX_FAILURES:
        try:
            for packet in container.demux(*wanted):
                failures = 0
                yield packet
        except av.error.FFmpegError:
            failures += 1
            if damage:
                damage.happened()
            continue
        return
