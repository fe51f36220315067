"""Flat rows from nested records: every object with a question, with what the objects around it say. Pure.

Benchmarks group their questions by video (`{"videos": [{"id": ..., "questions": [...]}]}`), or by keys that
are data (`{"<video>": {"<task>": [...]}}`). A key is data if others stand beside it at its level.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.blind.answers import RowFaultError
from pipeline.blind.columns import (
    ANSWER,
    CLIP,
    GROUP,
    ID,
    OPTIONS,
    QUESTION,
    SPLITS,
    TASK,
    TEXT,
    first,
    option_place,
    plain_name,
    plain_row,
    question_of,
)

_DEEPEST = 12
_CONVERSATION = ("conversations", "conversation", "messages")
_SPEAKER = ("from", "role")
_PLURAL = {
    "questions": "question",
    "answers": "answer",
    "labels": "label",
}  # lists by row, as in RACE
_MEDIA = re.compile(r"<(?:video|image|audio)>\s*")
_ABOUT_ROWS = frozenset({*CLIP, *GROUP, *TASK, *ID, *ANSWER, *OPTIONS, "split"})


@dataclass(frozen=True)
class _Leaf:
    """A row, or whatever stands in its place; `keys` are those that lead to it, by level."""

    where: str
    row: Any
    keys: Mapping[int, str]


def unnest(
    roots: Sequence[tuple[str, Any]], places: Mapping[int, str] | None = None
) -> list[tuple[str, Any]]:
    """Return the rows in records, each with the place named in messages.

    `roots` are the records of a file with their places; `places` are those of objects within, by `id()`.
    What is no row, but stands among rows, is returned as it is.
    """
    walk = _Walk(roots, places or {})
    leaves = [leaf for where, root in roots for leaf in walk.leaves(root, where, {}, {})]
    named = _key_columns(leaves)
    rows = [
        {**{named[level]: key for level, key in leaf.keys.items() if level in named}, **leaf.row}
        if isinstance(leaf.row, Mapping)
        else leaf.row
        for leaf in leaves
    ]
    shared = Counter(leaf.where for leaf in leaves)
    seen: Counter[str] = Counter()
    wheres = []
    for leaf in leaves:
        seen[leaf.where] += 1
        item = f", item {seen[leaf.where]}" if shared[leaf.where] > 1 else ""
        wheres.append(f"{leaf.where}{item}")
    return list(zip(wheres, rows, strict=True))


class _Walk:
    """Finds the rows below a record."""

    def __init__(self, roots: Sequence[tuple[str, Any]], places: Mapping[int, str]) -> None:
        self._file = roots[0][1] if len(roots) == 1 else None
        self._places = places
        self._held: dict[int, bool] = {}

    def leaves(
        self, value: Any, where: str, around: Mapping[str, Any], keys: Mapping[int, str]
    ) -> Iterator[_Leaf]:
        where = self._places.get(id(value), where)
        if isinstance(value, Mapping) and (table := _table(value)):
            for cells in table[1]:
                yield _Leaf(self._places.get(id(cells), where), _row(table[0], cells, around), keys)
        elif isinstance(value, Mapping) and (rows := _by_row(value) or _turns(value)):
            own = {} if value is self._file else _beside(value)
            yield from (_Leaf(where, {**around, **own, **row}, keys) for row in rows)
        elif isinstance(value, Mapping) and not self._is_row(value) and self._holds(value):
            yield from self._below(value, where, around, keys)
        elif isinstance(value, list | tuple) and (value is self._file or self._holds(value)):
            for one in value:
                yield from self.leaves(one, where, around, keys)
        elif isinstance(value, Mapping):
            yield _Leaf(where, {**around, **value}, keys)
        else:
            yield _Leaf(where, value, keys)

    def _below(
        self,
        value: Mapping[Any, Any],
        where: str,
        around: Mapping[str, Any],
        keys: Mapping[int, str],
    ) -> Iterator[_Leaf]:
        inner = {key: one for key, one in value.items() if self._holds(one)}
        # Among many objects that hold rows, one that holds none is a broken row.
        broken = {
            key: one
            for key, one in value.items()
            if isinstance(one, Mapping | list) and one and key not in inner
        }
        if len(inner) > max(1, len(broken)):
            inner = {key: one for key, one in value.items() if key in inner or key in broken}
        own = {key: one for key, one in _scalars(value).items() if key not in inner}
        if len(inner) > 1 or any(isinstance(one, list) for one in inner.values()):
            own = _of_the_group(own)
        if value is self._file:  # a version or a licence says nothing about rows
            own = {name: one for name, one in own.items() if plain_name(name) in _ABOUT_ROWS}
        for key, one in inner.items():
            yield from self.leaves(one, where, {**around, **own}, {**keys, len(keys): str(key)})

    def _is_row(self, value: Mapping[Any, Any]) -> bool:
        row = plain_row(value)
        if not isinstance(question_of(row), str):
            return False
        answered = any(name in row for name in (*ANSWER, *OPTIONS)) or any(map(option_place, row))
        # A question without options or an answer may be a heading above the actual rows.
        return answered or not any(map(self._holds, value.values()))

    def _holds(self, value: Any, depth: int = 0) -> bool:
        if not isinstance(value, Mapping | list | tuple) or depth > _DEEPEST:
            return False
        if id(value) not in self._held:
            inner = value.values() if isinstance(value, Mapping) else value
            self._held[id(value)] = (
                isinstance(value, Mapping)
                and (self._is_row(value) or bool(_table(value) or _by_row(value) or _turns(value)))
            ) or any(self._holds(one, depth + 1) for one in inner)
        return self._held[id(value)]


def _scalars(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): one for key, one in value.items() if isinstance(one, str | int | float)}


def _beside(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what an object says of all rows that it has lists of."""
    return {} if first(plain_row(value), _CONVERSATION) else _of_the_group(_scalars(value))


