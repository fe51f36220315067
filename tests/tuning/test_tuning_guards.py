"""Each guard lets a sound batch pass, and fails on the fault that it is there for."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from pipeline.tuning import examples, fitting, grpo, guards, presets, sft, vlm
from pipeline.tuning.guards import GuardError


@pytest.fixture
def some(rows: Path) -> list[dict[str, Any]]:
    """Three rows of different lengths, with two, four and three frames."""
    found = examples.read([rows], ["sft_think"], most_frames=4).rows[:3]
    found = [examples.fewer_frames(row, most) for row, most in zip(found, (2, 4, 3), strict=True)]
    dataset = examples.Examples(found, "").dataset()
    return [{**dataset[at], "number": at} for at in range(3)]


def collated(loaded: vlm.Loaded, some: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
    return sft.Collator(loaded, **{"completion_only": True, "blind": False, **given})(some)


IMAGES = [2, 4, 3]


def replies(some: list[dict[str, Any]]) -> list[str]:
    return [row["completion"][0]["content"][0]["text"] for row in some]


def test_a_sound_batch_passes(loaded: vlm.Loaded, some: list[dict[str, Any]]) -> None:
    batch = collated(loaded, some)
    assert len(batch["image_grid_thw"]) == 9
    assert batch["pixel_values"].std() > 0
    assert batch["rows"].tolist() == [0, 1, 2]


class _WithoutPixels:
    """TRL's collator as the reference's was: the images are there, and the processor isn't given them."""

    def __init__(self, *given: Any, **named: Any) -> None:
        from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

        self._collate = DataCollatorForVisionLanguageModeling(*given, **named)

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        def without(row: dict[str, Any]) -> dict[str, Any]:
            (turn,) = row["prompt"]
            parts = [part for part in turn["content"] if part["type"] == "text"]
            return {**row, "prompt": [{**turn, "content": parts}], "images": []}

        return self._collate([without(row) for row in rows])


def test_a_collator_without_pixels_is_found(
    loaded: vlm.Loaded, some: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sft, "DataCollatorForVisionLanguageModeling", _WithoutPixels)
    with pytest.raises(GuardError, match=r"has no pixels, though its rows have 9 images.*blindly"):
        collated(loaded, some)


def test_a_blind_collator_has_no_pixels(loaded: vlm.Loaded, rows: Path) -> None:
    found = examples.read([rows], ["sft_think"], most_frames=4, blind=True)
    assert all(not row["images"] for row in found.rows)
    dataset = found.dataset()
    batch = collated(loaded, [{**dataset[0], "number": 0}], blind=True)
    assert "pixel_values" not in batch
    assert int((batch["input_ids"] == loaded.processor.image_token_id).sum()) == 0


def test_a_missing_image_is_found(loaded: vlm.Loaded, some: list[dict[str, Any]]) -> None:
    batch = collated(loaded, some)
    with pytest.raises(GuardError, match="pixels of 9 of 10 images"):
        guards.check_pixels(batch, 10)
    batch["pixel_values"] = batch["pixel_values"][:-1]
    with pytest.raises(GuardError, match="patches of pixels"):
        guards.check_pixels(batch, 9)


def test_pixels_that_are_no_numbers_are_found(
    loaded: vlm.Loaded, some: list[dict[str, Any]]
) -> None:
    batch = collated(loaded, some)
    batch["pixel_values"][0, 0] = torch.nan
    with pytest.raises(GuardError, match="no numbers"):
        guards.check_pixels(batch, 9)


def test_right_padding_is_found(loaded: vlm.Loaded) -> None:
    guards.check_padding(loaded.processor)
    loaded.processor.tokenizer.padding_side = "right"
    with pytest.raises(GuardError, match="pads on the right"):
        guards.check_padding(loaded.processor)


@pytest.mark.parametrize("length", [20, 60, 200])
def test_truncation_is_found(loaded: vlm.Loaded, some: list[dict[str, Any]], length: int) -> None:
    batch = collated(loaded, some)
    assert batch["input_ids"].shape[1] > length
    for name in ("input_ids", "labels"):
        batch[name] = batch[name][:, :length]

    def check() -> None:
        guards.check_alignment(batch, IMAGES, loaded.processor)
        guards.check_learned(batch, replies(some), loaded.processor)

    with pytest.raises(GuardError):
        check()


def test_placeholders_of_another_row_are_found(
    loaded: vlm.Loaded, some: list[dict[str, Any]]
) -> None:
    batch = collated(loaded, some)
    guards.check_alignment(batch, IMAGES, loaded.processor)
    with pytest.raises(GuardError, match="cut off or shifted"):
        guards.check_alignment(batch, [4, 2, 3], loaded.processor)
    batch["input_ids"] = batch["input_ids"].roll(1, 0)
    with pytest.raises(GuardError, match="row 0 has"):
        guards.check_alignment(batch, IMAGES, loaded.processor)


def test_joined_images_are_found(loaded: vlm.Loaded, some: list[dict[str, Any]]) -> None:
    batch = collated(loaded, some[:1])
    ids = batch["input_ids"][0]
    image = ids == loaded.processor.image_token_id
    # The same tokens without the text between the images.
    batch["input_ids"] = torch.cat([ids[image], ids[~image]])[None]
    with pytest.raises(GuardError, match="text between images"):
        guards.check_alignment(batch, IMAGES[:1], loaded.processor)


