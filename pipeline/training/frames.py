"""The frames of rows: 2 to 3 a second of each span, cut from the release's videos or taken from its own frames."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from math import ceil, floor
from pathlib import Path

import cv2
import numpy as np

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.pool import in_pool
from pipeline.engine.rows import digest
from pipeline.errors import RowError
from pipeline.evaluate.scoring import Question
from pipeline.evaluate.spans import SourceSpan, by_video
from pipeline.releases.rows import shows_us
from pipeline.releases.stills import cut, evenly, jpeg
from pipeline.video.display import Image, flipped

SLOWEST, FASTEST = 2.0, 3.0  # frames a second
MOST = 96
"""So many frames a row has at most; longer spans have fewer a second."""

MEDIA = "media"
_UNFINISHED = ".cut"  # what is known of the spans that are cut already, until all rows are written


@dataclass(frozen=True)
class Form:
    """How frames are made: so many a second, so many pixels on the longer side, and the quality of the JPEG."""

    fps: float
    pixels: int
    quality: int


@dataclass(frozen=True)
class SpanFrames:
    """The frames of a span: their times from its start (us) as they are told, and the times of what they show.

    These differ where the video has no frame for longer than usual.

    `names` are their files in the rows' folder, `mirrored` those of the same frames flipped left to right; empty if
    nobody asked for them.
    """

    times_us: tuple[int, ...]
    shown_us: tuple[int, ...]
    names: tuple[str, ...] = ()
    mirrored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cut:
    """The frames of each span, by its name; and why there are none, by the video or the frame that is at fault."""

    frames: Mapping[str, SpanFrames]
    failed: Mapping[Path, RowError] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnFrames:
    """Frames of a span that the release itself has: files and times from its start (us)."""

    paths: tuple[Path, ...]
    times_us: tuple[int, ...]


@dataclass(frozen=True)
class _Wanted:
    """A span of a video to be cut, or of the release to be copied: where its frames are, and how they are shown."""

    name: str
    source: SourceSpan | OwnFrames
    times_us: tuple[int, ...]
    both: bool

    @property
    def path(self) -> Path:
        """The video, or the first frame."""
        return self.source.paths[0] if isinstance(self.source, OwnFrames) else self.source.path


def times_us(seconds: float, fps: float) -> tuple[int, ...]:
    """Return the times of a span's frames from its start: the midpoints of equal parts, at most `MOST`."""
    nearest = min(round(seconds * fps), floor(seconds * FASTEST))
    count = min(MOST, max(nearest, ceil(seconds * SLOWEST)))
    return tuple(evenly(0, round(seconds * 1e6), count))


