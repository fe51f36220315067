"""A chat completion as servers send it: its answer, its token counts, or the error inside it."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.models.error_body import read_error
from pipeline.models.failures import Names, RequestError, failure
from pipeline.models.journal import Reply

_REASONING = ("reasoning_content", "reasoning", "thinking")
_FINISHES = {
    "max_tokens": "length", "model_length": "length", "max_output_tokens": "length",
    "safety": "content_filter", "recitation": "content_filter", "prohibited_content": "content_filter",
    "blocklist": "content_filter", "spii": "content_filter", "image_safety": "content_filter",
    "content-filter": "content_filter", "sensitive": "content_filter", "refusal": "content_filter",
}  # fmt: skip


def read_completion(found: object, names: Names, now: float) -> Reply:
    """Return the reply in a parsed body; raise RequestError for an error inside it, or if it is none."""
    body = found if isinstance(found, Mapping) else {}
    tokens = _tokens(body.get("usage"))
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping) or not isinstance(choice.get("message"), Mapping):
        raise _no_choice(found, names, tokens, now)
    reply = _reply(body, choice, choice["message"], tokens)
    answered = reply.text or reply.elsewhere or reply.reasoning or reply.refusal
    failed = choice.get("error") or (None if answered else body.get("error"))
    if failed or reply.finish == "error":
        error = _error(failed, names, now)
        error.tokens, error.unknown = tokens, tokens is None and bool(reply.text)
        raise error
    if not answered and reply.finish is None:
        raise _no_choice(found, names, tokens, now)
    return reply


def refusal_of(error: RequestError) -> Reply:
    """Return the refusal of a content filter that came as an error, as a reply."""
    return Reply("", error.what, "content_filter", None, *(error.tokens or (0, 0)))


def _no_choice(
    found: object, names: Names, tokens: tuple[int, int] | None, now: float
) -> RequestError:
    # Without token counts, neither an error nor an empty list of choices was billed, whatever its status.
    if read_error(found, now).text:
        error = _error(found, names, now)
    else:
        empty = isinstance(found, Mapping) and "choices" in found
        error = RequestError(
            "moment",
            f"the reply is no chat completion: {json.dumps(found, ensure_ascii=False)[:100]}",
            "run this again later; if it stays so, change"
            f" {names.section}.base_url (it usually ends in /v1)",
            unknown=tokens is None and not empty,
        )
    error.tokens = tokens
    return error


def _error(found: object, names: Names, now: float) -> RequestError:
    body = read_error(found, now)
    return failure(body.status or 200, body, names)


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
    reasoning = _reasoning(message, thoughts)
    refusal, model, fingerprint = (
        message.get("refusal"),
        body.get("model"),
        body.get("system_fingerprint"),
    )
    # A server that counts no tokens for a text doesn't count at all.
    said = text or arguments or reasoning
    counted = tokens if tokens and (all(tokens) or not said) else None
    return Reply(
        text=_valid(text),
        refusal=_valid(refusal) if isinstance(refusal, str) else None,
        finish=_FINISHES.get(finish.lower(), finish.lower()) if isinstance(finish, str) else None,
        model=_valid(model) if isinstance(model, str) else None,
        input_tokens=counted[0] if counted else None,
        output_tokens=counted[1] if counted else None,
        elsewhere=tuple(map(_valid, arguments)),
        reasoning=_valid(reasoning) or None,
        fingerprint=_valid(fingerprint) if isinstance(fingerprint, str) else None,
    )


def _reasoning(message: Mapping[str, Any], thoughts: list[str]) -> str:
    """Return the reasoning that a server keeps apart from the content, each text once.

    Gateways send the same text under several names, so details count only where nothing else is.
    """
    given = [value for name in _REASONING if isinstance(value := message.get(name), str | list)]
    texts = [*thoughts, *(_content(value)[0] for value in given)]
    if not any(texts):
        details = mappings(message.get("reasoning_details"))
        texts = ["".join(_content(part.get("text") or part.get("summary"))[0] for part in details)]
    return "\n\n".join(dict.fromkeys(text for text in texts if text))


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
