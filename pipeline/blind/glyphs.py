"""Characters that look like others or like nothing: odd spaces, look-alike letters, accents of their own. Pure."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

# A space at the start, two in a row, other spaces than the usual one, and what can't be seen, such as U+200B.
_ODD_SPACE = re.compile(
    r"^\s|\s\s|[^\S ]|[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_WORD = re.compile(r"[^\W\d_]+")
_LATIN, _OTHERS = "LATIN", frozenset({"CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN", "LISU"})
_LOOK_ALIKE = frozenset("аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅԌανοιρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")  # noqa: RUF001
_SHAPED = ("<wide>", "<narrow>", "<font>", "<compat>")  # a usual letter in another shape
_TYPOGRAPHIC = re.compile("[‘’‚“”„‐‑–—―…′″−]")  # noqa: RUF001


def odd_spaces(text: str) -> bool:
    """Return whether a text has spaces where or of a kind that none is expected, or invisible characters."""
    return _ODD_SPACE.search(text) is not None


def typographic(text: str) -> bool:
    """Return whether a text has quotation marks, dashes or dots that keyboards lack."""
    return _TYPOGRAPHIC.search(text) is not None


def unusual(text: str) -> str:
    """Return the letters of a text that look like others: of another alphabet, of another shape, or accents apart."""
    if text.isascii():
        return ""
    found = [
        one for one in text if unicodedata.decomposition(one).startswith(_SHAPED) and one.isalnum()
    ]
    words = [(word, {*map(_script, word)}) for word in _WORD.findall(text)]
    latin = any(_LATIN in scripts for _, scripts in words)
    for word, scripts in words:
        mixed = _LATIN in scripts and scripts & _OTHERS
        if mixed or (latin and _LOOK_ALIKE.issuperset(word)):
            found += [one for one in word if _script(one) in _OTHERS]
    # NFC joins a letter and its accent where there is a letter that has it.
    apart = Counter(text) - Counter(unicodedata.normalize("NFC", text))
    found += [one for one in apart if unicodedata.combining(one)] or list(apart)
    return "".join(found)


def most_frequent(texts: Iterable[str]) -> str:
    """Return the most frequent character of some texts in words: `U+0430 CYRILLIC SMALL LETTER A`."""
    ((one, _),) = Counter("".join(texts)).most_common(1)
    return f"U+{ord(one):04X} {unicodedata.name(one, '')}".rstrip()


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
