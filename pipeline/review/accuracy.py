"""Human accuracy on the audited items and the share of flawed ones, with intervals. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.questions.audited import by_item, flaws, key_of
from pipeline.questions.rows import Item
from pipeline.review.agreement import Agreement, nominal
from pipeline.review.rows import Answer


@dataclass(frozen=True)
class Share:
    """A share, with the bounds of its 95 % Wilson interval."""

    hits: int
    total: int
    low: float
    high: float

    def __str__(self) -> str:
        if not self.total:
            return "none of none"
        share = self.hits / self.total
        return f"{self.hits} of {self.total} ({share:.1%}, 95 % interval {self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True)
class Audit:
    """The audit's results: accuracy by task, agreement, and the share of flawed items in the sample.

    `reasons` says by item id why an item is flawed.
    """

    answers: int
    accuracy: dict[str, Share]
    agreement: Agreement | None
    flawed: Share
    reasons: dict[str, str]


def wilson(hits: int, total: int) -> Share:
    """Return a share with its 95 % Wilson score interval; of nothing, the interval is everything."""
    if not total:
        return Share(0, 0, 0.0, 1.0)
    # Takes 0.75 s to import (2026-11-26), and most runs have no answers.
    from scipy.stats import binomtest

    interval = binomtest(hits, total).proportion_ci(confidence_level=0.95, method="wilson")
    return Share(hits, total, float(interval.low), float(interval.high))


def judged(items: Iterable[Item], answers: Sequence[Answer]) -> Audit:
    """Return the audit's results so far."""
    known = {item.item_id: item for item in items}
    given = by_item(known.values(), answers)
    tasks: defaultdict[str, list[bool]] = defaultdict(list)
    shared = []
    for item_id, found in given.items():
        item = known[item_id]
        if item.format == "open":
            continue  # people confirmed a shown answer; they did not answer the question
        tasks[item.task] += [one.choice == key_of(item) for one in found]
        shared += [[one.choice for one in found]] if len(found) >= 2 else []
    reasons = flaws(known.values(), answers)
    return Audit(
        answers=sum(map(len, given.values())),
        accuracy={task: wilson(sum(right), len(right)) for task, right in sorted(tasks.items())},
        agreement=nominal(shared) if shared else None,
        flawed=wilson(len(reasons), len(given)),
        reasons=reasons,
    )


def people(answers: Iterable[Answer]) -> list[Answer]:
    """Return the answers that people gave; a script's accuracy says nothing about people."""
    return [one for one in answers if one.by == "person"]


def accuracy(found: Audit) -> dict[str, dict[str, float]]:
    """Return the accuracy by task and over `all`, with the bounds of the 95 % interval."""
    if not found.answers:
        return {}
    right = sum(share.hits for share in found.accuracy.values())
    shares = {**found.accuracy, "all": wilson(right, found.answers)}
    return {
        name: {
            "right": share.hits,
            "answers": share.total,
            "low": round(share.low, 4),
            "high": round(share.high, 4),
        }
        for name, share in shares.items()
    }


def by_people(items: Iterable[Item], answers: Iterable[Answer]) -> dict[str, tuple[int, int]]:
    """Return by item id how many people answered, and how many of them correctly."""
    known = {item.item_id: item for item in items}
    return {
        item_id: (len(given), sum(one.choice == key_of(known[item_id]) for one in given))
        for item_id, given in by_item(known.values(), people(answers)).items()
    }
