"""The computed figures of docs/train.md are what the presets give, and what it says of them holds."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.assets import asset
from pipeline.errors import UserError
from pipeline.tuning import installed, presets
from pipeline.tuning.memory import Estimate, estimate
from pipeline.tuning.parameters import Shape, read_shape
from pipeline.tuning.plan import Plan, passes_of, plan_of
from pipeline.tuning.steptime import CARDS, step

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")
FRAME = 64 * 28 * 28  # pixels of 64 tokens
STAGES = ("SFT", "GRPO")
PROMPT, REPLY = 1000, 300  # tokens of text
# The page's names of parts that it puts together.
TOGETHER = {
    "LoRA weights, gradients and Adam states": ("LoRA weights", "gradients", "Adam states"),
    "a matrix unpacked from nf4": ("a matrix unpacked",),
    "one text block and its gradients": ("one text block", "gradients of activations"),
    "reading the prompts, with their mask": ("reading the prompts", "mask of the prompts"),
}


def table(first: str) -> list[list[str]]:
    """Return the cells of the page's table whose header starts with these cells."""
    lines = PAGE[PAGE.index(first) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


CELLS = table("| preset | trains | frames |")
PARTS = table("| part | taken |")


def shape_of(preset: presets.Preset) -> Shape:
    name = preset.model.name.partition("/")[2].removesuffix("-Instruct").lower()
    return read_shape(asset(f"presets/models/{name}.json"))


def planned(
    name: str, stage: str, frames: int, gpus: int, generated: int = 0
) -> tuple[Plan, Shape, int]:
    """Return a plan for the page's rows, the model's shape, and the passes of a step."""
    preset = presets.load(name)
    settings = preset.as_json(stage)
    plan = plan_of(
        stage,
        settings,
        frames=frames,
        frame_pixels=FRAME,
        prompt_tokens=PROMPT,
        completion_tokens=REPLY,
        gpus=gpus,
        generated=generated,
    )
    return plan, shape_of(preset), passes_of(stage, settings, gpus)


def number(text: str) -> int:
    return 0 if text == "-" else int(text.replace(",", ""))


@pytest.mark.parametrize("cells", CELLS, ids=lambda cells: " ".join(cells[:3:2]) + f" {cells[5]}")
def test_memory_and_time_are_as_computed(cells: list[str]) -> None:
    label, trains, frames, *_, together = cells[:6]
    found = re.fullmatch(r"`([\w-]+)` (SFT|GRPO)", label)
    assert found
    gpus = re.search(r"on (\d) GPUs", trains)
    plan, shape, passes = planned(
        found[1], found[2].lower(), int(frames), int(gpus[1]) if gpus else 1, number(together)
    )
    made, time = estimate(shape, plan), step(shape, plan, CARDS["h100"], passes)
    seconds = f"{time.training:.0f}" + (f" + {time.generation:.0f}" if time.generation else "")
    computed = (f"{made.sequence:,}", f"{plan.rows}", f"{made.peak_gib:.0f}", seconds)
    assert (cells[3], cells[4], cells[7], cells[9]) == computed
    whole = "all weights" if not plan.lora_rank else f"LoRA r{plan.lora_rank}"
    kind = "Q" if plan.weights == "nf4" else ""
    assert trains.partition(" on ")[0] == kind + whole


def test_each_preset_for_gpus_has_its_rows() -> None:
    shown = {cells[0] for cells in CELLS}
    assert shown == {
        f"`{name}` {stage}" for name in presets.names() if name != "tiny-cpu" for stage in STAGES
    }


def gib(made: Estimate, label: str) -> str:
    names = TOGETHER.get(label, (label,))
    total = sum(part.gib for part in made.parts if part.name in names)
    return f"{total:.2f}" if total else "-"


def parts_of() -> Iterator[Estimate]:
    for stage, generated in (("sft", 0), ("grpo", 8)):
        plan, shape, _ = planned("7b-1gpu", stage, 96, 1, generated)
        yield estimate(shape, plan)


def test_parts_are_as_computed() -> None:
    made = list(parts_of())
    found = {cells[0]: (cells[3], cells[5]) for cells in PARTS}
    assert found == {label: tuple(gib(one, label) for one in made) for label in found}
    # None of the parts is left out of the table.
    named = {name for label in found for name in TOGETHER.get(label, (label,))}
    assert named == {part.name for one in made for part in one.parts}


def test_the_peak_is_as_computed() -> None:
    made = list(parts_of())
    assert {one.peak_moment for one in made} == {"text"}
    peaks = " and ".join(f"{one.peak_gib:.1f}" for one in made)
    assert f"the backward pass of the language model in both, {peaks} GiB" in PAGE


def test_a_rollout_of_the_largest_preset_leaves_room_for_vllm() -> None:
    preset = presets.load("7b-8gpu")
    plan, shape, _ = planned("7b-8gpu", "grpo", preset.model.most_frames, 8)
    assert preset.grpo.vllm
    share = preset.grpo.vllm_memory * CARDS["h100"].gib
    assert estimate(shape, plan).peak_gib + share < 0.9 * CARDS["h100"].gib


@pytest.mark.parametrize(
    ("name", "stage", "package"),
    [
        ("7b-1gpu", "sft", "bitsandbytes"),
        ("paper", "sft", "deepspeed"),
        ("7b-8gpu", "grpo", "vllm"),
    ],
)
def test_a_package_that_a_preset_needs_is_asked_for(
    name: str, stage: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = presets.load(name)
    monkeypatch.setattr(installed, "find_spec", lambda one: None if one == package else one)
    with pytest.raises(UserError, match=f"needs {package}"):
        installed.check_optional(stage, preset)
    monkeypatch.setattr(installed, "find_spec", lambda one: one)
    installed.check_optional(stage, preset)
    assert f"| {package} |" in PAGE
