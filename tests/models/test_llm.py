"""The model client: stored replies, the cost cap, retries, and the meaning of each failure."""

import asyncio
import json
import logging
import re
import shutil
import sqlite3
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError, UserError
from pipeline.models.chat import Message, PromptImage, json_schema, request_keys
from pipeline.models.completion import read_completion
from pipeline.models.error_body import wait_seconds
from pipeline.models.failures import Names, RequestError
from pipeline.models.journal import Journal, Reply, read_ledger
from pipeline.models.llm import ModelClient, ModelRequest, connect
from pipeline.models.openai_wire import OpenAIWire
from pipeline.models.pace import Pace
from pipeline.models.prices import Price, price_of
from pipeline.models.secret import Secret
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import ScriptedModel, on_loopback
from tests.clip_rows import workspace
from tests.model_talk import SETTINGS, Clock, table, talk


def remote(model: str, *prices: float) -> ModelSettings:
    names = ("input_usd_per_million", "output_usd_per_million")
    return ModelSettings(model=model, **dict(zip(names, prices, strict=False)))


class Word(BaseModel):
    word: str


def question(text: str = "which word?") -> ModelRequest[Word]:
    return ModelRequest(
        (Message("system", ("rules",)), Message("user", (text,))),
        Word,
        lambda found: [] if found.word.isalpha() else ["not a word"],
        lambda problems: "fix: " + "; ".join(problems),
    )


GOOD = '{"word": "door"}'
NO_SCHEMA = RequestError("request", "no response_format", kind="schema", form=True)


def ask(folder: WorkspaceFolder, model: ScriptedModel, **more: Any) -> Any:
    return talk(folder, model, lambda client: client.ask(question()), **more)


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    return workspace(tmp_path / "w")


# ---- stored replies --------------------------------------------------------------------------------


def test_a_stored_reply_is_not_requested_again(folder: WorkspaceFolder) -> None:
    first = ask(folder, ScriptedModel(GOOD))
    assert ask(folder, ScriptedModel()) == first
    assert first.value == Word(word="door")
    assert (first.input_tokens, first.output_tokens) == (100, 50)
    assert first.cost_usd == pytest.approx(0.2)


def test_callers_with_the_same_request_share_one_reply(folder: WorkspaceFolder) -> None:
    model = ScriptedModel(GOOD)

    async def work(client: ModelClient) -> Any:
        return await asyncio.gather(*(client.ask(question()) for _ in range(5)))

    answers = talk(folder, model, work)
    assert answers == [answers[0]] * 5
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"base_url": "http://127.0.0.1:2/v1"},
        {"temperature": 0.0},
        {"max_completion_tokens": 101},
    ],
)
def test_a_different_request_gets_its_own_reply(
    folder: WorkspaceFolder, change: dict[str, Any]
) -> None:
    ask(folder, ScriptedModel(GOOD))
    model = ScriptedModel(GOOD)
    ask(folder, model, settings=SETTINGS.model_copy(update=change))
    assert len(model.asked) == 1


def test_replies_that_earlier_versions_paid_for_are_found() -> None:
    """These digests are of commit c0449b1: another one would pay for every reply again."""
    settings = ModelSettings(
        model="m", base_url="http://127.0.0.1:1/v1", max_completion_tokens=100, temperature=0.5
    )
    user = Message("user", ("which word?", PromptImage(b"jpeg", 4, 3)))
    asked = (Message("system", ("rules",)), user)
    keys = request_keys(settings, asked, json_schema(Word))
    assert [known.key for known in keys.values()][:2] == [
        "81cc5d42948398c3d3d699a38ef1cf83ad049c3d9d7a6a3a7d01689444a6c2d3",
        "0af4612d488670a7ed6d16b2bd194d55be349024c5b166ff1f1c0f42bc102001",
    ]
    assert "max_tokens" in list(keys.values())[2].request


