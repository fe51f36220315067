"""Pictures of a clip: its keyframes laid along the measured heading, turns shaded."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.image as mpl_image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import plain
from pipeline.motion.keyframes import briefly
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.times import print_time

_COLUMNS = 8
_TITLE_SIGNS = 29  # fit above a picture at 7 points
_WIDTH = 13.0  # inches; at 110 dpi the sheet is 1430 px wide, a README's width twice over
_COLOURS = {"left": "#3b76c4", "right": "#d9822b", "around": "#8a55b5"}
_INK, _FAINT = "#24292f", "#d0d7de"


@dataclass(frozen=True)
class ContactSheet:
    """What one clip's picture shows."""

    title: str
    clip: Clip
    frames: Sequence[Frame]
    heading: Heading | None
    turns: Sequence[Turn]


def draw_sheet(sheet: ContactSheet, folder: WorkspaceFolder, target: Path) -> Path:
    """Write the picture of one clip as PNG and return its path."""
    rows = max(1, -(-len(sheet.frames) // _COLUMNS))
    cell = _WIDTH / _COLUMNS * _aspect(sheet.frames) + 0.24
    height = 0.45 + rows * cell + 2.6
    figure = Figure(figsize=(_WIDTH, height), dpi=110, facecolor="white")
    grid = figure.add_gridspec(
        2,
        1,
        height_ratios=[rows * cell, 2.4],
        left=0.045,
        right=0.99,
        top=1 - 0.4 / height,
        bottom=0.45 / height,
        hspace=0.12,
    )
    figure.text(
        0.01,
        1 - 0.27 / height,
        plain(sheet.title),
        fontsize=12,
        weight="bold",
        color=_INK,
        parse_math=False,  # a file's name may hold dollar signs
    )
    pictures = grid[0].subgridspec(rows, _COLUMNS, wspace=0.04, hspace=0.14)
    for number, frame in enumerate(sheet.frames):
        _draw_frame(
            figure.add_subplot(pictures[number // _COLUMNS, number % _COLUMNS]),
            sheet,
            frame,
            folder,
        )
    _draw_heading(figure.add_subplot(grid[1]), sheet)
    target.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes, in a name that the page tells anyway.
        warnings.filterwarnings("ignore", message="Glyph")
        # Without Software the bytes don't depend on the version that drew them.
        figure.savefig(target, metadata={"Software": None})
    return target


def _aspect(frames: Sequence[Frame]) -> float:
    return frames[0].height / frames[0].width if frames else 0.6


def _draw_frame(axes: Axes, sheet: ContactSheet, frame: Frame, folder: WorkspaceFolder) -> None:
    picture = mpl_image.imread(folder.media_path(frame.media), format="jpeg")
    axes.imshow(picture, interpolation="antialiased")
    inside = next((t for t in sheet.turns if t.start_us <= frame.t_us <= t.end_us), None)
    colour = _COLOURS[inside.kind] if inside else _FAINT
    for side in axes.spines.values():
        side.set(color=colour, linewidth=2.2 if inside else 0.8)
    axes.set(xticks=[], yticks=[])
    title = f"{print_time(frame.t_us - sheet.clip.start_us)}  {briefly(frame.reason)}"
    size = min(7.0, 7.0 * _TITLE_SIGNS / len(title))  # a long one must not reach into the next
    axes.set_title(title, fontsize=size, pad=2.5, color=_INK, loc="left")


def _draw_heading(axes: Axes, sheet: ContactSheet) -> None:
    start = sheet.clip.start_us
    if sheet.heading:
        seconds = (np.asarray(sheet.heading.t_us) - start) / 1e6
        axes.plot(seconds, sheet.heading.yaw_degrees, color=_INK, linewidth=1.4)
    for turn in sheet.turns:
        begin, end = (turn.start_us - start) / 1e6, (turn.end_us - start) / 1e6
        label = f"{turn.kind} {abs(turn.yaw_degrees):.0f}°" if turn.moving else "glance"
        colour = _COLOURS[turn.kind]
        axes.axvspan(begin, end, color=colour, alpha=0.22 if turn.moving else 0.08, linewidth=0)
        axes.annotate(
            label,
            ((begin + end) / 2, 0.97),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=8,
            color=colour,
            rotation=0 if end - begin > 0.06 * (sheet.clip.end_us - start) / 1e6 else 90,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],  # over the curve
        )
    for frame in sheet.frames:
        axes.axvline((frame.t_us - start) / 1e6, ymax=0.04, color=_INK, linewidth=1)
    axes.set_xlim(0, (sheet.clip.end_us - start) / 1e6)
    axes.margins(y=0.22)
    axes.set_xlabel("seconds of the clip; ticks are keyframes", fontsize=8, color=_INK)
    axes.set_ylabel("heading in degrees, left is up", fontsize=8, color=_INK)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.grid(visible=True, color=_FAINT, linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
