"""A 64-bit perceptual hash of a frame, and the clips that are near-identical to one of another split. Pure."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Bands = npt.NDArray[np.uint16]
Numbers = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
# Halving the size at JPEG quality 40 changes at most 3 of 64 bits; cropping 2 % off each side changes 3
# on average (office, street and coast, 92 frames). A frame of the office one second later differs in 13
# bits or more.
NEAR_BITS = 6
_BANDS = 4  # six differing bits in four bands: one band has one at most
_KEYS = 2**16
_FLIPS = np.array([0, *(1 << bit for bit in range(16))], np.uint16)
_MIXED = 37 * np.arange(64) % 64  # any odd factor gives each bit once
_AT_ONCE = 2**18  # pairs compared in one step: 10 MB


def look(pixels: npt.NDArray[np.uint8]) -> str:
    """Return the difference hash of a BGR frame as hex: one bit per cell that is brighter than the next."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes().hex()


def near_identical(looks: Mapping[str, Sequence[str]], sides: Mapping[str, str]) -> set[str]:
    """Return the clips that differ from a clip of another split in at most one frame.

    `looks` gives the hashes of each clip's frames in order, `sides` its split. Only clips with the
    same number of frames are compared; of a single frame, none may differ.
    """
    found: set[str] = set()
    for size in sorted({len(frames) for frames in looks.values()} - {0}):
        clips = sorted(clip for clip, frames in looks.items() if len(frames) == size)
        bits = np.array([[int(one, 16) for one in looks[clip]] for clip in clips], np.uint64)
        _, side = np.unique([sides[clip] for clip in clips], return_inverse=True)
        found.update(clips[number] for number in np.flatnonzero(_repeated(bits, side)))
    return found


def _repeated(bits: Bits, side: Numbers) -> Flags:
    """Return which clips are near-identical to one of another side; `bits` is (clips, frames)."""
    known = np.zeros(len(bits), bool)
    for number in range(int(side.max())):
        some, others = np.flatnonzero(side == number), np.flatnonzero(side > number)
        # One frame may differ, so of any two, one is near-identical: those with the fewest candidates
        # are searched. The first frames of all clips may be black.
        costs = [_candidates(_bands(one[some]), _bands(one[others])) for one in bits.T]
        for frame in np.argsort(costs, kind="stable")[: 1 + _may_differ(bits)].tolist():
            bands = _bands(bits[:, frame])
            for band in bands:
                _search(bits, band, some[~known[some]], others, known)
                # The search ends for a clip once it is known, perhaps before all that it is similar to.
                _search(bits, band, others[~known[others]], some[known[some]], known)
    return known


def _may_differ(bits: Bits) -> int:
    return min(bits.shape[1] - 1, 1)


def _bands(hashes: Bits) -> Bands:
    """Return four keys of 16 bits of each hash, (4, n): two hashes that differ in six bits share one but for a bit.

    Bits are mixed, because those of neighbouring cells are alike: of pairs of frames of different
    videos, 1 % share a key then, and 2 % if a key is made of two rows.
    """
    single = np.unpackbits(hashes.astype(">u8").view(np.uint8)).reshape(-1, 64)
    keys = np.packbits(single.take(_MIXED, axis=1)).view(np.uint16)
    return np.ascontiguousarray(keys.reshape(-1, _BANDS).T)


def _candidates(some: Bands, others: Bands) -> int:
    """Return how many pairs share a key but for one bit."""
    total = 0
    for one, other in zip(some, others, strict=True):
        counts = np.bincount(other, minlength=_KEYS)
        total += sum(int(counts[one ^ flip].sum()) for flip in _FLIPS)
    return total


def _search(bits: Bits, keys: Bands, some: Numbers, others: Numbers, known: Flags) -> None:
    """Set `known` for each clip of `some` that is similar to one of `others` with such a key, and for that one.

    The search for a clip ends with the first that it is similar to: a thousand copies of one clip are
    a thousand comparisons, not a million.
    """
    in_order = others[np.argsort(keys[others], kind="stable")]
    edges = np.concatenate([[0], np.bincount(keys[others], minlength=_KEYS).cumsum()])
    for flip in _FLIPS:
        key = keys[some] ^ flip
        at, end, width = edges[key], edges[key + np.int64(1)], 1
        while len(left := np.flatnonzero((at < end) & ~known[some])):
            for part in np.array_split(left, -(-len(left) * width // _AT_ONCE)):
                counts = np.minimum(end[part] - at[part], width)
                # The numbers 0, 1, ... within each clip's candidates.
                within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
                one = np.repeat(some[part], counts)
                other = in_order[np.repeat(at[part], counts) + within]
                alike = _alike(bits, one, other)
                known[one[alike]] = known[other[alike]] = True
            at[left] += width
            width *= 2


def _alike(bits: Bits, some: Numbers, others: Numbers) -> Flags:
    """Return for each pair of clips whether enough of their frames are near-identical."""
    pairs = np.arange(len(some))
    differing = np.zeros(len(some), np.int16)
    for frame in bits.T:
        apart = np.bitwise_count(frame[some[pairs]] ^ frame[others[pairs]])
        differing[pairs] += apart > NEAR_BITS
        pairs = pairs[differing[pairs] <= _may_differ(bits)]
    return differing <= _may_differ(bits)
