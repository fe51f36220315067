"""The eight tasks: rendering of answers and distractors, squares, and which options are true. Pure.

A route's text is a sequence of events in time order (turns, landmarks, actions), each with its words
in the forward and in the reverse direction. A square is a 2x2 factorial: it shows some events and
flips two facts independently, each the side of a turn or the order of two neighbours. The four
combinations are the options; three are false.
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
_MOST_EVENTS = 12  # of one kind in a clip: bounds the squares to choose from (66 pairs of turns)


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
"""The words of each move in one language, as options show them."""


# ---- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteEvent:
    """One event of a route: its words on the way there and on the way back, and when it begins.

    `rank` orders the events of one step: first the landmark, then the turn, then the action.
    """

    there: str
    back: str
    at_us: int
    rank: int

    @property
    def when(self) -> tuple[int, int]:
        """The sort key of events."""
        return self.at_us, self.rank


@lru_cache(2**14)
def plain(text: str) -> str:
    """Return a landmark or an action as options show it: lower case, without a full stop."""
    return " ".join(text.split()).rstrip(". ").lower().replace(SEPARATOR.strip(), "to")


def plain_option(text: str) -> str:
    """Return an option that a model wrote in the form of all options; arrows separate its parts."""
    return SEPARATOR.join(plain(part) for part in text.split(SEPARATOR.strip()))


@dataclass(frozen=True)
class RouteText:
    """A route as a sequence of events, all of them or of one kind; each is computed once."""

    steps: Sequence[Step]
    words: Words = field(default_factory=lambda: MOVE_WORDS)

    @cached_property
    def turns(self) -> list[RouteEvent]:
        """All turns; turning around has the same words in both directions."""
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
        """Return the events that items of this category ask about."""
        asked = {"direction": self.turns, "landmark": self.landmarks, "action": self.actions}
        return asked[category]

    @cached_property
    def events(self) -> list[RouteEvent]:
        """All events in order."""
        return sorted((*self.landmarks, *self.turns, *self.actions), key=lambda event: event.when)

    @cached_property
    def unique(self) -> dict[Orientation, Set[str]]:
        """The texts that occur only once in each orientation."""
        return {
            way: {text for text, n in Counter(texts(self.events, way)).items() if n == 1}
            for way in ORIENTATIONS
        }


def texts(events: Sequence[RouteEvent], orientation: Orientation) -> list[str]:
    """Return the texts of these events in the order of this orientation."""
    if orientation == "forward":
        return [event.there for event in events]
    return [event.back for event in reversed(events)]


def render(events: Sequence[RouteEvent], orientation: Orientation) -> str:
    """Return these events in the form of all answers and distractors."""
    return SEPARATOR.join(texts(events, orientation))


# ---- squares -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flip:
    """One fact that a square flips: the side of a shown turn, or the order of two shown events.

    `name` identifies the turn, or the two landmarks or actions, within the clip: `turn:2`, `order:0-1`.
    """

    name: str
    kind: Literal["turn", "order"]
    shown: tuple[int, ...]

    def apply(self, parts: list[str], opposite: Sequence[str]) -> None:
        """Flip it in place; a flipped turn gets the words of the opposite direction."""
        if self.kind == "turn":
            (index,) = self.shown
            parts[index] = opposite[index]
        else:
            first, second = self.shown
            parts[first], parts[second] = parts[second], parts[first]


@dataclass(frozen=True, slots=True)
class Square:
    """The events that an item's options show, in true order, and the two facts that they flip."""

    events: tuple[RouteEvent, ...]
    flips: tuple[Flip, Flip]

    @property
    def contrast(self) -> Literal["turn", "order", "mixed"]:
        """The kind of both flips, or `mixed`."""
        one, other = self.flips
        return one.kind if one.kind == other.kind else "mixed"

    @property
    def names(self) -> list[str]:
        """The names of the flips, as in an item's column `flips`."""
        return [flip.name for flip in self.flips]

    def options(self, orientation: Orientation) -> list[str]:
        """Return the four options, the true one first; each reverse option reverses its forward one."""
        return [SEPARATOR.join(parts) for parts in self.parts(orientation)]

    def parts(self, orientation: Orientation) -> list[list[str]]:
        """Return the parts of each of the four options, in order."""
        there, back = [event.there for event in self.events], [event.back for event in self.events]
        true, opposite = (there, back) if orientation == "forward" else (back, there)
        options = [true.copy() for _ in range(4)]
        one, other = self.flips
        for option in options[2:]:
            one.apply(option, opposite)
        for option in options[1::2]:
            other.apply(option, opposite)
        return options if orientation == "forward" else [option[::-1] for option in options]