def _of_the_group(own: dict[str, Any]) -> dict[str, Any]:
    """Return an object's fields as its rows have them: its id is that of the video, not of a row."""
    plain = plain_row(own)
    names = [name for name in own if plain_name(name) in (*ID, "key", "name")]
    if names and first(plain, CLIP) is None:
        own = {**own, "video": own[names[0]]}
    return {name: value for name, value in own.items() if name not in names}


def _counts(keys: Collection[str], rows: int) -> bool:
    """Return whether keys are the numbers of the rows, as `DataFrame.to_json(orient="index")` writes."""
    return len(keys) == rows and all(key.isdecimal() and int(key) <= rows for key in keys)


def _table(value: Mapping[Any, Any]) -> tuple[list[str], list[Any]] | None:
    """Return the names and the rows of a table (`DataFrame.to_json(orient="split")`), if this is one."""
    plain = plain_row(value)
    names, rows = plain.get("columns"), plain.get("data")
    if not isinstance(names, list) or not isinstance(rows, list):
        return None
    named = list(map(str, names))
    return (named, rows) if any(plain_name(name) in QUESTION for name in named) else None


def _row(names: Sequence[str], cells: Any, around: Mapping[str, Any]) -> Any:
    count = len(cells) if isinstance(cells, list) else 0
    if count != len(names):
        return RowFaultError(f"the table names {len(names)} columns, the row has {count}")
    return {**around, **dict(zip(names, cells, strict=True))}


def _by_row(value: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Return the rows of an object that holds one list, or one object, for each column; else none."""
    value = {_PLURAL.get(plain_name(str(name)), name): one for name, one in value.items()}
    questions = first(plain_row(value), QUESTION)
    if isinstance(questions, list) and questions and all(isinstance(q, str) for q in questions):
        lists = {k: v for k, v in value.items() if isinstance(v, list) and len(v) == len(questions)}
        if len(lists) > 1:
            return [
                dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)
            ]
    if isinstance(questions, Mapping) and questions:
        tables = {
            k: v
            for k, v in value.items()
            if isinstance(v, Mapping) and v.keys() == questions.keys()
        }
        if len(tables) > 1:
            return [{name: cells[key] for name, cells in tables.items()} for key in questions]
    return []


def _turns(value: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Return a row for each question and answer of an object that holds a conversation; else none."""
    plain = plain_row(value)
    turns = first(plain, _CONVERSATION)
    if first(plain, QUESTION) is not None or not isinstance(turns, list):
        return []
    said = [(first(turn, _SPEAKER), _words(first(turn, TEXT))) for turn in map(_plain_turn, turns)]
    others = {name: one for name, one in value.items() if plain_name(name) not in _CONVERSATION}
    return [
        {**others, "question": _MEDIA.sub("", question).strip(), "answer": answer}
        for (asking, question), (replying, answer) in pairwise(said)
        if asking in ("human", "user") and replying in ("gpt", "assistant")
        if isinstance(question, str) and isinstance(answer, str)
    ]


def _words(said: Any) -> Any:
    """Return what a turn says, without the images and videos that it shows."""
    if not isinstance(said, list):
        return said
    parts = (one if isinstance(one, str) else _plain_turn(one).get("text") for one in said)
    return "\n".join(one for one in parts if isinstance(one, str)) or None


def _plain_turn(turn: Any) -> dict[str, Any]:
    return plain_row(turn) if isinstance(turn, Mapping) else {}


def _key_columns(leaves: Sequence[_Leaf]) -> dict[int, str]:
    """Return the column that the keys of each level are: split, id, video or task; none for a field's name."""
    rows = [leaf for leaf in leaves if isinstance(leaf.row, Mapping)]
    known = {name for leaf in rows for name in plain_row(leaf.row)}
    levels: defaultdict[int, dict[str, None]] = defaultdict(dict)
    for leaf in rows:
        for level, key in leaf.keys.items():
            levels[level][key] = None
    named: dict[int, str] = {}
    for level, keys in sorted(levels.items()):
        if len(keys) < 2:
            continue
        if {key.casefold() for key in keys} <= SPLITS:
            named[level] = "split"
        elif len(keys) == len(rows) and not known & set(ID):
            named[level] = "id"
    data = [
        level
        for level in sorted(levels)
        if len(levels[level]) > 1 and level not in named and not _counts(levels[level], len(rows))
    ]
    if data and not known & set(CLIP):
        most = max(data, key=lambda level: len(levels[level]))
        # Few keys above many rows are kinds of questions rather than videos.
        if len(data) > 1 or len(levels[most]) ** 2 >= len(rows):
            named[most] = "video"
            data.remove(most)
    if data and not known & set(TASK):
        named[data[-1]] = "task"
    return named
