"""Weights balance tasks, facts and scenes."""

import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.questions.rows import AskedFact
from pipeline.training.rows import TrainingRow
from pipeline.training.weights import LEAST, MOST, weights


def row(task: str, scene: str, left: bool = True, kind: str = "turn") -> TrainingRow:
    fact = {"back": "", "rewound": "", "mirrored": "", "seen_us": []}
    facts = [
        AskedFact.model_validate({"name": f"{kind}:{at}", "values": ["left", "right"], **fact})
        for at in (1, 2)
    ]
    given: dict[str, Any] = {
        "id": "i", "item": "i", "made": "released", "question_type": task, "category": "direction",
        "orientation": "forward", "contrast": "turn", "format": "mcq", "language": "en",
        "split_group": scene, "video": "s", "question": "?", "options": ["l", "r"],
        "answer": "A" if left else "B", "answer_text": "l" if left else "r", "facts": facts,
        "happenings": [], "seconds": 1.0, "frames": [], "frame_seconds": [], "think": None,
        "think_source": "none",
    }  # fmt: skip
    return TrainingRow.model_validate(given)


def shares(rows: list[TrainingRow], name: str) -> list[float]:
    found: dict[str, float] = defaultdict(float)
    for one, weight in zip(rows, weights(rows), strict=True):
        found[str(getattr(one, name))] += weight / len(rows)
    return list(found.values())


def test_tasks_facts_and_scenes_weigh_the_same() -> None:
    draw = random.Random(0)
    rows = [
        row(
            draw.choices(["a", "b", "c"], [6, 3, 1])[0],
            draw.choices(["x", "y"], [4, 1])[0],
            draw.random() < 0.7,
        )
        for _ in range(600)
    ]
    for name, parts in (("question_type", 3), ("split_group", 2), ("answer", 2)):
        assert len(Counter(getattr(one, name) for one in rows)) == parts
        assert shares(rows, name) == pytest.approx([1 / parts] * parts, abs=0.005)


def test_a_scene_with_one_row_does_not_outweigh_all_others() -> None:
    rows = [row("a", "big") for _ in range(500)] + [row("a", "small")]
    found = weights(rows)
    assert found[-1] == pytest.approx(MOST, rel=0.02)
    assert found[0] == pytest.approx(1, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("wxyz"), st.booleans()), max_size=60)
)
def test_weights_are_one_on_average_and_bounded(kinds: list[tuple[str, str, bool]]) -> None:
    rows = [row(*kind) for kind in kinds]
    found = weights(rows)
    assert found == weights(rows)
    if rows:
        assert sum(found) / len(found) == pytest.approx(1, abs=1e-5)
        assert min(found) > LEAST * 0.99
        assert max(found) < MOST * 1.01
        alike = {
            (kind, weight) for kind, weight in zip(kinds, found, strict=True)
        }  # equal rows count the same
        assert len(alike) == len({*kinds})


def test_no_rows_have_no_weights() -> None:
    assert weights([]) == []
