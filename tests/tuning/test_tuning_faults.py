"""What would silently train nothing, or something else than was asked for, is refused; and what is lost is made again."""

import hashlib
import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import UserError
from pipeline.tuning import examples, fitting, grpo, presets, runs, sft, vlm
from pipeline.tuning.guards import GuardError
from pipeline.tuning.runs import Run

SMALL = [
    "sft.steps=2", "sft.save_every=2", "sft.rows_per_step=4", "sft.batch=4",
    "grpo.steps=4", "grpo.save_every=2", "grpo.prompts_per_step=2", "grpo.group=4", "grpo.batch=8",
    "grpo.most_tokens=8", "grpo.learning_rate=1e-2", "model.most_frames=2",
]  # fmt: skip


def preset(*overrides: str) -> presets.Preset:
    return presets.load("tiny-cpu", [*SMALL, *overrides])


def metrics(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


class KilledError(Exception):
    """Stands for a kill, at the end of a step."""


def stop_after(step: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == step:
            raise KilledError

    return progress


@pytest.fixture
def rewarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that differs within each group, whatever a tiny model says."""

    def paper(completions: list[Any], **columns: Any) -> list[float]:
        return [hashlib.sha256(repr(one).encode()).digest()[0] / 255 for one in completions]

    monkeypatch.setattr(grpo, "IN_TRL", {"paper": paper})


def test_the_reference_is_the_start_also_after_a_kill(
    rows: Path, tmp_path: Path, rewarded: None
) -> None:
    """The reference model isn't the checkpoint from which a run goes on."""
    chosen = preset("grpo.beta=0.1")
    whole, stopped = (grpo.job([rows], chosen, tmp_path / name) for name in ("whole", "stopped"))
    fitting.fit(whole)
    with pytest.raises(KilledError):
        fitting.fit(stopped, stop_after(3))
    fitting.fit(stopped)
    one, other = ([step["kl"] for step in metrics(job.run)] for job in (whole, stopped))
    assert one[2] > 0
    assert one == other


def test_several_steps_on_the_same_completions(rows: Path, tmp_path: Path, rewarded: None) -> None:
    """Their rows are noted for each step, each row is seen, and a kill between them changes nothing."""
    chosen = preset("grpo.iterations=2", "grpo.steps=0", "grpo.save_every=3")
    whole, stopped = (grpo.job([rows], chosen, tmp_path / name) for name in ("whole", "stopped"))
    fitting.fit(whole)
    seen = [step["rows"] for step in metrics(whole.run)]
    assert len(seen) == len(whole.examples.rows)  # 2 prompts for a step, each twice
    assert seen[::2] == seen[1::2]
    assert {one for step in seen for one in step} == {row["id"] for row in whole.examples.rows}
    with pytest.raises(KilledError):
        fitting.fit(stopped, stop_after(6))
    newest = stopped.run.checkpoint()
    assert newest
    assert newest.name == "checkpoint-4"
    fitting.fit(stopped)
    assert [step["loss"] for step in metrics(stopped.run)] == [
        step["loss"] for step in metrics(whole.run)
    ]


def test_too_few_prompts_are_refused(rows: Path, tmp_path: Path) -> None:
    job = grpo.job([rows], preset("grpo.prompts_per_step=20", "grpo.sample=80"), tmp_path)
    with pytest.raises(UserError, match="20 prompts are to be answered at once, and there are"):
        fitting.fit(job)


def test_training_that_ends_early_is_not_finished(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers only warns where its loader gives no batches."""
    monkeypatch.setattr(sft.SFTTrainer, "train", lambda self, **named: None)
    job = sft.job([rows], preset(), tmp_path)
    with pytest.raises(GuardError, match="ended after 0 of 2 steps"):
        fitting.fit(job)
    assert not job.run.finished


def test_all_weights_are_trained_in_float32(rows: Path, tmp_path: Path) -> None:
    """An update smaller than a 256th of a weight would be lost in bfloat16; what is saved is in the settings' type."""
    job = sft.job([rows], preset("model.dtype=bfloat16", "sft.learning_rate=1e-6"), tmp_path)
    loaded = fitting.load(job)
    assert {one.dtype for one in loaded.model.parameters()} == {torch.float32}
    trainer = job.trainer(job, loaded, lambda done, total: None)
    job.run.folder.mkdir(exist_ok=True)
    runs.start(job.run, {})
    before = {name: one.clone() for name, one in loaded.model.named_parameters()}
    trainer.train()
    moved = [(one != before[name]).float().mean() for name, one in loaded.model.named_parameters()]
    assert float(torch.stack(moved).mean()) > 0.5
    fitting.fit(job)
    assert vlm.load(job.run.model).model.dtype == torch.bfloat16


def test_a_target_without_layers_is_refused(rows: Path, tmp_path: Path) -> None:
    chosen = preset("sft.lora_rank=2", "sft.lora_targets=['q_proj', 'proj', 'qproj']")
    with pytest.raises(UserError, match="the model has no layers 'proj'"):
        fitting.fit(sft.job([rows], chosen, tmp_path))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grpo.vllm=true", "grpo.vllm: needs vllm"),
        ("model.zero=3", "model.zero: needs deepspeed"),
        ("model.attention=flash_attention_2", "can't be loaded: FlashAttention2"),
        ("model.attention=none", "can't be loaded"),
    ],
)
def test_what_is_not_installed_is_named(
    rows: Path, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        fitting.fit(grpo.job([rows], preset(override), tmp_path))


def test_a_damaged_model_is_named(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(UserError, match="can't be loaded"):
        vlm.load(folder)
    weights.unlink()
    with pytest.raises(UserError, match="can't be loaded"):
        vlm.load(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("processor_config.json", None, "image processor"),
        ("processor_config.json", '{"image_processor": 3}', "can't be loaded"),
        ("tokenizer.json", "x", "can't be loaded: Expecting value"),
        ("tokenizer.json", "{}", "can't be loaded: 'added_tokens'"),
        ("tokenizer_config.json", "[]", "can't be loaded"),
        ("tokenizer.json", None, "another token for images, or none"),
        ("chat_template.jinja", None, "has no chat template"),
        ("adapter_config.json", "{", "doesn't tell which model the adapter is for"),
        ("adapter_config.json", "{}", "doesn't tell which model the adapter is for"),
    ],
)
def test_a_damaged_processor_is_named(
    tiny_folders: dict[str, Path], tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    """Without its tokenizer's files, transformers 5.23 makes one without words, and says nothing."""
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_folders["qwen2_5_vl"], folder)
    for one in folder.glob("tokenizer*" if name.startswith("tokenizer") and not text else name):
        one.unlink()
    if text:
        (folder / name).write_text(text)
    if name.startswith("chat"):  # it is in the tokenizer's settings as well
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        settings.pop("chat_template", None)
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=message):
        vlm.load(folder)


def test_a_damaged_adapter_is_named(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    about = {"base_model_name_or_path": str(tiny_folders["qwen2_5_vl"]), "peft_type": "LORA"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=f"{tmp_path.name}: can't be loaded"):
        vlm.load(tmp_path)


def test_a_model_that_is_gone_is_trained_again(rows: Path, tmp_path: Path) -> None:
    job = sft.job([rows], preset(), tmp_path)
    fitting.fit(job)
    before = metrics(job.run)
    shutil.rmtree(job.run.model)
    with pytest.raises(UserError, match="isn't there any more"):
        runs.started_from(job.run.folder)
    assert fitting.fit(job).steps == 2
    assert job.run.record["starts"] == 1
    assert [step["loss"] for step in metrics(job.run)] == [step["loss"] for step in before]
    runs.started_from(job.run.folder)


def changed(rows: Path, to: Path, **fields: Any) -> Path:
    """Return a folder whose second row has these fields; those that are None it lacks."""
    lines = (rows / "trl" / "sft_think.jsonl").read_text().splitlines()
    row = {**json.loads(lines[1]), **fields}
    lines[1] = json.dumps({name: value for name, value in row.items() if value is not None})
    (to / "trl").mkdir(parents=True)
    (to / "trl" / "sft_think.jsonl").write_text("\n".join(lines) + "\n")
    return to


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"completion": None}, "'completion'"),
        ({"completion": []}, "list index out of range"),
        ({"weight": float("nan")}, "its weight is nan"),
        ({"weight": -1.0}, "its weight is -1"),
        ({"weight": None}, "'weight'"),
        ({"images": []}, "it has 0 images for 4 places"),
    ],
)
def test_a_row_that_cannot_be_learned_from(
    rows: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=f"line 2 is no row of training: {message}"):
        sft.job([changed(rows, tmp_path / "rows", **fields)], preset(), tmp_path)


