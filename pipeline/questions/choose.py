"""Choose the pairs of facts to ask about, so that no reader without frames can tell which combination is true. Pure.

A pair is admissible if the strongest reader (`blind/prior.py`) is uncertain about it. Pairs are matched so
that each name and each turn is used once in a clip; then each is kept with a probability that makes all
combinations equally likely for that reader. Cells in which few pairs are admissible are closed, and so are
cells that readers of the kept pairs still answer (`blind/recheck.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pipeline.blind import prior, recheck
from pipeline.blind.sheet import FOLDS, Bools, Floats, Ints
from pipeline.questions.candidates import Beliefs, Candidate, ClipSpan, candidates, disjoint
from pipeline.questions.draw import Draw
from pipeline.questions.evening import balanced, evened
from pipeline.questions.facts import KINDS, Fact
from pipeline.questions.names import of_one_thing
from pipeline.questions.spantext import context, near
from pipeline.routes.rows import Category
from pipeline.routes.tasks import plain

LARGEST, SMALLEST = 0.40, 0.12
LEAST_OPEN = 1 / 3
_LEAST_APART = 1 / 2
_TOGETHER = 25_000  # spans that are judged together
_MOST_LEARNED = 6_000  # spans: more make the reader no sharper
LEAST_FITTED = 600  # candidates of a category: with fewer (about 50 clips), nothing is proven
LEAST_CELL = 200  # candidates: with fewer, the shipped readers judge, too
_LEAST_COMPARED, _MOST_AGREEING = 80, 0.6  # comparisons of two clips' orders; how many agree
_LEAST_SCENES = FOLDS  # with fewer, clips stand for scenes: there are too few others to learn from
_LIMIT, _SIGMAS = 0.28, 2.5
_MATCHINGS = 6
_LEAST_STRATUM = 100  # candidates: a smaller stratum is judged with its cell


@dataclass
class Count:
    """How many pairs a cell had, about how many of them readers are uncertain, and how many were kept."""

    offered: int = 0
    admissible: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Chosen:
    """The pairs to ask about, and why others aren't asked.

    `closed` holds the closed cells with the reason; `guessable`, the span and the cell of each other pair that a
    reader without frames would answer too often. `small` are the categories with too few pairs to fit a reader:
    nothing is proven.
    """

    pairs: Sequence[Candidate]
    counts: Mapping[str, Count]
    closed: Mapping[str, str]
    guessable: Sequence[tuple[int, str]]
    small: frozenset[Category]


def choose(
    spans: Sequence[ClipSpan],
    draw: Draw,
    apart_us: int,
    believed: Beliefs | None = None,
) -> Chosen:
    """Return the pairs to ask about.

    `believed` holds what a model that saw no frames thinks of some candidates: the probabilities of the four
    combinations, by span_id and `Candidate.names`. Raise ValueError if they aren't four positive numbers.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    parts = _parts([span.scene for span in spans])
    # Its matrices are small: more threads only wait for one another (68 s of CPU instead of 8).
    with threadpool_limits(1):
        if len(parts) == 1:
            return _choose(spans, draw, apart_us, believed or {})
        found = [
            _placed(_choose([spans[at] for at in part], draw, apart_us, believed or {}), part)
            for part in parts
        ]
    return _merged(found)


