"""How decoded frames are displayed: upright, not mirrored, in square pixels, at one size."""

import math
import struct
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import RowError
from pipeline.video.colour import Colours, Declared, refuse_dolby, refuse_unknown, scaled

Image = NDArray[np.uint8]
# Colour spaces that OpenCV converts correctly: both numbers of BT.601, and 2 (unspecified), which
# swscale also treats as BT.601.
_BT601 = {2, 5, 6}
_PLANAR_8 = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}
_SAME_ASPECT = 0.02  # 426 x 240 is 16:9, and so is 1920 x 1088


@dataclass(frozen=True)
class Orientation:
    """How stored pixels become displayed ones: mirrored left to right first, then turned clockwise."""

    mirrored: bool = False
    clockwise: float = 0  # degrees

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Orientation | None":
        """Return what a frame's display matrix asks for, or None if it has none."""
        # PyAV's stubs declare one key of the side data only.
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return None
        a, b, _, c, d = struct.unpack("=5i", memoryview(matrix)[:20])
        mirrored = a * d < b * c
        if mirrored:
            a, b = -a, -b
        return cls(mirrored, math.degrees(math.atan2(b - c, a + d)) % 360)

    @property
    def quarters(self) -> int:
        """The number of quarter turns clockwise, 0 to 3; other angles are rounded."""
        return round(self.clockwise / 90) % 4

    def applied(self, pixels: NDArray[Any]) -> Image:
        """Return stored pixels as displayed."""
        pixels = pixels[:, ::-1] if self.mirrored else pixels
        return np.ascontiguousarray(np.rot90(pixels, -self.quarters))


@dataclass(frozen=True)
class Display:
    """How all frames of a video are displayed: oriented and sized like the first one.

    `asked` is the display matrix of the first frame. In some streams only keyframes repeat it.
    `declared` are the container's colours, for frames that don't declare their own.
    """

    width: int
    height: int
    orientation: Orientation
    asked: Orientation
    declared: Declared

    @classmethod
    def of(
        cls, first: av.VideoFrame, stream: VideoStream, declared: Declared, rotation: int = 0
    ) -> "Display":
        """Return the display of a video that begins with this frame.

        `rotation` is the manifest's, in degrees clockwise, applied after the container's display matrix.
        Raises RowError for colours that can't be converted.
        """
        refuse_dolby(first, stream.codec_context.codec_tag)
        declared.complete(first)
        refuse_unknown(first)
        asked = Orientation.of(first) or Orientation()
        turned = Orientation(asked.mirrored, (90 * asked.quarters + rotation) % 360)
        return cls(*_shown_size(first, stream, turned), turned, asked, declared)

    def show(
        self, frame: av.VideoFrame, stream: VideoStream, pts: int, t_us: int, suspect: bool
    ) -> "DecodedFrame":
        """Wrap a decoded frame; raise RowError if it has another aspect ratio or orientation."""
        width, height = _shown_size(frame, stream, self.orientation)
        across = width * self.height
        if abs(across - self.width * height) > _SAME_ASPECT * across:
            what = f"from {self.width} x {self.height} to {width} x {height} pixels"
        elif Orientation.of(frame) not in (None, self.asked):
            what = "their orientation"
        else:
            self.declared.complete(frame)
            return DecodedFrame(t_us, pts, suspect, self, frame)
        raise RowError(
            f"its frames change {what} at {t_us / 1e6:.1f} s",
            "make a copy with one size: egost repair FILE",
        )


def _shown_size(
    frame: av.VideoFrame, stream: VideoStream, orientation: Orientation
) -> tuple[int, int]:
    """Return width and height in square pixels as displayed."""
    wide = stream.sample_aspect_ratio or 1
    width = round(frame.width * wide.numerator / wide.denominator)
    return (frame.height, width) if orientation.quarters % 2 else (width, frame.height)


@dataclass(frozen=True)
class DecodedFrame:
    """One decoded frame: its video time, its container timestamp, and whether it may be damaged.

    Sizes and images are as displayed: upright, not mirrored, in square pixels.
    """

    t_us: int
    pts: int
    suspect: bool
    display: Display
    frame: av.VideoFrame

    @property
    def width(self) -> int:
        """The width as displayed."""
        return self.display.width

    @property
    def height(self) -> int:
        """The height as displayed."""
        return self.display.height

    def grey(self, width: int) -> Image:
        """Return grey levels (height, width), scaled down to this width."""
        if self.frame.format.name not in _PLANAR_8:
            return self._scaled(width, "gray")
        # The first plane is the grey image: no conversion is needed, and OpenCV scales it in a third
        # of the time that swscale takes.
        return self.display.orientation.applied(shrunk(self._plane(0), self._stored_size(width)))

    def bgr(self, width: int) -> Image:
        """Return sRGB (height, width, 3) in OpenCV's channel order, scaled down to this width."""
        across, down = self._stored_size(width)
        frame = self.frame
        if colours := Colours.of(frame):
            return self.display.orientation.applied(colours.to_bgr(frame, across, down))
        plain = frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG
        if not plain or frame.colorspace not in _BT601 or across % 2 or down % 2:
            return self._scaled(width, "bgr24")
        # Scaling before converting takes a third of the time of swscale.
        sizes = ((across, down), (across // 2, down // 2), (across // 2, down // 2))
        planes = [shrunk(self._plane(number), size).ravel() for number, size in enumerate(sizes)]
        stacked = np.concatenate(planes).reshape(-1, across)
        return self.display.orientation.applied(cv2.cvtColor(stacked, cv2.COLOR_YUV2BGR_I420))

    def _plane(self, number: int) -> Image:
        """Return one plane of a planar frame, as stored, without copying it."""
        plane = self.frame.planes[number]
        pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return pixels[: plane.height, : plane.width]

    def _stored_size(self, width: int) -> tuple[int, int]:
        """Return width and height before rotation of a frame that is displayed at this width."""
        width = min(width, self.width)
        height = max(2, round(self.height * width / self.width))
        return (height, width) if self.display.orientation.quarters % 2 else (width, height)

    def _scaled(self, width: int, layout: str) -> Image:
        stored = self._stored_size(width)
        return self.display.orientation.applied(scaled(self.frame, *stored, layout).to_ndarray())


def flipped(pixels: Image) -> Image:
    """Return a displayed picture (height, width, …) flipped left to right, as a mirrored span shows it."""
    return np.ascontiguousarray(pixels[:, ::-1])


def shrunk(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return pixels (height, width) averaged down to a size (width, height), by halving where possible.

    OpenCV has vector code for halving and for interpolating: 1280 to 320 takes a fifth of the time of
    one step, 1920 to 640 a quarter. For factors above a half, interpolating two pixels is averaging.
    """
    height, width = pixels.shape
    while width >= 2 * size[0] and width % 2 == height % 2 == 0:
        height, width = height // 2, width // 2
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    near = width < 2 * size[0] and height < 2 * size[1]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR if near else cv2.INTER_AREA)
