"""Facts: binary statements about a span, each with a counterpart of the same form. Pure.

A fact is true or false of a span's steps, and its counterpart is the opposite. Items ask about two
facts and show nothing else. A new kind of fact is a class with the methods of `FactKind` and an entry
in `KINDS`; the composer, the reader of priors and the checks don't know the kinds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from pipeline.questions.draw import Draw
from pipeline.questions.rows import AskedFact
from pipeline.routes.rows import Category, Move, Step
from pipeline.routes.tasks import plain

NAMED = 3  # turns are named by ordinals up to the third, counted from the start or from the end
_SIDES: Mapping[Move, bool] = {"left": True, "right": False}

Clue = tuple[str, ...]
"""What a reader may have seen in other spans: a fact, or a more general one (any turn, the head nouns)."""


@dataclass(frozen=True, slots=True)
class SpanText:
    """The part of a route that items ask about: the steps that lie wholly inside the span."""

    span_id: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as it is asked. `subject` names what it is about; `value` tells which of two sides is true.

    A turn's subject is its number from 0 and the number of turns to the left or right in the span; the
    subject of an order is its two names, sorted, and the value is true if the first-named came first.
    `undone` holds what undoes two actions, in the order of the subject. `seen` holds the spans of time
    (us) that a frame must show each, so that the fact can be seen.
    """

    kind: str
    subject: tuple[str | int, ...]
    value: bool
    seen: tuple[tuple[int, int], ...]
    from_end: bool = False
    undone: tuple[str, str] | None = None

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

    def find(self, span: SpanText, draw: Draw, apart_us: int) -> Iterator[Fact]:
        """Yield the facts of a span that may be asked about; choices are drawn under the secret seed."""

    def label(self, fact: Fact) -> str:
        """Return the fact's name in evidence."""

    def used(self, fact: Fact) -> frozenset[str]:
        """Return what the fact uses up in its clip."""

    def back(self, fact: Fact, *, undo: bool) -> Fact:
        """Return the fact as it is stated of the way back."""

    def words(self, fact: Fact, value: bool, said: Mapping[str, str]) -> str:
        """Return the statement with this value in a language's words."""

    def holds(self, subject: Sequence[str | int], value: bool, span: SpanText) -> bool:
        """Return whether a statement is true of a span, from its steps alone."""

    def clues(self, fact: Fact) -> tuple[tuple[Clue, bool] | None, ...]:
        """Return the fact at each level of generality, with whether its value is negated there."""

    def hints(self, fact: Fact, other: Fact) -> tuple[tuple[Clue, bool] | None, ...]:
        """Return clues about a fact that the names of the other fact of its item give."""

    def axis(self, fact: Fact) -> tuple[tuple[str, float], ...]:
        """Return the combination of `places` that is positive where the fact is true."""

    def observed(self, span: SpanText, draw: Draw) -> Iterator[tuple[Clue, bool]]:
        """Yield every clue that a span gives, with its value."""

    def places(self, span: SpanText, draw: Draw) -> Iterator[tuple[str, float]]:
        """Yield where in the span each name is, or the side of each turn, from -1 to 1."""


