"""The two learners of the blind probe: per-option classifiers on text alone. Pure.

Fixed in advance (test-set stress test, arXiv 2511.04655): (a) TF-IDF of word 1-2-grams and
character 2-5-grams with cue features into a logistic regression; (b) gradient boosting on the cue
features and on the nested out-of-fold scores of (a). Their scores, normalized within each item, are averaged.
"""

import re
from collections import Counter
from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from pipeline.blind.sheet import Bools, Floats, OptionTable, codes

_WORD = re.compile(r"\w+")
_PUNCTUATION = re.compile(r"[^\w\s]")
# 2^17 columns fit the n-grams of 4,000 items of route text with few collisions; more only costs time.
_COLUMNS = 2**17


def words(text: str) -> list[str]:
    """Return the words of a text, case-folded."""
    return _WORD.findall(text.casefold())


def learned_scores(sheet: OptionTable) -> Floats:
    """Return the out-of-fold scores of both learners, averaged, (rows,)."""
    cues, matrix, bags = cue_features(sheet), _text_features(sheet), _bags(sheet)
    from scipy import sparse

    spread = cues.std(axis=0)
    scaled = sparse.csr_matrix((cues - cues.mean(axis=0)) / np.where(spread > 0, spread, 1))
    # Weights the cues like the text, whose vector has length 1 per kind of n-gram.
    features = sparse.hstack([matrix, scaled * 0.3]).tocsr()
    fold = sheet.fold[sheet.item_of]
    folds = sorted(set(fold.tolist()))

    def without(*left_out: int) -> Bools:
        return ~np.isin(fold, left_out)

    # A model fitted without folds f and g scores g for the outer fold f, and f for the outer fold g:
    # ten fits nest five folds instead of twenty.
    nested: dict[tuple[int, int], Floats] = {}
    novelty: dict[tuple[int, int], Floats] = {}
    for f, g in combinations(folds, 2):
        kept = without(f, g)
        scores = _logistic(features, sheet.truth, kept, sheet.seed)
        fresh = _novelty(bags, sheet.truth, kept)
        for tested, aside in ((f, g), (g, f)):
            rows = fold == tested
            nested[tested, aside], novelty[tested, aside] = scores[rows], fresh[rows]
    result = np.zeros(len(fold))
    for f in folds:
        tested, kept = fold == f, without(f)
        first = _logistic(features, sheet.truth, kept, sheet.seed)
        inner, fresh = first.copy(), _novelty(bags, sheet.truth, kept)
        for g in folds:
            if g != f:
                inner[fold == g], fresh[fold == g] = nested[g, f], novelty[g, f]
        table = np.column_stack([cues, fresh, inner, _within(sheet, inner)])
        second = _boosted(table, sheet.truth, kept, tested, sheet.seed)
        boosted = np.zeros(len(fold))
        boosted[tested] = second
        both = _share(sheet, _sigmoid(first)) + _share(sheet, boosted)
        result[tested] = both[tested]
    return result


def cue_features(sheet: OptionTable) -> Floats:
    """Return features of each option other than its words: length, position, overlap, (rows, features)."""
    task = codes(item.task for item in sheet.items)
    table: list[list[float]] = []
    for number, item in enumerate(sheet.items):
        bags = [words(text) for text in item.options]
        sets, asked = [set(bag) for bag in bags], set(words(item.question))
        sorted_bags = Counter(tuple(sorted(bag)) for bag in bags)
        lengths = np.array([len(text) for text in item.options], float)
        counts = np.array([len(bag) for bag in bags], float)
        for position, text in enumerate(item.options):
            alike = [
                len(sets[position] & other) / max(1, len(sets[position] | other))
                for index, other in enumerate(sets)
                if index != position
            ]
            table.append(
                [
                    position,
                    len(item.options),
                    lengths[position],
                    lengths[position] / max(1.0, lengths.mean()),
                    float((lengths < lengths[position]).sum()),
                    float((lengths > lengths[position]).sum()),
                    counts[position],
                    counts[position] / max(1.0, counts.mean()),
                    len(_PUNCTUATION.findall(text)),
                    float(text.rstrip().endswith(".")),
                    float(text[:1].isupper()),
                    sum(letter.isupper() for letter in text),
                    sum(letter.isdigit() for letter in text),
                    float(np.mean(alike)) if alike else 0.0,
                    max(alike, default=0.0),
                    min(alike, default=0.0),
                    len(sets[position] & asked) / max(1, len(sets[position])),
                    sorted_bags[tuple(sorted(bags[position]))] - 1,
                    len(bags[position]) - len(sets[position]),
                    float(task[number]),
                ]
            )
    return np.array(table)


