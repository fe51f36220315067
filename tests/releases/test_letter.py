r"""The parser of answer letters: what states an answer, what doesn't, and what other parsers made of it.

Each case that comes from a report names it. `LMMS` and `INSPECT` are what `extract_mcq_answer` of lmms-eval 0.7.3
and `parse_answers` of inspect-ai 0.3.285 return for the same reply, taken down from those versions.
"""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.releases.layout import LETTERS
from pipeline.releases.letter import closed_letter, parse_letter

OPTIONS = ("the red door", "the printer", "the stairs", "the lift")
TEN = tuple(
    f"the {thing}"
    for thing in [
        "door",
        "stairs",
        "lift",
        "plant",
        "sofa",
        "desk",
        "lamp",
        "shelf",
        "window",
        "exit",
    ]
)

FORMS = (
    "{}",
    "({})",
    "[{}].",
    "{}.",
    "**{}**",
    "*{}*",
    "__{}__",
    "`{}`",
    '"{}"',
    "${}$",
    "# {}",
    "- {}",
    "> {}",
    "| {} |",
    "<b>{}</b>",
    "<answer>{}</answer>",
    "<ANSWER> {} </ANSWER>.",
    "<answer>**{}**</answer>",
    "<answer>({})</answer>",
    "<answer>\n{}\n</answer>",
    "<answer>Option {}</answer>",
    "<answer>{}",
    "{}</answer>",
    r"\boxed{{{}}}",
    r"$\boxed{{{}}}$",
    r"\[ \boxed{{ {} }} \]",
    r"\boxed{{\text{{{}}}}}",
    r"\boxed{{\textbf{{({})}}}}",
    r"\\boxed{{{}}}",
    "<|begin_of_box|>{}<|end_of_box|>",
    "Answer: {}",
    "ANSWER: {}",
    "Answer:{}",
    "Answer - {}",
    "Answer = {}",
    "**Answer:** {}",
    "**Answer**: {}",
    "Answer: **{}**",
    "Answer: ({})",
    "Answer:\n\n{}",
    "### Final Answer\n\n**{}**",
    "The answer is {}.",
    "The correct answer is: ({})",
    "The best option is therefore {}.",
    "The answer to the question must be {}.",
    "My final answer is {}.",
    "Option {}",
    "Option {} is correct.",
    "({}) is the right answer.",
    "I would choose option {}.",
    "I'd go with {}.",
    "I'll answer with option {}.",
    "Option **{}** best matches the frames.",
    "The stairs come last, so option {}.",
    "Verdict: {}",
    "Therefore, {}.",
    "So the order of the frames is {}.",
    '{{"answer": "{}"}}',
    '```json\n{{"answer": "{}", "reason": "A door is seen."}}\n```',
    "{{'final_answer': '{}'}}",
    "Antwort: {}",
    "Die richtige Antwort ist {}.",
    "Die Antwort lautet **{}**.",
    "Lösung: {}",
    "Ich wähle {}.",
    "Option {} ist richtig.",
    "Réponse : {}",
    "La respuesta correcta es {}.",
    "Risposta: {}",
    "A resposta é {}.",
    "Antwoord: {}",
    "\u041e\u0442\u0432\u0435\u0442: {}",
    "答案\uff1a{}",
    "正确答案是{}。",
    "选{}",
    "答えは「{}」です",
    "정답은 {}입니다",
)
WIDE = {letter: chr(ord(letter) + 0xFEE0) for letter in LETTERS}
CIRCLED = {letter: chr(ord(letter) - ord("A") + 0x24B6) for letter in LETTERS}
NOISE = st.sampled_from(["", " ", "\n", "\n\n", "\t", "\u00a0", "\u200b", "\ufeff", "\r\n"])


def letter_as(letter: str, script: str) -> str:
    """Return a letter as a keyboard, a full-width font or a circle gives it."""
    return {"wide": WIDE, "circled": CIRCLED}.get(script, {}).get(letter, letter)


