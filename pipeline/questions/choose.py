"""Choose the pairs of facts to ask about, so that no reader without frames can tell which combination is true. Pure.

A pair is admissible if the strongest reader (`blind/prior.py`) is uncertain about it. Pairs are matched so
that each name and each turn is used once in a clip; then each is kept with a probability that makes all
combinations equally likely for that reader. Cells in which few pairs are admissible are closed, and so are
cells that readers of the kept pairs still answer (`blind/recheck.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from pipeline.blind import prior, recheck
from pipeline.blind.sheet import Bools, Floats, Ints
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS, Fact, SpanText, context
from pipeline.routes.rows import Category

LARGEST, SMALLEST = 0.40, 0.12
LEAST_OPEN = 1 / 3
MOST_CANDIDATES = 12  # per span
_MOST_LEARNED = 60_000  # spans: more make the reader no sharper
_LEAST_STRATUM = 100  # candidates: a smaller stratum is judged with its cell


@dataclass(frozen=True)
class ClipSpan:
    """One span to ask about: its text, its scene, and its clip."""

    clip_id: str
    scene: str
    text: SpanText


@dataclass(frozen=True, slots=True)
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
    def stratum(self) -> tuple[str, ...]:
        """The cell and the forms of both facts."""
        return (self.cell, *sorted(KINDS[fact.kind].form(fact) for fact in self.facts))

    @property
    def names(self) -> tuple[str, str]:
        """The names of both facts."""
        return self.facts[0].name, self.facts[1].name

    @property
    def uses(self) -> frozenset[str]:
        """The turns and names that no other item of the clip may use."""
        return self.facts[0].uses | self.facts[1].uses

    @property
    def truth(self) -> int:
        """The true combination, as in `prior.COMBINATIONS`."""
        first, second = self.facts
        return 2 * (not first.value) + (not second.value)


@dataclass(frozen=True)
class Count:
    """How many candidates a cell had, of how many the reader was uncertain, and how many were kept."""

    offered: int
    admissible: int
    kept: int


@dataclass(frozen=True)
class Chosen:
    """The pairs to ask about, and why others aren't asked.

    `closed` holds the closed cells with the reason. `inadmissible` holds the candidates that the reader
    answers with confidence.
    """

    pairs: Sequence[Candidate]
    counts: Mapping[str, Count]
    closed: Mapping[str, str]
    inadmissible: Sequence[Candidate] = field(repr=False, default=())


def candidates(spans: Sequence[ClipSpan], draw: Draw, apart_us: int) -> list[Candidate]:
    """Return the pairs of facts that each span offers, at most `MOST_CANDIDATES`."""
    found: list[Candidate] = []
    for number, span in enumerate(spans):
        facts = [fact for kind in KINDS.values() for fact in kind.find(span.text, draw, apart_us)]
        offered = [pair for pair in _paired(number, facts) if _apart(pair, apart_us)]
        if len(offered) > MOST_CANDIDATES:
            offered = _varied(offered, span.text.span_id, draw)
        found += offered
    return found


def _paired(number: int, facts: Sequence[Fact]) -> Iterator[Candidate]:
    for one, other in combinations(facts, 2):
        if one.kind == other.kind:
            contrast = "turn" if one.kind == "turn" else "order"
            first, second = sorted((one, other), key=lambda fact: fact.name)
            yield Candidate(number, KINDS[one.kind].category, contrast, (first, second))
        elif "turn" in (one.kind, other.kind):
            order, turn = (one, other) if other.kind == "turn" else (other, one)
            yield Candidate(number, KINDS[order.kind].category, "mixed", (order, turn))


def _apart(pair: Candidate, apart_us: int) -> bool:
    starts = [start for fact in pair.facts for start, _ in fact.seen]
    return all(abs(one - other) >= apart_us for one, other in combinations(starts, 2))


def _varied(offered: Sequence[Candidate], span_id: str, draw: Draw) -> list[Candidate]:
    """Return pairs from one disjoint set after another, first of any kind, then mixed ones, then others."""
    order = sorted(offered, key=lambda pair: draw(span_id, "candidate", *pair.names))
    mixed = sorted(order, key=lambda pair: pair.contrast != "mixed")
    found: dict[int, Candidate] = {}
    for preferred in (order, mixed, mixed[::-1], order[::-1], order):
        used: set[str] = set()
        for pair in preferred:
            if not used & pair.uses and len(found) < MOST_CANDIDATES:
                used |= pair.uses
                found[id(pair)] = pair
    return list(found.values())


def choose(spans: Sequence[ClipSpan], draw: Draw, apart_us: int) -> Chosen:
    """Return the pairs to ask about."""
    offered = candidates(spans, draw, apart_us)
    reader, pairs = _read(spans, offered, draw)
    believed = reader.posteriors(pairs, _uncertain)
    admissible = _uncertain(believed)
    share = {}
    strata = defaultdict(list)
    for index, one in enumerate(offered):
        strata[one.cell].append(index)
        strata[one.stratum].append(index)
    openn = np.zeros(len(offered), bool)
    for cell, members in strata.items():
        sh = float(admissible[members].mean())
        if isinstance(cell, str):
            share[cell] = sh
            openn[members] = sh >= LEAST_OPEN
    for st, members in strata.items():
        if not isinstance(st, str) and len(members) >= _LEAST_STRATUM:
            openn[members] = admissible[members].mean() >= LEAST_OPEN
    usable: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(offered):
        if admissible[index] and openn[index]:
            usable[one.span].append(index)
    kept = []
    for number in sorted(usable):
        span_id = spans[number].text.span_id
        for index in _matched(usable[number], offered, draw, span_id):
            one, belief = offered[index], believed[index]
            if draw(span_id, "thin", *one.names) / 2**64 < belief.min() / belief[one.truth]:
                kept.append(one)
    return Chosen(kept, {}, share)


def _read(spans, offered, draw):
    reader = prior.Reader()
    for number, span in enumerate(spans):
        known = [kind.places(span.text, draw) for kind in KINDS.values()]
        places = [dict(item for one in known for item in one[i].items()) for i in range(2)]
        clues = (clue for kind in KINDS.values() for clue in kind.observed(span.text, draw))
        reader.learn(span.scene, clues, context(span.text), places)
    number_of = {}
    first, second = [], []
    for one in offered:
        for fact, to in zip(one.facts, (first, second)):
            if id(fact) not in number_of:
                k = KINDS[fact.kind]
                number_of[id(fact)] = reader.ask(one.span, prior.Asked(fact.kind, k.sided, k.levels(fact), k.sums(fact), k.tells(fact), k.axes(fact)))
            to.append(number_of[id(fact)])
    names = {}
    return reader, prior.Pairs(np.array([names.setdefault(one.cell, len(names)) for one in offered]), np.array(first), np.array(second), np.array([one.truth for one in offered]))


def _uncertain(believed: Floats) -> Bools:
    return np.asarray(
        (believed.max(axis=1) <= LARGEST) & (believed.min(axis=1) >= SMALLEST), dtype=bool
    )


def _matched(
    usable: Sequence[int], offered: Sequence[Candidate], draw: Draw, span_id: str
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
