"""Extract the stills that models are scored with, evenly spaced frames of each span, and their looks.

Keyframes are placed at the turns, so their number and times would reveal answers; stills don't.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import cv2

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.engine.store import Store
from pipeline.errors import RowError
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Span
from pipeline.releases.layout import file_digest
from pipeline.releases.looks import EVERY_US, FLIPPED_EVERY, look
from pipeline.releases.rows import Looks, Still
from pipeline.releases.settings import StillsSettings
from pipeline.sources.rows import Video
from pipeline.video import reader
from pipeline.video.display import Image, flipped

_LOOK_WIDTH = 128  # width for the perceptual hash: scaling in the decoder is cheap
_OF_A_CLIP = 8  # frames of a clip that an earlier version's items ask about, if none were cut yet


What = TypeVar("What")


def run(rows: Rows, settings: StillsSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Extract the stills of one video's spans; none for a video without consent to release."""
    video = rows.one(Video)
    if video.consent != "release":
        return
    path = Path(video.root) / video.path
    spans = {span.span_id: span.frame_us for span in rows[Span]}
    clips = _whole_clips(rows)
    earlier = [still for still in rows.before(Still) if still.span_id in clips]
    if not (spans or path.is_file()) and _complete(earlier, clips, folder):
        yield from earlier
        return
    mirrored = {span.span_id for span in rows[Span] if span.mirrored}
    looks: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for frame, (span_id, number) in cut(path, _moments(spans | clips), video.manifest_rotation):
        flip = span_id in mirrored
        small = shown(frame, _LOOK_WIDTH, mirrored=flip)
        if number is None:
            looks[span_id].append((look(small), look(flipped(small))))
            continue
        data, width, height = encode(frame, settings, mirrored=flip)
        yield Still(
            span_id=span_id,
            video_id=video.video_id,
            number=number,
            t_us=frame.t_us,
            media=folder.keep(data, ".jpg"),
            sha256=hashlib.sha256(data).hexdigest(),
            look=look(small),
            width=width,
            height=height,
        )
    for span_id, both in looks.items():
        yield Looks(
            span_id=span_id,
            video_id=video.video_id,
            looks="".join(one for one, _ in both),
            flipped="".join(other for _, other in both[::FLIPPED_EVERY]),
        )


def _whole_clips(rows: Rows) -> dict[str, list[int]]:
    """Return the times of the frames of clips without spans: items of an earlier version may ask about them.

    They keep the number of frames that they have had.
    """
    before = Counter(still.span_id for still in rows.before(Still))
    cut_up = {span.clip_id for span in rows[Span]}
    return {
        clip.clip_id: evenly(clip.start_us, clip.end_us, before[clip.clip_id] or _OF_A_CLIP)
        for clip in rows[Clip]
        if clip.clip_id not in cut_up
    }


def _moments(times: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, tuple[str, int | None]]]:
    """Yield the time of each still with its span and number, and without a number those of other looks."""
    for span_id, frame_us in times.items():
        for number, at_us in enumerate(frame_us):
            yield at_us, (span_id, number)
        for at_us in range(frame_us[0], frame_us[-1] + 1, EVERY_US):
            yield at_us, (span_id, None)


def _complete(stills: Sequence[Still], clips: Iterable[str], folder: WorkspaceFolder) -> bool:
    """Return whether these clips have all their frames, so that a missing video isn't needed."""
    known = {still.span_id for still in stills}
    return known == {*clips} and all(whole(folder, still) for still in stills)


def forget_damaged(store: Store) -> int:
    """Forget the stills of every video with a changed or missing file; return the number of such files.

    A unit with an unchanged key is not rerun, and a file of the right size is not rewritten, so both
    the unit and the file must be removed for the stills to be extracted again.
    """
    damaged = [still for still in store.rows(Still) if not whole(store.folder, still)]
    for still in damaged:
        store.folder.media_path(still.media).unlink(missing_ok=True)
    for video_id in {still.video_id for still in damaged}:
        store.outdate("stills", video_id)
    return len(damaged)


def whole(folder: WorkspaceFolder, still: Still) -> bool:
    """Return whether a still's file exists with its original bytes."""
    path = folder.media_path(still.media)
    return path.is_file() and file_digest(path) == still.sha256


def evenly(start_us: int, end_us: int, count: int) -> list[int]:
    """Return the midpoints of `count` equal parts of a stretch of video, in microseconds."""
    length = end_us - start_us
    return [start_us + (2 * number + 1) * length // (2 * count) for number in range(count)]


def cut(
    path: Path, wanted: Iterable[tuple[int, What]], rotation: int
) -> Iterator[tuple[reader.DecodedFrame, What]]:
    """Yield the frame displayed at each wanted time (us), with what it is wanted for, in order of time.

    `rotation` is the manifest's, in degrees clockwise.
    """
    if not path.is_file():
        raise RowError(
            f"the file is missing: {path.name}",
            "restore it, or run egost frames on its new location",
            again=True,
        )
    in_order = sorted(wanted, key=lambda one: one[0])
    times = [at_us for at_us, _ in in_order]
    return _matched(reader.frames_at(path, times, rotation=rotation), in_order)


def _matched(
    frames: Iterable[reader.DecodedFrame], wanted: Sequence[tuple[int, What]]
) -> Iterator[tuple[reader.DecodedFrame, What]]:
    """Match every time with the last frame at or before it; a frame may match several times."""
    waiting = list(reversed(wanted))
    last: reader.DecodedFrame | None = None
    for frame in frames:
        while waiting and waiting[-1][0] < frame.t_us:
            yield last or frame, waiting.pop()[1]
        last = frame
    while waiting and last:
        yield last, waiting.pop()[1]


def shown(frame: reader.DecodedFrame, width: int, *, mirrored: bool) -> Image:
    """Return a frame as a span shows it: sRGB (height, width, 3) in OpenCV's channel order."""
    pixels = frame.bgr(width)
    return flipped(pixels) if mirrored else pixels


def encode(
    frame: reader.DecodedFrame, settings: StillsSettings, *, mirrored: bool
) -> tuple[bytes, int, int]:
    """Return a frame as a span shows it as JPEG, with its width and height."""
    pixels = shown(frame, settings.width, mirrored=mirrored)
    return jpeg(pixels, settings.quality), pixels.shape[1], pixels.shape[0]


def jpeg(pixels: Image, quality: int) -> bytes:
    """Return an image (height, width, 3) in OpenCV's channel order as JPEG."""
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV did not write a JPEG")
    return data.tobytes()
