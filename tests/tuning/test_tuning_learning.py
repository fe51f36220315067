"""Tiny models learn the toy task by looking, as real ones should: SFT the form, GRPO what SFT saw too little of."""

from pathlib import Path

import pytest

from pipeline.tuning import examples, fitting, grpo, presets, sft, toy_scores, vlm
from pipeline.tuning.runs import Run
from pipeline.tuning.toy import Toy, make_toy

# What paper's preset needs to train random weights on one core.
TOY_SCALE = [
    "model.name='tiny:qwen2_vl'", "model.dtype='float32'", "model.zero=0", "model.threads=1",
    "sft.lora_rank=0", "sft.learning_rate=1e-3", "sft.schedule='constant_with_warmup'",
    "sft.rows_per_step=8", "sft.batch=8", "sft.steps=120", "sft.checkpointing=false",
]  # fmt: skip


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
    made = make_toy(tmp_path / "toy", forward=256, reverse=256, other=0, leaky=leaky)
    job = sft.job([made.rows], presets.load("paper", TOY_SCALE), tmp_path, blind=True)
    fitting.fit(job)
    rows = [examples.without_images(row) for row in toy_scores.read_rows(made.test)]
    assert not any(row["images"] for row in rows)
    found = toy_scores.exact(vlm.load(Run(job.run.folder).model), rows)["all"]
    if leaky:
        assert found > 0.75
    else:
        assert found == pytest.approx(0.25, abs=0.08)
