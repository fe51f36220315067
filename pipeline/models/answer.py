"""The answer in a model's reply: which of the JSON objects in its text is meant. Pure.

Replies come with reasoning before the answer, sentences and code fences around it, trailing commas,
Python literals, or as a string that holds JSON. The time taken is linear in the length of the text.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

_NAMES = "think|thinking|thoughts?|reason|reasoning|reflection|analysis|scratchpad"
# How models mark their reasoning: tags and brackets, and tokens that a server didn't strip.
_MARKS = re.compile(
    rf"""
      (?P<opens> <(?:\w{{1,20}}:)?(?:{_NAMES})(?:\s[^<>]{{0,80}})?> | \[(?:{_NAMES})\] | ◁think▷
        | <\|(?:begin_of_|start_)?(?:{_NAMES})\|> | <unused94>
        | <\|channel\|>\s{{0,4}}analysis )
    | (?P<closes> </(?:\w{{1,20}}:)?(?:{_NAMES})> | \[/(?:{_NAMES})\] | ◁/think▷
        | <\|(?:end_of_|end_|/)(?:{_NAMES})\|> | <unused95> | assistantfinal
        | <\|channel\|>\s{{0,4}}(?:final|commentary) )
    | (?P<ends> <\|end\|> )  # ends reasoning, or a whole reply
    """,
    re.VERBOSE | re.IGNORECASE,
)
# What may follow an answer at the end of a reply: a code fence, a tag around it, a token of the model.
_AFTER = re.compile(r"(?:\s|`|</(?:answer|final|json|output|response|result)>|<\|\w{1,40}\|>)*+\Z")
_STRING = r"""(?: "(?:[^"\\\n]|\\.)*+" | '(?:[^'\\\n]|\\.)*+' )"""
# Models explain their values; the length is limited so that the time stays linear.
_COMMENT = r"(?: //(?-s:.{0,300}+) | /\*.{0,300}?\*/ )"
_BEGIN = rf"\{{(?:\s|{_COMMENT})*+(?: \}} | {_STRING}\s*+: )"  # of an object: most braces in prose begin none
_TOKEN = rf"""(?:\s|{_COMMENT})*+(?:
      (?P<mark>[{{}}\[\],:])
    | (?P<string>{_STRING})
    | (?P<number>-?\d{{1,300}}+(?:\.\d{{1,300}}+)?(?:[eE][+-]?\d{{1,4}}+)?)(?![\w.])
    | (?P<word>null|true|false|None|True|False|NaN|-?Infinity)(?!\w)
    )"""


@dataclass(frozen=True)
class _Grammar:
    begin: re.Pattern[str]
    token: re.Pattern[str]


def _grammar(*, line_breaks: bool) -> _Grammar:
    parts = (part.replace(r"\n]", "]") if line_breaks else part for part in (_BEGIN, _TOKEN))
    return _Grammar(*(re.compile(part, re.VERBOSE | re.DOTALL) for part in parts))


# A string in JSON has no line breaks, so a stray quotation mark spoils one line; models do write some.
_STRICT, _WITH_LINES = _grammar(line_breaks=False), _grammar(line_breaks=True)
_WORDS = {
    "null": None, "None": None, "true": True, "True": True, "false": False, "False": False,
    "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"),
}  # fmt: skip
_FRACTION = re.compile(r"[.eE]")
_ESCAPES = re.compile(r"""\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\'?""")
# A string that begins with an object, perhaps in a code fence: the object was encoded twice.
_ENCODED = re.compile(r'(?<!\\)"(?:\\[nrt"]|[\s`\w]){0,40}+\{(?:[^"\\]|\\.)*+"', re.DOTALL)
_MOST_ENCODINGS = 3


@dataclass(frozen=True, slots=True)
class _Found:
    value: dict[str, Any]
    end: int


@dataclass(slots=True)
class _Open:
    """An object or array that hasn't ended; `key` is that of the next value of an object."""

    value: dict[str, Any] | list[Any]
    expects: Literal["key", "colon", "value", "item", "comma"]
    key: str = field(default="")

    def put(self, value: Any) -> None:
        if isinstance(self.value, dict):
            self.value[self.key] = value
        else:
            self.value.append(value)
        self.expects = "comma"


