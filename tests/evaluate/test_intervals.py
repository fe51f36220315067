"""Intervals over groups cover the truth as often as they say, and agree with known formulas."""

import numpy as np
import pytest
import scripted_answers as scripted

from pipeline.evaluate.intervals import (
    LEAST_GROUPS,
    difference,
    differences,
    goodness,
    share,
    shares,
    sign_test,
)

SETS = 3000
LEAST_COVERED, MOST_COVERED = 0.91, 0.98


def groups_of_alike(rng, p, alike, sizes):
    """Return how many items of each group are right, if items of a group correlate by `alike`."""
    if not alike:
        return rng.binomial(sizes, p)
    scale = 1 / alike - 1
    return rng.binomial(sizes, rng.beta(p * scale, (1 - p) * scale, sizes.shape))


@pytest.mark.parametrize("groups", [10, 40])
@pytest.mark.parametrize("p", [0.25, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("alike", [0.0, 0.05, 0.1])
def test_shares_are_covered_whatever_their_size(groups: int, p: float, alike: float) -> None:
    rng = np.random.default_rng([groups, int(100 * p), int(100 * alike)])
    sizes = scripted.sizes(rng, SETS, groups, 20)
    found = shares(groups_of_alike(rng, p, alike, sizes).astype(float), sizes.astype(float))
    covered = float(((found.low <= p) & (p <= found.high)).mean())
    assert LEAST_COVERED <= covered <= MOST_COVERED


def test_errors_in_few_groups_are_few_observations() -> None:
    # 3 % of errors, most of them in a few of 40 scenes: with the degrees of freedom for normal values,
    # coverage is 89 %.
    rng = np.random.default_rng(0)
    sizes = scripted.sizes(rng, SETS, 40, 20)
    found = shares(groups_of_alike(rng, 0.97, 0.2, sizes).astype(float), sizes.astype(float))
    covered = float(((found.low <= 0.97) & (found.high >= 0.97)).mean())
    assert LEAST_COVERED <= covered <= MOST_COVERED


@pytest.mark.parametrize("groups", [10, 40])
def test_the_figures_of_a_scripted_model_are_unbiased_and_covered(groups: int) -> None:
    rng = np.random.default_rng(groups)
    sets = scripted.answered(rng, SETS, groups, 20)
    right = sets.chosen == sets.answer
    for kind, pair in enumerate(scripted.KINDS):
        mine = sets.kind == kind
        size = sets.summed(mine, groups)
        for truth, values in (
            (scripted.true_accuracy(kind), right & mine),
            (scripted.true_fact_accuracy(pair[1]), sets.facts[..., 1] & mine),
        ):
            found = shares(sets.summed(values, groups), size)
            assert float(np.average(found.value, weights=size.sum(axis=1))) == pytest.approx(
                truth, abs=0.004
            )
            covered = float(((found.low <= truth) & (truth <= found.high)).mean())
            assert LEAST_COVERED <= covered <= MOST_COVERED


@pytest.mark.parametrize("groups", [10, 40])
@pytest.mark.parametrize(("one", "other"), [(0.9, 0.6), (0.25, 0.25), (0.97, 0.95)])
def test_differences_of_two_models_are_covered(groups: int, one: float, other: float) -> None:
    rng = np.random.default_rng([groups, int(100 * one)])
    sizes = scripted.sizes(rng, SETS, groups, 20)
    scene = rng.uniform(-0.02, 0.02, sizes.shape)
    right, also = (rng.binomial(sizes, p + scene) for p in (one, other))
    found = differences((right - also).astype(float), sizes.astype(float))
    covered = float(((found.low <= one - other) & (one - other <= found.high)).mean())
    assert LEAST_COVERED <= covered <= MOST_COVERED


def test_a_percentile_bootstrap_would_not_have_covered() -> None:
    rng = np.random.default_rng(1)
    sizes = scripted.sizes(rng, 400, 10, 20)
    right = groups_of_alike(rng, 0.5, 0.1, sizes)
    drawn = rng.integers(0, 10, (400, 500, 10))
    row = np.arange(400)[:, None, None]
    means = right[row, drawn].sum(axis=2) / sizes[row, drawn].sum(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert ((low <= 0.5) & (high >= 0.5)).mean() < LEAST_COVERED + 0.02


def test_equal_groups_give_the_t_interval_of_their_means() -> None:
    # The standard error of ten equal groups' means with t of nine degrees of freedom: by hand, 2.2622.
    right = np.array([3, 5, 4, 6, 2, 5, 4, 4, 3, 4], float)
    found = shares(right, np.full(10, 10.0))
    error = (right / 10).std(ddof=1) / np.sqrt(10)
    assert found.df == pytest.approx(9)
    assert found.error == pytest.approx(error)
    pairs = differences(right, np.full(10, 10.0))
    assert pairs.high - pairs.value == pytest.approx(
        2.2622 * np.hypot(error, np.sqrt(0.5) / 100), abs=1e-5
    )


def test_unequal_groups_match_the_matrices_of_the_published_method() -> None:
    # CR2 and Satterthwaite as published by Bell and McCaffrey (2002), written out with matrices.
    sizes = np.array([1, 2, 3, 8, 20, 4, 4, 5, 6, 7])
    rng = np.random.default_rng(3)
    values = rng.random(sizes.sum()) < 0.6
    groups = np.repeat(np.arange(10), sizes)
    number = len(values)
    hat = np.full((number, number), 1 / number)
    residuals = values - values.mean()
    meat, columns = 0.0, []
    for one in range(10):
        mine = groups == one
        block = np.eye(sizes[one]) - hat[np.ix_(mine, mine)]
        lengths, axes = np.linalg.eigh(block)
        adjust = axes @ np.diag(lengths**-0.5) @ axes.T
        meat += float((np.ones(sizes[one]) @ adjust @ residuals[mine]) ** 2)
        columns.append((np.eye(number) - hat)[:, mine] @ adjust @ np.ones(sizes[one]) / number)
    inner = np.array(columns) @ np.array(columns).T
    found = differences(np.bincount(groups, values), sizes.astype(float))
    assert found.df == pytest.approx(np.trace(inner) ** 2 / np.trace(inner @ inner))
    assert found.error**2 == pytest.approx(meat / number**2 + 0.5 / number**2)


def test_a_group_of_one_item_each_is_the_usual_standard_error() -> None:
    # What statsmodels and Inspect's `stderr()` give for independent items: sd / sqrt(n) with n - 1.
    values = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0], float)
    found = shares(values, np.ones(12))
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(12))


