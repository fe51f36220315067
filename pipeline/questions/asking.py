"""Word the questions about a pair of facts: four options, one renderer, forward and reverse. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.questions.choose import Candidate
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS, Fact
from pipeline.routes.rows import Orientation

_VALUES = ((True, True), (True, False), (False, True), (False, False))
UNDO, MIXED = "_undo", "_mixed"

Statement = tuple[str, str]
"""The name and the value of one fact: `("turn:2", "left")`."""


@dataclass(frozen=True)
class Question:
    """One multiple-choice question; `statements` are the two that each option makes."""

    task: str
    stem: str
    question: str
    options: tuple[str, ...]
    answer_index: int
    statements: tuple[tuple[Statement, Statement], ...]


class Asking:
    """Words pairs of facts; letters are balanced within each task and split."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._used: Counter[tuple[str, str, int]] = Counter()

    def reserve(self, task: str, split: str, letter: int) -> None:
        """Count the letter of a question that exists already."""
        self._used[task, split, letter] += 1

    def word(
        self,
        pair: Candidate,
        key: str,
        orientation: Orientation,
        split: str,
        stems: Mapping[str, Sequence[str]],
        said: Mapping[str, str],
    ) -> Question:
        """Return the question about a pair; `key` identifies it, so that draws can't be repeated elsewhere."""
        task = f"{pair.category}_{orientation}"
        facts, stem = pair.facts, task + (MIXED if pair.contrast == "mixed" else "")
        if orientation == "reverse":
            undo = all(fact.undone for fact in facts if fact.kind == "action")
            facts = tuple(fact.back(undo=undo) for fact in facts)
            stem += UNDO if undo and pair.category == "action" else ""
        # Neither time nor the alphabet orders the two facts.
        first, second = sorted(facts, key=lambda fact: self._draw(key, "order", fact.name))
        true = (first.value, second.value)
        made = [
            (said["and"].join(_words(facts, values, said)), _stated(facts, values))
            for facts in ((first, second),)
            for values in _VALUES
        ]
        truth = made[_VALUES.index(true)]
        wrong = sorted(
            (one for one in made if one is not truth),
            key=lambda one: self._draw(key, orientation, "option", one[0]),
        )
        letter = self._letter(key, orientation, task, split)
        wrong.insert(letter, truth)
        wordings = stems[stem]
        return Question(
            task=task,
            stem=stem,
            question=wordings[self._draw(key, orientation, "stem") % len(wordings)],
            options=tuple(text for text, _ in wrong),
            answer_index=letter,
            statements=tuple(stated for _, stated in wrong),
        )

    def _letter(self, key: str, orientation: str, task: str, split: str) -> int:
        used = [self._used[task, split, index] for index in range(4)]
        least = [index for index in range(4) if used[index] == min(used)]
        letter = least[self._draw(key, orientation, "letter") % len(least)]
        self.reserve(task, split, letter)
        return letter


def _words(
    facts: tuple[Fact, Fact], values: tuple[bool, bool], said: Mapping[str, str]
) -> list[str]:
    return [
        KINDS[fact.kind].words(fact, value, said) for fact, value in zip(facts, values, strict=True)
    ]


def _stated(facts: tuple[Fact, Fact], values: tuple[bool, bool]) -> tuple[Statement, Statement]:
    one, other = (
        (fact.name, fact.values[not value]) for fact, value in zip(facts, values, strict=True)
    )
    return one, other
