"""Choose each clip's squares so that within a split no wording is right more often than another. Pure.

A text-only model can only use regularities of the text: more rights than lefts, a door before a
kitchen, a left after a right. Each square has a sign for each such regularity. Of a clip's possible
squares, the one whose signs have been right least often so far is chosen.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import combinations

from pipeline.questions.draw import Draw
from pipeline.questions.order import OrderModel
from pipeline.routes.rows import Category
from pipeline.routes.tasks import (
    SQUARE_CATEGORIES,
    Flip,
    RouteEvent,
    RouteText,
    Square,
    squares,
    what_is_missing,
)

UNSURE = (0.35, 0.65)
_MAIN, _CONTEXT = 4, 1  # weights: the flipped facts must balance, their context only roughly
# What balancing can't remove: where three turns in four went to the opposite side of the previous one, the
# option with most changes of side was right for 44 % of 768 items, since it is the true one in every square
# of such a clip. Dropping clips until that fell to 29 % cost a quarter of the items, and the probe still
# reached 41 % (before: 40 %).
# _SEAM: with twelve landmarks, a third of whose pairs only occur in one order, a lookup of the two names
# where an option's pairs meet was right for 30 to 34 % of 300 items; balanced, for 16 to 21 %.
_SEAM = 1
_WORD = 4  # letters of a content word: "the", "of" and "it" identify nothing

Chosen = dict[Category, Square]
_Key = tuple[str | int, ...]


@dataclass(frozen=True)
class SquareCandidate:
    """A clip to be asked about, and the flips that its items have had, by category.

    `doubtful` names the turns (`turn:2`) whose measurement is too uncertain to ask about them.
    """

    clip_id: str
    split: str
    group: str
    route: RouteText
    kept: Mapping[Category, Sequence[str]]
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ChosenSquares:
    """The squares of one clip, and for the other categories why there is none."""

    squares: Chosen
    reasons: Mapping[Category, str]


def choose_squares(
    candidates: Sequence[SquareCandidate],
    models: Mapping[Category, OrderModel],
    apart_us: int,
    draw: Draw,
) -> dict[str, ChosenSquares]:
    """Choose at most one square per clip and category; an earlier choice is kept if still possible.

    `draw` breaks ties.
    """
    tally = _Tally()
    chosen: dict[str, Chosen] = {one.clip_id: {} for one in candidates}
    reasons: dict[str, dict[Category, str]] = {one.clip_id: {} for one in candidates}
    for category in SQUARE_CATEGORIES:
        free: list[tuple[SquareCandidate, list[Square]]] = []
        for one in candidates:
            offered = squares(one.route, category, apart_us)
            kept = one.kept.get(category)
            before = next((s for s in offered if s.names == kept), None) if kept else None
            if before:
                chosen[one.clip_id][category] = before
                tally.add(one.split, category, before)
                continue
            allowed = _compatible(offered, chosen[one.clip_id])
            model = models.get(category)
            unsure = [s for s in allowed if _unsure(s, one.group, model)] if model else allowed
            # If all turns are doubtful, no square is better than another: people have to check.
            if one.doubtful:
                sure = [s for s in unsure if not one.doubtful.intersection(s.names)] or unsure
            else:
                sure = unsure
            if sure:
                free.append((one, sure))
            else:
                reasons[one.clip_id][category] = _reason(one.route, category, offered, allowed)
        # Clips with only one square come first: those with a choice then even out the counts.
        for one, offered in sorted(free, key=lambda choice: len(choice[1])):
            even = tally.most_even(one.split, category, offered)
            # Draw only if it decides: a draw takes as long as weighing a square.
            best = even[0] if len(even) == 1 else min(even, key=partial(_drawn, draw, one.clip_id))
            chosen[one.clip_id][category] = best
            tally.add(one.split, category, best)
    return {clip: ChosenSquares(chosen[clip], reasons[clip]) for clip in chosen}


def _drawn(draw: Draw, clip_id: str, square: Square) -> int:
    return draw(clip_id, *square.names)


def _reason(
    route: RouteText, category: Category, offered: list[Square], allowed: list[Square]
) -> str:
    if not offered:
        return what_is_missing(route, category)
    # Workspaces hold these texts as rejections: new wording would change the rows of a repeated run.
    if not allowed:
        return "every pair would show what another question of this clip asks"
    return "the names give their order away: elsewhere they come in this order nearly always"


def _unsure(square: Square, group: str, model: OrderModel) -> bool:
    low, high = UNSURE
    for flip in square.flips:
        if flip.kind == "order":
            first, second = flip.shown
            events = square.events
            if not low <= model.before(group, events[first].there, events[second].there) <= high:
                return False
    return True


# ---- no item shows what another item of the clip asks ---------------------------------------------


def _compatible(offered: Sequence[Square], others: Chosen) -> list[Square]:
    """Return the squares that flip none of direction's turns and disclose no other square's flips."""
    turns = others["direction"].names if "direction" in others else None
    return [
        square
        for square in offered
        if not (square.contrast == "mixed" and turns and not set(square.names) & set(turns))
        and not any(
            _discloses(square, other) or _discloses(other, square)
            for category, other in others.items()
            if category != "direction"
        )
    ]


def _discloses(shown: Square, asked: Square) -> bool:
    """Return whether two shown events name, in true order, a pair whose order the other square asks."""
    asks = [[_words(asked.events[index]) for index in flip.shown] for flip in _orders(asked)]
    flipped = [flip.shown for flip in _orders(shown)]
    words = [_words(event) for event in shown.events]
    return any(
        (early & first and late & second) or (early & second and late & first)
        for places, (early, late) in zip(_pairs(len(words)), combinations(words, 2), strict=True)
        if places not in flipped
        for first, second in asks
    )


def _orders(square: Square) -> list[Flip]:
    return [flip for flip in square.flips if flip.kind == "order"]


@cache
def _pairs(count: int) -> tuple[tuple[int, int], ...]:
    return tuple(combinations(range(count), 2))


@lru_cache(2**14)
def _content_words(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split() if len(word) >= _WORD)


def _words(event: RouteEvent) -> frozenset[str]:
    return _content_words(f"{event.there} {event.back}")


# ---- the tally -------------------------------------------------------------------------------------


class _Tally:
    """How often each sign has been right so far, in each split."""

    def __init__(self) -> None:
        self._sums: Counter[_Key] = Counter()

    def most_even(
        self, split: str, category: Category, offered: Sequence[Square]
    ) -> Sequence[Square]:
        """Return the squares that unbalance the sums least."""
        if len(offered) == 1:
            return offered
        costs = [self._cost(split, category, square) for square in offered]
        least = min(costs)
        return [square for square, cost in zip(offered, costs, strict=True) if cost == least]

    def _cost(self, split: str, category: Category, square: Square) -> int:
        known = self._sums.get
        return sum([w * sign * known(key, 0) for key, sign, w in _signs(split, category, square)])

    def add(self, split: str, category: Category, square: Square) -> None:
        """Count the signs of a chosen square."""
        for key, sign, _ in _signs(split, category, square):
            self._sums[key] += sign


def _signs(split: str, category: Category, square: Square) -> list[tuple[_Key, int, int]]:
    """Return key, sign and weight of each regularity that the true option of a square follows."""
    contrast, events = square.contrast, square.events
    one, other = (_sign(square, flip) for flip in square.flips)
    # If the two signs and their product are balanced, all four combinations are.
    found: list[tuple[_Key, int, int]] = [
        ((split, category, contrast, "first"), one, _MAIN),
        ((split, category, contrast, "second"), other, _MAIN),
        ((split, category, contrast, "both"), one * other, _MAIN),
    ]
    flipped = {index for flip in square.flips if flip.kind == "turn" for index in flip.shown}
    for flip, sign in zip(square.flips, (one, other), strict=True):
        if flip.kind == "order":
            first, second = sorted(events[index].there for index in flip.shown)
            found.append(((split, "pair", first, second), sign, _MAIN))
        elif contrast == "turn":
            (index,) = flip.shown
            before, after = (_side(events, at, flipped) for at in (index - 1, index + 1))
            found += (
                ((split, "before", before), sign, _CONTEXT),
                ((split, "after", after), sign, _CONTEXT),
                ((split, "between", before, after), sign, _CONTEXT),
                ((split, "place", index, len(events)), sign, _CONTEXT),
            )
    if contrast == "order":
        # Each option joins two other names where its pairs meet; the right one counts against three wrong ones.
        a, b, c, d = (event.there for event in events)
        found += (
            ((split, "seam", b, c), 3, _SEAM),
            ((split, "seam", a, c), -1, _SEAM),
            ((split, "seam", a, d), -1, _SEAM),
            ((split, "seam", b, d), -1, _SEAM),
        )
    return found


def _side(events: Sequence[RouteEvent], index: int, flipped: Set[int]) -> str:
    if not 0 <= index < len(events):
        return "end"
    return "flipped" if index in flipped else events[index].there


def _sign(square: Square, flip: Flip) -> int:
    if flip.kind == "turn":
        return 1 if square.events[flip.shown[0]].there < square.events[flip.shown[0]].back else -1
    first, second = (square.events[index].there for index in flip.shown)
    return 1 if first < second else -1
