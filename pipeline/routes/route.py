"""Routes: canonical form, reversal, and the step lines that people edit. Pure.

A step line is `time move | landmark | action | undo`, for example

    0:12.4 turn left | past the red door | opens it | closes it

with times since the start of the clip; a step ends where the next one begins. A backslash escapes
`|` and itself.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.engine.rows import digest
from pipeline.routes.rows import Move, Step
from pipeline.times import print_time

MOVE_WORDS: dict[Move, str] = {
    "straight": "go straight",
    "left": "turn left",
    "right": "turn right",
    "around": "turn around",
    "stay": "stay in place",
}
TURNS: frozenset[Move] = frozenset({"left", "right", "around"})
OPPOSITE: dict[Move, Move] = {
    "straight": "straight",
    "left": "right",
    "right": "left",
    "around": "around",
    "stay": "stay",
}
_MOVES = {text: move for move, words in MOVE_WORDS.items() for text in (words, move)}
_TIME = re.compile(r"(?:(\d+):)?(\d+):([0-5]?\d(?:\.\d{1,6})?)$")
# Not str.splitlines, which also splits at other separators that pasted text may contain.
_NEWLINE = re.compile(r"\r\n?|\n")
_FACTS = ("landmark", "action", "undo")


@dataclass
class LineError(ValueError):
    """A step line that can't be parsed; line and column count from 1."""

    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.what}"


