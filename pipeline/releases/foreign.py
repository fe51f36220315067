"""Auditing somebody else's benchmark: its rows read as they come, what is wrong with each, our own form."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.blind.items import tolerant
from pipeline.blind.parts import sides
from pipeline.blind.sheet import ProbeItem
from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.releases.gates import OPTIONS, Gate, no_faults

_LETTERS = "ABCDEFGHIJ"
_SKEW = 0.03
_SWAPPED = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Foreign:
    """A benchmark of unknown make: the items that could be read, and why the other rows could not."""

    path: Path
    items: tuple[ProbeItem, ...]
    unread: Mapping[str, str]  # by row
    open_rows: int

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return len(self.items) + len(self.unread) + self.open_rows

    def __str__(self) -> str:
        opened = f", {self.open_rows} open questions passed over" if self.open_rows else ""
        return f"import: {self.path}: {len(self.items)} multiple-choice items read, {len(self.unread)} rows can't be read{opened}"


def read(path: Path) -> Foreign:
    """Read JSON, JSONL or Parquet like the first Ego-ST release: options may stand in the question.

    Raises UserError for a file that can't be read at all; a row that can't be read is told by row.
    """
    items, unread, opened = [], {}, 0
    for where, found in tolerant(path):
        if isinstance(found, ProbeItem):
            items.append(found)
        elif found is None:
            opened += 1
        else:
            unread[where] = found
    if not items:
        first = next(iter(unread.values()), "it holds none")
        raise UserError(
            str(path), f"no multiple-choice item can be read: {first}", "check the columns"
        )
    return Foreign(path, tuple(items), unread, opened)


def audit(foreign: Foreign) -> list[Gate]:
    """Run every check that needs the rows alone; `rows` name those at fault."""
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
    """Every item has exactly four options, all different."""
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
    """No letter is right much more often than the others."""
    counts = Counter(item.answer for item in items)
    letter, count = counts.most_common(1)[0]
    expected = sum(1 / len(item.options) for item in items if letter < len(item.options))
    faults = [item.id for item in items if item.answer == letter]
    if count <= expected + max(2, _SKEW * len(items)):
        faults = []
    told = f"{_LETTERS[letter]} is right in {count} of {len(items)} ({count / len(items):.1%})"
    return Gate(
        name="letters",
        met=not faults,
        figure=told,
        limit="equal within 3 %",
        rows=tuple(faults),
        fix="draw each item's order of options anew" if faults else "",
    )


def stems(items: Sequence[ProbeItem]) -> Gate:
    """No item asks what another task asks: its question stands, word for word, mostly under that one."""
    tasks: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        tasks[_stem(item)][item.task] += 1
    faults = [item.id for item in items if tasks[_stem(item)].most_common(1)[0][0] != item.task]
    return no_faults(
        "stems",
        faults,
        "items whose question is that of another task",
        "correct their task or their question",
        total=len(items),
    )


def duplicates(items: Sequence[ProbeItem]) -> Gate:
    """No question is asked twice of one clip with the same options; no id stands twice."""
    seen: set[object] = set()
    faults = []
    for item in items:
        marks = {item.id, (item.clip, item.task, _stem(item), frozenset(item.options))}
        if marks & seen:
            faults.append(item.id)
        seen |= marks
    return no_faults("duplicates", faults, "duplicate items", "keep one of each", total=len(items))


def reverses(items: Sequence[ProbeItem]) -> Gate:
    """Where a clip is asked both ways, the way back swaps left and right and goes backwards."""
    known = {(item.clip, item.task.casefold()): item for item in items}
    faults, pairs = [], 0
    for (clip, task), item in known.items():
        there = known.get((clip, task.replace("reverse", "forward"))) if "reverse" in task else None
        if there is None:
            continue
        forth, back = (sides(one.options[one.answer]) for one in (there, item))
        if forth and back:
            pairs += 1
            if back != [_SWAPPED[side] for side in reversed(forth)]:
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
    """Yield a line for each row at fault: its id, and every check that it fails."""
    found: dict[str, list[str]] = defaultdict(list)
    for gate in gates:
        for row in gate.rows:
            found[row].append(foreign.unread.get(row, gate.name))
    order = {item.id: index for index, item in enumerate(foreign.items)}
    for row in sorted(found, key=lambda row: order.get(row, -1)):
        yield f"{row}: {', '.join(found[row])}"


def write(foreign: Foreign, target: Path) -> None:
    """Write the items in our own form, as JSONL: what `egost blind` and any reader of ours take."""
    lines = (
        json.dumps(
            {
                "id": item.id,
                "question_type": item.task,
                "question": item.question,
                "options": item.options,
                "answer": _LETTERS[item.answer],
                "answer_text": item.options[item.answer],
                "video": item.clip,
                "split_group": item.group,
            },
            ensure_ascii=False,
        )
        for item in foreign.items
    )
    write_atomic(target, ("\n".join(lines) + "\n").encode())
