"""What people have in common: which facts two of them must share, how often they do, and who only clicks.

Spans and prose are never compared: two people write them differently and both are right. Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.review.facts import FACTS, Facts
from pipeline.review.rows import MISSED, Verdict
from pipeline.routes.rows import Category, Step

_KNOWN = ("real", "gold")  # kinds of verdicts that a known truth can be held against


@dataclass(frozen=True)
class Agreement:
    """How well people agree on one category over the clips that at least two have judged.

    `percent` is the share of pairs of people that agree. `alpha` is Krippendorff's for nominal
    values: 1 perfect, 0 chance, None where all values are the same.
    """

    clips: int
    percent: float
    alpha: float | None

    def __str__(self) -> str:
        alpha = "all the same" if self.alpha is None else f"alpha {self.alpha:.2f}"
        return f"{self.percent:.0%} over {self.clips}, {alpha}"


@dataclass(frozen=True)
class Annotator:
    """What one person has done.

    `planted` and `caught` count drafts with an error put in on purpose; `gold` and `right` count
    clips whose true route is known, and those where this person's facts are the true ones.
    """

    verdicts: int
    median_seconds: float
    planted: int
    caught: int
    gold: int
    right: int
    scripted: bool

    def __str__(self) -> str:
        parts = ["a script, no person"] if self.scripted else []
        parts += [f"{self.verdicts} verdicts", f"median {self.median_seconds:.0f} s"]
        if self.planted:
            parts.append(f"caught {self.caught} of {self.planted} planted errors")
        if self.gold:
            parts.append(f"right on {self.right} of {self.gold} gold clips")
        return ", ".join(parts)


def counting(verdicts: Iterable[Verdict], fingerprint: str) -> list[Verdict]:
    """Return the newest verdict of each person on exactly this draft, newest first, no skips."""
    newest: dict[str, Verdict] = {}
    for one in sorted(verdicts, key=lambda one: (one.created_us, one.annotation_id)):
        if one.fingerprint == fingerprint and one.kind == "real" and one.verdict != "skip":
            newest.pop(one.annotator, None)
            newest[one.annotator] = one
    return list(newest.values())[::-1]


def ruling(verdicts: Iterable[Verdict], fingerprint: str) -> Verdict | None:
    """Return the newest adjudication of this draft by somebody who had not judged it before."""
    known = list(verdicts)
    judges = {one.annotator for one in counting(known, fingerprint)}
    rulings = [
        one
        for one in known
        if one.kind == "adjudication"
        and one.fingerprint == fingerprint
        and one.verdict != "skip"
        and one.annotator not in judges
    ]
    return max(rulings, key=lambda one: (one.created_us, one.annotation_id), default=None)


def agreement(verdicts: Sequence[Verdict], facts: Facts = FACTS) -> dict[Category, Agreement]:
    """Return the agreement by category; a rejection is a value like any other."""
    shared = _shared(verdicts)
    if not shared:
        return {}
    return {
        category: nominal([_values(found, fact) for found in shared])
        for category, fact in facts.items()
    }


def differing(verdicts: Sequence[Verdict], facts: Facts = FACTS) -> dict[Category, list[str]]:
    """Return by category the clips whose judges don't all say the same."""
    shared = _shared(verdicts)
    return {
        category: sorted(
            {found[0].clip_id for found in shared if len(set(_values(found, fact))) > 1}
        )
        for category, fact in facts.items()
    }


def _shared(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """Return the verdicts of each draft that two people or more have judged."""
    drafts: defaultdict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        drafts[one.fingerprint].append(one)
    judged = [counting(found, fingerprint) for fingerprint, found in drafts.items()]
    return [found for found in judged if len(found) >= 2]


def _values(found: Iterable[Verdict], fact: Callable[[Sequence[Step]], Hashable]) -> list[Hashable]:
    return ["reject" if one.verdict == "reject" else fact(one.steps) for one in found]


def nominal(units: Sequence[Sequence[Hashable]]) -> Agreement:
    """Count pairs within units (observed) against pairs over all units (expected).

    Every unit holds the values of two people at least, and there is at least one unit.
    """
    totals: Counter[Hashable] = Counter()
    apart = observed = pairs = 0.0
    for values in units:
        counts, size = Counter(values), len(values)
        totals += counts
        differing = size * size - sum(count * count for count in counts.values())
        apart += differing
        observed += differing / (size - 1)
        pairs += size * (size - 1)
    everything = sum(totals.values())
    expected = everything**2 - sum(count * count for count in totals.values())
    alpha = 1 - (everything - 1) * observed / expected if expected else None
    return Agreement(len(units), 1 - apart / pairs, alpha)


def annotators(
    verdicts: Iterable[Verdict],
    gold: Mapping[str, Sequence[Step]] | None = None,
    facts: Facts = FACTS,
) -> dict[str, Annotator]:
    """Return what each pseudonym has done, skips aside.

    A planted error is caught by a rejection or by a correction of the turns: whoever leaves it did not look.
    """
    people: defaultdict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        if one.verdict != "skip":
            people[one.annotator].append(one)
    found = {}
    for name, done in sorted(people.items()):
        planted = [one for one in done if one.kind == "planted"]
        known = [one for one in done if one.kind in _KNOWN and one.clip_id in (gold or {})]
        found[name] = Annotator(
            verdicts=len(done),
            median_seconds=median(one.seconds for one in done),
            planted=len(planted),
            caught=sum(one.verdict != "accept" and MISSED not in one.reasons for one in planted),
            gold=len(known),
            right=sum(_is_true(one, (gold or {})[one.clip_id], facts) for one in known),
            scripted=done[0].by == "script",
        )
    return found


def _is_true(one: Verdict, truth: Sequence[Step], facts: Facts) -> bool:
    return one.verdict != "reject" and facts["route"](one.steps) == facts["route"](truth)


def doubted(
    people: Mapping[str, Annotator], min_caught: float, min_right: float, min_known: int
) -> frozenset[str]:
    """Return whose verdicts don't count: who catches too few planted errors, or misses gold clips.

    Nobody is judged by fewer than `min_known` tasks of a sort.
    """
    return frozenset(
        name
        for name, one in people.items()
        if (one.planted >= min_known and one.caught < min_caught * one.planted)
        or (one.gold >= min_known and one.right < min_right * one.gold)
    )


def short_of_people(verdicts: Iterable[Verdict], agree: int) -> str | None:
    """Return what to do where fewer people have judged than must say the same, else None."""
    judges = {one.annotator for one in verdicts if one.verdict != "skip"}
    if not 0 < len(judges) < agree:
        return None
    have = "one person has" if len(judges) == 1 else f"{len(judges)} people have"
    return (
        f"{have} judged, and {agree} must say the same to verify a route: egost label-studio "
        "invite NAME; if you work alone, set review.agree = 1 and review.overlap = 1"
    )
