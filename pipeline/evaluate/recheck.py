"""Results computed again from their replies: read anew by the parser, scored with a release's own answers. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from pipeline.evaluate.described import as_description
from pipeline.evaluate.described import summarise as summarise_open
from pipeline.evaluate.metrics import Metrics, summarise
from pipeline.evaluate.open_rows import OpenItem
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rules import read
from pipeline.evaluate.scoring import Question, scored
from pipeline.routes.told import Vocabulary

_ROUNDED = 2e-4  # figures are stored with four places


@dataclass(frozen=True)
class Rechecked:
    """What replies amount to here, and what stored results say otherwise: nothing, if they are right.

    `letters` counts predictions whose stored letter or outcome isn't that of their reply.
    """

    metrics: Metrics
    letters: int
    differing: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether the stored results are what the replies amount to."""
        return not self.letters and not self.differing


def recheck(
    questions: Sequence[Question], predictions: Sequence[Prediction], stored: Mapping[str, Any]
) -> Rechecked:
    """Read and score replies anew, and compare with the `stored` metrics of a results.json.

    All questions have an answer, and every prediction is for one of them.
    """
    known = {question.id: question for question in questions}
    again = [reread(one, known[one.id]) for one in predictions]
    metrics = summarise(questions, scored(questions, again))
    changed = sum(
        (one.letter, one.outcome) != (now.letter, now.outcome)
        for one, now in zip(predictions, again, strict=True)
    )
    return Rechecked(metrics, changed, tuple(differences(stored, metrics.to_json())))


def recheck_open(
    known: Mapping[str, OpenItem],
    vocabulary: Vocabulary,
    predictions: Sequence[Prediction],
    stored: Mapping[str, Any],
) -> tuple[str, ...]:
    """Return the names of `stored` figures of descriptions that aren't what the replies amount to here.

    Descriptions of items that aren't `known` are left out.
    """
    made = [as_description(one) for one in predictions if one.id in known]
    asked = [known[id_] for id_ in dict.fromkeys(one.id for one in made)]
    computed = summarise_open(asked, made, vocabulary).to_json()
    kept = {name: value for name, value in stored.items() if name in computed}
    return tuple(differences(kept, computed))


def reread(one: Prediction, question: Question) -> Prediction:
    """Return a prediction with what its reply says now; a letter without any reply is unreadable.

    A failed request that has no reply stays one.
    """
    if one.outcome == "failed" and one.reply is None:
        return one
    return read(one.model_copy(update={"letter": None, "outcome": "unreadable"}), question)


def differences(stored: object, computed: object, path: str = "") -> Iterator[str]:
    """Yield the names of stored figures that aren't what was computed, such as `arms.frames.accuracy.all.all.value`.

    Figures that were not stored, since an earlier version didn't compute them, don't differ.
    """
    if isinstance(stored, Mapping) and isinstance(computed, Mapping):
        for name, value in stored.items():
            yield from differences(value, computed.get(name), f"{path}.{name}" if path else name)
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for number, (one, other) in enumerate(zip(stored, computed, strict=True)):
            yield from differences(one, other, f"{path}.{number}")
    elif not _same(stored, computed):
        yield path


def _same(one: object, other: object) -> bool:
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(other, numbers):
        return isclose(one, other, rel_tol=1e-6, abs_tol=_ROUNDED)
    return one == other
