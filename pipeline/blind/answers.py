"""What the answers in a file are: option texts, letters, or numbers of options from 0 or from 1. Pure.

A single row often fits several readings (is 2 the second or the third option?), so each column is read in
one way throughout: the only one that fits all rows, or else the file is refused.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Literal, get_args

from pipeline.blind.columns import INDEX, sequences
from pipeline.blind.said import bare_answer, folded, verdict
from pipeline.blind.sheet import ProbeItem

Reading = Literal["text", "letter", "0", "1"]
"""How an answer names its option: by text, by letter, or by number from 0 or from 1."""
READINGS: tuple[Reading, ...] = get_args(Reading)
_WORDS: tuple[Reading, ...] = ("text", "letter")

_CALLED: Mapping[Reading, str] = {
    "text": "option texts",
    "letter": "letters",
    "0": "numbers of options, from 0",
    "1": "numbers of options, from 1",
}
_UNPUBLISHED = {"-1", "?", "na", "n/a", "tbd", "hidden", "unknown", "withheld"}
_MARKS = "marks on options"
_SHOWN = 60  # characters of an answer
_OPTION = re.compile(
    r"(?:option|choice|answer|sentence|caption|description|statement|candidate)[\s_]*",
    re.IGNORECASE,
)
_MARKUP = "*[]{}'\"` "  # around a letter or number
_LETTER = re.compile(r"\(?([A-Za-z])\)?(?:(?:[.:)]\s*|\s+[-\u2013\u2014]\s+)(.*))?", re.DOTALL)
_NUMBER = re.compile(
    r"\(?(\d{1,9})(?:\.0)?\)?(?:(?:[.:)]|\s+[-\u2013\u2014](?=\s))(?:\s+(.*))?)?", re.DOTALL
)


# A reading that this share of the values doesn't fit is still right, if this many times as many exclude the others.
_BROKEN, _CLEARLY = 0.05, 5
_MINOR = 0.5  # of the letters and texts: so many numbers are broken rows where the user says that they are
_AGREES = 0.9  # of a column's numbers: one that agrees less with texts or letters is no answer


class RowFaultError(ValueError):
    """A row that can't be parsed; the message is what is wrong with it."""


class UndecidedError(ValueError):
    """Answers that fit more than one reading, or none; the message names the column and the rows.

    `readings` are those that would decide.
    """

    def __init__(self, what: str, readings: Sequence[Reading] = READINGS) -> None:
        super().__init__(what)
        self.readings = readings


