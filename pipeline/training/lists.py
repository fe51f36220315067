"""The two lists that a think text states: what happens in time order, and the same on the way back. Pure.

Each line is `- 2.1 s to 4.0 s: turn: left`; times are left out on the way back. Rewards read the lists with this
code, and a copy of it is in the file that trainers import. So it uses the standard library alone, and named tuples.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HEADINGS = {"en": ("Forward:", "Backward:"), "de": ("Vorwärts:", "Rückwärts:")}
KINDS = {
    "en": {"turn": "turn", "landmark": "landmark", "action": "action"},
    "de": {"turn": "Drehung", "landmark": "Wegmarke", "action": "Handlung"},
}
SIDES = {
    "en": {"left": "left", "right": "right", "around": "around"},
    "de": {"left": "links", "right": "rechts", "around": "Kehrtwende"},
}
_OPPOSITE = {"left": "right", "right": "left"}
_LINE = re.compile(
    r"-[ \t]+(?:(?P<start>\d+(?:\.\d+)?) s (?:to|bis) (?P<end>\d+(?:\.\d+)?) s:[ \t]+)?"
    r"(?P<kind>\w+):[ \t]*(?P<what>\S.*)"
)


class Event(NamedTuple):
    """One line: a turn (left, right or around), or the name of a landmark or an action; times in seconds."""

    kind: str
    what: str
    start: float | None = None
    end: float | None = None


class Lists(NamedTuple):
    """Both lists of a text."""

    forward: tuple[Event, ...]
    backward: tuple[Event, ...]


def inverted(events: Sequence[Event], undo: Mapping[str, str] | None = None) -> tuple[Event, ...]:
    """Return a list as it is on the way back, without times: last first, sides swapped, actions undone where `undo` tells how."""
    changed: Mapping[str, Mapping[str, str]] = {"turn": _OPPOSITE, "action": undo or {}}
    return tuple(
        Event(one.kind, changed.get(one.kind, {}).get(one.what, one.what))
        for one in reversed(events)
    )


def write(events: Sequence[Event], language: str) -> str:
    """Return the lines of one list."""
    kinds, sides = KINDS[language], SIDES[language]
    until = "bis" if language == "de" else "to"
    return "\n".join(
        f"- {_time(one, until)}{kinds[one.kind]}: {sides[one.what] if one.kind == 'turn' else one.what}"
        for one in events
    )


def _time(one: Event, until: str) -> str:
    if one.start is None or one.end is None:
        return ""
    # + 0.0: a difference of two times may be -4e-15, and lists have no minus sign.
    start, end = round(one.start, 1) + 0.0, round(one.end, 1) + 0.0
    return f"{start:.1f} s {until} {end:.1f} s: "


def read(text: str) -> Lists | None:
    """Return the lists of a text; None unless it has each heading exactly once, in this order, with lines that can be read."""
    for language, headings in HEADINGS.items():
        lines = text.splitlines()
        places = [
            [at for at, line in enumerate(lines) if line.strip() == head] for head in headings
        ]
        if all(len(found) == 1 for found in places) and places[0] < places[1]:
            both = [_events(lines[found[0] + 1 :], language) for found in places]
            return Lists(*both)
    return None


def _events(lines: Sequence[str], language: str) -> tuple[Event, ...]:
    kinds = {word: kind for kind, word in KINDS[language].items()}
    sides = {word: side for side, word in SIDES[language].items()}
    found = []
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None or match["kind"] not in kinds:
            break
        kind, what = kinds[match["kind"]], match["what"]
        times = (float(match["start"]), float(match["end"])) if match["start"] else (None, None)
        found.append(Event(kind, sides.get(what, what) if kind == "turn" else what, *times))
    return tuple(found)
