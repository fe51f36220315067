"""Textures for walls, floors and ceilings, drawn from a random generator; BGR, 8 bit."""

import cv2
import numpy as np

from pipeline.demo.render import Picture
from pipeline.demo.walk import Floats

WALLS = ("plaster", "brick", "panelling", "stripes", "tiles", "concrete", "wallpaper")
FLOORS = ("planks", "chequer", "carpet", "terrazzo", "slabs")

_WALL_TINTS = (
    (196, 212, 222), (214, 206, 188), (186, 210, 192), (178, 200, 226),
    (206, 190, 206), (170, 186, 208), (222, 218, 200), (190, 176, 160),
)  # fmt: skip
_FLOOR_TINTS = ((92, 122, 156), (74, 92, 112), (120, 124, 128), (96, 78, 84), (84, 104, 88))


def cloud(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> Floats:
    """Return smooth noise with mean 0 and deviation near 1; `cell` is its grain in pixels."""
    h, w = shape
    small = rng.normal(0.0, 1.0, (max(int(h / cell), 1) + 2, max(int(w / cell), 1) + 2))
    return np.asarray(
        cv2.resize(small.astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC), float
    )


def tint(colour: tuple[int, int, int], value: Floats) -> Floats:
    """Return an image in one colour with brightness `value` (1 = the colour itself)."""
    return np.asarray(value[:, :, None] * np.array(colour, float))


def finish(picture: Floats) -> Picture:
    """Return the image as 8 bit."""
    return np.clip(picture, 0, 255).astype(np.uint8)


def grain(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return the fine and coarse mottling of a surface, with mean 1."""
    return (
        1
        + 0.03 * cloud(shape, 2, rng)
        + 0.035 * cloud(shape, 9, rng)
        + 0.04 * cloud(shape, 60, rng)
    )


def wall(kind: str, width_m: float, height_m: float, ppm: int, rng: np.random.Generator) -> Floats:
    """Return a wall's unlit texture, `ppm` pixels per metre."""
    h, w = round(height_m * ppm), max(round(width_m * ppm), 2)
    colour = _WALL_TINTS[int(rng.integers(len(_WALL_TINTS)))]
    value = grain((h, w), rng)
    if kind == "brick":
        colour = ((70, 88, 150), (96, 110, 140), (150, 160, 176))[int(rng.integers(3))]
        picture = _bricks(h, w, ppm, colour, rng)
    elif kind == "tiles":
        picture = _tiles(h, w, round(0.2 * ppm), colour, 0.07, rng)
    elif kind == "stripes":
        xs = np.arange(w) / ppm
        band = np.where((xs % 0.32) < 0.16, 1.0, 0.8)
        picture = tint(colour, value * band[None, :])
    elif kind == "wallpaper":
        picture = _pattern(tint(colour, value), ppm, rng)
    elif kind == "concrete":
        picture = tint((158, 162, 164), value + 0.05 * cloud((h, w), 30, rng))
        for x in np.arange(0, w, 1.2 * ppm):
            picture[:, int(x) : int(x) + 2] *= 0.7
            for y in (0.2, 0.5, 0.8):
                cv2.circle(
                    picture, (int(x + 0.15 * ppm), int(y * h)), ppm // 40 + 1, (90, 92, 94), -1
                )
    else:
        picture = tint(colour, value)
    if kind == "panelling" or (kind in ("plaster", "stripes", "wallpaper") and rng.random() < 0.5):
        _wainscot(picture, ppm, rng)
    _specks(picture, rng)
    _skirting(picture, ppm)
    return picture


def floor(kind: str, width_m: float, depth_m: float, ppm: int, rng: np.random.Generator) -> Floats:
    """Return a floor's unlit texture, x along the corridor."""
    h, w = round(depth_m * ppm), max(round(width_m * ppm), 2)
    colour = _FLOOR_TINTS[int(rng.integers(len(_FLOOR_TINTS)))]
    if kind == "planks":
        picture = _planks(h, w, ppm, rng)
    elif kind == "chequer":
        picture = _tiles(h, w, round(0.4 * ppm), (168, 176, 182), 0.03, rng, chequer=True)
    elif kind == "slabs":
        picture = _tiles(h, w, round(0.5 * ppm), (146, 154, 164), 0.09, rng)
    elif kind == "terrazzo":
        picture = tint((176, 182, 188), grain((h, w), rng))
        for _ in range(int(h * w / 260)):
            centre = int(rng.integers(w)), int(rng.integers(h))
            shade = tuple(float(v) for v in rng.uniform(60, 230, 3))
            cv2.ellipse(
                picture,
                centre,
                (int(rng.integers(1, 5)), int(rng.integers(1, 4))),
                float(rng.uniform(0, 180)),
                0,
                360,
                shade,
                -1,
            )
    else:
        picture = tint(colour, 1 + 0.13 * cloud((h, w), 2, rng) + 0.06 * cloud((h, w), 12, rng))
        edge = round(0.18 * ppm)
        picture[edge : edge + 6] *= 0.6
        picture[-edge - 6 : -edge] *= 0.6
    return picture


def ceiling(width_m: float, depth_m: float, ppm: int, rng: np.random.Generator) -> Floats:
    """Return the unlit texture of a ceiling of acoustic tiles, x along the corridor."""
    h, w = round(depth_m * ppm), max(round(width_m * ppm), 2)
    picture = tint((216, 220, 222), grain((h, w), rng))
    step = round(0.6 * ppm)
    for _ in range(int(h * w / 120)):
        x, y = int(rng.integers(w)), int(rng.integers(h))
        picture[y, x] *= 0.72
    for x in range(0, w, step):
        picture[:, x : x + 2] *= 0.72
    for y in range(h // 2 % step, h, step):
        picture[y : y + 2] *= 0.72
    return picture


def _bricks(
    h: int, w: int, ppm: int, colour: tuple[int, int, int], rng: np.random.Generator
) -> Floats:
    tall, wide = round(0.1 * ppm), round(0.29 * ppm)
    ys, xs = np.arange(h), np.arange(w)
    row = ys // tall
    col = (xs[None, :] + (row[:, None] % 2) * (wide // 2)) // wide
    shades = rng.normal(1.0, 0.14, (row.max() + 1, col.max() + 1))
    value = shades[row[:, None], col]
    mortar = ((ys % tall) < 2)[:, None] | (
        ((xs[None, :] + (row[:, None] % 2) * (wide // 2)) % wide) < 2
    )
    picture = tint(colour, value * grain((h, w), rng))
    picture[mortar] = (150, 160, 168)
    return picture


def _tiles(
    h: int,
    w: int,
    side: int,
    colour: tuple[int, int, int],
    spread: float,
    rng: np.random.Generator,
    *,
    chequer: bool = False,
) -> Floats:
    ys, xs = np.arange(h), np.arange(w)
    row, col = ys // side, xs // side
    shades = rng.normal(1.0, spread, (row.max() + 1, col.max() + 1))
    if chequer:
        shades = shades * np.where(
            (np.add.outer(np.arange(row.max() + 1), np.arange(col.max() + 1)) % 2) == 0, 1.1, 0.5
        )
    picture = tint(colour, shades[row[:, None], col[None, :]] * grain((h, w), rng))
    picture[ys % side < 2] *= 0.72
    picture[:, xs % side < 2] *= 0.72
    return picture


def _planks(h: int, w: int, ppm: int, rng: np.random.Generator) -> Floats:
    wide, length = round(0.16 * ppm), round(1.3 * ppm)
    ys, xs = np.arange(h), np.arange(w)
    row = ys // wide
    offset = rng.integers(0, length, row.max() + 1)
    col = (xs[None, :] + offset[row][:, None]) // length
    shades = rng.normal(1.0, 0.13, (row.max() + 1, col.max() + 1))
    fibre = cv2.resize(
        rng.normal(0, 1, (h, max(w // 24, 2))).astype(np.float32),
        (w, h),
        interpolation=cv2.INTER_LINEAR,
    )
    colour = ((84, 124, 172), (58, 90, 132), (110, 146, 184), (70, 84, 104))[int(rng.integers(4))]
    picture = tint(colour, shades[row[:, None], col] * (1 + 0.07 * fibre) * grain((h, w), rng))
    picture[ys % wide < 1] *= 0.5
    ends = (xs[None, :] + offset[row][:, None]) % length < 2
    picture[ends] *= 0.5
    return picture


def _pattern(picture: Floats, ppm: int, rng: np.random.Generator) -> Floats:
    step = int(rng.uniform(0.22, 0.4) * ppm)
    shade = tuple(float(v) for v in picture[0, 0] * rng.uniform(0.5, 0.8))
    shape = int(rng.integers(3))
    for j, y in enumerate(range(step // 2, picture.shape[0], step)):
        for x in range((j % 2) * step // 2, picture.shape[1], step):
            if shape == 0:
                cv2.circle(picture, (x, y), step // 5, shade, -1, cv2.LINE_AA)
            elif shape == 1:
                cv2.drawMarker(picture, (x, y), shade, cv2.MARKER_DIAMOND, step // 2, 3)
            else:
                cv2.drawMarker(picture, (x, y), shade, cv2.MARKER_STAR, step // 2, 2)
    return picture


def _wainscot(picture: Floats, ppm: int, rng: np.random.Generator) -> None:
    top = picture.shape[0] - round(0.95 * ppm)
    colour = np.array(
        ((60, 84, 122), (120, 116, 96), (98, 112, 88), (92, 92, 140))[int(rng.integers(4))], float
    )
    picture[top:] = picture[top:] / 200.0 * colour
    picture[top : top + round(0.05 * ppm)] *= 1.35
    picture[top + round(0.05 * ppm) : top + round(0.06 * ppm)] *= 0.6
    step = round(0.45 * ppm)
    for x in range(step // 2, picture.shape[1], step):
        cv2.rectangle(
            picture,
            (x, top + round(0.16 * ppm)),
            (x + round(0.7 * step), picture.shape[0] - round(0.2 * ppm)),
            tuple((colour * 0.7).tolist()),
            2,
        )


def _specks(picture: Floats, rng: np.random.Generator) -> None:
    """Add marks of wear, which give a tracker features on a plain wall."""
    h, w = picture.shape[:2]
    for _ in range(int(h * w / 2600)):
        x, y = int(rng.integers(w)), int(rng.integers(h))
        size = int(rng.integers(1, 4))
        picture[y : y + size, x : x + size] *= rng.uniform(0.72, 1.12)


def _skirting(picture: Floats, ppm: int) -> None:
    tall = round(0.1 * ppm)
    picture[-tall:] = (64, 70, 78)
    picture[-tall : -tall + 2] = (120, 126, 132)
