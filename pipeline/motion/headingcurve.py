"""The picture of a clip's measured heading that lies beneath its keyframes: SVG inside the page. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.times import print_time

# In tenths of a unit, so that whole numbers do: a push draws thousands of these.
_WIDTH, _HEIGHT = 7200, 1280
_LEFT, _RIGHT, _TOP, _BOTTOM = 360, 180, 40, 180
_ACROSS, _FLOOR = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM
_DOWN = _FLOOR - _TOP
_POINTS = 90  # at most: one every eight units, some nine pixels
_LEAST, _WHOLE = (
    45,
    15,
)  # degrees: how much is shown of a straight walk; what bounds are multiples of
_COLOURS = {"left": "#2f6fde", "right": "#d9622b", "around": "#7a4fc0"}
_ARROWS = {"left": "←", "right": "→", "around": "↶"}
_TICK, _POINT = f"M%d {_FLOOR}v-50", "%d %d "


def heading_curve(
    clip: Clip, heading: Heading | None, turns: Iterable[Turn], frames: Iterable[Frame]
) -> str:
    """Draw the heading over clip time: measured turns as bands, looks aside pale, keyframes as ticks."""
    start, length = clip.start_us, max(clip.end_us - clip.start_us, 1)
    along = _ACROSS / length
    times, yaws = _drawn(heading)
    low = min(-_LEAST, int(min(yaws, default=0) // _WHOLE) * _WHOLE)
    high = max(_LEAST, -int(-max(yaws, default=0) // _WHOLE) * _WHOLE)
    parts = [_sheet(low, high)]
    for turn in turns:
        begin = _LEFT + int(along * (turn.start_us - start))
        end = _LEFT + int(along * (turn.end_us - start))
        label = f"{_ARROWS[turn.kind]}{abs(turn.yaw_degrees):.0f}°" if turn.moving else "aside"
        parts.append(
            f"<g fill='{_COLOURS[turn.kind]}'><rect x='{begin}' y='{_TOP}' width='{max(end - begin, 10)}' "
            f"height='{_DOWN}' fill-opacity='{0.25 if turn.moving else 0.08}'/>"
            f"<text x='{(begin + end) // 2}' y='{_TOP + 110}' text-anchor='middle'>{label}</text></g>"
        )
    parts.append(_clock(length))
    # One pattern for all numbers, which C puts in: half the time of one by one.
    ticks = [_LEFT + int(along * (frame.t_us - start)) for frame in frames]
    parts.append(f"<path d='{_TICK * len(ticks) % tuple(ticks)}' stroke='#555' stroke-width='10'/>")
    if times:
        right, down = _LEFT - along * start, _DOWN / (high - low)
        floor = _TOP + down * high
        points = [
            value
            for time_us, yaw in zip(times, yaws, strict=True)
            for value in (right + along * time_us, floor - down * yaw)
        ]
        drawn = _POINT * len(times) % tuple(points)
        parts.append(f"<polyline points='{drawn}' fill='none' stroke='#1b1f24' stroke-width='16'/>")
    return "".join([*parts, "</svg>"])


def _drawn(heading: Heading | None) -> tuple[Sequence[int], Sequence[float]]:
    """Return the times and yaws that are drawn: of a fine measurement every so many."""
    if heading is None:
        return (), ()
    every = len(heading.t_us) // _POINTS + 1
    return heading.t_us[::every], heading.yaw_degrees[::every]


@lru_cache(2**10)  # bounds are whole: most walks share theirs with many others
def _sheet(low: int, high: int) -> str:
    """Return what begins the picture: its ground, and lines across it at some whole angles."""
    lines = ""
    for level in _levels(low, high):
        at = _TOP + _DOWN * (high - level) // (high - low)
        lines += (
            f"<path d='M{_LEFT} {at}h{_ACROSS}' stroke='#d5d8de'/>"
            f"<text x='{_LEFT - 40}' y='{at + 35}'>{level}°</text>"
        )
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' style='width:100%;display:block' font-family='sans-serif' "
        f"font-size='100'><rect x='{_LEFT}' y='{_TOP}' width='{_ACROSS}' height='{_DOWN}' fill='#f6f7f9'/>"
        f"<g fill='#777' text-anchor='end' stroke-width='8'>{lines}</g>"
    )


def _levels(low: int, high: int) -> Sequence[int]:
    for step in (45, 90, 180, 360, 720):
        levels = range(-(-low // step) * step, high + 1, step)
        if len(levels) <= 5:
            return levels
    return [0]


def _clock(length_us: int) -> str:
    """Return the clip times along the foot of the picture, at every fifth."""
    told = "".join(
        [
            f"<text x='{_LEFT + _ACROSS * fifth // 5}' y='{_HEIGHT - 60}'>"
            f"{print_time(length_us * fifth // 5)}</text>"
            for fifth in range(6)
        ]
    )
    return f"<g fill='#777' text-anchor='middle'>{told}</g>"
