"""Videos whose frames carry their number, so that a test can read back which frame it was given."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 10
SIZE = (320, 180)
_TILE = 32


def painted(number: int, width: int = SIZE[0], height: int = SIZE[1]) -> NDArray[np.uint8]:
    """Return an RGB frame with the number's bits as ten tiles on a slowly moving background."""
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.stack(
        [(across + 3 * number) % 256, (down * 2 + number) % 256, 0 * down + 90], axis=2
    )
    pixels = pixels.astype(np.uint8)
    tile = _TILE * width // SIZE[0]
    for bit in range(BITS):
        pixels[tile : 3 * tile, bit * tile : (bit + 1) * tile] = 255 if number >> bit & 1 else 0
    return pixels


def read(picture: NDArray[np.uint8]) -> int:
    """Return the number that an upright frame of any size carries."""
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    tile = grey.shape[1] / BITS
    row = grey[round(1.6 * tile) : round(2.4 * tile)]
    return sum(
        (row[:, round((bit + 0.3) * tile) : round((bit + 0.7) * tile)].mean() > 127) << bit
        for bit in range(BITS)
    )


def write(
    path: Path,
    *,
    count: int = 90,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    times_ms: Sequence[int] | None = None,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    rotation: int = 0,
    metadata: dict[str, str] | None = None,
) -> list[int]:
    """Write a video (30 frames per second, or at these times) and return its times in microseconds."""
    times_ms = times_ms or [round(number * 1000 / 30) for number in range(count)]
    muxing = {"movflags": "use_metadata_tags"} if metadata else {}
    with _scheduled_as_before(), av.open(str(path), "w", container_options=muxing) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, t_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(painted(number, *size), format="rgb24")
            frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = t_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return [t_ms * 1000 for t_ms in times_ms]


@contextmanager
def _scheduled_as_before() -> Iterator[None]:
    """Undo what libsvtav1 does as root: it gives the thread that opens it real-time priority for good.

    This process and its children would starve the rest of the machine.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)
