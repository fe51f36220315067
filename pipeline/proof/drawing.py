"""The plots of a proof as SVG, in the look of the other pages: accuracy by arm and model, and gains with their difference. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.evaluate.intervals import Figure
from pipeline.releases.plots import Plot

_STYLE = (
    "<style>.proof-plot text{font:12px system-ui,sans-serif;fill:#626a73}.proof-plot .value{fill:#1f2328}"
    ".proof-plot .axis{stroke:#e3e0d9}.proof-plot .zero,.proof-plot .whisker{stroke:#1f2328;stroke-width:1.5}"
    ".proof-plot .chance{stroke:#1f2328;stroke-dasharray:4 3;opacity:.7}.proof-plot .is-base{fill:#9aa3ad}"
    ".proof-plot .is-SFT{fill:#2f6fde}.proof-plot .is-GRPO{fill:#2f6f6a}.proof-plot .difference{fill:#c8551d}</style>"
)
_WIDTH, _TOP, _HEIGHT, _LEFT, _FOOT = 560, 34, 190, 40, 24
_BAR = 26
_ROW, _LABEL, _NUMBER = 24, 190, 150


@dataclass(frozen=True)
class Row:
    """One line of the plot of gains: its label, its colour class and its figure in -2 to 2; a heading without one."""

    label: str
    kind: str = ""
    figure: Figure | None = None


def accuracy(
    title: str, arms: Mapping[str, Mapping[str, Figure]], chance: float | None, note: str = ""
) -> Plot:
    """Draw accuracy as bars with intervals: a group for each arm, in it a bar for each model."""
    models = list(dict.fromkeys(name for one in arms.values() for name in one))
    room = (_WIDTH - _LEFT) / max(1, len(arms))
    parts = [*_shares()]
    for group, (arm, figures) in enumerate(arms.items()):
        middle = _LEFT + room * (group + 0.5)
        parts.append(
            f'<text x="{middle:.1f}" y="{_TOP + _HEIGHT + 17}" text-anchor="middle">{escape(arm)}</text>'
        )
        for place, name in enumerate(models):
            x = middle + (place - len(models) / 2) * (_BAR + 4) + 2
            parts += _bar(x, name, arm, figures.get(name))
    if chance is not None:
        y = _height(chance)
        parts.append(f'<line class="chance" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_WIDTH}" y="{y - 4:.1f}" text-anchor="end">chance</text>')
    parts += _legend(models)
    return Plot(title, note, _svg(_TOP + _HEIGHT + _FOOT, parts, title))


def _shares() -> Iterator[str]:
    for percent in (0, 25, 50, 75, 100):
        y = _height(percent / 100)
        yield f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{percent}%</text>'


def _height(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)


def _bar(x: float, name: str, arm: str, figure: Figure | None) -> Iterator[str]:
    middle = x + _BAR / 2
    if figure is None or figure.value is None:
        yield f'<text x="{middle:.1f}" y="{_height(0) - 4:.1f}" text-anchor="middle">-</text>'
        return
    top = _height(figure.value)
    yield (
        f'<rect class="is-{escape(name)}" x="{x:.1f}" y="{top:.1f}" width="{_BAR}" height="{_height(0) - top:.1f}" rx="2">'
        f"<title>{escape(name)}, {escape(arm)}: {escape(str(figure))}, {figure.items} items</title></rect>"
    )
    above = top
    if figure.low is not None and figure.high is not None:
        low, above = _height(figure.low), _height(figure.high)
        yield from _line("whisker", (middle, low), (middle, above))
        yield from _line("whisker", (middle - 4, low), (middle + 4, low))
        yield from _line("whisker", (middle - 4, above), (middle + 4, above))
    yield (
        f'<text class="value" x="{middle:.1f}" y="{above - 4:.1f}" text-anchor="middle">{100 * figure.value:.0f}</text>'
    )


def _legend(models: Sequence[str]) -> Iterator[str]:
    for place, name in enumerate(models):
        x = _LEFT + 80 * place
        yield f'<rect class="is-{escape(name)}" x="{x}" y="4" width="11" height="11" rx="2"/>'
        yield f'<text x="{x + 16}" y="14">{escape(name)}</text>'


def gains(title: str, rows: Sequence[Row], note: str = "") -> Plot:
    """Draw gains in points as bars from zero, with intervals."""
    figures = [one.figure for one in rows if one.figure and one.figure.value is not None]
    ends = [end for one in figures for end in (one.value, one.low, one.high) if end is not None]
    low, high = min([*ends, -0.05]), max([*ends, 0.05])
    scale = (_WIDTH - _LABEL - _NUMBER) / (high - low)

    def at(value: float) -> float:
        return _LABEL + (value - low) * scale

    parts = []
    for number, row in enumerate(rows):
        y = number * _ROW
        if row.figure is None:
            parts.append(f'<text class="value" x="0" y="{y + 17}">{escape(row.label)}</text>')
            continue
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 17}" text-anchor="end">{escape(row.label)}</text>'
        )
        parts += _gain(row, y, at(0), at)
    height = len(rows) * _ROW
    parts += _line("zero", (at(0), 0), (at(0), height))
    return Plot(title, note, _svg(height, parts, title))


def _gain(row: Row, y: int, zero: float, at: Callable[[float], float]) -> Iterator[str]:
    figure = row.figure
    if figure is None or figure.value is None:
        yield f'<text class="value" x="{_WIDTH}" y="{y + 17}" text-anchor="end">-</text>'
        return
    end = at(figure.value)
    yield (
        f'<rect class="{escape(row.kind)}" x="{min(zero, end):.1f}" y="{y + 5}" width="{abs(end - zero):.1f}" height="15" rx="2"/>'
    )
    told = f"{100 * figure.value:+.1f}"
    if figure.low is not None and figure.high is not None:
        middle = y + 12.5
        yield from _line("whisker", (at(figure.low), middle), (at(figure.high), middle))
        for side in (figure.low, figure.high):
            yield from _line("whisker", (at(side), middle - 4), (at(side), middle + 4))
        told += f" [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"
    yield f'<text class="value" x="{_WIDTH}" y="{y + 17}" text-anchor="end">{told}</text>'


def _line(kind: str, start: tuple[float, float], end: tuple[float, float]) -> Iterator[str]:
    yield (
        f'<line class="{kind}" x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'
    )


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg class="proof-plot" viewBox="0 0 {_WIDTH} {height + 2:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def standalone(plot: Plot) -> str:
    """Return a plot as a standalone SVG file on white."""
    head, rest = plot.svg.split(">", 1)
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return f'{head}>{_STYLE}<rect width="100%" height="100%" fill="#fff"/>{rest}\n'
