"""Readers of two versions of a test: what a correction kept and what it changed. Pure."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline.blind.parsing import NO_CLIP
from pipeline.blind.sheet import Floats, OptionTable, ProbeItem, Strategy

Strategies = Iterator[Strategy]
VERSIONS = "versions"


def versions(table: OptionTable, earlier: Sequence[ProbeItem]) -> Strategies:
    """Choose options that kept their text or letter since an earlier version, or did not."""
    for name, scores in traits(table, earlier).items():
        if np.ptp(scores):
            yield Strategy(f"most {name}", scores)
            yield Strategy(f"least {name}", -scores)


def traits(table: OptionTable, earlier: Sequence[ProbeItem]) -> Mapping[str, Floats]:
    """Return what each option has in common with the earlier version of its item, (rows,) each."""
    kept, letter, moved, answer, old_letter = np.zeros((5, len(table.texts)))
    for index, before in paired(table.items, earlier).items():
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
    return {
        "option kept": kept,
        "letter kept": letter,
        "places moved down": moved,
        "places moved": np.abs(moved),
        "answer of the earlier version": answer,
        "letter of the earlier version's answer": old_letter,
        "option that is where others were reordered": _fixed(table, letter, kept),
    }


def paired(items: Sequence[ProbeItem], earlier: Sequence[ProbeItem]) -> Mapping[int, ProbeItem]:
    """Return the earlier item of each item that has one, by index.

    Items of one id are of one another if they share an option; else those of a clip (without clips: with the
    same question) that share most options.
    """
    by_id = {item.id: item for item in earlier}
    by_place: dict[tuple[str, str], list[ProbeItem]] = {}
    for item in earlier:
        by_place.setdefault(_place(item), []).append(item)
    found = {}
    for index, item in enumerate(items):
        same = by_id.get(item.id)
        alike = [same] if same and _shared(item, same) else by_place.get(_place(item), [])
        best = max(alike, key=lambda other: _shared(item, other), default=None)
        if best and _shared(item, best):
            found[index] = best
    return found


def changed(items: Sequence[ProbeItem], earlier: Sequence[ProbeItem]) -> list[ProbeItem]:
    """Return the items that have an earlier version with other options, or in another order."""
    return [
        items[index]
        for index, before in paired(items, earlier).items()
        if [*map(_plain, items[index].options)] != [*map(_plain, before.options)]
    ]


def _place(item: ProbeItem) -> tuple[str, str]:
    return (item.question if item.clip.startswith(NO_CLIP) else item.clip, item.task)


def _shared(item: ProbeItem, other: ProbeItem) -> int:
    return len({*map(_plain, item.options)} & {*map(_plain, other.options)})


def _fixed(table: OptionTable, letter: Floats, kept: Floats) -> Floats:
    """Return which options alone kept their letter while others were reordered."""
    held = np.add.reduceat(letter, table.first)[table.item_of]
    reordered = np.add.reduceat(kept * (1 - letter), table.first)[table.item_of]
    return np.asarray(letter * (reordered > 0) / np.maximum(1, held), dtype=float)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
