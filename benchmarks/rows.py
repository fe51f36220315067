"""Cutting the frames of training rows: times real time on two processes, and CPU seconds relative to FFmpeg's decode.

    python benchmarks/rows.py                 60 clips of 20 s, in videos of a minute
    python benchmarks/rows.py 2000            2,000 clips
    python benchmarks/rows.py 60 1920x1080    in another size

Makes its own videos (30 frames a second, 6 Mbit/s, a keyframe every 2 s). Each clip's frames are cut at 2.5 a second, as shown
and flipped. Target: at least 5 x real time. 1.0 is the CPU time of `ffmpeg -threads 1 -i IN -f null -` for all videos.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg

from pipeline.evaluate.spans import SourceSpan
from pipeline.training.frames import Form, cut_frames

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SECONDS, CLIP, WORKERS, TARGET = 60, 20, 2, 5.0
FORM = Form(2.5, 320, 85)


def made_videos(folder: Path, count: int, size: str) -> list[Path]:
    """Return so many videos with the same pictures and different digests."""
    first = folder / "0.mp4"
    source = f"testsrc2=size={size}:rate=30:duration={SECONDS}"
    words = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-b:v",
        "6M",
        "-g",
        "60",
        "-pix_fmt",
        "yuv420p",
    ]
    command = [FFMPEG, "-y", "-v", "error", "-f", "lavfi", "-i", source, *words, str(first)]
    subprocess.run(command, check=True)
    data, found = first.read_bytes(), [first]
    for number in range(1, count):
        # An empty box at the end of the file, which readers skip.
        text = f"{number:08}".encode()
        found.append(folder / f"{number}.mp4")
        found[-1].write_bytes(data + (8 + len(text)).to_bytes(4, "big") + b"free" + text)
    return found


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(clips: int, size: str) -> None:
    """Cut so many clips once, decode the same videos once, and print both."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        per_video = SECONDS // CLIP
        videos = made_videos(folder, -(-clips // per_video), size)
        spans = {
            f"s_{number}": SourceSpan(
                videos[number // per_video],
                f"{number // per_video:064}",
                number % per_video * CLIP * 1_000_000,
                (number % per_video + 1) * CLIP * 1_000_000,
                0,
                number % 2 == 1,
            )
            for number in range(clips)
        }
        started, before = time.perf_counter(), cpu_of_children()
        found = cut_frames(spans, {}, set(spans), FORM, folder / "rows", WORKERS)
        wall, cutting = time.perf_counter() - started, cpu_of_children() - before
        assert not found.failed
        frames = sum(len(one.names) + len(one.mirrored) for one in found.frames.values())
        before = cpu_of_children()
        for path in videos:
            command = [FFMPEG, "-v", "error", "-threads", "1", "-i", str(path), "-f", "null", "-"]
            subprocess.run(command, check=True)
        decoding = cpu_of_children() - before
    real = clips * CLIP / wall
    print(f"{clips} clips of {CLIP} s in {len(videos)} videos ({size}): {frames} frames")
    print(f"  {wall:.1f} s on {WORKERS} processes: {real:.1f} x real time, target {TARGET:g}")
    print(
        f"  {cutting:.1f} s CPU, {cutting / decoding:.2f} of a decode by FFmpeg ({decoding:.1f} s)"
    )
    print(
        f"  by CPU time, {WORKERS * clips * CLIP / cutting:.1f} x real time on {WORKERS} idle cores"
    )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    measure(
        int(arguments[0]) if arguments else 60,
        arguments[1] if arguments[1:] else "1280x720",
    )
