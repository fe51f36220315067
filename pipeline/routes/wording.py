"""The languages of `prompts/stems.toml`: question stems, the words of moves and facts, the parts of descriptions.

A language is one section of that file. It words all questions, options and drafted descriptions, so
adding a language takes no Python. What is scored (moves, orders, letters) is language-independent.
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
from pipeline.routes.tasks import MIXED, SEPARATOR, TASKS, UNDO, Words, plain

STEMS = "prompts/stems.toml"
_STEM_NAMES = (
    *(task.name for task in TASKS),
    *(f"{task.name}{MIXED}" for task in TASKS if task.category in ("landmark", "action")),
    *(f"action_reverse{kind}{UNDO}" for kind in ("", MIXED)),
)
_STEMS_VERSION = 2  # questions about two facts; version 1 asked for whole sequences
FACT_WORDS: Mapping[str, tuple[str, ...]] = {
    "turn": ("{nth}", "{side}"),
    "landmark_order": ("{first}", "{second}"),
    "action_order": ("{first}", "{second}"),
    **dict.fromkeys(("left", "right", "and"), ()),
    **{f"{end}_{number}": () for end in ("nth", "last") for number in (1, 2, 3)},
}
_DESCRIPTION = ("back", "then", "past", "left", "right")  # and `prepositions`, a list
_PLACE = "{landmark}"
# Files written before there was a move for staying in place lack its words: these languages have their
# own, others use the English ones until somebody translates them.
_STAY = {
    "en": (MOVE_WORDS["stay"], "at {landmark}"),
    "de": ("stehen bleiben", "(Wegmarke: {landmark})"),
}


@dataclass(frozen=True)
class Wording:
    """One language: its name, stems by task, the words of moves and facts, and the parts of descriptions."""

    language: str
    name: str
    stems: Mapping[str, Sequence[str]]
    moves: Words
    facts: Mapping[str, str]
    description: Mapping[str, Any]


def words_in_order(moves: Words) -> list[str]:
    """Return the words for moves in the order of `MOVE_WORDS`."""
    return [moves[move] for move in MOVE_WORDS]


def load(language: str) -> Wording:
    """Return a language of the project's own `prompts/stems.toml`; raise UserError if it is incomplete."""
    return _read(_text(asset(STEMS), STEMS), STEMS, language)


def read(path: Path, language: str) -> Wording:
    """Return a language of the file at `path`; raise UserError if it is incomplete."""
    return _read(_text(path, str(path)), str(path), language)


def move_words() -> dict[str, Move]:
    """Return the words for moves of all valid languages; words that two languages use differently are left out."""
    found: dict[str, set[Move]] = {}
    for language in check()[0].values():
        for move, text in language.moves.items():
            found.setdefault(text.casefold(), set()).add(move)
    return {text: moves.pop() for text, moves in found.items() if len(moves) == 1}


def check() -> tuple[dict[str, Wording], list[UserError]]:
    """Return the valid languages of the project's own `prompts/stems.toml`, and the errors in the others."""
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
        where = f"{shown}:{toml_line(error, text)}"
        raise UserError(where, f"not valid TOML: {error}", "fix that line") from error


def toml_line(error: tomllib.TOMLDecodeError, text: str) -> int:
    """Return the line of a mistake in TOML; the last line if the error names none."""
    line = re.search(r"at line (\d+)", str(error))
    return int(line[1]) if line else max(1, text.count("\n"))


@lru_cache(maxsize=8)  # consecutive clips use the same language
def _read(text: str, shown: str, language: str) -> Wording:
    sections = _sections(text, shown)
    if not isinstance(sections.get(language), dict):
        known = ", ".join(name for name, found in sections.items() if isinstance(found, dict))
        raise UserError(
            f"{shown}:1",
            f"no section [{language}]",
            f"add it, or change draft.language (available: {known or 'none'})",
        )
    return _Section(text, shown, language, sections[language]).wording()


