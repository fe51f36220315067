"""What people watch: review clips, cut many at once or written into a folder, and flipped keyframes."""

import csv
import io
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.pool import in_pool
from pipeline.engine.rows import Rejection
from pipeline.errors import GateError, RowError, UserError, plain
from pipeline.motion.rows import Clip, Frame
from pipeline.questions.rows import Span
from pipeline.review.settings import ReviewSettings
from pipeline.sources.folders import CLIPS_INDEX
from pipeline.sources.rows import Video
from pipeline.video import reviewclip
from pipeline.video.display import flipped
from pipeline.video.reviewclip import Form

_QUALITY = 90  # of flipped keyframes, in JPEG
_COLUMNS = ("clip_id", "video", "start_us", "end_us", "consent", "media")

Stretch = Clip | Span
"""What people watch: a clip, or the span that an item asks about."""


def clip_form(settings: ReviewSettings) -> Form:
    """Return the format of review clips that the settings ask for."""
    return Form(settings.clip_pixels, settings.clip_sound)


def clip_name(shown: Stretch, video: Video, form: Form) -> str:
    """Return the media name of a review clip."""
    return reviewclip.clip_name(_span(shown, video), form)


def _span(shown: Stretch, video: Video) -> reviewclip.Excerpt:
    return reviewclip.Excerpt(
        video.video_id,
        shown.start_us,
        shown.end_us,
        video.manifest_rotation,
        mirrored=isinstance(shown, Span) and shown.mirrored,
    )


def flipped_keyframe(frame: Frame, folder: WorkspaceFolder) -> Frame:
    """Return a keyframe flipped left to right, with its file in the media folder.

    Raises UserError if the keyframe's file is missing or damaged.
    """
    path = folder.media_path(frame.media)
    data = path.read_bytes() if path.is_file() else b""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if pixels is None:
        raise UserError(
            str(path),
            "this keyframe is missing or damaged",
            "run egost frames again: it recreates missing keyframes",
        )
    image = flipped(np.asarray(pixels, np.uint8))
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return frame.model_copy(update={"media": folder.keep(encoded.tobytes(), ".jpg")})


@dataclass(frozen=True)
class _Job:
    """One review clip to be made: in the media folder, and as `target` if that is given."""

    folder: WorkspaceFolder
    source: Path
    span: reviewclip.Excerpt
    form: Form
    target: Path | None = None


def _do(job: _Job) -> RowError | None:
    try:
        kept = job.folder.media_path(reviewclip.clip_name(job.span, job.form))
        if job.target is None:
            reviewclip.keep_clip(job.folder, job.source, job.span, job.form)
        elif kept.exists():
            write_atomic(job.target, kept.read_bytes())
        else:
            reviewclip.cut(job.source, job.span, job.form, job.target)
    except RowError as error:
        return error
    return None


def _done(jobs: Sequence[_Job], workers: int = 0) -> Generator[tuple[int, RowError | None]]:
    """Do the jobs in processes, so that a crash in a decoder fails one clip; yield how each ended."""
    at_once = min(workers or os.cpu_count() or 1, len(jobs))
    yield from in_pool(_do, jobs, at_once, jobs[0].folder.root) if jobs else ()


def cut_all(
    wanted: Iterable[tuple[Stretch, Video]],
    folder: WorkspaceFolder,
    form: Form,
    stage: str,
    stopped: Callable[[], bool],
) -> Mapping[str, Rejection]:
    """Cut missing review clips into the media folder until `stopped`; return those that failed by media name."""
    jobs: dict[str, _Job] = {}
    units: list[str] = []
    for shown, video in wanted:
        name = clip_name(shown, video, form)
        if name not in jobs and not folder.media_path(name).exists():
            jobs[name] = _Job(folder, Path(video.root) / video.path, _span(shown, video), form)
            units.append(shown.clip_id)
    names = list(jobs)
    failed: dict[str, Rejection] = {}
    with closing(_done([*jobs.values()])) as ended:
        for index, error in ended:
            if error:
                failed[names[index]] = Rejection(
                    stage=stage, unit=units[index], what=error.what, fix=error.fix
                )
            if stopped():
                break
    return failed


