"""Images of free-standing objects: machines, shelves, plants, things to pick up; BGR(A), 8 bit."""

import cv2
import numpy as np

from pipeline.demo.drawing import PPM, Colour, cutout, plain, write
from pipeline.demo.paint import cloud, finish
from pipeline.demo.render import Picture


def vending_machine(rng: np.random.Generator) -> Picture:
    """Return the front of a vending machine, 0.95 m x 1.85 m."""
    picture = plain(0.95, 1.85, (36, 36, 170), rng)
    h, w = picture.shape[:2]
    x0, x1, y0, y1 = round(0.07 * w), round(0.72 * w), round(0.1 * h), round(0.78 * h)
    picture[y0:y1, x0:x1] = (60, 50, 44)
    rows, cols = 5, 5
    for j in range(rows):
        for i in range(cols):
            x = x0 + round((i + 0.5) * (x1 - x0) / cols)
            y = y0 + round((j + 0.55) * (y1 - y0) / rows)
            shade = tuple(float(v) for v in rng.uniform(40, 255, 3))
            cv2.rectangle(picture, (x - 10, y - 22), (x + 10, y + 20), shade, -1)
            cv2.rectangle(picture, (x - 6, y - 28), (x + 6, y - 22), (220, 220, 220), -1)
        y = y0 + round((j + 1) * (y1 - y0) / rows)
        cv2.line(picture, (x0, y - 6), (x1, y - 6), (190, 190, 190), 3)
    cv2.rectangle(
        picture,
        (round(0.78 * w), round(0.3 * h)),
        (round(0.94 * w), round(0.5 * h)),
        (210, 214, 216),
        -1,
    )
    for k in range(6):
        cv2.circle(
            picture,
            (round((0.82 + 0.08 * (k % 2)) * w), round((0.33 + 0.06 * (k // 2)) * h)),
            6,
            (60, 60, 60),
            -1,
        )
    cv2.rectangle(
        picture,
        (round(0.1 * w), round(0.84 * h)),
        (round(0.7 * w), round(0.95 * h)),
        (20, 20, 24),
        -1,
    )
    write(picture, "DRINKS", (round(0.5 * w), round(0.055 * h)), 1.3, (255, 255, 255), 3)
    return finish(picture)


def bookshelf(rng: np.random.Generator) -> Picture:
    """Return the front of a bookshelf, 1.2 m x 2.0 m."""
    picture = plain(1.2, 2.0, (52, 84, 128), rng)
    h, w = picture.shape[:2]
    shelves = 5
    for j in range(shelves):
        y0, y1 = round((j + 0.06) * h / shelves), round((j + 0.92) * h / shelves)
        picture[y0:y1, 10 : w - 10] = (28, 38, 52)
        x = 14
        while x < w - 30:
            wide, tall = int(rng.integers(8, 22)), int(rng.integers(55, y1 - y0))
            shade = tuple(float(v) for v in rng.uniform(30, 230, 3))
            cv2.rectangle(picture, (x, y1 - tall), (x + wide - 2, y1), shade, -1)
            cv2.line(
                picture, (x + 2, y1 - tall + 12), (x + wide - 4, y1 - tall + 12), (230, 230, 220), 2
            )
            x += wide + (int(rng.integers(12, 40)) if rng.random() < 0.08 else 0)
    return finish(picture)


def window(rng: np.random.Generator) -> Picture:
    """Return a bright window with sky and hills, 1.3 m x 1.3 m."""
    h = w = round(1.3 * PPM)
    ys = np.linspace(0, 1, h)[:, None]
    picture = np.stack([250 - 20 * ys, 225 + 10 * ys, 190 + 50 * ys], axis=2) * np.ones((h, w, 1))
    white = cloud((h, w), 40, rng)
    picture[white > 0.9] = (252, 252, 252)
    for level, shade in ((0.62, (120, 160, 120)), (0.75, (80, 140, 90))):
        ridge = (level + 0.06 * np.sin(np.linspace(0, 6, w) + rng.uniform(0, 6))) * h
        picture[np.arange(h)[:, None] > ridge[None, :]] = shade
    cv2.rectangle(picture, (0, 0), (w - 1, h - 1), (236, 240, 242), 26)
    cv2.line(picture, (w // 2, 0), (w // 2, h), (236, 240, 242), 14)
    cv2.line(picture, (0, h // 2), (w, h // 2), (236, 240, 242), 14)
    return finish(picture)


def plant(rng: np.random.Generator) -> Picture:
    """Return a potted plant, 1.0 m x 1.5 m, on a transparent background."""
    picture = cutout(1.0, 1.5)
    h, w = picture.shape[:2]
    root = (w // 2, round(0.72 * h))
    for _ in range(46):
        angle, length = rng.uniform(-2.9, -0.25), rng.uniform(0.35, 0.68) * h
        tip = np.array([root[0] + 0.75 * length * np.cos(angle), root[1] + length * np.sin(angle)])
        shade = (*(float(v) for v in np.array([40, 120, 40]) * rng.uniform(0.55, 1.45)), 255.0)
        middle = (np.array(root) + tip) / 2
        axes = (round(float(np.hypot(*(tip - root))) / 2), int(rng.integers(10, 19)))
        tilt = float(np.degrees(np.arctan2(tip[1] - root[1], tip[0] - root[0])))
        cv2.ellipse(
            picture,
            (round(middle[0]), round(middle[1])),
            axes,
            tilt,
            0,
            360,
            shade,
            -1,
            cv2.LINE_AA,
        )
    pot = (
        np.array([(0.27 * w, 0.7 * h), (0.73 * w, 0.7 * h), (0.65 * w, h), (0.35 * w, h)])
        .round()
        .astype(np.int32)
    )
    cv2.fillPoly(picture, [pot], (50, 90, 180, 255), cv2.LINE_AA)
    cv2.rectangle(
        picture,
        (round(0.24 * w), round(0.69 * h)),
        (round(0.76 * w), round(0.75 * h)),
        (60, 105, 200, 255),
        -1,
    )
    return finish(picture)


def clock(rng: np.random.Generator) -> Picture:
    """Return a wall clock, 0.6 m across, on a transparent background."""
    picture = cutout(0.6, 0.6)
    c = picture.shape[0] // 2
    cv2.circle(picture, (c, c), c - 2, (40, 40, 46, 255), -1, cv2.LINE_AA)
    cv2.circle(picture, (c, c), c - 12, (246, 248, 250, 255), -1, cv2.LINE_AA)
    for hour in range(12):
        d = np.array([np.sin(hour * np.pi / 6), -np.cos(hour * np.pi / 6)])
        a, b = (c + d * (c - 28)).round().astype(int), (c + d * (c - 16)).round().astype(int)
        cv2.line(picture, tuple(a.tolist()), tuple(b.tolist()), (30, 30, 30, 255), 5)
    for length, angle, thick in ((0.45, rng.uniform(0, 6.28), 7), (0.7, rng.uniform(0, 6.28), 5)):
        tip = (round(c + length * c * np.sin(angle)), round(c - length * c * np.cos(angle)))
        cv2.line(picture, (c, c), tip, (30, 30, 30, 255), thick, cv2.LINE_AA)
    return finish(picture)


def extinguisher(rng: np.random.Generator) -> Picture:
    """Return a fire extinguisher, 0.3 m x 0.75 m, on a transparent background."""
    picture = cutout(0.3, 0.75)
    h, w = picture.shape[:2]
    cv2.rectangle(
        picture, (round(0.2 * w), round(0.3 * h)), (round(0.8 * w), h - 2), (30, 26, 200, 255), -1
    )
    cv2.ellipse(
        picture,
        (w // 2, round(0.3 * h)),
        (round(0.3 * w), round(0.09 * h)),
        0,
        0,
        360,
        (40, 36, 215, 255),
        -1,
    )
    cv2.rectangle(
        picture,
        (round(0.42 * w), round(0.1 * h)),
        (round(0.58 * w), round(0.24 * h)),
        (30, 30, 30, 255),
        -1,
    )
    cv2.line(
        picture,
        (round(0.2 * w), round(0.08 * h)),
        (round(0.8 * w), round(0.14 * h)),
        (30, 30, 30, 255),
        8,
    )
    cv2.line(
        picture,
        (round(0.85 * w), round(0.16 * h)),
        (round(0.9 * w), round(0.7 * h)),
        (24, 24, 24, 255),
        7,
    )
    cv2.rectangle(
        picture,
        (round(0.28 * w), round(0.5 * h)),
        (round(0.72 * w), round(0.72 * h)),
        (235, 240, 240, 255),
        -1,
    )
    return finish(picture)


def cooler(rng: np.random.Generator) -> Picture:
    """Return the front of a water cooler with its bottle, 0.4 m x 1.35 m, on a transparent background."""
    picture = cutout(0.4, 1.35)
    h, w = picture.shape[:2]
    cv2.rectangle(picture, (0, round(0.34 * h)), (w - 1, h - 1), (226, 228, 230, 255), -1)
    cv2.rectangle(
        picture, (round(0.14 * w), 6), (round(0.86 * w), round(0.34 * h)), (214, 160, 70, 255), -1
    )
    for k in range(4):
        y = round((0.05 + 0.07 * k) * h)
        cv2.line(picture, (round(0.14 * w), y), (round(0.86 * w), y), (236, 196, 120, 255), 4)
    cv2.rectangle(
        picture,
        (round(0.2 * w), round(0.42 * h)),
        (round(0.8 * w), round(0.58 * h)),
        (90, 94, 98, 255),
        -1,
    )
    for x, shade in ((0.35, (200, 80, 40, 255)), (0.65, (40, 40, 210, 255))):
        cv2.rectangle(
            picture,
            (round(x * w) - 7, round(0.43 * h)),
            (round(x * w) + 7, round(0.49 * h)),
            shade,
            -1,
        )
    return finish(picture)


_SHAPES: dict[str, Colour] = {
    "red": (40, 36, 205), "blue": (205, 110, 40), "yellow": (40, 205, 240), "green": (70, 150, 50),
    "brown": (60, 100, 150),
}  # fmt: skip


def small_thing(name: str, rng: np.random.Generator) -> Picture:
    """Return a portable object, such as `red cup`, on a transparent background.

    Objects on tables are 0.34 m x 0.34 m; coats, bags and umbrellas are 0.5 m x 0.95 m.
    """
    word, kind = name.split(" ", 1)
    b, g, r = _SHAPES[word]
    body, dark = (b, g, r, 255), (b * 0.6, g * 0.6, r * 0.6, 255)
    picture = cutout(0.5, 0.95) if kind in ("umbrella", "coat", "bag") else cutout(0.34, 0.34)
    h, w = picture.shape[:2]

    def px(x: float, y: float) -> tuple[int, int]:
        return round(x * w), round(y * h)

    def fill(*points: tuple[float, float], shade: tuple[float, ...] = body) -> None:
        cv2.fillPoly(picture, [np.array([px(*p) for p in points])], shade, cv2.LINE_AA)

    if kind == "cup":
        cv2.ellipse(picture, px(0.78, 0.62), px(0.16, 0.18), 0, 0, 360, body, 8, cv2.LINE_AA)
        fill((0.18, 0.25), (0.78, 0.25), (0.7, 1.0), (0.26, 1.0))
        cv2.ellipse(picture, px(0.48, 0.25), px(0.3, 0.08), 0, 0, 360, dark, -1, cv2.LINE_AA)
    elif kind == "ball":
        cv2.circle(picture, px(0.5, 0.52), round(0.46 * w), body, -1, cv2.LINE_AA)
        cv2.ellipse(picture, px(0.5, 0.52), px(0.18, 0.46), 0, 0, 360, dark, 4, cv2.LINE_AA)
    elif kind == "bottle":
        fill((0.3, 0.4), (0.7, 0.4), (0.7, 1.0), (0.3, 1.0))
        fill((0.43, 0.04), (0.57, 0.04), (0.62, 0.42), (0.38, 0.42))
        fill((0.3, 0.6), (0.7, 0.6), (0.7, 0.82), (0.3, 0.82), shade=(236, 238, 240, 255))
    elif kind in ("box", "parcel"):
        fill((0.06, 0.3), (0.94, 0.3), (0.94, 1.0), (0.06, 1.0))
        fill((0.44, 0.3), (0.56, 0.3), (0.56, 1.0), (0.44, 1.0), shade=dark)
        fill((0.06, 0.6), (0.94, 0.6), (0.94, 0.68), (0.06, 0.68), shade=dark)
    elif kind == "umbrella":
        fill((0.3, 0.2), (0.7, 0.2), (0.56, 0.88), (0.44, 0.88))
        cv2.line(picture, px(0.5, 0.02), px(0.5, 0.99), dark, 8, cv2.LINE_AA)
        cv2.line(picture, px(0.5, 0.2), px(0.5, 0.86), dark, 5, cv2.LINE_AA)
    elif kind == "coat":
        fill(
            (0.36, 0.04),
            (0.64, 0.04),
            (0.94, 0.2),
            (0.98, 0.7),
            (0.82, 0.7),
            (0.8, 0.98),
            (0.2, 0.98),
            (0.18, 0.7),
            (0.02, 0.7),
            (0.06, 0.2),
        )
        cv2.line(picture, px(0.5, 0.1), px(0.5, 0.98), dark, 5, cv2.LINE_AA)
        for y in (0.3, 0.5, 0.7):
            cv2.circle(picture, px(0.56, y), 5, (230, 230, 230, 255), -1, cv2.LINE_AA)
    else:
        cv2.ellipse(picture, px(0.5, 0.36), px(0.24, 0.32), 0, 180, 360, dark, 9, cv2.LINE_AA)
        fill((0.12, 0.36), (0.88, 0.36), (0.94, 0.92), (0.06, 0.92))
        fill((0.3, 0.55), (0.7, 0.55), (0.7, 0.75), (0.3, 0.75), shade=dark)
    return finish(picture)
