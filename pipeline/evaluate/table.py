"""Metrics as a table for the terminal. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from textwrap import wrap

from pipeline.evaluate.cells import ALL, Parts
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import MAIN, ArmMetrics, Metrics
from pipeline.evaluate.paired import Reversed

_OWN = ("unreadable", "refused", "truncated")
_WIDTH = 100  # columns of a terminal
_NAME, _FIGURE, _CELL, _ITEMS = 34, 20, 10, 6  # a name, "100.0 [86.2, 100.0]", "100.0", a count
_DIMENSIONS = {"task": "task", "contrast": "kinds of facts", "split": "split"}


def table(
    metrics: Metrics,
    baselines: Mapping[str, ArmMetrics],
    human: Figure | None,
    notes: Sequence[str] = (),
) -> list[str]:
    """Return what a model got, arm by arm and by task, next to what is free, in lines of 100 columns at most."""
    lines = [
        *_lines(metrics, baselines, human),
        *(f"note: {note}" for note in (*metrics.notes, *notes)),
    ]
    return wrapped(lines)


def wrapped(lines: Iterable[str]) -> list[str]:
    """Return lines of words as several of 100 columns at most; lines of columns are short enough."""
    fill = partial(
        wrap, width=_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return [short for line in lines for short in (fill(line) if len(line) > _WIDTH else [line])]


def _lines(
    metrics: Metrics, baselines: Mapping[str, ArmMetrics], human: Figure | None
) -> Iterator[str]:
    yield f"{metrics.items} items of {metrics.groups} groups; in %, with 95 % intervals"
    yield _row("", ["accuracy", "both twins", "each fact"], "items")
    rows = {**metrics.arms, **baselines}
    for name, arm in rows.items():
        wholes = (whole(parts) for parts in (arm.accuracy, arm.pairs, arm.facts))
        yield _row(name, wholes, str(arm.items))
    if human:
        yield _row("people", [_in_percent(human), "", ""], str(human.items))
    of_facts = (
        "50.0" if any(arm.facts and arm.facts[ALL][ALL].items for arm in rows.values()) else "-"
    )
    yield _row("chance", [f"{100 * metrics.chance:.1f}", "", of_facts], "")
    for dimension in _DIMENSIONS:
        yield from _by(dimension, rows)
    for name, arm in metrics.arms.items():
        yield from _replies(name, arm)
    for gain in metrics.gains:
        yield f"{gain.arm} over {gain.over}: {points(gain.parts[ALL][ALL])} ({gain.measures})"
    if metrics.reversed:
        yield from _reversed(metrics.reversed)
    if metrics.all_rotations:
        yield f"right in all four rotations of the options: {metrics.all_rotations[ALL][ALL]}"
    if main := metrics.arms.get(MAIN):
        yield from _habits(main)
    if withheld := next(_withheld(rows.values()), None):
        yield f"note: - is {withheld}"


def _by(dimension: str, rows: Mapping[str, ArmMetrics]) -> Iterator[str]:
    """Yield the accuracy of every row in each cell of a dimension: a mean hides what it is a mean of."""
    cells = {name: arm.accuracy.get(dimension, {}) for name, arm in rows.items()}
    items = {
        label: figure.items for one in reversed(cells.values()) for label, figure in one.items()
    }
    labels = list(dict.fromkeys(label for one in cells.values() for label in one))
    if len(labels) < 2:
        return
    title = f"accuracy by {_DIMENSIONS[dimension]}"
    width = max(len(title), *(len(label) + 2 for label in labels)) + 1
    left = iter(cells)
    while some := list(islice(left, max(1, (_WIDTH - width - _ITEMS) // _CELL))):
        heads = [wrap(name, _CELL - 1, break_on_hyphens=False) for name in some]
        for number in range(max(map(len, heads))):
            words = [head[number] if number < len(head) else "" for head in heads]
            yield _cells("" if number else title, width, "" if number else "items", words)
        for label in labels:
            figures = [_value(cells[name].get(label)) for name in some]
            yield _cells(f"  {label}", width, str(items[label]), figures)


def _withheld(arms: Iterable[ArmMetrics]) -> Iterator[str]:
    for arm in arms:
        for parts in (arm.accuracy, arm.pairs, arm.facts):
            for cells in parts.values():
                yield from (
                    figure.note for figure in cells.values() if figure.note.startswith("withheld")
                )


def _replies(name: str, arm: ArmMetrics) -> Iterator[str]:
    """Yield what became of an arm's requests where they were not all answered."""
    replies = sum(arm.outcomes.values()) - arm.outcomes.get("failed", 0)
    own = {kind: count for kind in _OWN if (count := arm.outcomes.get(kind, 0))}
    if own and replies:
        told = ", ".join(f"{count} {kind}" for kind, count in own.items())
        readable = arm.readable[ALL][ALL]
        yield f"{name}: of {replies} replies {told}, counted as not right; accuracy over the others: {readable}"
    if arm.coverage < 1 and arm.bounds:
        low, high = arm.bounds
        yield (
            f"{name}: {arm.coverage:.1%} of requests have a reply; if all others were wrong, or "
            f"right: {low:.1%}, {high:.1%}"
        )


def _reversed(found: Reversed) -> Iterator[str]:
    figure = found.follows[ALL][ALL]
    if figure.items:
        yield (
            f"reversed frames: {figure} follow them and {found.keeps[ALL][ALL]} keep the answer for frames in "
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


def whole(parts: Parts) -> str:
    """Return the figure of all items in percent, with its interval."""
    return _in_percent(parts[ALL][ALL]) if parts else "-"


def _in_percent(figure: Figure) -> str:
    """Return a figure as narrow as it can be: 78.1 [70.2, 84.4]."""
    within = ""
    if figure.low is not None and figure.high is not None:
        within = f" [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
    return _value(figure) + within


def _value(figure: Figure | None) -> str:
    return "-" if figure is None or figure.value is None else f"{100 * figure.value:.1f}"


def points(figure: Figure) -> str:
    """Return a difference in points with its interval."""
    if figure.value is None:
        return str(figure)
    within = ""
    if figure.low is not None and figure.high is not None:
        within = f" [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"
    return f"{100 * figure.value:+.1f} points{within}"


def _row(name: str, figures: Iterable[str], items: str) -> str:
    columns = "".join(f"{one:<{_FIGURE}}" for one in figures)
    return f"{name:<{_NAME}}{columns}{items:>{_ITEMS}}".rstrip()


def _cells(name: str, width: int, items: str, values: Iterable[str]) -> str:
    columns = "".join(f"{one:>{_CELL}}" for one in values)
    return f"{name:<{width}}{items:>{_ITEMS}}{columns}".rstrip()
