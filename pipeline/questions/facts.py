"""Facts: binary statements about a span, each with a counterpart of the same form. Pure.

A fact is true or false of a span's steps, and its counterpart is the opposite. Items ask about two
facts and show nothing else. A new kind of fact is a class with the methods of `FactKind` and an entry
in `KINDS`; the composer, the reader of priors and the checks don't know the kinds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Protocol

from pipeline.blind import shipped
from pipeline.blind.memory import Clue, Level
from pipeline.questions import names as naming
from pipeline.questions.draw import Draw
from pipeline.questions.ordinals import from_end, ordinal
from pipeline.questions.spantext import SpanText, all_names, context, mentions
from pipeline.routes.rows import Category, Move, Step
from pipeline.routes.tasks import plain

_SALTS = ((), ("1",), ("2",), ("3",))  # of the rows of names that are tried
_SIDES: Mapping[Move, bool] = {"left": True, "right": False}


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as it is asked. `subject` names what it is about; `value` tells which of two sides is true.

    A turn's subject is its number from 0 and the number of turns to the left or right in the span; the
    subject of an order is its two names, sorted, and the value is true if the first-named came first.
    `undone` is what undoes two actions, if it tells them apart; a frame must show each span of `seen` (us).
    """

    kind: str
    subject: tuple[str | int, ...]
    value: bool
    seen: tuple[tuple[int, int], ...]
    from_end: bool = False
    undone: tuple[str, str] | None = None

    @property
    def ordinal(self) -> str:
        """The key of a turn's ordinal."""
        index, count = map(int, self.subject)
        return ordinal(index, count, last=self.from_end)

    @property
    def name(self) -> str:
        """The fact's name in evidence: `turn:2`, `landmark:blue door|red door`."""
        return KINDS[self.kind].label(self)

    @property
    def values(self) -> tuple[str, str]:
        """What the evidence calls the two values, the one of `value = True` first."""
        return KINDS[self.kind].values

    @property
    def uses(self) -> frozenset[str]:
        """What the fact uses up, so that no other item of the clip asks about it."""
        return KINDS[self.kind].used(self)

    def back(self, *, undo: bool = False) -> "Fact":
        """Return the fact as it is stated of the way back, or of reversed frames.

        Sides and orders are inverted, and turns are counted from the other end. With `undo`, actions
        are named by what undoes them.
        """
        return KINDS[self.kind].back(self, undo=undo)

    def mirrored(self) -> "Fact":
        """Return the fact as mirrored frames show it."""
        return replace(self, value=self.value != KINDS[self.kind].sided)


class FactKind(Protocol):
    """A kind of fact: how it is found, named, worded and recognised."""

    @property
    def category(self) -> Category:
        """The category of items that ask about two facts of this kind."""

    @property
    def values(self) -> tuple[str, str]:
        """The names of its two values in evidence."""

    @property
    def sided(self) -> bool:
        """Whether mirroring the frames negates it."""

    @property
    def swept(self) -> bool:
        """Whether the camera turns meanwhile, so that neighbouring frames must overlap to show it."""

    def find(self, span: SpanText, draw: Draw, apart_us: int) -> Iterator[Fact]:
        """Yield the facts of a span that may be asked about; choices are drawn under the secret seed."""

    def label(self, fact: Fact) -> str:
        """Return the fact's name in evidence."""

    def used(self, fact: Fact) -> frozenset[str]:
        """Return what the fact uses up in its clip: no other item asks about it."""

    def back(self, fact: Fact, *, undo: bool) -> Fact:
        """Return the fact as it is stated of the way back."""

    def words(self, fact: Fact, value: bool, said: Mapping[str, str]) -> str:
        """Return the statement with this value in a language's words."""

    def holds(self, subject: Sequence[str | int], value: bool, span: SpanText) -> bool:
        """Return whether a statement is true of a span, from its steps alone."""

    def form(self, fact: Fact) -> str:
        """Return what the fact's wording shows besides names: pairs are judged together with their like."""

    def levels(self, fact: Fact) -> tuple[Level, ...]:
        """Return the fact at each level of generality, with whether its value is negated there."""

    def sums(self, fact: Fact) -> tuple[tuple[Level, ...], ...]:
        """Return lists of clues about the fact's value that add up."""

    def tells(self, fact: Fact) -> tuple[tuple[Level, ...], ...]:
        """Return lists of clues about the side of a turn that an item asks for together with this fact."""

    def hunch(self, fact: Fact) -> float:
        """Return how likely the fact is by its words alone, as half the log odds."""

    def axes(self, fact: Fact) -> tuple[tuple[tuple[str, float], ...], ...]:
        """Return, for each set of `places`, the combination that is positive where the fact is true."""

    def manner(self, fact: Fact) -> tuple[int, ...]:
        """Return for each of `names.RANKS` whether it rises (1) or falls (-1) where the fact is true."""

    def observed(self, span: SpanText, draw: Draw) -> Iterator[tuple[Clue, bool]]:
        """Yield every clue that a span gives, with its value."""

    def places(self, span: SpanText, draw: Draw) -> tuple[dict[str, float], dict[str, float]]:
        """Return where in the span each name and each word is, or the side of each turn, from -1 to 1."""


