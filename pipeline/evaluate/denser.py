"""More frames of a release's spans than it contains, cut from the source videos as the released ones were."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.engine.folder import write_atomic
from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.evaluate.scoring import Question
from pipeline.releases.hydrate import files_by_digest, stills_settings
from pipeline.releases.layout import Evidence
from pipeline.releases.reading import Released
from pipeline.releases.stills import cut, encode, evenly


@dataclass(frozen=True)
class Denser:
    """Questions with other frames, which are files of `folder`; `left_out` counts those whose video isn't known or there."""

    questions: tuple[Question, ...]
    folder: Path
    left_out: int


@dataclass(frozen=True)
class _Span:
    video: str
    start_us: int
    end_us: int
    mirrored: bool

    def times(self, fps: float) -> list[int]:
        """Return the midpoints of equal parts, so many a second."""
        seconds = (self.end_us - self.start_us) / 1e6
        return evenly(self.start_us, self.end_us, max(1, round(seconds * fps)))


def denser(
    released: Released,
    questions: Sequence[Question],
    evidence: Mapping[str, Evidence],
    videos: Iterable[Path],
    fps: float,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Denser:
    """Cut `fps` frames a second of each span into `folder`, mirrored where the release is, in its size and quality.

    `videos` are files or folders. What is cut already is kept. Where a span comes from is told by the evidence,
    which withheld items don't have. Raise UserError if no span's video is there.
    """
    spans = {
        question.video: span
        for question in questions
        if (span := _span(evidence.get(question.id))) is not None
    }
    files = files_by_digest(videos, {span.video for span in spans.values()})
    by_video: dict[str, list[str]] = defaultdict(list)
    for name, span in spans.items():
        if span.video in files:
            by_video[span.video].append(name)
    if not by_video:
        fix = "give the folder with the videos that the release was made from; their digests must be the same"
        raise UserError("--videos", "none of the release's videos is there", fix)
    rotations = {video["sha256"]: video.get("rotation", 0) for video in released.manifest["videos"]}
    settings = stills_settings(released)
    for done, (video, names) in enumerate(sorted(by_video.items()), start=1):
        wanted = [
            (at_us, _file(folder, name, number))
            for name in names
            for number, at_us in enumerate(spans[name].times(fps))
        ]
        missing = [(at_us, path) for at_us, path in wanted if not path.exists()]
        flipped = {_file(folder, name, 0).parent: spans[name].mirrored for name in names}
        for frame, path in cut(files[video], missing, rotations[video]) if missing else ():
            data, _, _ = encode(frame, settings, mirrored=flipped[path.parent])
            write_atomic(path, data)
        progress(done, len(by_video))
    shown = {name for names in by_video.values() for name in names}
    found = tuple(
        _with_frames(question, spans[question.video], fps, folder)
        for question in questions
        if question.video in shown
    )
    return Denser(found, folder, len(questions) - len(found))


def _span(evidence: Evidence | None) -> _Span | None:
    if evidence is None or evidence.video_sha256 is None:
        return None
    if evidence.span_start is None or evidence.span_end is None:
        return None
    start, end = round(evidence.span_start * 1e6), round(evidence.span_end * 1e6)
    return _Span(evidence.video_sha256, start, end, evidence.mirrored)


def _file(folder: Path, name: str, number: int) -> Path:
    # By digest: a name in somebody's release could lead out of the folder.
    return folder / digest(name) / f"{number:04}.jpg"


def _with_frames(question: Question, span: _Span, fps: float, folder: Path) -> Question:
    times = span.times(fps)
    names = (_file(folder, question.video, number) for number in range(len(times)))
    return replace(
        question,
        frames=tuple(path.relative_to(folder).as_posix() for path in names),
        frame_seconds=tuple((at_us - span.start_us) / 1e6 for at_us in times),
    )


def folder_of(out: Path, release: str, fps: float) -> Path:
    """Return the folder for so many frames a second of the release with this digest, beside its results in `out`."""
    return out / f"frames-{release[:12]}-{fps:g}"


def cut_before(questions: Iterable[Question], fps: float, folder: Path) -> list[Question]:
    """Return the questions whose frames an earlier run cut into `folder`, with these frames; no video is needed."""
    found = []
    for question in questions:
        count = max(1, round(question.seconds * fps))
        paths = [_file(folder, question.video, number) for number in range(count)]
        if paths[0].exists():
            names = tuple(path.relative_to(folder).as_posix() for path in paths)
            times = tuple((2 * at + 1) * question.seconds / (2 * count) for at in range(count))
            found.append(replace(question, frames=names, frame_seconds=times))
    return found
