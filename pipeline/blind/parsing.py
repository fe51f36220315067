"""Parsing one row of any benchmark's multiple-choice items, by the column names in use. Pure."""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from pipeline.blind.answers import RowFaultError, Unanswered
from pipeline.blind.sheet import ProbeItem

NO_CLIP = "row "
"""Begins the clip and the group of a row that names none: each such row is on its own."""

# The names of these columns in other benchmarks; the first that a row has is used.
_QUESTION = ("question", "problem", "prompt", "query", "instruction")
_OPTIONS = ("options", "choices", "candidates")
_TEXT = ("text", "content", "value", "option", "answer")  # for options that are objects
_LABEL = ("label", "key", "id")
_COLUMN = re.compile(r"(?:(option|choice|opt)[_ ]?)?([A-Ja-j]|\d)", re.IGNORECASE)
_ANSWER = (
    *("answer_index", "correct_index", "label", "answer", "ground_truth", "correct_answer"),
    *("correct_choice", "solution", "gt", "target", "answer_text"),
)
_GROUP = (
    *("group", "split_group", "scene", "scene_name", "scene_id", "video", "video_id", "videoID"),
    *("video_path", "video_name", "path"),
)
_CLIP = ("clip", "clip_id", "video", "video_id", "videoID", "video_path", "video_name", "path")
_TASK = ("task", "question_type", "problem_type", "task_type", "qa_type", "category", "type")
_ID = ("id", "item_id", "question_id", "problem_id", "qid", "uid")
# Never used as predictors: columns that contain the answer or were written with knowledge of it.
_HOLDS_ANSWER = re.compile(
    r"answer|ground_truth|solution|correct|label|^gt$|target|process|think|reason|rational|explan|"
    r"fingerprint|^cot$",
    re.IGNORECASE,
)
_MARK = re.compile(r"(?:(?<=\s)|^|(?<=[,;]))\(?([A-Z])[.):]\s*(?=\S)")
_NUMBERED = re.compile(r"\(?(\d+)[.):]\s+(?=\S)")
_TAIL = re.compile(r"\s*\b(?:options|choices)\s*:?\s*$", re.IGNORECASE)


def item_of(row: Any, number: str, where: str) -> Unanswered | None:
    """Return the item in a row, or None if it is an open question; `number` replaces a missing id.

    `where` names the row in messages. Raises RowFaultError for any other row, and a `row` that is one itself.
    """
    if isinstance(row, RowFaultError):
        raise row
    if not isinstance(row, Mapping):
        raise RowFaultError("not an object with named fields")
    question = _first(row, _QUESTION)
    if not isinstance(question, str) or not question.strip():
        raise RowFaultError(f"no question (looked for {', '.join(_QUESTION)})")
    raw = _first(row, _OPTIONS)
    options, labels = _options(raw)
    own_columns = {} if options else _option_columns(row)
    if own_columns:
        options, labels = list(own_columns.values()), [name[-1] for name in own_columns]
    if not options:
        question, options = _options_in_question(question)
    if not options:
        if row.get("options") is not None or row.get("format") == "open":
            return None
        raise RowFaultError("no options, neither in columns nor in the question (A. ... B. ...)")
    if len(options) < 2:
        raise RowFaultError("only one option")
    given = {name: row[name] for name in _ANSWER if row.get(name) not in (None, "")}
    if not given:
        raise RowFaultError(f"no answer (looked for {', '.join(_ANSWER)})")
    clip = _first(row, _CLIP)
    start = row.get("start")
    group = _first(row, _GROUP)
    used = {*_QUESTION, *_OPTIONS, *_ID, *own_columns, "format", "twin"}
    make = partial(
        ProbeItem,
        id=str(_or(_first(row, _ID), number)),
        question=question,
        options=tuple(options),
        group=str(_or(group, f"{NO_CLIP}{number}")),
        clip=str(_or(clip, f"{NO_CLIP}{number}")) + (f"@{start}" if start is not None else ""),
        task=str(_or(_first(row, _TASK), "")),
        orientation=str(_or(row.get("orientation"), "")),
        contrast=str(_or(row.get("contrast"), "")),
        option_kind=str(_or(row.get("option_kind"), "")),
        split=str(_or(row.get("split"), "")),
        twin=str(_or(row.get("twin"), "")),
        columns={
            name: value
            for name, value in row.items()
            if name not in used
            and not _HOLDS_ANSWER.search(name)
            and isinstance(value, str | int | float)
        },
    )
    return Unanswered(
        where=where,
        options=tuple(options),
        numeric=isinstance(raw, list) and all(isinstance(one, int | float) for one in raw),
        first=_first_number(labels),
        given=given,
        make=lambda position: make(answer=position),
    )


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _or(value: Any, other: str) -> Any:
    return other if value is None else value


