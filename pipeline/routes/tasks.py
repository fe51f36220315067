"""The eight tasks: stems, the one renderer of answers and distractors, squares, what is true. Pure.

A route is told as marks in time order: turns, landmarks, actions, each with its text on the way
there and on the way back. A square shows some marks and flips two things independently, a turn's
side or the order of two neighbours; the four combinations are the options, and three are false.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from itertools import combinations
from typing import Literal

from pipeline.routes.route import MOVE_WORDS, OPPOSITE
from pipeline.routes.rows import Category, Move, Orientation, Step

SEPARATOR = " -> "
MIXED = "_mixed"
_MOST_MARKS = 12  # of one kind in a clip: bounds the squares to choose from (66 pairs of turns)


@dataclass(frozen=True)
class Task:
    """One category asked in one orientation."""

    category: Category
    orientation: Orientation

    @property
    def name(self) -> str:
        """The task's name in tables and stems, such as `direction_forward`."""
        return f"{self.category}_{self.orientation}"


ORIENTATIONS: tuple[Orientation, ...] = ("forward", "reverse")
SQUARE_CATEGORIES: tuple[Category, ...] = ("direction", "landmark", "action")
ROUTE = tuple(Task("route", orientation) for orientation in ORIENTATIONS)
TASKS = tuple(
    Task(category, orientation)
    for category in ("route", *SQUARE_CATEGORIES)
    for orientation in ORIENTATIONS
)

Words = Mapping[Move, str]
"""How a language says each move, in the form of all options."""


# ---- marks ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteEvent:
    """One event of a route: how it is told on the way there and on the way back, and when it begins.

    Within a step the landmark comes first, then the turn, then the action: that is `rank`.
    """

    there: str
    back: str
    at_us: int
    rank: int

    @property
    def when(self) -> tuple[int, int]:
        """What marks are sorted by."""
        return self.at_us, self.rank


@lru_cache(2**14)
def plain(text: str) -> str:
    """Give a landmark or an action the form in which every option shows it: one case, no full stop."""
    return " ".join(text.split()).rstrip(". ").lower().replace(SEPARATOR.strip(), "to")


def plain_option(text: str) -> str:
    """Give an option that a model wrote the form of all options; its arrows separate its parts."""
    return SEPARATOR.join(plain(part) for part in text.split(SEPARATOR.strip()))


@dataclass(frozen=True)
class RouteText:
    """A route told as marks: of each kind, and all together. Each is worked out once."""

    steps: Sequence[Step]
    words: Words = field(default_factory=lambda: MOVE_WORDS)

    @cached_property
    def turns(self) -> list[RouteEvent]:
        """All turns; an about-turn reads the same both ways."""
        words = self.words
        return [
            RouteEvent(words[step.move], words[OPPOSITE[step.move]], step.start_us, 1)
            for step in self.steps
            if step.move != "straight"
        ]

    @cached_property
    def landmarks(self) -> list[RouteEvent]:
        """All landmarks."""
        named = ((plain(step.landmark), step.start_us) for step in self.steps if step.landmark)
        return [RouteEvent(name, name, at_us, 0) for name, at_us in named]

    @cached_property
    def actions(self) -> list[RouteEvent]:
        """The actions that can be undone."""
        return [
            RouteEvent(plain(step.action), plain(step.undo), step.start_us, 2)
            for step in self.steps
            if step.action and step.undo
        ]

    def of(self, category: Category) -> list[RouteEvent]:
        """Return the marks that items of this category ask about."""
        asked = {"direction": self.turns, "landmark": self.landmarks, "action": self.actions}
        return asked[category]

    @cached_property
    def events(self) -> list[RouteEvent]:
        """All that happens, in this order."""
        return sorted((*self.landmarks, *self.turns, *self.actions), key=lambda mark: mark.when)

    @cached_property
    def once(self) -> dict[Orientation, Set[str]]:
        """The texts of which each orientation tells one event alone."""
        return {
            way: {text for text, n in Counter(told(self.events, way)).items() if n == 1}
            for way in ORIENTATIONS
        }


def told(marks: Sequence[RouteEvent], orientation: Orientation) -> list[str]:
    """Return the texts of these marks in the order in which they are told."""
    if orientation == "forward":
        return [mark.there for mark in marks]
    return [mark.back for mark in reversed(marks)]


def render(marks: Sequence[RouteEvent], orientation: Orientation) -> str:
    """Tell marks in the one form that answers and distractors have."""
    return SEPARATOR.join(told(marks, orientation))


# ---- squares -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flip:
    """One thing that a square flips: the side of a shown mark, or the order of two shown marks.

    `name` says which turn, landmark or action of the clip it is: `turn:2`, `order:0-1`.
    """

    name: str
    kind: Literal["turn", "order"]
    shown: tuple[int, ...]

    def apply(self, told: list[str], turned: Sequence[str]) -> None:
        """Flip it in place; a turn to the other side is told as the way back tells it: `turned`."""
        if self.kind == "turn":
            (index,) = self.shown
            told[index] = turned[index]
        else:
            first, second = self.shown
            told[first], told[second] = told[second], told[first]


