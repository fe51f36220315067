"""Instructions that follow the last option in most texts of a file, such as `Your answer?`. Pure.

A single text doesn't tell an option (`press the button, select the number`) from instructions; many do:
instructions recur, whatever option comes before them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from pipeline.blind.lettered import asks, tails_of, written_options

_FEWEST = 5  # texts that show what recurs
_NEARLY = 0.9  # of the texts
_OFTEN, _SEVERAL = (
    0.05,
    3,
)  # of the texts, and at least: enough for a sentence that asks for an option
_SAMPLE = 2000  # texts


def common_tails(texts: Sequence[tuple[str, bool]]) -> frozenset[str]:
    """Return what follows the last option in many texts, with single spaces.

    `texts` are questions with their options or, where the second value is true, options alone.
    """
    sample = texts[:: 1 + len(texts) // _SAMPLE]
    rows = [row for text, alone in sample if (row := written_options(text, alone=alone))]
    by_count: defaultdict[int, list[list[str]]] = defaultdict(list)
    for row in rows:
        by_count[len(row)].append(row)
    shared = (tail for alike in by_count.values() for tail in _shared(alike))
    return frozenset([*shared, *_asking(rows)])


def _shared(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of their own that end several texts, or else the longest tail of nearly all texts."""
    if len(rows) < _FEWEST:
        return
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    heads: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        for head, tail, line in tails_of(row[-1]):
            counts[line][tail] += 1
            heads[tail].add(head)

    def recurring(line: bool, share: float) -> list[str]:
        fewest = max(share * len(rows), _SEVERAL)
        return [
            tail
            for tail, count in counts[line].items()
            if count >= fewest and not _ends_others(tail, rows)
        ]

    varied = {tail for tail, before in heads.items() if len(before) > 1}
    lines = {*recurring(True, _NEARLY), *varied.intersection(recurring(True, _OFTEN))}
    # `None Of The Above` may end all texts.
    others = [] if lines else varied.intersection(recurring(False, _NEARLY))
    yield from lines or sorted(others, key=len)[-1:]


def _asking(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the sentences for whoever answers that recur, where a file has several of them."""
    counted = Counter(tail for row in rows for _, tail, _ in tails_of(row[-1]) if asks(tail))
    fewest = max(_OFTEN * len(rows), min(len(rows), _SEVERAL))
    for tail, count in counted.items():
        if count >= fewest and not _ends_others(tail, rows):
            yield tail


def _ends_others(tail: str, rows: Sequence[Sequence[str]]) -> bool:
    """Return whether options that aren't the last one of their text end alike."""
    return any(
        " ".join(option.split()).rstrip(",; ").endswith(tail) for row in rows for option in row[:-1]
    )
