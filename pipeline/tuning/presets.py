"""The settings of training: `presets/NAME.toml`, which says why each value is what it is, under `--set`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pipeline.assets import asset
from pipeline.engine.config import Config
from pipeline.engine.settings import Settings
from pipeline.errors import UserError
from pipeline.training.rewards import SCHEMES

TINY = "tiny:"  # a model made on the fly, such as tiny:qwen2_5_vl
_FOLDER = "presets"


class ModelSettings(Settings):
    """Which model is trained, and on what kind of machine."""

    name: str = Field(description="model: a folder, a name that transformers knows, or tiny:FAMILY")
    dtype: Literal["bfloat16", "float32"] = Field("bfloat16", description="type of the weights")
    attention: str = Field(
        "sdpa", description="attention implementation, such as sdpa or flash_attention_2"
    )
    threads: int = Field(
        0, ge=0, exclude=True, description="threads of torch on a CPU; 0 = torch's default"
    )
    most_frames: int = Field(96, ge=1, le=96, description="most frames of a row, evenly taken")
    zero: Literal[0, 2, 3] = Field(
        0, description="DeepSpeed's ZeRO stage on several GPUs; 0 = without DeepSpeed"
    )
    price_per_hour: float | None = Field(
        None, ge=0, exclude=True, description="US dollars per hour of one GPU, for the run card"
    )


class StageSettings(Settings):
    """What SFT and GRPO have in common."""

    steps: int = Field(0, ge=0, description="optimiser steps; 0 = as many as `epochs` need")
    epochs: float = Field(
        1.0, gt=0, description="times that each row is seen, unless `steps` is set"
    )
    learning_rate: float = Field(gt=0, description="largest learning rate")
    schedule: Literal["constant", "cosine", "linear", "constant_with_warmup"] = Field(
        "cosine", description="how the learning rate changes"
    )
    warmup: float = Field(
        0.0, ge=0, lt=1, description="share of the steps in which the learning rate rises"
    )
    batch: int = Field(
        1, ge=1, description="rows (SFT) or completions (GRPO) in memory at once, on each GPU"
    )
    most_gradient: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    checkpointing: bool = Field(True, description="recompute activations instead of keeping them")
    nf4: bool = Field(
        False, description="keep the base's weights in 4 bits (bitsandbytes); needs lora_rank"
    )
    lora_rank: int = Field(0, ge=0, description="rank of the adapter (LoRA); 0 = train all weights")
    lora_alpha: int = Field(16, ge=1, description="scale of the adapter")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the adapter")
    lora_targets: tuple[str, ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj"),
        description="layers of the language model that get an adapter; the vision tower gets none",
    )
    save_every: int = Field(50, ge=1, exclude=True, description="steps between checkpoints")
    seed: int = Field(0, ge=0, description="seed of the order of rows and of sampling")


class SftSettings(StageSettings):
    """Supervised fine-tuning on think texts and answers."""

    rows: Literal["think", "nothink", "both"] = Field(
        "think", description="replies with think texts, without, or both"
    )
    rows_per_step: int = Field(16, ge=1, description="rows of one optimiser step, over all GPUs")
    completion_only: bool = Field(True, description="learn the reply alone, not the prompt")
    weighted: bool = Field(True, description="see rows as often as their weights say")


class GrpoSettings(StageSettings):
    """Group-relative policy optimisation with rewards from verified facts."""

    rewards: tuple[str, ...] = Field(("paper",), description="rewards; see docs/training.md")
    reward_weights: tuple[float, ...] = Field((), description="their weights; none = 1 each")
    group: int = Field(8, ge=2, description="completions of each prompt")
    sample: int = Field(
        0,
        ge=0,
        description="completions sampled at once on each GPU; 0 = a group or a batch, whichever is larger",
    )
    prompts_per_step: int = Field(
        8, ge=1, description="prompts of one optimiser step, over all GPUs"
    )
    beta: float = Field(
        0.0, ge=0, description="weight of the divergence from the model it started from; 0 = none"
    )
    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = Field(
        "dr_grpo", description="how the loss is averaged"
    )
    scale: Literal["group", "batch", "none"] = Field(
        "none", description="what advantages are divided by the spread of"
    )
    temperature: float = Field(1.0, gt=0, description="sampling temperature")
    most_tokens: int = Field(
        1024, ge=8, description="longest completion; longer ones are cut and earn nothing"
    )
    iterations: int = Field(1, ge=1, description="optimiser steps on the same completions")
    vllm: bool = Field(
        False, description="sample with vLLM, on the same GPUs (vLLM must be installed)"
    )
    vllm_memory: float = Field(
        0.3, gt=0, lt=1, exclude=True, description="share of the GPU's memory for vLLM"
    )


@dataclass(frozen=True)
class Preset:
    """A preset with its settings."""

    name: str
    model: ModelSettings
    sft: SftSettings
    grpo: GrpoSettings

    def as_json(self, stage: str) -> dict[str, Any]:
        """Return all settings that a stage uses, for the run's record."""
        of: StageSettings = self.sft if stage == "sft" else self.grpo
        return {
            "model": self.model.model_dump(mode="json") | _excluded(self.model),
            stage: of.model_dump(mode="json") | _excluded(of),
        }

    def identity(self, stage: str) -> Mapping[str, Any]:
        """Return the settings on which the result depends, and not only how it is reached."""
        of: StageSettings = self.sft if stage == "sft" else self.grpo
        return {"model": self.model.model_dump(mode="json"), stage: of.model_dump(mode="json")}


