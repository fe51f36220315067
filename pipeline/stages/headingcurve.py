"""The picture of a clip's measured heading that lies beneath its keyframes: SVG inside the page. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np

from pipeline import route
from pipeline.records import Clip, Frame, Heading, Turn

# In tenths of a unit, so that whole numbers do: a push draws thousands of these.
_WIDTH, _HEIGHT = 7200, 1280
_LEFT, _RIGHT, _TOP, _BOTTOM = 360, 180, 40, 180
_FLOOR = _HEIGHT - _BOTTOM
_POINTS = 120  # at most: one every six units
_COLOURS = {"left": "#2f6fde", "right": "#d9622b", "around": "#7a4fc0"}
_SHEET = (
    f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' style='width:100%;display:block' font-family='sans-serif' "
    f"font-size='100'><rect x='{_LEFT}' y='{_TOP}' width='{_WIDTH - _LEFT - _RIGHT}' "
    f"height='{_FLOOR - _TOP}' fill='#f6f7f9'/>"
)
_ARROWS = {"left": "←", "right": "→", "around": "↶"}


def heading_curve(
    clip: Clip, heading: Heading | None, turns: Iterable[Turn], frames: Iterable[Frame]
) -> str:
    """Draw the heading over clip time: measured turns as bands, looks aside pale, keyframes as ticks."""
    start, across = clip.start_us, (_WIDTH - _LEFT - _RIGHT) / max(clip.end_us - clip.start_us, 1)
    times, yaws = _drawn(heading)
    low, high = min([-45.0, *yaws]), max([45.0, *yaws])
    down = (_FLOOR - _TOP) / (high - low)

    def x(time_us: int) -> int:
        return _LEFT + int(across * (time_us - start))

    def y(yaw: float) -> int:
        return _TOP + int(down * (high - yaw))

    parts = [_SHEET]
    for turn in turns:
        begin, end = x(turn.start_us), x(turn.end_us)
        label = f"{_ARROWS[turn.kind]}{abs(turn.yaw_degrees):.0f}°" if turn.moving else "aside"
        parts.append(
            f"<g fill='{_COLOURS[turn.kind]}'><rect x='{begin}' y='{_TOP}' width='{max(end - begin, 10)}' "
            f"height='{_FLOOR - _TOP}' fill-opacity='{0.25 if turn.moving else 0.08}'/>"
            f"<text x='{(begin + end) // 2}' y='{_TOP + 110}' text-anchor='middle'>{label}</text></g>"
        )
    parts.append("<g fill='#777' text-anchor='end' stroke-width='8'>")
    for level in _levels(low, high):
        at = y(level)
        parts.append(
            f"<path d='M{_LEFT} {at}H{_WIDTH - _RIGHT}' stroke='#d5d8de'/>"
            f"<text x='{_LEFT - 40}' y='{at + 35}'>{level}°</text>"
        )
    parts.append("</g><g fill='#777' text-anchor='middle'>")
    for fifth in range(6):
        along = (clip.end_us - start) * fifth // 5
        told = route.print_time(along)
        parts.append(f"<text x='{x(start + along)}' y='{_HEIGHT - 60}'>{told}</text>")
    ticks = "".join([f"M{x(frame.t_us)} {_FLOOR}v-50" for frame in frames])
    parts.append(f"</g><path d='{ticks}' stroke='#555' stroke-width='10'/>")
    if times:
        points = np.empty((len(times), 2), np.int64)
        points[:, 0] = _LEFT + across * (np.array(times) - start)
        points[:, 1] = _TOP + down * (high - np.array(yaws))
        # A list prints itself in half the time of its numbers one by one.
        drawn = str(points.ravel().tolist())[1:-1].replace(",", "")
        parts.append(f"<polyline points='{drawn}' fill='none' stroke='#1b1f24' stroke-width='16'/>")
    return "".join([*parts, "</svg>"])


def _drawn(heading: Heading | None) -> tuple[Sequence[int], Sequence[float]]:
    """Return the times and yaws that are drawn: of a fine measurement every so many."""
    if heading is None:
        return (), ()
    every = len(heading.t_us) // _POINTS + 1
    return heading.t_us[::every], heading.yaw_degrees[::every]


def _levels(low: float, high: float) -> Sequence[int]:
    for step in (45, 90, 180, 360, 720):
        levels = range(-(-int(low) // step) * step, int(high) + 1, step)
        if len(levels) <= 5:
            return levels
    return [0]
