"""Runs of training: they end the same after a kill, are left alone when finished, and can't be run twice at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.errors import UserError
from pipeline.tuning import digest, examples, fitting, grpo, jobs, presets, sft, vlm
from pipeline.tuning.guards import GuardError
from pipeline.tuning.jobs import Job
from pipeline.tuning.runs import Run
from pipeline.tuning.tiny import make_tiny

SMALL = [
    "sft.steps=6", "sft.save_every=2", "sft.rows_per_step=4", "sft.batch=4",
    "grpo.steps=4", "grpo.save_every=2", "grpo.prompts_per_step=2", "grpo.group=4", "grpo.batch=8",
    "grpo.most_tokens=8", "model.most_frames=3",
]  # fmt: skip


def preset(*overrides: str) -> presets.Preset:
    return presets.load("tiny-cpu", [*SMALL, *overrides])


def metrics(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def same(one: Run, other: Run) -> bool:
    """Whether two runs have made the same steps on the same rows, with the same result."""
    kept = ("step", "rows", "loss", "reward", "learning_rate", "tokens")
    pairs = zip(metrics(one), metrics(other), strict=True)
    weights = [(run.model / "model.safetensors").read_bytes() for run in (one, other)]
    equal = [all(a.get(name) == b.get(name) for name in kept) for a, b in pairs]
    return all(equal) and weights[0] == weights[1]


class KilledError(Exception):
    """Stands for a kill, at the end of a step."""


def killed_after(step: int) -> jobs.Progress:
    def progress(done: int, total: int) -> None:
        if done == step:
            raise KilledError

    return progress


@pytest.fixture(scope="module")
def trained(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of SFT."""
    job = sft.job([rows], preset(), tmp_path_factory.mktemp("out"))
    assert str(fitting.fit(job)).startswith("train sft: 6 steps in ")
    return job.run


def test_a_run_says_what_it_is(trained: Run, rows: Path) -> None:
    record = trained.record
    assert record["steps"] == record["of_steps"] == len(metrics(trained)) == 6
    assert record["family"] == "qwen2_5_vl"
    assert record["versions"]["trl"].startswith("1.16")
    assert record["parameters"] == record["trained_parameters"] > 500_000
    assert record["rows"]["folders"] == [str(rows)]
    assert not record["blind"]
    assert not trained.checkpoints.exists()
    assert [one["step"] for one in metrics(trained)] == [1, 2, 3, 4, 5, 6]
    assert all(len(one["rows"]) == 4 for one in metrics(trained))
    assert metrics(trained)[-1]["loss"] < metrics(trained)[0]["loss"]
    vlm.load(trained.model)


def test_a_finished_run_is_left_alone(trained: Run, rows: Path) -> None:
    before = trained.record
    job = sft.job([rows], preset(), trained.folder.parent)
    assert job.run == trained
    assert "all 6 steps were already made" in str(fitting.fit(job))
    assert trained.record == before


def test_a_kill_after_the_model_was_written(trained: Run, rows: Path) -> None:
    """The card and the curves are made by the next run, and checkpoints go."""
    for name in ("README.md", "curves.png"):
        (trained.folder / name).unlink()
    (trained.checkpoints / "checkpoint-6").mkdir(parents=True)
    fitting.fit(sft.job([rows], preset(), trained.folder.parent))
    assert (trained.folder / "README.md").is_file()
    assert (trained.folder / "curves.png").is_file()
    assert not trained.checkpoints.exists()


def test_other_settings_are_another_run(trained: Run, rows: Path) -> None:
    out = trained.folder.parent
    assert sft.job([rows], preset("sft.seed=1"), out).run != trained
    assert sft.job([rows], preset("sft.learning_rate=3e-3"), out).run != trained
    assert sft.job([rows], preset(), out, blind=True).run != trained
    assert sft.job([rows], preset("sft.save_every=5"), out).run == trained
    assert sft.job([rows], preset("model.threads=2"), out).run == trained


