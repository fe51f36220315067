"""What earlier answers of a scene tell about places of names is found, and never from the pair itself or later ones."""

import numpy as np

from pipeline.blind.foretold import foretold


def toured(pairs: int, *, back: bool = False) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the clues and values of pairs of orders of 12 names, seen in order, or in either direction."""
    rng = np.random.default_rng(0)
    rows, clues, weights, values = [], [], [], []
    for pair in range(pairs):
        way = rng.choice([-1, 1]) if back else 1
        for fact in (0, 1):
            one, other = rng.choice(12, 2, replace=False)
            rows += [2 * pair + fact] * 2
            clues += [one, other]
            weights += [1.0, -1.0]
            values.append(way if one < other else -way)
    spread = np.array(rows), np.array(clues), np.array(weights)
    return spread, np.array(values).reshape(-1, 2)


def test_places_tell_orders_that_nobody_saw() -> None:
    spread, value = toured(150)
    none, rank = np.zeros(150, dtype=int), np.random.default_rng(1).random(150)
    told = foretold(spread, value, none, rank)
    late = rank > 0.5
    assert (np.sign(told[late, 0, :2]) == value[late]).mean() > 0.8


def test_a_direction_tells_both_orders_together() -> None:
    spread, value = toured(200, back=True)
    told = foretold(spread, value, np.zeros(200, dtype=int), np.arange(200.0))
    late = np.arange(200) > 100
    assert abs((np.sign(told[late, 0, :2]) == value[late]).mean() - 0.5) < 0.1
    assert (np.sign(told[late, 0, 2]) == value[late].prod(axis=1)).mean() > 0.7


def test_a_pair_and_later_ones_tell_nothing_and_nor_do_other_scenes() -> None:
    spread, value = toured(60)
    scene, rank = np.arange(60) % 3, np.random.default_rng(2).permutation(60).astype(float)
    told = foretold(spread, value, scene, rank)
    for pair in (0, 25, 59):
        other = np.where((rank >= rank[pair]) | (scene != scene[pair]), -1, 1)[:, None] * value
        again = foretold(spread, other, scene, rank)
        np.testing.assert_allclose(again[pair], told[pair], atol=1e-9)
        assert not np.allclose(again, told)
    first = [np.flatnonzero(scene == one)[np.argmin(rank[scene == one])] for one in range(3)]
    np.testing.assert_allclose(told[first], 0, atol=1e-9)
