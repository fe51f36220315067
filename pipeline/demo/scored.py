"""The demonstration of `egost evaluate`: two scripts scored on the release of a demo workspace."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from pipeline.demo.scripted_models import BLIND, SEER, serving
from pipeline.demo.scripted_words import Walks
from pipeline.demo.story import VERSION
from pipeline.engine.folder import WorkspaceFolder
from pipeline.evaluate.evaluation import Evaluation, Options
from pipeline.evaluate.in_words import InWords, JudgeOptions
from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.score import compare_folders
from pipeline.models.settings import EvaluatedModel
from pipeline.releases.reading import open_release
from pipeline.report.results_page import write_results_page

WALKS, TRAIN = 12, 6  # rows for training need 4 walks, and not every walk gives some
_ARMS = ("frames", "blind", "blank")


def score(folder: WorkspaceFolder) -> Iterator[str]:
    """Score both scripts on the demo's release, compare them, and yield the lines to print."""
    release = folder.releases / f"v{VERSION}"
    released = open_release(release)
    out = folder.root / "results"
    questions, _ = questions_of(released)
    found: list[Path] = []
    with serving(questions, Walks(open_items(released), release)) as url:
        yield "evaluate: two scripts instead of models, behind a server on this machine"
        options = Options(arms=_ARMS)
        evaluation = Evaluation(released, options, out)
        in_words = InWords(released, options, evaluation, JudgeOptions(), out)
        for name in (SEER, BLIND):
            settings = EvaluatedModel.model_validate({"model": name, "base_url": url})
            done = evaluation.run(settings)
            yield f"--- {name} ---"
            spoken = in_words.run(settings, done.folder, lambda _: nullcontext(_no_progress))
            yield from (*done.lines, *spoken.lines, str(done))
            found.append(done.folder)
    yield "--- compared ---"
    yield from compare_folders(found, "frames", anyway=False)
    page = write_results_page(found, released)
    yield f"results: every item with both scripts' replies: {page}"
    yield "score a model of your own with:"
    yield f"  egost evaluate {release} --model NAME --base-url http://127.0.0.1:8000/v1"


def _no_progress(done: int, total: int) -> None:
    """Show nothing: the scripts answer within seconds."""
