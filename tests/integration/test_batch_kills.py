"""2,000 requests in batches, killed at random: each is bought exactly once."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.batch_server import BatchServer

pytestmark = pytest.mark.integration

COUNT = 2000
SCRIPT = Path(__file__).with_name("many_requests.py")


class Killer:
    """Kills the running client while the server handles a request: the `fuse`-th of those that `at` begins."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.fuse, self.at = 0, ""
        self.killed: list[str] = []
        self._lock = threading.Lock()

    def seen(self, request: str, stage: str) -> str | None:
        point = f"{request} {stage}"
        with self._lock:
            self.fuse -= point.startswith(self.at)
            if self.fuse == 0 and self.child:
                os.kill(self.child.pid, signal.SIGKILL)
                self.killed.append(point)
                self.child = None
        return None


def choose(key: str, times: int) -> str:
    """Fail one line in twenty, when it comes for the first time."""
    return (
        ("500", "429")[int(key[4], 16) % 2] if times == 1 and int(key[:4], 16) % 20 == 0 else "good"
    )


def states(folder: Path) -> Counter[str]:
    with sqlite3.connect(folder / "llm.sqlite") as db:
        found = Counter(state for (state,) in db.execute("SELECT state FROM requests"))
    db.close()
    return found


@pytest.mark.parametrize("seed", [3, 4])
def test_each_request_is_bought_once_however_often_it_is_killed(tmp_path: Path, seed: int) -> None:
    chance, killer = random.Random(seed), Killer()
    server = BatchServer(choose=choose, seen=killer.seen, expiring=frozenset({3}), seconds=0.3)
    with server:
        command = [
            sys.executable,
            str(SCRIPT),
            str(tmp_path / "w"),
            server.url,
            str(COUNT),
            "batch",
        ]
        # Four die when the server has just made a batch, which they never hear of.
        ends = [("", chance.randint(2, 16)) for _ in range(10)]
        ends[:8:2] = [("POST /batches done", 1 + number % 2) for number in range(4)]
        for at, fuse in ends:
            killer.at, killer.fuse = at, fuse
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            child = killer.child = subprocess.Popen(command, **quiet)
            child.wait(120)
        killer.child = None
        assert len(killer.killed) == 10, killer.killed
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found = json.loads(done.stdout)
    assert len({key for key, *_ in found}) == COUNT
    assert {tuple(said) for _, *said in found} == {("<answer>B</answer>", None, "stop")}
    assert set(server.billed) == {key for key, *_ in found}
    assert set(server.billed.values()) == {1}
    assert sum(batch.status == "expired" for batch in server.batches.values()) == 1
    assert states(tmp_path / "w")["kept"] == COUNT
    assert not states(tmp_path / "w").keys() & {"sent", "unknown"}
    assert not list((tmp_path / "w").glob("batch-*"))
