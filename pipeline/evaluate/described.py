"""How well a model describes walks: its replies to open items, scored without a judge. Pure.

    summarise(items, predictions, vocabulary)  ->  OpenMetrics: the figures of each arm

These figures are apart from those of multiple-choice items. A reply that is refused, truncated or unreadable states
nothing and gets 0; a failed request is missing data. Repeats of an item are averaged first.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluate.answers import read_description
from pipeline.evaluate.cells import ALL, Parts, Units, units_of
from pipeline.evaluate.intervals import Figure, Floats
from pipeline.evaluate.metrics import plain
from pipeline.evaluate.open_rows import OpenItem
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question
from pipeline.evaluate.table import whole, wrapped
from pipeline.routes.likeness import Likeness, Reference, likeness
from pipeline.routes.told import Told, Vocabulary, told

LIKENESS = {
    "turns": "1 - edits of the list of turns / length of the longer list",
    "landmarks": "F1 of the landmarks in common, in order",
    "actions": "F1 of the actions in common, in order",
    "order": "pairs of told actions in the right order",
}
"""The figures of a description; each is of the items whose reference has something of its kind."""
_NAME, _CELL = 18, 20  # columns of a terminal


@dataclass(frozen=True)
class Described:
    """A reply to an open item: what it states, and how alike that is to the reference."""

    item: OpenItem
    prediction: Prediction
    text: str
    told: Told
    likeness: Likeness


@dataclass(frozen=True)
class OpenArm:
    """The figures of one arm; `figures` are those of `LIKENESS`, `exact` is the share with all turns right.

    `unread` is the share of replies in which something could not be told, `silent` of those that state no turn where
    the reference has some.
    """

    items: int
    outcomes: Mapping[str, int]
    coverage: float
    figures: Mapping[str, Parts]
    exact: Parts
    unread: Figure
    silent: Figure


@dataclass(frozen=True)
class OpenMetrics:
    """All figures of one model on open items; `sources` counts where their reference lists come from.

    `another_walk` are the figures that a reply gets which describes another item of the same task, without a mistake.
    """

    items: int
    sources: Mapping[str, int]
    another_walk: Mapping[str, Parts]
    arms: Mapping[str, OpenArm]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, rounded to four places."""
        found: dict[str, Any] = plain(self)
        return found


def as_description(one: Prediction) -> Prediction:
    """Return a prediction for an item without options, read as a description."""
    if one.outcome == "failed":
        return one
    outcome = read_description(one.reply, one.finish, one.refusal).outcome
    return one.model_copy(update={"letter": None, "outcome": outcome, "flags": []})


def described(item: OpenItem, prediction: Prediction, vocabulary: Vocabulary) -> Described:
    """Return what a reply states, next to the reference."""
    found = read_description(prediction.reply, prediction.finish, prediction.refusal)
    text = found.text if prediction.outcome == "answered" else ""
    stated = told(text, vocabulary) if text else Told()
    alike = likeness(stated, reference_of(item))
    if not text:
        zeros = {name: 0.0 for name in LIKENESS if getattr(alike, name) is not None}
        alike = Likeness(**{**dict.fromkeys(LIKENESS), **zeros})  # type: ignore[arg-type]
    return Described(item, prediction, text, stated, alike)


def reference_of(item: OpenItem) -> Reference:
    """Return what a description of an item should state."""
    return Reference(
        tuple(item.moves), tuple(item.landmarks), tuple(item.actions), item.orientation
    )


def summarise(
    items: Sequence[OpenItem],
    predictions: Sequence[Prediction],
    vocabulary: Vocabulary,
    *,
    least: int = 0,
) -> OpenMetrics:
    """Return the figures of predictions for these items; `least` as in `metrics.summarise`."""
    units = units_of([as_question(one) for one in items], least)
    by_id = {one.id: one for one in items}
    arms: dict[str, list[Prediction]] = {}
    for one in predictions:
        if one.id in by_id:
            arms.setdefault(one.arm, []).append(one)
    return OpenMetrics(
        len(items),
        Counter(one.source for one in items),
        _another_walk(items, units),
        {arm: _arm(items, some, vocabulary, units) for arm, some in arms.items()},
    )


