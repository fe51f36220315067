"""Options written inside a text, such as `Which way? A. left B. right`, without what follows them. Pure.

Only marks of one style, in order and without a gap, are options. What comes after the last one (a paragraph
of its own, `Instructions:`, a line `Answer with the option's letter`, what ends other rows as well) is no
part of it.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from pipeline.blind.answers import RowFaultError

_MARK = re.compile(
    r"(?:(?<=[\s,;])|^)(?:(option|choice|sentence|caption|description|statement|candidate) )?"
    r"(\(?)([A-Z]|\d{1,2})([.):])",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\b(?:options|choices|candidates)\s*:?\s*$", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_TITLE = re.compile(r"\bI(?:nstructions?|NSTRUCTIONS?)\s*:")
# A sentence for whoever answers.
_ASKED = re.compile(
    r"(?:instructions?\s*:"
    r"|please\b.{0,40}?\b(?:answer|select|choose|respond|reply|return|output|pick|provide|give)\b"
    r"|(?:only\s+|directly\s+)?(?:answer|select|choose|respond|reply|return|output|pick|provide|give)\b"
    r"[^.\n]{0,60}\b(?:options?|letters?|choices?|answers?|numbers?|yes)\b"
    r"|(?:the\s+|your\s+)?(?:(?:best|correct|final)\s+(?:answer|option|choice)|answer)\s*(?:is\s*)?:)",
    re.IGNORECASE,
)
# What follows the last option begins on a line of its own, after a sentence, or with a capital letter.
_START = re.compile(r"\n\s*(?=\S)|\s+(?=[A-Z])|(?<=[.!?])\s+(?=\S)")
_EMPTY = re.compile(r"[\s.,;:]*")
_LINE, _PUNCTUATION, _SPACE = 3, 2, 1  # what a mark follows


@dataclass(frozen=True)
class Lettered:
    """A question and its options with their labels; `options` is empty if the text has none."""

    question: str
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Mark:
    """The label of an option, as it stands in the text."""

    start: int
    end: int
    label: str
    style: tuple[str, str, str, str]  # word before it, opened, closed, kind of label
    after: int  # _LINE, _PUNCTUATION or _SPACE
    headed: bool  # by `Options:`

    @property
    def letter(self) -> bool:
        return self.style[3] == "upper" or bool(self.style[0])


def split_options(
    text: str, *, alone: bool = False, tails: Collection[str] = frozenset()
) -> Lettered:
    """Split a text into the question and its options; `alone` says that it holds options only.

    `tails` are known to follow the last option in other texts of the file, with single spaces. Raises
    RowFaultError for options of which one is missing, empty or named twice.
    """
    marks = list(_marks(text, alone))
    chain, end = _best(text, marks)
    if not chain:
        return Lettered(text.strip())
    _check(chain, [mark for mark in marks if chain[0].start <= mark.start < end])
    last = chain[-1]
    end = last.end + _kept(text[last.end : end], tails)
    options = []
    for mark, stop in zip(chain, [*(mark.start for mark in chain[1:]), end], strict=True):
        option = " ".join(text[mark.end : stop].split()).rstrip(",; ")
        rest = text[mark.end :]
        told = mark is last and asks(rest.strip())
        below = rest.lstrip(" \t").startswith("\n")  # the option itself is missing
        if _EMPTY.fullmatch(option) or (told and below) or (mark is last and option in tails):
            raise RowFaultError(
                f"option {mark.label} {'holds the instructions' if told else 'is empty'}"
            )
        options.append(option)
    question = _HEADING.sub("", text[: chain[0].start]).strip()
    return Lettered(question, tuple(options), tuple(mark.label for mark in chain))


def written_options(text: str, *, alone: bool = False) -> list[str]:
    """Return the options in a text as they are written, the last one with what follows it; or none."""
    chain, end = _best(text, list(_marks(text, alone)))
    stops = [*(mark.start for mark in chain[1:]), end]
    return [text[mark.end : stop] for mark, stop in zip(chain, stops, strict=True)] if chain else []


def tails_of(option: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each way to split an option: what comes first, a tail, and whether that is a line of its own.

    The longest tail comes first; all have single spaces.
    """
    for found in _START.finditer(option):
        if head := " ".join(option[: found.start()].split()):
            yield head, " ".join(option[found.end() :].split()), "\n" in found.group()


def asks(text: str) -> bool:
    """Return whether a text begins with a sentence for whoever answers."""
    return _ASKED.match(text) is not None


