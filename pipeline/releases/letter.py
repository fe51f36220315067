r"""The strict parser that scoring, adapters and training read an answer letter with. Pure.

The last explicit statement decides: `<answer>C</answer>`, `\boxed{C}`, "Answer: C", "C is correct". Without
one, a line of its own decides: the letter, the letter with exactly its option's text, or this text; then a
sentence that concludes ("So it is C."). Two letters in what decides, a letter that no option has, or nothing
of this kind: unreadable. Thinking is never searched, and nothing is guessed.

Adapters contain a copy of this code (see adapters.py). So it uses the standard library alone, and named tuples:
dataclasses fail in a module that is loaded from its path.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from string import ascii_uppercase
from typing import NamedTuple

from pipeline.releases.replytext import plain_text, without_markup, without_thinking


def parse_letter(reply: str, options: Sequence[str] = ("",) * 4) -> str | None:
    """Return the letter that a finished reply gives; None if it gives none. Unreadable isn't wrong."""
    return _Reading(options).decide(without_thinking(reply)[0])


def closed_letter(reply: str, options: Sequence[str]) -> str | None:
    """Return the letter of a cut reply's last `<answer>...</answer>`; None if a later one was cut."""
    *_, last = (None, *_tagged(without_thinking(reply)[0]))
    return _Reading(options).decide(last.content) if last and last.closed else None