def as_question(item: OpenItem) -> Question:
    """Return an item as the cells of figures need it."""
    return Question(
        **{
            name: getattr(item, name) for name in ("id", "split", "task", "category", "orientation")
        },
        contrast=None,
        split_group=item.split_group,
        video=item.video,
        question=item.question,
        options=(),
        answer=None,
        frames=(),
        frame_seconds=(),
        seconds=item.seconds,
        turns=sum(move in ("left", "right") for move in item.moves),
    )


def _arm(
    items: Sequence[OpenItem],
    predictions: Sequence[Prediction],
    vocabulary: Vocabulary,
    units: Units,
) -> OpenArm:
    place = {one.id: at for at, one in enumerate(items)}
    kept = [one for one in predictions if one.outcome != "failed"]
    found = [described(items[place[one.id]], one, vocabulary) for one in kept]
    places = np.array([place[one.item.id] for one in found], np.int64)

    def mean(values: Sequence[float | None]) -> Floats:
        """Return the mean over the repeats of each item, (items,); nan where there is none."""
        given = np.array([np.nan if value is None else value for value in values], np.float64)
        known = ~np.isnan(given)
        count = np.bincount(places[known], minlength=len(items))
        total = np.bincount(places[known], given[known], minlength=len(items))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    replied = [one for one in found if one.text]
    silent = {id(one): not one.told.turns for one in replied if _turns(one.item)}
    exact = mean([float(one.likeness.turns == 1) for one in found])
    return OpenArm(
        items=len(set(places.tolist())),
        outcomes=Counter(one.outcome for one in predictions)
        if units.enough(int((~np.isnan(exact)).sum()))
        else {},
        coverage=len(kept) / len(predictions) if predictions else 0.0,
        figures={
            name: units.figures(mean([getattr(one.likeness, name) for one in found]))
            for name in LIKENESS
        },
        exact=units.figures(exact),
        unread=units.figure(
            mean([float(bool(one.told.unread)) if one.text else None for one in found])
        ),
        silent=units.figure(
            mean([float(silent[id(one)]) if id(one) in silent else None for one in found])
        ),
    )


def _another_walk(items: Sequence[OpenItem], units: Units) -> dict[str, Parts]:
    """Return what the reference lists of another walk get: the next one of the task, by id, that isn't of the same span."""
    by_task: dict[str, list[int]] = defaultdict(list)
    for at in sorted(range(len(items)), key=lambda at: items[at].id):
        by_task[items[at].task].append(at)
    values = {name: np.full(len(items), np.nan) for name in LIKENESS}
    for places in by_task.values():
        for at, other in zip(places, [*places[1:], *places[:1]], strict=True):
            if items[at].video != items[other].video:
                known = reference_of(items[other])
                said = Told(known.moves, known.landmarks, known.actions)
                alike = likeness(said, reference_of(items[at]))
                for name in LIKENESS:
                    value = getattr(alike, name)
                    values[name][at] = np.nan if value is None else value
    return {name: units.figures(some) for name, some in values.items()}


def _turns(item: OpenItem) -> bool:
    return any(move in ("left", "right", "around") for move in item.moves)


def lines(metrics: OpenMetrics) -> list[str]:
    """Return the figures as lines for the terminal."""
    return wrapped(_lines(metrics))


def _lines(metrics: OpenMetrics) -> Iterator[str]:
    if not metrics.arms:
        return
    yield f"{metrics.items} items answered in words, scored without a judge; apart from accuracy, in %"
    yield _row("", LIKENESS)
    rows = {name: arm.figures for name, arm in metrics.arms.items()}
    for name, figures in (*rows.items(), ("another walk", metrics.another_walk)):
        yield _row(name, map(_cell, figures.values()))
    for name, arm in metrics.arms.items():
        if arm.exact and arm.exact[ALL][ALL].items:
            yield f"{name}: all turns right in {arm.exact[ALL][ALL]}"
        own = {kind: count for kind, count in arm.outcomes.items() if kind != "answered"}
        if own:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(own.items()))
            yield f"{name}: {counts}"
        if arm.unread.value or arm.silent.value:
            yield f"{name}: {arm.unread} of descriptions have a side that can't be told, {arm.silent} no turn"
    if count := metrics.sources.get("text"):
        yield f"note: of {count} items, what a description should state is read from the reference answer"


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:<{_NAME}}" + "".join(f"{cell:<{_CELL}}" for cell in cells).rstrip()


def _cell(parts: Parts) -> str:
    return whole(parts) if parts and parts[ALL][ALL].items else "-"
