"""Checks that fail loudly where training would silently go wrong: without pixels, misaligned, truncated.

Each raises GuardError. Those of a batch cost nothing and are made for every batch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from pipeline.errors import UserError
from pipeline.tuning import vlm

IGNORED = -100  # labels of tokens that aren't learned
_REPLY = "<think>\nA left turn.\n</think>\n<answer>A</answer>"


class GuardError(UserError):
    """Training was about to go on with something that makes it worthless."""


def check_padding(processor: ProcessorMixin) -> None:
    """Refuse a processor that pads on the right: TRL then misaligns image tokens in rollouts (trl#5785)."""
    side = processor.tokenizer.padding_side
    if side != "left":
        raise GuardError(
            "processor",
            f"pads on the {side}, which misaligns image tokens",
            'set padding_side="left"',
        )


def check_template(processor: ProcessorMixin) -> None:
    """Refuse a chat template after whose prompt a reply isn't what the model says, word by word.

    Thinking models' templates begin the reply themselves, or change it: rewards would read something else than SFT teaches.
    """
    asked = [{"role": "user", "content": [{"type": "text", "text": "?"}]}]
    answered = {"role": "assistant", "content": [{"type": "text", "text": _REPLY}]}
    prompt = processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    whole = processor.apply_chat_template([*asked, answered], tokenize=False)
    end = processor.tokenizer.eos_token
    if whole.rstrip("\n").removesuffix(end) != prompt + _REPLY:
        what = f"begins or changes replies: {_start(_REPLY)} becomes {_start(whole.removeprefix(prompt))}"
        fix = "use a model that isn't a Thinking one"
        raise GuardError("chat template", what, fix)


def check_pixels(batch: Mapping[str, Any], images: int) -> None:
    """Refuse a batch of rows with `images` images in all that has no pixels, or not those of all images."""
    grid, pixels = batch.get("image_grid_thw"), batch.get("pixel_values")
    if grid is None or pixels is None or not len(pixels):
        what = f"has no pixels, though its rows have {images} images: the model would learn blindly"
        raise GuardError("batch", what, "check the processor and the versions (docs/train.md)")
    if len(grid) != images:
        raise GuardError(
            "batch", f"has the pixels of {len(grid)} of {images} images", "check the rows' images"
        )
    if int(grid.prod(dim=1).sum()) != len(pixels):
        what = f"has {len(pixels)} patches of pixels where its images have {int(grid.prod(dim=1).sum())}"
        raise GuardError("batch", what, "check the processor")
    if not torch.isfinite(pixels.float()).all():
        raise GuardError("batch", "has pixels that are no numbers", "check the rows' images")


def check_alignment(
    batch: Mapping[str, Any],
    images: Sequence[int],
    processor: ProcessorMixin,
    ids: str = "input_ids",
) -> None:
    """Refuse a batch in which a row's image tokens aren't those of its own images: none is cut off or shifted.

    `images` has the number of images of each row, `ids` the name of the tokens.
    """
    merged = processor.image_processor.merge_size**2
    wanted = (batch["image_grid_thw"].prod(dim=1) // merged).tolist()
    at = 0
    for number, (row, count) in enumerate(zip(batch[ids], images, strict=True)):
        found = int((row == processor.image_token_id).sum())
        need = sum(wanted[at : at + count])
        if found != need:
            what = f"row {number} has {found} image tokens for {count} images that need {need}"
            raise GuardError(
                "batch",
                f"{what}: placeholders were cut off or shifted",
                "don't set a largest length",
            )
        runs = _runs(row == processor.image_token_id)
        if runs != wanted[at : at + count]:
            what = f"row {number}'s image tokens are in {len(runs)} groups for {count} images"
            raise GuardError(
                "batch", what, "text between images was cut off; don't set a largest length"
            )
        at += count


def _runs(mask: torch.Tensor) -> list[int]:
    """Return the lengths of the groups of neighbouring true values."""
    values = mask.to(torch.int8)
    edges = torch.diff(values, prepend=values.new_zeros(1), append=values.new_zeros(1))
    starts, ends = (edges == 1).nonzero(), (edges == -1).nonzero()
    found: list[int] = (ends - starts).flatten().tolist()
    return found


def check_learned(
    batch: Mapping[str, Any], completions: Sequence[str], processor: ProcessorMixin
) -> None:
    """Refuse a batch in which anything but the reply is learned, or not all of it."""
    for number, (ids, labels, reply) in enumerate(
        zip(batch["input_ids"], batch["labels"], completions, strict=True)
    ):
        learned = ids[labels != IGNORED]
        if not torch.equal(learned, labels[labels != IGNORED]):
            raise GuardError(
                "batch", f"row {number}'s labels aren't its tokens", "check the collator"
            )
        text = processor.tokenizer.decode(learned)
        # The template ends a turn with its own token, and some with a line break.
        if text.rstrip("\n").removesuffix(processor.tokenizer.eos_token) != reply:
            what = (
                f"of row {number}, {_start(text)} is learned instead of the reply {_start(reply)}"
            )
            fix = "set completion_only, and no largest length; templates that change replies, as Thinking models' do, can't be used"
            raise GuardError("batch", what, fix)


def _start(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:40]}…{text[-15:]}")


@torch.no_grad()
def check_sees(model: PreTrainedModel, batch: Mapping[str, Any]) -> float:
    """Refuse a model whose outputs don't change when its frames are blank; return the largest change of a logit.

    `batch` is of one row, without padding.
    """
    was = model.training
    model.eval()
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    blank = {**inputs, "pixel_values": torch.zeros_like(inputs["pixel_values"])}
    try:
        seen, unseen = (model(**one, logits_to_keep=1).logits.float() for one in (inputs, blank))
    finally:
        model.train(was)
    change = float((seen - unseen).abs().max())
    if not change > 0:  # also if it is no number
        what = "blank frames don't change what the model says: pixels don't reach it"
        raise GuardError(
            "model", what, "check the versions of transformers and TRL (docs/train.md)"
        )
    return change


def check_saved(folder: Path) -> None:
    """Refuse a saved model whose processor takes no images when it is loaded again."""
    image = Image.new("RGB", (112, 112), (200, 30, 30))
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}]
    try:
        processor = vlm.processor(folder)
        text = processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        batch = processor(text=[text], images=[image], return_tensors="pt")
    except (UserError, OSError, ValueError, TypeError, AttributeError) as error:
        told = error.what if isinstance(error, UserError) else str(error).splitlines()[0]
        what = f"its processor takes no images when it is loaded again: {told}"
        raise GuardError(str(folder), what, "save the whole processor with the model") from error
    check_pixels(batch, 1)
    check_alignment(batch, [1], processor)
    check_padding(processor)
