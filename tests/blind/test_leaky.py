"""The probe finds the leak in each world's rows of the earlier construction, and none once answers are permuted."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from blind_items import read_items

from pipeline.blind.probe import run_probe
from pipeline.blind.sheet import ProbeItem

pytestmark = pytest.mark.slow

LEAKY = Path(__file__).parents[1] / "data" / "leaky"
WORLDS = {
    "aisles": "direction turn",
    "corridors": "landmark order",
    "fair": "direction turn",  # sides balanced to one
    "habits": "direction turn",
    "houses": "direction turn",
    "kitchens": "direction turn",
    "long_tail": "landmark order",
    "loops": "direction turn",
    "out_and_back": "direction turn",
    "paths": "landmark order",
    "right_streets": "direction turn",
}


def items_of(world: str) -> list[ProbeItem]:
    return read_items(LEAKY / f"{world}.parquet")


def test_every_file_is_of_a_world_that_is_tested() -> None:
    assert {path.stem for path in LEAKY.glob("*.parquet")} == set(WORLDS)


@pytest.mark.parametrize("world", WORLDS)
def test_the_earlier_construction_leaks(world: str) -> None:
    report = run_probe(items_of(world))
    assert report.state() == "failed"
    assert WORLDS[world] in {cell.name for cell in report.cells if cell.verdict == "leak"}


@pytest.mark.parametrize("world", ["corridors", "houses", "loops"])
def test_permuted_answers_read_as_chance(world: str) -> None:
    items = items_of(world)
    letters = [item.answer for item in items]
    random.Random(world).shuffle(letters)
    report = run_probe(
        [replace(item, answer=letter) for item, letter in zip(items, letters, strict=True)]
    )
    assert report.leaks() == []
    assert report.state() == "unproven"