def _text_features(sheet: OptionTable) -> Any:
    """Return TF-IDF of words (also by task) and of characters; it uses no labels."""
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    tasks = [sheet.items[index].task for index in sheet.item_of]
    many = len(set(tasks)) > 1

    def grams(row: int) -> list[str]:
        found = words(sheet.texts[row])
        found += [f"{a} {b}" for a, b in pairwise(found)]
        return found + [f"{tasks[row]}|{gram}" for gram in found] if many else found

    rows = range(len(sheet.texts))
    kinds = (
        HashingVectorizer(n_features=_COLUMNS, analyzer=grams, norm=None, alternate_sign=False),
        HashingVectorizer(
            n_features=_COLUMNS,
            analyzer="char_wb",
            ngram_range=(2, 5),
            norm=None,
            alternate_sign=False,
        ),
    )
    weigh = TfidfTransformer(sublinear_tf=True)
    blocks = [
        weigh.fit_transform(kinds[0].transform(rows)),
        weigh.fit_transform(kinds[1].transform(sheet.texts)),
    ]
    stacked = sparse.hstack(blocks).tocsr()
    return stacked[:, np.flatnonzero(np.diff(stacked.tocsc().indptr))]


def _bags(sheet: OptionTable) -> Any:
    """Return which words each row contains, (rows, words), 0 or 1."""
    from sklearn.feature_extraction.text import CountVectorizer

    if not any(map(words, sheet.texts)):
        from scipy import sparse

        return sparse.csr_matrix((len(sheet.texts), 1))
    return CountVectorizer(analyzer=words, binary=True, dtype=np.float64).fit_transform(sheet.texts)


def _novelty(bags: Any, truth: Bools, kept: Bools) -> Floats:
    """Return each row's share of words never seen in an answer, and how often its words were in answers."""
    if not kept.any():
        return np.zeros((len(truth), 3))
    as_answer = np.asarray(bags[kept & truth].sum(axis=0)).ravel()
    in_all = np.asarray(bags[kept].sum(axis=0)).ravel()
    count = np.maximum(1, np.asarray(bags.sum(axis=1)).ravel())
    base = truth[kept].mean()
    rate = (as_answer + base) / (in_all + 1)
    return np.column_stack(
        [bags @ (as_answer == 0) / count, bags @ rate / count, bags @ np.log(rate) / count]
    )


def _logistic(features: Any, truth: Bools, kept: Bools, seed: int) -> Floats:
    from sklearn.linear_model import LogisticRegression

    if truth[kept].all() or not truth[kept].any():
        return np.zeros(len(truth))
    model = LogisticRegression(C=3.0, solver="liblinear", random_state=seed, tol=1e-2)
    model.fit(features[kept], truth[kept])
    return np.asarray(model.decision_function(features), dtype=float)


def _boosted(table: Floats, truth: Bools, kept: Bools, tested: Bools, seed: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if truth[kept].all() or not truth[kept].any():
        return np.zeros(int(tested.sum()))
    model = HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.08,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    # One thread: on a busy machine two threads spin waiting for each other (40 s for 1 s of work).
    with threadpool_limits(1):
        model.fit(table[kept], truth[kept])
        return np.asarray(model.predict_proba(table[tested])[:, 1], dtype=float)


def _sigmoid(scores: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -30, 30))), dtype=float)


def _share(sheet: OptionTable, scores: Floats) -> Floats:
    total = np.add.reduceat(scores, sheet.first)
    return np.asarray(scores / np.maximum(total[sheet.item_of], 1e-12), dtype=float)


def _within(sheet: OptionTable, scores: Floats) -> Floats:
    best = np.maximum.reduceat(scores, sheet.first)
    return np.asarray(scores - best[sheet.item_of], dtype=float)


def permuted(sheet: OptionTable, times: int, most: int) -> list[float]:
    """Return the probe's accuracy on random answers, the baseline that the method itself reaches."""
    from pipeline.blind.sheet import lay_out, take

    small = lay_out(take(sheet.items, most, sheet.seed), sheet.seed)
    found = []
    for number in range(times):
        rng = np.random.default_rng([sheet.seed, number])
        mixed = small.with_answers(rng.integers(0, small.size).tolist())
        found.append(float(mixed.hits(learned_scores(mixed)).mean()))
    return found


def baselines(sheet: OptionTable) -> dict[str, Floats]:
    """Return the untrained scorings, by what they choose."""
    lengths = np.array([len(text) for text in sheet.texts], float)
    bags = [set(words(text)) for text in sheet.texts]
    seen: Counter[str] = Counter()
    for item in sheet.items:
        seen.update({word for text in item.options for word in words(text)})
    few = max(2, len(sheet.items) // 200)
    rare = np.array([sum(seen[word] <= few for word in bag) for bag in bags], float)
    return {
        "always A": -sheet.position.astype(float),
        "longest": lengths,
        "shortest": -lengths,
        "most central": _centre(sheet, bags),
        "fewest rare words": -rare,
    }


def _centre(sheet: OptionTable, bags: list[set[str]]) -> Floats:
    return per_item(
        sheet,
        lambda rows: [
            sum(
                len(bags[row] & bags[other]) / max(1, len(bags[row] | bags[other]))
                for other in rows
                if other != row
            )
            for row in rows
        ],
    )


def per_item(sheet: OptionTable, score: Callable[[range], list[float]]) -> Floats:
    """Return a scoring computed from one item's rows at a time."""
    return np.array(
        [
            value
            for first, size in zip(sheet.first.tolist(), sheet.size.tolist(), strict=True)
            for value in score(range(first, first + size))
        ],
        dtype=float,
    )
