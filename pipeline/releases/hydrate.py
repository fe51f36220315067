"""Restore frames that a licence kept out of a release, from the user's own copies of the videos."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.folder import media_name, write_atomic
from pipeline.errors import RowError, UserError
from pipeline.releases.layout import QuestionRow, file_digest
from pipeline.releases.reading import Released
from pipeline.releases.settings import StillsSettings
from pipeline.releases.stills import cut, encode, evenly
from pipeline.video.reader import DecodedFrame


@dataclass(frozen=True)
class Hydrated:
    """How many frames were restored, and which videos still lack theirs.

    `unknown` are spans without all their frames that the release names no video for.
    """

    restored: int
    present: int
    missing: tuple[str, ...]
    differing: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"release hydrate: {self.restored} frames restored, {self.present} were present"
        if self.missing:
            text += f"; no file found for {', '.join(self.missing)}"
        if self.differing:
            text += f"; decoded differently by this version of the decoder, so left out: {', '.join(self.differing)}"
        if self.unknown:
            some = ", ".join(self.unknown[:3])
            text += f"; {len(self.unknown)} spans lack frames that the release contains ({some}): get a complete copy"
        return text


@dataclass(frozen=True)
class _Lacking:
    """A span without all its frames: their names, its video's digest, and where it lies in it (us)."""

    frames: tuple[str, ...]
    sha256: str
    start_us: int
    end_us: int

    def wanted(self) -> Iterator[tuple[int, str]]:
        """Yield the time of each frame in its video (us), and its name."""
        times = evenly(self.start_us, self.end_us, len(self.frames))
        return zip(times, self.frames, strict=True)


def hydrate(released: Released, paths: Iterable[Path]) -> Hydrated:
    """Extract the missing frames from the videos under `paths`, which are found by sha256, not by name.

    A frame is written only if its digest is the one in the release. Raises UserError for a path that
    does not exist.
    """
    wanted: dict[str, set[_Lacking]] = defaultdict(set)  # by the digest of the video
    present: set[str] = set()  # the rows of a span name the same frames
    unknown: set[str] = set()
    for _, row in released.questions():
        found = {name for name in row.frames if (released.folder / name).is_file()}
        present |= found
        if found == {*row.frames}:
            continue
        if lacking := _lacking(row, released):
            wanted[lacking.sha256].add(lacking)
        else:
            unknown.add(row.video)
    settings = stills_settings(released)
    names = {video["sha256"]: video["path"] for video in released.manifest["videos"]}
    rotations = {video["sha256"]: video.get("rotation", 0) for video in released.manifest["videos"]}
    files = files_by_digest(paths, wanted.keys())
    restored, differing = 0, []
    for sha256, spans in sorted(wanted.items()):
        if sha256 in files:
            written, same = _restore(
                released.folder, files[sha256], spans, rotations[sha256], settings
            )
            restored += written
            differing += [] if same else [names[sha256]]
    missing = sorted(names[sha256] for sha256 in wanted.keys() - files.keys())
    return Hydrated(
        restored, len(present), tuple(missing), tuple(differing), tuple(sorted(unknown))
    )


def _lacking(row: QuestionRow, released: Released) -> _Lacking | None:
    """Return where a row's frames come from; None if the release doesn't say, because it contains them.

    In releases of earlier versions, the row itself names its video and the times in it.
    """
    frames = tuple(row.frames)
    if row.video_sha256:
        start_us, end_us = round(row.start * 1e6), round(row.end * 1e6)
        return _Lacking(frames, row.video_sha256, start_us, end_us)
    source = released.manifest.get("hydrate", {}).get(row.video)
    if source is None:
        return None
    return _Lacking(frames, source["video"], source["start_us"], source["end_us"])


def _restore(
    folder: Path,
    path: Path,
    spans: Iterable[_Lacking],
    rotation: int,
    settings: StillsSettings,
) -> tuple[int, bool]:
    """Write the missing frames of one video; return their number, and whether all were decoded as expected."""
    wanted = [one for span in spans for one in span.wanted()]
    written, same = 0, True
    try:
        for frame, name in cut(path, wanted, rotation):
            data = _either_way(frame, settings, name)
            if data is None:
                same = False
            elif not (folder / name).is_file():
                write_atomic(folder / name, data)
                written += 1
    except RowError:
        same = False
    return written, same


def _either_way(frame: DecodedFrame, settings: StillsSettings, name: str) -> bytes | None:
    """Return the frame, flipped or not, whose digest is in this name; whether a span is mirrored is not public."""
    for mirrored in (False, True):
        data, _, _ = encode(frame, settings, mirrored=mirrored)
        if f"frames/{media_name(data, '.jpg')}" == name:
            return data
    return None


def stills_settings(released: Released) -> StillsSettings:
    """Return the settings with which a release's frames were cut."""
    return StillsSettings.model_validate(
        {
            name: value
            for name, value in released.manifest["settings"]["stills"].items()
            if name not in StillsSettings.retired
        }
    )


def files_by_digest(paths: Iterable[Path], wanted: Set[str]) -> dict[str, Path]:
    """Return the files with these digests, searched for in folders at any depth; raise UserError for a missing path."""
    files: dict[str, Path] = {}
    for path in files_under(paths):
        if len(files) == len(wanted):
            break
        digest = file_digest(path)
        if digest in wanted:
            files.setdefault(digest, path)
    return files


def files_under(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those in folders at any depth; raise UserError for a missing path."""
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file())
        elif path.is_file():
            yield path
        else:
            raise UserError(str(path), "no such file or folder", "check the path")
