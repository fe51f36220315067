"""What is wrong with a run that doesn't learn, and what to do: plain sentences with the figures, from its metrics. Needs no torch.

Early and late mean the first and the last fifth of the steps, at least 5 of them.
"""

import math
from collections.abc import Iterator, Sequence

from pipeline.tuning.metrics import Metrics, error, mean

_LEAST_STEPS = 10  # of fewer, a fifth is noise
_SIGNIFICANT = 2.0  # standard errors of a difference: about 1 in 20 flat runs seems to move
# Above it, most of what is generated gives no gradient, so a step is worth less than half of its cost.
_ZERO_VARIANCE = 0.5
# A cut completion has no answer and earns nothing, so a tenth of them takes a tenth of the reward that can be had.
_CUT = 0.1
# The policy's tokens are then typically e times likelier than the starting model's; runs that learn stay below .5.
_KL = 1.0
# TRL clips a token's ratio beyond .2 from 1. Where more than a fifth of the tokens move that far, steps are too large.
_RATIO_CLIPPED = 0.2
_LENGTH = 0.5  # a reply of half the length has lost a list or its check
# A reply of 60 tokens is then repeated word for word with a chance of exp(-.6), over a half: learned by heart.
_BY_HEART = 0.01
_MOSTLY = 0.8  # of the groups without variance


def diagnose(metrics: Metrics) -> list[str]:
    """Return what is wrong, each with its remedy; nothing if the run learns, or is too short to tell."""
    found = list(_not_numbers(metrics))
    if len(metrics.steps) < _LEAST_STEPS:
        return found
    return [*found, *(_grpo(metrics) if metrics.is_grpo else _sft(metrics))]


def _not_numbers(metrics: Metrics) -> Iterator[str]:
    for name, title in (("loss", "loss"), ("grad_norm", "norm of the gradient")):
        steps = metrics.broken(name)
        if steps:
            yield (
                f"The {title} was not a number at step {steps[0]} ({len(steps)} of {len(metrics.steps)} steps). The weights can't be trusted "
                "from there on: start again with a third of the learning rate, and with dtype = bfloat16 or float32, not float16."
            )
            return


def _grpo(metrics: Metrics) -> Iterator[str]:
    rise = _Change(metrics.values("reward"))
    reasons = [*_variance(metrics), *_cut(metrics), *_form(metrics), *_policy(metrics)]
    if rise.moved < 0:
        yield (
            f"The reward fell from {rise.early:.2f} to {rise.late:.2f}: use a third of the learning rate, and start again from the model "
            "that SFT gave."
        )
    elif rise.moved == 0 and rise.known:
        yield f"The reward didn't rise: {rise.early:.2f} at first, {rise.late:.2f} at the end." + (
            ""
            if reasons
            else " None of the causes known here shows in the metrics. Read some completions, and train for "
            "more steps, with more prompts in each, before you change the learning rate."
        )
    yield from reasons


def _variance(metrics: Metrics) -> Iterator[str]:
    late = mean(_late(metrics.values("zero_variance")))
    if not late > _ZERO_VARIANCE:
        return
    said = f"{late:.0%} of the groups have no variance, so they teach nothing"
    right = mean(_late(metrics.reward("paper")))
    wrong_remedy = (
        "add reverse rows to SFT (3 % were enough on the toy policy), give partial credit (ours_square), or use larger groups "
        "(grpo.group) or a higher grpo.temperature"
    )
    right_remedy = (
        "leave out rows that the model gets right every time (egost train rows --results), or stop here: there is nothing left to "
        "learn from these rows"
    )
    if math.isnan(right):
        yield f"{said}. If their completions are wrong, {wrong_remedy}; if they are right, {right_remedy}."
        return
    # Groups with variance are right half of the time on average; what is right beyond that is in groups all right.
    all_right = min(late, max(0.0, right - (1 - late) / 2))
    shares = f"about {all_right:.0%} are all right and {late - all_right:.0%} all wrong"
    if all_right > _MOSTLY * late:
        yield f"{said}: nearly all of these are all right (answers are right in {right:.0%}). Remedy: {right_remedy}."
    elif all_right < (1 - _MOSTLY) * late:
        yield f"{said}: nearly all of these are all wrong (answers are right in {right:.0%}). Remedy: {wrong_remedy}."
    else:
        yield f"{said}: {shares}. For those that are wrong, {wrong_remedy}; for those that are right, {right_remedy}."


