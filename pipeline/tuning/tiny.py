"""Tiny vision-language models with random weights, made on the fly: for tests, and for training without a GPU.

They are of the real architectures, with the real image processor and a tokenizer trained on the texts at hand, and
about 0.6 M parameters.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen2VLImageProcessorPil

from pipeline.tuning.vlm import FAMILIES, processor_class, save

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# The form of the families' own templates, without their default system prompt.
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_VOCABULARY = 1000
_WIDTH, _LAYERS, _HEADS = 128, 2, 4
_VISION_WIDTH = 64
# Of the first weights. transformers' .02 is for widths of thousands: at these, it delays what is learned from images.
_SPREAD = 0.08
_MOST_PIXELS = 16 * 28 * 28


def make_tiny(
    folder: Path, texts: Iterable[str], family: str = "qwen2_5_vl", seed: int = 0
) -> None:
    """Write a model of a family of `FAMILIES` with random weights and its processor to a folder.

    The tokenizer's words are learned from `texts`; bytes spell everything else.
    """
    tokenizer = _tokenizer(texts)
    patch = 16 if family == "qwen3_vl" else 14
    images = Qwen2VLImageProcessorPil(
        min_pixels=4 * patch * patch, max_pixels=_MOST_PIXELS, patch_size=patch
    )
    processor = processor_class(family)(images, tokenizer, chat_template=_TEMPLATE)
    torch.manual_seed(seed)
    save(_model(family, tokenizer, patch), processor, folder)


def _tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    tokens = Tokenizer(models.BPE())
    # Whole lines may become tokens: a fifth as many in the toy task's rows as with words, in a fifth of the time.
    tokens.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("\n"), "merged_with_previous"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokens.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[AddedToken(name, special=True) for name in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokens.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
    )
    made.chat_template = _TEMPLATE
    return made


def _model(family: str, tokenizer: PreTrainedTokenizerFast, patch: int) -> PreTrainedModel:
    ids = dict(zip(SPECIAL, tokenizer.convert_tokens_to_ids(list(SPECIAL)), strict=True))
    config_class, model_class = (getattr(transformers, name) for name in FAMILIES[family])
    size = _WIDTH // _HEADS
    third = size // 6
    text = {
        "vocab_size": len(tokenizer),
        "initializer_range": _SPREAD,
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _HEADS,
        "head_dim": size,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        # The parts of the positions (time, height, width) share half of a head's width.
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [size // 2 - 2 * third, third, third],
        },
    }
    config = config_class(
        text_config=text,
        vision_config=_vision(family, patch),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model: PreTrainedModel = model_class(config)
    return model


def _vision(family: str, patch: int) -> dict[str, Any]:
    common = {
        "initializer_range": _SPREAD,
        "depth": 2,
        "num_heads": 4,
        "patch_size": patch,
        "in_channels": 3,
    }
    if (
        family == "qwen2_vl"
    ):  # it calls the width of its blocks embed_dim, and the model's own hidden_size
        return common | {"embed_dim": _VISION_WIDTH, "hidden_size": _WIDTH, "mlp_ratio": 2}
    of = common | {
        "hidden_size": _VISION_WIDTH,
        "intermediate_size": 2 * _VISION_WIDTH,
        "out_hidden_size": _WIDTH,
    }
    if family == "qwen3_vl":
        return of | {"deepstack_visual_indexes": [0], "num_position_embeddings": 256}
    return of | {"fullatt_block_indexes": [0, 1]}
