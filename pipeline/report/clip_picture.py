"""The picture of a clip: one SVG file with its keyframes above and below the measured heading. Pure."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.errors import plain
from pipeline.motion.heading_curve import BOTTOM, COLOURS, TOP, Mark, plot, time_x
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.questions.rows import Span
from pipeline.times import print_time

# Tenths of a pixel, as in the heading curve.
_WIDTH = 14000  # wider for more than 16 keyframes
_MARGIN, _GAP = 100, 60
_LEAST_CELL, _MOST_CELL = 1600, 2400  # width of a keyframe
_TITLE, _CAPTION, _LEADERS, _PLOT = 420, 210, 320, 2600
_FONT, _LETTER = 130, 70  # of captions: size, and the width of a character, at most
_ZOOM = 1.3  # of the plot, to make its labels as large as the captions


@dataclass(frozen=True)
class ClipPicture:
    """The contents of one clip's picture; `jpegs` are the frames' files, None for a missing one.

    `spans` are the parts that items ask about.
    """

    title: str
    clip: Clip
    frames: Sequence[Frame]
    jpegs: Sequence[bytes | None]
    heading: Heading | None
    turns: Sequence[Turn]
    spans: Sequence[Mark] = ()


def marks(spans: Iterable[Span]) -> list[Mark]:
    """Return spans as marks of a plot, numbered from 1 in time order."""
    return [
        Mark(span.start_us, span.end_us, f"span {number}{', mirrored' if span.mirrored else ''}")
        for number, span in enumerate(in_time(spans), start=1)
    ]


def in_time(spans: Iterable[Span]) -> list[Span]:
    """Return spans in time order."""
    return sorted(spans, key=lambda span: span.start_us)


def draw(picture: ClipPicture) -> str:
    """Return the SVG document: keyframes 1, 3, 5, ... above the curve, 2, 4, 6, ... below it."""
    start_us, end_us = picture.clip.start_us, picture.clip.end_us
    columns = max(1, -(-len(picture.frames) // 2))
    width = max(_WIDTH, 2 * _MARGIN + columns * (_LEAST_CELL + _GAP))
    plot_width = int(width / _ZOOM)
    column = (width - 2 * _MARGIN) // columns
    cell = min(column - _GAP, _MOST_CELL)
    image = round(cell * _aspect(picture.frames))
    top = _TITLE + _CAPTION + image + _LEADERS  # of the plot
    below = top + _PLOT + _LEADERS
    floor = top + _PLOT - int(_ZOOM * BOTTOM)
    captions = [
        (print_time(frame.t_us - start_us), plain(frame.brief_reason)) for frame in picture.frames
    ]
    longest = max((len(time) + 1 + len(reason) for time, reason in captions), default=1)
    font = min(_FONT, _FONT * cell // (_LETTER * longest))
    cells, leaders = [], []
    for number, (frame, (time, reason)) in enumerate(zip(picture.frames, captions, strict=True)):
        middle = _MARGIN + (number // 2) * column + column // 2
        at = int(_ZOOM * time_x(frame.t_us, start_us, end_us, plot_width))
        if number % 2:
            y, caption_y = below, below + image + 150
            leaders.append(f"M{middle} {y}L{at} {top + _PLOT}V{floor}")
        else:
            y, caption_y = _TITLE + _CAPTION, _TITLE + _CAPTION - 60
            leaders.append(f"M{middle} {y + image}L{at} {top + int(_ZOOM * TOP)}")
        x = middle - cell // 2
        box = f"x='{x}' y='{y}' width='{cell}' height='{image}'"
        cells.append(
            f"{_keyframe(picture, number, box)}"
            f"<text x='{x}' y='{caption_y}' font-size='{font}'>"
            f"<tspan font-weight='bold'>{time}</tspan> {escape(reason)}</text>"
        )
    drawn = plot(
        start_us,
        end_us,
        picture.heading,
        picture.turns,
        [frame.t_us for frame in picture.frames],
        plot_width,
        int(_PLOT / _ZOOM),
        picture.spans,
    )
    height = below + image + _CAPTION + _MARGIN
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
        f"width='{width // 10}' height='{height // 10}' color='#1b1f24' font-family='sans-serif'>"
        f"<rect width='{width}' height='{height}' fill='#fff'/>"
        f"<text x='{_MARGIN}' y='250' font-size='170' font-weight='bold'>"
        f"{escape(plain(picture.title))}</text>"
        f"<path d='{''.join(leaders)}' fill='none' stroke='#8b949e' stroke-width='10'/>"
        f"<g transform='translate(0 {top})scale({_ZOOM})'>{drawn}</g>{''.join(cells)}</svg>\n"
    )


def _aspect(frames: Sequence[Frame]) -> float:
    return frames[0].height / frames[0].width if frames else 0.6


def _keyframe(picture: ClipPicture, number: int, box: str) -> str:
    """Return one keyframe, framed in the colour of the turn that it shows."""
    frame, jpeg = picture.frames[number], picture.jpegs[number]
    turn = next((t for t in picture.turns if t.start_us <= frame.t_us <= t.end_us), None)
    image = (
        f"<rect {box} fill='#d0d7de'/>"
        if jpeg is None
        else f"<image {box} preserveAspectRatio='xMidYMid slice' "
        f"href='data:image/jpeg;base64,{b64encode(jpeg).decode()}'/>"
    )
    colour, stroke = (COLOURS[turn.kind], 36) if turn else ("#d0d7de", 10)
    return f"{image}<rect {box} fill='none' stroke='{colour}' stroke-width='{stroke}'/>"