@dataclass(frozen=True)
class Unanswered:
    """A row's item before it is known which option its answer names.

    `given` holds the values of the columns that may contain the answer, by name, in order of preference;
    `numeric` says that the options were numbers, not texts, and `labels` are those that the options have
    in the file, in any order. `make` takes the position of the answer. `unused` says why a column is none of
    the item's `columns`. `marked` is the place of the only option that is marked as the answer, by the name
    of the mark; `lists` are columns that may hold the options of a row without any.
    """

    where: str
    options: tuple[str, ...]
    numeric: bool
    labels: tuple[str, ...]
    given: Mapping[str, Any]
    make: Callable[[int], ProbeItem]
    unused: Mapping[str, str] = field(default_factory=dict)
    marked: Mapping[str, int] = field(default_factory=dict)
    lists: tuple[str, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether there is anything that may be the answer."""
        return bool(self.given or self.marked)

    @property
    def published(self) -> bool:
        """Whether there is more than what test sets put in the place of an answer, such as -1 or `NA`."""
        given = {str(value).strip().casefold() for value in self.given.values()}
        return bool(self.marked or given - _UNPUBLISHED or given & {*map(folded, self.options)})

    def choosing(self, options: tuple[str, ...]) -> "Unanswered":
        """Return the item with these options."""
        return replace(
            self,
            options=options,
            labels=self.labels[: len(options)],
            make=lambda position: replace(self.make(position), options=options),
        )


@dataclass(frozen=True)
class _Value:
    """One value of an answer column: the kind of value, and the option that each reading gives."""

    row: Unanswered
    column: str
    kind: Literal["text", "letter", "number", "mark"]
    typed: bool  # a number where the options are texts
    found: Mapping[Reading, int]


@dataclass(frozen=True)
class Answers:
    """How a file's answers are read, by column and kind of value."""

    readings: Mapping[tuple[str, str], Reading]

    def position(self, row: Unanswered) -> int:
        """Return the position of the answer; texts and letters come before numbers.

        Raises RowFaultError if no column gives an option, or if two columns give different ones.
        """
        values = _values(row)
        read = [
            (value.kind == "number", value.column, value.found[reading])
            for value in values
            if (reading := self.readings.get((value.column, value.kind))) and reading in value.found
        ]
        if places := {column: place for _, column, place in sorted(read, key=itemgetter(0))}:
            if len({folded(row.options[place]) for place in places.values()}) > 1:
                raise RowFaultError(f"the columns {' and '.join(places)} give different options")
            return next(iter(places.values()))
        if not row.given:
            raise RowFaultError("no answer")
        for value in values:
            kinds = [kind for column, kind in self.readings if column == value.column]
            if value.found and kinds and value.kind not in kinds:
                shown = f"the answer {row.given[value.column]!r} is a {value.kind}"
                raise RowFaultError(f"{shown}, those of other rows are not")
        said = dict.fromkeys(bare_answer(value)[:_SHOWN] for value in row.given.values())
        tried = ", ".join(map(repr, said))
        raise RowFaultError(f"no option is the answer {tried} ({len(row.options)} options)")

    def __str__(self) -> str:
        columns: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for (column, kind), reading in self.readings.items():
            columns[_MARKS if kind == "mark" else _CALLED[reading]][column] = None
        called = (*_CALLED.values(), _MARKS)
        named = (f"{one} ({', '.join(columns[one])})" for one in called if one in columns)
        return "; ".join(named) or "none"


def decide(rows: Sequence[Unanswered], told: Reading | None = None) -> Answers:
    """Return how the answers of one file are read; `told` is used wherever no other reading fits better.

    Raises UndecidedError if that can't be determined.
    """
    groups: defaultdict[tuple[str, str], list[_Value]] = defaultdict(list)
    for row in rows:
        for value in _values(row):
            if value.found:
                groups[value.column, value.kind].append(value)
    readings: dict[tuple[str, str], Reading] = {}
    answered: set[int] = set()
    for group, values in groups.items():
        if group[1] != "number":
            readings[group] = _chosen(values, told, {})
            answered |= {id(one.row) for one in values}
    named = Answers(dict(readings))
    named_rows = frozenset(answered)
    known = _known(named, rows)
    unclear: list[tuple[tuple[str, str], set[int], UndecidedError]] = []
    for group, values in groups.items():
        own = {id(one.row) for one in values}
        if group[1] != "number":
            continue
        if own <= named_rows:
            if told not in _WORDS and (reading := _beside(values, known)):
                readings[group] = reading
            continue
        worded = sum(len(groups[one]) for one in named.readings if one[0] == group[0])
        texts = all("text" in one.found for one in values)
        few = _MINOR if told in _WORDS else _BROKEN
        if not texts and len(values) <= few * worded:
            continue  # a stray number among letters is a broken row
        try:
            readings[group] = _chosen(values, told, known, worded > 0)
            answered |= own
        except UndecidedError as error:
            unclear.append((group, own, error))
    for group, own, fault in unclear:  # it doesn't matter where another column gives the option
        if not own <= answered:
            raise fault
        if group[0] in INDEX and told not in _WORDS:
            beside = _beside(groups[group], _known(Answers(readings), rows))
            readings |= {group: beside} if beside else {}
    return Answers(readings)


def _known(answers: Answers, rows: Iterable[Unanswered]) -> dict[int, int]:
    """Return the answers that are certain, by the identity of the row."""
    return {id(row): place for row in rows if (place := _named(answers, row)) is not None}


def _named(answers: Answers, row: Unanswered) -> int | None:
    try:
        return answers.position(row)
    except RowFaultError:
        return None


def _chosen(
    values: Sequence[_Value], told: Reading | None, known: Mapping[int, int], worded: bool = False
) -> Reading:
    """Return the one reading that fits all values of a column and agrees with the `known` answers.

    `worded` says that other values of the column are option texts or letters; numbers are then texts, too.
    """
    possible = dict.fromkeys(
        reading for reading in READINGS for one in values if reading in one.found
    )
    misfit: dict[Reading, _Value] = {}
    for one in values:
        for reading in possible:
            if not _fits(one, reading, known):
                misfit.setdefault(reading, one)
    fitting = [reading for reading in possible if reading not in misfit]
    if told in possible and (told in fitting or not fitting):
        return told
    if told in possible:
        raise UndecidedError(
            f"the answers in the column {values[0].column} can't be {_CALLED[told]} "
            f"({_shown(misfit[told])}); {_CALLED[fitting[0]]} would fit all"
        )
    if not fitting and (nearly := _nearly(values, possible, known)):
        return nearly
    if not fitting:
        rows = "; ".join(f"{_CALLED[name]}: not {_shown(one)}" for name, one in misfit.items())
        raise UndecidedError(
            f"no reading fits all answers in the column {values[0].column} ({rows})"
        )
    differ = [one for one in values if len({one.found[reading] for reading in fitting}) > 1]
    # Answers that always repeat an option are texts, unless numbers of options always would as well.
    repeat = sum(one.typed or _counted(one.row.options) for one in differ)
    texts = "letter" not in fitting and (worded or 2 * repeat < len(differ))
    if not differ or (fitting[0] == "text" and texts):
        return fitting[0]
    bases = {_base(one.row.labels) for one in differ}
    if "text" not in fitting and len(bases) == 1 and (base := bases.pop()) in fitting:
        return base
    either = " or ".join(_CALLED[reading] for reading in fitting)
    raise UndecidedError(
        f"the answers in the column {values[0].column} may be {either}: every one fits either, "
        f"such as {_shown(differ[0])}"
    )


def _beside(values: Sequence[_Value], known: Mapping[int, int]) -> Reading | None:
    """Return how numbers beside `known` answers agree with most of them; None if the column is no answer.

    Raises UndecidedError for a column of positions that agrees with half of them at most.
    """
    agreeing, reading = max(
        (sum(_fits(one, reading, known) for one in values), reading) for reading in READINGS
    )
    positions = values[0].column in INDEX
    if agreeing > (0.5 if positions else _AGREES) * len(values):
        return reading
    if not positions:
        return None
    wrong = next(one for one in values if not _fits(one, reading, known))
    raise UndecidedError(
        f"the column {wrong.column} gives other options than the texts or letters beside it in "
        f"{len(values) - agreeing:,} of {len(values):,} rows, such as {_shown(wrong)}",
        _WORDS,
    )


def _counted(options: Sequence[str]) -> bool:
    """Return whether options are the numbers of options, in any order."""
    return sorted(map(folded, options)) in map(sorted, sequences(len(options)))


def _base(labels: Sequence[str]) -> Reading | None:
    """Return the reading of numbers that are labels, if these count from 0 or from 1 in any order."""
    if not labels:
        return None
    _, zero, one = map(sorted, sequences(len(labels)))
    if sorted(labels) == zero:
        return "0"
    return "1" if sorted(labels) == one else None


def _nearly(
    values: Sequence[_Value], possible: Iterable[Reading], known: Mapping[int, int]
) -> Reading | None:
    """Return the reading that all but a few broken rows fit, if many more rows exclude every other."""
    misfits = sorted(
        (sum(not _fits(one, reading, known) for one in values), reading) for reading in possible
    )
    (few, best), *others = misfits
    rare = few <= _BROKEN * len(values)
    return best if rare and others and others[0][0] >= _CLEARLY * few else None


def _fits(one: _Value, reading: Reading, known: Mapping[int, int]) -> bool:
    return reading in one.found and known.get(id(one.row)) in (None, one.found[reading])


def _shown(one: _Value) -> str:
    return f"{one.row.given[one.column]!r} of {len(one.row.options)} options in {one.row.where}"


def _values(row: Unanswered) -> list[_Value]:
    plain = [folded(option) for option in row.options]
    marks = [
        _Value(row, name, "mark", False, {"text": place})
        for name, place in row.marked.items()
        if place < len(plain)
    ]
    return marks + [_read(row, column, value, plain) for column, value in row.given.items()]


def _read(row: Unanswered, column: str, value: Any, plain: Sequence[str]) -> _Value:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    typed = not isinstance(value, str) and not row.numeric
    # Beside an answer, `correct: true` says that somebody was right.
    if not isinstance(value, int | float | str) or (isinstance(value, bool) and len(row.given) > 1):
        return _Value(row, column, "text", typed, {})
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = bare_answer(value)
    found: dict[Reading, int] = {}
    if (place := _repeated(text, row.options, plain)) is not None:
        found["text"] = place
    bare = text if found else _OPTION.sub("", text.strip(_MARKUP), count=1)
    letter, number = _LETTER.fullmatch(bare), _NUMBER.fullmatch(bare)
    places: dict[Reading, int] = {}
    if letter:
        places = {"letter": ord(letter.group(1).upper()) - ord("A")}
    elif number:
        places = {"0": int(number.group(1)), "1": int(number.group(1)) - 1}
    places = _labelled(row.labels, bare, letter or number) or places
    mark = letter or number
    rest = folded(mark.group(2) or "") if mark else ""
    found |= {
        reading: place
        for reading, place in places.items()
        if 0 <= place < len(plain)
        and (rest in ("", plain[place]) or (letter and _only_in(rest, plain) == place))
    }
    return _Value(row, column, "letter" if letter else "number" if number else "text", typed, found)


def _repeated(text: str, options: Sequence[str], plain: Sequence[str]) -> int | None:
    """Return the option that a text repeats; none if several that differ only in case or a stop are meant."""
    if text in options:
        return options.index(text)
    said = folded(text) if folded(text) in plain else verdict(text)
    places = [at for at, one in enumerate(plain) if one == said]
    return places[0] if len({options[at] for at in places}) == 1 else None


def _labelled(labels: Sequence[str], bare: str, mark: re.Match[str] | None) -> dict[Reading, int]:
    """Return the option whose own label is the answer, where the labels don't follow one another."""
    if not labels or list(labels) in sequences(len(labels)):
        return {}
    plain = [label.upper() for label in labels]
    name = mark.group(1).upper() if mark else bare.upper()
    if name not in plain:
        return {}
    lettered, *_ = map(sorted, sequences(len(labels)))
    reading = "letter" if sorted(plain) == lettered else _base(labels) or "text"
    return {reading: plain.index(name)}


def _only_in(part: str, plain: Sequence[str]) -> int | None:
    """Return the position of the only option that contains this text, if there is one."""
    holding = [at for at, option in enumerate(plain) if part in option]
    return holding[0] if len(holding) == 1 else None
