"""Choose each clip's squares so that over a split no wording is right more often than another. Pure.

A learner that never sees a frame can only use regularities of the text: more rights than lefts, a
door before a kitchen, a left after a right. Each square has signs for such regularities; of the
squares a clip can carry, the one is taken whose signs were right least often so far.
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
_MAIN, _CONTEXT = 4, 1  # weights: the combination itself must balance, its neighbourhood may drift
# What stays: where three turns in four went to the other side than the one before, the option that changes
# sides most was right for 44 % of 768 items, as it is the true one in any square of such a clip. To leave
# clips out until that reads 29 % took a quarter of the items, and the probe still read 41 % (before: 40).
# Of twelve landmarks, a third of whose pairs never follow one another the other way round, a lookup of the
# names where an option's two pairs meet was right for 30 to 34 % of 300 items; balanced, for 16 to 21 %.
_SEAM = 1
_WORD = 4  # letters that make a word telling: "the", "of" and "it" tell nothing

Chosen = dict[Category, Square]
_Key = tuple[str | int, ...]


@dataclass(frozen=True)
class SquareCandidate:
    """A clip to be asked about, with the flips it had before by category.

    `doubtful` names the turns (`turn:2`) that were not measured surely enough to ask about them.
    """

    clip_id: str
    split: str
    group: str
    route: RouteText
    kept: Mapping[Category, Sequence[str]]
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ChosenSquares:
    """The squares of one clip, and for the other categories what the clip lacks."""

    squares: Chosen
    lacking: Mapping[Category, str]


def choose_squares(
    candidates: Sequence[SquareCandidate],
    models: Mapping[Category, OrderModel],
    apart_us: int,
    draw: Draw,
) -> dict[str, ChosenSquares]:
    """Choose for each clip at most one square per category; what was chosen before stays if it can.

    `draw` decides between equals.
    """
    tally = _Tally()
    chosen: dict[str, Chosen] = {one.clip_id: {} for one in candidates}
    lacking: dict[str, dict[Category, str]] = {one.clip_id: {} for one in candidates}
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
            allowed = _fitting(offered, chosen[one.clip_id])
            model = models.get(category)
            unsure = [s for s in allowed if _unsure(s, one.group, model)] if model else allowed
            # Where all turns are in doubt, so are all squares alike: people will have to look.
            if one.doubtful:
                sure = [s for s in unsure if not one.doubtful.intersection(s.names)] or unsure
            else:
                sure = unsure
            if sure:
                free.append((one, sure))
            else:
                lacking[one.clip_id][category] = _lack(one.route, category, offered, allowed)
        # Clips with one square on offer first: the freer ones then even out the counts.
        for one, offered in sorted(free, key=lambda choice: len(choice[1])):
            even = tally.most_even(one.split, category, offered)
            # Drawn for where it decides only: a draw takes as long as weighing a square.
            best = even[0] if len(even) == 1 else min(even, key=partial(_drawn, draw, one.clip_id))
            chosen[one.clip_id][category] = best
            tally.add(one.split, category, best)
    return {clip: ChosenSquares(chosen[clip], lacking[clip]) for clip in chosen}


def _drawn(draw: Draw, clip_id: str, square: Square) -> int:
    return draw(clip_id, *square.names)


def _lack(
    route: RouteText, category: Category, offered: list[Square], allowed: list[Square]
) -> str:
    if not offered:
        return what_is_missing(route, category)
    if not allowed:
        return "every pair would show what another question of this clip asks"
    return "the names give their order away: elsewhere they come in this order nearly always"


def _unsure(square: Square, group: str, model: OrderModel) -> bool:
    low, high = UNSURE
    for flip in square.flips:
        if flip.kind == "order":
            first, second = flip.shown
            marks = square.marks
            if not low <= model.before(group, marks[first].there, marks[second].there) <= high:
                return False
    return True


# ---- nothing is shown that another item of the clip asks ------------------------------------------


def _fitting(offered: Sequence[Square], others: Chosen) -> list[Square]:
    """Keep the squares that share direction's turns and don't tell of another square's flips."""
    turns = others["direction"].names if "direction" in others else None
    return [
        square
        for square in offered
        if not (square.contrast == "mixed" and turns and not set(square.names) & set(turns))
        and not any(
            _tells(square, other) or _tells(other, square)
            for category, other in others.items()
            if category != "direction"
        )
    ]


