r"""The strict parser that scoring, adapters and training read an answer letter with. Pure.

The last explicit statement decides: `<answer>C</answer>`, `\boxed{C}`, "Answer: C", "C is correct". Without
one, a line of its own decides: the letter, the letter with exactly its option's text, or this text; then a
sentence that concludes ("So it is C."). Two letters in what decides, a letter that no option has, or nothing
of this kind: unreadable. Thinking is never searched, and nothing is guessed.

Adapters contain a copy of this code (see adapters.py). So it uses the standard library alone, and named tuples:
dataclasses fail in a module that is loaded from its path.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from string import ascii_uppercase
from typing import NamedTuple


def parse_letter(reply: str, options: Sequence[str]) -> str | None:
    """Return the letter that a finished reply gives; None if it gives none. Unreadable isn't wrong."""
    return _Reading(options).decide(without_thinking(reply)[0])


def closed_letter(reply: str, options: Sequence[str]) -> str | None:
    """Return the letter of a cut reply's last `<answer>...</answer>`; None if a later one was cut."""
    *_, last = (None, *_tagged(without_thinking(reply)[0]))
    return _Reading(options).decide(last.content) if last and last.closed else None


def without_thinking(reply: str) -> tuple[str, bool]:
    """Return what follows the last end of thinking, and whether thinking begins there and stays open.

    The beginning may be missing, since many chat templates put it into the prompt. The text has one
    spelling of each character.
    """
    text = _plain(reply)
    marks = list(_THINKING.finditer(text))
    ends = [mark.end() for mark in marks if mark["close"] or mark["final"] or mark["unused"]]
    start = max(ends, default=0)
    opened = next((mark.start() for mark in marks if mark.start() >= start), None)
    return text[start:opened], opened is not None


# What models and servers write in several ways: quotes, dashes, arrows; and characters that can't be seen.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u300c\u300d\u300e\u300f", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2192\u21d2\u27a1\u2794\u279c\u27f6", "->"),
        **dict.fromkeys("\u3010\u3014\u3008\u300a", "("),
        **dict.fromkeys("\u3011\u3015\u3009\u300b", ")"),
        "\u3002": ".",
        "\u3001": ",",
    }
)
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_THINKING = re.compile(
    r"(?:<\|?|\u25c1|\[(?=/?THINK\]))(?P<close>/|end_of_)?(?:begin_of_|[a-z]+[:_])?"
    r"(?:think(?:ing)?|thoughts?|reasoning|analysis)\s*(?:\|?>|\u25b7|\])"
    r"|<\|channel\|>\s*(?:analysis|commentary|(?P<final>final))[^<]{0,40}<\|message\|>"
    r"|<unused94>thought|(?P<unused><unused95>)",
    re.IGNORECASE,
)
_BOX_TOKENS = re.compile(r"<\|begin_of_box\|>([^<]*)<\|end_of_box\|>")
_TOKENS = re.compile(r"<\|[^|<>\n]{1,30}\|>|</?s>|<end_of_turn>|<eos>|^\s*```\w*\s*$", re.MULTILINE)
_LATEX_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|it|rm|sf|tt)|operatorname|emph|bf|rm|Large|large)"
    r"\s*\{([^{}]*)\}"
)
_LATEX_ESCAPE = re.compile(r"\\(?:[ ,;!~]|(?=[^\w\s]))")
_BOX = re.compile(r"\\f?boxed\s*\{")
_TAG = re.compile(r"<(?P<close>/)?(?:final[_ ]?)?answer\b[^<>\n]{0,40}>", re.IGNORECASE)
_BLANKED = "\0"  # in place of a tag or box that was read


def _plain(text: str) -> str:
    """Return a reply with one spelling of each character and with plain line ends."""
    text = unicodedata.normalize("NFKC", text).translate(_SAME)
    return "\n".join(_UNSEEN.sub("", text).replace(_BLANKED, " ").splitlines())


