"""Metrics as a table for the terminal. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.evaluate.cells import ALL
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import MAIN, ArmMetrics, Metrics

_OWN = ("unreadable", "refused", "truncated")


def table(metrics: Metrics, baselines: Mapping[str, ArmMetrics], human: Figure | None) -> list[str]:
    """Return what a model got, arm by arm and by task, next to what is free."""
    return list(_lines(metrics, baselines, human))


def _lines(
    metrics: Metrics, baselines: Mapping[str, ArmMetrics], human: Figure | None
) -> Iterator[str]:
    yield f"{metrics.items} items of {metrics.groups} groups; accuracy with 95 % interval"
    yield _row("", ["accuracy", "both twins", "each fact", "not readable"])
    for name, arm in metrics.arms.items():
        yield _row(name, _arm(arm))
    for name, arm in baselines.items():
        yield _row(name, _arm(arm))
    if human:
        yield _row(f"people ({human.items} items)", [str(human)])
    yield _row("chance", [f"{metrics.chance:.1%}", "", "50.0%"])
    main = metrics.arms.get(MAIN)
    for dimension in ("task", "contrast", "split"):
        cells = main.accuracy.get(dimension, {}) if main else {}
        if len(cells) > 1:
            yield f"by {dimension} ({MAIN}):"
            for label, figure in cells.items():
                yield _row(f"  {label}", [str(figure), f"{figure.items} items"])
    for gain in metrics.gains:
        figure = gain.parts[ALL][ALL]
        yield f"{gain.arm} over {gain.over}: {points(figure)} ({gain.measures})"
    if main and main.coverage < 1 and main.bounds:
        low, high = main.bounds
        yield (
            f"{main.coverage:.1%} of requests have a reply; if all others were wrong, or right: "
            f"{low:.1%}, {high:.1%}"
        )
    yield from (f"note: {note}" for note in metrics.notes)


def _arm(arm: ArmMetrics) -> list[str]:
    replies = sum(arm.outcomes.values()) - arm.outcomes.get("failed", 0)
    own = sum(arm.outcomes.get(name, 0) for name in _OWN)
    parts = (arm.accuracy, arm.pairs, arm.facts)
    return [
        *(str(one[ALL][ALL]) if one else "-" for one in parts),
        f"{own / replies:.1%}" if replies else "-",
    ]


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
