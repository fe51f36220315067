"""Replies that come as an event stream although none was asked for."""

import json
from typing import Any

import pytest

from pipeline.models.completion import read_completion
from pipeline.models.event_stream import is_stream, read_stream
from pipeline.models.failures import Names

TEXT = '{"word": "door\u2028 and {brace}"}'
USAGE = {"prompt_tokens": 9, "completion_tokens": 2}


def stream(*events: dict[str, Any], end: str = "\n\n") -> str:
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}" for event in events]
    return end.join([": ping", *lines, "data: [DONE]", ""])


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}
    return {"model": "m-1", "choices": [choice]}


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
def test_the_pieces_of_an_answer_are_put_together(end: str) -> None:
    events = [chunk(content=TEXT[at : at + 5]) for at in range(0, len(TEXT), 5)]
    thought = chunk(reasoning_content="hm {")
    text = stream(thought, *events, chunk("stop"), {"choices": [], "usage": USAGE}, end=end)
    assert is_stream(text)
    reply = read_completion(read_stream(text), Names("m"), 0)
    assert (reply.text, reply.finish, reply.model) == (TEXT, "stop", "m-1")
    assert (reply.input_tokens, reply.output_tokens) == (9, 2)


def test_the_pieces_of_a_tool_call_are_put_together() -> None:
    def piece(text: str) -> dict[str, Any]:
        return chunk(tool_calls=[{"index": 0, "function": {"arguments": text}}])

    text = stream(piece(TEXT[:7]), piece(TEXT[7:]), chunk("tool_calls"))
    reply = read_completion(read_stream(text), Names("m"), 0)
    assert reply.elsewhere == (TEXT,)
    assert reply.input_tokens is None


def test_one_event_may_hold_the_whole_completion() -> None:
    whole = {"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}], "usage": USAGE}
    assert read_stream(stream(whole)) == {"usage": USAGE, "choices": whole["choices"]}


def test_an_error_among_the_events_is_the_reply() -> None:
    text = f"event: error\ndata: {json.dumps({'error': {'message': 'at capacity'}})}\n\n"
    assert is_stream(text)
    assert read_stream(text) == {"error": {"message": "at capacity"}}


def test_a_stream_that_breaks_off_is_no_reply() -> None:
    text = stream(chunk(content=TEXT), chunk("stop"))
    assert read_stream(text[: text.index("stop")]) is None


@pytest.mark.parametrize("text", ["", "{}", '{"data": 1}', "<html>data:</html>", "database: down"])
def test_other_bodies_are_no_streams(text: str) -> None:
    assert not is_stream(text)
