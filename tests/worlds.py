"""Worlds to attack composed questions in: routes whose regularities a reader without frames may use.

Each world is a function from a random source and a number of clips to routes, one dict per clip, in the
format that `benchmarks/worlds.py` reads.
"""

import importlib.util
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

Route = dict[str, Any]
World = Callable[[random.Random, int], Iterator[Route]]

_ADJECTIVES = [
    "red",
    "blue",
    "green",
    "white",
    "black",
    "old",
    "new",
    "big",
    "small",
    "round",
    "wooden",
    "glass",
    "metal",
    "dark",
    "bright",
]
_THINGS = [
    "door",
    "chair",
    "table",
    "plant",
    "bench",
    "lamp",
    "shelf",
    "sofa",
    "bin",
    "clock",
    "picture",
    "window",
    "stairs",
    "desk",
    "mirror",
    "rug",
    "printer",
    "sink",
    "fridge",
    "bed",
    "cabinet",
    "board",
    "screen",
    "fountain",
    "statue",
    "kiosk",
    "gate",
    "railing",
    "poster",
    "bicycle",
]
_SCRIPT = (
    "open the fridge|close the fridge;take the milk|put back the milk;close the fridge|open the fridge;"
    "take a cup|put back the cup;pour the milk|;stir the coffee|;drink the coffee|;rinse the cup|;"
    "dry the cup|;put away the cup|take out the cup;wipe the table|;switch off the light|switch on the light"
)
_DEEDS = (
    "pick up a book|put down the book;open a drawer|close the drawer;press a button|;sit down|stand up;"
    "lift a box|put down the box;wave at someone|;switch on a lamp|switch off the lamp;write a note|;"
    "open a window|close the window;move a chair|move the chair back;water a plant|;read a sign|;"
    "check the phone|;tie a shoe|untie the shoe;take a photo|;knock on a wall|"
)


def _pairs(text: str) -> list[tuple[str, str | None]]:
    return [(do, undo or None) for do, undo in (pair.split("|") for pair in text.split(";"))]


def _names(count: int) -> list[str]:
    """Return this many different landmarks."""
    found = [f"the {adjective} {thing}" for thing in _THINGS for adjective in _ADJECTIVES]
    return [found[index * 37 % len(found)] for index in range(count)]


def _other(side: str) -> str:
    return "right" if side == "left" else "left"


