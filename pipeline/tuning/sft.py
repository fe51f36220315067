"""Supervised fine-tuning on a release's rows, a thin layer over TRL's SFTTrainer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from pipeline.tuning import examples, fitting, guards, jobs, vlm
from pipeline.tuning.examples import Example
from pipeline.tuning.fitting import LoadsWeights
from pipeline.tuning.jobs import Job, Progress
from pipeline.tuning.presets import Preset
from pipeline.tuning.runs import Run

_FILES = {
    "think": ("sft_think",),
    "nothink": ("sft_nothink",),
    "both": ("sft_think", "sft_nothink"),
}


def job(
    rows: Sequence[Path],
    preset: Preset,
    out: Path,
    *,
    blind: bool = False,
    models: Path | None = None,
) -> Job:
    """Return what is to be trained; raise UserError if the rows or the model aren't there.

    A tiny model is made in `models` (default: `out`).
    """
    settings = preset.sft
    found = examples.read(
        rows, _FILES[settings.rows], most_frames=preset.model.most_frames, blind=blind
    )
    model = jobs.base(preset.model, models or out, found, settings.seed)
    if settings.weighted:
        found = examples.by_weight(found, settings.seed)
    origin = jobs.origin(preset.model)
    return Job("sft", preset, rows, found, model, origin, out, _trainer, blind)


class Collator:
    """TRL's collator, with each batch checked, and the rows' numbers added as `rows`."""

    def __init__(self, loaded: vlm.Loaded, *, completion_only: bool, blind: bool) -> None:
        self._processor, self._blind = loaded.processor, blind
        self._completion_only = completion_only
        self._collate = DataCollatorForVisionLanguageModeling(
            loaded.processor, max_length=None, completion_only_loss=completion_only
        )

    def __call__(self, rows: Sequence[Example]) -> dict[str, Any]:
        """Return a batch: tokens, labels, and the pixels of all images one after the other."""
        images = [len(row["images"]) for row in rows]
        replies = [row["completion"][0]["content"][0]["text"] for row in rows]
        batch: dict[str, Any] = self._collate([dict(row) for row in rows])
        if not self._blind:
            guards.check_pixels(batch, sum(images))
            guards.check_alignment(batch, images, self._processor)
        if self._completion_only:
            guards.check_learned(batch, replies, self._processor)
        batch["rows"] = torch.tensor([row["number"] for row in rows])
        return batch


class _Trainer(LoadsWeights, SFTTrainer):
    """Notes which rows a step has seen, also where another process collated them."""

    def __init__(self, *given: Any, run: Run, ids: Sequence[str], **named: Any) -> None:
        self._run, self._ids, self._seen = run, ids, list[str]()
        super().__init__(*given, **named)

    def train(self, *given: Any, **named: Any) -> Any:
        """Train, and go on counting tokens where a killed run was, which TRL 1.16 would count from 0."""
        self._total_train_tokens = self._run.last().get("tokens") or 0
        return super().train(*given, **named)

    def training_step(self, model: Any, inputs: dict[str, Any], *given: Any, **named: Any) -> Any:
        """Take the rows' numbers out of a batch, since the model doesn't know them; those of all processes count."""
        numbers = self.accelerator.gather(inputs.pop("rows").to(self.accelerator.device))
        self._seen += [self._ids[number] for number in numbers.tolist()]
        loss: Any = super().training_step(model, inputs, *given, **named)
        return loss

    def seen(self) -> list[str]:
        """Return the ids of the rows since the last call."""
        found, self._seen = self._seen, []
        return found


def _trainer(of: Job, loaded: vlm.Loaded, progress: Progress) -> SFTTrainer:
    settings, rows = of.preset.sft, of.examples.rows
    collate = Collator(loaded, completion_only=settings.completion_only, blind=of.blind)
    dataset = of.examples.dataset().add_column("number", list(range(len(rows))))
    trainer = _Trainer(
        run=of.run,
        ids=[row["id"] for row in rows],
        model=loaded.model,
        args=SFTConfig(
            **fitting.arguments(of, settings.rows_per_step, len(rows)),
            max_length=None,
            completion_only_loss=settings.completion_only,
        ),
        data_collator=collate,
        train_dataset=dataset,
        processing_class=loaded.processor,
        peft_config=fitting.lora(settings),
    )
    trainer.add_callback(fitting.Recorder(of.run, trainer.seen, _named, progress))
    if not of.blind:
        first = collate([dataset[0]])
        first.pop("rows")
        guards.check_sees(
            trainer.model, {name: one.to(trainer.model.device) for name, one in first.items()}
        )
    return trainer


def _named(logs: Mapping[str, float]) -> dict[str, Any]:
    return {"entropy": logs.get("entropy"), "token_accuracy": logs.get("mean_token_accuracy")}
