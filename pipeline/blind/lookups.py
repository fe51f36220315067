"""Attacks that learn from other items how rows, neighbours or columns predict the answer. Pure."""

import sys
from collections.abc import Callable, Iterator
from itertools import combinations, product

import numpy as np

from pipeline.blind.learners import per_item
from pipeline.blind.parts import pieces, self_inverse, sides
from pipeline.blind.sheet import FOLDS, Floats, Ints, OptionTable, ProbeItem, Strategy, codes

Strategies = Iterator[Strategy]
_MOST = sys.float_info.max  # what is no float counts as a text


def missing_siblings(sheet: OptionTable) -> Strategies:
    """Predict the answer from which other tasks the clip has."""
    asked = {
        clip: tuple(sorted(sheet.items[index].task for index in members))
        for clip, members in sheet.clips.items()
    }
    context = codes((item.task, asked[item.clip]) for item in sheet.items)
    for what, values in _properties(sheet).items():
        yield lookup(sheet, f"{what} given siblings", context, values)


def letters(sheet: OptionTable) -> Strategies:
    """Predict the answer's letter from the row, the previous letters and the order of the options."""
    answers = np.array([item.answer for item in sheet.items])
    rows = np.arange(len(answers))
    ranks = sorted_rank(sheet)
    sorting = [tuple(ranks[list(sheet.rows(index))].tolist()) for index in rows.tolist()]
    contexts: dict[str, Ints] = {
        "nothing": rows * 0,
        "task and split": codes((item.task, item.split) for item in sheet.items),
        "order of the options": codes(sorting),
        "previous letter": np.concatenate([[-1], answers[:-1]]) + 1,
        "two previous letters": np.concatenate([[-1, -1], answers[:-2] * 8 + answers[1:-1]]) + 1
        if len(answers) > 2
        else rows * 0,
    }
    for period in range(2, 9):
        contexts[f"row modulo {period}"] = rows % period
    for name, key in (("clip", lambda item: item.clip), ("task", lambda item: item.task)):
        contexts[f"previous letter in the {name}"] = _before(sheet, key)
    for name, context in contexts.items():
        yield lookup(sheet, f"letter given {name}", context, sheet.position)
        yield lookup(sheet, f"sorted rank given {name}", context, ranks)


def _before(sheet: OptionTable, key: Callable[[ProbeItem], str]) -> Ints:
    last: dict[str, int] = {}
    found = []
    for item in sheet.items:
        found.append(last.get(key(item), -1) + 1)
        last[key(item)] = item.answer
    return np.array(found)


def columns(sheet: OptionTable) -> Strategies:
    """Predict the answer from every published column, from pairs of columns, and by a column that names it."""
    for name in sorted({name for item in sheet.items for name in item.columns}):
        named = _named(sheet, name)
        if named.any():
            yield Strategy(f"{name} tells the answer", named)
    plain, fine = _coded_columns(sheet)
    contexts = dict(fine)
    for (one, first), (other, second) in combinations(plain.items(), 2):
        contexts[f"{one} and {other}"] = first * (int(second.max()) + 1) + second
    for (name, context), (what, values) in product(contexts.items(), _properties(sheet).items()):
        yield lookup(sheet, f"{what} given {name}", context, values)


