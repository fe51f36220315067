"""Arms: in which form an item is shown to a model. All arms ask the same question, so they are compared item by item. Pure."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import UserError

FRAMES = "frames"
COUNTS = (4, 8, 16, 32)
"""The numbers of frames that arms such as `frames-8` show."""

ARMS = {
    FRAMES: "the released frames",
    "blind": "the question alone",
    "blank": "grey images of the same sizes at the same times",
    "one": "the middle frame",
    "shuffled": "the frames in random order, with times in ascending order",
    "reversed": "the frames in reverse order, with times in ascending order",
    "rotate": "the options in each of their other rotations",
    **{f"frames-{count}": f"{count} evenly spaced frames" for count in COUNTS},
}
"""What each arm shows; `rotate` stands for the arms `rotate-1`, `rotate-2` and so on."""

_ROTATED = re.compile(r"rotate-(\d{1,3})")

Pictures = Literal["frames", "grey", "none"]


@dataclass(frozen=True)
class Shown:
    """What an arm shows of one item.

    `frames` are indices into the item's released frames in the order in which they are sent, `seconds` the times
    that are told with them. Option `at` of what is shown is option `order[at]` of the released item.
    """

    pictures: Pictures
    frames: tuple[int, ...]
    seconds: tuple[float, ...]
    order: tuple[int, ...]


def arms_of(names: Sequence[str]) -> list[str]:
    """Return the arms that were asked for, each once; raise UserError for one that doesn't exist."""
    for name in names:
        if name not in ARMS:
            raise UserError("--arms", f"there is no arm '{name}'", f"choose from {', '.join(ARMS)}")
    return list(dict.fromkeys(names))


def shown(
    arm: str, item_id: str, seconds: Sequence[float], options: int
) -> list[tuple[str, Shown]]:
    """Return what an arm shows of an item with frames at these times, by the name that its predictions get.

    There is nothing where the arm would show the same as `frames` does: fewer frames than its number, or a single
    frame to put in another order.
    """
    every, plain = tuple(range(len(seconds))), order_of(arm, options)
    times = tuple(seconds)
    if arm == "rotate":
        names = [f"rotate-{by}" for by in range(1, options)]
        return [(one, Shown("frames", every, times, order_of(one, options))) for one in names]
    if arm == "blind":
        return [(arm, Shown("none", (), (), plain))]
    if arm == "blank":
        return [(arm, Shown("grey", every, times, plain))]
    if arm == FRAMES:
        return [(arm, Shown("frames", every, times, plain))]
    chosen = _chosen(arm, item_id, every)
    if chosen == every:
        return []
    # Told in ascending order: times that run backwards would give the arm away.
    return [(arm, Shown("frames", chosen, tuple(times[at] for at in sorted(chosen)), plain))]


def order_of(arm: str, options: int) -> tuple[int, ...]:
    """Return the order in which an arm shows the options, as `Shown.order`."""
    plain, turned = tuple(range(options)), _ROTATED.fullmatch(arm)
    by = int(turned[1]) % max(1, options) if turned else 0
    return plain[by:] + plain[:by]


def _chosen(arm: str, item_id: str, every: tuple[int, ...]) -> tuple[int, ...]:
    """Return the frames that an arm shows, in its order."""
    if arm == "one":
        return every[len(every) // 2 :][:1]
    if arm == "reversed":
        return every[::-1]
    if arm == "shuffled":
        drawn = random.Random(f"shuffled {item_id}")
        mixed = every
        while len(every) > 1 and mixed == every:
            mixed = tuple(drawn.sample(every, len(every)))
        return mixed
    count = int(arm.removeprefix("frames-"))
    if count >= len(every):
        return every
    # The midpoints of equal parts, as the released frames themselves.
    return tuple((2 * part + 1) * len(every) // (2 * count) for part in range(count))
