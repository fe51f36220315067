"""One open video stream: its packets, its clock, signs of damage, and decoded pictures.

FFmpeg tells neither where video time starts nor that it concealed damage; this module does.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av import logging as av_logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import RowError
from pipeline.video import sniff

Image = NDArray[np.uint8]
Complaint = tuple[int, str, str]  # level, who says it, what
LEAPING = {"mpegts", "mpeg"}  # recordings are joined in these as they are, each with its own times
_LEAP_US, _LEAP_BACK_US = 10_000_000, 1_000_000  # as far as FFmpeg itself lets times wander
_LOST_PACKET = re.compile(r"Packet corrupt \(stream = (?P<stream>\d+), dts = (?P<dts>-?\d+|NOPTS)")
_DAMAGE = re.compile(r"corrupt|invalid|conceal|damaged|size mismatch", re.IGNORECASE)
_DEMUX_FAILURES = 20
# Each frame's own would set its tables up anew, which takes as long as scaling.
_SCALER = VideoReformatter()
# What OpenCV takes YUV for: BT.601 under both its numbers, and 2, unsaid, which swscale reads so, too.
_BT601 = {2, 5, 6}
_PLANAR_8 = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}


def open_video(path: Path) -> InputContainer:
    """Open a container for reading; raise RowError that says why it can't be."""
    try:
        return av.open(str(path.absolute()), metadata_errors="replace")
    except PermissionError as error:
        raise RowError("permission denied", "let your account read it: chmod u+r FILE") from error
    except FileNotFoundError as error:
        raise RowError(
            "the file is gone", "bring it back, or run egost frames on its new place", again=True
        ) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise sniff.unreadable(path, error) from error


def main_stream(container: InputContainer) -> VideoStream:
    """Return the first video stream that is not cover art, set to one decoder thread."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise RowError(
                    "no decoder for its video codec",
                    "transcode it: ffmpeg -i IN -c:v libx264 OUT.mp4",
                )
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = "NONE"
            return stream
    raise RowError("no video stream (audio or data only)", "give the file that holds the pictures")


def shown_size(frame: av.VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Return width and height in square pixels after rotation."""
    wide = stream.sample_aspect_ratio or 1
    width = round(frame.width * wide.numerator / wide.denominator)
    return (frame.height, width) if quarter(frame.rotation) % 180 else (width, frame.height)


def tick_us(stream: VideoStream) -> Fraction:
    """Return how many microseconds a timestamp of this stream counts by."""
    return (stream.time_base or Fraction(0)) * 1_000_000


def in_us(ticks: int, tick: Fraction) -> int:
    """Return ticks in microseconds, rounded; a Fraction's own product takes six times as long."""
    return round(ticks * tick.numerator / tick.denominator)


def quarter(degrees: float) -> int:
    """Return the nearest quarter turn, 0 to 270."""
    return round(degrees / 90) * 90 % 360


