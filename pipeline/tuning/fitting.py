"""What SFT and GRPO share: loading, adapters, metrics of each step, checkpoints, going on after a kill, finishing."""

import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from peft import LoraConfig, PeftModel
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from pipeline.engine.lock import now
from pipeline.errors import UserError
from pipeline.tuning import guards, processes, runs, vlm
from pipeline.tuning.curves import draw
from pipeline.tuning.examples import release_of
from pipeline.tuning.explaining import Explained
from pipeline.tuning.installed import check_optional, hardware, versions
from pipeline.tuning.jobs import Job, Progress
from pipeline.tuning.presets import StageSettings
from pipeline.tuning.processes import state
from pipeline.tuning.runcard import NAME as CARD
from pipeline.tuning.runcard import write_card
from pipeline.tuning.runs import Run


@dataclass(frozen=True)
class Fitted:
    """A finished run, and what it took: `steps` of this start, of `of_steps` in all, in `seconds`."""

    run: Run
    steps: int

    @property
    def first_process(self) -> bool:
        """Whether this process speaks for all."""
        return bool(state().is_main_process)

    def __str__(self) -> str:
        record = self.run.record
        stage, of = record["stage"], record["of_steps"]
        if not self.steps:
            return f"train {stage}: all {of} steps were already made: {self.run.folder}"
        again = f", {record['starts']} starts" if record["starts"] > 1 else ""
        return f"train {stage}: {of} steps in {record['seconds']:.0f} s{again}: {self.run.model}"


def load(job: Job, checkpoint: Path | None = None) -> vlm.Loaded:
    """Load the model of a job on this process's device, ready to be trained, or to be trained further from a checkpoint.

    An adapter, and what DeepSpeed has split, is loaded from the checkpoint by the trainer.
    """
    of, settings = job.preset.model, job.settings
    if of.zero:
        _join_deepspeed()
    if of.threads:
        torch.set_num_threads(of.threads)
    device = f"cuda:{state().local_process_index}" if torch.cuda.is_available() else None
    loaded = vlm.load(
        job.model,
        dtype=_weights(job),
        # DeepSpeed's ZeRO-3 splits the weights as they are loaded.
        device=None if of.zero == 3 else device,
        nf4=settings.nf4,
        attention=of.attention,
        weights=None if settings.lora_rank or of.zero else checkpoint,
    )
    guards.check_padding(loaded.processor)
    loaded.model.config.use_cache = not settings.checkpointing
    if settings.lora_rank:
        _check_targets(loaded, job)
        # With an adapter and recomputed activations, TRL and transformers ask again and again for gradients of what the
        # model reads. Only the old way of recomputing needs them, and they cost a backward pass through the frozen tower.
        loaded.model.enable_input_require_grads = lambda: None
    return loaded


def _weights(job: Job) -> torch.dtype:
    """Return the type that weights are trained in.

    All weights are kept in float32, as DeepSpeed keeps them too: most updates are smaller than bfloat16 can tell from
    none, and training would do nothing. Computations are in the settings' type.
    """
    of = job.preset.model
    whole = not (job.settings.lora_rank or of.zero)
    return torch.float32 if whole else getattr(torch, of.dtype)


def _join_deepspeed() -> None:
    """Have DeepSpeed use the processes that are connected, without which it takes each for the only one."""
    import deepspeed

    if torch.distributed.is_initialized():
        deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)


def _check_targets(loaded: vlm.Loaded, job: Job) -> None:
    """Refuse a target without any layer: it would be left out without a word as long as another one has some."""
    named = [name for name, _ in loaded.model.named_modules()]
    for target in job.settings.lora_targets:
        if not any("language_model" in name and name.endswith(f".{target}") for name in named):
            where, what = f"{job.stage}.lora_targets", f"the model has no layers {target!r}"
            raise UserError(where, what, "use names such as q_proj and up_proj")


def lora(settings: StageSettings) -> LoraConfig | None:
    """Return the adapter that a stage trains: on the language model alone, never on the vision tower."""
    if not settings.lora_rank:
        return None
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=rf".*language_model.*\.({'|'.join(settings.lora_targets)})",
        task_type="CAUSAL_LM",
    )


