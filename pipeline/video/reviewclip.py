"""Cutting review clips that browsers can play, without metadata, GPS tracks and, by default, sound.

Rotation is applied. The same input gives the same bytes.
"""

import errno
import hashlib
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import imageio_ffmpeg

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError

FPS = 30  # constant, or the player's frame numbers drift from the displayed times
_RECIPE = 2  # part of the name: raise it when the output changes


@dataclass(frozen=True)
class Form:
    """The format of review clips: the longest side in pixels, and whether they have sound."""

    pixels: int
    sound: bool = False


def clip_name(video_id: str, start_us: int, end_us: int, form: Form) -> str:
    """Return the media name of a review clip, before it is cut."""
    key = f"{_RECIPE}:{video_id}:{start_us}:{end_us}:{form.pixels}{':sound' * form.sound}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{digest[:2]}/{digest[:32]}.mp4"


def keep_clip(
    folder: WorkspaceFolder, path: Path, video_id: str, start_us: int, end_us: int, form: Form
) -> str:
    """Cut a clip into the media folder unless it exists, and return its media name.

    Raises RowError if the video is gone or ffmpeg can't cut it.
    """
    name = clip_name(video_id, start_us, end_us, form)
    target = folder.media_path(name)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        cut(path, start_us, end_us, form, target)
    return name


def cut(source: Path, start_us: int, end_us: int, form: Form, target: Path) -> None:
    """Write H.264 at a constant rate with one keyframe per second, scaled down to the form's size."""
    if not source.exists():
        raise RowError(
            f"the video {source} is gone", "restore the file to its location", again=True
        )
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".tmp-", suffix=".mp4")
    os.close(handle)
    sides = f"'min({form.pixels},iw)':'min({form.pixels},ih)'"
    audio = {"acodec": "aac", "ac": 2, "ar": 48000, "flags:a": "+bitexact"}
    seconds = (end_us - start_us) / 1e6
    video = ffmpeg.input(str(source), ss=start_us / 1e6, t=seconds, threads=1)
    streams = [video["v:0"], video["a:0?"]] if form.sound else [video["v:0"]]
    command = (
        ffmpeg.output(
            *streams,
            temporary,
            t=seconds,  # or the last frame would last as long as it does in the video
            vf=f"fps={FPS}:start_time=0,scale={sides}:"
            "force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1",
            vcodec="libx264",
            preset="veryfast",
            crf=26,
            pix_fmt="yuv420p",
            g=FPS,
            keyint_min=FPS,
            sc_threshold=0,
            threads=1,
            fflags="+bitexact",
            movflags="+faststart",
            map_metadata=-1,
            map_chapters=-1,
            **{"flags:v": "+bitexact", **(audio if form.sound else {})},
        )
        .global_args("-hide_banner", "-nostdin", "-loglevel", "error")
        .overwrite_output()
        .compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
    )
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode or Path(temporary).stat().st_size == 0:
            _check_space(done, target)
            last = (done.stderr.strip().splitlines() or ["no frame was written"])[-1]
            raise RowError(
                f"ffmpeg can't cut the review clip: {last[:200]}",
                "check that the video plays",
                again=True,
            )
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _check_space(done: subprocess.CompletedProcess[str], target: Path) -> None:
    """Raise OSError if ffmpeg ran out of disk space: other clips would fail, too."""
    if done.returncode == -signal.SIGXFSZ:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(target))
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        if os.strerror(code) in done.stderr:
            raise OSError(code, os.strerror(code), str(target))
