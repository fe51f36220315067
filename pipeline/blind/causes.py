"""What a test leaks through: words, length, letters, names, structure, scenes or sense, and what shows it. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from pipeline.blind.cells import SIGMAS_OF_MANY, Cell, sigmas
from pipeline.blind.glyphs import most_frequent, unusual
from pipeline.blind.learners import CUES, boosting, logistic
from pipeline.blind.picks import MODEL
from pipeline.blind.probe import LEARNED, Probed
from pipeline.blind.sheet import MOST_STRATA, Bools, Figure, Floats, OptionTable, ProbeItem
from pipeline.blind.tried import Tried, called, cross_chosen, pooled, single
from pipeline.blind.versions import VERSIONS, traits

Kind = Literal[
    "length", "letters", "order", "words", "structure", "names", "scenes", "sense", "versions"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The simplest first: of two that explain a leak equally well, the first is named first."""

_READERS: Mapping[str, Kind] = {
    "always A": "letters",
    "longest": "length",
    "shortest": "length",
    "fewest rare words": "words",
    **dict.fromkeys(
        ("scene", "name order", "majority", "transitivity", "direction", "combined", "context"),
        "scenes",
    ),
    "common sense": "sense",
    MODEL: "sense",
    VERSIONS: "versions",
}
_LENGTHS = frozenset({"most characters", "least characters", "most words", "least words"})
_SAME, _LEAST_SAME = (
    0.05,
    20,
)  # the share and the number of items that make their options usual ones
_LENGTH_CUES = slice(CUES.index("its length in characters"), CUES.index("punctuation"))
_FORM_CUES = slice(CUES.index("punctuation"), CUES.index("how like the others it is"))
_SCENES = ((1, "1 item"), (4, "2 to 4 items"), (19, "5 to 19 items"), (10**12, "20 or more items"))
_FORMS = {
    "a full stop at the end": "whether it ends with a full stop",
    "a capital at the start": "whether it starts with a capital",
    "digits": "digits",
    "a space at the end": "a space at the end",
    "odd spaces or invisible characters": "odd spaces",
    "curly quotes, long dashes or the like": "typographic marks",
}
_TRAITS = {
    "an option of the earlier version": "option kept",
    "a letter kept since the earlier version": "letter kept",
    "the answer of the earlier version": "answer of the earlier version",
    "the letter of the earlier version's answer": "letter of the earlier version's answer",
}
_TELLS = 12
_EXAMPLES = 3
_LEAST_SIGMAS = 4.0  # of thousands of words, none is this far from chance on fair items
_LEAST_OPTIONS = 5


@dataclass(frozen=True)
class Tell:
    """A property that only some of an item's options have, and how often an option with it is the answer."""

    what: str
    right: int
    expected: float  # if options were answers at random
    items: int
    sigmas: float

    def __str__(self) -> str:
        return (
            f"{self.what}: has the answer in {self.right} of {self.items} items where only some options "
            f"have it, {self.expected:.0f} by chance"
        )


@dataclass(frozen=True)
class Cause:
    """One way in which answers show, what the best reader that uses it gets, and what shows it."""

    kind: Kind
    cell: Cell
    tells: tuple[Tell, ...]
    examples: tuple[ProbeItem, ...]
    hits: Mapping[int, float]  # what the reader gets, by the identity of the item

    def chose(self, item: ProbeItem) -> bool:
        """Return whether this leaks, and the reader chose the answer to an item."""
        return self.cell.leaks and self.hits.get(id(item), 0) > 0.99

    def to_json(self) -> dict[str, object]:
        """Return the fields as plain values."""
        return {
            **self.cell.to_json(),
            "advice": ADVICE[self.kind],
            "tells": [
                {"what": one.what, "right": one.right, "expected": round(one.expected, 1)}
                | {"items": one.items}
                for one in self.tells
            ],
            "examples": [item.id for item in self.examples],
        }