def _walk(
    rng: random.Random,
    sides: Sequence[str],
    landmarks: Sequence[str],
    deeds: Sequence[tuple[str, str | None]] = (),
    pace: float = 1.0,
) -> list[list[Any]]:
    """Return steps: turns with straights between, and landmarks and actions spread evenly over the straights."""
    straights = max(len(sides) + 1, (len(landmarks) + len(deeds) + 1) // 2, 1)
    marks: list[tuple[str, Any]] = [("landmark", name) for name in landmarks]
    acts: list[tuple[str, Any]] = [("action", pair) for pair in deeds]
    order = marks + acts
    # Keep each kind in its order; mix the kinds at random.
    mixed, which = [], [0] * len(marks) + [1] * len(acts)
    rng.shuffle(which)
    queues = (iter(marks), iter(acts))
    mixed = [next(queues[kind]) for kind in which]
    assert len(mixed) == len(order)
    slots: list[list[tuple[str, Any]]] = [[] for _ in range(straights)]
    for index, mark in enumerate(mixed):
        slots[index * straights // max(1, len(mixed))].append(mark)
    turn_after = sorted(rng.sample(range(straights), min(len(sides), straights)))
    turns = dict(zip(turn_after, sides, strict=False))
    steps: list[list[Any]] = []
    for index, slot in enumerate(slots):
        for kind, what in slot or [("", None)]:
            seconds = round(rng.uniform(2.5, 5.0) * pace, 1)
            step = [seconds, "straight", None, None, None]
            if kind == "landmark":
                step[2] = what
            elif kind == "action":
                step[3], step[4] = what
            steps.append(step)
        if index in turns:
            steps.append([round(rng.uniform(1.5, 2.5), 1), turns[index], None, None, None])
    return steps


def _route(number: int, scene: str, steps: list[list[Any]], path: str = "") -> Route:
    return {
        "scene": scene,
        "group": scene,
        "path": path or f"{scene}/{number:05}.mp4",
        "language": "en",
        "steps": steps,
    }


def _coins(rng: random.Random, count: int, right: float = 0.5) -> list[str]:
    return ["right" if rng.random() < right else "left" for _ in range(count)]


def fair(rng: random.Random, clips: int) -> Iterator[Route]:
    """Fair coins: sides, names, actions and their orders are all random."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        steps = _walk(
            rng,
            _coins(rng, rng.randint(3, 8)),
            rng.sample(names, rng.randint(4, 8)),
            rng.sample(deeds, rng.randint(2, 6)),
        )
        yield _route(number, f"scene{number % 170}", steps)


def corridors(rng: random.Random, clips: int) -> Iterator[Route]:
    """Corridors with their landmarks in a fixed order, walked in either direction."""
    names = _names(60)
    halls = [names[i : i + 12] for i in range(0, 60, 12)]
    for number in range(clips):
        hall = rng.choice(halls)
        start = rng.randint(0, 4)
        marks = hall[start : start + rng.randint(5, 8)]
        if rng.random() < 0.5:
            marks = marks[::-1]
        steps = _walk(rng, _coins(rng, rng.randint(3, 7)), marks, rng.sample(_pairs(_DEEDS), 3))
        yield _route(number, f"scene{number % 170}", steps)


def office(rng: random.Random, clips: int) -> Iterator[Route]:
    """One order of landmarks for all offices, 80 % walked inward."""
    names = _names(14)
    for number in range(clips):
        marks = sorted(rng.sample(range(14), rng.randint(5, 8)))
        found = [names[index] for index in marks]
        if rng.random() < 0.2:
            found = found[::-1]
        steps = _walk(rng, _coins(rng, rng.randint(3, 7)), found, rng.sample(_pairs(_DEEDS), 4))
        yield _route(number, f"scene{number % 170}", steps)


def houses(rng: random.Random, clips: int) -> Iterator[Route]:
    """A few houses per split group, each route of a house walked five times."""
    names, deeds = _names(90), _pairs(_DEEDS)
    number = 0
    while number < clips:
        steps = _walk(
            rng,
            _coins(rng, rng.randint(4, 7)),
            rng.sample(names, rng.randint(5, 8)),
            rng.sample(deeds, 4),
        )
        for _ in range(5):
            if number < clips:
                again = [[round(s[0] * rng.uniform(0.9, 1.1), 1), *s[1:]] for s in steps]
                yield _route(number, f"house{number // 25}", again)
                number += 1


def homes(rng: random.Random, clips: int) -> Iterator[Route]:
    """Homes walked again and again with long clips: rooms in a fixed graph, sides fixed by geometry."""
    names, deeds = _names(400), _pairs(_DEEDS)
    house, order, geometry = "", [], []
    for number in range(clips):
        if number % 17 == 0:
            house = f"home{number // 17}"
            order = rng.sample(names, 12)
            geometry = _coins(rng, 12)
        start, length = rng.randint(0, 3), rng.randint(7, 9)
        marks, sides = order[start : start + length], geometry[start : start + length]
        if rng.random() < 0.5:
            marks, sides = marks[::-1], [_other(side) for side in sides[::-1]]
        steps = []
        for mark, side in zip(marks, sides, strict=True):
            steps.append([round(rng.uniform(4, 7), 1), "straight", mark, None, None])
            if rng.random() < 0.5:
                do, undo = rng.choice(deeds)
                steps.append([round(rng.uniform(3, 5), 1), "straight", None, do, undo])
            steps.append([2.0, side, None, None, None])
        yield _route(number, house, steps)


def geometry(rng: random.Random, clips: int) -> Iterator[Route]:
    """One building plan everywhere: sides belong to places, 80 % walked inward."""
    names, deeds = _names(16), _pairs(_DEEDS)
    plan = _coins(random.Random(3), 16)
    for number in range(clips):
        start, length = rng.randint(0, 7), rng.randint(5, 8)
        marks, sides = names[start : start + length], plan[start : start + length]
        if rng.random() < 0.2:
            marks, sides = marks[::-1], [_other(side) for side in sides[::-1]]
        steps = []
        for mark, side in zip(marks, sides, strict=True):
            steps.append([round(rng.uniform(3, 5), 1), "straight", mark, None, None])
            steps.append([2.0, side, None, None, None])
        for do, undo in rng.sample(deeds, 4):
            at = rng.randrange(0, len(steps), 2)
            steps.insert(at, [3.0, "straight", None, do, undo])
        yield _route(number, f"scene{number % 170}", steps)


def long_tail(rng: random.Random, clips: int) -> Iterator[Route]:
    """Rare names in a fixed order of kinds: street, hall, room."""
    kinds = [
        ["street sign", "kerb", "parked car", "bus stop", "hedge", "mailbox"],
        ["hall mirror", "coat rack", "door mat", "hall lamp", "shoe rack", "lift door"],
        ["room sofa", "room desk", "bed", "bookcase", "room plant", "television"],
    ]
    for number in range(clips):
        marks = []
        for kind in kinds:
            marks += [
                f"the {rng.choice(_ADJECTIVES)} {rng.choice(_ADJECTIVES)} {name}"
                for name in rng.sample(kind, 2)
            ]
        steps = _walk(rng, _coins(rng, rng.randint(3, 7)), marks, rng.sample(_pairs(_DEEDS), 4))
        yield _route(number, f"scene{number % 170}", steps)


def paths(rng: random.Random, clips: int) -> Iterator[Route]:
    """File names that reveal the first and the last landmark."""
    names, deeds = _names(40), _pairs(_DEEDS)
    for number in range(clips):
        marks = rng.sample(names, rng.randint(4, 7))
        steps = _walk(rng, _coins(rng, rng.randint(3, 7)), marks, rng.sample(deeds, 4))
        where = f"{marks[0].replace(' ', '_')}_to_{marks[-1].replace(' ', '_')}_{number}.mp4"
        yield _route(number, f"scene{number % 170}", steps, where)


def loops(rng: random.Random, clips: int) -> Iterator[Route]:
    """Closed loops: all turns but one go the same way round."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        side = rng.choice(["left", "right"])
        sides = [side] * rng.randint(4, 6)
        if rng.random() < 0.6:
            at = rng.randrange(len(sides))
            sides[at : at + 1] = [side, _other(side), side]
        steps = _walk(rng, sides, rng.sample(names, rng.randint(5, 8)), rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def aisles(rng: random.Random, clips: int) -> Iterator[Route]:
    """Supermarket aisles: two lefts, two rights, and so on; shelves in a fixed order."""
    names, deeds = _names(14), _pairs(_DEEDS)
    for number in range(clips):
        side, sides = rng.choice(["left", "right"]), []
        for _ in range(rng.randint(2, 4)):
            sides += [side, side]
            side = _other(side)
        marks = [names[i] for i in sorted(rng.sample(range(14), rng.randint(4, 7)))]
        steps = _walk(rng, sides, marks, rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def out_and_back(rng: random.Random, clips: int) -> Iterator[Route]:
    """There and back: the second half of the turns undoes the first."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        half = _coins(rng, rng.randint(2, 4))
        back = [_other(side) for side in reversed(half)]
        steps = _walk(
            rng,
            [*half, "around", *back],
            rng.sample(names, rng.randint(5, 8)),
            rng.sample(deeds, 4),
        )
        yield _route(number, f"scene{number % 170}", steps)


def alternating(rng: random.Random, clips: int) -> Iterator[Route]:
    """Three in four turns go to the side opposite to the previous one."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        sides = [rng.choice(["left", "right"])]
        for _ in range(rng.randint(3, 6)):
            sides.append(_other(sides[-1]) if rng.random() < 0.75 else sides[-1])
        steps = _walk(rng, sides, rng.sample(names, rng.randint(5, 8)), rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def right_streets(rng: random.Random, clips: int) -> Iterator[Route]:
    """Streets with few turns, most of them to the right."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        sides = _coins(rng, rng.randint(2, 3), right=0.75)
        steps = _walk(rng, sides, rng.sample(names, rng.randint(5, 8)), rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def rights(rng: random.Random, clips: int) -> Iterator[Route]:
    """70 % of all turns go to the right."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        sides = _coins(rng, rng.randint(3, 7), right=0.7)
        steps = _walk(rng, sides, rng.sample(names, rng.randint(5, 8)), rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def kitchens(rng: random.Random, clips: int) -> Iterator[Route]:
    """Kitchen scripts: actions nearly always in the same order, with one swap now and then."""
    names, script = _names(40), _pairs(_SCRIPT)
    for number in range(clips):
        picked = sorted(rng.sample(range(len(script)), rng.randint(5, 8)))
        for _ in range(2):
            at = rng.randrange(len(picked) - 1)
            if rng.random() < 0.3:
                picked[at], picked[at + 1] = picked[at + 1], picked[at]
        steps = _walk(
            rng,
            _coins(rng, rng.randint(3, 6)),
            rng.sample(names, rng.randint(4, 6)),
            [script[index] for index in picked],
        )
        yield _route(number, f"kitchen{number % 170}", steps)


def habits(rng: random.Random, clips: int) -> Iterator[Route]:
    """Each wearer has a side of their own and an order of their own for actions."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        wearer = number % 60
        own = random.Random(wearer)
        order = own.sample(deeds, len(deeds))
        acts = [order[index] for index in sorted(rng.sample(range(len(order)), 5))]
        sides = _coins(rng, rng.randint(3, 7), right=own.choice([0.2, 0.8]))
        steps = _walk(rng, sides, rng.sample(names, rng.randint(5, 8)), acts)
        yield _route(number, f"wearer{wearer}", steps)


def signposts(rng: random.Random, clips: int) -> Iterator[Route]:
    """Some landmarks stand before left turns and others before right turns, everywhere."""
    names, deeds = _names(40), _pairs(_DEEDS)
    for number in range(clips):
        steps: list[list[Any]] = []
        for name in rng.sample(names, rng.randint(5, 8)):
            lean = 0.85 if names.index(name) % 2 else 0.15
            steps.append([round(rng.uniform(3, 5), 1), "straight", name, None, None])
            steps.append([2.0, "right" if rng.random() < lean else "left", None, None, None])
        for do, undo in rng.sample(deeds, 4):
            steps.insert(2 * rng.randint(0, 4), [3.0, "straight", None, do, undo])
        yield _route(number, f"scene{number % 170}", steps)


def momentum(rng: random.Random, clips: int) -> Iterator[Route]:
    """The first turn's side decides most of the walk's; the order of names follows it, too."""
    names, deeds = _names(30), _pairs(_DEEDS)
    for number in range(clips):
        right = rng.random() < 0.5
        sides = _coins(rng, rng.randint(3, 7), right=0.8 if right else 0.2)
        marks = sorted(rng.sample(range(30), rng.randint(5, 8)), reverse=not right)
        steps = _walk(rng, sides, [names[i] for i in marks], rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def seasons(rng: random.Random, clips: int) -> Iterator[Route]:
    """Half of the scenes reverse what the other half does."""
    names, deeds = _names(24), _pairs(_DEEDS)
    for number in range(clips):
        scene = number % 170
        marks = sorted(rng.sample(range(24), rng.randint(5, 8)), reverse=scene % 2 == 0)
        sides = _coins(rng, rng.randint(3, 7), right=0.75 if scene % 2 else 0.25)
        steps = _walk(rng, sides, [names[i] for i in marks], rng.sample(deeds, 4))
        yield _route(number, f"scene{scene}", steps)


def errands(rng: random.Random, clips: int) -> Iterator[Route]:
    """An action always follows its place: the fridge is passed, then opened."""
    deeds = _pairs(_DEEDS)
    places = dict(zip(_names(16), deeds, strict=True))
    for number in range(clips):
        steps: list[list[Any]] = []
        for name in rng.sample(sorted(places), rng.randint(4, 7)):
            do, undo = places[name]
            steps.append([round(rng.uniform(3, 5), 1), "straight", name, None, None])
            steps.append([round(rng.uniform(3, 5), 1), "straight", None, do, undo])
            if rng.random() < 0.7:
                steps.append([2.0, rng.choice(["left", "right"]), None, None, None])
        yield _route(number, f"scene{number % 170}", steps)


def numbers(rng: random.Random, clips: int) -> Iterator[Route]:
    """Rooms are numbered along the corridor, which is walked either way; no number is common."""
    deeds = _pairs(_DEEDS)
    for number in range(clips):
        first, stride = rng.randint(1, 300), rng.randint(1, 3)
        rooms = [f"room {first + stride * index}" for index in range(rng.randint(5, 8))]
        if rng.random() < 0.5:
            rooms = rooms[::-1]
        steps = _walk(rng, _coins(rng, rng.randint(3, 7)), rooms, rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def colours(rng: random.Random, clips: int) -> Iterator[Route]:
    """A name's colour tells its place: red things come first and blue ones last, mostly."""
    deeds, shades = _pairs(_DEEDS), _ADJECTIVES[:8]
    for number in range(clips):
        things = rng.sample(_THINGS, rng.randint(5, 8))
        marks = sorted(things, key=lambda _: rng.random())
        ranks = sorted(rng.choices(range(8), k=len(marks)), key=lambda rank: rank + rng.gauss(0, 2))
        named = [f"the {shades[rank]} {thing}" for rank, thing in zip(ranks, marks, strict=True)]
        steps = _walk(rng, _coins(rng, rng.randint(3, 7)), named, rng.sample(deeds, 4))
        yield _route(number, f"scene{number % 170}", steps)


def lengths(rng: random.Random, clips: int) -> Iterator[Route]:
    """Short clips turn left and long ones right; a scene's name list tells which."""
    names, deeds = _names(60), _pairs(_DEEDS)
    for number in range(clips):
        slow = rng.random() < 0.5
        sides = _coins(rng, rng.randint(3, 5), right=0.8 if slow else 0.2)
        marks = rng.sample(names, rng.randint(4, 6))
        steps = _walk(rng, sides, marks, rng.sample(deeds, 2), pace=1.6 if slow else 0.7)
        yield _route(number, f"scene{number % 170}", steps)


def _along(rng: random.Random, names: Sequence[str], count: int, *, back: bool) -> list[str]:
    found = [names[index] for index in sorted(rng.sample(range(len(names)), count))]
    return found[::-1] if back else found


def commuters(rng: random.Random, clips: int) -> Iterator[Route]:
    """One way to work and back; what else people do tells which: coffee in the morning, calls in the evening."""
    names, deeds = _names(12), _pairs(_DEEDS)
    tells = [
        _pairs("buy a coffee|;unfold the newspaper|;show the pass|;yawn|"),
        _pairs("call home|;loosen the scarf|;buy some flowers|;light the pipe|"),
    ]
    for number in range(clips):
        back = rng.random() < 0.5
        done = [*rng.sample(tells[back], 2), *rng.sample(deeds, 2)]
        rng.shuffle(done)
        marks = _along(rng, names, rng.randint(5, 7), back=back)
        steps = _walk(rng, _coins(rng, rng.randint(3, 5)), marks, done)
        yield _route(number, f"person{number % 120}", steps)


def branches(rng: random.Random, clips: int) -> Iterator[Route]:
    """Shops of two kinds with their shelves in opposite orders; what else a scene's clips show tells the kind."""
    names, deeds = _names(30), _pairs(_DEEDS)
    for number in range(clips):
        family = number % 150
        back = family % 2 == 1
        marks = _along(rng, names[:13], rng.randint(5, 7), back=back)
        for name in rng.sample(names[13:17] if back else names[17:21], 2):
            marks.insert(rng.randint(0, len(marks)), name)
        steps = _walk(rng, _coins(rng, rng.randint(4, 6)), marks, rng.sample(deeds, 3))
        yield _route(number, f"family{family}", steps)


def paces(rng: random.Random, clips: int) -> Iterator[Route]:
    """One path, fast one way and slow the other: only the length tells which."""
    names, deeds = _names(14), _pairs(_DEEDS)
    for number in range(clips):
        back = rng.random() < 0.5
        marks = _along(rng, names, 6, back=back)
        sides, pace = _coins(rng, rng.randint(3, 5)), 0.7 if back else 1.4
        steps = _walk(rng, sides, marks, rng.sample(deeds, 2), pace=pace)
        yield _route(number, f"scene{number % 170}", steps)


def museums(rng: random.Random, clips: int) -> Iterator[Route]:
    """Each museum is toured in an order of its own, and each visit leaves most rooms out; rooms have sides."""
    deeds = _pairs(_DEEDS)
    for number in range(clips):
        museum = number % 34
        own = random.Random(f"museum {museum}")
        rooms, sides = own.sample(_names(450), 20), _coins(own, 20)
        steps: list[list[Any]] = []
        for at in sorted(rng.sample(range(20), rng.randint(6, 9))):
            steps.append([round(rng.uniform(3, 5), 1), "straight", rooms[at], None, None])
            if rng.random() < 0.8:
                steps.append([2.0, sides[at], None, None, None])
        for do, undo in rng.sample(deeds, 4):
            steps.insert(rng.randint(0, len(steps)), [3.0, "straight", None, do, undo])
        yield _route(number, f"museum{museum}", steps)


_MOUNTING = ("screw in", "glue on", "slot in", "clamp", "press down", "fasten")
_PARTS = (
    "panel", "back panel", "side panel", "shelf", "shelf pin", "drawer", "drawer front", "drawer rail",
    "hinge", "door hinge", "handle", "leg", "leg plate", "top", "base", "base plate",
    "dowel", "screw", "long screw", "bracket", "wall bracket", "cover", "cable cover", "trim",
)  # fmt: skip


def manuals(rng: random.Random, clips: int) -> Iterator[Route]:
    """Each product is assembled in an order of its own; steps are optional, and now and then two are swapped."""
    for number in range(clips):
        product = number % 34
        own = random.Random(f"product {product}")
        script = [
            (f"{own.choice(_MOUNTING)} the {part}", f"take off the {part}")
            for part in own.sample(_PARTS, 18)
        ]
        done = sorted(rng.sample(range(18), rng.randint(8, 11)))
        for at in rng.sample(range(len(done) - 1), 2):
            if rng.random() < 0.4:
                done[at], done[at + 1] = done[at + 1], done[at]
        marks = [f"the {part}" for part in rng.sample(_PARTS, 3)]
        acts = [script[at] for at in done]
        steps = _walk(rng, _coins(rng, rng.randint(2, 4)), marks, acts)
        yield _route(number, f"product{product}", steps)


WORLDS: dict[str, World] = {
    world.__name__: world
    for world in (
        fair, corridors, office, houses, homes, geometry, long_tail, paths, loops, aisles, out_and_back,
        alternating, right_streets, rights, kitchens, habits, signposts, momentum, seasons, errands,
        numbers, colours, lengths, commuters, branches, paces, museums,
        manuals,
    )
}  # fmt: skip


def routes(world: str, clips: int, seed: int) -> list[Route]:
    """Return the routes of a world."""
    return list(WORLDS[world](random.Random(f"{world}:{seed}"), clips))


@cache
def bench() -> ModuleType:
    """Return `benchmarks/worlds.py`, which composes questions of such routes as a workspace does."""
    path = Path(__file__).parents[1] / "benchmarks" / "worlds.py"
    spec = importlib.util.spec_from_file_location("bench_worlds", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
