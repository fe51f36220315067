"""Perceptual hashes of frames, and the spans that show the same footage as one of another split. Pure.

Spans of the same footage differ in their cuts, their orientation and their encoding. Hashes five times
per second line them up: footage of a person who walks looks different after half a second.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Keys = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
EVERY_US = 200_000
"""The time between two looks of a span."""
FLIPPED_EVERY = 5
"""Every fifth look is also taken of the flipped frame."""
# Halving the size at JPEG quality 40 changes at most 3 of 64 bits; cropping 2 % off each side changes 3
# on average (office, street and coast, 92 frames). A frame of the office one second later differs in 13
# bits or more, and one 0.1 s later in 4 (median).
NEAR_BITS = 6
_ALIKE_BITS = (
    9  # looks of the same footage may be 0.1 s apart; unrelated ones differ in 12 and more
)
_ALIKE = 0.6  # of the frames that two spans have in common
_COMMON = 4  # fewer common frames don't count, unless a span has fewer
_PLAIN = 5  # bits that differ from those of a black frame, which looks like any other
_CHECKED = 16  # frames of a span that are compared, evenly spaced
_PROBES = 8  # frames of a span that are searched for
_APART_US = 250_000  # frames that are compared are at most this far apart
_BANDS, _WIDTH = 3, 21  # bits of a hash: five that differ leave one band with one at most
_FLIPS = np.array([0, *(1 << bit for bit in range(_WIDTH))], np.uint32)
_AT_ONCE = 2**16  # pairs compared in one step: at most 60 MB


def look(pixels: npt.NDArray[np.uint8]) -> str:
    """Return the difference hash of a BGR frame as hex: one bit per cell that is brighter than the next."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes().hex()


@dataclass(frozen=True)
class Footage:
    """The looks of what a span shows, `every_us` apart, and those of some frames flipped left to right.

    `flipped` are those of every `step`-th look, from the first on.
    """

    looks: Bits
    flipped: Bits
    every_us: int = EVERY_US
    step: int = FLIPPED_EVERY

    @classmethod
    def of(cls, looks: str, flipped: str) -> "Footage":
        """Return footage from its looks as one string of hex."""
        return cls(_bits(looks), _bits(flipped))

    @classmethod
    def of_stills(cls, looks: str, every_us: int) -> "Footage":
        """Return the footage of stills alone, as one string of hex.

        Flipping swaps the cells of each row and the sign of their differences.
        """
        bits = _bits(looks)
        single = np.unpackbits(bits.astype(">u8").view(np.uint8)).reshape(-1, 8, 8)
        turned = np.packbits(1 - single[:, :, ::-1]).view(">u8").astype(np.uint64)
        return cls(bits, turned, every_us, step=1)


def _bits(looks: str) -> Bits:
    return np.frombuffer(bytes.fromhex(looks), ">u8").astype(np.uint64)


def near_identical(footage: Mapping[str, Footage], sides: Mapping[str, str]) -> set[str]:
    """Return the spans that show the same footage as a span of another split, flipped or not.

    `sides` gives the split of each span. Two spans are the same if most of the frames that they have in
    common are near-identical once they are lined up, wherever each begins and ends.
    """
    named = {name: one for name, one in sorted(footage.items()) if len(one.looks)}
    if not named:
        return set()
    known = np.zeros(len(named), bool)
    spans = _Spans(list(named.values()))
    _, side = np.unique([sides[name] for name in named], return_inverse=True)
    for number in range(int(side.max())):
        some, others = np.flatnonzero(side == number), np.flatnonzero(side > number)
        few, many = sorted((some, others), key=len)
        spans.search(few, many, known)
        # The search ends for a span once it is known, perhaps before all that it is similar to.
        spans.search(many[~known[many]], few[known[few]], known)
    return {name for name, found in zip(named, known, strict=True) if found}


@dataclass(frozen=True)
class _Probes:
    """Frames that are searched for: the span and time (us from its first look) of each, and its bits."""

    span: Numbers
    at_us: Numbers
    turned: Numbers  # 1 if the bits are those of the flipped frame
    bits: Bits