def squares(route: RouteText, category: Category, apart_us: int) -> list[Square]:
    """Return every square that a route allows in a category, with flips at least `apart_us` apart.

    Direction flips two turns. Landmark and action flip two disjoint pairs of neighbours or, if there
    are none, one pair and one turn. Squares with a second true option are left out.
    """
    if category == "direction":
        # All turns are shown, so every flipped option is false, and the four texts differ.
        return list(_turn_squares(route.turns, apart_us))
    facts = route.of(category)[:_MOST_EVENTS]
    pairs = [
        (index, index + 1)
        for index in range(len(facts) - 1)
        if facts[index + 1].at_us - facts[index].at_us >= apart_us
    ]
    found = [s for s in _order_squares(facts, pairs) if _unique(s, route) or _sound(s, route)]
    return found or [s for s in _mixed_squares(facts, pairs, route.turns) if _sound(s, route)]


def _turn_squares(turns: list[RouteEvent], apart_us: int) -> Iterator[Square]:
    shown = tuple(turns)
    sided = [index for index, event in enumerate(shown[:_MOST_EVENTS]) if event.there != event.back]
    for first, second in combinations(sided, 2):
        if turns[second].at_us - turns[first].at_us >= apart_us:
            yield Square(shown, (_turn_flip(first, first), _turn_flip(second, second)))


def _order_squares(facts: list[RouteEvent], pairs: list[tuple[int, int]]) -> Iterator[Square]:
    for one, other in combinations(pairs, 2):
        if one[1] < other[0]:
            events = tuple(facts[index] for index in (*one, *other))
            yield Square(events, (_order_flip(one, (0, 1)), _order_flip(other, (2, 3))))


def _mixed_squares(
    facts: list[RouteEvent], pairs: list[tuple[int, int]], turns: list[RouteEvent]
) -> Iterator[Square]:
    for pair in pairs:
        for index, turn in enumerate(turns[:_MOST_EVENTS]):
            if turn.there == turn.back:
                continue
            events = sorted((facts[pair[0]], facts[pair[1]], turn), key=lambda event: event.when)
            where = [events.index(event) for event in (facts[pair[0]], facts[pair[1]])]
            (third,) = {0, 1, 2} - set(where)
            yield Square(
                tuple(events),
                (_order_flip(pair, (where[0], where[1])), _turn_flip(index, third)),
            )


@cache  # all clips share a few hundred flips
def _turn_flip(index: int, shown: int) -> Flip:
    return Flip(f"turn:{index}", "turn", (shown,))


@cache
def _order_flip(pair: tuple[int, int], shown: tuple[int, int]) -> Flip:
    return Flip(f"order:{pair[0]}-{pair[1]}", "order", shown)


# ---- what is true --------------------------------------------------------------------------------


def holds(text: str, route: RouteText, category: Category, orientation: Orientation) -> bool:
    """Return whether an option is true of a route: its parts happen there in this order.

    Direction options list every turn, so they must match all of them.
    """
    parts = text.split(SEPARATOR)
    if category == "direction":
        return parts == texts(route.turns, orientation)
    return is_subsequence(parts, texts(route.events, orientation))


def is_subsequence(parts: Sequence[str], happened: Sequence[str]) -> bool:
    """Return whether these parts occur in this order in what happened, with gaps or without."""
    rest = iter(happened)
    return all(part in rest for part in parts)


def _unique(square: Square, route: RouteText) -> bool:
    """Return whether each shown event happens only once: then all other orders are false and differ."""
    unique = route.unique
    return all(
        event.there in unique["forward"] and event.back in unique["reverse"]
        for event in square.events
    )


def _sound(square: Square, route: RouteText) -> bool:
    """Return whether the four options differ and only one is true, in both orientations."""
    for orientation in ORIENTATIONS:
        truth, *distractors = square.parts(orientation)
        if len({tuple(parts) for parts in (truth, *distractors)}) != 4:
            return False
        happened = texts(route.events, orientation)
        if any(is_subsequence(parts, happened) for parts in distractors):
            return False
    return True


def what_is_missing(route: RouteText, category: Category) -> str:
    """Return what a clip has, and what a square of this category needs."""
    sided = sum(event.there != event.back for event in route.turns)
    have_turns = f"{sided} turn{'' if sided == 1 else 's'} to the left or right"
    if category == "direction":
        return f"{have_turns}; a square needs two, far enough apart in time"
    facts = len(route.of(category))
    noun = f"{category}{'' if facts == 1 else 's'}"
    have = f"{facts} {noun}{' that can be undone' if category == 'action' else ''}"
    return f"{have} and {have_turns}; a square needs four {category}s in different steps, or two and one turn"
