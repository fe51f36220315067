"""Cutting clips that browsers can play, without metadata, GPS tracks and, by default, sound: for reviewers and models.

They show what keyframes, motion and stills show at the same time. The same input gives the same bytes.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import chain, pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import DISK_FULL, RowError
from pipeline.video.display import Image, flipped
from pipeline.video.seeking import frames_between
from pipeline.video.sound import RATE, has_sound, sound_between

FPS = 30  # constant, or the player's frame numbers drift from the displayed times
_RECIPE = 3  # part of the name: raise it when the output changes
# A frame that begins this much later counts as displayed: Matroska rounds times to 1 ms, so that
# otherwise every third frame of a 30 fps recording would be shown twice, and others never.
_SLACK_US = 2_000
_X264 = {
    "preset": "veryfast",
    "crf": "26",
    "sc_threshold": "0",
    # With it, PyAV's x264 reads memory that it didn't write: in 9 of 25 runs the bytes differed.
    "x264-params": "mbtree=0",
}
_MP4 = {"movflags": "+faststart", "fflags": "+bitexact"}
_BT709 = 1  # of the primaries and the transfer characteristics


@dataclass(frozen=True)
class Form:
    """The format of clips: the longest side in pixels, whether they have sound, and frames a second."""

    pixels: int
    sound: bool = False
    fps: Fraction = Fraction(FPS)


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a video, in microseconds from its first displayed frame.

    `rotation` is the manifest's, in degrees clockwise, applied after the container's display matrix.
    A `mirrored` stretch is shown flipped left to right.
    """

    video_id: str
    start_us: int
    end_us: int
    rotation: int = 0
    mirrored: bool = False


def clip_name(span: Excerpt, form: Form) -> str:
    """Return the media name of a review clip, before it is cut."""
    key = f"{_RECIPE}:{span.video_id}:{span.start_us}:{span.end_us}:{form.pixels}"
    key += f"{':sound' * form.sound}{f':{span.rotation}' * bool(span.rotation)}"
    key += ":mirrored" * span.mirrored + f":{form.fps} fps" * (form.fps != FPS)
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{digest[:2]}/{digest[:32]}.mp4"


def keep_clip(folder: WorkspaceFolder, path: Path, span: Excerpt, form: Form) -> Path:
    """Cut a clip into the media folder unless it exists, and return the file.

    Raises RowError if the video is gone or the clip can't be cut, OSError if the disk is full.
    """
    target = folder.media_path(clip_name(span, form))
    if not target.exists():
        cut(path, span, form, target, via=folder.unfinished)
    return target


def cut(source: Path, span: Excerpt, form: Form, target: Path, via: Path | None = None) -> None:
    """Write H.264 at a constant rate with one keyframe per second, scaled down to the form's size.

    `via` is the folder of the temporary file, on the same disk; by default that of `target`. Raises
    RowError if the video is gone or the clip can't be cut, OSError if the disk is full.
    """
    if not source.exists():
        raise RowError(
            f"the video {source} is gone", "restore the file to its location", again=True
        )
    via = via or target.parent
    for folder in (via, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=via, prefix=".tmp-", suffix=".mp4")
    os.close(handle)
    temporary = Path(name)
    try:
        with av.open(name, "w", format="mp4", container_options=_MP4) as file:
            _write(file, source, span, form)
        temporary.chmod(0o644)
        temporary.replace(target)
    except av.error.FFmpegError as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in DISK_FULL:  # other clips would fail, too
            raise OSError(number, os.strerror(number), str(target)) from error
        what = f"its clip can't be cut: {error.strerror}"
        raise RowError(what, "check that the video plays", again=True) from error
    finally:
        temporary.unlink(missing_ok=True)


def colours_shown(
    colours: Sequence[tuple[int, int, int]], width: int, height: int, form: Form
) -> bytes:
    """Return an MP4 that shows plain colours (RGB) one after the other, each for a second, as a clip shows frames."""
    size = (height // 2 * 2, width // 2 * 2, 3)
    into = BytesIO()
    with av.open(into, "w", format="mp4") as file:
        images = [np.full(size, colour[::-1], np.uint8) for colour in colours]
        film = _film(file, images[0], form)
        each = max(1, round(form.fps))
        for number in range(each * len(images)):
            frame = _encodable(images[number // each])
            frame.pts, frame.time_base = number, 1 / form.fps
            file.mux(film.encode(frame))
        file.mux(film.encode(None))
    return into.getvalue()


def _film(file: OutputContainer, first: Image, form: Form) -> VideoStream:
    """Add a stream of video for images like the first."""
    group = max(1, round(form.fps))
    options = {**_X264, "keyint_min": str(group)}
    film: VideoStream = file.add_stream("libx264", rate=form.fps, options=options)
    encoder = film.codec_context
    encoder.thread_count = 1  # clips are cut by one process per core
    encoder.height, encoder.width = first.shape[:2]
    encoder.pix_fmt, encoder.gop_size = "yuv420p", group
    # BT.601, because readers that ignore the tag (OpenCV) assume it.
    encoder.color_range, encoder.colorspace = ColorRange.MPEG, Colorspace.ITU601
    encoder.color_primaries = encoder.color_trc = _BT709
    return film


def _write(file: OutputContainer, source: Path, span: Excerpt, form: Form) -> None:
    images = _images(source, span, form)
    first = next(images)
    film = _film(file, first, form)
    track = None
    if form.sound and has_sound(source):
        track = file.add_stream("aac", rate=RATE, layout="stereo")
        track.codec_context.thread_count = 1
    blocks = sound_between(source, span.start_us, span.end_us)
    heard = 0  # samples written
    shown: tuple[Image, VideoFrame] | None = None
    for number, image in enumerate(chain([first], images)):
        if shown is None or shown[0] is not image:
            shown = image, _encodable(image)
        frame = shown[1]
        frame.pts, frame.time_base = number, 1 / form.fps
        file.mux(film.encode(frame))
        while track and heard * form.fps < (number + 1) * RATE:
            block = next(blocks, None)
            if block is None:
                break
            piece = AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "stereo")
            piece.sample_rate, piece.pts, piece.time_base = RATE, heard, Fraction(1, RATE)
            heard += block.shape[1]
            file.mux(track.encode(piece))
    file.mux(film.encode(None))
    if track:
        file.mux(track.encode(None))


def _images(source: Path, span: Excerpt, form: Form) -> Iterator[Image]:
    """Yield one image for each frame of the clip; where one is repeated, it is the same object."""
    count = max(1, round((span.end_us - span.start_us) * form.fps / 1_000_000))
    start_us, end_us = span.start_us + _SLACK_US, span.end_us + _SLACK_US
    done = 0
    with closing(frames_between(source, start_us, end_us, rotation=span.rotation)) as found:
        for frame, following in pairwise(chain(found, [None])):
            assert frame is not None
            until = count
            if following:  # the number of clip frames that begin before it
                until = min(count, -(-(following.t_us - start_us) * form.fps // 1_000_000))
            if until > done:
                share = min(1.0, form.pixels / max(frame.width, frame.height))
                image = frame.bgr(max(2, round(frame.width * share)))
                image = flipped(image) if span.mirrored else image
                # Even sides, as yuv420p needs; cutting one row off keeps the others sharp.
                image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
                for _ in range(until - done):
                    yield image
                done = until


def _encodable(image: Image) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
    return frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
    )
