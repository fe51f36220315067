"""What a grammar of moves consists of: rules for which words state a turn or a stay, and which only name a side. Pure.

A rule is a pattern over one clause and what it means. In a clause, the rule that matches first counts, and of
rules that match at the same place the earlier one. A side that no rule reads is reported, never guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.routes.rows import Move

_WORDS = re.compile(r"(?<!\?P)<(\w+)>")

Meaning = Literal["side", "around", "stay", "nothing", "unread", "same", "listed"]
"""What a match means: a turn to its group `side`, a move, no move, or something that can't be told.

`same` is a turn after another turn (the second side of "left and right"), `listed` one in a sentence that hasn't
described a place so far; otherwise neither can be told."""


@dataclass(frozen=True)
class Rule:
    """A pattern and its meaning; its groups `side` and `count`, if it has them, say which side and how often."""

    meaning: Meaning
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Grammar:
    """One language: its rules, words that separate clauses, and what denies or doubts a statement.

    `signs` are in every clause that a rule can match, so other clauses needn't be tried. `places` are words of sentences that describe where something is, `others` of those about somebody else. `denied_anywhere` are negations that may also follow what they deny; `instead` denies only what comes next.
    """

    rules: tuple[Rule, ...]
    sides: Mapping[str, Move]
    counts: Mapping[str, int]
    clauses: str
    signs: re.Pattern[str]
    denied: re.Pattern[str]
    denied_anywhere: re.Pattern[str]
    instead: re.Pattern[str]
    doubted: re.Pattern[str]
    places: re.Pattern[str]
    others: re.Pattern[str]
    common: frozenset[str]


def rules(words: Mapping[str, str], *texts: tuple[Meaning, str]) -> tuple[Rule, ...]:
    """Return rules whose patterns may use each of `words` as <name>."""
    return tuple(Rule(meaning, re.compile(_filled(text, words))) for meaning, text in texts)


def _filled(text: str, words: Mapping[str, str]) -> str:
    while _WORDS.search(text):
        text = _WORDS.sub(lambda name: words[name[1]], text)
    return text