@dataclass(frozen=True)
class Written:
    """How many review clips a folder was given, and how many it had; those that failed, with the reason."""

    folder: Path
    new: int
    kept: int
    failed: tuple[tuple[Clip, Video, RowError], ...]
    foreign: int

    @property
    def total(self) -> int:
        """How many clips the workspace has."""
        return self.new + self.kept + len(self.failed)

    def raise_for_failed(self, most: float) -> None:
        """Raise GateError if more than this share of the clips failed."""
        if len(self.failed) > most * self.total:
            what = (
                f"{len(self.failed)} of {self.total} clips failed, more than max_failed = {most:g}"
            )
            fix = "see the fix of each clip above; then run this again: written clips are kept"
            raise GateError("review clips", what, fix)

    def lines(self) -> Iterator[str]:
        """Yield a line for each clip that failed, then one about the folder."""
        for clip, video, error in self.failed:
            where = f"{clip.clip_id} ({plain(video.path)}, {clip.start_us / 1e6:g} s)"
            yield f"{where}: {plain(error.what)}\n  fix: {plain(error.fix)}"
        line = f"review clips: {self.total} clips: {self.new} new, {self.kept} kept"
        line += f", {len(self.failed)} failed" if self.failed else ""
        line += f"; {self.folder}"
        if self.foreign:
            some = "clip there is" if self.foreign == 1 else "clips there are"
            line += f" ({self.foreign} older {some} no longer in the workspace)"
        yield line


def write_clips(
    folder: WorkspaceFolder,
    clips: Sequence[tuple[Clip, Video]],
    form: Form,
    target: Path,
    workers: int,
    progress: Callable[[int, int], None],
) -> Written:
    """Write `CLIP_ID.mp4` for each clip, and a table of them; keep those that are up to date.

    Raises UserError if `target` is not a folder for review clips.
    """
    _check(folder, target)
    target.mkdir(parents=True, exist_ok=True)
    for left in target.glob(".tmp-*"):  # by a run that was killed
        left.unlink()
    index = target / CLIPS_INDEX
    lines = {line["clip_id"]: line for line in _lines(index)}
    wanted = [_line(clip, video, form) for clip, video in clips]
    todo = [
        number
        for number, line in enumerate(wanted)
        if lines.get(line["clip_id"], {}).get("media") != line["media"]
        or not (target / f"{line['clip_id']}.mp4").is_file()
    ]
    ids = {line["clip_id"] for line in wanted}
    foreign = [line for name, line in lines.items() if name not in ids]
    for number in todo:
        lines.pop(wanted[number]["clip_id"], None)
    write_atomic(index, _table(lines.values()))
    jobs = [_job(folder, *clips[number], form, target) for number in todo]
    failed: dict[int, RowError] = {}
    kept = len(wanted) - len(todo)
    progress(kept, len(wanted))
    with index.open("a", encoding="utf-8", newline="") as file:
        # A line per clip, so that a run that is killed is continued where it was.
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        for done, (position, error) in enumerate(_done(jobs, workers), start=1):
            number = todo[position]
            if error:
                failed[number] = error
            else:
                writer.writerow(wanted[number])
                file.flush()
            progress(kept + done, len(wanted))
    there = [line for number, line in enumerate(wanted) if number not in failed]
    write_atomic(index, _table([*there, *foreign]))
    return Written(
        target,
        len(todo) - len(failed),
        kept,
        tuple((*clips[number], error) for number, error in sorted(failed.items())),
        len(foreign),
    )


def _job(folder: WorkspaceFolder, clip: Clip, video: Video, form: Form, target: Path) -> _Job:
    source = Path(video.root) / video.path
    return _Job(folder, source, _span(clip, video), form, target / f"{clip.clip_id}.mp4")


def _check(folder: WorkspaceFolder, target: Path) -> None:
    """Raise UserError for a folder that holds something else."""
    if target.exists() and not target.is_dir():
        raise UserError(str(target), "is not a folder", "choose a new or empty folder")
    if target.resolve().is_relative_to(folder.root.resolve()):
        what = "is in the workspace, which has folders of its own"
        raise UserError(str(target), what, "choose a new or empty folder outside it")
    if target.is_dir() and not (target / CLIPS_INDEX).is_file():
        others = [path for path in target.iterdir() if not path.name.startswith(".tmp-")]
        if others:
            what = f"is not empty, and its files are no review clips (it has no {CLIPS_INDEX})"
            raise UserError(str(target), what, "choose a new or empty folder")


def _line(clip: Clip, video: Video, form: Form) -> dict[str, str]:
    return {
        "clip_id": clip.clip_id,
        "video": video.path,
        "start_us": str(clip.start_us),
        "end_us": str(clip.end_us),
        "consent": video.consent,
        "media": clip_name(clip, video, form),
    }


def _lines(index: Path) -> list[dict[str, str]]:
    """Return the lines of a table; the last one of a run that was killed may be incomplete."""
    if not index.is_file():
        return []
    with index.open(encoding="utf-8", newline="") as file:
        return [line for line in csv.DictReader(file) if all(line.get(name) for name in _COLUMNS)]


def _table(lines: Iterable[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()
