"""Items for tests of the blind probe: about two facts each, and sets that leak on purpose."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import worlds

from pipeline.blind.answers import Reading
from pipeline.blind.files import read_benchmark
from pipeline.blind.sheet import ProbeItem

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_FROM_END = ("last", "second to last", "third to last")


@dataclass(frozen=True)
class Fact:
    """A fact as the two ways state it: what is true comes first."""

    kind: str
    forward: tuple[str, str]
    reverse: tuple[str, str]


def composed(clips: int, world: str = "fair", seed: int = 0) -> list[ProbeItem]:
    """Return items as they are released, each on two facts of a random route, whatever a reader knows.

    In a fair world nothing tells what is true.
    """
    rng = random.Random(f"{world} {seed}")
    items = []
    for number, route in enumerate(worlds.routes(world, clips, seed)):
        facts = list(_facts(route, rng))
        rng.shuffle(facts)
        for one, other in zip(facts[::2], facts[1::2], strict=False):
            if {one.kind, other.kind} != {"landmark", "action"}:
                items += _twins(one, other, f"span{number}", route["group"], rng)
    return sorted(items, key=lambda item: item.id)


def _facts(route: worlds.Route, rng: random.Random) -> Iterator[Fact]:
    turns = [move for _, move, *_ in route["steps"] if move in ("left", "right")]
    for at, side in enumerate(turns):
        other = "left" if side == "right" else "right"
        left = len(turns) - 1 - at
        named = _FROM_END[left] if left < 3 and (at > 2 or rng.random() < 0.5) else _ORDINALS[at]
        back = (
            _ORDINALS[left] if named in _FROM_END else _FROM_END[at] if at < 3 else _ORDINALS[left]
        )
        said = (f"{named} turn {side}", f"{named} turn {other}")
        yield Fact("turn", said, (f"{back} turn {other}", f"{back} turn {side}"))
    for kind, column in (("landmark", 2), ("action", 3)):
        names = [step[column] for step in route["steps"] if step[column]]
        drawn = rng.sample(sorted({*names}), len({*names}))
        for one, other in zip(drawn[::2], drawn[1::2], strict=False):
            if names.index(one) > names.index(other):
                one, other = other, one
            said = (f"{one} before {other}", f"{other} before {one}")
            yield Fact(kind, said, said[::-1])


def _twins(
    one: Fact, other: Fact, clip: str, group: str, rng: random.Random
) -> Iterator[ProbeItem]:
    kinds = {one.kind, other.kind}
    category = (kinds - {"turn"} or {"direction"}).pop()
    contrast = "mixed" if len(kinds) == 2 else "turn" if kinds == {"turn"} else "order"
    for way in ("forward", "reverse"):
        first, second = (
            fact.forward if way == "forward" else fact.reverse for fact in (one, other)
        )
        if rng.random() < 0.5:
            first, second = second, first
        truth, *wrong = (f"{a}; {b}" for a in first for b in second)
        task = f"{category}_{way}"
        yield placed(
            clip, truth, wrong, rng,
            question=f"Which is true ({task}, {contrast})?", group=group, clip=clip, task=task,
            orientation=way, contrast=contrast, split="test",
            columns={"category": category, "split_group": group, "start": 0.0},
        )  # fmt: skip


def with_letters(items: Sequence[ProbeItem], letters: Sequence[int]) -> list[ProbeItem]:
    """Return the same items with each answer moved to this letter."""
    found = []
    for item, letter in zip(items, letters, strict=True):
        rest = [text for text in item.options if text != item.options[item.answer]]
        options = (*rest[:letter], item.options[item.answer], *rest[letter:])
        found.append(replace(item, options=options, answer=letter))
    return found


def placed(
    number: int | str, truth: str, distractors: Sequence[str], rng: random.Random, **fields: object
) -> ProbeItem:
    """Return one item with its options in random order."""
    options = [truth, *distractors]
    rng.shuffle(options)
    item = ProbeItem(
        f"i_{rng.getrandbits(64):016x}",
        "In which order does the camera wearer turn?",
        tuple(options),
        options.index(truth),
        f"g{number}",
        f"c{number}",
        task="direction_forward",
    )
    return replace(item, **fields)


def as_text(moves: Sequence[str]) -> str:
    return " -> ".join(f"turn {move}" for move in moves)


def back(moves: Sequence[str]) -> list[str]:
    return [{"left": "right", "right": "left"}[move] for move in reversed(moves)]


def walk(rng: random.Random, turns: int) -> list[str]:
    return rng.choices(("left", "right"), k=turns)


def flipped(moves: Sequence[str], places: Sequence[int]) -> list[str]:
    return [back([move])[0] if at in places else move for at, move in enumerate(moves)]


def square(moves: Sequence[str], first: int, second: int) -> list[str]:
    """Return the three distractors of a square."""
    return [as_text(flipped(moves, places)) for places in ((first,), (second,), (first, second))]


# ---- leaks through words ---------------------------------------------------------------------------

_MOVES = ("turn left", "turn right", "go straight", "climb the stairs")
_PLACES = ("red door", "long table", "printer", "kitchen", "window", "plant", "lift", "sofa")
_PARAPHRASE = {"turn": "spin", "go": "proceed", "climb": "hop up", "past": "skip"}


def leaky(count: int = 600, seed: int = 2) -> list[ProbeItem]:
    """Return items like the reference's: paraphrased distractors, full stops, lengths, uneven letters."""
    rng = random.Random(seed)
    items = []
    for number in range(count):
        truth = _walk_text(rng)
        distractors: list[str] = []
        while len(distractors) < 3:
            text = _walk_text(rng, shorter=rng.random() < 0.4)
            if rng.random() < 0.6:
                for old, new in _PARAPHRASE.items():
                    text = text.replace(old, new)
            if rng.random() < 0.17:
                text += "."
            if text != truth and text not in distractors:
                distractors.append(text)
        answer = rng.choices(range(4), [0.346, 0.25, 0.22, 0.184])[0]
        video = f"video{number // 4}"
        items.append(
            ProbeItem(
                id=str(number),
                question="What does the person do in this video?",
                options=(*distractors[:answer], truth, *distractors[answer:]),
                answer=answer,
                group=video,
                clip=video,
                task=rng.choice(("route", "action")),
            )
        )
    return items


