"""What can't be asked about a clip, why, and what would help. Pure."""

from collections.abc import Iterator, Sequence

from pipeline.engine.rows import Rejection
from pipeline.questions.composition import Composition, SpanToAsk
from pipeline.routes.route import worth_describing
from pipeline.routes.tasks import ASKED_CATEGORIES

LEAST_DESCRIBED = 3  # facts: a description of fewer says hardly more than that somebody walks


def refusals(
    clip_id: str, spans: Sequence[SpanToAsk], composition: Composition
) -> Iterator[Rejection]:
    """Yield a rejection for each category that no item of a clip asks about."""
    if not any(worth_describing(span.steps) >= LEAST_DESCRIBED for span in spans):
        yield _rejection(
            clip_id, "route", "fewer than three turns, landmarks or actions in any span"
        )
    asked = {pair.pair.category for span in spans for pair in composition.pairs[span.span_id]}
    for category in ASKED_CATEGORIES:
        if category not in asked:
            yield _rejection(clip_id, category, "no two facts that can be asked about")


def _rejection(clip_id: str, category: str, reason: str) -> Rejection:
    return Rejection(
        stage="compose",
        unit=clip_id,
        what=f"no {category} items: {reason}",
        fix="richer narrations, a model (draft.provider), or correct the route in review",
    )
