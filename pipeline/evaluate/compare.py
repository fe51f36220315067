"""Two models on the same items: the paired difference, and the items on which they differ. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.evaluate.arrays import Answers, ItemTable
from pipeline.evaluate.cells import Parts
from pipeline.evaluate.intervals import difference, sign_test
from pipeline.evaluate.scoring import Question, Scored


@dataclass(frozen=True)
class Discordant:
    """An item that one model has right more often than the other: which one, and the first answers."""

    id: str
    better: str
    letters: tuple[str | None, str | None]


@dataclass(frozen=True)
class Comparison:
    """How two models differ in one arm, over the items that neither request failed of.

    `parts` are differences in accuracy, `one` minus `other`, with 95 % intervals over groups. `wins` and `losses`
    are items that the first has right more, or less, often; `p` is the sign test's, with items as independent.
    `items` is empty for withheld splits.
    """

    one: str
    other: str
    arm: str
    parts: Parts
    wins: int | None
    losses: int | None
    p: float | None
    items: tuple[Discordant, ...]


def check_comparable(
    one: Mapping[str, Any], other: Mapping[str, Any], *, anyway: bool = False
) -> list[str]:
    """Return what differs in two results' identities, such as release and prompt digests.

    Raise UserError if anything does, unless told to compare `anyway`.
    """
    differing = [
        f"{name}: {_brief(one.get(name))} and {_brief(other.get(name))}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]
    if differing and not anyway:
        fix = "compare results with the same release, prompt and frames, or add --anyway"
        raise UserError("egost compare", f"the results differ in {'; '.join(differing)}", fix)
    return differing


def compare(
    questions: Sequence[Question],
    one: Sequence[Scored],
    other: Sequence[Scored],
    names: tuple[str, str],
    *,
    arm: str = "frames",
    least: int = 0,
) -> Comparison:
    """Compare two models' results in one arm; `least` is that of `metrics.summarise`.

    Raise UserError if a model has no results in the arm.
    """
    table = ItemTable.of(questions, least)
    for name, results in zip(names, (one, other), strict=True):
        if not any(result.arm == arm for result in results):
            raise UserError(name, f"has no predictions in arm {arm}", "compare an arm of both")
    first, second = (
        Answers.of(table, [result for result in results if result.arm == arm])
        for results in (one, other)
    )
    change = first.right - second.right
    known = int((~np.isnan(change)).sum())
    if not table.units.enough(known):
        return Comparison(
            *names, arm, table.units.figures(change, difference), None, None, None, ()
        )
    wins, losses = int((change > 0).sum()), int((change < 0).sum())
    items = tuple(
        Discordant(
            table.questions[index].id,
            names[0] if change[index] > 0 else names[1],
            (_letter(first.letter[index]), _letter(second.letter[index])),
        )
        for index in np.flatnonzero(change).tolist()
        if not least and not np.isnan(change[index])
    )
    return Comparison(
        *names,
        arm,
        table.units.figures(change, difference),
        wins,
        losses,
        sign_test(wins, losses),
        items,
    )


def _letter(place: int) -> str | None:
    return chr(ord("A") + place) if place >= 0 else None


def _brief(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) > 13 else text
