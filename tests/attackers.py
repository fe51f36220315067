"""Readers that answer released questions without frames, for tests and `benchmarks/worlds.py --table`.

They see released rows alone: the text, the video's id and length, the split group, and the answers of other
split groups; those of the scene see the answers of its other videos as well. None of them uses what the composer
uses to choose questions.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

Row = Mapping[str, Any]
_FOLDS = 5
_SIDE = re.compile(r"(.+) turn (left|right)$")
_ORDER = re.compile(r"(.+?)(?: before |, then )(.+)$")


@dataclass(frozen=True)
class Said:
    """One statement of an option: what it is about, which of two values it has, and its words in order."""

    about: tuple[str, ...]
    value: int
    names: tuple[str, ...]


def parse(statement: str) -> Said:
    """Read a statement of an English option."""
    if found := _SIDE.match(statement):
        return Said(("turn", found[1]), 1 if found[2] == "left" else -1, ())
    found = _ORDER.match(statement)
    assert found, statement
    names = (found[1], found[2])
    first, second = sorted(names)
    return Said((first, second), 1 if names == (first, second) else -1, names)


@dataclass(frozen=True)
class Question:
    """A released question: its options as statements, the right one, and what else is released."""

    options: tuple[tuple[Said, ...], ...]
    texts: tuple[str, ...]
    answer: int
    cell: str
    group: str
    video: str
    fold: int
    half: int
    around: tuple[str, ...]
    length: int


def questions(rows: Sequence[Row]) -> list[Question]:
    """Read the forward questions; the reverse ones are their twins."""
    names: dict[str, set[str]] = defaultdict(set)
    found = []
    for row in rows:
        parsed = [parse(one) for one in row["options"][0].split("; ")]
        names[row["video"]].update(name for one in parsed for name in one.names)
    for row in rows:
        if row["orientation"] != "forward":
            continue
        number = int(sha256(row["split_group"].encode()).hexdigest(), 16)
        found.append(
            Question(
                tuple(tuple(map(parse, text.split("; "))) for text in row["options"]),
                tuple(row["options"]),
                "ABCD".index(row["answer"]),
                f"{row['category']} {row['contrast']}",
                row["split_group"],
                row["video"],
                number % _FOLDS,
                number // _FOLDS % 2,
                tuple(sorted(names[row["video"]])),
                int(row["seconds"] // 5),
            )
        )
    return found


# ---- readers: hits of each question, trained on other groups --------------------------------------------------


def _canonical(one: Question) -> tuple[list[tuple[int, int]], list[tuple[str, ...]]]:
    """Return each option's values of both facts in a fixed order, and what the facts are about."""
    abouts = sorted({said.about for option in one.options for said in option})
    values = [
        tuple(next(s.value for s in option if s.about == about) for about in abouts)
        for option in one.options
    ]
    return values, abouts  # type: ignore[return-value]


def _tokens(one: Question, option: int) -> Iterator[str]:
    parts = []
    for said in one.options[option]:
        if said.names:
            first, second = said.names
            some = [f"{first}<{second}"]
            some += [f"{a}<{b}" for a, b in product(first.split(), second.split()) if a != b]
            some += [f"1{word}" for word in first.split()] + [f"2{word}" for word in second.split()]
            some += [f"1{first}", f"2{second}"]
        else:
            some = [f"{said.about[1]}={said.value}", f"turn={said.value}"]
        parts.append(some)
    yield from (token for some in parts for token in some)


def _crossed(one: Question, option: int) -> Iterator[str]:
    tokens = list(_tokens(one, option))
    yield from tokens
    yield from (f"{a}&{b}" for a, b in combinations(sorted(tokens), 2))


def _spanned(one: Question, option: int) -> Iterator[str]:
    """The names of the span's other questions, and its length, with each side or order."""
    yield from _tokens(one, option)
    for said in one.options[option]:
        what = "side" if not said.names else "<".join(name.split()[-1] for name in said.names)
        value = said.value if not said.names else ""
        for name in (*one.around, f"length {one.length}"):
            yield f"{what}{value}~{name}"
            yield f"{what}{value}~{name.split()[-1]}"


