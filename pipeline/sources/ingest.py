"""Probe and hash each file that a scan found, and read its narrations."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows, digest
from pipeline.errors import RowError
from pipeline.sources.narrations import Line, NarrationError
from pipeline.sources.narrations import read as read_narrations
from pipeline.sources.rows import Narration, Probe, Source
from pipeline.sources.settings import IngestSettings
from pipeline.video import reader

_LATE_US = 1_000_000  # the last line may be at the end of the audio, which is often longer
_LEAST_PIXELS = 32
_LONGEST_SIDE = 8  # times the other one
_LEAST_US = 500_000
_LEAST_RATE = 0.2  # frames per second
_FACTS = ("landmark", "action", "undo")


def run(rows: Rows, settings: IngestSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Yield the Probe and the Narrations of one Source; raise RowError for an unusable file.

    A sidecar that can't be read gets its own rejection, and the video is used without it.
    """
    source = rows.one(Source)
    file = Path(source.root, source.path)
    _refuse_unseen(file, source)
    found = reader.probe(file, source.rotation)
    _refuse_useless(found)
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
        lens=source.lens or found.lens,
        scene=source.scene,
        wearer=source.wearer,
        source=source.source,
        licence=source.licence,
        consent=source.consent,
        manifest_rotation=source.rotation,
        wanted_split=source.split,
    )
    for note in found.notes:
        yield Rejection(stage="ingest", unit=source.path, what=note.what, fix=note.fix)
    lines: dict[tuple[int, str], Line] = {}
    for name in source.sidecars:
        sidecar = file.with_name(name)
        try:
            lines = _joined(lines, _lines(sidecar, found.duration_us))
        except NarrationError as error:
            yield Rejection(
                stage="ingest",
                unit=str(Path(source.path).with_name(name)),
                what=f"narrations can't be read: {error}",
                fix="fix that line and run again; until then the video is used without narrations",
            )
    for line in lines.values():
        yield Narration(
            video_id=video_id,
            t_us=line.t_us,
            text=line.text,
            landmark=line.landmark,
            action=line.action,
            undo=line.undo,
        )


def _refuse_unseen(file: Path, source: Source) -> None:
    """Raise RowError for a path that can't be opened as a file."""
    if file.is_symlink() and file.is_dir():
        raise RowError(
            "a symbolic link to a folder, which is not followed",
            "give that folder itself: egost frames DIR",
        )
    if file.is_dir() and not os.access(file, os.R_OK | os.X_OK):
        raise RowError("a folder that you have no permission to open", "chmod u+rx DIR")
    try:
        file.stat()
    except PermissionError as error:
        raise RowError("permission denied", "make it readable: chmod u+rx DIR") from error
    except OSError as error:
        if file.is_symlink():
            raise RowError("a broken symbolic link", "fix the link, or delete it") from error
        if "\\x" in source.path:  # how a scan writes such bytes
            raise RowError("a name that is not UTF-8", "rename the file") from error
        raise RowError(
            "the file is gone",
            "restore it, or run egost frames on its new location",
            again=True,
        ) from error


def _refuse_useless(found: reader.VideoInfo) -> None:
    """Raise RowError for a video that decodes but can't show a route."""
    short, long = sorted((found.width, found.height))
    if short < _LEAST_PIXELS or long > _LONGEST_SIDE * short:
        raise RowError(
            f"its frames are {found.width} x {found.height} pixels, too small or too narrow",
            "use the original recording",
        )
    if found.duration_us < _LEAST_US:
        raise RowError(
            f"it lasts {found.duration_us / 1e6:g} s, too short for a question",
            "use a longer video",
        )
    if 0 < found.fps_num < _LEAST_RATE * found.fps_den:
        raise RowError(
            f"one frame every {found.fps_den / found.fps_num:g} s, too few to follow the route",
            "use the original video, with at least one frame per second",
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _lines(sidecar: Path, duration_us: int) -> list[Line]:
    try:
        data = sidecar.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise NarrationError(0, os.strerror(error.errno or 0)) from error
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise NarrationError(number, "not UTF-8: save it as UTF-8") from error
    lines = read_narrations(text, sidecar.suffix.lower())
    late = next((line for line in lines if line.t_us > duration_us + _LATE_US), None)
    if late:
        raise NarrationError(
            late.number,
            f"{late.t_us / 1e6:g} s is after the end of the video at {duration_us / 1e6:g} s",
        )
    return [replace(line, t_us=min(line.t_us, duration_us)) for line in lines]


def _joined(
    earlier: Mapping[tuple[int, str], Line], lines: Iterable[Line]
) -> dict[tuple[int, str], Line]:
    """Merge lines with the same time and text, such as a landmark and an action at 0:05."""
    joined = dict(earlier)
    for line in lines:
        other = joined.setdefault((line.t_us, line.text), line)
        both = {name: (getattr(other, name), getattr(line, name)) for name in _FACTS}
        if any(one and two and one != two for one, two in both.values()):
            what = f"conflicting lines at {line.t_us / 1e6:g} s; give each its own time or text"
            raise NarrationError(line.number, what)
        joined[line.t_us, line.text] = replace(
            line, **{name: one or two for name, (one, two) in both.items()}
        )
    return joined
