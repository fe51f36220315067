"""From a draft route and the verdicts on exactly it to the verified route. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from pipeline.engine.rows import Finding, Rejection
from pipeline.review.agreement import counting, ruling
from pipeline.review.facts import FACTS, Facts
from pipeline.review.rows import Verdict
from pipeline.routes import motion_draft, route, templates, wording
from pipeline.routes.rows import Category, Orientation, Route

DIFFER = "disagreement"
"""The kind of finding that sends a clip to a third pair of eyes."""


def verify(
    draft: Route,
    verdicts: Sequence[Verdict],
    agree: int,
    facts: Facts = FACTS,
    earlier: Route | None = None,
) -> Iterator[Route | Finding | Rejection]:
    """Yield the verified route if `agree` people say the same, and findings where they don't.

    A single correction is used at once, with no category verified.
    A third person's ruling on a difference wins, until `agree` people have judged again after it.
    `earlier` is the clip's verified route so far: as long as its steps stand, so do its descriptions,
    whatever words the templates have now.
    """
    heard = counting(verdicts, draft.fingerprint)
    ruled = ruling(verdicts, draft.fingerprint)
    if ruled:
        later = [one for one in heard if one.created_us > ruled.created_us]
        if len(later) < agree:
            yield from (
                _rejected(draft, [ruled])
                if ruled.verdict == "reject"
                else _verified(draft, ruled, list(facts), facts, earlier)
            )
            return
        heard = later
    rejecting = [one for one in heard if one.verdict == "reject"]
    if len(rejecting) >= agree and rejecting[0] is heard[0]:
        yield from _rejected(draft, rejecting)
        return
    judged = [one for one in heard if one.verdict != "reject"]
    agreed = {
        one.annotation_id: [
            category
            for category, fact in facts.items()
            if sum(fact(other.steps) == fact(one.steps) for other in judged) >= agree
        ]
        for one in judged
    }
    best = max(judged, key=lambda one: len(agreed[one.annotation_id]), default=None)
    open_ = [name for name in facts if best is None or name not in agreed[best.annotation_id]]
    if best is not None:
        # Until a second person has looked, a correction is better than the draft it mends: items
        # follow it, and stay drafts.
        alone = len(heard) == 1 and best.verdict == "corrected"
        named = agreed[best.annotation_id]
        yield from _verified(draft, best, named, facts, earlier, unconfirmed=alone)
    if open_ and len(heard) >= max(agree, 2):
        message = f"people differ on: {', '.join(open_)}"
        yield finding(draft.clip_id, DIFFER, "warning", message)


def _rejected(draft: Route, rejecting: Sequence[Verdict]) -> Iterator[Finding | Rejection]:
    reasons = ", ".join(dict.fromkeys(r for one in rejecting for r in one.reasons))
    what = f"people rejected this clip: {reasons or 'no reason given'}"
    yield finding(draft.clip_id, "rejected", "error", what)
    yield Rejection(
        stage="review",
        unit=draft.clip_id,
        what=what,
        fix="its items are set aside; change the draft (another model, better narrations) to ask again",
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
    forward, back, stale = _told(draft, best, facts, earlier)
    if stale and "route" in categories:
        categories.remove("route")
        yield finding(
            draft.clip_id,
            "description_stale",
            "warning",
            "people corrected the steps and left a description of the old ones",
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


def _told(
    draft: Route, best: Verdict, facts: Facts, earlier: Route | None
) -> tuple[str, str, bool]:
    """Return both descriptions for a verdict's steps, and whether one still tells the old steps.

    Where people changed the facts but not a description, one that our own template made is made
    anew; one that a model wrote can't be. If the template's words have changed since the draft, the
    descriptions of steps that were verified before stay in the old words.
    """
    told = [best.forward_description, best.reverse_description]
    if facts["route"](best.steps) == facts["route"](draft.steps):
        return told[0], told[1], False
    describe, said = templates.load("describe.j2"), wording.load(draft.language)
    drafted = (draft.forward_description, draft.reverse_description)
    kept = (earlier.forward_description, earlier.reverse_description) if earlier else drafted
    stands = earlier is not None and earlier.steps == best.steps
    ways: tuple[Orientation, ...] = ("forward", "reverse")
    stale = False
    for number, (before, way) in enumerate(zip(drafted, ways, strict=True)):
        if told[number] != before:
            continue
        words_stand = motion_draft.describe_steps(describe, draft.steps, way, said) == before
        if not words_stand and draft.provider != "motion":
            stale = True
        elif not words_stand and stands:
            told[number] = kept[number]
        else:
            told[number] = motion_draft.describe_steps(describe, best.steps, way, said)
    return told[0], told[1], stale


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
