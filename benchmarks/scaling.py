"""How costs grow: CPU time at n, 4n and 16n, the ratio to n, and the exponent (1 is linear, 2 quadratic).

Run: python benchmarks/scaling.py [NAME ...]. It makes its own inputs. Target: no exponent above 1.3.
Where memory matters, the peak at each size is printed too.
"""

import math
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.demo.grammar import draw_rows
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.engine.store import Store, opened
from pipeline.motion.cuts import steady_spans
from pipeline.motion.keyframes import CandidateFrame, TurnEvent, choose
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.motion.tracking import RotationStep
from pipeline.motion.turns import confidence, course, swings, travelling
from pipeline.questions import compose
from pipeline.questions.rows import Expected, Item, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.releases.gates import ReleaseCandidate, check_gates
from pipeline.releases.looks import near_identical
from pipeline.report import glance
from pipeline.report.gallery import gallery_of
from pipeline.report.page import render
from pipeline.review.rows import Answer
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Route
from pipeline.sources.rows import Probe, Source, Video
from pipeline.sources.scan import scan
from pipeline.sources.settings import SplitSettings
from pipeline.sources.split import run as split

SECOND = 1_000_000
_SIZES = (1, 4, 16)
Work = Callable[[], object]
Prepared = Callable[[int, Path], Iterator[Work]]


@dataclass(frozen=True)
class Cost:
    """One cost: the smallest n and what it counts, and how to prepare the work for some n."""

    least: int
    unit: str
    prepare: Prepared
    memory: bool = False


