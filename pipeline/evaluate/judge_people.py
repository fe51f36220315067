"""Scores that people give a sample of descriptions, with which a judge's scores are compared."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.evaluate.judged import Key

PEOPLE = "people.jsonl"


def given_by_people(folder: Path) -> Mapping[Key, Mapping[str, int]]:
    """Return what people scored of the descriptions in a results folder: means over people, rounded."""
    return {}
