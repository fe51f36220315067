"""The corridors along a course: centre line, walls, and a check that they don't overlap."""

import itertools
from dataclasses import dataclass

import numpy as np

from pipeline.demo.course import Course
from pipeline.demo.walk import Floats

_BEYOND = 1.7  # metres of corridor behind the start, beyond the end and beyond a dead end
_LEAST_WALL = 0.8
DRAWN = 4  # corridors drawn at once: the one before, the current one, and two ahead


@dataclass(frozen=True)
class Layout:
    """Corridors in order: `corners` (n + 1, 2), joints of the left and right walls (n + 1, 2)."""

    corners: Floats
    half_widths: list[float]
    left: Floats
    right: Floats

    def direction(self, corridor: int) -> Floats:
        """Return the unit vector along a corridor."""
        step = self.corners[corridor + 1] - self.corners[corridor]
        return np.asarray(step / np.hypot(*step))

    def along(self, corridor: int, point: Floats) -> float:
        """Return the position of a ground point along a corridor, in metres from its first corner."""
        return float(np.dot(point - self.corners[corridor], self.direction(corridor)))

    def span(self, corridor: int, side: str) -> tuple[float, float]:
        """Return the start and end of one wall along a corridor."""
        wall = self.left if side == "left" else self.right
        return self.along(corridor, wall[corridor]), self.along(corridor, wall[corridor + 1])


def cross(a: Floats, b: Floats) -> float:
    """Return the z component of the cross product of two ground vectors."""
    return float(a[0] * b[1] - a[1] * b[0])


def meet(p: Floats, d: Floats, q: Floats, e: Floats) -> Floats:
    """Return the intersection of the lines p + s d and q + t e, which must not be parallel."""
    return np.asarray(p + d * (cross(q - p, e) / cross(d, e)))


def build(corners: Floats, half_widths: list[float]) -> Layout:
    """Return the layout of a centre line, its walls mitred at the corners."""
    steps = np.diff(corners, axis=0)
    along = steps / np.hypot(steps[:, 0], steps[:, 1])[:, None]
    aside = np.stack([-along[:, 1], along[:, 0]], axis=1)
    walls = []
    for sign in (1.0, -1.0):
        offset = [sign * h * a for h, a in zip(half_widths, aside, strict=True)]
        joints = [corners[0] + offset[0]]
        joints += [
            meet(corners[i] + offset[i], along[i], corners[i + 1] + offset[i + 1], along[i + 1])
            for i in range(len(along) - 1)
        ]
        # meet() intersects the walls of corridors i and i + 1
        joints.append(corners[-1] + offset[-1])
        walls.append(np.array(joints))
    return Layout(corners, half_widths, walls[0], walls[1])


def corners_of(course: Course, around: str | None) -> Floats:
    """Return the centre line along the course's legs; the two legs at a U-turn share a corridor."""
    lines: list[tuple[Floats, Floats]] = []
    turns = [(p, s) for p, s in zip(course.phases, course.starts, strict=True) if p.kind == "turn"]
    edges = [0.0, *(s + p.seconds for p, s in turns)]
    for edge in edges:
        i = course.at(edge)
        angle = np.radians(course.body[i])
        lines.append(
            (np.array([course.x[i], course.y[i]]), np.array([np.cos(angle), np.sin(angle)]))
        )
    start, end = lines[0][0], np.array([course.x[-1], course.y[-1]])
    first = start - _BEYOND * lines[0][1]
    last = end + _BEYOND * lines[-1][1]
    if around == "first":
        lines = lines[1:]
        p, d = lines[0]
        first = p - _BEYOND * d
    elif around == "last":
        spot = lines[-1][0]
        lines = lines[:-1]
        p, d = lines[-1]
        last = p + d * (float(np.dot(spot - p, d)) + _BEYOND)
    middle = [meet(*a, *b) for a, b in itertools.pairwise(lines)]
    return np.array([first, *middle, last])


def buildable(layout: Layout) -> bool:
    """Return whether every wall has a length and no two corridors that are drawn together overlap.

    At most four consecutive corridors are drawn. Others may overlap: a walk with five left turns in
    a row does not fit in a plane.
    """
    count = len(layout.half_widths)
    for i in range(count):
        for side in ("left", "right"):
            begin, end = layout.span(i, side)
            if end - begin < _LEAST_WALL:
                return False
    points = [np.linspace(layout.corners[i], layout.corners[i + 1], 40) for i in range(count)]
    for i in range(count):
        for k in range(i + 2, min(i + DRAWN, count)):
            gap = np.linalg.norm(points[i][:, None] - points[k][None], axis=2).min()
            if gap < layout.half_widths[i] + layout.half_widths[k] + 0.5:
                return False
    return True
