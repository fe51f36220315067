"""A reply in a batch is the one that the request gets alone, in every family."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from talking import body, image

from pipeline.tuning import served
from pipeline.tuning.chat_body import Ask, Drawing, parse
from pipeline.tuning.drawing import Draw
from pipeline.tuning.serve import loaded
from pipeline.tuning.served import Served


def ask(*content: object, **fields: object) -> Ask:
    return parse(json.dumps(body(*content, **fields)).encode())


ASKS = (
    ask("What?", max_tokens=20),
    ask("A long text " * 40, image("red"), max_tokens=12),
    ask(image("blue", (200, 90)), "then", image("green"), "and what now?", max_tokens=25),
    ask("Say something", max_tokens=20, temperature=1, seed=5),
    ask("Say something else, please", image(), max_tokens=18, temperature=0.7, top_p=0.8, seed=5),
)


@pytest.fixture(scope="module", params=["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def folder(request: pytest.FixtureRequest, tiny_folders: dict[str, Path]) -> Path:
    return tiny_folders[request.param]


@pytest.fixture(scope="module")
def model(folder: Path) -> Served:
    return loaded({"tiny": folder}, "cpu")["tiny"]


def test_a_batch_says_what_each_request_gets_alone(model: Served) -> None:
    prompts = [model.inputs(one) for one in ASKS]
    lengths = [prompt["input_ids"].shape[1] for prompt in prompts]
    assert len(set(lengths)) >= len(lengths) - 1  # nearly all are padded
    alone = [model.answers([one], [prompt])[0] for one, prompt in zip(ASKS, prompts, strict=True)]
    assert len({one.text for one in alone}) == len(ASKS)
    assert sum(len(set(one.text)) > 4 for one in alone) >= 3  # few repeat one token
    assert model.answers(ASKS, prompts) == alone
    assert model.answers(ASKS[::-1], prompts[::-1]) == alone[::-1]
    assert [one.prompt_tokens for one in alone] == lengths == [model.count(one) for one in ASKS]
    assert [one.tokens for one in alone if one.finish == "length"] == [
        one.max_tokens for one, said in zip(ASKS, alone, strict=True) if said.finish == "length"
    ]


def test_an_end_of_text_ends_a_row_alone(model: Served) -> None:
    # The token that the first reply begins with becomes an end of text: that reply is empty, the others aren't cut.
    prompts = [model.inputs(one) for one in ASKS[:2]]
    first, second = model.answers(ASKS[:2], prompts)
    with torch.inference_mode():
        token = int(model._model(**prompts[0]).logits[0, -1].argmax())
    assert token not in model._ends
    model._ends.append(token)
    try:
        empty, other = model.answers(ASKS[:2], prompts)
    finally:
        model._ends.remove(token)
    assert (empty.finish, empty.tokens) == ("stop", 1)
    assert first.text.startswith(empty.text)
    assert second.text.startswith(other.text)
    assert first.tokens > 1


def test_the_fingerprint_is_of_the_weights(model: Served, folder: Path) -> None:
    again = loaded({"tiny": folder}, "cpu")["tiny"]
    assert again.fingerprint == model.fingerprint
    with torch.no_grad():
        next(iter(again._model.parameters())).add_(1e-3)
    assert served._fingerprint(again._model) != model.fingerprint


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    scores = torch.log(torch.tensor([0.1, 0.5, 0.15, 0.25]))

    def shares(settings: Drawing) -> list[float]:
        draw = Draw.of(replace(settings, seed=1), 0, torch.device("cpu"))
        drawn = [int(draw.only_drawn(scores).argmax()) for _ in range(2000)]
        return [drawn.count(token) / len(drawn) for token in range(4)]

    assert shares(Drawing(1.0)) == pytest.approx([0.1, 0.5, 0.15, 0.25], abs=0.04)
    assert shares(Drawing(1.0, top_p=0.7)) == pytest.approx([0, 2 / 3, 0, 1 / 3], abs=0.04)
    assert shares(Drawing(1.0, top_k=2)) == pytest.approx([0, 2 / 3, 0, 1 / 3], abs=0.04)
    assert shares(Drawing(1.0, top_p=0.0)) == [0, 1, 0, 0]
    hot = torch.tensor([0.1, 0.5, 0.15, 0.25]) ** 0.5
    assert shares(Drawing(2.0)) == pytest.approx((hot / hot.sum()).tolist(), abs=0.04)
