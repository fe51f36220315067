"""What is true of a row, recomputed from what happens in its span as steps that each kind of fact judges. Pure.

Nothing here is taken from the code that writes think texts, so its mistakes are found.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from string import ascii_uppercase

from pipeline.questions.facts import KINDS, Fact
from pipeline.questions.rows import AskedFact
from pipeline.questions.spantext import SpanText
from pipeline.questions.truth import split_names
from pipeline.routes import wording
from pipeline.routes.route import TURNS, reverse
from pipeline.routes.rows import Step
from pipeline.routes.tasks import plain
from pipeline.training.asked import undone
from pipeline.training.lists import Event
from pipeline.training.rows import Happening, TrainingRow

_US = 1_000_000


@dataclass(frozen=True)
class TrueFact:
    """An asked fact: how the right option states it, how it reads on the other way, and what would be false.

    `times` and `names` are those of what decides it, names with their times; `letters` are the options that have it right.
    """

    asked: str
    other: str
    false: frozenset[str]
    times: frozenset[str]
    names: Mapping[str, str]
    letters: frozenset[str]


class Truth:
    """What is true of a row by what happens in its span; ways are tuples of steps."""

    def __init__(self, row: TrainingRow) -> None:
        self.row = row
        self.clip = tuple(_steps(row.happenings, undone(row)))
        self.back = reverse(self.clip)
        ways = (self.clip, self.back)
        self.asked, self.other = ways if row.orientation == "forward" else ways[::-1]
        self.right = ascii_uppercase.index(row.answer) if row.answer else 0

    @cached_property
    def facts(self) -> list[TrueFact]:
        """The asked facts; none if what happens doesn't decide them as the right option states them."""
        if not self.row.facts or self.right >= len(self.row.options):
            return []
        said, option = wording.load(self.row.language).facts, self.row.options[self.right]
        every = product(*(list(self._possible(one, said)) for one in self.row.facts))
        joined = (some for some in every if said["and"].join(one.asked for one in some) == option)
        return list(next(joined, ()))

    def _possible(self, fact: AskedFact, said: Mapping[str, str]) -> Iterator[TrueFact]:
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
                yield TrueFact(
                    KINDS[kind].words(one, one.value, said),
                    KINDS[kind].words(back, back.value, said),
                    frozenset(KINDS[kind].words(each, not each.value, said) for each in known),
                    frozenset(seconds(step.start_us) for step in clip),
                    {
                        name: seconds(step.start_us)
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
        elif what and one.kind == "action":
            back = undo.get(what, what)
            yield Step(start_us=start, end_us=end, move="straight", action=what, undo=back)


def events_of(steps: Iterable[Step], *, timed: bool) -> list[Event]:
    """Return steps as the lines of a list, with times in tenths of a second if `timed`."""
    found = []
    for step in steps:
        kind = "turn" if step.move in TURNS else "landmark" if step.landmark else "action"
        what = step.move if kind == "turn" else str(getattr(step, kind))
        times = (round(step.start_us / _US, 1), round(step.end_us / _US, 1)) if timed else ()
        found.append(Event(kind, what, *times))
    return found


def seconds(time_us: int) -> str:
    """Return a time as texts give it, without the unit."""
    return f"{time_us / _US:z.1f}"


def as_steps(events: Iterable[Event]) -> tuple[Step, ...]:
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
