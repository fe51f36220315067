"""The catalogue's objects as surfaces, including how they change when used."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pipeline.demo import catalogue, drawing, objects, paint
from pipeline.demo.render import Picture, Surface, Texture
from pipeline.demo.walk import Floats

Change = Callable[[float], list[Surface]]  # from 0 (before) to 1 (done)
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Stand:
    """The position of an object: `foot` on the floor, `out` its facing direction; `hall` is half the
    corridor's width and `height` its ceiling."""

    foot: Floats
    out: Floats
    hall: float
    height: float

    @property
    def right(self) -> Floats:
        """The direction to the right for a viewer who faces the object."""
        return np.asarray(np.cross(-self.out, _UP))

    def moved(self, right: float = 0.0, out: float = 0.0, up: float = 0.0) -> "Stand":
        """Return a stand displaced by some metres."""
        foot = self.foot + right * self.right + out * self.out + up * _UP
        return Stand(foot, self.out, self.hall, self.height)

    def faced(self, degrees: float) -> "Stand":
        """Return a stand rotated by an angle, counter-clockwise from above."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        x, y = self.out[0], self.out[1]
        return Stand(
            self.foot, np.array([c * x - s * y, s * x + c * y, 0.0]), self.hall, self.height
        )


@dataclass(frozen=True)
class Thing:
    """An object's fixed surfaces, and the surfaces that change when the wearer uses it."""

    fixed: list[Surface] = field(default_factory=list)
    change: Change | None = None


def quad(
    at: Stand,
    picture: Picture | Texture,
    wide: float,
    low: float,
    high: float,
    *,
    double: bool = False,
    glow: bool = False,
) -> Surface:
    """Return an upright image `wide` metres wide, centred on its stand, from `low` to `high`."""
    texture = picture if isinstance(picture, Texture) else Texture(picture)
    origin = at.foot - at.right * wide / 2 + _UP * high
    return Surface(texture, origin, at.right * wide, -_UP * (high - low), double=double, glow=glow)


def crossed(at: Stand, picture: Picture, wide: float, low: float, high: float) -> list[Surface]:
    """Return two crossing upright cut-outs, which represent a round object from all directions."""
    texture = Texture(picture)
    return [quad(at.faced(turn), texture, wide, low, high, double=True) for turn in (40, -50)]


def box(
    at: Stand, front: Picture, side: Picture, wide: float, deep: float, low: float, high: float
) -> list[Surface]:
    """Return a box with its back against the wall."""
    face = at.moved(out=deep)
    sides = Texture(side)
    middle = at.moved(out=deep / 2)
    top = Surface(
        sides,
        face.foot - at.right * wide / 2 - at.out * deep + _UP * high,
        at.right * wide,
        at.out * deep,
    )
    return [
        quad(face, front, wide, low, high),
        quad(middle.moved(right=wide / 2).faced(90), sides, deep, low, high),
        quad(middle.moved(right=-wide / 2).faced(-90), sides, deep, low, high),
        top,
    ]


def hinged(
    hinge: Stand, texture: Texture, wide: float, low: float, high: float, degrees: float
) -> Surface:
    """Return a door leaf whose left edge is at the hinge, opened towards the viewer."""
    turned = hinge.faced(-degrees)
    return quad(turned.moved(right=wide / 2), texture, wide, low, high, double=True)


def make(name: str, at: Stand, rng: np.random.Generator) -> Thing:
    """Return the object of that name; raise KeyError for a name that is not in the catalogue."""
    words = name.split(" ")
    if words[0] in ("table", "hook"):
        return _taken(words[0], " ".join(words[3:]), at, rng)
    if words[-1] == "locker" or name == "fuse box":
        return _cupboard(name, at, rng)
    if name in catalogue.ACROSS:
        return _doorway(name, at, rng)
    if name == "wall lamp":
        return _lamp(at, rng)
    if words[-1] == "door":
        leaf = drawing.door(catalogue.DOOR_COLOURS[words[0]], rng)
        return Thing([quad(at.moved(out=0.03), leaf, 0.95, 0.0, 2.05)])
    if words[0] == "poster":
        return Thing(
            [quad(at.moved(out=0.02), drawing.poster(" ".join(words[3:]), rng), 0.85, 0.95, 2.05)]
        )
    if words[-1] == "sign":
        board = Texture(drawing.sign(words[0], rng))
        arm = at.moved(out=0.5)
        return Thing(
            [quad(arm.faced(turn).moved(out=0.01), board, 0.9, 1.95, 2.29) for turn in (90, -90)]
        )
    return Thing(_FIXED[name](at, rng))


def _plant(at: Stand, rng: np.random.Generator) -> list[Surface]:
    return crossed(at.moved(out=0.42), objects.plant(rng), 0.95, 0.0, 1.45)


