"""Images of flat objects: sheets, doors, signs, posters, lifts; BGR(A), 8 bit."""

import cv2
import numpy as np

from pipeline.demo.paint import cloud, finish, tint
from pipeline.demo.render import Picture
from pipeline.demo.walk import Floats

PPM = 220  # pixels per metre
Colour = tuple[int, int, int]


def plain(width_m: float, height_m: float, colour: Colour, rng: np.random.Generator) -> Floats:
    """Return a slightly mottled sheet."""
    shape = max(round(height_m * PPM), 2), max(round(width_m * PPM), 2)
    return tint(colour, 1 + 0.02 * cloud(shape, 3, rng) + 0.04 * cloud(shape, 40, rng))


def sheet(width_m: float, height_m: float, colour: Colour, rng: np.random.Generator) -> Picture:
    """Return a slightly mottled sheet as an 8-bit image."""
    return finish(plain(width_m, height_m, colour, rng))


def door(
    colour: Colour, rng: np.random.Generator, *, framed: bool = True, glass: bool = False
) -> Picture:
    """Return a panelled door with a handle and a number plate, 0.95 m x 2.05 m."""
    picture = plain(0.95, 2.05, colour, rng)
    h, w = picture.shape[:2]
    dark = tuple(0.62 * c for c in colour)
    light = tuple(min(1.25 * c + 12, 255) for c in colour)
    panels = [(0.14, 0.07, 0.86, 0.42), (0.14, 0.5, 0.86, 0.93)]
    for x0, y0, x1, y1 in panels:
        a, b = (round(x0 * w), round(y0 * h)), (round(x1 * w), round(y1 * h))
        if glass:
            picture[a[1] : b[1], a[0] : b[0]] = (206, 198, 176)
            for k in range(-h, w, 46):
                cv2.line(picture, (a[0] + k, b[1]), (a[0] + k + 120, a[1]), (226, 220, 202), 5)
        cv2.rectangle(picture, a, b, dark, 5)
        cv2.line(picture, (a[0], b[1]), b, light, 3)
        cv2.line(picture, (b[0], a[1]), b, light, 3)
    cv2.rectangle(
        picture,
        (round(0.88 * w), round(0.47 * h)),
        (round(0.96 * w), round(0.53 * h)),
        (180, 190, 196),
        -1,
    )
    cv2.line(
        picture,
        (round(0.78 * w), round(0.49 * h)),
        (round(0.92 * w), round(0.49 * h)),
        (210, 222, 228),
        9,
    )
    cv2.rectangle(
        picture,
        (round(0.36 * w), round(0.2 * h)),
        (round(0.64 * w), round(0.26 * h)),
        (235, 238, 240),
        -1,
    )
    write(
        picture, str(rng.integers(100, 400)), (round(0.5 * w), round(0.23 * h)), 0.8, (40, 40, 40)
    )
    if framed:
        cv2.rectangle(picture, (0, 0), (w - 1, h - 1), (70, 76, 84), 16)
    return finish(picture)


def write(
    picture: Floats,
    text: str,
    centre: tuple[int, int],
    scale: float,
    colour: Colour,
    thick: int = 2,
) -> None:
    """Write a word centred on a point."""
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
    at = centre[0] - w // 2, centre[1] + h // 2
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, colour, thick, cv2.LINE_AA)


