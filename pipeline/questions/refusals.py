"""What can't be asked about a clip, why, and what would help. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pipeline.engine.rows import Rejection
from pipeline.questions.candidates import ClipSpan, candidates
from pipeline.questions.composition import Composition, SpanToAsk
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS
from pipeline.questions.rows import Stratum
from pipeline.questions.spans import LEAST_DESCRIBED
from pipeline.routes.remedies import Material, remedy
from pipeline.routes.route import worth_describing
from pipeline.routes.rows import Category
from pipeline.routes.tasks import ASKED_CATEGORIES

UNSEEN = "frames don't show enough of it"
MORE_FRAMES = (
    "more frames (a higher compose.frames_per_second, and compose.most_frames for brisk turns), or shorter spans "
    "(compose.span_seconds)"
)
_GUESSED = re.compile(r"can be guessed without the video: pairs of facts \((\w+ \w+)\): (\d+)")
_OTHER_FOOTAGE = "footage of other scenes, or of the same ones in other orders and directions"
_FEW = "fewer than two facts in each span"
_NOT_DRAWN = (
    "none was drawn: about half of all pairs are left out to make all answers equally likely, and a fact that "
    "another item asks about isn't asked again"
)
_NOTHING_WRONG = "nothing is wrong with the clip; more named landmarks and actions give more pairs"
_EVEN_SIDES = f'compose.mirror = "coin" where it is about turns, or {_OTHER_FOOTAGE}'


class Refusals:
    """Tells what can't be asked about each clip: categories without an item, pairs that can be guessed.

    If no span is new, pairs were not judged again: then what the last run told of them is still true.
    """

    def __init__(
        self,
        composition: Composition,
        strata: Sequence[Stratum],
        told: Iterable[Rejection],
        draw: Draw,
        apart_us: int,
    ) -> None:
        """Take the strata, of this run or the last one, and what the last run told."""
        self._composition, self._draw, self._apart_us = composition, draw, apart_us
        self._shut = {f"{one.category} {one.contrast}" for one in strata if one.closed}
        self._told: dict[str, Counter[str]] = defaultdict(Counter)
        for row in told if not composition.strata else ():
            if found := _GUESSED.fullmatch(row.what):
                cell, count = found.groups()
                self._told[row.unit][cell] = int(count)

    def of(
        self, clip_id: str, spans: Sequence[SpanToAsk], material: Material
    ) -> Iterator[Rejection]:
        """Yield the rejections of a clip."""
        if not any(worth_describing(span.steps) >= LEAST_DESCRIBED for span in spans):
            what = f"no route items: fewer than {LEAST_DESCRIBED} turns, landmarks and actions in each span"
            yield _rejection(clip_id, what, remedy("route", material))
        guessable = sum(
            (self._composition.guessable.get(span.span_id, Counter()) for span in spans),
            self._told.get(clip_id, Counter()),
        )
        yield from self._missing(clip_id, spans, guessable, material)
        for cell, count in sorted(guessable.items()):
            what = f"can be guessed without the video: pairs of facts ({cell}): {count}"
            fix = _OTHER_FOOTAGE if cell.endswith(" order") else _EVEN_SIDES
            yield _rejection(clip_id, what, fix)

    def _missing(
        self,
        clip_id: str,
        spans: Sequence[SpanToAsk],
        guessable: Counter[str],
        material: Material,
    ) -> Iterator[Rejection]:
        pairs_of = self._composition.pairs
        asked = {pair.category for span in spans for pair, _ in pairs_of[span.span_id]}
        missing = [category for category in ASKED_CATEGORIES if category not in asked]
        by_span: list[Counter[str]] = []
        for category in missing:
            # Most clips lack a category because they name nothing of it, and pairing facts takes a millisecond.
            if _most(category, spans, self._draw, self._apart_us) < 1 + (category == "direction"):
                yield _rejection(
                    clip_id, f"no {category} items: {_FEW}", remedy(category, material)
                )
                continue
            seen = Counter[str]()
            left = 0
            for number, span in enumerate(spans):
                if number == len(by_span):
                    by_span.append(_pairs([span], self._draw, self._apart_us))
                seen.update(by_span[number])
                cells = {cell for cell in seen if cell.startswith(f"{category} ")}
                left = sum(seen[cell] - guessable[cell] for cell in cells - self._shut)
                if left > 0:
                    break
            if left > 0:
                why, fix = _NOT_DRAWN, _NOTHING_WRONG
            elif not cells:
                why, fix = _without(category, spans, material, self._draw, self._apart_us)
            elif cells <= self._shut:
                why, fix = "its cells are closed", _EVEN_SIDES
            else:
                why, fix = "all pairs of facts can be guessed without the video", _EVEN_SIDES
            yield _rejection(clip_id, f"no {category} items: {why}", fix)


def _pairs(
    spans: Sequence[SpanToAsk], draw: Draw, apart_us: int, *, all_facts: bool = False
) -> Counter[str]:
    """Count by cell the pairs of facts that a clip's spans offer; with `all_facts`, also those not to be asked about."""
    own = [
        ClipSpan("", "", span.text) if all_facts else ClipSpan("", "", span.text, span.asks)
        for span in spans
    ]
    return Counter(one.cell for one in candidates(own, draw, apart_us))


def _most(category: Category, spans: Sequence[SpanToAsk], draw: Draw, apart_us: int) -> int:
    """Return how many facts of a category a span has at most."""
    kinds = [kind for kind in KINDS.values() if kind.category == category]
    found = (sum(1 for kind in kinds for _ in kind.find(one.text, draw, apart_us)) for one in spans)
    return max(found, default=0)


def _without(
    category: Category, spans: Sequence[SpanToAsk], material: Material, draw: Draw, apart_us: int
) -> tuple[str, str]:
    """Return why no span of a clip offers a pair of a category, and what would help."""
    told, shown = Counter[str](), Counter[str]()
    for span in spans:
        facts = [fact for kind in KINDS.values() for fact in kind.find(span.text, draw, apart_us)]
        told.update(fact.kind for fact in facts)
        shown.update(fact.kind for fact in facts if span.asks(fact))
    possible = _pairs(spans, draw, apart_us, all_facts=True)
    if not any(cell.startswith(f"{category} ") for cell in possible):
        why = (
            _FEW
            if category == "direction" or _most(category, spans, draw, apart_us) < 2
            else f"its orders can't be asked together: they share one of three {category}s, or are too close in time"
        )
        return why, remedy(category, material)
    waiting = any(step.start_us in span.route.waiting for span in spans for step in span.steps)
    if waiting:
        return (
            "turns that were measured with little confidence wait for people",
            "review the clip (egost review push)",
        )
    hidden = ", ".join(f"{told[kind] - shown[kind]} of {told[kind]} {kind} facts" for kind in told)
    return f"{UNSEEN} ({hidden})", MORE_FRAMES


def unheld(item_id: str, *, mirrored: bool) -> Rejection:
    """Return why an item that a model wrote isn't asked: no span holds its evidence as the model saw it."""
    what, fix = (
        ("its span is shown mirrored", 'ask no items of a model, or set compose.mirror = "off"')
        if mirrored
        else (
            "the evidence that the model cites is not in one span",
            "ask for items whose evidence lies close together (prompts/tasks/)",
        )
    )
    return _rejection(item_id, what, fix)


def _rejection(clip_id: str, what: str, fix: str) -> Rejection:
    return Rejection(stage="compose", unit=clip_id, what=what, fix=fix)
