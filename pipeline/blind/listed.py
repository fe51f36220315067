"""The options in one column of a row, whether a list, an object or a text, and marks of the right one. Pure."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.blind.answers import RowFaultError
from pipeline.blind.columns import (
    ANSWER,
    LABEL,
    MARK,
    TEXT,
    TEXTS,
    first,
    missing,
    option_place,
    plain_row,
    sequences,
)
from pipeline.blind.lettered import split_options

# One space belongs to a label; what follows is as written: a space at the end may tell.
_LEAD = r"\s*(?i:(?:option|choice)\s+)?[(\[<*]*"
_LETTERED = re.compile(
    _LEAD + r"([A-Z])(?:[.):：．、\]>*]+\s?|\s+[-–—]\s)(?=\s*\S)"  # noqa: RUF001
)
_NUMBERED = re.compile(
    _LEAD + r"(\d+)(?:[.):：．、\]>*]+\s|\s+[-–—]\s)(?=\s*\S)"  # noqa: RUF001
)
_VERDICTS = {
    **dict.fromkeys(("true", "correct", "right", "yes", "1", "1.0"), True),
    **dict.fromkeys(("false", "wrong", "incorrect", "no", "0", "0.0"), False),
}


@dataclass(frozen=True)
class Listed:
    """Options as they are written, their labels such as A or 1, and the place of the one that each mark names."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    marked: Mapping[str, int] = field(default_factory=dict)


def listed(found: Any, tails: Collection[str]) -> Listed:
    """Return the options in a column; `tails` follow the last one in other rows.

    Raises RowFaultError if none is marked as right, or several are.
    """
    if isinstance(found, str):
        found = nested(found)
    if isinstance(found, Mapping):
        return _of_object(found)
    if isinstance(found, str):
        written = split_options(found, alone=True, tails=tails)
        if written.options:
            return Listed(list(written.options), list(written.labels))
        found = [line for line in found.splitlines() if line.strip()]
    return _of_list(found) if isinstance(found, list | tuple) else Listed()


