"""The two learners of the blind probe: per-option classifiers on text alone. Pure.

Fixed in advance (test-set stress test, arXiv 2511.04655): (a) TF-IDF of word 1-2-grams and
character 2-5-grams with cue features into a logistic regression; (b) gradient boosting on the cue
features and on the nested out-of-fold scores of (a). Their scores, normalized within each item, are averaged.
"""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from pipeline.blind.glyphs import odd_spaces, typographic, unusual
from pipeline.blind.sheet import Bools, Floats, Ints, OptionTable, codes, lay_out, take

_WORD = re.compile(r"\w+")
_PUNCTUATION = re.compile(r"[^\w\s]")
# 2^17 columns fit the n-grams of 4,000 items of route text with few collisions; more only costs time.
_COLUMNS = 2**17
_USUAL, _LEAST_USUAL = 0.05, 20  # the share and the number of items that make an option a usual one


def words(text: str) -> list[str]:
    """Return the words of a text, case-folded."""
    return _WORD.findall(text.casefold())


@dataclass(frozen=True)
class Features:
    """What the learners see of each option: its text, cues other than words, and which words it has."""

    text: Any  # (rows, n-grams): TF-IDF
    columns: Ints  # (n-grams,): the hashed column of each n-gram: words, characters, questions
    asked: Sequence[Sequence[str]]  # (rows,): what the question says beside a usual option
    cues: Floats  # (rows, cues)
    bags: Any  # (rows, words): 0 or 1
    vocabulary: Sequence[str]  # (words,)

    @cached_property
    def both(self) -> Any:
        """Text and scaled cues side by side, (rows, n-grams + cues)."""
        from scipy import sparse

        spread = self.cues.std(axis=0)
        scaled = (self.cues - self.cues.mean(axis=0)) / np.where(spread > 0, spread, 1)
        # Weights the cues like the text, whose vector has length 1 per kind of n-gram.
        return sparse.hstack([self.text, sparse.csr_matrix(scaled * 0.3)]).tocsr()


@dataclass(frozen=True)
class Learned:
    """What the learners say of items that they were not trained on, and how learner (a) weighs features."""

    scores: Floats  # (rows,): both learners' scores, added; 0 for parts that were not wanted
    weights: Mapping[int, Floats]  # by part of the items: (n-grams + cues,)


def features_of(sheet: OptionTable) -> Features:
    """Return the learners' features of all options; they use no answers."""
    asked = _asked_grams(sheet)
    text, columns = _text_features(sheet, asked)
    return Features(text, columns, asked, cue_features(sheet), *_bags(sheet))


def learned_scores(
    sheet: OptionTable,
    features: Features | None = None,
    parts: Ints | None = None,
    wanted: Collection[int] | None = None,
) -> Learned:
    """Return the scores of both learners, each part of the items scored by what all other parts teach.

    Parts are the folds if no others are given, (items,); `wanted` are those to score (default: all).
    """
    features = features or features_of(sheet)
    part = (sheet.fold if parts is None else parts)[sheet.item_of]
    everything = sorted(set(part.tolist()))
    wanted = everything if wanted is None else wanted

    def without(*left_out: int) -> Bools:
        return ~np.isin(part, left_out)

    # A model fitted without parts f and g scores g for the outer part f, and f for the outer part g:
    # ten fits nest five folds instead of twenty.
    nested: dict[tuple[int, int], Floats] = {}
    novelty: dict[tuple[int, int], Floats] = {}
    for f, g in combinations(everything, 2):
        if f not in wanted and g not in wanted:
            continue
        kept = without(f, g)
        scores, _ = logistic(features.both, sheet.truth, kept, sheet.seed)
        fresh = _novelty(features.bags, sheet.truth, kept)
        for tested, aside in ((f, g), (g, f)):
            rows = part == tested
            nested[tested, aside], novelty[tested, aside] = scores[rows], fresh[rows]
    result, weights = np.zeros(len(part)), {}
    for f in wanted:
        tested, kept = part == f, without(f)
        first, weights[f] = logistic(features.both, sheet.truth, kept, sheet.seed)
        inner, fresh = first.copy(), _novelty(features.bags, sheet.truth, kept)
        for g in everything:
            if g != f:
                inner[part == g], fresh[part == g] = nested[g, f], novelty[g, f]
        table = np.column_stack([features.cues, fresh, inner, _within(sheet, inner)])
        boosted = np.zeros(len(part))
        boosted[tested] = boosting(table, sheet.truth, kept, tested, sheet.seed)
        both = _share(sheet, _sigmoid(first)) + _share(sheet, boosted)
        result[tested] = both[tested]
    return Learned(result, weights)


CUES = (
    *("its letter", "how many options there are"),
    *("its length in characters", "its length, relative to the others"),
    *("how many options are shorter", "how many options are longer"),
    *("how many words it has", "how many words it has, relative to the others"),
    *(
        "punctuation",
        "whether it ends with a full stop",
        "whether it starts with a capital",
        "capital letters",
        "digits",
        "a space at the end",
        "odd spaces",
        "unusual characters",
        "typographic marks",
    ),
    *("how like the others it is", "how like the nearest option it is"),
    *("how like the farthest option it is", "words that it shares with the question"),
    *("how many others have the same words", "repeated words", "the task"),
)
"""What each cue is, in the order of the features."""


