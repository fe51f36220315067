"""Cut a clip into spans: the parts that items ask about, each shown as a video of its own. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from pipeline.routes.route import OPPOSITE, TURNS
from pipeline.routes.rows import Step

LEAST_DESCRIBED = 3  # facts: a description of fewer says hardly more than that somebody walks
_APART_US = 2_000_000  # between possible cuts inside one long step


@dataclass(frozen=True, slots=True)
class _Cut:
    """The best way to cut a clip up to some time.

    Its rank: how many pairs of facts there are to ask (less one in a part that is too poor to describe), how few
    parts are longer than wanted, how many events, in how few parts, and how even these are.
    """

    rank: tuple[int, int, int, int, float] = (0, 0, 0, 0, 0.0)
    before: "_Cut | None" = None
    last: tuple[int, int] = (0, 0)

    def spans(self) -> list[tuple[int, int]]:
        return [*self.before.spans(), self.last] if self.before else []


def cut(
    steps: Sequence[Step],
    longest_us: int,
    shortest_us: int,
    *,
    wanted_us: int | None = None,
    even: bool = True,
) -> list[tuple[int, int]]:
    """Return disjoint spans (start, end) in us that give as many items as possible, in as few parts.

    A span is longer than `wanted_us`, up to `longest_us`, only where that gives more items. A cut never lies
    inside a turn. Of several ways to cut, the one with the most even parts is chosen, or the
    one with the most uneven parts: if all clips were cut alike, lengths would tell which spans are of one clip.
    """
    if not steps:
        return []
    sign = -1 if even else 1
    wanted = longest_us if wanted_us is None else wanted_us
    times = sorted({time for step in steps for time in _cuts(step)})
    # A step is inside if it starts and ends there: as steps don't overlap, counts of both suffice.
    starts = [step.start_us for step in steps]
    ends = [step.end_us for step in steps]
    events = list(map(_events, steps))
    turns, landmarks, actions, _ = ([0, *accumulate(kind)] for kind in zip(*events, strict=True))
    every = [0, *accumulate(map(sum, events))]
    first = [bisect_left(starts, time) for time in times]
    last = [bisect_right(ends, time) for time in times]
    best = [_Cut()]
    nearest = 0
    for now, end in enumerate(times[1:], 1):
        found = best[-1]
        while end - times[nearest] > longest_us:
            nearest += 1
        for then in range(nearest, now):
            if end - times[then] < shortest_us:
                break
            begin, stop = first[then], max(first[then], last[now])
            pairs = pairs_of(
                turns[stop] - turns[begin],
                landmarks[stop] - landmarks[begin],
                actions[stop] - actions[begin],
            )
            items, over, described, parts, squares = best[then].rank
            if items + pairs < found.rank[0]:
                continue
            kept = every[stop] - every[begin]
            # A part costs what its description brings: else many short parts would be best.
            rank = (
                items + pairs - (pairs > 0 and kept < LEAST_DESCRIBED),
                over - (end - times[then] > wanted),
                described + kept,
                parts - 1,
                squares + sign * ((end - times[then]) / 1e6) ** 2,
            )
            if rank > found.rank:
                found = _Cut(rank, best[then], (times[then], end))
        best.append(found)
    return best[-1].spans()


@lru_cache(2**10)  # there are few different ones
def pairs_of(turns: int, landmarks: int, actions: int) -> int:
    """Return about how many pairs of facts so many events give: each turn and each order is asked once.

    So many names make one order less; without turns, the two orders of three names share one and make no pair.
    """
    if turns:
        return (turns + max(0, landmarks - 1) + max(0, actions - 1)) // 2
    return sum((names - 1) // 2 for names in (landmarks, actions) if names > 3)


def inside(steps: Sequence[Step], start_us: int, end_us: int) -> tuple[Step, ...]:
    """Return the steps that lie wholly inside a span."""
    return tuple(step for step in steps if start_us <= step.start_us and step.end_us <= end_us)


def mirrored(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return steps as frames flipped left to right show them: sides swapped, names as they are."""
    return tuple(step.model_copy(update={"move": OPPOSITE[step.move]}) for step in steps)


def _cuts(step: Step) -> list[int]:
    """Return the times at which a clip may be cut in or around a step."""
    if step.move in TURNS:
        return [step.start_us, step.end_us]
    parts = max(1, (step.end_us - step.start_us) // _APART_US)
    return [
        step.start_us + (step.end_us - step.start_us) * part // parts for part in range(parts + 1)
    ]


def _events(step: Step) -> tuple[int, int, int, int]:
    """Return whether a step turns to a side, passes a landmark, is an action, turns around."""
    sided = step.move in ("left", "right")
    return int(sided), int(bool(step.landmark)), int(bool(step.action)), int(step.move == "around")
