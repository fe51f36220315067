"""The rows of training as datasets: which ones, how often, with how many frames, and with or without images."""

import hashlib
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from pipeline.errors import UserError
from pipeline.training.make import BODY
from pipeline.tuning.images import damaged

Example = dict[str, Any]


@dataclass(frozen=True)
class Examples:
    """Rows in TRL's form, with the digest of the files that they come from.

    Each has `id`, `prompt`, `images`, `solution`, `weight`, and for SFT `completion`.
    """

    rows: Sequence[Example]
    sha256: str

    def texts(self) -> Iterator[str]:
        """Yield all texts, of which a tokenizer can be learned."""
        for row in self.rows:
            for turn in (*row["prompt"], *row.get("completion", ())):
                for part in turn["content"]:
                    if part["type"] == "text":
                        yield part["text"]

    def dataset(self) -> datasets.Dataset:
        """Return a dataset whose images are opened when they are used."""
        made = datasets.Dataset.from_list([dict(row) for row in self.rows])
        return made.cast_column("images", datasets.List(datasets.Image()))


def read(
    folders: Sequence[Path], names: Sequence[str], *, most_frames: int, blind: bool = False
) -> Examples:
    """Read files such as `sft_think` from folders of rows that `egost train rows` made.

    Of rows with more than `most_frames` frames, so many are taken evenly. With `blind`, images are left out of the
    prompts, as the reference's collator left them out. Raise UserError if a file isn't there or can't be read.
    """
    found: list[Example] = []
    digest = hashlib.sha256()
    for name, path in (
        (name, folder / "trl" / f"{name}.jsonl") for folder in folders for name in names
    ):
        if not path.is_file():
            raise UserError(str(path), "isn't there", "name a folder that egost train rows made")
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = json.loads(line)
                    _check(row, "completion" if name.startswith("sft") else "solution")
                    row = without_images(row) if blind else fewer_frames(row, most_frames)
                except (ValueError, KeyError, IndexError, TypeError) as error:
                    what = f"line {number} is no row of training: {error}"
                    fix = "egost train formats writes it again"
                    raise UserError(str(path), what, fix) from error
                found.append(row)
                # Not the paths of images: rows that were moved are the same rows. Their names are digests.
                named = {**row, "images": [Path(one).name for one in row["images"]]}
                digest.update(json.dumps(named, sort_keys=True).encode())
    if not found:
        raise UserError(str(folders[0]), f"has no rows in {', '.join(names)}", "make rows first")
    if not blind and (
        missing := next(
            (one for row in found for one in row["images"] if not Path(one).is_file()), None
        )
    ):
        raise UserError(
            missing,
            "isn't there",
            "egost train formats writes the paths of moved rows again",
        )
    if not blind and (unreadable := damaged(found)):
        raise unreadable
    return Examples(found, digest.hexdigest())


def release_of(folder: Path) -> str | None:
    """Return the release whose split train a folder's rows are of, such as `egost 1.0.0`; None if it names none."""
    try:
        body = json.loads((folder / BODY).read_text(encoding="utf-8"))
        return f"{body['dataset']} {body['version']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def by_weight(examples: Examples, seed: int) -> Examples:
    """Return as many rows, each as often as its weight says: a weight of 1.3 is once or twice.

    One draw decides for all (systematic sampling), so counts differ from the weights by less than one.
    """
    total = sum(row["weight"] for row in examples.rows)
    if not total:
        raise UserError("sft.weighted", "all rows have the weight 0", "set sft.weighted = false")
    step = total / len(examples.rows)
    at = random.Random(seed).random() * step
    rows, passed = [], 0.0
    for row in examples.rows:
        passed += row["weight"]
        while at < passed:
            rows.append(row)
            at += step
    return Examples(rows, examples.sha256)


def fewer_frames(row: Example, most: int) -> Example:
    """Return a row with at most so many frames, evenly taken, the first and the last among them."""
    images = row["images"]
    if len(images) <= most:
        return row
    kept = {round(at * (len(images) - 1) / max(1, most - 1)) for at in range(most)}
    return _with(row, kept)


def _check(row: Example, reply: str) -> None:
    """Raise ValueError, KeyError, IndexError or TypeError for a row that can't be learned from: `reply` is its key."""
    (turn,) = row["prompt"]
    places = sum(part["type"] == "image" for part in turn["content"])
    if places != len(row["images"]):
        raise ValueError(f"it has {len(row['images'])} images for {places} places")
    if not (math.isfinite(row["weight"]) and row["weight"] >= 0):
        raise ValueError(f"its weight is {row['weight']}")
    said = row["completion"][0]["content"][0]["text"] if reply == "completion" else row[reply]
    if not (isinstance(said, str) and said):
        raise ValueError(f"its {reply} is empty")


def without_images(row: Example) -> Example:
    """Return a row whose prompt has neither images nor their labels."""
    return _with(row, set())


def _with(row: Example, kept: set[int]) -> Example:
    """Return a row with these frames alone; the label before a frame goes with it."""
    (turn,) = row["prompt"]
    parts: list[Mapping[str, Any]] = []
    number = 0
    for part in turn["content"]:
        if part["type"] != "image":
            parts.append(part)
            continue
        if number in kept:
            parts.append(part)
        elif parts and parts[-1]["type"] == "text":
            parts.pop()
        number += 1
    prompt = [{**turn, "content": parts}]
    return {**row, "prompt": prompt, "images": [row["images"][at] for at in sorted(kept)]}
