"""The answer in a model's reply: past reasoning, fences, sentences and encodings; linear in time."""

import json
import time
from typing import Any

import pytest

from pipeline.models.answer import answers

ANSWER = {"steps": [{"start_seconds": 0.5, "landmark": 'a {red} "door"', "undo": None}], "sure": 1}
TEXT = json.dumps(ANSWER)
DRAFT = '{"steps": [], "sure": 0}'


def answer(text: str, *, cut_off: bool = False) -> Any:
    """Return the first object that fits a schema with `steps` and `sure`."""
    found = answers(text, cut_off=cut_off)
    return next((one for one in found if one.keys() >= {"steps", "sure"}), None)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f'<think>\nlike {{"steps": [...]}} with {{move: left}}.\n</think>\n\n{TEXT}',
        f"<think>{DRAFT}</think>{TEXT}",
        f'The schema {{"steps": ...}} asks for {DRAFT}\n</think>\n{TEXT}',
        f"<think>never closed, a brace {{ and then {TEXT}",
        f"<reasoning effort='high'>{DRAFT}</reasoning>{TEXT}",
        f"<thought>{DRAFT}</thought>\n<answer>{TEXT}</answer>",
        f"[THINK]{DRAFT}[/THINK]{TEXT}",
        f"◁think▷{DRAFT}◁/think▷{TEXT}",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{TEXT}<|return|>",
        f"analysis{DRAFT}assistantfinal{TEXT}",
        f"{TEXT}<|end|>",
        f"Here it is:\n```json\n{json.dumps(ANSWER, indent=1)}\n```\nTell me if {{anything}} is unclear.",
        f"{DRAFT}\nOn reflection:\n{TEXT}",
        f"a stray {{ before {TEXT} and }} after",
        f'{{"steps": "a string that never ends\n{TEXT}',
        f"{TEXT[:-1]},}}",
        TEXT.replace("}]", "},]"),
        TEXT.replace(", ", ", // a comment, with a { brace\n"),
        TEXT.replace(', "', ', /* a comment, with a } brace */ "'),
        repr(ANSWER),
        json.dumps(TEXT),
        json.dumps(json.dumps(TEXT)),
        f"The result is {json.dumps(TEXT)}, as asked.",
        json.dumps(f"```json\n{TEXT}\n```"),
        json.dumps({"answer": ANSWER}),
        json.dumps({"arguments": TEXT}),
        json.dumps([ANSWER]),
    ],
)
def test_the_last_object_outside_of_reasoning_is_the_answer(text: str) -> None:
    assert answer(text) == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "I see a corridor.",
        f"<think>{TEXT}</think>",
        f"<think>{TEXT}</think> I can't tell.",
        f"<think>perhaps {TEXT} but no, that is wrong",
        TEXT[:-2],
        '"[',
    ],
)
def test_what_was_only_considered_is_no_answer(text: str) -> None:
    assert answer(text) is None


def test_a_reply_that_was_cut_off_counts_only_if_the_answer_ended_it() -> None:
    assert answer(f"{TEXT}\n\n\n\n", cut_off=True) == ANSWER
    assert answer(f"{DRAFT} and better: {TEXT[:-9]}", cut_off=True) is None
    assert answer(f"<think>{TEXT}", cut_off=True) is None


@pytest.mark.parametrize("mark", ["<think>", "</think>"])
def test_a_tag_inside_the_answer_is_text(mark: str) -> None:
    text = TEXT.replace("red", mark)
    assert answer(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"steps": "a\nb", "sure": 1}', "a\nb"),
        (r'{"steps": "I\'m \d", "sure": 1}', "I'm \\d"),
        (r"{'steps': 'I\'m', 'sure': True}", "I'm"),
        ('{"steps": "\\u00fc", "sure": null}', "ü"),
    ],
)
def test_strings_that_json_forbids_are_read(text: str, value: str) -> None:
    assert answer(text)["steps"] == value


HOSTILE = [
    "{", "{}", '{"a":', '{"', '{"\\"', '"{\\"', "{'", '{"\n', "<think>", "</think>", "<", "[",
    '{"a":[1,],x', '{"steps":[{"move":"left"},', "{ ", '"`', "<|channel|>", '{"a":[', "\\",
    '{"a"://', '{"a":/*', "/*", "//", '{"a"://\n',
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_is_linear_in_the_length(piece: str) -> None:
    def seconds(length: int) -> float:
        text = '{"a":' + piece * (length // len(piece)) + TEXT
        begin = time.process_time()
        for _ in answers(text):
            pass
        return time.process_time() - begin

    short, long = 25_000, 400_000
    # Quadratic would be 256 times as long, linear is 16; a busy machine varies by a factor of two or three.
    least = min(seconds(long), seconds(long))
    assert least < 64 * max(seconds(short), 0.002)
