"""Find video files, probe and hash each, and read what its manifest and its sidecars say."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from pipeline.clients import video
from pipeline.config import Settings
from pipeline.errors import RowError, UserError
from pipeline.manifest import MANIFEST_NAME, read_manifest
from pipeline.narrations import SIDECAR_SUFFIXES, Line, NarrationError
from pipeline.narrations import read as read_narrations
from pipeline.records import Consent, Narration, Probe, Rejection, Row, Source, digest
from pipeline.store import Place, Rows

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
_FACTS = ("landmark", "action", "undo")


class IngestSettings(Settings):
    """What holds for videos of which no manifest line says otherwise."""

    consent: Consent = Field(
        "local",
        exclude=True,  # it travels on each Source, so a change touches only the videos it concerns
        description='How far pictures may go: "local", "model" (a model server), "release" (both).',
    )


@dataclass(frozen=True)
class Scan:
    """What a look at the disk found: sources by id, the roots looked at, files passed over."""

    sources: dict[str, Source]
    roots: frozenset[str]
    passed_over: int


def scan(paths: Sequence[Path], known: Iterable[Source], settings: IngestSettings) -> Scan:
    """Find video files in `paths` (files, or folders with all below), or look again at the known.

    Raises UserError for a path that is not there, a folder without videos, or a wrong manifest.
    """
    if not paths:
        # A root on a disk that is not mounted now keeps what is known of it.
        kept = {source.source_id: source for source in known}
        there = [source for source in kept.values() if Path(source.root).is_dir()]
        again = [(Path(source.root), Path(source.root, source.path)) for source in there]
        return Scan(kept | _described(again, settings), frozenset(), 0)
    located: list[tuple[Path, Path]] = []
    passed_over = 0
    for path in paths:
        if not path.exists():
            raise UserError(str(path), "no such file or folder", "check the path")
        # Resolved, or one folder spelled in two ways would hold every video twice.
        path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
        root = path if path.is_dir() else path.parent
        if _readable(root) != str(root):
            raise UserError(_readable(root), "a folder whose name is not UTF-8", "rename it")
        names = list(_walk(root)) if path.is_dir() else [path]
        videos = [name for name in names if name == path or _wanted(name)]
        if not videos:
            raise UserError(
                str(path),
                "no video files in it",
                f"video files end in {' '.join(sorted(VIDEO_SUFFIXES))}",
            )
        stems = {name.with_suffix("") for name in videos}
        beside = {root / MANIFEST_NAME} | {
            name
            for name in names
            if name.suffix.lower() in SIDECAR_SUFFIXES and name.with_suffix("") in stems
        }
        passed_over += len(set(names) - set(videos) - beside)
        located += [(root, name) for name in videos]
    roots = frozenset(str(path.resolve()) for path in paths if path.is_dir())
    return Scan(_described(located, settings), roots, passed_over)


def _walk(root: Path) -> Iterator[Path]:
    unreadable: list[Path] = []
    for folder, folders, files in os.walk(
        root, onerror=lambda error: unreadable.append(Path(error.filename))
    ):
        folders.sort()
        here = Path(folder)
        # A folder called x.mp4, a link to a folder (which may lead in a circle) and a folder that
        # can't be opened are refused by name, later.
        for name in folders:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES or (here / name).is_symlink():
                yield here / name
        yield from (here / name for name in sorted(files) if not name.startswith("."))
    yield from unreadable


def _wanted(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir()


def _readable(path: Path) -> str:
    """Return a path as text; what is not UTF-8 in it becomes escapes such as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _described(located: list[tuple[Path, Path]], settings: IngestSettings) -> dict[str, Source]:
    manifests = {root: read_manifest(root) for root, _ in located}
    sources = (_source(root, file, manifests[root], settings) for root, file in located)
    return {source.source_id: source for source in sources}


