"""The demonstration's scripts know what they claim to know, and its scores show it."""

import base64
import json
import re
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from page_data import data_of
from scripted_answers import question
from small_release import release, small_space, varied

from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.demo import scored, story
from pipeline.demo.scripted_models import BLIND, SEER, serving
from pipeline.demo.scripted_words import Walks
from pipeline.evaluate.answers import read_description
from pipeline.evaluate.described import as_question
from pipeline.evaluate.open_items import OpenItems
from pipeline.evaluate.open_rows import OpenItem
from pipeline.evaluate.results import read_results
from pipeline.evaluate.scoring import Question
from pipeline.models.abilities import COLOURS
from pipeline.routes.rows import Step
from pipeline.routes.told import Vocabulary, told

ITEMS = 400
FOUR_DEVIATIONS = 4 * (0.25 * 0.75 / ITEMS) ** 0.5


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    """Items about two facts each, their answer in every place."""
    plain = question("i")
    turned = [plain.options[by:] + plain.options[:by] for by in range(4)]
    facts = [
        tuple(
            fact.model_copy(update={"values": fact.values[by:] + fact.values[:by]})
            for fact in plain.facts
        )
        for by in range(4)
    ]
    return [
        question(
            f"i_{n}",
            question=f"Which turns has walk {n:03}?",
            options=turned[n % 4],
            facts=facts[n % 4],
            answer="ADCB"[n % 4],
        )
        for n in range(ITEMS)
    ]


@pytest.fixture(scope="module")
def url(questions: Sequence[Question]) -> Iterator[str]:
    with serving(questions) as found:
        yield found


def image(pixels: Any) -> dict[str, Any]:
    data = cv2.imencode(".jpg", np.asarray(pixels, np.uint8))[1].tobytes()
    encoded = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": encoded}}


FRAME_BYTES = cv2.imencode(
    ".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
)[1].tobytes()
FRAME = image(np.random.default_rng(0).integers(0, 255, (48, 64, 3)))
GREY = image(np.full((48, 64, 3), 127))


def ask(url: str, model: str, text: str, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": [*images, {"type": "text", "text": text}]}],
    }
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        found: dict[str, Any] = json.loads(reply.read())
    return found


def answers(
    url: str,
    questions: Sequence[Question],
    model: str,
    images: Sequence[dict[str, Any]],
    order: Sequence[int] = (0, 1, 2, 3),
) -> list[int]:
    """Return the place of the option that a script answers to each item, whose options stand in this order."""
    found = []
    for one in questions:
        options = [f"{letter}. {one.options[at]}" for letter, at in zip("ABCD", order, strict=True)]
        text = "\n".join([one.question, *options])
        said = ask(url, model, text, images)["choices"][0]["message"]["content"]
        letter = re.fullmatch("<answer>([A-D])</answer>", said)
        assert letter
        found.append(order["ABCD".index(letter[1])])
    return found


def right(questions: Sequence[Question], chosen: Sequence[int]) -> float:
    return sum(one.answer_index == at for one, at in zip(questions, chosen, strict=True)) / len(
        questions
    )


def test_one_script_knows_each_fact_with_the_probability_that_its_name_says(
    url: str, questions: Sequence[Question]
) -> None:
    chosen = answers(url, questions, SEER, [FRAME])
    known = [
        [fact.values[at] == fact.values[one.answer_index or 0] for fact in one.facts]
        for one, at in zip(questions, chosen, strict=True)
    ]
    for share in np.mean(known, axis=0):
        assert abs(share - 0.8) < 4 * (0.8 * 0.2 / ITEMS) ** 0.5
    assert abs(right(questions, chosen) - 0.64) < 4 * (0.64 * 0.36 / ITEMS) ** 0.5
    # Each fact is known or not by itself: what is known depends on neither the options' order nor the time.
    assert answers(url, questions[:40], SEER, [FRAME], (2, 0, 3, 1)) == chosen[:40]


@pytest.mark.parametrize(
    ("model", "images"),
    [(SEER, []), (SEER, [GREY, GREY]), (BLIND, [FRAME]), (BLIND, [])],
    ids=["no images", "grey images", "never looks", "never looks, no images"],
)
def test_who_sees_nothing_guesses(
    url: str, questions: Sequence[Question], model: str, images: Sequence[dict[str, Any]]
) -> None:
    chosen = answers(url, questions, model, images)
    assert abs(right(questions, chosen) - 0.25) < FOUR_DEVIATIONS
    assert {*chosen} == {0, 1, 2, 3}


def walk(number: int) -> OpenItem:
    """Return an item about the way back of a walk with two turns, past a lamp and through a door that it opens."""
    made = [
        Step(start_us=0, end_us=1, move="left", landmark="the lamp"),
        Step(start_us=1, end_us=2, move="right", action="opens the door", undo="closes the door"),
    ]
    return OpenItem(
        id=f"i_{number}", split="test", task="route_reverse", category="route",
        orientation="reverse", split_group="g", video=f"v_{number}", question="Describe the way back.",
        reference="", language="en", seconds=2.0, twin=None, moves=["left", "right"],
        landmarks=["the lamp"], actions=["closes the door"], source="evidence", steps=made,
    )  # fmt: skip