def test_a_request_is_on_disk_before_it_is_sent(folder: WorkspaceFolder) -> None:
    seen: list[Any] = []

    def answer(_: Any) -> str:
        seen.extend(table(folder, "SELECT state, reserved_usd > 0 FROM requests"))
        return GOOD

    ask(folder, ScriptedModel(answer=answer))
    assert seen == [("sent", 1)]
    assert table(folder, "SELECT state FROM requests") == [("kept",)]


def test_the_key_is_not_stored(folder: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    ask(folder, ScriptedModel(GOOD))
    whole = (folder.root / "llm.sqlite").read_bytes() + b"".join(
        path.read_bytes() for path in folder.root.glob("llm.sqlite-*")
    )
    assert b"very-secret" not in whole


def test_a_damaged_journal_is_a_user_error(folder: WorkspaceFolder) -> None:
    (folder.root / "llm.sqlite").write_bytes(b"not a database, but long enough to be read" * 100)
    with pytest.raises(UserError, match=r"llm\.sqlite") as caught:
        ask(folder, ScriptedModel(GOOD))
    assert "don't delete the file" in caught.value.fix


def test_a_ledger_is_read_beside_a_run_and_changes_nothing(folder: WorkspaceFolder) -> None:
    path, copy = folder.root / "llm.sqlite", folder.root / "copy"
    with read_ledger(path) as ledger:
        assert ledger.totals().requests == 0
    assert not path.exists()
    path.touch()  # all that a command leaves which is killed then
    with read_ledger(path) as ledger:
        assert ledger.totals().requests == 0
    path.unlink()

    async def beside(client: ModelClient) -> None:
        await client.ask(question())
        with read_ledger(path) as ledger:
            assert ledger.totals().requests == 1
        copy.mkdir()
        for name in ("llm.sqlite", "llm.sqlite-wal"):  # as if the command were killed now
            shutil.copyfile(folder.root / name, copy / name)

    talk(folder, ScriptedModel(GOOD), beside)
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    with read_ledger(copy / "llm.sqlite") as ledger:
        assert (ledger.totals().requests, ledger.usage("m").replies) == (1, 1)
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == before
    (copy / "llm.sqlite-wal").unlink()
    (copy / "llm.sqlite").write_bytes(b"not a database, certainly" * 100)
    with pytest.raises(UserError, match="don't delete the file"), read_ledger(copy / "llm.sqlite"):
        pass


# ---- caps -----------------------------------------------------------------------------------------


def test_the_cap_holds_for_concurrent_requests_and_is_never_exceeded(
    folder: WorkspaceFolder,
) -> None:
    settings = SETTINGS.model_copy(update={"max_cost_usd": 1.0})
    model = ScriptedModel(answer=lambda body: GOOD)

    async def work(client: ModelClient) -> Any:
        asked = (client.ask(question(f"word {number}?")) for number in range(50))
        return await asyncio.gather(*asked, return_exceptions=True)

    found = talk(folder, model, work, settings)
    stopped = [answer for answer in found if isinstance(answer, UserError)]
    assert stopped
    assert "draft.max_cost_usd" in str(stopped[0])
    ((spent,),) = table(folder, "SELECT sum(cost_usd) FROM requests")
    assert 0.5 < spent <= 1.0
    assert len(model.asked) == len(found) - len(stopped)


def test_the_cap_counts_earlier_runs_and_unsettled_requests(folder: WorkspaceFolder) -> None:
    ask(folder, ScriptedModel(GOOD))
    with sqlite3.connect(folder.root / "llm.sqlite") as db:
        db.execute("UPDATE requests SET state = 'sent', cost_usd = NULL, reserved_usd = 5.0")
    db.close()
    tight = SETTINGS.model_copy(update={"max_cost_usd": 5.2, "model": "n"})
    with pytest.raises(UserError, match=r"5\.0000 of 5\.20 USD"):
        ask(folder, ScriptedModel(), settings=tight)


def test_failed_requests_are_free_and_possibly_billed_ones_are_not(
    folder: WorkspaceFolder,
) -> None:
    model = ScriptedModel(
        RequestError("moment", "500"), RequestError("moment", "stall", unknown=True), GOOD
    )
    ask(folder, model)
    assert table(folder, "SELECT state FROM requests ORDER BY id") == [
        ("failed",),
        ("unknown",),
        ("kept",),
    ]
    journal = Journal(folder.root / "llm.sqlite")
    totals = journal.ledger.totals()
    journal.close()
    ((reserved,),) = table(folder, "SELECT reserved_usd FROM requests WHERE state = 'unknown'")
    assert (totals.requests, totals.cost_usd, totals.unknown_usd) == (
        3,
        pytest.approx(0.2),
        reserved,
    )


def test_a_server_that_counts_more_tokens_increases_later_reservations(
    folder: WorkspaceFolder,
) -> None:
    heavy = Reply(GOOD, None, "stop", "m", 10_000, 50)
    model = ScriptedModel(heavy, GOOD)

    async def work(client: ModelClient) -> None:
        await client.ask(question("one?"))
        await client.ask(question("two?"))

    talk(folder, model, work)
    first, second = (
        row[0] for row in table(folder, "SELECT reserved_usd FROM requests ORDER BY id")
    )
    assert second >= 10.0 > first
    # The next run knows it before its first request: many are in flight until that is answered.
    ask(folder, ScriptedModel(GOOD))
    ((third,),) = table(folder, "SELECT reserved_usd FROM requests WHERE id = 3")
    assert third >= 10.0


def test_without_token_counts_the_whole_reservation_counts(
    folder: WorkspaceFolder,
) -> None:
    answer = ask(folder, ScriptedModel(Reply(GOOD, None, "stop", "m", None, None)))
    assert (answer.cost_usd, answer.input_tokens) == (None, None)
    journal = Journal(folder.root / "llm.sqlite")
    assert journal.ledger.totals().unknown_usd > 0
    journal.close()


def test_a_remote_model_of_unknown_price_is_refused() -> None:
    with pytest.raises(UserError, match="no price is known"):
        price_of(remote("house-model"))
    assert price_of(SETTINGS.model_copy(update={"model": "house-model"})).cost(10**6, 10**6) == 0
    assert price_of(remote("house-model", 1.0, 2.0)).cost(10**6, 10**6) == 3.0
    assert price_of(remote("gpt-4o-mini-2024-07-18")).input == 0.15


@pytest.mark.parametrize(
    "expensive", ["gpt-5-pro", "o3-pro", "gpt-4o-audio-preview", "gpt-5.4-pro"]
)
def test_a_more_expensive_model_with_a_similar_name_is_not_matched(expensive: str) -> None:
    with pytest.raises(UserError, match="can't be capped"):
        price_of(remote(expensive))


def test_images_count_by_the_models_rule() -> None:
    tiles = Price(name="t", input=1, output=1, pictures="tiles")
    assert tiles.image_tokens(640, 360, "low") == 85
    assert tiles.image_tokens(640, 360, "high") == 85 + 2 * 170
    patches = Price(name="p", input=1, output=1, pictures="patches", factor=1.62)
    assert patches.image_tokens(640, 360, "low") == 389  # 20 x 12 patches
    assert patches.image_tokens(6400, 3600, "low") == 2489  # 1536 at most


# ---- failures -------------------------------------------------------------------------------------


def test_temporary_failures_are_retried_a_limited_number_of_times(folder: WorkspaceFolder) -> None:
    clock = Clock()
    model = ScriptedModel(*(RequestError("moment", "the server answered 500") for _ in range(6)))
    with pytest.raises(
        RowError, match="failed 6 times, the last time: the server answered 500"
    ) as caught:
        ask(folder, model, clock=clock)
    assert caught.value.again
    waits = [seconds for seconds in clock.slept if seconds > 0]
    assert len(waits) == 5
    assert waits[-1] > waits[0]


@pytest.mark.parametrize("seconds", [2.0, 7200.0])
def test_retry_after_delays_all_requests(folder: WorkspaceFolder, seconds: float) -> None:
    clock = Clock()
    model = ScriptedModel(
        RequestError("moment", "429", overload=True, wait_seconds=seconds), answer=lambda _: GOOD
    )
    moments: list[float] = []

    async def work(client: ModelClient) -> None:
        await client.ask(question("first?"))
        moments.append(clock.time)

    talk(folder, model, work, clock=clock)
    assert moments[0] - 1000.0 >= seconds


def test_a_long_wait_is_reported(folder: WorkspaceFolder, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ask(
            folder,
            ScriptedModel(RequestError("moment", "429", overload=True, wait_seconds=600), GOOD),
        )
    assert "asked to wait 600 s" in caplog.text


def test_a_final_error_stops_other_requests_before_they_are_sent(folder: WorkspaceFolder) -> None:
    model = ScriptedModel(RequestError("server", "refused the key", "another key"))

    async def work(client: ModelClient) -> Any:
        asked = (client.ask(question(f"word {number}?")) for number in range(9))
        return await asyncio.gather(*asked, return_exceptions=True)

    found = talk(folder, model, work, SETTINGS.model_copy(update={"in_flight": 1}))
    assert [type(error) for error in found] == [UserError] * 9
    assert {str(error) for error in found} == {
        f"error: {SETTINGS.base_url}: refused the key\n  fix: another key"
    }
    assert len(model.asked) == 1


def test_a_final_error_waits_for_requests_in_flight(folder: WorkspaceFolder) -> None:
    class Slow(ScriptedModel):
        async def send(self, body: Any) -> Reply:
            if "slow" in json.dumps(body):
                await asyncio.sleep(0.05)
                return Reply(GOOD, None, "stop", "m", 1, 1)
            raise RequestError("server", "no quota", "top up")

    async def work(client: ModelClient) -> list[Any]:
        slow = asyncio.create_task(client.ask(question("slow?")))
        await asyncio.sleep(0)
        with pytest.raises(UserError):
            await client.ask(question("fast?"))
        return table(folder, "SELECT count(*) FROM replies") if slow else []

    assert talk(folder, Slow(), work) == [(1,)]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply("", "I can't help with that", "stop", "m", 1, 1), "refused"),
        (Reply("", None, "content_filter", "m", 1, 1), "content filter"),
        (Reply('{"word": "do', None, "length", "m", 1, 100), "cut off"),
    ],
)
def test_an_unrepairable_reply_rejects_the_clip(
    folder: WorkspaceFolder, reply: Reply, message: str
) -> None:
    model = ScriptedModel(reply)
    with pytest.raises(RowError, match=message) as caught:
        ask(folder, model)
    assert not caught.value.again
    with pytest.raises(RowError, match=message):
        ask(folder, ScriptedModel())  # the reply was paid for and stored