@given(
    st.sampled_from(FORMS),
    st.integers(2, 10),
    st.data(),
    st.sampled_from(["plain", "plain", "wide", "circled"]),
    NOISE,
    NOISE,
)
def test_every_form_of_a_statement_gives_its_letter(
    form: str, count: int, data: st.DataObject, script: str, before: str, after: str
) -> None:
    letter = data.draw(st.sampled_from(LETTERS[:count]))
    reply = before + form.format(letter_as(letter, script)) + after
    assert parse_letter(reply, TEN[:count]) == letter


@given(st.sampled_from(FORMS), st.integers(2, 9), st.data())
def test_a_letter_that_no_option_has_is_unreadable(
    form: str, count: int, data: st.DataObject
) -> None:
    letter = data.draw(st.sampled_from(LETTERS[count:]))
    assert parse_letter(form.format(letter), TEN[:count]) is None


TEXTS = (
    "{}",
    "{}.",
    "**{}**",
    "<answer>{}</answer>",
    r"\boxed{{\text{{{}}}}}",
    "Answer: {}",
    "The answer is {}.",
)


@given(st.sampled_from(TEXTS), st.integers(0, 9), st.booleans(), NOISE)
def test_the_full_text_of_an_option_gives_its_letter(
    form: str, option: int, upper: bool, noise: str
) -> None:
    text = TEN[option].upper() if upper else TEN[option]
    assert parse_letter(noise + form.format(text) + noise, TEN) == LETTERS[option]


SEPARATORS = (". ", ") ", ": ", " - ", "\u2014", " ", ".")