def _machine(at: Stand, rng: np.random.Generator) -> list[Surface]:
    side = drawing.sheet(0.5, 1.85, (40, 36, 120), rng)
    return box(at, objects.vending_machine(rng), side, 0.95, 0.5, 0.0, 1.85)


def _shelf(at: Stand, rng: np.random.Generator) -> list[Surface]:
    return box(
        at, objects.bookshelf(rng), drawing.sheet(0.3, 2.0, (46, 76, 118), rng), 1.2, 0.3, 0.0, 2.0
    )


def _cooler(at: Stand, rng: np.random.Generator) -> list[Surface]:
    return crossed(at.moved(out=0.3), objects.cooler(rng), 0.42, 0.0, 1.35)


def _bench(at: Stand, rng: np.random.Generator) -> list[Surface]:
    wood = drawing.plain(1.4, 0.45, (70, 112, 160), rng)
    wood[:: drawing.PPM // 9] *= 0.4
    picture = paint.finish(wood)
    return box(at.moved(out=0.04), picture, picture, 1.4, 0.42, 0.1, 0.46)


def _stairs(at: Stand, rng: np.random.Generator) -> list[Surface]:
    riser = Texture(drawing.stairs(rng))
    tread = Texture(drawing.sheet(1.3, 0.16, (96, 116, 138), rng))
    cheek = Texture(drawing.sheet(0.7, 0.18, (130, 140, 150), rng))
    found: list[Surface] = []
    for k in range(4):
        step = at.moved(out=0.62 - 0.16 * k)
        top = 0.18 * (k + 1)
        found.append(quad(step, riser, 1.3, top - 0.18, top))
        left = step.foot - at.right * 0.65 + _UP * top
        found.append(Surface(tread, left - at.out * 0.16, at.right * 1.3, at.out * 0.16))
        deep = 0.62 - 0.16 * k
        for sign in (1, -1):
            flank = at.moved(right=sign * 0.65, out=deep / 2).faced(90 * sign)
            found.append(quad(flank, cheek, deep, top - 0.18, top))
    return found


_FIXED: dict[str, Callable[[Stand, np.random.Generator], list[Surface]]] = {
    "potted plant": _plant,
    "vending machine": _machine,
    "bookshelf": _shelf,
    "water cooler": _cooler,
    "bench": _bench,
    "stairs": _stairs,
    "lift": lambda at, rng: [quad(at.moved(out=0.03), drawing.lift(rng), 1.5, 0.0, 2.3)],
    "clock": lambda at, rng: [quad(at.moved(out=0.03), objects.clock(rng), 0.6, 1.6, 2.2)],
    "window": lambda at, rng: [
        quad(at.moved(out=0.02), objects.window(rng), 1.3, 0.9, 2.2, glow=True)
    ],
    "fire extinguisher": lambda at, rng: crossed(
        at.moved(out=0.2), objects.extinguisher(rng), 0.3, 0.35, 1.1
    ),
}


def _taken(holder: str, what: str, at: Stand, rng: np.random.Generator) -> Thing:
    """Return a table or a hook with an object that moves towards the wearer and disappears."""
    picture = objects.small_thing(what, rng)
    if holder == "table":
        wood = drawing.sheet(0.7, 0.7, (60, 96, 140), rng)
        fixed = box(at.moved(out=0.05), wood, wood, 0.7, 0.42, 0.0, 0.74)
        start, wide, low, tall = at.moved(out=0.26), 0.34, 0.74, 0.34
    else:
        board = drawing.sheet(0.6, 0.12, (50, 70, 96), rng)
        fixed = [quad(at.moved(out=0.02), board, 0.6, 1.72, 1.84)]
        start, wide, low, tall = at.moved(out=0.16), 0.5, 0.85, 0.95

    def change(share: float) -> list[Surface]:
        if share >= 1:
            return []
        rise = 0.35 * np.sin(np.pi * min(share * 1.3, 1.0))
        near = start.moved(out=share * (at.hall - 0.3), up=rise - 0.5 * max(share - 0.6, 0.0))
        size = 1.0 - 0.35 * share
        return crossed(near, picture, wide * size, low, low + tall * size)

    return Thing(fixed, change)


def _cupboard(name: str, at: Stand, rng: np.random.Generator) -> Thing:
    """Return a locker or a fuse box whose door opens."""
    colour = {"orange": (40, 130, 235), "grey": (140, 140, 136)}.get(
        name.split(" ")[0], (190, 196, 198)
    )
    wide, deep, low, high = (
        (0.6, 0.4, 0.0, 1.8) if name.endswith("locker") else (0.55, 0.14, 1.0, 1.75)
    )
    leaf = drawing.plain(wide, high - low, colour, rng)
    h, w = leaf.shape[:2]
    if name.endswith("locker"):
        for k in range(5):
            leaf[40 + 12 * k : 45 + 12 * k, w // 4 : 3 * w // 4] *= 0.5
    else:
        drawing.write(leaf, "!", (w // 2, h // 2), 2.6, (30, 30, 210), 7)
    leaf[h // 2 : h // 2 + 40, w - 22 : w - 10] = (40, 42, 44)
    leaf[:4] *= 0.6
    leaf[:, :4] *= 0.6
    leaf[:, -4:] *= 0.6
    inside = drawing.plain(wide, high - low, (46, 48, 54), rng)
    for k in range(1, 5):
        inside[k * h // 5 : k * h // 5 + 5] = (110, 120, 130)
        for _ in range(3):
            x = int(rng.integers(8, w - 34))
            tall = int(rng.integers(14, max(h // 7, 16)))
            inside[k * h // 5 - tall : k * h // 5, x : x + 26] = rng.uniform(40, 240, 3)
    shade: drawing.Colour = (int(colour[0] * 0.8), int(colour[1] * 0.8), int(colour[2] * 0.8))
    fixed = box(
        at,
        paint.finish(inside),
        drawing.sheet(deep, high - low, shade, rng),
        wide,
        deep,
        low,
        high,
    )
    texture = Texture(paint.finish(leaf))
    hinge = at.moved(right=-wide / 2, out=deep + 0.015)
    return Thing(fixed, lambda share: [hinged(hinge, texture, wide, low, high, 115 * share)])


def _doorway(name: str, at: Stand, rng: np.random.Generator) -> Thing:
    """Return a partition across the corridor with a door that opens away from the wearer."""
    glass = name == "glass door"
    tone = (150, 140, 120) if glass else (60, 92, 140)
    wall = (178, 186, 190)
    wide, tall, hall, height = 1.0, 2.08, at.hall, at.height
    flank = hall - wide / 2
    fixed: list[Surface] = []
    for turn in (0.0, 180.0):
        face = at.faced(turn).moved(out=0.05)
        for sign in (1, -1):
            middle = face.moved(right=sign * (wide / 2 + flank / 2))
            fixed.append(quad(middle, drawing.sheet(flank, height, wall, rng), flank, 0.0, height))
            post = face.moved(right=sign * (wide / 2 + 0.04), out=0.01)
            fixed.append(quad(post, drawing.sheet(0.08, tall, tone, rng), 0.08, 0.0, tall + 0.08))
        fixed.append(quad(face, drawing.sheet(wide, height - tall, wall, rng), wide, tall, height))
        fixed.append(
            quad(
                face.moved(out=0.01), drawing.sheet(wide, 0.08, tone, rng), wide, tall, tall + 0.08
            )
        )
    for sign in (1, -1):
        jamb = at.moved(right=sign * wide / 2).faced(-90 * sign)
        fixed.append(quad(jamb, drawing.sheet(0.1, tall, tone, rng), 0.1, 0.0, tall, double=True))
    leaf = Texture(drawing.door(tone, rng, framed=False, glass=glass))
    hinge = at.moved(right=-wide / 2)
    return Thing(fixed, lambda share: [hinged(hinge, leaf, wide, 0.0, tall, -100 * share)])


def _lamp(at: Stand, rng: np.random.Generator) -> Thing:
    """Return a wall lamp that switches on, with its switch below."""
    off, lit = (
        drawing.sheet(0.34, 0.4, (120, 128, 134), rng),
        drawing.sheet(0.34, 0.4, (170, 240, 255), rng),
    )
    plate = drawing.sheet(0.12, 0.16, (240, 242, 244), rng)
    fixed = [quad(at.moved(out=0.02, right=0.3), plate, 0.12, 1.1, 1.26)]
    dark = box(at, off, off, 0.34, 0.2, 1.55, 1.95)
    halo = drawing.cutout(2.2, 2.2)
    n = halo.shape[0]
    ys, xs = np.mgrid[0:n, 0:n] / n * 2 - 1
    halo[:, :, :3] = (150, 225, 255)
    halo[:, :, 3] = 150 * np.clip(1 - np.hypot(xs, ys), 0, 1) ** 1.5
    glow = quad(at.moved(out=0.015), paint.finish(halo), 2.2, 0.65, 2.6, glow=True)
    bright = [
        Surface(s.texture, s.origin, s.u, s.v, glow=True)
        for s in box(at, lit, lit, 0.34, 0.2, 1.55, 1.95)
    ]
    return Thing(fixed, lambda share: [*bright, glow] if share >= 0.5 else dark)
