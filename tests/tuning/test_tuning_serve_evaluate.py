"""egost evaluate scores a served model like any other, and understands what the server refuses."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_release import release, small_space, varied
from talking import body

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.evaluate import evaluation, score
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.results import read_results
from pipeline.models.failures import RequestError
from pipeline.models.openai_wire import OpenAIWire
from pipeline.models.settings import EvaluatedModel
from pipeline.tuning.serve import Server, loaded


@pytest.fixture(scope="module")
def server(tiny_folders: dict[str, Path]) -> Iterator[Server]:
    made = Server(loaded({"tiny": tiny_folders["qwen2_5_vl"]}, "cpu"), batch=4)
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release") / "w"
    with small_space(root, 12, walk=varied, split="test") as space:
        return release(space).folder


def test_every_item_gets_a_prediction(
    server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (evaluation, score):  # they have tests of their own, and take seconds
        monkeypatch.setattr(module, "baselines", lambda *_, **__: Baselines((), None, ()))
    # More requests at once than the server takes: it asks the client to wait, and nothing is lost.
    server.queue.places = 6
    words = [
        "evaluate", folder, "--model", "tiny", "--base-url", server.url, "--arms", "frames,blind",
        "--prompt", "direct", "--out", tmp_path / "results",
        "--set", "evaluate.temperature=0", "--set", "evaluate.max_completion_tokens=100",
        "--set", "evaluate.in_flight=12", "--set", "evaluate.timeout_seconds=600",
    ]  # fmt: skip
    before = server.queue.answered
    assert exit_code(cli, [str(word) for word in words]) == 0
    (found,) = (tmp_path / "results").glob("*/results.json")
    results = read_results(found.parent)
    assert len(results.predictions) == 2 * len(results.questions) >= 40
    assert {one.arm for one in results.predictions} == {"frames", "blind"}
    assert [one.error for one in results.predictions if one.outcome == "failed"] == []
    assert all(one.finish in ("stop", "length") for one in results.predictions)
    assert {one.fingerprint for one in results.predictions} == {
        server.queue.models["tiny"].fingerprint
    }
    tokens: dict[str, dict[str, int]] = {"frames": {}, "blind": {}}
    for one in results.predictions:
        tokens[one.arm][one.id] = one.input_tokens or 0
    assert all(count > tokens["blind"][name] for name, count in tokens["frames"].items())
    # Asked again, nothing is sent: replies are kept.
    asked = server.queue.answered
    assert asked > before
    assert exit_code(cli, [str(word) for word in words]) == 0
    assert server.queue.answered == asked


VIDEO = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}


@pytest.mark.parametrize(
    ("change", "about", "kind"),
    [
        ({"max_tokens": 40_000}, "request", "size"),
        ({"model": "other"}, "server", "model"),
        ({"messages": [{"role": "user", "content": [VIDEO]}]}, "request", "other"),
        ({"response_format": {"type": "json_schema"}}, "request", "schema"),
        ({"top_k": "x"}, "request", "other"),
    ],
)
def test_the_client_knows_what_a_refusal_means(
    server: Server, change: dict[str, Any], about: str, kind: str
) -> None:
    error = refused(server, body("x") | change)
    assert (error.about, error.kind) == (about, kind), error.what


def test_the_client_waits_for_a_server_that_is_full(server: Server) -> None:
    server.queue.places = 0
    try:
        error = refused(server, body("x"))
    finally:
        server.queue.places = 16
    assert (error.about, error.overload) == ("moment", True)
    assert error.wait_seconds >= 1


def refused(server: Server, sent: dict[str, Any]) -> RequestError:
    settings = EvaluatedModel(model="tiny", base_url=server.url)

    async def send() -> None:
        wire = OpenAIWire(settings)
        try:
            await wire.send(sent)
        finally:
            await wire.close()

    with pytest.raises(RequestError) as caught:
        asyncio.run(send())
    return caught.value
