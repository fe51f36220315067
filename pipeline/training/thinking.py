"""The think text of a row, from what happens in its span: both lists, a check of each asked fact, the conclusion. Pure.

    First I write down what happens in the clip, with times.
    Forward:
    - 2.0 s to 3.5 s: turn: left
    ...
    The turn at 2.0 s settles this: “first turn left” is true, which leaves A and C.
    ...
    So the answer is C.

The words are in `prompts/training/think.xx.j2`, one wording a line, and chosen by the row's id and a seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress, product
from string import ascii_uppercase
from typing import Literal

from pipeline.engine.rows import digest
from pipeline.questions.truth import split_names
from pipeline.routes import templates, wording
from pipeline.training import lists
from pipeline.training.asked import forward, undone
from pipeline.training.lists import Event
from pipeline.training.rows import TrainingRow

LANGUAGES = tuple(lists.HEADINGS)
"""The languages of think texts. In another one, rows are made without thinking until it gets lists and a template."""

Lack = Literal["language", "facts", "words", "contradiction", "tags"]
LACKS: Mapping[Lack, str] = {
    "language": "no think texts in its language",
    "facts": "an item without two facts, such as one that a model wrote",
    "words": "its options aren't worded as prompts/stems.toml words its facts",
    "contradiction": "its answer isn't what happens in the span",
    "tags": "a name or an answer contains a tag that completions are made of",
}
"""Why a row gets no think text."""

_TAGS = ("<think", "</think", "<answer", "</answer")
_OPPOSITE = {"left": "right", "right": "left"}
_ENDS = {"nth": "last", "last": "nth"}


def template_text(row: TrainingRow, seed: str) -> str | None:
    """Return the think text of a row; None if there is none, for the reason that `lack` gives."""
    try:
        return _text(row, seed)
    except _LackError:
        return None


def lack(row: TrainingRow) -> Lack | None:
    """Return why a row gets no think text; None if it gets one."""
    try:
        _text(row, "")
    except _LackError as found:
        return found.lack
    return None


def completion(row: TrainingRow) -> str:
    """Return what a model is trained to reply to a row; raise ValueError for a text with tags in it."""
    answer = row.answer_text if row.answer is None else row.answer
    if _tagged(answer) or _tagged(row.think or ""):
        raise ValueError(f"{row.id}: its text contains a tag that completions are made of")
    tagged = f"<answer>{answer}</answer>"
    return tagged if row.think is None else f"<think>\n{row.think}\n</think>\n{tagged}"


def both_lists(row: TrainingRow) -> list[str]:
    """Return the forward and the backward list of a row, each with its heading."""
    ahead = forward(row)
    both = (ahead, lists.inverted(ahead, undone(row)))
    return [
        "\n".join((heading, *filter(None, [lists.write(some, row.language)])))
        for heading, some in zip(lists.HEADINGS[row.language], both, strict=True)
    ]


def statements(row: TrainingRow) -> tuple[str, str]:
    """Return the two statements of the right option; raise ValueError if the row gets no think text."""
    one, other = _checks(row)
    return one.stated.text, other.stated.text


def prompts() -> dict[str, str]:
    """Return the digests of the templates of think texts, by language."""
    return {language: _template(language).sha256 for language in LANGUAGES}


class _LackError(ValueError):
    """A row gets no think text."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(LACKS[lack])
        self.lack = lack


def _tagged(text: str) -> bool:
    return any(tag in text.lower() for tag in _TAGS)


# ---- the text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Words:
    """The wordings of a language, of which a row and a seed choose one in each block."""

    template: templates.Prompt
    seed: str
    row: str

    def __call__(self, block: str, salt: int = 0, **variables: object) -> str:
        # Lines are chosen by their number, so nothing of what they say can matter.
        lines = self.template.render(block, **variables).split("\n")
        wordings = [line.strip() for line in lines if line.strip()]
        return wordings[int(digest(self.seed, self.row, block, salt)[:12], 16) % len(wordings)]


@lru_cache
def _template(language: str) -> templates.Prompt:
    return templates.load(f"training/think.{language}.j2")


def _text(row: TrainingRow, seed: str) -> str:
    if row.language not in LANGUAGES:
        raise _LackError("language")
    if _tagged(row.answer_text) or any(map(_tagged, both_lists(row))):
        raise _LackError("tags")
    say = _Words(_template(row.language), seed, row.id)
    ahead, back = both_lists(row)
    acts = any(one.kind == "action" for one in row.happenings)
    deeds = say("undone" if undone(row) else "kept") if acts else ""
    if row.format == "open":
        rest = [say("left_out")] if row.orientation == "reverse" and _lasting(row) else []
        lead, conclude = say("lead_route", deeds=deeds), say(f"conclude_{row.orientation}")
        return "\n".join((say("open_route"), ahead, lead, back, *rest, conclude))
    checks = _checks(row)
    said, conclude = _said(row, checks, say), say("conclude", answer=row.answer)
    if row.orientation == "reverse":
        lead = say("lead_reverse", deeds=deeds)
        return "\n".join((say("open_reverse"), ahead, lead, back, *said, conclude))
    lead = say("lead_check", deeds=deeds)
    confirm = say("confirm", others=[one.stated.other for one in checks])
    return "\n".join((say("open_forward"), ahead, *said, lead, back, confirm, conclude))


