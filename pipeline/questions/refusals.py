"""What can't be asked about a clip, why, and what would help. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeline.engine.rows import Rejection
from pipeline.questions.composition import Composition, SpanToAsk
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS, Fact
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
_OTHER_FOOTAGE = "footage of other scenes, or of the same ones in other orders and directions"
_EVEN_SIDES = f'compose.mirror = "coin" where it is about turns, or {_OTHER_FOOTAGE}'


def refusals(
    clip_id: str,
    spans: Sequence[SpanToAsk],
    composition: Composition,
    material: Material,
    draw: Draw,
) -> Iterator[Rejection]:
    """Yield what can't be asked about a clip: categories without an item, pairs that can be guessed."""
    if not any(worth_describing(span.steps) >= LEAST_DESCRIBED for span in spans):
        what = f"no route items: fewer than {LEAST_DESCRIBED} turns, landmarks and actions in each span"
        yield _rejection(clip_id, what, remedy("route", material))
    asked = {pair.category for span in spans for pair, _ in composition.pairs[span.span_id]}
    guessable: Counter[str] = sum(
        (composition.guessable.get(span.span_id, Counter()) for span in spans), Counter[str]()
    )
    for category in ASKED_CATEGORIES:
        if category not in asked:
            closed = any(one.category == category and one.closed for one in composition.strata)
            yield _without(clip_id, category, spans, guessable, material, draw, closed=closed)
    for cell, count in sorted(guessable.items()):
        what = f"can be guessed without the video: pairs of facts ({cell}): {count}"
        yield _rejection(clip_id, what, _OTHER_FOOTAGE if cell.endswith(" order") else _EVEN_SIDES)


def _without(
    clip_id: str,
    category: Category,
    spans: Sequence[SpanToAsk],
    guessable: Counter[str],
    material: Material,
    draw: Draw,
    *,
    closed: bool,
) -> Rejection:
    """Return why no item of a clip asks about a category."""
    head = f"no {category} items:"
    told, shown = Counter[str](), Counter[str]()
    most = 0
    for span in spans:
        facts = list(_facts(span, draw))
        seen = [fact for fact in facts if span.asks(fact)]
        told.update(fact.kind for fact in facts)
        shown.update(fact.kind for fact in seen)
        most = max(most, _pairs(category, facts))
        if _pairs(category, seen) and not guessable:
            if closed:
                return _rejection(clip_id, f"{head} its cells are closed", _EVEN_SIDES)
            what = f"{head} none was drawn (keeping about half of all pairs makes all answers equally likely)"
            return _rejection(clip_id, what, remedy(category, material))
    if any(cell.startswith(f"{category} ") for cell in guessable):
        return _rejection(
            clip_id, f"{head} all pairs of facts can be guessed without the video", _EVEN_SIDES
        )
    if not most:
        return _rejection(
            clip_id, f"{head} fewer than two facts in each span", remedy(category, material)
        )
    waiting = any(step in span.route.waiting for span in spans for step in _begun(span))
    if waiting:
        what = f"{head} turns that were measured with little confidence wait for people"
        return _rejection(clip_id, what, "review the clip (egost review push)")
    hidden = ", ".join(f"{told[kind] - shown[kind]} of {told[kind]} {kind} facts" for kind in told)
    return _rejection(clip_id, f"{head} {UNSEEN} ({hidden})", MORE_FRAMES)


def _facts(span: SpanToAsk, draw: Draw) -> Iterator[Fact]:
    for kind in KINDS.values():
        yield from kind.find(span.text, draw, 0)


def _begun(span: SpanToAsk) -> Iterator[int]:
    return (step.start_us for step in span.steps)


def _pairs(category: Category, facts: Sequence[Fact]) -> int:
    """Return whether these facts make a pair of a category: two of its own, or one and a turn."""
    own = sum(KINDS[fact.kind].category == category for fact in facts)
    sides = sum(fact.kind == "turn" for fact in facts)
    return int(own >= 2 or (category != "direction" and own >= 1 and sides >= 1))


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
