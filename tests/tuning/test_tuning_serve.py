"""A served model answers as OpenAI's API does, refuses what it doesn't support, and goes on after any fault."""

import http.client
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
import torch
from talking import asked, body, image, image_url

from pipeline.errors import UserError
from pipeline.tuning import serve
from pipeline.tuning.serve import Server, loaded, models_of, serving
from pipeline.tuning.served import Served
from pipeline.tuning.vlm import load, save


@pytest.fixture(scope="module")
def models(tiny_folders: dict[str, Path]) -> dict[str, Served]:
    return loaded({"tiny": tiny_folders["qwen2_5_vl"], "three": tiny_folders["qwen3_vl"]}, "cpu")


@pytest.fixture(scope="module")
def server(models: dict[str, Served]) -> Iterator[Server]:
    made = Server(models, batch=4)
    yield made
    made.close()


@pytest.fixture
def endless(models: dict[str, Served], monkeypatch: pytest.MonkeyPatch) -> None:
    """No token ends a reply, so that a long one is as long as its limit."""
    monkeypatch.setattr(models["tiny"], "_ends", [1_000_000])


@pytest.fixture
def url(server: Server) -> str:
    return server.url


def test_the_official_client_gets_completions(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        assert [one.id for one in client.models.list()] == ["tiny", "three"]
        assert client.models.retrieve("three").id == "three"
        found = client.chat.completions.create(
            model="tiny",
            messages=[
                {"role": "system", "content": "Look."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "0:01.0"},
                        {"type": "image_url", "image_url": {"url": image_url()}},
                        {"type": "text", "text": "What is this?"},
                    ],
                },
            ],
            max_completion_tokens=5,
            temperature=0,
        )
        (choice,) = found.choices
        assert choice.finish_reason == "length"
        assert choice.message.content
        assert found.usage
        assert found.usage.completion_tokens == 5
        assert found.model == "tiny"
        with pytest.raises(openai.NotFoundError, match="served: tiny, three"):
            client.chat.completions.create(
                model="other", messages=[{"role": "user", "content": "x"}]
            )
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model="tiny", messages=[{"role": "user", "content": "x"}], max_tokens=40_000
            )
        assert caught.value.code == "context_length_exceeded"


def test_prompt_tokens_include_those_of_images_wherever_they_stand(url: str) -> None:
    def tokens(*content: object) -> int:
        return int(asked(url, body(*content)).body["usage"]["prompt_tokens"])

    plain = tokens("a", "b")
    # 64 x 48 pixels become 4 patches of 28 x 28 (at least as many pixels as the processor asks for), and two marks.
    assert tokens("a", image(), "b") == plain + 4 + 2
    assert tokens(image(size=(112, 56)), "a", image(), "b") == plain + 8 + 2 + 4 + 2


def test_order_and_colours_of_images_reach_the_model(url: str) -> None:
    red, blue = image("red"), image("blue")
    texts = {
        asked(url, body(*content, max_tokens=24)).text
        for content in (
            (red, "and", blue),
            (blue, "and", red),
            (red, "and", red),
            ("and", red, blue),
        )
    }
    assert len(texts) == 4


def test_a_seed_repeats_a_reply_and_another_one_does_not(url: str) -> None:
    def text(**fields: object) -> str:
        return asked(url, body("Say", max_tokens=30, **fields)).text

    assert text(temperature=1, seed=3) == text(temperature=1, seed=3)
    assert text(temperature=1, seed=3) != text(temperature=1, seed=4)
    assert text(temperature=1) != text(temperature=1)
    assert (
        text(temperature=0)
        == text()
        == text(temperature=1, top_p=0)
        == text(temperature=2, top_k=1)
        == text(temperature=1e-40)
        == text(temperature=1e-5)
    )