def cue_features(sheet: OptionTable) -> Floats:
    """Return features of each option other than its words, as named in `CUES`, (rows, cues)."""
    task = codes(item.task for item in sheet.items)
    table: list[list[float]] = []
    for number, item in enumerate(sheet.items):
        bags = [words(text) for text in item.options]
        sets, asked = [set(bag) for bag in bags], set(words(item.question))
        sorted_bags = Counter(tuple(sorted(bag)) for bag in bags)
        lengths = np.array([len(text) for text in item.options], float)
        counts = np.array([len(bag) for bag in bags], float)
        written = item.written or item.options
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
                    float(written[position] != written[position].rstrip()),
                    float(odd_spaces(written[position].rstrip())),
                    float(unusual(text) != ""),
                    float(typographic(text)),
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


def word_grams(text: str, task: str) -> list[str]:
    """Return the words and pairs of words of an option, each also with its task if there is one."""
    found = words(text)
    found += [f"{a} {b}" for a, b in pairwise(found)]
    return found + [f"{task}|{gram}" for gram in found] if task else found


def char_grams(text: str) -> list[str]:
    """Return the character 2-5-grams of an option, within its words padded by spaces."""
    found: list[str] = _hashing("char_wb").build_analyzer()(text)
    return found


def gram_columns(grams: Sequence[str], block: int) -> Ints:
    """Return the hashed column of each n-gram: of words (block 0), characters (1) or questions (2)."""
    if not grams:
        return np.zeros(0, np.int64)
    hashed = _hashing(lambda gram: [gram]).transform(grams).indices
    return np.asarray(hashed, np.int64) + block * _COLUMNS


def task_of(sheet: OptionTable) -> list[str]:
    """Return the task of each item, or an empty text where all have the same."""
    tasks = [item.task for item in sheet.items]
    return tasks if len(set(tasks)) > 1 else [""] * len(tasks)


def _asked_grams(sheet: OptionTable) -> list[list[str]]:
    """Return what the question says beside each option that many items have, such as "yes", (rows,)."""
    texts = [text.casefold() for text in sheet.texts]
    often = Counter(texts)
    least = max(_LEAST_USUAL, _USUAL * len(sheet.items))
    asked = [word_grams(item.question, "") for item in sheet.items]
    return [
        [f"{text}|{gram}" for gram in asked[item]] if often[text] >= least else []
        for text, item in zip(texts, sheet.item_of.tolist(), strict=True)
    ]


def _hashing(analyzer: Any) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        n_features=_COLUMNS, analyzer=analyzer, ngram_range=(2, 5), norm=None, alternate_sign=False
    )


def _text_features(sheet: OptionTable, asked: Sequence[Sequence[str]]) -> tuple[Any, Ints]:
    """Return TF-IDF of words (also by task), of characters and of questions, and the hashed column of each."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer

    tasks = task_of(sheet)
    weigh = TfidfTransformer(sublinear_tf=True)

    def grams(row: int) -> list[str]:
        return word_grams(sheet.texts[row], tasks[sheet.item_of[row]])

    blocks = [
        weigh.fit_transform(_hashing(grams).transform(range(len(sheet.texts)))),
        weigh.fit_transform(_char_counts(sheet.texts)),
        weigh.fit_transform(_hashing(asked.__getitem__).transform(range(len(sheet.texts)))),
    ]
    stacked = sparse.hstack(blocks).tocsr()
    used = np.flatnonzero(np.bincount(stacked.indices, minlength=stacked.shape[1]))
    return stacked[:, used], used


def _char_counts(texts: Sequence[str]) -> Any:
    """Return how often each text has each character n-gram, hashed, (rows, columns)."""
    from sklearn.feature_extraction.text import CountVectorizer

    # N-grams end at spaces: each word is taken apart once, however many options have it.
    lowered = [text.lower() for text in texts]
    known = sorted({word for text in lowered for word in text.split()}) or [""]
    count = CountVectorizer(analyzer=str.split, vocabulary=known, dtype=np.float64)
    return count.transform(lowered) @ _hashing("char_wb").transform(known)


def _bags(sheet: OptionTable) -> tuple[Any, list[str]]:
    """Return which words each row contains, (rows, words), 0 or 1, and the words."""
    from sklearn.feature_extraction.text import CountVectorizer

    if not any(map(words, sheet.texts)):
        from scipy import sparse

        return sparse.csr_matrix((len(sheet.texts), 1)), [""]
    count = CountVectorizer(analyzer=words, binary=True, dtype=np.float64)
    return count.fit_transform(sheet.texts), count.get_feature_names_out().tolist()


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


def logistic(features: Any, truth: Bools, kept: Bools, seed: int) -> tuple[Floats, Floats]:
    """Fit learner (a) to the rows that are kept; return its scores, (rows,), and weights, (features,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if truth[kept].all() or not truth[kept].any():
        return np.zeros(len(truth)), np.zeros(features.shape[1])
    # With liblinear, fits took three times as long and half the time of an audit (5,000 items, 2026-11-27).
    model = LogisticRegression(C=3.0, solver="lbfgs", random_state=seed, tol=3e-4, max_iter=300)
    with threadpool_limits(1), warnings.catch_warnings():
        # Its last step is sharp enough, and users can't give it more.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features[kept], truth[kept])
    return np.asarray(model.decision_function(features), dtype=float), model.coef_[0]


def boosting(table: Floats, truth: Bools, kept: Bools, tested: Bools, seed: int) -> Floats:
    """Fit learner (b) to the rows that are kept; return the probability of those tested."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

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
    small = lay_out(take(sheet.items, most, sheet.seed), sheet.seed)
    features, found = features_of(small), []
    for number in range(times):
        rng = np.random.default_rng([sheet.seed, number])
        mixed = small.with_answers(rng.integers(0, small.size).tolist())
        found.append(float(mixed.hits(learned_scores(mixed, features).scores).mean()))
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
