"""Whatever goes wrong with the server, the disk or the folder: a clear error, nothing lost, nothing bought twice."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_release import release, small_space, varied

from tests.integration.fault_server import FaultServer

ITEMS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose answers are withheld: without metrics, a run takes a second or two."""
    root = tmp_path_factory.mktemp("release") / "w"
    with small_space(root, 12, walk=varied, split="test") as space:
        return release(space, withhold=["test"]).folder


class Gate:
    """Chooses what the server does from a number of bills on."""

    def __init__(self, after: int, fault: str) -> None:
        self.after, self.fault = after, fault
        self.server: FaultServer | None = None

    def __call__(self, key: str, times: int) -> str:
        assert self.server
        return self.fault if self.server.billed.total() >= self.after else "good"


@pytest.fixture
def served() -> Iterator[tuple[FaultServer, Gate]]:
    gate = Gate(10**9, "good")
    with FaultServer(choose=gate, answer=lambda body: "<answer>B</answer>") as server:
        gate.server = server
        yield server, gate


def command(folder: Path, server: FaultServer, out: Path, *sets: str) -> list[str]:
    told = [word for one in ("attempts=2", *sets) for word in ("--set", f"evaluate.{one}")]
    return [
        sys.executable, "-m", "pipeline", *told, "evaluate", str(folder), "--model", "m", "--base-url",
        server.url, "--out", str(out), "--arms", "blind", "--items", str(ITEMS),
    ]  # fmt: skip


def run(words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, timeout=300, capture_output=True, text=True, **more)


def outcomes(out: Path) -> list[str]:
    (path,) = out.rglob("predictions.parquet")
    found: list[str] = pq.read_table(path)["outcome"].to_pylist()
    return found


def finishes(words: list[str], server: FaultServer, out: Path) -> None:
    """Run once more: all is answered, and each question was billed once."""
    done = run(words)
    assert done.returncode == 0, done.stderr
    assert outcomes(out) == ["answered"] * ITEMS
    assert max(server.billed.values()) == 1


@pytest.mark.parametrize("fault", ["broken", "web_page"])
def test_a_server_that_is_gone_ends_the_run_and_the_next_one_goes_on(
    folder: Path, tmp_path: Path, served: tuple[FaultServer, Gate], fault: str
) -> None:
    server, gate = served
    gate.after, gate.fault = 10, fault
    words = command(folder, server, tmp_path, "in_flight=1")
    done = run(words)
    assert done.returncode == 3
    assert "of the requests have a reply" in done.stderr
    assert "there is none because" in done.stderr
    assert outcomes(tmp_path).count("answered") == 10
    assert server.came.total() < 10 + 2 * 25  # not every item was tried
    gate.after = 10**9
    finishes(words, server, tmp_path)


def test_stored_replies_are_results_also_where_the_server_is_gone(
    folder: Path, tmp_path: Path, served: tuple[FaultServer, Gate]
) -> None:
    server, gate = served
    finishes(command(folder, server, tmp_path), server, tmp_path)
    gate.after, gate.fault = 0, "broken"
    finishes(command(folder, server, tmp_path), server, tmp_path)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("wrong_key", "refused the key"),
        ("web_page", "is not an OpenAI-compatible server"),
        ("wrong_model", "has no model"),
    ],
)
def test_a_server_that_can_not_be_used_is_named(
    folder: Path, tmp_path: Path, served: tuple[FaultServer, Gate], fault: str, what: str
) -> None:
    server, gate = served
    gate.after, gate.fault = 0, fault
    done = run(command(folder, server, tmp_path))
    assert done.returncode == 2
    assert what in done.stderr
    assert "  fix: " in done.stderr
    assert "Traceback" not in done.stderr


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [60_000, 120_000])
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    folder: Path, tmp_path: Path, served: tuple[FaultServer, Gate], size: int
) -> None:
    server, _ = served
    words = command(folder, server, tmp_path, "in_flight=2")
    done = run(words, preexec_fn=limited(size))
    assert done.returncode in (2, 3)
    assert "disk" in done.stderr
    assert "Traceback" not in done.stderr
    paid = server.billed.total()
    assert paid < ITEMS
    assert run(words).returncode == 0
    assert outcomes(tmp_path) == ["answered"] * ITEMS
    assert server.billed.total() <= len(server.billed) + 2  # what was in flight then


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/results"])
def test_results_that_have_no_place_are_an_error(
    folder: Path, tmp_path: Path, served: tuple[FaultServer, Gate], out: str
) -> None:
    server, _ = served
    (tmp_path / "file").write_text("x")
    done = run(command(folder, server, tmp_path / out))
    assert done.returncode == 2
    assert "can't be made" in done.stderr
    assert "--out" in done.stderr
    assert not server.came


def started(words: list[str], server: FaultServer) -> subprocess.Popen[str]:
    """Start a command and wait until one of its requests hangs."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    child = subprocess.Popen(words, **pipes)
    while child.poll() is None and not server.faults["stall"]:
        time.sleep(0.01)
    return child


def test_an_interrupted_run_ends_at_once_and_goes_on(
    folder: Path, tmp_path: Path, served: tuple[FaultServer, Gate]
) -> None:
    server, gate = served
    gate.after, gate.fault = 10, "stall"
    words = command(folder, server, tmp_path, "in_flight=2")
    child = started(words, server)
    child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "interrupted: finished work is kept" in error
    gate.after = 10**9
    assert run(words).returncode == 0
    assert server.billed.total() <= len(server.billed) + 2  # what was in flight


def test_two_runs_at_once_do_not_buy_twice(
    folder: Path, tmp_path: Path, served: tuple[FaultServer, Gate]
) -> None:
    server, gate = served
    gate.after, gate.fault = 10, "stall"
    words = command(folder, server, tmp_path, "in_flight=1", "timeout_seconds=60")
    child = started(words, server)
    try:
        second = run(words)
        assert second.returncode == 2
        assert "another egost command is running here: egost evaluate" in second.stderr
        assert server.faults["stall"] == 1
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()


def test_two_runs_that_cut_at_once_cut_each_clip_once(tmp_path: Path) -> None:
    from pipeline.evaluate.spans import cutting

    order: list[str] = []
    entered = threading.Event()

    def first() -> None:
        with cutting(tmp_path):
            entered.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    with cutting(tmp_path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
