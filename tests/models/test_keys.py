"""Which key reaches which server: two real HTTP servers write down every header that they get."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.models.chat import Message
from pipeline.models.keys import Key, key_for, same_server
from pipeline.models.llm import connect
from pipeline.models.settings import EvaluatedModel, JudgeModel, ModelSettings, ThinkModel

DRAFT, MODEL, JUDGE = "sk-draft-0123456789", "sk-model-0123456789", "sk-judge-0123456789"
ACCOUNT = {
    "OPENAI_ORG_ID": "org-secret",
    "OPENAI_PROJECT_ID": "proj-secret",
    "OPENAI_ADMIN_KEY": "sk-admin-0123456789",
    "OPENAI_CUSTOM_HEADERS": "X-Gateway: gateway-secret",
}
ALL = {"OPENAI_API_KEY": DRAFT, "EGOST_MODEL_API_KEY": MODEL, "EGOST_JUDGE_API_KEY": JUDGE}
REMOTE = "https://models.example/v1"


@contextmanager
def server() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A chat completion server, with the headers of each request that it got."""
    came: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            came.append({name.lower(): value for name, value in self.headers.items()})
            choice = {"message": {"content": "A"}, "finish_reason": "stop"}
            data = json.dumps({"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}/v1", came
        found.shutdown()
        thread.join()


def ask(settings: ModelSettings, place: Path) -> None:
    async def once() -> None:
        async with connect(settings, WorkspaceFolder(place)) as client:
            await client.complete((Message("user", (settings.section,)),))

    place.mkdir(exist_ok=True)
    asyncio.run(once())


def test_no_key_reaches_the_server_of_another_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (ALL | ACCOUNT).items():
        monkeypatch.setenv(name, value)
    with server() as (drafting, first), server() as (other, second):
        ask(ModelSettings(model="m", base_url=drafting), tmp_path / "d")
        ask(EvaluatedModel(model="m", base_url=other, draft_base_url=drafting), tmp_path / "e")
        ask(JudgeModel(model="m", base_url=other), tmp_path / "j")
    assert [headers["authorization"] for headers in first] == [f"Bearer {DRAFT}"]
    assert [headers["authorization"] for headers in second] == [
        f"Bearer {MODEL}",
        f"Bearer {JUDGE}",
    ]
    sent = json.dumps(second)
    assert "sk-draft" not in sent
    assert "secret" not in sent
    assert "sk-admin" not in sent


def test_the_drafting_key_alone_stays_at_the_drafting_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ({"OPENAI_API_KEY": DRAFT} | ACCOUNT).items():
        monkeypatch.setenv(name, value)
    with server() as (drafting, first), server() as (other, second):
        ask(EvaluatedModel(model="m", base_url=other, draft_base_url=drafting), tmp_path / "e")
        same = EvaluatedModel(model="m", base_url=f"{drafting}/", draft_base_url=drafting)
        ask(same, tmp_path / "s")
        named = EvaluatedModel(model="n", base_url=other, api_key_env="OPENAI_API_KEY")
        ask(named, tmp_path / "n")
    assert [headers["authorization"] for headers in first] == [f"Bearer {DRAFT}"]
    assert [headers["authorization"] for headers in second] == ["Bearer none", f"Bearer {DRAFT}"]
    assert "secret" not in json.dumps(second)


# ---- the rule --------------------------------------------------------------------------------------


def chosen(settings: ModelSettings, **environment: str) -> str:
    return key_for(settings, environment).value


@pytest.mark.parametrize(
    ("settings", "environment", "key"),
    [
        (ModelSettings(), ALL, DRAFT),
        (ModelSettings(base_url=REMOTE), ALL, DRAFT),
        (EvaluatedModel(), ALL, MODEL),
        (EvaluatedModel(), {"OPENAI_API_KEY": DRAFT}, DRAFT),
        (
            EvaluatedModel(base_url="https://API.openai.com:443/v1/"),
            {"OPENAI_API_KEY": DRAFT},
            DRAFT,
        ),
        (EvaluatedModel(base_url=REMOTE), ALL, MODEL),
        (EvaluatedModel(base_url=REMOTE, draft_base_url=REMOTE), {"OPENAI_API_KEY": DRAFT}, DRAFT),
        (EvaluatedModel(base_url=REMOTE, api_key_env="MY"), ALL | {"MY": "mine"}, "mine"),
        (EvaluatedModel(api_key_env="MY"), ALL | {"MY": "mine"}, "mine"),
        (JudgeModel(base_url=REMOTE), ALL, JUDGE),
        (ThinkModel(base_url=REMOTE), ALL | {"EGOST_THINK_API_KEY": "sk-think"}, "sk-think"),
        (JudgeModel(), {"OPENAI_API_KEY": DRAFT, "EGOST_MODEL_API_KEY": MODEL}, DRAFT),
        (EvaluatedModel(base_url="http://127.0.0.1:8000/v1"), {"OPENAI_API_KEY": DRAFT}, ""),
        (EvaluatedModel(base_url="http://127.0.0.1:8000/v1"), ALL, MODEL),
    ],
)
def test_the_key_of_a_role(settings: ModelSettings, environment: dict[str, str], key: str) -> None:
    assert chosen(settings, **environment) == key


@pytest.mark.parametrize(
    ("settings", "environment", "name"),
    [
        (ModelSettings(), {}, "OPENAI_API_KEY"),
        (EvaluatedModel(base_url=REMOTE), {"OPENAI_API_KEY": DRAFT}, "EGOST_MODEL_API_KEY"),
        (EvaluatedModel(base_url="https://api.openai.com.evil.example/v1"), {"OPENAI_API_KEY": DRAFT}, "EGOST_MODEL_API_KEY"),
        (EvaluatedModel(base_url="http://api.openai.com/v1"), {"OPENAI_API_KEY": DRAFT}, "EGOST_MODEL_API_KEY"),
        (EvaluatedModel(), {}, "EGOST_MODEL_API_KEY"),
        (EvaluatedModel(draft_base_url=REMOTE), {"OPENAI_API_KEY": DRAFT}, "EGOST_MODEL_API_KEY"),
        (JudgeModel(base_url=REMOTE), {"EGOST_MODEL_API_KEY": MODEL}, "EGOST_JUDGE_API_KEY"),
        (ThinkModel(base_url=REMOTE), ALL, "EGOST_THINK_API_KEY"),
        (EvaluatedModel(api_key_env="MY"), ALL, "MY"),
        (EvaluatedModel(base_url="http://127.0.0.1:1/v1", api_key_env="MY"), ALL, "MY"),
    ],
)  # fmt: skip
def test_no_request_is_sent_where_a_key_is_missing(
    settings: ModelSettings, environment: dict[str, str], name: str
) -> None:
    with pytest.raises(UserError, match="is not set") as caught:
        chosen(settings, **environment)
    assert caught.value.where == name
    assert f"export {name}=" in caught.value.fix


def test_a_key_in_place_of_a_variable_is_not_shown() -> None:
    with pytest.raises(UserError, match="not the name of a variable") as caught:
        chosen(EvaluatedModel(api_key_env=MODEL))
    assert MODEL not in str(caught.value)


def test_a_key_is_not_shown() -> None:
    assert "sk-" not in repr(Key("OPENAI_API_KEY", DRAFT))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/v1", "https://A.example:443/v1/", True),
        ("https://a.example/v1", "http://a.example/v1", False),
        ("https://a.example/v1", "https://a.example:8443/v1", False),
        ("https://a.example/v1", "https://a.example/v2", False),
        ("http://127.0.0.1:1/v1", "http://localhost:1/v1", False),
    ],
)
def test_addresses_are_compared_however_they_are_spelled(one: str, other: str, same: bool) -> None:
    assert same_server(one, other) is same
