"""Cut a clip into spans: the parts that items ask about, each shown as a video of its own. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.routes.rows import Step

_APART_US = 2_000_000  # between possible cuts inside one long step


@dataclass(frozen=True)
class _Cut:
    """The best way to cut a clip up to some time: what is kept, the sum of squared lengths, the spans."""

    kept: int
    uneven: float
    spans: tuple[tuple[int, int], ...]

    @property
    def rank(self) -> tuple[int, int, float]:
        return self.kept, -len(self.spans), -self.uneven


def cut(steps: Sequence[Step], longest_us: int, shortest_us: int) -> list[tuple[int, int]]:
    """Return disjoint spans (start, end) in us that keep as many facts as possible, in as few parts.

    A cut never lies inside a turn. Of several ways to cut, the one with the most even parts is chosen.
    """
    times = sorted({time for step in steps for time in _cuts(step)})
    best = {time: _Cut(0, 0.0, ()) for time in times[:1]}
    for end in times[1:]:
        options = [best[time] for time in times if time < end][-1:]
        for start in times:
            if not shortest_us <= end - start <= longest_us:
                continue
            before = best[start]
            length = (end - start) / 1e6
            options.append(
                _Cut(
                    before.kept + _facts(steps, start, end),
                    before.uneven + length * length,
                    (*before.spans, (start, end)),
                )
            )
        best[end] = max(options, key=lambda one: one.rank)
    return list(best[times[-1]].spans) if times else []


def inside(steps: Sequence[Step], start_us: int, end_us: int) -> tuple[Step, ...]:
    """Return the steps that lie wholly inside a span."""
    return tuple(step for step in steps if start_us <= step.start_us and step.end_us <= end_us)


def _cuts(step: Step) -> list[int]:
    """Return the times at which a clip may be cut in or around a step."""
    if step.move != "straight":
        return [step.start_us, step.end_us]
    parts = max(1, (step.end_us - step.start_us) // _APART_US)
    return [
        step.start_us + (step.end_us - step.start_us) * part // parts for part in range(parts + 1)
    ]


def _facts(steps: Sequence[Step], start_us: int, end_us: int) -> int:
    return sum(
        (step.move in ("left", "right")) + bool(step.landmark) + bool(step.action)
        for step in inside(steps, start_us, end_us)
    )
