"""Audit another project's benchmark: gates on its rows, each mistake in words, and our format of it."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from pipeline.blind.files import Benchmark
from pipeline.blind.lettered import holds_instructions
from pipeline.blind.parts import sides
from pipeline.blind.sheet import ProbeItem
from pipeline.engine.folder import write_atomic
from pipeline.releases.gates import Gate, met_if, no_faults

_SKEW, _ERRORS = 0.03, 3
_USUAL = 0.75  # of the items have the same number of options, or any number is fine
_SWAPPED = {"left": "right", "right": "left"}

Faults = Mapping[int, str]
"""What is wrong with items, in words, by their place in the list."""


@dataclass(frozen=True)
class _Check:
    """One requirement on each item: `find` returns the items at fault."""

    name: str
    what: str
    fix: str
    find: Callable[[Sequence[ProbeItem]], Faults]


@dataclass(frozen=True)
class Audit:
    """The gates on a benchmark's rows, and every row at fault by its place, with its mistakes in words."""

    gates: list[Gate]
    faults: Mapping[str, Sequence[str]]

    def lines(self, most: int | None = None) -> Iterator[str]:
        """Yield a line for each of the first `most` rows at fault, and the number of the others."""
        rows = list(self.faults.items())
        yield from (f"{where}: {', '.join(words)}" for where, words in rows[:most])
        if most is not None and len(rows) > most:
            yield f"and {len(rows) - most:,} more rows with mistakes: egost import FILE lists all"


def audit(benchmark: Benchmark) -> Audit:
    """Run every check that needs only the rows; each gate's `rows` are those at fault."""
    items = benchmark.items
    faults: dict[str, list[str]] = {where: [what] for where, what in benchmark.faults.items()}
    gates = [
        no_faults(
            "readable",
            benchmark.faults,
            "rows that can't be read",
            "fix these rows",
            total=len(benchmark.rows),
        )
    ]
    wheres = [where for where, row in benchmark.rows if isinstance(row, ProbeItem)]
    for check in CHECKS:
        found = check.find(items)
        rows = [items[place].id for place in found]
        gates.append(no_faults(check.name, rows, check.what, check.fix, total=len(items)))
        for place, words in found.items():
            faults.setdefault(wheres[place], []).append(words)
    gates.insert(2, letters(items))
    order = {where: place for place, (where, _) in enumerate(benchmark.rows)}
    return Audit(gates, {where: faults[where] for where in sorted(faults, key=order.__getitem__)})


def options(items: Sequence[ProbeItem]) -> Faults:
    """Find items with another number of options than nearly all have, or with one that is none."""
    count, often = Counter(len(item.options) for item in items).most_common(1)[0]
    return {
        place: ", ".join(words)
        for place, item in enumerate(items)
        if (words := list(_option_faults(item, count if often >= _USUAL * len(items) else None)))
    }


def _option_faults(item: ProbeItem, usual: int | None) -> Iterator[str]:
    if usual is not None and len(item.options) != usual:
        yield f"{len(item.options)} options, others have {usual}"
    seen: dict[str, int] = {}
    for place, text in enumerate(item.options):
        other = seen.setdefault(text.casefold().strip(" ."), place)
        if other != place:
            yield f"options {_letter(other)} and {_letter(place)} are the same"
        if holds_instructions(text):
            yield f"option {_letter(place)} holds the instructions"


def letters(items: Sequence[ProbeItem]) -> Gate:
    """Require that no letter is correct much more often than the others."""
    offered = {
        letter: [item for item in items if letter < len(item.options)]
        for letter in range(max(len(item.options) for item in items))
    }
    counts = Counter(item.answer for item in items)
    expected = {
        letter: sum(1 / len(item.options) for item in those) for letter, those in offered.items()
    }
    letter = max(offered, key=lambda one: counts[one] - expected[one])
    count, total = counts[letter], len(offered[letter])
    faults = [item.id for item in items if item.answer == letter]
    # Letters drawn freely differ by chance: by more than 3 % in half of all files of 200 items.
    error = (expected[letter] * (1 - expected[letter] / total)) ** 0.5
    if count <= expected[letter] + max(2, _SKEW * total, _ERRORS * error):
        faults = []
    figure = f"{_letter(letter)} is correct in {count} of {total} ({count / total:.1%})"
    return Gate(
        name="letters",
        state=met_if(not faults),
        figure=figure,
        limit="equal within 3 % or three standard errors",
        rows=tuple(faults),
        fix="shuffle the options of each item again" if faults else "",
    )


def _letter(place: int) -> str:
    return ascii_uppercase[place] if place < len(ascii_uppercase) else f"option {place + 1}"


def stems(items: Sequence[ProbeItem]) -> Faults:
    """Find items with the question of another task, one that mostly occurs under that task."""
    tasks: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        tasks[_stem(item)][item.task] += 1
    usual = {stem: counts.most_common(1)[0][0] for stem, counts in tasks.items()}
    return {
        place: f"the question belongs to {usual[_stem(item)]}, the task is {item.task}"
        for place, item in enumerate(items)
        if usual[_stem(item)] != item.task
    }


def duplicates(items: Sequence[ProbeItem]) -> Faults:
    """Find ids that are used twice, and questions repeated with the same options on one clip."""
    ids: set[str] = set()
    asked: dict[object, str] = {}
    faults = {}
    for place, item in enumerate(items):
        key = (item.clip, item.task, _stem(item), frozenset(item.options))
        if item.id in ids:
            faults[place] = f"the id {item.id} is used twice"
        elif key in asked:
            faults[place] = f"the same question and options as {asked[key]}"
        ids.add(item.id)
        asked.setdefault(key, item.id)
    return faults


def reverses(items: Sequence[ProbeItem]) -> Faults:
    """Find reverse answers that are not the forward answer reversed, with left and right swapped."""
    known = {(item.clip, item.task.casefold()): place for place, item in enumerate(items)}
    faults = {}
    for (clip, task), place in known.items():
        forward = (
            known.get((clip, task.replace("reverse", "forward"))) if "reverse" in task else None
        )
        if forward is None:
            continue
        pair = (items[forward], items[place])
        there, back = (sides(one.options[one.answer]) for one in pair)
        if there and back and back != [_SWAPPED[side] for side in reversed(there)]:
            faults[place] = f"the answer doesn't invert the forward one ({pair[0].id})"
    return faults


CHECKS = (
    _Check(
        "options",
        "items with missing, equal or overlong options",
        "give each item the same number of different options, without instructions",
        options,
    ),
    _Check(
        "stems",
        "items with the question of another task",
        "correct their task or their question",
        stems,
    ),
    _Check("duplicates", "duplicate items", "keep one of each", duplicates),
    _Check(
        "reverses",
        "reverse answers that don't invert the forward one",
        "derive the reverse answer from the forward one: reverse the order, swap left and right",
        reverses,
    ),
)


def _stem(item: ProbeItem) -> str:
    return " ".join(item.question.casefold().split())


def write(benchmark: Benchmark, target: Path) -> None:
    """Write the items in our own format, as JSONL that `egost blind` reads."""
    lines = (
        json.dumps(
            {
                "id": item.id,
                "question_type": item.task,
                "question": item.question,
                "options": item.options,
                "answer": _letter(item.answer),
                "answer_text": item.options[item.answer],
                "video": item.clip,
                "split_group": item.group,
            },
            ensure_ascii=False,
        )
        for item in benchmark.items
    )
    write_atomic(target, ("\n".join(lines) + "\n").encode())
