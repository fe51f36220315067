"""The figures of an evaluation: CPU time of 100,000 predictions in three arms, of their comparison, and of the runner.

    python benchmarks/evaluate.py                   100,000 predictions in three arms
    python benchmarks/evaluate.py 10000 --profile   10,000, with what takes longest
    python benchmarks/evaluate.py run [1000]        egost evaluate as a whole: so many items with 8 frames of 40 kB

Targets: under 30 s for 100,000 predictions with all cells; at least 60 items per CPU second of the runner, whose
server is another process and answers at once; memory that grows by little more than the predictions.
"""

import cProfile
import json
import multiprocessing
import os
import pstats
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import draft
from scripted_answers import answered, as_rows
from small_release import release, small_space, varied

from pipeline.evaluate.compare import compare
from pipeline.evaluate.metrics import summarise
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored
from pipeline.releases.reading import open_release

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


# ---- the runner --------------------------------------------------------------------------------------

_FRAMES, _LEAST_ITEMS = 8, 60  # items per CPU second
_REPLY = {
    "model": "m",
    "choices": [
        {
            "message": {"content": "I turn left, then right. " * 20 + "<answer>B</answer>"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
}


def serve(pipe: "multiprocessing.connection.Connection") -> None:
    """Answer every request at once."""
    draft.REPLY = json.dumps(_REPLY).encode()
    draft.serve(pipe)


@dataclass(frozen=True)
class Cost:
    """What one command took: CPU seconds, and the most memory in MB."""

    seconds: float
    megabytes: float


def cost(words: list[str]) -> Cost:
    """Run a command and return its cost, which that of other processes isn't part of."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    child = os.posix_spawn(sys.executable, [sys.executable, "-m", "pipeline", *words], environment)
    _, status, used = os.wait4(child, 0)
    assert status == 0, f"egost ended with {status}"
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def made_release(root: Path, items: int) -> Path:
    """Return a release with at least so many items, whose frames are all different and have 40 kB."""
    with small_space(root, items // 7 + 4, walk=varied, split="test") as space:
        folder = release(space).folder
    rng = np.random.default_rng(0)
    for path in sorted((folder / "frames").rglob("*.jpg")):
        coarse = rng.integers(0, 255, (90, 160, 3), dtype=np.uint8)
        pixels = cv2.resize(coarse, (640, 360), interpolation=cv2.INTER_CUBIC)
        path.write_bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())
    assert len([row for _, row in open_release(folder).questions() if row.format == "mcq"]) >= items
    return folder


def measure_runner(items: int) -> None:
    """Evaluate a release, then again from stored replies: the difference is the cost of asking."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        words = ["evaluate", str(made_release(Path(folder) / "w", items)), "--base-url", url]
        words += ["--arms", f"frames-{_FRAMES}", "--out", f"{folder}/results"]
        cost([*words, "--model", "first", "--items", "10"])  # measures the turns that frames show
        few = cost([*words, "--model", "m", "--items", str(items // 2)])
        whole = cost([*words, "--model", "other", "--items", str(items)])
        again = cost([*words, "--model", "other", "--items", str(items)])
    server.terminate()
    asking = whole.seconds - again.seconds
    print(
        f"{items} items with {_FRAMES} frames: {whole.seconds:.1f} s CPU, {asking:.1f} s of it asking"
    )
    print(
        f"  {items / asking:.0f} items per CPU second asked, {items / whole.seconds:.0f} with start, baselines"
        f" and results (target: {_LEAST_ITEMS})"
    )
    print(f"  from stored replies: {again.seconds:.1f} s CPU")
    print(
        f"  memory: {few.megabytes:.0f} MB for half of the items, {whole.megabytes:.0f} MB for all"
    )


if __name__ == "__main__":
    numbers = [int(one) for one in sys.argv[1:] if one.isdecimal()]
    if "run" in sys.argv:
        measure_runner(*numbers or [1000])
    else:
        measure(*numbers or [100_000], "--profile" in sys.argv)
