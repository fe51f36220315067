"""What is to be trained: on which rows, from which model, with which settings; and what that would need."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoConfig, Trainer
from transformers.utils.logging import disable_progress_bar

from pipeline.errors import UserError
from pipeline.tuning import vlm
from pipeline.tuning.digest import model_digest
from pipeline.tuning.examples import Examples
from pipeline.tuning.explaining import Explained
from pipeline.tuning.memory import estimate
from pipeline.tuning.parameters import read_shape
from pipeline.tuning.plan import passes_of, plan_of
from pipeline.tuning.presets import TINY, ModelSettings, Preset, StageSettings
from pipeline.tuning.processes import state
from pipeline.tuning.runs import Run
from pipeline.tuning.steptime import CARDS, step
from pipeline.tuning.tiny import make_tiny

_CARD = CARDS["h100"]  # for which a dry run computes times
Progress = Callable[[int, int], None]
TrainerMaker = Callable[["Job", vlm.Loaded, Progress], Trainer]


@dataclass(frozen=True)
class Job:
    """What is to be trained: on which rows, from which model, with which settings."""

    stage: str
    preset: Preset
    rows: Sequence[Path]
    examples: Examples
    model: str  # a folder or a name; tiny:FAMILY is made into one by `base`
    origin: Mapping[str, Any]  # what identifies the model
    out: Path
    trainer: "TrainerMaker"
    blind: bool = False

    @property
    def settings(self) -> StageSettings:
        """The settings of this stage."""
        return self.preset.sft if self.stage == "sft" else self.preset.grpo

    @property
    def run(self) -> Run:
        """Where it goes."""
        identity = {
            "settings": self.preset.identity(self.stage),
            "rows": self.examples.sha256,
            "model": self.origin,
            "blind": self.blind,
        }
        return Run.of(self.out, self.stage, self.preset.name, identity)


def base(settings: ModelSettings, out: Path, examples: Examples, seed: int) -> str:
    """Return the folder or name of the model to start from; a tiny one is made, its words learned from the rows."""
    if not settings.name.startswith(TINY):
        return settings.name
    family = settings.name.removeprefix(TINY)
    if family not in vlm.FAMILIES:
        fix = f"use one of {', '.join(vlm.FAMILIES)}"
        raise UserError("model.name", f"there is no family {family!r}", fix)
    folder = out / f"tiny-{family}-{examples.sha256[:8]}-{seed}"
    if not (folder / "config.json").is_file():
        disable_progress_bar()  # of the one file that is written
        making = out / f".{folder.name}-{os.getpid()}"
        try:
            with Explained(out):
                make_tiny(making, examples.texts(), family, seed)
            with suppress(OSError):  # another process has made it meanwhile
                making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return str(folder)


def origin(settings: ModelSettings) -> Mapping[str, Any]:
    """Return what identifies the model to start from: its name, and of a folder its contents.

    A tiny one follows from the rows and the seed. What a name on a hub stands for is taken at its word.
    """
    named = {"name": settings.name}
    folder = Path(settings.name)
    if settings.name.startswith(TINY) or not folder.is_dir():
        return named
    found = {"sha256": model_digest(folder)}
    if (under := vlm.adapter_base(folder)) and Path(under).is_dir():
        found["base_sha256"] = model_digest(Path(under))
    return named | found


def described(job: Job) -> list[str]:
    """Return what would be trained, and the memory and time that it would take, for a dry run."""
    settings, record, longest = job.settings, job.run.record, _longest(job)
    gpus, chosen = state().num_processes, job.preset.as_json(job.stage)
    what = f"LoRA of rank {settings.lora_rank}" if settings.lora_rank else "all weights"
    folders = ", ".join(map(str, job.rows))
    model = job.origin.get("name", job.model)
    lines = [f"{job.stage}: {len(job.examples.rows)} rows of {folders}; {what} of {model}"]
    if record:
        lines.append(f"so far: step {record['steps']} of {record['of_steps']}")
    shape = read_shape(AutoConfig.from_pretrained(job.model).to_dict())
    plan = plan_of(job.stage, chosen, gpus=gpus, **longest)
    lines += estimate(shape, plan).lines()
    if plan.compute == "bf16":  # the rate of cards is that of bf16
        lines += step(shape, plan, _CARD, passes_of(job.stage, chosen, gpus)).lines(_CARD)
    return [*lines, f"would go to {job.run.folder}"]


def _longest(job: Job) -> dict[str, int]:
    """Return the frames, their pixels and the tokens of the longest of some rows, as the model would get them."""
    processor = vlm.processor(job.model)
    rows = job.examples.rows[:: max(1, len(job.examples.rows) // 50)]

    def tokens(turns: Sequence[Mapping[str, Any]]) -> int:
        texts = [part["text"] or "" for turn in turns for part in turn["content"]]
        # Rows of GRPO have no reply, and a tokenizer refuses a list of nothing.
        return sum(len(ids) for ids in processor.tokenizer(texts)["input_ids"]) if texts else 0

    frames = max(len(row["images"]) for row in rows)
    pixels = 1
    if frames:
        with Image.open(next(row["images"][0] for row in rows if row["images"])) as image:
            grid = processor.image_processor([image], return_tensors="pt")["image_grid_thw"]
        pixels = int(grid.prod()) * processor.image_processor.patch_size**2
    return {
        "frames": frames,
        "frame_pixels": pixels,
        "prompt_tokens": max(tokens(row["prompt"]) for row in rows),
        "completion_tokens": max(tokens(row.get("completion", ())) for row in rows) or 1,
    }
