"""Answers published in a file beside that of the questions: which file that is, and its answers by id."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.blind.columns import ANSWER, ID, QUESTION, first, plain_row
from pipeline.blind.decoding import decode, readable
from pipeline.errors import UserError

_NAMED = re.compile(
    r"(?<!un)answer|ground_?truth|(?<![a-z])gt(?![a-z])|solution|(?<!un)(?<!un[-_])label",
    re.IGNORECASE,
)
_NO_TRUTH = re.compile(r"pred|baseline|submission", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+|\d+")
# Words that tell a file of answers from one of questions, not one benchmark or split from another.
_KIND = re.compile(
    r"(?:un)?(?:answer|label|question|problem|item|solution|key)(?:s|l?ed)?"
    r"|ground|truth|groundtruth|gt|qas?|mcqs?|subset|with|without|no|only|and|un"
)
_NEARLY = 0.95
_COUNTED = 10  # times the number of rows: a smaller number may count rows


@dataclass(frozen=True)
class Key:
    """A file's answers by id, with the questions where it repeats them."""

    file: Path
    entries: Mapping[str, tuple[Any, Any]]

    def answer(self, row: Mapping[str, Any]) -> Any:
        """Return the answer to a row with plain names, or None."""
        return self.entries.get(_id(row, self.entries), (None, None))[0]

    @cached_property
    def _words(self) -> frozenset[str]:
        return _words(self.file)

    def named_after(self, questions: Path) -> bool:
        """Return whether the two names differ only in words such as `answers`."""
        return self._words == _words(questions) or self.file.stem.casefold() == "subset_answers"

    def fits(self, questions: Path, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether these are the answers to the questions in rows with plain names."""
        found = [(row, name) for row in rows if (name := _id(row, self.entries)) in self.entries]
        names = {name for _, name in found}
        said = [
            (first(row, QUESTION), text) for row, name in found if (text := self.entries[name][1])
        ]
        if not names or sum(_same(*pair) for pair in said) < _NEARLY * len(said):
            return False
        whole = len(found) >= _NEARLY * len(rows)
        highest = max(1000, _COUNTED * len(rows))
        if all(name.isdecimal() and int(name) < highest for name in names):
            own = _words(questions)
            return whole and (self._words == own or (bool(self._words) and self._words <= own))
        return whole or 2 * len(names) > len(self.entries)


def key_beside(questions: Path, rows: Sequence[Mapping[str, Any]]) -> Key | None:
    """Return the answers to the questions in rows with plain names, from a file in the same folder.

    Raises UserError if several files fit equally well and differ.
    """
    fitting = []
    for other in sorted(questions.parent.iterdir()):
        named = _NAMED.search(other.stem) and not _NO_TRUTH.search(other.stem)
        if other != questions and named and readable(other):
            key = Key(other, _entries([record for _, record in decode(other).roots]))
            if key.fits(questions, rows):
                fitting.append(key)
    best = [key for key in fitting if key.named_after(questions)] or fitting
    if len({str([key.answer(row) for row in rows]) for key in best}) > 1:
        names = " and ".join(key.file.name for key in best)
        raise UserError(
            str(questions),
            f"has no answers; {names} answer its questions, but differently",
            "write the right answers into the file, or leave only their file beside it",
        )
    return best[0] if best else None


def _words(file: Path) -> frozenset[str]:
    return frozenset(
        word for word in _WORD.findall(file.stem.casefold()) if not _KIND.fullmatch(word)
    )


def _id(row: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return the id of a row that is known, or else an empty text."""
    names = (str(row[name]) for name in ID if row.get(name) is not None)
    return next((name for name in names if name in known), "")


def _same(asked: Any, text: Any) -> bool:
    return str(asked).casefold().split() == str(text).casefold().split()


def _entries(records: Any) -> dict[str, tuple[Any, Any]]:
    """Return answers and questions by id in nested records: objects with an id and an answer, or ids as fields."""
    if isinstance(records, list | tuple):
        return {name: entry for one in records for name, entry in _entries(one).items()}
    if not isinstance(records, Mapping):
        return {}
    name, entry = first(plain_row(records), ID), _entry(records)
    if name is not None and entry[0] is not None:
        return {str(name): entry}
    found: dict[str, tuple[Any, Any]] = {}
    inner = []
    for field, one in records.items():
        if isinstance(one, str | int | float):
            found[str(field)] = (one, None)
        elif isinstance(one, Mapping) and (entry := _entry(one))[0] is not None:
            found[str(field)] = entry
        else:
            inner.append(one)
    return found | _entries(inner)


def _entry(record: Mapping[Any, Any]) -> tuple[Any, Any]:
    plain = plain_row(record)
    return first(plain, ANSWER), first(plain, QUESTION)
