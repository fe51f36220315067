"""Cut the pictures that models are scored with: equally distant frames of each clip.

Keyframes stand where the turns are, so their number and times would tell answers; these don't.
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

_LOOK_WIDTH = 128  # what a perceptual hash is taken from: the decoder's own scaling is cheap


def run(rows: Rows, settings: StillsSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Cut the stills of one video's clips; nothing for a video that may not be released."""
    row = rows.one(Video)
    if row.consent != "release":
        return
    path = Path(row.root) / row.path
    wanted = {clip.clip_id: moments(clip, settings.count) for clip in rows[Clip]}
    for picture, clip_id, number in cut(path, wanted):
        data, width, height = encode(picture, settings)
        yield Still(
            clip_id=clip_id,
            number=number,
            t_us=picture.t_us,
            media=folder.keep(data, ".jpg"),
            sha256=hashlib.sha256(data).hexdigest(),
            look=look(picture.bgr(_LOOK_WIDTH)),
            width=width,
            height=height,
        )


def forget_damaged(store: Store) -> int:
    """Forget the stills of each video whose files have changed or gone, and return how many had.

    A unit with an unchanged key is not run again, and a file of the right size is not written again:
    without both out of the way, what is damaged would stay so.
    """
    videos = {clip.clip_id: clip.video_id for clip in store.rows(Clip)}
    damaged = [still for still in store.rows(Still) if not whole(store.folder, still)]
    for still in damaged:
        store.folder.media_path(still.media).unlink(missing_ok=True)
    gone = {videos[still.clip_id] for still in damaged if still.clip_id in videos}
    store.forget("stills", sorted(gone))
    return len(damaged)


def whole(folder: WorkspaceFolder, still: Still) -> bool:
    """Tell whether a still's file is there with the bytes that were cut."""
    path = folder.media_path(still.media)
    return path.is_file() and file_digest(path) == still.sha256


def moments(clip: Clip, count: int) -> list[int]:
    """Return `count` times in the middles of as many equal parts of a clip."""
    length = clip.end_us - clip.start_us
    return [clip.start_us + (2 * number + 1) * length // (2 * count) for number in range(count)]


def cut(path: Path, wanted: dict[str, list[int]]) -> Iterator[tuple[reader.DecodedFrame, str, int]]:
    """Yield the picture on show at each wanted time with its clip's id and its number there."""
    if not path.is_file():
        raise RowError(
            f"the file is gone: {path.name}",
            "bring it back, or run egost frames on its new place",
            again=True,
        )
    wishes = sorted(
        (at, clip_id, number)
        for clip_id, times in wanted.items()
        for number, at in enumerate(times)
    )
    yield from _matched(reader.frames_at(path, [at for at, _, _ in wishes]), wishes)


def _matched(
    pictures: Iterable[reader.DecodedFrame], wishes: Sequence[tuple[int, str, int]]
) -> Iterator[tuple[reader.DecodedFrame, str, int]]:
    """Give every wish the last picture at or before it: one picture may serve several wishes."""
    waiting = list(reversed(wishes))
    last: reader.DecodedFrame | None = None
    for picture in pictures:
        while waiting and waiting[-1][0] < picture.t_us:
            yield (last or picture, *waiting.pop()[1:])
        last = picture
    while waiting and last:
        yield (last, *waiting.pop()[1:])


def encode(picture: reader.DecodedFrame, settings: StillsSettings) -> tuple[bytes, int, int]:
    """Return a picture as JPEG, with its width and height."""
    pixels = picture.bgr(settings.width)
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
    if not done:
        raise RuntimeError("OpenCV did not write a JPEG")
    return data.tobytes(), pixels.shape[1], pixels.shape[0]
