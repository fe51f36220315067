"""Items with one planted leak each, for tests of what the audit names as the cause."""

import random
import re

from blind_items import placed

from pipeline.blind.sheet import ProbeItem

_NAMES = ("door", "table", "printer", "kitchen", "window", "plant", "lift", "sofa", "lamp", "desk")
_VERBS = ("pass", "touch", "leave", "reach")


def _text(rng: random.Random, legs: int = 3) -> str:
    return ", ".join(f"{rng.choice(_VERBS)} the {rng.choice(_NAMES)}" for _ in range(legs))


def _options(rng: random.Random, legs: int = 3) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < 4:
        found[_text(rng, legs)] = None
    return list(found)


def worded(count: int, share: float = 1.0, seed: int = 0) -> list[ProbeItem]:
    """Return items of which a share can be answered by the word `avoid`, which only distractors have."""
    rng = random.Random(seed)
    items = []
    for number in range(count):
        truth, *wrong = _options(rng)
        leaks = rng.random() < share
        if leaks:
            # In the second leg, so that neither the order of the options nor their form tells.
            wrong = [re.sub(r", \w+", ", avoid", text, count=1) for text in wrong]
        items.append(
            placed(number, truth, wrong, rng, group=f"g{number // 4}", task=f"t{number % 2}")
        )
    return items


def longest(count: int, seed: int = 0) -> list[ProbeItem]:
    """Return items of the same words whose answer is the longest option in three of four."""
    rng = random.Random(seed)
    items = []
    for number in range(count):
        long, rest = _text(rng, 4), _options(rng)[:3]
        if rng.random() < 0.75:
            truth, wrong = long, rest
        else:
            truth, wrong = rest[0], [long, *rest[1:]]
        items.append(placed(number, truth, wrong, rng, group=f"g{number // 4}"))
    return items
