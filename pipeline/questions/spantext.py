"""The part of a route that items ask about, and what its names tell about sides and about rules of order. Pure."""

from collections import Counter
from dataclasses import dataclass

from pipeline.blind.memory import Clue
from pipeline.questions.names import manners
from pipeline.routes.rows import Step
from pipeline.routes.tasks import plain

_BUCKET_US = 5_000_000  # spans about as long as one another


@dataclass(frozen=True, slots=True)
class SpanText:
    """The part of a route that items ask about: the steps that lie wholly inside the span."""

    span_id: str
    steps: tuple[Step, ...]


def context(span: SpanText) -> tuple[tuple[Clue, ...], ...]:
    """Return what may tell about the sides of turns in a span: its names, its length, how much happens, and its words with its length."""
    names = all_names(span)
    found = [("turn near", name) for name in names]
    if not span.steps:
        return (tuple(found),)
    length = f"length {(span.steps[-1].end_us - span.steps[0].start_us) // _BUCKET_US}"
    # Long walks may turn one way in one kind of place (or language), and the other way in another.
    words = dict.fromkeys(word for name in names for word in name.split())
    both = (("turn near", length, word) for word in words)
    counts = [
        f"{sum(map(bool, some))} {what}"
        for what, some in (
            ("turns", [step.move in ("left", "right") for step in span.steps]),
            ("landmarks", [step.landmark for step in span.steps]),
            ("actions", [step.action for step in span.steps]),
        )
    ]
    numbers = (("turn near", one) for one in counts)
    return tuple(found), (("turn near", length),), tuple(numbers), tuple(both)


def near(span: SpanText) -> list[tuple[Clue, ...]]:
    """Return, for each kind of order and each of `names.RANKS`, what may tell whether it rises in a span."""
    names = dict.fromkeys(all_names(span))
    return [clues for kind in ("landmark", "action") for clues in manners(kind, names)]


def all_names(span: SpanText) -> list[str]:
    """Return the landmarks and actions of a span in order."""
    return [plain(name) for step in span.steps for name in (step.landmark, step.action) if name]


def mentions(span: SpanText) -> Counter[str]:
    """Return in how many steps each name occurs, as an action or as what undoes it."""
    said = ({plain(text) for text in (step.action, step.undo) if text} for step in span.steps)
    return Counter(name for names in said for name in names)
