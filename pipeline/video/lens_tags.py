"""The lens according to the container: tags that FFmpeg exposes, and GoPro's own box, which it doesn't."""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.sources.rows import Lens

_FULL_FRAME_DIAGONAL_MM = 43.27
# There is no standard key; phones, tools and our renderer write these. Compared in lower case.
_HFOV_KEYS = ("hfov_degrees", "horizontal_fov", "horizontal_field_of_view", "hfov")
_FOCAL_KEYS = (
    "com.apple.quicktime.camera.focal_length.35mm_equivalent",
    "com.android.camera.focal_length.35mm_equivalent",
    "focal_length_35mm",
    "focallengthin35mmformat",
    "focallengthin35mmfilm",
)
_LARGEST_BOX = 64 << 20


@dataclass(frozen=True)
class LensTags:
    """Horizontal field of view of the displayed frame in degrees, and the lens model; None: unknown."""

    hfov_degrees: float | None = None
    lens: Lens | None = None


def read_lens(
    path: Path, tags: Mapping[str, str], width: int, height: int, *, sideways: bool = False
) -> LensTags:
    """Return the lens according to tags or boxes, for frames displayed at this size.

    `sideways`: they are displayed a quarter turn from how the file asks for it.
    """
    lowered = {key.lower(): text for key, text in tags.items()}
    for key in _HFOV_KEYS:
        degrees = _number(lowered.get(key))
        if degrees is not None and 10 <= degrees <= 200:
            return LensTags(_across(degrees, width / height) if sideways else degrees)
    for key in _FOCAL_KEYS:
        focal = _number(lowered.get(key))
        if focal is not None and 5 <= focal <= 400:
            # A 35 mm equivalent compares diagonals.
            pixels = focal / _FULL_FRAME_DIAGONAL_MM * math.hypot(width, height)
            return LensTags(round(2 * math.degrees(math.atan(width / 2 / pixels)), 2))
    return _gopro(path, width, height)


def _across(degrees: float, ratio: float) -> float:
    """Return the field of view in one direction from that in the other, `ratio` times as long a side."""
    if degrees >= 180:
        return degrees
    return round(2 * math.degrees(math.atan(math.tan(math.radians(degrees / 2)) * ratio)), 2)


def _number(text: str | None) -> float | None:
    """Return the number at the beginning of a tag, such as `24 mm`."""
    try:
        return float(text.split()[0].rstrip("°")) if text else None
    except (ValueError, IndexError):
        return None


def _gopro(path: Path, width: int, height: int) -> LensTags:
    """Return the lens from the diagonal field of view that GoPro cameras since 2018 write to moov/udta/GPMF.

    Except in linear mode, angles are proportional to pixels: 118 degrees horizontally and 134 degrees
    diagonally have the ratio of the frame's width and diagonal (HERO7, wide).
    """
    found = dict(_items(_box(path, (b"moov", b"udta", b"GPMF"))))
    try:
        (diagonal,) = struct.unpack(">f", found[b"ZFOV"][:4])
    except (KeyError, struct.error):
        return LensTags()
    if not 10 <= diagonal <= 200:
        return LensTags()
    share = width / math.hypot(width, height)
    if found.get(b"VFOV", b"")[:1] == b"L" and diagonal < 170:
        flat = math.tan(math.radians(diagonal / 2)) * share
        return LensTags(round(2 * math.degrees(math.atan(flat)), 2), "rectilinear")
    return LensTags(round(diagonal * share, 2), "fisheye")


def _items(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of GPMF (key, type, size, repeat, padded value), nested ones too."""
    at = 0
    while at + 8 <= len(data):
        key, kind, size, repeat = struct.unpack(">4scBH", data[at : at + 8])
        value = data[at + 8 : at + 8 + size * repeat]
        if kind == b"\0":
            yield from _items(value)
        else:
            yield key, value
        at += 8 + (size * repeat + 3) // 4 * 4


def _box(path: Path, names: tuple[bytes, ...]) -> bytes:
    """Return the content of a nested MP4 box, or nothing; other boxes are not read."""
    with path.open("rb") as file:
        at, end = 0, path.stat().st_size
        for name in names:
            while True:
                if at + 8 > end:
                    return b""
                file.seek(at)
                head = file.read(16)
                size, found, begin = int.from_bytes(head[:4], "big"), head[4:8], at + 8
                if size == 1:
                    size, begin = int.from_bytes(head[8:16], "big"), at + 16
                size = size or end - at
                if size < begin - at:
                    return b""
                if found == name:
                    at, end = begin, min(end, at + size)
                    break
                at += size
        if end - at > _LARGEST_BOX:
            return b""
        file.seek(at)
        return file.read(end - at)
