"""Matching names that people wrote with the files that are there. Pure.

The same name is spelled differently by other systems (macOS decomposes umlauts, Windows has
backslashes and ignores case) and by spreadsheets (non-breaking spaces, `%20`).
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import PurePosixPath
from urllib.parse import unquote

VIDEO_SUFFIXES = frozenset(
    [
        ".264",
        ".265",
        ".3gp",
        ".avi",
        ".flv",
        ".h264",
        ".h265",
        ".hevc",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
_ALIKE = 0.75  # of difflib's ratio: walk_1 and walk-01 are alike, walk_1 and kitchen are not
_COMPARISONS = 200_000  # by difflib, about 2 s: a thousand wrong names need no thousand suggestions
_DIGITS = re.compile(r"\d+")


def folded(name: str) -> str:
    """Return a relative path without what differs between systems: two spellings give one text."""
    text = unicodedata.normalize("NFKC", unquote(name).replace("\\", "/")).casefold()
    visible = (c for c in text if unicodedata.category(c) != "Cf")  # such as a direction mark
    parts = (re.sub(r"\s+", " ", part).strip() for part in "".join(visible).split("/"))
    return unicodedata.normalize("NFC", "/".join(part for part in parts if part not in ("", ".")))


class Names:
    """The relative paths of the files of a folder, to look up a name that somebody wrote."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._spelled: dict[str, list[str]] = defaultdict(list)
        self._alike: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._numbered: dict[tuple[int, ...], dict[str, str]] = defaultdict(dict)
        self._comparisons = _COMPARISONS
        for path in paths:
            key = folded(path)
            self._spelled[key].append(path)
            for likeness in _likenesses(key):
                self._alike[likeness].append(path)
            self._numbered[_numbers(key)][_without_suffix(key)] = path

    def spelled(self, name: str) -> list[str]:
        """Return the paths that differ from the name only in spelling."""
        return self._spelled.get(folded(name), [])

    def likely(self, name: str) -> str | None:
        """Return the path that is probably meant: another suffix, another folder, or a typo."""
        wanted = folded(name)
        for likeness in _likenesses(wanted):
            if len(found := self._alike.get(likeness, [])) == 1:
                return found[0]
        near = self._numbered.get(_numbers(wanted), {})  # 0001 is no typo of 0002
        self._comparisons -= len(near)
        if self._comparisons < 0:
            return None
        close = get_close_matches(_without_suffix(wanted), near, 1, _ALIKE)
        return near[close[0]] if close else None


def _likenesses(key: str) -> Iterator[tuple[str, str]]:
    """Yield what two names may have in common, from the strongest to the weakest."""
    path = PurePosixPath(key)
    yield "another suffix", _without_suffix(key)
    if len(path.parts) > 1:
        yield "folder and name", "/".join(path.parts[-2:])
    yield "name", path.name
    yield "stem", path.stem


def _without_suffix(key: str) -> str:
    path = PurePosixPath(key)
    return str(path.with_name(path.stem)) if path.name else key


def _numbers(key: str) -> tuple[int, ...]:
    return tuple(int(digits[:18]) for digits in _DIGITS.findall(_without_suffix(key)))