def test_later_requests_to_a_server_that_refuses_schemas_have_none(
    folder: WorkspaceFolder,
) -> None:
    model = ScriptedModel(NO_SCHEMA, answer=lambda _: GOOD)

    async def work(client: ModelClient) -> None:
        await client.ask(question("one?"))
        await client.ask(question("two?"))

    talk(folder, model, work)
    assert ["response_format" in body for body in model.asked] == [True, False, False]
    again = ScriptedModel()
    talk(folder, again, lambda client: client.ask(question("one?")))
    assert not again.asked


def test_structured_false_never_sends_a_schema(folder: WorkspaceFolder) -> None:
    model = ScriptedModel(GOOD)
    ask(folder, model, settings=SETTINGS.model_copy(update={"structured": False}))
    assert "response_format" not in model.asked[0]


def test_a_strict_schema_has_no_bounds() -> None:
    from pipeline.routes.draft import RouteReply

    text = json.dumps(json_schema(RouteReply))
    assert not any(word in text for word in ("minimum", "maxItems", "default", "title"))
    assert text.count('"additionalProperties": false') == 2


# ---- pace -----------------------------------------------------------------------------------------


def test_the_limit_halves_once_per_round_and_recovers() -> None:
    clock = Clock()
    pace = Pace(64, sleep=clock.sleep, now=clock.now)
    first_round = clock.time
    clock.time += 5
    for _ in range(20):
        pace.pushed_back(sent=first_round)
    assert pace.limit == 32
    pace.pushed_back(sent=clock.time)  # sent after the halving: half was still too much
    assert pace.limit == 16
    for _ in range(5000):
        pace.went_well()
    assert pace.limit == 64


