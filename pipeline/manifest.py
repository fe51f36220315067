"""Reading `manifest.csv`, which says of each video beside it what a container can't. Pure but for the paths."""

import csv
import math
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import UserError

MANIFEST_NAME = "manifest.csv"
_CHOICES = {
    "lens": ("rectilinear", "fisheye"),
    "split": ("train", "validation", "test"),
    "consent": ("local", "model", "release"),
}
COLUMNS = ("path", "scene", "wearer", "source", "licence", "hfov_degrees", *_CHOICES)


def read_manifest(root: Path) -> dict[str, dict[str, Any]]:
    """Return the fields of each video that `root/manifest.csv` names, by path below root.

    Raises UserError with the line number for an unknown column, a path that is not there or that
    leaves the folder, a path named twice, or a value out of bounds.
    """
    path = root / MANIFEST_NAME
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = list(reader.fieldnames or ())
            unknown = [name for name in names if name not in COLUMNS]
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise _error(path, 1, f"column {twice[0]!r} twice", "keep one of them")
            if unknown or "path" not in names:
                what = f"unknown column {unknown[0]!r}" if unknown else "no column named path"
                raise _error(path, 1, what, f"columns are {', '.join(COLUMNS)}")
            found: dict[str, dict[str, Any]] = {}
            for cells in reader:
                name, fields = _row(root, path, reader.line_num, cells)
                if name in found:
                    raise _error(path, reader.line_num, f"{name} is named twice", "keep one line")
                found[name] = fields
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UserError(str(path), f"can't be read: {error}", "save it as CSV in UTF-8") from error
    return found


def _row(
    root: Path, path: Path, line: int, cells: dict[str, str | None]
) -> tuple[str, dict[str, Any]]:
    if None in cells or None in cells.values():
        raise _error(path, line, "not as many cells as columns", "quote texts that hold a comma")
    given = (cells.pop("path") or "").strip()
    name = PurePosixPath(given)
    target = root / name
    if not given or name.is_absolute() or ".." in name.parts or not _is_below(root, target):
        raise _error(
            path, line, f"{given!r} is not a path below this folder", "write it as seen from here"
        )
    if not target.exists():
        raise _error(path, line, f"{given} is not there", "mend the path, or take the line out")
    values = {column: text.strip() for column, text in cells.items() if text and text.strip()}
    return str(name), {column: _value(path, line, column, text) for column, text in values.items()}


def _is_below(root: Path, target: Path) -> bool:
    try:
        target.exists()
        return target.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError):  # too long for a name, or a NUL inside
        return False


def _value(path: Path, line: int, column: str, text: str) -> object:
    if column in _CHOICES and text not in _CHOICES[column]:
        raise _error(path, line, f"{column} {text!r}", f"use one of: {', '.join(_CHOICES[column])}")
    if column != "hfov_degrees":
        return text
    try:
        degrees = float(text)
    except ValueError:
        degrees = math.nan
    if not 10 <= degrees <= 200:
        raise _error(
            path,
            line,
            f"hfov_degrees {text!r}",
            "give the horizontal field of view, 10 to 200, or nothing",
        )
    return degrees


def _error(path: Path, line: int, what: str, fix: str) -> UserError:
    return UserError(f"{path}, line {line}", what, fix)
