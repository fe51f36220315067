"""The metrics of a model on a release, arm by arm. Pure.

    summarise(questions, scored)  ->  Metrics: the figures of each arm, and what the arms differ in

Repeats of an item are averaged first, so an item is one observation however often it was asked. Failed
requests are missing data: they are in no numerator and no denominator, and every arm has its coverage and
the bounds that its accuracy would have if all of them were wrong, or right.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from statistics import stdev
from string import ascii_uppercase
from typing import Any

import numpy as np

from pipeline.evaluate.arrays import Answers, ItemTable
from pipeline.evaluate.cells import Parts, Units
from pipeline.evaluate.intervals import LEAST_GROUPS, Figure, Floats, difference, goodness
from pipeline.evaluate.paired import Agreement, Gain, Reversed, agreements, gains, reversal, rotated
from pipeline.evaluate.reasons import stated
from pipeline.evaluate.scoring import Question, Scored

MAIN = "frames"
"""The arm whose predictions are wanted of every item."""
NO_FACTS = (
    "figures of pairs, facts, errors and reversed frames are omitted: the items come without facts"
)
LEAST_COVERAGE = 0.99


class Covered:
    """Something of which a share of the requests, its `coverage`, has a reply."""

    coverage: float

    @property
    def complete(self) -> bool:
        """Whether so many requests have a reply that the figures can stand."""
        return self.coverage >= LEAST_COVERAGE


@dataclass(frozen=True)
class Letters:
    """How often each letter was answered and is the answer, on the same items.

    `excess` is the difference; a position bias is one whose interval excludes 0. `p` is that of Pearson's
    test against the answers' distribution, with items as independent.
    """

    answered: Mapping[str, float]
    answers: Mapping[str, int]
    excess: Mapping[str, Figure]
    p: float | None


@dataclass(frozen=True)
class Errors:
    """Wrong answers by what they get wrong, as shares of the items that ask about it (not failed).

    A mirror error has the sides of all turns wrong and nothing else, an order error all orders and nothing
    else. Of wrong answers at random, a third are of each kind that the item allows.
    """

    mirror: Parts
    order: Parts
    mirror_of_wrong: Figure
    order_of_wrong: Figure


@dataclass(frozen=True)
class Reasons:
    """What the stated reasoning says of the facts: shares of the facts of answered items.

    A fact is stated if the text has the words of exactly one of its values; `agrees` compares that with the
    chosen option, `true` with the answer.
    """

    stated: Figure
    agrees: Figure
    true: Figure


@dataclass(frozen=True)
class Usage:
    """Tokens, cost and time of an arm's requests; `unknown` counts those without reported tokens."""

    input_tokens: int
    output_tokens: int
    cost_usd: float
    unknown: int
    median_seconds: float | None


@dataclass(frozen=True)
class ArmMetrics:
    """The figures of one arm. What the release has no data for, or what is withheld, is empty or None.

    `outcomes` counts predictions, `missing` the items without any (of the main arm). `readable` is the accuracy over
    readable replies. `facts` are shares of facts, `pairs` of twins with both items right. `runs` holds the
    accuracy of each repeat and `between_runs` their standard deviation.
    """

    items: int
    outcomes: Mapping[str, int]
    missing: int
    coverage: float
    bounds: tuple[float, float] | None
    accuracy: Parts
    readable: Parts
    pairs: Parts
    both_facts: Parts
    facts: Parts
    readable_facts: Parts
    errors: Errors | None
    letters: Letters | None
    reasons: Reasons | None
    usage: Usage
    runs: tuple[float, ...]
    between_runs: float | None


