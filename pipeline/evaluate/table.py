"""Metrics as a table for the terminal. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from pipeline.evaluate.cells import ALL, Parts
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import MAIN, ArmMetrics, Metrics
from pipeline.evaluate.paired import Reversed

_OWN = ("unreadable", "refused", "truncated")
_ACROSS = 6  # tasks next to one another


def table(metrics: Metrics, baselines: Mapping[str, ArmMetrics], human: Figure | None) -> list[str]:
    """Return what a model got, arm by arm and by task, next to what is free."""
    return list(_lines(metrics, baselines, human))


def _lines(
    metrics: Metrics, baselines: Mapping[str, ArmMetrics], human: Figure | None
) -> Iterator[str]:
    yield f"{metrics.items} items of {metrics.groups} groups; accuracy with 95 % interval"
    yield _row("", ["accuracy", "both twins", "each fact", "not readable", "items"])
    rows = {**metrics.arms, **baselines}
    for name, arm in rows.items():
        yield _row(name, _arm(arm))
    if human:
        yield _row("people", [str(human), "", "", "", str(human.items)])
    yield _row("chance", [f"{metrics.chance:.1%}", "", "50.0%"])
    yield from _by_task(rows)
    main = metrics.arms.get(MAIN)
    for dimension in ("contrast", "split"):
        cells = main.accuracy.get(dimension, {}) if main else {}
        if len(cells) > 1:
            yield f"by {dimension} ({MAIN}):"
            for label, figure in cells.items():
                yield _row(f"  {label}", [str(figure), f"{figure.items} items"])
    for gain in metrics.gains:
        yield f"{gain.arm} over {gain.over}: {points(gain.parts[ALL][ALL])} ({gain.measures})"
    if metrics.reversed:
        yield from _reversed(metrics.reversed)
    if metrics.all_rotations:
        yield f"right in all four rotations of the options: {_whole(metrics.all_rotations)}"
    if main:
        yield from _habits(main)
    for name, arm in metrics.arms.items():
        if arm.coverage < 1 and arm.bounds:
            low, high = arm.bounds
            yield (
                f"{name}: {arm.coverage:.1%} of requests have a reply; if all others were wrong, or "
                f"right: {low:.1%}, {high:.1%}"
            )
    yield from (f"note: {note}" for note in metrics.notes)


def _by_task(rows: Mapping[str, ArmMetrics]) -> Iterator[str]:
    """Yield the accuracy of every row in each task: a mean over tasks hides what it is a mean of."""
    tasks = list(
        dict.fromkeys(task for arm in rows.values() for task in arm.accuracy.get("task", {}))
    )
    if len(tasks) < 2:
        return
    left = iter(tasks)
    while some := list(islice(left, _ACROSS)):
        yield _row("by task:", some)
        for name, arm in rows.items():
            known = arm.accuracy.get("task", {})
            values = (known[task].value if task in known else None for task in some)
            yield _row(f"  {name}", ["-" if value is None else f"{value:.1%}" for value in values])


def _reversed(found: Reversed) -> Iterator[str]:
    figure = found.follows[ALL][ALL]
    if figure.items:
        yield (
            f"reversed frames: {figure} follow them and {_whole(found.keeps)} keep the answer for frames in "
            f"order, of {figure.items} items that they change ({found.unchanged} stay the same, "
            f"{found.left_out} are left out)"
        )
    if found.gain.items:
        yield f"reversed over frames: {points(found.gain)} (0 for a model that doesn't see order)"


def _habits(main: ArmMetrics) -> Iterator[str]:
    """Yield what a model tends to do: its errors, a letter that it prefers, how runs and reasons differ."""
    if main.errors:
        for name, figure in (
            ("mirror errors (all sides wrong, nothing else)", main.errors.mirror_of_wrong),
            ("order errors (all orders wrong, nothing else)", main.errors.order_of_wrong),
        ):
            if figure.items:
                yield f"{name}: {figure} of wrong answers; a third at random"
    for letter, figure in (main.letters.excess if main.letters else {}).items():
        if figure.low is not None and figure.low > 0:
            yield f"{letter} is answered more often than it is the answer: {points(figure)}"
    if main.between_runs is not None:
        runs = ", ".join(f"{run:.1%}" for run in main.runs)
        yield f"{len(main.runs)} runs: {runs}; standard deviation {100 * main.between_runs:.1f} points"
    if main.reasons and main.reasons.agrees.items:
        yield (
            f"reasoning states {main.reasons.stated} of facts and agrees with the answer given in "
            f"{main.reasons.agrees} of them"
        )


def _arm(arm: ArmMetrics) -> list[str]:
    replies = sum(arm.outcomes.values()) - arm.outcomes.get("failed", 0)
    own = sum(arm.outcomes.get(name, 0) for name in _OWN)
    return [
        *map(_whole, (arm.accuracy, arm.pairs, arm.facts)),
        f"{own / replies:.1%}" if replies else "-",
        str(arm.items),
    ]


def _whole(parts: Parts) -> str:
    return str(parts[ALL][ALL]) if parts else "-"


def points(figure: Figure) -> str:
    """Return a difference in points with its interval."""
    if figure.value is None:
        return str(figure)
    within = ""
    if figure.low is not None and figure.high is not None:
        within = f" [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"
    return f"{100 * figure.value:+.1f} points{within}"


def _row(name: str, values: Sequence[str]) -> str:
    return f"{name:<36}" + "".join(f"{value:<24}" for value in values).rstrip()
