"""A page of many items and models, for measuring it; all spans share their frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from clip_rows import jpeg
from scripted_answers import answered, as_rows

from pipeline.evaluate import prompting
from pipeline.evaluate.results import Identity, Results
from pipeline.evaluate.scoring import Question
from pipeline.report import results_page
from pipeline.report.result_sources import Frames, Source

_FRAMES, _SPAN, _SCENE = 16, 4, 25  # frames of a span, items of a span, items of a scene
_REPLY = "I see a corridor with a door on the left, then a staircase. " * 12


def many_results(folder: Path, items: int, models: int) -> Path:
    """Write the page of this many items and models and return it; replies have about 700 characters."""
    sets = answered(np.random.default_rng(0), 1, max(10, 2 * items // _SCENE), _SCENE)
    questions, made = (rows[:items] for rows in as_rows(sets, 0))
    assert len(questions) == items
    kept = [
        one.model_copy(
            update={"reply": f"{_REPLY}\n<answer>{one.letter}</answer>", "finish": "stop"}
        )
        for one in made
    ]
    (folder / "frames").mkdir()
    for at in range(_FRAMES):
        (folder / "frames" / f"{at:02x}.jpg").write_bytes(jpeg(at, 480, 360))
    frames = Frames(folder, {one.id: _with_frames(one, at) for at, one in enumerate(questions)})
    prompt = prompting.load("ours")
    found = []
    for number in range(models):
        identity = Identity(
            "0" * 64, "bench", "1.0.0", f"model-{number}", "", "ours", prompt.sha256, None, None, {}
        )
        results = Results(folder, identity, tuple(questions), tuple(kept), {})
        found.append(Source.of(identity.model, results, frames))
    path = folder / "many.html"
    path.write_text(results_page.render(found, (), folder), encoding="utf-8")
    return path


def _with_frames(question: Question, number: int) -> Question:
    span = number // _SPAN
    names = tuple(f"frames/{at:02x}.jpg" for at in range(_FRAMES))
    return replace(
        question,
        video=f"s_{span}",
        frames=names,
        frame_seconds=tuple(at + 0.5 for at in range(_FRAMES)),
    )
