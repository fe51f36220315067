"""Group-relative policy optimisation with rewards from verified facts, a thin layer over TRL's GRPOTrainer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from trl import GRPOConfig, GRPOTrainer

from pipeline.errors import UserError
from pipeline.training.signatures import IN_TRL
from pipeline.tuning import examples, fitting, guards, jobs, runs, vlm
from pipeline.tuning.fitting import LoadsWeights
from pipeline.tuning.jobs import Job, Progress
from pipeline.tuning.presets import GrpoSettings, Preset
from pipeline.tuning.processes import state


def job(
    rows: Sequence[Path],
    preset: Preset,
    out: Path,
    *,
    start: Path | None = None,
    blind: bool = False,
    models: Path | None = None,
) -> Job:
    """Return what is to be trained: from the run `start` (by SFT), or from the preset's model.

    A tiny model is made in `models` (default: `out`).
    Raise UserError if the rows or the model aren't there.
    """
    settings = preset.grpo
    found = examples.read(rows, ("grpo",), most_frames=preset.model.most_frames, blind=blind)
    if start:
        run = runs.started_from(start)
        if run.record["blind"] != blind:
            what = f"was {'' if run.record['blind'] else 'not '}trained blindly"
            raise UserError(str(start), what, "give --blind to both stages, or to none")
        model = str(run.model)
        origin: Mapping[str, Any] = {"run": run.folder.name}
    else:
        model = jobs.base(preset.model, models or out, found, settings.seed)
        origin = jobs.origin(preset.model)
    return Job("grpo", preset, rows, found, model, origin, out, _trainer, blind)


class _Trainer(LoadsWeights, GRPOTrainer):
    """Checks each batch of completions, and notes which rows a step has seen."""

    def __init__(self, *given: Any, blind: bool, **named: Any) -> None:
        self._blind, self._seen, self._last = blind, list[str](), list[str]()
        super().__init__(*given, **named)

    def _generate_and_score_completions(self, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Sample completions and score them; each prompt is there once for each completion of its group."""
        self._seen += list(dict.fromkeys(gather_object([row["id"] for row in inputs])))
        found: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if not self._blind:
            images = [len(row["images"]) for row in inputs]
            guards.check_pixels(found, sum(images))
            guards.check_alignment(found, images, self.processing_class, "prompt_ids")
        return found

    def seen(self) -> list[str]:
        """Return the ids of the rows since the last call; of the same rows, if no new ones were needed."""
        self._last, self._seen = self._seen or self._last, []
        return self._last


def _trainer(of: Job, loaded: vlm.Loaded, progress: Progress) -> GRPOTrainer:
    guards.check_template(loaded.processor)
    settings, rows = of.preset.grpo, of.examples.rows
    options = _options(settings, state().num_processes, len(rows))
    given = fitting.arguments(
        of,
        settings.prompts_per_step * settings.group,
        len(rows) * settings.group * settings.iterations,
    )
    # A run that goes on samples anew: only where it would have done so anyway does it go on the same.
    given["save_steps"] = -(-settings.save_every // settings.iterations) * settings.iterations
    trainer = _Trainer(
        blind=of.blind,
        model=loaded.model,
        reward_funcs=[IN_TRL[name] for name in settings.rewards],
        args=GRPOConfig(**given, **options),
        train_dataset=of.examples.dataset(),
        processing_class=loaded.processor,
        peft_config=fitting.lora(settings),
    )
    trainer.add_callback(fitting.Recorder(of.run, trainer.seen, _named(settings.rewards), progress))
    if not of.blind:
        guards.check_sees(trainer.model, _one(of, loaded, trainer))
    return trainer


def _options(settings: GrpoSettings, processes: int, rows: int) -> dict[str, Any]:
    """Return the arguments of GRPOTrainer alone; `rows` are all prompts that there are.

    TRL would sample all completions of a step at once, whose prompts alone don't fit beside a 7B model. With several
    steps on the same completions, it has to: they are kept until the last.
    """
    step = settings.prompts_per_step * settings.group // processes
    sample = settings.sample or max(settings.group, settings.batch)
    at_once = step if settings.iterations > 1 else min(sample, step)
    if at_once % settings.batch or at_once * processes % settings.group:
        what = f"{at_once} completions can't be divided into batches of {settings.batch} and groups of {settings.group}"
        raise UserError("grpo.sample", what, "choose numbers that divide")
    if (prompts := at_once * processes // settings.group) > rows:
        what = f"{prompts} prompts are to be answered at once, and there are {rows}"
        fix = "make more rows, or set grpo.sample, grpo.batch or grpo.prompts_per_step lower"
        raise UserError("grpo.sample", what, fix)
    vllm = {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": settings.vllm_memory,
    }
    return {
        "num_generations": settings.group,
        "steps_per_generation": at_once // settings.batch,
        "max_completion_length": settings.most_tokens,
        "temperature": settings.temperature,
        "beta": settings.beta,
        "loss_type": settings.loss,
        "scale_rewards": settings.scale,
        "num_iterations": settings.iterations,
        "reward_weights": list(settings.reward_weights) or None,
        **(vllm if settings.vllm else {}),
    }


def _one(of: Job, loaded: vlm.Loaded, trainer: GRPOTrainer) -> dict[str, Any]:
    """Return the first row's prompt as the model takes it."""
    row = of.examples.dataset()[0]
    asked = loaded.processor.apply_chat_template(
        [{**turn, "content": [dict(part) for part in turn["content"]]} for turn in row["prompt"]],
        add_generation_prompt=True,
        tokenize=False,
    )
    batch = loaded.processor(text=[asked], images=row["images"], return_tensors="pt")
    return {name: one.to(trainer.model.device) for name, one in batch.items()}


def _named(rewards: Sequence[str]) -> Any:
    def named(logs: Mapping[str, float]) -> dict[str, Any]:
        return {
            "reward": logs.get("reward"),
            "reward_std": logs.get("reward_std"),
            "rewards": {name: logs.get(f"rewards/{name}/mean") for name in rewards},
            "length": logs.get("completions/mean_length"),
            "clipped": logs.get("completions/clipped_ratio"),
            "zero_variance": logs.get("frac_reward_zero_std"),
            "kl": logs.get("kl"),
            "ratio_clipped": logs.get("clip_ratio/region_mean"),
        }

    return named
