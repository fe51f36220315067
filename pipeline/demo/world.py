"""Build a walk's corridors and objects as surfaces, with the light of the lamps in their textures."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.demo import layout, paint, things
from pipeline.demo.layout import Layout
from pipeline.demo.render import Picture, Surface, Texture
from pipeline.demo.things import Stand, Thing
from pipeline.demo.walk import Floats, Placement, Walk

_WALL_PPM, _FLOOR_PPM = 150, 110
_PANEL_M = 1.6  # longer panels would be blurred at their near end or alias at their far end
_ACT_US = 1_200_000


@dataclass(frozen=True)
class World:
    """The fixed surfaces with the corridor of each, and the objects that change when used."""

    fixed: list[Surface]
    corridors: list[int]
    changing: list[tuple[Placement, Thing]]

    def now(self, t_us: int, low: int, high: int) -> list[Surface]:
        """Return the surfaces of the changing objects in corridors `low` to `high` at a time."""
        found: list[Surface] = []
        for placement, thing in self.changing:
            if thing.change is not None and low <= placement.corridor <= high:
                share = min(max((t_us - (placement.act_us or 0)) / _ACT_US, 0.0), 1.0)
                found += thing.change(share * share * (3 - 2 * share))
        return found


def build_world(walk: Walk) -> World:
    """Return the world of a walk; the same walk gives the same world."""
    rng = np.random.default_rng([walk.seed, 2])
    plan = layout.build(walk.corners, walk.half_widths)
    height = float(rng.uniform(2.45, 2.9))
    fixed: list[Surface] = []
    corridors: list[int] = []
    for corridor in range(len(walk.half_widths)):
        fixed += _corridor(plan, corridor, height, rng)
        corridors += [corridor] * (len(fixed) - len(corridors))
    changing: list[tuple[Placement, Thing]] = []
    for placement in walk.placements:
        at = stand_of(plan, placement, height)
        thing = things.make(placement.thing, at, rng)
        fixed += thing.fixed
        corridors += [placement.corridor] * len(thing.fixed)
        if thing.change is not None:
            changing.append((placement, thing))
    return World(fixed, corridors, changing)


def stand_of(plan: Layout, placement: Placement, height: float) -> Stand:
    """Return the position of a placed object."""
    i = placement.corridor
    ahead = plan.direction(i)
    aside = np.array([-ahead[1], ahead[0]])
    half = plan.half_widths[i]
    middle = plan.corners[i] + placement.along * ahead
    if placement.side == "left":
        spot, out = middle + half * aside, -aside
    elif placement.side == "right":
        spot, out = middle - half * aside, aside
    elif placement.side == "start":
        spot, out = plan.corners[i], ahead
    elif placement.side == "end":
        spot, out = plan.corners[i + 1], -ahead
    else:
        spot, out = middle, -ahead
    return Stand(np.array([*spot, 0.0]), np.array([*out, 0.0]), half, height)


def _corridor(plan: Layout, i: int, height: float, rng: np.random.Generator) -> list[Surface]:
    ahead = plan.direction(i)
    aside = np.array([-ahead[1], ahead[0]])
    start, half = plan.corners[i], plan.half_widths[i]
    length = float(np.linalg.norm(plan.corners[i + 1] - start))
    style = paint.WALLS[int(rng.integers(len(paint.WALLS)))]
    lamps: Floats = np.asarray(
        np.arange(rng.uniform(0.4, 1.2), length + 0.4, rng.uniform(2.0, 3.0)), float
    )
    found: list[Surface] = []

    def ground(along: float, left: float, up: float) -> Floats:
        return np.array([*(start + along * ahead + left * aside), up])

    for side, sign in (("left", 1.0), ("right", -1.0)):
        begin, end = plan.span(i, side)
        picture = paint.wall(style, end - begin, height, _WALL_PPM, rng)
        s = (np.arange(picture.shape[1]) / _WALL_PPM + begin)[None, :]
        z = height - (np.arange(picture.shape[0]) / _WALL_PPM)[:, None]
        picture *= _light(s, half, z, lamps, height, (0.0, sign))[:, :, None]
        near, far = ground(begin, sign * half, height), ground(end, sign * half, height)
        if side == "left":
            found += _panels(paint.finish(picture), near, far, height)
        else:  # the right wall is mirrored when seen from inside
            found += _panels(paint.finish(picture[:, ::-1]), far, near, height)
    for end_wall, (left, right) in (
        (i == 0, (0.0, 0)),
        (i == len(plan.half_widths) - 1, (length, 1)),
    ):
        if not end_wall:
            continue
        picture = paint.wall(style, 2 * half, height, _WALL_PPM, rng)
        y = (np.arange(picture.shape[1]) / _WALL_PPM - half)[None, :]
        z = height - (np.arange(picture.shape[0]) / _WALL_PPM)[:, None]
        picture *= _light(np.full_like(y, left), y, z, lamps, height, (1.0, 0.0))[:, :, None]
        flip = 1.0 if right else -1.0
        found += _panels(
            paint.finish(picture),
            ground(left, flip * half, height),
            ground(left, -flip * half, height),
            height,
        )
    found += _level(plan, i, height, lamps, rng)
    return found


def _panels(picture: Picture, start: Floats, end: Floats, height: float) -> list[Surface]:
    """Divide a wall's texture into panels from its upper left to its upper right corner."""
    length = float(np.linalg.norm(end - start))
    count = max(round(length / _PANEL_M), 1)
    edges = np.linspace(0, picture.shape[1], count + 1).round().astype(int)
    down = np.array([0.0, 0.0, -height])
    across = (end - start) / picture.shape[1]
    return [
        Surface(
            Texture(np.ascontiguousarray(picture[:, a:b])),
            start + across * a,
            across * (b - a),
            down,
        )
        for a, b in itertools.pairwise(edges)
    ]


