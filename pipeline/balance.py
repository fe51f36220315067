"""Choose each clip's squares so that over a split no wording is right more often than another. Pure.

A learner that never sees a frame can only use regularities of the text: more rights than lefts, a
door before a kitchen, a left after a right. Each square has signs for such regularities; of the
squares a clip can carry, the one is taken whose signs were right least often so far.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.order import OrderModel
from pipeline.records import Category, Step
from pipeline.route import MOVE_WORDS
from pipeline.tasks import (
    SQUARE_CATEGORIES,
    Flip,
    Mark,
    Square,
    Words,
    squares,
    what_is_missing,
)

UNSURE = (0.35, 0.65)
_MAIN, _CONTEXT = 4, 1  # weights: the combination itself must balance, its neighbourhood may drift
# Of twelve landmarks, a third of whose pairs never follow one another the other way round, a lookup of the
# names where an option's two pairs meet was right for 30 to 34 % of 300 items; balanced, for 16 to 21 %.
_SEAM = 1
_WORD = 4  # letters that make a word telling: "the", "of" and "it" tell nothing

Draw = Callable[..., int]
Chosen = dict[Category, Square]


@dataclass(frozen=True)
class Candidate:
    """A clip to be asked about, with the flips it had before by category.

    `doubtful` names the turns (`turn:2`) that were not measured surely enough to ask about them,
    `words` says the moves in the language of the clip's route.
    """

    clip_id: str
    split: str
    group: str
    steps: tuple[Step, ...]
    kept: Mapping[Category, Sequence[str]]
    doubtful: frozenset[str] = frozenset()
    words: Words = field(default_factory=lambda: MOVE_WORDS)


@dataclass(frozen=True)
class Choice:
    """The squares of one clip, and for the other categories what the clip lacks."""

    squares: Chosen
    lacking: Mapping[Category, str]


def choose_squares(
    candidates: Sequence[Candidate],
    models: Mapping[Category, OrderModel],
    apart_us: int,
    draw: Draw,
) -> dict[str, Choice]:
    """Choose for each clip at most one square per category; what was chosen before stays if it can.

    `draw(*texts)` gives a number that nobody can foresee; it decides between equals.
    """
    tally = _Tally()
    chosen: dict[str, Chosen] = {one.clip_id: {} for one in candidates}
    lacking: dict[str, dict[Category, str]] = {one.clip_id: {} for one in candidates}
    for category in SQUARE_CATEGORIES:
        free: list[tuple[Candidate, list[Square]]] = []
        for one in candidates:
            offered = squares(one.steps, category, apart_us, one.words)
            before = next((s for s in offered if s.names == one.kept.get(category)), None)
            if before:
                chosen[one.clip_id][category] = before
                tally.add(one.split, category, before)
                continue
            allowed = _fitting(offered, chosen[one.clip_id])
            unsure = [s for s in allowed if _unsure(s, one.group, models.get(category))]
            # Where all turns are in doubt, so are all squares alike: people will have to look.
            sure = [s for s in unsure if not one.doubtful.intersection(s.names)] or unsure
            if sure:
                free.append((one, sure))
            else:
                lacking[one.clip_id][category] = _lack(one.steps, category, offered, allowed)
        # Clips with one square on offer first: the freer ones then even out the counts.
        for one, offered in sorted(free, key=lambda choice: len(choice[1])):
            best = min(
                offered,
                key=lambda s: (tally.cost(one.split, category, s), draw(one.clip_id, *s.names)),
            )
            chosen[one.clip_id][category] = best
            tally.add(one.split, category, best)
    return {clip: Choice(chosen[clip], lacking[clip]) for clip in chosen}


def _lack(
    steps: Sequence[Step], category: Category, offered: list[Square], allowed: list[Square]
) -> str:
    if not offered:
        return what_is_missing(steps, category)
    if not allowed:
        return "every pair would show what another question of this clip asks"
    return "the names give their order away: elsewhere they come in this order nearly always"


def _unsure(square: Square, group: str, model: OrderModel | None) -> bool:
    low, high = UNSURE
    return model is None or all(
        low <= model.before(group, *(square.marks[place].there for place in flip.shown)) <= high
        for flip in square.flips
        if flip.kind == "order"
    )


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
    for flip in asked.flips:
        if flip.kind != "order":
            continue
        first, second = (_words(asked.marks[place]) for place in flip.shown)
        for early, late in _unflipped(shown):
            if (_words(early) & first and _words(late) & second) or (
                _words(early) & second and _words(late) & first
            ):
                return True
    return False


def _unflipped(square: Square) -> Iterator[tuple[Mark, Mark]]:
    flipped = {flip.shown for flip in square.flips if flip.kind == "order"}
    for late in range(len(square.marks)):
        for early in range(late):
            if (early, late) not in flipped:
                yield square.marks[early], square.marks[late]


@lru_cache(2**14)
def _telling(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split() if len(word) >= _WORD)


def _words(mark: Mark) -> frozenset[str]:
    return _telling(f"{mark.there} {mark.back}")


# ---- the tally -------------------------------------------------------------------------------------


class _Tally:
    """How often each sign was right so far, in each split."""

    def __init__(self) -> None:
        self._sums: Counter[tuple[object, ...]] = Counter()

    def cost(self, split: str, category: Category, square: Square) -> int:
        """Return how far this square would push the sums away from even; negative evens them out."""
        return sum(w * sign * self._sums[key] for key, sign, w in _signs(split, category, square))

    def add(self, split: str, category: Category, square: Square) -> None:
        """Count this square."""
        for key, sign, _ in _signs(split, category, square):
            self._sums[key] += sign


def _signs(
    split: str, category: Category, square: Square
) -> Iterator[tuple[tuple[object, ...], int, int]]:
    """Yield key, sign and weight of each regularity that the true option of a square bears out."""
    one, other = (_sign(square, flip) for flip in square.flips)
    kind = (split, category, square.contrast)
    # The two signs and their product balanced: then all four combinations are.
    for name, sign in (("first", one), ("second", other), ("both", one * other)):
        yield (*kind, name), sign, _MAIN
    for flip, sign in zip(square.flips, (one, other), strict=True):
        if flip.kind == "order":
            pair = sorted(square.marks[place].there for place in flip.shown)
            yield (split, "pair", *pair), sign, _MAIN
        elif square.contrast == "turn":
            (place,) = flip.shown
            before, after = (_side(square, at) for at in (place - 1, place + 1))
            yield (split, "before", before), sign, _CONTEXT
            yield (split, "after", after), sign, _CONTEXT
            yield (split, "between", before, after), sign, _CONTEXT
            yield (split, "place", place, len(square.marks)), sign, _CONTEXT
    if square.contrast == "order":
        # Where the two pairs meet each option joins two other names; a right one outweighs three wrong.
        a, b, c, d = (mark.there for mark in square.marks)
        yield (split, "seam", b, c), 3, _SEAM
        for early, late in ((a, c), (a, d), (b, d)):
            yield (split, "seam", early, late), -1, _SEAM


def _side(square: Square, place: int) -> str:
    if not 0 <= place < len(square.marks):
        return "end"
    flipped = any(flip.shown == (place,) for flip in square.flips)
    return "flipped" if flipped else square.marks[place].there


def _sign(square: Square, flip: Flip) -> int:
    if flip.kind == "turn":
        return 1 if square.marks[flip.shown[0]].there < square.marks[flip.shown[0]].back else -1
    first, second = (square.marks[place].there for place in flip.shown)
    return 1 if first < second else -1