def test_a_loss_on_the_prompt_is_found(loaded: vlm.Loaded, some: list[dict[str, Any]]) -> None:
    batch = collated(loaded, some, completion_only=False)
    with pytest.raises(GuardError, match="is learned instead of the reply"):
        guards.check_learned(batch, replies(some), loaded.processor)


def test_a_reply_that_is_cut_is_found(loaded: vlm.Loaded, some: list[dict[str, Any]]) -> None:
    batch = collated(loaded, some)
    learned = (batch["labels"][0] != guards.IGNORED).nonzero().flatten()
    batch["labels"][0, learned[-5:]] = guards.IGNORED
    with pytest.raises(GuardError, match="is learned instead of the reply"):
        guards.check_learned(batch, replies(some), loaded.processor)


def test_a_template_that_changes_replies_is_found(
    loaded: vlm.Loaded, some: list[dict[str, Any]]
) -> None:
    """As Thinking models' templates do, which take think texts out, or add empty ones."""
    template = loaded.processor.chat_template
    assert "{{ part.text }}" in template
    loaded.processor.chat_template = template.replace(
        "{{ part.text }}", "{{ part.text.split('</think>')[-1] }}"
    )
    with pytest.raises(GuardError, match="templates that change replies"):
        collated(loaded, some)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{{ part.text }}", "{{ part.text.split('</think>')[-1] }}"),
        ("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}"),
    ],
)
def test_a_template_that_begins_or_changes_replies_is_refused_for_rewards(
    rows: Path, tiny_folders: dict[str, Path], tmp_path: Path, old: str, new: str
) -> None:
    loaded = vlm.load(tiny_folders["qwen3_vl"])
    guards.check_template(loaded.processor)
    template = loaded.processor.chat_template
    assert template.count(old) == 1
    changed = template.replace(old, new)
    loaded.processor.chat_template = loaded.processor.tokenizer.chat_template = changed
    with pytest.raises(GuardError, match="begins or changes replies"):
        guards.check_template(loaded.processor)
    vlm.save(loaded.model, loaded.processor, tmp_path / "thinking")
    preset = presets.load("tiny-cpu", [f"model.name={tmp_path / 'thinking'}", "grpo.steps=1"])
    with pytest.raises(GuardError, match="begins or changes replies"):
        fitting.fit(grpo.job([rows], preset, tmp_path))


@pytest.mark.parametrize("end", ["<|im_end|>", "<|im_end|>\n"])
def test_the_families_own_forms_of_templates_pass(
    loaded: vlm.Loaded, some: list[dict[str, Any]], end: str
) -> None:
    """With a default system prompt, and with or without a line break after a turn."""
    system = "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    template = loaded.processor.chat_template.replace("<|im_end|>\n", end)
    loaded.processor.chat_template = system + template
    guards.check_template(loaded.processor)
    batch = collated(loaded, some)
    text = loaded.processor.tokenizer.decode(batch["input_ids"][0], skip_special_tokens=True)
    assert "You are a helpful assistant." in text


def test_a_model_that_does_not_see_is_found(
    loaded: vlm.Loaded, some: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = collated(loaded, some[:1])
    del batch["rows"]
    assert guards.check_sees(loaded.model, batch) > 0
    forward = loaded.model.forward

    def blind(**inputs: Any) -> Any:
        inputs["pixel_values"] = torch.zeros_like(inputs["pixel_values"])
        return forward(**inputs)

    monkeypatch.setattr(loaded.model, "forward", blind)
    with pytest.raises(GuardError, match="pixels don't reach it"):
        guards.check_sees(loaded.model, batch)


def test_a_processor_that_is_saved_takes_images_again(tiny: Path) -> None:
    guards.check_saved(tiny)


def test_a_saved_tokenizer_alone_is_found(loaded: vlm.Loaded, tmp_path: Path) -> None:
    loaded.model.save_pretrained(tmp_path)
    loaded.processor.tokenizer.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tmp_path)
    with pytest.raises(GuardError, match="takes no images"):
        guards.check_saved(tmp_path)


def test_a_saved_template_without_images_is_found(loaded: vlm.Loaded, tmp_path: Path) -> None:
    vlm.save(loaded.model, loaded.processor, tmp_path)
    template = tmp_path / "chat_template.jinja"
    template.write_text("{% for message in messages %}{{ message.role }}{% endfor %}")
    with pytest.raises(GuardError, match="takes no images"):
        guards.check_saved(tmp_path)


def test_saved_files_name_the_real_classes(tiny: Path) -> None:
    """Elsewhere, AutoProcessor loads the family's own class, with its video processor."""
    family = json.loads((tiny / "config.json").read_text())["model_type"]
    named = json.loads((tiny / "processor_config.json").read_text())["processor_class"]
    video = json.loads((tiny / "video_preprocessor_config.json").read_text())
    wanted = {
        "qwen2_vl": ("Qwen2VLProcessor", "Qwen2VLVideoProcessor"),
        "qwen2_5_vl": ("Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor"),
        "qwen3_vl": ("Qwen3VLProcessor", "Qwen3VLVideoProcessor"),
    }
    assert (named, video["video_processor_type"]) == wanted[family]
