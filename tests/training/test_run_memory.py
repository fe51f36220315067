"""Memory and time of a training run are computed from a model's config.json alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assets import asset
from pipeline.errors import UserError
from pipeline.tuning.memory import NF4, Estimate, estimate
from pipeline.tuning.parameters import ATTENTION, LINEAR, Shape, read_shape
from pipeline.tuning.parts import MOMENTS
from pipeline.tuning.plan import Plan, patches, plan_of, sequence
from pipeline.tuning.steptime import CARDS, row_operations, step

FRAME = 64 * 28 * 28  # pixels of 64 tokens
PLAN = Plan(frames=96, frame_pixels=FRAME, prompt_tokens=900, completion_tokens=300)
LORA = replace(PLAN, lora_rank=32)
QLORA = replace(PLAN, weights="nf4", lora_rank=16)


def config(name: str) -> Path:
    return asset(f"presets/models/{name}.json")


def seven() -> Shape:
    return read_shape(config("qwen2.5-vl-7b"))


def gib(made: Estimate, name: str) -> float:
    return sum(part.gib for part in made.parts if part.name == name)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # the sums of the published checkpoints' tensors
        ("qwen2-vl-7b", 8_291_375_616),
        ("qwen2.5-vl-7b", 8_292_166_656),
        ("qwen3-vl-8b", 8_767_123_696),
    ],
)
def test_parameters_of_shipped_models_are_those_published(name: str, parameters: int) -> None:
    assert read_shape(config(name)).parameters == parameters


def test_a_file_from_before_text_config_is_read_as_well() -> None:
    body = json.loads(config("qwen2.5-vl-7b").read_text())
    flat = body | body["text_config"] | {"model_type": "qwen2_5_vl"}
    del flat["text_config"]
    assert read_shape(flat) == seven()
    # A tied output layer has no parameters of its own, whichever level says that it is.
    tied = read_shape(flat | {"tie_word_embeddings": True})
    assert tied.parameters == seven().parameters - 152064 * 3584
    body["text_config"]["tie_word_embeddings"] = True
    assert read_shape(body) == tied


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "can't be read"),
        ("[]", "isn't a model's configuration"),
        ('{"model_type": "llava"}', "'llava'"),
        ('{"model_type": "qwen2_vl"}', "has no hidden_size"),
    ],
)
def test_a_file_that_is_no_such_configuration_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=told):
        read_shape(tmp_path)


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        read_shape(tmp_path)


def test_lora_of_the_published_rank_is_counted() -> None:
    # 28 layers x 8 x (q: 3584 + 3584, k and v: 3584 + 512, o: 3584 + 3584)
    assert seven().adapter(8, ATTENTION) == 28 * 8 * (4 * 3584 + 2 * (3584 + 512))
    for targets in ((), ("query",)):
        with pytest.raises(UserError, match="lora targets"):
            seven().adapter(8, targets)


def test_weights_of_a_quantised_model_are_a_third_of_bf16() -> None:
    shape = seven()
    whole, quarter = gib(estimate(shape, LORA), "weights"), gib(estimate(shape, QLORA), "weights")
    assert whole == pytest.approx(8_292_166_656 * 2 / 2**30)
    assert quarter == pytest.approx(5.49, abs=0.01)
    assert pytest.approx(4.127, abs=0.001) == NF4 * 8  # bits, as in the paper


def test_full_training_takes_16_bytes_a_parameter_over_all_gpus() -> None:
    shape = seven()
    made = estimate(shape, replace(PLAN, zero3=True, gpus=8))
    states = sum(gib(made, name) for name in ("weights", "gradients", "Adam states"))
    assert states == pytest.approx(16 * shape.parameters / 8 / 2**30)


def test_zero_generates_with_whole_weights_and_lora_needs_no_reference() -> None:
    shape = seven()
    sharded = replace(PLAN, zero3=True, gpus=8, generated=8, reference=True)
    made = estimate(shape, sharded)
    assert made.peak_moment == "generation"
    assert gib(made, "whole weights") == pytest.approx(2 * shape.parameters / 2**30)
    assert gib(made, "reference model") == pytest.approx(2 * shape.parameters / 8 / 2**30)
    assert gib(estimate(shape, replace(LORA, reference=True)), "reference model") == 0


def test_the_cache_holds_every_token_of_every_completion() -> None:
    # keys and values x 28 layers x 4 heads x 128 channels x 2 bytes
    plan = replace(LORA, generated=8)
    tokens = 900 + 96 * 64 + 300
    assert sequence(seven(), plan) == tokens
    made = gib(estimate(seven(), plan), "KV cache")
    assert made == pytest.approx(8 * tokens * 2 * 28 * 4 * 128 * 2 / 2**30)
    assert gib(estimate(seven(), LORA), "KV cache") == 0


def test_logits_are_of_a_tile_of_the_completion_or_of_all_tokens() -> None:
    shape = seven()
    each = 152064 * 10 / 2**30
    sizes = {
        kind: gib(estimate(shape, replace(LORA, logits=kind)), "logits")
        for kind in ("fused", "completion", "all")
    }
    assert sizes["completion"] == pytest.approx(300 * each)
    assert sizes["all"] == pytest.approx((900 + 96 * 64 + 300) * each)
    assert sizes["fused"] < sizes["completion"] / 10
    # Of a trained output layer there is a gradient in fp32.
    trained = gib(estimate(shape, PLAN), "logits") - sizes["fused"]
    assert trained == pytest.approx(152064 * 3584 * 4 / 2**30)


def test_checkpointing_is_what_makes_96_frames_fit() -> None:
    shape = seven()
    kept = estimate(shape, LORA).peak_gib
    assert kept < 30
    assert estimate(shape, replace(LORA, checkpointing=False)).peak_gib > kept + 30


def test_blank_rows_have_no_vision() -> None:
    made = estimate(seven(), replace(LORA, frames=0))
    assert not [part for part in made.parts if "vision" in part.name or part.name == "pixels"]


def test_lines_tell_the_peak_and_that_it_is_computed() -> None:
    made = estimate(seven(), QLORA)
    first, second, *rest = made.lines()
    assert "(computed)" in first
    assert f"{made.peak_gib:.1f} GiB at most" in first
    assert "40,370,176 of 8,332,536,832 parameters" in second
    assert len(rest) == len(made.parts) + 1
    assert all(part.formula and part.source for part in made.parts)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"weights": "nf4"}, "quantised weights can't be trained"),
        ({"weights": "nf4", "lora_rank": 8, "zero3": True}, "ZeRO-3"),
        ({"weights": "int8"}, "weights is 'int8'"),
        ({"logits": "some"}, "logits is 'some'"),
        ({"rows": 0}, "rows is 0"),
        ({"completion_tokens": 0}, "completion_tokens is 0"),
        ({"lora_rank": -1}, "lora_rank is -1"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        estimate(seven(), replace(PLAN, **settings))


@given(
    st.sampled_from(["qwen2-vl-7b", "qwen2.5-vl-7b", "qwen3-vl-8b"]),
    st.sampled_from([PLAN, LORA, QLORA, replace(LORA, generated=8)]),
    st.sampled_from(["rows", "frames", "prompt_tokens", "completion_tokens", "frame_pixels"]),
)
def test_more_of_anything_never_takes_less(name: str, plan: Plan, setting: str) -> None:
    shape = read_shape(config(name))
    more = replace(plan, **{setting: 2 * getattr(plan, setting)})
    less, much = (estimate(shape, one) for one in (plan, more))
    assert all(much.gib_at(moment) >= less.gib_at(moment) for moment in MOMENTS)
    assert much.gib_at("text") > less.gib_at("text")
    assert row_operations(shape, more) >= row_operations(shape, plan)


def test_a_frame_has_whole_tokens() -> None:
    assert patches(seven(), PLAN) == 256
    assert patches(seven(), replace(PLAN, frame_pixels=1)) == 4


def test_operations_are_six_a_parameter_and_token_and_four_with_lora() -> None:
    # Text alone: no tower, and attention is small on short rows.
    shape = seven()
    plan = replace(
        PLAN, frames=0, prompt_tokens=0, completion_tokens=64, checkpointing=False, logits="all"
    )
    matrices = shape.text.layers * shape.block_linear + shape.embedding
    full = row_operations(shape, plan) / 64 / matrices
    assert full == pytest.approx(6, rel=0.01)
    assert row_operations(shape, replace(plan, lora_rank=8)) / 64 / matrices == pytest.approx(
        4, rel=0.01
    )
    again = row_operations(shape, replace(plan, checkpointing=True)) / 64 / matrices
    assert again == pytest.approx(8 - 2 * shape.embedding / matrices, rel=0.01)


def test_a_step_takes_as_many_passes_as_it_accumulates() -> None:
    card = CARDS["h100"]
    one, four = (step(seven(), QLORA, card, accumulation=n) for n in (1, 4))
    assert four.training == pytest.approx(4 * one.training)
    assert one.generation == 0
    made = step(seven(), replace(LORA, generated=8), card, accumulation=8)
    # 300 tokens of 28 layers, a millisecond each, and the prompts
    assert made.generation > 300 * 0.028
    assert "(computed)" in made.lines(card)[0]
    assert len(made.lines(card)) == 3
    assert len(one.lines(card)) == 2


def test_every_linear_layer_has_a_size() -> None:
    assert tuple(seven().text.linear) == LINEAR


SETTINGS: dict[str, Any] = {
    "model": {"dtype": "bfloat16", "most_frames": 64, "zero": 0},
    "sft": {"batch": 2, "nf4": True, "lora_rank": 16, "lora_targets": ["q_proj"]},
    "grpo": {"batch": 4, "group": 8, "prompts_per_step": 8, "most_tokens": 768, "beta": 0.1},
}
SIZES = {"frame_pixels": FRAME, "prompt_tokens": 900, "completion_tokens": 300}


def test_a_plan_follows_from_a_presets_settings() -> None:
    sft = plan_of("sft", SETTINGS, **SIZES)
    assert (sft.rows, sft.weights, sft.lora_rank, sft.frames) == (2, "nf4", 16, 64)
    assert (sft.generated, sft.completion_tokens, sft.reference) == (0, 300, False)
    assert sft.lora_targets == ("q_proj",)
    grpo = plan_of("grpo", SETTINGS, frames=8, gpus=2, **SIZES)
    # All weights are trained in float32, and computed with in bfloat16.
    assert (grpo.rows, grpo.weights, grpo.lora_rank, grpo.frames) == (4, "fp32", 0, 8)
    assert grpo.compute == "bf16"
    assert (grpo.generated, grpo.completion_tokens, grpo.reference) == (8, 768, True)


@pytest.mark.parametrize(
    ("settings", "gpus", "generated"),
    [
        ({}, 1, 8),  # a group
        ({"batch": 16}, 1, 16),
        ({"sample": 32}, 1, 32),
        ({"sample": 32}, 4, 16),  # all of a step on one GPU
        ({"iterations": 2}, 1, 64),
        ({"vllm": True}, 1, 0),
    ],
)
def test_as_many_completions_are_generated_at_once_as_the_settings_say(
    settings: dict[str, Any], gpus: int, generated: int
) -> None:
    made = {**SETTINGS, "grpo": {**SETTINGS["grpo"], **settings}}
    assert plan_of("grpo", made, gpus=gpus, **SIZES).generated == generated
    assert plan_of("grpo", made, generated=24, **SIZES).generated == 24


def test_vllm_generates_elsewhere_and_float32_stays_float32() -> None:
    grpo = {**SETTINGS["grpo"], "vllm": True, "beta": 0}
    model = {"dtype": "float32", "zero": 3}
    made = plan_of("grpo", {"model": model, "grpo": grpo}, **SIZES)
    assert (made.generated, made.weights, made.compute) == (0, "fp32", "fp32")
    assert made.zero3
    assert not made.reference
    assert made.frames == 96


def test_all_completions_of_a_step_at_once_do_not_fit_a_card() -> None:
    # 96 frames in each of 64 prompts; a group at a time does.
    settings = {**SETTINGS, "model": {}, "grpo": {**SETTINGS["grpo"], "lora_rank": 32, "beta": 0}}
    group = plan_of("grpo", settings, **SIZES)
    assert estimate(seven(), group).peak_gib < 60
    assert estimate(seven(), replace(group, generated=64)).peak_gib > 80