def sign(word: str, rng: np.random.Generator) -> Picture:
    """Return a sign of 0.9 m x 0.34 m with one word."""
    ground = {"EXIT": (60, 140, 30), "CAFE": (40, 80, 150), "LAB": (150, 110, 30)}.get(
        word, (130, 70, 60)
    )
    picture = plain(0.9, 0.34, ground, rng)
    h, w = picture.shape[:2]
    cv2.rectangle(picture, (3, 3), (w - 4, h - 4), (240, 244, 244), 4)
    scale = min(1.9, 7.6 / len(word))
    write(picture, word, (w // 2, h // 2), scale, (250, 250, 250), 4)
    return finish(picture)


def poster(what: str, rng: np.random.Generator) -> Picture:
    """Return a framed poster of 0.85 m x 1.1 m that shows one thing and its name."""
    sky = {"moon": (70, 40, 30), "fish": (190, 140, 60), "heart": (225, 225, 240)}.get(
        what, (240, 214, 176)
    )
    picture = plain(0.85, 1.1, sky, rng)
    h, w = picture.shape[:2]
    c = (w // 2, round(0.42 * h))
    r = round(0.27 * w)
    aa = cv2.LINE_AA
    if what == "sun":
        for angle in np.arange(0, 2 * np.pi, np.pi / 6):
            tip = (round(c[0] + 1.6 * r * np.cos(angle)), round(c[1] + 1.6 * r * np.sin(angle)))
            cv2.line(picture, c, tip, (40, 170, 250), 9, aa)
        cv2.circle(picture, c, r, (30, 200, 255), -1, aa)
    elif what == "moon":
        cv2.circle(picture, c, round(1.2 * r), (190, 240, 250), -1, aa)
        cv2.circle(picture, (c[0] + r // 2, c[1] - r // 4), r, sky, -1, aa)
        for _ in range(24):
            cv2.circle(
                picture,
                (int(rng.integers(w)), int(rng.integers(round(0.75 * h)))),
                2,
                (240, 250, 255),
                -1,
                aa,
            )
    elif what == "tree":
        cv2.rectangle(picture, (c[0] - 11, c[1]), (c[0] + 11, round(0.76 * h)), (40, 70, 110), -1)
        for dx, dy in ((0, -0.6), (-0.6, 0), (0.6, 0), (0, 0.2)):
            cv2.circle(
                picture,
                (round(c[0] + dx * r), round(c[1] + dy * r)),
                round(0.75 * r),
                (50, 140, 60),
                -1,
                aa,
            )
    elif what == "mountain":
        for dx, size, shade in ((-0.7, 1.0, (130, 110, 90)), (0.5, 1.4, (100, 80, 70))):
            top = (round(c[0] + dx * r), round(0.76 * h - size * 1.6 * r))
            foot = round(size * 1.1 * r)
            cv2.fillPoly(
                picture,
                [
                    np.array(
                        [top, (top[0] - foot, round(0.76 * h)), (top[0] + foot, round(0.76 * h))]
                    )
                ],
                shade,
                aa,
            )
            cv2.fillPoly(
                picture,
                [
                    np.array(
                        [
                            top,
                            (top[0] - foot // 4, top[1] + foot // 3),
                            (top[0] + foot // 4, top[1] + foot // 3),
                        ]
                    )
                ],
                (250, 250, 250),
                aa,
            )
    elif what == "fish":
        cv2.ellipse(
            picture, c, (round(1.2 * r), round(0.65 * r)), 0, 0, 360, (40, 120, 250), -1, aa
        )
        cv2.fillPoly(
            picture,
            [
                np.array(
                    [
                        (c[0] + r, c[1]),
                        (c[0] + round(1.7 * r), c[1] - r // 2),
                        (c[0] + round(1.7 * r), c[1] + r // 2),
                    ]
                )
            ],
            (40, 120, 250),
            aa,
        )
        cv2.circle(picture, (c[0] - round(0.7 * r), c[1] - r // 6), 8, (20, 20, 20), -1, aa)
    elif what == "heart":
        for sx in (-1, 1):
            cv2.circle(
                picture, (c[0] + sx * r // 2, c[1] - r // 3), round(0.58 * r), (60, 40, 220), -1, aa
            )
        cv2.fillPoly(
            picture,
            [
                np.array(
                    [
                        (c[0] - round(1.02 * r), c[1] - r // 8),
                        (c[0] + round(1.02 * r), c[1] - r // 8),
                        (c[0], c[1] + round(1.2 * r)),
                    ]
                )
            ],
            (60, 40, 220),
            aa,
        )
    elif what == "house":
        cv2.rectangle(picture, (c[0] - r, c[1]), (c[0] + r, round(0.74 * h)), (120, 180, 230), -1)
        cv2.fillPoly(
            picture,
            [
                np.array(
                    [
                        (c[0] - round(1.25 * r), c[1]),
                        (c[0] + round(1.25 * r), c[1]),
                        (c[0], c[1] - r),
                    ]
                )
            ],
            (50, 60, 180),
            aa,
        )
        cv2.rectangle(
            picture,
            (c[0] - r // 4, round(0.57 * h)),
            (c[0] + r // 4, round(0.74 * h)),
            (50, 70, 100),
            -1,
        )
    else:
        cv2.fillPoly(
            picture,
            [
                np.array(
                    [
                        (c[0] + 6, c[1] - round(1.2 * r)),
                        (c[0] + 6, c[1] + r // 2),
                        (c[0] + r, c[1] + r // 2),
                    ]
                )
            ],
            (250, 250, 250),
            aa,
        )
        cv2.fillPoly(
            picture,
            [
                np.array(
                    [
                        (c[0] - 6, c[1] - r),
                        (c[0] - 6, c[1] + r // 2),
                        (c[0] - round(0.8 * r), c[1] + r // 2),
                    ]
                )
            ],
            (60, 60, 220),
            aa,
        )
        cv2.fillPoly(
            picture,
            [
                np.array(
                    [
                        (c[0] - r, c[1] + round(0.65 * r)),
                        (c[0] + r, c[1] + round(0.65 * r)),
                        (c[0] + r // 2, c[1] + r),
                        (c[0] - r // 2, c[1] + r),
                    ]
                )
            ],
            (40, 60, 90),
            aa,
        )
    if what in ("tree", "house", "mountain"):
        picture[round(0.74 * h) : round(0.8 * h)] = (80, 160, 90)
    picture[round(0.8 * h) :] = (244, 246, 248)
    write(
        picture, what.upper(), (w // 2, round(0.89 * h)), min(1.3, 9 / len(what)), (50, 50, 60), 3
    )
    cv2.rectangle(picture, (0, 0), (w - 1, h - 1), (44, 52, 62), 14)
    return finish(picture)


def lift(rng: np.random.Generator) -> Picture:
    """Return two steel lift doors with a lit floor number, 1.5 m x 2.3 m."""
    picture = plain(1.5, 2.3, (150, 152, 150), rng)
    h, w = picture.shape[:2]
    picture *= (1 + 0.06 * cloud((1, w), 3, rng))[:, :, None]
    top = round(0.12 * h)
    cv2.rectangle(picture, (0, 0), (w - 1, h - 1), (88, 90, 92), 30)
    cv2.line(picture, (w // 2, top), (w // 2, h), (30, 30, 30), 5)
    cv2.line(picture, (0, top), (w, top), (60, 60, 62), 8)
    cv2.rectangle(picture, (round(0.36 * w), 10), (round(0.64 * w), top - 10), (20, 20, 20), -1)
    write(picture, f"LIFT {rng.integers(1, 9)}", (w // 2, top // 2), 0.95, (40, 120, 255), 2)
    cv2.circle(picture, (round(0.955 * w), round(0.55 * h)), 9, (60, 200, 255), -1, cv2.LINE_AA)
    return finish(picture)


def stairs(rng: np.random.Generator) -> Picture:
    """Return one stair riser, 1.3 m x 0.18 m."""
    picture = plain(1.3, 0.18, (120, 140, 160), rng)
    picture[:7] = (60, 200, 240)
    return finish(picture)


def cutout(width_m: float, height_m: float) -> Floats:
    """Return an empty transparent image."""
    return np.zeros((round(height_m * PPM), round(width_m * PPM), 4))
