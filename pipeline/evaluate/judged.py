"""What judges make of a model's descriptions: figures by rubric and arm, and agreement of judges. Pure.

Scores are from 0 to 5, averaged over a judge's repeats, then over those of the description. What has no scores
(the judge's reply was unreadable, refused or cut) is in no figure and is counted.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

import numpy as np

from pipeline.evaluate.cells import ALL, Parts, Units
from pipeline.evaluate.intervals import Figure, Floats
from pipeline.evaluate.judge_scores import HIGHEST, SCORES
from pipeline.evaluate.open_rows import Judgement, OpenItem, PeopleScores

MEAN = "mean"
UNCALIBRATED = "uncalibrated"
_CELL = 20  # columns of a terminal


@dataclass(frozen=True)
class JudgedArm:
    """The scores of one arm by one judge and rubric; `scores` has the mean of the three beside its parts.

    `between_repeats` is the mean standard deviation of a description's scores over the judge's repeats.
    """

    items: int
    outcomes: Mapping[str, int]
    coverage: float
    scores: Mapping[str, Parts]
    between_repeats: float | None


def judged_arms(
    items: Sequence[OpenItem], judgements: Iterable[Judgement], units: Units, *, calibrated: bool
) -> dict[str, JudgedArm]:
    """Return the figures of each arm from one judge's judgements by one rubric; `units` are those of `items`."""
    by_arm: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements:
        if one.arm is not None:
            by_arm[one.arm].append(one)
    return {arm: _arm(items, some, units, calibrated) for arm, some in by_arm.items()}


def _arm(
    items: Sequence[OpenItem], some: Sequence[Judgement], units: Units, calibrated: bool
) -> JudgedArm:
    scores = {name: _means(items, some, name) for name in SCORES}
    scores[MEAN] = np.mean(list(scores.values()), axis=0)
    return JudgedArm(
        int((~np.isnan(scores[MEAN])).sum()),
        Counter(one.outcome for one in some),
        sum(one.outcome != "failed" for one in some) / len(some),
        {
            name: _of_five(units.figures(values / HIGHEST), calibrated)
            for name, values in scores.items()
        },
        _spread(some),
    )


def _means(items: Sequence[OpenItem], some: Iterable[Judgement], name: str) -> Floats:
    repeats: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in some:
        value = getattr(one, name)
        if value is not None:
            repeats[one.id][one.repeat].append(value)
    found = [
        fmean(map(fmean, repeats[item.id].values())) if item.id in repeats else np.nan
        for item in items
    ]
    return np.array(found, np.float64)


def _of_five(parts: Parts, calibrated: bool) -> Parts:
    return {
        name: {label: _scaled(one, calibrated) for label, one in cells.items()}
        for name, cells in parts.items()
    }


def _scaled(figure: Figure, calibrated: bool) -> Figure:
    value, low, high = (
        None if one is None else one * HIGHEST for one in (figure.value, figure.low, figure.high)
    )
    note = figure.note if calibrated or value is None else UNCALIBRATED
    return replace(figure, value=value, low=low, high=high, note=note)


def _spread(some: Iterable[Judgement]) -> float | None:
    totals: dict[Hashable, list[float]] = defaultdict(list)
    for one in some:
        if one.outcome == "scored":
            totals[one.id, one.repeat].append(fmean(getattr(one, name) for name in SCORES))
    spreads = [pstdev(given) for given in totals.values() if len(given) > 1]
    return fmean(spreads) if spreads else None


# ---- agreement -----------------------------------------------------------------------------------

Key = tuple[str, str, int]
"""A description: its item, its arm, its repeat."""


def typical(judgements: Iterable[Judgement]) -> dict[Key, dict[str, int]]:
    """Return for each description its scores as whole numbers: the means over the repeats, rounded."""
    given: dict[Key, list[Judgement]] = defaultdict(list)
    for one in judgements:
        if one.arm is not None and one.outcome in ("scored", "empty"):
            given[one.id, one.arm, one.repeat].append(one)
    return {key: _rounded(some) for key, some in given.items()}


def by_people(rows: Iterable[PeopleScores]) -> dict[Key, dict[str, int]]:
    """Return for each description its scores by people as whole numbers: the means over people, rounded."""
    given: dict[Key, list[PeopleScores]] = defaultdict(list)
    for one in rows:
        if one.by == "person":
            given[one.id, one.arm, one.repeat].append(one)
    return {key: _rounded(some) for key, some in given.items()}


def _rounded(some: Sequence[Judgement] | Sequence[PeopleScores]) -> dict[str, int]:
    return {name: int(fmean(getattr(one, name) for one in some) + 0.5) for name in SCORES}


@dataclass(frozen=True)
class ScoreAgreement:
    """Quadratically weighted kappa of two raters by score, on the descriptions that both scored.

    None where it isn't defined: nothing in common, or both give everything the same score.
    """

    descriptions: int
    kappa: Mapping[str, float | None]

    def __str__(self) -> str:
        parts = (
            f"{name} {'-' if kappa is None else f'{kappa:.2f}'}"
            for name, kappa in self.kappa.items()
        )
        return f"weighted kappa: {', '.join(parts)} ({self.descriptions} descriptions)"


def score_agreement(
    one: Mapping[Key, Mapping[str, int]], other: Mapping[Key, Mapping[str, int]]
) -> ScoreAgreement:
    """Return how far two raters agree."""
    shared = sorted(one.keys() & other.keys())
    return ScoreAgreement(
        len(shared),
        {
            name: _kappa([one[key][name] for key in shared], [other[key][name] for key in shared])
            for name in SCORES
        },
    )


def _kappa(one: Sequence[int], other: Sequence[int]) -> float | None:
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    if len({*one, *other}) < 2:
        return None
    labels = list(range(HIGHEST + 1))
    return float(cohen_kappa_score(one, other, weights="quadratic", labels=labels))


def arm_lines(name: str, arms: Mapping[str, JudgedArm], *, calibrated: bool) -> Iterator[str]:
    """Yield the scores of one judge by one rubric as lines; `name` tells which."""
    mark = "" if calibrated else f" ({UNCALIBRATED})"
    yield f"{name}: scores from 0 to {HIGHEST}{mark}"
    yield f"  {'':<18}" + "".join(f"{score:<{_CELL}}" for score in (*SCORES, MEAN)).rstrip()
    for arm, found in arms.items():
        cells = (_cell(parts[ALL][ALL]) for parts in found.scores.values())
        yield f"  {arm:<18}" + "".join(f"{cell:<{_CELL}}" for cell in cells).rstrip()
        without = {
            kind: count
            for kind, count in sorted(found.outcomes.items())
            if kind not in ("scored", "empty")
        }
        if without:
            counts = ", ".join(f"{count} {kind}" for kind, count in without.items())
            yield f"  {arm}: judgements without scores: {counts}"


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    within = "" if figure.low is None else f" [{figure.low:.2f}, {figure.high:.2f}]"
    return f"{figure.value:.2f}{within}"
