"""Scripted models for proofs, behind one wire: what each knows with frames, and what without."""

import base64
import hashlib
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from small_release import varied

from pipeline.demo.scripted_models import colour_of
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.scoring import Question
from pipeline.questions.truth import split_names
from pipeline.releases.reading import Released
from pipeline.routes.rows import Step

Answer = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Player:
    """How often a model knows the answer: from what frames show in this order, and otherwise; `silent` is how often it gives no letter without frames.

    `agrees` is how often its lists say what it answers, if it states any.
    """

    sees: float = 0.25
    knows: float = 0.25
    silent: float = 0.0
    agrees: float | None = None


BASE = Player(0.35, 0.35)
SEER = Player(0.95, 0.3)
BLIND = Player(0.95, 0.95)
MUTE = Player(0.7, 0.95, silent=0.9)


def content(body: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the text of a request, and its images as data URLs."""
    parts = body["messages"][-1]["content"]
    if isinstance(parts, str):
        return parts, []
    text = "\n".join(one["text"] for one in parts if one["type"] == "text")
    return text, [one["image_url"]["url"] for one in parts if one["type"] == "image_url"]


def answering(released: Released, players: Mapping[str, Player]) -> Answer:
    """Return what the players reply, each by its name on the server."""
    known = {(one.question, frozenset(one.options)): one for one in questions_of(released)[0]}

    def answer(body: Mapping[str, Any]) -> str:
        text, images = content(body)
        if "code word" in text:
            return f"kestrel: {', '.join(map(colour_of, images))}"
        options = {option: letter for letter, option in re.findall(r"^([A-D])\. (.+)$", text, re.M)}
        question = next(
            one for (asked, some), one in known.items() if asked in text and some == {*options}
        )
        return _reply(players[body["model"]], body["model"], question, released, text, images)

    return answer


def _reply(
    player: Player, name: str, question: Question, released: Released, text: str, images: list[str]
) -> str:
    sent = [base64.b64decode(url.partition(",")[2]) for url in images]
    frames = [(released.folder / one).read_bytes() for one in question.frames]
    order = "frames" if sent == frames else "reversed" if sent == frames[::-1] else "other"
    digest = hashlib.sha256(f"{name} {question.id} {order} {len(text)}".encode()).hexdigest()
    drawn = random.Random(digest)
    right = question.answer_index
    if order == "reversed":
        right = question.option_true_of("rewound")
    assert right is not None
    sure = player.sees if order != "other" else player.knows
    place = right
    if drawn.random() >= sure:
        place = drawn.choice([one for one in range(len(question.options)) if one != right])
    if order == "other" and drawn.random() < player.silent:
        return "I see nothing here."
    letter = "ABCD"[place]
    if "Think as long" not in text:
        return letter
    told = "" if player.agrees is None else _lists(question, place, drawn.random() < player.agrees)
    return f"<think>{told}</think>\n<answer>{letter}</answer>"


def _lists(question: Question, place: int, agree: bool) -> str:
    """Return lists in which what is asked about is as an option states it, or the opposite."""
    turns, names = dict[int, str](), list[str]()
    for fact in question.facts:
        kind, _, subject = fact.name.partition(":")
        value = next(one for one in fact.values if (one == fact.values[place]) is agree)
        if kind == "turn":
            turns[int(subject)] = f"turn: {value}"
        else:
            both = next(iter(split_names(subject)))
            names += [f"{kind}: {name}" for name in both[:: 1 if value == "first" else -1]]
    asked = [turns.get(at, "turn: left") for at in range(1, max(turns, default=0) + 1)] + names
    other = [_other(one) for one in reversed(asked)]
    there, back = (other, asked) if question.orientation == "reverse" else (asked, other)
    lines = [f"- {at}.0 s to {at}.5 s: {one}" for at, one in enumerate(there)]
    return "\n".join(["", "Forward:", *lines, "Backward:", *(f"- {one}" for one in back), ""])


def _other(line: str) -> str:
    sides = {"turn: left": "turn: right", "turn: right": "turn: left"}
    return sides.get(line, line)


def as_record(stage: str, **fields: Any) -> str:
    """Return a run.json."""
    record = {
        "stage": stage, "preset": "tiny-cpu", "model": "base", "family": "qwen2_5_vl", "blind": False,
        "seed": 0, "finished": "2026-12-01T10:00:00Z", "steps": 40, "seconds": 61.5,
        "rows": {"folder": "rows/r", "sha256": "ab" * 32, "count": 120}, "hardware": {"cpu": "a CPU", "gpu": None},
    }  # fmt: skip
    return json.dumps(record | fields)


def short_or_long(number: int) -> list[Step]:
    """Return a walk at random with two turns or four: of two, reversed frames show both of an item."""
    whole = varied(number)
    return whole if number % 4 == 1 else [*whole[:3], whole[-1].model_copy(update=_times(3))]


def _times(at: int) -> dict[str, int]:
    return {"start_us": at * 5_000_000, "end_us": (at + 1) * 5_000_000}