# ---- the side of a turn ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Turn:
    """The side of a turn, named by its ordinal among the turns to the left or right."""

    category: Category = "direction"
    values: tuple[str, str] = ("left", "right")
    sided: bool = True
    swept: bool = True

    def find(self, span: SpanText, draw: Draw, apart_us: int) -> Iterator[Fact]:
        sided = [step for step in span.steps if step.move in _SIDES]
        count = len(sided)
        for index, step in enumerate(sided):
            if (last := from_end(index, count, span.span_id, draw)) is None:
                continue
            yield Fact(
                kind="turn",
                subject=(index, count),
                value=_SIDES[step.move],
                seen=((step.start_us, step.end_us),),
                from_end=last,
            )

    def label(self, fact: Fact) -> str:
        return f"turn:{int(fact.subject[0]) + 1}"

    def used(self, fact: Fact) -> frozenset[str]:
        # Both ways of counting are the same turn.
        return frozenset({f"turn:{fact.seen[0][0]}"})

    def back(self, fact: Fact, *, undo: bool) -> Fact:
        index, count = fact.subject
        return replace(
            fact,
            subject=(int(count) - 1 - int(index), count),
            value=not fact.value,
            from_end=not fact.from_end,
        )

    def words(self, fact: Fact, value: bool, said: Mapping[str, str]) -> str:
        side = said["left" if value else "right"]
        return said["turn"].format(nth=said[fact.ordinal], side=side)

    def holds(self, subject: Sequence[str | int], value: bool, span: SpanText) -> bool:
        sided = [step.move for step in span.steps if step.move in _SIDES]
        return _SIDES[sided[int(subject[0])]] is value

    def form(self, fact: Fact) -> str:
        return fact.ordinal

    def levels(self, fact: Fact) -> tuple[Level, ...]:
        return ((("turn", fact.ordinal), False), (("turn",), False))

    def sums(self, fact: Fact) -> tuple[tuple[Level, ...], ...]:
        return ()

    def tells(self, fact: Fact) -> tuple[tuple[Level, ...], ...]:
        return ()

    def hunch(self, fact: Fact) -> float:
        return 0.0

    def manner(self, fact: Fact) -> tuple[int, ...]:
        return (0,) * len(naming.RANKS)

    def axes(self, fact: Fact) -> tuple[tuple[tuple[str, float], ...], ...]:
        return (((fact.ordinal, 1.0),),) * 2

    def places(self, span: SpanText, draw: Draw) -> tuple[dict[str, float], dict[str, float]]:
        sides = {fact.ordinal: 1.0 if fact.value else -1.0 for fact in self.find(span, draw, 0)}
        return sides, sides

    def observed(self, span: SpanText, draw: Draw) -> Iterator[tuple[Clue, bool]]:
        for fact in self.find(span, draw, 0):
            yield ("turn", fact.ordinal), fact.value
        near = [clue for some in context(span) for clue in some]
        last: str | None = None
        for step in span.steps:
            last = step.landmark or step.action or last
            if step.move in _SIDES:
                side = _SIDES[step.move]
                yield ("turn",), side
                if last:
                    yield ("turn after", plain(last)), side
                yield from ((clue, side) for clue in near)


