"""What descriptions of walks state, in English and German: of the toolkit's own templates, and in forty other styles."""

import random
import re
import tomllib
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
from pipeline.routes.told import GRAMMARS, Vocabulary, told

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


def described(count: int) -> Iterator[tuple[str, tuple[Step, ...], str, str]]:
    """Yield descriptions of walks by the toolkit's own template, with the steps that they describe."""
    draw, describe = random.Random(20), templates.load("describe.j2")
    for number in range(count):
        language = ("en", "de")[number % 2]
        way = ("forward", "reverse")[number // 2 % 2]
        steps = walk(draw, language)
        text = describe_steps(describe, steps, way, wording.load(language))  # type: ignore[arg-type]
        yield text, reverse(steps) if way == "reverse" else steps, way, language


def f1(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> float:
    """Return the F1 over all lists: of what is read, and of what should be, in order."""
    common = total = 0.0
    for read, wanted in pairs:
        size = len(read) + len(wanted)
        common, total = common + common_f1(read, wanted) * size, total + size
    return common / total


def every_name(language: str) -> Vocabulary:
    return Vocabulary(LANDMARKS[language], ACTIONS[language])


def test_descriptions_by_the_template_are_read() -> None:
    moves, landmarks, actions = [], [], []
    for text, steps, way, language in described(300):
        found = told(text, every_name(language))
        back = ("around",) if way == "reverse" else ()
        moves.append((found.moves, (*back, *course(steps))))
        landmarks.append((found.landmarks, [step.landmark for step in steps if step.landmark]))
        actions.append((found.actions, [step.action for step in steps if step.action]))
        assert found.unread == ()
    assert f1(moves) >= 0.98
    assert f1(landmarks) >= 0.98
    assert f1(actions) >= 0.98


@pytest.mark.parametrize(
    ("half", "count", "least"),
    [("first", 10, 0.9), ("later", 10, 0.9), ("third", 38, 0.95), ("fourth", 31, 0.95)],
)
@pytest.mark.parametrize("language", ["en", "de"])
def test_other_wordings_are_read(half: str, count: int, least: float, language: str) -> None:
    texts = [one for one in VARIED["text"] if (one["half"], one["language"]) == (half, language)]
    assert len(texts) >= count
    assert f1((told(one["text"]).moves, one["moves"]) for one in texts) >= least


def test_nothing_is_invented_in_texts_without_turns() -> None:
    invented = {
        one["text"]: told(one["text"]).moves for one in VARIED["still"] if told(one["text"]).moves
    }
    assert invented == {}


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        # Denied, doubted, or one of two.
        ("Don't turn left, turn right.", "r"),
        ("Instead of turning left go right.", "r"),
        ("Instead of a left, he makes a right.", "r"),
        ("He turns neither left nor right.", ""),
        ("He doesn't go left but right.", "r"),
        ("Left, not right.", "l"),
        ("No turns are made.", ""),
        ("If you turn left you reach the kitchen.", ""),
        ("Turn left or right.", ""),
        ("Sie biegt nicht links ab, sondern rechts.", "r"),
        ("Statt links abzubiegen, geht sie nach rechts.", "r"),
        ("Er biegt links oder rechts ab.", ""),
        # Places, looks, things.
        ("To the right is a door. To the left, a lamp.", ""),
        ("On the wall, to the right, a clock.", ""),
        ("The door to the left of the desk is open; turn right.", "r"),
        ("They turn right at the end of the left corridor.", "r"),
        ("He turns his head to the left and walks on.", ""),
        ("Sie geht an der Tür vorbei, die rechts liegt, und biegt links ab.", "l"),
        ("Das Regal rechts, die Lampe links.", ""),
        ("Er dreht den Schlüssel nach links und dann um.", ""),
        ("Moving left to right, the picture shows a lamp.", ""),
        ("The left turn signal is on.", ""),
        ("Er schwenkt die Kamera nach links.", ""),
        # What was on another way.
        ("She turns left where she had previously turned right.", "l"),
        ("Er biegt links ab, wo er zuvor rechts abgebogen war.", "l"),
        # Several.
        ("She makes her way to the right and chooses the left path.", "rl"),
        ("Turn left twice and then right.", "llr"),
        ("Two left turns, then make two rights.", "llrr"),
        ("He takes the first left and the second right.", "lr"),
        ("1) left 2) right 3) left", "lrl"),
        ("left -> right -> left", "lrl"),
        ("Turn left and right.", "lr"),
        ("The person turned left into the kitchen, turned around and left.", "la"),
        ("Sie biegt zweimal rechts ab, dreht sich um und geht links weiter.", "rral"),
        ("L, R, L", "lrl"),
        ("turn left (2x), then right", "llr"),
        ("Dann zweimal rechts.", "rr"),
        ("• Left at the plants\n• Right at the pillar", "lr"),
        ("Turn 1: Left at the desk. Turn 2: Right after the copier.", "lr"),
        ("**Turn 1** \u2013 Left\n**Turn 2** \u2013 Right", "lr"),
        ("| Time | Direction |\n|---|---|\n| 0:02 | left |\n| 0:09 | right |", "lr"),
        ('["left", "right", "left"]', "lrl"),
        ("The first turn is to the left, the second turn is to the right.", "lr"),
        ("Am Ende der langen Treppe gleich wieder links.", "l"),
        ("Wir sind nach dem Eingang rechts gegangen.", "r"),
        # Corrected, or said again in a summary.
        ("The wearer turns left, no, right, at the pillar.", "r"),
        ("Er biegt links ab, nein, rechts.", "r"),
        ("Turn left. No right turns follow.", "l"),
        ("Turn left. Turn right. In summary, the person turns left and then right.", "lr"),
        ("Links abbiegen, rechts abbiegen. Zusammenfassung: links, rechts.", "lr"),
        ("Turn left. Turn right. In summary: left.", "lrl"),
        ("Turn left. Turn right. Turn left. Turn right.", "lrlr"),
        # Somebody else, a sign, speech, names.
        ("A second person comes from the left and walks to the right.", ""),
        ("Ein Radfahrer biegt links ab, die Person geht geradeaus weiter.", ""),
        ("He passes another man and turns right.", "r"),
        ('A sign reads "Turn left", but she walks straight.', ""),
        ("He is about to turn left.", ""),
        ("The left turn was avoided.", ""),
        ("Right, so the person walks down the hall.", ""),
        ("He turns right away.", ""),
        ("Room 180 is at the end. The shelf is 180 cm wide.", ""),
        ("He does a 180 and then turns 180° again.", "aa"),
        ("Zimmer 180 ist am Ende.", ""),
        ("The waiter smiles at people waiting in line.", ""),
        ("Die Drehtür rechts ist offen.", ""),
        ("Left: a desk. Right: a shelf.", ""),
        ("Links: ein Tisch. Rechts: ein Regal.", ""),
        ("Er schaut nach links und nach rechts und geht dann geradeaus.", ""),
        # Corners and turning around.
        ("He walks around the corner to the left.", "l"),
        ("She turns around the corner.", ""),
        ("It rotates 180 degrees to the left, then goes left.", "al"),
        ("Kehren Sie um, gehen Sie nach rechts und biegen Sie links ab.", "arl"),
    ],
)  # fmt: skip
def test_what_is_stated_is_told_from_what_only_names_a_side(text: str, moves: str) -> None:
    assert "".join(move[0] for move in told(text).moves) == moves