ADVICE: Mapping[Kind, str] = {
    "words": "Rewrite the wrong options with the vocabulary, punctuation and style of the answers, or take "
    "them from the answers to other items. Removing items helps only if a few are affected.",
    "length": "Rebalance: make wrong options as long as the answers, so that the longest and the shortest "
    "option are the answer as often as any other.",
    "letters": "Rebalance: draw the letter of each answer anew, evenly, and from a seed that is not published.",
    "order": "Reshuffle: draw the order of each item's options anew, the answer with the others, from a seed that is "
    "not published; don't sort the wrong options.",
    "names": "Publish opaque names: ids, file names, titles and other columns that say nothing about what an item "
    "shows.",
    "structure": "Regroup: choose the options so that each differs from the others in the same way, ask about "
    "each fact of a clip once, and publish no column that depends on the answer.",
    "scenes": "Regroup: ask about each fact in one scene only and in both directions equally often, and "
    "remove facts that are nearly always true.",
    "sense": "Remove or replace: ask about what could as well be otherwise, so that general knowledge tells nothing.",
    "versions": "Draw anew: give a corrected item new wrong options, a new order and a new letter, independent of the "
    "earlier ones, or withdraw the earlier version before you publish this one.",
}


def causes_of(probed: Probed, limit: float) -> list[Cause]:
    """Return what each kind of reader gets, the strongest leaks first; none leaks if the report found no leak."""
    failed = probed.report.state() == "failed"
    found = [
        _cause(probed, kind, readers, limit, failed) for kind, readers in _by_kind(probed).items()
    ]
    return sorted(
        found,
        key=lambda one: (
            not one.cell.leaks,
            -round(abs(one.cell.figure.excess), 2),
            KINDS.index(one.kind),
        ),
    )


def _by_kind(probed: Probed) -> dict[Kind, list[Tried]]:
    found: dict[Kind, list[Tried]] = {kind: [] for kind in KINDS}
    fixed = _fixed(probed.sheet)
    for reader in probed.readers:
        chosen: defaultdict[Kind, list[int]] = defaultdict(list)
        for at, name in enumerate(reader.names if reader.name != LEARNED else ()):
            kind = _kind(reader.name, name)
            chosen["words" if fixed and kind == "length" else kind].append(at)
        for kind, places in chosen.items():
            names, name = tuple(reader.names[at] for at in places), reader.name
            if len(names) == 1 < len(reader.names):
                name = f"{name}: {names[0]}"
            hits, own = reader.hits[places], reader.own[places]
            found[kind].append(replace(reader, name=name, names=names, hits=hits, own=own))
    for kind, reader in _parts_of_the_learned(probed):
        if not (fixed and kind == "length"):
            found[kind].append(reader)
    return {kind: readers for kind, readers in found.items() if readers}


def _fixed(sheet: OptionTable) -> bool:
    """Return whether most items have the same options, such as yes and no: the longest is always the same word."""
    often = Counter(frozenset(item.options) for item in sheet.items)
    least = max(_LEAST_SAME, _SAME * len(sheet.items))
    return sum(count for count in often.values() if count >= least) > len(sheet.items) / 2


def _kind(reader: str, strategy: str) -> Kind:
    if reader == "file names":
        return "words" if strategy.endswith(" of question") else "names"
    if strategy in _LENGTHS or strategy.startswith("length given"):
        return "length"
    if strategy.startswith("letter given"):
        return "order" if strategy.endswith("order of the options") else "letters"
    return _READERS.get(reader, "structure")


def _parts_of_the_learned(probed: Probed) -> Iterator[tuple[Kind, Tried]]:
    """Yield readers that learn from the words alone, from the form alone and from the length alone."""
    sheet, features = probed.sheet, probed.features
    fold = sheet.fold[sheet.item_of]
    text, form, length = (np.zeros(len(fold)) for _ in range(3))
    for one in sorted(set(fold.tolist())):
        tested, kept = fold == one, fold != one
        text[tested] = logistic(features.text, sheet.truth, kept, sheet.seed)[0][tested]
        for cues, scores in ((_FORM_CUES, form), (_LENGTH_CUES, length)):
            table = features.cues[:, cues]
            scores[tested] = boosting(table, sheet.truth, kept, tested, sheet.seed)
    yield "words", single(sheet, "learned from the words alone", "", text)
    yield (
        "words",
        single(sheet, "learned from punctuation, capitals, digits and spaces alone", "", form),
    )
    yield "length", single(sheet, "learned from the length alone", "", length)


