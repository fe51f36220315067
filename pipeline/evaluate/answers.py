"""What a reply is: answered, with a letter or in words, or unreadable, refused or truncated. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.releases.letter import closed_letter, parse_letter
from pipeline.releases.replytext import without_thinking

FROM_REASONING = "from reasoning field"

_CUT = {"length", "max_tokens", "max_output_tokens", "model_length"}
_FILTERED = {"content_filter", "refusal", "safety"}
_ENDS_ANSWERED = re.compile(r"<answer>[^<>]*</answer>\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """What a reply answers; `letter` is None unless `outcome` is "answered"."""

    letter: str | None
    outcome: Literal["answered", "unreadable", "refused", "truncated"]
    flags: tuple[str, ...] = ()


def read_answer(
    text: str | None,
    options: Sequence[str],
    finish: str | None = None,
    refusal: str | None = None,
    reasoning: str | None = None,
) -> Answer:
    """Return what a reply answers, from its text, finish reason, refusal and reasoning field.

    `refusal` is the server's own flag. Without a finish reason, a reply that ends in open thinking counts as
    truncated. The reasoning field is read in one case only: the text is empty, the model stopped by itself,
    and the field ends with a complete `<answer>C</answer>`.
    """
    text, reason = text or "", _reason(finish)
    if _is_flagged(finish, refusal):
        return Answer(None, "refused")
    if is_cut(finish):
        letter = closed_letter(text, options)
        return Answer(letter, "answered" if letter else "truncated")
    if letter := parse_letter(text, options):
        return Answer(letter, "answered")
    if not text.strip() and reason == "stop" and (ending := _ENDS_ANSWERED.search(reasoning or "")):
        letter = parse_letter(ending[0], options)
        return (
            Answer(letter, "answered", (FROM_REASONING,)) if letter else Answer(None, "unreadable")
        )
    shown, thinking = without_thinking(text)
    if thinking and reason != "stop":
        return Answer(None, "truncated")
    return Answer(None, "refused" if _is_refusal(shown) else "unreadable")


@dataclass(frozen=True)
class Description:
    """What a reply to an open item says; `text` is empty unless `outcome` is "answered"."""

    text: str
    outcome: Literal["answered", "unreadable", "refused", "truncated"]


_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_OPENED = re.compile(r"<answer>(?!.*<answer>)(.*)\Z", re.IGNORECASE | re.DOTALL)


def read_description(
    text: str | None, finish: str | None = None, refusal: str | None = None
) -> Description:
    """Return what a reply to an open item says: its last `<answer>...</answer>`, or all of it without thinking.

    Of a reply that was cut off, only an answer that was closed before counts.
    """
    if _is_flagged(finish, refusal):
        return Description("", "refused")
    shown, thinking = without_thinking(text or "")
    tagged = [found.strip() for found in _TAGGED.findall(shown)]
    if tagged and tagged[-1]:
        return Description(tagged[-1], "answered")
    if is_cut(finish) or (thinking and _reason(finish) != "stop"):
        return Description("", "truncated")
    opened = _OPENED.search(shown)
    said = (opened[1] if opened else shown).strip()
    if not said or tagged:
        return Description("", "unreadable")
    return Description("", "refused") if _is_refusal(said) else Description(said, "answered")


_SORRY = re.compile(
    r"(?:(?:but|aber)\s+)?(?:I(?:'m| am)\s+(?:(?:very|so|really|truly)\s+)?(?:sorry|afraid)|sorry|(?:my\s+)?apologies"
    r"|I\s+apologi[sz]e|unfortunately|as\s+an?\s+(?:AI|language)|(?:es\s+)?tut\s+mir\s+leid|leider|entschuldigung"
    r"|lo\s+siento|je\s+suis\s+d\u00e9sol\u00e9|d\u00e9sol\u00e9|mi\s+dispiace|desculpe|\u62b1\u6b49|\u5bf9\u4e0d\u8d77|\u5f88\u62b1\u6b49)",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"\b(?:I|we)(?:'m|\s+am|\s+are)?\s+(?:can(?:'t|not|\s+not)|(?:not\s+able|unable)\s+to|won't|will\s+not|must|have\s+to|do\s+not|don't"
    r"|not\s+(?:comfortable|allowed|permitted))\b.*\b(?:help(?!\s+but)|assist|answer(?:ing)?|comply|complying|provide|providing|respond|fulfil\w*"
    r"|engage|continue|discuss\w*|identify\w*|share|sharing|support|decline|do\s+(?:that|this))\b|\bI\s+(?:decline|refuse)\b"
    r"|\b(?:kann|darf|werde|m\u00f6chte)\b.*\bnicht\b.*\b(?:helfen|beantworten|antworten|unterst\u00fctzen|nachkommen|identifizieren)\b"
    r"|\bno\s+puedo\b|\bje\s+ne\s+peux\s+pas\b|\bnon\s+posso\b|\bn\u00e3o\s+posso\b|\u65e0\u6cd5|\u4e0d\u80fd",
    re.IGNORECASE,
)
_OFFERS = re.compile(
    r"(?:if\s+you|please|let\s+me\s+know|feel\s+free|is\s+there|how\s+(?:can|may)|(?:I'm|I\s+am|I'd\s+be)\s+happy"
    r"|bitte|wenn\s+(?:du|sie)|falls|gerne|kann\s+ich)\b",
    re.IGNORECASE,
)


def is_cut(finish: str | None) -> bool:
    """Return whether a finish reason says that the reply was cut off at a limit."""
    return _reason(finish) in _CUT


def is_refused(text: str, finish: str | None, refusal: str | None) -> bool:
    """Return whether the server flagged a refusal, or the whole text is one."""
    return _is_flagged(finish, refusal) or _is_refusal(text)


def _is_flagged(finish: str | None, refusal: str | None) -> bool:
    return bool((refusal or "").strip()) or _reason(finish) in _FILTERED


def _reason(finish: str | None) -> str:
    return (finish or "").strip().lower()


def _is_refusal(text: str) -> bool:
    """Return whether a whole reply refuses: apologies, refusals and offers of other help, nothing else."""
    sentences = [one for one in re.split(r"(?<=[.!?])\s*", " ".join(text.split())) if one]
    kinds = [
        "declines" if _DECLINES.search(one) else bool(_SORRY.match(one) or _OFFERS.match(one))
        for one in sentences
    ]
    return "declines" in kinds and all(kinds)
