"""A planned walk: the camera's pose in every frame, and the ground truth.

Ground coordinates are metres, angles degrees; yaw is 0 along +x and positive to the left.
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
    """One heading change: the span from 5 % to 95 % of it, and its full signed angle."""

    start_us: int
    end_us: int
    kind: TurnKind
    yaw_degrees: float


@dataclass(frozen=True)
class TrueNarration:
    """A narration of the wearer at `t_us`; an `action` always has an `undo`."""

    t_us: int
    text: str
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None


@dataclass(frozen=True)
class Placement:
    """A named object in corridor `corridor`, `along` metres from its first corner.

    `left` and `right` are at that wall, `across` spans the corridor, `start` and `end` are on the wall
    at that end of the corridor. An object that is used changes from `act_us` on.
    """

    thing: str
    corridor: int
    along: float
    side: Side
    act_us: int | None = None


@dataclass(frozen=True)
class Camera:
    """The camera's pose in metres and degrees, one entry per frame."""

    x: Floats
    y: Floats
    z: Floats
    yaw: Floats
    pitch: Floats
    roll: Floats


@dataclass(frozen=True)
class Look:
    """The appearance of a walk, which varies between walks."""

    brightness: float  # 1 = neutral
    warmth: float  # -1 cold .. 1 warm
    noise: float  # standard deviation in grey levels
    exposure_s: float  # exposure time, which sets the motion blur


@dataclass(frozen=True)
class Walk:
    """One walk and its ground truth; `t_us` and `yaw_degrees` have one entry per frame.

    `yaw_degrees` is the camera's heading including shake and glances: unwrapped, positive to the
    left, 0 in the first frame. `turns` are the wearer's; each glance is two opposite heading changes
    in `glances`.
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
    near: list[tuple[int, int]] = field(repr=False)  # per frame: first and last corridor to draw
    look: Look = field(repr=False)