def _option_columns(row: Mapping[str, Any]) -> dict[str, str]:
    """Return options in columns of their own, such as A, B, C, D or option_1, option_2."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for name, value in row.items():
        column = _COLUMN.fullmatch(name)
        if column and isinstance(value, str | int | float) and str(value).strip():
            lead, last = column.groups()
            found.setdefault(lead or "", []).append((last.casefold(), name, str(value).strip()))
    most = max(map(len, found.values()), default=0)
    best = next((sorted(columns) for columns in found.values() if len(columns) == most), [])
    # Must run from A, 0 or 1 without a gap; otherwise the columns only happen to have such names.
    follow = [last.upper() for last, _, _ in best]
    follows = len(best) > 1 and follow in _sequences(len(best))
    return {name: text for _, name, text in best} if follows else {}


def _options(found: Any) -> tuple[list[str], list[str]]:
    """Return the options in a column, and the labels that they have there, such as A or 1."""
    if isinstance(found, str):
        found = _nested(found)
    labels: list[Any] = []
    if isinstance(found, dict) and isinstance(found.get("text"), list):
        found, labels = found["text"], list(found.get("label") or ())
    elif isinstance(found, dict):
        labels = [key for key in sorted(found) if found[key] is not None]
        found = [found[key] for key in labels]
    if isinstance(found, str):
        found = _options_in_question(found)[1] or [
            line for line in found.splitlines() if line.strip()
        ]
    if not isinstance(found, list):
        return [], []
    labels = labels or [_first(one, _LABEL) for one in found if isinstance(one, dict)]
    texts = [str(_first(one, _TEXT) if isinstance(one, dict) else one).strip() for one in found]
    for marks in ([mark.match(text) for text in texts] for mark in (_MARK, _NUMBERED)):
        marked = [mark.group(1) for mark in marks if mark]
        if marked in _sequences(len(texts)):
            rests = [text[mark.end() :] for text, mark in zip(texts, marks, strict=True) if mark]
            return rests, marked
    return texts, list(map(str, labels))


def _sequences(count: int) -> tuple[list[str], ...]:
    """Return the labels that options may have: from A, from 0 and from 1."""
    return (
        [chr(65 + place) for place in range(count)],
        *([str(place + first) for place in range(count)] for first in (0, 1)),
    )


def _first_number(labels: list[str]) -> int | None:
    """Return the number of the first option, if the labels are consecutive numbers from 0 or 1."""
    return int(labels[0]) if labels and labels in _sequences(len(labels))[1:] else None


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


def _options_in_question(text: str) -> tuple[str, list[str]]:
    """Split off options that are part of the question: `... A. one B. two`, on one line or several."""
    marks = list(_MARK.finditer(text))
    best: list[re.Match[str]] = []
    for begin, mark in enumerate(marks):
        if mark.group(1) != "A":
            continue
        chain = [mark]
        for other in marks[begin + 1 :]:
            if other.group(1) == chr(ord("A") + len(chain)):
                chain.append(other)
        if len(chain) >= max(2, len(best)):
            best = chain
    if not best:
        return text, []
    ends = [mark.start() for mark in best[1:]] + [len(text)]
    options = [
        text[mark.end() : end].strip().rstrip(",;").strip()
        for mark, end in zip(best, ends, strict=True)
    ]
    return _TAIL.sub("", text[: best[0].start()]).strip(), options