def walk(steps: int) -> list[RotationStep]:
    """Return ten steps per second with a turn every ten seconds."""
    draw = np.random.default_rng(0)
    found = []
    for number in range(steps):
        rate = (
            (9.0 if number // 100 % 3 else -9.0)
            if number % 100 > 88
            else float(draw.normal(0, 0.2))
        )
        begin = number * 100_000
        found.append(
            RotationStep(begin, begin + 100_000, (0.1, rate, 0.1), 0.9, 0.4, (0.0, 0.0, 1.0))
        )
    return found


def a_video(minutes: int, folder: Path) -> Iterator[Work]:
    """Measure heading, turns, clips and keyframes from the rotations of one video."""
    steps = walk(600 * minutes)
    look = np.zeros((18, 32), np.uint8)

    def work() -> None:
        whole = course(0, steps)
        spans = steady_spans(whole, swings(whole), [], steps[-1].end_us, 120 * SECOND)
        for start, end in spans:
            found = swings(whole.between(start, end))
            travelling(found, steps)
            events = [
                TurnEvent(one.start_us, one.end_us, "turn", confidence(one, steps, lens_known=True))
                for one in found
            ]
            among = [CandidateFrame(t, 1.0, False, look) for t in range(start, end, 400_000)]
            choose(among, events, 16)

    yield work


def a_long_clip(minutes: int, folder: Path) -> Iterator[Work]:
    """Choose the keyframes of one clip with a turn every four seconds."""
    among = [
        CandidateFrame(n * 400_000, float(n % 13), False, np.full((18, 32), n * 37 % 251, np.uint8))
        for n in range(150 * minutes)
    ]
    events = [
        TurnEvent(n * 4 * SECOND, (4 * n + 1) * SECOND, f"turn {n}", n % 17)
        for n in range(15 * minutes)
    ]
    yield lambda: choose(among, events, 64)


def hashes(clips: int, folder: Path) -> Iterator[Work]:
    """Find near-identical clips among clips of eight random hashes."""
    rows = np.random.default_rng(1).integers(0, 2**64, (clips, 8), dtype=np.uint64)
    looks = {f"c{n:06}": [f"{int(one):016x}" for one in row] for n, row in enumerate(rows)}
    sides = {clip: ("train", "train", "test")[n % 3] for n, clip in enumerate(looks)}
    yield lambda: near_identical(looks, sides)


def units(count: int, folder: Path) -> Iterator[Work]:
    """Store units, each in its transaction."""
    clips = draw_rows(count)[1]
    with opened(WorkspaceFolder(folder)) as store:

        def work() -> None:
            for clip in clips:
                store.finish("frames", clip.clip_id, "key", "done", [clip])

        yield work


def measured(clip: Clip) -> Iterator[Row]:
    """Yield a clip with its heading, turns and keyframes."""
    yield clip
    times = list(range(clip.start_us, clip.end_us, 100_000))
    yield Heading(clip_id=clip.clip_id, t_us=times, yaw_degrees=[float(t % 97) for t in times])
    for number in range(4):
        start_us = clip.start_us + number * 5 * SECOND
        yield Turn(
            clip_id=clip.clip_id, start_us=start_us, end_us=start_us + SECOND, kind="left",
            yaw_degrees=80.0 + number, moving=True, confidence=0.9,
        )  # fmt: skip
        yield Frame(
            clip_id=clip.clip_id, t_us=start_us, pts=number, width=640, height=360,
            media="none.jpg", sharpness=1.0, reason="start of the clip", suspect=False,
        )  # fmt: skip


@contextmanager
def filled(clips: int, folder: Path) -> Iterator[Store]:
    """Open a workspace with this many videos of one clip each, with all that is measured and composed."""
    videos, spans, routes = draw_rows(clips)
    with opened(WorkspaceFolder(folder)) as store:
        store.finish("split", "all", "", "done", videos)
        for clip in spans:
            store.finish("frames", clip.video_id, "", "done", measured(clip))
        store.finish("draft", "all", "", "done", routes)
        rows = compose_rows(videos, spans, routes)
        store.finish(
            "compose", "all", "", "done", compose.run(rows, ComposeSettings(), store.folder)
        )
        yield store


def compose_rows(videos: list[Video], clips: list[Clip], routes: list[Route]) -> Rows:
    """Return what composing reads."""
    empty: dict[type[Row], tuple[Row, ...]] = dict.fromkeys(
        (Rejection, Answer, Written, Expected, Turn), ()
    )
    return Rows({Video: tuple(videos), Clip: tuple(clips), Route: tuple(routes), **empty})


def pictures(clips: int, folder: Path) -> Iterator[Work]:
    """Draw one picture per clip."""
    with filled(clips, folder) as store:
        yield lambda: list(glance.drawn(store, store.folder, store.rows(Clip)))


def show(clips: int, folder: Path) -> Iterator[Work]:
    """Show one clip."""
    with filled(clips, folder) as store:
        (one, *_) = store.rows(Clip)
        yield lambda: list(glance.show(store, store.folder, one.clip_id))


def status(clips: int, folder: Path) -> Iterator[Work]:
    """Rebuild all tables and count their rows."""
    with filled(clips, folder) as store:
        yield lambda: list(glance.status(store))


def report(clips: int, folder: Path) -> Iterator[Work]:
    """Write the report page."""
    with filled(clips, folder) as store:
        yield lambda: render(gallery_of(store, store.folder, ReviewSettings()), folder)


def composing(clips: int, folder: Path) -> Iterator[Work]:
    """Compose all items."""
    workspace = WorkspaceFolder(folder)
    workspace.secret()
    rows = compose_rows(*draw_rows(clips))
    yield lambda: list(compose.run(rows, ComposeSettings(), workspace))


def gates(clips: int, folder: Path) -> Iterator[Work]:
    """Check the gates that need the rows alone."""
    workspace = WorkspaceFolder(folder)
    workspace.secret()
    rows = compose_rows(*draw_rows(clips))
    found = compose.run(rows, ComposeSettings(), workspace)
    items = tuple(row for row in found if isinstance(row, Item))
    routes = {route.clip_id: route for route in rows[Route]}
    yield lambda: check_gates(ReleaseCandidate(items, routes, {}, 0.0))


def groups(videos: int, folder: Path) -> Iterator[Work]:
    """Assign split groups to videos whose scenes and wearers form one chain."""
    probes = [
        Probe.model_validate(
            video.model_dump(exclude={"split", "split_group"})
            # Later videos have smaller names, so that each group joins one with a smaller name.
            | {
                "scene": f"{videos - n:06}",
                "wearer": f"{videos - n + n % 2:06}",
                "wanted_split": None,
            }
        )
        for n, video in enumerate(draw_rows(videos)[0])
    ]
    yield lambda: list(
        split(Rows({Probe: tuple(probes)}), SplitSettings(), WorkspaceFolder(folder))
    )


def folders(videos: int, folder: Path) -> Iterator[Work]:
    """Scan that many files, each named and in a folder of its own, which are known already."""
    files = [folder / f"{number:05}" / "walk.mp4" for number in range(videos)]
    for file in files:
        file.parent.mkdir()
        file.touch()
    known: list[Source] = list(scan(files, (), "local").sources.values())
    yield lambda: scan([file.parent for file in files], known, "local")


COSTS = {
    "one video": Cost(30, "minutes", a_video),
    "keyframes of one clip": Cost(15, "minutes", a_long_clip),
    "near-identical clips": Cost(2_000, "clips", hashes, memory=True),
    "storing units": Cost(500, "units", units),
    "one picture per clip": Cost(30, "clips", pictures),
    "egost show": Cost(30, "clips", show),
    "egost status": Cost(60, "clips", status),
    "egost report": Cost(60, "clips", report, memory=True),
    "composing": Cost(100, "clips", composing),
    "gates": Cost(100, "clips", gates),
    "split groups": Cost(250, "videos", groups),
    "scan": Cost(60, "folders", folders),
}


def measure(cost: Cost, count: int) -> tuple[float, float]:
    """Return the CPU seconds of this process for one size, and if wanted the peak in MB of a second run."""
    with tempfile.TemporaryDirectory() as folder:
        for work in cost.prepare(count, Path(folder)):
            began = time.process_time()
            work()
            took = time.process_time() - began
    peak = 0.0
    if cost.memory:
        with tempfile.TemporaryDirectory() as folder:
            for work in cost.prepare(count, Path(folder)):
                tracemalloc.start()
                work()
                peak = tracemalloc.get_traced_memory()[1] / 1e6
                tracemalloc.stop()
    return took, peak


def main() -> None:
    """Measure each cost at three sizes."""
    for name in sys.argv[1:] or COSTS:
        cost = COSTS[name]
        found = [measure(cost, cost.least * size) for size in _SIZES]
        first, _, last = (took for took, _ in found)
        times = ", ".join(
            f"{cost.least * size}: {took:.2f} s ({took / max(first, 1e-9):.1f} x)"
            for size, (took, _) in zip(_SIZES, found, strict=True)
        )
        exponent = math.log(max(last, 1e-9) / max(first, 1e-9), _SIZES[-1])
        memory = (
            f"; peak {' / '.join(f'{peak:.0f}' for _, peak in found)} MB" if cost.memory else ""
        )
        print(f"{name}, {cost.unit}: {times}: exponent {exponent:.2f}{memory}", flush=True)


if __name__ == "__main__":
    main()
