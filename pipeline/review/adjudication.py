"""What the page of one adjudication shows: two people's versions of a route, side by side.

Which version stands left is drawn from the workspace's secret: the page doesn't tell who was first.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from pipeline.engine.rows import digest
from pipeline.review.facts import Facts
from pipeline.review.routepage import FIELDS, PageRows, checked_config
from pipeline.review.rows import Verdict
from pipeline.routes import route

CONFIG = "annotations/adjudicate.xml"
_LETTERS = ("A", "B")
_TALLEST = 270  # pixels; the text fields and the verdict below need the rest of a page of 900


def label_config() -> str:
    """Return `annotations/adjudicate.xml`; raise UserError if a control that pull reads is missing."""
    return checked_config(CONFIG, {"verdict": ("A", "B", "corrected", "reject")}, FIELDS)


def versions(
    shown: PageRows, heard: Sequence[Verdict], facts: Facts, secret: bytes
) -> dict[str, Any]:
    """Return the fields that an adjudication's page has beyond a route page's.

    The text fields hold version A; a version that rejects the clip is never A.
    """
    first, other = _two(heard, facts)
    swap = int(digest("versions", secret.hex(), shown.clip.clip_id), 16) % 2
    if other.verdict != "reject" and (swap or first.verdict == "reject"):
        first, other = other, first
    start = shown.clip.start_us
    pair = dict(zip(_LETTERS, (first, other), strict=True))
    return {
        "versions": {letter: _version(one) for letter, one in pair.items()},
        "beside": _beside(pair, start),
        "draft_steps": [step.model_dump() for step in first.steps],
        "steps": route.print_lines(first.steps, start),
        "forward": first.forward_description,
        "reverse": first.reverse_description,
    }


def _two(heard: Sequence[Verdict], facts: Facts) -> tuple[Verdict, Verdict]:
    """Return the newest verdict and the newest that differs from it."""
    first = heard[0]

    def said(one: Verdict) -> object:
        return "reject" if one.verdict == "reject" else facts["route"](one.steps)

    other = next((one for one in heard[1:] if said(one) != said(first)), heard[-1])
    return first, other


def _version(one: Verdict) -> dict[str, Any]:
    return {
        "verdict": one.verdict,
        "reasons": [reason for reason in one.reasons if not reason.startswith("note: ")],
        "steps": [step.model_dump() for step in one.steps],
        "forward": one.forward_description,
        "reverse": one.reverse_description,
    }


def _beside(pair: dict[str, Verdict], start_us: int) -> str:
    """Lay both versions side by side, what only one of them says in colour.

    A description that both have stands in its text field alone: all is to be seen without scrolling.
    """
    lines = {letter: _lines(one, start_us) for letter, one in pair.items()}
    descriptions = [set(found[-2:]) for found in lines.values() if len(found) > 1]
    same = set.intersection(*descriptions) if len(descriptions) == len(pair) else set()
    lines = {
        letter: [line for line in found if line not in same] for letter, found in lines.items()
    }
    columns = []
    for letter, own in lines.items():
        others = {
            _timeless(line) for key, found in lines.items() if key != letter for line in found
        }
        shown = "".join(
            f'<div style="{"background:#fff1c2;" if _timeless(line) not in others else ""}'
            f'padding:0 4px">{escape(line)}</div>'
            for line in own
        )
        columns.append(f'<div style="min-width:0"><b>{letter}</b>{shown}</div>')
    return (
        '<div style="display:grid;grid-template-columns:1fr 1fr;gap:10px;font-size:12px;'
        f'line-height:17px;overflow-wrap:anywhere;max-height:{_TALLEST}px;overflow-y:auto">{"".join(columns)}</div>'
    )


def _lines(one: Verdict, start_us: int) -> list[str]:
    if one.verdict == "reject":
        return [f"rejects this clip: {', '.join(one.reasons) or 'no reason given'}"]
    steps = route.print_lines(one.steps, start_us).split("\n")
    return [*steps, f"there: {one.forward_description}", f"back: {one.reverse_description}"]


def _timeless(line: str) -> str:
    """Return a step line without its time: half a second is no difference."""
    time, _, rest = line.partition(" ")
    return rest if time[:1].isdigit() else line
