"""What a description of a walk states: its turns and stays, landmarks and actions, read by a strict grammar. Pure.

    told("At the red door turn left, then right.", Vocabulary(landmarks=["the red door"]))
    ->  Told(moves=("left", "right"), landmarks=("the red door",), ...)

Nothing is guessed. A side that is no turn (`the door on the left`, `she left the room`) or is denied (`don't turn
left`) is passed over; one that the grammar doesn't understand is listed in `unread`. Landmarks and actions are
found by the names in a vocabulary alone. English and German are read (`english.py`, `german.py`); of other languages, the
phrases for moves that the vocabulary has.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import groupby, pairwise

from pipeline.routes.english import ENGLISH
from pipeline.routes.german import GERMAN
from pipeline.routes.rows import Move
from pipeline.routes.sentences import Grammar, Meaning, Rule

GRAMMARS: Mapping[str, Grammar] = {"en": ENGLISH, "de": GERMAN}

_MARKUP = re.compile(r"[*_`#>~\u2022\u25cf\u25aa\u25e6\u2023\u00b7]+|</?\w+>")
_DASH = re.compile(r"(?<=\w)\W? - ")  # "**right** - at the lamp"
# Only from the first of many spaces on: else the time to look grows with the square of their number.
_ARROW = re.compile(r"(?:(?<!\s)\s*)?(?:->|=>|[\u2192\u21d2\u27a1\u2794])\s*")
_SPACES = re.compile(r"[^\S\n]+")
_SAME = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": ";", "\u2010": "-", "\u2011": "-"}
)
# A colon or a full stop inside a number or a time ends no clause.
_STOP = r"[;!?\n()\[\]|\"\u201c\u201d\u201e,]|[.:](?=\s|$)"
_SENTENCE_END = re.compile(r"[;!?\n|]|[.:](?=\s|$)")
_NUMBER = re.compile(r"(?<!\S)\(?\d{1,2}[.)](?=\s)")  # of a list
_HEADING = re.compile(
    r"\bturn (?:number |no\. ?|#)?\d{1,2} ?[:.)-]\s+"
)  # "turn 2: right after the lamp"
_OFTEN = re.compile(r" ?\(?(?<!\w)(?:[x\u00d7] ?([2-5])|([2-5]) ?[x\u00d7])(?!\w)\)?")  # "left x2"
# What only names a side: `right, so ...` said first, `left: a desk`, and the text of a sign.
_ASIDE = re.compile(
    r"\A\W*(?:(?:ok|okay|alright|well)\W+right\b|right(?=[,.!] (?:so|well|let|now|this|i|we)\b))"
    r"|(?<!\w )\b(?:left|right|links|rechts)(?=(?: side)?: (?:an?|some|several|one|two|ein|eine|einige|zwei)\b)"
    r"|\b(?:says?|reads?|reading|saying|signs?|label+ed|aufschrift|schild|steht)[^\w\n]{0,3}[\"\u201c\u201e](?:(?:turn|go|keep|bieg\w*|nach) )?(?:left|right|links|rechts)(?: abbiegen)?\W?[\"\u201c\u201d]"
)
_AGAIN = re.compile(
    r"\b(?:in summary|in short|to summari[sz]e|summary|overall|altogether|zusammenfassend|zusammenfassung|zusammengefasst"
    r"|kurz gesagt|insgesamt)\b"
)
_LETTERS = re.compile(r"(?:[^\w\n]*\b[lr]\b)+\W*")
_LETTER_SIDES = {"l": "left", "r": "right"}
_CORRECTED = re.compile(
    r"\b(?:left|right|links|rechts)(?: ab)?\W+(?:(?:no|nope|wait|sorry|actually|nein|halt|moment)(?: wait)?[,;.! -]*[,;.!-]|"
    r"i mean|or rather|ich meine|besser gesagt|vielmehr)\s*(?=(?:(?:to the|nach) )?(?:left|right|links|rechts)\b)"
)
_LONGEST = 300  # characters of a clause: the time that patterns take grows with its square
_SNIPPET = 24  # characters on each side of what isn't read
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_ARTICLE_WORDS = (
    "the a an his her their its my your our der die das dem den des ein eine einen einem einer eines seine seinen seiner"
    " ihre ihren ihrer"
)
_PREPOSITIONS = (
    "past at by through into to along near towards toward over under around from in on an am bei beim durch im ins zu zum"
    " zur entlang über unter um neben vorbei hinter vor"
)
_ARTICLES = frozenset(_ARTICLE_WORDS.split())
_LEADING = frozenset(_PREPOSITIONS.split())
_ENDINGS = ("ing", "ed", "en", "em", "er", "es", "et", "st", "e", "n", "s", "t")
_LEAST_STEM = 3
_GAP = 3  # words that may stand between those of an action


@dataclass(frozen=True)
class Vocabulary:
    """The names that count as landmarks and actions, and the phrases of further languages for moves."""

    landmarks: Sequence[str] = ()
    actions: Sequence[str] = ()
    phrases: Mapping[str, Move] = field(default_factory=dict)

    @cached_property
    def names(self) -> "_Names":
        """The names by their first word."""
        return _Names(self.landmarks, self.actions)


@dataclass(frozen=True)
class Told:
    """What a text states, in its order. `moves` are turns and stays; `unread` are the places that can't be told.

    `language` is None where the text is in none that the grammar knows.
    """

    moves: tuple[Move, ...] = ()
    landmarks: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    language: str | None = None

    @property
    def turns(self) -> tuple[Move, ...]:
        """The moves that are turns."""
        return tuple(move for move in self.moves if move != "stay")


def told(text: str, vocabulary: Vocabulary | None = None) -> Told:
    """Return what a description states; its reasoning, if it has any, must have been removed."""
    known = vocabulary or Vocabulary()
    plain = _plain(text)
    named = known.names.found(plain)
    read = _masked(plain, (one for one in named if _SIDED.search(one.words)))
    read = _ASIDE.sub(lambda aside: re.sub(r"\w", "x", aside[0]), read)
    language = language_of(read)
    moves: list[tuple[int, Move]] = []
    unread: list[str] = []
    if language:
        for at, end, move in _statements(read, GRAMMARS[language]):
            if move:
                moves.append((at, move))
            else:
                unread.append(plain[max(0, at - _SNIPPET) : end + _SNIPPET].strip())
    else:
        moves = list(_phrases(read, known.phrases))
    return Told(
        _course(move for _, move in _once(sorted(moves, key=lambda one: one[0]), read)),
        apart(one.name for one in named if one.kind == "landmark"),
        apart(one.name for one in named if one.kind == "action"),
        tuple(unread),
        language,
    )


def name_key(name: str) -> str:
    """Return what is the same for two wordings of a landmark or an action that differ in articles or inflection."""
    return " ".join(stem for stem, _, _ in _stems(_plain(name), leading=True))


def has_preposition(name: str) -> bool:
    """Return whether a landmark brings its own preposition, as in "past the red door"."""
    words = _WORD.findall(_plain(name))
    return len(words) > 1 and words[0] in _LEADING


def language_of(text: str) -> str | None:
    """Return the language, of those with a grammar, that most of a text's common words are of."""
    words = _WORD.findall(text.lower())
    counts = {name: sum(word in one.common for word in words) for name, one in GRAMMARS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None


def _plain(text: str) -> str:
    """Return a text in lower case with one kind of quotes, dashes and spaces, and without markup."""
    text = unicodedata.normalize("NFKC", text).translate(_SAME).lower()
    text = _SPACES.sub(" ", _MARKUP.sub(" ", _NUMBER.sub("; ", _ARROW.sub(" ; ", text))))
    if _LETTERS.fullmatch(text):
        text = re.sub(r"[lr]", lambda letter: _LETTER_SIDES[letter[0]], text)
    text = _DASH.sub(", ", _OFTEN.sub(r" \1\2 times", text))
    text = _CORRECTED.sub("", _HEADING.sub("; turn ", text))
    return re.sub(r"\bright hand\b(?=\sturn)|\bright-?hand(?:ed)?\b", "right-hand", text)


def _masked(text: str, names: "Iterable[_Named]") -> str:
    """Return a text in which names that have a side or a turn in them can't be read as a move."""
    letters = list(text)
    for one in names:
        letters[one.at : one.end] = re.sub(r"\w", "x", text[one.at : one.end])
    return "".join(letters)


_SIDED = re.compile(
    r"\b(?:left|right|links|rechts|linke\w?|rechte\w?|turn\w*|no|not|nicht|kein\w*)\b"
)


# ---- moves ---------------------------------------------------------------------------------------


def _statements(text: str, grammar: Grammar) -> Iterator[tuple[int, int, Move | None]]:
    """Yield where each statement begins and ends, and its move; None where it can't be told."""
    for begin, clause in _clauses(text, grammar):
        if not grammar.signs.search(clause):
            continue
        sentence = _SENTENCE_END.split(text[max(0, begin - _LONGEST) : begin])[-1].lstrip()
        before: Meaning = "nothing"
        for rule, match in _matches(clause, grammar.rules):
            meaning: Meaning = rule.meaning
            if meaning == "same":
                meaning = "side" if before == "side" else "unread"
            elif meaning == "listed":
                meaning = "side" if sentence and not grammar.places.search(sentence) else "unread"
            meaning = before = _weighed(meaning, clause, match, grammar)
            if meaning != "nothing" and grammar.others.search(sentence + clause[: match.end()]):
                meaning = "unread"
            where = (begin + match.start(), begin + match.end())
            if meaning == "unread":
                yield *where, None
            elif meaning != "nothing":
                for _ in range(_count(match, grammar)):
                    yield *where, _move(meaning, match, grammar)


def _clauses(text: str, grammar: Grammar) -> Iterator[tuple[int, str]]:
    begin = 0
    for stop in (*_stops(grammar.clauses).finditer(text), None):
        end = stop.start() if stop else len(text)
        for part in range(begin, end, _LONGEST):
            yield _stripped(text, part, min(end, part + _LONGEST))
        begin = stop.end() if stop else end


@lru_cache
def _stops(words: str) -> re.Pattern[str]:
    return re.compile(f"{_STOP}|{words}")


def _stripped(text: str, begin: int, end: int) -> tuple[int, str]:
    clause = text[begin:end]
    return begin + len(clause) - len(clause.lstrip(" -")), clause.strip(" -")


def _matches(clause: str, rules: Sequence[Rule]) -> Iterator[tuple[Rule, re.Match[str]]]:
    """Yield what the rules match, from left to right without overlaps."""
    coming = {rule: rule.pattern.search(clause) for rule in rules}
    while left := [(rule, match) for rule, match in coming.items() if match]:
        rule, match = min(left, key=lambda one: one[1].start())
        yield rule, match
        at = max(match.end(), match.start() + 1)
        for other, found in left:
            if found.start() < at:
                coming[other] = other.pattern.search(clause, at)


def _weighed(meaning: Meaning, clause: str, match: re.Match[str], grammar: Grammar) -> Meaning:
    """Return the meaning of a match in its clause: nothing if it is denied, unread if it is doubted."""
    before = clause[: match.start()] + match[0][: _side_at(match)]
    denied = grammar.denied.search(before) or grammar.denied_anywhere.search(clause)
    if denied or grammar.instead.search(clause[: match.start()]):
        return "nothing"
    return "unread" if meaning != "nothing" and grammar.doubted.search(before) else meaning


def _side_at(match: re.Match[str]) -> int:
    return (
        max(
            (match.start(name) for name in ("side", "other") if _has(match, name)),
            default=match.start(),
        )
        - match.start()
    )


def _has(match: re.Match[str], name: str) -> bool:
    return name in match.re.groupindex and match[name] is not None


def _move(meaning: str, match: re.Match[str], grammar: Grammar) -> Move:
    if meaning == "around":
        return "around"
    if meaning == "stay":
        return "stay"
    return grammar.sides[match["side"] if _has(match, "side") else match["other"]]


def _count(match: re.Match[str], grammar: Grammar) -> int:
    if not _has(match, "count"):
        return 1
    return grammar.counts[match["count"].removesuffix(" times")]


def _phrases(text: str, phrases: Mapping[str, Move]) -> Iterator[tuple[int, Move]]:
    """Yield the moves whose phrases a text has, of phrases that overlap the longest."""
    wanted = {_plain(phrase): move for phrase, move in phrases.items() if move != "straight"}
    if wanted:
        ordered = sorted(wanted, key=len, reverse=True)
        either = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)")
        yield from ((found.start(), wanted[found[0]]) for found in either.finditer(text))