def test_what_is_not_understood_is_reported() -> None:
    found = told("He turns left. The exit, kind of right, he says.")
    assert found.moves == ("left",)
    (snippet,) = found.unread
    assert "kind of right" in snippet


def test_names_are_found_by_the_vocabulary_alone_in_any_inflection() -> None:
    names = Vocabulary(
        ["the red door", "door", "roter Stuhl"], ["opens the door", "öffnet die Tür"]
    )
    text = "Opening the door, she walks past red doors and a green door. Am roten Stuhl die Tür öffnen."
    found = told(text, names)
    assert found.landmarks == ("door", "the red door", "door", "roter Stuhl")
    assert found.actions == ("opens the door", "öffnet die Tür")
    assert told(text).landmarks == ()


def test_a_name_with_a_side_in_it_is_no_turn() -> None:
    names = Vocabulary(["the turn left sign"])
    assert told("Walk past the turn left sign, then turn right.", names).moves == ("right",)


def test_of_other_languages_the_phrases_for_moves_are_read() -> None:
    phrases: dict[str, Move] = {"tourner à gauche": "left", "tourner à droite": "right"}
    found = told("Tourner à gauche ; puis tourner à droite.", Vocabulary(phrases=phrases))
    assert (found.moves, found.language) == (("left", "right"), None)


def test_clauses_without_a_sign_hold_nothing_that_a_rule_reads() -> None:
    texts = [one["text"] for kind in ("text", "still") for one in VARIED[kind]]
    texts += [text for text, *_ in described(40)]
    seen = 0
    for grammar in GRAMMARS.values():
        clauses = [part for text in texts for part in re.split(r"[.,;:()]", text.lower())]
        silent = [one for one in clauses if not grammar.signs.search(one)]
        seen += len(silent)
        matched = [one for one in silent if any(rule.pattern.search(one) for rule in grammar.rules)]
        assert matched == []
    assert seen > 100


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    told(text, every_name("en"))


def test_a_long_text_takes_no_long_time() -> None:
    for part in (
        "left ",
        "turn the ",
        "a b ",
        "nach ",
        "dann am der ",
        "links oder ",
        "((( ",
        "beim verharr beim beim ",
        "an er er dann ",
        "overall left ",
        "turn left, no, right, ",
        "| left |",
        "1) ",
    ):
        told(part * 2000)