# ---- the side of a turn ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Turn:
    """The side of a turn, named by its ordinal among the turns to the left or right."""

    category: Category = "direction"
    values: tuple[str, str] = ("left", "right")
    sided: bool = True

    def find(self, span: SpanText, draw: Draw, apart_us: int) -> Iterator[Fact]:
        sided = [step for step in span.steps if step.move in _SIDES]
        count = len(sided)
        for index, step in enumerate(sided):
            if (from_end := _from_end(index, count, span, draw)) is None:
                continue
            yield Fact(
                kind="turn",
                subject=(index, count),
                value=_SIDES[step.move],
                seen=((step.start_us, step.end_us),),
                from_end=from_end,
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
        return said["turn"].format(nth=said[_ordinal(fact)], side=side)

    def holds(self, subject: Sequence[str | int], value: bool, span: SpanText) -> bool:
        sided = [step.move for step in span.steps if step.move in _SIDES]
        return _SIDES[sided[int(subject[0])]] is value

    def clues(self, fact: Fact) -> tuple[tuple[Clue, bool] | None, ...]:
        return ((("turn", _ordinal(fact)), False), (("turn",), False))

    def hints(self, fact: Fact, other: Fact) -> tuple[tuple[Clue, bool] | None, ...]:
        if other.kind == "turn":
            return ()
        return tuple(
            ((place, str(name)), False)
            for name in other.subject
            for place in ("turn after", "turn near")
        )

    def axis(self, fact: Fact) -> tuple[tuple[str, float], ...]:
        return ((_ordinal(fact), 1.0),)

    def places(self, span: SpanText, draw: Draw) -> Iterator[tuple[str, float]]:
        for fact in self.find(span, draw, 0):
            yield _ordinal(fact), 1.0 if fact.value else -1.0

    def observed(self, span: SpanText, draw: Draw) -> Iterator[tuple[Clue, bool]]:
        for fact in self.find(span, draw, 0):
            yield ("turn", _ordinal(fact)), fact.value
        names = [
            plain(name) for step in span.steps for name in (step.landmark, step.action) if name
        ]
        last: str | None = None
        for step in span.steps:
            last = step.landmark or step.action or last
            if step.move in _SIDES:
                yield ("turn",), _SIDES[step.move]
                if last:
                    yield ("turn after", plain(last)), _SIDES[step.move]
                for name in names:
                    yield ("turn near", name), _SIDES[step.move]


def _from_end(index: int, count: int, span: SpanText, draw: Draw) -> bool | None:
    """Return whether a turn is named from the end; None if it is too far from both ends.

    Drawn, so that the name of a turn doesn't reveal how many turns there are.
    """
    ways = [False] * (index < NAMED) + [True] * (count - 1 - index < NAMED)
    return ways[draw(span.span_id, "ordinal", str(index)) % len(ways)] if ways else None


def _ordinal(fact: Fact) -> str:
    """Return the key of a turn's ordinal: `nth_1` is the first, `last_1` the last."""
    index, count = int(fact.subject[0]), int(fact.subject[1])
    return f"last_{count - index}" if fact.from_end else f"nth_{index + 1}"


# ---- the order of two names --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Order:
    """Which of two landmarks, or of two actions, comes first."""

    kind: Literal["landmark", "action"]
    category: Category
    values: tuple[str, str] = ("first", "second")
    sided: bool = False

    def find(self, span: SpanText, draw: Draw, apart_us: int) -> Iterator[Fact]:
        named = self._named(span.steps)
        drawn = sorted(named, key=lambda step: draw(span.span_id, self.kind, self._name(step)))
        while drawn:
            one = drawn.pop()
            other = next(
                (step for step in reversed(drawn) if self._differ(one, step, apart_us)), None
            )
            if other is None:
                continue
            drawn.remove(other)
            yield self._fact(*sorted((one, other), key=lambda step: step.start_us))

    def label(self, fact: Fact) -> str:
        return f"{self.kind}:{fact.subject[0]}|{fact.subject[1]}"

    def used(self, fact: Fact) -> frozenset[str]:
        return frozenset(f"{self.kind}:{start}" for start, _ in fact.seen)

    def back(self, fact: Fact, *, undo: bool) -> Fact:
        if not (undo and fact.undone):
            return replace(fact, value=not fact.value)
        # The counterpart of an undone action is the action itself.
        names, same = _sorted(fact.undone)
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

    def clues(self, fact: Fact) -> tuple[tuple[Clue, bool] | None, ...]:
        return tuple(_ordered(self.kind, level, *map(str, fact.subject)) for level in _LEVELS)

    def hints(self, fact: Fact, other: Fact) -> tuple[tuple[Clue, bool] | None, ...]:
        # The usual position of each name and of its head noun.
        first, second = map(str, fact.subject)
        return tuple(
            clue
            for level in ("name", "head")
            for clue in (
                (("early", self.kind, *_cut(first, level)), False),
                (("early", self.kind, *_cut(second, level)), True),
            )
        )

    def axis(self, fact: Fact) -> tuple[tuple[str, float], ...]:
        first, second = fact.subject
        return ((f"{self.kind} {second}", 1.0), (f"{self.kind} {first}", -1.0))

    def places(self, span: SpanText, draw: Draw) -> Iterator[tuple[str, float]]:
        names = [self._name(step) for step in self._named(span.steps)]
        for index, name in enumerate(names):
            if len(names) > 1:
                yield f"{self.kind} {name}", 2 * index / (len(names) - 1) - 1

    def observed(self, span: SpanText, draw: Draw) -> Iterator[tuple[Clue, bool]]:
        names = [self._name(step) for step in self._named(span.steps)]
        for index, first in enumerate(names):
            for second in names[index + 1 :]:
                for level in _LEVELS:
                    if clue := _ordered(self.kind, level, first, second):
                        yield clue[0], not clue[1]
                for level in ("name", "head"):
                    yield ("early", self.kind, *_cut(first, level)), True
                    yield ("early", self.kind, *_cut(second, level)), False

    def _named(self, steps: Iterable[Step]) -> list[Step]:
        """Return the steps with a name that no other step of the span has."""
        named = [step for step in steps if getattr(step, self.kind)]
        often = Counter(map(self._name, named))
        return [step for step in named if often[self._name(step)] == 1]

    def _name(self, step: Step) -> str:
        return plain(getattr(step, self.kind))

    def _differ(self, one: Step, other: Step, apart_us: int) -> bool:
        """Return whether people can tell two steps apart: by time, and by their names."""
        words = [set(self._name(step).split()) for step in (one, other)]
        apart = abs(one.start_us - other.start_us) >= apart_us
        return apart and not (words[0] <= words[1] or words[1] <= words[0])

    def _fact(self, first: Step, second: Step) -> Fact:
        subject, in_order = _sorted((self._name(first), self._name(second)))
        undone = None
        if self.kind == "action" and first.undo and second.undo:
            undone = (plain(first.undo), plain(second.undo))
        return Fact(
            kind=self.kind,
            subject=subject,
            value=in_order,
            seen=tuple((step.start_us, step.end_us) for step in (first, second)),
            undone=undone if in_order or undone is None else undone[::-1],
        )


def _sorted(names: tuple[str, str]) -> tuple[tuple[str, str], bool]:
    """Return two names in sorted order, and whether that is their order in time."""
    return (names, True) if names[0] <= names[1] else (names[::-1], False)


_LEVELS: Mapping[str, slice] = {"name": slice(None), "head": slice(-1, None), "verb": slice(1)}


def _cut(name: str, level: str) -> list[str]:
    """Return the words of a name that a level keeps."""
    return name.split()[_LEVELS[level]]


def _ordered(kind: str, level: str, first: str, second: str) -> tuple[Clue, bool] | None:
    """Return the clue of an order at a level, and whether sorting its words swapped them."""
    first, second = (" ".join(_cut(name, level)) for name in (first, second))
    if first == second:
        return None
    one, other = sorted((first, second))
    return (kind, level, one, other), first != one


KINDS: Mapping[str, FactKind] = {
    "turn": _Turn(),
    "landmark": _Order("landmark", "landmark"),
    "action": _Order("action", "action"),
}


def kinds_asked(category: Category, facts: Iterable[AskedFact]) -> frozenset[Category]:
    """Return the categories of facts that an item states, which people must have verified."""
    return frozenset({category, *(KINDS[fact.name.partition(":")[0]].category for fact in facts)})
