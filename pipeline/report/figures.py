"""The plots of a report: items, turns, verdicts, agreement, human accuracy and cost."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.motion.rows import Turn
from pipeline.releases.plots import CHANCE, Plot, bars, grouped, histogram, percents
from pipeline.review.counted import Counted
from pipeline.review.rows import Verdict
from pipeline.routes.tasks import TASKS

TASK_ORDER = {task.name: position for position, task in enumerate(TASKS)}
_LETTERS = "ABCD"


def item_plots(
    items: Sequence[Mapping[str, Any]],
    lengths_us: Iterable[int],
    turns: Iterable[Turn],
    parts: str = "clips",
) -> list[Plot]:
    """Return the plots that reports of workspaces and of releases share; `parts` are clips or spans."""
    kinds = Counter(turn.kind if turn.moving else "glance" for turn in turns)
    tasks = Counter(item["task"] for item in items)
    ordered = sorted(tasks, key=lambda name: TASK_ORDER.get(name, 99))
    right = Counter((item["task"], item["right"]) for item in items if item["right"] is not None)
    lettered = {task for task, _ in right}
    letters: dict[str, dict[str, float]] = {
        task: {letter: right[task, position] for position, letter in enumerate(_LETTERS)}
        for task in ordered
        if task in lettered
    }
    words = [float(len(text.split())) for item in items for text in item["options"]]
    contrasts = Counter(item["contrast"] for item in items if item["contrast"])
    return [
        bars("Pairs by task", {task: tasks[task] for task in ordered}, kind="plain"),
        grouped(
            "Letters of the correct answers",
            letters,
            note="lines mark equal shares",
            chance=CHANCE,
        ),
        bars(
            "Turns by kind",
            {kind: kinds[kind] for kind in ("left", "right", "around", "glance") if kinds[kind]},
            note="measured from the video",
        ),
        histogram(f"Length of {parts}", [length / 1e6 for length in lengths_us], unit=" s"),
        histogram("Words per option", words),
        bars("Items by kinds of facts", dict(contrasts.most_common()), kind="plain"),
    ]


def people_plots(verdicts: Sequence[Verdict], counted: Counted) -> list[Plot]:
    """Return plots of the verdicts on routes, their agreement and the time spent."""
    if not verdicts:
        return []
    counts: dict[str, dict[str, float]] = {}
    given = Counter((one.annotator, one.verdict) for one in verdicts)
    for (who, verdict), count in sorted(given.items()):
        counts.setdefault(who, {})[verdict] = count
    return [
        grouped("Verdicts by annotator", counts),
        *agreement_bars({name: one.percent for name, one in counted.agreement().items()}),
        histogram("Seconds per verdict", [one.seconds for one in verdicts], unit=" s"),
    ]


def agreement_bars(shares: Mapping[str, float]) -> list[Plot]:
    """Return a plot of inter-annotator agreement by category, if any clip was judged twice."""
    note = "pairs of annotators who judged the same clip"
    return percents("Agreement by category", shares, note)


def human_bars(accuracy: Mapping[str, Mapping[str, float]]) -> list[Plot]:
    """Return a plot of human accuracy by task, from a manifest's figures."""
    shares = {name: one["right"] / one["answers"] for name, one in accuracy.items()}
    note = "people who had not seen the answers; the line marks chance"
    return percents("Human accuracy by task", shares, note, CHANCE)


def cost_bars(spent: Iterable[tuple[str, float | None]]) -> list[Plot]:
    """Return a plot of the cost by model, from the cost of each reply, if any was charged."""
    cost: dict[str, float] = defaultdict(float)
    for model, usd in spent:
        if usd:
            cost[model] += usd
    ranked = dict(sorted(cost.items(), key=lambda pair: -pair[1]))
    return [bars("Cost by model", ranked, unit=" USD", kind="plain")] if ranked else []