def _walk_text(rng: random.Random, shorter: bool = False) -> str:
    legs = rng.randint(1, 2) if shorter else rng.randint(2, 4)
    text = ", ".join(f"{rng.choice(_MOVES)} past the {rng.choice(_PLACES)}" for _ in range(legs))
    return text[0].upper() + text[1:]


# ---- leaks through structure -----------------------------------------------------------------------


def single_edits(count: int = 600) -> list[ProbeItem]:
    """Return items whose distractors are single edits of the answer."""
    rng = random.Random(3)
    items = []
    for number in range(count):
        moves = walk(rng, rng.randint(3, 6))
        edits = rng.sample(range(len(moves)), 3)
        items.append(
            placed(number, as_text(moves), [as_text(flipped(moves, [at])) for at in edits], rng)
        )
    return items


def sets_grouped_apart(count: int = 600) -> list[ProbeItem]:
    """Return items of which four clips share four options; their reverse items form other groups of four."""
    rng = random.Random(4)
    routes: set[tuple[str, ...]] = set()
    while len(routes) < count:
        routes.add(tuple(walk(rng, 12)))
    moves = sorted(routes)
    items = []
    for task, in_task in (("direction_forward", list), ("direction_reverse", back)):
        order = list(range(count))
        rng.shuffle(order)
        for begin in range(0, count, 4):
            four = order[begin : begin + 4]
            for one in four:
                others = [as_text(in_task(moves[other])) for other in four if other != one]
                items.append(placed(one, as_text(in_task(moves[one])), others, rng, task=task))
    return items


def reverse_of_self_inverse_rejected(count: int = 800) -> list[ProbeItem]:
    """Return squares where clips whose route is its own inverse have only the forward item."""
    rng = random.Random(5)
    items = []
    for number in range(count):
        moves = walk(rng, 2)
        items.append(placed(number, as_text(moves), square(moves, 0, 1), rng))
        if moves != back(moves):
            wrong = [as_text(back(flipped(moves, at))) for at in ((0,), (1,), (0, 1))]
            items.append(placed(number, as_text(back(moves)), wrong, rng, task="direction_reverse"))
    return items


def true_side_printed(count: int = 500) -> list[ProbeItem]:
    """Return items where a clip's second item shows the true side of a turn that the first one flips."""
    rng = random.Random(6)
    items = []
    for number in range(count):
        moves = walk(rng, 4)
        items.append(placed(number, as_text(moves), square(moves, 0, 1), rng))
        names = rng.sample(_PLACES, 4)
        shown = f" -> {' -> '.join(f'turn {move}' for move in moves)}"
        truth, *wrong = (
            " -> ".join(names[index] for index in order) + shown
            for order in ((0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2))
        )
        items.append(placed(number, truth, wrong, rng, task="landmark_forward"))
    return items


