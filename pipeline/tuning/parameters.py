"""What a model of the supported families consists of: exact counts of its parameters, from its config.json.

Needs no torch, so a plan can be judged before anything is installed. The shapes are those of transformers 5.23
(`models/{qwen2_vl,qwen2_5_vl,qwen3_vl}/modeling_*.py`); a test compares them with the classes themselves.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ATTENTION = LINEAR[:4]


@dataclass(frozen=True)
class Text:
    """The language model. Sizes are numbers of channels; `linear` has (in, out) of each linear layer of a block."""

    hidden: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    linear: Mapping[str, tuple[int, int]]
    bias: int  # values of one block
    norms: int  # values of one block


@dataclass(frozen=True)
class Vision:
    """The vision tower. `patch` is the edge of a patch in pixels; `merge` x `merge` patches become one token."""

    width: int
    inner: int
    depth: int
    heads: int
    patch: int
    merge: int
    out: int
    patch_values: int  # numbers of a patch: channels x repeated frames x pixels
    gated: bool  # three matrices in the MLP instead of two
    window: int | None  # patches that attend to one another; None: all of a frame
    whole: int  # blocks in which all patches of a frame do so
    mergers: int
    linear: int  # weights of matrices, without biases
    other: int  # biases, norms, patch embedding, positions


@dataclass(frozen=True)
class Shape:
    """A model's sizes and parameter counts."""

    family: str
    text: Text
    vision: Vision

    @property
    def block(self) -> int:
        """Parameters of one block of the language model."""
        return self.block_linear + self.text.bias + self.text.norms

    @property
    def block_linear(self) -> int:
        """Weights of the matrices of one block of the language model."""
        return sum(inner * outer for inner, outer in self.text.linear.values())

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, which are those of the output layer as well if the two are tied."""
        return self.text.vocabulary * self.text.hidden

    @property
    def text_parameters(self) -> int:
        """Parameters of the language model with embedding and output layer."""
        ends = self.embedding * (1 if self.text.tied else 2)
        return ends + self.text.layers * self.block + self.text.hidden

    @property
    def vision_parameters(self) -> int:
        """Parameters of the vision tower."""
        return self.vision.linear + self.vision.other

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.text_parameters + self.vision_parameters

    @property
    def quantisable(self) -> int:
        """Weights that bitsandbytes quantises: all matrices, of the vision tower too, but not the output layer.

        Source: `get_keys_to_not_convert` in transformers/quantizers/base.py.
        """
        return self.text.layers * self.block_linear + self.vision.linear

    def adapter(self, rank: int, targets: Sequence[str]) -> int:
        """Return the parameters of LoRA on the language model: `rank` x (in + out) for each matrix (Hu et al. 2021, 4.1).

        Raise UserError for a target that the language model's blocks don't have.
        """
        unknown = [name for name in targets if name not in self.text.linear]
        if unknown or not targets:
            what = f"{', '.join(unknown)} isn't a matrix" if unknown else "no matrix is named"
            raise UserError("lora targets", what, f"name some of {', '.join(LINEAR)}")
        sizes = (self.text.linear[name] for name in targets)
        return self.text.layers * rank * sum(inner + outer for inner, outer in sizes)


def read_shape(config: Path | Mapping[str, Any]) -> Shape:
    """Return the shape of a model from its config.json, a folder with one, or the loaded JSON object.

    Raise UserError if there is no such file or it isn't of a supported family.
    """
    where, body = _body(config)
    family = body.get("model_type")
    if family not in _VISION:
        what = f"is of the family {family!r}, which isn't supported"
        raise UserError(where, what, f"use one of {', '.join(_VISION)}")
    # Files from before transformers 4.52 have the language model's settings at the top.
    text = {**body, **(body.get("text_config") or {})}
    vision = body.get("vision_config") or {}
    try:
        tied = bool(body.get("tie_word_embeddings") or text.get("tie_word_embeddings"))
        made = _text(family, text, tied)
        return Shape(family, made, _VISION[family](vision, made.hidden))
    except KeyError as error:
        what = f"has no {error.args[0]}"
        raise UserError(where, what, "use the config.json that the model came with") from error


def _body(config: Path | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(config, Path):
        return "config.json", config
    path = config / "config.json" if config.is_dir() else config
    fix = "name a model's folder or its config.json"
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(str(path), "can't be read as a model's configuration", fix) from error
    if not isinstance(body, dict):
        raise UserError(str(path), "isn't a model's configuration", fix)
    return str(path), body


def _text(family: str, of: Mapping[str, Any], tied: bool) -> Text:
    hidden, inner, heads = of["hidden_size"], of["intermediate_size"], of["num_attention_heads"]
    keys = of.get("num_key_value_heads") or heads
    third = family == "qwen3_vl"
    size = of.get("head_dim", 128) if third else hidden // heads
    wide, narrow = heads * size, keys * size
    if third:
        bias = wide + 2 * narrow + hidden if of.get("attention_bias") else 0
    else:
        bias = wide + 2 * narrow
    return Text(
        hidden=hidden,
        inner=inner,
        layers=of["num_hidden_layers"],
        heads=heads,
        key_heads=keys,
        head_size=size,
        vocabulary=of["vocab_size"],
        tied=tied,
        linear={
            "q_proj": (hidden, wide),
            "k_proj": (hidden, narrow),
            "v_proj": (hidden, narrow),
            "o_proj": (wide, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        },
        bias=bias,
        norms=2 * hidden + (2 * size if third else 0),
    )


def _second(of: Mapping[str, Any], text_hidden: int) -> Vision:
    width = of.get("embed_dim", 1280)
    out = of.get("hidden_size", text_hidden)
    return _tower(
        of, 32, width, int(width * of.get("mlp_ratio", 4)), out, patch=14, norm=2, gated=False
    )


def _second_and_half(of: Mapping[str, Any], text_hidden: int) -> Vision:
    whole = of.get("fullatt_block_indexes", (7, 15, 23, 31))
    window = (of.get("window_size", 112) // of.get("patch_size", 14)) ** 2
    out = of.get("out_hidden_size", 3584)
    inner, width = of.get("intermediate_size", 3420), of["hidden_size"]
    return _tower(
        of, 32, width, inner, out, patch=14, norm=1, gated=True, window=window, whole=len(whole)
    )


def _third(of: Mapping[str, Any], text_hidden: int) -> Vision:
    width, deep = (
        of.get("hidden_size", 1152),
        len(of.get("deepstack_visual_indexes", (8, 16, 24))),
    )
    inner, out = of.get("intermediate_size", 4304), of.get("out_hidden_size", 3584)
    positions = of.get("num_position_embeddings", 2304) * width + width  # and the patches' bias
    return _tower(
        of, 27, width, inner, out, patch=16, norm=2, gated=False, deep=deep, other=positions
    )


_VISION = {"qwen2_vl": _second, "qwen2_5_vl": _second_and_half, "qwen3_vl": _third}


def _tower(
    of: Mapping[str, Any],
    depth: int,
    width: int,
    inner: int,
    out: int,
    *,
    patch: int,
    norm: int,
    gated: bool,
    deep: int = 0,
    window: int | None = None,
    whole: int | None = None,
    other: int = 0,
) -> Vision:
    # `norm`: values of a norm for each channel, 2 of LayerNorm, 1 of RMSNorm; `deep`: mergers of deeper layers.
    depth, patch = of.get("depth", depth), of.get("patch_size", patch)
    merge = of.get("spatial_merge_size", 2)
    values = of.get("in_channels", 3) * of.get("temporal_patch_size", 2) * patch**2
    merged = width * merge**2
    up = 2 if gated else 1
    block = 4 * width**2 + (up + 1) * width * inner
    block_other = 4 * width + up * inner + width + 2 * norm * width
    merger, merger_bias = merged**2 + merged * out, merged + out
    # The first merger's norm is of single patches; those of deeper layers are of merged ones.
    norms = norm * (width + deep * merged)
    return Vision(
        width=width,
        inner=inner,
        depth=depth,
        heads=of.get("num_heads", 16),
        patch=patch,
        merge=merge,
        out=out,
        patch_values=values,
        gated=gated,
        window=window,
        whole=depth if whole is None else whole,
        mergers=1 + deep,
        linear=depth * block + (1 + deep) * merger,
        other=depth * block_other + (1 + deep) * merger_bias + norms + values * width + other,
    )
