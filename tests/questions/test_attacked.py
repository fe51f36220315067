"""What an attacker who didn't write the construction found: each was answered more often than by guessing."""

import numpy as np
import pytest

from pipeline.blind.memory import Clue
from pipeline.questions.evening import _crowded
from pipeline.questions.names import order_levels, rises


@pytest.mark.parametrize(
    ("first", "second", "up"),
    [
        ("room 9", "room 12", (1, 1, -1)),
        ("aisle 3 shelf 40", "aisle 3 shelf 7", (-1, -1, 1)),
        ("the ant", "the bee", (0, 0, 1)),
    ],
)
def test_rules_order_names_that_nobody_has_seen(
    first: str, second: str, up: tuple[int, ...]
) -> None:
    assert rises(first, second) == up
    clues: list[tuple[Clue, bool] | None] = list(order_levels("landmark", first, second))[-3:]
    assert [one and (-1 if one[1] else 1) for one in clues] == [one or None for one in up]


def test_how_many_pairs_a_span_has_says_how_its_prior_is_judged() -> None:
    posterior = np.array([[0.4, 0.2, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2]])
    one, three = _crowded(posterior, np.array([1, 3]))
    assert one[0].any()
    assert not one[1].any()
    assert three[2].any()
    assert not three[0].any()
