"""The probe before a run, against servers that show a model all images, some of them, or none."""

import asyncio
import base64
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.models.abilities import COLOURS, Abilities, colours, probe
from pipeline.models.llm import connect
from pipeline.models.settings import EvaluatedModel
from tests.integration.fault_server import FaultServer

Body = Mapping[str, Any]


def seen(body: Body) -> list[str]:
    """The words and colours of a request as a model sees them: `kestrel` if the code word is there."""
    found = []
    for part in body["messages"][0]["content"]:
        if part["type"] == "text":
            found += ["kestrel"] if "code word is" in part["text"] else []
            continue
        data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        rgb = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, ::-1].astype(int)
        near = {name: int(np.abs(rgb - value).sum()) for name, value in COLOURS.items()}
        found.append(min(near, key=near.__getitem__))
    return found


def says(words: Callable[[list[str]], str]) -> Callable[[Body], str]:
    return lambda body: words(seen(body))


ALL = says(lambda words: ", ".join(words))
LAST = says(lambda words: f"{words[0]}, {words[-1]}")
LAST_REPEATED = says(lambda words: ", ".join(words[-1:] * (len(words) - 1)))
FIRST_FOUR = says(lambda words: " ".join(words[:5]))
CUT = says(lambda words: "The colours are: " + ", ".join(words[-3:]))
NONE = says(lambda words: "I can't see any images.")
ONE_COLOUR = says(lambda words: "kestrel, red")
WEAK = says(lambda words: ", ".join(["kestrel", *words[1:-2], "red", "red"]))
THINKING = says(lambda words: f"<think>Perhaps red, blue?</think>{', '.join(words)}")


def ask(server: FaultServer, place: Path, images: int = 8, **changes: Any) -> Abilities:
    chosen = EvaluatedModel(model="m", base_url=server.url, attempts=2, **changes)

    async def once() -> Abilities:
        async with connect(chosen, WorkspaceFolder(place)) as client:
            return await probe(client, images, 64, 48)

    return asyncio.run(once())


@pytest.mark.parametrize("answer", [ALL, THINKING])
@pytest.mark.parametrize("images", [1, 2, 8, 32])
def test_a_server_that_shows_all_images_is_confirmed_once(
    tmp_path: Path, answer: Any, images: int
) -> None:
    with FaultServer(answer=answer) as server:
        found = ask(server, tmp_path, images)
        assert found.confirmed
        assert found.warning is None
        sent = server.bodies[0]["messages"][0]["content"]
        assert sum(part["type"] == "image_url" for part in sent) == images
        assert ask(server, tmp_path, images) == found
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (LAST, "only the last of 8 images"),
        (LAST_REPEATED, "only the last of 8 images"),
        (FIRST_FOUR, "only the first of 8 images"),
        (CUT, "cuts off the beginning"),
    ],
)
def test_a_server_that_leaves_images_out_stops_the_run_until_it_is_fixed(
    tmp_path: Path, answer: Any, what: str
) -> None:
    with FaultServer(answer=answer) as server:
        with pytest.raises(UserError, match=what) as caught:
            ask(server, tmp_path)
        assert caught.value.fix
        assert len(server.bodies) == 2  # two series of colours
        with pytest.raises(UserError, match=what):
            ask(server, tmp_path)
        server.answer = ALL
        assert ask(server, tmp_path).confirmed


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (NONE, "names no colour"),
        (ONE_COLOUR, "0 of 8 colours were right"),
        (WEAK, "7 of 8 colours were right|6 of 8 colours were right"),
    ],
)
def test_a_model_that_may_be_too_weak_is_a_warning(tmp_path: Path, answer: Any, note: str) -> None:
    with FaultServer(answer=answer) as server:
        found = ask(server, tmp_path)
        assert not found.confirmed
        assert found.warning is not None
        assert "could not confirm that all 8 images reach the model" in found.warning
        assert any(part in found.note for part in note.split("|"))
        sent = len(server.bodies)
        assert ask(server, tmp_path) == found  # paid for once
        assert len(server.bodies) == sent


@pytest.mark.parametrize("fault", ["refusal", "filtered", "cut_off"])
def test_a_refusal_is_a_warning(tmp_path: Path, fault: str) -> None:
    with FaultServer(choose=lambda key, times: fault) as server:
        assert not ask(server, tmp_path, max_completion_tokens=100).confirmed


def test_a_limit_on_images_is_named_with_the_setting(tmp_path: Path) -> None:
    with FaultServer(choose=lambda key, times: "one_image") as server:
        with pytest.raises(
            UserError, match="at most 1 images in a request, and this run sends 8"
        ) as caught:
            ask(server, tmp_path)
        assert '{"image": 8}' in caught.value.fix


@pytest.mark.parametrize(
    ("fault", "what"), [("too_large", "too large"), ("broken", "failed 2 times")]
)
def test_a_server_that_cannot_answer_stops_the_run(tmp_path: Path, fault: str, what: str) -> None:
    with (
        FaultServer(choose=lambda key, times: fault) as server,
        pytest.raises(UserError, match=what),
    ):
        ask(server, tmp_path)


def test_a_model_without_vision_is_named(tmp_path: Path) -> None:
    with (
        FaultServer(choose=lambda key, times: "no_vision") as server,
        pytest.raises(UserError, match="takes no images"),
    ):
        ask(server, tmp_path)


def test_without_images_nothing_is_asked(tmp_path: Path) -> None:
    with FaultServer() as server:
        assert ask(server, tmp_path, 0).confirmed
        assert not server.bodies


@pytest.mark.parametrize("images", range(1, 65))
def test_the_colours_tell_every_part_from_the_whole(images: int) -> None:
    for series in (0, 1):
        found = colours(images, series)
        assert len(found) == images
        assert all(a != b for a, b in itertools.pairwise(found))
        assert images == 1 or found[0] != found[-1]
    assert colours(images, 0)[0] != colours(images, 1)[0]
    assert colours(images, 0)[-1] != colours(images, 1)[-1]
