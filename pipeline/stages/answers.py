"""What the audit's answers say: which items are flawed, how well people do, how sure that is. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from pipeline.questions.rows import Item
from pipeline.review.rows import Answer
from pipeline.stages.agreement import Agreement, nominal

_TWO = 2  # people who have to answer what a model wrote before it counts as verified
_Z = 1.959964  # 95 % of a normal distribution lie within so many standard deviations


@dataclass(frozen=True)
class Share:
    """So many of so many, with the bounds of the 95 % Wilson interval."""

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
    """What the answers say: accuracy by task, agreement, the share of flawed items, as sampled."""

    answers: int
    accuracy: dict[str, Share]
    agreement: Agreement | None
    flawed: Share
    reasons: dict[str, str]


def wilson(hits: int, total: int) -> Share:
    """Return a share with its 95 % Wilson score interval; of nothing, the interval is everything."""
    if not total:
        return Share(0, 0, 0.0, 1.0)
    share, spread = hits / total, _Z * _Z / total
    centre = (share + spread / 2) / (1 + spread)
    half = sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return Share(hits, total, max(0.0, centre - half), min(1.0, centre + half))


def by_item(items: Iterable[Item], answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """Return the answers that count, by item: those to the question as it stands, one a person."""
    wanted = {item.item_id: item.fingerprint for item in items}
    found: defaultdict[str, dict[str, Answer]] = defaultdict(dict)
    for one in sorted(answers, key=lambda one: (one.created_us, one.annotation_id)):
        if wanted.get(one.item_id) == one.fingerprint:
            found[one.item_id][one.annotator] = one
    return {item_id: list(given.values()) for item_id, given in found.items()}


def key_of(item: Item) -> str:
    """Return the choice that says what the item's key says; an open item's answer is shown as choice 0."""
    return str(item.answer_index or 0)


def flaw(key: str, answers: Sequence[Answer]) -> str | None:
    """Return what is wrong with an item: most people say so, those who can't tell aside."""
    said = Counter(one.choice for one in answers if one.choice != "unsure")
    most, count = max(said.items(), key=lambda one: one[1], default=("", 0))
    if 2 * count <= said.total() or most == key:
        return None
    whom = f"{count} of {said.total()} in the audit"
    if most == "none":
        return f"no option is right, say {whom}"
    if most == "many":
        return f"more than one option is right, say {whom}"
    return f"another option is right, say {whom}"


def flaws(items: Iterable[Item], answers: Sequence[Answer]) -> dict[str, str]:
    """Return why each flawed item is flawed, by item."""
    if not answers:
        return {}
    known = list(items)
    given = by_item(known, answers)
    found = {one.item_id: flaw(key_of(one), given.get(one.item_id, ())) for one in known}
    return {item_id: reason for item_id, reason in found.items() if reason}


def confirmed(items: Iterable[Item], answers: Sequence[Answer]) -> set[str]:
    """Return the items that a model wrote and that two people, and most of all, answered by the key."""
    known = list(items)
    keys = {item.item_id: key_of(item) for item in known if item.option_kind == "model"}
    found = set()
    for item_id, given in by_item(known, answers).items():
        right = sum(one.choice == keys.get(item_id) for one in given)
        if right >= _TWO and 2 * right > len(given):
            found.add(item_id)
    return found


def flawed_clips(items: Iterable[Item], answers: Sequence[Answer]) -> dict[str, int]:
    """Return the clips with a flawed item, and when the newest answer about it was given."""
    known = {item.item_id: item for item in items}
    found: Counter[str] = Counter()
    given = by_item(known.values(), answers)
    for item_id in flaws(known.values(), answers):
        clip_id = known[item_id].clip_id
        found[clip_id] = max(found[clip_id], *(one.created_us for one in given[item_id]))
    return found


def judged(items: Iterable[Item], answers: Sequence[Answer]) -> Audit:
    """Return what the audit says so far."""
    known = {item.item_id: item for item in items}
    given = by_item(known.values(), answers)
    tasks: defaultdict[str, list[bool]] = defaultdict(list)
    shared = []
    for item_id, found in given.items():
        item = known[item_id]
        if item.format == "open":
            continue  # who sees the answer and finds it right has not answered the question
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
    """Return the answers of persons: how well a script does says nothing about people."""
    return [one for one in answers if one.by == "person"]


def accuracy(found: Audit) -> dict[str, dict[str, float]]:
    """Return how well people answer, by task and of `all`, with the bounds of the 95 % interval."""
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
    """Return by item how many people answered it, and how many of them rightly."""
    known = {item.item_id: item for item in items}
    return {
        item_id: (len(given), sum(one.choice == key_of(known[item_id]) for one in given))
        for item_id, given in by_item(known.values(), people(answers)).items()
    }


def pairs_set_aside(items: Sequence[Item], reasons: Mapping[str, str]) -> dict[str, str]:
    """Return why each item leaves: a flawed one, and with it the other half of its pair."""
    flawed = {(item.clip_id, item.category): item for item in items if item.item_id in reasons}
    found = {}
    for item in items:
        cause = flawed.get((item.clip_id, item.category))
        if cause:
            own = reasons.get(item.item_id)
            found[item.item_id] = own or f"its other half, {cause.task}: {reasons[cause.item_id]}"
    return found