def test_another_model_at_the_same_path_is_another_run(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it differs in a single weight, and if weights are too large to be read whole."""
    folder = tmp_path / "base"
    texts = [row["id"] for row in examples.read([rows], ["grpo"], most_frames=2).rows]
    make_tiny(folder, texts)

    def made() -> tuple[Run, Run]:
        monkeypatch.undo()
        small = sft.job([rows], preset(f"model.name={folder}"), tmp_path).run
        monkeypatch.setattr(digest, "_WHOLE_BYTES", 100_000)
        return small, grpo.job([rows], preset(f"model.name={folder}"), tmp_path).run

    before = made()
    assert made() == before
    (folder / "README.md").write_text("It says nothing about the weights.")
    assert made() == before
    loaded = vlm.load(folder)
    with torch.no_grad():
        loaded.model.get_parameter("model.language_model.layers.1.self_attn.v_proj.weight").mul_(2)
    vlm.save(loaded.model, loaded.processor, folder)
    after = made()
    assert all(one != other for one, other in zip(before, after, strict=True))
    (folder / "model.safetensors").write_bytes(b"x" * 200_000)
    with pytest.raises(UserError, match=r"model.safetensors: can't be read"):
        made()


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_sft_goes_on_after_a_stop(trained: Run, rows: Path, tmp_path: Path, step: int) -> None:
    job = sft.job([rows], preset(), tmp_path)
    with pytest.raises(KilledError):
        fitting.fit(job, killed_after(step))
    assert not job.run.finished
    assert fitting.fit(job).steps == 6 - (step - 1) // 2 * 2
    assert job.run.record["starts"] == 2
    assert same(job.run, trained)


def test_the_newest_two_checkpoints_are_kept(
    rows: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Steps of a tiny model take less than a second, which makes the trainer's own way warn."""
    job = sft.job([rows], preset("sft.save_every=1"), tmp_path)
    transformers.utils.logging.enable_propagation()
    try:
        with pytest.raises(KilledError):
            fitting.fit(job, killed_after(6))
    finally:
        transformers.utils.logging.disable_propagation()
    kept = sorted(path.name for path in job.run.checkpoints.glob("checkpoint-*"))
    assert kept == ["checkpoint-4", "checkpoint-5"]
    assert "mtime" not in caplog.text


def test_grpo_goes_on_after_a_stop(trained: Run, rows: Path, tmp_path: Path) -> None:
    whole = grpo.job([rows], preset(), tmp_path / "whole", start=trained.folder)
    fitting.fit(whole)
    assert len(metrics(whole.run)) == 4
    assert {*metrics(whole.run)[0]} >= {"reward", "rewards", "length", "clipped", "zero_variance"}
    job = grpo.job([rows], preset(), tmp_path / "stopped", start=trained.folder)
    with pytest.raises(KilledError):
        fitting.fit(job, killed_after(3))
    assert len(metrics(job.run)) == 3
    fitting.fit(job)
    assert same(job.run, whole.run)


def test_a_kill_while_a_checkpoint_is_written(trained: Run, rows: Path, tmp_path: Path) -> None:
    """A half-written checkpoint and a half-written line are forgotten."""
    job = sft.job([rows], preset(), tmp_path)
    with pytest.raises(KilledError):
        fitting.fit(job, killed_after(5))
    newest = job.run.checkpoint()
    assert newest
    assert newest.name == "checkpoint-4"
    (newest / "complete").unlink()
    (newest / "model.safetensors").write_bytes(b"half")
    with job.run.metrics.open("a") as file:
        file.write('{"step": 6, "lo')
    assert fitting.fit(job).steps == 4
    assert same(job.run, trained)


def command(rows: Path, out: Path, *more: str) -> list[str]:
    sets = [word for one in SMALL for word in ("--set", one)]
    told = ["train", "sft", str(rows), "--preset", "tiny-cpu", "--out", str(out)]
    return [sys.executable, "-m", "egost", *told, *sets, *more]


def test_a_real_kill(trained: Run, rows: Path, tmp_path: Path) -> None:
    """SIGKILL at a random moment; the same command goes on and ends the same."""
    out, many = tmp_path / "out", ["--set", "sft.steps=400", "--set", "sft.save_every=1"]
    process = subprocess.Popen(command(rows, out, *many))
    try:
        deadline = time.monotonic() + 300
        while not (found := [*out.glob("sft-*/checkpoints/checkpoint-3")]):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    run = Run(found[0].parents[1])
    assert not run.finished
    kept = metrics(run)
    assert 3 <= len(kept) < 400
    job = sft.job([rows], preset("sft.steps=400", "sft.save_every=1"), out)
    assert job.run == run
    with pytest.raises(KilledError):
        fitting.fit(job, killed_after(len(kept) + 2))
    again = metrics(run)
    assert [one["step"] for one in again] == list(range(1, len(kept) + 3))
    assert [one["rows"] for one in again[: len(kept)]] == [one["rows"] for one in kept]
    assert [one["loss"] for one in again[: len(kept)]] == [one["loss"] for one in kept]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_says_where_it_goes_on(
    rows: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    told = command(rows, tmp_path, "--set", "sft.steps=4000", "--set", "sft.save_every=5")
    with subprocess.Popen(told, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while not (found := [*tmp_path.glob("sft-*/checkpoints/checkpoint-5/complete")]):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(stop)
        _, errors = process.communicate(timeout=120)
    run = Run(found[0].parents[2])
    assert process.returncode == 130
    newest = run.checkpoint()
    assert newest
    assert errors.splitlines()[-1] == (
        f"train sft: interrupted at step {run.record['steps']} of 4000; "
        f"the same command goes on from step {newest.name.removeprefix('checkpoint-')}"
    )
    assert "Traceback" not in errors


def test_a_run_without_a_checkpoint_starts_again(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.interrupted("sft").endswith("before the first step; run the same command again")
    run.write(steps=1, of_steps=6)
    assert run.interrupted("sft").endswith("at step 1 of 6; the same command starts again")


def test_two_at_once(trained: Run, rows: Path, tmp_path: Path) -> None:
    job = sft.job([rows], preset(), tmp_path)
    with job.run.locked("egost train sft"), pytest.raises(UserError, match="another egost command"):
        fitting.fit(job)


def test_several_processes_train_as_one(trained: Run, rows: Path, tmp_path: Path) -> None:
    """Two processes with half a step's rows each see the rows of one, and write once."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    python, *rest = command(rows, tmp_path, "--set", "sft.batch=2")
    done = subprocess.run(
        [python, *launcher, *rest], capture_output=True, text=True, check=False, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("train sft: 6 steps in") == 1
    job = sft.job([rows], preset("sft.batch=2"), tmp_path)
    assert job.run.finished
    one, two = metrics(trained), metrics(job.run)
    assert [sorted(step["rows"]) for step in one] == [sorted(step["rows"]) for step in two]
    assert two[-1]["loss"] == pytest.approx(one[-1]["loss"], rel=0.05)


def test_an_adapter_is_merged(rows: Path, tmp_path: Path) -> None:
    """What is trained is the adapter of the language model alone; what is saved is a whole model."""
    job = sft.job([rows], preset("sft.lora_rank=4", "sft.learning_rate=1e-2"), tmp_path)
    fitting.fit(job)
    assert 0 < job.run.record["trained_parameters"] < 20_000
    before, after = (vlm.load(one).model.state_dict() for one in (job.model, job.run.model))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("language_model" in name and "_proj" in name for name in changed)


def test_a_frozen_tower_is_not_trained_through(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an adapter and recomputed activations, no gradient goes back to the patches: it would change nothing."""
    towers = []

    def watched(*given: Any, **named: Any) -> vlm.Loaded:
        loaded = load(*given, **named)
        tower = loaded.model.model.visual
        tower.register_forward_hook(
            lambda module, images, output: towers.append(output.pooler_output.requires_grad)
        )
        return loaded

    load = vlm.load
    monkeypatch.setattr(vlm, "load", watched)
    small = ["lora_rank=4", "checkpointing=true", "steps=2"]
    first = sft.job([rows], preset(*(f"sft.{one}" for one in small)), tmp_path)
    fitting.fit(first)
    fitting.fit(grpo.job([rows], preset(*(f"grpo.{one}" for one in small)), tmp_path))
    assert len(towers) > 4
    assert not any(towers)
    assert all(step["grad_norm"] > 0 for step in metrics(first.run))


def test_training_without_images(trained: Run, rows: Path, tmp_path: Path) -> None:
    job = sft.job([rows], preset(), tmp_path, blind=True)
    fitting.fit(job)
    assert job.run.record["blind"]
    with pytest.raises(UserError, match="trained blindly"):
        grpo.job([rows], preset(), tmp_path, start=job.run.folder)
    fitting.fit(grpo.job([rows], preset(), tmp_path, start=job.run.folder, blind=True))
    with pytest.raises(UserError, match="not trained blindly"):
        grpo.job([rows], preset(), tmp_path, start=trained.folder, blind=True)


def test_no_processor_is_noticed(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that would be saved with its tokenizer alone isn't called finished."""

    def tokenizer_alone(model: Any, processor: Any, folder: Path) -> None:
        model.save_pretrained(folder)
        processor.tokenizer.save_pretrained(folder)

    job = sft.job([rows], preset("sft.steps=1"), tmp_path)
    monkeypatch.setattr(vlm, "save", tokenizer_alone)
    with pytest.raises(GuardError, match="takes no images"):
        fitting.fit(job)
    assert not job.run.finished


def test_right_padding_stops_a_run(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vlm.processor

    def on_the_right(name: str | Path) -> Any:
        found = whole(name)
        found.tokenizer.padding_side = "right"
        return found

    job = grpo.job([rows], preset(), tmp_path)
    monkeypatch.setattr(vlm, "processor", on_the_right)
    with pytest.raises(GuardError, match="pads on the right"):
        fitting.fit(job)


def test_rollouts_without_pixels_stop_a_run(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL drops all images of a batch, without an error, when they don't fit their tokens."""
    job = grpo.job([rows], preset(), tmp_path)
    score = grpo.GRPOTrainer._generate_and_score_completions

    def without(self: Any, inputs: Any) -> Any:
        found = score(self, inputs)
        del found["pixel_values"]
        return found

    monkeypatch.setattr(grpo.GRPOTrainer, "_generate_and_score_completions", without)
    with pytest.raises(GuardError, match="would learn blindly"):
        fitting.fit(job)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sft.batch=3"], "can't be divided"),
        (["sft.nf4=true"], "can't be trained themselves"),
        (["grpo.rewards=['no']"], "there is no reward 'no'"),
        (["grpo.rewards=[]"], "names no reward"),
        (["grpo.reward_weights=[1.0, 2.0]"], "2 weights for 1 rewards"),
        (["model.name=tiny:gpt"], "there is no family"),
        (["model.name=/nowhere"], "can't be loaded"),
        (["sft.unknown=1"], "unknown setting"),
    ],
)
def test_settings_that_do_not_fit(
    rows: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    def whole() -> None:
        fitting.fit(sft.job([rows], preset(*overrides), tmp_path))

    with pytest.raises(UserError, match=message):
        whole()


def test_rows_that_are_not_there(rows: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="isn't there"):
        sft.job([tmp_path / "none"], preset(), tmp_path)
    moved = tmp_path / "moved"
    (moved / "trl").mkdir(parents=True)
    for name in ("sft_think", "grpo"):
        text = (rows / "trl" / f"{name}.jsonl").read_text()
        (moved / "trl" / f"{name}.jsonl").write_text(text.replace(str(rows), str(moved)))
    with pytest.raises(UserError, match="isn't there"):
        sft.job([moved], preset(), tmp_path)
    (moved / "trl" / "sft_think.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="line 1 is no row of training"):
        sft.job([moved], preset(), tmp_path)


def test_the_same_rows_elsewhere_are_the_same(rows: Path, tmp_path: Path) -> None:
    import shutil

    moved = tmp_path / "moved"
    shutil.copytree(rows, moved)
    for path in (moved / "trl").glob("*.jsonl"):
        path.write_text(path.read_text().replace(str(rows), str(moved)))
    digests = {examples.read([one], ["grpo"], most_frames=4).sha256 for one in (rows, moved)}
    assert len(digests) == 1


def test_rows_are_drawn_by_weight(rows: Path) -> None:
    found = examples.read([rows], ["sft_think"], most_frames=2)
    weights = [0.2, 5.0, *[1.0] * (len(found.rows) - 2)]
    weighted = [{**row, "weight": weight} for row, weight in zip(found.rows, weights, strict=True)]
    counts = [0.0] * len(weighted)
    for seed in range(200):
        drawn = examples.by_weight(examples.Examples(weighted, ""), seed).rows
        assert len(drawn) == len(weighted)
        for at, row in enumerate(weighted):
            counts[at] += sum(one["id"] == row["id"] for one in drawn) / 200
    mean = sum(weights) / len(weights)
    for count, weight in zip(counts, weights, strict=True):
        assert count == pytest.approx(weight / mean, abs=0.12)


def test_a_job_is_described(rows: Path, tmp_path: Path) -> None:
    job: Job = sft.job([rows], preset("sft.lora_rank=4"), tmp_path)
    text = "\n".join(jobs.described(job))
    assert "LoRA of rank 4" in text
    assert "memory of one GPU (computed)" in text
    assert "time of a step" not in text  # computed for bf16 alone
    assert not job.run.folder.exists()


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_dry_run_writes_nothing(
    rows: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], stage: str
) -> None:
    out = tmp_path / "runs"
    words = ["train", stage, str(rows), "--preset", "tiny-cpu", "--out", str(out), "--dry-run"]
    assert exit_code(cli, words) == 0
    told = capfd.readouterr().out
    assert "all weights of tiny:qwen2_5_vl" in told
    assert f"would go to {out}/{stage}-tiny-cpu-" in told
    assert not out.exists()


def test_a_run_names_the_releases_of_its_rows(rows: Path, trained: Run, tmp_path: Path) -> None:
    assert trained.record["rows"]["releases"] == [None]
    assert "The rows name no release." in (trained.folder / "README.md").read_text()
    (tmp_path / "rows.json").write_text('{"dataset": "walks", "version": "1.2.0"}')
    assert examples.release_of(tmp_path) == "walks 1.2.0"


def test_time_is_computed_as_well(rows: Path, tmp_path: Path) -> None:
    job: Job = grpo.job([rows], preset("model.dtype=bfloat16"), tmp_path)
    text = "\n".join(jobs.described(job))
    assert "time of a step (computed)" in text
    assert "generation" in text