def test_rate_limits_space_the_requests() -> None:
    clock = Clock()

    async def work() -> float:
        pace = Pace(8, 60, 1200, sleep=clock.sleep, now=clock.now)
        for _ in range(5):
            async with pace.slot(100):  # 100 of 1200 tokens a minute: 5 s each
                pass
        return clock.time - 1000

    assert asyncio.run(work()) == pytest.approx(20)


def test_never_more_than_the_limit_at_once() -> None:
    async def work() -> int:
        pace, active, most_active = Pace(3), 0, 0

        async def one() -> None:
            nonlocal active, most_active
            async with pace.slot(1):
                active += 1
                most_active = max(most_active, active)
                await asyncio.sleep(0)
                active -= 1

        await asyncio.gather(*(one() for _ in range(20)))
        return most_active

    assert asyncio.run(work()) == 3


# ---- the wire -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:10:00 GMT"}, 500.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "inf"}, 0.0),
    ],
)
def test_the_wait_in_headers_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float
) -> None:
    assert wait_seconds(headers, now=100.0) == seconds


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:80/v1", True),
        ("http://127.8.9.1/v1", True),
        ("http://192.168.0.4/v1", False),
        ("http://0.0.0.0/v1", False),
        ("https://localhost.example.com/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_loopback_addresses_are_recognised(address: str, local: bool) -> None:
    assert on_loopback(address) is local


def test_a_remote_server_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        OpenAIWire(ModelSettings(model="m", base_url="https://models.example/v1"))


def test_no_server_is_a_user_error(folder: WorkspaceFolder) -> None:
    async def work() -> None:
        async with connect(SETTINGS, folder) as client:
            await client.ask(question())

    with pytest.raises(UserError, match="no server answers") as caught:
        asyncio.run(work())
    assert caught.value.where == SETTINGS.base_url


# ---- money ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("input_usd", "output_usd", "missing"),
    [(3.0, None, "output"), (None, 3.0, "input"), (0.0, None, "output")],
)
def test_one_price_without_the_other_is_refused(
    input_usd: float | None, output_usd: float | None, missing: str
) -> None:
    prices = {"input_usd_per_million": input_usd, "output_usd_per_million": output_usd}
    for base in (SETTINGS, remote("gpt-4o")):
        with pytest.raises(UserError, match="would count as free") as caught:
            price_of(base.model_copy(update=prices))
        assert caught.value.where == f"draft.{missing}_usd_per_million"
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_is_a_number_of_dollars(price: float) -> None:
    with pytest.raises(ValueError, match="output"):
        Price(name="m", input=1, output=price, pictures="tiles")


