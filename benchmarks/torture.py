"""Kill `egost frames` at random moments, many times, and compare its tables with an undisturbed run.

Run: python benchmarks/torture.py [--kills 50] [--seed 1]. It renders its own walks. Exits with 1 if a
byte differs or a run fails on its own.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.demo.walks import plan_walk, write_walk


def walks(folder: Path, count: int) -> None:
    """Write short rendered walks."""
    for seed in range(count):
        write_walk(plan_walk(seed, turns=1, seconds=8, size=(160, 120), fps=10), folder)


@contextmanager
def running(workspace: Path, videos: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `egost frames` in its own process group, so that its workers are killed with it."""
    command = [sys.executable, "-m", "pipeline", "-w", str(workspace), "frames", str(videos)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def whole(workspace: Path, videos: Path) -> float:
    """Run to the end; return the duration in seconds."""
    started = time.monotonic()
    with running(workspace, videos) as process:
        if process.wait():
            raise SystemExit(f"egost frames ended with {process.returncode} on its own")
    return time.monotonic() - started


def fresh(workspace: Path) -> Path:
    """Create a workspace with a known secret, with which splits are salted."""
    command = [sys.executable, "-m", "pipeline", "-w", str(workspace), "init"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (workspace / "secret").write_bytes(b"the same for all of them")
    (workspace / "secret").chmod(0o600)
    return workspace


def digests(workspace: Path) -> dict[str, str]:
    """Return the digest of every table and media file."""
    files = sorted([*workspace.glob("tables/*.parquet"), *workspace.glob("media/**/*.jpg")])
    return {
        path.relative_to(workspace).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def torture(folder: Path, kills: int, seed: int, count: int) -> list[str]:
    """Return the files that differ after this many kills; none should."""
    videos = folder / "videos"
    walks(videos, count)
    undisturbed, killed = fresh(folder / "undisturbed"), fresh(folder / "killed")
    seconds = whole(undisturbed, videos)
    moment = random.Random(seed)
    died = 0
    while died < kills:
        with running(killed, videos) as process:
            try:
                process.wait(moment.uniform(0.1, seconds))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                died += 1
                continue
        if process.returncode:
            raise SystemExit(f"egost frames ended with {process.returncode} after {died} kills")
        # The run finished: start again from an empty workspace, so that there is work to interrupt.
        killed = fresh(folder / f"killed{died}-{moment.randrange(10**9)}")
    whole(killed, videos)
    one, other = digests(undisturbed), digests(killed)
    if len(one) < 5:
        raise SystemExit("the undisturbed run made too few files to compare")
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def main() -> None:
    """Kill, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--walks", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        different = torture(Path(name), arguments.kills, arguments.seed, arguments.walks)
    print(f"{arguments.kills} kills: " + ("the same bytes" if not different else "DIFFERENT"))
    for name in different:
        print(f"  {name}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
