"""Turns measured from a release's frames, kept in the user's cache folder: measuring a span takes half a second.

One JSON file for each release and version of the measurement; without it, or with a damaged one, all is measured.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from pipeline.engine.folder import write_atomic
from pipeline.engine.rows import digest
from pipeline.evaluate import odometry
from pipeline.releases.layout import file_digest
from pipeline.releases.reading import SUMS

Frames = tuple[tuple[str, ...], tuple[float, ...]]
"""The names of a span's frames in its release, and their times in seconds."""
Turns = tuple[str, ...]


def kept_turns(release: Path, spans: Mapping[str, Frames]) -> dict[str, Turns | None]:
    """Return the turns of each span as `odometry.turns_shown` does, each measured once."""
    cache = _Cache(release)
    try:
        return {name: cache.turns(*frames) for name, frames in spans.items()}
    finally:
        cache.write()


class _Cache:
    """The turns of one release, by the names and times of the frames that show them."""

    def __init__(self, release: Path) -> None:
        self._release, self._known, self._new = release, dict[str, Turns](), False
        self._path: Path | None = None
        with suppress(OSError):  # no release: nothing tells whether its frames have changed
            named = digest(file_digest(release / SUMS), odometry.VERSION)[:32]
            self._path = user_cache_path("egost", appauthor=False) / "turns" / f"{named}.json"
            self._known = _read(self._path)

    def turns(self, names: tuple[str, ...], seconds: tuple[float, ...]) -> Turns | None:
        key = digest(*names, *map(str, seconds))
        if key in self._known:
            return self._known[key]
        paths = tuple(self._release / name for name in names)
        found = odometry.turns_shown(paths, seconds)
        if found is not None:  # not kept where files are missing: they may be restored
            self._known[key], self._new = found, True
        return found

    def write(self) -> None:
        if self._new and self._path:
            with suppress(OSError):  # measured again next time
                write_atomic(self._path, json.dumps(self._known).encode())


def _read(path: Path) -> dict[str, Turns]:
    try:
        found = {key: tuple(turns) for key, turns in json.loads(path.read_bytes()).items()}
        whole = all({*turns} <= odometry.KINDS for turns in found.values())
    except (ValueError, TypeError, AttributeError):
        return {}
    return found if whole else {}