def _grams(one: Question, option: int) -> Iterator[str]:
    words = one.texts[option].replace(";", " ;").split()
    yield from words
    yield from (f"{a} {b}" for a, b in pairwise(words))
    text = one.texts[option]
    yield from (text[at : at + 4] for at in range(len(text) - 3))


def _logistic(
    tokens: Callable[[Question, int], Iterator[str]], strength: float
) -> Callable[[Sequence[Question]], np.ndarray]:
    def read(asked: Sequence[Question]) -> np.ndarray:
        column: dict[str, int] = {}
        rows, columns = [], []
        for number, one in enumerate(asked):
            for option in range(4):
                for token in tokens(one, option):
                    rows.append(4 * number + option)
                    columns.append(column.setdefault(token, len(column)))
        table = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)))
        truth = np.array([one.answer for one in asked])
        right = (np.arange(4) == truth[:, None]).ravel()
        fold = np.repeat([one.fold for one in asked], 4)
        scores = np.zeros(len(right))
        for tested in sorted(set(fold.tolist())):
            others = fold != tested
            if right[others].any():
                model = LogisticRegression(C=strength, solver="liblinear", tol=1e-2)
                model.fit(table[others], right[others])
                scores[~others] = model.decision_function(table[~others])
        return scores.reshape(-1, 4).argmax(axis=1) == truth

    return read


def _table(
    keys: Callable[[Question], Sequence[tuple[Any, tuple[int, int, int]]]], sign: int
) -> Callable[[Sequence[Question]], np.ndarray]:
    """Tally what was true of each key elsewhere, and answer with it, or against it (`sign` -1).

    A key comes with how it weighs both values and their product.
    """

    def read(asked: Sequence[Question]) -> np.ndarray:
        hits = np.zeros(len(asked))
        marked = [keys(one) for one in asked]
        values = [_canonical(one)[0] for one in asked]
        for tested in range(_FOLDS):
            tally: Counter[Any] = Counter()
            for one, marks, value in zip(asked, marked, values, strict=True):
                if one.fold != tested:
                    for key, weight in marks:
                        tally[key] += _dot(weight, value[one.answer])
            for number, (one, marks, value) in enumerate(zip(asked, marked, values, strict=True)):
                if one.fold == tested:
                    scores = [
                        sign * sum(tally[key] * _dot(weight, option) for key, weight in marks)
                        for option in value
                    ]
                    best = [index for index in range(4) if scores[index] >= max(scores) - 1e-9]
                    hits[number] = (one.answer in best) / len(best)
        return hits

    return read


def _scene(sign: int) -> Callable[[Sequence[Question]], np.ndarray]:
    """Answer with what was true of the same facts in the scene's other videos, or against it (`sign` -1)."""

    def read(asked: Sequence[Question]) -> np.ndarray:
        tally: Counter[Any] = Counter()
        marked, values = [_pairs(one) for one in asked], [_canonical(one)[0] for one in asked]
        for one, marks, value in zip(asked, marked, values, strict=True):
            for key, weight in marks:
                for where in (one.group, one.video):
                    tally[where, key] += _dot(weight, value[one.answer])
        hits = np.zeros(len(asked))
        for number, (one, marks, value) in enumerate(zip(asked, marked, values, strict=True)):
            elsewhere = [tally[one.group, key] - tally[one.video, key] for key, _ in marks]
            scores = [
                sign * sum(n * _dot(w, option) for n, (_, w) in zip(elsewhere, marks, strict=True))
                for option in value
            ]
            best = [index for index in range(4) if scores[index] >= max(scores) - 1e-9]
            hits[number] = (one.answer in best) / len(best)
        return hits

    return read