def _parts(scenes: Sequence[str]) -> list[list[int]]:
    """Return the numbers of spans that are judged together, each scene in one part.

    More make the reader no sharper, and candidates of 100,000 clips would fill 5 GB.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for number, scene in enumerate(scenes):
        members[scene].append(number)
    count = max(1, round(len(scenes) / _TOGETHER))
    parts: list[list[int]] = [[] for _ in range(count)]
    for some in members.values():
        min(parts, key=len).extend(some)
    return parts


def _placed(chosen: Chosen, part: Sequence[int]) -> Chosen:
    """Return what was chosen from some spans with their numbers among all."""
    return replace(
        chosen,
        pairs=[replace(one, span=part[one.span]) for one in chosen.pairs],
        guessable=[(part[span], cell) for span, cell in chosen.guessable],
    )


def _merged(parts: Sequence[Chosen]) -> Chosen:
    """Return several parts as one; a cell is closed if it is everywhere."""
    counts: dict[str, Count] = defaultdict(Count)
    for part in parts:
        for cell, one in part.counts.items():
            counts[cell].offered += one.offered
            counts[cell].admissible += one.admissible
            counts[cell].kept += one.kept
    shut = {cell: reason for part in parts for cell, reason in part.closed.items()}
    return Chosen(
        [pair for part in parts for pair in part.pairs],
        counts,
        {cell: reason for cell, reason in shut.items() if not counts[cell].kept},
        [pair for part in parts for pair in part.guessable],
        frozenset.intersection(*(part.small for part in parts)),
    )


def _choose(spans: Sequence[ClipSpan], draw: Draw, apart_us: int, believed: Beliefs) -> Chosen:
    offered = candidates(spans, draw, apart_us)
    per_category = Counter(one.category for one in offered)
    small = frozenset(one for one, size in per_category.items() if size < LEAST_FITTED)
    scripts = _scripts(spans) if "action" in small else frozenset()
    per_cell = Counter(one.cell for one in offered)
    lean = {one.cell for one in offered if one.category in small or per_cell[one.cell] < LEAST_CELL}
    # Which way somebody walks decides all orders of landmarks: in 24 clips of offices that are walked inward,
    # 67 % of such pairs were answered. Nobody works backwards.
    unfit = {one.cell for one in offered if one.cell in lean and _places(one)}
    offered = [one for one in offered if one.cell not in unfit]
    scripted = [(one.span, one.cell) for one in offered if scripts & _together(one)]
    offered = [one for one in offered if not scripts & _together(one)]
    cells = list(dict.fromkeys(one.cell for one in offered))
    reader, pairs = read(spans, offered, cells, draw)
    few = {number for number, cell in enumerate(cells) if cell in lean}
    told = _told(spans, offered, believed)
    posterior = reader.posteriors(pairs, uncertain, told, few)
    admissible = uncertain(posterior) & (uncertain(told) if told is not None else True)
    shown, closed = _open(offered, admissible, lean)
    for cell in unfit:
        closed[cell] = "its pairs are too few to learn whether two orders go together"
    thinned = _thinned(spans, offered, posterior, np.flatnonzero(admissible & shown), draw)
    even = evened(spans, offered, posterior, reader, pairs, thinned, draw, few)
    kept = np.array(balanced(spans, offered, reader, pairs, even, draw), dtype=np.int64)
    for number, found in recheck.answered(reader, pairs, kept).items():
        if number not in few and found.leaks(_LIMIT, _SIGMAS):
            closed[cells[number]] = (
                f"readers without frames still answer {found.accuracy:.0%} of {found.pairs} pairs by "
                f"{found.reader}, where guessing gives 25%"
            )
    pairs_kept = [offered[index] for index in kept.tolist() if offered[index].cell not in closed]
    counts = {cell: Count(offered=size) for cell, size in per_cell.items()}
    for one, good in zip(offered, admissible.tolist(), strict=True):
        counts[one.cell].admissible += good
    for one in pairs_kept:
        counts[one.cell].kept += 1
    guessable = scripted + [
        (one.span, cells[number])
        for one, number, good, open_ in zip(
            offered, pairs.cell.tolist(), admissible.tolist(), shown.tolist(), strict=True
        )
        if not (good and open_) and cells[number] not in closed
    ]
    return Chosen(pairs_kept, counts, closed, guessable, small)


def uncertain(posterior: Floats) -> Bools:
    """Return which posteriors, (n, 4), leave a reader uncertain enough."""
    return np.asarray(
        (posterior.max(axis=1) <= LARGEST) & (posterior.min(axis=1) >= SMALLEST), dtype=bool
    )


# ---- what the reader gets ----------------------------------------------------------------------------------


def read(
    spans: Sequence[ClipSpan], offered: Sequence[Candidate], cells: Sequence[str], draw: Draw
) -> tuple[prior.Reader, prior.Pairs]:
    """Return a reader that knows the spans, and the candidates as it gets them."""
    reader = prior.Reader()
    step = -(-len(spans) // _MOST_LEARNED)
    few = len({span.scene for span in spans}) < _LEAST_SCENES
    for index, span in enumerate(spans):
        scene = span.clip_id if few else span.scene
        if index % step:
            reader.learn(scene, (), context(span.text), ({}, {}), near(span.text))
            continue
        kinds = KINDS.values()
        clues = (clue for kind in kinds for clue in kind.observed(span.text, draw))
        names, words = zip(*(kind.places(span.text, draw) for kind in kinds), strict=True)
        places = [{key: at for one in some for key, at in one.items()} for some in (names, words)]
        reader.learn(scene, clues, context(span.text), places, near(span.text))
    numbers: dict[int, int] = {}
    alike: dict[tuple[object, ...], int] = {}  # but for when they are, and whether they are true
    for one in offered:
        for fact in one.facts:
            if id(fact) in numbers:
                continue
            what = (fact.kind, fact.subject, fact.from_end)
            if (known := alike.get(what)) is not None:
                numbers[id(fact)] = reader.again(one.span, known)
            else:
                numbers[id(fact)] = alike[what] = reader.ask(one.span, _asked(fact))
    cell_of = {cell: number for number, cell in enumerate(cells)}
    columns = (
        [cell_of[one.cell] for one in offered],
        [numbers[id(one.facts[0])] for one in offered],
        [numbers[id(one.facts[1])] for one in offered],
        [one.truth for one in offered],
    )
    return reader, prior.Pairs(*(np.array(column, dtype=np.int64) for column in columns))


def _asked(fact: Fact) -> prior.Asked:
    kind = KINDS[fact.kind]
    return prior.Asked(
        kind=fact.kind,
        sided=kind.sided,
        levels=kind.levels(fact),
        sums=kind.sums(fact),
        tells=kind.tells(fact),
        axes=kind.axes(fact),
        hunch=kind.hunch(fact),
        manner=kind.manner(fact),
    )


def _told(
    spans: Sequence[ClipSpan],
    offered: Sequence[Candidate],
    believed: Beliefs,
) -> Floats | None:
    if not believed:
        return None
    if not all(len(some) == 4 and min(some) > 0 for some in believed.values()):
        raise ValueError("a model's probabilities must be four positive numbers")
    even = [0.25] * 4
    told = np.array(
        [believed.get((spans[one.span].text.span_id, one.names), even) for one in offered]
    ).reshape(-1, 4)
    return np.asarray(told / told.sum(axis=1, keepdims=True), dtype=float)


def _scripts(spans: Sequence[ClipSpan]) -> frozenset[frozenset[str]]:
    """Return the actions that follow one script: done together in several clips, or with one thing.

    Where the same two actions come in either order, being done together makes no script.
    """
    clips: dict[tuple[str, str], set[str]] = defaultdict(set)
    for span in spans:
        actions = list(dict.fromkeys(plain(step.action) for step in span.text.steps if step.action))
        for two in combinations(actions, 2):
            clips[two].add(span.clip_id)
    agreeing = disagreeing = 0
    for (one, other), where in clips.items():
        agreeing += len(where) * (len(where) - 1)  # each two names are counted in both orders
        disagreeing += len(where) * len(clips.get((other, one), ()))
    compared = agreeing + disagreeing
    ordered = compared < _LEAST_COMPARED or agreeing > _MOST_AGREEING * compared
    return frozenset(
        frozenset(two)
        for two, where in clips.items()
        if (ordered and len(where | clips.get(two[::-1], set())) > 1) or of_one_thing(*two)
    )


def _places(one: Candidate) -> bool:
    return all(fact.kind == "landmark" for fact in one.facts)


def _together(one: Candidate) -> set[frozenset[str]]:
    return {frozenset(map(str, fact.subject)) for fact in one.facts if fact.kind == "action"}


# ---- what is kept ----------------------------------------------------------------------------------------


def _open(
    offered: Sequence[Candidate], admissible: Bools, lean: Container[str]
) -> tuple[Bools, dict[str, str]]:
    """Return which pairs are in open strata, and the cells without any with the reason.

    A large stratum is judged alone, a small one with its cell: what slips through where a reader is mostly
    certain is the reader's error. In `lean` cells the shipped readers judge, which are certain of what is
    usual anywhere: that says nothing about these clips, so they stay open.
    """
    cells: dict[str, list[int]] = defaultdict(list)
    strata: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, one in enumerate(offered):
        cells[one.cell].append(index)
        strata[one.stratum].append(index)
    shown = np.zeros(len(offered), dtype=bool)
    for cell, members in cells.items():
        shown[members] = cell in lean or admissible[members].mean() >= LEAST_OPEN
    for members in strata.values():
        if len(members) >= _LEAST_STRATUM and offered[members[0]].cell not in lean:
            # Where the rest of the cell is closed, a stratum must be clearly different.
            least = LEAST_OPEN if shown[members].any() else _LEAST_APART
            shown[members] = admissible[members].mean() >= least
    return shown, {
        cell: f"readers without frames are uncertain about {admissible[members].mean():.0%} of its "
        f"{len(members)} pairs; a third is needed"
        for cell, members in cells.items()
        if not shown[members].any()
    }


def _thinned(
    spans: Sequence[ClipSpan],
    offered: Sequence[Candidate],
    posterior: Floats,
    usable: Ints,
    draw: Draw,
) -> list[int]:
    """Return matched pairs, kept with a probability that makes all combinations equally likely."""
    by_span: dict[int, list[int]] = defaultdict(list)
    for index in usable.tolist():
        by_span[offered[index].span].append(index)
    true = posterior[np.arange(len(offered)), [one.truth for one in offered]]
    chances = (posterior.min(axis=1) / true).tolist()
    found = []
    for number, members in by_span.items():
        span_id = spans[number].text.span_id
        found += [
            index
            for index in _matched(members, offered, draw, span_id)
            if draw(span_id, "thin", *offered[index].names) / 2**64 < chances[index]
        ]
    return found


def _matched(
    usable: Sequence[int], offered: Sequence[Candidate], draw: Draw, span_id: str
) -> list[int]:
    """Return pairs that share no turn or order, as many as possible, without regard to what is true."""
    drawn = sorted(usable, key=lambda index: draw(span_id, "match", *offered[index].names))
    tried = (
        disjoint([offered[index] for index in drawn[start:] + drawn[:start]])
        for start in range(min(len(drawn), _MATCHINGS))
    )
    best = {id(pair) for pair in max(tried, key=len)}
    return [index for index in drawn if id(offered[index]) in best]
