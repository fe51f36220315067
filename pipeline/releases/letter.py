"""The strict parser that every adapter and scorer reads an answer letter with. Pure.

Adapters contain a copy of this code (see adapters.py), so it uses the standard library alone.
"""

import re
from collections.abc import Sequence

_REPLY = re.compile(
    r"\W*(?:(?:the\s+)?(?:correct\s+|final\s+|best\s+)?(?:answer|option|choice)(?:\s+is|\s*:|\s+)\W*)?"
    r"\(?\[?([A-D])\]?\)?(?:[.):]\s*(?P<text>.+?))?\W*",
    re.IGNORECASE | re.DOTALL,
)


def parse_letter(reply: str, options: Sequence[str] = ()) -> str | None:
    """Return the letter that a reply gives, or None for an unreadable reply, which is not a wrong one.

    Accepts a letter alone, "Answer: C", or a letter followed by exactly its option's text. If the
    whole reply is none of these, its last line is tried.
    """
    for text in (reply.strip(), (reply.strip().splitlines() or [""])[-1].strip()):
        match = _REPLY.fullmatch(text)
        if match is None:
            continue
        letter, wording = match[1].upper(), match["text"]
        if wording is None:
            return letter
        index = "ABCD".index(letter)
        if index < len(options) and _normalized(wording) == _normalized(options[index]):
            return letter
    return None


def _normalized(text: str) -> str:
    return " ".join(text.split()).strip(" .").casefold()