def completion(
    content: object = GOOD, finish: object = "stop", usage: object = None, **message: Any
) -> dict[str, Any]:
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return {"choices": [choice]} | ({} if usage is None else {"usage": usage})


def counted(given: object, made: object, **more: object) -> dict[str, object]:
    return {"prompt_tokens": given, "completion_tokens": made, **more}


RATE_LIMITED = {"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429}}


@pytest.mark.parametrize(
    ("body", "says", "unknown", "tokens"),
    [
        (RATE_LIMITED, "429: Rate limit exceeded: free-models-per-day", False, None),
        ({"error": "of Ollama"}, "of Ollama", False, None),
        ({"detail": "of FastAPI"}, "of FastAPI", False, None),
        ([{"error": {"message": "of Gemini"}}], "of Gemini", False, None),
        (RATE_LIMITED | {"usage": counted(9, 1)}, "429", False, (9, 1)),
        ({"choices": [{"message": {"content": ""}, "error": {"code": 502}}]}, "502", False, None),
        (completion("a", "error"), "error", True, None),
        ({"choices": [{"message": {"content": ""}}], "error": "late"}, "late", False, None),
        ({"choices": [{"message": {"content": ""}}]}, "no chat", False, None),
        ({"error_code": 18, "error_msg": "of Baidu"}, "of Baidu", False, None),
        ({"base_resp": {"status_msg": "of MiniMax"}, "choices": None}, "of MiniMax", False, None),
        ({"Response": {"Error": {"Message": "of Tencent"}}}, "of Tencent", False, None),
        ({"hello": "world"}, 'no chat completion: {"hello": "world"}', True, None),
        ({"choices": []}, "no chat completion", False, None),
        ({"choices": [], "usage": counted(9, 1)}, "no chat completion", False, (9, 1)),
    ],
)
def test_an_error_inside_a_reply_costs_only_what_it_counts(
    body: object, says: str, unknown: bool, tokens: tuple[int, int] | None
) -> None:
    with pytest.raises(RequestError, match=re.escape(says)) as caught:
        read_completion(body, Names("m"), 0)
    assert (caught.value.about, caught.value.unknown) == ("moment", unknown)
    assert caught.value.tokens == tokens


@pytest.mark.parametrize("finish", ["refusal", "SAFETY", "sensitive", "content_filter"])
def test_every_word_for_a_filter_is_known(finish: str) -> None:
    assert read_completion(completion("", finish), Names("m"), 0).finish == "content_filter"


def test_errors_of_unknown_cost_from_earlier_versions_cost_nothing(folder: WorkspaceFolder) -> None:
    ask(folder, ScriptedModel(GOOD))
    with sqlite3.connect(folder.root / "llm.sqlite") as db:
        for note in ("the reply is not a chat completion", "the connection was lost"):
            db.execute(
                "INSERT INTO requests (key, state, reserved_usd, note) VALUES ('k', 'unknown', 7, ?)",
                (note,),
            )
    db.close()
    journal = Journal(folder.root / "llm.sqlite")
    assert journal.ledger.totals().unknown_usd == 7
    journal.close()


def test_a_failure_with_token_counts_is_paid_at_its_price(folder: WorkspaceFolder) -> None:
    ask(folder, ScriptedModel(RequestError("moment", "error", tokens=(10, 10)), GOOD))
    assert table(folder, "SELECT state, cost_usd FROM requests ORDER BY id") == [
        ("paid", pytest.approx(0.03)),
        ("kept", pytest.approx(0.2)),
    ]
    journal = Journal(folder.root / "llm.sqlite")
    assert journal.ledger.totals().cost_usd == pytest.approx(0.23)
    journal.close()


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (counted(9, 2), (9, 2)),
        (counted("9", 2.0), (9, 2)),
        (counted(9, 2, total_tokens=31), (9, 22)),  # reasoning that the completion leaves out
        (counted(-9, 2), (None, None)),
        (counted(9, None), (None, None)),
        (counted(0, 0), (None, None)),
        (counted(float("nan"), 2), (None, None)),
        ("many", (None, None)),
        (None, (None, None)),
    ],
)
def test_token_counts_are_believed_only_if_they_can_be_true(
    usage: object, tokens: tuple[int | None, int | None]
) -> None:
    reply = read_completion(completion(usage=usage), Names("m"), 0)
    assert (reply.input_tokens, reply.output_tokens) == tokens


