"""Descriptions in results folders, and what judges and people made of them, without asking anything."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.engine.folder import write_atomic
from pipeline.evaluate import described
from pipeline.evaluate.described import as_description
from pipeline.evaluate.described_files import (
    DESCRIPTIONS,
    JUDGE,
    JUDGED,
    OPEN,
    OPEN_ITEMS,
    read_section,
    read_table,
    write_people,
    write_section,
)
from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.open_rows import Judgement, OpenItem, PeopleScores
from pipeline.evaluate.prompting import load_open
from pipeline.evaluate.results import packed
from pipeline.evaluate.rows import Prediction
from pipeline.releases.reading import Released
from pipeline.routes.route import MOVE_WORDS, OPPOSITE

Say = Callable[[OpenItem, str], dict[str, Any]]


def text_of(item: OpenItem) -> str:
    """Return a description without a mistake."""
    moves = [MOVE_WORDS[move] for move in item.moves]
    places = [f" past {name}" for name in item.landmarks]
    steps = ", then ".join(f"{move}{place}" for move, place in zip(moves, places, strict=True))
    return f"{'Turn around, then ' * (item.orientation == 'reverse')}{steps}."


def swapped(item: OpenItem) -> str:
    """Return a description with all sides swapped."""
    return text_of(item.model_copy(update={"moves": [OPPOSITE[move] for move in item.moves]}))


def right(item: OpenItem, arm: str) -> dict[str, Any]:
    """Say what is right, after some thoughts, if there are frames."""
    said = text_of(item) if arm == "frames" else "You walk on."
    return {"reply": f"I look at the frames.\n<answer>{said}</answer>", "finish": "stop"}


def add_descriptions(
    folder: Path,
    released: Released,
    say: Say = right,
    arms: Sequence[str] = ("frames", "blind"),
    splits: Sequence[str] = ("test",),
) -> list[OpenItem]:
    """Add what a model said to a results folder, as egost evaluate does; return the items with known answers."""
    found = open_items(released)
    asked = [one for one in found.questions if one.split in splits]
    items = [found.known[one.id] for one in asked if one.id in found.known]
    by_id = {one.id: one for one in items}
    made = [
        as_description(
            Prediction(
                id=one.id,
                arm=arm,
                letter=None,
                **{
                    "outcome": "answered",
                    **(say(by_id[one.id], arm) if one.id in by_id else {"reply": "withheld words"}),
                },
            )
        )
        for one in asked
        for arm in arms
    ]
    table = packed(Prediction, made)
    write_atomic(folder / OPEN_ITEMS, packed(OpenItem, items))
    write_atomic(folder / DESCRIPTIONS, table)
    body = {
        "prompt_sha256": load_open("ours").sha256,
        "descriptions_sha256": sha256(table).hexdigest(),
        **described.summarise(items, made, found.vocabulary).to_json(),
    }
    write_section(folder, OPEN, body)
    return items


def add_judgements(
    folder: Path, reply: str, *, judge: str = "judge-x", calibrated: bool | None = True
) -> None:
    """Add two repeats of a judge's scores by the rubric `ours`, the second unreadable; nothing is asked of no description."""
    made = read_table(folder, DESCRIPTIONS, Prediction)
    rows = []
    for one in made:
        given = {"id": one.id, "arm": one.arm, "repeat": one.repeat, "planted": None}
        about = {"judge": judge, "rubric": "ours", "calibrated": calibrated}
        scores = {"direction": 4, "landmark": 3, "semantics": 5}
        if one.outcome != "answered":
            nothing = dict.fromkeys(scores, 0)
            rows += [Judgement(**given, **about, judge_repeat=0, outcome="empty", **nothing)]
            continue
        rows += [
            Judgement(**given, **about, judge_repeat=0, outcome="scored", reply=reply, **scores),
            Judgement(**given, **about, judge_repeat=1, outcome="unreadable", reply="hm"),
        ]
    planted = {"arm": None, "repeat": 0, "planted": "empty", "judge_repeat": 0, "reply": "planted"}
    rows.append(
        Judgement(id=made[0].id, judge=judge, rubric="ours", outcome="unreadable", **planted)
    )
    write_atomic(folder / JUDGED, packed(Judgement, rows))
    digest = read_section(folder, OPEN)["descriptions_sha256"]
    judges = [{"model": judge, "calibrated": calibrated, "rubrics": {}}]
    write_section(folder, JUDGE, {"descriptions_sha256": digest, "judges": judges})


def add_people(folder: Path, item: OpenItem) -> None:
    """Add the scores of a person and of a script for one description."""
    about = {"id": item.id, "arm": "frames", "repeat": 0, "seconds": 9.0, "created_us": 1}
    scores = {"direction": 2, "landmark": 1, "semantics": 0}
    write_people(
        folder,
        [
            PeopleScores(**about, **scores, annotator="ada", by="person", annotation_id="1"),
            PeopleScores(**about, **scores, annotator="bot", by="script", annotation_id="2"),
        ],
    )
