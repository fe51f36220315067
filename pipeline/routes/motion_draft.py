"""Draft routes from measured turns and stays and narrated facts, without a model: pure but for its template."""

from collections.abc import Sequence
from itertools import pairwise

from pipeline.motion.rows import Clip, Stay, Turn
from pipeline.routes import route, templates
from pipeline.routes.rows import Move, Orientation, Route, Step
from pipeline.routes.wording import Wording
from pipeline.sources.rows import Narration

_LEAST_GAP_US = 1_000_000  # a shorter straight or stay belongs to the step before it
_UNMEASURED = (
    0.5  # confidence of a draft without any turn or stay: no measurement for or against it
)


def draft(
    clip: Clip,
    turns: Sequence[Turn],
    stays: Sequence[Stay],
    narrations: Sequence[Narration],
    describe: templates.Prompt,
    wording: Wording,
) -> Route:
    """Draft a route from measured turns and stays; landmarks and actions come from the narrations' columns."""
    moves = [turn for turn in sorted(turns, key=lambda t: t.start_us) if turn.moving]
    facts = [n for n in sorted(narrations, key=lambda n: n.t_us) if n.landmark or n.action]
    spans = spread(clip, moves, stays)
    steps = route.canonical(
        step
        for span in spans
        for step in with_facts(span, [n for n in facts if span is _nearest(spans, n.t_us)])
    )
    forward, reverse = (
        describe_steps(describe, steps, way, wording) for way in ("forward", "reverse")
    )
    return Route(
        clip_id=clip.clip_id,
        origin="draft",
        verified_categories=[],
        fingerprint=route.fingerprint(steps, forward, reverse),
        provider="motion",
        model=None,
        prompt_sha256=describe.sha256,
        reply_id=None,
        input_tokens=None,
        output_tokens=None,
        cost_usd=None,
        steps=list(steps),
        forward_description=forward,
        reverse_description=reverse,
        confidence=min(
            [*(turn.confidence for turn in moves), *(stay.confidence for stay in stays)],
            default=_UNMEASURED,
        ),
        language=wording.language,
    )


def spread(clip: Clip, turns: Sequence[Turn], stays: Sequence[Stay] = ()) -> list[Step]:
    """Return steps that fill the clip: the turns in time order, with straights and stays in the gaps."""
    begins: list[tuple[int, Move]] = []
    free_us = clip.start_us
    for turn in turns:
        start_us = max(turn.start_us, free_us)
        if start_us >= clip.end_us:
            break  # a step there would have no duration: the turn belongs to the next clip
        if start_us - free_us >= _LEAST_GAP_US:
            begins += _between(free_us, start_us, stays)
        elif not begins:
            start_us = clip.start_us
        begins.append((start_us, turn.kind))
        free_us = max(turn.end_us, start_us + 1)
    if not begins or clip.end_us - free_us >= _LEAST_GAP_US:
        begins += _between(free_us, clip.end_us, stays)
    ends = [start_us for start_us, _ in begins[1:]] + [clip.end_us]
    return [
        Step(start_us=start_us, end_us=end_us, move=move)
        for (start_us, move), end_us in zip(begins, ends, strict=True)
    ]


def _between(start_us: int, end_us: int, stays: Sequence[Stay]) -> list[tuple[int, Move]]:
    """Return what begins when between two turns: straights and stays of at least a second."""
    begins: list[tuple[int, Move]] = []
    free_us = start_us
    for stay in sorted(stays, key=lambda one: one.start_us):
        first, last = max(stay.start_us, free_us), min(stay.end_us, end_us)
        if last - first < _LEAST_GAP_US:
            continue
        if first - free_us >= _LEAST_GAP_US:
            begins.append((free_us, "straight"))
        else:
            first = free_us
        begins.append((first, "stay"))
        free_us = last
    if not begins or end_us - free_us >= _LEAST_GAP_US:
        begins.append((free_us, "straight"))
    return begins


def _nearest(spans: Sequence[Step], t_us: int) -> Step:
    return next((span for span in reversed(spans) if span.start_us <= t_us), spans[0])


def with_facts(span: Step, facts: Sequence[Narration]) -> list[Step]:
    """Return a span with its facts in time order, cut halfway between facts that need a step each."""
    groups: list[Narration] = []
    for fact in facts:
        last = groups[-1] if groups else None
        if (
            last
            and last.t_us == fact.t_us
            and not ((last.landmark and fact.landmark) or (last.action and fact.action))
        ):
            both = {
                "landmark": last.landmark or fact.landmark,
                "action": last.action or fact.action,
            }
            groups[-1] = last.model_copy(update={**both, "undo": last.undo or fact.undo})
        else:
            groups.append(fact)
    cuts = [span.start_us]
    for before, after in pairwise(groups):
        cuts.append(max(cuts[-1] + 1, (before.t_us + after.t_us) // 2))
    cuts.append(span.end_us)
    if len(groups) < 2 or cuts[-2] >= cuts[-1]:  # the span is too short to cut
        cuts, groups = [span.start_us, span.end_us], groups[:1]
    if not groups:
        return [span]
    return [
        Step(
            start_us=start_us,
            end_us=end_us,
            move=span.move if number == 0 or span.move not in route.TURNS else "straight",
            landmark=templates.fact(narration.landmark),
            action=templates.fact(narration.action),
            undo=templates.fact(narration.undo) if templates.fact(narration.action) else None,
        )
        for number, ((start_us, end_us), narration) in enumerate(
            zip(pairwise(cuts), groups, strict=True)
        )
    ]


def describe_steps(
    describe: templates.Prompt, steps: Sequence[Step], orientation: Orientation, wording: Wording
) -> str:
    """Render the description of a route in one orientation."""
    shown = route.reverse(steps) if orientation == "reverse" else steps
    rendered = [
        {
            "move": step.move,
            "words": wording.moves[step.move],
            "landmark": step.landmark,
            "action": step.action,
        }
        for step in shown
    ]
    return describe.render("text", steps=rendered, orientation=orientation, say=wording.description)
