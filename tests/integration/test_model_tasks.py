"""`egost generate-qa` with a model that also writes items: the bill, the leak, kept replies, a dry run."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.cli.main import cli
from pipeline.engine.rows import Rejection
from pipeline.errors import GateError
from pipeline.flow import open_workspace
from pipeline.questions.rows import Expected, Item, Span, Written
from pipeline.routes.rows import Route
from tests.batch_server import BatchServer
from tests.integration.fault_server import FaultServer, good_answer
from tests.integration.many_clips import fill

pytestmark = pytest.mark.integration

CLIPS = 52


def number_of(body: Mapping[str, Any]) -> int:
    return int(hashlib.sha256(json.dumps(body["messages"][:2]).encode()).hexdigest()[:8], 16)


def leaky_items(body: Mapping[str, Any]) -> str:
    """Two questions whose answers are longer and plainer than what stands beside them."""
    if "multiple-choice" not in json.dumps(body["messages"][0]):
        return good_answer(body)
    number = number_of(body)
    items = [
        {
            "question": f"Which way do they go after door {(number + more) % 997}?",
            "answer": f"straight on along the long corridor to door {number % 89}",
            "distractors": [f"hop left {number % 83}", f"skip right {number % 79}", "spin"],
            "evidence": "The corridor goes on.",
            "evidence_seconds": [3],
        }
        for more in (0, 1)
    ]
    return json.dumps({"items": items})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(answer=leaky_items) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    CliRunner().invoke(cli, ["init", str(root)], catch_exceptions=False)
    with open_workspace(root) as space:
        fill(space.store, CLIPS, videos=CLIPS // 4)
    return root


def egost(root: Path, server: FaultServer | BatchServer, *words: str, **more: object) -> Result:
    given = {
        "provider": "openai", "model": "m", "base_url": server.url, "tasks": '["direction"]',
        "input_usd_per_million": 1.0, "output_usd_per_million": 10.0, **more,
    }  # fmt: skip
    settings = [
        word for name, value in given.items() for word in ("--set", f"draft.{name}={value}")
    ]
    line = ["generate-qa", "-w", str(root), *settings, "--set", "faces.look=false", *words]
    return CliRunner().invoke(cli, line, catch_exceptions=False)


def test_the_bill_and_the_leak_are_told_and_nothing_is_bought_twice(
    root: Path, server: FaultServer
) -> None:
    dry = egost(root, server, "--dry-run")
    # The third is about the names in the clip's route: there may be too few.
    assert f"model: {3 * CLIPS} requests to m" in dry.output
    assert server.came.total() == 0

    first = egost(root, server)
    assert f"write: {CLIPS} clips: {CLIPS} new" in first.output
    each = (1000 * 1 + 100 * 10) / 1e6  # what the server counts, at the prices set
    bill = re.search(
        r"model: (\d+) requests, (\S+) USD; (\S+) USD per clip over (\d+)", first.output
    )
    assert bill, first.output
    assert (int(bill[1]), int(bill[4])) == (2 * CLIPS, CLIPS)
    assert float(bill[2]) == pytest.approx(2 * CLIPS * each, abs=1e-4)
    assert float(bill[3]) == pytest.approx(2 * each, abs=1e-4)
    assert f"its {2 * CLIPS} multiple-choice items LEAK" in first.output
    assert "prompts/tasks/{direction}.j2" in first.output

    with open_workspace(root) as space:
        items = [item for item in space.store.rows(Item) if item.option_kind == "model"]
    assert len(items) == 2 * CLIPS
    letters = [item.answer_index for item in items]
    assert {letters.count(letter) for letter in range(4)} == {CLIPS // 2}

    again = egost(root, server)
    assert server.came.total() == 2 * CLIPS
    assert "model: no request" in again.output
    assert "LEAK" not in again.output


def test_batches_answer_what_the_stages_ask_at_half_the_price(root: Path) -> None:
    def choose(key: str, times: int) -> str:
        return "wrong" if key < "08" else "good"

    with BatchServer(answer=leaky_items, choose=choose, seconds=0) as server:
        dry = egost(root, server, "--dry-run", batch="true")
        assert "half price in a batch" in dry.output
        assert not server.headers
        done = egost(root, server, batch="true")
        assert f"write: {CLIPS} clips: {CLIPS} new" in done.output
        single = server.billed.pop(
            "singly"
        )  # what batches refused, and the guesses, which need routes
        assert set(server.billed.values()) == {1}
        assert server.billed.total() == 2 * CLIPS - len(server.came.keys() - server.billed.keys())
        again = egost(root, server, batch="true")
        assert "model: no request" in again.output
        assert server.billed.pop("singly", single) == single
    with open_workspace(root) as space:
        assert len(space.store.rows(Route)) == CLIPS


def test_without_named_tasks_the_model_writes_none_and_old_ones_go(
    root: Path, server: FaultServer
) -> None:
    egost(root, server)
    none = egost(root, server, tasks="[]")
    assert none.exit_code == 0
    with open_workspace(root) as space:
        assert space.store.rows(Written) == []
        assert {item.option_kind for item in space.store.rows(Item)} <= {"square", None}
    back = egost(root, server)  # named again: all from kept replies
    assert f"write: {CLIPS} clips: {CLIPS} new" in back.output
    assert server.came.total() == 2 * CLIPS


def test_routes_by_motion_and_items_by_a_model(root: Path, server: FaultServer) -> None:
    done = egost(root, server, provider="motion", tasks='["direction","order"]')
    assert done.exit_code == 0, done.output
    assert server.came.total() == 2 * CLIPS
    with open_workspace(root) as space:
        assert {row.task for row in space.store.rows(Written)} == {"direction", "order"}


def test_the_cap_stops_writing_and_the_bill_is_still_told(
    root: Path, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Exception, match="max_cost_usd"):
        egost(root, server, max_cost_usd=0.15)
    assert any("USD per clip" in line or "spent in total" in line for line in caplog.messages)


def test_an_unknown_task_stops_before_anything_is_sent(root: Path, server: FaultServer) -> None:
    with pytest.raises(Exception, match="poem"):
        egost(root, server, provider="motion", tasks='["poem"]')
    assert server.came.total() == 0


@pytest.mark.parametrize("provider", ["openai", "motion"])
def test_a_model_that_refuses_every_clip_ends_in_an_error(
    root: Path, server: FaultServer, provider: str
) -> None:
    server.choose = lambda key, times: "refusal"
    stage, lacks = {
        "openai": ("draft", "no clip got a route"),
        "motion": ("write", "no clip got an item of draft.tasks"),
    }[provider]
    for _ in range(2):  # the second time from kept replies: still nothing to go on with
        with pytest.raises(GateError, match=lacks) as told:
            egost(root, server, provider=provider)
        assert told.value.exit_code == 3
        assert told.value.where == stage
        assert "the model refused: I can't look at this" in told.value.what
        assert "egost rejections" in told.value.fix
    asked = CLIPS * (1 if provider == "motion" else 2)
    assert server.came.total() == asked
    with open_workspace(root) as space:
        assert bool(space.store.rows(Route)) is (provider == "motion")


def test_one_refused_clip_is_on_record(root: Path, server: FaultServer) -> None:
    refuse = {"left": 2}

    def choose(key: str, times: int) -> str:
        refuse["left"] -= 1
        return "refusal" if refuse["left"] >= 0 else "good"

    server.choose = choose
    done = egost(root, server, provider="motion")
    assert done.exit_code == 0, done.output
    with open_workspace(root) as space:
        refused = [row for row in space.store.rows(Rejection) if row.stage == "write"]
        assert len(refused) == 2
        assert all("prompts/tasks/direction.j2: the model refused" in row.what for row in refused)
        assert len(space.store.rows(Written)) == 2 * (CLIPS - 2)


# ---- what the model expects without seeing -----------------------------------------------------------------


def sees_nothing(body: Mapping[str, Any]) -> bool:
    return "You can't see the film" in body["messages"][0]["content"]


def four_names(body: Mapping[str, Any]) -> str:
    """A route past four things in any order; without seeing, the model is sure of one order."""
    if sees_nothing(body):
        places = [{"number": n, "position": 25 * n, "sure": 0.9} for n in range(1, 5)]
        return json.dumps({"places": places})
    names = [f"{thing} {number_of(body)}" for thing in ("gate", "bench", "plant", "lamp")]
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    steps = [
        {"start_seconds": 5 * at, "move": "straight", "landmark": name, "action": None, "undo": None}
        for at, name in enumerate(order)
    ]  # fmt: skip
    return json.dumps({**json.loads(good_answer(body)), "steps": steps})


def test_what_the_model_expects_without_seeing_is_bought_once(
    root: Path, server: FaultServer
) -> None:
    server.answer = four_names
    first = egost(root, server, tasks="[]")
    assert first.exit_code == 0, first.output
    assert f"guess: {CLIPS} clips: {CLIPS} new" in first.output
    assert "no model prior" not in first.output
    assert server.came.total() == 2 * CLIPS
    assert f"model: {2 * CLIPS} requests" in first.output
    with open_workspace(root) as space:
        assert len(space.store.rows(Expected)) == 4 * CLIPS
    again = egost(root, server, tasks="[]")
    assert f"guess: {CLIPS} clips: nothing new, {CLIPS} kept" in again.output
    dry = egost(root, server, "--dry-run", tasks="[]")
    assert "model: 0 requests to m" in dry.output
    assert server.came.total() == 2 * CLIPS
    without = egost(root, server, tasks="[]", guess="false")
    assert without.exit_code == 0
    with open_workspace(root) as space:
        assert space.store.rows(Expected) == []


@pytest.mark.parametrize("fault", ["refusal", "wrong_key", "busy"])
def test_a_model_that_guesses_nothing_stops_nothing(
    root: Path, server: FaultServer, fault: str
) -> None:
    server.answer = four_names
    server.choose = lambda key, times: fault if sees_nothing(server.bodies[-1]) else "good"
    done = egost(root, server, tasks="[]", attempts=1)
    assert done.exit_code == 0, done.output
    assert f"no model prior for {CLIPS} clips" in done.output
    with open_workspace(root) as space:
        assert len(space.store.rows(Span)) == CLIPS  # composed all the same
        assert space.store.rows(Expected) == []
        assert sum(row.stage == "guess" for row in space.store.rows(Rejection)) == CLIPS
