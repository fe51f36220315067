"""The blind probe: time and figures on composed squares and on items that leak.

    python benchmarks/blind.py             900 clips (about 4,200 items) of random routes
    python benchmarks/blind.py 1200        1,200 clips

Targets: under 60 s, and on squares no figure more than 5 points above chance (8 within a task).
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from blind_items import composed, leaky

from pipeline.blind.probe import run_probe
from pipeline.blind.sheet import ProbeItem


def measure(name: str, items: list[ProbeItem]) -> None:
    """Probe these items once; print the time and the figures."""
    wall, cpu = time.perf_counter(), time.process_time()
    report = run_probe(items)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    worst = max(
        (
            (figure.excess, one.name, where)
            for one in report.measured
            for where, figure in one.within.items()
        ),
    )
    print(f"{name}: {len(items)} items in {wall:.1f} s ({cpu:.1f} s CPU; target: under 60 s)")
    for one in report.measured:
        print(f"  {one.name:<20} {one.overall}")
    print(f"  furthest above chance within a stratum: {worst[0]:+.1%} ({worst[1]}, {worst[2]})")
    print(f"  {report.verdict()}")


if __name__ == "__main__":
    for wanted in [int(word) for word in sys.argv[1:]] or [900]:
        measure("squares", composed(wanted))
    measure("items that leak", leaky())
