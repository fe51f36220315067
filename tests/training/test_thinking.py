"""Think texts: what they say follows from what happens, how they say it from the row's id and the seed."""

import re
from collections import Counter, defaultdict
from functools import cache

import pytest
from composed_rows import composed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.questions.rows import AskedFact
from pipeline.routes import templates
from pipeline.routes.tasks import plain
from pipeline.training import thinking
from pipeline.training.asked import undone
from pipeline.training.lists import read
from pipeline.training.rows import Happening, TrainingRow
from pipeline.training.thinking import completion, lack, template_text

WORLDS = ("fair", "kitchens")


@cache
def rows(language: str = "en") -> list[TrainingRow]:
    return [row for world in WORLDS for row in composed(world, 60, language=language)]


def kind(row: TrainingRow) -> tuple[object, ...]:
    return row.category, row.orientation, row.contrast, bool(undone(row)), row.made


def text_of(row: TrainingRow, seed: str = "") -> str:
    text = template_text(row, seed)
    assert text is not None
    return text


# ---- one row, word by word ---------------------------------------------------------------------------


def fact(name: str, *values: str) -> AskedFact:
    return AskedFact(name=name, values=list(values), back="", rewound="", mirrored="", seen_us=[])


def row(orientation: str = "forward", **changes: object) -> TrainingRow:
    reverse = orientation == "reverse"
    options = [
        f"{turn}; {order}"
        for turn in (("last turn right", "last turn left") if reverse else ("first turn left", "first turn right"))
        for order in ("put back the cup before close the door", "close the door before put back the cup")
    ]  # fmt: skip
    if not reverse:
        options = [
            one.replace("put back the cup", "take a cup").replace("close the", "open the")
            for one in options
        ]
    return TrainingRow.model_validate(
        {
            "id": "i_1",
            "item": "i_1",
            "made": "released",
            "question_type": f"action_{orientation}",
            "category": "action",
            "orientation": orientation,
            "contrast": "mixed",
            "format": "mcq",
            "language": "en",
            "split_group": "g",
            "video": "s_1",
            "question": "?",
            "options": options,
            "answer": "A" if reverse else "B",
            "answer_text": options[0 if reverse else 1],
            "facts": [
                fact("turn:2", "right", "right", "left", "left")
                if reverse
                else fact("turn:1", "left", "left", "right", "right"),
                fact("action:close the door|put back the cup", "second", "first", "second", "first")
                if reverse
                else fact("action:open the door|take a cup", "second", "first", "second", "first"),
            ],
            "happenings": [
                Happening(kind="action", what="open the door", start=0, end=2.04, undo="close the door"),
                Happening(kind="turn", what="left", start=3, end=4.5),
                Happening(kind="action", what="take a cup", start=6, end=7, undo="put back the cup"),
                Happening(kind="landmark", what="the red lamp", start=8, end=9),
                Happening(kind="turn", what="right", start=10, end=11),
            ],
            "seconds": 12,
            "frames": [],
            "frame_seconds": [],
            "think": None,
            "think_source": "none",
        }
        | changes
    )  # fmt: skip


FORWARD = """\
Forward:
- 0.0 s to 2.0 s: action: open the door
- 3.0 s to 4.5 s: turn: left
- 6.0 s to 7.0 s: action: take a cup
- 8.0 s to 9.0 s: landmark: the red lamp
- 10.0 s to 11.0 s: turn: right
"""
KEPT = """\
Backward:
- turn: left
- landmark: the red lamp
- action: take a cup
- turn: right
- action: open the door
"""
UNDONE = KEPT.replace("take a", "put back the").replace("open", "close")


