"""Scanning folders for video files, their sidecars and their manifests."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from pipeline.engine.rows import digest
from pipeline.errors import MistakesError, UserError
from pipeline.sources.folders import Walked, is_hidden, is_reached, readable, walk
from pipeline.sources.manifest import MANIFEST_NAME, ManifestEntry, read_manifest
from pipeline.sources.names import VIDEO_SUFFIXES
from pipeline.sources.narrations import SIDECAR_SUFFIXES
from pipeline.sources.rows import Consent, Source
from pipeline.sources.sidecars import assign

_TABLES = (".csv", ".ods", ".tsv", ".txt", ".xls", ".xlsx")


@dataclass(frozen=True)
class Scan:
    """The result of a scan.

    `sources` are those found, by id, and `gone` the ids of known ones that no longer exist. The rest is
    what was left out: other files, hidden folders and videos; narration files, and tables named like a
    manifest, with the reason why they are not read.
    """

    sources: dict[str, Source]
    gone: tuple[str, ...] = ()
    skipped: tuple[Path, ...] = ()
    hidden_folders: tuple[Path, ...] = ()
    hidden_videos: tuple[Path, ...] = ()
    unread: Mapping[Path, str] = field(default_factory=dict)


def scan(
    paths: Sequence[Path], known: Iterable[Source], consent: Consent, language: str | None = None
) -> Scan:
    """Find video files in `paths` (files, or folders and everything below), or rescan the known ones.

    A file belongs to the outermost folder in which it was ever found, so that scanning a folder inside
    another gives the same videos. Hidden and system folders are not searched, unless one is itself
    among `paths`. `consent` applies to videos without consent in a manifest; `language` chooses between
    narrations in several languages. Raises UserError for a path that doesn't exist, a folder without
    videos, or a wrong manifest.
    """
    known = list(known)
    if not paths:
        return _rescan(known, consent, language)
    scanned = [_resolved(path) for path in paths]
    roots = {Path(source.root) for source in known}
    roots |= {path if path.is_dir() else path.parent for path in scanned}
    located: list[tuple[Path, Path]] = []
    others: set[Path] = set()
    hidden: set[Path] = set()
    unsearched: set[Path] = set()
    for path in scanned:
        # A file in a hidden folder belongs to the folder that was named, not to one above it.
        folder = path if path.is_dir() else path.parent
        above = (r for r in roots if folder.is_relative_to(r) and is_reached(folder / "x", r))
        root = min(above, key=lambda one: len(one.parts))
        walked = walk(path) if path.is_dir() else Walked([path])
        videos = [name for name in walked.paths if name == path or _wanted(name)]
        unsearched |= set(walked.hidden_folders)
        hidden |= {name for name in walked.hidden_files if _is_video(name)}
        if not videos:
            raise _no_videos(path, unsearched)
        others |= set(walked.paths) - set(videos)
        located += [(root, name) for name in videos]
    folders = tuple(path for path in scanned if path.is_dir())
    sources, unread = _sources(located, folders, consent, language)
    unread |= {name: f"save it as {MANIFEST_NAME}" for name in others if _like_a_manifest(name)}
    read = {
        Path(source.root, source.path).with_name(name)
        for source in sources.values()
        for name in source.sidecars
    }
    gone = {
        source.source_id
        for source in known
        if source.source_id not in sources
        and any(_would_find(folder, source) for folder in folders)
    }
    return Scan(
        sources,
        tuple(sorted(gone)),
        skipped=tuple(
            sorted(name for name in others - read - unread.keys() if name.name != MANIFEST_NAME)
        ),
        hidden_folders=tuple(sorted(unsearched)),
        hidden_videos=tuple(sorted(hidden)),
        unread=unread,
    )


def _rescan(known: Sequence[Source], consent: Consent, language: str | None) -> Scan:
    """Look at the known files again; those below a root that is not mounted now are kept."""
    # An earlier version searched hidden folders as well.
    gone = {
        source.source_id
        for source in known
        if not is_reached(Path(source.root, source.path), Path(source.root))
    }
    kept = {source.source_id: source for source in known if source.source_id not in gone}
    again = [
        (Path(source.root), Path(source.root, source.path))
        for source in kept.values()
        if Path(source.root).is_dir()
    ]
    sources, unread = _sources(again, (), consent, language)
    return Scan(kept | sources, tuple(sorted(gone)), unread=unread)


def _would_find(folder: Path, source: Source) -> bool:
    """Return whether a scan of this folder finds the source if it is there.

    A hidden file, or one in a hidden folder, that was itself named is not looked for.
    """
    root, file = Path(source.root), Path(source.root, source.path)
    if not file.is_relative_to(folder) or (is_hidden(file.name) and file.exists()):
        return False
    return (
        is_reached(file, folder)
        or not root.is_relative_to(folder)
        or is_reached(root / "x", folder)
    )


def _no_videos(path: Path, unsearched: Iterable[Path]) -> UserError:
    fix = f"video files have one of these suffixes: {' '.join(sorted(VIDEO_SUFFIXES))}"
    if unsearched:
        fix += "; a hidden or system folder is searched only if you name it"
    return UserError(readable(path), "contains no video files", fix)


def _like_a_manifest(path: Path) -> bool:
    stem = path.name.partition(".")[0].casefold()
    return (
        stem == PurePath(MANIFEST_NAME).stem
        and path.suffix.lower() in _TABLES
        and path.name != MANIFEST_NAME
    )


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _wanted(path: Path) -> bool:
    return _is_video(path) or path.is_dir()


def _resolved(path: Path) -> Path:
    if not path.exists():
        raise UserError(readable(path), "no such file or folder", "check the path")
    # Resolved, or two spellings of one folder would list every video twice.
    path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    folder = path if path.is_dir() else path.parent
    if readable(folder) != str(folder):
        raise UserError(readable(folder), "the folder's name is not UTF-8", "rename it")
    return path


def _sources(
    located: Sequence[tuple[Path, Path]],
    folders: Sequence[Path],
    consent: Consent,
    language: str | None,
) -> tuple[dict[str, Source], dict[Path, str]]:
    """Return the sources of these (root, file) pairs, and the narration files that are not read.

    `folders` are the scanned folders.
    """
    manifests = _Manifests(located)
    manifests.check(folders, {file for _, file in located})
    beside = {folder: _Beside(folder, language) for folder in {file.parent for _, file in located}}
    sources = (
        _source(
            root,
            file,
            beside[file.parent].sidecars(file.name),
            manifests.fields_of(root, file),
            consent,
        )
        for root, file in located
    )
    unread = {
        folder / name: why for folder, one in beside.items() for name, why in one.unread.items()
    }
    return {source.source_id: source for source in sources}, unread


class _Manifests:
    """The manifests of the folders that contain files, and of their parents up to the root."""

    def __init__(self, located: Iterable[tuple[Path, Path]]) -> None:
        pairs = {(root, file.parent) for root, file in located}
        folders = {folder for root, lowest in pairs for folder in _between(root, lowest)}
        self._found: dict[Path, dict[str, ManifestEntry]] = {}
        mistakes: list[UserError] = []
        for folder in sorted(folders):
            try:
                self._found[folder] = read_manifest(folder)
            except MistakesError as several:
                mistakes += several.errors
            except UserError as error:
                mistakes.append(error)
        if mistakes:
            raise MistakesError(mistakes)

    def check(self, folders: Sequence[Path], files: set[Path]) -> None:
        """Raise MistakesError for lines that match no video, and for videos with two lines."""
        first: dict[Path, str] = {}
        mistakes = []
        for folder, entries in self._found.items():
            for name, entry in entries.items():
                file = folder / name
                where = f"{folder / MANIFEST_NAME}, line {entry.line}"
                if file not in files and any(file.is_relative_to(one) for one in folders):
                    what, fix = "is not a video file", "name a video file, or delete the line"
                    if _is_video(file) and file.exists():
                        what = "is hidden or in a hidden or system folder, which is not searched"
                        fix = "move it, or delete the line"
                    mistakes.append(UserError(where, f"{name} {what}", fix))
                elif file in first:
                    what = f"{name} is also described in {first[file]}"
                    mistakes.append(UserError(where, what, "keep one of the two lines"))
                first.setdefault(file, where)
        if mistakes:
            raise MistakesError(mistakes)

    def fields_of(self, root: Path, file: Path) -> dict[str, Any]:
        """Return the manifest fields of this file."""
        for folder in _between(root, file.parent):
            entries = self._found[folder]
            if entries and (entry := entries.get(readable(file.relative_to(folder)))):
                return entry.fields
        return {}


@cache
def _between(root: Path, folder: Path) -> tuple[Path, ...]:
    return tuple(one for one in (folder, *folder.parents) if one.is_relative_to(root))


class _Beside:
    """The narration files of one folder, by video."""

    def __init__(self, folder: Path, language: str | None) -> None:
        self._files: dict[str, os.DirEntry[str]] = {}
        videos = []
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    path = Path(entry.name)
                    if entry.name == MANIFEST_NAME or entry.name.startswith("."):
                        continue
                    if path.suffix.lower() in SIDECAR_SUFFIXES and entry.is_file():
                        self._files[entry.name] = entry
                    elif _is_video(path):
                        videos.append(entry.name)
        except OSError:  # the folder's videos are then rejected
            videos.clear()
        self._assigned = assign(videos, self._files, language)
        self.unread = self._assigned.unread

    def sidecars(self, video: str) -> list[os.DirEntry[str]]:
        """Return the narration files that are read for this video."""
        return [self._files[name] for name in self._assigned.of.get(video, ())]


def _source(
    root: Path,
    file: Path,
    sidecars: Sequence[os.DirEntry[str]],
    fields: dict[str, Any],
    consent: Consent,
) -> Source:
    path = readable(file.relative_to(root))
    try:
        status = file.stat()
        # Unreadable files have no size, so that they are read once their permissions change.
        size = status.st_size if os.access(file, os.R_OK) else -1
        mtime = status.st_mtime_ns
    except OSError:
        size, mtime = -1, -1
    names = [readable(Path(entry.name)) for entry in sidecars]
    stats = [entry.stat() for entry in sidecars]
    stamps = (f"{n}:{s.st_size}:{s.st_mtime_ns}" for n, s in zip(names, stats, strict=True))
    return Source.model_validate(
        {
            "source_id": "s_" + digest("source", root, path),
            "root": str(root),
            "path": path,
            "bytes": size,
            "mtime_ns": mtime,
            "sidecars": names,
            "sidecar_stamp": " ".join(stamps),
            "consent": consent,
            **fields,
        }
    )
