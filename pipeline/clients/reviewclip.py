"""Cutting review clips: what a browser plays, and nothing of what a camera wrote beside the picture.

Sound, GPS tracks and metadata stay behind; rotation is applied; same input, same bytes.
"""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

import ffmpeg
import imageio_ffmpeg

from pipeline.errors import RowError
from pipeline.store import Place

FPS = 30  # constant, or the player's frame numbers drift from the times that people read
_RECIPE = 1  # part of the name: raise it when the pictures come out different


def clip_name(video_id: str, start_us: int, end_us: int, pixels: int) -> str:
    """Return the media name of a review clip; it is known before the clip is cut."""
    key = f"{_RECIPE}:{video_id}:{start_us}:{end_us}:{pixels}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{digest[:2]}/{digest[:32]}.mp4"


def keep_clip(
    place: Place, path: Path, video_id: str, start_us: int, end_us: int, pixels: int
) -> str:
    """Cut a clip into the media folder unless it is there, and return its media name.

    Raises RowError when the video is gone or ffmpeg can't cut it.
    """
    name = clip_name(video_id, start_us, end_us, pixels)
    target = place.media_path(name)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        cut(path, start_us, end_us, pixels, target)
    return name


def cut(source: Path, start_us: int, end_us: int, pixels: int, target: Path) -> None:
    """Write H.264 at a constant rate, a keyframe a second, at most `pixels` on the longer side."""
    if not source.exists():
        raise RowError(
            f"the video {source} is gone", "bring the file back to where it was", again=True
        )
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".tmp-", suffix=".mp4")
    os.close(handle)
    command = (
        ffmpeg.input(str(source), ss=start_us / 1e6, t=(end_us - start_us) / 1e6, threads=1)
        .output(
            temporary,
            vf=f"fps={FPS},scale='min({pixels},iw)':'min({pixels},ih)':"
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
            map="0:v:0",
            map_metadata=-1,
            map_chapters=-1,
            **{"flags:v": "+bitexact"},
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
            last = (done.stderr.strip().splitlines() or ["no picture came out"])[-1]
            raise RowError(
                f"ffmpeg can't cut the review clip: {last[:200]}",
                "check that the video plays",
                again=True,
            )
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
