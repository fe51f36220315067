"""Readers of two versions of a test: what a correction kept and what it changed. Pure."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline.blind.sheet import Floats, OptionTable, ProbeItem, Strategy

Strategies = Iterator[Strategy]


def versions(table: OptionTable, earlier: Sequence[ProbeItem]) -> Strategies:
    """Choose options that kept their text or letter since an earlier version with the same ids, or did not.

    Items of one id are compared; where no id is common, those of a clip that share most options.
    """
    paired = _paired(table, earlier)
    if not paired:
        return
    kept, letter, moved, answer, old_letter = np.zeros((5, len(table.texts)))
    for index, before in paired.items():
        rows = table.rows(index)
        for place, row in enumerate(rows):
            text = _plain(table.texts[row])
            old = [_plain(option) for option in before.options]
            kept[row] = text in old
            letter[row] = place < len(old) and old[place] == text
            if text in old:
                moved[row] = place - old.index(text)
            answer[row] = text == old[before.answer]
            old_letter[row] = place == before.answer
    steps = {
        "option kept": kept,
        "letter kept": letter,
        "places moved down": moved,
        "places moved": np.abs(moved),
        "answer of the earlier version": answer,
        "letter of the earlier version's answer": old_letter,
        "option that is where others were reordered": _fixed(table, letter, kept),
    }
    for name, scores in steps.items():
        if np.ptp(scores):
            yield Strategy(f"most {name}", scores)
            yield Strategy(f"least {name}", -scores)


def _paired(table: OptionTable, earlier: Sequence[ProbeItem]) -> Mapping[int, ProbeItem]:
    """Return the earlier item of each item that has one."""
    by_id = {item.id: item for item in earlier}
    found = {index: by_id[item.id] for index, item in enumerate(table.items) if item.id in by_id}
    if found:
        return found
    by_clip: dict[tuple[str, str], list[ProbeItem]] = {}
    for item in earlier:
        by_clip.setdefault((item.clip, item.task), []).append(item)
    for index, item in enumerate(table.items):
        alike = by_clip.get((item.clip, item.task), [])
        best = max(alike, key=lambda other: _shared(item, other), default=None)
        if best and _shared(item, best) > 0:
            found[index] = best
    return found


def _shared(item: ProbeItem, other: ProbeItem) -> int:
    return len({*map(_plain, item.options)} & {*map(_plain, other.options)})


def _fixed(table: OptionTable, letter: Floats, kept: Floats) -> Floats:
    """Return which options alone kept their letter while others were reordered."""
    held = np.add.reduceat(letter, table.first)[table.item_of]
    reordered = np.add.reduceat(kept * (1 - letter), table.first)[table.item_of]
    return np.asarray(letter * (reordered > 0) / np.maximum(1, held), dtype=float)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
