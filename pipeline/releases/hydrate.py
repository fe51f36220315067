"""Restore frames that a licence kept out of a release, from the user's own copies of the videos."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.folder import media_name, write_atomic
from pipeline.errors import RowError, UserError
from pipeline.motion.rows import Clip
from pipeline.releases.layout import file_digest
from pipeline.releases.reading import Released
from pipeline.releases.settings import StillsSettings
from pipeline.releases.stills import cut, encode, moments


@dataclass(frozen=True)
class Hydrated:
    """How many frames were restored, and which videos still lack theirs."""

    restored: int
    present: int
    missing: tuple[str, ...]
    differing: tuple[str, ...]

    def __str__(self) -> str:
        text = f"release hydrate: {self.restored} frames restored, {self.present} were present"
        if self.missing:
            text += f"; no file found for {', '.join(self.missing)}"
        if self.differing:
            text += f"; decoded differently by this version of the decoder, so left out: {', '.join(self.differing)}"
        return text


def hydrate(released: Released, paths: Iterable[Path]) -> Hydrated:
    """Extract the missing frames from the videos under `paths`, which are found by sha256, not by name.

    A frame is written only if its digest is the one in the release. Raises UserError for a path that
    does not exist.
    """
    wanted: dict[str, dict[tuple[int, int], list[str]]] = {}
    present: set[str] = set()  # the rows of a clip name the same frames
    for _, row in released.questions():
        found = {name for name in row.frames if (released.folder / name).is_file()}
        present |= found
        if found != {*row.frames}:
            span = (round(row.start * 1e6), round(row.end * 1e6))
            wanted.setdefault(row.video_sha256, {})[span] = row.frames
    settings = StillsSettings.model_validate(released.manifest["settings"]["stills"])
    names = {video["sha256"]: video["path"] for video in released.manifest["videos"]}
    rotations = {video["sha256"]: video.get("rotation", 0) for video in released.manifest["videos"]}
    files = _found(paths, set(wanted))
    restored, differing = 0, []
    for sha256, spans in sorted(wanted.items()):
        if sha256 in files:
            written, same = _restore(
                released.folder, files[sha256], spans, rotations[sha256], settings
            )
            restored += written
            differing += [] if same else [names[sha256]]
    missing = sorted(names[sha256] for sha256 in wanted.keys() - files.keys())
    return Hydrated(restored, len(present), tuple(missing), tuple(differing))


def _restore(
    folder: Path,
    path: Path,
    spans: dict[tuple[int, int], list[str]],
    rotation: int,
    settings: StillsSettings,
) -> tuple[int, bool]:
    times = {}
    expected: dict[str, list[str]] = {}
    for start_us, end_us in spans:
        clip = Clip(clip_id=f"{start_us}", video_id="", start_us=start_us, end_us=end_us)
        times[clip.clip_id] = moments(clip, len(spans[start_us, end_us]))
        expected[clip.clip_id] = spans[start_us, end_us]
    written, same = 0, True
    try:
        for frame, clip_id, number in cut(path, times, rotation):
            data = encode(frame, settings)[0]
            name = f"frames/{media_name(data, '.jpg')}"
            if name != expected[clip_id][number]:
                same = False
            elif not (folder / name).is_file():
                write_atomic(folder / name, data)
                written += 1
    except RowError:
        same = False
    return written, same


def _found(paths: Iterable[Path], wanted: set[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in _files(paths):
        if len(files) == len(wanted):
            break
        digest = file_digest(path)
        if digest in wanted:
            files.setdefault(digest, path)
    return files


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file())
        elif path.is_file():
            yield path
        else:
            raise UserError(str(path), "no such file or folder", "check the path")
