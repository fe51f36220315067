"""Every way of failing that a model server has: nothing lost, nothing bought twice, each with its reason."""

import asyncio
import gc
import logging
import socket
import sqlite3
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError, UserError
from pipeline.routes import draft
from pipeline.routes.rows import Route
from pipeline.routes.settings import DraftSettings
from tests.clip_rows import rows, workspace
from tests.integration.fault_server import FaultServer

pytestmark = pytest.mark.integration


def settings(server: FaultServer, **changes: Any) -> DraftSettings:
    given: dict[str, Any] = {"timeout_seconds": 1.0, "attempts": 4, **changes}
    return DraftSettings(provider="openai", model="m", base_url=server.url, **given)


def run(folder: WorkspaceFolder, chosen: DraftSettings) -> Route:
    async def once() -> Route:
        async with draft.opens(chosen, folder) as service:
            (found,) = await draft.run(rows(folder), chosen, service)
            assert isinstance(found, Route)
            return found

    return asyncio.run(once())


def states(folder: WorkspaceFolder) -> list[str]:
    with sqlite3.connect(folder.root / "llm.sqlite") as db:
        found = [state for (state,) in db.execute("SELECT state FROM requests ORDER BY id")]
    db.close()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    return workspace(tmp_path / "w")


PASSING = {
    "busy": "failed",
    "broken": "failed",
    "gateway": "failed",
    "stall": "unknown",
    "drip": "unknown",
    "reset_before": "unknown",
    "reset_mid_body": "unknown",
    "truncated": "unknown",
    "not_a_completion": "unknown",
    "empty": "paid",
    "error_in_reply": "failed",
    "throttled": "failed",
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_is_tried_again_and_booked(folder: WorkspaceFolder, fault: str) -> None:
    with FaultServer(choose=lambda key, times: fault if times == 1 else "good") as server:
        assert len(run(folder, settings(server)).steps) == 2
    assert states(folder) == [PASSING[fault], "kept"]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_stays_fails_the_clip_until_the_next_run(
    folder: WorkspaceFolder, fault: str
) -> None:
    with FaultServer(choose=lambda key, times: fault if times <= 2 else "good") as server:
        with pytest.raises(RowError, match="failed 2 times") as caught:
            run(folder, settings(server, attempts=2))
        assert caught.value.again
        assert run(folder, settings(server)).steps


def test_a_long_retry_after_is_waited_for(folder: WorkspaceFolder) -> None:
    with FaultServer(choose=lambda key, times: "busy_long" if times == 1 else "good") as server:
        begin = time.monotonic()
        run(folder, settings(server))
        assert time.monotonic() - begin >= 3


@pytest.mark.parametrize("fault", ["prose", "invalid"])
def test_a_schema_that_is_ignored_takes_one_repair(folder: WorkspaceFolder, fault: str) -> None:
    asked = []

    def choose(key: str, times: int) -> str:
        asked.append(key)
        return fault if len(asked) == 1 else "good"

    with FaultServer(choose=choose) as server:
        found = run(folder, settings(server))
        assert len(server.bodies) == 2
        assert "can't be used" in server.bodies[1]["messages"][-1]["content"]
        assert (found.input_tokens, found.output_tokens) == (2000, 200)
        assert run(folder, settings(server)) == found
        assert len(server.bodies) == 2


def test_a_server_that_refuses_schemas_is_asked_without(folder: WorkspaceFolder) -> None:
    with FaultServer(choose=lambda key, times: "no_schema") as server:
        assert len(run(folder, settings(server)).steps) == 2
        assert ["response_format" in body for body in server.bodies] == [True, False]
    assert states(folder) == ["failed", "kept"]


@pytest.mark.parametrize(
    "fault",
    ["no_json_output", "no_schema_in_detail", "no_grammar", "no_reason", "fails_on_schemas"],
)
def test_a_schema_refused_in_other_words_is_left_out(
    folder: WorkspaceFolder, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultServer(choose=lambda key, times: fault) as server:
        assert len(run(folder, settings(server)).steps) == 2
        assert "response_format" not in server.bodies[-1]
    assert states(folder)[-1] == "kept"
    assert "draft.structured = false" in caplog.text


@pytest.mark.parametrize(
    "fault", ["mistral", "mistral_in_message", "unnamed_field", "cuts_at_16", "crashes_on_the_name"]
)
def test_a_server_that_knows_the_limit_as_max_tokens_is_asked_with_it(
    folder: WorkspaceFolder, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultServer(choose=lambda key, times: fault) as server:
        found = run(folder, settings(server))
        assert len(found.steps) == 2
        assert "max_tokens" in server.bodies[-1]
        assert 'draft.limit_name = "max_tokens"' in caplog.text
        sent = len(server.bodies)
        assert run(folder, settings(server)) == found
        assert len(server.bodies) == sent


def test_a_reply_that_comes_as_an_event_stream_is_read(folder: WorkspaceFolder) -> None:
    with FaultServer(choose=lambda key, times: "streamed") as server:
        found = run(folder, settings(server))
        assert (found.input_tokens, found.output_tokens) == (1000, 100)
        assert run(folder, settings(server)) == found
        assert len(server.bodies) == 1


def test_a_page_in_place_of_a_reply_costs_nothing_and_is_asked_again(
    folder: WorkspaceFolder,
) -> None:
    faults = {1: "busy", 2: "web_page"}
    with FaultServer(choose=lambda key, times: faults.get(times, "good")) as server:
        assert run(folder, settings(server)).steps
    assert states(folder) == ["failed", "failed", "kept"]


def test_a_wait_in_the_body_is_waited_for(folder: WorkspaceFolder) -> None:
    with FaultServer(choose=lambda key, times: "gemini_busy" if times == 1 else "good") as server:
        begin = time.monotonic()
        run(folder, settings(server))
        assert time.monotonic() - begin >= 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("too_large", "too large for the server: too large"),
        ("page_too_large", "too large for the server: 413 Request Entity Too Large"),
        ("no_reason_ever", "refused the request .400.: no message"),
        ("echoes_the_key", "contains the key"),
    ],
)
def test_what_is_about_the_server_is_asked_again_once_it_is_fixed(
    folder: WorkspaceFolder, fault: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-secret")
    faults = [fault]
    with FaultServer(choose=lambda key, times: faults[0]) as server:
        with pytest.raises(RowError, match=says) as caught:
            run(folder, settings(server))
        assert caught.value.again
        assert "secret" not in str(caught.value)
        faults[0] = "good"
        assert run(folder, settings(server)).steps
    assert b"secret" not in (folder.root / "llm.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("moderated", "content filter refused the request: Input flagged by moderation"),
        ("refusal", "the model refused: I can't look at this"),
        ("filtered", "content filter"),
        ("filtered_input", "content filter"),
        ("cut_off", "cut the answer off"),
        ("prose", "unusable, also after one repair: it is not a JSON object .it answered: I"),
        ("invalid", "forward_description: Field required"),
    ],
)
def test_what_will_not_get_better_rejects_the_clip_with_a_remedy(
    folder: WorkspaceFolder, fault: str, says: str
) -> None:
    with (
        FaultServer(choose=lambda key, times: fault) as server,
        pytest.raises(RowError, match=says) as caught,
    ):
        run(folder, settings(server))
    assert not caught.value.again
    assert caught.value.fix


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("wrong_model", "has no model 'm'"),
        ("wrong_key", "refused the key"),
        ("no_quota", "no quota left"),
        ("web_page", "is not an OpenAI-compatible server"),
        ("elsewhere", "redirects to another address"),
        ("no_temperature", "refuses draft.temperature: unsupported value"),
        ("gemini_key", "refused the key .400.: API key not valid"),
        ("no_vision", "takes no images here: image_url is only supported by certain models"),
    ],
)
def test_what_concerns_every_request_stops_at_once(
    folder: WorkspaceFolder,
    fault: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-secret")
    with caplog.at_level(logging.DEBUG), FaultServer(choose=lambda key, times: fault) as server:
        with pytest.raises(UserError, match=says) as caught:
            run(folder, settings(server, temperature=0.5))
        assert sum(server.came.values()) == 1
    assert caught.value.where == server.url
    assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(
    folder: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FaultServer() as server:
        assert run(folder, settings(server)).steps


def test_our_own_server_lets_go_of_what_it_has_just_accepted() -> None:
    """On a busy machine it left dozens of sockets open, which ended another test in warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with FaultServer() as server:
            server.busy_for(0.3)
            for _ in range(60):
                socket.create_connection(("127.0.0.1", server.port)).close()
        gc.collect()
    assert [str(one.message) for one in caught if one.category is ResourceWarning] == []
