"""Candidates: the pairs of facts that each span offers. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, zip_longest
from typing import NamedTuple

from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS, Fact
from pipeline.questions.spantext import SpanText
from pipeline.routes.rows import Category

MOST_CANDIDATES = 9  # per span

Beliefs = Mapping[tuple[str, tuple[str, str]], Sequence[float]]
"""What a model believes without having seen the video: the probability of each combination, as in
`blind.prior.COMBINATIONS`, by the span and the names of a pair."""


@dataclass(frozen=True)
class ClipSpan:
    """One span to ask about: its text, its scene, and its clip."""

    clip_id: str
    scene: str
    text: SpanText
    asks: Callable[[Fact], bool] = lambda fact: True  # whether an item may ask about a fact


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two facts of one span; the order in which options state them is drawn.

    `uses` are the turns and orders that no other item of the clip may ask about.
    """

    span: int
    category: Category
    contrast: str
    facts: tuple[Fact, Fact]
    uses: frozenset[str]

    @property
    def cell(self) -> str:
        """The category and the kinds of facts."""
        return f"{self.category} {self.contrast}"

    @property
    def stratum(self) -> tuple[str, ...]:
        """The cell and the forms of both facts."""
        return (self.cell, *sorted(KINDS[fact.kind].form(fact) for fact in self.facts))

    @property
    def names(self) -> tuple[str, str]:
        """The names of both facts; made each time, because they would fill 200 MB for 100,000 clips."""
        return self.facts[0].name, self.facts[1].name

    @property
    def truth(self) -> int:
        """The true combination, as in `prior.COMBINATIONS`."""
        first, second = self.facts
        return 2 * (not first.value) + (not second.value)


def candidates(spans: Sequence[ClipSpan], draw: Draw, apart_us: int) -> list[Candidate]:
    """Return the pairs of facts that each span offers, at most `MOST_CANDIDATES`."""
    found: list[Candidate] = []
    for number, span in enumerate(spans):
        facts = [
            fact
            for kind in KINDS.values()
            for fact in kind.find(span.text, draw, apart_us)
            if span.asks(fact)
        ]
        offered = list(_paired(number, facts, apart_us))
        if len(offered) > MOST_CANDIDATES:
            offered = _varied(offered, span.text.span_id, draw)
        found += offered
    return found


class _Known(NamedTuple):
    """What is compared of a fact, computed once."""

    fact: Fact
    kind: str
    name: str
    uses: frozenset[str]
    starts: Sequence[int]


def _paired(number: int, facts: Sequence[Fact], apart_us: int) -> Iterator[Candidate]:
    known = [
        _Known(one, one.kind, one.name, one.uses, [start for start, _ in one.seen]) for one in facts
    ]
    for pair in combinations(known, 2):
        (one, kind, name, used, starts), (other, like, label, others, more) = pair
        if kind == like:
            contrast = "turn" if kind == "turn" else "order"
            swapped = name > label
        elif "turn" in (kind, like):
            contrast = "mixed"
            swapped = kind == "turn"
        else:
            continue
        if not _apart(starts, more, apart_us):
            continue
        yield Candidate(
            number,
            KINDS[like if swapped else kind].category,
            contrast,
            (other, one) if swapped else (one, other),
            used | others,
        )


def _apart(ones: Sequence[int], others: Sequence[int], least_us: int) -> bool:
    for one in ones:
        for other in others:
            if abs(one - other) < least_us:
                return False
    return True


def _varied(offered: Sequence[Candidate], span_id: str, draw: Draw) -> list[Candidate]:
    """Return pairs that cover each cell: any of them may turn out to be closed."""
    drawn = draw.shuffled(offered, span_id, "candidates")
    cells = [pair.cell for pair in drawn]
    sets = []
    for wanted in dict.fromkeys(cells):
        of_it = [pair for pair, cell in zip(drawn, cells, strict=True) if cell == wanted]
        others = [pair for pair, cell in zip(drawn, cells, strict=True) if cell != wanted]
        sets.append(disjoint(of_it + others))
    # One of each set after another, so that the cap leaves something of all.
    rounds = chain.from_iterable(zip_longest(*sets))
    found = {id(pair): pair for pair in rounds if pair}
    return list(found.values())[:MOST_CANDIDATES]


def disjoint(pairs: Iterable[Candidate]) -> list[Candidate]:
    """Return pairs, taken in this order, that share no turn or order."""
    used: set[str] = set()
    found = []
    for pair in pairs:
        uses = pair.uses
        if not used & uses:
            used |= uses
            found.append(pair)
    return found