def arguments(job: Job, per_step: int, total_rows: int) -> dict[str, Any]:
    """Return the arguments that both of TRL's trainers take; `per_step` counts what `batch` counts.

    Raise UserError if a step's rows can't be divided among GPUs and batches.
    """
    settings, of = job.settings, job.preset.model
    world = state().num_processes
    if per_step % (settings.batch * world):
        what = f"{per_step} for a step can't be divided into batches of {settings.batch} on {world} processes"
        raise UserError(f"{job.stage}.batch", what, "choose numbers that divide")
    steps = settings.steps or max(1, round(settings.epochs * total_rows / per_step))
    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(job.run.checkpoints),
        "max_steps": steps,
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": per_step // (settings.batch * world),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": round(settings.warmup * steps),
        "max_grad_norm": settings.most_gradient,
        "bf16": of.dtype == "bfloat16",
        "gradient_checkpointing": settings.checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False}
        if settings.checkpointing
        else None,
        "logging_steps": 1,
        "logging_strategy": "steps",
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "steps",
        "save_steps": settings.save_every,
        "seed": settings.seed,
        "data_seed": settings.seed,
        "use_cpu": not gpu,
        "remove_unused_columns": False,
        "dataloader_drop_last": total_rows >= per_step,
        "dataloader_pin_memory": gpu,
        "ddp_find_unused_parameters": False,
        "deepspeed": _zero(of.zero) if of.zero else None,
    }


def _zero(stage: int) -> dict[str, Any]:
    """Return DeepSpeed's settings; "auto" takes those of the trainer."""
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": True, "contiguous_gradients": True}
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": "auto"},
        "gradient_clipping": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
    }


class LoadsWeights(Trainer):
    """A trainer whose model already has the weights of the checkpoint that it goes on from.

    transformers 5.23 saves these families' weights under other names than those by which a trainer loads them: it would
    go on with the weights of the start, and warn alone. Adapters are saved under their own names.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_peft:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    @property
    def is_peft(self) -> bool:
        """Whether an adapter is trained."""
        return isinstance(self.model, PeftModel)


class Recorder(TrainerCallback):
    """Writes each step's metrics to the run, and marks whole checkpoints.

    `seen` returns the ids of the rows of the step; `named` turns what TRL logs into the run's metrics.
    """

    def __init__(
        self,
        run: Run,
        seen: Callable[[], Sequence[str]],
        named: Callable[[Mapping[str, float]], Mapping[str, Any]],
        progress: Progress,
    ) -> None:
        self._run, self._seen, self._named, self._progress = run, seen, named, progress
        self._began = time.monotonic()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the step's clock."""
        self._began = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the metrics of a step; the summary at the end isn't one."""
        if not (state.is_world_process_zero and logs and "loss" in logs):
            return
        seconds = time.monotonic() - self._began
        common = {
            "step": state.global_step,
            "epoch": logs.get("epoch"),
            "seconds": round(seconds, 3),
        }
        for name in ("loss", "learning_rate", "grad_norm"):
            common[name] = logs.get(name)
        common["tokens"] = logs.get("num_tokens")
        self._run.add({**common, **self._named(logs), "rows": list(self._seen())})
        was = self._run.record
        self._run.write(steps=state.global_step, seconds=round(was["seconds"] + seconds, 3))
        self._progress(state.global_step, state.max_steps)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Mark the checkpoint as whole: everything in it is written, by every process."""
        processes.state().wait_for_everyone()
        if state.is_world_process_zero:
            runs.complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            # Not by the trainer, which does so before the new one is whole, and by the files' times: on checkpoints
            # of one second, it warns that the disk's times can't be relied on.
            self._run.drop_old()


def fit(job: Job, progress: Progress = lambda done, total: None) -> Fitted:
    """Train, from the newest checkpoint if there is one, and write the finished model.

    Killed at any moment, a rerun ends with the same steps on the same rows; a finished run is left as it is. With
    several processes, the first one holds the run's lock and writes. Raise UserError if another command has the run, if
    the disk is full or an image can't be decoded, and GuardError where training would silently be worthless.
    """
    run, first = job.run, state().is_main_process
    check_optional(job.stage, job.preset)
    _quiet()
    lock = run.locked(f"egost train {job.stage}") if first else nullcontext()
    with lock, Explained(run.folder, job.examples.rows):
        if not run.finished:
            return _fit(job, progress)
        if first:
            _tidy(run)
        return Fitted(run, 0)


def _fit(job: Job, progress: Progress) -> Fitted:
    run, process = job.run, state()
    if process.is_main_process:
        run.drop_broken()
    process.wait_for_everyone()
    checkpoint = run.checkpoint()
    done = runs.step_of(checkpoint) if checkpoint else 0
    loaded = load(job, checkpoint)
    trainer = job.trainer(job, loaded, progress)
    trainer.remove_callback(PrinterCallback)
    if process.is_main_process:
        run.rewind(done)
        runs.start(run, _about(job, loaded, trainer))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    made, wanted = trainer.state.global_step, trainer.args.max_steps
    if made < wanted:
        what = f"ended after {made} of {wanted} steps: the trainer got no rows"
        raise guards.GuardError(str(run.folder), what, "use smaller batches, or more rows")
    _finish(job, trainer, loaded)
    return Fitted(run, trainer.state.global_step - done)


def _quiet() -> None:
    """Leave the terminal to our own progress bar, and out of it what a user can't change."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    # TRL still uses the old name.
    for old in ("gradient_checkpointing", "is_gradient_checkpointing"):
        warnings.filterwarnings("ignore", f"`{old}` is deprecated", FutureWarning)


