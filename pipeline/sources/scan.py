"""Scanning folders for video files, their sidecars and their manifests."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.engine.config import CONFIG_NAME
from pipeline.engine.rows import digest
from pipeline.errors import MistakesError, UserError
from pipeline.sources.manifest import MANIFEST_NAME, ManifestEntry, read_manifest
from pipeline.sources.narrations import SIDECAR_SUFFIXES
from pipeline.sources.rows import Consent, Source

VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
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

_WORKSPACE_FOLDERS = {"label-studio", "media", "pictures", "releases", "tables"}


@dataclass(frozen=True)
class Scan:
    """The result of a scan: sources by id, the ids of known sources that no longer exist, skipped files."""

    sources: dict[str, Source]
    gone: tuple[str, ...] = ()
    skipped: tuple[Path, ...] = ()


def scan(paths: Sequence[Path], known: Iterable[Source], consent: Consent) -> Scan:
    """Find video files in `paths` (files, or folders and everything below), or rescan the known ones.

    A file belongs to the outermost folder in which it was ever found, so that scanning a folder inside
    another gives the same videos. `consent` applies to videos without consent in a manifest.
    Raises UserError for a path that doesn't exist, a folder without videos, or a wrong manifest.
    """
    known = list(known)
    if not paths:
        # Sources below a root that is not mounted now are kept.
        there = [source for source in known if Path(source.root).is_dir()]
        again = [(Path(source.root), Path(source.root, source.path)) for source in there]
        kept = {source.source_id: source for source in known}
        return Scan(kept | _sources(again, (), consent))
    scanned = [_resolved(path) for path in paths]
    roots = {Path(source.root) for source in known}
    roots |= {path if path.is_dir() else path.parent for path in scanned}
    located: list[tuple[Path, Path]] = []
    skipped: set[Path] = set()
    for path in scanned:
        root = min((one for one in roots if path.is_relative_to(one)), key=lambda r: len(r.parts))
        names = list(_walk(path)) if path.is_dir() else [path]
        videos = [name for name in names if name == path or _wanted(name)]
        if not videos:
            raise UserError(
                str(path),
                "contains no video files",
                f"video files have one of these suffixes: {' '.join(sorted(VIDEO_SUFFIXES))}",
            )
        stems = {name.with_suffix("") for name in videos}
        beside = {
            name
            for name in names
            if name.name == MANIFEST_NAME
            or (name.suffix.lower() in SIDECAR_SUFFIXES and name.with_suffix("") in stems)
        }
        skipped |= set(names) - set(videos) - beside
        located += [(root, name) for name in videos]
    folders = tuple(path for path in scanned if path.is_dir())
    sources = _sources(located, folders, consent)
    gone = tuple(
        source.source_id
        for source in known
        if source.source_id not in sources
        and any(Path(source.root, source.path).is_relative_to(folder) for folder in folders)
    )
    return Scan(sources, gone, tuple(sorted(skipped)))


def _resolved(path: Path) -> Path:
    if not path.exists():
        raise UserError(readable(path), "no such file or folder", "check the path")
    # Resolved, or two spellings of one folder would list every video twice.
    path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    folder = path if path.is_dir() else path.parent
    if readable(folder) != str(folder):
        raise UserError(readable(folder), "the folder's name is not UTF-8", "rename it")
    return path


def _walk(root: Path) -> Iterator[Path]:
    unreadable: list[Path] = []
    for folder, folders, files in os.walk(
        root, onerror=lambda error: unreadable.append(Path(error.filename))
    ):
        here = Path(folder)
        if CONFIG_NAME in files:  # a workspace: its review clips are not input videos
            folders[:] = [
                name for name in folders if here == root and name not in _WORKSPACE_FOLDERS
            ]
            files = files if here == root else []
        folders.sort()
        # A folder named x.mp4, a link to a folder (possibly circular) and a folder that can't be
        # opened are rejected by name later.
        for name in folders:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES or (here / name).is_symlink():
                yield here / name
        yield from (here / name for name in sorted(files) if not name.startswith("."))
    yield from unreadable


def _wanted(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir()


def readable(path: Path) -> str:
    """Return a path as text, with escapes such as `\\xff` for bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _sources(
    located: Sequence[tuple[Path, Path]], folders: Sequence[Path], consent: Consent
) -> dict[str, Source]:
    """Return the sources of these (root, file) pairs; `folders` are the scanned folders."""
    manifests = _Manifests(located)
    manifests.check(folders, {file for _, file in located})
    sidecars = cache(_sidecars)  # lists each folder once
    sources = (
        _source(
            root,
            file,
            sidecars(file.parent).get(file.stem, ()),
            manifests.fields_of(root, file),
            consent,
        )
        for root, file in located
    )
    return {source.source_id: source for source in sources}


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
                    fix = "name a video file, or delete the line"
                    mistakes.append(UserError(where, f"{name} is not a video file", fix))
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


def _sidecars(folder: Path) -> dict[str, list[os.DirEntry[str]]]:
    """Return a folder's narration files by stem, which is that of their video."""
    found: dict[str, list[os.DirEntry[str]]] = {}
    try:
        with os.scandir(folder) as entries:
            files = sorted((entry for entry in entries if entry.is_file()), key=lambda e: e.name)
    except OSError:
        return found
    for entry in files:
        path = Path(entry.name)
        if path.suffix.lower() in SIDECAR_SUFFIXES and entry.name != MANIFEST_NAME:
            found.setdefault(path.stem, []).append(entry)
    return found


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