def with_image(rows: Path, to: Path, data: bytes) -> tuple[Path, str]:
    """Return a copy of the rows in which a frame of the second row is these bytes, and its file."""
    shutil.copytree(rows, to)
    for path in (to / "trl").glob("*.jsonl"):
        path.write_text(path.read_text().replace(str(rows), str(to)))
    second = json.loads((to / "trl" / "sft_think.jsonl").read_text().splitlines()[1])
    Path(second["images"][0]).write_bytes(data)
    return to, second["images"][0]


@pytest.mark.parametrize("kept", [0, 3, 200, -1])
def test_a_cut_image_is_named_before_training(rows: Path, tmp_path: Path, kept: int) -> None:
    data = next((rows / "media").glob("*.jpg")).read_bytes()
    broken, name = with_image(rows, tmp_path / "rows", data[:kept])
    with pytest.raises(UserError, match=rf"{name}: can't be decoded, and row i_\w+ has it"):
        sft.job([broken], preset(), tmp_path)
    assert examples.read([broken], ["grpo"], most_frames=2, blind=True).rows


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_an_image_damaged_inside_is_named_when_it_is_read(
    rows: Path, tmp_path: Path, stage: str
) -> None:
    """It begins and ends as it should."""
    data = next((rows / "media").glob("*.jpg")).read_bytes()
    broken, name = with_image(rows, tmp_path / "rows", data[:20] + bytes(600) + data[-2:])
    make = {"sft": sft.job, "grpo": grpo.job}[stage]
    job = make([broken], preset("sft.weighted=false", f"{stage}.steps=8"), tmp_path)
    with pytest.raises(UserError, match=f"{name}: can't be decoded, and row"):
        fitting.fit(job)


