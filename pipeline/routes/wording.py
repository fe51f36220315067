"""The languages of `prompts/stems.toml`: question stems, how a move is said, how a description is joined.

A language is one section of that file. Everything that a question, an option or a drafted
description says comes from there, so that one is added without Python; what is scored (moves,
orders, letters) knows no language.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.assets import asset
from pipeline.errors import UserError
from pipeline.routes.route import MOVE_WORDS
from pipeline.routes.rows import Move
from pipeline.routes.tasks import MIXED, SEPARATOR, TASKS, Words, plain

STEMS = "prompts/stems.toml"
_STEM_NAMES = (
    *(task.name for task in TASKS),
    *(f"{task.name}{MIXED}" for task in TASKS if task.category in ("landmark", "action")),
)
_JOINS = ("back", "then", "past", "left", "right")  # and `prepositions`, a list
_PLACE = "{landmark}"


@dataclass(frozen=True)
class Wording:
    """One language: its name, stems by task, words of moves, and what a description is joined with."""

    language: str
    name: str
    stems: Mapping[str, Sequence[str]]
    moves: Words
    description: Mapping[str, Any]


def load(language: str) -> Wording:
    """Return a language of the project's own `prompts/stems.toml`; raise UserError for a gap."""
    return _read(_text(asset(STEMS), STEMS), STEMS, language)


def read(path: Path, language: str) -> Wording:
    """Return a language of the file at `path`; raise UserError for a gap."""
    return _read(_text(path, str(path)), str(path), language)


def check() -> tuple[dict[str, Wording], list[UserError]]:
    """Return the languages of the project's own `prompts/stems.toml`, and what is wrong with the others."""
    found: dict[str, Wording] = {}
    wrong: list[UserError] = []
    try:
        names = list(_sections(_text(asset(STEMS), STEMS), STEMS))
    except UserError as error:
        return {}, [error]
    for name in names:
        try:
            found[name] = load(name)
        except UserError as error:
            wrong.append(error)
    return found, wrong


def _text(path: Path, shown: str) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{shown}:{line}", "not valid UTF-8", "save it as UTF-8") from error


def _sections(text: str, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"{shown}:{line[1] if line else max(1, text.count(chr(10)))}"
        raise UserError(where, f"not valid TOML: {error}", "mend that line") from error


@lru_cache(maxsize=8)  # one clip after the other asks for the same language
def _read(text: str, shown: str, language: str) -> Wording:
    sections = _sections(text, shown)
    if not isinstance(sections.get(language), dict):
        known = ", ".join(name for name, found in sections.items() if isinstance(found, dict))
        raise UserError(
            f"{shown}:1",
            f"no section [{language}]",
            f"add one, or change draft.language (there is: {known or 'none'})",
        )
    return _Section(text, shown, language, sections[language]).wording()


@dataclass(frozen=True)
class _Section:
    """One language as it stands in the file, and where that is."""

    text: str
    shown: str
    language: str
    found: Mapping[str, Any]

    def wording(self) -> Wording:
        for stem in _STEM_NAMES:
            wordings = self.found.get(stem)
            texts = wordings if isinstance(wordings, list) else []
            if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
                raise self._gap("", f"has no wording of {stem}", "add at least one line of text")
        name = self.found.get("name")
        if not isinstance(name, str) or not name.strip():
            raise self._gap(
                "", "has no name", 'say how a model is told to write it, such as name = "English"'
            )
        return Wording(
            self.language,
            name.strip(),
            {stem: tuple(self.found[stem]) for stem in _STEM_NAMES},
            self._moves(),
            self._description(),
        )

    def _moves(self) -> Words:
        given = self._table("moves")
        words: dict[Move, str] = {}
        for move, english in MOVE_WORDS.items():
            said = given.get(move)
            if not isinstance(said, str) or not plain(said) or SEPARATOR.strip() in said:
                raise self._gap(
                    ".moves",
                    f"has no words for {move}",
                    f'add {move} = "...": what {english!r} is in English',
                )
            words[move] = plain(said)
        if len(set(words.values())) < len(words):
            raise self._gap(
                ".moves",
                "says two moves alike",
                "give each its own words: options show nothing else",
            )
        return words

    def _description(self) -> Mapping[str, Any]:
        given = self._table("description")
        missing = [name for name in _JOINS if not isinstance(given.get(name), str)]
        words = given.get("prepositions")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            missing.append("prepositions")
        if missing:
            raise self._gap(
                ".description", f"has no {', '.join(missing)}", "[en.description] shows what for"
            )
        if _PLACE not in given["past"]:
            raise self._gap(".description", f"past has no {_PLACE}", f'such as "past {_PLACE}"')
        return given

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self.found.get(name)
        return table if isinstance(table, dict) else {}

    def _gap(self, below: str, what: str, fix: str) -> UserError:
        lines = [line.split("#")[0].strip() for line in self.text.splitlines()]
        headers = (f"[{self.language}{below}]", f"[{self.language}]")
        line = next((lines.index(one) + 1 for one in headers if one in lines), 1)
        return UserError(f"{self.shown}:{line}", f"[{self.language}{below}] {what}", fix)
