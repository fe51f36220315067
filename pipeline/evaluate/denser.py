"""More frames of a release's spans than it contains, cut from the source videos as the released ones were."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.engine.folder import write_atomic
from pipeline.engine.rows import digest
from pipeline.evaluate.scoring import Question
from pipeline.evaluate.spans import SourceSpan, by_video, cutting
from pipeline.releases.hydrate import stills_settings
from pipeline.releases.reading import Released
from pipeline.releases.settings import StillsSettings
from pipeline.releases.stills import cut, encode, evenly


@dataclass(frozen=True)
class Denser:
    """Questions with other frames, which are files of `folder`; `left_out` counts those whose video isn't known or there."""

    questions: tuple[Question, ...]
    folder: Path
    left_out: int


def denser(
    released: Released,
    questions: Sequence[Question],
    spans: Mapping[str, SourceSpan],
    fps: float,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Denser:
    """Cut `fps` frames a second of each span into `folder`, mirrored where the release is, in its size and quality.

    What is cut already is kept. `progress` gets the number of videos, if anything is cut.
    """
    wanted = {
        name: [
            (at_us, _file(folder, name, number)) for number, at_us in enumerate(_times(span, fps))
        ]
        for name, span in spans.items()
    }
    if not all(path.exists() for files in wanted.values() for _, path in files):
        with cutting(folder):
            videos = by_video(spans)
            for done, names in enumerate(videos, start=1):
                _cut([(spans[name], wanted[name]) for name in names], stills_settings(released))
                progress(done, len(videos))
    found = tuple(
        _with_frames(question, spans[question.video], fps, folder)
        for question in questions
        if question.video in spans
    )
    return Denser(found, folder, len(questions) - len(found))


def _cut(
    spans: Sequence[tuple[SourceSpan, Sequence[tuple[int, Path]]]], settings: StillsSettings
) -> None:
    """Cut the missing frames of the spans of one video."""
    missing = [
        (at_us, (path, span.mirrored))
        for span, files in spans
        for at_us, path in files
        if not path.exists()
    ]
    one = spans[0][0]
    for frame, (path, mirrored) in cut(one.path, missing, one.rotation) if missing else ():
        data, _, _ = encode(frame, settings, mirrored=mirrored)
        write_atomic(path, data)


def _times(span: SourceSpan, fps: float) -> list[int]:
    """Return the midpoints of equal parts, so many a second."""
    seconds = (span.end_us - span.start_us) / 1e6
    return evenly(span.start_us, span.end_us, max(1, round(seconds * fps)))


def _file(folder: Path, name: str, number: int) -> Path:
    # By digest: a name in somebody's release could lead out of the folder.
    return folder / digest(name) / f"{number:04}.jpg"


def _with_frames(question: Question, span: SourceSpan, fps: float, folder: Path) -> Question:
    times = _times(span, fps)
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