def _toured(asked: Sequence[Question]) -> np.ndarray:
    """Give each name and ordinal of a scene a place, by a ridge regression on its other videos' answers."""
    hits = np.zeros(len(asked))
    members: dict[str, list[int]] = defaultdict(list)
    for number, one in enumerate(asked):
        members[one.group].append(number)
    for numbers in members.values():
        column: dict[str, int] = {}
        clues, true, videos = [], [], []
        for number in numbers:
            values, abouts = _canonical(asked[number])
            for place, about in enumerate(abouts):
                clues.append({column.setdefault(w, len(column)): s for w, s in _words(about)})
                true.append(values[asked[number].answer][place])
                videos.append(asked[number].video)
        table = np.zeros((len(clues), len(column)))
        for row, some in enumerate(clues):
            table[row, list(some)] = list(some.values())
        like, value, video = table @ table.T, np.array(true, float), np.array(videos)
        said = np.zeros(len(value))
        for one in dict.fromkeys(videos):
            own = video == one
            known = like[np.ix_(~own, ~own)] + np.eye(int((~own).sum()))
            said[own] = like[np.ix_(own, ~own)] @ np.linalg.solve(known, value[~own])
        for at, number in enumerate(numbers):
            options = np.array(_canonical(asked[number])[0]) @ said[2 * at : 2 * at + 2]
            best = np.flatnonzero(options > options.max() - 1e-9)
            hits[number] = (asked[number].answer in best) / len(best)
    return hits


def _dot(weight: tuple[int, int, int], values: tuple[int, int]) -> int:
    return weight[0] * values[0] + weight[1] * values[1] + weight[2] * values[0] * values[1]


def _facts(one: Question) -> list[tuple[Any, tuple[int, int, int]]]:
    """Each fact alone, by its whole name."""
    abouts = _canonical(one)[1]
    return [(abouts[0], (1, 0, 0)), (abouts[1], (0, 1, 0))]


def _pairs(one: Question) -> list[tuple[Any, tuple[int, int, int]]]:
    """Both facts together: what is usual of the two turns, or of the two orders."""
    abouts = _canonical(one)[1]
    return [*_facts(one), ((abouts[0], abouts[1]), (0, 0, 1)), (one.cell, (0, 0, 1))]


def _positions(one: Question) -> list[tuple[Any, tuple[int, int, int]]]:
    """Where each name and each word usually is."""
    found: list[tuple[Any, tuple[int, int, int]]] = []
    for place, about in enumerate(_canonical(one)[1]):
        weight = [0, 0, 0]
        if about[0] == "turn":
            weight[place] = 1
            found += [("side", tuple(weight)), (about, tuple(weight))]  # type: ignore[list-item]
            continue
        for name, sign in zip(about, (1, -1), strict=True):
            weight[place] = sign
            for word in (name, *name.split()):
                found.append((("early", word), tuple(weight)))  # type: ignore[arg-type]
    return found


def _directions(one: Question) -> list[tuple[Any, tuple[int, int, int]]]:
    """Whether two facts go together: by names, by words, by names and sides (the direction of a walk)."""
    first, second = _canonical(one)[1]
    found: list[tuple[Any, tuple[int, int, int]]] = [((first, second), (0, 0, 4))]
    parts = [_words(first), _words(second)]
    found += [((a, b), (0, 0, sa * sb)) for (a, sa), (b, sb) in product(*parts)]
    return found


def _words(about: tuple[str, ...]) -> list[tuple[str, int]]:
    if about[0] == "turn":
        return [(about[1], 1), ("turn", 1)]
    return [
        (word, sign)
        for name, sign in zip(about, (1, -1), strict=True)
        for word in dict.fromkeys((name, *name.split()))
    ]