@dataclass(frozen=True)
class Metrics:
    """All figures of one model on the items of a release; `chance` is that of an accuracy, of a fact it is .5."""

    items: int
    groups: int
    chance: float
    arms: Mapping[str, ArmMetrics]
    gains: tuple[Gain, ...]
    agreement: tuple[Agreement, ...]
    reversed: Reversed | None
    all_rotations: Parts
    notes: tuple[str, ...]

    @property
    def coverage(self) -> float:
        """The lowest coverage of an arm; results below `LEAST_COVERAGE` are incomplete."""
        return min((arm.coverage for arm in self.arms.values()), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, rounded to four places."""
        found: dict[str, Any] = plain(self)
        return found


def summarise(
    questions: Sequence[Question], results: Sequence[Scored], *, least: int = 0
) -> Metrics:
    """Return the metrics of the results on these questions, all of which have an answer.

    `least` is the number of items from which a figure is shown: `cells.LEAST_WITHHELD` for withheld splits.
    """
    table = ItemTable.of(questions, least)
    by_arm: dict[str, list[Scored]] = {}
    for one in results:
        by_arm.setdefault(one.arm, []).append(one)
    answers = {arm: Answers.of(table, some) for arm, some in by_arm.items()}
    notes = []
    if not len(table.fact_item):
        notes.append(NO_FACTS)
    elif (without := sum(not question.facts for question in questions)) > 0:
        notes.append(f"{without} items have no facts and are left out of figures by fact and pair")
    groups = len(set(table.units.groups.tolist()))
    if groups < LEAST_GROUPS:
        notes.append(f"no intervals: {groups} split groups are too few (at least {LEAST_GROUPS})")
    return Metrics(
        items=len(questions),
        groups=groups,
        chance=float(np.mean([1 / len(one.options) for one in questions])) if questions else 0.0,
        arms={arm: _arm(table, one, arm == MAIN) for arm, one in answers.items()},
        gains=tuple(gains(table, answers)),
        agreement=tuple(agreements(table, answers)),
        reversed=reversal(table, answers),
        all_rotations=rotated(table, answers),
        notes=tuple(notes),
    )


def _arm(table: ItemTable, given: Answers, main: bool) -> ArmMetrics:
    units, value = table.units, given.right
    known = int((~np.isnan(value)).sum())
    missing = int((given.asked == 0).sum()) if main else 0
    total, failed = len(given.scored) + missing, given.failed + missing
    shown = units.enough(known)
    runs = tuple(map(units.rounded, given.runs())) if shown else ()
    facts = table.fact_units
    return ArmMetrics(
        items=known,
        outcomes=Counter(one.outcome for one in given.scored) if shown else {},
        missing=missing,
        coverage=(total - failed) / total if total else 0.0,
        bounds=_bounds(value, given, missing, units) if shown else None,
        accuracy=units.figures(value),
        readable=units.figures(given.readable),
        pairs=table.pair_units.figures(given.pairs()),
        both_facts=units.figures(np.where(table.has_facts, value, np.nan)),
        facts=facts.figures(given.facts_right),
        readable_facts=facts.figures(given.facts_readable),
        errors=_errors(table, given) if len(table.fact_item) else None,
        letters=_letters(table, given) if shown else None,
        reasons=_reasons(table, given),
        usage=_usage(given.scored),
        runs=runs,
        between_runs=stdev(runs) if len(runs) > 1 else None,
    )


def _bounds(
    value: Floats, given: Answers, missing: int, units: Units
) -> tuple[float, float] | None:
    """Return the accuracy if all failed requests were wrong, and if all were right."""
    items = int((given.asked > 0).sum()) + missing
    if not items:
        return None
    asked = np.maximum(given.asked, 1)
    right = np.nansum(np.where(np.isnan(value), 0, value) * given.kept / asked)
    lost = ((given.asked - given.kept) / asked).sum() + missing
    return units.rounded(float(right / items)), units.rounded(float((right + lost) / items))


def _errors(table: ItemTable, given: Answers) -> Errors:
    wrong = given.share(lambda one: one.outcome == "wrong")
    found = []
    for sides, asked in ((True, table.asks_sides), (False, table.asks_orders)):
        shares = np.where(asked, given.share(partial(errs_only_in, sides=sides)), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_wrong = np.where(wrong > 0, shares / wrong, np.nan)
        found.append((table.units.figures(shares), table.units.figure(of_wrong)))
    (mirror, of_mirror), (order, of_order) = found
    return Errors(mirror, order, of_mirror, of_order)


def errs_only_in(one: Scored, *, sides: bool) -> bool:
    """Return whether a wrong answer has the sides (or the orders) of all its facts wrong, and no others."""
    if one.outcome != "wrong" or one.facts_right is None:
        return False
    kinds = [fact.name.startswith("turn:") is sides for fact in one.question.facts]
    return any(kinds) and all(
        right is not kind for right, kind in zip(one.facts_right, kinds, strict=True)
    )


def _letters(table: ItemTable, given: Answers) -> Letters | None:
    chosen = given.chosen_shares()  # (items, options); nan without a readable reply
    known = ~np.isnan(chosen[:, 0]) if chosen.size else np.zeros(0, bool)
    if not table.units.enough(int(known.sum())) or not known.any():
        return None
    names = ascii_uppercase[: chosen.shape[1]]
    correct = np.eye(chosen.shape[1])[given.true]
    answered, answers = chosen[known].sum(axis=0), correct[known].sum(axis=0)
    return Letters(
        {name: float(count) for name, count in zip(names, answered, strict=True)},
        {name: int(count) for name, count in zip(names, answers, strict=True)},
        {
            name: table.units.figure(column, difference)
            for name, column in zip(names, (chosen - correct).T, strict=True)
        },
        goodness(answered, answers),
    )


def _reasons(table: ItemTable, given: Answers) -> Reasons | None:
    if not any(question.words for question in table.questions):
        return None
    agrees, true = (np.full(len(table.fact_item), np.nan) for _ in range(2))
    said = np.full(len(table.fact_item), np.nan)
    first_repeat = min((one.repeat for one in given.scored), default=0)
    for one in given.scored:
        if one.repeat != first_repeat or one.chosen is None or not one.question.words:
            continue
        first = table.first_fact[table.place[one.question.id]]
        for number, value in enumerate(stated(one)):
            fact = one.question.facts[number]
            said[first + number] = value is not None
            if value is not None:
                agrees[first + number] = fact.values[one.chosen] == value
                true[first + number] = fact.values[one.true] == value
    figure = table.fact_units.figure
    return Reasons(figure(said), figure(agrees), figure(true))


def _usage(results: Iterable[Scored]) -> Usage:
    rows = [one.prediction for one in results]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    return Usage(
        sum(row.input_tokens or 0 for row in rows),
        sum(row.output_tokens or 0 for row in rows),
        sum(row.cost_usd or 0.0 for row in rows),
        sum(row.input_tokens is None for row in rows),
        float(np.median(seconds)) if seconds else None,
    )


def plain(value: Any) -> Any:
    """Return dataclasses, mappings and sequences as JSON values, numbers rounded to four places."""
    if isinstance(value, Figure):
        return value.to_json()
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value
