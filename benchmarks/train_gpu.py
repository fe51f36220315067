"""Memory and seconds per step of the preset `7b-1gpu` on this machine's GPU, with random weights.

    python benchmarks/train_gpu.py FOLDER [--part checkpoint|sft|grpo]

Runs in an environment with torch, on a machine with a GPU of 80 GB; nothing is downloaded. The weights of Qwen2.5-VL-7B's
shape (presets/models/) are drawn at random and written to FOLDER (16 GB). The tokenizer is one of 1,000 words, so rows are
made as long as those of a release: 96 frames of 320 x 180 pixels and a think text. Random weights never end a completion, so each has the longest length: GRPO's times are upper ends.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
import transformers
from PIL import Image

from pipeline.tuning import fitting, grpo, presets, sft, vlm
from pipeline.tuning.tiny import make_tiny

CONFIG = Path(__file__).parent.parent / "presets" / "models" / "qwen2.5-vl-7b.json"
_FRAMES, _WIDTH, _HEIGHT = 96, 320, 180
_ROWS = 16


def checkpoint(folder: Path) -> None:
    """Write a model of the 7B's shape with random weights, and a tokenizer learned from the rows' texts."""
    texts = [json.dumps(row) for row in _rows(folder)]
    make_tiny(folder / "tiny", texts)
    processor = vlm.processor(folder / "tiny")
    config = transformers.Qwen2_5_VLConfig.from_json_file(str(CONFIG))
    known = dict(processor.tokenizer.get_vocab())
    for name, token in (
        ("image", "image_pad"),
        ("video", "video_pad"),
        ("vision_start", "vision_start"),
        ("vision_end", "vision_end"),
    ):
        setattr(config, f"{name}_token_id", known[f"<|{token}|>"])
    config.text_config.eos_token_id = known["<|im_end|>"]
    config.text_config.bos_token_id = None
    began = time.monotonic()
    with torch.device("meta"):
        model = transformers.Qwen2_5_VLForConditionalGeneration(config).to(torch.bfloat16)
    model = model.to_empty(device="cuda")
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.data.fill_(1)
        elif name.endswith("bias"):
            weight.data.zero_()
        else:
            weight.data.normal_(0, 0.02)
    vlm.save(model, processor, folder / "7b")
    count = sum(one.numel() for one in model.parameters())
    print(f"checkpoint: {count / 1e9:.2f} G parameters in {time.monotonic() - began:.0f} s")


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Return rows as long as those of a release, and write their frames."""
    chance = np.random.default_rng(0)
    media = folder / "media"
    media.mkdir(parents=True, exist_ok=True)
    lists = "\n".join(
        f"- {at}.0 s to {at + 2}.5 s: landmark: the old stairs" for at in range(0, 40, 3)
    )
    found = []
    for number in range(_ROWS):
        images = []
        for frame in range(_FRAMES):
            path = media / f"{number}-{frame}.jpg"
            if not path.is_file():
                small = chance.integers(0, 255, (9, 16, 3), dtype=np.uint8)
                Image.fromarray(small).resize((_WIDTH, _HEIGHT)).save(path)
            images.append(str(path.resolve()))
        asked: list[dict[str, Any]] = []
        for frame in range(_FRAMES):
            asked += [
                {"type": "text", "text": f"Frame {frame + 1}, at {frame / 2.5:.1f} s:"},
                {"type": "image", "text": None},
            ]
        asked.append(
            {
                "type": "text",
                "text": "Which of these is true of the clip?\nA. one\nB. two\nC. three\nD. four",
            }
        )
        reply = (
            f"<think>\nI look.\nForward:\n{lists}\nBackward:\n{lists}\n</think>\n<answer>A</answer>"
        )
        turns = [
            {"kind": "turn", "subject": at, "values": ["left", "left", "right", "right"]}
            for at in (1, -1)
        ]
        solution = {
            "id": f"row-{number}",
            "format": "mcq",
            "orientation": "forward",
            "answer": "A",
            "options": 4,
            "facts": turns,
            "undone": False,
            "happenings": [],
        }
        found.append(
            {
                "id": f"row-{number}",
                "prompt": [{"role": "user", "content": asked}],
                "completion": [{"role": "assistant", "content": [{"type": "text", "text": reply}]}],
                "images": images,
                "solution": json.dumps(solution),
                "weight": 1.0,
            }
        )
    return found


def write_rows(folder: Path) -> None:
    """Write the rows in TRL's form."""
    (folder / "trl").mkdir(parents=True, exist_ok=True)
    rows = _rows(folder)
    (folder / "trl" / "sft_think.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        del row["completion"]
    (folder / "trl" / "grpo.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def measure(stage: str, folder: Path, overrides: list[str]) -> None:
    """Make a few steps of a stage, and print memory and seconds."""
    preset = presets.load("7b-1gpu", [f"model.name={json.dumps(str(folder / '7b'))}", *overrides])
    out = folder / "runs"
    shutil.rmtree(out, ignore_errors=True)
    job = (sft.job if stage == "sft" else grpo.job)([folder], preset, out)
    torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    loaded = fitting.load(job)
    print(
        f"{stage}: loaded in {time.monotonic() - began:.0f} s, {torch.cuda.memory_allocated() / 2**30:.1f} GiB",
        flush=True,
    )
    job.run.folder.mkdir(parents=True)
    job.run.write(seconds=0.0)
    trainer = job.trainer(job, loaded, lambda done, total: None)
    trainer.args.save_strategy = "no"
    trainer.train()
    print(f"{stage}: settings {' '.join(overrides)}")
    for line in job.run.metrics.read_text().splitlines():
        step = json.loads(line)
        del step["rows"]
        print(f"{stage}: {json.dumps(step)}")
    print(
        f"{stage}: peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB allocated, {torch.cuda.max_memory_reserved() / 2**30:.1f} GiB reserved, {torch.cuda.get_device_name(0)}",
        flush=True,
    )


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=("checkpoint", "sft", "grpo"), action="append")
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.NAME=VALUE")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("train_gpu: not measured: there is no GPU here")
        return
    write_rows(given.folder)
    for part in given.part or ("checkpoint", "sft", "grpo"):
        if part == "checkpoint":
            checkpoint(given.folder)
        else:
            measure(part, given.folder, given.set)


if __name__ == "__main__":
    main()
