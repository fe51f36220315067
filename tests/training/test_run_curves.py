"""A run's metrics are read whatever a kill left, and what is wrong with it is told with its remedy."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import grpo_steps, make_run, sft_steps

from pipeline.tuning.curves import panels, window
from pipeline.tuning.diagnosis import diagnose
from pipeline.tuning.metrics import Metrics, error, mean, read_metrics, smoothed


def told(steps: list[dict[str, Any]]) -> str:
    return "\n".join(diagnose(Metrics(tuple(steps))))


def titles(steps: list[dict[str, Any]]) -> list[str]:
    return [panel.title for panel in panels(Metrics(tuple(steps)))]


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    found = read_metrics(make_run(tmp_path / "r", sft_steps(3), tail='{"step": 4, "lo'))
    assert (found.numbers, found.unreadable) == ([1, 2, 3], 0)


def test_a_broken_line_elsewhere_is_counted(tmp_path: Path) -> None:
    last = json.dumps({"step": 2, "loss": 1.0}) + "\n"
    broken = '\x00\x00\n[1]\n{"step": "1"}\n{"step": true}\n\n'
    found = read_metrics(make_run(tmp_path / "r", sft_steps(1), tail=broken + last))
    assert (found.numbers, found.unreadable) == ([1, 2], 4)


def test_of_a_step_that_is_there_twice_the_last_one_counts(tmp_path: Path) -> None:
    again = "".join(json.dumps({"step": step, "loss": 9}) + "\n" for step in (2, 3, 4))
    found = read_metrics(make_run(tmp_path / "r", sft_steps(3), tail=again))
    assert found.numbers == [1, 2, 3, 4]
    assert found.values("loss")[1:] == [9, 9, 9]


def test_a_run_without_metrics_has_no_steps(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == Metrics(())


def test_what_is_no_number_is_a_gap() -> None:
    huge = 10**400
    steps = [
        {"step": n, "loss": x}
        for n, x in enumerate((1, math.nan, math.inf, None, "1", True, huge), 1)
    ]
    metrics = Metrics(tuple(steps))
    assert [math.isnan(value) for value in metrics.values("loss")] == [False] + [True] * 6
    assert metrics.broken("loss") == [2, 3]
    assert not metrics.has("reward")


@given(st.lists(st.floats(-100, 100) | st.just(math.nan), max_size=40), st.integers(1, 9))
def test_smoothing_keeps_gaps_and_stays_within_what_it_smooths(
    values: list[float], width: int
) -> None:
    found = smoothed(values, width)
    assert [math.isnan(value) for value in found] == [math.isnan(value) for value in values]
    numbers = [value for value in values if not math.isnan(value)]
    for value in found:
        assert math.isnan(value) or min(numbers) - 1e-9 <= value <= max(numbers) + 1e-9
    if width == 1:
        assert [x for x in found if x == x] == numbers


def test_means_leave_gaps_out() -> None:
    assert mean([1, math.nan, 3]) == 2
    assert math.isnan(mean([math.nan]))
    assert error([1, math.nan, 3]) == pytest.approx(1)
    assert math.isnan(error([1, math.nan]))


def test_curves_are_smoothed_over_a_twentieth() -> None:
    assert [window(steps) for steps in (1, 4, 40, 1000)] == [1, 4, 5, 50]


def test_each_stage_has_its_panels() -> None:
    assert titles(sft_steps()) == [
        "loss", "token accuracy", "entropy", "norm of the gradient", "learning rate", "time of a step",
    ]  # fmt: skip
    assert titles(grpo_steps()) == [
        "reward, sum of all", "reward paper", "reward ours_format", "clipped",
        "groups without variance", "length of completions", "divergence (kl)", "loss",
        "norm of the gradient", "learning rate", "time of a step",
    ]  # fmt: skip


def test_what_no_step_has_is_left_out() -> None:
    assert "divergence (kl)" not in titles(grpo_steps(change=lambda share: {"kl": None}))
    assert "divergence (kl)" not in titles(grpo_steps(change=lambda share: {"kl": 0.0}))
    nothing = {"clipped": math.nan, "ratio_clipped": None}
    assert "clipped" not in titles(grpo_steps(change=lambda share: nothing))
    one = panels(Metrics(tuple(grpo_steps(change=lambda share: {"ratio_clipped": None}))))
    assert [list(panel.lines) for panel in one if panel.title == "clipped"] == [["completions cut"]]
    assert titles([{"step": 1}]) == []


def test_only_the_published_reward_has_a_line_of_chance() -> None:
    found = {panel.title: panel.chance for panel in panels(Metrics(tuple(grpo_steps())))}
    assert found["reward paper"] == 0.25
    assert [title for title, chance in found.items() if chance] == ["reward paper"]


def test_nothing_is_said_of_runs_that_learn_or_are_short() -> None:
    assert told(grpo_steps()) == ""
    assert told(sft_steps()) == ""
    assert told(grpo_steps(9, lambda share: {"zero_variance": 1.0, "reward": 0.0})) == ""
    assert told([]) == ""


def test_a_loss_that_is_no_number_is_told_even_of_a_short_run() -> None:
    steps = sft_steps(3)
    steps[1]["loss"] = math.nan
    assert "The loss was not a number at step 2 (1 of 3 steps)" in told(steps)
    steps[1] = {**steps[1], "loss": 1.0, "grad_norm": math.inf}
    assert "The norm of the gradient was not a number at step 2" in told(steps)


def flat(paper: float, zero: float) -> Mapping[str, Any]:
    return {
        "reward": paper + 0.08,
        "rewards": {"paper": paper, "ours_format": 0.08},
        "zero_variance": zero,
    }


@pytest.mark.parametrize(
    ("paper", "zero", "words"),
    [
        (0.03, 0.94, "all wrong (answers are right in 3%). Remedy: add reverse rows"),
        (0.97, 0.95, "all right (answers are right in 97%). Remedy: leave out rows"),
        (0.5, 0.9, "about 45% are all right and 45% all wrong"),
    ],
)
def test_groups_without_variance_are_told_by_kind(paper: float, zero: float, words: str) -> None:
    found = told(grpo_steps(change=lambda share: flat(paper + 0.001 * math.sin(99 * share), zero)))
    assert f"{zero:.0%} of the groups have no variance" in found
    assert words in found
    assert f"The reward didn't rise: {paper + 0.08:.2f} at first" in found


def test_without_the_published_reward_both_remedies_are_told() -> None:
    found = told(grpo_steps(change=lambda share: {"rewards": {"ours": 0.1}, "zero_variance": 0.8}))
    assert "If their completions are wrong, add reverse rows" in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda share: {"clipped": 0.4}, "40% of the completions are cut"),
        (lambda share: {"kl": 3 * share}, "The divergence from the starting model is 2.7 a token"),
        (lambda share: {"ratio_clipped": 0.3}, "30% of the tokens have a clipped ratio"),
        (
            lambda share: {"length": 200 - 170 * share},
            "to 46 tokens: the model drops its reasoning",
        ),
        (lambda share: {"reward": 0.6 - 0.5 * share}, "The reward fell from 0.55 to 0.15"),
        (lambda share: {"reward": 0.3}, "None of the causes known here"),
    ],
)
def test_each_fault_is_told(change: Any, words: str) -> None:
    found = told(grpo_steps(change=change))
    assert words in found
    assert found.count("\n") == 0


def test_a_form_that_rises_alone_is_told() -> None:
    def change(share: float) -> Mapping[str, Any]:
        form = 0.1 * share
        return {"rewards": {"paper": 0.26, "ours_format": form}, "reward": 0.26 + form}

    found = told(grpo_steps(change=change))
    assert "Only the reward of the form rises (ours_format 0.01 to 0.09; paper 0.26)" in found
    # Where answers get better as well, it is no fault.
    assert "Only" not in told(
        grpo_steps(change=lambda share: {"rewards": {"paper": share, "ours_format": share / 10}})
    )


def test_supervised_runs_that_do_not_learn_are_told() -> None:
    assert "The loss didn't fall: 2.00" in told(sft_steps(change=lambda share: {"loss": 2.0}))
    assert "The loss rose: 1.11" in told(sft_steps(change=lambda share: {"loss": 1 + share}))
    heart = told(sft_steps(change=lambda share: {"loss": 1 / (1 + 9999 * share)}))
    assert "learned by heart" in heart


ANY = st.floats() | st.none() | st.text(max_size=2)
NAMES = ("loss", "grad_norm", "reward", "length", "kl", "clipped", "zero_variance")
STEP = st.fixed_dictionaries(
    {"rewards": ANY | st.fixed_dictionaries({"paper": ANY, "ours_format": ANY})},
    optional=dict.fromkeys(NAMES, ANY),
)


@given(st.lists(STEP, max_size=12))
def test_no_metrics_break_panels_or_diagnosis(found: list[dict[str, Any]]) -> None:
    metrics = Metrics(tuple({"step": number, **step} for number, step in enumerate(found, 1)))
    assert all(line.endswith(".") for line in diagnose(metrics))
    assert all(panel.lines for panel in panels(metrics))
