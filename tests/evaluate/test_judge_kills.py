"""A run that is killed while a judge scores leaves earlier files as they are, and buys no reply twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from judge_server import JudgeServer, judge_server
from small_release import release, small_space, varied

from pipeline.evaluate.described_files import DESCRIPTIONS, JUDGE, JUDGED, OPEN
from pipeline.evaluate.results import PREDICTIONS, RESULTS

ROOT = Path(__file__).parent.parent.parent
KEPT = (PREDICTIONS, DESCRIPTIONS, OPEN, JUDGE, JUDGED)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release") / "w"
    with small_space(root, 12, walk=varied, split="test") as space:
        return release(space).folder


def command(server: JudgeServer, released: Path, out: Path, *more: str) -> list[str]:
    python = [sys.executable, "-m", "pipeline", "evaluate", str(released), "--out", str(out)]
    asked = ["--model", "tested", "--base-url", server.url, "--items", "6", "--arms", "blind"]
    judges = ["--judge-model", "honest", "--judge-base-url", server.url]
    return [*python, *asked, *judges, "--set", "judge.in_flight=4", *more]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_a_kill_loses_nothing_and_nothing_is_bought_twice(released: Path, tmp_path: Path) -> None:
    with judge_server() as server:
        start = command(server, released, tmp_path)
        first = [*start, "--judge-repeats", "1"]
        done = subprocess.run(first, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (folder,) = (one for one in tmp_path.iterdir() if one.name.startswith("tested-"))
        before = {name: (folder / name).read_bytes() for name in KEPT}
        asked = len(server.asked("honest"))

        # Two more repeats of everything; killed after some of them.
        running = subprocess.Popen(
            start, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while len(server.asked("honest")) < asked + 40:
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert {name: (folder / name).read_bytes() for name in KEPT} == before
        judge = json.loads((folder / RESULTS).read_text())["judge"]
        assert judge == json.loads(before[JUDGE])
        assert judge["repeats"] == 1

        done = subprocess.run(start, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        body = json.loads((folder / RESULTS).read_text())["judge"]
        assert body["repeats"] == 3
        times = Counter(json.dumps(one) for one in server.asked("honest"))
        # Repeats have the same body. At most the four that were in flight at the kill were sent once more.
        assert 3 * len(times) <= times.total() <= 3 * len(times) + 4
        assert len(server.asked("tested")) == len(
            {json.dumps(one) for one in server.asked("tested")}
        )


def test_a_judge_can_be_estimated_and_nothing_is_sent(released: Path, tmp_path: Path) -> None:
    with judge_server() as server:
        start = [*command(server, released, tmp_path), "--dry-run"]
        done = subprocess.run(start, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "requests to tested" in done.stdout
        assert "requests to honest" in done.stdout
        assert server.bodies == []
