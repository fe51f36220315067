"""Plan a walk from a seed: turns, corridors, landmarks, actions and narrations."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import numpy as np

from pipeline.demo import catalogue, course, layout
from pipeline.demo.course import Course
from pipeline.demo.furnish import Event, corridor_of, furnish
from pipeline.demo.layout import Layout
from pipeline.demo.walk import (
    Camera,
    Floats,
    Look,
    TrueNarration,
    TrueTurn,
    Walk,
)
from pipeline.motion import turns as definition
from pipeline.motion.rows import TurnKind
from pipeline.routes.rows import Move, Step

_RATES = (Fraction(12), Fraction(15), Fraction(20), Fraction(24), Fraction(30000, 1001))
_ATTEMPTS = 400


def plan_walk(
    seed: int,
    *,
    name: str | None = None,
    turns: int | None = None,
    sides: str | None = None,
    around: bool | None = None,
    glances: int | None = None,
    actions: int | None = None,
    seconds: float | None = None,
    hfov_degrees: float | None = None,
    fps: Fraction | int | None = None,
    size: tuple[int, int] = (480, 360),
    shake: float | None = None,
    mirror: bool = False,
) -> Walk:
    """Plan the walk of a seed; every other argument replaces the value drawn from the seed.

    `sides` gives the turns, such as "LRL". `around` makes the first or last turn a U-turn.
    `mirror` flips every frame left to right (including words on signs) and the ground truth with it.
    """
    rng = np.random.default_rng([seed, 1])
    if sides is not None:
        turns = len(sides)
    count = turns if turns is not None else int(rng.integers(2, 7))
    drawn = [1 if coin else -1 for coin in rng.random(count) < 0.5]
    signs = [1 if letter == "L" else -1 for letter in sides] if sides is not None else drawn
    about: Literal["first", "last"] | None = "first" if rng.random() < 0.5 else "last"
    wants = around if around is not None else bool(rng.random() < 0.25)
    about = about if wants and count >= 2 else None
    drawn_looks = int(rng.choice([0, 0, 1, 1, 2])) if count < 5 else int(rng.random() < 0.4)
    looks = glances if glances is not None else drawn_looks
    acts = actions if actions is not None else int(rng.integers(2, 4 if count > 4 else 5))
    length = seconds if seconds is not None else float(rng.uniform(22.0, 46.0))
    lens = hfov_degrees if hfov_degrees is not None else round(float(rng.uniform(55.0, 100.0)), 1)
    rate = Fraction(fps) if fps is not None else _RATES[int(rng.integers(len(_RATES)))]
    loose = shake if shake is not None else float(rng.uniform(0.15, 1.2))
    look = Look(
        brightness=float(rng.uniform(0.8, 1.15)),
        warmth=float(rng.uniform(-1.0, 1.0)),
        noise=float(rng.uniform(1.0, 4.0)),
        exposure_s=float(rng.uniform(0.004, 0.02)),
    )
    moved, plan, events = _attempt(seed, signs, about, length, looks, acts, rng)
    frames = int(moved.seconds * rate)
    t_us = [int(i * 1_000_000 / rate) for i in range(frames)]
    duration_us = int(frames * 1_000_000 / rate)
    camera = _steady(moved, np.array(t_us) / 1e6, loose, seed)
    walk = Walk(
        seed=seed,
        name=name or f"walk_{seed:04d}{'m' if mirror else ''}",
        fps=rate,
        size=size,
        hfov_degrees=lens,
        duration_us=duration_us,
        t_us=t_us,
        yaw_degrees=[float(v) for v in camera.yaw - camera.yaw[0]],
        turns=_true_turns(moved, "turn"),
        glances=_true_turns(moved, "glance"),
        steps=_steps(moved, events, duration_us),
        narrations=_narrations(moved, events, rng),
        mirror=False,
        camera=camera,
        corners=plan.corners,
        half_widths=plan.half_widths,
        placements=[event.placement for event in events],
        near=_near(moved, about, t_us),
        look=look,
    )
    return mirrored(walk) if mirror else walk


def _steady(moved: Course, t: Floats, amount: float, seed: int) -> Camera:
    """Shake the camera as much as possible without changing the true turns.

    By the definition of a turn, two left turns are one if the heading never rests for a second in
    between. The sway is reduced until even 1.6 times as much gives the planned turns.
    """
    wanted = sorted(
        [*_true_turns(moved, "turn"), *_true_turns(moved, "glance")], key=lambda turn: turn.start_us
    )
    kinds = [turn.kind for turn in wanted]
    t_us = (t * 1e6).round().astype(np.int64)
    for sway in (1.0, 0.75, 0.55, 0.4, 0.3, 0.2, 0.1):
        loosest = course.shake(moved, t, amount, np.random.default_rng([seed, 3]), 1.6 * sway)
        found = definition.swings(definition.HeadingTrack(t_us, loosest.yaw))
        if [swing.kind for swing in found] == kinds:
            break
    return course.shake(moved, t, amount, np.random.default_rng([seed, 3]), sway)


def mirrored(walk: Walk) -> Walk:
    """Return the ground truth of the same frames flipped left to right."""
    swap = {"left": "right", "right": "left"}

    def flip(turn: TrueTurn) -> TrueTurn:
        kind: TurnKind = swap.get(turn.kind, turn.kind)  # type: ignore[assignment]
        return replace(turn, kind=kind, yaw_degrees=-turn.yaw_degrees)

    return replace(
        walk,
        yaw_degrees=[-v for v in walk.yaw_degrees],
        turns=[flip(turn) for turn in walk.turns],
        glances=[flip(turn) for turn in walk.glances],
        steps=[s.model_copy(update={"move": swap.get(s.move, s.move)}) for s in walk.steps],
        narrations=[
            replace(n, text=" ".join(_swap_word(word, swap) for word in n.text.split(" ")))
            for n in walk.narrations
        ],
        mirror=not walk.mirror,
    )


def _swap_word(word: str, swap: dict[str, str]) -> str:
    bare = word.rstrip(",.")
    return swap.get(bare, bare) + word[len(bare) :]


def _attempt(
    seed: int,
    sides: list[int],
    around: Literal["first", "last"] | None,
    seconds: float,
    glances: int,
    actions: int,
    rng: np.random.Generator,
) -> tuple[Course, Layout, list[Event]]:
    """Draw until the corridors can be built and enough objects fit; the turns' sides are kept."""
    wanted = min(4, len(sides) + 1), min(actions, len(sides))
    best: tuple[int, Course, Layout, list[Event]] | None = None
    for attempt in range(_ATTEMPTS):
        pace = float(rng.uniform(0.95, 1.45))
        stretch = 1.0 + 0.05 * (attempt // 40)
        phases = course.draw_phases(
            sides,
            rng,
            seconds * stretch,
            pace=pace,
            glances=glances,
            actions=actions,
            around=around,
        )
        moved = course.run_phases(phases, pace)
        corners = layout.corners_of(moved, around)
        widths = [float(rng.uniform(1.05, 1.4)) for _ in range(len(corners) - 1)]
        plan = layout.build(corners, widths)
        if not layout.buildable(plan):
            continue
        events = furnish(moved, plan, around, rng)
        landmarks = sum(event.action is None for event in events)
        score = min(landmarks - wanted[0], 0) + min(len(events) - landmarks - wanted[1], 0)
        if best is None or score > best[0]:
            best = (score, moved, plan, events)
        if score == 0:
            break
    if best is None:
        raise RuntimeError(f"no corridors fit seed {seed} with turns {sides}")
    return best[1:]


def _near(moved: Course, around: str | None, t_us: list[int]) -> list[tuple[int, int]]:
    """Return the range of visible corridors per frame, which changes in the middle of turns."""
    spans = zip(moved.phases, moved.starts, strict=True)
    middles = [s + p.seconds / 2 for p, s in spans if p.kind == "turn"]
    legs = np.searchsorted(middles, np.array(t_us) / 1e6).tolist()
    found = []
    for leg in legs:
        corridor, sense = corridor_of(leg, around, len(middles))
        found.append((corridor - 1, corridor + 2) if sense > 0 else (corridor - 2, corridor + 1))
    return found


def _true_turns(moved: Course, kind: Literal["turn", "glance"]) -> list[TrueTurn]:
    found = []
    edge = 0.1857  # time share at which the minimum-jerk path has covered 5 %
    for phase, start in zip(moved.phases, moved.starts, strict=True):
        if phase.kind != kind:
            continue
        parts = [(0.0, 1.0, phase.angle)]
        if kind == "glance":
            parts = [(0.0, 0.3, phase.angle), (0.7, 1.0, -phase.angle)]
        for begin, end, angle in parts:
            length = (end - begin) * phase.seconds
            name: TurnKind = "left" if angle > 0 else "right"
            found.append(
                TrueTurn(
                    start_us=round((start + begin * phase.seconds + edge * length) * 1e6),
                    end_us=round((start + begin * phase.seconds + (1 - edge) * length) * 1e6),
                    kind="around" if abs(angle) >= 150 else name,
                    yaw_degrees=float(angle),
                )
            )
    return found


def _steps(moved: Course, events: list[Event], duration_us: int) -> list[Step]:
    """Return the route: one straight step per leg and one step per turn, without gaps."""
    spans: list[tuple[int, int, Move]] = []
    clock = 0
    for turn in _true_turns(moved, "turn"):
        spans.append((clock, turn.start_us, "straight"))
        spans.append((turn.start_us, turn.end_us, turn.kind))
        clock = turn.end_us
    spans.append((clock, duration_us, "straight"))
    return [step for span in spans for step in _split(*span, events)]


def _split(start: int, end: int, move: Move, events: list[Event]) -> list[Step]:
    """Return a span as one step, or as one step per event, divided halfway between events."""
    inside = [e for e in events if start <= e.t_us < end]
    if not inside:
        return [Step(start_us=start, end_us=end, move=move)]
    cuts = [start, *((a.t_us + b.t_us) // 2 for a, b in pairwise(inside)), end]
    return [
        Step(
            start_us=begin,
            end_us=until,
            move=move if number == 0 else "straight",
            landmark=event.placement.thing if event.action is None else None,
            action=event.action.text if event.action else None,
            undo=event.action.undo if event.action else None,
        )
        for number, (event, (begin, until)) in enumerate(zip(inside, pairwise(cuts), strict=True))
    ]


def _narrations(
    moved: Course, events: list[Event], rng: np.random.Generator
) -> list[TrueNarration]:
    lines = []
    for event in events:
        if event.action is not None:
            lines.append(
                TrueNarration(
                    event.t_us, event.action.narration, None, event.action.text, event.action.undo
                )
            )
            continue
        name = catalogue.article(event.placement.thing)
        wording = {
            "ahead": [f"In front of me {name}", f"I come to {name}"],
            "left": [f"On my left, {name}", f"I pass {name} on the left"],
            "right": [f"On my right, {name}", f"I pass {name} on the right"],
        }[event.seen]
        text = wording[int(rng.integers(2))]
        lines.append(TrueNarration(event.t_us, text, event.placement.thing))
    return lines


__all__ = ["Camera", "mirrored", "plan_walk"]
