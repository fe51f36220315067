"""Spans of different splits that show the same footage: found wherever they begin, flipped or not."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.releases import looks as module
from pipeline.releases.looks import FLIPPED_EVERY, Bits, Footage, look, near_identical

STEPS = 5 * 120  # looks of a walk of two minutes


@dataclass(frozen=True)
class Walk:
    """A walk as looks five times per second, unflipped and flipped."""

    looks: Bits
    flipped: Bits

    def span(self, start: int, length: int) -> Footage:
        part = slice(start, start + length)
        return Footage(self.looks[part], self.flipped[part][::FLIPPED_EVERY])

    def noisy(self, draw: np.random.Generator, bits: int) -> "Walk":
        return Walk(*(flipped_bits(row, draw, bits) for row in (self.looks, self.flipped)))

    @property
    def mirrored(self) -> "Walk":
        return Walk(self.flipped, self.looks)


def flipped_bits(row: Bits, draw: np.random.Generator, bits: int) -> Bits:
    """Change up to this many bits of each look, as another encoding does."""
    noise = np.zeros(len(row), np.uint64)
    for _ in range(bits):
        noise ^= np.uint64(1) << draw.integers(0, 64, len(row), dtype=np.uint64)
    return row ^ noise


def walk(seed: int) -> Walk:
    """Looks that change in a few bits from one to the next, and stand still now and then."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(2):
        moves = draw.integers(0, 5, STEPS) * (draw.random(STEPS) < 0.8)
        single = draw.random((STEPS, 64)).argsort(axis=1) < moves[:, None]
        packed = np.packbits(np.logical_xor.accumulate(single, axis=0) ^ (draw.random(64) < 0.5))
        rows.append(packed.view(">u8").astype(np.uint64))
    return Walk(*rows)


def sides(*names: str) -> dict[str, str]:
    return dict(zip("abcdefgh", names, strict=False))


@given(st.integers(0, 10**6), st.booleans(), st.integers(0, 60), st.integers(40, 160))
@settings(max_examples=25, deadline=None)
def test_the_same_footage_is_found_in_other_cuts_and_orientations(
    seed: int, mirrored: bool, later: int, length: int
) -> None:
    """The second span begins up to 12 s later, has another length and another encoding."""
    draw, one = np.random.default_rng(seed), walk(seed)
    other = (one.mirrored if mirrored else one).noisy(draw, 2)
    length = max(length, later + 25)  # five seconds in common
    found = near_identical(
        {"a": one.span(100, length), "b": other.span(100 + later, 150), "c": walk(seed + 1).span(0, 200)},
        sides("test", "train", "train"),
    )  # fmt: skip
    assert found == {"a", "b"}


def test_other_footage_and_other_moments_of_the_same_walk_are_not_found() -> None:
    one = walk(1)
    spans = {"a": one.span(0, 150), "b": one.span(160, 150), "c": walk(2).span(0, 150)}
    assert near_identical(spans, sides("test", "train", "train")) == set()
    same = {"a": one.span(0, 150), "b": one.span(20, 150)}
    assert near_identical(same, sides("test", "test")) == set()
    assert near_identical(same, sides("test", "train")) == {"a", "b"}
    assert near_identical({}, {}) == set()


def test_a_common_second_is_too_little() -> None:
    one = walk(3)
    spans = {"a": one.span(0, 100), "b": one.span(94, 100)}
    assert near_identical(spans, sides("test", "train")) == set()


def test_dark_frames_look_like_no_others() -> None:
    """A lens that is covered for a while shows the same in every video."""
    spans: dict[str, Footage] = {}
    for seed, name in enumerate("abc"):
        one = walk(seed)
        one.looks[:60] = one.flipped[:60] = 0
        spans[name] = one.span(0, 120)
    assert near_identical(spans, sides("test", "train", "validation")) == set()


def test_stills_alone_are_compared_where_an_earlier_version_cut_them() -> None:
    """The flipped looks follow from the others: cells swap, and darker becomes brighter."""
    one = walk(5)
    hexed = "".join(f"{int(bits):016x}" for bits in one.looks[:80:10])
    mirrored = Footage.of_stills(hexed, 7_000_000)
    again = Footage.of_stills("".join(f"{int(bits):016x}" for bits in mirrored.flipped), 7_000_000)
    assert (again.flipped == mirrored.looks).all()
    for other in (hexed, "".join(f"{int(bits):016x}" for bits in mirrored.flipped)):
        spans = {"a": mirrored, "b": Footage.of_stills(other, 7_000_000)}
        assert near_identical(spans, sides("test", "train")) == {"a", "b"}


def test_the_look_of_a_flipped_picture_is_the_flipped_look() -> None:
    draw = np.random.default_rng(1)
    pixels = cv2.resize(draw.integers(0, 255, (8, 9, 3), dtype=np.uint8), (128, 96))
    flipped = Footage.of_stills(look(pixels), 1).flipped[0]
    exact = int(look(np.ascontiguousarray(pixels[:, ::-1])), 16)
    assert (int(flipped) ^ exact).bit_count() <= 3


def many(kind: str, count: int) -> Mapping[str, Footage]:
    walks = [walk(seed) for seed in range(4)]
    draw = np.random.default_rng(9)
    spans = {}
    for number in range(count):
        one = walks[number % 4].span(int(draw.integers(0, STEPS - 80)), 60)
        if kind != "copies":
            mask = draw.integers(0, 2**64, dtype=np.uint64)
            one = Footage(one.looks ^ mask, one.flipped ^ mask)
        if kind == "black ends":
            for row in (one.looks, one.flipped):
                row[:2] = row[-2:] = 0
        spans[f"s{number:05}"] = one
    return spans


@pytest.mark.parametrize("kind", ["different", "black ends", "copies"])
def test_few_pairs_are_compared(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairs of looks are 72 million; so many black frames or copies must not lead to that."""
    compared = 0
    alike = module._Spans._alike

    def counting(self: module._Spans, *given: object) -> object:
        nonlocal compared
        compared += len(given[1])  # type: ignore[arg-type]
        return alike(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(module._Spans, "_alike", counting)
    spans = many(kind, 1500)
    splits = {name: "test" if number % 5 == 0 else "train" for number, name in enumerate(spans)}
    found = near_identical(spans, splits)
    assert len(found) > 1400 if kind == "copies" else found == set()
    assert compared < 20_000