@dataclass(frozen=True)
class DecodedFrame:
    """One decoded picture: its video time, its container timestamp, and whether damage touched it.

    Sizes are as shown: rotated, pixels square.
    """

    t_us: int
    pts: int
    suspect: bool
    width: int
    height: int
    frame: av.VideoFrame
    rotation: int

    @classmethod
    def of(
        cls, frame: av.VideoFrame, stream: VideoStream, pts: int, t_us: int, suspect: bool
    ) -> "DecodedFrame":
        """Wrap a decoded frame."""
        width, height = shown_size(frame, stream)
        return cls(t_us, pts, suspect, width, height, frame, quarter(frame.rotation))

    def grey(self, width: int) -> Image:
        """Return (height, width) grey levels, shrunk to this width."""
        if self.frame.format.name not in _PLANAR_8:
            return self._scaled(width, "gray")
        # The first plane is the picture in grey already: no conversion, and OpenCV shrinks it in a
        # third of the time that swscale takes.
        return self._upright(shrunk(self._plane(0), self._stored_size(width)))

    def bgr(self, width: int) -> Image:
        """Return (height, width, 3) in OpenCV's channel order, shrunk to this width."""
        across, down = self._stored_size(width)
        frame = self.frame
        plain = frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG
        if not plain or frame.colorspace not in _BT601 or across % 2 or down % 2:
            return self._scaled(width, "bgr24")
        # Shrunk before it is converted: a third of the time that swscale takes.
        sizes = ((across, down), (across // 2, down // 2), (across // 2, down // 2))
        planes = [shrunk(self._plane(number), size).ravel() for number, size in enumerate(sizes)]
        stacked = np.concatenate(planes).reshape(-1, across)
        return self._upright(cv2.cvtColor(stacked, cv2.COLOR_YUV2BGR_I420))

    def _plane(self, number: int) -> Image:
        """Return one plane of a planar picture, as stored, without copying it."""
        plane = self.frame.planes[number]
        pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return pixels[: plane.height, : plane.width]

    def _upright(self, pixels: NDArray[Any]) -> Image:
        return np.ascontiguousarray(np.rot90(pixels, self.rotation // 90))

    def _stored_size(self, width: int) -> tuple[int, int]:
        """Return width and height, before rotation, of the picture at this width as shown."""
        width = min(width, self.width)
        height = max(2, round(self.height * width / self.width))
        return (height, width) if self.rotation % 180 else (width, height)

    def _scaled(self, width: int, layout: str) -> Image:
        stored = self._stored_size(width)
        scaled = _SCALER.reformat(self.frame, *stored, format=layout, interpolation="AREA")
        return self._upright(scaled.to_ndarray())


def shrunk(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return pixels (height, width) averaged down to a size (width, height), by halves while that goes.

    OpenCV has vector code for halves and for interpolating: 1280 to 320 takes a fifth of the time of
    one step, 1920 to 640 a quarter. By less than a half, interpolating two pixels is averaging.
    """
    height, width = pixels.shape
    while width >= 2 * size[0] and width % 2 == height % 2 == 0:
        height, width = height // 2, width // 2
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    near = width < 2 * size[0] and height < 2 * size[1]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR if near else cv2.INTER_AREA)


@contextmanager
def listening() -> Iterator[list[Complaint]]:
    """Collect FFmpeg's log: it conceals damage in a picture and says so nowhere else."""
    level, skipped = av_logging.get_level(), av_logging.get_skip_repeated()
    # Warnings and remarks too: a transport stream's lost packets and concealed blocks are no errors.
    av_logging.set_level(av_logging.INFO)
    # A second pass over a file says the same again, and has to be heard again.
    av_logging.set_skip_repeated(False)
    try:
        with av_logging.Capture() as complaints:
            yield complaints
    finally:
        av_logging.set_level(level)
        av_logging.set_skip_repeated(skipped)


class Clock:
    """Turns timestamps into video time; None for a picture without one or out of order."""

    def __init__(self, stream: VideoStream, container: str) -> None:
        self._tick = tick_us(stream)
        # AVI stores no presentation times: the decoder hands decoding times through, which run in
        # the order shown, and guesses `pts` from them out of order.
        self._by_dts = container == "avi"
        self._leaps = container in LEAPING
        self._first: int | None = None
        self._last: int | None = None
        self._apart = 0
        self._leapt = 0

    def read(self, frame: av.VideoFrame) -> tuple[int, int] | None:
        """Return the timestamp and the video time in microseconds."""
        stamp = frame.dts if self._by_dts else frame.pts
        if stamp is None and self._by_dts and self._last is not None:
            stamp = self._last + self._apart  # the last pictures come out after the last packet
        if stamp is None:
            return None
        if self._last is not None:
            if self._leaps and is_leap(self._last, stamp, self._tick):
                self._leapt += self._last + self._apart - stamp  # time goes on where it was
            elif stamp <= self._last:
                return None
            else:
                self._apart = stamp - self._last
        if self._first is None:
            self._first = stamp
        self._last = stamp
        return stamp, in_us(stamp + self._leapt - self._first, self._tick)


def is_leap(earlier: int, later: int, tick: Fraction) -> bool:
    """Tell whether a recording begins anew between two timestamps; `tick` is microseconds each."""
    return not -_LEAP_BACK_US < (later - earlier) * tick < _LEAP_US


class Damage:
    """Remembers where damage was seen until a sound keyframe has come after it."""

    def __init__(self, stream: VideoStream, container: str) -> None:
        self._stream_index = stream.index
        # In an AVI the time of a picture is its number: behind a lost one all are too early.
        self._heals = container != "avi"
        self._seen = 0
        self._corrupt: list[
            int
        ] = []  # decoding times of packets that were complained of beforehand
        self.forget()

    def forget(self) -> None:
        """Begin anew, at a keyframe that doesn't follow what was seen."""
        self._since: int | None = None  # packets seen when damage happened last
        self._keys: dict[int, int] = {}  # timestamp of a keyframe's packet -> packets seen by then

    def see(self, packet: "av.Packet[VideoStream]") -> None:
        """Take note of a packet before it is decoded."""
        self._seen += 1
        if packet.is_keyframe and packet.pts is not None:
            self._keys[packet.pts] = self._seen
        reached = [dts for dts in self._corrupt if packet.dts is None or dts <= packet.dts]
        if packet.is_corrupt or reached:
            self._corrupt = [dts for dts in self._corrupt if dts not in reached]
            self.happened()

    def hear(self, complaints: list[Complaint]) -> bool:
        """Take note of what FFmpeg said, and clear it; tell whether it means damage at this place."""
        here = False
        for level, _, message in complaints:
            if lost := _LOST_PACKET.search(message):
                # Said as soon as FFmpeg has read ahead to it, which may be long before it comes.
                if int(lost["stream"]) == self._stream_index and lost["dts"] != "NOPTS":
                    self._corrupt.append(int(lost["dts"]))
            elif level <= av_logging.ERROR or _DAMAGE.search(message):
                here = True
        complaints.clear()
        if here:
            self.happened()
        return here

    def happened(self) -> None:
        """Take note of damage here."""
        self._since = self._seen

    def touches(self, frame: av.VideoFrame) -> bool:
        """Tell whether damage was seen and no sound keyframe has come since."""
        if frame.is_corrupt:
            self.happened()
        seen = self._keys.pop(frame.pts, None) if frame.pts is not None else None
        if self._heals and seen is not None and self._since is not None and seen > self._since:
            self._since = None
        return self._since is not None


def decoded(
    stream: VideoStream,
    packet: "av.Packet[VideoStream] | None",
    damage: Damage,
    complaints: list[Complaint],
) -> list[av.VideoFrame]:
    """Return the pictures that this packet (None: the end) brings out; note signs of damage."""
    if packet is not None:
        damage.see(packet)
    try:
        frames = stream.codec_context.decode(packet)
    except av.error.EOFError:
        return []  # the end was decoded before
    except av.error.FFmpegError:
        damage.happened()
        frames = []
    damage.hear(complaints)
    return frames


def packets(
    container: InputContainer, stream: VideoStream, damage: "Damage | None" = None
) -> Iterator["av.Packet[VideoStream]"]:
    """Yield packets in decoding order with the closing empty one; go on after what can't be parsed."""
    failures = 0
    while failures < _DEMUX_FAILURES:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
        except av.error.FFmpegError:
            failures += 1
            if damage:
                damage.happened()
            continue
        return
