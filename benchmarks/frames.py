"""The cost of decoding: CPU seconds per stream, relative to a full single-threaded FFmpeg decode.

Run: python benchmarks/frames.py [--seconds 120]. It makes its own streams. Lower is better; 1.0 is
the time of `ffmpeg -threads 1 -i IN -f null -`. `exact` means that the right frames were returned.
"""

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.motion import frames
from pipeline.motion.keyframes import CandidateFrame, TurnEvent, choose
from pipeline.motion.settings import FramesSettings
from pipeline.motion.tracking import Lens, Tracker
from pipeline.sources.rows import Video
from pipeline.video import reader

# Made by `make bench`.
PEERS = Path(__file__).resolve().parents[1] / ".peers" / "bin" / "python"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
COUNT = 32
TURNS = 3
TARGETS = {  # for 32 frames of 2 minutes, 720p, GOP 60
    "sparse: ours": ", target 0.30",
    "one pass: ours (motion, keyframes)": ", target 1.2",
}
STREAMS = {
    "720p h264 GOP 60": ("1280x720", ["-c:v", "libx264", "-preset", "veryfast", "-g", "60", "-bf", "2"]),
    "1080p h264 GOP 30": ("1920x1080", ["-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", "0"]),
    "1080p h264 GOP 250 B3": ("1920x1080", ["-c:v", "libx264", "-preset", "veryfast", "-g", "250", "-bf", "3"]),
    "720p hevc GOP 60": ("1280x720", ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=60"]),
}  # fmt: skip


@dataclass(frozen=True)
class Stream:
    """A file with the times of its frames."""

    path: Path
    times_us: list[int]

    def requests(self) -> list[int]:
        """Return evenly spaced times, each slightly after a frame's presentation time."""
        picks = np.linspace(0, len(self.times_us) - 1, COUNT).astype(int)
        return [self.times_us[index] + 1000 for index in picks]


def make(folder: Path, name: str, seconds: int) -> Stream:
    """Write a stream with moving detail and noise, like a camera's."""
    size, codec = STREAMS[name]
    path = folder / f"{name.replace(' ', '_')}.mp4"
    source = f"testsrc2=size={size}:rate=30:duration={seconds},noise=alls=6:allf=t,format=yuv420p"
    command = [FFMPEG, "-y", "-loglevel", "error", "-f", "lavfi", "-i", source, *codec, str(path)]
    subprocess.run(command, check=True)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        stamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
    return Stream(path, [round((pts - stamps[0]) * base * 1_000_000) for pts in stamps])


def cpu(work: Callable[[], object], *, child: bool = False) -> tuple[float, object]:
    """Return the CPU seconds of this process or of its child processes, and the result."""
    who = resource.RUSAGE_CHILDREN if child else resource.RUSAGE_SELF
    before = resource.getrusage(who)
    result = work()
    after = resource.getrusage(who)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, result


def full_decode(stream: Stream) -> None:
    """Decode the whole stream with FFmpeg on one thread."""
    subprocess.run(
        [FFMPEG, "-loglevel", "error", "-threads", "1", "-i", str(stream.path), "-f", "null", "-"],
        check=True,
    )


def jpeg(pixels: np.ndarray) -> bytes:
    """Encode as in the frames stage."""
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def sparse(stream: Stream) -> list[int]:
    """Seek according to a plan made from the packets."""
    found = []
    for picture in reader.frames_at(stream.path, stream.requests()):
        jpeg(picture.bgr(640))
        found.append(picture.t_us)
    return found


def sparse_naive(stream: Stream) -> list[int]:
    """Seek to the keyframe before each time and decode forward."""
    found = []
    with av.open(str(stream.path)) as container:
        track = container.streams.video[0]
        track.codec_context.thread_count = 1
        start = track.start_time or 0
        for wanted_us in stream.requests():
            target = int(wanted_us / 1_000_000 / track.time_base) + start
            container.seek(target, stream=track)
            last = None
            for frame in container.decode(track):
                if last is not None and (frame.pts is None or frame.pts > target):
                    break
                last = frame
            if last is None:  # HEVC: a seek may end after the frames of the last keyframe
                continue
            height = round(last.height * 640 / last.width)
            jpeg(last.reformat(640, height, "bgr24", interpolation="AREA").to_ndarray())
            found.append(round((last.pts - start) * track.time_base * 1_000_000))
    return found


def sparse_opencv(stream: Stream) -> list[int]:
    """Seek to the frame number computed from the average frame rate."""
    capture = cv2.VideoCapture(str(stream.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    rate = capture.get(cv2.CAP_PROP_FPS)
    found = []
    for wanted_us in stream.requests():
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(wanted_us / 1_000_000 * rate))
        number = int(capture.get(cv2.CAP_PROP_POS_FRAMES))
        done, pixels = capture.read()
        if done:
            jpeg(cv2.resize(pixels, (640, 360), interpolation=cv2.INTER_AREA))
            found.append(stream.times_us[number])
    return found


class NotComparedError(Exception):
    """A peer can't be run here, for the given reason."""


def peer(name: str, stream: Stream) -> tuple[float, list[int]]:
    """Return the CPU seconds of a peer in its own environment without imports, and its result."""
    if not PEERS.exists():
        raise NotComparedError("not installed (make bench installs it)")
    asked = {"peer": name, "path": str(stream.path)}
    asked |= {"wishes_us": stream.requests(), "times_us": stream.times_us}
    done = subprocess.run(
        [PEERS, Path(__file__).parent / "peers" / "decode.py"],
        input=json.dumps(asked), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotComparedError((done.stderr.splitlines() or ["it failed without a message"])[-1])
    answer = json.loads(done.stdout)
    return answer["seconds"], answer["found_us"]


def dense_stage(stream: Stream, folder: Path) -> None:
    """Run the frames stage: heading, turns, clips and keyframes."""
    info = reader.probe(stream.path)
    row = Video(
        video_id="v_bench", root=str(folder), path=stream.path.name, sha256="", bytes=0,
        container=info.container, codec=info.codec, width=info.width, height=info.height,
        rotation=info.rotation, fps_num=info.fps_num, fps_den=info.fps_den,
        duration_us=info.duration_us, has_audio=info.has_audio, hfov_degrees=70.0,
        lens="rectilinear", scene=None, wearer=None, source=None, licence=None, consent="local",
        split_group="bench", split="test",
    )  # fmt: skip
    list(frames.run(Rows({Video: (row,)}), FramesSettings(), WorkspaceFolder(folder / "workspace")))


def dense_opencv(stream: Stream) -> None:
    """Decode the stream and downscale every third frame with OpenCV, without measuring motion."""
    capture = cv2.VideoCapture(str(stream.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    number = 0
    while capture.grab():
        if number % 3 == 0:
            cv2.resize(capture.retrieve()[1], (320, 180), interpolation=cv2.INTER_AREA)
        number += 1


def report(name: str, seconds: float, whole: float, note: str = "") -> None:
    """Print one result."""
    print(f"  {name:<34}{seconds:8.2f} s{seconds / whole:8.3f}  {note}", flush=True)


def measure(stream: Stream, folder: Path) -> None:
    """Print the cost of every method on one stream."""
    whole, _ = cpu(lambda: full_decode(stream), child=True)
    report("ffmpeg, every frame, one thread", whole, whole)
    wanted = [
        stream.times_us[int(np.searchsorted(stream.times_us, wanted_us, side="right")) - 1]
        for wanted_us in stream.requests()
    ]
    for name, work in (
        ("sparse: ours", lambda: cpu(lambda: sparse(stream))),
        ("sparse: PyAV, seek and forward", lambda: cpu(lambda: sparse_naive(stream))),
        ("sparse: OpenCV, frame number", lambda: cpu(lambda: sparse_opencv(stream))),
        ("sparse: decord", lambda: peer("decord", stream)),
    ):
        try:
            seconds, found = work()
        except NotComparedError as error:
            print(f"  {name:<34}NOT COMPARED: {error}")
            continue
        # decord returns times as single-precision seconds.
        right = len(found) == len(wanted) and np.allclose(found, wanted, atol=1000)
        exact = "exact" if right else "NOT exact"
        report(name, seconds, whole, f"{exact}{TARGETS.get(name, '')}")
    # Alternating, because the load of the machine changes within minutes.
    turns = []
    for _ in range(TURNS):
        whole, _ = cpu(lambda: full_decode(stream), child=True)
        turns.append((whole, cpu(lambda: dense_stage(stream, folder))[0]))
    whole = statistics.median(whole for whole, _ in turns)
    report("ffmpeg, every frame, one thread", whole, whole, f"median of {TURNS}, alternating with")
    ratios = sorted(ours / whole for whole, ours in turns)
    name = "one pass: ours (motion, keyframes)"
    report(
        name, whole * ratios[TURNS // 2], whole,
        f"median of {TURNS}: {ratios[0]:.2f} to {ratios[-1]:.2f}{TARGETS[name]}",
    )  # fmt: skip
    for name, work in (
        ("one pass: OpenCV, downscale only", lambda: cpu(lambda: dense_opencv(stream))),
        ("one pass: PySceneDetect", lambda: peer("scenedetect", stream)),
    ):
        try:
            seconds, _ = work()
        except NotComparedError as error:
            print(f"  {name:<34}NOT COMPARED: {error}")
            continue
        report(name, seconds, whole)


def recall(shown: Iterable[int], events: Iterable[TurnEvent]) -> float:
    """Return the share of turns with a frame during the turn and one within 2 s on each side."""
    times = sorted(shown)
    seen = [
        any(event.start_us <= t <= event.end_us for t in times)
        and any(event.start_us - 2_000_000 <= t < event.start_us for t in times)
        and any(event.end_us < t <= event.end_us + 2_000_000 for t in times)
        for event in events
    ]
    return sum(seen) / len(seen)


def turns_kept() -> None:
    """Print the share of turns in 200 random clips that 16 frames show, if chosen and if evenly spaced."""
    random = np.random.default_rng(5)
    ours, even = [], []
    for _ in range(200):
        starts = np.cumsum(random.uniform(5, 28, 5))
        events = [
            TurnEvent(int(s * 1e6), int((s + random.uniform(0.8, 3)) * 1e6), "turn", 90)
            for s in starts
            if s < 112
        ]
        look = random.integers(0, 255, (300, 18, 32), dtype=np.uint8)
        among = [
            CandidateFrame(n * 400_000, float(random.uniform(50, 200)), False, look[n])
            for n in range(300)
        ]
        ours.append(recall([among[one.index].t_us for one in choose(among, events, 16)], events))
        even.append(recall(np.linspace(0, 119_600_000, 16).astype(int).tolist(), events))
    print(
        f"turns shown within and on both sides by 16 frames of 2 min: chosen {np.mean(ours):.3f}, evenly spaced {np.mean(even):.3f}"
    )


def motion_alone() -> None:
    """Print the cost of one motion step."""
    random = np.random.default_rng(2)
    wall = cv2.GaussianBlur(random.integers(0, 255, (400, 900), dtype=np.uint8), (0, 0), 3)
    tracker = Tracker(Lens())
    started = time.process_time()
    for number in range(60):
        tracker.add(
            number * 100_000, np.ascontiguousarray(wall[100:280, 5 * number : 5 * number + 320])
        )
    print(f"motion: {(time.process_time() - started) / 59 * 1000:.1f} ms per frame of 320 x 180")


def main() -> None:
    """Create the streams and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--only", default="", help="part of a stream's name")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    turns_kept()
    motion_alone()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for stream_name in STREAMS:
            if arguments.only in stream_name:
                stream = make(folder, stream_name, arguments.seconds)
                print(
                    f"{stream_name}, {arguments.seconds} s, {stream.path.stat().st_size / 1e6:.0f} MB"
                )
                measure(stream, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory: {peak:.0f} MB")


if __name__ == "__main__":
    main()
