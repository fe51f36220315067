"""The eight tasks: stems, the one renderer of answers and distractors, squares, what is true. Pure.

A route is told as marks in time order: turns, landmarks, actions, each with its text on the way
there and on the way back. A square shows some marks and flips two things independently, a turn's
side or the order of two neighbours; the four combinations are the options, and three are false.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations, product
from typing import Literal

from pipeline.records import Category, Move, Orientation, Step
from pipeline.route import MOVE_WORDS, OPPOSITE

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
class Mark:
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

    @property
    def flipped(self) -> "Mark":
        """The same turn to the other side: told there as it would be told back."""
        return Mark(self.back, self.there, self.at_us, self.rank)


@lru_cache(2**14)
def plain(text: str) -> str:
    """Give a landmark or an action the form in which every option shows it: one case, no full stop."""
    return " ".join(text.split()).rstrip(". ").lower().replace(SEPARATOR.strip(), "to")


def plain_option(text: str) -> str:
    """Give an option that a model wrote the form of all options; its arrows separate its parts."""
    return SEPARATOR.join(plain(part) for part in text.split(SEPARATOR.strip()))


def turn_marks(steps: Sequence[Step], words: Words = MOVE_WORDS) -> list[Mark]:
    """Return the marks of all turns; an about-turn reads the same both ways."""
    return [
        Mark(words[step.move], words[OPPOSITE[step.move]], step.start_us, 1)
        for step in steps
        if step.move != "straight"
    ]


def landmark_marks(steps: Sequence[Step]) -> list[Mark]:
    """Return the marks of all landmarks."""
    named = ((plain(step.landmark), step.start_us) for step in steps if step.landmark)
    return [Mark(name, name, at_us, 0) for name, at_us in named]


def action_marks(steps: Sequence[Step]) -> list[Mark]:
    """Return the marks of the actions that can be undone."""
    return [
        Mark(plain(step.action), plain(step.undo), step.start_us, 2)
        for step in steps
        if step.action and step.undo
    ]


def fact_marks(steps: Sequence[Step], category: Category) -> list[Mark]:
    """Return the marks that items of this category ask for the order of."""
    return landmark_marks(steps) if category == "landmark" else action_marks(steps)


def render(marks: Sequence[Mark], orientation: Orientation) -> str:
    """Tell marks: the only way in which an answer or a distractor gets its text."""
    if orientation == "forward":
        return SEPARATOR.join(mark.there for mark in marks)
    return SEPARATOR.join(mark.back for mark in reversed(marks))


# ---- squares -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flip:
    """One thing that a square flips: the side of a shown mark, or the order of two shown marks.

    `name` says which turn, landmark or action of the clip it is: `turn:2`, `order:0-1`.
    """

    name: str
    kind: Literal["turn", "order"]
    shown: tuple[int, ...]

    def apply(self, marks: list[Mark]) -> None:
        """Flip it in place."""
        if self.kind == "turn":
            (place,) = self.shown
            marks[place] = marks[place].flipped
        else:
            first, second = self.shown
            marks[first], marks[second] = marks[second], marks[first]


@dataclass(frozen=True, slots=True)
class Square:
    """The marks that an item's options show, in true order, and the two things they flip."""

    marks: tuple[Mark, ...]
    flips: tuple[Flip, Flip]

    @property
    def contrast(self) -> Literal["turn", "order", "mixed"]:
        """Which kinds of flips there are."""
        kinds = {flip.kind for flip in self.flips}
        return "mixed" if len(kinds) == 2 else self.flips[0].kind

    @property
    def names(self) -> list[str]:
        """The flips as an item's `flips` column holds them."""
        return [flip.name for flip in self.flips]

    def options(self, orientation: Orientation) -> list[str]:
        """Return the four options, the true one first; the reverse ones reverse these, one for one."""
        texts = []
        for flipped in product((False, True), repeat=2):
            marks = list(self.marks)
            for flip, wanted in zip(self.flips, flipped, strict=True):
                if wanted:
                    flip.apply(marks)
            texts.append(render(marks, orientation))
        return texts


def squares(
    steps: Sequence[Step], category: Category, apart_us: int, words: Words = MOVE_WORDS
) -> list[Square]:
    """Return every square that this clip can carry in a category, flips at least `apart_us` apart.

    Direction flips two turns. Landmark and action flip two disjoint pairs of neighbours; where that
    can't be had, one pair and one turn. Squares with a second true option are left out.
    """
    turns = turn_marks(steps, words)
    if category == "direction":
        # All turns are shown, so whatever is flipped is false, and the four texts differ.
        return list(_turn_squares(turns, apart_us))
    facts = fact_marks(steps, category)[:_MOST_MARKS]
    pairs = [
        (place, place + 1)
        for place in range(len(facts) - 1)
        if facts[place + 1].at_us - facts[place].at_us >= apart_us
    ]
    told = {orientation: events(steps, orientation, words) for orientation in ORIENTATIONS}
    found = [s for s in _order_squares(facts, pairs) if _sound(s, told)]
    return found or [s for s in _mixed_squares(facts, pairs, turns) if _sound(s, told)]


