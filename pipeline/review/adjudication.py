"""The page of an adjudication: two people's versions of a route side by side.

The workspace's secret decides which version is on the left, so the page doesn't reveal who was first.
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
_MAX_HEIGHT = 270  # pixels; the text fields and the verdict below need the rest of a page of 900


def label_config() -> str:
    """Return `annotations/adjudicate.xml`; raise UserError if a control that pull reads is missing."""
    return checked_config(CONFIG, {"verdict": ("A", "B", "corrected", "reject")}, FIELDS)


def versions(
    shown: PageRows, verdicts: Sequence[Verdict], facts: Facts, secret: bytes
) -> dict[str, Any]:
    """Return the fields that an adjudication's page has in addition to a route page's.

    `verdicts` are those that count, newest first. The text fields contain version A; a version that
    rejects the clip is never A.
    """
    first, other = _two(verdicts, facts)
    swap = int(digest("versions", secret.hex(), shown.clip.clip_id), 16) % 2
    if other.verdict != "reject" and (swap or first.verdict == "reject"):
        first, other = other, first
    start = shown.clip.start_us
    pair = dict(zip(_LETTERS, (first, other), strict=True))
    return {
        "versions": {letter: _version(one) for letter, one in pair.items()},
        "beside": _side_by_side(pair, start),
        "draft_steps": [step.model_dump() for step in first.steps],
        "steps": route.print_lines(first.steps, start),
        "forward": first.forward_description,
        "reverse": first.reverse_description,
    }


def _two(verdicts: Sequence[Verdict], facts: Facts) -> tuple[Verdict, Verdict]:
    """Return the newest verdict and the newest that differs from it."""
    first = verdicts[0]

    def value(one: Verdict) -> object:
        return "reject" if one.verdict == "reject" else facts["route"](one.steps)

    other = next((one for one in verdicts[1:] if value(one) != value(first)), verdicts[-1])
    return first, other


def _version(one: Verdict) -> dict[str, Any]:
    return {
        "verdict": one.verdict,
        "reasons": [reason for reason in one.reasons if not reason.startswith("note: ")],
        "steps": [step.model_dump() for step in one.steps],
        "forward": one.forward_description,
        "reverse": one.reverse_description,
    }


def _side_by_side(pair: dict[str, Verdict], start_us: int) -> str:
    """Return both versions in two columns, with the lines that only one of them has highlighted.

    Descriptions that both share are left out, since the text fields show them: everything fits
    without scrolling.
    """
    lines = {letter: _lines(one, start_us) for letter, one in pair.items()}
    descriptions = [set(found[-2:]) for found in lines.values() if len(found) > 1]
    shared = set.intersection(*descriptions) if len(descriptions) == len(pair) else set()
    lines = {
        letter: [line for line in found if line not in shared] for letter, found in lines.items()
    }
    columns = []
    for letter, own in lines.items():
        others = {
            _without_time(line) for key, found in lines.items() if key != letter for line in found
        }
        cells = "".join(
            f'<div style="{"background:#fff1c2;" if _without_time(line) not in others else ""}'
            f'padding:0 4px">{escape(line)}</div>'
            for line in own
        )
        columns.append(f'<div style="min-width:0"><b>{letter}</b>{cells}</div>')
    return (
        '<div style="display:grid;grid-template-columns:1fr 1fr;gap:10px;font-size:12px;'
        f'line-height:17px;overflow-wrap:anywhere;max-height:{_MAX_HEIGHT}px;overflow-y:auto">{"".join(columns)}</div>'
    )


def _lines(one: Verdict, start_us: int) -> list[str]:
    if one.verdict == "reject":
        return [f"rejects this clip: {', '.join(one.reasons) or 'no reason given'}"]
    steps = route.print_lines(one.steps, start_us).split("\n")
    return [*steps, f"forward: {one.forward_description}", f"reverse: {one.reverse_description}"]


def _without_time(line: str) -> str:
    """Return a step line without its time, since times are not compared."""
    time, _, rest = line.partition(" ")
    return rest if time[:1].isdigit() else line
