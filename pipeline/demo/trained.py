"""The demonstration of training, without a GPU: a toy task that a tiny model learns, and the whole path from a release to a proof.

The toy task shows that training works. On the release's rows, a tiny model with random weights learns next to nothing within
minutes; they show that every step works on real rows.
"""

import time
from collections.abc import Iterator, Mapping

from pipeline.demo.story import VERSION
from pipeline.engine.folder import WorkspaceFolder
from pipeline.releases.reading import open_release
from pipeline.training.make import Options, RowMaker
from pipeline.tuning import toy_scores, vlm
from pipeline.tuning.recipe import Recipe, prove
from pipeline.tuning.toy import Toy, make_toy

PRESET = "tiny-cpu"
# On the release's rows, only as long as it takes to see that it works.
_BRIEFLY = (
    "sft.steps=12", "sft.rows_per_step=4", "sft.batch=4",
    "grpo.steps=4", "grpo.prompts_per_step=2", "grpo.batch=16", "model.most_frames=16",
)  # fmt: skip
_ITEMS = 16


class _Clock:
    """How long each part took, in seconds."""

    def __init__(self) -> None:
        self._last, self.parts = time.monotonic(), dict[str, float]()

    def lap(self, name: str) -> None:
        """Count the time since the last call for this part."""
        now = time.monotonic()
        self.parts[name] = self.parts.get(name, 0) + now - self._last
        self._last = now


def train(folder: WorkspaceFolder) -> Iterator[str]:
    """Train on the toy task and on the demo's release, and yield the lines to print; finished parts aren't made again."""
    clock, root = _Clock(), folder.root
    toy = make_toy(root / "toy")
    clock.lap("rows")
    yield f"toy: rows about turns in tiny frames, which only the frames can answer: {toy.rows}"
    recipe = Recipe([toy.rows], PRESET, root / "runs")
    yield from recipe.run()
    clock.lap("training")
    yield from _table(recipe, toy)
    clock.lap("toy test")
    release = folder.releases / f"v{VERSION}"
    options = Options(videos=(root / "videos",), fps=3.0, pixels=64)
    made = RowMaker(open_release(release), options, root / "rows").run()
    yield from made.lines()
    clock.lap("rows")
    brief = Recipe([made.folder], PRESET, root / "runs", _BRIEFLY)
    yield from brief.run()
    clock.lap("training")
    yield from prove(
        brief, release, root / "proof", ("--items", str(_ITEMS), "--image-pixels", "64")
    )
    clock.lap("proof")
    yield "; ".join(f"{name} {seconds:.0f} s" for name, seconds in clock.parts.items())


def _table(recipe: Recipe, toy: Toy) -> Iterator[str]:
    """Yield a table of how often each model is right on the toy's test rows, with frames and with grey ones."""
    first = recipe.sft()
    second = recipe.grpo(first)
    models = {"before": first.record["model"], "SFT": first.model, "GRPO": second.model}
    rows = toy_scores.read_rows(toy.test)
    yield f"toy: {len(rows)} test rows, chance .25      all  forward  reverse  grey frames"
    for name, model in models.items():
        loaded = vlm.load(model)
        seen, grey = (toy_scores.exact(loaded, rows, blank=blank) for blank in (False, True))
        yield f"  {name:<38}" + _figures(seen, grey)
    yield f"curves: {first.folder / 'curves.png'} {second.folder / 'curves.png'}"


def _figures(seen: Mapping[str, float], grey: Mapping[str, float]) -> str:
    figures = [seen["all"], seen["forward"], seen["reverse"], grey["all"]]
    widths = (5, 9, 9, 13)
    return "".join(f"{one:{width}.2f}" for one, width in zip(figures, widths, strict=True))
