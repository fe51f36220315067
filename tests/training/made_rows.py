"""Rows to judge completions of, and to write in trainers' formats; and the completions that deserve everything."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from composed_rows import composed, happenings

from pipeline.questions.rows import AskedFact
from pipeline.routes.route import reverse
from pipeline.routes.rows import Orientation, Step
from pipeline.training.lists import Event, inverted, write
from pipeline.training.rows import TrainingRow
from pipeline.training.solution import solution

LETTERS = "ABCD"


@cache
def rows(world: str = "fair", clips: int = 120, seed: int = 0) -> tuple[TrainingRow, ...]:
    """Return the multiple-choice rows of a world, forward and reverse, some of mirrored spans."""
    found = composed(world, clips, seed, made=("released",))
    return tuple(one for one in found if one.format == "mcq")


@cache
def many() -> tuple[TrainingRow, ...]:
    """Return at least 2,000 rows of several worlds."""
    clips_of = {"fair": 120, "kitchens": 90, "long_tail": 90, "loops": 90}
    found = tuple(one for name, clips in clips_of.items() for one in rows(name, clips))
    assert len(found) >= 2000
    return found


def row(item: str, steps: Sequence[Step], **fields: Any) -> TrainingRow:
    """Return a row whose frames show these steps; by default a forward item about its first two turns."""
    given: dict[str, Any] = {
        "id": item, "item": item, "made": "released", "question_type": "direction_forward",
        "category": "direction", "orientation": "forward", "contrast": "turn", "format": "mcq",
        "language": "en", "split_group": "g_1", "video": "s_1", "question": "Which turns?",
        "options": [], "answer": "A", "answer_text": "", "facts": [], "seconds": 10.0,
        "happenings": happenings(steps, 0), "frames": [], "frame_seconds": [],
        "think": None, "think_source": "none",
    }  # fmt: skip
    return TrainingRow.model_validate(given | fields)


def turns_row(
    sides: Sequence[str], orientation: Orientation = "forward", right: str = "A"
) -> TrainingRow:
    """Return a row about the first two turns of its way; the options are LL, LR, RL, RR in the order that makes `right` true."""
    steps = [
        Step(start_us=at * 4_000_000, end_us=at * 4_000_000 + 2_000_000, move=side)  # type: ignore[arg-type]
        for at, side in enumerate(sides)
    ]
    way = [step.move for step in (reverse(steps) if orientation == "reverse" else steps)]
    combos = [("left", "left"), ("left", "right"), ("right", "left"), ("right", "right")]
    true = (way[0], way[1])
    others = [one for one in combos if one != true]
    others.insert(LETTERS.index(right), true)  # type: ignore[arg-type]
    facts = [
        AskedFact(
            name=f"turn:{at + 1}",
            values=[one[at] for one in others],
            back="",
            rewound="",
            mirrored="",
            seen_us=[],
        )
        for at in (0, 1)
    ]
    texts = [f"first turn {one}; second turn {other}" for one, other in others]
    return row(
        "i_turns", steps, orientation=orientation, options=texts, answer=right, facts=facts,
        answer_text=texts[LETTERS.index(right)], seconds=4.0 * len(sides),
    )  # fmt: skip


def open_row(
    steps: Sequence[Step], text: str, orientation: Orientation = "forward", language: str = "en"
) -> TrainingRow:
    """Return a row that is answered in words."""
    return row(
        "i_open", steps, format="open", question_type=f"route_{orientation}", category="route",
        orientation=orientation, contrast=None, answer=None, answer_text=text, language=language,
        question="Describe the way.",
    )  # fmt: skip


def listed(one: TrainingRow) -> list[Event]:
    return [Event(event.kind, event.what, event.start, event.end) for event in one.happenings]


def think(forward: Sequence[Event], backward: Sequence[Event], language: str = "en") -> str:
    there, back = {"en": ("Forward:", "Backward:"), "de": ("Vorwärts:", "Rückwärts:")}[language]
    return f"I look.\n{there}\n{write(forward, language)}\n{back}\n{write(backward, language)}\nSo it is clear."


def perfect(one: TrainingRow, letter: str | None = None, language: str = "en") -> str:
    """Return the completion that deserves everything."""
    events = listed(one)
    undo = {event.what: event.undo for event in one.happenings if event.undo}
    back = inverted(events, undo if solution(one)["undone"] else None)
    answer = letter or one.answer or one.answer_text
    return said(think(events, back, language), answer)


def said(thought: str, answer: str) -> str:
    return f"<think>\n{thought}\n</think>\n<answer>{answer}</answer>"


def with_frames(some: Sequence[TrainingRow], folder: Path, count: int = 4) -> list[TrainingRow]:
    """Return rows with think texts and `count` frames each, which are written to a folder: small JPEGs, no two alike."""
    from PIL import Image

    (folder / "media").mkdir(parents=True, exist_ok=True)
    found = []
    for number, one in enumerate(some):
        names = [f"media/{number:04}-{frame}.jpg" for frame in range(count)]
        for frame, name in enumerate(names):
            shade = (number * 37 % 256, frame * 50 % 256, 128)
            Image.new("RGB", (56, 28), shade).save(folder / name)
        thought = perfect(one).partition("<think>\n")[2].partition("\n</think>")[0]
        update = {
            "frames": names,
            "frame_seconds": [
                round(one.seconds * (frame + 0.5) / count, 1) for frame in range(count)
            ],
            "think": thought,
            "think_source": "template",
        }
        found.append(one.model_copy(update=update))
    return found


def mixed() -> list[TrainingRow]:
    """Return a dozen rows, the last two answered in words."""
    steps = [
        Step(start_us=0, end_us=2_000_000, move="left", landmark="the red door"),
        Step(
            start_us=2_000_000,
            end_us=4_000_000,
            move="right",
            action="open the fridge",
            undo="close the fridge",
        ),
    ]
    words = [
        open_row(steps, "Turn left at the red door, then open the fridge and turn right."),
        open_row(steps, "Turn left, close the fridge, and turn right at the red door.", "reverse"),
    ]
    words[1] = words[1].model_copy(update={"id": "i_open_back"})
    return [*rows("fair", 120)[:10], *words]
