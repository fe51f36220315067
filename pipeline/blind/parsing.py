"""Parsing one row of any benchmark's multiple-choice items, by the column names in use. Pure."""

import ast
import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from pipeline.blind.answers import RowFaultError, Unanswered
from pipeline.blind.columns import (
    ANSWER,
    CLIP,
    GROUP,
    ID,
    INDEX,
    LABEL,
    OPTIONS,
    QUESTION,
    TASK,
    TEXT,
    first,
    flat,
    holds_answer,
    holds_wrong,
    missing,
    option_place,
    plain_name,
    plain_row,
    sequences,
)
from pipeline.blind.lettered import split_options
from pipeline.blind.sheet import ProbeItem

NO_CLIP = "row "
"""Begins the clip and the group of a row that names none: each such row is on its own."""

_SHOWN = 12  # columns
# One space belongs to a label; what follows is as written: a space at the end may tell.
_LEAD = r"\s*(?i:(?:option|choice)\s+)?[(\[<*]*"
_LETTERED = re.compile(
    _LEAD + r"([A-Z])(?:[.):：．、\]>*]+\s?|\s+[-–—]\s)(?=\s*\S)"  # noqa: RUF001
)
_NUMBERED = re.compile(
    _LEAD + r"(\d+)(?:[.):：．、\]>*]+\s|\s+[-–—]\s)(?=\s*\S)"  # noqa: RUF001
)


def item_of(
    row: Any, number: str, where: str, tails: Collection[str] = frozenset()
) -> Unanswered | None:
    """Return the item in a row, or None if the row says that it is an open question.

    An item without options is returned as well: other rows show whether it is an open question. `number`
    replaces a missing id, `where` names the row in messages; `tails` follow the options in other
    rows. Raises RowFaultError for any other row, and a `row` that is one itself.
    """
    if isinstance(row, RowFaultError):
        raise row
    if not isinstance(row, Mapping):
        raise RowFaultError("not an object with named fields")
    plain = plain_row(row)
    asked = first(plain, QUESTION)
    if asked is None:
        shown = ", ".join(list(plain)[:_SHOWN]) or "empty"
        raise RowFaultError(f"no question (looked for {', '.join(QUESTION)}; the row has: {shown})")
    if not isinstance(asked, str):
        raise RowFaultError("the question is not a text")
    question, options, labels = asked.strip(), *_options(first(plain, OPTIONS), tails)
    own_columns: dict[str, str] = {}
    if not options:
        own_columns = _option_columns(plain)
        options, labels = list(own_columns.values()), _labels(own_columns)
    if not options:
        own_columns = _right_and_wrong(plain)
        options = sorted({*own_columns.values()}, key=str.casefold)
    if not options:
        found = split_options(asked, tails=tails)
        question, options, labels = found.question, list(found.options), list(found.labels)
    raw = first(plain, OPTIONS)
    if not options and isinstance(raw, int | float):
        raise RowFaultError(f"the options are {raw}, neither a list nor a text")
    if not options and (plain.get("format") == "open" or any(name in plain for name in OPTIONS)):
        return None
    written = tuple(options)
    options = [text.strip() for text in written]
    for label, text in zip(_shown(labels, len(options)), options, strict=True):
        if not text:
            raise RowFaultError(f"option {label} is empty")
    if len(options) == 1:
        raise RowFaultError("only one option")
    clip, group, start = _scalar(plain, CLIP), _scalar(plain, GROUP), plain.get("start")
    used = {*QUESTION, *OPTIONS, *ID, *own_columns, "format", "twin"}
    other = dict(flat({name: one for name, one in row.items() if plain_name(name) not in used}))
    unused = {name: why for name, one in other.items() if (why := _why_unused(name, one, question))}
    make = partial(
        ProbeItem,
        id=str(_or(_scalar(plain, ID), number)),
        question=question,
        options=tuple(options),
        written=written if written != tuple(options) else (),
        group=str(_or(group, f"{NO_CLIP}{number}")),
        clip=str(_or(clip, f"{NO_CLIP}{number}")) + (f"@{start}" if not missing(start) else ""),
        task=str(_or(_scalar(plain, TASK), "")),
        orientation=str(_or(plain.get("orientation"), "")),
        contrast=str(_or(plain.get("contrast"), "")),
        option_kind=str(_or(plain.get("option_kind"), "")),
        split=str(_or(plain.get("split"), "")),
        twin=str(_or(plain.get("twin"), "")),
        columns={
            name: value
            for name, value in other.items()
            if name not in unused and isinstance(value, str | int | float)
        },
    )
    return Unanswered(
        where=where,
        options=tuple(options),
        numeric=isinstance(raw, list) and all(isinstance(one, int | float) for one in raw),
        labels=tuple(labels) if len(set(labels)) == len(options) == len(labels) else (),
        given={name: plain[name] for name in ANSWER if not missing(plain.get(name))},
        make=lambda position: make(answer=position),
        unused=unused,
    )


