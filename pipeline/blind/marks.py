"""Labels such as `A.` or `(2)` in a text, and which of them are those of its options. Pure.

A letter and a stop may also belong to an option (`Vitamin C.`) or to the instructions (`A, B or C.`). Labels
of options have one style and follow one another without a gap.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from string import ascii_uppercase

_MARK = re.compile(r"(?:(?<=[\s,;])|^)(\(?)([A-Z]|\d{1,2})([.):])", re.IGNORECASE)
_WORD = re.compile(
    r"(?:(?<=[\s,;])|^)(option|choice|sentence|caption|description|information|statement|candidate) $",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\b(?:options|choices|candidates)\s*:?\s*$", re.IGNORECASE)
_ABBREVIATED = re.compile(r"e\.?\s*g\.|i\.?\s*e\.", re.IGNORECASE)
# What stands before a letter that is only mentioned: `A or `, `(B), (C), `, or a word that asks for one.
_ALTERNATIVE = re.compile(r"(?<!\w)[A-Z][.)]?(?:\s*,)?\s*(?:\b(?:or|and)\b|/)\s*\(?$")
_COUNTED = re.compile(r"(?<!\w)([A-Z])\)?\s*,\s*\(?([A-Z])\)?\s*,\s*\(?$")
_ASKING = re.compile(
    r"\b(?:answer|select|choose|respond|reply|return|output|pick|write|option|letter|with)\s*:?\s*\(?$",
    re.IGNORECASE,
)
# Words that a letter follows: `Vitamin C.`, `Mr. B.`
_NAMED = re.compile(
    r"(?<!\w)(?:vitamin|hepatitis|plan|team|group|type|class|grade|block|gate|mr|mrs|ms|dr|prof|st)\.? +$",
    re.IGNORECASE,
)
_WORD_BEFORE = re.compile(r"(?<!\w)(\w{3,}) +$")
_INITIAL = re.compile(r"\s*[A-Z]\.\s*")
_EMPTY = re.compile(r"[\s.,;:]*")
# Chinese and Japanese write these, one for one; a comma of a list stands after a letter, too.
_NARROW = str.maketrans("．：）（、，；？！。", ".:)(.,;?!.")  # noqa: RUF001
_SEEN = 60  # characters before a mark
_MOST_CHAINS = 64
LINE, PUNCTUATION, SPACE = 3, 2, 1
"""What a mark follows."""


@dataclass(frozen=True)
class Mark:
    """What may be the label of an option, as it stands in the text."""

    start: int
    end: int
    label: str
    style: tuple[str, str, str, str]  # word before it, opened, closed, kind of label
    after: int  # LINE, PUNCTUATION or SPACE
    headed: bool  # by `Options:`
    asked: bool  # after a question mark or a colon
    named: bool  # after a word that letters follow

    @property
    def letter(self) -> bool:
        """Whether this is a letter, or a number with a word such as `Option 1`."""
        return self.style[3] == "upper" or bool(self.style[0])


@dataclass(frozen=True)
class Chain:
    """The labels of options, in order; `others` are as long, and nothing tells which are meant."""

    marks: tuple[Mark, ...]
    others: tuple[tuple[Mark, ...], ...] = ()

    def doubtful(self, text: str) -> Mark | None:
        """Return a label on the options' line that may as well be part of the option before it."""
        if self.weakest > SPACE or len(self.marks) < 3:
            return None
        if self.marks[-1].named:
            return self.marks[-1]
        initials = [
            _INITIAL.fullmatch(text, one.end, other.start) is not None
            for one, other in pairwise(self.marks)
        ]
        return None if all(initials) or not any(initials) else self.marks[initials.index(True) + 1]

    @property
    def weakest(self) -> int:
        """What each label follows at least."""
        return min(mark.after for mark in self.marks)


def is_empty(option: str) -> bool:
    """Return whether an option has nothing but punctuation."""
    return _EMPTY.fullmatch(option) is not None


def without_heading(question: str) -> str:
    """Return a question without `Options:` at its end."""
    return _HEADING.sub("", question).strip()


def marks_in(text: str, alone: bool) -> Iterator[Mark]:
    """Yield what may be labels; `alone` says that the text holds options only."""
    text = text.translate(_NARROW)
    for found in _MARK.finditer(text):
        opened, label, closed = found.groups()
        kind = "digit" if label.isdigit() else "upper" if label.isupper() else "lower"
        glued = text[found.end() : found.end() + 1].strip()
        if (opened and closed != ")") or (glued and kind != "upper" and closed != ")"):
            continue
        before = text[max(0, found.start() - _SEEN) : found.start()]
        begins = _begins_a_line(before)
        last = _EMPTY.fullmatch(text, found.end()) is not None
        if _ABBREVIATED.match(text, found.start()) or (
            not begins and _mentioned(before, label, last=last)
        ):
            continue
        word = None if begins else _WORD.search(before)
        names = [("", 0), *([(word.group(1).casefold(), len(word.group()))] if word else [])]
        for name, length in names:
            led = before[: len(before) - length]
            alone_here = alone and not text[: found.start() - length].strip()
            headed = alone_here or _HEADING.search(led) is not None
            line = headed or _begins_a_line(led)
            sign = led.rstrip()[-1:] or " "
            yield Mark(
                found.start() - length,
                found.end(),
                label.upper(),
                (name, opened, closed, kind),
                LINE if line else PUNCTUATION if sign in ",;.?!:" else SPACE,
                headed,
                line or sign in "?:",
                not line and not name and _named(before, text),
            )