def option_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in columns of their own, such as A, B, C, D or option_1, option_2, by column."""
    found: dict[str, list[tuple[int, str, Any]]] = {}
    for name, value in row.items():
        place = option_place(name)
        if place and isinstance(value, str | int | float | Mapping) and not missing(value):
            lead, label = place
            order = int(label) if label.isdigit() else ord(label)
            found.setdefault(lead, []).append((order, name, value))
    if not found:
        return {}
    best = max(found.items(), key=lambda one: (len(one[1]), one[0]))[1]
    columns = {name: one for _, name, one in sorted(best, key=lambda one: one[:2])}
    if len(columns) > 1 and labels_of(columns) not in sequences(len(columns)):
        names = ", ".join(columns)
        raise RowFaultError(f"no options: the columns {names} don't follow one another")
    return columns if len(columns) > 1 else {}


def labels_of(columns: Mapping[str, Any]) -> list[str]:
    """Return the labels of columns that hold one option each."""
    return [place[1] for name in columns if (place := option_place(name))]


def marked_beside(row: Mapping[str, Any], count: int) -> Mapping[str, int]:
    """Return the option that a list beside the options marks, such as `labels: [0, 1, 0]`."""
    lists = {name: one for name, one in row.items() if isinstance(one, list) and len(one) == count}
    for name in filter(lists.__contains__, (*MARK, *ANSWER)):
        value = lists[name]
        marks = _marks(value, name)
        # Of two options, 0 and 1 may be the numbers of both.
        sure = count > 2 or any(isinstance(one, bool) for one in value)
        if marks and sure and sum(marks) == 1:
            return {name: marks.index(True)}
    return {}


def nested(text: str) -> Any:
    """Return the list or object that a text contains as JSON or Python literal, else the text."""
    if text.strip()[:1] not in ("[", "{"):
        return text
    for read in (json.loads, _literal):
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
            continue
        if isinstance(found, list | dict):
            return found
    return text


def _literal(text: str) -> Any:
    """Return a Python literal; NumPy writes lists without commas, whose texts Python would join."""
    found = ast.literal_eval(text)
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        texts = [one.string for one in tokens if one.type == tokenize.STRING]
        if len(texts) > len(found):
            return [ast.literal_eval(one) for one in texts]
    return found


def _of_object(found: Mapping[Any, Any]) -> Listed:
    plain = plain_row({key: value for key, value in found.items() if value is not None})
    column = next((name for name in TEXTS if isinstance(plain.get(name), list)), None)
    if column is not None:
        texts = plain.pop(column)
        lists = {name: one for name, one in plain.items() if _as_long(one, texts)}
        marked = _marked(
            [{name: one[at] for name, one in lists.items()} for at in range(len(texts))]
        )
        labels = [] if LABEL[0] in marked else lists.get(LABEL[0], [])
        return _unlabelled([_text(one) for one in texts], list(map(str, labels)), marked)
    values = list(found.values())
    flags = bool(values) and all(isinstance(one, bool) for one in values)
    labelled = labels_of(plain) in sequences(len(plain))
    if flags or (not labelled and all(isinstance(one, int | float) for one in values)):
        marks = _marks(values, "")
        if marks:
            return Listed(list(map(str, found)), [], {"options": _only(marks)})
    columns = option_columns(plain)
    labels = labels_of(columns) or list(plain)
    listed = _of_list(list(columns.values()) or [plain[key] for key in labels])
    return listed if listed.labels else Listed(listed.texts, labels, listed.marked)


def _as_long(value: Any, texts: Sequence[Any]) -> bool:
    return isinstance(value, list) and len(value) == len(texts)


def _of_list(found: Sequence[Any]) -> Listed:
    objects = [plain_row(one) for one in found if isinstance(one, Mapping)]
    marked = _marked(objects) if len(objects) == len(found) else {}
    labels = [] if LABEL[0] in marked else [str(first(one, LABEL)) for one in objects]
    return _unlabelled([_text(one) for one in found], labels, marked)


def _unlabelled(texts: list[str], labels: list[str], marked: Mapping[str, int]) -> Listed:
    """Return options without the labels that they begin with, and without empty ones at the end."""
    while texts and not texts[-1].strip():  # a row with fewer options than a table has columns
        texts.pop()
    if any(place >= len(texts) for place in marked.values()):
        raise RowFaultError("the option that is marked as right is empty")
    for signs in ([mark.match(text) for text in texts] for mark in (_LETTERED, _NUMBERED)):
        found = [sign.group(1) for sign in signs if sign]
        if texts and sorted(found) in map(sorted, sequences(len(texts))):
            rests = [text[sign.end() :] for text, sign in zip(texts, signs, strict=True) if sign]
            return Listed(rests, found, marked)
    return Listed(texts, labels, marked)


def _text(option: Any) -> str:
    value = first(plain_row(option), TEXT) if isinstance(option, Mapping) else option
    return "" if missing(value) else str(value)


def _marked(options: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """Return the place of the option that is marked as right, by the name of the mark, if options have marks."""
    if not options:
        return {}
    text = {next((name for name in TEXT if not missing(one.get(name))), "") for one in options}
    for name in MARK:
        marks = _marks([one.get(name) for one in options], name)
        if marks and name not in text:
            return {name: _only(marks)}
    return {}


def _marks(values: Sequence[Any], name: str) -> list[bool] | None:
    """Return which options are right, or None if the values don't say that; a missing one says no."""
    found = [None if missing(one) else _VERDICTS.get(str(one).casefold().strip()) for one in values]
    known = [one for one, value in zip(found, values, strict=True) if not missing(value)]
    if not any(one is not None for one in known) or None in known:
        return None
    # Of two options, 0 and 1 may be the labels.
    labels = name in LABEL and not any(isinstance(one, bool) for one in values)
    if labels and (len(values) < 3 or known.count(True) != 1):
        return None
    return [one is True for one in found]


def _only(marks: Sequence[bool]) -> int:
    if marks.count(True) != 1:
        count = f"{marks.count(True)} options are" if any(marks) else "no option is"
        raise RowFaultError(f"{count} marked as right")
    return marks.index(True)
