"""Pictures that may become keyframes: how sharp each is, and their JPEGs until the choice is made."""

import math
from dataclasses import dataclass
from typing import IO

import cv2

from pipeline.motion.keyframes import CandidateFrame
from pipeline.video import reader

_SLOT_US = 400_000  # of the pictures in such a slot the sharpest may become a keyframe
_LOOK_SIZE = (32, 18)
_SMALL_WIDTH = 320
_SMALL_AREA = 320 * 240  # a tall picture is made narrower: area is what following it costs


@dataclass(frozen=True, eq=False)
class SpilledFrame:
    """A candidate keyframe whose JPEG lies in the spill file."""

    candidate: CandidateFrame
    pts: int
    width: int
    height: int
    offset: int
    length: int


class Spill:
    """Candidate JPEGs in a temporary file, so that hours of video fit into little memory."""

    def __init__(self, file: IO[bytes], width: int, quality: int) -> None:
        self._file = file
        self._width = width
        self._quality = quality
        self._end = 0

    def add(self, picture: reader.DecodedFrame, sharpness: float) -> SpilledFrame:
        """Compress a picture and keep it."""
        pixels = picture.bgr(self._width)
        done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not done:
            raise RuntimeError("OpenCV did not write a JPEG")
        look = reader.shrunk(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), _LOOK_SIZE)
        height, width = pixels.shape[:2]
        kept = SpilledFrame(
            CandidateFrame(picture.t_us, sharpness, picture.suspect, look),
            *(picture.pts, width, height, self._end, len(data)),
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
    """The sharpest picture of every slot, compressed once its slot is over."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._kept: list[SpilledFrame] = []
        self._best: tuple[float, reader.DecodedFrame] | None = None

    def see(self, picture: reader.DecodedFrame, sharpness: float) -> None:
        """Take the next picture; a damaged one counts only where there is no other."""
        best = self._best
        if best and picture.t_us // _SLOT_US != best[1].t_us // _SLOT_US:
            self._compress()
            best = None
        if best is None or (best[1].suspect, -best[0]) > (picture.suspect, -sharpness):
            self._best = sharpness, picture

    def all(self) -> list[SpilledFrame]:
        """Return one picture per slot, in time order."""
        self._compress()
        return self._kept

    def _compress(self) -> None:
        if self._best:
            sharpness, picture = self._best
            self._kept.append(self._spill.add(picture, sharpness))
            self._best = None


def small_grey(picture: reader.DecodedFrame) -> reader.Image:
    """Return the picture in grey (height, width), about 320 px wide: what motion is measured on."""
    width = math.sqrt(_SMALL_AREA * picture.width / picture.height)
    return picture.grey(min(_SMALL_WIDTH, round(width)))


def sharpness(grey: reader.Image) -> float:
    """Return the variance of the Laplacian: how much fine detail a picture holds."""
    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0] ** 2)
