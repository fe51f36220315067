"""The spans of a release in its source videos, from which more than the released frames is cut for models."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pipeline.errors import UserError
from pipeline.evaluate.scoring import Question
from pipeline.releases.hydrate import files_by_digest
from pipeline.releases.layout import Evidence
from pipeline.releases.reading import Released


@dataclass(frozen=True)
class SourceSpan:
    """Where a span is in which video: times in microseconds, `rotation` the manifest's in degrees clockwise."""

    path: Path
    sha256: str
    start_us: int
    end_us: int
    rotation: int
    mirrored: bool


def source_spans(
    released: Released,
    questions: Sequence[Question],
    evidence: Mapping[str, Evidence],
    videos: Iterable[Path],
) -> dict[str, SourceSpan]:
    """Return the spans as `spans_found` does; raise UserError if there is none."""
    found = spans_found(released, questions, evidence, videos)
    if not found:
        fix = "give the folder with the videos that the release was made from; their digests must be the same"
        raise UserError("--videos", "none of the release's videos is there", fix)
    return found


def spans_found(
    released: Released,
    questions: Iterable[Question],
    evidence: Mapping[str, Evidence],
    videos: Iterable[Path],
) -> dict[str, SourceSpan]:
    """Return the spans of questions whose video is among `videos` (files or folders), by the question's `video`.

    Where a span comes from is told by the evidence, which withheld items don't have.
    """
    told = {
        question.video: one
        for question in questions
        if (one := evidence.get(question.id)) is not None
        and None not in (one.video_sha256, one.span_start, one.span_end)
    }
    files = files_by_digest(videos, {str(one.video_sha256) for one in told.values()})
    rotations = {video["sha256"]: video.get("rotation", 0) for video in released.manifest["videos"]}
    return {
        name: SourceSpan(
            files[sha256],
            sha256,
            round((one.span_start or 0.0) * 1e6),
            round((one.span_end or 0.0) * 1e6),
            rotations[sha256],
            one.mirrored,
        )
        for name, one in told.items()
        if (sha256 := str(one.video_sha256)) in files
    }


def by_video(spans: Mapping[str, SourceSpan]) -> list[list[str]]:
    """Return the names of spans, those of one video together."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, span in spans.items():
        found[span.sha256].append(name)
    return [found[sha256] for sha256 in sorted(found)]


@contextmanager
def cutting(folder: Path) -> Iterator[None]:
    """Hold a folder of cut files: another command that cuts into it waits; what a killed one left is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        for left in folder.rglob(".tmp-*"):
            left.unlink()
        yield