def names_follow_a_script(count: int = 500) -> list[ProbeItem]:
    """Return order flips of names that always occur in the same order."""
    rng = random.Random(7)
    items = []
    for number in range(count):
        names = [_PLACES[index] for index in sorted(rng.sample(range(len(_PLACES)), 4))]
        truth, *wrong = (
            " -> ".join(names[index] for index in order)
            for order in ((0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2))
        )
        items.append(placed(number, truth, wrong, rng, task="landmark_forward"))
    return items


def sides_in_turn(count: int = 500) -> list[ProbeItem]:
    """Return sequences of which the one that changes sides most often is true."""
    rng = random.Random(9)
    items = []
    for number in range(count):
        side = rng.choice(("left", "right"))
        moves = [side, back([side])[0]] * 2
        wrong = [as_text(flipped(moves, [at])) for at in rng.sample(range(4), 3)]
        items.append(placed(number, as_text(moves), wrong, rng))
    return items


def shown_elsewhere(count: int = 600) -> list[ProbeItem]:
    """Return pairs of a scene's routes: what is true of each is shown, as a distractor, of a clip nearby."""
    rng = random.Random(10)
    items = []
    for number in range(count):
        house = f"house{number // 20}"
        own = random.Random(f"{house} {number % 4}")
        truth = as_text(walk(own, 8))
        items.append(
            placed(number, truth, [as_text(walk(rng, 8)) for _ in range(3)], rng, group=house)
        )
    return items


def ordered(
    pairs: Sequence[tuple[str, str]], true: int, rng: random.Random, number: int, **fields: object
) -> ProbeItem:
    """Return one item on two orders; the bits of `true` are set where a pair is in its given order."""
    options = []
    for bits in range(4):
        said = [pair if bits >> at & 1 else pair[::-1] for at, pair in enumerate(pairs)]
        options.append("; ".join(f"{one} before {other}" for one, other in said))
    wrong = [text for bits, text in enumerate(options) if bits != true]
    given = {"task": "landmark_forward", "contrast": "order", "group": f"g{number // 4}"} | fields
    return placed(number, options[true], wrong, rng, **given)


def usual_statements(count: int = 800) -> list[ProbeItem]:
    """Return orders of names that are the same in three of four walks."""
    rng = random.Random(11)
    items = []
    for number in range(count):
        names = sorted(rng.sample(_PLACES, 4))
        pairs = [(names[0], names[1]), (names[2], names[3])]
        true = sum((rng.random() < 0.75) << at for at in (0, 1))
        items.append(ordered(pairs, true, rng, number))
    return items


def tallies_balanced(scenes: int = 4, each: int = 100) -> list[ProbeItem]:
    """Return the same two orders everywhere: both true in half of the scenes, neither in the other half."""
    rng = random.Random(12)
    pairs = [("door", "plant"), ("bench", "lamp")]
    true = [0, 3] * (scenes // 2)
    rng.shuffle(true)
    return [
        ordered(pairs, bits, rng, scene * each + number, group=f"s{scene}")
        for scene, bits in enumerate(true)
        for number in range(each)
    ]


def chained(count: int = 900) -> list[ProbeItem]:
    """Return orders along one corridor; near names are asked in some scenes, far ones in the others."""
    rng = random.Random(13)
    names = [f"door {letter}" for letter in "abcdefghijkl"]
    items = []
    for number in range(count):
        apart = 1 if number // 4 % 2 else 2
        at = rng.sample(range(len(names) - apart), 2)
        pairs = [(names[one], names[one + apart]) for one in at]
        items.append(ordered(pairs, 3, rng, number))
    return items


def corridor(count: int = 800) -> list[ProbeItem]:
    """Return orders along one corridor that is walked in either direction: both are true, or neither."""
    rng = random.Random(14)
    names = [f"door {letter}" for letter in "abcdefghijkl"]
    items = []
    for number in range(count):
        places = sorted(rng.sample(range(len(names)), 4))
        pairs = [(names[places[0]], names[places[1]]), (names[places[2]], names[places[3]])]
        items.append(ordered(pairs, rng.choice((0, 3)), rng, number))
    return items


def turn_counts_published(count: int = 500) -> list[ProbeItem]:
    """Return items with options of unequal turn counts, and the number of keyframes in a column."""
    rng = random.Random(8)
    items = []
    for number in range(count):
        counts = rng.sample(range(2, 8), 4)
        options = [as_text(walk(rng, turns)) for turns in counts]
        columns = {"keyframes": counts[0] + 4, "fps": rng.choice((24, 30))}
        items.append(placed(number, options[0], options[1:], rng, columns=columns))
    return items


def read_items(path: Path, told: Reading | None = None) -> list[ProbeItem]:
    """Return a file's items as `egost blind FILE` reads them."""
    found = read_benchmark(path, told)
    found.check_most()
    return list(found.items)
