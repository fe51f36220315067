"""What the reference's training learns without a frame: on items that leak, and on items that don't.

    python benchmarks/blind_training.py [PICTURE]

The preset `paper` with `--blind`, as the reference was trained, at toy scale: a tiny Qwen2-VL with random weights on the toy
task. In leaky rows, the place that the question names gives away nine of ten answers; in fair ones, nothing does. Accuracy
is that on held-out rows, without frames. Needs the extra `train`; draws docs/blind-training.png.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from pipeline.tuning import examples, fitting, presets, sft, toy_scores, vlm
from pipeline.tuning.toy import LEAKY_SHARE, make_toy

STEPS = (10, 20, 40, 80, 120)
_TOY_SCALE = (
    "model.name='tiny:qwen2_vl'", "model.dtype='float32'", "model.zero=0", "model.threads=1",
    "sft.lora_rank=0", "sft.learning_rate=1e-3", "sft.schedule='constant_with_warmup'",
    "sft.rows_per_step=8", "sft.batch=8", "sft.checkpointing=false",
)  # fmt: skip


def accuracies(folder: Path, steps: Sequence[int], *, leaky: bool) -> Iterator[float]:
    """Yield the accuracy without frames before SFT without frames, and after so many steps of it."""
    toy = make_toy(folder, forward=256, reverse=256, other=0, leaky=leaky)
    rows = [examples.without_images(row) for row in toy_scores.read_rows(toy.test)]
    for number, count in enumerate(steps):
        preset = presets.load("paper", [*_TOY_SCALE, f"sft.steps={count}"])
        job = sft.job([toy.rows], preset, folder / "runs", blind=True)
        if not number:
            yield toy_scores.exact(vlm.load(job.model), rows)["all"]
        fitting.fit(job)
        yield toy_scores.exact(vlm.load(job.run.model), rows)["all"]


def main() -> None:
    """Train on both kinds of rows, print the figures, and draw them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    torch.set_num_threads(1)
    named = sys.argv[1:] or [str(Path(__file__).parent.parent / "docs" / "blind-training.png")]
    picture = Path(named[0])
    figure = Figure(figsize=(7, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for leaky, name, colour in (
        (True, f"leaky rows: the question gives away {LEAKY_SHARE:.0%} of the answers", "#c8551d"),
        (False, "fair rows: nothing gives an answer away", "#2f6fde"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            found = list(accuracies(Path(folder), STEPS, leaky=leaky))
        print(
            f"{name}: "
            + ", ".join(
                f"{steps} steps {one:.3f}" for steps, one in zip((0, *STEPS), found, strict=True)
            )
        )
        axes.plot((0, *STEPS), found, marker="o", color=colour, label=name)
    axes.axhline(0.25, color="#888888", linestyle="--", linewidth=1)
    axes.text(STEPS[-1], 0.26, "chance", ha="right", color="#555555", fontsize=9)
    axes.set(
        xlabel="steps of SFT without frames",
        ylabel="accuracy without frames",
        ylim=(0, 1),
        xlim=(0, STEPS[-1]),
    )
    axes.legend(loc=(0.36, 0.5), frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture)
    print(f"blind_training: {picture}")


if __name__ == "__main__":
    main()