def _cause(
    probed: Probed, kind: Kind, readers: Sequence[Tried], limit: float, failed: bool
) -> Cause:
    """Return the strongest leak of any one reader, by the report's own measure; if none leaks, the best of all."""
    found = [_answered(pooled([one])) for one in readers]
    # A reader fixed in advance, such as always A, needn't be as far off as the best of hundreds of strategies.
    strict = kind in ("order", "structure", "names")
    few = SIGMAS_OF_MANY if strict else min(SIGMAS_OF_MANY, sigmas(len(readers)))
    leaking = [
        told
        for reader, told in zip(readers, found, strict=True)
        if failed and told[0].leaks(limit, few if len(reader.names) == 1 else SIGMAS_OF_MANY)
    ]
    if not leaking:
        by_sheet: defaultdict[int, list[Tried]] = defaultdict(list)
        for one in readers:
            by_sheet[id(one.sheet)].append(one)
        found = [_answered(pooled(several)) for several in by_sheet.values()]
    # What is below chance leaks, too, but shows less clearly why.
    above = [one for one in leaking if one[0].excess > 0]
    figure, reader, hits, sheet = max(above or leaking or found, key=lambda one: abs(one[0].excess))
    if figure.excess < 0 and leaking:
        reader, hits = f"{reader} (whoever knows that this is wrong gains)", 1 - hits
    cell = Cell(kind, figure, reader, bool(leaking))
    right = [item for item, hit in zip(sheet.items, hits.tolist(), strict=True) if hit > 0.99]
    return Cause(
        kind,
        cell,
        tuple(_tells(probed, kind)),
        tuple(right[:_EXAMPLES]) if cell.leaks else (),
        {id(item): hit for item, hit in zip(sheet.items, hits.tolist(), strict=True)},
    )


def _answered(reader: Tried) -> tuple[Figure, str, Floats, OptionTable]:
    hits, chosen = cross_chosen(reader, np.ones(len(reader.sheet.items), bool))
    return reader.sheet.figure(hits), called(reader, chosen), hits, reader.sheet


def _tells(probed: Probed, kind: Kind) -> list[Tell]:
    sheet, cues = probed.sheet, probed.features.cues
    if kind == "words":
        return _telling_words(probed)
    if kind == "length":
        length = cues[:, CUES.index("its length in characters")]
        longest = np.maximum.reduceat(length, sheet.first)[sheet.item_of]
        shortest = np.minimum.reduceat(length, sheet.first)[sheet.item_of]
        flags = {"the longest option": length == longest, "the shortest option": length == shortest}
    elif kind == "letters":
        most = min(26, int(sheet.size.max()))
        flags = {f"option {chr(65 + at)}": sheet.position == at for at in range(most)}
    elif kind == "versions":
        sheet = next(one.sheet for one in probed.readers if one.name == VERSIONS)
        found = traits(sheet, probed.earlier)
        flags = {what: found[name] > 0 for what, name in _TRAITS.items()}
    else:
        return []
    return [_tell(sheet, what, flag) for what, flag in flags.items()]


def _tell(sheet: OptionTable, what: str, flag: Bools) -> Tell:
    from scipy import sparse

    (found,) = _told(sheet, [what], sparse.csr_matrix(flag.astype(float)[:, None]))
    return found


