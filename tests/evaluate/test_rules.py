"""Replies are read strictly, or as the reference's scripts do; a letter is always that of the released item."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_answers import question

from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rules import BY_REFERENCE, REFERENCE, RULES, STRICT, read

ITEM = question("i_1", options=("the red door", "the printer", "the stairs", "the lift"), facts=())


def row(reply: str | None, **fields: object) -> Prediction:
    given = {"id": "i_1", "arm": "frames", "letter": None, "outcome": "unreadable", "reply": reply}
    return Prediction.model_validate(given | fields)


@pytest.mark.parametrize(
    ("reply", "strictly", "by_reference"),
    [
        ("C", "C", "C"),
        ("Answer: C", "C", "A"),
        ("The answer is B.", "B", "B"),
        ("C. the stairs", "C", "C"),
        ("A person turns left, so it is C.", "C", "A"),
        ("Definitely C", "C", "D"),
        ("<answer>C</answer>", "C", "C"),
        ("<think>A? B?</think><answer>C</answer>", "C", "C"),  # as mcq_infer.py reads it
        ("<answer>the red door</answer>", "A", None),
        ("BUDGET_EXCEEDED", None, "B"),
        ("I see a door.", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_what_each_rule_makes_of_a_reply(
    reply: str | None, strictly: str | None, by_reference: str | None
) -> None:
    for parser, letter in ((STRICT, strictly), (REFERENCE, by_reference)):
        found = read(row(reply), ITEM, parser)
        assert (found.letter, found.outcome == "answered") == (letter, letter is not None), parser
        assert (BY_REFERENCE in found.flags) is (parser == REFERENCE)


def test_the_reference_reads_cut_and_refusing_replies_and_others_keep_their_outcome() -> None:
    cut = row("<think>A door", finish="length")
    assert read(cut, ITEM).outcome == "truncated"
    assert read(cut, ITEM, REFERENCE).letter == "A"
    assert read(row("it goes on", finish="length"), ITEM, REFERENCE).outcome == "truncated"
    assert read(row(None, refusal="no"), ITEM, REFERENCE).outcome == "refused"
    assert read(row("c"), ITEM, REFERENCE).outcome == "unreadable"


def test_a_letter_that_no_option_has_is_not_taken_for_another() -> None:
    three = question("i_1", options=("left", "right", "back"), facts=())
    found = read(row("Definitely C"), three, REFERENCE)
    assert (found.letter, found.outcome) == (None, "unreadable")


@pytest.mark.parametrize("parser", RULES)
def test_rotated_letters_are_those_of_the_released_item(parser: str) -> None:
    for by, letter in enumerate("CDAB"):
        assert read(row("C", arm=f"rotate-{by}"), ITEM, parser).letter == letter


@pytest.mark.parametrize("parser", RULES)
def test_failed_requests_and_letters_without_a_reply_stay_as_they_are(parser: str) -> None:
    failed = row("A", outcome="failed", error="A")
    assert read(failed, ITEM, parser) == failed
    lettered = row(None, letter="B", outcome="answered")
    assert read(lettered, ITEM, parser) == lettered


def test_an_answer_in_the_reasoning_field_is_none_for_the_reference() -> None:
    found = read(row(None, reasoning="<answer>C</answer>", finish="stop"), ITEM)
    assert found.letter == "C"
    assert read(found, ITEM, REFERENCE).letter is None


@given(
    st.text(max_size=40) | st.none(),
    st.sampled_from(list(RULES)),
    st.sampled_from([None, "stop", "length"]),
)
def test_reading_twice_is_reading_once(reply: str | None, parser: str, finish: str | None) -> None:
    once = read(row(reply, finish=finish), ITEM, parser)
    assert read(once, ITEM, parser) == once
    assert read(read(once, ITEM, REFERENCE), ITEM) == read(once, ITEM)