@given(
    st.sampled_from(["{}", "Answer: {}", "<answer>{}</answer>", "**{}**", r"\boxed{{{}}}"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from(SEPARATORS),
)
def test_a_letter_counts_only_with_its_own_options_text(
    form: str, letter: int, option: int, separator: str
) -> None:
    reply = form.format(f"{LETTERS[letter]}{separator}{TEN[option]}")
    assert parse_letter(reply, TEN) == (LETTERS[letter] if letter == option else None)


THOUGHTS = st.text("abc ABCD.\n:*", max_size=60) | st.sampled_from(
    ["Answer: A", "<answer>B</answer>", r"\boxed{D}", "A\n", "I think it is B.", "<think>B"]
)
MARKERS = (
    ("<think>", "</think>"),
    ("", "</think>"),
    ("<think>\n", "\n</think>\n\n"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
)


@given(
    st.sampled_from(MARKERS),
    THOUGHTS,
    st.sampled_from([*FORMS, "not {}", "{} or D", "no idea", ""]),
    st.sampled_from("ABCD"),
)
def test_thinking_before_a_reply_never_changes_its_answer(
    marker: tuple[str, str], thought: str, form: str, letter: str
) -> None:
    reply = form.format(letter)
    assert parse_letter(marker[0] + thought + marker[1] + reply, OPTIONS) == parse_letter(
        reply, OPTIONS
    )


@given(st.sampled_from(MARKERS), THOUGHTS)
def test_open_thinking_is_not_searched(marker: tuple[str, str], thought: str) -> None:
    assume(marker[0])
    assert parse_letter(marker[0] + thought, OPTIONS) is None


WORDS = [
    "a",
    "the",
    "wearer",
    "person",
    "door",
    "walks",
    "turns",
    "left",
    "right",
    "then",
    "past",
    "A",
    "I",
    "and",
    "to",
    "stairs",
    "sees",
    "no",
    "not",
    "it",
    "is",
    "in",
    "at",
    "frame",
    "second",
    "room.",
    "corridor,",
    "again.",
    "ein",
    "eine",
    "die",
    "Tür",
    "links",
    "rechts",
    "dann",
    "I'm",
    "A,",
    "I.",
    "B2",
    "C3",
    "D's",
    "vitamin-C",
]


@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=30))
def test_prose_without_a_statement_is_unreadable(words: list[str]) -> None:
    prose = f"Then {' '.join(words)} on"
    assume("it is" not in prose)
    assert parse_letter(prose, OPTIONS) is None
    assert parse_letter(prose, TEN) is None


@given(st.text(max_size=80))
def test_any_reply_gives_a_letter_of_an_option_or_none(reply: str) -> None:
    assert parse_letter(reply, OPTIONS) in {None, *"ABCD"}
    assert closed_letter(reply, OPTIONS) in {None, *"ABCD"}


REMARKS = (
    "Note that A is a common distractor.",
    "A is incorrect.",
    "Option B is wrong, since the printer comes first.",
    "A person turns left before that.",
    "I am sure of this.",
    "The answer is not A.",
    "If the wearer had turned left, the answer would be A.",
    "B would be a good guess.",
    "D was ruled out early.",
)
STATED = (
    "Answer: C.",
    "The answer is C.",
    "<answer>C</answer>.",
    r"\boxed{C}.",
    "**Answer: C.**",
    "C is correct.",
)


@given(
    st.sampled_from(STATED),
    st.lists(st.sampled_from(REMARKS), min_size=1, max_size=4),
    st.booleans(),
)
def test_remarks_after_a_statement_do_not_overwrite_it(
    stated: str, remarks: list[str], lines: bool
) -> None:
    assert parse_letter(("\n" if lines else " ").join([stated, *remarks]), OPTIONS) == "C"


@given(st.sampled_from("ABD"), st.sampled_from("C"), st.sampled_from(STATED))
def test_the_last_statement_decides(first: str, last: str, stated: str) -> None:
    reply = f"At first the answer is {first}. On a second look, that fails.\n{stated}"
    assert parse_letter(reply, OPTIONS) == last


REPORTS = [
    ("", None, "VLMEvalKit#1701: an empty reply scores as A"),
    ("  \n", None, "VLMEvalKit#1701"),
    ("Answer: C", "C", "VLMEvalKit#1591: the word Answer adds an A"),
    ("Answer", None, "VLMEvalKit#1591"),
    ("Antwort:\n\nAntwort: C", "C", "simple-evals#33: the A of Antwort"),
    ("Antwort: Antwort: C", "C", "simple-evals#33"),
    ("The answer is B because a car moves.", "B", "lm-evaluation-harness#4188: the article a"),
    ("I would pick B - a safe choice.", "B", "lm-evaluation-harness#4188"),
    ("Answer: It is not B, the answer is D", "D", "antirez/ds4#321: a negated letter"),
    ("Answer: rules out C, leaving D", "D", "antirez/ds4#321"),
    ("Answer: D, not B", "D", "antirez/ds4#321"),
    ("Answer: not A", None, "antirez/ds4#321"),
    ("Answer: I think it is C", "C", "antirez/ds4#319: the pronoun I"),
    (
        "The answer is B. Note that A is a common distractor.",
        "B",
        "omlx#3668: a remark overwrites it",
    ),
    ("ANSWER IS D. A is incorrect.", "D", "omlx#3668"),
    ("The answer is C because I computed it.", "C", "omlx#3668"),
    (
        r"\boxed{\langle H\rangle \ll \Delta E}" + "\n\n**Answer: D**",
        "D",
        "NeMo Skills#1511: a formula",
    ),
    ("**Answer: D**\n\n" + r"\boxed{\langle H\rangle \ll \Delta E}", "D", "NeMo Skills#1511"),
    (r"**Answer: D**, for \boxed{A = B + C}", "D", "NeMo Skills#1511"),
    (r"**Answer: D**, for \boxed{A + B}", "D", "NeMo Skills#1511"),
    (r"**Answer: D**, for \boxed{C_1}", "D", "NeMo Skills#1511"),
    (r"\boxed{\text{C}}", "C", "NeMo Gym#1790: a letter boxed in a text command"),
    (r"The final answer is: $\boxed{\textbf{(C)}}$", "C", "NeMo Gym#1790"),
    ("The wearer passes A.</think>\n\nC", "C", "vllm#31045: a lone closing think marker"),
    ("<think>Let me look. The answer is C", None, "lighteval#869: thinking cut off"),
    ("A person turns left", None, "trap 3: an article"),
    (
        "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 400 - Bad",
        None,
        "trap 1: a failed call",
    ),
    ("[LMMS_EVAL_BUDGET_EXCEEDED]", None, "trap 1: a failed call"),
    ("I cannot tell.", None, "trap 2: an unreadable answer becomes a random letter"),
]


@pytest.mark.parametrize(("reply", "expected", "source"), REPORTS)
def test_what_other_parsers_got_wrong(reply: str, expected: str | None, source: str) -> None:
    assert parse_letter(reply, OPTIONS) == expected, source


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("A or C", None),
        ("A\nC", None),
        ("The answer is C or D.", None),
        ("The answer is either C or D.", None),
        ("Answer: C / D", None),
        ("Answer: C D", None),
        ("Both A and C are correct.", None),
        ("Answer: C\n\nB", None),
        ("<answer>C or D</answer>", None),
        ('{"answer": ["A", "C"]}', None),
        ("<answer>A</answer> no: <answer>C</answer>", "C"),
        ("The answer is not C but D.", "D"),
        ("The answer is C rather than D.", "C"),
        ("Neither A nor B is correct.", None),
        ("I don't think the answer is C.", None),
        ("The answer isn't C.", None),
        ("Is the answer C?", None),
        ("C?", None),
        ("Maybe it is C.", None),
        ("The answer could be C.", None),
        ("The answer would be A if the wearer turned left.", None),
        ("A common wrong answer is B.", None),
        (r"The answer is not \boxed{A}.", None),
        ("Answer: none of the above", None),
        ("I", None),
        ("I think so", None),
        ("A wall is seen", None),
        ("Answer: A person turns left", None),
        ("Answer: A the red door", "A"),
        ("The answer is A because the door is red.", "A"),
        ("C, because the stairs come last", None),
        ("C. the lift", None),
        ("C\n\nExplanation: A is seen first.", "C"),
        ("A. the red door\nB. the printer\nC. the stairs\nD. the lift", None),
        ("A. the red door\nB. the printer\nC. the stairs\nD. the lift\n\nC", "C"),
        ("A: no\nB: no\nC: yes\nD: no", None),
        ("- the red door\n- the printer\n- the stairs", None),
        ("At 3 s it is the printer.", None),
        ("On the wearer walks, leaving the stairs.", None),
        ("So the wearer enters room B.", None),
        ("The sign says **B**.", None),
        ("The best match is **B**.", "B"),
        ("From the frames: **B**", "B"),
        ("I think B.", "B"),
        ("I think A person turns.", None),
        ("I think A is before B.", None),
        ("I think **A** is before B.", None),
        ("I think B because the door is red.", "B"),
        ("D is the option where the wearer turns left. Answer: C", "C"),
        ("The options are: A. the red door, B. the printer.\n\n**C**", "C"),
        ("\u041e\u0442\u0432\u0435\u0442: \u0421", None),  # a Cyrillic letter
    ],
)
def test_two_letters_denials_and_words_are_no_answer(reply: str, expected: str | None) -> None:
    assert parse_letter(reply, OPTIONS) == expected


