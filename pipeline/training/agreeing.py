"""Whether a think text says what is true of its row: its lists, its statements, times and letters. Pure.

What is true is recomputed from what happens in the span (`recomputed.py`), so mistakes of the code that writes the
texts are found, and so are a model's.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

from pipeline.releases.letter import parse_letter
from pipeline.releases.replytext import plain_text
from pipeline.routes.route import turns
from pipeline.routes.tasks import is_subsequence
from pipeline.routes.told import Vocabulary, told
from pipeline.training import lists
from pipeline.training.recomputed import TrueFact, Truth, as_steps, events_of, seconds, value_of
from pipeline.training.rows import TrainingRow

What = Literal[
    "row", "lists", "forward", "backward", "facts", "statements", "times", "sides", "letters", "opening"
]  # fmt: skip
_QUOTES = {"en": ("“", "”"), "de": ("„", "“")}
_TIME = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)?) ?(?:s|sec|seconds?|Sek\w*)\b")
_SIDES = (re.compile(r"\b(?:left|links)\b", re.IGNORECASE), re.compile(r"\b(?:right|rechts)\b", re.IGNORECASE))  # fmt: skip
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n")
_BACK = re.compile(
    r"\b(?:back|backwards?|return\w*|revers\w*|invert\w*|flip\w*|swap\w*|other (?:way|direction)|from the end|becomes?"
    r"|rück\w*|zurück\w*|umgekehrt\w*|umkehr\w*|andersherum|gegenrichtung|vom ende|wird)\b"
)
_THERE = re.compile(
    r"\b(?:clip|video|originally|forwards?|on the way there|was|first list|ursprünglich|vorwärts|hinweg|war)\b"
)
_OTHER = {"left": "right", "right": "left"}
_LETTER = re.compile(r"(?<!\w)[A-Z](?!\w)")


@dataclass(frozen=True)
class Disagreement:
    """One thing that is wrong in a think text, with words for people."""

    what: What
    told: str

    def __str__(self) -> str:
        return f"{self.what}: {self.told}"


def disagreements(row: TrainingRow, think: str) -> list[Disagreement]:
    """Return what is wrong in a think text that follows the templates: one line on each fact, statements in quotes."""
    return list(_wrong(row, think, _strictly))


def disagreements_in_words(row: TrainingRow, think: str) -> list[Disagreement]:
    """Return what is wrong in a think text that says everything but its lists and statements in its own words."""
    return list(_wrong(row, think, _freely))


_Prose = Callable[[Truth, Sequence[str], Sequence[str]], Iterator[Disagreement]]
"""What is wrong in the lines of a text before its lists, and in its other lines outside the lists."""


def _wrong(row: TrainingRow, think: str, prose: _Prose) -> Iterator[Disagreement]:
    true = Truth(row)
    if row.format == "mcq" and not true.facts:
        yield Disagreement("row", "its answer isn't what happens in its span")
        return
    both, headings = lists.read(think), lists.HEADINGS.get(row.language, ())
    lines = think.splitlines()
    heads = [at for at, line in enumerate(lines) if line.strip() in headings]
    if both is None or len(heads) != len(both):
        yield Disagreement("lists", "both lists, each after its heading, can't be read")
        return
    if list(both.forward) != events_of(true.clip, timed=True):
        yield Disagreement("forward", "the forward list isn't what happens")
    if list(both.backward) != events_of(true.back, timed=False):
        yield Disagreement("backward", "the backward list isn't its inverse")
    asked = as_steps(both.forward if row.orientation == "forward" else both.backward)
    for fact in row.facts:
        if value_of(fact.name, asked) != fact.values[true.right]:
            yield Disagreement(
                "facts", f"by its lists, {fact.name} isn't {fact.values[true.right]}"
            )
    ends = [head + 1 + len(some) for head, some in zip(heads, both, strict=True)]
    yield from prose(true, lines[: heads[0]], [*lines[ends[0] : heads[1]], *lines[ends[1] :]])


# ---- in the words of the templates -------------------------------------------------------------------


def _strictly(true: Truth, opening: Sequence[str], rest: Sequence[str]) -> Iterator[Disagreement]:
    """Yield what is wrong in lines of which each is about one fact, both or none."""
    row, facts = true.row, true.facts
    known = {text for one in facts for text in (one.asked, one.other, *one.names)}
    lines = [_Line.of(text, known, row) for text in (*opening, *rest)]
    missing = list(facts)
    for line in lines:
        if line.unknown or line.one_sided:
            what: What = "statements" if line.unknown else "sides"
            yield Disagreement(what, f"isn't so: {line.text}")
        elif line.times or len(line.letters) > 1:
            tried = [list(line.against(one)) for one in facts]
            right = [one for one, wrong in zip(facts, tried, strict=True) if not wrong]
            missing = [one for one in missing if one not in right]
            if not right:
                yield min(tried, key=len, default=[Disagreement("times", line.text)])[0]
        elif not set(line.letters) <= {row.answer}:
            yield Disagreement("letters", f"isn't so: {line.text}")
        elif line.quoted and [one.text for one in line.quoted] != [one.other for one in facts]:
            what = "statements"
            yield Disagreement(what, f"isn't both statements the other way round: {line.text}")
    if missing:
        yield Disagreement("statements", "a statement of the right option is missing")
    if facts and not (lines and lines[-1].letters == (row.answer,)):
        yield Disagreement("letters", f"it doesn't end with {row.answer}")


@dataclass(frozen=True)
class _Quoted:
    """What a line quotes, and the time that comes next in the line; empty if none does."""

    text: str
    time: str


@dataclass(frozen=True)
class _Line:
    """A line outside the lists: what it quotes, and the times and letters around.

    `unknown` is whether it quotes anything but true statements and names of what decides; `one_sided` is whether it
    names one side more often than the other.
    """

    text: str
    quoted: Sequence[_Quoted]
    unknown: bool
    one_sided: bool
    times: frozenset[str]
    letters: tuple[str, ...]

    @classmethod
    def of(cls, line: str, known: Iterable[str], row: TrainingRow) -> "_Line":
        opening, closing = _QUOTES[row.language]
        quoted, unknown, bare, at = list[_Quoted](), False, "", 0
        while (opened := line.find(opening, at)) >= 0:
            begin = opened + 1
            fits = [text for text in known if line.startswith(text + closing, begin)]
            unknown = unknown or not fits
            text = max(fits, key=len, default="")
            bare += line[at:opened]
            at = begin + len(text) + len(closing)
            time = _TIME.search(line, at)
            quoted.append(_Quoted(text, time[1] if time else ""))
        bare += line[at:]
        letters = ascii_uppercase[: len(row.options)]
        return cls(
            line,
            quoted,
            unknown,
            len({len(side.findall(bare)) for side in _SIDES}) > 1,
            frozenset(_TIME.findall(bare)),
            tuple(one for one in _LETTER.findall(bare) if one in letters),
        )

    def against(self, fact: TrueFact) -> Iterator[Disagreement]:
        """Yield what is wrong in the line if it is about a fact."""
        stated = [one.text for one in self.quoted if one.text not in fact.names]
        if stated not in ([fact.asked], [fact.other, fact.asked]):
            yield Disagreement("statements", f"isn't so: {self.text}")
        timed = [one for one in self.quoted if one.text in fact.names]
        if self.times != fact.times or any(one.time != fact.names[one.text] for one in timed):
            yield Disagreement("times", f"not when it happens: {self.text}")
        if set(self.letters) != fact.letters:
            yield Disagreement("letters", f"not the options that have this: {self.text}")


# ---- in other words ----------------------------------------------------------------------------------


def _freely(true: Truth, opening: Sequence[str], rest: Sequence[str]) -> Iterator[Disagreement]:
    """Yield what is wrong in lines in somebody's own words."""
    row, facts = true.row, true.facts
    yield from _told_wrong(true, "\n".join(opening))
    text = plain_text("\n".join((*opening, *rest))).casefold()
    missing = {one.asked for one in facts}
    # The longest first: "second to last turn left" contains "last turn left".
    for stated in sorted(
        {s for one in facts for s in (one.asked, one.other)}, key=len, reverse=True
    ):
        if (words := plain_text(stated).casefold()) in text:
            text = text.replace(words, "…")
            missing.discard(stated)
    if missing:
        yield Disagreement("statements", "a statement of the right option is missing")
    for false in {false for one in facts for false in one.false}:
        if plain_text(false).casefold() in text:
            yield Disagreement("statements", f"it states {false!r}, which isn't true")
    times = {seconds(at) for step in true.clip for at in (step.start_us, step.end_us)}
    for time in _TIME.findall(text):
        if f"{float(time.replace(',', '.')):.1f}" not in times:
            yield Disagreement("times", f"nothing begins or ends at {time} s")
    yield from _sides_wrong(true, text)
    letter = parse_letter("\n".join(rest), row.options) if facts else None
    if letter not in (None, row.answer):
        yield Disagreement("letters", f"it concludes {letter}")