def test_a_forward_row_is_answered_and_then_checked_backwards() -> None:
    text = text_of(row())
    opening, _, rest = text.partition(FORWARD)
    checks, _, end = rest.partition(KEPT)
    assert opening.count("\n") == 1
    assert "3.0 s" in checks
    assert "“first turn left”" in checks
    assert "A and B" in checks
    assert "B and D" in checks
    assert "0.0 s" in checks
    assert "6.0 s" in checks
    assert "“open the door before take a cup”" in checks
    assert "“last turn right” and “take a cup before open the door”" in end
    assert re.search(r"\bB\b", end.splitlines()[-1])


def test_a_reverse_row_is_turned_around_and_then_answered() -> None:
    text = text_of(row("reverse"))
    opening, _, rest = text.partition(FORWARD)
    lead, _, end = rest.partition(UNDONE)
    assert opening.count("\n") == lead.count("\n") == 1
    assert "“last turn right”" in end
    assert "“put back the cup before close the door”" in end
    assert "3.0 s" in end
    assert "0.0 s" in end
    assert "6.0 s" in end
    assert "A and B" in end
    assert "A and C" in end
    assert re.search(r"\bA\b", end.splitlines()[-1])


def test_actions_that_the_question_names_themselves_are_not_undone() -> None:
    asked = row("reverse")
    renamed = [
        one.replace("put back the cup", "take a cup").replace("close the", "open the")
        for one in asked.options
    ]
    own = row(
        "reverse",
        options=renamed,
        answer_text=renamed[0],
        facts=[asked.facts[0], fact("action:open the door|take a cup", *asked.facts[1].values)],
    )
    # "close|put" are in the order of the alphabet, and so are "open|take": what is first stays second.
    assert KEPT in text_of(own)


def test_the_completion_is_the_text_and_the_answer_in_their_tags() -> None:
    asked = row()
    assert completion(asked) == "<answer>B</answer>"
    thought = asked.model_copy(update={"think": "So it is B."})
    assert completion(thought) == "<think>\nSo it is B.\n</think>\n<answer>B</answer>"
    told = asked.model_copy(update={"answer": None, "answer_text": "Turn left."})
    assert completion(told) == "<answer>Turn left.</answer>"
    with pytest.raises(ValueError, match="contains a tag"):
        completion(asked.model_copy(update={"think": "<answer>A</answer>"}))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"language": "fr"}, "language"),
        ({"facts": []}, "facts"),
        ({"options": ["first turn left", "b", "c", "d"]}, "words"),
        ({"answer": "A"}, "contradiction"),
        ({"answer": "F"}, "facts"),
        ({"happenings": []}, "contradiction"),
        (
            {"happenings": [*row().happenings, Happening(kind="landmark", what="</think>", start=11, end=12)]},
            "tags",
        ),
    ],
)  # fmt: skip
def test_a_row_without_a_text_says_why(changes: dict[str, object], why: str) -> None:
    asked = row(**changes)
    assert template_text(asked, "") is None
    assert lack(asked) == why
    assert why in thinking.LACKS


def test_a_row_with_a_text_lacks_nothing() -> None:
    assert lack(row()) is None


# ---- wording -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", thinking.LANGUAGES)
def test_the_wording_of_a_row_follows_from_its_id_and_the_seed(language: str) -> None:
    one = rows(language)[0]
    assert text_of(one, "1") == text_of(one, "1")
    assert len({text_of(one, str(seed)) for seed in range(300)}) > 250


@pytest.mark.parametrize("language", thinking.LANGUAGES)
def test_hundreds_of_wordings_of_each_kind(language: str) -> None:
    """Without names, times and letters, 300 seeds give more than 200 wordings of a row of each kind."""
    kinds = {kind(one)[:4]: one for one in rows(language)}
    assert {one[0] for one in kinds} == {"direction", "landmark", "action", "route"}
    for one in kinds.values():
        texts = {text_of(one, str(seed)) for seed in range(300)}
        assert len(texts) > (200 if one.format == "mcq" else 100)