def _level(
    plan: Layout, i: int, height: float, lamps: Floats, rng: np.random.Generator
) -> list[Surface]:
    """Return the floor and ceiling of a corridor, in strips between its mitred ends."""
    ahead = plan.direction(i)
    aside = np.array([-ahead[1], ahead[0]])
    half = plan.half_widths[i]
    outline = np.array(
        [[plan.along(i, p), sign * half] for p, sign in (
            (plan.left[i], 1), (plan.left[i + 1], 1), (plan.right[i + 1], -1), (plan.right[i], -1),
        )]
    )  # fmt: skip
    low, high = float(outline[:, 0].min()), float(outline[:, 0].max())
    kind = paint.FLOORS[int(rng.integers(len(paint.FLOORS)))]
    ground = paint.floor(kind, high - low, 2 * half, _FLOOR_PPM, rng)
    above = paint.ceiling(high - low, 2 * half, _FLOOR_PPM, rng)
    s = (np.arange(ground.shape[1]) / _FLOOR_PPM + low)[None, :]
    y = (half - np.arange(ground.shape[0]) / _FLOOR_PPM)[:, None]
    ground *= _light(s, y, np.zeros_like(y), lamps, height, (0.0, 0.0))[:, :, None]
    ground *= (0.62 + 0.38 * np.clip((half - np.abs(y)) / 0.35, 0, 1))[:, :, None]
    above *= (0.62 + 0.2 * np.clip((half - np.abs(y)) / 0.5, 0, 1))[:, :, None]
    for lamp in lamps:
        a, b = (round((lamp + d - low) * _FLOOR_PPM) for d in (-0.3, 0.3))
        c, d = (round((half + w) * _FLOOR_PPM) for w in (-0.3, 0.3))
        a, b = max(a, 0), min(b, above.shape[1])
        above[c:d, a:b] = (252, 254, 255)
        cv2.rectangle(above, (a, c), (b, d), (150, 152, 154), 3)
    found: list[Surface] = []
    count = max(round((high - low) / _PANEL_M), 1)
    edges = np.linspace(0, ground.shape[1], count + 1).round().astype(int)
    for a, b in itertools.pairwise(edges):
        near, far = low + a / _FLOOR_PPM, low + b / _FLOOR_PPM
        piece = _between(outline, near, far)
        if len(piece) < 3:
            continue
        share = np.stack(
            [(piece[:, 0] - near) / (far - near), (half - piece[:, 1]) / (2 * half)], axis=1
        )
        corner = plan.corners[i] + near * ahead + half * aside
        u = np.array([*(far - near) * ahead, 0.0])
        v = np.array([*(-2 * half * aside), 0.0])
        found.append(
            Surface(Texture(paint.finish(ground[:, a:b])), np.array([*corner, 0.0]), u, v, share)
        )
        # the ceiling is mirrored when seen from below: reverse v
        flipped = np.stack([share[:, 0], 1 - share[:, 1]], axis=1)
        top = np.array([*(corner - 2 * half * aside), height])
        found.append(
            Surface(Texture(paint.finish(above[::-1, a:b])), top, u, -v, flipped, glow=False)
        )
    return found


def _between(outline: Floats, low: float, high: float) -> Floats:
    """Return the part of a convex ground polygon whose first coordinate is in a range."""
    for sign, edge in ((1.0, low), (-1.0, high)):
        kept = []
        for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            inside_a, inside_b = sign * (a[0] - edge) >= 0, sign * (b[0] - edge) >= 0
            if inside_a:
                kept.append(a)
            if inside_a != inside_b:
                kept.append(a + (b - a) * ((edge - a[0]) / (b[0] - a[0])))
        outline = np.array(kept)
        if len(outline) < 3:
            return outline
    return outline


def _light(
    s: Floats,
    y: Floats | float,
    z: Floats,
    lamps: Floats,
    height: float,
    facing: tuple[float, float],
) -> Floats:
    """Return the brightness of a surface lit by a row of ceiling lamps, darker in the corners.

    Coordinates are along, left and up; `facing` is the (along, left) part of the surface's normal, up
    to its sign; (0, 0) is a floor.
    """
    s, y, z = np.broadcast_arrays(s, np.asarray(y, float), z)
    step = 6  # light is smooth, so every sixth pixel is enough
    ss, yy, zz = s[::step, ::step], y[::step, ::step], z[::step, ::step]
    total = np.zeros(ss.shape)
    up = height - zz
    for lamp in lamps:
        along = ss - lamp
        square = along**2 + yy**2 + up**2 + 0.15
        if facing == (0.0, 0.0):
            cosine = up / np.sqrt(square)
        else:
            cosine = (np.abs(along) * facing[0] + np.abs(yy) * abs(facing[1])) / np.sqrt(square)
        total += cosine * (0.35 + 0.65 * up / np.sqrt(square)) / square
    light = 0.5 + 0.62 * total / (0.55 + total)
    if facing != (0.0, 0.0):
        light *= 0.7 + 0.3 * np.clip(zz / 0.25, 0, 1)
        light *= 0.78 + 0.22 * np.clip(up / 0.2, 0, 1)
    return np.asarray(cv2.resize(light, (s.shape[1], s.shape[0]), interpolation=cv2.INTER_LINEAR))
