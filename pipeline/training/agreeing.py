"""Whether a think text says what is true of its row: its lists, its statements, times and letters. Pure.

What is true is recomputed here from what happens in the span, as steps by which each kind of fact judges. Nothing is
taken from the code that writes the texts, so its mistakes are found, and so are a model's.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from string import ascii_uppercase
from typing import Literal

from pipeline.questions.facts import KINDS, Fact
from pipeline.questions.rows import AskedFact
from pipeline.questions.spantext import SpanText
from pipeline.questions.truth import split_names
from pipeline.releases.letter import parse_letter
from pipeline.releases.replytext import plain_text
from pipeline.routes import wording
from pipeline.routes.route import TURNS, reverse, turns
from pipeline.routes.rows import Step
from pipeline.routes.tasks import is_subsequence, plain
from pipeline.routes.told import Vocabulary, told
from pipeline.training import lists
from pipeline.training.asked import undone
from pipeline.training.lists import Event, Lists
from pipeline.training.rows import Happening, TrainingRow

What = Literal[
    "row", "lists", "forward", "backward", "facts", "statements", "times", "sides", "letters", "opening"
]  # fmt: skip
_QUOTES = {"en": ("“", "”"), "de": ("„", "“")}
_TIME = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)?) ?(?:s|sec|seconds?|Sek\w*)\b")
_SIDES = (re.compile(r"\b(?:left|links)\b", re.IGNORECASE), re.compile(r"\b(?:right|rechts)\b", re.IGNORECASE))  # fmt: skip
_LETTER = re.compile(r"(?<!\w)[A-Z](?!\w)")
_US = 1_000_000


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


# ---- what is true ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fact:
    """An asked fact: how the right option states it, how it reads on the other way, and what would be false.

    `times` and `names` are those of what decides it, names with their times; `letters` are the options that have it right.
    """

    asked: str
    other: str
    false: frozenset[str]
    times: frozenset[str]
    names: Mapping[str, str]
    letters: frozenset[str]


class _Truth:
    """What is true of a row by what happens in its span; ways are tuples of steps."""

    def __init__(self, row: TrainingRow) -> None:
        self.row = row
        self.clip = tuple(_steps(row.happenings, undone(row)))
        self.back = reverse(self.clip)
        ways = (self.clip, self.back)
        self.asked, self.other = ways if row.orientation == "forward" else ways[::-1]
        self.right = ascii_uppercase.index(row.answer) if row.answer else 0

    @cached_property
    def facts(self) -> list[_Fact]:
        """The asked facts; none if what happens doesn't decide them as the right option states them."""
        said = wording.load(self.row.language).facts
        for facts in product(*(list(self._possible(one, said)) for one in self.row.facts)):
            if (
                facts
                and said["and"].join(one.asked for one in facts) == self.row.options[self.right]
            ):
                return list(facts)
        return []

    def _possible(self, fact: AskedFact, said: Mapping[str, str]) -> Iterator[_Fact]:
        """Yield a fact in each of its wordings: a turn may be named from both ends."""
        kind, value, last = fact.name.partition(":")[0], fact.values[self.right], len(self.clip) - 1
        for places in _places(fact.name, self.asked):
            there = [last - at for at in places]
            clip = [self.clip[at] for at in (places if self.asked is self.clip else there)]
            here = [_fact(kind, places, self.asked, from_end=end) for end in (False, True)]
            known = [one for one in here if kind != "turn" or one.ordinal in said]
            if here[0].values[not here[0].value] != value:
                continue
            for one in known:
                back = _fact(kind, there, self.other, from_end=not one.from_end)
                yield _Fact(
                    KINDS[kind].words(one, one.value, said),
                    KINDS[kind].words(back, back.value, said),
                    frozenset(KINDS[kind].words(each, not each.value, said) for each in known),
                    frozenset(_seconds(step.start_us) for step in clip),
                    {
                        name: _seconds(step.start_us)
                        for step in clip
                        if (name := step.landmark or step.action)
                    },
                    frozenset(
                        letter
                        for letter, stated in zip(ascii_uppercase, fact.values, strict=False)
                        if stated == value
                    ),
                )


def value_of(name: str, steps: Sequence[Step]) -> str | None:
    """Return which value of a fact is true of steps, by the definition of its kind; None if they don't decide it."""
    for places in _places(name, steps):
        fact = _fact(name.partition(":")[0], places, steps)
        return fact.values[not fact.value]
    return None


def _fact(
    kind: str, places: Sequence[int], steps: Sequence[Step], *, from_end: bool = False
) -> Fact:
    """Return the fact about what is at these places of steps."""
    sided = [at for at, step in enumerate(steps) if step.move in ("left", "right")]
    about: tuple[str | int, ...] = (
        (sided.index(places[0]), len(sided))
        if kind == "turn"
        else tuple(str(getattr(steps[at], kind)) for at in places)
    )
    value = KINDS[kind].holds(about, True, SpanText("", tuple(steps)))
    return Fact(kind, about, value, (), from_end)


def _places(name: str, steps: Sequence[Step]) -> Iterator[list[int]]:
    """Yield where the turn, or the two things, that a fact is about are among steps."""
    kind, _, subject = name.partition(":")
    if kind == "turn":
        sided = [at for at, step in enumerate(steps) if step.move in ("left", "right")]
        if subject.isdecimal() and 0 < int(subject) <= len(sided):
            yield [sided[int(subject) - 1]]
    elif kind in KINDS:
        named = [getattr(step, kind) for step in steps]
        for both in split_names(subject):
            if all(named.count(one) == 1 for one in both):
                yield [named.index(one) for one in both]


