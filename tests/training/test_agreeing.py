"""Whether a think text agrees with its row: every text of the templates does, and no text with a mistake in it."""

import random
import re
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest
from composed_rows import composed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.blind.probe import probe
from pipeline.blind.sheet import ProbeItem
from pipeline.engine.rows import digest
from pipeline.training.agreeing import disagreements, disagreements_in_words
from pipeline.training.asked import undone
from pipeline.training.lists import read
from pipeline.training.rows import Happening, TrainingRow
from pipeline.training.thinking import LANGUAGES, template_text

WORLDS = ("fair", "errands", "out_and_back")
"""With turns around, with actions that are undone and with some that aren't."""


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def thought(language: str) -> list[tuple[TrainingRow, str]]:
    """Return the rows of a few walks of each world with their think texts."""
    rows = [row for world in WORLDS for row in composed(world, 20, language=language)]
    return [(row, text) for row in rows if (text := template_text(row, "7")) is not None]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_templates_agrees(language: str) -> None:
    every = thought(language)
    kinds = Counter((row.category, row.orientation, row.made) for row, _ in every)
    assert len(kinds) == 3 * 2 * 3 + 2  # descriptions are of released frames
    assert any(undone(row) for row, _ in every)
    wrong = [(row.id, one) for row, text in every for one in disagreements(row, text)]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_in_other_words_is_held_to_less(language: str) -> None:
    wrong = [
        (row.id, one)
        for row, text in thought(language)
        for one in disagreements_in_words(row, text)
    ]
    assert wrong == []


# ---- mistakes ----------------------------------------------------------------------------------------

Mistake = Callable[[random.Random, TrainingRow, str], str]
FLIP = {"left": "right", "right": "left", "links": "rechts", "rechts": "links"}
_SIDE = re.compile(r"\b(?:left|right|links|rechts)\b")
_QUOTED = re.compile(r"[“„]([^“”„]*)[”“]")


def _somewhere(
    rng: random.Random, text: str, pattern: str, new: Callable[[re.Match[str]], str]
) -> str:
    """Return a text with one match of a pattern replaced; the same text if there is none."""
    found = list(re.finditer(pattern, text, re.MULTILINE))
    if not found:
        return text
    one = rng.choice(found)
    return text[: one.start()] + new(one) + text[one.end() :]


def flips_a_side(rng: random.Random, row: TrainingRow, text: str) -> str:
    return _somewhere(rng, text, _SIDE.pattern, lambda one: FLIP[one[0]])


def swaps_two_lines(rng: random.Random, row: TrainingRow, text: str) -> str:
    lines = text.splitlines()
    places = [
        at
        for at in range(len(lines) - 1)
        if lines[at].startswith("- ")
        and lines[at + 1].startswith("- ")
        and lines[at] != lines[at + 1]
    ]
    if not places:
        return text
    at = rng.choice(places)
    lines[at : at + 2] = lines[at + 1], lines[at]
    return "\n".join(lines)


def drops_a_line(rng: random.Random, row: TrainingRow, text: str) -> str:
    return _somewhere(rng, text, r"^- .*\n", lambda one: "")


def adds_a_line(rng: random.Random, row: TrainingRow, text: str) -> str:
    return _somewhere(rng, text, r"^- .*\n", lambda one: 2 * one[0])


def counts_wrongly(rng: random.Random, row: TrainingRow, text: str) -> str:
    """Name another turn in a statement."""
    ordinals = {
        "en": ("second to last", "third to last", "first", "second", "third", "last"),
        "de": ("vorletztes", "drittletztes", "erstes", "zweites", "drittes", "letztes"),
    }[row.language]
    turn = rf"(?<=[“„])({'|'.join(ordinals)})(?= (?:turn|Abbiegen) )"
    return _somewhere(rng, text, turn, lambda one: rng.choice([n for n in ordinals if n != one[1]]))


def orders_wrongly(rng: random.Random, row: TrainingRow, text: str) -> str:
    joint = {"en": " before ", "de": " vor "}[row.language]
    pattern = rf"(?<=[“„])([^“”„]*){joint}([^“”„]*)(?=[”“])"
    return _somewhere(rng, text, pattern, lambda one: f"{one[2]}{joint}{one[1]}")


def states_another_letter(rng: random.Random, row: TrainingRow, text: str) -> str:
    """Give another letter, in a check or in the conclusion."""
    prose = [line for line in text.splitlines() if not line.startswith("- ")]
    if row.answer is None:
        return text
    line = rng.choice([line for line in prose if re.search(r"\b[A-D]\b", line)])
    wrong = _somewhere(
        rng, line, r"\b[A-D]\b", lambda one: rng.choice([x for x in "ABCD" if x != one[0]])
    )
    return text.replace(line, wrong)


