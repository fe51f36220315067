"""Load training rows as TRL's trainers do, from another folder: python check_trl_rows.py ROWS.

Of the rows for SFT, a batch is collated with TRL's own collator. Training itself isn't tried here.
"""

import os
import sys
import tempfile
from pathlib import Path

rows = Path(sys.argv[1]).resolve()
os.chdir(tempfile.mkdtemp())
sys.path.insert(0, str(rows))

import egost_rewards  # noqa: E402
from datasets import load_dataset  # noqa: E402
from PIL import Image  # noqa: E402
from tiny_processor import tiny_processor  # noqa: E402
from trl import GRPOConfig  # noqa: E402
from trl.data_utils import is_conversational, prepare_multimodal_messages  # noqa: E402
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling  # noqa: E402

loaded = {
    path.stem: load_dataset("json", data_files=str(path), split="train", cache_dir="cache")
    for path in sorted((rows / "trl").glob("*.jsonl"))
}
processor = tiny_processor()
for name, dataset in loaded.items():
    for row in dataset:
        assert is_conversational(row)
        assert all(Image.open(path).size[0] > 0 for path in row["images"])
        turns = [*row["prompt"], *row.get("completion", [])]
        parts = prepare_multimodal_messages(turns, images=row["images"])[0]["content"]
        shown = [part["image"] for part in parts if part["type"] == "image"]
        assert shown == row["images"], name
    row["images"] = row["images"][:-1]
    try:
        prepare_multimodal_messages(row["prompt"], images=row["images"])
    except ValueError:
        continue
    raise AssertionError(f"{name}: TRL takes a row whose image is missing")
# SFTTrainer sets this for rows with prompt and completion.
collate = DataCollatorForVisionLanguageModeling(
    processor, max_length=None, completion_only_loss=True
)
some = [loaded["sft_think"][at] for at in range(2)]
batch = collate([dict(row) for row in some])
images = sum(len(row["images"]) for row in some)
assert batch["image_grid_thw"].shape == (images, 3)
assert batch["pixel_values"].std() > 0
for ids, labels, row in zip(batch["input_ids"], batch["labels"], some, strict=True):
    learned = processor.tokenizer.decode(ids[labels != -100])
    assert (
        learned.removesuffix("\n").removesuffix("<|im_end|>")
        == row["completion"][0]["content"][0]["text"]
    )
for row in loaded["sft_nothink"]:
    reply = [{"role": "assistant", "content": row["completion"][0]["content"]}]
    words = egost_rewards.json.loads(row["solution"])["format"] == "open"
    assert egost_rewards.paper([reply], solution=[row["solution"]], prompts=[""]) == [
        None if words else 1.0
    ]
assert (
    GRPOConfig.__dataclass_fields__["remove_unused_columns"].default is False
)  # rewards see `solution`
counts = ", ".join(f"{len(dataset)} {name}" for name, dataset in loaded.items())
print(f"trl: {counts}; a batch of {images} images, of which only the replies are learned")  # noqa: T201