def _steps(happenings: Iterable[Happening], undo: Mapping[str, str]) -> Iterator[Step]:
    """Yield what happens as steps; an action that isn't undone is named as itself on the way back."""
    for one in happenings:
        start, end = round(one.start * _US), round(one.end * _US)
        what = one.what if one.kind == "turn" else plain(one.what)
        if one.kind == "turn" and what in TURNS:
            yield Step.model_validate({"start_us": start, "end_us": end, "move": what})
        elif what and one.kind == "landmark":
            yield Step(start_us=start, end_us=end, move="straight", landmark=what)
        elif what:
            back = undo.get(what, what)
            yield Step(start_us=start, end_us=end, move="straight", action=what, undo=back)


def _events(steps: Iterable[Step], *, timed: bool) -> list[Event]:
    found = []
    for step in steps:
        kind = "turn" if step.move in TURNS else "landmark" if step.landmark else "action"
        what = step.move if kind == "turn" else str(getattr(step, kind))
        times = (round(step.start_us / _US, 1), round(step.end_us / _US, 1)) if timed else ()
        found.append(Event(kind, what, *times))
    return found


def _seconds(time_us: int) -> str:
    return f"{time_us / _US:.1f}"


_Prose = Callable[[_Truth, str, Lists], Iterator[Disagreement]]


# ---- what a text says --------------------------------------------------------------------------------


def _wrong(row: TrainingRow, think: str, prose: _Prose) -> Iterator[Disagreement]:
    true = _Truth(row)
    if row.format == "mcq" and not true.facts:
        yield Disagreement("row", "its answer isn't what happens in its span")
        return
    both = lists.read(think)
    if both is None:
        yield Disagreement("lists", "both lists, each after its heading, can't be read")
        return
    if list(both.forward) != _events(true.clip, timed=True):
        yield Disagreement("forward", "the forward list isn't what happens")
    if list(both.backward) != _events(true.back, timed=False):
        yield Disagreement("backward", "the backward list isn't its inverse")
    asked = _as_steps(both.forward if row.orientation == "forward" else both.backward)
    for fact in row.facts:
        if value_of(fact.name, asked) != fact.values[true.right]:
            yield Disagreement(
                "facts", f"by its lists, {fact.name} isn't {fact.values[true.right]}"
            )
    yield from prose(true, think, both)


def _as_steps(events: Iterable[Event]) -> tuple[Step, ...]:
    """Return the lines of a list as steps, one a second."""
    return tuple(
        Step.model_validate(
            {
                "start_us": at * _US,
                "end_us": (at + 1) * _US,
                "move": one.what if one.kind == "turn" and one.what in TURNS else "straight",
                **({one.kind: one.what} if one.kind != "turn" else {}),
            }
        )
        for at, one in enumerate(events)
    )


def _apart(row: TrainingRow, think: str, both: Lists) -> tuple[list[str], list[str]]:
    """Return the lines before the first list, and the other lines that are in no list."""
    lines = think.splitlines()
    heads = [
        next(at for at, line in enumerate(lines) if line.strip() == heading)
        for heading in lists.HEADINGS[row.language]
    ]
    ends = [head + 1 + len(some) for head, some in zip(heads, both, strict=True)]
    return lines[: heads[0]], [*lines[ends[0] : heads[1]], *lines[ends[1] :]]


def _strictly(true: _Truth, think: str, both: Lists) -> Iterator[Disagreement]:
    """Yield what is wrong in the lines outside the lists, each of which is about one fact, both or none."""
    row, facts = true.row, true.facts
    opening, rest = _apart(row, think, both)
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
    if facts and lines[-1].letters != (row.answer,):
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

    def against(self, fact: _Fact) -> Iterator[Disagreement]:
        """Yield what is wrong in the line if it is about a fact."""
        stated = [one.text for one in self.quoted if one.text not in fact.names]
        if stated not in ([fact.asked], [fact.other, fact.asked]):
            yield Disagreement("statements", f"isn't so: {self.text}")
        timed = [one for one in self.quoted if one.text in fact.names]
        if self.times != fact.times or any(one.time != fact.names[one.text] for one in timed):
            yield Disagreement("times", f"not when it happens: {self.text}")
        if set(self.letters) != fact.letters:
            yield Disagreement("letters", f"not the options that have this: {self.text}")


def _freely(true: _Truth, think: str, both: Lists) -> Iterator[Disagreement]:
    """Yield what is wrong outside the lists of a text in somebody's own words."""
    row, facts = true.row, true.facts
    opening, rest = _apart(row, think, both)
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
    times = {_seconds(at) for step in true.clip for at in (step.start_us, step.end_us)}
    for time in _TIME.findall(text):
        if f"{float(time.replace(',', '.')):.1f}" not in times:
            yield Disagreement("times", f"nothing begins or ends at {time} s")
    letter = parse_letter("\n".join(rest), row.options) if facts else None
    if letter not in (None, row.answer):
        yield Disagreement("letters", f"it concludes {letter}")


def _told_wrong(true: _Truth, opening: str) -> Iterator[Disagreement]:
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