def _latent(asked: Sequence[Question]) -> np.ndarray:
    """Give each name and ordinal a place along one axis, such that known answers agree with it or its mirror image."""
    hits = np.zeros(len(asked))
    spread = [[Counter(dict(_words(about))) for about in _canonical(one)[1]] for one in asked]
    values = [_canonical(one)[0] for one in asked]
    column: dict[str, int] = {}
    for one in spread:
        for part in one:
            for word in part:
                column.setdefault(word, len(column))
    sides = []
    for place in (0, 1):
        rows = [number for number, one in enumerate(spread) for _ in one[place]]
        columns = [column[word] for one in spread for word in one[place]]
        weights = [float(sign) for one in spread for sign in one[place].values()]
        sides.append(sparse.csr_matrix((weights, (rows, columns)), shape=(len(asked), len(column))))
    together = np.array(
        [v[one.answer][0] * v[one.answer][1] for v, one in zip(values, asked, strict=True)]
    )
    fold = np.array([one.fold for one in asked])
    for tested in range(_FOLDS):
        known, asked_now = np.flatnonzero(fold != tested), np.flatnonzero(fold == tested)
        if not len(known) or not len(asked_now):
            continue
        first, second = sides[0][known], sides[1][known]
        axis = np.random.default_rng(tested).normal(size=len(column))
        for _ in range(30):
            pull = first.T @ (together[known] * (second @ axis)) + second.T @ (
                together[known] * (first @ axis)
            )
            axis = 0.5 * axis + pull / (np.linalg.norm(pull) or 1) * np.sqrt(len(column))
            axis /= np.linalg.norm(axis) or 1
        same = (sides[0][asked_now] @ axis) * (sides[1][asked_now] @ axis)
        for number, speaks in zip(asked_now.tolist(), same.tolist(), strict=True):
            best = [index for index, v in enumerate(values[number]) if v[0] * v[1] * speaks > 0]
            best = best or list(range(4))
            hits[number] = (asked[number].answer in best) / len(best)
    return hits


def _told(asked: Sequence[Question]) -> np.ndarray:
    """Answer by the direction that the names around, the length and the scene's names tell: names have places on
    an axis, and what else is shown tells which way it is walked."""
    about: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in asked:
        for name in one.around:
            about[one.group][name] += 1
    facts, names, shown, of, values = [], _Columns(), _Columns(), [], []
    for number, one in enumerate(asked):
        value, abouts = _canonical(one)
        for at, what in enumerate(abouts):
            own = what[1:] if what[0] == "turn" else what
            names.add({what[1]: 1.0} if what[0] == "turn" else {what[0]: 1.0, what[1]: -1.0})
            here = {name: 1.0 for name in one.around if name not in own}
            most = max(about[one.group].values(), default=1.0)
            here |= {f"scene {name}": often / most for name, often in about[one.group].items()}
            shown.add(here | {f"length {one.length}": 1.0})
            facts.append((number, at))
            values.append(value[one.answer][at])
            of.append(one.fold)
    places, signs = names.table(), shown.table().toarray()
    often = np.argsort(-(signs != 0).sum(axis=0))[:400]
    signs, true, fold = signs[:, often], np.array(values, float), np.array(of)
    speaks = np.zeros(len(true))
    for tested in range(_FOLDS):
        known, now = fold != tested, fold == tested
        if not known.any() or not now.any():
            continue
        around = signs - signs[known].mean(axis=0)
        size = np.sqrt(np.asarray(abs(places[known]).sum(axis=0)).ravel() + 3)
        moments = (places[known].T @ (around[known] * true[known][:, None])) / size[:, None]
        axes = np.linalg.svd(moments, full_matrices=False)[0][:, :2] / size[:, None]
        gram = around[known].T @ around[known] + 20 * np.eye(around.shape[1])
        placed = places @ axes
        told = np.linalg.solve(gram, around[known].T @ (placed[known] * true[known][:, None]))
        speaks[now] = (placed[now] * (around[now] @ told)).sum(axis=1)
    score = np.zeros((len(asked), 2))
    score[tuple(np.array(facts).T)] = speaks
    hits = np.zeros(len(asked))
    for number, one in enumerate(asked):
        options = np.array(_canonical(one)[0]) @ score[number]
        best = np.flatnonzero(options > options.max() - 1e-12)
        hits[number] = (one.answer in best) / len(best)
    return hits


