"""Candidate keyframes: their sharpness, and their JPEGs until the keyframes are chosen."""

import math
from dataclasses import dataclass
from typing import IO

import cv2

from pipeline.motion.keyframes import CandidateFrame
from pipeline.video import reader

_SLOT_US = 400_000  # the sharpest frame of each slot is a candidate
_LOOK_SIZE = (32, 18)
_SMALL_WIDTH = 320
_SMALL_AREA = (
    320 * 240
)  # tall frames are scaled further down: the cost of tracking depends on the area


@dataclass(frozen=True, eq=False)
class SpilledFrame:
    """A candidate keyframe whose JPEG is in the spill file."""

    candidate: CandidateFrame
    pts: int
    width: int
    height: int
    offset: int
    length: int


class Spill:
    """Candidate JPEGs in a temporary file, so that memory use doesn't grow with the video."""

    def __init__(self, file: IO[bytes], width: int, quality: int) -> None:
        self._file = file
        self._width = width
        self._quality = quality
        self._end = 0

    def add(self, frame: reader.DecodedFrame, sharpness: float) -> SpilledFrame:
        """Compress a frame and store it."""
        pixels = frame.bgr(self._width)
        done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not done:
            raise RuntimeError("OpenCV did not write a JPEG")
        look = reader.shrunk(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), _LOOK_SIZE)
        height, width = pixels.shape[:2]
        kept = SpilledFrame(
            CandidateFrame(frame.t_us, sharpness, frame.suspect, look),
            *(frame.pts, width, height, self._end, len(data)),
        )
        self._file.seek(self._end)
        self._file.write(data.tobytes())
        self._end += len(data)
        return kept

    def read(self, kept: SpilledFrame) -> bytes:
        """Return the JPEG."""
        self._file.seek(kept.offset)
        return self._file.read(kept.length)


class Sharpest:
    """The sharpest frame of each slot, compressed when its slot ends."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._kept: list[SpilledFrame] = []
        self._best: tuple[float, reader.DecodedFrame] | None = None

    def add(self, frame: reader.DecodedFrame, sharpness: float) -> None:
        """Take the next frame; a suspect frame is used only if its slot has no other."""
        best = self._best
        if best and frame.t_us // _SLOT_US != best[1].t_us // _SLOT_US:
            self._compress()
            best = None
        if best is None or (best[1].suspect, -best[0]) > (frame.suspect, -sharpness):
            self._best = sharpness, frame

    def all(self) -> list[SpilledFrame]:
        """Return one frame per slot, in time order."""
        self._compress()
        return self._kept

    def _compress(self) -> None:
        if self._best:
            sharpness, frame = self._best
            self._kept.append(self._spill.add(frame, sharpness))
            self._best = None


def small_grey(frame: reader.DecodedFrame) -> reader.Image:
    """Return the frame in grey (height, width), about 320 px wide, for measuring motion."""
    width = math.sqrt(_SMALL_AREA * frame.width / frame.height)
    return frame.grey(min(_SMALL_WIDTH, round(width)))


def sharpness(grey: reader.Image) -> float:
    """Return the variance of the Laplacian, a measure of fine detail."""
    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0] ** 2)
