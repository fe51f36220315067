"""The model path against aimock, an npm package: routes, a repair, items, and its chaos.

Needs node and npm; the package is installed once into the user's cache.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from needs import missing

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows
from pipeline.questions import guess, write
from pipeline.questions.rows import Expected, Written
from pipeline.routes import draft
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from tests.clip_rows import clip, narration, rows, turn, workspace
from tests.integration.test_model_server import free_port

pytestmark = pytest.mark.integration

PACKAGE = "@copilotkit/aimock@1.43.0"

STEPS = [
    {"start_seconds": 0, "move": "straight", "landmark": "red door", "action": None, "undo": None},
    {"start_seconds": 5, "move": "left", "landmark": None, "action": None, "undo": None},
]
ROUTE = {
    "steps": STEPS,
    "forward_description": "Go to the red door, then turn left.",
    "reverse_description": "Turn around, turn right, go on past the red door.",
    "confidence": 0.7,
}
ITEMS = {
    "items": [
        {
            "question": "Which way do they go after the red door?",
            "answer": "Turn left",
            "distractors": ["turn right", "go straight", "turn around"],
            "evidence": "The door leaves to the right.",
            "evidence_seconds": [5],
        }
    ]
}
USAGE = {"prompt_tokens": 700, "completion_tokens": 90, "total_tokens": 790}


def fixture(said: str, content: Any) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content)
    return {"match": {"userMessage": said}, "response": {"content": text, "usage": USAGE}}


PLACES = {
    "places": [
        {"number": 1, "position": 80, "sure": 0.5},
        {"number": 2, "position": 5, "sure": 0.9},
    ]
}

FIXTURES = [
    fixture("Your answer can't be used", ROUTE),
    fixture("needs a repair", "I would rather tell a story."),
    fixture("Write the questions about directions", ITEMS),
    fixture("Where in the film would you expect", PLACES),
    fixture("Which route does the wearer walk", ROUTE),
]


@pytest.fixture(scope="module")
def program() -> Path:
    """The server's program: installed on first use, in a folder that later runs find again."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not at hand: aimock was not tried")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egost-tests"
    folder = cache / PACKAGE.replace("/", "-")
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as beside:
            _install(Path(beside))
            # Two workers may install at once: the second finds the folder there and leaves it.
            with contextlib.suppress(OSError):
                Path(beside, "node_modules").rename(folder)
    return folder / ".bin" / "llmock"


def _install(folder: Path) -> None:
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
    try:
        done = subprocess.run([*command, PACKAGE], capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        missing(f"{PACKAGE} (npm install took more than 120 s)")
    if done.returncode:
        missing(f"{PACKAGE} (npm install: {(done.stderr or done.stdout).strip()[-200:]})")


def call(url: str, data: Any = None, method: str | None = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def server(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    fixtures = tmp_path_factory.mktemp("fixtures") / "model.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    port = free_port()
    command = [str(program), "-p", str(port), "-h", "127.0.0.1", "-f", str(fixtures), "--strict"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while True:
            try:
                call(f"{address}/health")
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, "aimock ended at once"
                assert time.monotonic() < until, "aimock did not start within 30 s"
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    return workspace(tmp_path / "w")


def answered(server: str) -> int:
    """How many requests it has answered well so far."""
    journal = call(f"{server}/__aimock/journal?limit=1000")
    return sum(entry["response"]["status"] == 200 for entry in journal if "/v1/" in entry["path"])


def settings(server: str, **changes: Any) -> DraftSettings:
    given = {"model": "gpt-4o", "base_url": f"{server}/v1", **changes}
    return DraftSettings(provider="openai", **given)


def run(
    stage: Any, folder: WorkspaceFolder, units: Sequence[Rows], chosen: DraftSettings
) -> list[Row]:
    async def all_of_them() -> list[Row]:
        async with stage.opens(chosen, folder) as service:
            found = await asyncio.gather(*(stage.run(unit, chosen, service) for unit in units))
            return [row for one in found for row in one]

    return asyncio.run(all_of_them())


def test_a_route_with_its_tokens_is_bought_once(server: str, folder: WorkspaceFolder) -> None:
    before = answered(server)
    (found,) = run(draft, folder, [rows(folder)], settings(server))
    assert isinstance(found, Route)
    assert [step.move for step in found.steps] == ["straight", "left"]
    assert (found.input_tokens, found.output_tokens) == (700, 90)
    assert run(draft, folder, [rows(folder)], settings(server)) == [found]
    assert answered(server) == before + 1


def test_a_wrong_answer_is_repaired(server: str, folder: WorkspaceFolder) -> None:
    before = answered(server)
    odd = rows(folder, narrations=(narration(1, "this clip needs a repair"),))
    (found,) = run(draft, folder, [odd], settings(server))
    assert isinstance(found, Route)
    assert (found.input_tokens, found.output_tokens) == (1400, 180)
    assert answered(server) == before + 2


def test_items_of_a_task_are_written(server: str, folder: WorkspaceFolder) -> None:
    (found,) = run(write, folder, [rows(folder)], settings(server, tasks=["direction"]))
    assert isinstance(found, Written)
    assert (found.answer, found.evidence_us) == ("turn left", [5_000_000])


def test_places_of_names_are_guessed_once(server: str, folder: WorkspaceFolder) -> None:
    (found,) = run(draft, folder, [rows(folder)], settings(server))
    assert isinstance(found, Route)
    straight, left = found.steps
    steps = [straight, left.model_copy(update={"landmark": "bench"})]
    seen = Rows({**rows(folder), Route: (found.model_copy(update={"steps": steps}),)})
    before = answered(server)
    places = run(guess, folder, [seen], settings(server))
    assert [(row.name, row.position, row.sure) for row in places if isinstance(row, Expected)] == [
        ("bench", 80, 0.5),
        ("red door", 5, 0.9),
    ]
    assert run(guess, folder, [seen], settings(server)) == places
    assert answered(server) == before + 1


def test_every_clip_gets_its_route_under_chaos(server: str, folder: WorkspaceFolder) -> None:
    units = [rows(folder, of=clip(f"c{n}"), turns=(turn(n, n + 1),)) for n in range(12)]
    rates = {"dropRate": 0.15, "malformedRate": 0.1, "disconnectRate": 0.15, "rateLimitRate": 0.05}
    before = answered(server)
    call(f"{server}/__aimock/chaos", rates)
    try:
        found = run(draft, folder, units, settings(server, attempts=20))
    finally:
        call(f"{server}/__aimock/chaos", method="DELETE")
    assert len(found) == 12
    assert all(isinstance(row, Route) for row in found)
    bought = answered(server) - before
    assert bought >= 12
    assert run(draft, folder, units, settings(server)) == found
    assert answered(server) - before == bought