class _Spans:
    """The looks of all spans, end to end, and the frames of each that are compared."""

    def __init__(self, spans: list[Footage]) -> None:
        self._bits = np.concatenate([one.looks for one in spans])
        self._count = np.array([len(one.looks) for one in spans])
        self._first = self._count.cumsum() - self._count
        self._every_us = np.array([one.every_us for one in spans])
        self._owner = np.repeat(np.arange(len(spans)), self._count)
        size = max(min(len(one.flipped), _CHECKED) for one in spans)
        # (span, frame): its number among the looks, and (span, frame, orientation) its bits.
        self._at = np.full((len(spans), size), -1)
        self._checked = np.zeros((len(spans), size, 2), np.uint64)
        for number, one in enumerate(spans):
            count = min(len(one.flipped), _CHECKED)
            chosen = np.arange(count) * len(one.flipped) // max(count, 1)
            self._at[number, :count] = chosen * one.step
            self._checked[number, :count, 0] = one.looks[chosen * one.step]
            self._checked[number, :count, 1] = one.flipped[chosen]
        ones = np.bitwise_count(self._checked)
        told = (ones >= _PLAIN) & (ones <= 64 - _PLAIN)
        self._told = told.all(axis=2) & (self._at >= 0)
        self._least = np.clip(self._told.sum(axis=1), 1, _COMMON)

    def search(self, some: Numbers, others: Numbers, known: Flags) -> None:
        """Set `known` for each span of `some` that is similar to one of `others`, and for that one.

        The search for a span ends with the first that it is similar to: a thousand copies of one clip
        are a thousand comparisons, not a million.
        """
        if not (len(some) and len(others)):
            return
        wanted = np.zeros(len(known), bool)
        wanted[others] = True
        dense = np.flatnonzero(wanted[self._owner])
        bands = [_Band.of(keys, dense) for keys in _bands(self._bits[dense])]
        probes = self._probes(some, bands)
        for band, keys in zip(bands, _bands(probes.bits), strict=True):
            for flip in _FLIPS:
                for one, other in band.candidates(keys ^ flip, lambda: ~known[probes.span]):
                    near = np.bitwise_count(probes.bits[one] ^ self._bits[other]) <= NEAR_BITS
                    if near.any():
                        one, other = one[near], other[near]
                        alike = self._alike(probes, one, other)
                        known[probes.span[one[alike]]] = True
                        known[self._owner[other[alike]]] = True

    def _probes(self, some: Numbers, bands: list["_Band"]) -> _Probes:
        """Choose the frames to search for: in each part of a span a calm one that few others resemble."""
        at, told = self._at[some], self._told[some]
        place = self._first[some][:, None] + np.maximum(at, 0)
        last = (self._first + self._count - 1)[some][:, None]
        first = self._first[some][:, None]
        here = self._bits[place]
        moving = np.maximum(
            np.bitwise_count(here ^ self._bits[np.maximum(place - 1, first)]),
            np.bitwise_count(here ^ self._bits[np.minimum(place + 1, last)]),
        ).astype(np.int64)
        costs = np.zeros(at.shape, np.int64)
        for turned in (0, 1):
            keys = _bands(self._checked[some, :, turned].ravel())
            for band, each in zip(bands, keys, strict=True):
                costs += band.counted(each).reshape(at.shape)
        # Frames of a person at rest can be lined up best.
        costs += np.where(moving <= NEAR_BITS // 2, 0, (moving << 32))
        costs[~told] = np.iinfo(np.int64).max
        chosen = []
        for part in np.array_split(np.arange(at.shape[1]), min(_PROBES, at.shape[1])):
            best = part[costs[:, part].argmin(axis=1)]
            rows = np.flatnonzero(told[np.arange(len(some)), best])
            chosen.append((rows, best[rows]))
        rows = np.concatenate([rows for rows, _ in chosen])
        best = np.concatenate([best for _, best in chosen])
        span = some[rows]
        times = at[rows, best] * self._every_us[span]
        return _Probes(
            np.tile(span, 2),
            np.tile(times, 2),
            np.repeat([0, 1], len(span)),
            np.concatenate([self._checked[span, best, 0], self._checked[span, best, 1]]),
        )

    def _alike(self, probes: _Probes, ones: Numbers, others: Numbers) -> Flags:
        """Return for each pair of a probe and a look whether their spans, lined up there, show the same."""
        span, other = probes.span[ones], self._owner[others]
        apart_us = (others - self._first[other]) * self._every_us[other] - probes.at_us[ones]
        times = self._at[span] * self._every_us[span][:, None] + apart_us[:, None]
        every_us, count = self._every_us[other][:, None], self._count[other][:, None]
        nearest = np.rint(times / every_us).astype(np.int64)
        bits = self._checked[span, :, probes.turned[ones]]
        common, near = np.zeros(bits.shape, bool), np.zeros(bits.shape, bool)
        for shift in (-1, 0, 1):
            place = nearest + shift
            there = (place >= 0) & (place < count) & self._told[span]
            there &= np.abs(place * every_us - times) <= _APART_US
            seen = self._bits[self._first[other][:, None] + np.clip(place, 0, count - 1)]
            common |= there
            near |= there & (np.bitwise_count(bits ^ seen) <= _ALIKE_BITS)
        total = common.sum(axis=1)
        least = np.minimum(self._least[span], self._least[other])
        enough: Flags = (total >= least) & (near.sum(axis=1) >= _ALIKE * total)
        return enough


@dataclass(frozen=True)
class _Band:
    """One key of many looks: their numbers in the order of their keys."""

    in_order: Numbers
    edges: Numbers

    @classmethod
    def of(cls, keys: Keys, numbers: Numbers) -> "_Band":
        counts = np.bincount(keys, minlength=1 << _WIDTH)
        return cls(numbers[np.argsort(keys)], np.concatenate([[0], counts.cumsum()]))

    def counted(self, keys: Keys) -> Numbers:
        """Return how many looks have each of these keys."""
        counts: Numbers = self.edges[keys + np.uint32(1)] - self.edges[keys]
        return counts

    def candidates(
        self, keys: Keys, searched: Callable[[], Flags]
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield pairs (position in `keys`, look) with the same key; first one per key, then two, four, …

        `searched` is asked again before each round.
        """
        at, end, width = self.edges[keys], self.edges[keys + np.uint32(1)], 1
        while len(left := np.flatnonzero((at < end) & searched())):
            for part in np.array_split(left, -(-len(left) * width // _AT_ONCE)):
                counts = np.minimum(end[part] - at[part], width)
                # The numbers 0, 1, ... within each key's looks.
                within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
                yield (
                    np.repeat(part, counts),
                    self.in_order[np.repeat(at[part], counts) + within],
                )
            at[left] += width
            width *= 2


def _mixing() -> Bits:
    """Return what each value of each byte of a hash gives to its mixed bits, (8, 256).

    Bits are mixed, because those of neighbouring cells are alike.
    """
    found = np.zeros((8, 256), np.uint64)
    for bit in range(64):
        moved = np.uint64(1) << np.uint64(37 * bit % 64)  # any odd factor moves each bit elsewhere
        found[bit // 8, np.arange(256) >> bit % 8 & 1 == 1] |= moved
    return found


_MIXING = _mixing()


def _bands(hashes: Bits) -> Keys:
    """Return three keys of 21 bits of each hash, (3, n): two hashes that differ in five bits share one but for a bit."""
    mixed = np.zeros(len(hashes), np.uint64)
    for byte in range(8):
        mixed |= _MIXING[byte, hashes >> np.uint64(8 * byte) & np.uint64(255)]
    mask = np.uint64((1 << _WIDTH) - 1)
    return np.stack(
        [(mixed >> np.uint64(_WIDTH * band) & mask).astype(np.uint32) for band in range(_BANDS)]
    )