_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_TAG = re.compile(r"<(?P<close>/)?(?:final[_ ]?)?answer\b[^<>\n]{0,40}>", re.IGNORECASE)
_BLANKED = "\0"  # in place of a tag or box that was read
_M = r"(?:[^\w\n\0.,;!?/&+=^\\°%@]|_)"  # what may stand around a letter: spaces, markup, quotes, brackets
_NOUN = (
    r"(?:answer|option|choice|letter|solution|response|selection|pick|verdict|conclusion|result"
    r"|antwort|lösung|ergebnis|auswahl|wahl|buchstaben?|réponse|respuesta|opción|risposta|opzione"
    r"|resposta|opção|antwoord|optie|\u043e\u0442\u0432\u0435\u0442)"
)
_NO_WORD = r"(?<![^\W_])"
_IS = (
    r"(?:is|are|was|(?:would|should|must|has\s+to|have\s+to|will|seems?\s+to|appears?\s+to)\s+be"
    r"|ist|sind|lautet|lauten|muss|est|es|è|é)"
)
# The words before the letter that state an answer; the letter follows.
_CUE = re.compile(
    rf"(?P<noun>{_NO_WORD}{_NOUN}\b(?:{_M}{{1,4}}(?:{_NOUN}|corr?[eè]c?t[aeo]))?"
    r"(?:\s+(?:to|for|here|among|from|of|auf|zu|zur|für)\b[^.:!?=\n]{0,80}?)?"
    rf"(?:{_M}{{0,6}}?(?::|=|->|[ \t]-[ \t])|{_M}{{1,4}}{_IS}\b)"
    r"|(?:答案|正解|答え|回答|정답|답)\s*(?:是|为|為|は|은|는)?|[选選][择擇]?)"
    rf"|{_NO_WORD}(?:I|we)(?:'d|'ll|'m|\s+would|\s+will|\s+am)?\s+(?:therefore\s+|thus\s+)?"
    r"(?:think|believe|guess|choose|chose|pick|select|go\s+with|going\s+with|opt\s+for|say|answer(?:\s+with)?)\b"
    rf"|{_NO_WORD}ich\s+(?:wähle|nehme|würde|antworte)\b"
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
_WORD = re.compile(r"[ \t]+[^\W\d_]")
# A word that goes on after an article or a pronoun, unlike after an option's letter.
_OTHER_WORD = re.compile(
    r"[ \t]+(?!(?:because|since|as|for|and|or|not|but|nor|is|was|are|rather|instead|due|based|over|then|with|seems"
    r"|weil|da|denn|ist|und|oder|nicht|aber|sondern|statt|entspricht)\b)[^\W\d_]",
    re.IGNORECASE,
)
_CLAUSE_GOES_ON = re.compile(
    r"[*_`\"')\]]{0,4}[ \t]+(?!(?:because|since|as|for|but|not|rather|instead|due|based|over|weil|da|denn|aber|nicht|statt)\b)[^\W\d_]",
    re.IGNORECASE,
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
    r"[^\w?.!;]*(?:\?|(?:if|unless|wenn|falls)\b|(?:is|ist|was)\s+(?:not|wrong|incorrect|nicht|falsch)\b)",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    rf"{_NO_WORD}(?P<list>(?:\(?[A-Z]\b{_M}{{0,4}}(?:,|/|or|and|nor|oder|und|noch)\s{{0,4}}){{0,9}}{_M}{{0,4}}[A-Z])"
    rf"(?![\w'-]){_M}{{0,4}}\s(?:(?:is|are|must\s+be|ist|sind)\s+"
    r"(?:(?:clearly|definitely|certainly|therefore|thus|hence|indeed|probably|most|likely|the|my|die|der|meine?)\s+){0,4}"
    r"(?:(?:correct|right|best|final|only\s+correct|richtige|korrekte|beste)\s+(?:answer|option|choice|fit|match"
    r"|Antwort|Option|Wahl)|answer|correct|Antwort|richtig|korrekt)"
    r"|best\s+(?:matches|fits|describes|represents|answers)|(?:matches|fits|passt)\s+(?:best|am\s+besten))\b"
    r"(?P<no>\s*(?:\?|(?:only\s+)?if\b|wenn\b))?"
)
_CLAUSE = re.compile(
    r"[.!?;:,(\n]|\b(?:so|but|and|because|therefore|thus|hence|aber|und|denn|daher)\b",
    re.IGNORECASE,
)
# Before a statement, in the same clause or directly or at the beginning of the sentence: it is denied or only supposed.
_DENIED = re.compile(
    r"\b(?:not|never|no(?!\s+doubt)|cannot|neither|nor|none|if|whether|suppose|assuming|unless|maybe|perhaps"
    r"|nicht|kein\w*|weder|ob|wenn|falls|vielleicht)\b|n't\b"
    r"|\b(?:first|second|third|fourth|other|another|wrong|incorrect|falsche|erste|zweite|dritte|vierte|andere)\s+$",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(r"[^\w]*(?:if|had|were|wenn|falls|hätte)\b[^.!?\n]*$", re.IGNORECASE)
_NO_ANSWER = re.compile(
    rf"{_M}*(?:none|neither|unknown|unclear|undetermined|n/a|cannot|can't|I\s+(?:don't|can't|cannot)|keine)\b",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|nicht)\s{0,3}[$*(]{0,3}\Z")
_HEADING = " \t*_`:#\"'$"
_EMPTY = re.compile(r"[^\n]*\n\s*")
_FORMULA = re.compile(r"[=+^_\\]")
_LIST_MARK = re.compile(r"\s*(?:[>#|\u2022\u00b7-]+\s+|\*\s+|\d{1,2}[.)]\s+)+")
_ENDS_TEXT = re.compile(r"[.!;)\]](?=\s|$)|\s-\s|,?\s(?:because|since|weil|da)\b", re.IGNORECASE)
_CONCLUDES = re.compile(
    r"(?:.*[,;:]\s+)?(?:so|therefore|thus|hence|overall|consequently|in\s+conclusion|daher|also|somit|folglich)\b,?\s*"
    rf"(?:.*\b(?:{_IS}|{_NOUN})\b)?{_M}*$",
    re.IGNORECASE,
)
_LEADS_TO = re.compile(rf"(?:^|[:,]|\b{_IS})\s*$", re.IGNORECASE)  # a bold letter
_LAST_LETTER = re.compile(
    r"(?P<before>.*?)(?P<bold>\*\*)?\(?(?P<letter>[A-Z])\)?[.:]?(?:\*\*)?[\s.!]*", re.DOTALL
)


class _Stated(NamedTuple):
    """The letters with which a line begins, where they end, and whether an option's text is among it."""

    letters: frozenset[str]
    end: int
    with_text: bool


def _is_lone(line: _Stated | None) -> bool:
    return line is not None and not line.with_text


class _Reading:
    """The reading of replies to one item."""

    def __init__(self, options: Sequence[str]) -> None:
        self._allowed = ascii_uppercase[: len(options)]
        self._keys = [_key(without_markup(plain_text(text))) for text in options]
        # A line is read this far, so that a long one takes no longer: the longest option and what surrounds it.
        self._reach = 200 + 2 * max(map(len, options), default=0)

    def decide(self, text: str) -> str | None:
        """Return the letter that a text states."""
        statements, text = self._explicit(without_markup(text))
        texts = [line for line in text.split("\n") if line.strip()]
        edges = {0, len(texts) - 1}
        lines = [self._line(text, at in edges, len(texts) > 1) for at, text in enumerate(texts)]
        last = lines[-1] if lines else None
        ends_alone = _is_lone(last)
        if ends_alone and not statements:  # the letter at the end and those right before it
            lines = list(takewhile(_is_lone, reversed(lines)))
        elif statements:  # a letter alone at the end can contradict them
            lines = lines[-1:] if ends_alone else []
        letters = frozenset().union(*(line.letters for line in lines if line))
        if statements:
            letters |= max(statements)[1]
        elif texts and not letters:
            letters = _concluded(texts[-1])
        letter = "".join(letters)
        return letter if len(letter) == 1 and letter in self._allowed else None

    def _explicit(self, text: str) -> tuple[list[tuple[int, frozenset[str]]], str]:
        """Return explicit statements with their positions, and the text with tags and boxes blanked out."""
        statements: list[tuple[int, frozenset[str]]] = []
        read = []
        for tag in _tagged(text):
            letter = self.decide(tag.content)
            states = letter or (tag.closed and tag.content.strip())
            if states and not _NEGATED.search(text[: tag.start][-12:]):
                statements.append((tag.start, frozenset({letter} if letter else ())))
                read.append((tag.start, tag.end))
        text = _TAG.sub(lambda tag: " " * len(tag[0]), _blank(text, read))
        boxes = list(_boxes(text))
        for start, end in boxes:
            content = text[text.index("{", start) + 1 : end - 1]
            formula = _FORMULA.search(content)
            line = None if formula else self._line(" ".join(content.split()), True, False)
            if line and not _NEGATED.search(text[:start][-12:]):
                statements.append((start, line.letters))
        text = _blank(text, boxes)
        statements.extend(islice(self._cued(text), 1))
        for match in _RIGHT.finditer(text):
            if not match["no"] and not _denied(text, match.start()):
                letters = re.findall(r"(?<![^\W_])[A-Z](?![^\W_])", match["list"])
                statements.append((match.start(), frozenset(letters)))
        return statements, text

    def _cued(self, text: str) -> Iterator[tuple[int, frozenset[str]]]:
        """Yield what follows "the answer is" and its like, with positions, the last first."""
        for cue in reversed(list(_CUE.finditer(text))):
            if _denied(text, cue.start()):
                continue
            line = _line_at(text, cue.end())[: self._reach]
            found = self._list(line)
            if not line.strip(_HEADING):
                if below := self._line(_line_below(text, cue.end()), True, False):
                    yield cue.start(), below.letters
            elif found:
                rest = line[found.end :]
                # "It is B that ..." and "I think B is ..." state no answer; "the answer is B that ..." does.
                goes_on = not cue["noun"] and _CLAUSE_GOES_ON.match(rest)
                if found.letters and not goes_on and not _UNSURE.match(rest):
                    yield cue.start(), found.letters
            elif cue["noun"] and (named := self._named(line)):
                yield cue.start(), named
            elif cue[0].endswith(":") and _NO_ANSWER.match(line):
                yield cue.start(), frozenset()

    def _line(self, text: str, text_counts: bool, one_of_many: bool) -> _Stated | None:
        """Return the letters of a line that is nothing but a statement; None for any other line."""
        if len(text) > self._reach:
            return None
        mark = _LIST_MARK.match(text)
        line = text[mark.end() :] if mark else text
        found = self._list(line)
        if found is None or re.search(r"[^\W_]|[?+=\0]", line[found.end :]):
            found = _Stated(frozenset(), 0, True)
        texts = text_counts and not (mark and one_of_many)
        letters = found.letters | (self._of_keys({_key(line)}) if texts else frozenset())
        return _Stated(letters, len(text), found.with_text) if letters else None

    def _of_keys(self, keys: set[str]) -> frozenset[str]:
        options = zip(self._allowed, self._keys, strict=False)
        return frozenset(letter for letter, key in options if key and key in keys)

    def _named(self, text: str) -> frozenset[str]:
        """Return the letters of the options with whose full text a text begins, up to an end of a sentence."""
        ends = [end.start() for end in islice(_ENDS_TEXT.finditer(text), 6)]
        return self._of_keys(
            {_key(text[:end]) for end in (*ends, *(end + 1 for end in ends), len(text))}
        )

    def _list(self, text: str) -> _Stated | None:
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
            if not named and (_is_word(match["letter"], rest) or (weak and _WORD.match(rest))):
                break
            end = match.end()
            if not negated:
                kept |= {letter} if letter in named else {letter, *named}
            if named:
                return _Stated(frozenset(kept), len(text), True)
            join = _JOIN.match(text, end)
            words = join[0] if join else ""
            negated = bool(_NEGATES.search(words)) or (negated and not _REVERTS.search(words))
            weak = not re.search(r"\w|[/&+]", words)
            at = end + len(words)
        return _Stated(frozenset(kept), end, False) if end else None


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


def _line_below(text: str, at: int) -> str:
    """Return the next line that isn't empty."""
    start = _EMPTY.match(text, at)
    return _line_at(text, start.end()) if start else ""


def _denied(text: str, at: int) -> bool:
    """Return whether the words before a statement deny it, or only suppose it."""
    before = text[max(0, at - 200) : at]
    *_, sentence = re.split(r"[.!?\n]", before)
    *_, clause = _CLAUSE.split(before)
    return bool(_DENIED.search(clause) or _SUPPOSED.match(sentence))


def _is_word(letter: str, rest: str) -> bool:
    """Return whether a letter before `rest` is a word: an article, a pronoun, another language's "and"."""
    return (letter in "AI" or letter.islower()) and bool(_OTHER_WORD.match(rest))


def _concluded(line: str) -> frozenset[str]:
    """Return the letter with which a line's last sentence concludes."""
    sentence = re.split(r"(?<=[.!?])\s+", line.strip()[-300:])[-1]
    found = _LAST_LETTER.fullmatch(sentence)
    if not found:
        return frozenset()
    before = found["before"]
    if re.search(r"[\w']$", before) or _DENIED.search(before):
        return frozenset()
    concludes = _CONCLUDES.fullmatch(before) or (found["bold"] and _LEADS_TO.search(before))
    return frozenset({found["letter"]} if concludes else ())


def _key(text: str) -> str:
    """Return a text in the form in which options are compared."""
    kept = re.sub(r"[*_`\"']", "", text).casefold()
    return " ".join(kept.split()).strip(" .,;:!()[]{}<>$|#-\0")