def _without_markup(text: str) -> str:
    r"""Return a text without tokens of chat templates, `\text{...}` and escapes."""
    text = _TOKENS.sub(" ", _BOX_TOKENS.sub(r"\\boxed{\1}", text))
    for _ in range(3):  # \text{\textbf{C}}
        text = _LATEX_TEXT.sub(r"\1", text)
    return _LATEX_ESCAPE.sub("", text)


_M = r"[\s*_`~\"'()\[\]{}<>$|#:-]"  # what may stand around a letter
_NOUN = (
    r"(?:answer|option|choice|letter|solution|response|selection|pick"
    r"|antwort|l\u00f6sung|auswahl|wahl|buchstaben?|r\u00e9ponse|respuesta|opci\u00f3n|risposta|opzione"
    r"|resposta|op\u00e7\u00e3o|antwoord|optie|\u043e\u0442\u0432\u0435\u0442)"
)
_NO_WORD = r"(?<![^\W_])"
_IS = (
    r"(?:is|are|was|(?:would|should|must|has\s+to|have\s+to|will|seems?\s+to|appears?\s+to)\s+be"
    r"|ist|sind|lautet|lauten|muss|est|es|\u00e8|\u00e9)"
)
# The words before the letter that state an answer; the letter follows.
_CUE = re.compile(
    rf"{_NO_WORD}{_NOUN}(?:s|en|n)?\b(?:{_M}{{1,4}}(?:{_NOUN}|corr?[eè]c?t[aeo]))?"
    r"(?:\s+(?:to|for|here|among|from|of|auf|zu|zur|f\u00fcr)\b[^.:!?=\n]{0,80}?)?"
    rf"(?:{_M}{{0,6}}?(?::|=|->|\s-\s)|{_M}{{1,4}}{_IS}\b)"
    r"|(?:\u7b54\u6848|\u6b63\u89e3|\u7b54\u3048|\u56de\u7b54|\uc815\ub2f5|\ub2f5)\s*"
    r"(?:\u662f|\u4e3a|\u70ba|\u306f|\uc740|\ub294)?|[\u9009\u9078](?:\u62e9|\u64c7)?"
    rf"|{_NO_WORD}(?:I|we)(?:'d|'ll|'m|\s+would|\s+will|\s+am)?\s+(?:therefore\s+|thus\s+)?"
    r"(?:choose|chose|pick|select|go\s+with|going\s+with|opt\s+for|say|answer)\b"
    rf"|{_NO_WORD}ich\s+(?:w\u00e4hle|nehme|w\u00fcrde|antworte)\b"
    rf"|{_NO_WORD}{_IS}\s+(?=(?:option|choice|antwort)\b)"
    rf"|{_NO_WORD}leav(?:es|ing)\b(?:\s+(?:only|just|us\s+with)\b)?"
    rf"|{_NO_WORD}(?:it|this|that|es|das)(?:'s|\s+{_IS})\b",
    re.IGNORECASE,
)
_FILL = (
    rf"(?:(?:most\s+)?[a-z]+ly|therefore|thus|hence|then|indeed|now|the|der|die|das|wohl|daher|somit"
    rf"|correct|right|best|final|richtige|korrekte|beste|{_NOUN})"
)
_LETTER = re.compile(
    rf"{_M}{{0,12}}(?:{_FILL}\b{_M}{{1,8}}){{0,4}}(?P<letter>[A-Z])"
    r"(?![A-Z0-9\u00c0-\u024f\u0370-\u052f]|'[A-Z]|-\w|\.[A-Z]\b)",
    re.IGNORECASE,
)
_SPACE_WORD = re.compile(r"[ \t]+([^\W\d_]+)")
# Words after which "A" or "I" before them can't be an article or a pronoun.
_AFTER_LETTER = frozenset(
    "because since as for and or not but nor is was are rather instead due based over then with seems"
    " weil da denn ist und oder nicht aber sondern statt entspricht".split()
)
_NOT = r"(?:not|nicht|nor|noch|rather\s+than|instead\s+of|over|statt|anstatt|neither|weder)"
_BUT = r"(?:but|aber|sondern|rather)"
_LEAD = re.compile(
    rf"{_M}{{0,12}}(?:\w+ly\s+)?(?:(?P<no>{_NOT})|either|both|entweder|beide)\b", re.IGNORECASE
)
_JOIN = re.compile(
    rf"{_M}{{0,8}}(?P<join>(?:(?:[,;/&+]|\b(?:or|and|und|oder|then|maybe|possibly|perhaps|also|even|vielleicht"
    rf"|{_NOT}|{_BUT})\b){_M}{{0,8}}){{0,5}})",
    re.IGNORECASE,
)
_NEGATES = re.compile(rf"\b{_NOT}\b", re.IGNORECASE)
_REVERTS = re.compile(rf"\b{_BUT}\b", re.IGNORECASE)
_UNSURE = re.compile(
    r"[^\w?]*(?:\?|(?:if|unless|wenn|falls)\b|(?:is|ist|was)\s+(?:not|wrong|incorrect|nicht|falsch)\b)",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    rf"{_NO_WORD}(?P<list>(?:\(?[A-Z]\b{_M}{{0,4}}(?:,|/|or|and|nor|oder|und|noch)\s{{0,4}})*{_M}{{0,4}}(?P<last>[A-Z]))"
    rf"(?![\w'-]){_M}{{0,4}}\s{_IS}\s+(?:(?:[a-z]+ly|the|my|therefore|thus|hence|die|der|meine?)\s+){{0,3}}"
    r"(?:(?:final|correct|right|best|only|richtige|korrekte|beste)\s+){0,2}"
    r"(?:answer|option|choice|fit|match|correct|[Aa]ntwort|[Ww]ahl|richtig|korrekt)\b(?P<end>\s*\?)?"
)
_CLAUSE = re.compile(
    r"[.!?;:,(\n]|\b(?:so|but|and|because|therefore|thus|hence|aber|und|denn|daher)\b",
    re.IGNORECASE,
)
# Before a statement in the same clause: it is denied, or supposed only.
_DENIED = re.compile(
    r"\b(?:not|never|no(?!\s+doubt)|cannot|neither|nor|none|if|whether|suppose|assuming|unless|maybe|perhaps"
    r"|nicht|kein\w*|weder|ob|wenn|falls|vielleicht)\b|n't\b",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    rf"{_M}*(?:none|neither|unknown|unclear|undetermined|n/a|cannot|can't|I\s+(?:don't|can't|cannot)|keine)\b",
    re.IGNORECASE,
)
_HEADING = " \t*_`:#\"'$"
_FORMULA = re.compile(r"[=+^_\\]")
_LIST_MARK = re.compile(r"\s*(?:[>#|\u2022\u00b7-]+\s+|\*\s+|\d{1,2}[.)]\s+)+")
_ENDS_TEXT = re.compile(r"[.!;)\]](?=\s|$)|\s-\s|,?\s(?:because|since|weil|da)\b", re.IGNORECASE)
_CONCLUDES = re.compile(
    r"(?P<so>so|therefore|thus|hence|overall|consequently|in\s+conclusion|daher|also|somit|folglich)\b,?\s*"
    rf"(?:.*\b(?:{_IS}|{_NOUN})\b)?{_M}*$",
    re.IGNORECASE,
)
_LAST_LETTER = re.compile(
    r"(?P<before>.*?)(?P<bold>\*\*)?\(?(?P<letter>[A-Z])\)?[.:]?(?:\*\*)?[\s.!]*", re.DOTALL
)


