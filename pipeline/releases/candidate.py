"""What a release would contain, as its gates see it: items, and what they ask about. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.questions.rows import Item
from pipeline.routes.route import MOVE_WORDS
from pipeline.routes.rows import Step
from pipeline.routes.tasks import Words


@dataclass(frozen=True)
class Said:
    """The words of one language in options: the phrases for moves, and those for facts."""

    moves: Words
    facts: Mapping[str, str]


NO_WORDS = Said(MOVE_WORDS, {})
"""The words of items without options."""


@dataclass(frozen=True)
class Place:
    """What items ask about: a span, or the whole clip of items that an earlier version composed.

    `steps` are those of its route, as its frames show them. `said` are the words of its items' language.
    """

    split_group: str
    video: str
    start_us: int
    end_us: int
    frames: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    said: Said = NO_WORDS


@dataclass(frozen=True)
class ReleaseCandidate:
    """The items to be released, with everything that the gates need."""

    items: tuple[Item, ...]
    places: Mapping[str, Place]  # by `place_of` an item
    verified_by: Mapping[str, frozenset[str]]  # by verified item: `person`, `script` or both
    min_verified: float
    visible: Mapping[str, Sequence[bool]] = field(default_factory=dict)  # by item: of each fact


def place_of(item: Item) -> str:
    """Return the id of what an item asks about: its span, or its clip if an earlier version composed it."""
    return item.span_id or item.clip_id


NOWHERE = Place("", "", 0, 0)
"""The place of an item whose place is not known."""
