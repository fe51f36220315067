"""Whether a folder's files in trainers' formats can be read as they were meant: a placeholder for each image, and each image there."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.training.formats import IMAGE, NAMES, row_files

_OTHER = re.compile("<(?:video|audio)>")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a row, counted from 1, of a file."""

    file: Path
    row: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}: {self.what}"


def check(folder: Path) -> list[Problem]:
    """Return what is wrong with the files of all formats in a folder of rows; raise UserError if there are none."""
    files = [path for name in NAMES for path in row_files(folder / name)]
    if not files:
        raise UserError(
            str(folder), "has no rows in a trainer's format", "egost train formats writes them"
        )
    return [
        Problem(path, number, what)
        for path in files
        for number, row in enumerate(_rows(path), start=1)
        for what in _wrong(row, _above(folder, path.parent))
    ]


def _above(folder: Path, of_format: Path) -> Path:
    """Return the folder that a format's relative paths begin at."""
    return of_format if of_format.name == "llamafactory" else folder


def _rows(path: Path) -> Iterator[Any]:
    """Yield the rows of a file, and at last the error that keeps it from being read further, if there is one."""
    try:
        if path.suffix == ".parquet":
            yield from pq.read_table(path).to_pylist()
        elif path.suffix == ".json":
            yield from json.loads(path.read_bytes())
        else:
            with path.open("rb") as file:
                yield from map(json.loads, file)
    except (ValueError, pa.ArrowException) as error:
        yield error


def _wrong(row: Any, above: Path) -> Iterator[str]:
    if isinstance(row, Exception):
        yield f"can't be read: {row}"
        return
    try:
        asked, replied = _texts(row)
        images = [
            image["image"] if isinstance(image, Mapping) else image for image in row["images"]
        ]
        absent = [image for image in images if not (above / image).is_file()]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        yield f"isn't in this format: {error!r}"
        return
    wanted = asked.count(IMAGE)
    if wanted != len(images):
        yield f"{wanted} placeholders for {len(images)} images"
    if not images:
        yield "no images"
    if other := _OTHER.search(asked + replied):
        yield f"{other[0]}, and nothing to show there"
    if IMAGE in replied:
        yield f"{IMAGE} in what the model is to reply"
    if absent:
        yield f"{len(absent)} images aren't there, such as {absent[0]}; egost train formats writes their paths again"


def _texts(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is asked and what is to be replied, with a placeholder for each image."""
    if "problem" in row:  # EasyR1
        return row["problem"], ""
    turns = row["messages"] if "messages" in row else [*row["prompt"], *row.get("completion", [])]
    said = {"user": "", "assistant": ""}
    for turn in turns:
        said[turn["role"]] += _text(turn["content"])
    return said["user"], said["assistant"]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(IMAGE if part["type"] == "image" else part["text"] for part in content)
