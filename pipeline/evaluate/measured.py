"""What a model got, next to what costs nothing and to people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.evaluate.baselines import Baselines, Human
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.metrics import ArmMetrics, Metrics, summarise
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rules import RULES, STRICT
from pipeline.evaluate.scoring import Question, Scored, scored
from pipeline.evaluate.table import table


@dataclass(frozen=True)
class Measured:
    """The metrics of a model, next to the baselines that cost nothing and to people."""

    results: Sequence[Scored]
    metrics: Metrics
    baselines: Mapping[str, ArmMetrics]
    human: Human | None
    notes: Sequence[str]
    parser: str
    strictly: Mapping[
        str, ArmMetrics
    ]  # the arms as the strict parser reads them, beside another one

    @classmethod
    def of(
        cls,
        questions: Sequence[Question],
        predictions: Sequence[Prediction],
        free: Baselines,
        least: int = 0,
        parser: str = STRICT,
        strictly: Sequence[Prediction] = (),
    ) -> "Measured":
        """Score predictions for questions with known answers, as `parser` read them.

        For another one than the strict parser, `strictly` has the same predictions as that reads them.
        """
        judged = partial(summarise, questions, least=least)
        found = scored(questions, predictions)
        return cls(
            found,
            judged(found),
            judged(scored(questions, free.predictions)).arms,
            free.human,
            free.notes,
            parser,
            judged(scored(questions, strictly)).arms if strictly else {},
        )

    def lines(self) -> list[str]:
        """Return everything as a table for the terminal."""
        people = self.human.accuracy[ALL][ALL] if self.human else None
        strictly = {f"{arm}, read strictly": one for arm, one in self.strictly.items()}
        label = [] if self.parser == STRICT else [f"read by {RULES[self.parser]}"]
        return [*label, *table(self.metrics, {**strictly, **self.baselines}, people, self.notes)]
