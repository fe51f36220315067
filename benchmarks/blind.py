"""The blind audit: CPU time and figures, each set of items in a process of its own.

    python benchmarks/blind.py                      5,000 fair items, 5,000 that leak, 100,000 that leak
    python benchmarks/blind.py fair 2000            2,000 fair items
    python benchmarks/blind.py leaky 5000 --profile with what takes longest

Targets: under 60 s for 5,000 items with all readers; fair items show no leak.
"""

import cProfile
import pstats
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from blind_items import composed, leaky

from pipeline.blind.audit import audit
from pipeline.blind.sheet import ProbeItem

_ITEMS_PER_CLIP = 8.5  # of composed items


def items_of(kind: str, count: int) -> list[ProbeItem]:
    """Return this many fair items (`fair`) or items that leak (`leaky`)."""
    if kind == "leaky":
        return leaky(count)
    return composed(round(count / _ITEMS_PER_CLIP) + 20)[:count]


def measure(kind: str, count: int, profiled: bool) -> None:
    """Audit these items once; print the time and the figures."""
    items = items_of(kind, count)
    profile = cProfile.Profile()
    wall, cpu = time.perf_counter(), time.process_time()
    found = profile.runcall(audit, items) if profiled else audit(items)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{kind}: {len(items)} items in {wall:.1f} s ({cpu:.1f} s CPU; target: under 60 s)")
    print(f"  {found.headline()}")
    for text in (found.sampled, found.remaining):
        print(f"  {text or '-'}")
    for one in found.report.measured:
        print(f"  {one.name:<20} {one.overall}")
    if profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1], int(sys.argv[2]), "--profile" in sys.argv)
    else:
        for case in (("fair", "5000"), ("leaky", "5000"), ("leaky", "100000")):
            subprocess.run([sys.executable, __file__, *case], check=True)