def _turn_squares(turns: list[Mark], apart_us: int) -> Iterator[Square]:
    shown = tuple(turns)
    sided = [place for place, mark in enumerate(shown[:_MOST_MARKS]) if mark.there != mark.back]
    for first, second in combinations(sided, 2):
        if turns[second].at_us - turns[first].at_us >= apart_us:
            yield Square(shown, (_turn_flip(first, first), _turn_flip(second, second)))


def _order_squares(facts: list[Mark], pairs: list[tuple[int, int]]) -> Iterator[Square]:
    for one, other in combinations(pairs, 2):
        if one[1] < other[0]:
            marks = tuple(facts[place] for place in (*one, *other))
            yield Square(marks, (_order_flip(one, (0, 1)), _order_flip(other, (2, 3))))


def _mixed_squares(
    facts: list[Mark], pairs: list[tuple[int, int]], turns: list[Mark]
) -> Iterator[Square]:
    for pair in pairs:
        for place, turn in enumerate(turns[:_MOST_MARKS]):
            if turn.there == turn.back:
                continue
            marks = sorted((facts[pair[0]], facts[pair[1]], turn), key=lambda mark: mark.when)
            where = [marks.index(mark) for mark in (facts[pair[0]], facts[pair[1]])]
            (third,) = {0, 1, 2} - set(where)
            yield Square(
                tuple(marks),
                (_order_flip(pair, (where[0], where[1])), _turn_flip(place, third)),
            )


@cache  # a few hundred of them serve all clips
def _turn_flip(place: int, shown: int) -> Flip:
    return Flip(f"turn:{place}", "turn", (shown,))


@cache
def _order_flip(pair: tuple[int, int], shown: tuple[int, int]) -> Flip:
    return Flip(f"order:{pair[0]}-{pair[1]}", "order", shown)


# ---- what is true --------------------------------------------------------------------------------


def _events(steps: Sequence[Step], words: Words) -> list[Mark]:
    """Return all marks of a route in the order in which they happen."""
    marks = (*landmark_marks(steps), *turn_marks(steps, words), *action_marks(steps))
    return sorted(marks, key=lambda mark: mark.when)


def holds(
    text: str,
    steps: Sequence[Step],
    category: Category,
    orientation: Orientation,
    words: Words = MOVE_WORDS,
) -> bool:
    """Tell whether an option is true of a route: its parts happen there in this order.

    Direction options name every turn, so they have to be all of them.
    """
    marks = turn_marks(steps, words) if category == "direction" else _events(steps, words)
    told = render(marks, orientation).split(SEPARATOR) if marks else []
    parts = text.split(SEPARATOR)
    return parts == told if category == "direction" else within(parts, told)


def events(steps: Sequence[Step], orientation: Orientation, words: Words = MOVE_WORDS) -> list[str]:
    """Return all that happens on a route, in order, in the words that options use."""
    marks = _events(steps, words)
    return render(marks, orientation).split(SEPARATOR) if marks else []


def within(parts: Sequence[str], told: Sequence[str]) -> bool:
    """Tell whether these parts happen in this order among what is told."""
    rest = iter(told)
    return all(part in rest for part in parts)


def _sound(square: Square, told: Mapping[Orientation, Sequence[str]]) -> bool:
    """Four different options of which one is true, both ways."""
    for orientation in ORIENTATIONS:
        truth, *distractors = square.options(orientation)
        if len({truth, *distractors}) != 4:
            return False
        if any(within(text.split(SEPARATOR), told[orientation]) for text in distractors):
            return False
        if all(mark.there == mark.back or mark.rank == 1 for mark in square.marks):
            return True  # landmarks and turns: the way back is the mirror image of the way there
    return True


def what_is_missing(steps: Sequence[Step], category: Category) -> str:
    """Say what a clip would need to carry a square of this category."""
    sided = sum(mark.there != mark.back for mark in turn_marks(steps))
    have_turns = f"{sided} turn{'' if sided == 1 else 's'} to the left or right"
    if category == "direction":
        return f"{have_turns}; a square flips two, some seconds apart"
    facts = len(fact_marks(steps, category))
    noun = "landmark" if category == "landmark" else "action that can be undone"
    have = f"{facts} {noun if facts == 1 else noun.replace('action', 'actions').replace('landmark', 'landmarks')}"
    return f"{have} and {have_turns}; a square needs four in different steps, or two and one turn"
