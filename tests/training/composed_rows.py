"""Training rows of composed questions, without files: the worlds of `tests/worlds.py`, in both languages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import worlds
from worlds import bench

from pipeline.questions.composition import AskedPair, SpanToAsk
from pipeline.questions.rows import AskedFact
from pipeline.routes import templates
from pipeline.routes.motion_draft import describe_steps
from pipeline.routes.rows import Orientation, Step
from pipeline.training.rows import Happening, Made, TrainingRow

MADE: tuple[Made, ...] = ("released", "rewound", "mirrored")
_FLIPPED = {"left": "right", "right": "left", "around": "around"}


def composed(
    world: str,
    clips: int,
    seed: int = 0,
    language: str = "en",
    made: Sequence[Made] = MADE,
    names: Mapping[str, str] | None = None,
) -> Iterator[TrainingRow]:
    """Yield the rows of a world: each question with released, rewound and mirrored frames, then descriptions.

    `names` replace landmarks and actions, such as by those of another language.
    """
    known = names or {}
    lines = [
        {
            **line,
            "language": language,
            "steps": [
                [seconds, move, *(known.get(name, name) for name in said)]
                for seconds, move, *said in line["steps"]
            ],
        }
        for line in worlds.routes(world, clips, seed)
    ]
    whole = bench().compose(lines, seed, mirror=True)
    for span in whole.spans:
        for pair in whole.composition.questions(span):
            for orientation in pair.questions:
                yield from _rows(span, pair, orientation, made)
        for orientation in ("forward", "reverse"):
            yield described(span, orientation)


def happenings(steps: Sequence[Step], start_us: int) -> list[Happening]:
    """Return what happens in steps, in time order; of one step first the landmark, then the turn, then the action."""
    found = []
    for step in steps:
        when = {"start": (step.start_us - start_us) / 1e6, "end": (step.end_us - start_us) / 1e6}
        if step.landmark:
            found.append(Happening(kind="landmark", what=step.landmark, **when))
        if step.move in _FLIPPED:
            found.append(Happening(kind="turn", what=step.move, **when))
        if step.action:
            found.append(Happening(kind="action", what=step.action, undo=step.undo, **when))
    return found


def shown(happened: Sequence[Happening], made: Made, seconds: float) -> list[Happening]:
    """Return what happens as the frames of this kind show it."""
    if made == "released":
        return list(happened)
    flipped = [
        one.model_copy(update={"what": _FLIPPED[one.what]}) if one.kind == "turn" else one
        for one in happened
    ]
    if made == "mirrored":
        return flipped
    return [
        one.model_copy(
            update={"start": round(seconds - one.end, 6), "end": round(seconds - one.start, 6)}
        )
        for one in reversed(flipped)
    ]


def _rows(
    span: SpanToAsk, pair: AskedPair, orientation: Orientation, made: Sequence[Made]
) -> Iterator[TrainingRow]:
    question, facts = pair.questions[orientation], pair.facts(orientation)
    seconds = (span.end_us - span.start_us) / 1e6
    happened = happenings(span.steps, span.start_us)
    for kind in made:
        right = question.answer_index if kind == "released" else option_true_of(facts, kind)
        if right is None:
            continue
        item = pair.item_ids[orientation]
        yield TrainingRow(
            **_common(span),
            id=item if kind == "released" else f"{item}-{kind}",
            item=item,
            made=kind,
            question_type=question.task,
            category=pair.pair.category,
            orientation=orientation,
            contrast=pair.pair.contrast,
            format="mcq",
            question=question.question,
            options=list(question.options),
            answer="ABCD"[right],
            answer_text=question.options[right],
            facts=facts,
            happenings=shown(happened, kind, seconds),
        )


def option_true_of(facts: Sequence[AskedFact], way: Literal["rewound", "mirrored"]) -> int | None:
    """Return the option that is true of other frames by each fact's own map; None if it is about other facts."""
    true = dict(getattr(fact, way).rpartition("=")[::2] for fact in facts)
    if true.keys() != {fact.name for fact in facts}:
        return None
    (right,) = (
        at
        for at in range(len(facts[0].values))
        if all(fact.values[at] == true[fact.name] for fact in facts)
    )
    return right


def described(span: SpanToAsk, orientation: Orientation) -> TrainingRow:
    """Return the row of a span's description."""
    words = span.route.wording
    return TrainingRow(
        **_common(span),
        id=f"{span.span_id}-{orientation}",
        item=f"{span.span_id}-{orientation}",
        made="released",
        question_type=f"route_{orientation}",
        category="route",
        orientation=orientation,
        contrast=None,
        format="open",
        question=words.stems[f"route_{orientation}"][0],
        options=[],
        answer=None,
        answer_text=describe_steps(templates.load("describe.j2"), span.steps, orientation, words),
        facts=[],
        happenings=happenings(span.steps, span.start_us),
    )


def _common(span: SpanToAsk) -> dict[str, Any]:
    return {
        "language": span.route.wording.language,
        "split_group": span.route.scene,
        "video": span.span_id,
        "seconds": (span.end_us - span.start_us) / 1e6,
        "frames": [],
        "frame_seconds": [],
        "think": None,
        "think_source": "none",
    }
