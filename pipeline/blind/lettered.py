"""Options written inside a text, such as `Which way? A. left B. right`, without what follows them. Pure.

Only marks of one style, in order and without a gap, are options. What comes after the last one (a paragraph
of its own, `Instructions:`, a line `Answer with the option's letter`, what ends other rows as well) is no
part of it.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pipeline.blind.answers import RowFaultError
from pipeline.blind.marks import (
    LINE,
    SPACE,
    Chain,
    Mark,
    chain_from,
    is_empty,
    marks_in,
    next_label,
    rank,
    without_heading,
)

_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_TITLE = re.compile(r"\bI(?:nstructions?|NSTRUCTIONS?)\s*:")
# A sentence for whoever answers.
_ASKED = re.compile(
    r"(?:instructions?\s*:"
    r"|please\b.{0,40}?\b(?:answer|select|choose|respond|reply|return|output|pick|provide|give)\b"
    r"|(?:only\s+|directly\s+)?(?:answer|select|choose|respond|reply|return|output|pick|provide|give)\b"
    r"[^.\n]{0,60}\b(?:options?|letters?|choices?|answers?|numbers?|yes)\b"
    r"|e\.\s?g\.|for example\b|example\s*:"
    r"|(?:the\s+|your\s+)?(?:(?:best|correct|final)\s+(?:answer|option|choice)|answer)\s*(?:is\s*)?:)",
    re.IGNORECASE,
)
# The same, with the letters to choose from: `Answer with A, B or C.`
_LETTERS = re.compile(
    r"(?:(?:please|only|directly|just)\s+){0,2}"
    r"(?:answer|select|choose|respond|reply|return|output|pick|provide|give|write)\b[^.\n]{0,60}?"
    r"(?<!\w)\(?[A-J][.)]?\s*(?:,\s*(?:or|and)?|/|-|\bor\b|\band\b|\bto\b)\s*\(?[A-J]\b",
    re.IGNORECASE,
)
# What follows the last option begins on a line of its own, after a sentence, or with a capital letter.
_START = re.compile(r"\n\s*(?=\S)|\s+(?=[A-Z])|(?<=[.!?])\s+(?=\S)")


_JOINED = re.compile(r",?\s+(?:or|and)$")
_ENDS = ",; ，；"  # noqa: RUF001 (what stands between options)
_SHOWN = 12  # characters of an option
_REWRITE = ": write the options on lines of their own, or as a list"


@dataclass(frozen=True)
class Lettered:
    """A question and its options with their labels; `options` is empty if the text has none."""

    question: str
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    written: tuple[str, ...] = ()  # the options with all their spaces but those between two of them


def split_options(
    text: str, *, alone: bool = False, tails: Collection[str] = frozenset()
) -> Lettered:
    """Split a text into the question and its options; `alone` says that it holds options only.

    `tails` are known to follow the last option in other texts of the file, with single spaces. Raises
    RowFaultError for options of which one is missing, empty or named twice.
    """
    marks = list(marks_in(text, alone))
    found, end = _best(text, marks)
    if not found:
        return Lettered(text.strip())
    _check(text, found, [mark for mark in marks if found.marks[0].start <= mark.start < end])
    chain, last = found.marks, found.marks[-1]
    end = last.end + _kept(text[last.end : end], tails)
    options, written = [], []
    for mark, stop in zip(chain, [*(mark.start for mark in chain[1:]), end], strict=True):
        option = " ".join(text[mark.end : stop].split()).rstrip(_ENDS)
        rest = text[mark.end :]
        told = mark is last and asks(rest.strip())
        below = rest.lstrip(" \t").startswith("\n")  # the option itself is missing
        if is_empty(option) or (told and below) or (mark is last and option in tails):
            raise RowFaultError(
                f"option {mark.label} {'holds the instructions' if told else 'is empty'}"
            )
        options.append(option)
        written.append(_as_written(text[mark.end : stop], option, found.weakest == LINE))
    if len(options) > 1 and (shorter := _JOINED.sub("", options[-2])):
        options[-2] = shorter
        written[-2] = _JOINED.sub("", written[-2])
    return Lettered(
        without_heading(text[: chain[0].start]),
        tuple(options),
        tuple(mark.label for mark in chain),
        tuple(written),
    )


def written_options(text: str, *, alone: bool = False) -> list[str]:
    """Return the options in a text as they are written, the last one with what follows it; or none."""
    found, end = _best(text, list(marks_in(text, alone)))
    chain = found.marks if found else ()
    stops = [*(mark.start for mark in chain[1:]), end]
    return [text[mark.end : stop] for mark, stop in zip(chain, stops, strict=bool(chain))]


def tails_of(option: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each way to split an option: what comes first, a tail, and whether that is a line of its own.

    The longest tail comes first; all have single spaces.
    """
    for found in _START.finditer(option):
        if head := " ".join(option[: found.start()].split()):
            yield head, " ".join(option[found.end() :].split()), "\n" in found.group()