def gives_another_time(rng: random.Random, row: TrainingRow, text: str) -> str:
    return _somewhere(rng, text, r"\b(\d+)\.(\d) s\b", lambda one: f"{int(one[1]) + 1}.{one[2]} s")


def renames(rng: random.Random, row: TrainingRow, text: str) -> str:
    line = r"(?<=: )(?!left|right|around|links|rechts|Kehrtwende).+$"
    return _somewhere(rng, text, rf"^- .*{line}", lambda one: f"{one[0]}y")


def leaves_out_a_check(rng: random.Random, row: TrainingRow, text: str) -> str:
    """Drop the line on a fact."""
    if row.answer is None:
        return text
    return _somewhere(rng, text, r"^(?!- ).*[“„].*\b[A-D] (?:and|und) [A-D]\b.*\n", lambda one: "")


def leaves_out_the_conclusion(rng: random.Random, row: TrainingRow, text: str) -> str:
    return text if row.answer is None else text.rpartition("\n")[0]


MISTAKES: tuple[Mistake, ...] = (
    flips_a_side, swaps_two_lines, drops_a_line, adds_a_line, counts_wrongly, orders_wrongly, states_another_letter,
    gives_another_time, renames, leaves_out_a_check, leaves_out_the_conclusion,
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_found(mistake: Mistake, language: str) -> None:
    rng = random.Random(0)
    tried = 0
    for row, text in thought(language)[::3]:
        wrong = mistake(rng, row, text)
        if wrong != text:
            tried += 1
            assert disagreements(row, wrong), f"{mistake.__name__}:\n{wrong}"
    assert tried > 50


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mistake", [swaps_two_lines, drops_a_line, adds_a_line, renames], ids=lambda one: one.__name__)  # fmt: skip
def test_a_mistake_in_the_lists_is_found_whatever_the_words(
    mistake: Mistake, language: str
) -> None:
    rng = random.Random(0)
    for row, text in thought(language)[::5]:
        wrong = mistake(rng, row, text)
        assert wrong == text or disagreements_in_words(row, wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_of_another_row_is_found(language: str) -> None:
    """Of the same clip, the released text is wrong of mirrored frames; and each is wrong with another answer."""
    texts = {row.id: text for row, text in thought(language)}
    for row, text in thought(language):
        if row.made == "mirrored":
            has_turns = any(one.kind == "turn" and one.what != "around" for one in row.happenings)
            assert bool(disagreements(row, texts[row.item])) is has_turns
        if row.answer is not None:
            other = row.model_copy(update={"answer": "ABCD"["BCDA".index(row.answer)]})
            assert [one.what for one in disagreements(other, text)] == ["row"]


def test_what_happens_elsewhere_in_the_span_counts_too() -> None:
    for row, text in thought("en")[:100]:
        more = Happening(kind="landmark", what="a door", start=row.seconds, end=row.seconds)
        changed = row.model_copy(update={"happenings": [*row.happenings, more]})
        assert {one.what for one in disagreements(changed, text)} == {"forward", "backward"}


@pytest.mark.parametrize("language", LANGUAGES)
@unhurried
@given(st.data())
def test_any_text_is_judged(language: str, data: st.DataObject) -> None:
    """Whatever is cut out of a text or put into it: there is a verdict, and no error."""
    row, text = data.draw(st.sampled_from(thought(language)))
    start, end = sorted(data.draw(st.integers(0, len(text))) for _ in range(2))
    more = data.draw(
        st.text(max_size=9) | st.sampled_from(["Forward:\n", "Rückwärts:\n", "“", "„", "9 s"])
    )
    changed = data.draw(st.sampled_from([text[:start] + more + text[end:], text[start:end], more]))
    for judge in (disagreements, disagreements_in_words):
        assert judge(row, changed) == judge(row, changed)
    if not read(changed):
        assert [one.what for one in disagreements(row, changed)] == ["lists"]


def test_times_that_are_differences_agree() -> None:
    """2.15 s less 4e-15 s are 2.1 s or 2.2 s in tenths, but the same in the list and in what it is compared with."""
    for row, _ in thought("en")[:60]:
        near = [
            one.model_copy(
                update={"start": round(one.start) + 0.15 - 4e-15, "end": one.end - 4e-15}
            )
            for one in row.happenings
        ]
        moved = row.model_copy(update={"happenings": near})
        assert disagreements(moved, str(template_text(moved, ""))) == []


def test_the_lists_of_another_language_don_t_count() -> None:
    for (row, _), (_, text) in zip(thought("en")[:9], thought("de")[:9], strict=True):
        assert [one.what for one in disagreements(row, text)] == ["lists"]


# ---- in other words ----------------------------------------------------------------------------------


def one_row() -> tuple[TrainingRow, str, str]:
    """Return a reverse row about two turns, its lists, and a think text in somebody's own words."""
    row, text = next(
        (row, text)
        for row, text in thought("en")
        if row.category == "direction" and row.orientation == "reverse"
    )
    ahead, _, back = text[text.index("Forward:") :].partition("Backward:")
    ahead = "\n".join(line for line in ahead.splitlines() if line == "Forward:" or line[:2] == "- ")
    back = "\n".join(line for line in back.splitlines() if line.startswith("- "))
    first, second = row.options["ABCD".index(str(row.answer))].split("; ")
    free = (
        f"I have to work backwards here.\n{ahead}\nLet me flip it.\nBackward:\n{back}\n"
        f'Read like this, "{first}" is what happens, and also «{second}». Option {row.answer} it is.'
    )
    return row, free, first


def _turn() -> tuple[str, str]:
    """Return when the first turn of the row begins, and to which side it is."""
    turn = next(one for one in one_row()[0].happenings if one.what in FLIP)
    return f"{turn.start:.1f}", turn.what


@pytest.mark.parametrize(
    "more",
    [
        "",
        "At {0} s they turn {1}.",
        "The turn at {0} s is {1} in the clip, so it becomes a {2} turn on the way back.",
        "On the way back, the turn at {0} s is a {2} turn.",
        "I see the {1} turn at {0} s.",
    ],
)
def test_a_free_text_that_agrees_is_accepted(more: str) -> None:
    row, free, _ = one_row()
    start, side = _turn()
    assert disagreements_in_words(row, f"{free} {more.format(start, side, FLIP[side])}") == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text, said: f"{text} At {_turn()[0]} s they turn {FLIP[_turn()[1]]}.", "sides"),
        (lambda text, said: f"{text} On the way back the turn at {_turn()[0]} s becomes a {_turn()[1]} turn.", "sides"),
        (lambda text, said: text.replace("I have to", "They turn left. I have to"), "opening"),
        (lambda text, said: text.replace("I have to", "They may go left or right. I have to"), "opening"),
        (lambda text, said: text.replace(said, _SIDE.sub(lambda one: FLIP[one[0]], said)), "statements"),
        (lambda text, said: text.replace(said, "that"), "statements"),
        (lambda text, said: f"{text} It ends at 999.0 s.", "times"),
        (lambda text, said: f"{text} No: the answer is {'B' if 'Option A' in text else 'A'}.", "letters"),
        (lambda text, said: text.replace("Backward:", "Back:"), "lists"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_free_text_is_found(
    change: Callable[[str, str], str], what: str
) -> None:
    row, free, said = one_row()
    assert what in [one.what for one in disagreements_in_words(row, change(free, said))]


# ---- blind -------------------------------------------------------------------------------------------


def _skeleton(text: str) -> str:
    """Return the wording of a text, without what comes from the video: lists, quotes, times and letters."""
    lines = [line for line in text.splitlines() if not line.startswith("- ")]
    return re.sub(r"[“„][^“”„]*[”“]|\d+\.\d s|\b[A-D]\b", "…", "\n".join(lines))


@pytest.mark.slow
@pytest.mark.parametrize("shown", ["question", "wording"])
def test_rows_can_t_be_answered_blind(shown: str) -> None:
    """Neither by what is asked, with contrast rows among the others, nor by how the think text is worded."""
    rows = [row for row in composed("fair", 90) if row.answer is not None]
    items = [
        ProbeItem(
            id=row.id,
            question=row.question
            if shown == "question"
            else _skeleton(str(template_text(row, "7"))),
            options=tuple(row.options),
            answer="ABCD".index(str(row.answer)),
            group=row.split_group,
            clip=row.video,
            task=row.question_type,
            orientation=row.orientation,
            contrast=str(row.contrast),
            columns={"category": row.category},
        )
        # A trainer shuffles rows; one after another, those of one item tell each other's letters.
        for row in sorted(rows, key=lambda row: digest(row.id))
    ]
    # Only the learned probe reads more than options, letters and other columns.
    report = probe(items, quick=shown == "wording").report
    assert len(items) > 1_200
    assert report.leaks() == []
    assert abs(report.best.overall.excess) < 0.05
