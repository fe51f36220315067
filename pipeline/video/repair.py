"""Making a readable copy of a video that was refused, with the bundled ffmpeg."""

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import ffmpeg
import imageio_ffmpeg

from pipeline.engine.pool import in_pool
from pipeline.errors import DISK_FULL, RowError, ended
from pipeline.video.colour import Declared
from pipeline.video.display import Display
from pipeline.video.reader import VideoInfo, frames, probe
from pipeline.video.stream import main_stream, open_video

# Elementary streams: packets without times, so that copying them gives a file without times again.
_BARE = {"h264", "hevc", "vvc", "m4v", "mpegvideo", "mjpeg", "vc1", "obu", "cavsvideo", "dirac"}
_USUAL_RATE = 30
_SLOWEST, _FASTEST = 5, 240  # frames per second; some encoders declare their time base instead
_PROBED_RATE = "7"  # frames per second; no camera records at this rate
_KEPT = {"map_metadata": 0, "movflags": "+use_metadata_tags+faststart"}
_H264 = {"c:v": "libx264", "preset": "veryfast", "crf": 18, "c:a": "aac"}


def fault(path: Path, root: Path) -> RowError | None:
    """Return why a video can't be used, after decoding all of it in a process of its own.

    `root` is the workspace.
    """
    ((_, found),) = in_pool(_fault, [path], 1, root)
    return found


def _fault(path: Path) -> RowError | None:
    try:
        probe(path)
        for _ in frames(path):
            pass
    except RowError as error:
        return error
    return None


def repair(
    source: Path, target: Path, root: Path, rate: Fraction | None = None
) -> tuple[str, VideoInfo]:
    """Write a copy that can be used; return what was done and the copy's properties.

    Copies the streams into an MP4 file; if that doesn't help, encodes the video again at one size.
    `root` is the workspace, `rate` the frame rate of a stream without times. Raises RowError if neither helps, OSError if
    the disk is full.
    """
    error: RowError | None = None
    for did, command in _attempts(source, target, root, rate):
        try:
            _run(command, target)
            error = fault(target, root)
        except RowError as failed:
            error = failed
        if error is None:
            return did, probe(target)
    assert error is not None
    raise error


def _attempts(
    source: Path, target: Path, root: Path, rate: Fraction | None
) -> Iterator[tuple[str, Any]]:
    """Yield what is tried, cheapest first: a description and ffmpeg's arguments."""
    with open_video(source) as container:
        bare = container.format.name in _BARE
        # The sound is optional.
        chosen = str(main_stream(container).index), "a:0?"
    if not bare:
        given = ffmpeg.input(str(source.absolute()), fflags="+genpts")
        yield (
            "copied into a new file",
            ffmpeg.output(
                *(given[one] for one in chosen), str(target.absolute()), c="copy", **_KEPT
            ),
        )
    how, fitted = "encoded again", _fitted(source, root)
    # Every frame at its own time, also where the rate varies.
    timed: dict[str, str] = {"fps_mode": "passthrough", "enc_time_base": "demux"}
    if bare:
        declared = _declared_rate(source)
        used = rate or declared or Fraction(_USUAL_RATE)
        # By the number of each frame: the demuxer's times follow what the stream declares.
        fitted = f"settb=AVTB,setpts=N*{used.denominator}/{used.numerator}/TB,{fitted}"
        timed = {"r": f"{used.numerator}/{used.denominator}"}
        how += f" at {float(used):g} frames per second"
        how += "" if rate or declared else ", which is assumed (--fps sets another)"
    given = ffmpeg.input(str(source.absolute()), fflags="+genpts")
    yield (
        how,
        ffmpeg.output(
            *(given[one] for one in chosen),
            str(target.absolute()),
            vf=fitted,
            **timed,
            **_H264,
            **_KEPT,
        ),
    )


def _declared_rate(source: Path) -> Fraction | None:
    """Return the frame rate that a bare stream declares; FFmpeg puts a default in place of none."""
    with av.open(str(source.absolute()), options={"framerate": _PROBED_RATE}) as container:
        rate = main_stream(container).codec_context.framerate
        if rate is None or rate == int(_PROBED_RATE) or not _SLOWEST <= rate <= _FASTEST:
            return None
        return rate


def _fitted(source: Path, root: Path) -> str:
    """Return the filter that brings all frames to one size, that of the largest, without distortion."""
    ((_, size),) = in_pool(_largest, [source], 1, root)
    if isinstance(size, RowError):  # our decoder crashed, but ffmpeg's may not
        return "null"
    width, height = size
    return (
        f"scale={width}:{height}:force_original_aspect_ratio=decrease,"
        f"pad={width}:{height}:-1:-1,setsar=1"
    )


def _largest(source: Path) -> tuple[int, int]:
    """Return the largest size at which frames of this video are displayed, in even numbers."""
    sizes = {(2, 2)}
    with open_video(source) as container:
        stream = main_stream(container)
        declared = Declared.of(stream)
        for packet in container.demux(stream):
            try:
                found = [Display.of(frame, stream, declared) for frame in packet.decode()]
            except av.error.FFmpegError:
                continue
            sizes |= {(one.width // 2 * 2, one.height // 2 * 2) for one in found}
    return max(sizes, key=lambda size: size[0] * size[1])


def _run(output: Any, target: Path) -> None:
    command = (
        output.global_args("-hide_banner", "-nostdin", "-loglevel", "error")
        .overwrite_output()
        .compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
    )
    # The bundled ffmpeg is linked statically and crashes if it loads this system's converters of
    # character sets, as it would for the service name of a transport stream.
    env = os.environ | {"GCONV_PATH": os.devnull}
    done = subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == -signal.SIGXFSZ:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(target))
    for code in DISK_FULL:
        if os.strerror(code) in done.stderr:
            raise OSError(code, os.strerror(code), str(target))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RowError(
            f"ffmpeg {ended(done.returncode)}: {last[:200]}", "copy or download it again"
        )
