"""Probe and hash each file that a scan found, and read its narrations."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows, digest
from pipeline.errors import RowError
from pipeline.sources.folders import sha256_of
from pipeline.sources.narrations import FACTS, Line, NarrationError, Reading, decode, joined, read
from pipeline.sources.rows import Narration, Probe, Source
from pipeline.sources.settings import IngestSettings
from pipeline.video import reader

_LATE_US = 1_000_000  # the last line may be at the end of the audio, which is often longer
_LEAST_PIXELS = 32
_LONGEST_SIDE = 8  # times the other one
_LEAST_US = 500_000
_LEAST_RATE = 0.2  # frames per second
_SHOWN = 20  # lines of a sidecar that are wrong: a wrong file has thousands


def run(rows: Rows, settings: IngestSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Yield the Probe and the Narrations of one Source; raise RowError for an unusable file.

    A sidecar that can't be read gets its own rejection, and the video is used without it.
    """
    source = rows.one(Source)
    file = Path(source.root, source.path)
    _refuse_unseen(file, source)
    found = reader.probe(file, source.rotation)
    _refuse_useless(found)
    sha256 = sha256_of(file)
    video_id = "v_" + digest("video", sha256)
    probe = Probe(
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
        conversion=found.conversion,
        wanted_split=source.split,
    )
    yield probe
    for note in found.notes:
        yield Rejection(stage="ingest", unit=source.path, what=note.what, fix=note.fix)
    yield from narrations_of(source, probe)


def narrations_of(source: Source, probe: Probe) -> Iterator[Narration | Rejection]:
    """Yield the narrations of a video's sidecars, and what is wrong with them."""
    rate = Fraction(probe.fps_num, probe.fps_den) if probe.fps_num else None
    lines: tuple[Line, ...] = ()
    for name in source.sidecars:
        try:
            text, encoding = decode(Path(source.root, source.path).with_name(name).read_bytes())
            reading = read(text, Path(name).suffix.lower(), rate)
        except OSError as error:
            encoding = ""
            reading = Reading((), (NarrationError(0, os.strerror(error.errno or 0)),))
        except NarrationError as error:
            encoding, reading = "", Reading((), (error,))
        kept, late = _within(reading.lines, probe.duration_us)
        both = joined(lines, kept)
        lines = both.lines
        for what, fix in _wrong((*reading.mistakes, *late, *both.mistakes), encoding, some=kept):
            unit = str(Path(source.path).with_name(name))
            yield Rejection(stage="ingest", unit=unit, what=what, fix=fix)
    for line in lines:
        facts = {fact: getattr(line, fact) for fact in FACTS}
        yield Narration(video_id=probe.video_id, t_us=line.t_us, text=line.text, **facts)


def _within(lines: Iterable[Line], duration_us: int) -> tuple[list[Line], list[NarrationError]]:
    """Return the lines at times that the video has, and the others as mistakes."""
    kept, late = [], []
    for line in lines:
        if line.t_us <= duration_us + _LATE_US:
            kept.append(replace(line, t_us=min(line.t_us, duration_us)))
        else:
            at, end = line.t_us / 1e6, duration_us / 1e6
            what = f"{at:g} s is after the end of the video at {end:g} s"
            late.append(NarrationError(line.number, what))
    return kept, late


def _wrong(
    mistakes: Sequence[NarrationError], encoding: str, some: Sequence[Line]
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a sidecar, and the fix; `some` are its lines that can be used."""
    if encoding == "cp1252":
        yield "not UTF-8: read as Windows-1252", "save it as UTF-8 if its letters look wrong"
    if mistakes and not some:
        yield (
            f"narrations can't be read: {mistakes[0]}",
            "fix that and run again; until then the video is used without them",
        )
        return
    in_order = sorted(mistakes, key=lambda mistake: mistake.line)
    for mistake in in_order[:_SHOWN]:
        yield (
            f"not read: {mistake}",
            "fix that line and run again; the other narrations are used",
        )
    if len(in_order) > _SHOWN:
        rest = len(in_order) - _SHOWN
        yield f"not read: {rest} more lines", "fix them in the same way"


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
