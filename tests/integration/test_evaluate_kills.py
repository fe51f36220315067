"""`egost evaluate` as a whole, against a hostile server, killed at random: the results of an undisturbed run.

EGOST_KILLED_ITEMS sets the number of items (default 150; the acceptance run has 1000), each in three arms.
"""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_release import release, small_space, varied

from pipeline.engine.folder import WorkspaceFolder
from tests.integration.fault_server import FaultServer
from tests.integration.hostile import assert_booked, choose, journal, killed, letter

pytestmark = pytest.mark.integration

ITEMS, ARMS, KILLS = int(os.environ.get("EGOST_KILLED_ITEMS", "150")), "frames-4,blind,blank", 10
COUNTED = (100, 100)  # tokens of a reply, at 0.001 USD each
PRICES = [f"evaluate.{name}_usd_per_million=1000" for name in ("input", "output")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of enough walks: each has about seven items."""
    root = tmp_path_factory.mktemp("release") / "w"
    with small_space(root, max(20, ITEMS // 7 + 4), walk=varied, split="test") as space:
        return release(space).folder


def command(
    folder: Path, server: FaultServer, out: Path, items: int, arms: str, *more: str
) -> list[str]:
    told = ["timeout_seconds=1", "attempts=8", "max_completion_tokens=100", *more]
    sets = [word for one in told for word in ("--set", f"evaluate.{one}")]
    sets += [word for one in PRICES for word in ("--set", one)]
    return [
        sys.executable, "-m", "pipeline", *sets, "evaluate", str(folder), "--model", "m",
        "--base-url", server.url, "--out", str(out), "--arms", arms, "--items", str(items),
    ]  # fmt: skip


def finished(words: list[str], code: int = 0) -> None:
    done = subprocess.run(words, timeout=900, capture_output=True, text=True)
    assert done.returncode == code, done.stderr


def results_in(out: Path) -> Path:
    (found,) = (path.parent for path in out.rglob("predictions.parquet"))
    return found


def predictions(out: Path) -> list[dict[str, Any]]:
    table = pq.read_table(results_in(out) / "predictions.parquet").drop_columns(["seconds"])
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_the_predictions_are_those_of_an_undisturbed_run(folder: Path, tmp_path: Path) -> None:
    chance, cap = random.Random(7), "max_cost_usd=100000"
    with FaultServer(choose=choose, answer=letter, tokens=COUNTED, keep_bodies=False) as server:
        again = command(folder, server, tmp_path / "killed", ITEMS, ARMS, cap)
        most = 3 * ITEMS // KILLS
        after = [chance.randint(most // 10, most) for _ in range(KILLS)]
        assert killed(again, server, after) == KILLS
        finished(again)
        place = WorkspaceFolder(results_in(tmp_path / "killed"))
        assert_booked(place, server)
        states = Counter(state for _, _, state in journal(place))
        found = predictions(tmp_path / "killed")
        assert len(found) == 3 * ITEMS
        assert states["sent"] >= KILLS  # in flight when it was killed: each counts in full
        asked = {row["sent_sha256"] for row in found}  # some items read alike without their frames
        described = pq.read_table(place.root / "descriptions.parquet")["sent_sha256"].to_pylist()
        assert states["kept"] == len(asked | {*described}) + 1  # the probe
        assert len(asked) > 0.95 * len(found)
        came = sum(server.came.values())
        finished(again)
        assert sum(server.came.values()) == came
        assert predictions(tmp_path / "killed") == found
        server.came.clear()  # the same questions meet the same faults again
        finished(command(folder, server, tmp_path / "calm", ITEMS, ARMS, cap))
    assert predictions(tmp_path / "calm") == found
    assert {row["outcome"] for row in found} == {"answered", "refused", "truncated", "unreadable"}


def test_the_cap_is_never_passed_even_when_killed(folder: Path, tmp_path: Path) -> None:
    chance, items, cap = random.Random(8), 120, 15.0  # of 120 requests that cost 0.2
    with FaultServer(choose=choose, answer=letter, tokens=COUNTED, keep_bodies=False) as server:
        told = (f"max_cost_usd={cap}", "in_flight=4")
        again = command(folder, server, tmp_path, items, "blind", *told)
        assert killed(again, server, [chance.randint(5, 15) for _ in range(3)]) == 3
        finished(again, code=3)
        billed = sum(server.billed.values()) * sum(COUNTED) * 0.001
        assert 0.3 * cap < billed <= cap
        assert_booked(WorkspaceFolder(results_in(tmp_path)), server)
    outcomes = Counter(row["outcome"] for row in predictions(tmp_path))
    assert outcomes["failed"] > 0 < outcomes["answered"]
