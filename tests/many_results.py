"""A page of many items and models, for measuring it; all spans share their frames, some items are answered in words."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from clip_rows import jpeg
from made_descriptions import swapped, text_of
from scripted_answers import answered, as_rows
from small_release import COLOURS, THINGS

from pipeline.evaluate import prompting
from pipeline.evaluate.described import described
from pipeline.evaluate.open_rows import Judgement, OpenItem
from pipeline.evaluate.results import Identity, Results
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question
from pipeline.report import results_page
from pipeline.report.descriptions import Descriptions
from pipeline.report.result_sources import Frames, Source
from pipeline.routes.rows import Move, Orientation
from pipeline.routes.told import Vocabulary

_FRAMES, _SPAN, _SCENE = 16, 4, 25  # frames of a span, items of a span, items of a scene
_REPLY = "I see a corridor with a door on the left, then a staircase. " * 12


def many_results(folder: Path, items: int, models: int) -> Path:
    """Write the page of this many items and models and return it; replies have about 700 characters.

    A quarter of the items is answered in words, and each description is judged three times.
    """
    words = _descriptions(items // 4)
    choices = items - len(words.items)
    sets = answered(np.random.default_rng(0), 1, max(10, 2 * items // _SCENE), _SCENE)
    questions, made = (rows[:choices] for rows in as_rows(sets, 0))
    assert len(questions) == choices
    kept = [
        one.model_copy(
            update={"reply": f"{_REPLY}\n<answer>{one.letter}</answer>", "finish": "stop"}
        )
        for one in made
    ]
    (folder / "frames").mkdir()
    for at in range(_FRAMES):
        (folder / "frames" / f"{at:02x}.jpg").write_bytes(jpeg(at, 480, 360))
    both = [*questions, *words.questions.values()]
    frames = Frames(folder, {one.id: _with_frames(one, at) for at, one in enumerate(both)})
    prompt = prompting.load("ours")
    body = {"open": {"prompt_sha256": prompting.load_open("ours").sha256}}
    found = []
    for number in range(models):
        identity = Identity(
            "0" * 64, "bench", "1.0.0", f"model-{number}", "", "ours", prompt.sha256, None, None, {}
        )
        results = Results(folder, identity, tuple(questions), tuple(kept), body)
        found.append(Source.of(identity.model, results, frames, words=words))
    path = folder / "many.html"
    path.write_text(results_page.render(found, (), folder), encoding="utf-8")
    return path


def _descriptions(count: int) -> Descriptions:
    """Return this many descriptions, of which a third has wrong turns, with the scores of a judge."""
    names = [f"the {colour} {thing}" for colour in COLOURS for thing in THINGS]
    vocabulary = Vocabulary(tuple(names))
    items = [_open_item(at, names) for at in range(count)]
    made = [
        described(
            one,
            Prediction(
                id=one.id,
                arm="frames",
                letter=None,
                outcome="answered",
                finish="stop",
                reply=f"{_REPLY}<answer>{text_of(one) if at % 3 else swapped(one)}</answer>",
            ),
            vocabulary,
        )
        for at, one in enumerate(items)
    ]
    judged = {
        (one.id, "frames", 0): [_judgement(one.id, repeat) for repeat in range(3)] for one in items
    }
    return Descriptions({one.id: one for one in items}, made, judged, {}, vocabulary)


def _open_item(at: int, names: Sequence[str]) -> OpenItem:
    span = at // 2
    way: Orientation = "reverse" if at % 2 else "forward"
    moves: list[Move] = ["left", "right", "straight", "left"]
    return OpenItem(
        id=f"i_words_{at:05}",
        split="test",
        task=f"route_{way}",
        category="route",
        orientation=way,
        split_group=f"scene_{at // _SCENE}",
        video=f"w_{span}",
        question="Describe the route that the camera wearer takes through this clip.",
        reference="Turn left, turn right, go straight, turn left.",
        language="en",
        seconds=16.0,
        twin=f"t_{span}",
        moves=moves,
        landmarks=[names[(span + place) % len(names)] for place in range(len(moves))],
        actions=[],
        source="evidence",
        steps=[],
    )


def _judgement(id_: str, repeat: int) -> Judgement:
    return Judgement(
        id=id_,
        arm="frames",
        repeat=0,
        planted=None,
        judge="judge",
        rubric="ours",
        judge_repeat=repeat,
        outcome="scored",
        direction=4,
        landmark=3,
        semantics=5,
        reply='{"direction": 4, "landmark": 3, "semantics": 5}',
    )


def _with_frames(question: Question, number: int) -> Question:
    span = number // _SPAN
    names = tuple(f"frames/{at:02x}.jpg" for at in range(_FRAMES))
    return replace(
        question,
        video=f"s_{span}",
        frames=names,
        frame_seconds=tuple(at + 0.5 for at in range(_FRAMES)),
    )
