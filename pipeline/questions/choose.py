"""Choose the pairs of facts to ask about, so that no reader without frames can tell which combination is true. Pure.

A pair is admissible if the strongest reader (`blind/prior.py`) is uncertain about it. Pairs are matched so
that each name and each turn is used once in a clip; then each is kept with a probability that makes all
combinations equally likely for that reader. Cells in which few pairs are admissible are closed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pipeline.blind import prior
from pipeline.blind.sheet import Bools, Floats
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS, Fact, SpanText
from pipeline.routes.rows import Category

LARGEST, SMALLEST = 0.40, 0.12
LEAST_OPEN = 1 / 3
_MOST_CANDIDATES = 24  # per span


@dataclass(frozen=True)
class ClipSpan:
    """One span to ask about: its text, its scene, and its clip."""

    clip_id: str
    scene: str
    text: SpanText
    asks: Callable[[Fact], bool] = lambda fact: True  # whether an item may ask about a fact


@dataclass(frozen=True)
class Candidate:
    """Two facts of one span; the order in which options state them is drawn."""

    span: int
    category: Category
    contrast: str
    facts: tuple[Fact, Fact]

    @property
    def cell(self) -> str:
        """The category and the kinds of facts."""
        return f"{self.category} {self.contrast}"

    @property
    def names(self) -> tuple[str, str]:
        """The names of both facts, sorted."""
        one, other = sorted(fact.name for fact in self.facts)
        return one, other

    @property
    def uses(self) -> frozenset[str]:
        """The turns and names that no other item of the clip may use."""
        return self.facts[0].uses | self.facts[1].uses

    @property
    def truth(self) -> int:
        """The true combination, as in `prior.COMBINATIONS`."""
        first, second = self.facts
        return 2 * (not first.value) + (not second.value)


Beliefs = Mapping[tuple[str, tuple[str, str]], Sequence[float]]
"""What a model believes without having seen the video: the probability of each combination, as in
`prior.COMBINATIONS`, by the span and the names of a pair."""


@dataclass(frozen=True)
class Chosen:
    """The pairs to ask about, and the share of admissible pairs in each cell."""

    pairs: Sequence[Candidate]
    open: Mapping[str, float]


def candidates(spans: Sequence[ClipSpan], draw: Draw, apart_us: int) -> list[Candidate]:
    """Return the pairs of facts that each span offers."""
    found: list[Candidate] = []
    for number, span in enumerate(spans):
        facts = [
            fact
            for kind in KINDS.values()
            for fact in kind.find(span.text, draw, apart_us)
            if span.asks(fact)
        ]
        offered = [pair for pair in _paired(number, facts) if _apart(pair, apart_us)]
        offered.sort(key=lambda pair: draw(span.text.span_id, "candidate", *pair.names))
        found += offered[:_MOST_CANDIDATES]
    return found


def _paired(number: int, facts: Sequence[Fact]) -> Iterable[Candidate]:
    for one, other in combinations(facts, 2):
        kinds = {one.kind, other.kind}
        if len(kinds) == 1:
            contrast = "turn" if one.kind == "turn" else "order"
            first, second = sorted((one, other), key=lambda fact: fact.name)
            yield Candidate(number, KINDS[one.kind].category, contrast, (first, second))
        elif "turn" in kinds:
            order, turn = sorted((one, other), key=lambda fact: fact.kind == "turn")
            yield Candidate(number, KINDS[order.kind].category, "mixed", (order, turn))


def _apart(pair: Candidate, apart_us: int) -> bool:
    starts = [start for fact in pair.facts for start, _ in fact.seen]
    return all(abs(one - other) >= apart_us for one, other in combinations(starts, 2))


def choose(
    spans: Sequence[ClipSpan], draw: Draw, apart_us: int, believed: Beliefs | None = None
) -> Chosen:
    """Return the pairs to ask about."""
    offered = candidates(spans, draw, apart_us)
    probable = prior.posteriors(
        [_known(span, draw) for span in spans], [_pair(spans, one) for one in offered], _uncertain
    )
    for index, one in enumerate(offered):
        if told := (believed or {}).get((spans[one.span].text.span_id, one.names)):
            probable[index] *= told
            probable[index] /= probable[index].sum()
    admissible = _uncertain(probable)
    cells = np.array([one.cell for one in offered])
    share = {
        cell: float(admissible[cells == cell].mean()) for cell in dict.fromkeys(cells.tolist())
    }
    usable: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(offered):
        if admissible[index] and share[one.cell] >= LEAST_OPEN:
            usable[one.span].append(index)
    kept = []
    for number in sorted(usable):
        span_id = spans[number].text.span_id
        for index in _matched(usable[number], offered, probable, draw, span_id):
            one, belief = offered[index], probable[index]
            if draw(span_id, "thin", *one.names) / 2**64 < belief.min() / belief[one.truth]:
                kept.append(one)
    return Chosen(kept, share)


def _uncertain(believed: Floats) -> Bools:
    return np.asarray(
        (believed.max(axis=1) <= LARGEST) & (believed.min(axis=1) >= SMALLEST), dtype=bool
    )


def _matched(
    usable: Sequence[int], offered: Sequence[Candidate], believed: Floats, draw: Draw, span_id: str
) -> list[int]:
    """Return pairs that share no turn or name, as many as possible, without regard to what is true."""
    best: list[int] = []
    for attempt in range(4):
        order = sorted(
            usable, key=lambda index: draw(span_id, "match", str(attempt), *offered[index].names)
        )
        used: set[str] = set()
        chosen = []
        for index in order:
            if not used & offered[index].uses:
                used |= offered[index].uses
                chosen.append(index)
        if len(chosen) > len(best):
            best = chosen
    return best


def _known(span: ClipSpan, draw: Draw) -> prior.Span:
    kinds = KINDS.values()
    return prior.Span(
        span.scene,
        [clue for kind in kinds for clue in kind.observed(span.text, draw)],
        dict(place for kind in kinds for place in kind.places(span.text, draw)),
    )


def _pair(spans: Sequence[ClipSpan], one: Candidate) -> prior.Pair:
    first, second = one.facts
    return prior.Pair(one.span, one.cell, _asked(first, second), _asked(second, first), one.truth)


def _asked(fact: Fact, other: Fact) -> prior.Asked:
    kind = KINDS[fact.kind]
    return prior.Asked(kind.clues(fact), kind.hints(fact, other), kind.axis(fact))
