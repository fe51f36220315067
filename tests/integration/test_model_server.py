"""The model path against servers: llmock, which is no work of ours, and one that fails in every way."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.rows import Rows
from pipeline.routes import draft
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from tests.clip_rows import narration, rows, workspace

pytestmark = pytest.mark.integration


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def call(url: str, data: Any = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=5) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def llmock() -> Iterator[str]:
    """A real llmock on a free port of loopback."""
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "from llmock.cli import app; app()",
        "serve",
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while True:
            try:
                call(f"http://127.0.0.1:{port}/health")
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, "llmock ended at once"
                assert time.monotonic() < until, "llmock did not start within 30 s"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def fresh(llmock: str) -> str:
    call(f"{llmock}/_llmock/reset", {})
    return llmock


def settings(server: str, **changes: Any) -> DraftSettings:
    return DraftSettings(provider="openai", model="gpt-4o", base_url=f"{server}/v1", **changes)


def run(folder: Any, seen: Rows, chosen: DraftSettings) -> Route:
    async def once() -> Route:
        async with draft.opens(chosen, folder) as service:
            (found,) = await draft.run(seen, chosen, service)
            assert isinstance(found, Route)
            return found

    return asyncio.run(once())


def test_one_clip_end_to_end_and_a_second_run_buys_nothing(fresh: str, tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w")
    seen = rows(folder, narrations=(narration(3, "I pass the sink", landmark="sink"),))
    first = run(folder, seen, settings(fresh))
    assert [step.move for step in first.steps] == ["straight"]
    assert first.steps[0].landmark == "mock-landmark"
    assert first.input_tokens
    served = call(f"{fresh}/_llmock/requests")
    assert served["count"] == 1
    assert served["requests"][0]["status"] == 200

    assert run(folder, seen, settings(fresh)) == first
    assert call(f"{fresh}/_llmock/requests")["count"] == 1


def test_passing_faults_are_outlasted(fresh: str, tmp_path: Path) -> None:
    behaviours = [{"type": "fail", "status": status, "times": 1} for status in (429, 500, 503)]
    call(f"{fresh}/_llmock/scenario", {"behaviors": behaviours})
    folder = workspace(tmp_path / "w")
    assert run(folder, rows(folder), settings(fresh)).steps
    statuses = [record["status"] for record in call(f"{fresh}/_llmock/requests")["requests"]]
    assert statuses == [429, 500, 503, 200]
    verdict = call(f"{fresh}/_llmock/verdict")
    assert verdict["passed"], verdict
