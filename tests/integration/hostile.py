"""A server that fails one request in five, kills at random, and what the journal has to say afterwards."""

import hashlib
import json
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from tests.integration.fault_server import FaultServer

OFTEN = ("busy", "broken", "gateway", "reset_before", "reset_mid_body", "truncated", "empty")
SELDOM = ("stall", "drip", "not_a_completion", "prose", "invalid", "refusal", "filtered", "cut_off")
FAULTS = OFTEN * 4 + SELDOM

PASSING = {*OFTEN, "stall", "drip", "not_a_completion"}  # there is no reply
OUTCOMES = ("refusal", "filtered", "filtered_input", "cut_off", "prose")


def hostile(key: str, times: int) -> str:
    """Fail one request in five, the same ones for the same questions."""
    draw = int(hashlib.sha256(f"{key} {times}".encode()).hexdigest()[:8], 16)
    return FAULTS[draw // 100 % len(FAULTS)] if draw % 100 < 20 else "good"


def choose(key: str, times: int) -> str:
    """Fail one request in five, and refuse or cut off one question in ten however often it is asked."""
    fault = hostile(key, times)
    if fault in PASSING:
        return fault
    draw = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16)
    return OUTCOMES[draw // 10 % len(OUTCOMES)] if draw % 10 == 0 else "good"


def letter(body: Mapping[str, Any]) -> str:
    return "ABCD"[
        int(hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()[:2], 16) % 4
    ]


def journal(folder: WorkspaceFolder) -> list[tuple[int, str, str]]:
    with sqlite3.connect(folder.root / "llm.sqlite") as db:
        found = db.execute("SELECT id, key, state FROM requests ORDER BY id").fetchall()
    db.close()
    return found


def assert_booked(folder: WorkspaceFolder, server: FaultServer) -> None:
    """Nothing kept is asked again; bill <= server's count <= bill and unknowns."""
    requests = journal(folder)
    kept = {key: number for number, key, state in requests if state == "kept"}
    assert all(number <= kept.get(key, number) for number, key, _ in requests)
    states = Counter(state for _, _, state in requests)
    billed = sum(server.billed.values())
    assert (
        states["kept"]
        <= billed
        <= sum(states[name] for name in ("kept", "paid", "unknown", "sent"))
    )
    assert sum(server.came.values()) <= len(requests)


def killed(command: Sequence[str], server: FaultServer, after: Sequence[int]) -> int:
    """Run a command once for each number, and kill it when the server was asked so often; return the kills."""
    kills = 0
    for count in after:
        aim = sum(server.came.values()) + count
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while child.poll() is None and sum(server.came.values()) < aim:
            time.sleep(0.005)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            kills += 1
        child.wait(60)
    return kills