class _List(NamedTuple):
    """The letters with which a text begins, where they end, and whether an option's text follows."""

    letters: frozenset[str]
    end: int
    with_text: bool


class _Line(NamedTuple):
    """The letters of a line that states nothing else, and whether it is letters alone."""

    letters: frozenset[str]
    lone: bool


class _Reading:
    """The reading of replies to one item."""

    def __init__(self, options: Sequence[str]) -> None:
        self._allowed = ascii_uppercase[: len(options)]
        self._keys = [_key(_without_markup(_plain(text))) for text in options]

    def decide(self, text: str) -> str | None:
        """Return the letter that a text states."""
        statements, text = self._explicit(_without_markup(text))
        texts = [line for line in text.split("\n") if line.strip()]
        edges = {0, len(texts) - 1}
        lines = [self._line(text, at in edges, len(texts) > 1) for at, text in enumerate(texts)]
        last = lines[-1] if lines else None
        if statements:
            # A lone letter at the end that contradicts the last statement leaves two letters.
            letters = max(statements)[1] | (last.letters if last and last.lone else frozenset())
        elif last and last.lone:
            block = takewhile(lambda line: line is not None, reversed(lines))
            letters = frozenset().union(*(line.letters for line in block if line))
        elif any(lines):
            letters = frozenset().union(*(line.letters for line in lines if line))
        else:
            letters = _concluded(texts[-1]) if texts else frozenset()
        (letter, *others) = sorted(letters) or [""]
        return letter if not others and letter and letter in self._allowed else None

    def _explicit(self, text: str) -> tuple[list[tuple[int, frozenset[str]]], str]:
        """Return explicit statements with their positions, and the text with tags and boxes blanked out."""
        statements: list[tuple[int, frozenset[str]]] = []
        read = []
        for tag in _tagged(text):
            letter = self.decide(tag.content)
            if letter or (tag.closed and tag.content.strip()):
                statements.append((tag.start, frozenset({letter} if letter else ())))
                read.append((tag.start, tag.end))
        text = _TAG.sub(lambda tag: " " * len(tag[0]), _blank(text, read))
        boxes = list(_boxes(text))
        for start, end in boxes:
            content = text[text.index("{", start) + 1 : end - 1]
            line = None if _FORMULA.search(content) else self._line(content, True, False)
            if line:
                statements.append((start, line.letters))
        text = _blank(text, boxes)
        statements.extend(self._cued(text))
        for match in _RIGHT.finditer(text):
            if not match["end"] and not _denied(text, match.start()):
                letters = re.findall(r"(?<![^\W_])[A-Z](?![^\W_])", match["list"])
                statements.append((match.start(), frozenset(letters)))
        return statements, text

    def _cued(self, text: str) -> Iterator[tuple[int, frozenset[str]]]:
        """Yield what follows "the answer is" and its like, with positions."""
        for cue in _CUE.finditer(text):
            if _denied(text, cue.start()):
                continue
            line = _line_at(text, cue.end())
            if not line.strip(_HEADING):  # the answer is on the next line
                below = re.compile(r"\s*").match(text, cue.end() + len(line))
                stated = self._line(
                    _line_at(text, below.end() if below else len(text)), True, False
                )
                if stated:
                    yield cue.start(), stated.letters
                continue
            found = self._list(line)
            if found and found.letters and not _UNSURE.match(line, found.end):
                yield cue.start(), found.letters
            elif not found and (named := self._named(line)):
                yield cue.start(), named
            elif not found and cue[0].endswith(":") and _NO_ANSWER.match(line):
                yield cue.start(), frozenset()

    def _line(self, text: str, text_counts: bool, one_of_many: bool) -> _Line | None:
        """Return the letters of a line that is nothing but a statement; None for any other line."""
        mark = _LIST_MARK.match(text)
        line = text[mark.end() :] if mark else text
        letters, lone = frozenset[str](), False
        found = self._list(line)
        if found and not re.search(r"[^\W_]|[?\0]", line[found.end :]):
            letters, lone = found.letters, not found.with_text
        if text_counts and not (mark and one_of_many):
            letters |= self._of_keys({_key(line)})
        return _Line(letters, lone) if letters else None

    def _of_keys(self, keys: set[str]) -> frozenset[str]:
        options = zip(self._allowed, self._keys, strict=False)
        return frozenset(letter for letter, key in options if key and key in keys)

    def _named(self, text: str) -> frozenset[str]:
        """Return the letters of the options with whose full text a text begins, up to an end of a sentence."""
        ends = [end.start() for end in islice(_ENDS_TEXT.finditer(text), 6)]
        return self._of_keys(
            {_key(text[:end]) for end in (*ends, *(end + 1 for end in ends), len(text))}
        )

    def _list(self, text: str) -> _List | None:
        """Return the letters with which a line begins, without negated ones; None if it begins with none.

        An article and a pronoun are no letters. A letter with exactly its option's text ends the list, and one
        with another option's text gives both.
        """
        lead = _LEAD.match(text)
        at, end = (lead.end() if lead else 0), 0
        negated, weak = bool(lead and lead["no"]), False
        kept: set[str] = set()
        while match := _LETTER.match(text, at):
            letter, rest = match["letter"].upper(), text[match.end() :]
            named = self._named(rest)
            if not named and (
                _is_word(match["letter"], rest) or (weak and _SPACE_WORD.match(rest))
            ):
                break
            end = match.end()
            if not negated:
                kept |= {letter} if letter in named else {letter, *named}
            if named:
                return _List(frozenset(kept), len(text), True)
            join = _JOIN.match(text, end)
            words = join[0] if join else ""
            negated = bool(_NEGATES.search(words)) or (negated and not _REVERTS.search(words))
            weak = not re.search(r"\w|[/&+]", words)
            at = end + len(words)
        return _List(frozenset(kept), end, False) if end else None


