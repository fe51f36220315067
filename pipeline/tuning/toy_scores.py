"""How often a model answers rows of the toy task exactly, by greedy decoding of many rows at once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from pipeline.training.signatures import score
from pipeline.tuning.vlm import Loaded

MOST_TOKENS = 24
"""Of a reply: the toy task's own take about 12, since whole lines are tokens."""
_BATCH = 64
_GREY = (128, 128, 128)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file in the form for TRL."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def exact(
    loaded: Loaded, rows: Sequence[Mapping[str, Any]], *, blank: bool = False
) -> dict[str, float]:
    """Return the share of rows with the right letter: of `all`, `forward` and `reverse` ones.

    With `blank`, the model sees grey frames of the same size instead. Rows without images are asked in words alone.
    """
    right: dict[str, list[float]] = {"all": []}
    for row, reply in zip(rows, replies(loaded, rows, blank=blank), strict=True):
        found = score(reply, row["solution"]).exact or 0.0
        for name in ("all", json.loads(row["solution"])["orientation"]):
            right.setdefault(name, []).append(found)
    return {name: sum(some) / len(some) for name, some in right.items()}


def replies(
    loaded: Loaded, rows: Sequence[Mapping[str, Any]], *, blank: bool = False
) -> Iterator[str]:
    """Yield the model's reply to each row of the form for TRL, by greedy decoding."""
    model, processor = loaded.model, loaded.processor
    was_training = model.training
    model.eval()
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        texts = [
            processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
            for row in some
        ]
        images = [[_image(path, blank) for path in row["images"]] for row in some]
        shown = images if any(images) else None
        batch = processor(text=texts, images=shown, padding=True, return_tensors="pt")
        batch = batch.to(model.device)
        with torch.inference_mode():
            found = model.generate(**batch, do_sample=False, max_new_tokens=MOST_TOKENS)
        asked = batch["input_ids"].shape[1]
        yield from processor.batch_decode(found[:, asked:], skip_special_tokens=True)
    model.train(was_training)


def _image(path: str, blank: bool) -> Image.Image:
    with Image.open(path) as image:
        return Image.new("RGB", image.size, _GREY) if blank else image.convert("RGB")
