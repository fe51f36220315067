"""The items that are answered in words, from asking to judging: what `egost evaluate` does after the others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.evaluate.describing import OpenEvaluation
from pipeline.evaluate.evaluation import Evaluation, Options
from pipeline.evaluate.item_files import ItemFile
from pipeline.evaluate.judging import Judges
from pipeline.evaluate.metrics import Covered
from pipeline.evaluate.results import release_digest
from pipeline.models.estimate import Estimate
from pipeline.models.settings import EvaluatedModel, JudgeModel
from pipeline.releases.reading import Released

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Opens a progress bar with a label."""
_NOBODY = "note: no judge is asked: no item answered in words is asked here whose answer is known"


@dataclass(frozen=True)
class JudgeOptions:
    """Who scores descriptions, by which rubrics, how often; nobody by default."""

    judges: Sequence[JudgeModel] = ()
    rubrics: Sequence[str] = ("ours",)
    repeats: int = 3


@dataclass(frozen=True)
class Spoken(Covered):
    """What came of one model's descriptions; `coverage` is the lowest of the model and its judges.

    `error` is the most frequent reason why requests got no reply; `unjudged` is why a judge can't be asked at all.
    """

    coverage: float = 1.0
    lines: Sequence[str] = ()
    error: str | None = None
    unjudged: UserError | None = None


class InWords:
    """The open items of a release, and the judges of what models say of them; read once for all models."""

    def __init__(
        self,
        released: Released | ItemFile,
        options: Options,
        whole: Evaluation,
        judging: JudgeOptions,
        out: Path,
    ) -> None:
        """Read the open items of the splits that `whole` asks; `out` is the folder for results."""
        self._open = OpenEvaluation(released, options, whole)
        self._judged = bool(judging.judges)
        self._judges = Judges(
            judging.judges,
            judging.rubrics,
            judging.repeats,
            self._open.items.known.values(),
            release_digest(released),
            out,
        )

    def estimates(self, settings: EvaluatedModel, folder: Path) -> Iterator[Estimate]:
        """Yield what the model's requests may cost, then those of each judge; nothing is sent."""
        yield self._open.estimate(settings, folder)
        if self._judged and (expected := self._open.expected(folder)):
            yield from self._judges.estimate(self._open.known, expected)

    def run(self, settings: EvaluatedModel, folder: Path, bar: Bar) -> Spoken:
        """Ask one model, have its descriptions judged, and write both to its results folder."""
        if not self._open.requests:
            return Spoken(lines=[_NOBODY] if self._judged else [])
        try:
            with bar(f"{settings.model}, in words") as progress:
                said = self._open.run(settings, folder, progress)
        except (
            UserError
        ) as error:  # the server can't be asked any more: what was asked before stands
            return Spoken(0.0, (), f"{error.where}: {error.what}")
        if not self._judged:
            return Spoken(said.coverage, said.lines, said.error)
        if not said.items:
            return Spoken(said.coverage, [*said.lines, _NOBODY], said.error)
        try:
            with bar("judges") as progress:
                judged = self._judges.run(folder, said, progress)
        except UserError as error:  # the descriptions stand, and other models can still be asked
            return Spoken(said.coverage, said.lines, said.error, error)
        coverage = min(said.coverage, judged.coverage)
        return Spoken(coverage, [*said.lines, *judged.lines], said.error or judged.error)
