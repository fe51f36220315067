"""A planned walk: where the camera is at every picture, and everything that is true about it.

Ground coordinates are metres, angles degrees; yaw is 0 along +x and grows to the left.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.motion.rows import TurnKind
from pipeline.routes.rows import Step

Floats = npt.NDArray[np.float64]
Side = Literal["left", "right", "across", "start", "end"]


@dataclass(frozen=True)
class TrueTurn:
    """One heading change: the span from 5 % to 95 % of it, and its whole signed angle."""

    start_us: int
    end_us: int
    kind: TurnKind
    yaw_degrees: float


@dataclass(frozen=True)
class TrueNarration:
    """What the wearer says at `t_us`; `action` is always followed by its `undo`."""

    t_us: int
    text: str
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None


@dataclass(frozen=True)
class Placement:
    """A named thing in corridor `corridor`, `along` metres from its first corner.

    `left` and `right` stand at that wall, `across` spans the corridor, `start` and `end` hang on
    the wall that closes the way ahead. A thing that is acted on changes from `act_us` on.
    """

    thing: str
    corridor: int
    along: float
    side: Side
    act_us: int | None = None


@dataclass(frozen=True)
class Camera:
    """The camera's pose per picture: metres and degrees, one entry per picture."""

    x: Floats
    y: Floats
    z: Floats
    yaw: Floats
    pitch: Floats
    roll: Floats


@dataclass(frozen=True)
class Look:
    """What makes one walk look unlike another."""

    brightness: float  # 1 = neutral
    warmth: float  # -1 cold .. 1 warm
    noise: float  # standard deviation in grey levels
    exposure_s: float  # shutter time; what turns faster than this is blurred


@dataclass(frozen=True)
class Walk:
    """One walk and its truth; lists have one entry per picture where they say so.

    `yaw_degrees` is the camera's heading, shake and glances included: unwrapped, positive to the
    left, 0 at the first picture. `turns` are the walker's; looks aside and back, which are two
    opposite heading changes each, are in `glances`.
    """

    seed: int
    name: str
    fps: Fraction
    size: tuple[int, int]
    hfov_degrees: float
    duration_us: int
    t_us: list[int]
    yaw_degrees: list[float]
    turns: list[TrueTurn]
    glances: list[TrueTurn]
    steps: list[Step]
    narrations: list[TrueNarration]
    mirror: bool
    camera: Camera = field(repr=False)
    corners: Floats = field(repr=False)  # (corridors + 1, 2): the corridors' centre line
    half_widths: list[float] = field(repr=False)
    placements: list[Placement] = field(repr=False)
    near: list[tuple[int, int]] = field(repr=False)  # per picture: first and last corridor to draw
    look: Look = field(repr=False)
