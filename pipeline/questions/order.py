"""How well the order of two names can be predicted from the names alone, out of fold. Pure.

Walks usually pass the door before the kitchen, so an item that flips such a pair can be answered
blind. An order is flipped only if this model can't predict it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.engine.rows import digest

FOLDS = 5
_SHRINK = 3.0  # names seen fewer times than this have little weight in predicting a position
_PRIOR = (
    4.0  # pairs seen fewer times than this are predicted mostly from the names' usual positions
)
_STEEPNESS = 2.0


class OrderModel:
    """P(first comes before second), from the routes of all other folds; a group is in one fold."""

    def __init__(self, routes: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Count pairs and positions in `routes`: split groups, each with a route's names in order."""
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._positions: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._pairs_in: list[Counter[tuple[str, str]]] = [Counter() for _ in range(FOLDS)]
        self._positions_in: list[Counter[str]] = [Counter() for _ in range(FOLDS)]
        self._seen_in: list[Counter[str]] = [Counter() for _ in range(FOLDS)]
        for group, names in routes:
            self._count(self._fold(group), names)
        self._position_of: dict[tuple[int, str], float] = {}
        self._fold_of: dict[str, int] = {}

    def _count(self, fold: int, names: Sequence[str]) -> None:
        for at, name in enumerate(names):
            # From -100 at the start of a route to +100 at its end: sums of integers are exact.
            position = round(200 * at / (len(names) - 1)) - 100 if len(names) > 1 else 0
            for token in _tokens(name):
                self._positions[token] += position
                self._positions_in[fold][token] += position
                self._seen[token] += 1
                self._seen_in[fold][token] += 1
            for later in names[at + 1 :]:
                self._pairs[name, later] += 1
                self._pairs_in[fold][name, later] += 1

    @staticmethod
    def _fold(group: str) -> int:
        return int(digest("fold", group), 16) % FOLDS

    def before(self, group: str, first: str, second: str) -> float:
        """Return the probability that `first` precedes `second` in a route of this group."""
        fold = self._fold_of.get(group)
        if fold is None:
            fold = self._fold_of[group] = self._fold(group)
        forth = self._pairs[first, second] - self._pairs_in[fold][first, second]
        back = self._pairs[second, first] - self._pairs_in[fold][second, first]
        lean = _STEEPNESS * (self._position(fold, second) - self._position(fold, first))
        prior = 1 / (1 + math.exp(-lean))
        return (forth + _PRIOR * prior) / (forth + back + _PRIOR)

    def _position(self, fold: int, name: str) -> float:
        """Return the usual position of a name in a route, -1 to 1: the mean over the name and its words."""
        known = self._position_of.get((fold, name))
        if known is None:
            positions = []
            for token in _tokens(name):
                seen = self._seen[token] - self._seen_in[fold][token]
                total = self._positions[token] - self._positions_in[fold][token]
                positions.append(total / 100 / (seen + _SHRINK))
            known = self._position_of[fold, name] = sum(positions) / len(positions)
        return known


def _tokens(name: str) -> list[str]:
    words = name.split()
    return [f"={name}", *words] if len(words) > 1 else [f"={name}"]
