"""Extract the stills that models are scored with: evenly spaced frames of each clip.

Keyframes are placed at the turns, so their number and times would reveal answers; stills don't.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.engine.store import Store
from pipeline.errors import RowError
from pipeline.motion.rows import Clip
from pipeline.releases.layout import file_digest
from pipeline.releases.looks import look
from pipeline.releases.rows import Still
from pipeline.releases.settings import StillsSettings
from pipeline.sources.rows import Video
from pipeline.video import reader

_LOOK_WIDTH = 128  # width for the perceptual hash: scaling in the decoder is cheap


def run(rows: Rows, settings: StillsSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Extract the stills of one video's clips; none for a video without consent to release."""
    row = rows.one(Video)
    if row.consent != "release":
        return
    path = Path(row.root) / row.path
    wanted = {clip.clip_id: moments(clip, settings.count) for clip in rows[Clip]}
    for frame, clip_id, number in cut(path, wanted, row.manifest_rotation):
        data, width, height = encode(frame, settings)
        yield Still(
            clip_id=clip_id,
            number=number,
            t_us=frame.t_us,
            media=folder.keep(data, ".jpg"),
            sha256=hashlib.sha256(data).hexdigest(),
            look=look(frame.bgr(_LOOK_WIDTH)),
            width=width,
            height=height,
        )


def forget_damaged(store: Store) -> int:
    """Forget the stills of every video with a changed or missing file; return the number of such files.

    A unit with an unchanged key is not rerun, and a file of the right size is not rewritten, so both
    the unit and the file must be removed for the stills to be extracted again.
    """
    videos = {clip.clip_id: clip.video_id for clip in store.rows(Clip)}
    damaged = [still for still in store.rows(Still) if not whole(store.folder, still)]
    for still in damaged:
        store.folder.media_path(still.media).unlink(missing_ok=True)
    affected = {videos[still.clip_id] for still in damaged if still.clip_id in videos}
    store.forget("stills", sorted(affected))
    return len(damaged)


def whole(folder: WorkspaceFolder, still: Still) -> bool:
    """Return whether a still's file exists with its original bytes."""
    path = folder.media_path(still.media)
    return path.is_file() and file_digest(path) == still.sha256


def moments(clip: Clip, count: int) -> list[int]:
    """Return the midpoints of `count` equal parts of a clip, in microseconds."""
    length = clip.end_us - clip.start_us
    return [clip.start_us + (2 * number + 1) * length // (2 * count) for number in range(count)]


def cut(
    path: Path, wanted: dict[str, list[int]], rotation: int
) -> Iterator[tuple[reader.DecodedFrame, str, int]]:
    """Yield the frame shown at each wanted time, with its clip's id and its number in the clip.

    `rotation` is the manifest's, in degrees clockwise.
    """
    if not path.is_file():
        raise RowError(
            f"the file is missing: {path.name}",
            "restore it, or run egost frames on its new location",
            again=True,
        )
    requests = sorted(
        (at, clip_id, number)
        for clip_id, times in wanted.items()
        for number, at in enumerate(times)
    )
    times = [at for at, _, _ in requests]
    yield from _matched(reader.frames_at(path, times, rotation=rotation), requests)


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


def encode(frame: reader.DecodedFrame, settings: StillsSettings) -> tuple[bytes, int, int]:
    """Return a frame as JPEG, with its width and height."""
    pixels = frame.bgr(settings.width)
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
    if not done:
        raise RuntimeError("OpenCV did not write a JPEG")
    return data.tobytes(), pixels.shape[1], pixels.shape[0]
