"""A 64-bit perceptual hash of a frame, and the pairs of near-identical clips. Pure."""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
# Halving the size at JPEG quality 40 changes at most 3 of 64 bits; cropping 2 % off each side changes 3
# on average (office, street and coast, 92 frames). A frame of the office one second later differs in 13
# bits or more.
NEAR_BITS = 6
_AT_ONCE = 2048  # clips compared with all others in one step: 130 MB for 8,000 of them


def look(pixels: npt.NDArray[np.uint8]) -> str:
    """Return the difference hash of a BGR frame as hex: one bit per cell that is brighter than the next."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes().hex()


def near_identical(
    looks: Mapping[str, Sequence[str]], sides: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of clips in different splits with at most one frame that is not near-identical.

    `looks` gives the hashes of each clip's frames in order, `sides` its split. Only clips with the
    same number of frames are compared.
    """
    for size in sorted({len(found) for found in looks.values()} - {0}):
        clips = sorted(clip for clip, found in looks.items() if len(found) == size)
        bits = np.array([[int(one, 16) for one in looks[clip]] for clip in clips], np.uint64)
        side = np.array([sides[clip] for clip in clips])
        for start in range(0, len(clips), _AT_ONCE):
            alike = _alike(bits[start : start + _AT_ONCE], bits) >= max(size - 1, 1)
            alike &= side[start : start + _AT_ONCE, None] != side[None, :]
            for one, other in np.argwhere(alike):
                if start + one < other:
                    yield clips[start + one], clips[other]


def _alike(some: Bits, every: Bits) -> npt.NDArray[np.int16]:
    """Return for each pair of clips the number of near-identical frames."""
    alike = np.zeros((len(some), len(every)), np.int16)
    for position in range(some.shape[1]):
        apart = np.bitwise_count(some[:, None, position] ^ every[None, :, position])
        alike += apart <= NEAR_BITS
    return alike
