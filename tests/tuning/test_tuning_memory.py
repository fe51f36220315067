"""What the memory's formulas count is what transformers, peft and autograd make in fact."""

import json
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from pipeline.assets import asset
from pipeline.tuning.activations import text_block_bytes, vision_block_bytes
from pipeline.tuning.parameters import ATTENTION, LINEAR, read_shape
from pipeline.tuning.plan import Plan
from pipeline.tuning.tiny import make_tiny
from pipeline.tuning.vlm import FAMILIES

MODELS = ("qwen2-vl-7b", "qwen2.5-vl-7b", "qwen3-vl-8b")
TOKENS, FRAMES, SIDE = 96, 2, 8  # of a row; a side is in patches
IMAGE, VIDEO, START = 5, 6, 7


def loaded(path: Path) -> Any:
    config_class, model_class = (
        getattr(transformers, name) for name in FAMILIES[json.loads(path.read_text())["model_type"]]
    )
    config = config_class.from_json_file(str(path))
    assert type(transformers.AutoConfig.from_pretrained(str(path))) is config_class
    with torch.device("meta"):
        model = model_class(config)
    model.tie_weights()
    return model


@pytest.fixture(scope="module", params=[*MODELS, *FAMILIES])
def model_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param in MODELS:
        return asset(f"presets/models/{request.param}.json")
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny(folder, ["turn left, then right"], request.param)
    return folder / "config.json"


def test_parameters_are_those_of_the_class(model_file: Path) -> None:
    model, shape = loaded(model_file), read_shape(model_file)
    assert shape.parameters == sum(one.numel() for one in model.parameters())
    assert shape.vision_parameters == sum(one.numel() for one in model.model.visual.parameters())
    linear = [
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    ]
    assert shape.quantisable == sum(linear)


@pytest.mark.parametrize("targets", [ATTENTION, LINEAR])
def test_adapters_are_as_large_as_peft_makes_them(
    model_file: Path, targets: tuple[str, ...]
) -> None:
    wanted = rf".*language_model.*\.({'|'.join(targets)})"
    with torch.device("meta"):
        model = get_peft_model(loaded(model_file), LoraConfig(r=8, target_modules=wanted))
    made = sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert read_shape(model_file).adapter(8, targets) == made


def config(family: str, layers: int, depth: int) -> dict[str, Any]:
    """A configuration whose sizes differ from one another, so that no term can stand for another."""
    text = {
        "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": layers,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 300,
        "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [6, 5, 5]},
    }  # fmt: skip
    vision: dict[str, Any] = {"depth": depth, "num_heads": 4, "patch_size": 14}
    if family == "qwen2_vl":
        vision |= {"embed_dim": 128, "hidden_size": 256, "mlp_ratio": 4}
    else:
        vision |= {"hidden_size": 128, "intermediate_size": 384, "out_hidden_size": 256}
    if family == "qwen3_vl":
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 256}
    ids = {"image_token_id": IMAGE, "video_token_id": VIDEO, "vision_start_token_id": START}
    return {"model_type": family, "text_config": text, "vision_config": vision, **ids}


@dataclass(eq=False)
class Kept:
    """A tensor that autograd saved, for as long as its node is part of the graph."""

    tensor: torch.Tensor


def kept(family: str, layers: int, depth: int, plan: Plan) -> int:
    """Return the bytes that autograd keeps of two rows in bf16, without weights."""
    config_class, model_class = (getattr(transformers, name) for name in FAMILIES[family])
    model = model_class(config_class.from_dict(config(family, layers, depth)))
    model = model.to(torch.bfloat16).train()
    if plan.lora_rank:
        wanted = rf".*language_model.*\.({'|'.join(plan.lora_targets)})"
        lora = LoraConfig(r=plan.lora_rank, target_modules=wanted)
        # As `fitting.load` does it: checkpointing would ask for gradients of what the tower reads.
        model.enable_input_require_grads = lambda: None
        model = get_peft_model(model, lora, autocast_adapter_dtype=plan.weights != "nf4")
    if plan.checkpointing:
        model.activation_checkpointing_enable()
    ids = torch.full((2, TOKENS), 10)
    tokens = SIDE**2 // 4
    for frame in range(FRAMES):
        ids[:, 1 + frame * (tokens + 1) : (frame + 1) * (tokens + 1)] = IMAGE
    mask = torch.ones_like(ids)
    mask[0, -3:] = 0
    pixels = torch.randn(2 * FRAMES * SIDE**2, 3 * 2 * 14**2)
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    packed: list[weakref.ref[Kept]] = []

    def pack(tensor: torch.Tensor) -> Kept:
        one = Kept(tensor)
        packed.append(weakref.ref(one))
        return one

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one.tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16):
        out = model(
            input_ids=ids,
            attention_mask=mask,
            pixel_values=pixels,
            image_grid_thw=torch.tensor([[1, SIDE, SIDE]] * 2 * FRAMES),
            mm_token_type_ids=(ids == IMAGE).long(),
            use_cache=False,
        )
    assert out.logits.requires_grad
    held = [one.tensor.untyped_storage() for one in (ref() for ref in packed) if one]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in held}
    return sum(size for address, size in sizes.items() if address not in own)


PLAN = Plan(frames=FRAMES, frame_pixels=(14 * SIDE) ** 2, prompt_tokens=60, completion_tokens=4)
PLANS = {
    "full": PLAN,
    "bf16 LoRA": replace(PLAN, lora_rank=8),
    "attention's LoRA": replace(PLAN, lora_rank=8, lora_targets=ATTENTION),
    "QLoRA": replace(
        PLAN, lora_rank=8, weights="nf4"
    ),  # bf16 adapters, on weights that aren't quantised
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("family", FAMILIES)
def test_activations_of_a_block_are_as_counted(family: str, name: str) -> None:
    plan = replace(PLANS[name], checkpointing=False)
    shape = read_shape(config(family, 2, 2))
    text = (kept(family, 3, 2, plan) - kept(family, 2, 2, plan)) / (2 * TOKENS)
    # Adapters in fp32 are made bf16 once for all tokens.
    cast = shape.adapter(8, plan.lora_targets) // 2 * 2 if name.endswith("LoRA") else 0
    counted = text_block_bytes(shape, plan) + cast / (2 * TOKENS)
    assert text == pytest.approx(counted, rel=0.02)
    vision = (kept(family, 2, 3, plan) - kept(family, 2, 2, plan)) / (2 * FRAMES * SIDE**2)
    assert vision == pytest.approx(vision_block_bytes(shape, plan), rel=0.02)


@pytest.mark.parametrize("name", ["full", "bf16 LoRA"])
@pytest.mark.parametrize("family", FAMILIES)
def test_checkpoints_keep_the_inputs_of_blocks_but_not_of_a_frozen_tower(
    family: str, name: str
) -> None:
    plan = PLANS[name]
    text = (kept(family, 3, 2, plan) - kept(family, 2, 2, plan)) / (2 * TOKENS)
    assert text == 256 * 2
    vision = (kept(family, 2, 3, plan) - kept(family, 2, 2, plan)) / (2 * FRAMES * SIDE**2)
    assert vision == (0 if plan.lora_rank else 128 * 2)
