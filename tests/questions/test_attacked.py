"""What an attacker who didn't write the construction found: each was answered more often than by guessing."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.blind.factors import Places, Signs
from pipeline.blind.memory import Clue
from pipeline.questions.evening import _crowded, _sums_before
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


@pytest.mark.parametrize("told", [True, False])
def test_what_a_walk_shows_tells_where_its_names_are(told: bool) -> None:
    rng = np.random.default_rng(3)
    walks, names = 400, [f"landmark {letter}" for letter in "abcdefgh"]
    back = rng.random(walks) < 0.5
    places, clue = Places(), np.where(back if told else rng.random(walks) < 0.5, 1, 2)
    for walk in range(walks):
        seen = sorted(rng.choice(8, 5, replace=False).tolist(), reverse=bool(back[walk]))
        places.learn(walk, {names[name]: 2 * at / 4 - 1 for at, name in enumerate(seen)})
    for _ in range(walks):
        places.ask([(names[1], -1.0), (names[6], 1.0)])
    fold = np.arange(walks) % 5
    every = np.arange(walks)
    nowhere = SimpleNamespace(told=lambda way, used: np.zeros((walks, way.shape[1])))
    _, expected = places.follow(fold, every, Signs(every, clue, every), nowhere)
    assert expected[None] is not None
    right = (expected[None].sum(axis=1) > 0) == ~back
    assert right.mean() > 0.95 if told else abs(right.mean() - 0.5) < 0.1


def test_what_was_true_before_is_summed_without_the_pair_itself() -> None:
    rng = np.random.default_rng(4)
    where, rank = rng.integers(0, 3, (60, 2)), rng.integers(0, 20, 60) / 20.0
    what = rng.integers(0, 2, (60, 2)).astype(float)
    found = _sums_before(where, rank, what)
    for at in range(60):
        earlier = (where == where[at]).all(axis=1) & (rank < rank[at])
        assert (found[at] == what[earlier].sum(axis=0)).all()
