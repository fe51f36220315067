"""Vision-language models and their processors: loading, adapters, quantisation and saving."""

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2VLImageProcessorPil,
)

from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError

# By model_type: the names of the classes of the configuration and the model.
FAMILIES = {
    "qwen2_vl": ("Qwen2VLConfig", "Qwen2VLForConditionalGeneration"),
    "qwen2_5_vl": ("Qwen2_5_VLConfig", "Qwen2_5_VLForConditionalGeneration"),
    "qwen3_vl": ("Qwen3VLConfig", "Qwen3VLForConditionalGeneration"),
}
_PROCESSORS = {
    "qwen2_vl": "Qwen2VLProcessor",
    "qwen2_5_vl": "Qwen2_5_VLProcessor",
    "qwen3_vl": "Qwen3VLProcessor",
}


@dataclass(frozen=True)
class Loaded:
    """A model with its processor, which pads on the left."""

    model: PreTrainedModel
    processor: ProcessorMixin
    family: str


def load(
    name: str | Path,
    *,
    dtype: torch.dtype | str = "auto",
    device: str | None = None,
    nf4: bool = False,
    attention: str = "sdpa",
    weights: Path | None = None,
) -> Loaded:
    """Load a model and its processor from a folder, or by a name that transformers knows.

    A folder may hold an adapter (LoRA), which is merged into its base. `nf4` quantises the weights to 4 bits with bitsandbytes; `weights` is a folder to take them from instead. Raise UserError
    for a family that isn't supported, a folder without a model, or one that lacks some of its weights.
    """
    base = adapter_base(name)
    config = _config(base or name)
    if config.model_type not in FAMILIES:
        what = f"is of the family {config.model_type!r}, which isn't supported"
        raise UserError(str(name), what, f"use one of {', '.join(FAMILIES)}")
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": attention}
    if nf4:
        options["quantization_config"] = _nf4(dtype)
    if device or nf4:
        options["device_map"] = {"": device or "cuda:0"}
    _, model_class = FAMILIES[config.model_type]
    try:
        model, found = getattr(transformers, model_class).from_pretrained(
            str(weights or base or name), output_loading_info=True, **options
        )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        fix = "copy it again if it is damaged; install what is missing, or change model.attention"
        raise _unloaded(weights or name, error, fix) from error
    # GRPO's reference model is loaded by this name: it is the one at the start, and no checkpoint.
    model.config.name_or_path = str(base or name)
    if lacking := sorted(found["missing_keys"]):
        # They would be drawn at random, with a warning alone.
        what = f"lacks {len(lacking)} of its weights, such as {lacking[0]}"
        raise UserError(str(weights or name), what, "copy or train it again")
    if base:
        model = _with_adapter(model, name)
    made = processor(name)
    if made.image_token_id != model.config.image_token_id:
        what = "its tokenizer is not the model's: it has another token for images, or none"
        raise UserError(str(name), what, "copy the tokenizer's files again")
    return Loaded(model, made, config.model_type)


def _with_adapter(model: PreTrainedModel, name: str | Path) -> PreTrainedModel:
    try:
        merged: PreTrainedModel = PeftModel.from_pretrained(model, str(name)).merge_and_unload()
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise _unloaded(name, error, "copy the adapter again, or name the whole model") from error
    return merged


def _unloaded(name: str | Path, error: Exception, fix: str) -> UserError:
    told = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(str(name), f"can't be loaded: {told}", fix)


def adapter_base(name: str | Path) -> str | None:
    """Return the name of the model that an adapter's folder is for; None if the folder holds a whole model.

    Raise UserError if its settings can't be read.
    """
    path = Path(name) / "adapter_config.json"
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"doesn't tell which model the adapter is for: {error}"
        raise UserError(str(path), what, "copy the adapter again") from error


def processor(name: str | Path) -> ProcessorMixin:
    """Load the processor of a model for images and text, which needs no torchvision: rows have no videos.

    Raise UserError if one of its files is missing or damaged.
    """
    base = adapter_base(name)
    family = _config(base or name).model_type
    if base and not (Path(name) / "processor_config.json").is_file():
        name = base
    try:
        images = Qwen2VLImageProcessorPil.from_pretrained(str(name))
        tokenizer = AutoTokenizer.from_pretrained(str(name), padding_side="left")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        fix = "copy it again with the files of its processor and tokenizer"
        raise _unloaded(name, error, fix) from error
    template = tokenizer.chat_template
    if not template:
        what = "has no chat template, without which nothing can be asked"
        raise UserError(str(name), what, "copy it again with chat_template.jinja")
    made: ProcessorMixin = processor_class(family)(images, tokenizer, chat_template=template)
    return made


@cache
def processor_class(family: str) -> type[ProcessorMixin]:
    """Return the processor's class of a family, without its video processor, which requires torchvision."""
    whole = getattr(transformers, _PROCESSORS[family])

    def get_attributes(cls: type) -> list[str]:
        return ["image_processor", "tokenizer"]

    # The name is written to the saved files: other tools load the family's own class by it.
    return type(whole.__name__, (whole,), {"get_attributes": classmethod(get_attributes)})


def save(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """Write a whole model and its processor to a folder."""
    model.save_pretrained(folder)
    save_processor(processor, folder)


def save_processor(processor: ProcessorMixin, folder: Path) -> None:
    """Write a processor to a model's folder.

    With the settings of a video processor, without which transformers' own AutoProcessor loads the tokenizer alone.
    """
    processor.save_pretrained(folder)
    images = processor.image_processor
    taken = ("patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std", "size")
    video = {name: getattr(images, name) for name in taken}
    kind = "Qwen3VLVideoProcessor" if images.patch_size == 16 else "Qwen2VLVideoProcessor"
    text = json.dumps({"video_processor_type": kind, **video}, indent=2, default=dict)
    write_atomic(folder / "video_preprocessor_config.json", text.encode())


def merge(
    name: str, adapter: Path, processor: ProcessorMixin, folder: Path, dtype: torch.dtype
) -> None:
    """Write a model with an adapter's weights added to its own, which are loaded anew, without quantisation."""
    base = load(name, dtype=dtype).model
    merged = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()
    save(merged, processor, folder)


def _config(name: str | Path) -> Any:
    try:
        return AutoConfig.from_pretrained(str(name))
    except (OSError, ValueError) as error:
        fix = "name a folder with a model, or one that transformers finds"
        raise _unloaded(name, error, fix) from error


def _nf4(dtype: torch.dtype | str) -> Any:
    from transformers import BitsAndBytesConfig

    if shutil.which("nvidia-smi") is None:
        raise UserError("nf4", "needs a GPU and bitsandbytes", "use a preset without nf4")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if dtype == "auto" else dtype,
    )
