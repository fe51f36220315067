"""A chat completion as servers send it: its answer, its token counts, or the error inside it."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.models.error_body import read_error
from pipeline.models.failures import RequestError, failure
from pipeline.models.journal import Reply

_REASONING = ("reasoning_content", "reasoning", "thinking")
_FINISHES = {
    "max_tokens": "length", "model_length": "length", "max_output_tokens": "length",
    "safety": "content_filter", "recitation": "content_filter", "prohibited_content": "content_filter",
    "blocklist": "content_filter", "spii": "content_filter", "image_safety": "content_filter",
    "content-filter": "content_filter", "sensitive": "content_filter", "refusal": "content_filter",
}  # fmt: skip


def read_completion(found: object, model: str, now: float) -> Reply:
    """Return the reply in a parsed body; raise RequestError for an error inside it, or if it is none."""
    body = found if isinstance(found, Mapping) else {}
    tokens = _tokens(body.get("usage"))
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping) or not isinstance(choice.get("message"), Mapping):
        raise _no_choice(found, model, tokens, now)
    reply = _reply(body, choice, choice["message"], tokens)
    answered = reply.text or reply.elsewhere or reply.refusal
    failed = choice.get("error") or (None if answered else body.get("error"))
    if failed or reply.finish == "error":
        error = _error(failed, model, now)
        error.tokens, error.unknown = tokens, tokens is None and bool(reply.text)
        raise error
    if not answered and reply.finish is None:
        raise _no_choice(found, model, tokens, now)
    return reply


def _no_choice(
    found: object, model: str, tokens: tuple[int, int] | None, now: float
) -> RequestError:
    # Without token counts, neither an error nor an empty list of choices was billed, whatever its status.
    if read_error(found, now).text:
        error = _error(found, model, now)
    else:
        empty = isinstance(found, Mapping) and "choices" in found
        error = RequestError(
            "moment",
            f"the reply is no chat completion: {json.dumps(found, ensure_ascii=False)[:100]}",
            "run this again later; if it stays so, change draft.base_url (it usually ends in /v1)",
            unknown=tokens is None and not empty,
        )
    error.tokens = tokens
    return error


def _error(found: object, model: str, now: float) -> RequestError:
    body = read_error(found, now)
    return failure(body.status or 200, body, model)


def _reply(
    body: Mapping[str, Any],
    choice: Mapping[str, Any],
    message: Mapping[str, Any],
    tokens: tuple[int, int] | None,
) -> Reply:
    text, thoughts = _content(message.get("content"))
    finish = choice.get("finish_reason")
    calls = [call.get("function") for call in mappings(message.get("tool_calls"))]
    arguments = [
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for call in mappings([*calls, message.get("function_call")])
        if (value := call.get("arguments"))
    ]
    elsewhere = arguments
    if not any("{" in place for place in (text, *arguments)):
        thoughts += [value for name in _REASONING if isinstance(value := message.get(name), str)]
        elsewhere = [*arguments, *(f"<think>{value}" for value in thoughts if value)]
    refusal, model = message.get("refusal"), body.get("model")
    # A server that counts no tokens for a text doesn't count at all.
    counted = tokens if tokens and (all(tokens) or not (text or elsewhere)) else None
    return Reply(
        text=_valid(text),
        refusal=_valid(refusal) if isinstance(refusal, str) else None,
        finish=_FINISHES.get(finish.lower(), finish.lower()) if isinstance(finish, str) else None,
        model=_valid(model) if isinstance(model, str) else None,
        input_tokens=counted[0] if counted else None,
        output_tokens=counted[1] if counted else None,
        elsewhere=tuple(map(_valid, elsewhere)),
    )


def _content(content: object) -> tuple[str, list[str]]:
    """Return the text of a message's content, and the reasoning among its parts."""
    texts: list[str] = []
    thoughts: list[str] = []
    parts = content if isinstance(content, list) else [content]
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            kind, inner = str(part.get("type")), part.get("text")
            if "think" in kind or "reason" in kind:
                thought = inner or part.get("thinking") or part.get("reasoning")
                thoughts.append(_content(thought)[0])
            elif isinstance(inner, str):
                texts.append(inner)
            elif "type" not in part:  # some servers parse the answer already
                texts.append(json.dumps(part, ensure_ascii=False))
    return "".join(texts), thoughts


def mappings(values: object) -> list[Mapping[str, Any]]:
    """Return the mappings in a list; none if it is no list."""
    return (
        [value for value in values if isinstance(value, Mapping)]
        if isinstance(values, list)
        else []
    )


def _valid(text: str) -> str:
    """Return a text that can be stored: half of a surrogate pair can't."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _tokens(usage: object) -> tuple[int, int] | None:
    """Return the tokens in and out that a server reports; None if it reports none or nonsense."""
    if not isinstance(usage, Mapping):
        return None
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    given, made, total = (_count(usage.get(name)) for name in names)
    if given is None or made is None:
        return None
    # Some servers leave reasoning out of the completion's tokens, but bill it.
    return given, max(made, (total or 0) - given)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        count = int(float(value))
    except (ValueError, OverflowError):
        return None
    return count if 0 <= count < 1e9 else None
