"""Plain requests, a hostile server, kills at random: the same replies as without, none bought twice, no cap passed."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.folder import WorkspaceFolder
from tests.integration.fault_server import FaultServer
from tests.integration.hostile import assert_booked, choose, journal, killed, letter

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).with_name("many_requests.py")
COUNT, KILLS = 300, 5


def command(folder: Path, server: FaultServer, *more: str) -> list[str]:
    return [sys.executable, str(SCRIPT), str(folder), server.url, str(COUNT), *more]


def said(found: list[str]) -> list[Any]:
    done = subprocess.run(found, check=True, timeout=300, capture_output=True, text=True)
    replies: list[Any] = json.loads(done.stdout)
    return replies


def test_the_replies_are_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    chance = random.Random(5)
    with FaultServer(choose=choose, answer=letter, keep_bodies=False) as server:
        again = command(tmp_path / "killed", server)
        assert killed(again, server, [chance.randint(10, 50) for _ in range(KILLS)]) == KILLS
        found = said(again)
        folder = WorkspaceFolder(tmp_path / "killed")
        assert_booked(folder, server)
        states = Counter(state for _, _, state in journal(folder))
        assert states["sent"] >= KILLS  # in flight when it was killed: each counts in full
        came = sum(server.came.values())
        assert said(again) == found
        assert sum(server.came.values()) == came
        server.came.clear()  # the same questions meet the same faults again
        assert found == said(command(tmp_path / "calm", server))
    assert all(found)
    assert len({key for key, *_ in found}) == COUNT
    assert len({(bool(text), bool(refusal), finish) for _, text, refusal, finish in found}) >= 4


def test_the_cap_is_never_passed_even_when_killed(tmp_path: Path) -> None:
    chance, cap, counted = random.Random(6), 45.0, (100, 100)  # of 300 requests at 0.2
    with FaultServer(choose=choose, answer=letter, tokens=counted, keep_bodies=False) as server:
        again = command(tmp_path / "w", server, "singly", str(cap))
        assert killed(again, server, [chance.randint(5, 20) for _ in range(2)]) == 2
        found = said(again)
        assert None in found  # there was no room for all
        billed = sum(server.billed.values()) * sum(server.tokens) * 0.001
        assert 0.3 * cap < billed <= cap
        assert_booked(WorkspaceFolder(tmp_path / "w"), server)
