"""Extract the stills that models are scored with: evenly spaced frames of each span.

Keyframes are placed at the turns, so their number and times would reveal answers; stills don't.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.engine.store import Store
from pipeline.errors import RowError
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Span
from pipeline.releases.layout import file_digest
from pipeline.releases.looks import look
from pipeline.releases.rows import Still
from pipeline.releases.settings import StillsSettings
from pipeline.sources.rows import Video
from pipeline.video import reader
from pipeline.video.display import Image, flipped

_LOOK_WIDTH = 128  # width for the perceptual hash: scaling in the decoder is cheap
_OF_A_CLIP = 8  # frames of a clip that an earlier version's items ask about, if none were cut yet


@dataclass(frozen=True)
class Shown:
    """What a span shows: its frames' times (us, video time), and whether they are flipped left to right."""

    frame_us: Sequence[int]
    mirrored: bool = False


def run(rows: Rows, settings: StillsSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Extract the stills of one video's spans; none for a video without consent to release."""
    video = rows.one(Video)
    if video.consent != "release":
        return
    path = Path(video.root) / video.path
    spans = {span.span_id: Shown(span.frame_us, span.mirrored) for span in rows[Span]}
    clips = _whole_clips(rows)
    earlier = [still for still in rows.before(Still) if still.span_id in clips]
    if not (spans or path.is_file()) and _complete(earlier, clips, folder):
        yield from earlier
        return
    for picture in cut(path, spans | clips, video.manifest_rotation):
        data, width, height = picture.encoded(settings)
        yield Still(
            span_id=picture.span_id,
            video_id=video.video_id,
            number=picture.number,
            t_us=picture.frame.t_us,
            media=folder.keep(data, ".jpg"),
            sha256=hashlib.sha256(data).hexdigest(),
            look=look(picture.bgr(_LOOK_WIDTH)),
            width=width,
            height=height,
        )


def _whole_clips(rows: Rows) -> dict[str, Shown]:
    """Return what the clips without spans show: items of an earlier version may ask about them.

    They keep the number of frames that they have had.
    """
    before = Counter(still.span_id for still in rows.before(Still))
    cut_up = {span.clip_id for span in rows[Span]}
    return {
        clip.clip_id: Shown(moments(clip.start_us, clip.end_us, before[clip.clip_id] or _OF_A_CLIP))
        for clip in rows[Clip]
        if clip.clip_id not in cut_up
    }


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


def moments(start_us: int, end_us: int, count: int) -> list[int]:
    """Return the midpoints of `count` equal parts of a stretch of video, in microseconds."""
    length = end_us - start_us
    return [start_us + (2 * number + 1) * length // (2 * count) for number in range(count)]


@dataclass(frozen=True)
class Picture:
    """One frame as a span shows it: after rotation and conversion, flipped if the span is mirrored."""

    span_id: str
    number: int
    frame: reader.DecodedFrame
    mirrored: bool

    def bgr(self, width: int) -> Image:
        """Return sRGB (height, width, 3) in OpenCV's channel order, scaled down to this width."""
        pixels = self.frame.bgr(width)
        return flipped(pixels) if self.mirrored else pixels

    def encoded(self, settings: StillsSettings) -> tuple[bytes, int, int]:
        """Return a JPEG, with its width and height."""
        pixels = self.bgr(settings.width)
        done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
        if not done:
            raise RuntimeError("OpenCV did not write a JPEG")
        return data.tobytes(), pixels.shape[1], pixels.shape[0]


def cut(path: Path, spans: Mapping[str, Shown], rotation: int) -> Iterator[Picture]:
    """Yield the frames that each span shows, in order of time.

    `rotation` is the manifest's, in degrees clockwise.
    """
    if not path.is_file():
        raise RowError(
            f"the file is missing: {path.name}",
            "restore it, or run egost frames on its new location",
            again=True,
        )
    requests = sorted(
        (at, span_id, number)
        for span_id, shown in spans.items()
        for number, at in enumerate(shown.frame_us)
    )
    times = [at for at, _, _ in requests]
    frames = reader.frames_at(path, times, rotation=rotation)
    for frame, span_id, number in _matched(frames, requests):
        yield Picture(span_id, number, frame, spans[span_id].mirrored)


def _matched(
    frames: Iterable[reader.DecodedFrame], requests: Sequence[tuple[int, str, int]]
) -> Iterator[tuple[reader.DecodedFrame, str, int]]:
    """Match every wanted time with the last frame at or before it; a frame may match several times."""
    waiting = list(reversed(requests))
    last: reader.DecodedFrame | None = None
    for frame in frames:
        while waiting and waiting[-1][0] < frame.t_us:
            yield (last or frame, *waiting.pop()[1:])
        last = frame
    while waiting and last:
        yield (last, *waiting.pop()[1:])
