"""The store: CPU time and peak memory of finishing units, reading their rows and rebuilding a table.

python benchmarks/store.py [CLIPS ...]          6,250 and 100,000 clips (a factor of 16), 16 keyframes each

Each size runs in its own process. Keys are in another order than units, as digests are. Targets: time per
row grows by less than a half over the factor of 16; rebuilding takes less than 400 MB at any size.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import digest
from pipeline.engine.store import opened
from pipeline.motion.rows import Frame

_EACH = 16  # keyframes per clip, the default of frames.budget
_SHARE = 1.5  # by how much the time per row may grow
_MEMORY = 400  # MB


def frames(clip: int) -> list[Frame]:
    """Return one clip's keyframes."""
    name = digest("clip", clip)
    return [
        Frame(
            clip_id=f"c_{name}", t_us=number * 4_000_000, pts=number * 51_200, width=1920, height=1080,
            media=f"{name[:2]}/{name}{name}.jpg", sharpness=118.25, reason="between turn 3 and look 4 (12 deg)",
            suspect=False,
        )
        for number in range(_EACH)
    ]  # fmt: skip


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that a piece of work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def memory() -> float:
    """Return the peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(clips: int) -> None:
    """Print the microseconds per row of each operation, and the peak memory in MB, as one line."""
    with tempfile.TemporaryDirectory() as folder, opened(WorkspaceFolder(Path(folder))) as store:

        def finish() -> None:
            for clip in range(clips):
                store.finish("frames", f"v_{digest('video', clip)}", "key", "done", frames(clip))

        store.rebuild()  # imports Arrow, which isn't to be measured
        rows = clips * _EACH
        finishing = cpu(finish)
        reading = cpu(lambda: sum(1 for _ in store.each(Frame)))
        rebuilding = cpu(lambda: store.rebuild([Frame.table]))
        peak = memory()
    print(
        *(f"{seconds / rows * 1e6:.3f}" for seconds in (finishing, reading, rebuilding)),
        f"{peak:.0f}",
    )


def main(sizes: list[int]) -> bool:
    """Measure each size; return whether the targets are met."""
    found = []
    for clips in sizes:
        command = [sys.executable, __file__, "--one", str(clips)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        *times, peak = map(float, done.stdout.split())
        found.append((times, peak))
        named = zip(("finish", "read", "rebuild"), times, strict=True)
        print(
            f"{clips} clips, {clips * _EACH} keyframes: "
            f"{', '.join(f'{name} {took:.1f} us' for name, took in named)} a row; peak {peak:.0f} MB"
        )
    growth = max(last / first for first, last in zip(found[0][0], found[-1][0], strict=True))
    most = max(peak for _, peak in found)
    met = growth <= _SHARE and most <= _MEMORY
    print(
        f"time a row grows by at most {growth:.2f} x over a factor of {sizes[-1] / sizes[0]:g}, peak {most:.0f} MB: "
        f"{'met' if met else 'NOT MET'}"
    )
    return met


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        sys.exit(not main([int(word) for word in sys.argv[1:]] or [6_250, 100_000]))