# ---- where the answer is --------------------------------------------------------------------------

CALL = {"function": {"name": "answer", "arguments": GOOD}}


@pytest.mark.parametrize(
    "body",
    [
        completion(),
        completion([{"type": "text", "text": GOOD[:5]}, {"type": "text", "text": GOOD[5:]}]),
        completion([{"type": "thinking", "thinking": [{"text": '{"word": "no"}'}]}, GOOD]),
        completion({"word": "door"}),
        completion(None, "tool_calls", tool_calls=[CALL]),
        completion("", tool_calls=[{"function": {"arguments": {"word": "door"}}}]),
        completion(None, function_call=CALL["function"]),
        completion(None, reasoning_content=GOOD),
        completion("Done.", reasoning=f"It is a door, so: {GOOD}"),
        completion(None, reasoning_content=f'{{"word": "no"}}</think>{GOOD}'),
        completion(GOOD, reasoning_content='{"word": "no"}'),
    ],
)
def test_the_answer_is_found_in_every_field_that_servers_use(
    folder: WorkspaceFolder, body: dict[str, Any]
) -> None:
    reply = read_completion(body, Names("m"), 0)
    first = ask(folder, ScriptedModel(reply))
    assert first.value == Word(word="door")
    assert ask(folder, ScriptedModel()) == first  # stored with all its fields


