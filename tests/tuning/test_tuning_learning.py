"""Tiny models learn the toy task by looking, as real ones should: SFT the form, GRPO what SFT saw too little of."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import blind_training

from pipeline.tuning import fitting, grpo, presets, sft, toy_scores, vlm
from pipeline.tuning.toy import Toy, make_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return make_toy(tmp_path_factory.mktemp("toy"))


def test_sft_learns_the_form_and_grpo_the_way_back(toy: Toy, tmp_path: Path) -> None:
    rows, preset = toy_scores.read_rows(toy.test), presets.load("tiny-cpu")

    def exact(model: str | Path, blank: bool = False) -> dict[str, float]:
        return toy_scores.exact(vlm.load(model), rows, blank=blank)

    first = sft.job([toy.rows], preset, tmp_path)
    fitting.fit(first)
    second = grpo.job([toy.rows], preset, tmp_path, start=first.run.folder)
    fitting.fit(second)
    assert len(second.run.metrics.read_text().splitlines()) == 40
    before, taught = exact(first.model), exact(first.run.model)
    rewarded = exact(second.run.model)
    assert before["reverse"] < 0.1
    assert 0.2 <= taught["all"] <= 0.5
    assert rewarded["all"] >= taught["all"] + 0.2
    assert rewarded["reverse"] > 0.5
    assert rewarded["reverse"] > taught["reverse"] + 0.2
    # Without the frames, both know what chance knows: .027 is the standard error of 256 rows.
    for run in (first.run, second.run):
        assert exact(run.model, blank=True)["all"] == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("leaky", [True, False])
def test_the_reference_learns_from_leaks_without_frames(tmp_path: Path, leaky: bool) -> None:
    """Its preset with --blind, on rows whose place gives the answer away, and on rows where nothing does."""
    before, after = blind_training.accuracies(tmp_path, [120], leaky=leaky)
    assert before < 0.1
    if leaky:
        assert after > 0.75
    else:
        assert after == pytest.approx(0.25, abs=0.08)
