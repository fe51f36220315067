"""Reading `manifest.csv`, which describes the videos in its folder. Pure but for the paths."""

import csv
import io
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import MistakesError, UserError
from pipeline.sources.folders import readable, walk
from pipeline.sources.names import VIDEO_SUFFIXES, Names

MANIFEST_NAME = "manifest.csv"
_CHOICES = {
    "lens": ("rectilinear", "fisheye"),
    "split": ("train", "validation", "test"),
    "consent": ("local", "model", "release"),
}
_ROTATIONS = {"0": 0, "90": 90, "180": 180, "270": 270}
COLUMNS = ("path", "scene", "wearer", "source", "licence", "hfov_degrees", *_CHOICES, "rotation")
WIDEST_FLAT = 160.0  # degrees; a rectilinear image of 180 degrees would be infinitely wide


@dataclass(frozen=True)
class ManifestEntry:
    """One line about a video: its number and the fields that are filled in."""

    line: int
    fields: dict[str, Any]


def read_manifest(root: Path) -> dict[str, ManifestEntry]:
    """Return the entries of `root/manifest.csv` by path relative to root.

    A path may be spelled as another system or a spreadsheet does, where it can only mean one file.
    Raises MistakesError with the line number of each mistake: an unknown column, a path that doesn't
    exist or is outside the folder, a repeated path, a value out of bounds.
    """
    path = root / MANIFEST_NAME
    if not path.is_file():
        return {}
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    files = cache(partial(_files, root))
    found: dict[str, ManifestEntry] = {}
    mistakes: list[UserError] = []
    try:
        reader.fieldnames = _header(path, list(reader.fieldnames or ()))
        for cells in reader:
            try:
                name, fields = _row(root, files, path, reader.line_num, cells)
                if name in found:
                    what = f"{name} is listed twice, first on line {found[name].line}"
                    raise _error(path, reader.line_num, what, "keep one line")
                found[name] = ManifestEntry(reader.line_num, fields)
            except MistakesError as several:
                mistakes += several.errors
            except UserError as error:
                mistakes.append(error)
    except csv.Error as error:
        # The line where the row begins: an unclosed quote extends to the end of the file.
        line, what = reader.line_num + 1, f"not CSV: {error}"
        mistakes.append(_error(path, line, what, "fix the quotes on that line"))
    if mistakes:
        raise MistakesError(mistakes)
    return found


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            str(path), f"can't be read: {error.strerror}", "check its permissions"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _error(path, line, "not UTF-8", 'save it as "CSV UTF-8"') from error


def _header(path: Path, given: list[str]) -> list[str]:
    names = [name.strip() for name in given]
    for character, plural in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and character in names[0]:
            what = f"its cells are separated by {plural}"
            raise _error(path, 1, what, "save it with commas")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise _error(path, 1, f"column {twice!r} occurs twice", "keep one of them")
    wrong = [f"unknown column {name!r}" for name in names if name not in COLUMNS]
    wrong += [] if "path" in names else ["no column named path"]
    if wrong:
        fix = f"the columns are {', '.join(COLUMNS)}"
        raise MistakesError([_error(path, 1, what, fix) for what in wrong])
    return names


def _row(
    root: Path, files: Callable[[], Names], path: Path, line: int, cells: dict[str, str | None]
) -> tuple[str, dict[str, Any]]:
    if None in cells or None in cells.values():
        raise _error(
            path,
            line,
            "the number of cells differs from the number of columns",
            "quote texts that contain a comma",
        )
    given = (cells.pop("path") or "").strip()
    if not given:
        raise _error(path, line, "no path", "write the video's path, or delete the line")
    name = _located(root, files, path, line, given)
    texts = {column: text.strip() for column, text in cells.items() if text and text.strip()}
    values: dict[str, Any] = {}
    wrong: list[UserError] = []
    for column, text in texts.items():
        try:
            values[column] = _value(path, line, column, text)
        except UserError as error:
            wrong.append(error)
    if wrong:
        raise MistakesError(wrong)
    if values.get("lens", "fisheye") != "fisheye" and values.get("hfov_degrees", 0) > WIDEST_FLAT:
        raise _error(
            path,
            line,
            f"hfov_degrees {texts['hfov_degrees']} with a rectilinear lens",
            "no rectilinear lens is that wide: set lens to fisheye, or correct the angle",
        )
    return name, values


def _files(root: Path) -> Names:
    videos = (path for path in walk(root).paths if path.suffix.lower() in VIDEO_SUFFIXES)
    return Names(readable(path.relative_to(root)) for path in videos)


def _located(root: Path, files: Callable[[], Names], path: Path, line: int, given: str) -> str:
    """Return the path that a cell means, relative to root; `files()` lists the videos below root."""
    name = PurePosixPath(given)
    target = root / name
    fix = "write it relative to this folder"
    if name.is_absolute() or ".." in name.parts or not _is_below(root, target):
        if likely := files().likely(given):
            fix = f"write {likely}, if that is meant"
        raise _error(path, line, f"{given!r} is not a path inside this folder", fix)
    if target.exists():
        return str(name)
    spelled = files().spelled(given)
    if len(spelled) == 1:
        return spelled[0]
    if spelled:
        what = f"{given} may be {' or '.join(spelled)}"
        raise _error(path, line, what, "write the name exactly as the file has it")
    likely = files().likely(given)
    fix = f"write {likely}, if that is meant" if likely else "fix the path, or delete the line"
    raise _error(path, line, f"{given} doesn't exist", fix)


def _is_below(root: Path, target: Path) -> bool:
    try:
        target.exists()
        return target.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError):  # a name that is too long or contains a NUL
        return False


def _value(path: Path, line: int, column: str, text: str) -> object:
    if column in _CHOICES and text not in _CHOICES[column]:
        raise _error(path, line, f"{column} {text!r}", f"use one of: {', '.join(_CHOICES[column])}")
    if column == "rotation":
        if text not in _ROTATIONS:
            fix = f"give degrees clockwise, one of: {', '.join(_ROTATIONS)}"
            raise _error(path, line, f"rotation {text!r}", fix)
        return _ROTATIONS[text]
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
            "give the horizontal field of view, 10 to 200, or leave it empty",
        )
    return degrees


def _error(path: Path, line: int, what: str, fix: str) -> UserError:
    return UserError(f"{path}, line {line}", what, fix)