def _tells(shown: Square, asked: Square) -> bool:
    """Tell whether two shown marks name, in true order, what the other square asks the order of."""
    asks = [[_words(asked.marks[index]) for index in flip.shown] for flip in _orders(asked)]
    flipped = [flip.shown for flip in _orders(shown)]
    words = [_words(mark) for mark in shown.marks]
    return any(
        (early & first and late & second) or (early & second and late & first)
        for places, (early, late) in zip(_pairs(len(words)), combinations(words, 2), strict=True)
        if places not in flipped
        for first, second in asks
    )


def _orders(square: Square) -> list[Flip]:
    return [flip for flip in square.flips if flip.kind == "order"]


@cache
def _pairs(marks: int) -> tuple[tuple[int, int], ...]:
    return tuple(combinations(range(marks), 2))


@lru_cache(2**14)
def _telling(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split() if len(word) >= _WORD)


def _words(mark: RouteEvent) -> frozenset[str]:
    return _telling(f"{mark.there} {mark.back}")


# ---- the tally -------------------------------------------------------------------------------------


class _Tally:
    """How often each sign was right so far, in each split."""

    def __init__(self) -> None:
        self._sums: Counter[_Key] = Counter()

    def most_even(
        self, split: str, category: Category, offered: Sequence[Square]
    ) -> Sequence[Square]:
        """Return those of the squares that push the sums least away from even."""
        if len(offered) == 1:
            return offered
        costs = [self._cost(split, category, square) for square in offered]
        least = min(costs)
        return [square for square, cost in zip(offered, costs, strict=True) if cost == least]

    def _cost(self, split: str, category: Category, square: Square) -> int:
        known = self._sums.get
        return sum([w * sign * known(key, 0) for key, sign, w in _signs(split, category, square)])

    def add(self, split: str, category: Category, square: Square) -> None:
        """Count this square."""
        for key, sign, _ in _signs(split, category, square):
            self._sums[key] += sign


def _signs(split: str, category: Category, square: Square) -> list[tuple[_Key, int, int]]:
    """Return key, sign and weight of each regularity that the true option of a square bears out."""
    contrast, marks = square.contrast, square.marks
    one, other = (_sign(square, flip) for flip in square.flips)
    # The two signs and their product balanced: then all four combinations are.
    found: list[tuple[_Key, int, int]] = [
        ((split, category, contrast, "first"), one, _MAIN),
        ((split, category, contrast, "second"), other, _MAIN),
        ((split, category, contrast, "both"), one * other, _MAIN),
    ]
    flipped = {index for flip in square.flips if flip.kind == "turn" for index in flip.shown}
    for flip, sign in zip(square.flips, (one, other), strict=True):
        if flip.kind == "order":
            first, second = sorted(marks[index].there for index in flip.shown)
            found.append(((split, "pair", first, second), sign, _MAIN))
        elif contrast == "turn":
            (index,) = flip.shown
            before, after = (_side(marks, at, flipped) for at in (index - 1, index + 1))
            found += (
                ((split, "before", before), sign, _CONTEXT),
                ((split, "after", after), sign, _CONTEXT),
                ((split, "between", before, after), sign, _CONTEXT),
                ((split, "place", index, len(marks)), sign, _CONTEXT),
            )
    if contrast == "order":
        # Where the two pairs meet each option joins two other names; a right one outweighs three wrong.
        a, b, c, d = (mark.there for mark in marks)
        found += (
            ((split, "seam", b, c), 3, _SEAM),
            ((split, "seam", a, c), -1, _SEAM),
            ((split, "seam", a, d), -1, _SEAM),
            ((split, "seam", b, d), -1, _SEAM),
        )
    return found


def _side(marks: Sequence[RouteEvent], index: int, flipped: Set[int]) -> str:
    if not 0 <= index < len(marks):
        return "end"
    return "flipped" if index in flipped else marks[index].there


def _sign(square: Square, flip: Flip) -> int:
    if flip.kind == "turn":
        return 1 if square.marks[flip.shown[0]].there < square.marks[flip.shown[0]].back else -1
    first, second = (square.marks[index].there for index in flip.shown)
    return 1 if first < second else -1