def test_two_options_with_one_text_are_unreadable_by_text() -> None:
    assert parse_letter("the door", ("the door", "the door")) is None
    assert parse_letter("B. the door", ("the door", "the door")) == "B"
    assert parse_letter("B", ("the door", "the door")) == "B"


def test_a_letter_that_is_another_options_text_is_unreadable() -> None:
    assert parse_letter("b", ("b", "a")) is None
    assert parse_letter("A. b", ("b", "a")) == "A"


def test_arrows_dashes_and_quotes_of_an_option_may_be_written_otherwise() -> None:
    options = ("left -> right", "right -> left", "wearer's desk", "half-open door")
    assert parse_letter("right \u2192 left", options) == "B"
    assert parse_letter("C. wearer\u2019s desk", options) == "C"
    assert parse_letter("Answer: half\u2011open door", options) == "D"


@pytest.mark.parametrize(
    "reply",
    [
        "<think>" * 4000,
        "<answer>" * 3000,
        r"\boxed{" * 4000,
        "answer is " * 3000,
        "*" * 30_000,
        "A," * 15_000,
        "A or " * 6000 + "B is correct",
        "C\n" * 10_000,
        "not " * 8000,
        r"\text{" * 5000,
    ],
)
def test_long_replies_are_read_in_a_second(reply: str) -> None:
    began = time.process_time()
    parse_letter(reply, OPTIONS)
    assert time.process_time() - began < 2


