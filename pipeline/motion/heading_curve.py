"""The heading of a clip over time as SVG, shown by the review page, the report and the clip picture. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from pipeline.motion.rows import Heading, Turn
from pipeline.times import print_time

# Tenths of a pixel, so that integers suffice: one push draws thousands of curves.
LEFT, RIGHT, TOP, BOTTOM = 480, 200, 40, 180  # margins of the plot
_LANE = 120  # height of a row of turn labels
_LETTER = 60  # width of a character in a turn label, at most
_POINT_GAP = 80  # between points of the curve, at least
_LEAST_DEGREES, _BOUND_DEGREES, _SPARE_DEGREES = 90, 15, 10  # least range; bounds; above and below
_TIME_STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)
_TIME_LABEL = 600  # width of a time label and the gap to the next
COLOURS = {"left": "#2f6fde", "right": "#c8551d", "around": "#7a4fc0"}
_ARROWS = {"left": "←", "right": "→", "around": "↶"}


@dataclass(frozen=True)
class Mark:
    """A part of a clip, in video time, that a plot shows between two lines, with a label."""

    start_us: int
    end_us: int
    label: str


def heading_curve(
    start_us: int,
    end_us: int,
    heading: Heading | None,
    turns: Iterable[Turn],
    keyframes_us: Sequence[int],
    *,
    width: int = 7200,
    height: int = 1280,
    leaders: int = 0,
    marks: Sequence[Mark] = (),
) -> str:
    """Return the curve as an SVG element as wide as its container; sizes are tenths of a pixel.

    If `leaders` is not 0, lines at the top, in a zone of this height, connect each keyframe's time with
    its cell in a strip of equal cells above the element.
    """
    drawn = plot(start_us, end_us, heading, turns, keyframes_us, width, height, marks)
    if leaders:
        lines = "".join(
            [
                f"M{(2 * number + 1) * width // (2 * len(keyframes_us))} 0"
                f"L{time_x(time_us, start_us, end_us, width)} {leaders}"
                for number, time_us in enumerate(keyframes_us)
            ]
        )
        drawn = (
            f"<path class='leader' d='{lines}' fill='none' stroke='currentColor' stroke-opacity='.35' "
            f"stroke-width='10'/><g transform='translate(0 {leaders - TOP})'>{drawn}</g>"
        )
        height += leaders - TOP
    # Attributes instead of a style: the report's content security policy forbids inline styles.
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
        f"width='100%' display='block'>{drawn}</svg>"
    )


def time_x(time_us: int, start_us: int, end_us: int, width: int) -> int:
    """Return where a time is drawn in a plot of this width."""
    return LEFT + (width - LEFT - RIGHT) * (time_us - start_us) // max(end_us - start_us, 1)


def plot(
    start_us: int,
    end_us: int,
    heading: Heading | None,
    turns: Iterable[Turn],
    keyframes_us: Sequence[int],
    width: int,
    height: int,
    marks: Sequence[Mark] = (),
) -> str:
    """Return the curve as an SVG group: turns as bands, glances as pale bands, keyframes as ticks.

    `marks` are shown between dashed lines.
    """
    scale = (width - LEFT - RIGHT) / max(end_us - start_us, 1)
    origin = LEFT - scale * start_us
    floor = height - BOTTOM
    bands = [
        (turn, int(origin + scale * turn.start_us), int(origin + scale * turn.end_us))
        for turn in turns
    ]
    labels, lanes = _labels(bands, width - RIGHT)
    times, yaws = _thinned(heading, width // _POINT_GAP)
    low, high = _range(yaws)
    # Marks are named in a row of their own, below the labels of turns and above the curve.
    below = TOP + _LANE * lanes
    ceiling = below + (_LANE if marks else 0)
    parts = [
        "<g fill='currentColor' font-family='sans-serif' font-size='100'>",
        _axes(low, high, width, floor, ceiling),
        _time_axis(end_us - start_us, width, floor),
    ]
    for turn, begin, end in bands:
        parts.append(
            f"<rect class='{turn.kind}' x='{begin}' y='{TOP}' width='{max(end - begin, 10)}' "
            f"height='{floor - TOP}' fill='{COLOURS[turn.kind]}' "
            f"fill-opacity='{0.25 if turn.moving else 0.1}'/>"
        )
    parts += labels
    # One pattern for all numbers, formatted in one call: half the time of one by one.
    ticks = [int(origin + scale * time_us) for time_us in keyframes_us]
    drawn = f"M%d {floor}v-50" * len(ticks) % tuple(ticks)
    parts.append(f"<path d='{drawn}' stroke='currentColor' stroke-width='12'/>")
    if times:
        rise = (floor - ceiling) / (high - low)
        zero = ceiling + rise * high
        points = [
            value
            for time_us, yaw in zip(times, yaws, strict=True)
            for value in (origin + scale * time_us, zero - rise * yaw)
        ]
        drawn = "%d %d " * len(times) % tuple(points)
        parts.append(
            f"<polyline points='{drawn}' fill='none' stroke='currentColor' stroke-width='16'/>"
        )
    for mark in marks:
        begin, end = int(origin + scale * mark.start_us), int(origin + scale * mark.end_us)
        parts.append(
            f"<path class='mark' d='M{begin} {below}V{floor}M{end} {below}V{floor}' stroke='currentColor' "
            f"stroke-width='14' stroke-dasharray='50 30'/>"
            f"<text x='{begin + 40}' y='{below + 95}' font-weight='600'>{escape(mark.label)}</text>"
        )
    return "".join([*parts, "</g>"])


def _labels(bands: Iterable[tuple[Turn, int, int]], right: int) -> tuple[list[str], int]:
    """Return the labels of turns, in rows so that none overlap, and the number of rows.

    Labels of turns are placed before those of glances; a label without room in three rows is left out.
    """
    lanes: list[list[tuple[int, int]]] = []
    labels = []
    for turn, begin, end in sorted(bands, key=lambda band: not band[0].moving):
        text = f"{_ARROWS[turn.kind]} {abs(turn.yaw_degrees):.0f}°" if turn.moving else "glance"
        half = len(text) * _LETTER // 2
        middle = min(max((begin + end) // 2, LEFT + half), right - half)
        lane = next(
            (
                number
                for number, taken in enumerate(lanes)
                if all(middle + half < one or middle - half > other for one, other in taken)
            ),
            len(lanes),
        )
        if lane == 3:
            continue
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append((middle - half, middle + half))
        labels.append(
            f"<text class='{turn.kind}' x='{middle}' y='{TOP + _LANE * lane + 95}' "
            f"fill='{COLOURS[turn.kind]}' font-weight='600' text-anchor='middle'>{text}</text>"
        )
    return labels, len(lanes)


def _range(yaws: Sequence[float]) -> tuple[int, int]:
    """Return the lowest and the highest angle of the plot, in degrees."""
    least, most = min(yaws, default=0) - _SPARE_DEGREES, max(yaws, default=0) + _SPARE_DEGREES
    low = int(least // _BOUND_DEGREES) * _BOUND_DEGREES
    high = -int(-most // _BOUND_DEGREES) * _BOUND_DEGREES
    missing = max(0, _LEAST_DEGREES - (high - low)) // _BOUND_DEGREES
    return low - missing // 2 * _BOUND_DEGREES, high + (missing - missing // 2) * _BOUND_DEGREES


def _thinned(heading: Heading | None, most: int) -> tuple[Sequence[int], Sequence[float]]:
    """Return the times and yaws that are drawn: every n-th point, and the last."""
    if heading is None or not heading.t_us:
        return (), ()
    every = len(heading.t_us) // most + 1
    times, yaws = heading.t_us[::every], heading.yaw_degrees[::every]
    if every > 1 and times[-1] != heading.t_us[-1]:
        return [*times, heading.t_us[-1]], [*yaws, heading.yaw_degrees[-1]]
    return times, yaws


@lru_cache(2**10)  # bounds are rounded, so most walks share theirs with many others
def _axes(low: int, high: int, width: int, floor: int, ceiling: int) -> str:
    """Return the background and the horizontal grid lines with their angles."""
    across = width - LEFT - RIGHT
    lines = ""
    for level in _levels(low, high):
        y = ceiling + (floor - ceiling) * (high - level) // (high - low)
        opacity = 0.35 if level == 0 else 0.15
        lines += (
            f"<path d='M{LEFT} {y}h{across}' stroke='currentColor' stroke-opacity='{opacity}' "
            f"stroke-width='8'/><text x='{LEFT - 40}' y='{y + 35}'>{level}°</text>"
        )
    middle = (TOP + floor) // 2
    return (
        f"<rect x='{LEFT}' y='{TOP}' width='{across}' height='{floor - TOP}' fill-opacity='.04'/>"
        f"<g fill-opacity='.65' text-anchor='end'>{lines}"
        f"<text transform='translate(100 {middle})rotate(-90)' text-anchor='middle' font-size='90'>"
        "heading, left is up</text></g>"
    )


def _levels(low: int, high: int) -> Sequence[int]:
    for step in (45, 90, 180, 360, 720):
        levels = range(-(-low // step) * step, high + 1, step)
        if len(levels) <= 5:
            return levels
    return [0]


@lru_cache(2**10)
def _time_axis(length_us: int, width: int, floor: int) -> str:
    """Return the clip times below the plot, at a round step, and the length of the clip."""
    across = width - LEFT - RIGHT
    step_us = 1_000_000 * next(
        (step for step in _TIME_STEPS_S if step * 1_000_000 * across >= _TIME_LABEL * length_us),
        _TIME_STEPS_S[-1],
    )
    times = [
        time_us
        for time_us in range(0, length_us, step_us)
        if (length_us - time_us) * across >= _TIME_LABEL * length_us
    ]
    labels = "".join(
        [
            f"<text x='{LEFT + across * time_us // max(length_us, 1)}' y='{floor + 135}'>"
            f"{print_time(time_us)}</text>"
            for time_us in (*times, length_us)
        ]
    )
    return (
        f"<g fill-opacity='.65' text-anchor='middle'>{labels}"
        f"<text x='{LEFT - 180}' y='{floor + 135}' text-anchor='end' font-size='90'>min:s</text></g>"
    )
