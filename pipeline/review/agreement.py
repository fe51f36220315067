"""How well people agree, by category, and how well each annotator catches errors.

Spans and prose are never compared: two people word them differently and both are right. Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pipeline.review.facts import Facts
from pipeline.review.rows import MISSED, Verdict
from pipeline.routes.rows import Category, Step

_KNOWN = ("real", "gold")  # the kinds of verdicts that are compared with a known truth


@dataclass(frozen=True)
class Agreement:
    """Inter-annotator agreement on one category, over the clips that at least two people have judged.

    `percent` is the share of pairs of people who agree. `alpha` is Krippendorff's alpha for nominal
    values: 1 is perfect, 0 is chance, None if all values are the same.
    """

    clips: int
    percent: float
    alpha: float | None

    def __str__(self) -> str:
        alpha = "alpha undefined" if self.alpha is None else f"alpha {self.alpha:.2f}"
        return f"{self.percent:.0%} (n = {self.clips}, {alpha})"


@dataclass(frozen=True)
class Annotator:
    """What one annotator has done.

    `planted` counts drafts with a planted error and `caught` those where the annotator caught it;
    `gold` counts clips whose true route is known and `right` those where the annotator's facts match.
    """

    verdicts: int
    median_seconds: float
    planted: int
    caught: int
    gold: int
    right: int
    scripted: bool

    def __str__(self) -> str:
        parts = ["a script, not a person"] if self.scripted else []
        parts += [f"{self.verdicts} verdicts", f"median {self.median_seconds:.0f} s"]
        if self.planted:
            parts.append(f"caught {self.caught} of {self.planted} planted errors")
        if self.gold:
            parts.append(f"right on {self.right} of {self.gold} gold clips")
        return ", ".join(parts)


def latest(verdicts: Iterable[Verdict], fingerprint: str) -> list[Verdict]:
    """Return each person's newest verdict on exactly this draft, newest first, without skips."""
    newest: dict[str, Verdict] = {}
    for one in sorted(verdicts, key=lambda one: (one.created_us, one.annotation_id)):
        if one.fingerprint == fingerprint and one.kind == "real" and one.verdict != "skip":
            newest.pop(one.annotator, None)
            newest[one.annotator] = one
    return list(newest.values())[::-1]


def ruling(verdicts: Iterable[Verdict], fingerprint: str) -> Verdict | None:
    """Return the newest adjudication of this draft by a person who has not judged it otherwise."""
    known = list(verdicts)
    judges = {one.annotator for one in latest(known, fingerprint)}
    rulings = [
        one
        for one in known
        if one.kind == "adjudication"
        and one.fingerprint == fingerprint
        and one.verdict != "skip"
        and one.annotator not in judges
    ]
    return max(rulings, key=lambda one: (one.created_us, one.annotation_id), default=None)


def agreement(verdicts: Sequence[Verdict], facts: Facts) -> dict[Category, Agreement]:
    """Return the agreement by category; a rejection counts as a value."""
    shared = _shared(verdicts)
    if not shared:
        return {}
    # A clip that was drafted again after people judged it has two drafts here, and is one clip.
    clips = len({found[0].clip_id for found in shared})
    return {
        category: replace(nominal([_values(found, fact) for found in shared]), clips=clips)
        for category, fact in facts.items()
    }


def differing(verdicts: Sequence[Verdict], facts: Facts) -> dict[Category, list[str]]:
    """Return by category the ids of the clips on which people disagree."""
    shared = _shared(verdicts)
    return {
        category: sorted(
            {found[0].clip_id for found in shared if len(set(_values(found, fact))) > 1}
        )
        for category, fact in facts.items()
    }


def _shared(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """Return the verdicts on each draft that at least two people have judged."""
    drafts: defaultdict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        drafts[one.fingerprint].append(one)
    judged = [latest(found, fingerprint) for fingerprint, found in drafts.items()]
    return [found for found in judged if len(found) >= 2]


def _values(found: Iterable[Verdict], fact: Callable[[Sequence[Step]], Hashable]) -> list[Hashable]:
    return ["reject" if one.verdict == "reject" else fact(one.steps) for one in found]


def nominal(units: Sequence[Sequence[Hashable]]) -> Agreement:
    """Return agreement and Krippendorff's alpha: pairs within units against pairs over all units.

    There is at least one unit, and each holds the values of at least two people.
    """
    totals: Counter[Hashable] = Counter()
    disagreeing = observed = pairs = 0.0
    for values in units:
        counts, size = Counter(values), len(values)
        totals += counts
        differing = size * size - sum(count * count for count in counts.values())
        disagreeing += differing
        observed += differing / (size - 1)
        pairs += size * (size - 1)
    everything = sum(totals.values())
    expected = everything**2 - sum(count * count for count in totals.values())
    alpha = 1 - (everything - 1) * observed / expected if expected else None
    return Agreement(len(units), 1 - disagreeing / pairs, alpha)


def annotators(
    verdicts: Iterable[Verdict], gold: Mapping[str, Sequence[Step]], facts: Facts
) -> dict[str, Annotator]:
    """Return what each pseudonym has done, without skips.

    A planted error is caught by rejecting the clip or by correcting the turns.
    """
    people: defaultdict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        if one.verdict != "skip":
            people[one.annotator].append(one)
    found = {}
    for name, done in sorted(people.items()):
        planted = [one for one in done if one.kind == "planted"]
        known = [one for one in done if one.kind in _KNOWN and one.clip_id in gold]
        found[name] = Annotator(
            verdicts=len(done),
            median_seconds=median(one.seconds for one in done),
            planted=len(planted),
            caught=sum(one.verdict != "accept" and MISSED not in one.reasons for one in planted),
            gold=len(known),
            right=sum(_is_true(one, gold[one.clip_id], facts) for one in known),
            scripted=done[0].by == "script",
        )
    return found


def _is_true(one: Verdict, truth: Sequence[Step], facts: Facts) -> bool:
    return one.verdict != "reject" and facts["route"](one.steps) == facts["route"](truth)


def excluded(
    people: Mapping[str, Annotator], min_caught: float, min_right: float, min_known: int
) -> frozenset[str]:
    """Return the annotators whose verdicts don't count: too few planted errors caught or gold clips right.

    A limit applies from `min_known` planted tasks or gold clips on.
    """
    return frozenset(
        name
        for name, one in people.items()
        if (one.planted >= min_known and one.caught < min_caught * one.planted)
        or (one.gold >= min_known and one.right < min_right * one.gold)
    )


def too_few_people(verdicts: Iterable[Verdict], agree: int) -> str | None:
    """Return advice if fewer people have judged than must agree, else None."""
    judges = {one.annotator for one in verdicts if one.verdict != "skip"}
    if not 0 < len(judges) < agree:
        return None
    have = "one person has" if len(judges) == 1 else f"{len(judges)} people have"
    return (
        f"only {have} judged, but {agree} must agree to verify a route: invite more people (egost "
        "label-studio invite NAME); if you work alone, set review.agree = 1 and review.overlap = 1"
    )
