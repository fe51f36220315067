"""What a training run does on one GPU: the figures that its memory and time are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from pipeline.errors import UserError
from pipeline.tuning.parameters import ATTENTION, LINEAR, Shape

BYTES = {"bf16": 2, "fp32": 4}


@dataclass(frozen=True)
class Plan:
    """What a run does on one GPU.

    `rows` sequences go through the model at once (in GRPO, completions), each with `frames` frames of `frame_pixels` pixels (as
    the processor scales them), `prompt_tokens` tokens of text and `completion_tokens` of the reply. `generated` completions are generated at once (0: none, or
    another program does it). `lora_rank` 0 trains all weights. `zero3` shards weights, gradients and states over `gpus`.
    `reference` keeps a second model for the KL term; with LoRA the base is that model. `logits`: "fused" as TRL 1.16 does it, or
    whole, of the completion alone or of all tokens.
    """

    frames: int
    frame_pixels: int
    prompt_tokens: int
    completion_tokens: int
    rows: int = 1
    weights: Literal["nf4", "bf16", "fp32"] = "bf16"
    compute: Literal["bf16", "fp32"] = "bf16"
    lora_rank: int = 0
    lora_targets: Sequence[str] = LINEAR
    lora_dropout: float = 0.0
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    checkpointing: bool = True
    gpus: int = 1
    zero3: bool = False
    generated: int = 0
    reference: bool = False
    logits: Literal["fused", "completion", "all"] = "fused"


def plan_of(
    stage: str,
    settings: Mapping[str, Any],
    *,
    frame_pixels: int,
    prompt_tokens: int,
    completion_tokens: int,
    frames: int | None = None,
    gpus: int = 1,
    generated: int | None = None,
) -> Plan:
    """Return the plan of a stage ("sft" or "grpo") with a preset's settings, in the form of run.json's `settings`.

    `frames` are at most those of the settings. In GRPO, replies are as long as the settings allow. `generated` tells how many completions
    one GPU generates at once, if not as many as the settings say: `sample`, by default a group or a batch, whichever is larger.
    """
    model, of = settings["model"], settings[stage]
    grpo = stage == "grpo"
    if generated is None:
        generated = _generated(of, gpus) if grpo and not of.get("vllm") else 0
    weights: Literal["bf16", "fp32"] = "fp32" if model.get("dtype") == "float32" else "bf16"
    # As `fitting` keeps them: updates would be lost in bfloat16.
    whole = not (of.get("lora_rank") or model.get("zero"))
    most = model.get("most_frames", 96)
    return Plan(
        frames=most if frames is None else min(frames, most),
        frame_pixels=frame_pixels,
        prompt_tokens=prompt_tokens,
        completion_tokens=of.get("most_tokens", completion_tokens) if grpo else completion_tokens,
        rows=of.get("batch", 1),
        weights="nf4" if of.get("nf4") else "fp32" if whole else weights,
        compute=weights,
        lora_rank=of.get("lora_rank", 0),
        lora_targets=tuple(of.get("lora_targets") or ATTENTION),
        lora_dropout=of.get("lora_dropout", 0.0),
        checkpointing=of.get("checkpointing", True),
        gpus=gpus,
        zero3=model.get("zero") == 3,
        generated=generated,
        reference=bool(grpo and of.get("beta")),
    )


def passes_of(stage: str, settings: Mapping[str, Any], gpus: int = 1) -> int:
    """Return how many times one GPU takes `batch` rows (in GRPO, completions) for one optimiser step of a stage."""
    of = settings[stage]
    rows: int = of["rows_per_step"] if stage == "sft" else of["prompts_per_step"] * of["group"]
    batch: int = of["batch"]
    return max(1, rows // (batch * gpus))


def _generated(of: Mapping[str, Any], gpus: int) -> int:
    step: int = of["prompts_per_step"] * of["group"] // gpus
    if of.get("iterations", 1) > 1:  # completions are kept for all of a step
        return step
    sample: int = of.get("sample") or max(of["group"], of.get("batch", 1))
    return min(sample, step)


def patches(shape: Shape, plan: Plan) -> int:
    """Return the patches of one frame, a multiple of those that become one token."""
    merge = shape.vision.merge**2
    return max(1, round(plan.frame_pixels / shape.vision.patch**2 / merge)) * merge


def sequence(shape: Shape, plan: Plan) -> int:
    """Return the tokens of a row: text, frames and reply."""
    frames = plan.frames * patches(shape, plan) // shape.vision.merge**2
    return plan.prompt_tokens + frames + plan.completion_tokens


def check(plan: Plan) -> None:
    """Raise UserError for a setting that isn't known, too low, or contradicts another."""
    where, fix = "training plan", "change one of the two settings"
    for name, hint in get_type_hints(Plan).items():
        if (
            (known := get_args(hint))
            and str in map(type, known)
            and getattr(plan, name) not in known
        ):
            what = f"{name} is {getattr(plan, name)!r}"
            raise UserError(where, what, f"use one of {', '.join(known)}")
    if plan.weights == "nf4" and not plan.lora_rank:
        raise UserError(
            where, "quantised weights can't be trained", "set a LoRA rank, or weights = bf16"
        )
    if plan.zero3 and plan.weights == "nf4":
        raise UserError(where, "ZeRO-3 doesn't shard quantised weights here", fix)
    least = {"rows": 1, "gpus": 1, "frames": 0, "frame_pixels": 1, "prompt_tokens": 0}
    for name, bound in {**least, "completion_tokens": 1, "generated": 0, "lora_rank": 0}.items():
        if getattr(plan, name) < bound:
            raise UserError(where, f"{name} is {getattr(plan, name)}", f"use {bound} or more")
