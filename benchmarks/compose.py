"""Composing: time and memory, against writing the same rows as JSON (the peer) in the same run.

python benchmarks/compose.py             800 clips, then 20,000
python benchmarks/compose.py 100000      so many
"""

import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pipeline.demo.grammar import draw_rows
from pipeline.records import Answer, Clip, Item, Rejection, Route, Turn, Video, Written
from pipeline.stages.compose import ComposeSettings, run
from pipeline.store import Place, Rows

_TARGETS = {800: "at least 5,000 items in 2 s", 100_000: "2 min, less than 4,000 MB"}


def measure(clips: int) -> None:
    """Compose this many random clips once and print what it took."""
    videos, spans, routes = draw_rows(clips)
    rows = Rows(
        {
            Video: tuple(videos),
            Clip: tuple(spans),
            Route: tuple(routes),
            Rejection: (),
            Answer: (),
            Written: (),
            Turn: (),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        place.secret()
        began = time.process_time()
        found = list(run(rows, ComposeSettings(), place))
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


if __name__ == "__main__":
    for wanted in [int(word) for word in sys.argv[1:]] or [800, 20_000]:
        measure(wanted)
