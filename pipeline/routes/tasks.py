"""The eight tasks, and which options that list events are true of a route. Pure.

A route's text is a sequence of events in time order (turns, landmarks, actions), each with its words
in the forward and in the reverse direction. Items of earlier releases, and items that a model writes,
have options that list events; items about pairs of facts are in `questions/facts.py`.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from pipeline.routes.route import MOVE_WORDS, OPPOSITE, TURNS
from pipeline.routes.rows import Category, Move, Orientation, Step

SEPARATOR = " -> "
MIXED = "_mixed"
UNDO = "_undo"


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
ASKED_CATEGORIES: tuple[Category, ...] = ("direction", "landmark", "action")
ROUTE = tuple(Task("route", orientation) for orientation in ORIENTATIONS)
TASKS = tuple(
    Task(category, orientation)
    for category in ("route", *ASKED_CATEGORIES)
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
    """Return a landmark or an action as options show it: NFC, lower case, without a full stop."""
    text = unicodedata.normalize("NFC", text)
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
            if step.move in TURNS
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