def own_frames(release: Path, question: Question, fps: float) -> OwnFrames | None:
    """Return the released frames of an item, if they are there and as dense as rows need; else None.

    Of more than `FASTEST` a second, evenly spaced ones are chosen.
    """
    paths, times = list(question.frames), list(question.frame_seconds)
    if len(paths) < min(MOST, ceil(question.seconds * SLOWEST)) or not all(
        (release / name).is_file() for name in paths
    ):
        return None
    if len(paths) > min(MOST, question.seconds * FASTEST):
        count = len(times_us(question.seconds, fps))
        chosen = [(2 * part + 1) * len(paths) // (2 * count) for part in range(count)]
        paths, times = [paths[at] for at in chosen], [times[at] for at in chosen]
    return OwnFrames(
        tuple(release / name for name in paths), tuple(round(at * 1e6) for at in times)
    )


def planned(
    spans: Mapping[str, SourceSpan], own: Mapping[str, OwnFrames], fps: float
) -> dict[str, SpanFrames]:
    """Return the frames of each span as they will be, without files."""
    found = {name: one.times_us for name, one in own.items()}
    found |= {name: times_us((one.end_us - one.start_us) / 1e6, fps) for name, one in spans.items()}
    return {name: SpanFrames(times, times) for name, times in found.items()}


def cut_frames(
    spans: Mapping[str, SourceSpan],
    own: Mapping[str, OwnFrames],
    both: Set[str],
    form: Form,
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Cut:
    """Cut the frames of all spans into `folder`, those in `both` also the other way round; what is cut already is kept.

    A video is decoded once, and several at a time. A span is finished when all its frames are there, so a killed
    run loses at most the spans it was at. Spans of a video that can't be read are in `failed`. `progress` gets the
    number of videos (the release is one).
    """
    plan = planned(spans, own, form.fps)
    sources: dict[str, SourceSpan | OwnFrames] = {**own, **spans}
    wanted = {
        name: _Wanted(name, source, plan[name].times_us, name in both)
        for name, source in sources.items()
    }
    jobs = [[wanted[name] for name in names] for names in by_video(spans)]
    jobs += [[wanted[name]] for name in own]
    place = WorkspaceFolder(folder)
    left = [[one for one in job if _known(folder, one) is None] for job in jobs]
    todo = [job for job in left if job]
    failed: dict[Path, RowError] = {}
    done = in_pool(partial(_cut, place, form), todo, min(workers, len(todo)) or 1, folder)
    for number, (at, result) in enumerate(done, start=1):
        if isinstance(result, RowError):
            failed[todo[at][0].path] = result
        progress(number, len(todo))
    found = {name: _known(folder, one) for name, one in wanted.items()}
    return Cut({name: one for name, one in found.items() if one}, failed)


def tidy(folder: Path, used: Iterable[str]) -> None:
    """Delete what only an unfinished run needs, and frames that no row has."""
    keep = {folder / name for name in used}
    stale = [path for path in (folder / MEDIA).rglob("*") if path.is_file() and path not in keep]
    for part in (_UNFINISHED, WorkspaceFolder(folder).unfinished.name):
        stale += [path for path in (folder / part).glob("*") if path.is_file()]
    for path in stale:
        path.unlink()
    for part in (_UNFINISHED, WorkspaceFolder(folder).unfinished.name):
        if (folder / part).is_dir():
            (folder / part).rmdir()


# ---- one video, in a process of its own ------------------------------------------------------------


def _cut(place: WorkspaceFolder, form: Form, wanted: Sequence[_Wanted]) -> int:
    """Cut the spans of one video, or copy one span of the release; return their number."""
    one = wanted[0].source
    shown = _copied(wanted[0], form) if isinstance(one, OwnFrames) else _decoded(one, wanted, form)
    frames: dict[str, list[tuple[int, str, str]]] = {span.name: [] for span in wanted}
    by_name = {span.name: span for span in wanted}
    for name, at_us, pixels in shown:
        span = by_name[name]
        plain = place.keep(jpeg(pixels, form.quality), ".jpg")
        other = place.keep(jpeg(flipped(pixels), form.quality), ".jpg") if span.both else ""
        frames[name].append((at_us, plain, other))
        if len(frames[name]) == len(span.times_us):
            _finish(place.root, span, frames.pop(name))
    return len(wanted)


def _decoded(
    one: SourceSpan, wanted: Sequence[_Wanted], form: Form
) -> Iterator[tuple[str, int, Image]]:
    """Yield the frames of one video's spans in order of time, with the span's name and their time in it."""
    spans = {span.name: span.source for span in wanted if isinstance(span.source, SourceSpan)}
    moments = [
        (spans[span.name].start_us + at_us, (span.name, at_us))
        for span in wanted
        for at_us in span.times_us
    ]
    for frame, (name, at_us) in cut(one.path, moments, one.rotation):
        span = spans[name]
        # `bgr` takes a width, and a portrait's longer side is its height.
        longest = max(frame.width, frame.height)
        pixels = frame.bgr(max(1, round(form.pixels * frame.width / longest)))
        shown_us = shows_us(frame.t_us - span.start_us, at_us)
        yield name, shown_us, flipped(pixels) if span.mirrored else pixels


def _copied(span: _Wanted, form: Form) -> Iterator[tuple[str, int, Image]]:
    """Yield the released frames of a span, scaled down."""
    assert isinstance(span.source, OwnFrames)
    for path, at_us in zip(span.source.paths, span.times_us, strict=True):
        whole = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if whole is None:
            raise RowError(f"{path.name} is no image", "egost verify RELEASE")
        by = min(1.0, form.pixels / max(whole.shape[:2]))
        small = cv2.resize(whole, None, fx=by, fy=by, interpolation=cv2.INTER_AREA)
        yield span.name, at_us, small.astype(np.uint8, copy=False)


# ---- what is known of a finished span --------------------------------------------------------------


def _finish(folder: Path, span: _Wanted, frames: Sequence[tuple[int, str, str]]) -> None:
    shown, plain, other = zip(*frames, strict=True)
    text = json.dumps({"shown_us": shown, "names": plain, "mirrored": other if span.both else ()})
    write_atomic(_note(folder, span), text.encode(), via=WorkspaceFolder(folder).unfinished)


def _known(folder: Path, span: _Wanted) -> SpanFrames | None:
    """Return the frames of a span that is cut already, if all of them are there."""
    try:
        told = json.loads(_note(folder, span).read_bytes())
        shown = tuple(told["shown_us"])
        names, mirrored = (
            tuple(f"{MEDIA}/{name}" for name in told[key]) for key in ("names", "mirrored")
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not all((folder / name).is_file() for name in (*names, *mirrored)):
        return None
    return SpanFrames(span.times_us, shown, names, mirrored)


def _note(folder: Path, span: _Wanted) -> Path:
    # By digest: a name in somebody's release could lead out of the folder.
    return folder / _UNFINISHED / f"{digest(span.name)}.json"
