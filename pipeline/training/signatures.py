"""The rewards as functions in the signatures of TRL, ms-swift, EasyR1 and verl. Pure.

All take the row's solution as the JSON text that is in the rows of every format. A name that begins with `ours` is no
reward of the reference's. A copy of this code is in the file that trainers import.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pipeline.training.rewards import SCHEMES, Rewards, rewards, total

REWARD_NAME = "egost"  # EasyR1 reads these two names
REWARD_TYPE = "batch"

Reward = Callable[..., list[float | None]]


@lru_cache(maxsize=4096)
def _solution(text: str) -> Mapping[str, Any]:
    known: Mapping[str, Any] = json.loads(text)
    return known


def _text(completion: Any) -> str:
    """Return a completion's text: it may be a text, messages, or messages whose content is in parts."""
    if isinstance(completion, str) or completion is None:
        return completion or ""
    if isinstance(completion, Mapping):
        return _text(completion.get("content", completion.get("text")))
    parts = [completion[-1]] if completion and "role" in completion[-1] else completion
    return "".join(map(_text, parts))


def score(completion: Any, solution: str | Mapping[str, Any]) -> Rewards:
    """Return the rewards of one completion."""
    known = _solution(solution) if isinstance(solution, str) else solution
    return rewards(_text(completion), known)


def _in_trl(scheme: str) -> Reward:
    def reward(
        completions: Sequence[Any], solution: Sequence[str], **columns: Any
    ) -> list[float | None]:
        return [
            total(score(one, known), scheme)
            for one, known in zip(completions, solution, strict=True)
        ]

    reward.__name__ = reward.__qualname__ = scheme  # the name under which TRL logs it
    reward.__doc__ = (
        f"Return each completion's {scheme!r} of `SCHEMES`, None where it isn't defined: for TRL."
    )
    return reward


IN_TRL: Mapping[str, Reward] = {scheme: _in_trl(scheme) for scheme in SCHEMES}
paper, ours = IN_TRL["paper"], IN_TRL["ours"]
ours_square, ours_route, ours_times = (
    IN_TRL[f"ours_{one}"] for one in ("square", "route", "times")
)
ours_consistency, ours_format = IN_TRL["ours_consistency"], IN_TRL["ours_format"]


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    scheme: str = "paper",
    **others: Any,
) -> dict[str, float]:
    """Return a scheme's reward as `score`, and every reward by name: for verl, whose figures can't be None but are 0."""
    found = score(solution_str, ground_truth)
    return {"score": total(found, scheme) or 0.0, **_named(found)}


def compute_scores(
    reward_inputs: Sequence[Mapping[str, Any]], scheme: str = "paper"
) -> list[dict[str, float]]:
    """Return for each response a scheme's reward as `overall`, and every reward by name: for EasyR1, where None is 0."""
    found = [score(one["response"], one["ground_truth"]) for one in reward_inputs]
    return [{"overall": total(one, scheme) or 0.0, **_named(one)} for one in found]


def _named(found: Rewards) -> dict[str, float]:
    named = ("exact" if name == "exact" else f"ours_{name}" for name in Rewards._fields)
    return {name: value or 0.0 for name, value in zip(named, found, strict=True)}


def register_in_swift() -> list[str]:
    """Add every scheme to the rewards that ms-swift knows, as `egost_paper`, `egost_ours`, ...; return the names."""
    from swift.rewards import ORM, orms

    names = []
    for scheme, reward in IN_TRL.items():
        names.append(f"egost_{scheme}")
        orms[names[-1]] = type(
            names[-1], (ORM,), {"__call__": staticmethod(reward), "__doc__": reward.__doc__}
        )
    return names