def _sides_wrong(true: Truth, text: str) -> Iterator[Disagreement]:
    """Yield the sentences that give one time and one side, and not the side of the turn at that time.

    On the way back it is the other one; where a sentence is about both ways, it can't be told.
    """
    at: dict[str, set[str]] = {}
    for step in true.clip:
        for time_us in (step.start_us, step.end_us) if step.move in _OTHER else ():
            at.setdefault(seconds(time_us), set()).add(step.move)
    for sentence in _SENTENCE.split(text):
        times = {f"{float(time.replace(',', '.')):.1f}" for time in _TIME.findall(sentence)}
        known = set().union(*(at.get(time, set()) for time in times))
        back, there = _BACK.search(sentence), _THERE.search(sentence)
        if len(times) != 1 or len(known) != 1 or (back and there):
            continue
        (side,) = known
        sides = [move for move in told(sentence).turns if move in _OTHER]
        if len(sides) == 1 and sides[0] != (_OTHER[side] if back else side):
            yield Disagreement("sides", f"not the side of that turn: {sentence.strip()}")


def _told_wrong(true: Truth, opening: str) -> Iterator[Disagreement]:
    """Yield what a passage before the lists tells of the walk that isn't so: it may leave things out, but no turn."""
    marks = [step.landmark for step in true.clip if step.landmark]
    acts = [step.action for step in true.clip if step.action]
    said = told(opening, Vocabulary(marks, acts))
    # "I'll turn the list around" is no turn of the clip.
    sides = [move for move in said.turns if move != "around"]
    if said.unread or (sides and sides != [move for move in turns(true.clip) if move != "around"]):
        yield Disagreement("opening", "its turns aren't those of the clip in order")
    if not (is_subsequence(said.landmarks, marks) and is_subsequence(said.actions, acts)):
        yield Disagreement("opening", "its landmarks or actions aren't in the order of the clip")
