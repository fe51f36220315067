"""A radar chart as inline SVG; the page's style sheet sets colours. Pure."""

from collections.abc import Mapping, Sequence
from html import escape
from math import cos, pi, sin

_RADIUS, _MIDDLE = 130, 240
_RINGS = (0.25, 0.5, 0.75, 1.0)


def radar(axes: Sequence[str], rows: Mapping[str, Sequence[float | None]], title: str) -> str:
    """Draw shares from 0 to 1, one axis for each name in `axes`; a row's missing values are at the centre.

    Row `n` has the class `part-n`, from 1. Fewer than three axes make no area: then the text is empty.
    """
    if len(axes) < 3:
        return ""
    parts = [_polygon([ring] * len(axes), "ring") for ring in _RINGS]
    for number, name in enumerate(axes):
        x, y = _point(number, len(axes), 1.0)
        parts.append(
            f'<line class="axis" x1="{_MIDDLE}" y1="{_MIDDLE - 60}" x2="{x:.1f}" y2="{y:.1f}"/>'
        )
        x, y = _point(number, len(axes), 1.12)
        anchor = "middle" if abs(x - _MIDDLE) < 20 else "start" if x > _MIDDLE else "end"
        first, _, second = name.replace("_", " ").rpartition(" ")
        lines = f'{escape(first)}<tspan x="{x:.1f}" dy="13">{escape(second)}</tspan>'
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{lines}</text>')
    for number, values in enumerate(rows.values(), start=1):
        parts.append(_polygon([value or 0.0 for value in values], f"area part-{number}"))
    told = escape(title, quote=True)
    return f'<svg class="radar" viewBox="0 0 480 360" role="img" aria-label="{told}">{"".join(parts)}</svg>'


def _point(number: int, count: int, share: float) -> tuple[float, float]:
    angle = 2 * pi * number / count - pi / 2
    return _MIDDLE + _RADIUS * share * cos(angle), _MIDDLE - 60 + _RADIUS * share * sin(angle)


def _polygon(values: Sequence[float], kind: str) -> str:
    points = (_point(number, len(values), value) for number, value in enumerate(values))
    return f'<polygon class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