# reply, the letter it states, lmms-eval 0.7.3, inspect-ai 0.3.285 ("" where they find none)
COMPARED = [
    ("C", "C", "C", ""),
    ("(C)", "C", "C", ""),
    ("C.", "C", "C", ""),
    ("ANSWER: C", "C", "C", "C"),
    ("Answer: C", "C", "C", "C"),
    ("answer: c", "C", "", "C"),
    ("First left, then right.\nANSWER: C", "C", "C", "C"),
    ("ANSWER: C.", "C", "C", "C"),
    ("**ANSWER: C**", "C", "C", "C"),
    ("ANSWER: (C)", "C", "C", "C"),
    ("ANSWER: $C$", "C", "C", "C"),
    ("The answer is C.", "C", "C", ""),
    ("The correct answer is (C).", "C", "C", ""),
    ("I choose C", "C", "C", ""),
    ("A or B at first. ANSWER: C", "C", "A", "C"),
    ("ANSWER: B\n\nANSWER: C", "C", "C", "C"),
    ("", "", "", ""),
    ("no idea", "", "", ""),
    ("A person turns left", "", "A", ""),
    ("I think A wall is seen", "", "A", ""),
    ("The answer is C. A is a distractor.", "C", "A", ""),
    ("Answer: D, not B", "D", "B", ""),
    ("It is not B, the answer is D", "D", "D", ""),
    ("\\boxed{C}", "C", "C", ""),
    ("<answer>C</answer>", "C", "C", ""),
    ('{"answer": "C"}', "C", "C", ""),
    ("Antwort: C", "C", "C", ""),
    ("the stairs", "C", "", ""),
    ("<think>ANSWER: A", "", "A", "A"),
    ("<think>A person or B", "", "B", ""),
    ("ANSWER: A\n</think>\n\nC", "C", "C", "A"),
    ("[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 400", "", "D", ""),
    ("[LMMS_EVAL_BUDGET_EXCEEDED]", "", "D", ""),
    ("A. the red door\nB. the printer\n\nANSWER: C", "C", "A", "C"),
    ("Both B and C.", "", "C", ""),
    ("So, not (A).", "", "A", ""),
    ("Did ANSWER: A look right? No.", "", "A", ""),
]


@pytest.mark.parametrize(("reply", "expected", "lmms", "inspect"), COMPARED)
def test_the_parser_agrees_with_others_where_they_are_right(
    reply: str, expected: str, lmms: str, inspect: str
) -> None:
    assert (parse_letter(reply, OPTIONS) or "") == expected


def test_the_comparison_has_cases_where_others_are_right_and_where_they_are_wrong() -> None:
    for other in (2, 3):
        agree = [row for row in COMPARED if row[other] == row[1]]
        assert 10 <= len(agree) <= len(COMPARED) - 10