def test_one_script_knows_each_part_of_a_walk_with_the_same_probability(tmp_path: Path) -> None:
    known = {one.id: one for one in map(walk, range(ITEMS))}
    asked = []
    for number, one in enumerate(known.values()):
        (tmp_path / one.id).write_bytes(FRAME_BYTES + bytes([number // 256, number % 256]))
        asked.append(replace(as_question(one), frames=(one.id,)))
    items = OpenItems(tuple(asked), known, Vocabulary(("the lamp",), ("closes the door",)))
    said = {}
    with serving([], Walks(items, tmp_path)) as url:
        for one in asked:
            text = f"These are frames.\n{one.question}\nThink."
            data = base64.b64encode((tmp_path / one.id).read_bytes()).decode()
            frame = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}
            reply = ask(url, SEER, text, [frame])["choices"][0]["message"]["content"]
            said[one.id] = told(read_description(reply).text, items.vocabulary)
        guessed = {
            ask(url, model, text, images)["choices"][0]["message"]["content"]
            for model, images in ((SEER, []), (SEER, [GREY]), (BLIND, [FRAME]), (BLIND, []))
        }
    parts = [
        [
            one.turns[1:2] == ("left",),
            one.turns[2:] == ("right",),
            one.landmarks == ("the lamp",),
            one.actions == ("closes the door",),
        ]
        for one in said.values()
    ]
    for share in np.mean(parts, axis=0):
        assert abs(share - 0.8) < 4 * (0.8 * 0.2 / ITEMS) ** 0.5
    assert len(guessed) == 2  # what each script says whatever it is shown
    for text in guessed:
        made_up = told(read_description(text).text, items.vocabulary)
        assert len(made_up.turns) == 3
        assert not made_up.landmarks + made_up.actions


def test_both_name_the_colours_of_plain_images_in_order(url: str) -> None:
    names = ["red", "blue", "white", "green", "black", "yellow"]
    images = [image(np.full((48, 64, 3), COLOURS[name][::-1])) for name in names]
    for model in (SEER, BLIND):
        found = ask(url, model, "Begin with the code word, then name the colours.", images)
        assert found["choices"][0]["message"]["content"] == f"kestrel: {', '.join(names)}"
        assert found["model"] == model
        alone = ask(url, model, "Begin with the code word, then name the colours.", images[:1])
        assert found["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"]


def test_the_demonstration_tells_the_two_scripts_apart(tmp_path: Path) -> None:
    with small_space(tmp_path / "w", 16, walk=varied, split="test") as space:
        release(space, story.VERSION)
        shown = list(scored.score(space.folder))
        folders = sorted((space.folder.root / "results").glob("script-*"))
    assert all(len(line) <= 100 for line in shown if str(tmp_path) not in line)
    data = data_of((tmp_path / "w" / "results" / "page.html").read_text(encoding="utf-8"))
    assert data["words"] > 0
    assert {"route_forward", "route_reverse"} < {*data["task"]}
    measured, said = {}, {}
    for found in map(read_results, folders):
        arms = found.body["open"]["arms"]
        said[found.identity.model] = {
            arm: {name: parts["all"]["all"]["value"] for name, parts in one["figures"].items()}
            for arm, one in arms.items()
        }
        arms = found.body["metrics"]["arms"]
        assert {*arms} == {"frames", "blind", "blank"}
        (gain,) = [
            one["parts"]["all"]["all"]
            for one in found.body["metrics"]["gains"]
            if (one["arm"], one["over"]) == ("frames", "blind")
        ]
        measured[found.identity.model] = (arms["frames"]["facts"]["all"]["all"]["value"], gain)
    facts, gain = measured[SEER]
    assert 0.7 < facts < 0.9
    assert gain["low"] > 0
    facts, gain = measured[BLIND]
    assert 0.35 < facts < 0.65
    assert gain["low"] < 0 < gain["high"]
    assert said[SEER]["frames"]["turns"] > said[BLIND]["frames"]["turns"] + 0.1
    assert 0.7 < said[SEER]["frames"]["landmarks"] < 0.98
    assert said[SEER]["blind"]["landmarks"] == said[SEER]["blank"]["landmarks"] == 0
    assert said[BLIND]["frames"] == said[BLIND]["blind"]
    assert said[BLIND]["frames"]["landmarks"] == 0
    compared = shown[shown.index("--- compared ---") + 1]
    assert re.match(rf"{SEER} minus {BLIND}, frames: \+\d+\.\d points \[\+", compared)
    assert any(line.startswith("blind probe ") for line in shown)
    assert str(space.folder.releases / f"v{story.VERSION}") in shown[-1]


def test_the_command_makes_twelve_walks_and_scores_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[Path, int, int]] = []

    def tell(workspace: Any, walks: int, train: int = 0) -> list[str]:
        told.append((workspace.folder.root, walks, train))
        return ["told"]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(story, "tell", tell)
    monkeypatch.setattr(scored, "score", lambda folder: [f"scored {folder.root}"])
    for words in (["demo", "--evaluate"], ["demo"]):
        with pytest.raises(SystemExit) as ended:
            run(cli, words)
        assert ended.value.code == 0
    assert told == [(Path("demo-evaluate"), 12, 6), (Path("demo"), 4, 0)]
    assert capsys.readouterr().out.splitlines()[-3:-1].count("scored demo-evaluate") == 1
