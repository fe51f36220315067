"""Parsing one row of any benchmark's multiple-choice items, by the column names in use. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pipeline.blind.answers import RowFaultError, Unanswered
from pipeline.blind.columns import (
    ANSWER,
    CLIP,
    GROUP,
    ID,
    INDEX,
    OPTIONS,
    QUESTION,
    TASK,
    first,
    flat,
    holds_answer,
    holds_wrong,
    missing,
    options_of,
    plain_name,
    plain_row,
    question_of,
    sequences,
)
from pipeline.blind.lettered import Lettered, split_options
from pipeline.blind.listed import labels_of, listed, marked_beside, nested, option_columns
from pipeline.blind.sheet import ProbeItem

NO_CLIP = "row "
"""Begins the clip and the group of a row that names none: each such row is on its own."""

_VIDEO = re.compile(r"(?:.*\.)?(?:video|clip)_?\d*\.(?:id|uid|name|path)")  # in an object
_SHOWN = 12  # columns
_LONG = 60  # characters


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
    asked = question_of(plain)
    if asked is None:
        shown = ", ".join(list(plain)[:_SHOWN]) or "empty"
        raise RowFaultError(f"no question (looked for {', '.join(QUESTION)}; the row has: {shown})")
    if not isinstance(asked, str):
        raise RowFaultError("the question is not a text")
    raw = options_of(plain)
    found = listed(raw, tails)
    question, options, labels = asked.strip(), found.texts, found.labels
    own_columns: dict[str, Any] = {}
    if not options:
        own_columns = option_columns(plain)
        found = listed(list(own_columns.values()), tails)
        options, labels = found.texts, found.labels or labels_of(own_columns)
    if not options:
        own_columns = _right_and_wrong(plain)
        options = sorted({*own_columns.values()}, key=str.casefold)
    inside = Lettered("")
    letters, *_ = sequences(len(options))
    if options == letters:  # also without any; letters stand for options in the question
        inside = split_options(asked, tails=tails)
        if not options or list(inside.labels) == letters:
            question, options, labels = inside.question, list(inside.options), list(inside.labels)
        else:
            inside = Lettered("")
    if not options and raw is None:
        own_columns = _lettered_object(plain)
        found = listed(next(iter(own_columns.values()), None), tails)
        options, labels = found.texts, found.labels
    if not options and isinstance(raw, int | float):
        raise RowFaultError(f"the options are {raw}, neither a list nor a text")
    if not options and (plain.get("format") == "open" or any(name in plain for name in OPTIONS)):
        return None
    written = inside.written or tuple(options)
    options = [text.strip() for text in options]
    for label, text in zip(_shown(labels, len(options)), options, strict=True):
        if not text:
            raise RowFaultError(f"option {label} is empty")
    if len(options) == 1:
        shown = (
            f" ({raw[:_LONG]!r}): write a list, or each on a line" if isinstance(raw, str) else ""
        )
        raise RowFaultError(f"only one option{shown}")
    used = {*QUESTION, *OPTIONS, *ID, *own_columns, "format", "twin"}
    used |= {name for name in ("choice", "answers") if raw is not None and plain.get(name) is raw}
    other = dict(flat({name: one for name, one in row.items() if plain_name(name) not in used}))
    video = next((one for name, one in other.items() if _VIDEO.fullmatch(plain_name(name))), None)
    clip, group = (_or(_scalar(plain, names), video) for names in (CLIP, GROUP))
    start = plain.get("start")
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
    given = {name: plain[name] for name in ANSWER if not missing(plain.get(name))}
    listed_only = all(isinstance(value, list) for value in given.values())
    return Unanswered(
        where=where,
        options=tuple(options),
        numeric=isinstance(raw, list) and all(isinstance(one, int | float) for one in raw),
        labels=tuple(labels) if len(set(labels)) == len(options) == len(labels) else (),
        given=given,
        make=lambda position: make(answer=position),
        unused=unused,
        marked=found.marked or (marked_beside(plain, len(options)) if listed_only else {}),
        lists=() if options else tuple(_lists(plain)),
    )


def text_with_options(row: Any) -> tuple[str, bool] | None:
    """Return the text of a row that may contain its options, and whether that holds nothing else."""
    if not isinstance(row, Mapping):
        return None
    plain = plain_row(row)
    column, asked = options_of(plain), question_of(plain)
    if isinstance(column, str) and isinstance(nested(column), str):
        return column, True
    return (asked, False) if column is None and isinstance(asked, str) else None


def _lists(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns with a list of texts of which the answer, or a number, may name one."""
    given = [row[name] for name in ANSWER if isinstance(row.get(name), str | int)]
    for name, value in row.items():
        texts = (
            isinstance(value, list) and len(value) > 1 and all(isinstance(t, str) for t in value)
        )
        if texts and any(
            one in value or (isinstance(one, int) and 0 <= one <= len(value)) for one in given
        ):
            yield name


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


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value


def _lettered_object(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the only column with an object of lettered or numbered options, whatever its name; else none."""
    found = {
        name: one
        for name, one in row.items()
        if isinstance(one, Mapping) and len(one) > 1
        if all(text is None or isinstance(text, str) for text in one.values())
        if labels_of(plain_row(one)) in sequences(len(one))
    }
    return found if len(found) == 1 else {}


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


def _shown(labels: Sequence[str], count: int) -> Sequence[str]:
    """Return the labels to name options by in messages: their own, or letters."""
    return labels if len(labels) == count else [chr(65 + place) for place in range(count)]
