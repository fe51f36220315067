"""Human accuracy on the audited items and the share of flawed ones, with intervals. Pure."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist

from pipeline.questions.audited import by_item, flaws, key_of
from pipeline.questions.rows import Item
from pipeline.review.agreement import Agreement, nominal
from pipeline.review.rows import Answer

_Z = NormalDist().inv_cdf(0.975)


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
    """The audit's results: accuracy on multiple-choice items, agreement, and the share of flawed items.

    `accuracy` is by task, `overall` over all of them. `flawed` counts the items that somebody could tell
    about; `reasons` says by item id why an item is flawed, and `doubted` holds the ids of those that only
    one person found flawed, which is not enough to set them aside.
    """

    answers: int
    accuracy: dict[str, Share]
    overall: Share
    agreement: Agreement | None
    flawed: Share
    reasons: dict[str, str]
    doubted: frozenset[str] = field(default_factory=frozenset)


def wilson(hits: int, total: int, size: float | None = None) -> Share:
    """Return a share with its 95 % Wilson score interval; of nothing, the interval is everything.

    `size` is the effective sample size; without it, all `total` observations are independent.
    """
    if not total:
        return Share(0, 0, 0.0, 1.0)
    share, count = hits / total, total if size is None else size
    middle = share + _Z**2 / (2 * count)
    reach = _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    low, high = ((middle + way * reach) / (1 + _Z**2 / count) for way in (-1, 1))
    # Rounding may put a bound of 0 or 1 on the wrong side of the share.
    return Share(hits, total, max(min(low, share), 0.0), min(max(high, share), 1.0))


def clustered(hits: Mapping[Hashable, Sequence[bool]]) -> Share:
    """Return the share of hits with its interval at the effective sample size; `hits` are by clip.

    That size is the number of observations over the design effect: their variance as a sample of clips
    over that of as many independent observations (Kish 1965), at least 1. Where all are alike it can't be
    estimated and is taken as 1, as in the NCHS presentation standards for proportions (2017); of a single
    clip whose observations differ, nothing is known about other clips, so they count as one.
    """
    counts = [(sum(found), len(found)) for found in hits.values() if found]
    right, total = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    if right in (0, total):
        return wilson(right, total)
    share, clips = right / total, len(counts)
    if clips == 1:
        return wilson(right, total, 1)
    spread = sum((found - share * count) ** 2 for found, count in counts) / total**2
    variance = spread * clips / (clips - 1)
    independent = share * (1 - share) / total
    return wilson(right, total, total / max(1.0, variance / independent))


def judged(items: Iterable[Item], answers: Sequence[Answer]) -> Audit:
    """Return the results of these answers to these items."""
    known = {item.item_id: item for item in items}
    given = by_item(known.values(), answers)
    tasks: defaultdict[str, defaultdict[Hashable, list[bool]]] = defaultdict(
        lambda: defaultdict(list)
    )
    overall: defaultdict[Hashable, list[bool]] = defaultdict(list)
    shared = []
    for item_id, found in given.items():
        item = known[item_id]
        if item.format == "open":
            continue  # people confirmed a shown answer; they did not answer the question
        right = [one.choice == key_of(item) for one in found]
        tasks[item.task][item.clip_id] += right
        overall[item.clip_id] += right
        shared += [[one.choice for one in found]] if len(found) >= 2 else []
    reasons = flaws(known.values(), answers, least=1)
    told: defaultdict[Hashable, list[bool]] = defaultdict(list)
    for item_id, found in given.items():
        if any(one.choice != "unsure" for one in found):
            told[known[item_id].clip_id].append(item_id in reasons)
    return Audit(
        answers=sum(map(len, given.values())),
        accuracy={task: clustered(right) for task, right in sorted(tasks.items())},
        overall=clustered(overall),
        agreement=nominal(shared) if shared else None,
        flawed=clustered(told),
        reasons=reasons,
        doubted=frozenset(reasons.keys() - flaws(known.values(), answers).keys()),
    )


def people(answers: Iterable[Answer]) -> list[Answer]:
    """Return the answers that people gave; a script's accuracy says nothing about people."""
    return [one for one in answers if one.by == "person"]


def accuracy(found: Audit) -> dict[str, dict[str, float]]:
    """Return the accuracy by task and over `all`, with the bounds of the 95 % interval."""
    if not found.overall.total:
        return {}
    return {
        name: {
            "right": share.hits,
            "answers": share.total,
            "low": round(share.low, 4),
            "high": round(share.high, 4),
        }
        for name, share in {**found.accuracy, "all": found.overall}.items()
    }


def by_people(items: Iterable[Item], answers: Iterable[Answer]) -> dict[str, tuple[int, int]]:
    """Return by multiple-choice item how many people answered, and how many of them correctly."""
    known = {item.item_id: item for item in items if item.format == "mcq"}
    return {
        item_id: (len(given), sum(one.choice == key_of(known[item_id]) for one in given))
        for item_id, given in by_item(known.values(), people(answers)).items()
    }
