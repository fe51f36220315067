"""From routes to worded questions: cut clips into spans, choose pairs of facts, word them. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from pipeline.engine.rows import digest
from pipeline.motion.rows import Turn
from pipeline.questions import spans as cutting
from pipeline.questions.asking import Asking, Question
from pipeline.questions.candidates import Beliefs, Candidate, ClipSpan, candidates
from pipeline.questions.choose import Chosen, choose
from pipeline.questions.draw import Draw
from pipeline.questions.expectation import belief, by_clip
from pipeline.questions.facts import KINDS, Fact
from pipeline.questions.rows import AskedFact, Expected, Item, Span, Stratum, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.questions.spantext import SpanText
from pipeline.questions.visible import apart_us, moments, shown
from pipeline.routes.rows import Category, Orientation, Step
from pipeline.routes.tasks import ORIENTATIONS
from pipeline.routes.wording import Wording
from pipeline.sources.rows import Split

CONSTRUCTION = 1  # raise it when the same routes should give other questions
_LONGER = 9 / 8  # of the wanted length: events that come evenly would seldom fill it


@dataclass(frozen=True)
class RouteToAsk:
    """A clip's route in canonical form, and what is known about it.

    `turns` are the measured ones; None means that everything can be seen. Turns whose steps begin at
    `waiting` are not asked about until people have verified them.
    """

    clip_id: str
    scene: str
    split: Split
    steps: tuple[Step, ...]
    wording: Wording
    turns: Sequence[Turn] | None = None
    hfov_degrees: float | None = None
    waiting: frozenset[int] = frozenset()


@dataclass(frozen=True)
class SpanToAsk:
    """A span, with its steps as its frames show them."""

    span_id: str
    route: RouteToAsk
    start_us: int
    end_us: int
    frame_us: tuple[int, ...]
    mirrored: bool
    upright: bool
    steps: tuple[Step, ...]

    @property
    def text(self) -> SpanText:
        """The span as facts are found in it."""
        return SpanText(self.span_id, self.steps)

    def asks(self, fact: Fact) -> bool:
        """Return whether an item may ask about this fact: it can be seen, and no doubt is known."""
        route = self.route
        if route.turns is None:
            return True
        certain = fact.kind != "turn" or fact.seen[0][0] not in route.waiting
        return certain and shown(fact, self.frame_us, route.turns, route.hfov_degrees)


@dataclass(frozen=True)
class EarlierPair:
    """The facts of a pair that was asked about before, and the letters of its answers."""

    names: tuple[str, str]
    letters: Mapping[Orientation, int]


@dataclass(frozen=True)
class AskedPair:
    """Two facts of a span as a forward and a reverse question."""

    twin: str
    pair: Candidate
    questions: Mapping[Orientation, Question]
    item_ids: Mapping[Orientation, str]

    def facts(self, orientation: Orientation) -> list[AskedFact]:
        """Return the facts as the evidence of an item states them."""
        question = self.questions[orientation]
        (other,) = (one for way, one in self.questions.items() if way != orientation)
        back = {fact.seen: fact for fact in other.facts}
        return [
            AskedFact(
                name=fact.name,
                values=[stated[number][1] for stated in question.statements],
                back=_statement(back[fact.seen]),
                rewound=_statement(fact.back()),
                mirrored=_statement(fact.mirrored()),
                seen_us=[time for seen in fact.seen for time in seen],
            )
            for number, fact in enumerate(question.facts)
        ]


@dataclass(frozen=True)
class Composition:
    """The pairs that items ask about, by span, and why others aren't asked.

    `guessable` counts the pairs of a span, by cell, that could be answered without the video. `strata` are
    empty if no span is new.
    """

    pairs: Mapping[str, Sequence[tuple[Candidate, EarlierPair | None]]]
    guessable: Mapping[str, Counter[str]]
    strata: Sequence[Stratum]
    _asking: Asking
    _draw: Draw

    def questions(self, span: SpanToAsk) -> Iterator[AskedPair]:
        """Word the pairs of a span. The letters of new ones follow from the order in which spans come here.

        Not all at once: the questions of 100,000 clips fill gigabytes.
        """
        for pair, earlier in self.pairs[span.span_id]:
            yield _worded(span, pair, earlier, self._asking, self._draw)


def spans_of(route: RouteToAsk, settings: ComposeSettings, draw: Draw) -> list[SpanToAsk]:
    """Return the spans of a clip; their ids can't be computed without the secret.

    A span's id follows from its steps' facts, not from their times: a corrected span is a new one, and the
    other spans of its clip stay.
    """
    if not route.steps:
        return []
    length = route.steps[-1].end_us - route.steps[0].start_us
    shortest, wanted = settings.shortest_span_seconds * 1e6, settings.span_seconds * 1e6
    needs = _needs(route)
    longest = max(shortest, min(wanted * _LONGER, _longest(needs, settings)))
    found: list[SpanToAsk] = []
    often: Counter[str] = Counter()
    even = draw("cut", route.clip_id) % 5 < 2
    cuts = cutting.cut(
        route.steps,
        round(longest),
        round(min(shortest, length)),
        wanted_us=round(wanted),
        even=even,
    )
    for start_us, end_us in cuts:
        steps = cutting.inside(route.steps, start_us, end_us)
        facts = digest(*((step.move, step.landmark, step.action, step.undo) for step in steps))
        often[facts] += 1
        what = (route.clip_id, facts, str(often[facts]))
        needed = [apart for at, apart in needs.items() if start_us <= at < end_us]
        upright = _names_any(steps, settings.never_mirror)
        mirrored = settings.mirror == "coin" and not upright and draw("mirror", *what) % 2 == 1
        found.append(
            SpanToAsk(
                opaque("s", draw, *what, str(mirrored)),
                route,
                start_us,
                end_us,
                tuple(moments(start_us, end_us, settings, needed)),
                mirrored,
                upright,
                cutting.mirrored(steps) if mirrored else steps,
            )
        )
    return found


def _needs(route: RouteToAsk) -> dict[int, float]:
    """Return for the turns of a route, by their start, how far apart frames may be that show them."""
    turns = route.turns
    return (
        {
            step.start_us: apart_us(step.start_us, step.end_us, turns, route.hfov_degrees)
            for step in route.steps
            if step.move in ("left", "right")
        }
        if turns is not None
        else {}
    )


def _longest(needs: Mapping[int, float], settings: ComposeSettings) -> float:
    """Return the longest span, in microseconds, whose frames show most of a route's turns."""
    quick = sorted(needs.values())[len(needs) // 5] if needs else inf
    return quick * settings.most_frames


def _names_any(steps: Iterable[Step], words: Iterable[str]) -> bool:
    """Return whether a landmark or an action contains one of these words."""
    wanted = {word.casefold() for word in words}
    return bool(wanted) and any(
        word.casefold() in wanted
        for step in steps
        for text in (step.landmark, step.action)
        for word in re.findall(r"\w+", text or "")
    )


def opaque(prefix: str, draw: Draw, *what: str) -> str:
    """Return an id that can't be computed without the secret."""
    return f"{prefix}_{draw('id', prefix, *what):016x}"


def steps_shown(span: Span, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps of a clip's canonical route that lie in a span, as its frames show them."""
    found = cutting.inside(steps, span.start_us, span.end_us)
    return cutting.mirrored(found) if span.mirrored else found


def written_id(row: Written, draw: Draw) -> str:
    """Return the id of the item composed from what a model wrote."""
    return opaque("i", draw, "written", row.item_id)


def ask(
    spans: Sequence[SpanToAsk],
    before: Mapping[str, Sequence[EarlierPair]],
    settings: ComposeSettings,
    draw: Draw,
    expected: Iterable[Expected] = (),
) -> Composition:
    """Return the questions about all spans.

    `before` holds the spans that were composed before, with their pairs: they keep them. Whether the pairs
    of another span can be guessed is judged by what all spans together reveal, and by what a model expects
    without seeing.
    """
    apart_us = round(settings.apart_seconds * 1e6)
    known = [ClipSpan(span.route.clip_id, span.route.scene, span.text, span.asks) for span in spans]
    asking = Asking(draw)
    asked: dict[str, list[tuple[Candidate, EarlierPair | None]]] = {
        span.span_id: [] for span in spans
    }
    for number, span in enumerate(spans):
        if pairs := before.get(span.span_id):
            offered = {one.names: one for one in candidates([known[number]], draw, apart_us)}
            for earlier in pairs:
                if pair := offered.get(earlier.names):
                    asked[span.span_id].append((pair, earlier))
                    for orientation, letter in earlier.letters.items():
                        asking.letters.reserve(
                            f"{pair.category}_{orientation}", span.route.split, letter
                        )
    guessable: dict[str, Counter[str]] = defaultdict(Counter)
    strata: list[Stratum] = []
    if any(span.span_id not in before for span in spans):
        chosen = choose(known, draw, apart_us, believed=_believed(known, expected, draw, apart_us))
        new = [pair for pair in chosen.pairs if spans[pair.span].span_id not in before]
        letters = _letters(spans, new, asking, draw)
        for index, pair in enumerate(new):
            asked[spans[pair.span].span_id].append((pair, EarlierPair(pair.names, letters[index])))
        for number, cell in chosen.guessable:
            guessable[spans[number].span_id][cell] += 1
        strata = _strata(chosen)
    return Composition(asked, guessable, strata, asking, draw)


def _letters(
    spans: Sequence[SpanToAsk], pairs: Sequence[Candidate], asking: Asking, draw: Draw
) -> list[dict[Orientation, int]]:
    """Return the letters of the answers of each pair, dealt in an order that the secret draws.

    Dealt evenly span by span, the letters of a span would differ: who knew some would guess the others (31 %).
    """
    twins = [opaque("t", draw, spans[one.span].span_id, *sorted(one.names)) for one in pairs]
    dealt: list[dict[Orientation, int]] = [{} for _ in pairs]
    for index in sorted(range(len(pairs)), key=lambda index: draw(twins[index], "deal")):
        pair, split = pairs[index], spans[pairs[index].span].route.split
        for way in ORIENTATIONS:
            task = f"{pair.category}_{way}"
            dealt[index][way] = asking.letters.next(task, split, twins[index], way)
    return dealt


def _strata(chosen: Chosen) -> list[Stratum]:
    found = []
    for cell, counted in chosen.counts.items():
        category, contrast = cell.split()
        found.append(
            Stratum.model_validate(
                {
                    "category": category,
                    "contrast": contrast,
                    "candidates": counted.offered,
                    "admissible": counted.admissible,
                    "asked": counted.kept,
                    "closed": chosen.closed.get(cell),
                    "fitted": category not in chosen.small,
                }
            )
        )
    return found


def _believed(
    spans: Sequence[ClipSpan], expected: Iterable[Expected], draw: Draw, apart_us: int
) -> Beliefs:
    """Return what a model believes of the pairs of facts whose names it was told."""
    of_clip = by_clip(expected)
    found = {}
    for span in spans:
        for pair in candidates([span], draw, apart_us) if span.clip_id in of_clip else ():
            if (probable := belief(pair.facts, of_clip[span.clip_id])) is not None:
                found[span.text.span_id, pair.names] = probable
    return found


def _worded(
    span: SpanToAsk, pair: Candidate, earlier: EarlierPair | None, asking: Asking, draw: Draw
) -> AskedPair:
    twin = opaque("t", draw, span.span_id, *sorted(pair.names))
    wording, letters = span.route.wording, earlier.letters if earlier else {}
    return AskedPair(
        twin,
        pair,
        {
            way: asking.word(
                pair, twin, way, span.route.split, wording.stems, wording.facts, letters.get(way)
            )
            for way in ORIENTATIONS
        },
        {way: opaque("i", draw, twin, way) for way in ORIENTATIONS},
    )


def earlier_pairs(items: Iterable[Item]) -> dict[str, list[EarlierPair]]:
    """Return the pairs that these items ask about, by span."""
    twins: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.span_id and item.twin and item.facts:
            twins[item.span_id, item.twin].append(item)
    found: dict[str, list[EarlierPair]] = defaultdict(list)
    for (span_id, _), pair in twins.items():
        forward = next((one for one in pair if one.orientation == "forward"), None)
        if forward:
            one, other = sorted(fact.name for fact in forward.facts)
            found[span_id].append(
                EarlierPair(
                    (one, other),
                    {one.orientation: one.answer_index or 0 for one in pair},
                )
            )
    return found


def kinds_asked(category: Category, facts: Iterable[AskedFact]) -> frozenset[Category]:
    """Return the categories of facts that an item states, which people must have verified."""
    return frozenset({category, *(KINDS[fact.name.partition(":")[0]].category for fact in facts)})


def _statement(fact: Fact) -> str:
    return f"{fact.name}={fact.values[not fact.value]}"