def asks(text: str, at: int = 0) -> bool:
    """Return whether there is a sentence for whoever answers at this place of a text."""
    return any(sentence.match(text, at) for sentence in (_ASKED, _LETTERS))


def holds_instructions(option: str) -> bool:
    """Return whether an option goes on with instructions to whoever answers."""
    return _TITLE.search(option) is not None or any(
        _ASKED.match(part) for part in _BLANK_LINE.split(option)[1:]
    )


def _best(text: str, marks: Sequence[Mark]) -> tuple[Chain | None, int]:
    """Return the labels of the options, if there are any, and where the options end."""
    breaks, found = _breaks(text, marks), []
    alike: defaultdict[tuple[str, ...], list[Mark]] = defaultdict(list)
    for mark in marks:
        alike[mark.style].append(mark)
    for begin in marks:
        # A numbered list in a question is more often the steps that it asks about.
        listed = begin.headed or (begin.label == "A" and begin.after == LINE)
        if begin.label not in ("A", "0", "1") or not (begin.letter or listed):
            continue
        own = alike[begin.style]
        rest = own[own.index(begin) :]
        end = breaks.after(begin, rest)
        chain = chain_from(text, rest, end)
        if len(chain.marks) > 1 or (begin.letter and begin.after == LINE):
            found.append((rank(text, chain, end), begin.start, chain, end))
    if not found:
        return None, 0
    *_, chain, end = max(found, key=lambda one: one[:2])
    return chain, end


@dataclass(frozen=True)
class _Breaks:
    """Where a text after options may begin: titles and instructions, and paragraphs with where each starts."""

    length: int
    titles: Sequence[int]
    asked: Sequence[int]
    paragraphs: Sequence[tuple[int, int]]

    def after(self, begin: Mark, alike: Sequence[Mark]) -> int:
        """Return the first of these that is not followed by marks on lines of their own."""
        starts = {mark.start for mark in alike}
        breaks = [one for one in self.paragraphs if one[0] >= begin.end]
        later = [place for place, (_, start) in enumerate(breaks) if start in starts]
        open_ = breaks[later[-1] + 1 :] if later else breaks
        # An option may be a sentence that asks for something, and be followed by others.
        listed = max((mark.end for mark in alike if mark.after == LINE), default=begin.end)
        found = [
            *(one for one, _ in open_[:1]),
            *(one for one in self.titles if one >= begin.end),
            *(one for one in self.asked if one >= listed),
        ]
        return min(found, default=self.length)


def _breaks(text: str, marks: Sequence[Mark]) -> _Breaks:
    labels = {mark.end for mark in marks}
    asked = [
        one.start()
        for one in (_START.finditer(text) if marks else ())
        if one.start() not in labels
        and (asks(text, one.end()) if "\n" in one.group() else _LETTERS.match(text, one.end()))
    ]
    return _Breaks(
        len(text),
        [one.start() for one in _TITLE.finditer(text)],
        asked,
        [(one.start(), one.end()) for one in _BLANK_LINE.finditer(text)],
    )


def _as_written(text: str, option: str, line: bool) -> str:
    """Return an option with its spaces, but one after the label; on lines of their own, with those at the end."""
    first, *others = text.rstrip("\r\n").split("\n")
    while others and not others[-1].strip():
        others.pop()
    whole = " ".join([first, *(one.strip() for one in others)]).removeprefix(" ")
    return whole.rstrip("\r") if line else whole[: whole.rindex(option[-1]) + 1]


def _kept(option: str, tails: Collection[str]) -> int:
    """Return where the last option ends and instructions begin, or its length."""
    for found in _START.finditer(option):
        tail = " ".join(option[found.end() :].split())
        if option[: found.start()].strip() and (
            tail in tails or ("\n" in found.group() and asks(tail))
        ):
            return found.start()
    return len(option)


def _check(text: str, found: Chain, marks: Sequence[Mark]) -> None:
    """Raise RowFaultError if it isn't certain which marks are labels, or if one is missing or there twice."""
    chain = found.marks
    if found.weakest == SPACE:
        for one, *others in zip(chain, *found.others, strict=True):
            if other := next((mark for mark in others if mark != one), None):
                both = " or at ".join(_begins(text, mark) for mark in (one, other))
                raise RowFaultError(f"option {one.label} may begin at {both}{_REWRITE}")
        if doubt := found.doubtful(text):
            what = f"option {doubt.label} may be part of the one before ({_begins(text, doubt)})"
            raise RowFaultError(what + _REWRITE)
        return
    known = {mark.label for mark in chain}
    for mark in marks:
        if mark in chain or mark.style != chain[0].style or mark.after < found.weakest:
            continue
        if mark.label in known and not mark.named:
            raise RowFaultError(f"two options are labelled {mark.label}")
        if mark.label not in known:
            raise RowFaultError(f"option {next_label(chain[-1].label)} is missing")


def _begins(text: str, mark: Mark) -> str:
    return repr(text[mark.start : mark.end + _SHOWN])
