"""What a reply is: answered, unreadable, refused or truncated, from its text, finish reason and reasoning."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.answers import FROM_REASONING, Answer, read_answer
from pipeline.models.completion import read_completion

OPTIONS = ("the red door", "the printer", "the stairs", "the lift")
UNREADABLE, REFUSED = Answer(None, "unreadable"), Answer(None, "refused")
TRUNCATED, ANSWERED = Answer(None, "truncated"), Answer("C", "answered")


@pytest.mark.parametrize(
    ("text", "finish", "expected", "source"),
    [
        ("<answer>C</answer>", "length", ANSWERED, "closed before the cut"),
        ("<think>so</think><answer>C</answer> The", "length", ANSWERED, "closed before the cut"),
        ("<answer>C</answer> But <answer>D", "length", TRUNCATED, "a later answer was cut"),
        ("<answer>C", "length", TRUNCATED, "not closed"),
        ("<answer>C or D</answer> The", "length", TRUNCATED, "states no letter"),
        ("Answer: C", "length", TRUNCATED, "any other cut reply"),
        (r"\boxed{C} The", "length", TRUNCATED, "any other cut reply"),
        ("C", "max_tokens", TRUNCATED, "another name of the finish reason"),
        ("<think>The answer is C", "length", TRUNCATED, "lighteval#869: thinking cut off"),
        ("<think><answer>C</answer> or", "length", TRUNCATED, "lighteval#869"),
        ("<think>The answer is C", None, TRUNCATED, "open thinking, finish reason unknown"),
        ("<think>The answer is C", "stop", UNREADABLE, "ended by itself within thinking"),
        ("", "length", TRUNCATED, "all tokens went into reasoning"),
        ("", "stop", UNREADABLE, "VLMEvalKit#1701: an empty reply"),
        (None, None, UNREADABLE, "no content"),
        ("<answer>C", "stop", ANSWERED, "a stop sequence takes </answer> away"),
        ("Answer: C", "stop", ANSWERED, ""),
        ("Answer: C", None, ANSWERED, "a prediction file without finish reasons"),
        ("Answer: C", "eos", ANSWERED, ""),
        ("Answer: C", "content_filter", REFUSED, "flagged by the server"),
    ],
)
def test_a_cut_reply_is_truncated_unless_its_answer_was_closed(
    text: str | None, finish: str | None, expected: Answer, source: str
) -> None:
    assert read_answer(text, OPTIONS, finish) == expected, source


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I can\u2019t assist with that request.",
        "I cannot answer this question. If you have other questions, feel free to ask!",
        "Sorry, I am unable to identify people in images.",
        "I must decline to answer.",
        "As an AI, I will not comply with this request.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Diese Frage kann ich leider nicht beantworten.",
        "Lo siento, no puedo ayudarte con eso.",
        "抱歉,我无法回答这个问题。",
    ],
)
def test_a_reply_that_only_refuses_is_refused(text: str) -> None:
    assert read_answer(text, OPTIONS, "stop") == REFUSED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, I can't be sure, but the answer is C.", ANSWERED),
        ("I can't help with faces. Answer: C", ANSWERED),
        ("I can't help but notice a door. The wearer turns left.", UNREADABLE),
        ("I'm sorry. The frames are dark.", UNREADABLE),
        ("I can't help with faces. The wearer turns left.", UNREADABLE),
        ("The wearer can't help the person at the door.", UNREADABLE),
        ("Please wait.", UNREADABLE),
        ("I cannot determine the order from these frames.", UNREADABLE),
    ],
)
def test_a_refusal_counts_only_if_it_is_the_whole_reply(text: str, expected: Answer) -> None:
    assert read_answer(text, OPTIONS, "stop") == expected


def test_the_servers_flag_is_a_refusal_whatever_the_text_is() -> None:
    assert read_answer("Answer: C", OPTIONS, "stop", refusal="I can't.") == REFUSED
    assert read_answer("Answer: C", OPTIONS, "stop", refusal=" ") == ANSWERED


@pytest.mark.parametrize(
    ("text", "finish", "reasoning", "expected"),
    [
        # vllm#48645, LM Studio#1602: the whole reply is in the reasoning field
        ("", "stop", "So. <answer>C</answer>", Answer("C", "answered", (FROM_REASONING,))),
        (None, "stop", "<answer>C</answer>\n", Answer("C", "answered", (FROM_REASONING,))),
        (
            " \n",
            "stop",
            "<answer>C. the stairs</answer>",
            Answer("C", "answered", (FROM_REASONING,)),
        ),
        ("", "stop", "<answer>E</answer>", UNREADABLE),
        ("", "stop", "<answer>C</answer> or D?", UNREADABLE),
        ("", "stop", "Answer: C", UNREADABLE),
        ("", None, "<answer>C</answer>", UNREADABLE),
        ("", "length", "<answer>C</answer>", TRUNCATED),
        ("I see.", "stop", "<answer>C</answer>", UNREADABLE),
        ("Answer: C", "stop", "<answer>D</answer>", ANSWERED),
    ],
)
def test_the_reasoning_field_is_read_only_where_it_holds_the_whole_reply(
    text: str | None, finish: str | None, reasoning: str, expected: Answer
) -> None:
    assert read_answer(text, OPTIONS, finish, reasoning=reasoning) == expected


def body(message: dict[str, Any], finish: str | None = "stop") -> dict[str, Any]:
    return {"model": "m", "choices": [{"message": message, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("OpenAI", {"content": "C"}),
        ("OpenAI, markdown", {"content": "**Answer: C**\n\nThe stairs come last, after A and B."}),
        (
            "parts of content (agent-framework#6978)",
            {"content": [{"type": "text", "text": "Answer: C"}]},
        ),
        (
            "Mistral, thinking among the parts",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Answer: A"}]},
                    {"type": "text", "text": "C. the stairs"},
                ]
            },
        ),
        ("vLLM, reasoning_content", {"content": "\n\nC", "reasoning_content": "Answer: A"}),
        ("vLLM, reasoning (vllm#50624)", {"content": "\n\nC", "reasoning": "Answer: A"}),
        (
            "vLLM without a reasoning parser",
            {"content": "<think>\nAnswer: A\n</think>\n\n<answer>C</answer>"},
        ),
        ("vLLM, a lone closing marker (vllm#31045)", {"content": "Answer: A\n</think>\n\nC"}),
        ("Ollama", {"content": " C) the stairs", "thinking": "Answer: A"}),
        ("LM Studio, schema", {"content": '{\n  "answer": "C"\n}'}),
        ("llama.cpp, fenced JSON", {"content": '```json\n{"answer": "C. the stairs"}\n```'}),
        ("SGLang, GLM-4.5V", {"content": "It is last. <|begin_of_box|>C<|end_of_box|>"}),
        ("SGLang, Qwen-VL", {"content": "选项C对吗?\n\n答案\uff1a\uff23"}),
        (
            "Kimi-VL",
            {"content": "\u25c1think\u25b7A?\u25c1/think\u25b7The answer is $\\boxed{C}$."},
        ),
        ("a German model", {"content": "Zuerst die T\u00fcr.\n\nAntwort: **C**"}),
        ("parsed content", {"content": [{"answer": "C"}]}),
    ],
)
def test_replies_of_real_servers_are_read(server: str, message: dict[str, Any]) -> None:
    reply = read_completion(body(message), "m", 0)
    assert read_answer(reply.text, OPTIONS, reply.finish, reply.refusal) == ANSWERED, server


@given(
    st.text(max_size=40) | st.none(),
    st.sampled_from(["stop", "length", None, "content_filter", "tool_calls"]),
    st.sampled_from([None, "", "no"]),
    st.text(max_size=20) | st.just("<answer>C</answer>") | st.none(),
)
def test_only_an_answered_reply_has_a_letter(
    text: str | None, finish: str | None, refusal: str | None, reasoning: str | None
) -> None:
    answer = read_answer(text, OPTIONS, finish, refusal, reasoning)
    assert (answer.letter is not None) == (answer.outcome == "answered")
    assert answer.letter in {None, *"ABCD"}
    assert not answer.flags or not (text or "").strip()