def _lasting(row: TrainingRow) -> bool:
    """Return whether something is done that nothing undoes."""
    return not undone(row).keys() >= {one.what for one in forward(row) if one.kind == "action"}


def _said(row: TrainingRow, checks: Sequence["_Check"], say: _Words) -> Iterator[str]:
    """Yield what is said on each asked fact."""
    turns = any(one.stated.kind == "turn" for one in checks)
    walked = turns or row.category != "action" or undone(row)
    numbers = say("numbers").split("|")
    for at, (number, one) in enumerate(zip(numbers, checks, strict=True)):
        text = say(
            f"{one.stated.kind}_{row.orientation}",
            at,
            statement=one.stated.text,
            other=one.stated.other,
            things=one.stated.names,
            times=[f"{seconds:z.1f} s" for seconds in one.stated.times],
            letters=_listed(one.letters, row.language),
            back=say("walk" if walked else "time", at),
        )
        yield f"{number.strip()} {text}".strip()


def _listed(letters: Sequence[str], language: str) -> str:
    joint = {"en": " and ", "de": " und "}[language]
    return joint.join(filter(None, (", ".join(letters[:-1]), letters[-1])))


# ---- the asked facts ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stated:
    """How a fact is worded on the way that is asked about, and on the `other` one.

    `names` and `times` (seconds) are those of the lines that decide it, in the order of the clip.
    """

    kind: Literal["turn", "order"]
    text: str
    other: str
    names: tuple[str, ...] = ()
    times: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Check:
    """One asked fact, and the letters of the options that have it right."""

    stated: _Stated
    letters: tuple[str, ...]


def _checks(row: TrainingRow) -> list[_Check]:
    """Return the checks of both facts; raise _LackError if what happens and the options don't fit together."""
    known = ascii_uppercase[: len(row.options)]
    if len(row.facts) != 2 or row.answer is None or row.answer not in known:
        raise _LackError("facts")
    right = known.index(row.answer)
    said, walk = wording.load(row.language).facts, _Walk.of(row)
    possible = [list(walk.stated(fact.name, fact.values[right], said)) for fact in row.facts]
    if not all(possible):
        raise _LackError("contradiction")
    for both in product(*possible):
        if said["and"].join(one.text for one in both) == row.options[right]:
            values = [[value == one.values[right] for value in one.values] for one in row.facts]
            return [
                _Check(one, tuple(compress(known, true)))
                for one, true in zip(both, values, strict=True)
            ]
    raise _LackError("words")


@dataclass(frozen=True)
class _Walk:
    """What happens on the way that is asked about, and on the other: what is last here is first there."""

    asked: tuple[Event, ...]
    other: tuple[Event, ...]
    reverse: bool

    @classmethod
    def of(cls, row: TrainingRow) -> "_Walk":
        ahead = forward(row)
        back = lists.inverted(ahead, undone(row))
        if row.orientation == "reverse":
            return cls(back, ahead, True)
        return cls(ahead, back, False)

    def stated(self, name: str, value: str, said: Mapping[str, str]) -> Iterator[_Stated]:
        """Yield the ways in which a fact may be worded; none if it doesn't have this value."""
        kind, _, subject = name.partition(":")
        if kind == "turn":
            yield from self._turn(int(subject) - 1, value, said)
        elif kind in ("landmark", "action"):
            yield from self._order(kind, subject, value, said[f"{kind}_order"])

    def _turn(self, index: int, value: str, said: Mapping[str, str]) -> Iterator[_Stated]:
        sided = self._places("turn", *_OPPOSITE)
        if not 0 <= index < len(sided) or self.asked[sided[index]].what != value:
            return
        for end, number in (("nth", index + 1), ("last", len(sided) - index)):
            if f"{end}_{number}" in said:  # only some turns are named from this end
                here, there = said[f"{end}_{number}"], said[f"{_ENDS[end]}_{number}"]
                yield _Stated(
                    "turn",
                    said["turn"].format(nth=here, side=said[value]),
                    said["turn"].format(nth=there, side=said[_OPPOSITE[value]]),
                    times=self._times(sided[index]),
                )

    def _order(self, kind: str, subject: str, value: str, said: str) -> Iterator[_Stated]:
        for names in split_names(subject):
            places = [self._places(kind, name) for name in names]
            if any(len(some) != 1 for some in places):
                continue
            (first,), (second,) = sorted(places)
            if ("first" if [first] == places[0] else "second") == value:
                here = [self.asked[at].what for at in (first, second)]
                there = [self.other[-1 - at].what for at in (second, first)]
                yield _Stated(
                    "order",
                    said.format(first=here[0], second=here[1]),
                    said.format(first=there[0], second=there[1]),
                    tuple(there if self.reverse else here),
                    self._times(first, second),
                )

    def _places(self, kind: str, *whats: str) -> list[int]:
        return [at for at, one in enumerate(self.asked) if one.kind == kind and one.what in whats]

    def _times(self, *places: int) -> tuple[float, ...]:
        """Return when what is at these places of the asked way begins in the clip."""
        clip = [self.other[-1 - at] if self.reverse else self.asked[at] for at in places]
        return tuple(sorted(one.start for one in clip if one.start is not None))
