"""Furnish the corridors of a course: the objects that are passed or used, where, and when."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.demo import catalogue, layout
from pipeline.demo.course import Course, Phase
from pipeline.demo.layout import Layout
from pipeline.demo.walk import Floats, Placement, Side

_AHEAD_M = {"landmark": 1.3, "act": 2.1}  # distance to an object when it is narrated
_APART_M = 1.7  # between the centres of two objects in one corridor


@dataclass(frozen=True)
class Event:
    """An event to narrate, at `t` seconds."""

    t: float
    placement: Placement
    action: catalogue.Action | None
    seen: Literal["left", "right", "ahead"]

    @property
    def t_us(self) -> int:
        """The time in microseconds."""
        return round(self.t * 1e6)


@dataclass
class _Furniture:
    """The objects placed so far, used to keep objects apart."""

    plan: Layout
    placed: list[Placement]
    twice: tuple[
        int, float, float
    ]  # the corridor, and the part of it that is walked in both directions

    def fits(self, corridor: int, along: float, side: Side) -> bool:
        """Return whether there is room for an object."""
        if corridor == self.twice[0] and self.twice[1] <= along <= self.twice[2]:
            return False
        sides = ("left", "right") if side == "across" else (side,)
        for wall in sides:
            begin, end = self.plan.span(corridor, wall)
            if not begin + 0.8 <= along <= end - 0.8:
                return False
        return all(
            other.corridor != corridor
            or abs(other.along - along)
            >= (_APART_M if other.side in (*sides, "across") or side == "across" else 1.0)
            for other in self.placed
        )


def furnish(
    moved: Course, plan: Layout, around: str | None, rng: np.random.Generator
) -> list[Event]:
    """Place landmarks and actions along the course; return them as events in time order."""
    furniture = _Furniture(plan, [], _walked_twice(moved, plan, around))
    actions = [catalogue.ACTIONS[i] for i in rng.permutation(len(catalogue.ACTIONS))]
    names = [catalogue.LANDMARKS[i] for i in rng.permutation(len(catalogue.LANDMARKS))]
    events: list[Event] = []
    spans = list(zip(moved.phases, moved.starts, strict=True))
    for phase, start in spans:
        if phase.kind == "act":
            event = _place_action(moved, furniture, around, phase, start, actions, rng)
        elif phase.kind == "turn":
            event = _place_ahead(moved, furniture, around, phase, start, names, rng)
        else:
            continue
        if event is not None:
            furniture.placed.append(event.placement)
            events.append(event)
    dead_end = {"first": 0, "last": moved.turns}.get(around or "")
    for leg in range(moved.turns + 1):
        if leg == dead_end:
            continue
        own = [(p, s) for p, s in spans if p.leg == leg and p.kind != "turn"]
        begin, end = own[0][1], own[-1][1] + own[-1][0].seconds
        event = _place_landmark(moved, furniture, around, leg, (begin, end), own, names, rng)
        if event is not None:
            furniture.placed.append(event.placement)
            events.append(event)
    return sorted(events, key=lambda event: event.t)


def _walked_twice(moved: Course, plan: Layout, around: str | None) -> tuple[int, float, float]:
    """Return the part before a dead end: objects there would be passed twice but narrated once."""
    if around == "first":
        start = np.array([moved.x[0], moved.y[0]])
        return 0, -np.inf, plan.along(0, start) + 0.9
    if around == "last":
        last = len(plan.half_widths) - 1
        return last, plan.along(last, np.array([moved.x[-1], moved.y[-1]])) - 0.4, np.inf
    return -1, 0.0, 0.0


def corridor_of(leg: int, around: str | None, turns: int) -> tuple[int, int]:
    """Return a leg's corridor, and 1 if it is walked from its first corner, else -1."""
    if around == "first":
        return (0, -1) if leg == 0 else (leg - 1, 1)
    if around == "last" and leg == turns:
        return leg - 1, -1
    return leg, 1


def _ahead(moved: Course, t: float, metres: float) -> Floats:
    i = moved.at(t)
    angle = np.radians(moved.body[i])
    return np.array([moved.x[i] + metres * np.cos(angle), moved.y[i] + metres * np.sin(angle)])


def _place_action(
    moved: Course,
    furniture: _Furniture,
    around: str | None,
    phase: Phase,
    start: float,
    actions: list[catalogue.Action],
    rng: np.random.Generator,
) -> Event | None:
    corridor, sense = corridor_of(phase.leg, around, moved.turns)
    along = furniture.plan.along(corridor, _ahead(moved, start + 0.3, _AHEAD_M["act"]))
    for action in actions:
        flank: list[Side] = ["left", "right"] if rng.random() < 0.5 else ["right", "left"]
        for side in ["across"] if action.thing in catalogue.ACROSS else flank:
            if furniture.fits(corridor, along, side):  # type: ignore[arg-type]
                actions.remove(action)
                thing = Placement(action.thing, corridor, along, side, round((start + 0.3) * 1e6))  # type: ignore[arg-type]
                return Event(start + 0.45, thing, action, _seen(side, sense))
    return None


def _place_landmark(
    moved: Course,
    furniture: _Furniture,
    around: str | None,
    leg: int,
    span: tuple[float, float],
    own: list[tuple[Phase, float]],
    names: list[str],
    rng: np.random.Generator,
) -> Event | None:
    corridor, sense = corridor_of(leg, around, moved.turns)
    busy = [(s - 0.6, s + p.seconds + 0.4) for p, s in own if p.kind in ("act", "glance")]
    for t in rng.uniform(span[0] + 0.3, span[1] - 0.3, 30).tolist():
        along = furniture.plan.along(corridor, _ahead(moved, t, _AHEAD_M["landmark"]))
        side: Side = "left" if rng.random() < 0.5 else "right"
        if any(a < t < b for a, b in busy) or not furniture.fits(corridor, along, side):
            continue
        return Event(t, Placement(names.pop(0), corridor, along, side), None, _seen(side, sense))
    return None


def _place_ahead(
    moved: Course,
    furniture: _Furniture,
    around: str | None,
    phase: Phase,
    start: float,
    names: list[str],
    rng: np.random.Generator,
) -> Event | None:
    """Place an object on the wall that the wearer faces before some of the turns."""
    if rng.random() < 0.45:
        return None
    choices = [name for name in names if name in catalogue.AHEAD]
    if not choices:
        return None
    corridor, sense = corridor_of(phase.leg, around, moved.turns)
    plan = furniture.plan
    if abs(phase.angle) > 150:
        end: Side = "end" if sense > 0 else "start"
        placement = Placement(choices[0], corridor, 0.0, end)
    else:
        side: Side = "right" if phase.angle > 0 else "left"
        ahead, begin = corridor + 1, plan.corners[corridor + 1]
        across = plan.direction(ahead)
        wall = (plan.right if side == "right" else plan.left)[ahead]
        along = plan.along(ahead, layout.meet(begin, plan.direction(corridor), wall, across))
        if not furniture.fits(ahead, along, side):
            return None
        placement = Placement(choices[0], ahead, along, side)
    names.remove(choices[0])
    return Event(start + 0.45 * phase.seconds, placement, None, "ahead")


def _seen(side: str, sense: int) -> Literal["left", "right", "ahead"]:
    if side == "across":
        return "ahead"
    return "left" if (side == "left") == (sense > 0) else "right"
