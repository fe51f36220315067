"""Scripted models whose accuracy on each fact is known: as arrays for thousands of sets, or as predictions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question
from pipeline.questions.rows import AskedFact

KNOWS = {"turn": 0.9, "landmark": 0.6}
SPREAD = 0.08  # by how much a scene makes a kind of fact easier or harder, at most
BIASED, UNREADABLE, REFUSED = 0.05, 0.05, 0.03
KINDS = (("turn", "turn"), ("turn", "landmark"), ("landmark", "landmark"))
CONTRASTS = ("turn", "mixed", "order")
_LABELS = ("right", "wrong", "unreadable", "refused")


def sizes(rng: np.random.Generator, sets: int, groups: int, mean: float) -> Any:
    """Return unequal numbers of items, (sets, groups): log-normal with sigma 0.8."""
    drawn = np.exp(rng.normal(0, 0.8, (sets, groups)) - 0.32)
    return np.maximum(1, np.round(mean * drawn)).astype(int)


@dataclass(frozen=True)
class Sets:
    """Items of many sets, padded to the same number; item arrays are (sets, items)."""

    real: Any  # whether there is such an item
    group: Any
    kind: Any  # place in KINDS
    answer: Any  # places of options: 0 to 3
    chosen: Any  # -1 if nothing was
    refused: Any
    facts: Any  # (sets, items, 2): which facts are right

    def summed(self, values: Any, groups: int) -> Any:
        """Return the sum of values of items by group, (sets, groups)."""
        sets = len(self.real)
        code = self.group + (groups + 1) * np.arange(sets)[:, None]
        found = np.bincount(code.ravel(), (self.real * values).ravel(), (groups + 1) * sets)
        return found.reshape(sets, groups + 1)[:, :groups]


def answered(rng: np.random.Generator, sets: int, groups: int, mean: float) -> Sets:
    """Return what the scripted model answers to the items of many sets.

    An option is 2 * first + second, of wrong facts, rotated so that the answer is at `answer`.
    """
    count = sizes(rng, sets, groups, mean)
    most = int(count.sum(axis=1).max())
    ends = np.cumsum(count, axis=1)
    place = np.arange(most)
    group = (place[None, :, None] >= ends[:, None, :]).sum(axis=2)
    real = place[None] < ends[:, -1:]
    kind = rng.integers(0, 3, (sets, most))
    ease = rng.uniform(-SPREAD, SPREAD, (sets, groups + 1, 2))
    sure = np.array([[KNOWS[name] for name in pair] for pair in KINDS])[kind]
    which = np.array([[int(name != "turn") for name in pair] for pair in KINDS])[kind]
    row = np.arange(sets)[:, None, None]
    sure = sure + ease[row, group[..., None], which]
    facts = rng.random((sets, most, 2)) < sure
    wrong = 2 * ~facts[..., 0] + 1 * ~facts[..., 1]
    answer = rng.integers(0, 4, (sets, most))
    chosen = (answer + wrong) % 4
    biased = rng.random((sets, most)) < BIASED
    chosen = np.where(biased, 0, chosen)
    luck = rng.random((sets, most))
    refused = luck < REFUSED
    chosen = np.where(luck < REFUSED + UNREADABLE, -1, chosen)
    off = (chosen - answer) % 4
    facts = np.stack([off < 2, off % 2 == 0], axis=-1) & (chosen >= 0)[..., None]
    return Sets(real, group, kind, answer, chosen, refused, facts)


def true_accuracy(kind: int) -> float:
    """Return the accuracy that the scripted model has in the long run on items of one kind."""
    first, second = (KNOWS[name] for name in KINDS[kind])
    # A scene's ease is the same for two facts of one kind, so their product is larger than that of means.
    extra = (2 * SPREAD) ** 2 / 12 if len(set(KINDS[kind])) == 1 else 0.0
    known = first * second + extra
    return (1 - UNREADABLE - REFUSED) * ((1 - BIASED) * known + BIASED / 4)


def true_fact_accuracy(name: str) -> float:
    """Return the share of facts of one kind that the scripted model has right in the long run."""
    return (1 - UNREADABLE - REFUSED) * ((1 - BIASED) * KNOWS[name] + BIASED / 2)


def question(name: str, **fields: Any) -> Question:
    """Return a direction item about the two turns of its span; the answer is A, left then right."""
    given: dict[str, Any] = {
        "id": name, "split": "test", "task": "direction_forward", "category": "direction",
        "orientation": "forward", "contrast": "turn", "split_group": f"g_{name}", "video": f"s_{name}",
        "question": "Which turns?", "answer": "A", "frames": (), "frame_seconds": (), "seconds": 15.0,
        "turns": 2,
        "options": (
            "first turn left; second turn right", "first turn right; second turn right",
            "first turn left; second turn left", "first turn right; second turn left",
        ),
        "facts": (
            fact("turn:1", "left right left right", back="turn:2=right", rewound="turn:2=right"),
            fact("turn:2", "right right left left", back="turn:1=left", rewound="turn:1=left"),
        ),
    }  # fmt: skip
    return Question(**(given | fields))


def fact(name: str, values: str, **maps: str) -> AskedFact:
    """Return a fact whose four options state these values."""
    empty = {"back": "", "rewound": "", "mirrored": ""}
    return AskedFact(name=name, values=values.split(), seen_us=[], **(empty | maps))


def predicted(name: str, letter: str | None, **fields: Any) -> Prediction:
    """Return a prediction in the main arm; without a letter it is unreadable."""
    outcome = "answered" if letter else "unreadable"
    given = {"id": name, "arm": "frames", "letter": letter, "outcome": outcome}
    return Prediction.model_validate(given | fields)


def as_rows(sets: Sets, number: int) -> tuple[list[Question], list[Prediction]]:
    """Return one set as questions and predictions."""
    questions, predictions = [], []
    for index in np.flatnonzero(sets.real[number]).tolist():
        kind, answer = int(sets.kind[number, index]), int(sets.answer[number, index])
        chosen = int(sets.chosen[number, index])
        facts = []
        for place, name in enumerate(KINDS[kind]):
            values = ("left", "right") if name == "turn" else ("first", "second")
            stated = [values[((option - answer) % 4 >> (1 - place)) & 1] for option in range(4)]
            subject = f"turn:{place + 1}" if name == "turn" else f"landmark:door|lamp {place}"
            facts.append(fact(subject, " ".join(stated)))
        questions.append(
            question(
                f"i_{index}",
                split_group=f"g_{sets.group[number, index]}",
                answer="ABCD"[answer],
                contrast=CONTRASTS[kind],
                facts=tuple(facts),
            )
        )
        refused = {"outcome": "refused"} if sets.refused[number, index] else {}
        letter = "ABCD"[chosen] if chosen >= 0 else None
        predictions.append(predicted(f"i_{index}", letter, **refused))
    return questions, predictions
