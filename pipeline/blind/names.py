"""Readers of file names, ids, titles and other texts published with an item: do they tell the options' order? Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pipeline.blind.sequences import Sequences, backwards, named_sequences
from pipeline.blind.sheet import OptionTable, ProbeItem, Strategy

Strategies = Iterator[Strategy]
_TOKEN = re.compile(r"[^\W_]+")
_FEWEST = 5  # different values: a column with fewer is a category, which `columns` reads
_LEAST = 0.01  # of the items must have a word of an option in the text


def tokens(text: str) -> list[str]:
    """Return the words and numbers of a file name or a text, case-folded; `a_to-b.mp4` has four."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return _TOKEN.findall(split.casefold())


def file_names(table: OptionTable) -> Strategies:
    """Choose by the words of each text column: options that have them, and in that order.

    `kitchen_to_hall.mp4` tells which of the two comes first; a question about the way back turns it around.
    """
    bags = [tokens(text) for text in table.texts]
    known = {token for bag in bags for token in bag}
    sequences: Sequences | None = None
    seen: set[tuple[str, ...]] = set()
    for name, value_of in _columns(table).items():
        texts = tuple(value_of(item) for item in table.items)
        if texts in seen or len({*texts}) < _FEWEST:
            continue
        seen.add(texts)
        where = [_where(text, known) for text in texts]
        told = sum(
            any(token in where[index] for row in table.rows(index) for token in bags[row])
            for index in range(len(table.items))
        )
        if told < max(1, _LEAST * len(table.items)):
            continue
        if sequences is None:
            sequences = named_sequences(table)
        yield from _told(table, name, where, bags, sequences)


def _columns(table: OptionTable) -> Mapping[str, Callable[[ProbeItem], str]]:
    columns = sorted(
        {
            name
            for item in table.items
            for name, value in item.columns.items()
            if isinstance(value, str)
        }
    )
    found: dict[str, Callable[[ProbeItem], str]] = {
        name: lambda item, name=name: str(item.columns.get(name, ""))  # type: ignore[misc]
        for name in columns
    }
    found |= {"clip": lambda item: item.clip, "group": lambda item: item.group}
    return found | {"id": lambda item: item.id, "question": lambda item: item.question}


def _where(text: str, known: set[str]) -> dict[str, float]:
    """Return where each known word is in a text, from -1 to 1."""
    # Numbers and punctuation around the words don't move them.
    found = list(dict.fromkeys(token for token in tokens(text) if token in known))
    last = max(1, len(found) - 1)
    return {token: 2 * at / last - 1 for at, token in enumerate(found)}


def _told(
    table: OptionTable,
    name: str,
    where: Sequence[Mapping[str, float]],
    bags: Sequence[Sequence[str]],
    sequences: Sequences,
) -> Strategies:
    had, first, order, words = np.zeros((4, len(bags)))
    way = np.array([-1.0 if backwards(table, row) else 1.0 for row in range(len(bags))])
    for row, bag in enumerate(bags):
        told = where[int(table.item_of[row])]
        if not told:
            continue
        had[row] = sum(token in told for token in {*bag}) / max(1, len({*bag}))
        first[row] = float(bool(bag) and bag[0] in told)
        words[row] = _agreement([(token,) for token in bag], told)
        for sequence in sequences[row]:
            order[row] += _agreement([tuple(tokens(part)) for part in sequence], told)
    for what, scores in (
        ("words of", had),
        ("first word of", first),
        ("order of the words of", words),
        ("order of the names of", order),
        ("order, there or back, of the words of", words * way),
        ("order, there or back, of the names of", order * way),
    ):
        if np.ptp(scores):
            scores = np.round(scores, 6)
            yield Strategy(f"most {what} {name}", scores)
            yield Strategy(f"least {what} {name}", -scores)


def _agreement(names: Sequence[Sequence[str]], told: Mapping[str, float]) -> float:
    """Return how well the places of names agree with those of their words in a text."""
    last = max(1, len(names) - 1)
    total = 0.0
    for at, name in enumerate(names):
        places = [told[token] for token in name if token in told]
        if places:
            total += (2 * at / last - 1) * sum(places) / len(places)
    return total