def _named(sheet: OptionTable, column: str) -> Floats:
    """Return whether a column holds an option's text or letter, (rows,)."""
    found = []
    for item in sheet.items:
        told = _plain(str(item.columns.get(column, "")))
        letters = [chr(97 + at) for at in range(len(item.options))]
        found += [
            told in (_plain(text), at) for text, at in zip(item.options, letters, strict=True)
        ]
    return np.array(found, float)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _coded_columns(sheet: OptionTable) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """Return one coding of each column, for pairs, and several codings, for single columns."""
    found: dict[str, list[object]] = {
        "question": [item.question for item in sheet.items],
        "id": [item.id for item in sheet.items],
    }
    for name in ("task", "orientation", "contrast", "option_kind", "split", "group", "clip"):
        found[name] = [getattr(item, name) for item in sheet.items]
    for name in sorted({name for item in sheet.items for name in item.columns}):
        found[name] = [item.columns.get(name) for item in sheet.items]
    plain: dict[str, Ints] = {}
    fine: dict[str, Ints] = {}
    for name, values in found.items():
        if len(set(values)) < 2:
            continue
        numbers = [v for v in values if isinstance(v, int | float) and abs(v) <= _MOST]
        if len(numbers) == len(values):
            exact = np.array(numbers, float)
            cuts = np.unique(np.quantile(exact, np.linspace(0, 1, 11)[1:-1]))
            plain[name] = np.searchsorted(cuts, exact)
            if (exact == np.round(exact)).all():
                fine[f"{name} modulo 4"] = (exact % 4).astype(np.int64)
        else:
            texts = ["" if value is None else str(value) for value in values]
            if len(set(texts)) <= len(texts) / 3:
                plain[name] = codes(texts)
            fine[f"last letter of {name}"] = codes(text[-1:] for text in texts)
            fine[f"first letter of {name}"] = codes(text[:1] for text in texts)
            fine[f"length of {name}"] = np.array([len(text) for text in texts])
    return plain, {**plain, **fine}


def _properties(sheet: OptionTable) -> dict[str, Ints]:
    """Return the properties of an option that a context may predict, as numbers per row."""
    texts = [text.casefold() for text in sheet.texts]
    lengths = np.array([len(text) for text in texts])
    return {
        "letter": sheet.position,
        "sorted rank": sorted_rank(sheet),
        "number of parts": np.array([min(40, len(pieces(text))) for text in texts]),
        "left turns": np.array([min(40, sides(text).count("left")) for text in texts]),
        "first side": codes(tuple(sides(text)[:1]) for text in texts),
        "self-inverse": np.array([self_inverse(text) for text in texts], np.int64),
        "length": np.searchsorted(np.quantile(lengths, np.linspace(0, 1, 11)[1:-1]), lengths),
    }


def lookup(sheet: OptionTable, name: str, context: Ints, values: Ints) -> Strategy:
    """Return a strategy that scores a row by how often its value was right in this context in other folds."""
    key = context[sheet.item_of] * (int(values.max()) + 2) + values
    _, key = np.unique(key, return_inverse=True)
    scores, own = _looked_up(sheet, key)
    return Strategy(name, scores, own, lambda other: _looked_up(other, key))


def _looked_up(sheet: OptionTable, key: Ints) -> tuple[Floats, Floats]:
    """Return how much more often than by chance each key is right in other folds, and in those of its half."""
    width = int(key.max()) + 1
    surplus = sheet.truth - sheet.chance[sheet.item_of]

    def gain(part: Ints, folds: Ints) -> Floats:
        """Train within each part, on all its folds but the row's own."""
        block = part * FOLDS + folds

        def elsewhere(weights: Floats) -> Floats:
            table = np.bincount(block * width + key, weights, 2 * FOLDS * width)
            cube = table.reshape(2, FOLDS, width)
            return np.asarray(cube.sum(axis=1)[part, key] - cube[part, folds, key], dtype=float)

        # The excess over chance, shrunk by a prior of four rows.
        return np.round(elsewhere(surplus) / (elsewhere(np.ones(len(key))) + 4), 9)

    fold, half = sheet.fold[sheet.item_of], sheet.half[sheet.item_of]
    return gain(half * 0, fold), gain(half, fold)


def sorted_rank(sheet: OptionTable) -> Ints:
    """Return the rank of each row among its item's options in sorted order, (rows,)."""

    def ranks(rows: range) -> list[float]:
        order = sorted(rows, key=lambda row: sheet.texts[row])
        return [float(order.index(row)) for row in rows]

    return per_item(sheet, ranks).astype(np.int64)