def test_half_a_surrogate_pair_is_stored(folder: WorkspaceFolder) -> None:
    body = json.loads(r'{"choices": [{"message": {"content": "{\"word\": \"do\ud83dor\"}"}}]}')
    model = ScriptedModel(read_completion(body, Names("m"), 0), GOOD)
    assert ask(folder, model).value == Word(word="door")


# ---- forms ----------------------------------------------------------------------------------------


def refusing(*names: str, **more: Any) -> ScriptedModel:
    """Return a server that refuses requests with these fields."""

    class Refusing(ScriptedModel):
        async def send(self, body: Any) -> Reply:
            reply = await super().send(body)
            for name in names:
                if name in body:
                    raise RequestError("request", f"no {name}", form=True, **more)
            return reply

    return Refusing(answer=lambda _: GOOD)


def sent(model: ScriptedModel) -> list[tuple[bool, bool]]:
    return [("response_format" in body, "max_tokens" in body) for body in model.asked]


def two(client: ModelClient) -> Awaitable[Any]:
    async def work() -> None:
        await client.ask(question("one?"))
        await client.ask(question("two?"))

    return work()


S_C, N_C, S_T, N_T = (True, False), (False, False), (True, True), (False, True)


@pytest.mark.parametrize(
    ("names", "kind", "forms"),
    [
        (("max_completion_tokens",), "limit", [S_C, S_T, S_T]),
        (("max_completion_tokens",), "other", [S_C, N_C, S_T, S_T]),
        (("response_format",), "other", [S_C, N_C, N_C]),
        (("response_format", "max_completion_tokens"), "other", [S_C, N_C, S_T, N_T, N_T]),
    ],
)
def test_the_form_that_a_server_accepts_is_found_and_remembered(
    folder: WorkspaceFolder,
    caplog: pytest.LogCaptureFixture,
    names: tuple[str, ...],
    kind: Any,
    forms: list[tuple[bool, bool]],
) -> None:
    model = refusing(*names, kind=kind)
    talk(folder, model, two)
    assert sent(model) == forms
    assert ("draft.structured = false" in caplog.text) is ("response_format" in names)
    assert ('draft.limit_name = "max_tokens"' in caplog.text) is ("max_completion_tokens" in names)
    again = ScriptedModel()
    talk(folder, again, two)  # stored under the form that was sent
    assert not again.asked


def test_a_refusal_in_every_form_is_what_the_server_said_first(folder: WorkspaceFolder) -> None:
    errors = [RequestError("request", f"no {n}", form=True) for n in range(3)]
    limit = RequestError("server", "no max_tokens", form=True, kind="limit")
    with pytest.raises(RowError, match="no 1") as caught:
        ask(folder, ScriptedModel(NO_SCHEMA, errors[1], limit, limit))
    assert caught.value.again