class _Tagged(NamedTuple):
    """What stands between `<answer>` and `</answer>`, or after the first without the second."""

    start: int
    end: int
    content: str
    closed: bool


def _tagged(text: str) -> Iterator[_Tagged]:
    """Yield the answers in tags. The first `<answer>` may be missing: some prompts end with it."""
    opened, done = None, 0
    for tag in _TAG.finditer(text):
        if tag["close"]:
            start = opened.start() if opened else max(done, text.rfind("\n", 0, tag.start()) + 1)
            content = text[opened.end() if opened else start : tag.start()]
            yield _Tagged(start, tag.end(), content, True)
            opened, done = None, tag.end()
        else:
            if opened:  # <answer>C<answer>
                yield _Tagged(opened.start(), tag.start(), text[opened.end() : tag.start()], False)
            opened = tag
    if opened:
        yield _Tagged(opened.start(), len(text), text[opened.end() :], False)


def _boxes(text: str) -> Iterator[tuple[int, int]]:
    r"""Yield the start and end of every `\boxed{...}`, up to the brace that closes it."""
    end = 0
    for box in _BOX.finditer(text):
        if box.start() < end:
            continue
        depth, end = 1, box.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield box.start(), end


def _blank(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return a text of the same length with `spans`, in order, blanked out."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], _BLANKED * (end - start)]
        at = end
    return "".join([*parts, text[at:]])


def _line_at(text: str, at: int) -> str:
    end = text.find("\n", at)
    return text[at : len(text) if end < 0 else end]


def _denied(text: str, at: int) -> bool:
    """Return whether the words before a statement, in the same clause, deny or only suppose it."""
    *_, clause = _CLAUSE.split(text[max(0, at - 150) : at])
    return bool(_DENIED.search(clause))


def _is_word(letter: str, rest: str) -> bool:
    """Return whether a letter before `rest` is a word: an article, a pronoun, another language's "and"."""
    word = _SPACE_WORD.match(rest)
    may_be = letter in "AI" or letter.islower()
    return may_be and bool(word) and word[1].lower() not in _AFTER_LETTER  # type: ignore[index]


def _concluded(line: str) -> frozenset[str]:
    """Return the letter with which a line's last sentence concludes."""
    sentence = re.split(r"(?<=[.!?])\s+", line.strip())[-1]
    found = _LAST_LETTER.fullmatch(sentence)
    if not found or re.search(r"[\w']$", found["before"]) or _DENIED.search(found["before"]):
        return frozenset()
    concludes = found["bold"] or _CONCLUDES.fullmatch(found["before"])
    return frozenset({found["letter"]} if concludes else ())


def _key(text: str) -> str:
    """Return a text in the form in which options are compared."""
    kept = re.sub(r"[*_`\"']", "", text).casefold()
    return " ".join(kept.split()).strip(" .,;:!()[]{}<>$|#-\0")