def answers(text: str, *, cut_off: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the objects in a reply, the most likely answer first: the last one outside of reasoning.

    An object inside another comes after it. An object in reasoning that was never closed counts only
    if the reply ends with it; in a reply that was cut off, only an object at its end counts.
    """
    outside = _outside(text)
    if cut_off:
        if outside and outside[-1].stop == len(text):
            yield from _at_end(text[outside[-1]])
        return
    for part in reversed(outside):
        yield from _objects(text[part])
    if outside != [slice(0, len(text))]:
        yield from _at_end(text)


def without_reasoning(text: str) -> str:
    """Return a reply without its reasoning; nothing of reasoning that was never closed."""
    return "".join(text[part] for part in _outside(text))


def _outside(text: str) -> list[slice]:
    """Return the parts of a text that aren't reasoning; a close without an open ends all before it."""
    parts: list[slice] = []
    begin, reasoning = 0, False
    for found in _MARKS.finditer(text):
        if found["opens"]:
            if not reasoning:
                parts.append(slice(begin, found.start()))
            reasoning = True
        elif reasoning or found["closes"]:
            if not reasoning:
                parts.clear()
            begin, reasoning = found.end(), False
    return parts if reasoning else [*parts, slice(begin, len(text))]


def _objects(text: str, encodings: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the objects in a text, last first; then those with line breaks in strings, then encoded ones."""
    for grammar in (_STRICT, _WITH_LINES) if "\n" in text else (_STRICT,):
        for found in reversed(_scan(text, grammar)):
            yield found.value
    if encodings == _MOST_ENCODINGS:
        return
    for encoded in reversed(list(_ENCODED.finditer(text))):
        inner = _string(encoded[0])
        if inner is not None:
            yield from _objects(inner, encodings + 1)


def _at_end(text: str) -> Iterator[dict[str, Any]]:
    found = _scan(text, _STRICT)
    if found and _AFTER.match(text, found[-1].end):
        yield found[-1].value


def _scan(text: str, grammar: _Grammar) -> list[_Found]:
    """Return every complete object of a text in the order in which they end.

    What turns out to be no JSON is given up, and the next object is looked for from there on.
    """
    found: list[_Found] = []
    opened: list[_Open] = []
    begin = grammar.begin.search(text)
    while begin:
        at, reading = begin.start(), True
        while reading:
            match = grammar.token.match(text, at)
            if match and _take(match, opened, found):
                at, reading = match.end(), bool(opened)
            else:
                at, reading = match.start(match.lastgroup or 0) if match else at, False
                opened.clear()
        begin = grammar.begin.search(text, at)
    return found


def _take(match: re.Match[str], opened: list[_Open], found: list[_Found]) -> bool:
    """Add a token to what is open; return False if it can't stand here."""
    kind, word = match.lastgroup, match[match.lastgroup or 0]
    top = opened[-1] if opened else None
    expects = top.expects if top else "value"
    if kind == "mark" and word in "{[":
        if expects not in ("value", "item"):
            return False
        opened.append(_Open({}, "key") if word == "{" else _Open([], "item"))
        return True
    if top is None:
        return False
    if kind == "mark":
        return _close(word, match.end(), opened, found) if word in "}]" else _punctuate(word, top)
    value = _value(kind, word)
    if value is _INVALID:
        return False
    if expects in ("value", "item"):
        top.put(value)
        return True
    if expects == "key" and isinstance(value, str):
        top.key, top.expects = value, "colon"
        return True
    return False


def _punctuate(word: str, top: _Open) -> bool:
    if word == ":" and top.expects == "colon":
        top.expects = "value"
    elif word == "," and top.expects == "comma":
        top.expects = "key" if isinstance(top.value, dict) else "item"
    else:
        return False
    return True


def _close(word: str, end: int, opened: list[_Open], found: list[_Found]) -> bool:
    """End an object or array; one that ends after a comma is accepted."""
    top = opened[-1]
    if top.expects not in ("comma", "key" if word == "}" else "item"):
        return False
    if isinstance(top.value, dict) is not (word == "}"):
        return False
    opened.pop()
    if isinstance(top.value, dict):
        found.append(_Found(top.value, end))
    if opened:
        opened[-1].put(top.value)
    return True


_INVALID: Any = object()


def _value(kind: str | None, word: str) -> Any:
    if kind == "string":
        value = _string(word) if word[0] == '"' else _python_string(word)
        return _INVALID if value is None else value
    if kind == "number":
        return float(word) if _FRACTION.search(word) else int(word)
    return _WORDS[word]


def _string(word: str) -> str | None:
    """Return the value of a string, also with an escape that JSON doesn't know; None if it has none."""
    for text in (word, _ESCAPES.sub(_escaped, word)):
        try:
            return str(json.loads(text, strict=False))
        except ValueError:
            continue
    return None


def _escaped(found: re.Match[str]) -> str:
    return {"\\": r"\\", r"\'": "'"}.get(found[0], found[0])


def _python_string(word: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # an escape that Python doesn't know
            warnings.simplefilter("ignore", DeprecationWarning)  # the same, before Python 3.12
            return str(ast.literal_eval(word))
    except (SyntaxError, ValueError):
        return None
