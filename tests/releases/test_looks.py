"""Clips of different splits that show the same footage: all are found, and few pairs are compared."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.releases import looks as module
from pipeline.releases.looks import NEAR_BITS, near_identical

Looks = Mapping[str, Sequence[str]]


def by_comparing_all(looks: Looks, sides: Mapping[str, str]) -> set[str]:
    """Compare every pair of clips frame by frame."""
    found: set[str] = set()
    for one, other in combinations(looks, 2):
        pairs = list(zip(looks[one], looks[other], strict=False))
        near = sum((int(a, 16) ^ int(b, 16)).bit_count() <= NEAR_BITS for a, b in pairs)
        same_size = len(looks[one]) == len(looks[other]) > 0
        if same_size and near >= max(len(pairs) - 1, 1) and sides[one] != sides[other]:
            found |= {one, other}
    return found


def hexed(rows: np.ndarray) -> dict[str, list[str]]:
    return {f"c{number:05}": [f"{int(one):016x}" for one in row] for number, row in enumerate(rows)}


def test_only_clips_near_identical_to_one_of_another_split_are_found() -> None:
    a, near, far = ["0" * 16] * 4, ["0" * 15 + "7"] * 4, ["f" * 16] * 4
    one_off = [*near[:3], far[0]]
    looks = {"a": a, "b": near, "c": one_off, "d": far, "e": a[:3], "f": [*near[:2], *far[:2]]}
    sides = dict.fromkeys("abcdef", "test") | {"a": "train"}
    assert near_identical(looks, sides) == {"a", "b", "c"}
    assert near_identical(looks, dict.fromkeys("abcdef", "test")) == set()
    assert near_identical({}, {}) == near_identical({"a": []}, {"a": "test"}) == set()


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 9), st.sampled_from([1, 4, 30]))
@settings(max_examples=60, deadline=None)
def test_the_search_finds_what_comparing_all_pairs_finds(
    seed: int, count: int, size: int, copies: int
) -> None:
    """Hashes around the limit of six bits, a third of the clips with one other frame, some frames black."""
    draw = np.random.default_rng(seed)
    base = draw.integers(0, 2**64, (max(1, count // copies), size), dtype=np.uint64)
    rows = base[draw.integers(0, len(base), count)]
    for row in rows:
        for frame in range(size):
            for bit in draw.choice(64, int(draw.integers(0, 6)), replace=False):
                row[frame] ^= np.uint64(1 << int(bit))
        if draw.random() < 0.3:
            row[draw.integers(0, size)] = draw.integers(0, 2**64, dtype=np.uint64)
        if draw.random() < 0.2:
            row[0] = 0
    looks = hexed(rows)
    sides = {clip: str(draw.choice(["train", "validation", "test"])) for clip in looks}
    assert near_identical(looks, sides) == by_comparing_all(looks, sides)


def rows_of(kind: str, count: int) -> np.ndarray:
    rows = np.random.default_rng(1).integers(0, 2**64, (count, 8), dtype=np.uint64)
    if kind == "one clip":
        rows[:] = rows[0]
    elif kind == "black ends":
        rows[:, [0, 7]] = 0
    return rows


@pytest.mark.parametrize(
    ("kind", "most"),
    [("different", 8), ("black ends", 8), ("one clip", 8), ("one clip in one split", 0)],
)
def test_few_pairs_are_compared(kind: str, most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairs are 2,000 per clip; so many black first frames or copies must not lead to that."""
    compared = 0
    alike = module._alike

    def counting(bits: np.ndarray, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += len(some)
        return alike(bits, some, others)

    monkeypatch.setattr(module, "_alike", counting)
    looks = hexed(rows_of(kind.removesuffix(" in one split"), 4000))
    splits = ["test"] if kind.endswith("one split") else ["train", "train", "test"]
    sides = {clip: splits[number % len(splits)] for number, clip in enumerate(looks)}
    found = near_identical(looks, sides)
    assert len(found) == (4000 if kind == "one clip" else 0)
    assert compared <= most * 4000
