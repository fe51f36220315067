"""What descriptions of walks state, in English and German: of the toolkit's own templates, and in forty other styles."""

import random
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.routes import templates, wording
from pipeline.routes.likeness import common_f1
from pipeline.routes.motion_draft import describe_steps
from pipeline.routes.route import canonical, course, reverse
from pipeline.routes.rows import Move, Step
from pipeline.routes.told import Told, Vocabulary, told

VARIED = tomllib.loads(
    (Path(__file__).parent.parent / "data" / "told" / "varied.toml").read_text(encoding="utf-8")
)
LANDMARKS = {
    "en": ("the red door", "the door on the left", "stairs", "a printer", "past the left lamp", "no entry sign", "sofa"),
    "de": ("die rote Tür", "am linken Fenster", "Treppe", "der Drucker", "Regal rechts", "das Sofa", "Aufzug"),
}  # fmt: skip
ACTIONS = {
    "en": ("opens the door", "picks up the cup", "turns right the key", "switches on the light"),
    "de": ("öffnet die Tür", "nimmt die Tasse", "dreht den Schlüssel nach rechts", "schaltet das Licht ein"),
}  # fmt: skip


def walk(draw: random.Random, language: str) -> tuple[Step, ...]:
    """Return a walk whose landmarks and actions each occur once."""
    count = draw.randint(1, 7)
    landmarks = draw.sample(LANDMARKS[language], min(count, len(LANDMARKS[language])))
    actions = draw.sample(ACTIONS[language], min(count, len(ACTIONS[language])))
    moves = draw.choices(("straight", "left", "right", "around", "stay"), (3, 4, 4, 1, 1), k=count)
    return canonical(
        Step(
            start_us=number * 1_000_000,
            end_us=(number + 1) * 1_000_000,
            move=move,
            landmark=landmarks.pop() if landmarks and draw.random() < 0.7 else None,
            action=actions.pop() if actions and draw.random() < 0.4 else None,
        )
        for number, move in enumerate(moves)
    )


def described(count: int) -> Iterator[tuple[str, tuple[Step, ...], str]]:
    """Yield descriptions of walks by the toolkit's own template, with the steps that they describe."""
    draw, describe = random.Random(20), templates.load("describe.j2")
    for number in range(count):
        language = ("en", "de")[number % 2]
        way = ("forward", "reverse")[number // 2 % 2]
        steps = walk(draw, language)
        text = describe_steps(describe, steps, way, wording.load(language))  # type: ignore[arg-type]
        yield text, reverse(steps) if way == "reverse" else steps, way


def f1(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> float:
    """Return the F1 over all lists: of what is read, and of what should be, in order."""
    common = total = 0.0
    for read, wanted in pairs:
        size = len(read) + len(wanted)
        common, total = common + common_f1(read, wanted) * size, total + size
    return common / total


def every_name() -> Vocabulary:
    return Vocabulary(
        [name for names in LANDMARKS.values() for name in names],
        [name for names in ACTIONS.values() for name in names],
    )


def test_descriptions_by_the_template_are_read() -> None:
    names, moves, landmarks, actions = every_name(), [], [], []
    for text, steps, way in described(300):
        found = told(text, names)
        back = ("around",) if way == "reverse" else ()
        moves.append((found.moves, (*back, *course(steps))))
        landmarks.append((found.landmarks, [step.landmark for step in steps if step.landmark]))
        actions.append((found.actions, [step.action for step in steps if step.action]))
        assert found.unread == ()
    assert f1(moves) >= 0.98
    assert f1(landmarks) >= 0.98
    assert f1(actions) >= 0.98


@pytest.mark.parametrize("half", ["first", "later"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_other_wordings_are_read(half: str, language: str) -> None:
    texts = [one for one in VARIED["text"] if (one["half"], one["language"]) == (half, language)]
    assert len(texts) == 10
    assert f1((told(one["text"]).moves, one["moves"]) for one in texts) >= 0.9


def test_nothing_is_invented_in_texts_without_turns() -> None:
    invented = {
        one["text"]: told(one["text"]).moves for one in VARIED["still"] if told(one["text"]).moves
    }
    assert invented == {}