class _Columns:
    """Rows of named numbers, as a sparse table."""

    def __init__(self) -> None:
        self._column: dict[str, int] = {}
        self._rows: list[dict[int, float]] = []

    def add(self, row: Mapping[str, float]) -> None:
        column = self._column
        self._rows.append({column.setdefault(name, len(column)): v for name, v in row.items()})

    def table(self) -> sparse.csr_matrix:
        at = [number for number, row in enumerate(self._rows) for _ in row]
        columns = [column for row in self._rows for column in row]
        found = [value for row in self._rows for value in row.values()]
        return sparse.csr_matrix((found, (at, columns)), shape=(len(self._rows), len(self._column)))


READERS: Mapping[str, Callable[[Sequence[Question]], np.ndarray]] = {
    "n-grams": _logistic(_grams, 0.1),
    "words and orders": _logistic(_tokens, 0.3),
    "pairs of words": _logistic(_crossed, 0.1),
    "names in the span": _logistic(_spanned, 0.1),
    "facts": _table(_facts, 1),
    "facts, backwards": _table(_facts, -1),
    "both facts": _table(_pairs, 1),
    "both facts, backwards": _table(_pairs, -1),
    "positions": _table(_positions, 1),
    "positions, backwards": _table(_positions, -1),
    "directions": _table(_directions, 1),
    "directions, backwards": _table(_directions, -1),
    "hidden axis": _latent,
    "told direction": _told,
    "the scene": _scene(1),
    "the scene, backwards": _scene(-1),
    "places in the scene": _toured,
}


@dataclass(frozen=True)
class Attacked:
    """The hits of each reader, (readers, twins), with each twin's cell, group and half of the groups."""

    hits: np.ndarray
    cells: np.ndarray
    groups: np.ndarray
    halves: np.ndarray


def attack(rows: Sequence[Row], only: Sequence[str] = tuple(READERS)) -> Attacked:
    """Let each reader answer the questions of each cell."""
    asked = questions(rows)
    cells = np.array([one.cell for one in asked])
    hits = np.full((len(only), len(asked)), 0.25)
    for cell in sorted(set(cells.tolist())):
        at = np.flatnonzero(cells == cell)
        some = [asked[index] for index in at.tolist()]
        for number, name in enumerate(only):
            hits[number, at] = READERS[name](some)
    return Attacked(
        hits,
        cells,
        np.array([one.group for one in asked]),
        np.array([one.half for one in asked]),
    )


@dataclass(frozen=True)
class Figure:
    """The accuracy of the best reader, chosen on the other half of the groups, with its 95 % interval."""

    twins: int
    accuracy: float
    low: float
    high: float
    reader: str


def pooled(runs: Sequence[Attacked], only: Sequence[str] = tuple(READERS)) -> dict[str, Figure]:
    """Return the figure of each cell, and overall (under the empty name), over several runs."""
    hits = np.concatenate([run.hits for run in runs], axis=1)
    cells = np.concatenate([run.cells for run in runs])
    halves = np.concatenate([run.halves for run in runs])
    groups = np.concatenate([np.char.add(f"{n}:", run.groups) for n, run in enumerate(runs)])
    overall = np.zeros(len(cells))
    found = {}
    for cell in sorted(set(cells.tolist())):
        at = cells == cell
        chosen = np.zeros(len(cells))
        names = []
        for half in (0, 1):
            other = at & (halves != half)
            best = int(hits[:, other].mean(axis=1).argmax()) if other.any() else 0
            chosen[at & (halves == half)] = hits[best, at & (halves == half)]
            names.append(only[best])
        overall[at] = chosen[at]
        found[cell] = _figure(chosen[at], groups[at], " / ".join(dict.fromkeys(names)))
    found[""] = _figure(overall, groups, "")
    return found


def _figure(hits: np.ndarray, groups: np.ndarray, reader: str) -> Figure:
    _, of = np.unique(groups, return_inverse=True)
    count, total = np.bincount(of), np.bincount(of, hits)
    draws = np.random.default_rng(0).multinomial(
        len(count), np.full(len(count), 1 / len(count)), 1000
    )
    means = (draws @ total) / np.maximum(draws @ count, 1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(len(hits), float(hits.mean()), float(low), float(high), reader)
