"""Filmstrips for the report: a clip's keyframes as one small picture, made on all cores."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
MOST = 10  # pictures of one strip: more would be narrower than a thumb on a page 1,200 px wide
_BUDGET = 24 << 20  # bytes of all strips: a browser opens a file of 32 MiB (in base64) at once
_WIDEST, _NARROWEST = 176, 72
_PER_PIXEL = 0.19  # bytes; measured on office, street and coast at this quality
_QUALITY = 55


@dataclass(frozen=True)
class Film:
    """The pictures of one clip side by side, `count` cells of `width` x `height` pixels, as WebP."""

    count: int
    width: int
    height: int
    data: str


def chosen(count: int) -> list[int]:
    """Return which of `count` pictures a strip shows: the first, the last, and evenly between."""
    if count <= MOST:
        return list(range(count))
    return [round(position * (count - 1) / (MOST - 1)) for position in range(MOST)]


def width_for(pictures: int) -> int:
    """Return how wide a picture may be so that all strips together stay within the budget."""
    # Pictures are taken as 3:2, between the 4:3 and 16:9 that cameras make.
    fitting = (_BUDGET / max(pictures, 1) / _PER_PIXEL * 1.5) ** 0.5
    return int(min(max(fitting, _NARROWEST), _WIDEST)) // 4 * 4


def films(strips: Iterable[Sequence[Path]], width: int) -> Iterator[Film | None]:
    """Yield the strip of each list of pictures, in order; None where no picture can be read."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda paths: film(paths, width), strips)


def film(paths: Sequence[Path], width: int) -> Film | None:
    """Make one strip; a picture that is lost leaves its cell grey."""
    pictures = [_read(path, width) for path in paths]
    shape = next((picture.shape for picture in pictures if picture is not None), None)
    if shape is None:
        return None
    height = max(round(width * shape[0] / shape[1]), 1)
    cells = [
        np.full((height, width, 3), 128, np.uint8)
        if picture is None
        else np.asarray(
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
        for picture in pictures
    ]
    done, data = cv2.imencode(".webp", np.hstack(cells), [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    assert done
    return Film(len(cells), width, height, base64.b64encode(data.tobytes()).decode())


def _read(path: Path, width: int) -> Picture | None:
    if not path.is_file():
        return None
    data = np.frombuffer(path.read_bytes(), np.uint8)
    # A JPEG is decoded at a quarter of its size almost for nothing; 720p and more stay sharp.
    small = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_4)
    if small is not None and small.shape[1] < width:
        small = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if small is None else np.asarray(small, np.uint8)