def _begins_a_line(before: str) -> bool:
    return before.rstrip(" \t")[-1:] in ("", "\n")


def _mentioned(before: str, label: str, *, last: bool) -> bool:
    """Return whether what stands before a letter shows that this is no label; `last` says that no text follows."""
    counted = _COUNTED.search(before)
    return (
        _ALTERNATIVE.search(before) is not None
        or (counted is not None and "".join(counted.groups()) + label.upper() in ascii_uppercase)
        or (last and _ASKING.search(before) is not None)
    )


def _named(before: str, text: str) -> bool:
    """Return whether the word before a letter is one that letters follow, here or by its nature."""
    if _NAMED.search(before):
        return True
    word = _WORD_BEFORE.search(before)
    return word is not None and bool(re.search(rf"\b{word.group(1)} +[A-Z]\b(?![.):])", text))


def chain_from(text: str, alike: Sequence[Mark], end: int) -> Chain:
    """Return the labels that begin with the first of the marks `alike`, up to `end`."""
    marks = [one for one in alike if one.start < end]
    first = _first(marks)
    weakest = min(mark.after for mark in first)
    chains = list(islice(_chains(marks, first, weakest), _MOST_CHAINS))
    for fits in (_whole, _unnamed, _alike):
        chains = [one for one in chains if fits(text, one, end)] or chains
    return Chain(chains[0], tuple(chains[1:])) if chains else Chain(tuple(first))


def rank(text: str, chain: Chain, end: int) -> tuple[bool, bool, int, bool, int, int]:
    """Return how much speaks for a chain: letters, no empty option, where it begins, and its length."""
    begin = chain.marks[0]
    whole = _whole(text, chain.marks, end)
    return begin.letter, whole, begin.after, begin.asked, len(chain.marks), chain.weakest


def next_label(label: str) -> str:
    """Return the label that follows another one."""
    if label.isdigit():
        return str(int(label) + 1)
    return ascii_uppercase[(ascii_uppercase.index(label) + 1) % 26]


def _first(marks: Sequence[Mark]) -> list[Mark]:
    """Return marks in the order of their labels, beginning with the first mark, each as early as possible."""
    line, punctuated, spaced = (_follow(marks, after) for after in (LINE, PUNCTUATION, SPACE))
    # On lines of their own, a single further mark is part of a text (`C. Vitamin D. helps`).
    if len(line) > 1 and len(spaced) < len(line) + 2:
        return line
    return spaced if len(spaced) > len(punctuated) else punctuated


def _follow(marks: Sequence[Mark], after: int) -> list[Mark]:
    chain = [marks[0]]
    for mark in marks[1:]:
        if mark.after >= after and mark.label == next_label(chain[-1].label):
            chain.append(mark)
    return chain


def _chains(marks: Sequence[Mark], first: Sequence[Mark], after: int) -> Iterator[tuple[Mark, ...]]:
    """Yield all chains with the labels of the `first` one, which begin with the same mark."""
    places = [
        [at for at, mark in enumerate(marks) if mark.label == one.label and mark.after >= after]
        for one in first
    ]
    # Only places from which the rest can follow: else a search may take for ever.
    end = len(marks)
    for own in reversed(places):
        own[:] = [at for at in own if at < end]
        end = own[-1]

    def longer(chain: tuple[Mark, ...], after_place: int) -> Iterator[tuple[Mark, ...]]:
        if len(chain) == len(first):
            yield chain
            return
        for at in places[len(chain)]:
            if at > after_place:
                yield from longer((*chain, marks[at]), at)

    yield from longer((marks[0],), 0)


def _whole(text: str, chain: Sequence[Mark], end: int) -> bool:
    stops = [*(mark.start for mark in chain[1:]), end]
    return not any(is_empty(text[mark.end : stop]) for mark, stop in zip(chain, stops, strict=True))


def _unnamed(text: str, chain: Sequence[Mark], end: int) -> bool:
    return not any(mark.named for mark in chain)


def _alike(text: str, chain: Sequence[Mark], end: int) -> bool:
    """Return whether all options begin with a capital letter."""
    return all(text[mark.end : end].lstrip()[:1].isupper() for mark in chain)