@dataclass(frozen=True, slots=True)
class Square:
    """The marks that an item's options show, in true order, and the two things they flip."""

    marks: tuple[RouteEvent, ...]
    flips: tuple[Flip, Flip]

    @property
    def contrast(self) -> Literal["turn", "order", "mixed"]:
        """Which kinds of flips there are."""
        one, other = self.flips
        return one.kind if one.kind == other.kind else "mixed"

    @property
    def names(self) -> list[str]:
        """The flips as an item's `flips` column holds them."""
        return [flip.name for flip in self.flips]

    def options(self, orientation: Orientation) -> list[str]:
        """Return the four options, the true one first; the reverse ones reverse these, one for one."""
        return [SEPARATOR.join(parts) for parts in self.parts(orientation)]

    def parts(self, orientation: Orientation) -> list[list[str]]:
        """Return the options as what they are made of, in the order in which it is told."""
        there, back = [mark.there for mark in self.marks], [mark.back for mark in self.marks]
        told, turned = (there, back) if orientation == "forward" else (back, there)
        ways = [told.copy() for _ in range(4)]
        one, other = self.flips
        for way in ways[2:]:
            one.apply(way, turned)
        for way in ways[1::2]:
            other.apply(way, turned)
        return ways if orientation == "forward" else [way[::-1] for way in ways]


def squares(route: RouteText, category: Category, apart_us: int) -> list[Square]:
    """Return every square that this route can carry in a category, flips at least `apart_us` apart.

    Direction flips two turns. Landmark and action flip two disjoint pairs of neighbours; where that
    can't be had, one pair and one turn. Squares with a second true option are left out.
    """
    if category == "direction":
        # All turns are shown, so whatever is flipped is false, and the four texts differ.
        return list(_turn_squares(route.turns, apart_us))
    facts = route.of(category)[:_MOST_MARKS]
    pairs = [
        (index, index + 1)
        for index in range(len(facts) - 1)
        if facts[index + 1].at_us - facts[index].at_us >= apart_us
    ]
    found = [s for s in _order_squares(facts, pairs) if _once(s, route) or _sound(s, route)]
    return found or [s for s in _mixed_squares(facts, pairs, route.turns) if _sound(s, route)]


def _turn_squares(turns: list[RouteEvent], apart_us: int) -> Iterator[Square]:
    shown = tuple(turns)
    sided = [index for index, mark in enumerate(shown[:_MOST_MARKS]) if mark.there != mark.back]
    for first, second in combinations(sided, 2):
        if turns[second].at_us - turns[first].at_us >= apart_us:
            yield Square(shown, (_turn_flip(first, first), _turn_flip(second, second)))


def _order_squares(facts: list[RouteEvent], pairs: list[tuple[int, int]]) -> Iterator[Square]:
    for one, other in combinations(pairs, 2):
        if one[1] < other[0]:
            marks = tuple(facts[index] for index in (*one, *other))
            yield Square(marks, (_order_flip(one, (0, 1)), _order_flip(other, (2, 3))))


def _mixed_squares(
    facts: list[RouteEvent], pairs: list[tuple[int, int]], turns: list[RouteEvent]
) -> Iterator[Square]:
    for pair in pairs:
        for index, turn in enumerate(turns[:_MOST_MARKS]):
            if turn.there == turn.back:
                continue
            marks = sorted((facts[pair[0]], facts[pair[1]], turn), key=lambda mark: mark.when)
            where = [marks.index(mark) for mark in (facts[pair[0]], facts[pair[1]])]
            (third,) = {0, 1, 2} - set(where)
            yield Square(
                tuple(marks),
                (_order_flip(pair, (where[0], where[1])), _turn_flip(index, third)),
            )


@cache  # a few hundred of them serve all clips
def _turn_flip(index: int, shown: int) -> Flip:
    return Flip(f"turn:{index}", "turn", (shown,))


@cache
def _order_flip(pair: tuple[int, int], shown: tuple[int, int]) -> Flip:
    return Flip(f"order:{pair[0]}-{pair[1]}", "order", shown)


# ---- what is true --------------------------------------------------------------------------------


def holds(text: str, route: RouteText, category: Category, orientation: Orientation) -> bool:
    """Tell whether an option is true of a route: its parts happen there in this order.

    Direction options name every turn, so they have to be all of them.
    """
    parts = text.split(SEPARATOR)
    if category == "direction":
        return parts == told(route.turns, orientation)
    return within(parts, told(route.events, orientation))


def within(parts: Sequence[str], told: Sequence[str]) -> bool:
    """Tell whether these parts happen in this order among what is told."""
    rest = iter(told)
    return all(part in rest for part in parts)


def _once(square: Square, route: RouteText) -> bool:
    """Tell whether each shown mark happens once: no other order of them is true then, or alike."""
    once = route.once
    return all(
        mark.there in once["forward"] and mark.back in once["reverse"] for mark in square.marks
    )


def _sound(square: Square, route: RouteText) -> bool:
    """Tell whether four options differ and one alone is true, both ways."""
    for orientation in ORIENTATIONS:
        truth, *distractors = square.parts(orientation)
        if len({tuple(parts) for parts in (truth, *distractors)}) != 4:
            return False
        happened = told(route.events, orientation)
        if any(within(parts, happened) for parts in distractors):
            return False
    return True


def what_is_missing(route: RouteText, category: Category) -> str:
    """Say what a clip would need to carry a square of this category."""
    sided = sum(mark.there != mark.back for mark in route.turns)
    have_turns = f"{sided} turn{'' if sided == 1 else 's'} to the left or right"
    if category == "direction":
        return f"{have_turns}; a square flips two, some seconds apart"
    facts = len(route.of(category))
    noun = "landmark" if category == "landmark" else "action that can be undone"
    have = f"{facts} {noun if facts == 1 else noun.replace('action', 'actions').replace('landmark', 'landmarks')}"
    return f"{have} and {have_turns}; a square needs four in different steps, or two and one turn"