def _source(
    root: Path, file: Path, manifest: dict[str, dict[str, object]], settings: IngestSettings
) -> Source:
    path = _readable(file.relative_to(root))
    try:
        status = file.stat()
        size, mtime = status.st_size, status.st_mtime_ns
    except OSError:
        size, mtime = -1, -1
    sidecars = [s for s in (file.with_suffix(suffix) for suffix in SIDECAR_SUFFIXES) if s.is_file()]
    stamps = (
        f"{_readable(Path(s.name))}:{s.stat().st_size}:{s.stat().st_mtime_ns}" for s in sidecars
    )
    return Source.model_validate(
        {
            "source_id": "s_" + digest("source", root, path),
            "root": str(root),
            "path": path,
            "bytes": size,
            "mtime_ns": mtime,
            "sidecars": [_readable(Path(s.name)) for s in sidecars],
            "sidecar_stamp": " ".join(stamps),
            "consent": settings.consent,
            **manifest.get(path, {}),
        }
    )


def run(rows: Rows, settings: IngestSettings, place: Place) -> Iterator[Row]:
    """Turn one Source into a Probe and its Narrations; a refusal is a RowError.

    A sidecar that can't be read is a rejection of its own: the video goes on without it.
    """
    source = rows.one(Source)
    file = Path(source.root, source.path)
    if file.is_dir() and file.is_symlink():
        raise RowError(
            "a link to a folder, which is not followed", "name that folder: egost frames"
        )
    if source.bytes < 0 or not os.path.lexists(file):
        raise RowError(
            "can't be opened: a broken link, or a name that is not UTF-8",
            "mend the link, or rename the file",
        )
    found = video.probe(file)
    sha256 = _sha256(file)
    video_id = "v_" + digest("video", sha256)
    yield Probe(
        video_id=video_id,
        root=source.root,
        path=source.path,
        sha256=sha256,
        bytes=source.bytes,
        container=found.container,
        codec=found.codec,
        width=found.width,
        height=found.height,
        rotation=found.rotation,
        fps_num=found.fps_num,
        fps_den=found.fps_den,
        duration_us=found.duration_us,
        has_audio=found.has_audio,
        hfov_degrees=source.hfov_degrees or found.hfov_degrees,
        lens=source.lens,
        scene=source.scene,
        wearer=source.wearer,
        source=source.source,
        licence=source.licence,
        consent=source.consent,
        wanted_split=source.split,
    )
    for name in source.sidecars:
        yield from _narrations(source, file.with_name(name), video_id, found.duration_us)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _narrations(source: Source, sidecar: Path, video_id: str, duration_us: int) -> Iterator[Row]:
    unit = str(Path(source.path).with_name(sidecar.name))
    try:
        lines = read_narrations(sidecar.read_text(encoding="utf-8"), sidecar.suffix)
        late = next((line for line in lines if line.t_us > duration_us + 1_000_000), None)
        if late:
            raise NarrationError(0, f"a time of {late.t_us / 1e6:g} s is beyond the video's end")
        unique = _told_once(lines, duration_us)
    except (NarrationError, UnicodeDecodeError, OSError) as error:
        fix = "mend that line and run again; until then the video goes on without narrations"
        yield Rejection(
            stage="ingest", unit=unit, what=f"narrations can't be read: {error}", fix=fix
        )
        return
    for line in unique:
        yield Narration(
            video_id=video_id,
            t_us=line.t_us,
            text=line.text,
            landmark=line.landmark,
            action=line.action,
            undo=line.undo,
        )


def _told_once(lines: Iterable[Line], duration_us: int) -> list[Line]:
    """Join lines of one moment and text: `door` at 0:05 and `opens it` at 0:05 are one line."""
    told: dict[tuple[int, str], Line] = {}
    for line in lines:
        line = replace(line, t_us=min(line.t_us, duration_us))
        other = told.setdefault((line.t_us, line.text), line)
        both = {name: (getattr(other, name), getattr(line, name)) for name in _FACTS}
        if any(one and two and one != two for one, two in both.values()):
            at = f"{line.t_us / 1e6:g} s"
            raise NarrationError(0, f"two things at {at}; give each its own time or text")
        told[line.t_us, line.text] = replace(
            line, **{name: one or two for name, (one, two) in both.items()}
        )
    return list(told.values())
