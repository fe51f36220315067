"""A conditional logit over experts, fitted out of fold. Pure."""

import numpy as np

from pipeline.blind.sheet import FOLDS, Floats, Ints

_RIDGE = 3.0
_LEAST_FITTED = 40  # pairs: with fewer, all weights are 0
_LEAST_SPREAD = 1e-9  # an expert that says the same of everything says nothing
_TRUST = 4.0  # how much is needed to doubt what shipped readers say: a standard deviation of a half


def fitted(rows: Floats, truth: Ints, fold: Ints) -> Floats:
    """Return a conditional logit's weights for each fold, (folds, experts), from all other folds."""
    return np.array([fit(rows[fold != one], truth[fold != one]) for one in range(FOLDS)])


def fit(rows: Floats, truth: Ints, ridge: float = _RIDGE) -> Floats:
    """Return a conditional logit's weights, (experts,), all 0 if there are too few pairs.

    `rows` holds what each expert says of each combination, (pairs, experts, 4).
    """
    weights = np.zeros(rows.shape[1])
    if len(rows) >= _LEAST_FITTED:
        spread = rows.std(axis=(0, 2))
        used = spread > _LEAST_SPREAD
        if used.any():
            scaled = rows[:, used] / spread[used][None, :, None]
            weights[used] = _newton(scaled, truth, ridge) / spread[used]
    return weights


def around(logs: Floats) -> Floats:
    """Return numbers with their mean over the last axis taken away."""
    return np.asarray(logs - logs.mean(axis=-1, keepdims=True), dtype=float)


def weighed(rows: Floats, weights: Floats, fold: Ints) -> Floats:
    """Return the probability of each combination, (pairs, 4)."""
    return _softmax(np.einsum("nkc,nk->nc", rows, weights[fold]))


def tempered(logs: Floats, truth: Ints, fold: Ints) -> Floats:
    """Return the probability of each combination, (pairs, 4), as certain as its logarithms deserve.

    For each fold, all others tell by which factor; few pairs leave it near 1.
    """
    factors = np.array([_factor(logs[fold != one], truth[fold != one]) for one in range(FOLDS)])
    return _softmax(logs * factors[fold][:, None])


def _factor(logs: Floats, truth: Ints) -> float:
    factor, true = 1.0, logs[np.arange(len(truth)), truth]
    for _ in range(20):
        chance = _softmax(logs * factor)
        mean = (logs * chance).sum(axis=1)
        slope = (true - mean).sum() - _TRUST * (factor - 1)
        bend = (chance * (logs - mean[:, None]) ** 2).sum() + _TRUST
        factor = max(0.0, factor + slope / bend)
    return factor


def _newton(rows: Floats, truth: Ints, ridge: float) -> Floats:
    """Return the weights of a conditional logit with a ridge penalty, by Newton's method."""
    pairs, experts, _ = rows.shape
    weights = np.zeros(experts)
    true = rows[np.arange(pairs), :, truth]
    for _ in range(20):
        chance = _softmax(np.einsum("nkc,k->nc", rows, weights))
        mean = np.einsum("nkc,nc->nk", rows, chance)
        slope = (true - mean).sum(axis=0) - ridge * weights
        apart = ((rows - mean[:, :, None]) * np.sqrt(chance)[:, None, :]).transpose(0, 2, 1)
        flat = apart.reshape(-1, experts)
        step = np.linalg.solve(flat.T @ flat + ridge * np.eye(experts), slope)
        weights += step
        if np.abs(step).max() < 1e-4:
            break
    return weights


def _softmax(scores: Floats) -> Floats:
    # Never 0: its logarithm may be asked for.
    powers = np.exp(np.maximum(scores - scores.max(axis=1, keepdims=True), -500))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=float)
