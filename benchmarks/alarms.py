"""How often the blind probe raises a false alarm: verdicts on fair sets of 300 to 3,000 twins.

    python benchmarks/alarms.py 200               sets 0 to 199, with all readers (about 20 s each)
    python benchmarks/alarms.py 200 --quick       without the learned probe and the replay of letters
    python benchmarks/alarms.py 100 --from 100    sets 100 to 199

Every other set has the routes of a world that leaks, with truths drawn anew: what is asked follows habits,
what is true doesn't. Target: at most 5 alarms in 200 sets.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import blind_items as made
import worlds

from pipeline.blind import probe
from pipeline.blind.attacks import ATTACKS
from pipeline.blind.learners import Learned
from pipeline.blind.sheet import OptionTable, ProbeItem

_TWINS = (300, 3000)
_TWINS_OF_CLIP = 4.3
_SLOW = ("replay", "combined")


def fair_set(number: int) -> list[ProbeItem]:
    """Return a set of items whose answers nothing tells."""
    rng = random.Random(f"fair set {number}")
    low, high = _TWINS
    clips = round(low * (high / low) ** rng.random() / _TWINS_OF_CLIP)
    if number % 2 == 0:
        return made.composed(clips, seed=number)
    items = made.composed(clips, rng.choice(sorted(worlds.WORLDS)), number)
    return [replace(item, answer=rng.randrange(len(item.options))) for item in items]


def quick() -> None:
    """Leave out the readers that take most of the time."""
    probe.ATTACKS = tuple(attack for attack in ATTACKS if attack.name not in _SLOW)
    probe.learned_scores = _nothing
    probe.permuted = _no_control


def _nothing(table: OptionTable, *_: object) -> Learned:
    return Learned(np.zeros(len(table.texts)), {})


def _no_control(*_: object) -> Sequence[float]:
    return ()


def main() -> None:
    """Probe the sets and print each verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=int)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.quick:
        quick()
    alarms = 0
    for number in range(given.first, given.first + given.sets):
        report = probe.run_probe(fair_set(number))
        leaks = report.leaks()
        alarms += bool(leaks)
        best = report.best.overall
        print(
            f"{number}: {best.twins} twins, the best reader {best.accuracy:.1%} "
            f"({best.excess / best.error:+.1f} errors), "
            f"cells {[f'{cell.figure.excess / cell.figure.error:+.1f}' for cell in report.cells]}"
            f"{'; ALARM: ' + str(leaks[0]) if leaks else ''}",
            flush=True,
        )
    print(f"{alarms} false alarms in {given.sets} sets")


if __name__ == "__main__":
    main()