def _told(sheet: OptionTable, names: Sequence[str], flags: Any) -> Iterator[Tell]:
    """Yield how often the options with each flag, (rows, flags), are answers, in items that have others."""
    from scipy import sparse

    gather = sparse.csr_matrix(
        (np.ones(len(sheet.item_of)), (sheet.item_of, np.arange(len(sheet.item_of))))
    )
    having = (gather @ flags).tocoo()
    answers = sparse.diags(sheet.truth.astype(float))
    share = having.data / sheet.size[having.row]
    right = np.asarray((gather @ answers @ flags).tocsr()[having.row, having.col]).ravel()
    kept = share < 1

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(having.col[kept], values[kept], len(names)), float)

    seen, expected, count = total(right), total(share), total(np.ones(len(share)))
    spread = np.sqrt(total(share * (1 - share)))
    for at, name in enumerate(names):
        off = (seen[at] - expected[at]) / spread[at] if spread[at] else 0.0
        yield Tell(name, round(seen[at]), float(expected[at]), round(count[at]), float(off))


def _telling_words(probed: Probed) -> list[Tell]:
    sheet, features = probed.sheet, probed.features
    found = list(_told(sheet, [f'"{word}"' for word in features.vocabulary], features.bags))
    forms = dict(_FORMS)
    if any(strange := [unusual(text) for text in sheet.texts]):
        forms[f"unusual characters, such as {most_frequent(strange)}"] = "unusual characters"
    found += [
        _tell(sheet, name, features.cues[:, CUES.index(cue)] > 0) for name, cue in forms.items()
    ]
    found = [
        one for one in found if abs(one.sigmas) >= _LEAST_SIGMAS and one.items >= _LEAST_OPTIONS
    ]
    return sorted(found, key=lambda one: -abs(one.sigmas))[:_TELLS]


# ---- where it leaks -------------------------------------------------------------------------------------


def cells_of(probed: Probed, reader: str, limit: float) -> list[Cell]:
    """Return what one reader gets in each category and kinds of facts; nothing if it wasn't run."""
    found, failed = [], probed.report.state() == "failed"
    for one in probed.readers:
        for name, mask in one.sheet.cells.items() if one.name == reader else ():
            hits, _ = cross_chosen(one, mask)
            figure = one.sheet.figure(hits, mask)
            found.append(Cell(name, figure, reader, failed and figure.leaks(limit, SIGMAS_OF_MANY)))
    return found


def tables_of(probed: Probed, limit: float) -> dict[str, list[Cell]]:
    """Return verdicts per task, per kinds of facts and per scene size, where items differ in them."""
    found = {
        title: _table(probed, values, limit)
        for title, values in (("task", _tasks), ("kinds of facts", _facts), ("scene size", _sizes))
    }
    return {title: cells for title, cells in found.items() if len(cells) > 1}


def _tasks(table: OptionTable) -> list[str]:
    return [item.task or "none" for item in table.items]


def _facts(table: OptionTable) -> list[str]:
    return [item.contrast or "none" for item in table.items]


def _sizes(table: OptionTable) -> list[str]:
    count = Counter(item.group for item in table.items)
    return [
        next(name for most, name in _SCENES if count[item.group] <= most) for item in table.items
    ]


def _table(probed: Probed, values: Callable[[OptionTable], list[str]], limit: float) -> list[Cell]:
    found: dict[str, Cell] = {}
    failed = probed.report.state() == "failed"
    for reader in (probed.pool, probed.readers[0]):
        names = values(reader.sheet)
        for name, _ in Counter(names).most_common(MOST_STRATA):
            mask = np.array([one == name for one in names])
            hits, chosen = cross_chosen(reader, mask)
            figure = reader.sheet.figure(hits, mask)
            leaks = failed and figure.leaks(limit, SIGMAS_OF_MANY)
            cell, known = Cell(name, figure, called(reader, chosen), leaks), found.get(name)
            if known is None or _worse(cell, known):
                found[name] = cell
    order = [name for _, name in _SCENES]
    return sorted(
        found.values(),
        key=lambda one: (
            order.index(one.name) if one.name in order else 0,
            not one.leaks,
            -abs(one.figure.excess),
        ),
    )


def _worse(cell: Cell, known: Cell) -> bool:
    return cell.leaks and (not known.leaks or abs(cell.figure.excess) > abs(known.figure.excess))
