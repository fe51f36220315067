"""Audit another project's benchmark: read its rows leniently, report faults by row, write our format."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from pipeline.blind.answers import Reading
from pipeline.blind.files import answers_of, read_files
from pipeline.blind.parts import sides
from pipeline.blind.sheet import ProbeItem
from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.releases.gates import OPTIONS, Gate, met_if, no_faults

_SKEW = 0.03
_SWAPPED = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Foreign:
    """A benchmark in an unknown format: the items that were read, and why other rows could not be."""

    path: Path
    items: tuple[ProbeItem, ...]
    unread: Mapping[str, str]  # by row
    open_rows: int
    answers: str  # what the answers are

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.items) + len(self.unread) + self.open_rows

    def __str__(self) -> str:
        opened = f", {self.open_rows} open questions skipped" if self.open_rows else ""
        return f"import: {self.path}: {len(self.items)} multiple-choice items read, answers are {self.answers}, {len(self.unread)} rows can't be read{opened}"


def read(path: Path, told: Reading | None = None) -> Foreign:
    """Read JSON, JSONL or Parquet like the first Ego-ST release, where the question may contain the options.

    `told` is what the answers are, for a file that doesn't show it. Raises UserError for such a file, or
    if no item can be read; otherwise rows that can't be read are reported by row.
    """
    files = read_files(path, told)
    rows = [row for file in files for row in file.rows]
    items = tuple(item for _, item in rows if isinstance(item, ProbeItem))
    unread = {where: item for where, item in rows if isinstance(item, str)}
    if not items:
        first = next(iter(unread.values()), "there is none")
        raise UserError(
            str(path), f"no multiple-choice item can be read: {first}", "check the columns"
        )
    opened = sum(item is None for _, item in rows)
    return Foreign(path, items, unread, opened, answers_of(files))


def audit(foreign: Foreign) -> list[Gate]:
    """Run every check that needs only the rows; each gate's `rows` are those at fault."""
    return [
        no_faults(
            "readable",
            foreign.unread,
            "rows that can't be read",
            "fix these rows",
            total=foreign.rows,
        ),
        *(check(foreign.items) for check in CHECKS),
    ]


def four_options(items: Sequence[ProbeItem]) -> Gate:
    """Require exactly four different options of every item."""
    faults = [
        item.id
        for item in items
        if len(item.options) != OPTIONS
        or len({text.casefold().strip(" .") for text in item.options}) != OPTIONS
    ]
    return no_faults(
        "four_options",
        faults,
        "items without four different options",
        "give each item four different options",
        total=len(items),
    )


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
    if count <= expected[letter] + max(2, _SKEW * total):
        faults = []
    figure = f"{_letter(letter)} is correct in {count} of {total} ({count / total:.1%})"
    return Gate(
        name="letters",
        state=met_if(not faults),
        figure=figure,
        limit="equal within 3 %",
        rows=tuple(faults),
        fix="shuffle the options of each item again" if faults else "",
    )


def _letter(place: int) -> str:
    return ascii_uppercase[place] if place < len(ascii_uppercase) else f"option {place + 1}"


def stems(items: Sequence[ProbeItem]) -> Gate:
    """Require that no item has the question of another task, one that mostly occurs under that task."""
    tasks: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        tasks[_stem(item)][item.task] += 1
    faults = [item.id for item in items if tasks[_stem(item)].most_common(1)[0][0] != item.task]
    return no_faults(
        "stems",
        faults,
        "items with the question of another task",
        "correct their task or their question",
        total=len(items),
    )


def duplicates(items: Sequence[ProbeItem]) -> Gate:
    """Require unique ids, and no repeated question with the same options on one clip."""
    seen: set[object] = set()
    faults = []
    for item in items:
        keys = {item.id, (item.clip, item.task, _stem(item), frozenset(item.options))}
        if keys & seen:
            faults.append(item.id)
        seen |= keys
    return no_faults("duplicates", faults, "duplicate items", "keep one of each", total=len(items))


def reverses(items: Sequence[ProbeItem]) -> Gate:
    """Require that a reverse answer is the forward answer reversed, with left and right swapped."""
    known = {(item.clip, item.task.casefold()): item for item in items}
    faults, pairs = [], 0
    for (clip, task), item in known.items():
        forward = (
            known.get((clip, task.replace("reverse", "forward"))) if "reverse" in task else None
        )
        if forward is None:
            continue
        there, back = (sides(one.options[one.answer]) for one in (forward, item))
        if there and back:
            pairs += 1
            if back != [_SWAPPED[side] for side in reversed(there)]:
                faults.append(item.id)
    return no_faults(
        "reverses",
        faults,
        "reverse answers that don't invert the forward one",
        "derive the reverse answer from the forward one: reverse the order, swap left and right",
        total=pairs,
    )


CHECKS: tuple[Callable[[Sequence[ProbeItem]], Gate], ...] = (
    four_options,
    letters,
    stems,
    duplicates,
    reverses,
)


def _stem(item: ProbeItem) -> str:
    return " ".join(item.question.casefold().split())


def faults_by_row(foreign: Foreign, gates: Iterable[Gate]) -> Iterator[str]:
    """Yield a line for each row at fault: its id and every check that it fails."""
    found: dict[str, list[str]] = defaultdict(list)
    for gate in gates:
        for row in gate.rows:
            found[row].append(foreign.unread.get(row, gate.name))
    order = {item.id: index for index, item in enumerate(foreign.items)}
    for row in sorted(found, key=lambda row: order.get(row, -1)):
        yield f"{row}: {', '.join(found[row])}"


def write(foreign: Foreign, target: Path) -> None:
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
        for item in foreign.items
    )
    write_atomic(target, ("\n".join(lines) + "\n").encode())
