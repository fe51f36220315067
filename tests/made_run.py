"""Folders of runs of training with made metrics."""

import json
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Change = Callable[[float], Mapping[str, Any]]


def grpo_steps(count: int = 60, change: Change = lambda share: {}) -> list[dict[str, Any]]:
    """Steps of a run that learns; `change` overrides metrics by the share of the run that is done."""
    noise = random.Random(0)
    steps = []
    for number in range(1, count + 1):
        share = number / count
        right = 0.25 + 0.4 * share + 0.1 * (noise.random() - 0.5)
        steps.append(
            {
                "step": number,
                "epoch": share,
                "seconds": 20 + noise.random(),
                "loss": 0.01 * (noise.random() - 0.5),
                "learning_rate": 1e-5,
                "grad_norm": 0.4,
                "tokens": 9000 * number,
                "rows": ["a"],
                "reward": right + 0.08,
                "reward_std": 0.3,
                "rewards": {"paper": right, "ours_format": 0.08},
                "length": 180 + noise.random(),
                "clipped": 0.02,
                "zero_variance": 0.2,
                "kl": 0.01,
                "ratio_clipped": 0.01,
                **change(share),
            }
        )
    return steps


def sft_steps(count: int = 60, change: Change = lambda share: {}) -> list[dict[str, Any]]:
    """Steps of a run of SFT that learns."""
    noise = random.Random(0)
    return [
        {
            "step": number,
            "epoch": number / count,
            "seconds": 1.0,
            "loss": 2 - number / count + 0.1 * noise.random(),
            "learning_rate": 1e-4 / number,
            "grad_norm": 1.0,
            "tokens": 800 * number,
            "rows": ["a"],
            "entropy": 1.0,
            "token_accuracy": 0.5 + 0.4 * number / count,
            **change(number / count),
        }
        for number in range(1, count + 1)
    ]


def make_run(
    folder: Path, metrics: Iterable[Mapping[str, Any]] = (), /, tail: str = "", **record: Any
) -> Path:
    """Write a run's folder: its metrics, then `tail` as it is, and its run.json with these changes."""
    folder.mkdir(parents=True)
    lines = [json.dumps(step) + "\n" for step in metrics]
    (folder / "metrics.jsonl").write_text("".join(lines) + tail)
    whole = {
        "stage": "grpo",
        "preset": "tiny-cpu",
        "settings": {},
        "rows": {
            "folders": ["/home/someone/rows/x-1", "rows/y-2/"],
            "sha256": "ab" * 32,
            "count": 240,
            "releases": ["x 1.0.0", "y 2.0.0"],
        },
        "model": "Qwen/Qwen2.5-VL-7B-Instruct",
        "family": "qwen2_5_vl",
        "blind": False,
        "seed": 7,
        "versions": {"python": "3.11.2", "torch": "2.13.0", "trl": "1.16.0"},
        "hardware": {
            "cpu": "x86_64",
            "cores": 16,
            "gpu": "NVIDIA H100",
            "gpus": 2,
            "memory_gib": 128.0,
        },
        "started": "2026-11-27T10:00:00Z",
        "finished": "2026-11-27T12:00:00Z",
        "steps": 60,
        "of_steps": 60,
        "seconds": 5400.0,
        "starts": 3,
        "peak_gib": 41.25,
        "price_per_hour": None,
        "parameters": 8_372_907_008,
        "trained_parameters": 80_740_352,
    }
    (folder / "run.json").write_text(json.dumps({**whole, **record}))
    return folder
