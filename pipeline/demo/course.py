"""The wearer's movement: legs, turns, slow-downs and glances on a 5 ms clock, and each frame's pose."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.demo.walk import Camera, Floats

TICK_S = 0.005
EYE_HEIGHT_M = 1.6
_SLOW = 0.3  # pace during an action, as a share of the walking pace


@dataclass(frozen=True)
class Phase:
    """A period of one kind of movement; `angle` is the body's turn or the head's during a glance."""

    kind: Literal["walk", "turn", "act", "glance"]
    leg: int  # the leg it belongs to, or follows
    seconds: float
    pace: float = 1.0
    angle: float = 0.0


@dataclass(frozen=True)
class Course:
    """The movement on a 5 ms clock (one entry per tick), and the start of each phase."""

    phases: list[Phase]
    starts: list[float]  # seconds, one per phase
    speed: Floats  # metres per second
    body: Floats  # degrees, the walking direction
    head: Floats  # degrees, relative to the body
    x: Floats
    y: Floats

    @property
    def seconds(self) -> float:
        """The duration of the walk."""
        return self.starts[-1] + self.phases[-1].seconds

    @property
    def turns(self) -> int:
        """The number of turns."""
        return sum(phase.kind == "turn" for phase in self.phases)

    def at(self, t: float) -> int:
        """Return the index of time `t` on the 5 ms clock."""
        return min(max(round(t / TICK_S), 0), len(self.x) - 1)


def ease(share: Floats) -> Floats:
    """Return the minimum-jerk path from 0 to 1, which models how people turn their heads and bodies."""
    s = np.clip(share, 0.0, 1.0)
    return np.asarray(s * s * s * (10.0 + s * (6.0 * s - 15.0)))


def run_phases(phases: list[Phase], pace: float) -> Course:
    """Return the course of these phases at a walking pace in metres per second."""
    starts = [0.0, *np.cumsum([p.seconds for p in phases])[:-1].tolist()]
    total = starts[-1] + phases[-1].seconds
    clock = np.arange(round(total / TICK_S) + 1) * TICK_S
    body, head, speed = np.zeros_like(clock), np.zeros_like(clock), np.ones_like(clock)
    for phase, start in zip(phases, starts, strict=True):
        share = (clock - start) / phase.seconds
        inside = (share >= 0) & (share < 1)
        speed[inside] = phase.pace
        if phase.kind == "turn":
            body += phase.angle * ease(share)
        elif phase.kind == "glance":
            # there, hold, and back: 30, 40 and 30 % of the time
            head += phase.angle * (ease(share / 0.3) - ease((share - 0.7) / 0.3))
    width = round(0.4 / TICK_S)
    padded = np.pad(speed, (width // 2, width - 1 - width // 2), "edge")
    speed = pace * np.convolve(padded, np.full(width, 1 / width), "valid")
    radians = np.radians(body)
    x = np.concatenate([[0.0], np.cumsum(speed * np.cos(radians) * TICK_S)[:-1]])
    y = np.concatenate([[0.0], np.cumsum(speed * np.sin(radians) * TICK_S)[:-1]])
    return Course(phases, starts, speed, body, head, x, y)


def shake(
    course: Course, t: Floats, amount: float, rng: np.random.Generator, sway: float = 1.0
) -> Camera:
    """Return the camera's pose at times `t`: the course plus gait, sway and tremor.

    `amount` 1 is a brisk walk with a loose head strap: one degree of sway and roll, 4 cm of bob.
    `sway` scales the heading component.
    """
    clock = np.arange(len(course.x)) * TICK_S
    vigour = course.speed / max(float(course.speed.max()), 1e-6)
    stride = np.cumsum(0.4 + 1.5 * vigour) * TICK_S * 2 * np.pi  # steps are about 1.9 per second
    stride += rng.uniform(0, 2 * np.pi)
    drift = [_tremor(len(clock), rng) for _ in range(3)]
    gait = amount * vigour
    tracks = {
        "x": course.x - np.sin(np.radians(course.body)) * 0.02 * gait * np.sin(stride / 2),
        "y": course.y + np.cos(np.radians(course.body)) * 0.02 * gait * np.sin(stride / 2),
        "z": EYE_HEIGHT_M + rng.uniform(-0.12, 0.08) + 0.04 * gait * np.sin(stride),
        "yaw": course.body
        + course.head
        + sway * (0.9 * gait * np.sin(stride / 2 + 0.7) + amount * drift[0]),
        "pitch": rng.uniform(-6.0, 0.0) + 0.7 * gait * np.sin(stride + 1.1) + amount * drift[1],
        "roll": 1.0 * gait * np.sin(stride / 2 + 2.0) + 0.6 * amount * drift[2],
    }
    return Camera(**{name: np.interp(t, clock, track) for name, track in tracks.items()})


def _tremor(count: int, rng: np.random.Generator) -> Floats:
    """Return slow noise of about half a degree, since no head is perfectly still."""
    knots = np.arange(0, count + 80, 80)  # 0.4 s
    values = rng.normal(0.0, 0.5, len(knots))
    smooth = np.convolve(values, [0.25, 0.5, 0.25], "same")
    return np.asarray(np.interp(np.arange(count), knots, smooth))


def draw_phases(
    sides: list[int],
    rng: np.random.Generator,
    seconds: float,
    *,
    pace: float,
    glances: int,
    actions: int,
    around: Literal["first", "last"] | None,
) -> list[Phase]:
    """Draw a walk's phases, with one more leg than turns; `sides` is +1 (left) or -1 (right) per turn.

    `around` makes the `first` or the `last` turn a U-turn at a dead end.
    """
    turns = len(sides)
    back = {"first": 0, "last": turns - 1}.get(around or "")
    angles = [rng.uniform(62.0, 126.0) for _ in sides]
    if back is not None:
        angles[back] = rng.uniform(174.0, 180.0)
    turning = [float(np.clip(a / rng.uniform(42.0, 68.0), 1.1, 3.2)) for a in angles]
    dead_end = {"first": 0, "last": turns}.get(around or "")
    open_legs = [i for i in range(turns + 1) if i != dead_end]
    acting = set(rng.permutation(open_legs)[:actions].tolist())
    looking = set(rng.permutation(open_legs)[:glances].tolist())
    spare = seconds - sum(turning) - 1.8 * len(acting) - 3.4 * len(looking)
    walking = max(spare / (turns + 1), 3.6)
    phases: list[Phase] = []
    for leg in range(turns + 1):
        length = walking * rng.uniform(0.85, 1.25)
        if leg == dead_end:
            length = max(0.55 * length, 2.6)
        if leg in acting:
            # early: the object is 2 m ahead and must be well before the next corner
            begin = rng.uniform(0.9, max(1.0, min(2.2, length - 3.4 / pace)))
            phases += [Phase("walk", leg, begin), Phase("act", leg, 1.8, _SLOW)]
            length -= begin
        if leg in looking:
            half = rng.uniform(1.7, max(1.8, length - 1.7))
            side = rng.choice([-1.0, 1.0])
            phases += [
                Phase("walk", leg, half),
                Phase("walk", leg, 0.4, 0.0),
                Phase("glance", leg, rng.uniform(2.1, 2.8), 0.0, side * rng.uniform(51.0, 62.0)),
                Phase("walk", leg, 0.4, 0.0),
            ]
            length = max(length - half, 1.7)
        phases.append(Phase("walk", leg, max(length, 0.9)))
        if leg < turns:
            spot = 0.2 if leg == back else rng.uniform(0.45, 0.7)
            phases.append(Phase("turn", leg, turning[leg], spot, sides[leg] * angles[leg]))
    return phases
