"""A run's curves are drawn as one picture, whatever its metrics lack."""

import math
from pathlib import Path

import pytest
from made_run import grpo_steps, make_run, sft_steps
from PIL import Image

from pipeline.errors import UserError
from pipeline.tuning.curves import draw


def colours(path: Path) -> set[object]:
    with Image.open(path) as picture:
        counted = picture.convert("RGB").getcolors(picture.width * picture.height)
    assert counted
    return {colour for _, colour in counted}


@pytest.mark.parametrize(
    "steps",
    [
        grpo_steps(),
        sft_steps(),
        grpo_steps(1),
        sft_steps(1),
        grpo_steps(change=lambda share: {"loss": math.nan, "kl": None, "rewards": None}),
        grpo_steps(change=lambda share: {"rewards": {"$x_{": 1.0, "y" * 99: -1.0}}),
        [{"step": 5, "loss": 9e99}, {"step": 900_000, "loss": -9e99}],
        [{"step": 1, "loss": 1.7e308}, {"step": 2, "loss": 1}],
    ],
)
def test_a_picture_of_1200_pixels_is_drawn(tmp_path: Path, steps: list[dict[str, object]]) -> None:
    run = make_run(tmp_path / "run", steps, tail='{"step": 61, "lo')
    path = draw(run)
    assert path == run / "curves.png"
    with Image.open(path) as picture:
        assert picture.size[0] == 1200
    assert (47, 111, 222) in colours(path)  # the smoothed lines' blue
    assert sorted(one.name for one in run.iterdir()) == ["curves.png", "metrics.jsonl", "run.json"]


def test_a_run_without_record_is_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", sft_steps())
    (run / "run.json").write_text("[")
    assert draw(run).stat().st_size > 10_000


def test_nothing_to_draw_is_told(tmp_path: Path) -> None:
    for number, steps in enumerate(([], [{"step": 1, "loss": None}])):
        with pytest.raises(UserError, match="has no metrics"):
            draw(make_run(tmp_path / str(number), steps))
