"""Filmstrips for the report: a clip's keyframes side by side in one small image, made on all cores."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
MOST = 10  # keyframes in a strip: more would be too small to recognise on a page 1,200 px wide
_BUDGET = 24 << 20  # bytes of all strips, 32 MiB in base64: browsers open such a file without delay
_WIDEST, _NARROWEST = 176, 72
_PER_PIXEL = 0.19  # bytes; measured on office, street and coastal videos at this quality
_QUALITY = 55


@dataclass(frozen=True)
class Film:
    """One clip's keyframes side by side: `count` cells of `width` x `height` pixels, WebP in base64."""

    count: int
    width: int
    height: int
    data: str


def chosen(count: int) -> list[int]:
    """Return which of `count` keyframes a strip shows: the first, the last, and evenly spaced ones."""
    if count <= MOST:
        return list(range(count))
    return [round(position * (count - 1) / (MOST - 1)) for position in range(MOST)]


def width_for(count: int, widest: int = _WIDEST) -> int:
    """Return the width of a keyframe with which all strips stay within the budget, at most `widest`."""
    # Assumes 3:2, between the usual 4:3 and 16:9.
    fitting = (_BUDGET / max(count, 1) / _PER_PIXEL * 1.5) ** 0.5
    return int(min(max(fitting, _NARROWEST), widest)) // 4 * 4


def films(strips: Iterable[Sequence[Path]], width: int) -> Iterator[Film | None]:
    """Yield the strip of each list of images, in order; None if none of its images can be read."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda paths: film(paths, width), strips)


def film(paths: Sequence[Path], width: int) -> Film | None:
    """Return one strip; a missing image leaves its cell grey. Images are never enlarged."""
    images = [_read(path, width) for path in paths]
    shape = next((image.shape for image in images if image is not None), None)
    if shape is None:
        return None
    width = min(width, max(image.shape[1] for image in images if image is not None))
    height = max(round(width * shape[0] / shape[1]), 1)
    cells = [
        np.full((height, width, 3), 128, np.uint8)
        if image is None
        else np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for image in images
    ]
    done, data = cv2.imencode(".webp", np.hstack(cells), [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    assert done
    return Film(len(cells), width, height, base64.b64encode(data.tobytes()).decode())


def _read(path: Path, width: int) -> Image | None:
    if not path.is_file():
        return None
    data = np.frombuffer(path.read_bytes(), np.uint8)
    # Decoding a JPEG at a quarter of its size costs almost nothing; 720p and more stay sharp.
    small = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_4)
    if small is not None and small.shape[1] < width:
        small = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if small is None else np.asarray(small, np.uint8)
