"""Composing: time and memory, relative to writing the same rows as JSON in the same run (the peer).

python benchmarks/compose.py                   800 clips, then 20,000
python benchmarks/compose.py 100000            100,000 clips
python benchmarks/compose.py --stage 100000    as `egost generate-qa` does: read rows, store rows, write tables
"""

import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pipeline.demo.grammar import draw_rows
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Rows
from pipeline.engine.run import run_stage
from pipeline.engine.settings import RunSettings
from pipeline.engine.store import Store, opened
from pipeline.flow import STAGES
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.compose import run
from pipeline.questions.rows import Expected, Item, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.review.rows import Answer
from pipeline.routes.rows import Route
from pipeline.sources.rows import Video

_AT_ONCE = 1_000
_WRITES = {Video: "split", Clip: "frames", Route: "draft"}
_TARGETS = {800: "at least 5,000 items in 2 s", 100_000: "2 min, less than 4,000 MB"}


def measure(clips: int) -> None:
    """Compose this many random clips once; print time and memory."""
    videos, spans, routes = draw_rows(clips)
    rows = Rows(
        {
            Video: tuple(videos),
            Clip: tuple(spans),
            Route: tuple(routes),
            Rejection: (),
            Answer: (),
            Written: (),
            Expected: (),
            Turn: (),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        workspace = WorkspaceFolder(Path(folder))
        workspace.secret()
        began = time.process_time()
        found = list(run(rows, ComposeSettings(), workspace))
        took = time.process_time() - began
    items = [row for row in found if isinstance(row, Item)]
    began = time.process_time()
    size = sum(len(row.model_dump_json()) for row in found)
    peer = time.process_time() - began
    kinds = Counter(item.contrast or "open" for item in items)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{clips} clips -> {len(items)} items ({', '.join(f'{n} {k}' for k, n in kinds.items())}): "
        f"{took:.2f} s CPU, {took / max(peer, 1e-9):.1f} x dumping the {size / 1e6:.0f} MB of rows as "
        f"JSON; peak {memory:.0f} MB with the input"
    )
    if clips in _TARGETS:
        print(f"  target: {_TARGETS[clips]}")


def measure_stage(clips: int) -> None:
    """Run the stage on a workspace of this many random clips, then again with nothing to do."""
    (stage,) = (one for one in STAGES if one.name == "compose")
    upstream = [one.name for one in STAGES[: STAGES.index(stage)]]
    with tempfile.TemporaryDirectory() as folder, opened(WorkspaceFolder(Path(folder))) as store:
        _fill(store, clips)
        for _ in range(2):
            began = time.process_time()
            summary = run_stage(stage, store, ComposeSettings(), RunSettings(), upstream)
            took = time.process_time() - began
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{summary}: {took:.2f} s CPU, peak {memory:.0f} MB")


def _fill(store: Store, clips: int) -> None:
    for rows in draw_rows(clips):
        for at in range(0, clips, _AT_ONCE):
            some = rows[at : at + _AT_ONCE]
            store.finish(_WRITES[type(some[0])], str(at), "made up", "done", some)


if __name__ == "__main__":
    measured = measure_stage if "--stage" in sys.argv else measure
    for wanted in [int(word) for word in sys.argv[1:] if word != "--stage"] or [800, 20_000]:
        measured(wanted)
