"""Batches against a server that follows the documented protocol: limits, faults, money, and what is kept."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError, UserError
from pipeline.models.batch_files import BatchLimits
from pipeline.models.batches import Batches
from pipeline.models.chat import Message, PlainRequest, PromptImage
from pipeline.models.llm import ModelClient, ModelRequest, connect
from pipeline.models.settings import EvaluatedModel
from tests.batch_server import BatchServer

QUICK = BatchLimits(first_wait=0.02, longest_wait=0.1, seconds_to_appear=0.3)
PRICES = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}


def asked(count: int, size: int = 0) -> list[PlainRequest]:
    image = PromptImage(bytes(size), 64, 64)
    return [PlainRequest((Message("user", (image, f"question {n}")),)) for n in range(count)]


class Run:
    """A results folder and its server; `fetch` puts requests into batches."""

    def __init__(self, place: Path) -> None:
        self.folder = WorkspaceFolder(place)
        self.server = BatchServer(seconds=0.05)
        self.seen: list[tuple[int, int]] = []

    def settings(self, **changes: Any) -> EvaluatedModel:
        given = {"attempts": 4, "max_completion_tokens": 100, "timeout_seconds": 5, **PRICES}
        given |= {"max_cost_usd": 1000.0, **changes}
        return EvaluatedModel(model="m", base_url=self.server.url, **given)

    def do(self, work: Callable[[ModelClient], Awaitable[Any]], **changes: Any) -> Any:
        async def once() -> Any:
            async with connect(self.settings(**changes), self.folder) as client:
                return await work(client)

        return asyncio.run(once())

    def fetch(self, requests: Any, limits: BatchLimits = QUICK, **changes: Any) -> Any:
        def progress(done: int, total: int) -> None:
            self.seen.append((done, total))

        return self.do(lambda client: Batches(client, progress, limits).fetch(requests), **changes)

    def complete(self, request: PlainRequest) -> Any:
        return self.do(lambda client: client.complete(request.messages, repeat=request.repeat))

    def rows(self, query: str) -> list[Any]:
        with sqlite3.connect(self.folder.root / "llm.sqlite") as db:
            found = db.execute(query).fetchall()
        db.close()
        return found

    def states(self) -> dict[str, int]:
        return dict(Counter(state for (state,) in self.rows("SELECT state FROM requests")))

    def sends(self, fault: str, request: str, stage: str, times: int = 1) -> None:
        """Let the server fail at a point, some times."""
        left = [times]

        def seen(named: str, at: str) -> str | None:
            if left[0] and named.startswith(request) and at == stage:
                left[0] -= 1
                return fault
            return None

        self.server.seen = seen


@pytest.fixture
def run(tmp_path: Path) -> Any:
    found = Run(tmp_path)
    with found.server:
        yield found


# ---- what is kept ------------------------------------------------------------------------------------


def test_replies_are_kept_like_those_of_single_requests_at_half_the_price(run: Run) -> None:
    requests = asked(5)
    assert run.fetch(requests) == {}
    made = run.complete(requests[3])
    assert made.reply.text == "<answer>B</answer>"
    assert (made.reply.model, made.reply.fingerprint) == ("m-2026", "fp_1")
    assert made.cost_usd == pytest.approx((100 * 0.001 + 10 * 0.002) / 2)
    assert made.reply.seconds is None
    assert "singly" not in run.server.billed
    assert run.seen[-1] == (5, 5)
    assert run.fetch(requests) == {}
    assert len(run.server.batches) == 1
    assert not run.server.files  # they hold frames
    (batch,) = run.server.batches.values()
    assert batch.lines[0]["body"]["max_completion_tokens"] == 100
    assert len(batch.metadata["egost"]) == 32


def test_a_request_that_is_given_twice_is_sent_once(run: Run) -> None:
    assert run.fetch([*asked(3), *asked(3)]) == {}
    assert run.server.billed.total() == 3


def test_requests_that_can_be_iterated_once_are_all_sent(run: Run) -> None:
    assert run.fetch(iter(asked(3))) == {}
    assert run.server.billed.total() == 3


def test_files_stay_within_both_limits(run: Run) -> None:
    run.server.most_requests = 4
    run.fetch(asked(10), BatchLimits(2_000, 4, 0.02, 0.1, 0.3))
    assert len(run.server.batches) == 3
    run.server.most_bytes = 10_000
    run.fetch(asked(12, size=3_000), BatchLimits(10_000, 4, 0.02, 0.1, 0.3))
    assert max(run.server.uploaded) <= 10_000
    assert len(run.server.batches) == 3 + 6
    assert set(run.server.billed.values()) == {1}


def test_a_request_that_is_too_large_for_any_file_is_given_up_and_the_rest_is_sent(
    run: Run,
) -> None:
    errors = run.fetch([*asked(2), *asked(1, size=30_000)], BatchLimits(10_000, 4, 0.02, 0.1, 0.3))
    ((at, error),) = errors.items()
    assert at == 2
    assert "too large for a batch" in str(error)
    assert run.states() == {"kept": 2}


def test_requests_with_a_schema_are_found_by_ask(run: Run) -> None:
    class Word(BaseModel):
        word: str

    question = ModelRequest(
        (Message("user", ("which word?",)),), Word, lambda _: [], lambda _: "again"
    )
    run.fetch([question])
    (batch,) = run.server.batches.values()
    assert batch.lines[0]["body"]["response_format"]["type"] == "json_schema"
    with pytest.raises(RowError, match="unusable"):  # the scripted answer is no word
        run.do(lambda client: client.ask(question))
    assert run.server.billed["singly"] == 1  # the repair alone


@pytest.mark.parametrize(("fault", "finish"), [("refused", "stop"), ("filtered", "content_filter")])
def test_a_refusal_is_a_reply(run: Run, fault: str, finish: str) -> None:
    run.server.choose = lambda key, times: fault
    (request,) = asked(1)
    assert run.fetch([request]) == {}
    reply = run.complete(request).reply
    assert reply.refusal
    assert reply.finish == finish
    assert len(run.server.batches) == 1
    assert "singly" not in run.server.billed


# ---- lines that fail ---------------------------------------------------------------------------------


def test_only_what_failed_is_sent_again(run: Run) -> None:
    run.server.choose = lambda key, times: "500" if times == 1 and key < "4" else "good"
    assert run.fetch(asked(40)) == {}
    first, second = (len(batch.lines) for batch in run.server.batches.values())
    assert (first, 0 < second < 30) == (40, True)
    assert set(run.server.billed.values()) == {1}
    assert run.states() == {"kept": 40, "failed": second}


def test_a_line_that_always_fails_is_given_up_and_asked_again_by_the_next_run(run: Run) -> None:
    run.server.choose = lambda key, times: "500" if times <= 4 else "good"
    ((_, error),) = run.fetch(asked(1)).items()
    assert isinstance(error, RowError)
    assert error.again
    assert "4 batches did not answer" in str(error)
    assert run.fetch(asked(1)) == {}


def test_a_line_that_is_refused_is_not_sent_again(run: Run) -> None:
    came: list[str] = []

    def choose(key: str, times: int) -> str:
        came.append(key)
        return "wrong" if len(came) <= 5 else "good"

    run.server.choose = choose
    errors = run.fetch(asked(20))
    assert len(errors) == 5
    assert all("Invalid image" in str(error) for error in errors.values())
    assert len(run.server.batches) == 1


def test_lines_refused_for_the_name_of_the_limit_are_sent_with_the_other(run: Run) -> None:
    run.server.choose = lambda key, times: "no_max_completion_tokens"
    assert run.fetch(asked(3)) == {}
    _, second = run.server.batches.values()
    assert second.lines[0]["body"]["max_tokens"] == 100


def test_an_expired_batch_keeps_what_it_answered(run: Run) -> None:
    run.server.expiring = frozenset({1})
    assert run.fetch(asked(9)) == {}
    assert [len(batch.lines) for batch in run.server.batches.values()] == [9, 5]
    assert set(run.server.billed.values()) == {1}


def test_a_line_that_is_missing_from_the_results_counts_in_full(run: Run) -> None:
    run.server.choose = lambda key, times: "dropped" if times == 1 and key < "8" else "good"
    assert run.fetch(asked(20)) == {}
    assert run.states()["kept"] == 20
    assert run.states()["unknown"] == run.server.billed.total() - 20


def test_a_batch_that_fails_as_a_whole_is_made_again_if_others_get_on(run: Run) -> None:
    run.server.failing = frozenset({2})
    assert run.fetch(asked(8), BatchLimits(10**6, 4, 0.02, 0.1, 0.3)) == {}
    assert [batch.status for batch in run.server.batches.values()] == [
        "completed",
        "failed",
        "completed",
    ]


def test_batches_that_have_to_wait_for_others_are_never_given_up(run: Run) -> None:
    """An account may queue so many tokens: it takes more rounds than a request has attempts."""
    run.server.most_open, run.server.seconds = 1, 0.5
    assert run.fetch(asked(40), BatchLimits(10**6, 5, 0.01, 0.05, 0.3)) == {}
    assert run.states()["kept"] == 40


def test_a_batch_that_somebody_cancels_is_not_made_again(run: Run) -> None:
    def seen(named: str, stage: str) -> None:
        if named.startswith("GET /batches/"):
            for batch in run.server.batches.values():
                batch.ends = "cancelled"

    run.server.seen = seen
    with pytest.raises(UserError, match="was cancelled"):
        run.fetch(asked(9))
    assert len(run.server.batches) == 1
    run.server.seen = lambda named, stage: None
    assert run.fetch(asked(9)) == {}
    assert run.states()["kept"] == 9
    assert set(run.server.billed.values()) == {1}


def test_a_batch_that_fails_alone_stops_the_run_with_the_servers_words(run: Run) -> None:
    run.server.failing = frozenset({1})
    with pytest.raises(UserError, match="Enqueued token limit reached"):
        run.fetch(asked(3))
    assert run.states() == {"failed": 3}
    assert run.fetch(asked(3)) == {}


# ---- HTTP that fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "429", "lost"])
@pytest.mark.parametrize("stage", ["came", "done"])
@pytest.mark.parametrize("request_", ["POST /files", "POST /batches", "GET /batches", "GET /files"])
def test_a_fault_of_any_request_buys_nothing_twice(
    run: Run, request_: str, stage: str, fault: str
) -> None:
    run.sends(fault, request_, stage, times=2)
    assert run.fetch(asked(4)) == {}
    assert set(run.server.billed.values()) == {1}
    assert run.states() == {"kept": 4}


def test_a_batch_that_cannot_be_asked_about_is_collected_by_the_next_run(run: Run) -> None:
    run.sends("500", "GET /batches", "came", times=4)
    with pytest.raises(UserError, match="running this again collects them"):
        run.fetch(asked(4))
    assert run.states() == {"sent": 4}
    with pytest.raises(UserError, match="paid for twice") as caught:
        run.complete(asked(4)[0])
    assert "with a batch again" in caught.value.fix
    assert run.fetch(asked(4)) == {}
    assert set(run.server.billed.values()) == {1}
    assert "singly" not in run.server.billed


def test_a_batch_of_other_requests_is_collected_too(run: Run) -> None:
    run.sends("500", "GET /batches", "came", times=4)
    with pytest.raises(UserError):
        run.fetch(asked(4))
    assert run.fetch(asked(6)[4:]) == {}
    assert run.states() == {"kept": 6}


def test_a_server_without_batches_is_named_and_nothing_counts(run: Run) -> None:
    run.sends("404", "POST /files", "came", times=99)
    with pytest.raises(UserError, match="no Batch API"):
        run.fetch(asked(2))
    assert run.states() == {"failed": 2}
    assert run.complete(asked(1)[0]).reply.text == "<answer>B</answer>"


# ---- money -------------------------------------------------------------------------------------------


def test_the_whole_cost_has_room_under_the_cap_before_anything_is_uploaded(run: Run) -> None:
    run.fetch(asked(1))
    ((reserved, cost),) = run.rows("SELECT reserved_usd, cost_usd FROM requests")
    assert reserved > cost == pytest.approx((100 * 0.001 + 10 * 0.002) / 2)
    with pytest.raises(UserError, match=r"evaluate\.max_cost_usd"):
        run.fetch(asked(9), max_cost_usd=cost + 7.9 * reserved)
    assert len(run.server.uploaded) == 1
    assert run.states() == {"kept": 1}
    assert run.fetch(asked(9), max_cost_usd=cost + 8.1 * reserved) == {}


def test_the_cap_holds_over_batches_and_single_requests(run: Run) -> None:
    run.fetch(asked(10))
    spent = 10 * (100 * 0.001 + 10 * 0.002) / 2

    async def work(client: ModelClient) -> None:
        await Batches(client, limits=QUICK).fetch(asked(20))
        assert client.replies.budget._spent == pytest.approx(2 * spent)

    run.do(work)
    with pytest.raises(UserError, match=r"0\.6000|1\.2000 of 1\.21 USD"):
        run.do(lambda client: client.complete(asked(30)[25].messages), max_cost_usd=1.21)


def test_the_key_of_the_role_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGOST_MODEL_API_KEY", "sk-model-0123456789")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-draft-0123456789")
    run.fetch(asked(2))
    assert {sent["authorization"] for sent in run.server.headers} == {"Bearer sk-model-0123456789"}
    assert "sk-" not in json.dumps(run.rows("SELECT reply FROM replies"))
