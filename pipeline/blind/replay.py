"""Replaying a draw of letters with public seeds, names and ids; and ids that digest the answer. Pure.

If letters come from a published seed, or from a hash keyed with the benchmark's name, anyone can
compute the answers. Each strategy is a recipe in actual use; a secret key defeats all of them.
"""

import hashlib
import hmac
import random
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from operator import eq, mod

import numpy as np

from pipeline.blind.sheet import Floats, OptionTable, ProbeItem, Strategy
from pipeline.engine.rows import digest

# Common seeds: small numbers, round numbers, jokes, years.
SEEDS = tuple(
    int(word)
    for word in (
        " ".join(map(str, (*range(51), *range(2018, 2031))))
        + " 64 69 77 99 100 101 111 123 128 256 420 512 666 777 999 1000 1024 1111 1234 1337 2048"
        " 3407 4242 9999 12345 31337 65537 123456 20240101 20250101"
    ).split()
)
_HASHES: dict[str, Callable[[bytes], str]] = {
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "blake2b": lambda data: hashlib.blake2b(data).hexdigest(),
}
_HEX = re.compile(r"[0-9a-f]{6,}")
# Items on which a recipe is tried before it is computed for all.
_TRIAL = 64
_TRIAL_OF_TASK = 24


def replay(sheet: OptionTable) -> Iterator[Strategy]:
    """Yield every promising recipe as a scoring of the rows."""
    yield from _one_stream(sheet)
    yield from _keyed(sheet)
    yield from _digested(sheet)


def _promising(sheet: OptionTable, tried: Sequence[int], drawn: Sequence[int]) -> bool:
    """Return whether a recipe is right more often than chance explains: by six standard errors.

    Thousands of recipes are tried; accepting those that chance could bring this far would bias the figure.
    """
    at = np.array(tried)
    expected = float(sheet.chance[at].sum())
    enough = min(len(tried), expected + 6 * np.sqrt(expected * (1 - expected / len(tried))))
    answers = [sheet.items[index].answer for index in tried]
    return bool(sum(map(eq, map(mod, drawn, sheet.size[at].tolist()), answers)) >= enough)


def _scoring(sheet: OptionTable, chosen: Sequence[int]) -> Floats:
    # Digests exceed 64 bits, so the remainder is taken before numpy sees them.
    wanted = [number % len(item.options) for number, item in zip(chosen, sheet.items, strict=True)]
    return np.asarray(sheet.position == np.array(wanted)[sheet.item_of], dtype=float)


# ---- one generator for the whole table ---------------------------------------------------------------


def _one_stream(sheet: OptionTable) -> Iterator[Strategy]:
    sizes = sheet.size.tolist()
    rows = list(range(len(sizes)))
    by_id = sorted(rows, key=lambda index: sheet.items[index].id)
    for (name, order), seed in product({"row": rows, "id": by_id}.items(), SEEDS):
        ordered = [sizes[index] for index in order]
        where = f"seed {seed}, in {name} order"
        for recipe, draw in _STREAMS.items():
            if _promising(sheet, order[:_TRIAL], draw(seed, ordered[:_TRIAL])):
                yield Strategy(f"{recipe}, {where}", _placed(sheet, order, draw(seed, ordered)))
        drawn = _balanced(seed, ordered)
        if _promising(sheet, order, drawn):
            yield Strategy(f"balanced letters, {where}", _placed(sheet, order, drawn))
    blocks: dict[object, list[int]] = {}
    for index, item in enumerate(sheet.items):
        blocks.setdefault((item.split, item.task), []).append(index)
    order = [index for members in blocks.values() for index in members]
    for seed in SEEDS:
        letters = [
            _balanced(seed, [sizes[index] for index in members]) for members in blocks.values()
        ]
        drawn = [letter for block in letters for letter in block]
        # Perhaps only one task was made this way.
        if _promising(sheet, order, drawn) or any(
            len(members) >= _TRIAL_OF_TASK and _promising(sheet, members, block)
            for members, block in zip(blocks.values(), letters, strict=True)
        ):
            yield Strategy(
                f"balanced letters per task and split, seed {seed}", _placed(sheet, order, drawn)
            )


def _placed(sheet: OptionTable, order: Sequence[int], drawn: Sequence[int]) -> Floats:
    found = np.zeros(len(sheet.items), np.int64)
    found[list(order)] = drawn
    return _scoring(sheet, found.tolist())


def _shuffled(seed: int | str, sizes: Sequence[int]) -> list[int]:
    draw, found = random.Random(seed), []
    for size in sizes:
        order = list(range(size))
        draw.shuffle(order)
        found.append(order.index(0))
    return found


def _drawn(seed: int, sizes: Sequence[int]) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(size) for size in sizes]


def _balanced(seed: int, sizes: Sequence[int]) -> list[int]:
    found = [position % size for position, size in enumerate(sizes)]
    random.Random(seed).shuffle(found)
    return found


def _permuted(seed: int, sizes: Sequence[int]) -> list[int]:
    draw = np.random.default_rng(seed)
    return [int(np.flatnonzero(draw.permutation(size) == 0)[0]) for size in sizes]


def _legacy(seed: int, sizes: Sequence[int]) -> list[int]:
    draw = np.random.RandomState(seed)
    return [int(np.flatnonzero(draw.permutation(size) == 0)[0]) for size in sizes]


_STREAMS: dict[str, Callable[[int, Sequence[int]], list[int]]] = {
    "answer first, then shuffled": _shuffled,
    "letter drawn": _drawn,
    "answer first, then permuted by numpy": _permuted,
    "answer first, then permuted by old numpy": _legacy,
}


# ---- one hash per item -------------------------------------------------------------------------------