def test_a_full_disk_is_named_and_the_last_checkpoint_stays(rows: Path, tmp_path: Path) -> None:
    """Every writer has errors of its own; the limit on files stands for the disk."""
    chosen = preset("sft.steps=4")
    whole = sft.job([rows], chosen, tmp_path / "whole")
    fitting.fit(whole)
    job = sft.job([rows], chosen, tmp_path / "full")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = iter((3_000_000, 2_000_000))  # less than the optimiser's states, less than the weights

    def limit(done: int, total: int) -> None:
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (next(limits), before[1]))

    for _ in range(2):
        try:
            with pytest.raises(UserError, match="can't be written: the disk is full"):
                fitting.fit(job, limit)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        newest = job.run.checkpoint()
        assert newest
        assert newest.name == "checkpoint-2"
    (job.run.making).mkdir()
    fitting.fit(job)
    assert not job.run.making.exists()
    assert [one["loss"] for one in metrics(job.run)] == [one["loss"] for one in metrics(whole.run)]


def test_a_full_disk_leaves_no_half_of_a_tiny_model(rows: Path, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UserError, match="can't be written: the disk is full"):
            sft.job([rows], preset(), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [*tmp_path.iterdir()] == []


def test_weights_of_nothing(rows: Path) -> None:
    found = examples.read([rows], ["sft_think"], most_frames=2)
    none = [{**row, "weight": 0.0} for row in found.rows]
    with pytest.raises(UserError, match="all rows have the weight 0"):
        examples.by_weight(examples.Examples(none, ""), 0)