@pytest.mark.parametrize("language", thinking.LANGUAGES)
def test_a_wording_is_never_chosen_by_what_is_true(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block has the same number of wordings in every row, so the digest of id and seed alone chooses among them."""
    counts: dict[str, set[int]] = defaultdict(set)
    render = templates.Prompt.render

    def counting(self: templates.Prompt, block: str, **said: object) -> str:
        text = render(self, block, **said)
        counts[block].add(sum(map(bool, map(str.strip, text.split("\n")))))
        return text

    monkeypatch.setattr(templates.Prompt, "render", counting)
    for one in rows(language):
        text_of(one)
    assert len(counts) > 15
    assert all(len(some) == 1 for some in counts.values())


@pytest.mark.parametrize("language", thinking.LANGUAGES)
def test_each_row_uses_the_same_wordings_with_every_answer(language: str) -> None:
    """With the same id, the text of another answer differs in nothing but what it states."""
    pairs = [one for one in rows(language) if one.made == "mirrored" and one.contrast == "turn"]
    by_id = {one.id: one for one in rows(language)}
    assert len(pairs) > 20
    for one in pairs:
        released = by_id[one.item].model_copy(update={"id": one.id})
        assert released.answer != one.answer
        assert _skeleton(text_of(one)) == _skeleton(text_of(released))


def _skeleton(text: str) -> str:
    """Return a text without what depends on the video: lists, quotes, times and letters."""
    lines = [line for line in text.splitlines() if not line.startswith("- ")]
    return re.sub(r"[“„].*?[”“]|\d+\.\d s|\b[A-D]\b|\bund\b|\band\b", "", "\n".join(lines))


def test_the_wording_tells_nothing_of_the_letter() -> None:
    """Of each wording of the conclusion and of the openings, the share of each letter is that of all rows."""
    every = [one for one in rows() if one.format == "mcq"]
    letters = Counter(one.answer for one in every)
    openings: dict[str, Counter[str | None]] = defaultdict(Counter)
    for one in every:
        for line in (text_of(one).splitlines()[0], _skeleton(text_of(one)).splitlines()[-1]):
            openings[line][one.answer] += 1
    statistic = degrees = 0.0
    for counts in openings.values():
        total = sum(counts.values())
        degrees += len(letters) - 1
        for letter, count in letters.items():
            expected = total * count / len(every)
            statistic += (counts[letter] - expected) ** 2 / expected
    assert len(openings) > 15
    assert statistic < degrees + 5 * (2 * degrees) ** 0.5


# ---- any names ---------------------------------------------------------------------------------------

odd = st.text(min_size=1, max_size=20) | st.sampled_from(
    [
        "a “left” door",
        "x before y",
        "„b“",
        "5.0 s",
        "A",
        "a|b",
        "turn: left",
        "{{ 7 * 7 }}",
        "so it is C.",
        "“",
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd, odd)
def test_names_are_data(first: str, second: str) -> None:
    one, other = plain(first), plain(second)
    if not one or not other or one == other:
        return
    names = sorted((one, other))
    ways = [f"{one} before {other}", f"{other} before {one}"]
    options = [f"{turn}; {way}" for turn in ("first turn left", "first turn right") for way in ways]
    value = "first" if names[0] == one else "second"
    wrong = "second" if value == "first" else "first"
    asked = row(
        category="landmark",
        options=options,
        answer="A",
        answer_text=options[0],
        facts=[
            fact("turn:1", "left", "left", "right", "right"),
            fact(f"landmark:{'|'.join(names)}", value, wrong, value, wrong),
        ],
        happenings=[
            Happening(kind="turn", what="left", start=0, end=1),
            Happening(kind="landmark", what=one, start=2, end=3),
            Happening(kind="landmark", what=other, start=4, end=5),
        ],
    )
    if lack(asked) == "tags":
        return
    text = text_of(asked, first)
    stated = read(text)
    assert stated is not None
    assert [event.what for event in stated.forward] == ["left", one, other]
    assert [event.what for event in stated.backward] == [other, one, "right"]