def _keyed(sheet: OptionTable) -> Iterator[Strategy]:
    """Yield letters from a hash of an item's public names under a public key."""
    tasks: dict[str, list[int]] = {}
    for index, item in enumerate(sheet.items):
        tasks.setdefault(item.task, []).append(index)
    trials: list[Sequence[int]] = [range(min(_TRIAL, len(sheet.items)))]
    trials += [members[:_TRIAL_OF_TASK] for members in tasks.values() if len(members) >= 12]
    for name, recipe in _recipes(sheet):
        if any(
            _promising(sheet, trial, [recipe(sheet.items[index]) for index in trial])
            for trial in trials
        ):
            yield Strategy(name, _scoring(sheet, [recipe(item) for item in sheet.items]))


Recipe = Callable[[ProbeItem], int]


def _recipes(sheet: OptionTable) -> Iterator[tuple[str, Recipe]]:
    rows = {item.id: row for row, item in enumerate(sheet.items)}
    names: dict[str, Callable[[ProbeItem], str]] = {
        "id": lambda item: item.id,
        "row": lambda item: str(rows[item.id]),
        "clip and task": lambda item: f"{item.clip}{item.task}",
        "clip, task": lambda item: f"{item.clip}:{item.task}",
        "question": lambda item: item.question,
        "sorted options": lambda item: "".join(sorted(item.options)),
    }
    # A benchmark's own name and version are the most obvious keys.
    own = {
        str(item.columns[name])
        for item in sheet.items[:_TRIAL]
        for name in ("dataset", "version")
        if name in item.columns
    }
    numbers = (0, 1, 2, 3, 7, 42, 123, 1234, 1337, 2024, 2025, 2026)
    keys = ["", "egost", "ego-st", "benchmark", "test", "seed", "secret", *map(str, numbers)]
    keys += sorted(own)
    for public, named in names.items():
        yield f"number in {public}", lambda item, named=named: _number(named(item))  # type: ignore[misc]
        yield f"crc32 of {public}", lambda item, named=named: zlib.crc32(named(item).encode())  # type: ignore[misc]
        for key in keys:
            yield f"HMAC under {key!r} of {public}", _hmac(key, named)
            yield f"shuffled under {key!r} and {public}", _reshuffled(key, named)
            for (hashed, compute), joint in product(_HASHES.items(), (":", "_", "-", "")):
                if key or not joint:
                    yield (
                        f"{hashed} of {key + joint!r} and {public}",
                        _hashed(key + joint, named, compute),
                    )


def _hmac(key: str, named: Callable[[ProbeItem], str]) -> Recipe:
    return lambda item: int.from_bytes(
        hmac.digest(key.encode(), named(item).encode(), "sha256")[:8], "big"
    )


def _reshuffled(key: str, named: Callable[[ProbeItem], str]) -> Recipe:
    return lambda item: _shuffled(key + named(item), [len(item.options)])[0]


def _hashed(
    lead: str, named: Callable[[ProbeItem], str], compute: Callable[[bytes], str]
) -> Recipe:
    return lambda item: int(compute(f"{lead}{named(item)}".encode()), 16)


def _number(text: str) -> int:
    """Return the number at the end of an id, decimal or hexadecimal; 0 if there is none."""
    digits = re.findall(r"[0-9a-f]+$", text.casefold())
    return int(digits[0], 16) if digits else 0


# ---- an id that digests the answer --------------------------------------------------------------------

Named = Callable[[ProbeItem, int], str]


def _digested(sheet: OptionTable) -> Iterator[Strategy]:
    if not any(_HEX.search(item.id.casefold()) for item in sheet.items[:_TRIAL]):
        return
    for name, compute in _digests():
        if any(_named_by(item, compute) for item in sheet.items[:16]):
            scores = np.zeros(len(sheet.texts))
            for index, item in enumerate(sheet.items):
                for position in _named_by(item, compute):
                    scores[int(sheet.first[index]) + position] = 1
            yield Strategy(f"id is {name}", scores)


def _named_by(item: ProbeItem, compute: Named) -> list[int]:
    parts = _HEX.findall(item.id.casefold())
    return [
        position
        for position in range(len(item.options))
        if parts and compute(item, position).startswith(parts[-1])
    ]


def _digests() -> Iterator[tuple[str, Named]]:
    fields: dict[str, Named] = {
        "clip": lambda item, _: item.clip,
        "group": lambda item, _: item.group,
        "task": lambda item, _: item.task,
        "question": lambda item, _: item.question,
        "options": lambda item, _: "".join(item.options),
        "option list": lambda item, _: str(list(item.options)),
    }
    answers: dict[str, Named] = {
        "text": lambda item, position: item.options[position],
        "letter": lambda _, position: "ABCDEFGH"[position % 8],
        "index": lambda _, position: str(position),
    }
    chosen = [names for count in range(4) for names in combinations(fields, count)]
    for names, (answer, last) in product(chosen, answers.items()):
        parts = (*(fields[name] for name in names), last)
        fields_used = ", ".join((*names, f"answer {answer}"))
        for (hashed, compute), joint in product(_HASHES.items(), ("", "|", ":", "_", "\n", " ")):
            yield f"{hashed} of {fields_used}", _joined(parts, compute, joint)
        for lead in ((), ("item",)):
            yield f"our digest of {', '.join((*lead, fields_used))}", _our_digest(lead, parts)


def _joined(parts: Sequence[Named], compute: Callable[[bytes], str], joint: str) -> Named:
    return lambda item, position: compute(
        joint.join(part(item, position) for part in parts).encode()
    )


def _our_digest(lead: Sequence[str], parts: Sequence[Named]) -> Named:
    return lambda item, position: digest(*lead, *(part(item, position) for part in parts))