def _cut(metrics: Metrics) -> Iterator[str]:
    late, length = mean(_late(metrics.values("clipped"))), mean(_late(metrics.values("length")))
    if late > _CUT:
        yield (
            f"{late:.0%} of the completions are cut at the length limit (mean length {length:.0f} tokens): they have no answer and earn "
            "nothing. Raise grpo.most_tokens if their text is sound; if it repeats itself, go back to SFT with think texts, or use loss = dr_grpo, "
            "which doesn't favour long wrong answers."
        )


def _form(metrics: Metrics) -> Iterator[str]:
    form = [name for name in metrics.rewards if name.endswith("format")]
    answers = [name for name in metrics.rewards if name not in form]
    changes = {name: _Change(metrics.reward(name)) for name in metrics.rewards}
    if (
        form
        and answers
        and any(changes[name].moved > 0 for name in form)
        and all(changes[name].moved <= 0 for name in answers)
    ):
        others = ", ".join(f"{name} {changes[name].late:.2f}" for name in answers)
        risen = changes[form[0]]
        yield (
            f"Only the reward of the form rises ({form[0]} {risen.early:.2f} to {risen.late:.2f}; {others}): the model learns the tags and not the "
            "task. Teach the form in SFT, take the format reward out or give it a weight of .1, and check that the frames "
            "show what is asked (egost train report compares them with blank ones)."
        )


def _policy(metrics: Metrics) -> Iterator[str]:
    kl, clipped = (mean(_late(metrics.values(name))) for name in ("kl", "ratio_clipped"))
    if kl > _KL:
        yield (
            f"The divergence from the starting model is {kl:.1f} a token (runs that learn stay below .5): the policy has left what SFT taught. "
            "Start again with a third of the learning rate, or with a larger grpo.beta."
        )
    if clipped > _RATIO_CLIPPED:
        yield (
            f"{clipped:.0%} of the tokens have a clipped ratio: steps are too large. Use a third of the learning rate, or "
            "grpo.iterations = 1."
        )
    values = metrics.values("length")
    early, late = mean(_early(values)), mean(_late(values))
    if late < _LENGTH * early:
        yield (
            f"Completions went from {early:.0f} to {late:.0f} tokens: the model drops its reasoning. Reward it (ours_route, ours_consistency), or keep it "
            "near the model that SFT gave (grpo.beta = .04). If the answers get better all the same, the rows don't need reasoning: "
            "train without thinking."
        )


def _sft(metrics: Metrics) -> Iterator[str]:
    change = _Change(metrics.values("loss"))
    if change.known and change.moved >= 0:
        figures = f"{change.early:.2f} at first, {change.late:.2f} at the end"
        if change.moved > 0:
            yield f"The loss rose: {figures}. Use a third of the learning rate."
        else:
            yield (
                f"The loss didn't fall: {figures}. Train for more steps, or at three times the learning rate; if it is low from the start, "
                "the rows teach nothing new."
            )
    if change.late < _BY_HEART:
        yield (
            f"The loss is {change.late:.4f} a token: replies are learned by heart, and GRPO will find little variance. Take fewer steps or "
            "more rows, and score the model on the split validation."
        )


class _Change:
    """How a metric's mean went from early to late; `moved` is 1, -1, or 0 if the difference may be noise."""

    def __init__(self, values: Sequence[float]) -> None:
        early, late = _early(values), _late(values)
        self.early, self.late = mean(early), mean(late)
        noise = math.hypot(error(early), error(late))
        difference = self.late - self.early
        self.known = math.isfinite(difference) and math.isfinite(noise)
        beyond = self.known and abs(difference) > max(_SIGNIFICANT * noise, 1e-9)
        self.moved = int(math.copysign(1, difference)) if beyond else 0


def _part(values: Sequence[float]) -> int:
    return max(5, len(values) // 5)


def _early(values: Sequence[float]) -> Sequence[float]:
    return values[: _part(values)]


def _late(values: Sequence[float]) -> Sequence[float]:
    return values[-_part(values) :]