@dataclass(frozen=True)
class _Section:
    """One language as written in the file, with the file's text and name for error messages."""

    text: str
    shown: str
    language: str
    found: Mapping[str, Any]

    def wording(self) -> Wording:
        if self.found.get("version") != _STEMS_VERSION:
            raise self._gap(
                "",
                f"is not of version {_STEMS_VERSION}: items ask about two facts now",
                f"reword its questions after [en], add [{self.language}.facts], and set version = {_STEMS_VERSION}",
            )
        for stem in _STEM_NAMES:
            wordings = self.found.get(stem)
            texts = wordings if isinstance(wordings, list) else []
            if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
                raise self._gap("", f"has no wording of {stem}", "add at least one line of text")
        name = self.found.get("name")
        if not isinstance(name, str) or not name.strip():
            raise self._gap(
                "", "has no name", 'add the name that a model is given, such as name = "English"'
            )
        return Wording(
            self.language,
            name.strip(),
            {stem: tuple(self.found[stem]) for stem in _STEM_NAMES},
            self._moves(),
            self._facts(),
            self._description(),
        )

    def _moves(self) -> Words:
        given = self._table("moves")
        words: dict[Move, str] = {}
        for move, english in MOVE_WORDS.items():
            text = given.get(move, self._stay()[0] if move == "stay" else None)
            if not isinstance(text, str) or not plain(text) or SEPARATOR.strip() in text:
                raise self._gap(
                    ".moves",
                    f"has no words for {move}",
                    f'add {move} = "..." (in English: {english!r})',
                )
            words[move] = plain(text)
        if len(set(words.values())) < len(words):
            raise self._gap(
                ".moves",
                "has the same words for two moves",
                "give each move its own words: options show nothing else",
            )
        return words

    def _facts(self) -> Mapping[str, str]:
        given = self._table("facts")
        for name, parts in FACT_WORDS.items():
            text = given.get(name)
            if not isinstance(text, str) or not text.strip():
                raise self._gap(".facts", f"has no words for {name}", "see [en.facts]")
            if any(text.count(part) != 1 for part in parts):
                raise self._gap(
                    ".facts", f"{name} needs {' and '.join(parts)} once each", "see [en.facts]"
                )
        said = {name: str(given[name]) for name in FACT_WORDS}
        ordinals = [said[name] for name in FACT_WORDS if name.startswith(("nth_", "last_"))]
        if len(set(ordinals)) < len(ordinals) or said["left"] == said["right"]:
            raise self._gap(
                ".facts", "has the same words twice", "give each ordinal and each side its own"
            )
        return said

    def _description(self) -> Mapping[str, Any]:
        given = self._table("description")
        missing = [name for name in _DESCRIPTION if not isinstance(given.get(name), str)]
        words = given.get("prepositions")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            missing.append("prepositions")
        if missing:
            raise self._gap(
                ".description",
                f"has no {', '.join(missing)}",
                "see [en.description] for what they mean",
            )
        said = {"at": self._stay()[1], **given}
        for name in ("past", "at"):
            if not isinstance(said[name], str) or _PLACE not in said[name]:
                raise self._gap(
                    ".description",
                    f"{name} has no {_PLACE}",
                    f'write for example "{name} {_PLACE}"',
                )
        return said

    def _stay(self) -> tuple[str, str]:
        """Return the words for staying in place, and for staying at a landmark, of files without them."""
        return _STAY.get(self.language, _STAY["en"])

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self.found.get(name)
        return table if isinstance(table, dict) else {}

    def _gap(self, below: str, what: str, fix: str) -> UserError:
        lines = [line.split("#")[0].strip() for line in self.text.splitlines()]
        headers = (f"[{self.language}{below}]", f"[{self.language}]")
        line = next((lines.index(one) + 1 for one in headers if one in lines), 1)
        return UserError(f"{self.shown}:{line}", f"[{self.language}{below}] {what}", fix)