def _once(moves: list[tuple[int, Move]], text: str) -> list[tuple[int, Move]]:
    """Return moves with their places, without those of a summary that says the same as all before it."""
    half = len(moves) // 2
    first, again = moves[:half], moves[half:]
    if first and [move for _, move in first] == [move for _, move in again]:
        return first if _AGAIN.search(text, first[-1][0], again[0][0]) else moves
    return moves


def _course(moves: Iterable[Move]) -> tuple[Move, ...]:
    """Return moves in order; stays without a move between them are one."""
    known: list[Move] = ["straight", *moves]
    return tuple(
        move for before, move in pairwise(known) if not (move == "stay" and before == "stay")
    )


# ---- names ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Named:
    """A name in a text: where, which, of what kind, in which words."""

    at: int
    end: int
    name: str
    kind: str
    words: str


class _Names:
    """Finds names in texts: landmarks word by word, actions in any order of their words close together.

    Articles don't count, nor does what inflection adds to a word.
    """

    def __init__(self, landmarks: Iterable[str], actions: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        for kind, names in (("landmark", landmarks), ("action", actions)):
            for name in dict.fromkeys(names):
                stems = tuple(
                    stem for stem, _, _ in _stems(_plain(name), leading=kind == "landmark")
                )
                for first in {*stems[:1]} if kind == "landmark" else {*stems}:
                    self._by_first.setdefault(first, []).append((stems, name, kind))

    def found(self, text: str) -> list[_Named]:
        """Return the names in a text in order; of landmarks that overlap, the longest."""
        words = _stems(text)
        matches = []
        for place, (stem, at, _) in enumerate(words):
            for stems, name, kind in self._by_first.get(stem, ()):
                size = len(stems)
                some = words[place : place + size + (0 if kind == "landmark" else _GAP)]
                last = _last(stems, some, text) if kind == "action" else _run(stems, some)
                if last:
                    matches.append(_Named(at, last, name, kind, text[at:last]))
        return _longest(matches)


def _run(stems: Sequence[str], words: Sequence[tuple[str, int, int]]) -> int:
    """Return the end of a name whose words follow one another, 0 if these aren't they."""
    same = len(words) == len(stems) and all(a == b[0] for a, b in zip(stems, words, strict=True))
    return words[-1][2] if same else 0


def _last(stems: Sequence[str], words: Sequence[tuple[str, int, int]], text: str) -> int:
    """Return the end of an action whose words are all among these, within one clause; else 0."""
    missing = list(stems)
    for stem, _, end in words:
        if stem in missing:
            missing.remove(stem)
            if not missing:
                return 0 if re.search(_STOP, text[words[0][1] : end]) else end
    return 0


def _longest(found: Iterable[_Named]) -> list[_Named]:
    """Return names in order; of those of a kind that overlap, the one with most text."""
    kept: list[_Named] = []
    taken: set[tuple[str, int]] = set()
    for one in sorted(found, key=lambda one: (one.at - one.end, one.at)):
        places = {(one.kind, at) for at in range(one.at, one.end)}
        if not places & taken:
            kept.append(one)
            taken |= places
    return sorted(kept, key=lambda one: one.at)


def _stems(text: str, *, leading: bool = False) -> list[tuple[str, int, int]]:
    """Return the stems of a text's words with their places, without articles; `leading`: without a preposition before."""
    words = [(found[0], found.start(), found.end()) for found in _WORD.finditer(text)]
    if leading and len(words) > 1 and words[0][0] in _LEADING:
        words = words[1:]
    return [(_stem(word), at, end) for word, at, end in words if word not in _ARTICLES]


@lru_cache(maxsize=2**14)
def _stem(word: str) -> str:
    """Return a word without what inflection adds, in English or German."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            return word[: -len(ending)]
    return word


def apart(names: Iterable[str]) -> tuple[str, ...]:
    """Return names without those that only say again what the name before says."""
    return tuple(next(some) for _, some in groupby(names, key=name_key))
