"""Results folders of scripted models on a small release, without asking anything."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluate import prompting, results
from pipeline.evaluate.arms import shown
from pipeline.evaluate.metrics import plain, summarise
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.recheck import reread
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored
from pipeline.models.settings import EvaluatedModel
from pipeline.releases.reading import Released

LETTERS = "ABCD"
Reply = Callable[[Question, str], dict[str, Any]]


def knows(share: float, seed: int = 0) -> Reply:
    """Return a model that knows this share of the items with frames, and none without."""
    draw = random.Random(seed)

    def reply(question: Question, arm: str) -> dict[str, Any]:
        luck = draw.random()
        sure = share if arm not in ("blind", "blank") else 0.25
        if luck > 0.97:
            return {"reply": "I see a corridor.", "finish": "stop"}
        letter = question.answer if luck < sure else draw.choice(LETTERS)
        return {
            "reply": f"The turn is at the door.\n<answer>{letter}</answer>",
            "finish": "stop",
            "input_tokens": 900,
            "output_tokens": 12,
            "cost_usd": 0.001,
            "seconds": 0.5,
        }

    return reply


def make_results(
    out: Path,
    released: Released,
    model: str = "model-a",
    reply: Reply | None = None,
    arms: Sequence[str] = ("frames", "blind"),
    more: Sequence[Prediction] = (),
    prompt: str = "ours",
    splits: Sequence[str] = ("test",),
    **body: Any,
) -> Path:
    """Write a results folder as egost evaluate does, with these replies, and return it."""
    reply = reply or knows(0.8)
    settings = EvaluatedModel.model_validate({"model": model, "base_url": "http://127.0.0.1:1/v1"})
    words = prompting.load(prompt)
    identity = results.Identity.of(released, settings, words.name, words.sha256, None)
    questions = [one for one in questions_of(released)[0] if one.split in splits]
    made = [
        reread(
            Prediction(id=one.id, arm=arm, letter=None, outcome="unreadable", **reply(one, arm)),
            one,
        )
        for one in questions
        for wanted in arms
        for arm, _ in shown(wanted, one.id, one.frame_seconds, len(one.options))
    ]
    known = [one for one in questions if one.answer is not None]
    ids = {one.id for one in known}
    metrics = summarise(known, scored(known, [row for row in made if row.id in ids]))
    folder = out / identity.folder
    folder.mkdir(parents=True)
    about = {
        "arms": list(arms),
        "repeats": 1,
        "splits": list(splits),
        "asked": len(questions),
        "coverage": 1.0,
        "baselines": plain({"blind probe": metrics.arms["frames"]}) if known else None,
        "people": None,
        **body,
    }
    results.write_results(
        folder, identity, questions, [*made, *more], metrics if known else None, about
    )
    return folder
