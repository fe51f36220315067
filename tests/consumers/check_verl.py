"""Load training rows with verl's own datasets, from another folder, and score replies: python check_verl.py ROWS.

Prompts longer than the limit are left out by verl without an error, and so are rows it can't read: none may be.
"""

import os
import sys
import tempfile
from pathlib import Path

rows = Path(sys.argv[1]).resolve()
os.chdir(tempfile.mkdtemp())
os.environ["HF_HOME"] = str(Path.cwd())

import pyarrow.parquet as pq  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from tiny_processor import tiny_processor  # noqa: E402
from verl.trainer.ppo.reward import get_custom_reward_fn  # noqa: E402
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset  # noqa: E402
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn  # noqa: E402
from without_torch import stand_in  # noqa: E402

# qwen_vl_utils, with which verl opens images, imports torchvision for videos alone.
WITHOUT_VIDEO = stand_in(("torchvision",))

processor = tiny_processor()
settings = OmegaConf.create(
    {"cache_dir": "cache", "max_prompt_length": 65536, "filter_overlong_prompts_workers": 1}
)
counts = []
for name in ("grpo", "grpo_words"):
    path = rows / "verl" / f"{name}.parquet"
    dataset = RLHFDataset([str(path)], processor.tokenizer, settings, processor)
    known = pq.read_table(path).to_pylist()
    assert len(dataset) == len(known)
    for at, row in enumerate(known):
        (turn,) = dataset[at]["raw_prompt"]
        shown = [part["image"] for part in turn["content"] if part["type"] == "image"]
        assert len(shown) == len(row["images"]) > 0
        images, _, _ = dataset._process_multi_modal_info([turn], 14, settings)
        assert all(image.size[0] > 0 for image in images)
        assert len(images) == len(shown)
    collate_fn([dataset[at] for at in range(2)])
    counts.append(f"{len(dataset)} {name}")
    where = {"path": str(rows / "egost_rewards.py"), "name": "compute_score"}
    reward = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": where}}))
    for at in range(len(dataset)):
        row = dataset[at]
        score = reward(
            data_source=row["data_source"],
            solution_str="<answer>A</answer>",
            ground_truth=row["reward_model"]["ground_truth"],
            extra_info=row["extra_info"],
        )
        assert score["score"] in (0.0, 1.0)
for name in ("sft_think", "sft_nothink"):
    path = rows / "verl" / f"{name}.parquet"
    options = OmegaConf.create(
        {"max_length": 131072, "truncation": "error", "pad_mode": "no_padding"}
    )
    dataset = MultiTurnSFTDataset(str(path), processor.tokenizer, options, processor)
    replies = [row["messages"][-1]["content"] for row in pq.read_table(path).to_pylist()]
    assert len(dataset) == len(replies)
    row = dataset[0]
    learned = processor.tokenizer.decode(row["input_ids"][row["loss_mask"] == 1])
    assert replies[0] in learned
    assert "Frame 1" not in learned
    counts.append(f"{len(dataset)} {name}")
how = " (without torchvision)" if WITHOUT_VIDEO else ""
print(f"verl{how}: {', '.join(counts)}; compute_score from egost_rewards.py")  # noqa: T201
