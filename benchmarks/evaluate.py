"""The figures of an evaluation: CPU time of 100,000 predictions in three arms, and of their comparison.

    python benchmarks/evaluate.py                   100,000 predictions in three arms
    python benchmarks/evaluate.py 10000 --profile   10,000, with what takes longest

Target: under 30 s for 100,000 predictions with all cells.
"""

import cProfile
import json
import pstats
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from scripted_answers import answered, as_rows

from pipeline.evaluate.compare import compare
from pipeline.evaluate.metrics import summarise
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored

_ARMS = ("frames", "blind", "shuffled")
_GROUPS, _TARGET_SECONDS = 200, 30


def made(count: int) -> tuple[list[Question], list[Prediction]]:
    """Return about this many predictions of a scripted model, a third in each arm."""
    items = count / len(_ARMS)
    sets = answered(np.random.default_rng(0), 1, _GROUPS, items / _GROUPS)
    questions, answers = as_rows(sets, 0)
    return questions, [one.model_copy(update={"arm": arm}) for arm in _ARMS for one in answers]


def measure(count: int, profiled: bool) -> None:
    """Summarise predictions and compare two models once; print the times."""
    questions, predictions = made(count)
    profile = cProfile.Profile()
    if profiled:
        profile.enable()
    started = time.process_time()
    results = scored(questions, predictions)
    scoring = time.process_time() - started
    metrics = summarise(questions, results)
    text = json.dumps(metrics.to_json())
    summary = time.process_time() - started - scoring
    compare(questions, results, results, ("one", "other"))
    comparing = time.process_time() - started - scoring - summary
    profile.disable()
    total = scoring + summary
    print(f"{len(predictions)} predictions of {len(questions)} items in {len(_ARMS)} arms")
    print(f"  scored in {scoring:.1f} s, summarised in {summary:.1f} s ({len(text)} bytes of JSON)")
    print(f"  {total:.1f} s CPU in all, {total / _TARGET_SECONDS:.2f} of the target")
    print(f"  two models compared in {comparing:.1f} s")
    if profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    numbers = [one for one in sys.argv[1:] if one.isdecimal()]
    measure(int(numbers[0]) if numbers else 100_000, "--profile" in sys.argv)
