"""Turns a draft route and the verdicts on it into a verified route. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from pipeline.engine.rows import Finding, Rejection
from pipeline.review.agreement import latest, ruling
from pipeline.review.facts import Facts
from pipeline.review.rows import Verdict
from pipeline.routes import motion_draft, route, templates, wording
from pipeline.routes.rows import Category, Orientation, Route

DIFFER = "disagreement"
"""The kind of finding that sends a clip to adjudication."""


def verify(
    draft: Route,
    verdicts: Sequence[Verdict],
    agree: int,
    facts: Facts,
    earlier: Route | None = None,
) -> Iterator[Route | Finding | Rejection]:
    """Yield the verified route if `agree` people agree, and findings where they don't.

    A single correction is used at once, but verifies no category. An adjudicator's ruling on a
    disagreement wins until `agree` people have judged again after it. `earlier` is the clip's
    verified route so far: while its steps are unchanged, its descriptions are kept, even if the
    templates' wording has changed.
    """
    counted = latest(verdicts, draft.fingerprint)
    ruled = ruling(verdicts, draft.fingerprint)
    if ruled:
        later = [one for one in counted if one.created_us > ruled.created_us]
        if len(later) < agree:
            yield from (
                _rejected(draft, [ruled])
                if ruled.verdict == "reject"
                else _verified(draft, ruled, list(facts), facts, earlier)
            )
            return
        counted = later
    rejecting = [one for one in counted if one.verdict == "reject"]
    if len(rejecting) >= agree and rejecting[0] is counted[0]:
        yield from _rejected(draft, rejecting)
        return
    judged = [one for one in counted if one.verdict != "reject"]
    agreed = {
        one.annotation_id: [
            category
            for category, fact in facts.items()
            if sum(fact(other.steps) == fact(one.steps) for other in judged) >= agree
        ]
        for one in judged
    }
    best = max(judged, key=lambda one: len(agreed[one.annotation_id]), default=None)
    disputed = [name for name in facts if best is None or name not in agreed[best.annotation_id]]
    if best is not None:
        # Until a second person has judged, a correction is better than the draft that it corrects:
        # items are composed from it, but remain drafts.
        alone = len(counted) == 1 and best.verdict == "corrected"
        categories = agreed[best.annotation_id]
        yield from _verified(draft, best, categories, facts, earlier, unconfirmed=alone)
    if disputed and len(counted) >= max(agree, 2):
        message = f"people disagree on: {', '.join(disputed)}"
        yield finding(draft.clip_id, DIFFER, "warning", message)


def _rejected(draft: Route, rejecting: Sequence[Verdict]) -> Iterator[Finding | Rejection]:
    reasons = ", ".join(dict.fromkeys(r for one in rejecting for r in one.reasons))
    what = f"people rejected this clip: {reasons or 'no reason given'}"
    yield finding(draft.clip_id, "rejected", "error", what)
    yield Rejection(
        stage="review",
        unit=draft.clip_id,
        what=what,
        fix="its items are set aside; to have it judged again, change the draft (another model, "
        "better narrations) with egost generate-qa --redraft",
    )


def _verified(
    draft: Route,
    best: Verdict,
    agreed: Iterable[Category],
    facts: Facts,
    earlier: Route | None,
    *,
    unconfirmed: bool = False,
) -> Iterator[Route | Finding]:
    categories = list(agreed)
    forward, back, stale = _descriptions(draft, best, facts, earlier)
    if stale and "route" in categories:
        categories.remove("route")
        yield finding(
            draft.clip_id,
            "description_stale",
            "warning",
            "people corrected the steps but left a description of the old ones",
        )
    if categories or unconfirmed:
        yield draft.model_copy(
            update={
                "origin": "verified",
                "verified_categories": categories,
                "steps": best.steps,
                "forward_description": forward,
                "reverse_description": back,
                "fingerprint": route.fingerprint(best.steps, forward, back),
                "confidence": 1.0,
            }
        )


def _descriptions(
    draft: Route, best: Verdict, facts: Facts, earlier: Route | None
) -> tuple[str, str, bool]:
    """Return both descriptions for a verdict's steps, and whether one still describes the old steps.

    If people changed the facts but not a description, it is rendered again if our own template
    wrote it; one that a model wrote can't be. If the template's wording has changed since the draft,
    the descriptions of steps that were verified before keep the old wording.
    """
    texts = [best.forward_description, best.reverse_description]
    if facts["route"](best.steps) == facts["route"](draft.steps):
        return texts[0], texts[1], False
    describe, words = templates.load("describe.j2"), wording.load(draft.language)
    drafted = (draft.forward_description, draft.reverse_description)
    kept = (earlier.forward_description, earlier.reverse_description) if earlier else drafted
    unchanged = earlier is not None and earlier.steps == best.steps
    ways: tuple[Orientation, ...] = ("forward", "reverse")
    stale = False
    for number, (before, way) in enumerate(zip(drafted, ways, strict=True)):
        if texts[number] != before:
            continue
        same_wording = motion_draft.describe_steps(describe, draft.steps, way, words) == before
        if not same_wording and draft.provider != "motion":
            stale = True
        elif not same_wording and unchanged:
            texts[number] = kept[number]
        else:
            texts[number] = motion_draft.describe_steps(describe, best.steps, way, words)
    return texts[0], texts[1], stale


def finding(clip_id: str, kind: str, severity: str, message: str) -> Finding:
    """Return a finding about a clip."""
    return Finding.model_validate(
        {
            "unit_kind": "clip",
            "unit": clip_id,
            "kind": kind,
            "severity": severity,
            "message": message,
        }
    )