# ---- the order of two names --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Order:
    """Which of two landmarks, or of two actions, comes first."""

    kind: Literal["landmark", "action"]
    category: Category
    values: tuple[str, str] = ("first", "second")
    sided: bool = False
    swept: bool = False

    def find(self, span: SpanText, draw: Draw, apart_us: int) -> Iterator[Fact]:
        # Neighbours in a random row of all names: each name is in two orders at most, and no order follows
        # from others, because their graph has no cycle.
        often = mentions(span) if self.kind == "action" else {}
        for one, other in pairwise(self._row(span, draw, apart_us)):
            if self._differ(one, other, apart_us):
                first, second = sorted((one, other), key=lambda step: step.start_us)
                yield self._fact(first, second, often)

    def _row(self, span: SpanText, draw: Draw, apart_us: int) -> list[Step]:
        """Return all names in a random row: of a few, the first in which most neighbours can be asked about."""

        def related(one: Step, other: Step) -> bool:
            things = self._name(one), self._name(other)
            return self.kind == "action" and naming.of_one_thing(*things)

        named = self._named(span.steps)
        rows = (draw.shuffled(named, span.span_id, self.kind, *salt) for salt in _SALTS)
        return naming.least_useless(
            rows, lambda one, other: related(one, other) or not self._differ(one, other, apart_us)
        )

    def label(self, fact: Fact) -> str:
        return f"{self.kind}:{fact.subject[0]}|{fact.subject[1]}"

    def used(self, fact: Fact) -> frozenset[str]:
        return frozenset({f"{self.kind}:{'-'.join(str(start) for start, _ in fact.seen)}"})

    def back(self, fact: Fact, *, undo: bool) -> Fact:
        if not (undo and fact.undone):
            return replace(fact, value=not fact.value)
        # The counterpart of an undone action is the action itself.
        names, same = naming.sorted_names(fact.undone)
        doing = (str(fact.subject[0]), str(fact.subject[1]))
        return replace(
            fact,
            subject=names,
            value=(not fact.value) is same,
            undone=doing if same else doing[::-1],
        )

    def words(self, fact: Fact, value: bool, said: Mapping[str, str]) -> str:
        first, second = fact.subject if value else fact.subject[::-1]
        return said[f"{self.kind}_order"].format(first=first, second=second)

    def holds(self, subject: Sequence[str | int], value: bool, span: SpanText) -> bool:
        names = [self._name(step) for step in span.steps if getattr(step, self.kind)]
        first, second = (names.index(str(name)) for name in subject)
        return (first < second) is value

    def form(self, fact: Fact) -> str:
        return self.kind

    def levels(self, fact: Fact) -> tuple[Level, ...]:
        first, second = map(str, fact.subject)
        return naming.order_levels(self.kind, first, second)

    def sums(self, fact: Fact) -> tuple[tuple[Level, ...], ...]:
        # The usual position of each name, of its head noun and of its words.
        first, second = (list(naming.parts(self.kind, str(name))) for name in fact.subject)
        return tuple(
            (*((clue, False) for clue in one), *((clue, True) for clue in other))
            for one, other in zip(first, second, strict=True)
        )

    def tells(self, fact: Fact) -> tuple[tuple[Level, ...], ...]:
        return tuple(
            tuple(((place, str(name)), False) for name in fact.subject)
            for place in ("turn after", "turn near")
        )

    def hunch(self, fact: Fact) -> float:
        first, second = map(str, fact.subject)
        return shipped.hunch(self.kind, first, second)

    def manner(self, fact: Fact) -> tuple[int, ...]:
        first, second = map(str, fact.subject)
        return naming.rises(first, second)

    def axes(self, fact: Fact) -> tuple[tuple[tuple[str, float], ...], ...]:
        signs = list(zip(map(str, fact.subject), (-1.0, 1.0), strict=True))
        return (
            tuple((f"{self.kind} {name}", sign) for name, sign in signs),
            tuple((f"{self.kind} {word}", sign) for name, sign in signs for word in name.split()),
        )

    def places(self, span: SpanText, draw: Draw) -> tuple[dict[str, float], dict[str, float]]:
        names = [self._name(step) for step in self._named(span.steps)]
        where = {
            name: 2 * at / (len(names) - 1) - 1 for at, name in enumerate(names) if at or names[1:]
        }
        words: dict[str, list[float]] = defaultdict(list)
        for name, place in where.items():
            for word in name.split():
                words[word].append(place)
        return (
            {f"{self.kind} {name}": place for name, place in where.items()},
            {f"{self.kind} {word}": sum(found) / len(found) for word, found in words.items()},
        )

    def observed(self, span: SpanText, draw: Draw) -> Iterator[tuple[Clue, bool]]:
        names = [self._name(step) for step in self._named(span.steps)]
        rising = [0] * len(naming.RANKS)
        for index, first in enumerate(names):
            if 2 * index != len(names) - 1:
                for clues in naming.parts(self.kind, first):
                    yield from ((clue, 2 * index < len(names) - 1) for clue in clues)
            for second in names[index + 1 :]:
                yield from naming.order_clues(self.kind, first, second)
                rising = [
                    have + one
                    for have, one in zip(rising, naming.rises(first, second), strict=True)
                ]
        # Whether most names rise, by what else is seen there: some places are walked down, others up.
        beside = dict.fromkeys(all_names(span)) if any(rising) else {}
        for some, net in zip(naming.manners(self.kind, beside), rising, strict=True):
            if net:
                yield from ((clue, net > 0) for clue in some)

    def _named(self, steps: Iterable[Step]) -> list[Step]:
        """Return the steps with a name that no other step of the span has."""
        named = [step for step in steps if getattr(step, self.kind) and self._name(step)]
        often = Counter(map(self._name, named))
        return [step for step in named if often[self._name(step)] == 1]

    def _name(self, step: Step) -> str:
        return plain(getattr(step, self.kind))

    def _differ(self, one: Step, other: Step, apart_us: int) -> bool:
        """Return whether people can tell two steps apart: by time, and by their names."""
        apart = abs(one.start_us - other.start_us) >= apart_us
        return apart and naming.distinct(self._name(one), self._name(other))

    def _fact(self, first: Step, second: Step, often: Mapping[str, int]) -> Fact:
        subject, in_order = naming.sorted_names((self._name(first), self._name(second)))
        undone = (plain(first.undo or ""), plain(second.undo or ""))
        told = naming.distinct(*undone) and all(often.get(name) == 1 for name in undone)
        return Fact(
            kind=self.kind,
            subject=subject,
            value=in_order,
            seen=tuple((step.start_us, step.end_us) for step in (first, second)),
            undone=(undone if in_order else undone[::-1]) if told else None,
        )


KINDS: Mapping[str, FactKind] = {
    "turn": _Turn(),
    "landmark": _Order("landmark", "landmark"),
    "action": _Order("action", "action"),
}
