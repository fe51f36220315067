"""Why a reply was read as it was: what decided, and where it is in the text. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.evaluate.answers import FROM_REASONING
from pipeline.evaluate.rows import Prediction
from pipeline.releases.letter import parse_letter

_TAG = re.compile(r"<(?:final[_ ]?)?answer\b[^<>\n]{0,40}>.*?</(?:final[_ ]?)?answer>", re.I | re.S)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{[^{}\n]{0,80}\}")
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_LINES = 6  # at the end of a reply; what states an answer further up is rare, and each is parsed


@dataclass(frozen=True)
class Ground:
    """What decided, in words; `start` and `end` are where it is in the reply, or both 0."""

    text: str
    start: int = 0
    end: int = 0


def ground(
    one: Prediction, letter: str | None, options: Sequence[str], parser: str = "strict"
) -> Ground:
    """Return why a prediction has its outcome; `letter` and `options` are as the model was shown them.

    What is marked gives the same letter on its own. Where nothing does, the reply as a whole decided.
    """
    if one.outcome == "failed":
        return Ground("no reply: missing data, which counts in no figure")
    if one.outcome == "refused":
        flagged = (one.refusal or "").strip() or (one.finish or "") not in ("", "stop")
        return Ground(
            "the server flagged a refusal" if flagged else "the reply as a whole declines"
        )
    if one.outcome == "truncated":
        return Ground(f"cut off (finish: {one.finish or 'unknown'}) before an answer was closed")
    if one.outcome == "unreadable" or letter is None:
        empty = not (one.reply or "").strip()
        return Ground("the reply is empty" if empty else "no statement of exactly one option")
    if FROM_REASONING in one.flags:
        return Ground("the reply is empty, and the reasoning field ends with a complete answer")
    if parser != "strict":
        return Ground(f"by the rule of the parser '{parser}'")
    text = one.reply or ""
    if not text:
        return Ground("the letter was given without a reply")
    for what, start, end in _statements(text):
        if parse_letter(text[start:end], options) == letter:
            return Ground(what, start, end)
    return Ground("the reply as a whole")


def _statements(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield what may state the answer: the last tag, the last box, then the last lines."""
    for what, pattern in (("the last answer in tags", _TAG), ("the last box", _BOX)):
        if found := list(pattern.finditer(text)):
            yield what, found[-1].start(), found[-1].end()
    for line in list(_LINE.finditer(text))[: -_LINES - 1 : -1]:
        yield "the last line that states one option", line.start(), line.end()
