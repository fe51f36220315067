"""The curves of a run of training as one picture of small multiples, `curves.png`."""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.tuning.metrics import Metrics, read_metrics, smoothed

NAME = "curves.png"
CHANCE = 0.25  # of `paper`, the letter alone: items have four options
_COLUMNS = 3
_WIDTH, _HEIGHT, _DPI = 12.0, 2.5, 100  # inches of the picture and of a row: 1200 pixels wide
_COLOURS = ("#2f6fde", "#c8551d")


@dataclass(frozen=True)
class Panel:
    """One small picture: lines by their name, in a unit, with or without smoothing; `least` and `most` are kept in view; a dashed line at `chance`."""

    title: str
    unit: str
    lines: Mapping[str, Sequence[float]]
    least: float | None = None
    most: float | None = None
    chance: float | None = None
    smooth: bool = True


def draw(run: Path) -> Path:
    """Write `curves.png` of a run's folder, finished or not, and return its path.

    Raise UserError if no figure is written yet.
    """
    metrics = read_metrics(run)
    shown = panels(metrics)
    if not shown:
        raise UserError(str(run), "has no metrics of any step", "train first: egost train sft ROWS")
    # The canvas of files: pyplot would look for a screen, and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = math.ceil(len(shown) / _COLUMNS)
    figure = Figure(figsize=(_WIDTH, 0.7 + _HEIGHT * rows), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    width = window(len(metrics.steps))
    figure.suptitle(_title(run, metrics, width), fontsize=11, x=0.01, ha="left", parse_math=False)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).flat
    for axes, panel in zip(grid, shown, strict=False):
        _draw(axes, panel, metrics.numbers, width)
    for axes in list(figure.axes)[len(shown) :]:
        axes.set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    write_atomic(run / NAME, drawn.getvalue())
    return run / NAME


def panels(metrics: Metrics) -> list[Panel]:
    """Return what is drawn of these metrics; what no step has is left out."""
    found = _grpo(metrics) if metrics.is_grpo else _sft(metrics)
    return [panel for panel in found if any(map(_any, panel.lines.values()))]


def window(steps: int) -> int:
    """Return over how many steps curves are smoothed: a twentieth of them."""
    return max(1, min(steps, max(5, steps // 20)))


def _sft(metrics: Metrics) -> Iterator[Panel]:
    yield Panel("loss", "nats a token", {"": metrics.values("loss")}, least=0)
    accuracy = {"": metrics.values("token_accuracy")}
    yield Panel("token accuracy", "share of tokens", accuracy, least=0, most=1)
    yield Panel("entropy", "nats a token", {"": metrics.values("entropy")}, least=0)
    yield from _both(metrics)


def _grpo(metrics: Metrics) -> Iterator[Panel]:
    yield Panel("reward, sum of all", "a completion", {"": metrics.values("reward")}, least=0)
    for name in metrics.rewards:
        chance = CHANCE if name == "paper" else None
        values = {"": metrics.reward(name)}
        yield Panel(f"reward {name}", "a completion", values, least=0, chance=chance)
    clipped = {
        "completions cut": metrics.values("clipped"),
        "ratios clipped": metrics.values("ratio_clipped"),
    }
    clipped = {name: values for name, values in clipped.items() if _any(values)}
    yield Panel("clipped", "share", clipped, least=0, most=1)
    groups = {"": metrics.values("zero_variance")}
    yield Panel("groups without variance", "share of groups", groups, least=0, most=1)
    yield Panel("length of completions", "tokens", {"": metrics.values("length")}, least=0)
    if any(value for value in metrics.values("kl") if math.isfinite(value)):
        yield Panel("divergence (kl)", "nats a token", {"": metrics.values("kl")}, least=0)
    yield Panel("loss", "", {"": metrics.values("loss")})
    yield from _both(metrics)


def _both(metrics: Metrics) -> Iterator[Panel]:
    yield Panel("norm of the gradient", "", {"": metrics.values("grad_norm")}, least=0)
    yield Panel("learning rate", "", {"": metrics.values("learning_rate")}, least=0, smooth=False)
    yield Panel("time of a step", "seconds", {"": metrics.values("seconds")}, least=0)


def _any(values: Sequence[float]) -> bool:
    return any(map(math.isfinite, values))


def _title(run: Path, metrics: Metrics, width: int) -> str:
    name = run.resolve().name
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        about = f"{record['stage']}, preset {record['preset']}"
        about += ", blind" if record.get("blind") else ""
    except (OSError, ValueError, LookupError, TypeError):
        about = "grpo" if metrics.is_grpo else "sft"
    steps = len(metrics.steps)
    thick = f"; thick: mean of {width} steps around" if width > 1 else ""
    return f"{name} ({about}): {steps} step{'s' if steps > 1 else ''}{thick}"


def _draw(axes: Any, panel: Panel, steps: Sequence[int], width: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for (name, values), colour in zip(panel.lines.items(), _COLOURS, strict=False):
        style = {"color": colour, "marker": ".", "markevery": _lone(values)}
        if panel.smooth:
            axes.plot(steps, values, linewidth=0.7, alpha=0.45, **style)
        shown = smoothed(values, width) if panel.smooth else values
        axes.plot(steps, shown, linewidth=1.8, label=name, **style)
    axes.set_title(panel.title, fontsize=10, loc="left", parse_math=False)
    axes.set_ylabel(panel.unit, fontsize=9)
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(steps[0] - 1, max(steps[-1], steps[0] + 1))
    _limits(axes, panel)
    if panel.chance is not None:
        axes.axhline(panel.chance, color="#1f2328", linestyle="--", linewidth=0.9)
        place = (1, panel.chance)
        words = {"fontsize": 8, "ha": "right", "va": "bottom"}
        axes.annotate("chance", place, xycoords=axes.get_yaxis_transform(), **words)
    if len(panel.lines) > 1:
        axes.legend(fontsize=8, frameon=False, loc="upper right")


def _lone(values: Sequence[float]) -> list[int]:
    """Return the places that get a dot, because a line can't be seen: steps between two gaps, or the only one."""
    known = [False, *map(math.isfinite, values), False]
    return [
        place
        for place in range(len(values))
        if known[place + 1] and not known[place] and not known[place + 2]
    ]


def _limits(axes: Any, panel: Panel) -> None:
    seen = [value for values in panel.lines.values() for value in values if math.isfinite(value)]
    low, high = min(seen), max([*seen, *([panel.chance] if panel.chance else [])])
    if panel.least is not None:
        low = min(low, panel.least)
    if panel.most is not None:
        high = max(high, panel.most)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    axes.set_ylim(low - (room if low else 0), high + room)
