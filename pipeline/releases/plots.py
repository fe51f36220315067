"""Small plots as inline SVG for the report page and the card; the page's style sheet sets colours. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_WIDTH, _BAR, _GAP, _LABEL, _VALUE = 340, 18, 7, 118, 62
_PLOT_HEIGHT, _TICK = 118, 18
CHANCE = 0.25  # with four options


@dataclass(frozen=True)
class Plot:
    """One plot: its title, a note on what it shows, and its SVG."""

    title: str
    note: str
    svg: str


def bars(
    title: str,
    values: Mapping[str, float],
    *,
    note: str = "",
    unit: str = "",
    kind: str = "",
    chance: float = 0.0,
    full: float = 0.0,
) -> Plot:
    """Draw one horizontal bar per value; `kind` names a colour class, else the label does.

    `chance` marks the value expected from guessing; `full` is the value of a full bar (default: the
    greatest value).
    """
    top = max([*values.values(), chance, full, 1e-9])
    room = _WIDTH - _LABEL - _VALUE
    parts = []
    for row, (label, value) in enumerate(values.items()):
        y = row * (_BAR + _GAP)
        middle = y + _BAR * 0.72
        parts.append(
            f'<text x="{_LABEL - 8}" y="{middle:.0f}" text-anchor="end">{escape(_short(label))}'
            f"<title>{escape(label)}</title></text>"
            f'<rect class="track" x="{_LABEL}" y="{y}" width="{room}" height="{_BAR}" rx="3"/>'
            f'<rect class="bar {escape(kind or "is-" + label)}" x="{_LABEL}" y="{y}" '
            f'width="{max(value / top * room, 1.5 if value else 0):.1f}" height="{_BAR}" rx="3"/>'
            f'<text class="value" x="{_WIDTH}" y="{middle:.0f}" text-anchor="end">'
            f"{escape(_number(value))}{escape(unit)}</text>"
        )
    height = max(len(values) * (_BAR + _GAP) - _GAP, _BAR)
    if chance:
        x = _LABEL + room * chance / top
        parts.append(f'<line class="chance" x1="{x:.1f}" x2="{x:.1f}" y1="-2" y2="{height + 2}"/>')
    return Plot(title, note, _svg(height, parts, title))


def percents(title: str, shares: Mapping[str, float], note: str, chance: float = 0.0) -> list[Plot]:
    """Draw shares (0 to 1) as bars in percent; return no plot for no shares."""
    values = {name: round(100 * share, 1) for name, share in shares.items()}
    drawn = bars(title, values, note=note, unit=" %", kind="plain", chance=100 * chance, full=100.0)
    return [drawn] if values else []


def blind_bars(gates: Iterable[Mapping[str, Any]], note: str = "") -> list[Plot]:
    """Draw the blind accuracy of each task, if the gates of a manifest include it."""
    found = []
    for gate in gates:
        if gate["name"] == "blind":
            # Of a few clips, 100 % says as little as 0 %. Gates of early releases have no state.
            few = "unproven: too few clips; " if gate.get("state") == "unproven" else ""
            caption = f"{few}learned probe; the line marks chance{note}"
            shares = gate.get("parts") or {}
            found += percents("Blind accuracy by task", shares, caption, CHANCE)
    return found


def histogram(
    title: str, values: Sequence[float], *, note: str = "", bins: int = 16, unit: str = ""
) -> Plot:
    """Draw a histogram with equal bins between the least and the greatest value."""
    if not values:
        return Plot(title, "no data yet", _svg(_BAR, [], title))
    low, high = min(values), max(values)
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    top, step = max(counts), _WIDTH / bins
    floor = _PLOT_HEIGHT - _TICK
    parts = [
        f'<rect class="bar" x="{position * step + 1:.1f}" y="{floor - count / top * (floor - 14):.1f}" '
        f'width="{step - 2:.1f}" height="{count / top * (floor - 14):.1f}" rx="2">'
        f"<title>{count}: {_number(low + position * width)} to {_number(low + (position + 1) * width)}"
        f"{escape(unit)}</title></rect>"
        for position, count in enumerate(counts)
    ]
    parts.append(f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>')
    parts.append(f'<text class="value" x="{_WIDTH}" y="10" text-anchor="end">max: {top}</text>')
    for x, anchor, value in (
        (0, "start", low),
        (_WIDTH / 2, "middle", (low + high) / 2),
        (_WIDTH, "end", high),
    ):
        parts.append(
            f'<text x="{x:.0f}" y="{_PLOT_HEIGHT - 3}" text-anchor="{anchor}">{_number(value)}{escape(unit)}</text>'
        )
    return Plot(title, note, _svg(_PLOT_HEIGHT, parts, title))


def grouped(
    title: str, groups: Mapping[str, Mapping[str, float]], *, note: str = "", chance: float = 0.0
) -> Plot:
    """Draw one stacked bar of shares per group; `chance` marks where equal parts would end."""
    room = _WIDTH - _LABEL
    parts = []
    for row, (label, values) in enumerate(groups.items()):
        y, x = row * (_BAR + _GAP), float(_LABEL)
        total = sum(values.values()) or 1.0
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + _BAR * 0.72:.0f}" text-anchor="end">'
            f"{escape(_short(label))}<title>{escape(label)}</title></text>"
        )
        for position, (name, value) in enumerate(values.items()):
            width = value / total * room
            parts.append(
                f'<rect class="bar part-{position % 6}" x="{x:.1f}" y="{y}" width="{max(width - 1.5, 0):.1f}" '
                f'height="{_BAR}" rx="3"><title>{escape(label)}: {escape(name)}: {_number(value)} '
                f"({value / total:.0%})</title></rect>"
            )
            if width > 26:
                parts.append(
                    f'<text class="inside" x="{x + width / 2:.1f}" y="{y + _BAR * 0.72:.0f}" '
                    f'text-anchor="middle">{escape(name if width > 9 * len(name) else _number(value))}</text>'
                )
            x += width
    height = max(len(groups) * (_BAR + _GAP) - _GAP, _BAR)
    if chance:
        parts += [
            f'<line class="chance" x1="{_LABEL + room * share:.1f}" x2="{_LABEL + room * share:.1f}" '
            f'y1="-2" y2="{height + 2}"/>'
            for share in _steps(chance)
        ]
    return Plot(title, note, _svg(height, parts, title))


def _steps(chance: float) -> list[float]:
    return [chance * position for position in range(1, round(1 / chance))]


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 -3 {_WIDTH} {height + 6:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


_STYLE = (
    "<style>text{font:11.5px system-ui,sans-serif;fill:#626a73}.value{fill:#1f2328}.inside{fill:#fff}"
    ".track{fill:#efece5}.bar{fill:#2f6f6a}.part-1{fill:#3b76c4}.part-2{fill:#d9822b}.part-3{fill:#8a55b5}"
    ".chance{stroke:#1f2328;stroke-dasharray:2 2;opacity:.7}</style>"
)


def standalone(plot: Plot) -> str:
    """Return a plot as a standalone SVG file on white, for pages without the report's style sheet."""
    head, rest = plot.svg.split(">", 1)
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return f'{head}>{_STYLE}<rect x="-8" y="-8" width="400" height="2000" fill="#fff"/>{rest}\n'


def _short(label: str) -> str:
    text = label.replace("_", " ")
    return text if len(text) <= 19 else f"{text[:18]}…"


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}".replace(",", " ")
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
