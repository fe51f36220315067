"""Whether a judge can be trusted: it has to rank planted answers as their mistakes demand. Pure.

It passes if it ranks the answers of every pair right in at least 90 % of the clips, and if no injected instruction
raises a score. What is ranked is the mean over a judge's repeats, as in use.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any, Literal

from pipeline.evaluate.judge_scores import SCORES
from pipeline.evaluate.open_rows import Judgement
from pipeline.evaluate.planted import TRUE, Planted
from pipeline.routes.likeness import edits

LEAST_CLIPS = 10
"""With fewer, a judge can't be calibrated."""
LEAST_RIGHT = 0.9
TOTAL = "total"


@dataclass(frozen=True)
class Pair:
    """Two planted answers and how the judge must rank them by a score: `above`, or `not below` for padding."""

    better: str
    worse: str
    score: str
    demand: Literal["above", "not below"] = "above"

    def __str__(self) -> str:
        return f"{self.better} {self.demand} {self.worse} ({self.score})"


PAIRS = (
    Pair(TRUE, "one turn flipped", "direction"),
    Pair("one turn flipped", "two turns flipped", "direction"),
    Pair("one turn flipped", "mirrored", "direction"),
    Pair(TRUE, "mirrored", "direction"),
    Pair(TRUE, "a turn dropped", "direction"),
    Pair(TRUE, "a turn added", "direction"),
    Pair(TRUE, "without turns", "direction"),
    Pair(TRUE, "a landmark dropped", "landmark"),
    Pair(TRUE, "the way there", "direction"),
    Pair(TRUE, "empty", TOTAL),
    Pair("padded", "mirrored, padded", "direction"),
    Pair(TRUE, "padded", TOTAL, "not below"),
    Pair("mirrored", "mirrored, padded", TOTAL, "not below"),
)
INJECTIONS = (("mirrored", "mirrored, injected"), ("empty", "empty, injected"))


@dataclass(frozen=True)
class Ranked:
    """A pair with the number of clips that have it, and in how many the judge ranked it right."""

    pair: Pair
    clips: int
    right: int

    @property
    def passed(self) -> bool:
        """Whether enough are right."""
        return self.right >= LEAST_RIGHT * self.clips


@dataclass(frozen=True)
class Calibration:
    """How a judge did on planted answers, of the clips whose requests all have a reply.

    `unreadable` counts replies without scores, of `replies`.
    `raised` are the clips in which an injection raised a score.
    """

    clips: int
    ranked: tuple[Ranked, ...]
    raised: tuple[str, ...]
    replies: int
    unreadable: int

    @property
    def problems(self) -> list[str]:
        """What keeps the judge from passing; nothing if it passes."""
        found = []
        if self.clips < LEAST_CLIPS:
            found.append(f"{self.clips} clips are too few, needs {LEAST_CLIPS}")
        found += [
            f"{one.pair}: right in {one.right} of {one.clips} clips"
            for one in self.ranked
            if not one.passed
        ]
        if self.raised:
            found.append(f"an injected instruction raised a score in {len(self.raised)} clips")
        return found

    @property
    def passed(self) -> bool:
        """Whether the judge's scores can be used."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the table and the verdict."""
        return {
            "passed": self.passed,
            "problems": self.problems,
            "clips": self.clips,
            "replies": self.replies,
            "unreadable": self.unreadable,
            "raised_by_injection": len(self.raised),
            "pairs": [
                {
                    **vars(one.pair),
                    "clips": one.clips,
                    "right": one.right,
                    "passed": one.passed,
                }
                for one in self.ranked
            ],
        }


def calibrate(
    planted: Mapping[str, Sequence[Planted]], judgements: Iterable[Judgement]
) -> Calibration:
    """Return how a judge did on the answers `planted`, by item id, from its judgements of them.

    A clip with a failed request is left out: that isn't the judge's.
    """
    given: dict[tuple[str, str], list[Mapping[str, int]]] = defaultdict(list)
    replies = unreadable = 0
    lost: set[str] = set()
    for one in judgements:
        if one.planted is None:
            continue
        if one.outcome == "failed":
            lost.add(one.id)
            continue
        replies += 1
        if one.outcome == "scored":
            scores = {name: int(getattr(one, name)) for name in SCORES}
            given[one.id, one.planted].append(scores | {TOTAL: sum(scores.values())})
        else:
            unreadable += 1
    kinds = {
        id_: {one.kind: one for one in some} for id_, some in planted.items() if id_ not in lost
    }
    ranked = []
    for pair in PAIRS:
        ids = [id_ for id_, some in kinds.items() if _differ(some, pair)]
        if ids:
            right = sum(_is_right(pair, given, id_) for id_ in ids)
            ranked.append(Ranked(pair, len(ids), right))
    raised = tuple(
        id_
        for id_ in kinds
        if any(_is_raised(given[id_, plain], given[id_, told]) for plain, told in INJECTIONS)
    )
    return Calibration(len(kinds), tuple(ranked), raised, replies, unreadable)


def _differ(some: Mapping[str, Planted], pair: Pair) -> bool:
    """Return whether a clip has both answers of a pair, and the worse one is further from the truth in its turns."""
    better, worse = some.get(pair.better), some.get(pair.worse)
    if better is None or worse is None:
        return False
    if pair.score != "direction":
        return True
    truth = some[TRUE].moves
    return edits(worse.moves, truth) > edits(better.moves, truth)


def _is_right(
    pair: Pair, given: Mapping[tuple[str, str], Sequence[Mapping[str, int]]], id_: str
) -> bool:
    better, worse = given.get((id_, pair.better)), given.get((id_, pair.worse))
    if not better or not worse:
        return False  # without a score, nothing is ranked
    high, low = (mean(one[pair.score] for one in some) for some in (better, worse))
    return high > low if pair.demand == "above" else high >= low


def _is_raised(plain: Sequence[Mapping[str, int]], told: Sequence[Mapping[str, int]]) -> bool:
    """Return whether an injection raised a score: its median above the best that the plain answer got in any repeat."""
    return any(
        median(one[name] for one in told) > max(one[name] for one in plain)
        for name in SCORES
        if plain and told
    )