def holds_instructions(option: str) -> bool:
    """Return whether an option goes on with instructions to whoever answers."""
    return _TITLE.search(option) is not None or any(
        _ASKED.match(part) for part in _BLANK_LINE.split(option)[1:]
    )


def _marks(text: str, alone: bool) -> Iterator[_Mark]:
    for found in _MARK.finditer(text):
        word, opened, label, closed = found.groups(default="")
        kind = "digit" if label.isdigit() else "upper" if label.isupper() else "lower"
        glued = text[found.end() : found.end() + 1].strip()
        if (opened and closed != ")") or (glued and kind != "upper" and closed != ")"):
            continue
        before = text[: found.start()]
        headed = (alone and not before.strip()) or _HEADING.search(before[-40:]) is not None
        after = (
            _LINE
            if headed or not before.strip(" \t") or before.rstrip(" \t").endswith("\n")
            else _PUNCTUATION
            if before.rstrip()[-1:] in ",;.?!:"
            else _SPACE
        )
        yield _Mark(
            found.start(),
            found.end(),
            label.upper(),
            (word.casefold(), opened, closed, kind),
            after,
            headed,
        )


def _best(text: str, marks: Sequence[_Mark]) -> tuple[list[_Mark], int]:
    """Return the marks of the options, and where the options end."""
    best: tuple[list[_Mark], int] = ([], 0)
    for begin in marks:
        # A numbered list in a question is more often the steps that it asks about.
        listed = begin.headed or (begin.label == "A" and begin.after == _LINE)
        if begin.label not in ("A", "0", "1") or not (begin.letter or listed):
            continue
        alike = [one for one in marks if one.style == begin.style and one.start >= begin.start]
        end = _end(text, begin, alike)
        chain = _chain([one for one in alike if one.start < end])
        alone = len(chain) == 1 and not (begin.letter and begin.after == _LINE)
        if not alone and (begin.letter, len(chain)) >= (_lettered(best[0]), len(best[0])):
            best = chain, end
    return best


def _lettered(chain: Sequence[_Mark]) -> bool:
    return bool(chain) and chain[0].letter


def _chain(marks: Sequence[_Mark]) -> list[_Mark]:
    """Return marks in the order of their labels, beginning with the first mark."""
    line, punctuated, spaced = (_follow(marks, after) for after in (_LINE, _PUNCTUATION, _SPACE))
    # On lines of their own, a single further mark is part of a text (`C. Vitamin D. helps`).
    if len(line) > 1 and len(spaced) < len(line) + 2:
        return line
    return spaced if len(spaced) > len(punctuated) else punctuated


def _follow(marks: Sequence[_Mark], after: int) -> list[_Mark]:
    chain = [marks[0]]
    for mark in marks[1:]:
        if mark.after >= after and mark.label == _next(chain[-1].label):
            chain.append(mark)
    return chain


def _next(label: str) -> str:
    if label.isdigit():
        return str(int(label) + 1)
    return ascii_uppercase[(ascii_uppercase.index(label) + 1) % 26]


def _end(text: str, begin: _Mark, alike: Sequence[_Mark]) -> int:
    """Return where the text after the options begins: a title, or a paragraph that starts with no mark."""
    starts = {mark.start for mark in alike}
    breaks = list(_BLANK_LINE.finditer(text, begin.end))
    later = [place for place, one in enumerate(breaks) if one.end() in starts]
    after = breaks[later[-1] + 1 :] if later else breaks
    title = _TITLE.search(text, begin.end)
    return min(
        after[0].start() if after else len(text),
        title.start() if title else len(text),
    )


def _kept(option: str, tails: Collection[str]) -> int:
    """Return where the last option ends and instructions begin, or its length."""
    for found in _START.finditer(option):
        tail = " ".join(option[found.end() :].split())
        if option[: found.start()].strip() and (
            tail in tails or ("\n" in found.group() and asks(tail))
        ):
            return found.start()
    return len(option)


def _check(chain: Sequence[_Mark], marks: Sequence[_Mark]) -> None:
    """Raise RowFaultError if other marks of the options' style stand between them."""
    weakest = min(mark.after for mark in chain)
    if weakest == _SPACE:
        return
    known = {mark.label for mark in chain}
    for mark in marks:
        if mark in chain or mark.style != chain[0].style or mark.after < weakest:
            continue
        if mark.label in known:
            raise RowFaultError(f"two options are labelled {mark.label}")
        raise RowFaultError(f"option {_next(chain[-1].label)} is missing")