def _about(job: Job, loaded: vlm.Loaded, trainer: Trainer) -> dict[str, Any]:
    parameters = list(trainer.model.parameters())
    return {
        "stage": job.stage,
        "preset": job.preset.name,
        "settings": job.preset.as_json(job.stage),
        "rows": {
            "folders": [str(one) for one in job.rows],
            "sha256": job.examples.sha256,
            "count": len(job.examples.rows),
            "releases": [release_of(one) for one in job.rows],
        },
        "model": job.model,
        "origin": dict(job.origin),
        "family": loaded.family,
        "blind": job.blind,
        "seed": job.settings.seed,
        "versions": versions(),
        "hardware": hardware(),
        "of_steps": trainer.args.max_steps,
        "price_per_hour": job.preset.model.price_per_hour,
        "parameters": sum(one.numel() for one in parameters),
        "trained_parameters": sum(one.numel() for one in parameters if one.requires_grad),
    }


def _finish(job: Job, trainer: Trainer, loaded: vlm.Loaded) -> None:
    """Write the model, load its processor again, and note that the run is finished."""
    run, first = job.run, state().is_main_process
    peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None
    making = run.making
    trained: PreTrainedModel = trainer.accelerator.unwrap_model(trainer.model)
    dtype = getattr(torch, job.preset.model.dtype)
    adapter = run.folder / "adapter" if job.settings.lora_rank else None
    if job.preset.model.zero == 3:
        trainer.save_model(str(adapter or making))  # gathers the weights from all GPUs
        unset_hf_deepspeed_config()  # what is loaded from here on is loaded by one process, whole
        if first and not adapter:
            vlm.save_processor(loaded.processor, making)
    elif first and adapter:
        trained.save_pretrained(adapter)
        trainer.model = None
        loaded.model.to("cpu")
    elif first:
        vlm.save(trained.to(dtype), loaded.processor, making)
    if first and adapter:
        vlm.merge(job.model, adapter, loaded.processor, making, dtype)
    if first:
        guards.check_saved(making)
        shutil.rmtree(run.model, ignore_errors=True)
        making.rename(run.model)
        run.write(finished=now(), peak_gib=None if peak is None else round(peak, 2))
        _tidy(run)
    state().wait_for_everyone()


def _tidy(run: Run) -> None:
    """Draw a finished run's curves, write its card and delete its checkpoints, unless that is done already."""
    if not (run.folder / CARD).is_file():
        draw(run.folder)
        write_card(run.folder)
    shutil.rmtree(run.checkpoints, ignore_errors=True)