def text_with_options(row: Any) -> tuple[str, bool] | None:
    """Return the text of a row that may contain its options, and whether that holds nothing else."""
    if not isinstance(row, Mapping):
        return None
    plain = plain_row(row)
    listed, asked = first(plain, OPTIONS), first(plain, QUESTION)
    if isinstance(listed, str) and isinstance(_nested(listed), str):
        return listed, True
    return (asked, False) if listed is None and isinstance(asked, str) else None


def _why_unused(name: str, value: Any, question: str) -> str:
    """Return why a column doesn't serve to predict the answer; empty if it does, or holds nothing."""
    if missing(value):
        return ""
    if holds_answer(name):
        return "named as if written by someone who knows the answer"
    if not isinstance(value, str | int | float):
        return "lists or objects"
    return "contains the question" if isinstance(value, str) and question in value else ""


def _scalar(row: Mapping[str, Any], names: Sequence[str]) -> str | int | float | None:
    value = first(row, names)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = ", ".join(value)
    return value if isinstance(value, str | int | float) else None


def _or(value: Any, other: str) -> Any:
    return other if value is None else value


def _option_columns(row: Mapping[str, Any]) -> dict[str, str]:
    """Return options in columns of their own, such as A, B, C, D or option_1, option_2, by column."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for name, value in row.items():
        place = option_place(name)
        if place and isinstance(value, str | int | float) and not missing(value):
            lead, label = place
            order = int(label) if label.isdigit() else ord(label)
            found.setdefault(lead, []).append((order, name, str(value)))
    if not found:
        return {}
    best = max(found.items(), key=lambda one: (len(one[1]), one[0]))[1]
    columns = {name: text for _, name, text in sorted(best)}
    if len(columns) > 1 and _labels(columns) not in sequences(len(columns)):
        names = ", ".join(columns)
        raise RowFaultError(f"no options: the columns {names} don't follow one another")
    return columns if len(columns) > 1 else {}


def _right_and_wrong(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the answer and the wrong options by column, where a row has columns of wrong ones; else none."""
    right = first(row, [name for name in ANSWER if name not in INDEX])
    found = {
        f"{name}[{place}]" if isinstance(value, list) else name: str(one).strip()
        for name, value in row.items()
        if holds_wrong(name)
        for place, one in enumerate(value if isinstance(value, list) else [value])
        if isinstance(one, str | int | float) and not missing(one)
    }
    return {"answer": str(right).strip(), **found} if found and right is not None else {}


def _labels(columns: Mapping[str, str]) -> list[str]:
    return [place[1] for name in columns if (place := option_place(name))]


def _options(found: Any, tails: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the options in a column as they are written, and the labels that they have there, such as A or 1."""
    if isinstance(found, str):
        found = _nested(found)
    labels: list[Any] = []
    if isinstance(found, Mapping) and isinstance(found.get("text"), list):
        found, labels = found["text"], list(found.get("label") or ())
    elif isinstance(found, Mapping):
        plain = plain_row({key: value for key, value in found.items() if value is not None})
        columns = _option_columns(plain)
        labels = _labels(columns) or list(plain)
        found = list(columns.values()) or [plain[key] for key in labels]
    if isinstance(found, str):
        written = split_options(found, alone=True, tails=tails)
        if written.options:
            return list(written.options), list(written.labels)
        found = [line for line in found.splitlines() if line.strip()]
    if not isinstance(found, list | tuple):
        return [], []
    labels = labels or [first(plain_row(one), LABEL) for one in found if isinstance(one, Mapping)]
    texts = [_text(one) for one in found]
    while texts and not texts[-1].strip():  # a row with fewer options than a table has columns
        texts.pop()
    for marks in ([mark.match(text) for text in texts] for mark in (_LETTERED, _NUMBERED)):
        marked = [mark.group(1) for mark in marks if mark]
        if texts and sorted(marked) in map(sorted, sequences(len(texts))):
            rests = [text[mark.end() :] for text, mark in zip(texts, marks, strict=True) if mark]
            return rests, marked
    return texts, list(map(str, labels))


def _text(option: Any) -> str:
    value = first(plain_row(option), TEXT) if isinstance(option, Mapping) else option
    return "" if missing(value) else str(value)


def _shown(labels: Sequence[str], count: int) -> Sequence[str]:
    """Return the labels to name options by in messages: their own, or letters."""
    return labels if len(labels) == count else [chr(65 + place) for place in range(count)]


def _nested(text: str) -> Any:
    """Return the list or object that a text contains as JSON or Python literal, else the text."""
    if text.strip()[:1] not in ("[", "{"):
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | dict):
            return found
    return text