def test_limit_name_is_used_alone(folder: WorkspaceFolder) -> None:
    model = ScriptedModel(GOOD)
    ask(folder, model, settings=SETTINGS.model_copy(update={"limit_name": "max_tokens"}))
    assert sent(model) == [S_T]


def test_an_answer_cut_off_early_is_asked_for_with_the_other_name(folder: WorkspaceFolder) -> None:
    cut = Reply(GOOD[:8], None, "length", "m", 100, 16)
    model = ScriptedModel(cut, GOOD, GOOD)
    talk(folder, model, two)
    assert sent(model) == [S_C, S_T, S_T]
    again = ScriptedModel()
    talk(folder, again, two)
    assert not again.asked


def test_a_server_that_fails_on_schemas_is_asked_without(folder: WorkspaceFolder) -> None:
    failed = RequestError("moment", "500", form=True)
    model = ScriptedModel(failed, failed, answer=lambda _: GOOD)
    talk(folder, model, two)
    assert sent(model) == [S_C, S_C, N_C, N_C]


def test_a_server_that_refuses_every_request_stops_the_run(folder: WorkspaceFolder) -> None:
    refusals = [RequestError("request", "not today") for _ in range(20)]

    async def work(client: ModelClient) -> Any:
        asked = (client.ask(question(f"word {number}?")) for number in range(25))
        return await asyncio.gather(*asked, return_exceptions=True)

    one_by_one = SETTINGS.model_copy(update={"in_flight": 1})
    found = talk(folder, ScriptedModel(*refusals), work, one_by_one)
    assert [type(error) for error in found] == [RowError] * 19 + [UserError] * 6
    assert "refused the first 20 requests, the last time: not today" in str(found[-1])


# ---- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["1", "test", "none", "sk-1234", "latest-test"])
def test_a_short_key_changes_no_text(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    text = f"12.5 s, the latest-test, none, sk-1234, {key}"
    wire = OpenAIWire(ModelSettings(model="m", base_url="http://127.0.0.1:9/v1"))
    assert wire._read(httpx2.Response(200, json=completion(text))).text == text
    assert Secret(key).hidden(text) == text


@pytest.mark.parametrize("where", ["content", "refusal", "reasoning_content"])
def test_a_reply_with_the_whole_key_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    wire = OpenAIWire(ModelSettings(model="m", base_url="http://127.0.0.1:9/v1"))
    message = {"content": "", where: "a sk-very-secret-0123456789 b"}
    body = completion(usage=counted(9, 2)) | {"choices": [{"message": message}]}
    with pytest.raises(RequestError, match="contains the key") as caught:
        wire._read(httpx2.Response(200, json=body))
    assert (caught.value.about, caught.value.tokens) == ("request", (9, 2))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "shown", ["{0}", "Bearer {0}.", '"{0}"', "x{0}y", "{0:.12}***", "{0:.8}…6789", "{0:.16}"]
)
def test_a_key_in_an_error_is_hidden_whole_cut_or_masked(shown: str) -> None:
    key = "sk-very-secret-0123456789"
    text = Secret(key).hidden(f"bad key {shown.format(key)} here")
    assert "[key]" in text
    assert not re.search("secret|6789", text)
    assert text.startswith("bad key ")
    assert text.endswith(" here")


def test_words_that_begin_like_a_key_are_not_hidden() -> None:
    text = "passwords differ; my-password12 too"
    assert Secret("password1234").hidden(text) == text


@pytest.mark.parametrize("key", ["schlüssel-0123456789", "sk-two\nlines-0123456789"])
def test_a_key_that_cannot_be_sent_is_a_user_error(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="characters that no key has"):
        OpenAIWire(ModelSettings(model="m", base_url="http://127.0.0.1:9/v1"))
