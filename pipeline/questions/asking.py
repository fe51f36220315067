"""Word the questions about a pair of facts: four options, one renderer, forward and reverse. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.questions.candidates import Candidate
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS, Fact
from pipeline.routes.rows import Orientation
from pipeline.routes.tasks import MIXED, UNDO

_VALUES = ((True, True), (True, False), (False, True), (False, False))

Statement = tuple[str, str]
"""The name and the value of one fact: `("turn:2", "left")`."""


@dataclass(frozen=True)
class Question:
    """One multiple-choice question about two `facts`; `statements` are the two that each option makes."""

    task: str
    facts: tuple[Fact, Fact]
    stem: str
    question: str
    options: tuple[str, ...]
    answer_index: int
    statements: tuple[tuple[Statement, Statement], ...]


class Letters:
    """Chooses the letters of answers, evenly within each task and split."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._used: Counter[tuple[str, str, int]] = Counter()

    def reserve(self, task: str, split: str, letter: int) -> None:
        """Count the letter of a question that exists already."""
        self._used[task, split, letter] += 1

    def next(self, task: str, split: str, *key: str) -> int:
        """Return the answer's place among four options: one of the least used, drawn by the secret."""
        used = [self._used[task, split, index] for index in range(4)]
        fewest = min(used)
        least = [index for index in range(4) if used[index] == fewest]
        letter = least[self._draw(*key, "letter") % len(least)]
        self.reserve(task, split, letter)
        return letter


class Asking:
    """Words pairs of facts."""

    def __init__(self, draw: Draw) -> None:
        self.letters = Letters(draw)
        self._draw = draw

    def word(
        self,
        pair: Candidate,
        key: str,
        orientation: Orientation,
        split: str,
        stems: Mapping[str, Sequence[str]],
        said: Mapping[str, str],
        letter: int | None = None,
    ) -> Question:
        """Return the question about a pair; `key` identifies it, so that draws can't be repeated elsewhere.

        Without a `letter`, it is one of those that are the answer least often in the task and split.
        """
        task = f"{pair.category}_{orientation}"
        facts, stem = pair.facts, task + (MIXED if pair.contrast == "mixed" else "")
        if orientation == "reverse":
            undo = all(fact.undone for fact in facts if fact.kind == "action")
            facts = (facts[0].back(undo=undo), facts[1].back(undo=undo))
            stem += UNDO if undo and pair.category == "action" else ""
        # Neither time nor the alphabet orders the two facts.
        first, second = sorted(facts, key=lambda fact: self._draw(key, "order", fact.name))
        true = (first.value, second.value)
        ways = [_both(first, said), _both(second, said)]
        made = [
            (
                f"{ways[0][one][0]}{said['and']}{ways[1][other][0]}",
                (ways[0][one][1], ways[1][other][1]),
            )
            for one, other in _VALUES
        ]
        truth = made[_VALUES.index(true)]
        wrong = sorted(
            (one for one in made if one is not truth),
            key=lambda one: self._draw(key, orientation, "option", *map("=".join, one[1])),
        )
        if letter is None:
            letter = self.letters.next(task, split, key, orientation)
        wrong.insert(letter, truth)
        wordings = stems[stem]
        return Question(
            task=task,
            facts=(first, second),
            stem=stem,
            question=wordings[self._draw(key, orientation, "stem") % len(wordings)],
            options=tuple(text for text, _ in wrong),
            answer_index=letter,
            statements=tuple(stated for _, stated in wrong),
        )


def _both(fact: Fact, said: Mapping[str, str]) -> dict[bool, tuple[str, Statement]]:
    """Return how each value of a fact is worded and stated."""
    kind, name, values = KINDS[fact.kind], fact.name, fact.values
    return {
        value: (kind.words(fact, value, said), (name, values[not value])) for value in (True, False)
    }
