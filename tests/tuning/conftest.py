"""Fixtures for tests with torch, on one thread: rows of a few frames, and tiny models of the real architectures."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

import datasets
import made_rows
import torch
import transformers

from pipeline.training import formats
from pipeline.tuning import vlm
from pipeline.tuning.tiny import make_tiny

datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()

# TRL 1.16 and accelerate use names that transformers and torch have replaced.
_OLD = (
    ".*gradient_checkpointing.* is deprecated",
    "`use_cache=True` is incompatible with gradient checkpointing",
)


@pytest.fixture(autouse=True)
def quiet_libraries() -> Iterator[None]:
    """Warnings are errors, except of what other libraries do to one another."""
    with warnings.catch_warnings():
        for text in _OLD:
            warnings.filterwarnings("ignore", text)
        yield


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """More threads wait for one another: tiny models are slower with them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of training rows with a few frames each."""
    folder = tmp_path_factory.mktemp("rows")
    made = made_rows.with_frames(made_rows.mixed(), folder)
    assert not formats.write(made, folder, ["trl"]).refused
    return folder


@pytest.fixture(scope="session", params=["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def tiny(
    request: pytest.FixtureRequest, rows: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A tiny model of each family, saved with its processor."""
    folder = tmp_path_factory.mktemp(request.param)
    text = (rows / "trl" / "sft_think.jsonl").read_text(encoding="utf-8")
    make_tiny(folder, text.splitlines(), request.param)
    return folder


@pytest.fixture
def loaded(tiny: Path) -> vlm.Loaded:
    """A tiny model of each family."""
    return vlm.load(tiny)


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return tiny models, by family, whose replies differ with every token and pixel of the prompt.

    As they are made, they repeat the prompt's last token, whatever they see: such replies would be equal anyway.
    """
    root = tmp_path_factory.mktemp("tiny")
    texts = ["In the frames, what is on the left? A: the red door. B: the blue stairs."] * 20
    for family in vlm.FAMILIES:
        make_tiny(root / "made" / family, texts, family)
        made = vlm.load(root / "made" / family, device="cpu")
        torch.manual_seed(0)
        with torch.no_grad():
            for weight in made.model.parameters():
                if weight.dim() > 1:
                    weight.add_(torch.randn_like(weight), alpha=0.2)
        vlm.save(made.model, made.processor, root / family)
    return {family: root / family for family in vlm.FAMILIES}
