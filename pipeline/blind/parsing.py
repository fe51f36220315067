"""Parsing one row of any benchmark's multiple-choice items, by the column names in use. Pure."""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.blind.sheet import ProbeItem

# The names of these columns in other benchmarks; the first that a row has is used.
_QUESTION = ("question", "problem", "prompt", "query", "instruction")
_OPTIONS = ("options", "choices", "candidates")
_TEXT = ("text", "content", "value", "option", "answer")  # for options that are objects
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
_LETTER = re.compile(r"\(?([A-Za-z])\)?(?:[.:)]\s*(.*))?", re.DOTALL)
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_LEAD = re.compile(r"(?:(?:the\s+)?(?:correct\s+)?answer\s*(?:is|:)\s*)", re.IGNORECASE)
_TAIL = re.compile(r"\s*\b(?:options|choices)\s*:?\s*$", re.IGNORECASE)


class RowFaultError(ValueError):
    """A row that can't be parsed; the message is what is wrong with it."""


def item_of(row: Any, number: str) -> ProbeItem | None:
    """Return the item in a row, or None if it is an open question; `number` replaces a missing id.

    Raises RowFaultError for any other row, and a `row` that is one itself.
    """
    if isinstance(row, RowFaultError):
        raise row
    if not isinstance(row, Mapping):
        raise RowFaultError("not an object with named fields")
    question = _first(row, _QUESTION)
    if not isinstance(question, str) or not question.strip():
        raise RowFaultError(f"no question (looked for {', '.join(_QUESTION)})")
    options = _options(_first(row, _OPTIONS))
    own_columns = {} if options else _option_columns(row)
    options = options or list(own_columns.values())
    if not options:
        question, options = _options_in_question(question)
    if not options:
        if row.get("options") is not None or row.get("format") == "open":
            return None
        raise RowFaultError("no options, neither in columns nor in the question (A. ... B. ...)")
    if len(options) < 2:
        raise RowFaultError("only one option")
    answer = _answer(row, options)
    clip = _first(row, _CLIP)
    start = row.get("start")
    group = _first(row, _GROUP)
    used = {*_QUESTION, *_OPTIONS, *_ID, *own_columns, "format"}
    return ProbeItem(
        id=str(_or(_first(row, _ID), number)),
        question=question,
        options=tuple(options),
        answer=answer,
        group=str(_or(group, f"row {number}")),
        clip=str(_or(clip, f"row {number}")) + (f"@{start}" if start is not None else ""),
        task=str(_or(_first(row, _TASK), "")),
        orientation=str(_or(row.get("orientation"), "")),
        contrast=str(_or(row.get("contrast"), "")),
        option_kind=str(_or(row.get("option_kind"), "")),
        split=str(_or(row.get("split"), "")),
        columns={
            name: value
            for name, value in row.items()
            if name not in used
            and not _HOLDS_ANSWER.search(name)
            and isinstance(value, str | int | float)
        },
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
    follow = [last for last, _, _ in best]
    sequences = (
        [chr(97 + n) for n in range(len(best))],
        *([str(n + k) for n in range(len(best))] for k in (0, 1)),
    )
    return {name: text for _, name, text in best} if len(best) > 1 and follow in sequences else {}


def _options(found: Any) -> list[str]:
    if isinstance(found, str):
        found = _nested(found)
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found) if found[key] is not None]
    if isinstance(found, str):
        return _options_in_question(found)[1] or [
            line.strip() for line in found.splitlines() if line.strip()
        ]
    if not isinstance(found, list):
        return []
    texts = [str(_first(one, _TEXT) if isinstance(one, dict) else one).strip() for one in found]
    marks = [_MARK.match(text) for text in texts]
    if all(mark and mark.group(1) == chr(65 + position) for position, mark in enumerate(marks)):
        return [text[mark.end() :] for text, mark in zip(texts, marks, strict=True) if mark]
    return texts


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


def _answer(row: Mapping[str, Any], options: list[str]) -> int:
    tried = []
    for name in _ANSWER:
        value = row.get(name)
        if value is None or value == "":
            continue
        position = _position(value, options)
        if position is not None:
            return position
        tried.append(f"{name} = {str(value)[:60]!r}")
    if not tried:
        raise RowFaultError(f"no answer (looked for {', '.join(_ANSWER)})")
    raise RowFaultError(f"the answer is none of the {len(options)} options: {'; '.join(tried)}")


def _position(value: Any, options: list[str]) -> int | None:
    """Return the position of the option that an answer gives by index (from 0), text or letter."""
    plain = [_plain(option) for option in options]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float):
        if _plain(str(value)) in plain:
            return plain.index(_plain(str(value)))
        return next((position for position in range(len(options)) if position == value), None)
    tagged = _TAGGED.search(value)
    text = (tagged.group(1) if tagged else value).strip()
    text = _LEAD.sub("", text, count=1) if _LEAD.match(text) else text
    if _plain(text) in plain:
        return plain.index(_plain(text))
    letter = _LETTER.fullmatch(text.strip())
    if letter:
        position = ord(letter.group(1).upper()) - ord("A")
        rest = letter.group(2)
        if position < len(options) and (not rest or _plain(rest) == plain[position]):
            return position
    return next((position for position in range(len(options)) if str(position) == text), None)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