def names() -> list[str]:
    """Return the names of all presets."""
    return sorted(path.stem for path in asset(_FOLDER).glob("*.toml"))


def load(name: str, overrides: Iterable[str] = ()) -> Preset:
    """Return a preset by its name or the path of a file of your own, with overrides such as `sft.steps=100`.

    Raise UserError for an unknown preset or setting, or settings that don't fit together.
    """
    path = Path(name) if name.endswith(".toml") else asset(_FOLDER) / f"{name}.toml"
    if not path.is_file():
        what = "there is no such preset"
        raise UserError(
            f"--preset {name}", what, f"use one of {', '.join(names())}, or a .toml file"
        )
    config = Config.load(
        path, {"model": ModelSettings, "sft": SftSettings, "grpo": GrpoSettings}, overrides
    )
    made = Preset(
        path.stem,
        config.settings("model", ModelSettings),
        config.settings("sft", SftSettings),
        config.settings("grpo", GrpoSettings),
    )
    _check(made)
    return made


def _excluded(of: Settings) -> dict[str, Any]:
    fields = type(of).model_fields
    return {name: getattr(of, name) for name, field in fields.items() if field.exclude}


def _check(preset: Preset) -> None:
    grpo = preset.grpo
    if unknown := [name for name in grpo.rewards if name not in SCHEMES]:
        fix = f"use some of {', '.join(SCHEMES)}"
        raise UserError("grpo.rewards", f"there is no reward {unknown[0]!r}", fix)
    if not grpo.rewards:
        raise UserError("grpo.rewards", "names no reward", "name at least paper")
    if grpo.reward_weights and len(grpo.reward_weights) != len(grpo.rewards):
        what = f"has {len(grpo.reward_weights)} weights for {len(grpo.rewards)} rewards"
        raise UserError("grpo.reward_weights", what, "give one for each reward, or none")
    for stage, of in (("sft", preset.sft), ("grpo", grpo)):
        if of.nf4 and not of.lora_rank:
            what = "weights in 4 bits can't be trained themselves"
            raise UserError(f"{stage}.nf4", what, f"set {stage}.lora_rank, or nf4 = false")
        if of.nf4 and preset.model.zero == 3:
            what = "weights in 4 bits can't be split over GPUs by ZeRO-3"
            raise UserError(f"{stage}.nf4", what, "set model.zero to 0 or 2, or nf4 = false")
