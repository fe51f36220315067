"""What readers used to answer one item: words and cues of the learned probe, and who else chose it. Pure.

The weights are those of learner (a), which is linear: a feature's weight times its value, less its mean over
the item's options. Learner (b), boosting, has no such parts; both decide the scores.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.blind.causes import Cause
from pipeline.blind.learners import CUES, char_grams, gram_columns, task_of, word_grams, words
from pipeline.blind.probe import Probed
from pipeline.blind.sheet import Floats, ProbeItem
from pipeline.blind.tried import called, cross_chosen

_TOKEN = re.compile(r"\S+")
_NAMED = 5  # words that a line names
_LEAST = 0.3  # a word's weight, as a share of the strongest one's, from which on it is named
_LEAST_CUE = 0.1


@dataclass(frozen=True)
class Weight:
    """A word or a cue, and how much it speaks for the option that has it, in log odds."""

    what: str
    value: float


@dataclass(frozen=True)
class ReadOption:
    """One option as the learned probe reads it; `share` is what it gets of a belief of 1."""

    letter: str
    text: str
    answer: bool
    share: float
    words: tuple[Weight, ...]  # each word of the text, in order
    cues: tuple[Weight, ...]  # the strongest first


@dataclass(frozen=True)
class Explained:
    """One item with what the learned probe used, and which other readers chose the answer."""

    item: ProbeItem
    margin: float  # the answer's share less that of the best other option
    options: tuple[ReadOption, ...]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return what there is to see as plain values."""
        return {
            "id": self.item.id,
            "margin": round(self.margin, 4),
            "answer": self.item.options[self.item.answer],
            "question": self.item.question,
            "reasons": list(self.reasons),
            "options": [
                {
                    "letter": one.letter,
                    "text": one.text,
                    "answer": one.answer,
                    "share": round(one.share, 4),
                    "words": [[word.what, round(word.value, 3)] for word in one.words],
                    "cues": [[cue.what, round(cue.value, 3)] for cue in one.cues],
                }
                for one in self.options
            ],
        }


def letter(position: int) -> str:
    """Return the letter of an option; a number beyond Z."""
    return chr(65 + position) if position < 26 else str(position + 1)


def margins(probed: Probed) -> Floats:
    """Return the answer's share less that of the best other option, (items,)."""
    sheet, share = probed.sheet, probed.learned.scores / 2
    others = np.where(sheet.truth, -np.inf, share)
    best = np.maximum.reduceat(others, sheet.first)
    return np.asarray(share[sheet.truth] - best, dtype=float)


def explain(probed: Probed, index: int, causes: Sequence[Cause] = ()) -> Explained:
    """Return what the learned probe used on the item at this index of its items."""
    sheet, item = probed.sheet, probed.sheet.items[index]
    rows = list(sheet.rows(index))
    part = int(sheet.fold[index])
    weights = probed.learned.weights[part]
    seen = probed.features.both[rows].toarray()
    speaks = (seen - seen.mean(axis=0)) * weights
    task = task_of(sheet)[index]
    options = tuple(
        ReadOption(
            letter(at),
            text,
            at == item.answer,
            float(probed.learned.scores[row] / 2),
            tuple(_words(probed, text, task, speaks[at])),
            tuple(_cues(probed, row, speaks[at])),
        )
        for at, (row, text) in enumerate(zip(rows, item.options, strict=True))
    )
    share = [one.share for one in options]
    margin = share[item.answer] - max(share[: item.answer] + share[item.answer + 1 :])
    return Explained(item, margin, options, tuple(_reasons(item, options, causes)))


def _words(probed: Probed, text: str, task: str, speaks: Floats) -> Iterator[Weight]:
    """Yield each word of an option with its part in the weights of all n-grams that touch it."""
    tokens = _TOKEN.findall(text)
    where = [at for at, token in enumerate(tokens) for _ in words(token)]
    # The words of a text, joined by no space, may differ from those of its tokens: then they can't be placed.
    if len(where) != len(words(text)):
        where = []
    touched: list[tuple[int, str, tuple[int, ...]]] = []
    if where:
        single = len(where)
        for at, gram in enumerate(word_grams(text, task)):
            place = at % (2 * single - 1)
            ends = (place,) if place < single else (place - single, place - single + 1)
            touched.append((0, gram, tuple(where[end] for end in ends)))
    touched += [(1, gram, (at,)) for at, token in enumerate(tokens) for gram in char_grams(token)]
    value = np.zeros(len(tokens))
    for block in (0, 1):
        grams = [(gram, places) for kind, gram, places in touched if kind == block]
        hashed = gram_columns([gram for gram, _ in grams], block)
        columns = np.searchsorted(probed.features.columns, hashed)
        often = Counter(columns.tolist())
        for column, (_, places) in zip(columns.tolist(), grams, strict=True):
            for place in places:
                value[place] += speaks[column] / often[column] / len(places)
    yield from (Weight(*pair) for pair in zip(tokens, value.tolist(), strict=True))