def test_the_standard_error_is_that_of_other_tools_but_for_the_correction() -> None:
    # Inspect 0.3.285, stderr(cluster=...), and statsmodels 0.15, OLS with cov_type="cluster", give on these
    # right answers of groups: 0.0365148 for equal groups, where CR2 is the same, and 0.0597061 for unequal.
    equal = shares(np.array([3, 5, 4, 6, 2, 5, 4, 4, 3, 4.0]), np.full(10, 10.0))
    assert equal.error == pytest.approx(0.03651483716701107)
    right, sizes = [1, 1, 2, 5, 14, 1, 4, 3, 2, 6.0], [1, 2, 3, 8, 20, 4, 4, 5, 6, 7.0]
    unequal = shares(np.array(right), np.array(sizes))
    assert 1 < unequal.error / 0.05970607016723521 < 1.02


def test_many_independent_items_have_wilsons_interval() -> None:
    # statsmodels 0.15: proportion_confint(6200, 10000, method="wilson").
    found = share((np.arange(10_000) < 6200).astype(float), np.arange(10_000))
    assert (found.low, found.high) == pytest.approx((0.610442, 0.629466), abs=2e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_or_all_wrong_has_an_interval(value: float) -> None:
    found = share(np.full(40, value), np.repeat(np.arange(10), 4))
    assert found.value == value
    assert found.low is not None
    assert found.high is not None
    # Ten equal groups count as ten observations: Wilson's interval with t of nine degrees of freedom.
    assert found.high - found.low == pytest.approx(2.2622**2 / (10 + 2.2622**2), abs=1e-4)


def test_two_models_that_never_differ_have_an_interval() -> None:
    found = difference(np.zeros(40), np.repeat(np.arange(10), 4))
    assert (found.value, found.low) == (0, pytest.approx(-2.2622 * np.sqrt(0.5) / 40, abs=1e-4))


def test_few_groups_have_no_interval_and_a_note() -> None:
    few = share(np.array([1.0, 0.0, 1.0] * 9), np.repeat(np.arange(LEAST_GROUPS - 1), 3))
    assert (few.value, few.low, few.high) == (pytest.approx(2 / 3), None, None)
    assert "9 groups" in few.note
    assert share(np.array([1.0]), np.array([0])).note.startswith("no interval: 1 group,")
    assert share(np.zeros(0), np.zeros(0, int)).note == "no items"


def test_codes_without_items_are_no_groups() -> None:
    values, groups = np.array([1.0, 0.0] * 10), np.repeat(np.arange(10), 2)
    assert share(values, groups) == share(values, 7 * groups + 3)


def test_one_huge_group_is_not_an_error() -> None:
    groups = np.concatenate([np.zeros(10_000, int), np.arange(1, 12)])
    found = share(np.tile([1.0, 0.0], 5006)[:10_011], groups)
    assert found.low is not None
    assert 0 <= found.low <= found.value <= found.high <= 1  # type: ignore[operator]


def test_the_sign_test_is_the_binomial_one() -> None:
    assert sign_test(0, 0) == 1
    assert sign_test(5, 5) == 1
    assert sign_test(1, 9) == pytest.approx(22 / 1024)  # 2 * (1 + 10) / 2**10
    assert sign_test(9, 1) == sign_test(1, 9)


def test_goodness_of_fit_is_pearsons() -> None:
    # Table: 16 / 25 + 16 / 25 = 1.28 with three degrees of freedom, p = 0.734.
    assert goodness([29, 25, 25, 21], [25, 25, 25, 25]) == pytest.approx(0.734, abs=1e-3)
    assert goodness([100, 0], [0, 100]) == 0
    assert goodness([10, 0], [10, 0]) == 1
