"""What an answer says once tags, boxes and phrases such as `The answer is` are removed. Pure."""

import re
from typing import Any

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{(?:\\text\{)?([^{}]*)\}")
_LEAD = re.compile(r"^(?:(?:the\s+)?(?:correct\s+)?answer\s*(?:is|:)\s*)", re.IGNORECASE)
_VERDICT = re.compile(r"(?:yes|no|true|false)(?=[,.;:!]|$)")


def bare_answer(value: Any) -> str:
    """Return an answer without tags, a box and `The answer is`."""
    tagged = _TAGGED.search(str(value))
    text = tagged.group(1) if tagged else str(value)
    return _LEAD.sub("", (_BOXED.findall(text) or [text])[-1].strip(), count=1)


def verdict(text: str) -> str:
    """Return the yes or no, true or false, that a text begins with; else the text, without case or full stop."""
    found = _VERDICT.match(folded(text))
    return found.group() if found else folded(text)


def folded(text: str) -> str:
    """Return a text without case, odd spaces and a full stop at the end."""
    return " ".join(text.casefold().split()).rstrip(".")