def _cues(probed: Probed, row: int, speaks: Floats) -> list[Weight]:
    """Return what else speaks for or against an option, the strongest first: cues, and words of its question."""
    found = list(map(Weight, CUES, speaks[-len(CUES) :].tolist()))
    grams = list(dict.fromkeys(probed.features.asked[row]))
    columns = np.searchsorted(probed.features.columns, gram_columns(grams, 2))
    for gram, column in zip(grams, columns.tolist(), strict=True):
        found.append(Weight(f'"{gram.rpartition("|")[2]}" in the question', float(speaks[column])))
    found = [one for one in found if abs(one.value) > 1e-6]
    return sorted(found, key=lambda one: -abs(one.value))


def _reasons(
    item: ProbeItem, options: Sequence[ReadOption], causes: Sequence[Cause]
) -> Iterator[str]:
    """Yield why the answer stands out, in words: words and cues, then other leaks that show it."""
    answer = options[item.answer]
    against: defaultdict[str, list[str]] = defaultdict(list)
    for one in options:
        for word in strongest(one.words, -1) if not one.answer else ():
            against[word].append(one.letter)
    often = sorted(against, key=lambda word: -len(against[word]))[:_NAMED]
    if often:
        told = (f'"{word}" (in {", ".join(against[word])})' for word in often)
        yield f"words against other options: {', '.join(told)}"
    if told_for := strongest(answer.words, 1):
        quoted = (f'"{word}"' for word in told_for)
        yield f"words for {answer.letter}: {', '.join(quoted)}"
    if cues := [one.what for one in answer.cues[:2] if one.value > _LEAST_CUE]:
        yield f"other cues for {answer.letter}: {', '.join(cues)}"
    for cause in [one for one in causes if one.kind != "words" and one.chose(item)][:2]:
        yield f"{cause.kind}: {cause.cell.reader}"


def strongest(found: Sequence[Weight], sign: int) -> list[str]:
    """Return the words that speak most for an option (`sign` 1) or against it (-1), each once."""
    total = _summed(found)
    least = max(_LEAST * max(map(abs, total.values()), default=0.0), 0.02)
    named = sorted(total, key=lambda word: -sign * total[word])[:_NAMED]
    return [word for word in named if sign * total[word] > least]


def _summed(found: Sequence[Weight]) -> dict[str, float]:
    """Return the weight of each word in all its places, by the word without punctuation around it."""
    total: defaultdict[str, float] = defaultdict(float)
    for one in found:
        total[" ".join(words(one.what)) or one.what] += one.value
    return total


def choices(probed: Probed, item: ProbeItem) -> list[tuple[str, str, float, float]]:
    """Return the readers that chose the answer: name, strategy, what it got of the item, its accuracy."""
    found = []
    for reader in probed.readers[1:]:
        index = next((at for at, one in enumerate(reader.sheet.items) if one is item), None)
        if index is None:
            continue
        hits, chosen = cross_chosen(reader, np.ones(len(reader.sheet.items), bool))
        if hits[index] > reader.sheet.chance[index]:  # more than a tie of all options
            strategy = called(reader, chosen[int(reader.sheet.half[index]) :][:1])
            found.append((reader.name, strategy, float(hits[index]), float(hits.mean())))
    return found


def lines(probed: Probed, explained: Explained) -> Iterator[str]:
    """Yield what readers used on an item, to be printed."""
    item = explained.item
    yield f"item {item.id}: {item.question}"
    best = max(explained.options, key=lambda one: one.share)
    right = "the answer" if best.answer else "which is wrong"
    yield f"learned probe, trained on other scenes: {best.letter}, {right}"
    for one in explained.options:
        yield f"  {one.letter} {one.share:6.1%} {'*' if one.answer else ' '} {one.text}"
        weighed = {**_summed(one.words), **{cue.what: cue.value for cue in one.cues}}
        for name, sign in (("for", 1), ("against", -1)):
            most = sorted(weighed, key=lambda what: -sign * weighed[what])[: 2 * _NAMED]
            told = [f"{what} {weighed[what]:+.2f}" for what in most if sign * weighed[what] > 0.02]
            if told:
                yield f"      {name}: {', '.join(told)}"
    yield "  * the answer; the numbers are log odds, relative to the mean of the options"
    if len(probed.readers) == 1:
        return
    found = choices(probed, item)
    yield f"other readers that chose the answer: {'' if found else 'none'}"
    for name, strategy, hit, accuracy in found:
        tied = "" if hit > 0.99 else f", tied with {round(1 / hit) - 1} other options"
        yield f"  {name}: {strategy}{tied} (right in {accuracy:.1%} of all items)"