def canonical(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Merge straights, and stays, without facts into adjacent ones; drop such steps of no duration."""
    merged: list[Step] = []
    for step in steps:
        goes_on = step.move not in TURNS
        if goes_on and step.start_us == step.end_us and _bare(step):
            continue
        last = merged[-1] if merged else None
        if goes_on and last and last.move == step.move and (_bare(step) or _bare(last)):
            rich = last if _bare(step) else step
            merged[-1] = rich.model_copy(update={"start_us": last.start_us, "end_us": step.end_us})
        else:
            merged.append(step)
    return tuple(merged)


def _bare(step: Step) -> bool:
    return step.landmark is None and step.action is None and step.undo is None


def reverse(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the reverse route: opposite order, left and right swapped, actions undone.

    Spans are mirrored within the route. Reversing twice gives the canonical route. Turning around
    before walking back is not a step; the rendered description mentions it.
    """
    forward = canonical(steps)
    if not forward:
        return ()
    mirror = forward[0].start_us + forward[-1].end_us
    return tuple(
        Step(
            start_us=mirror - step.end_us,
            end_us=mirror - step.start_us,
            move=OPPOSITE[step.move],
            landmark=step.landmark,
            action=step.undo,
            undo=step.action,
        )
        for step in reversed(forward)
    )


def turns(steps: Iterable[Step]) -> tuple[Move, ...]:
    """Return the moves that are turns, in order."""
    return tuple(step.move for step in steps if step.move in TURNS)


def course(steps: Iterable[Step]) -> tuple[Move, ...]:
    """Return the turns and stays in order; stays without a move between them are one."""
    moves: list[Move] = ["straight", *(step.move for step in steps)]
    return tuple(
        move
        for before, move in pairwise(moves)
        if move in TURNS or (move == "stay" and before != "stay")
    )


def worth_describing(steps: Iterable[Step]) -> int:
    """Return how many facts a description of the route would state: turns, landmarks and actions."""
    return sum((step.move in TURNS) + bool(step.landmark) + bool(step.action) for step in steps)


def fingerprint(steps: Iterable[Step], forward: str, reverse: str) -> str:
    """Return the digest of what people judge: the steps and both descriptions."""
    return digest(*(step.model_dump_json() for step in steps), forward, reverse)


def print_lines(steps: Iterable[Step], start_us: int) -> str:
    """Return the step lines of a clip that starts at `start_us`."""
    return "\n".join(_print_line(step, start_us) for step in steps)


def _print_line(step: Step, start_us: int) -> str:
    head = f"{print_time(step.start_us - start_us)} {MOVE_WORDS[step.move]}"
    if _bare(step):
        return head
    facts = [_escape(text) if (text := getattr(step, name)) else "" for name in _FACTS]
    while facts and not facts[-1]:
        facts.pop()
    return " | ".join((head, *facts)).rstrip()


def split_lines(text: str) -> list[str]:
    """Return the lines of a text."""
    return _NEWLINE.split(text)


def parse_lines(
    text: str, start_us: int, end_us: int, known: Sequence[Step] = ()
) -> tuple[Step, ...]:
    """Parse the step lines of the clip `start_us`..`end_us`; raise LineError with line and column.

    Printed times are rounded to tenths, so a time that prints like one of the `known` steps keeps
    that step's microseconds.
    """
    exact: dict[str, list[int]] = {}
    for step in reversed(known):
        exact.setdefault(print_time(step.start_us - start_us), []).append(step.start_us)
    found: list[tuple[int, dict[str, str | None]]] = []
    for number, line in enumerate(split_lines(text), start=1):
        if not line.strip():
            continue
        begins, fields = _parse_line(line, number, start_us, exact)
        if not found and begins < start_us:
            raise LineError(number, 1, "this step begins before the clip")
        if found and begins <= found[-1][0]:
            raise LineError(number, 1, "a step must begin after the previous one")
        if begins >= end_us:
            clip = print_time(end_us - start_us)
            raise LineError(number, 1, f"this step begins after the clip ends ({clip})")
        found.append((begins, fields))
    if not found:
        raise LineError(
            1,
            1,
            "there are no steps; for a walk without turns write `0:00.0 go straight`, "
            "for no walk `0:00.0 stay in place`",
        )
    ends = [begins for begins, _ in found[1:]] + [end_us]
    return tuple(
        Step.model_validate({"start_us": begins, "end_us": end, **fields})
        for (begins, fields), end in zip(found, ends, strict=True)
    )


def _parse_line(
    line: str, number: int, start_us: int, exact: dict[str, list[int]]
) -> tuple[int, dict[str, str | None]]:
    cells = _split(line)
    head, column = cells[0]
    time_text, _, words = head.partition(" ")
    match = _TIME.match(time_text)
    if not match:
        raise LineError(number, column, f"expected a clip time such as 0:12.4, not {time_text!r}")
    move = _MOVES.get(" ".join(words.split()).lower())
    if move is None:
        at = column + len(time_text)
        at += len(line[at - 1 :]) - len(line[at - 1 :].lstrip())
        raise LineError(
            number, at, f"expected {', '.join(MOVE_WORDS.values())}, not {words.strip()!r}"
        )
    if len(cells) > 1 + len(_FACTS):
        raise LineError(number, cells[4][1], r"too many parts; write \| for a bar inside a text")
    hours, minutes, seconds = match.groups()
    whole, _, fraction = seconds.partition(".")
    time_us = ((int(hours or 0) * 60 + int(minutes)) * 60 + int(whole)) * 1_000_000
    time_us += int(fraction.ljust(6, "0") or 0)
    texts = [text or None for text, _ in cells[1:]]
    fields: dict[str, str | None] = dict(zip(_FACTS, texts, strict=False))
    fields["move"] = move
    unchanged = exact.get(time_text)  # two steps may print the same time: use each once, in order
    return unchanged.pop() if unchanged else start_us + time_us, fields


def _split(line: str) -> list[tuple[str, int]]:
    """Split at unescaped bars; return each cell's text with the column where it begins."""
    cells: list[tuple[str, int]] = []
    raw, begin = "", 0
    for match in re.finditer(r"\\.|\||[^\\|]+|\\$", line):
        token = match.group()
        if token == "|":
            cells.append(_cell(raw, begin))
            raw, begin = "", match.end()
        else:
            raw += token
    return [*cells, _cell(raw, begin)]


def _cell(raw: str, begin: int) -> tuple[str, int]:
    indent = len(raw) - len(raw.lstrip())
    return re.sub(r"\\(.)", r"\1", " ".join(raw.split())), begin + indent + 1


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("\\", r"\\").replace("|", r"\|")