def test_a_stop_ends_the_reply_before_it(url: str) -> None:
    whole = asked(url, body("Say", max_tokens=30, temperature=1, seed=1)).text
    stop = whole[8:11]
    found = asked(url, body("Say", max_tokens=30, temperature=1, seed=1, stop=[stop, "never"]))
    assert found.text == whole[: whole.index(stop)]
    assert found.finish == "stop"
    assert found.body["usage"]["completion_tokens"] < 30


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": None}, 400, "name of a model"),
        ({"model": "nobody"}, 404, "does not exist"),
        ({"messages": []}, 400, "at least one message"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "role"),
        ({"messages": [{"role": {}, "content": "x"}]}, 400, "role"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, 400, "text and image_url"),
        ({"messages": [{"role": "user", "content": "a <|image_pad|>"}]}, 400, "stand for pictures"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, 400, "surrogate"),
        ({"stop": "\ud800"}, 400, "surrogate"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_completion_tokens": "8"}, 400, "max_completion_tokens"),
        ({"max_tokens": 32_768}, 400, "context length is 32768"),
        ({"temperature": 3}, 400, "temperature"),
        ({"temperature": True}, 400, "temperature"),
        ({"temperature": 10**400}, 400, "temperature"),
        ({"temperature": float("nan")}, 400, "temperature"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, 400, "0.name: isn't supported"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": [{}]}]}, 400, "tool_calls"),
        ({"top_p": -0.1}, 400, "top_p"),
        ({"seed": 0.5}, 400, "seed"),
        ({"stop": [""]}, 400, "stop"),
        ({"n": 2}, 400, "n: 2 isn't supported by this server; send"),
        ({"stream": True}, 400, "stream: true"),
        ({"logprobs": True}, 400, "logprobs: true"),
        ({"response_format": {"type": "json_schema"}}, 400, "response_format"),
        ({"repetition_penalty": 1.1}, 400, "repetition_penalty: isn't supported"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(
    url: str, change: dict[str, object], status: int, words: str
) -> None:
    found = asked(url, body("x") | change)
    assert (found.status, words in found.message) == (status, True), found.message
    assert found.body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("https://example.org/a.jpg", "no other address is fetched"),
        ("file:///etc/passwd", "no other address is fetched"),
        ("data:image/jpeg;base64,%%%", "no base64"),
        ("data:image/jpeg;base64,aGVsbG8=", "or is damaged"),
        ("cut", "can't be used"),
        ("long", "can't be used"),
    ],
)
def test_an_image_that_can_not_be_used_is_refused(url: str, given: str, words: str) -> None:
    if given == "cut":
        given = image_url(size=(640, 480))[: len("data:image/jpeg;base64,") + 4000]
    if given == "long":  # 300 : 1, more than the processor takes
        given = image_url(size=(3000, 10))
    found = asked(url, body({"type": "image_url", "image_url": {"url": given}}))
    assert (found.status, words in found.message) == (400, True), found.message


def test_bodies_and_addresses_that_are_none_get_an_error(url: str, server: Server) -> None:
    assert asked(url, b"{").message == "the body is no JSON"
    assert asked(url, b"[" * 100_000).status == 400
    assert asked(url, b"[]").status == 400
    assert asked(url, b"\xff\x00").status == 400
    assert asked(url, {}, "/completions").status == 404
    assert asked(url, None, "/models/x").body["error"]["code"] == "model_not_found"
    assert asked(url, body("x"), Host="evil.example").status == 403
    root = url.removesuffix("/v1")
    assert asked(root, None, "/health").body["status"] == "ok"
    assert asked(root, None, "/").status == 404
    assert server.queue.taken == 0


def test_a_body_that_is_too_large_gets_413_and_the_next_one_its_reply(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_MOST_BYTES", 5000)
    found = asked(url, body("x" * 3_000_000))
    assert (found.status, found.body["error"]["code"]) == (413, "request_too_large")
    assert asked(url, body("x")).status == 200


def test_a_failed_generation_gets_500_others_in_its_batch_a_reply_and_the_server_goes_on(
    models: dict[str, Served], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = Served.answers
    sizes = []

    def failing(self: Served, asks: list, *rest: object) -> list:  # type: ignore[type-arg]
        sizes.append(len(asks))
        if any("poison" in str(ask.turns) for ask in asks):
            raise RuntimeError("CUDA out of memory")
        return answers(self, asks, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Served, "answers", failing)
    server = Server(models, batch=4)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(
                pool.map(lambda word: asked(server.url, body(word)), ("a", "poison", "b", "c"))
            )
        assert [one.status for one in found] == [200, 500, 200, 200]
        assert "RuntimeError: CUDA out of memory" in found[1].message
        assert found[1].body["error"]["type"] == "server_error"
        assert max(sizes) > 1
        assert asked(server.url, body("again")).status == 200
        assert "a request failed" in caplog.text
    finally:
        server.close()


def test_a_server_that_is_full_asks_to_come_back(models: dict[str, Served]) -> None:
    server = Server(models)
    try:
        server.queue.places = 0
        found = asked(server.url, body("x"))
        assert found.status == 503
        assert int(found.headers["Retry-After"]) >= 1
        server.queue.places = 1
        assert asked(server.url, body("x")).status == 200
    finally:
        server.close()


@pytest.mark.usefixtures("endless")
def test_a_client_that_goes_away_ends_its_request(server: Server, url: str) -> None:
    data = json.dumps(body("x", max_tokens=30_000, temperature=1)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n"
    port = int(url.rpartition(":")[2].partition("/")[0])
    answered = server.queue.answered
    for sent in (head.encode(), head.encode() + data[:50], head.encode() + data):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
            time.sleep(0.2)
    deadline = time.monotonic() + 20  # 30,000 tokens would take minutes
    while server.queue.taken and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.queue.taken == 0
    assert asked(url, body("x")).status == 200
    assert time.monotonic() < deadline
    assert server.queue.answered == answered + 1


@pytest.mark.usefixtures("endless")
def test_waiting_requests_of_a_client_that_goes_away_free_their_places(
    models: dict[str, Served],
) -> None:
    server = Server(models, batch=1)
    try:
        with ThreadPoolExecutor(1) as pool:
            long = pool.submit(asked, server.url, body("x", max_tokens=1200, temperature=1))
            data = json.dumps(body("y")).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n"
            time.sleep(0.5)
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", int(server.url[17:-3]))) as connection:
                    connection.sendall(head.encode() + data)
                    time.sleep(0.1)
            time.sleep(1)
            assert server.queue.taken == 1
            assert not long.done()
            assert long.result().status == 200
        assert server.queue.answered == 1
    finally:
        server.close()


@pytest.mark.parametrize("length", ["-5", "x", "\xb2", "9" * 5000, None])
def test_a_length_that_is_none_gets_411(url: str, length: str | None) -> None:
    head = "POST /v1/chat/completions HTTP/1.1\r\n"
    head += f"Content-Length: {length}\r\n" if length else "Transfer-Encoding: chunked\r\n"
    with socket.create_connection(("127.0.0.1", int(url[17:-3]))) as connection:
        connection.sendall(head.encode("latin-1") + b"\r\n{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/models HTTP/1.1\r\nHost: [\r\n\r\n", 403),
        (b"GET http://[::1/ HTTP/1.1\r\n\r\n", 404),
        (b"PUT /v1/models HTTP/1.1\r\n\r\n", 501),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    ],
)
def test_requests_that_are_none_get_an_error_in_the_same_form(
    url: str, sent: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", int(url[17:-3]))) as connection:
        connection.sendall(sent)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert (reply.status, json.load(reply)["error"]["param"]) == (status, None)


def test_a_body_that_comes_byte_by_byte_loses_its_place(
    models: dict[str, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_BODY_SECONDS", 0.5)
    server = Server(models)
    try:
        server.queue.places = 1
        with socket.create_connection(("127.0.0.1", int(server.url[17:-3]))) as connection:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
            connection.sendall(head)
            deadline = time.monotonic() + 20
            while not select.select([connection], [], [], 0.1)[0]:
                assert time.monotonic() < deadline
                connection.sendall(b"x")
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert asked(server.url, body("x")).status == 200
    finally:
        server.close()


def test_weights_that_are_no_numbers_are_an_error_and_no_reply(
    tiny_folders: dict[str, Path],
) -> None:
    (model,) = loaded({"tiny": tiny_folders["qwen2_vl"]}, "cpu").values()
    with torch.no_grad():
        model._model.get_input_embeddings().weight.fill_(torch.nan)
    server = Server({"tiny": model})
    try:
        found = asked(server.url, body("x", temperature=0))
    finally:
        server.close()
    assert (found.status, "weights are damaged" in found.message) == (500, True)


@pytest.mark.usefixtures("endless")
def test_closing_refuses_what_is_not_done(models: dict[str, Served]) -> None:
    server = Server(models, batch=1)
    with ThreadPoolExecutor(3) as pool:
        long = [
            pool.submit(asked, server.url, body("x", max_tokens=30_000, temperature=1))
            for _ in range(3)
        ]
        while server.queue.taken < 3:
            time.sleep(0.01)
        time.sleep(0.2)
        begun = time.monotonic()
        server.close()
        assert time.monotonic() - begun < 10
        assert {one.result().status for one in long} == {503}
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(server.url[17:-3])), 1)


def test_serving_a_run_serves_its_model_and_puts_threads_back(
    tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "sft-tiny"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with pytest.raises(UserError, match="hasn't finished"), serving({"a": run}):
        pass
    (run / "model").symlink_to(tiny_folders["qwen2_vl"])
    before, threads = torch.get_num_threads(), threading.active_count()
    with serving({"a/b": run}, threads=2) as url:
        assert asked(url, body("x", model="a/b")).status == 200
    assert torch.get_num_threads() == before
    assert threading.active_count() == threads


# PEFT 0.21 asks transformers 5.23 by the old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_is_served_on_its_base(
    tiny_folders: dict[str, Path], tmp_path: Path, url: str
) -> None:
    from peft import LoraConfig, get_peft_model

    base = load(tiny_folders["qwen2_5_vl"], device="cpu")
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    model = get_peft_model(base.model, config)
    model.peft_config["default"].base_model_name_or_path = str(tiny_folders["qwen2_5_vl"])
    save(model, base.processor, tmp_path)
    sent = body("a", image(), "b", max_tokens=20)
    with serving({"tiny": tmp_path}) as other:
        assert asked(other, sent).text != asked(url, sent).text


def test_models_are_named_by_their_folders_or_as_is_given(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "a=b").mkdir()
    given = [
        str(tmp_path / "one"),
        f"two={tmp_path}/one",
        "Qwen/Qwen2-VL-2B",
        str(tmp_path / "a=b"),
    ]
    assert models_of(given) == {
        "one": str(tmp_path / "one"),
        "two": f"{tmp_path}/one",
        "Qwen/Qwen2-VL-2B": "Qwen/Qwen2-VL-2B",
        "a=b": str(tmp_path / "a=b"),
    }
    with pytest.raises(UserError, match="two models would be served as one"):
        models_of([str(tmp_path / "one"), f"one={tmp_path}"])


def test_what_can_not_be_loaded_or_listened_on_is_an_error_of_the_user(
    server: Server, tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="can't be loaded"):
        loaded({"a": tmp_path}, "cpu")
    with pytest.raises(UserError, match="--device nonsense"):
        loaded({"a": tiny_folders["qwen2_vl"]}, "nonsense")
    with pytest.raises(UserError, match="can't be listened on"):
        Server({}, port=int(server.url[17:-3]))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_how_to_score_and_ends_with_one_line(
    tiny_folders: dict[str, Path], stop: signal.Signals
) -> None:
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "train",
        "serve",
        f"a={tiny_folders['qwen2_5_vl']}",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout
        ready, score = started.stdout.readline(), started.stdout.readline()
        url = ready.split()[-1]
        assert ready == f"train serve: a at {url}\n"
        assert score.startswith(f"score: egost evaluate RELEASE --model a --base-url {url} ")
        assert asked(url, body("x", model="a")).status == 200
        started.send_signal(stop)
        rest, errors = started.communicate(timeout=60)
    assert rest == "train serve: stopped; replies: 1\n"
    assert started.returncode == 0
    assert "Traceback" not in errors
