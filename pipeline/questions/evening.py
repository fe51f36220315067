"""Drop pairs whose number, or whose sum of what is true, would tell something. Pure."""

from collections.abc import Container, Sequence
from math import inf

import numpy as np

from pipeline.blind import foretold, prior
from pipeline.blind.sheet import Bools, Floats, Ints
from pipeline.blind.weighing import around, fitted, tempered, weighed
from pipeline.questions.candidates import Candidate, ClipSpan
from pipeline.questions.draw import Draw

_DOUBT = 0.5  # pairs: a fact is nearly as true the second time in a scene
_EVENINGS = 4  # rounds: dropping a pair changes how many its span has
# Nats by which what else is asked must tell more than chance in small cells: 40 % of 150 pairs do that. By 2, as
# elsewhere, noise did now and then, and cost up to half of the pairs.
_LEAST_OF_FEW = 8.0
_LEAST_SUMMED = 12  # pairs: sums of fewer are chance
_SIGMAS = 3.0  # standard errors by which a sum may be off


def evened(
    spans: Sequence[ClipSpan],
    offered: Sequence[Candidate],
    posterior: Floats,
    reader: prior.Reader,
    pairs: prior.Pairs,
    thinned: Sequence[int],
    draw: Draw,
    few: Container[int] = (),
) -> list[int]:
    """Drop pairs until what else is asked tells nothing about what is true of them.

    In the cells in `few`, which are too small to be sure, that must be glaring.

    What is true of a walk's pairs goes together: on the usual way all of them are likely, so most are thinned.
    Many pairs left mean the unusual way (33 % in wards whose rooms are mostly passed upwards). And what is asked
    again in a scene is mostly true again: in homes that are walked again and again, the answers of other clips
    gave 36 % of such pairs. Each pair is judged by those before it, in an order drawn for its scene: judged by
    all others, those that are left would agree too seldom.
    """
    if not thinned:
        return []
    kept: Ints = np.array(thinned, dtype=np.int64)
    rank = _drawn(spans, offered, kept, draw, "in its scene")
    # Once, since it takes time: pairs that are dropped below count as known, too.
    placed = _placed(reader, pairs[kept], rank)
    for turn in range(_EVENINGS):
        before = len(kept)
        for why in ("even", "again"):
            some = pairs[kept]
            size = np.bincount(reader.spans[some.first], minlength=1)
            rows = (
                _crowded(posterior[kept], size[reader.spans[some.first]])
                if why == "even"
                else np.concatenate([_asked_before(reader, some, rank), placed], axis=1)
            )
            fold = reader.views[turn % len(reader.views)].fold[some.first]
            keep = _drawn(spans, offered, kept, draw, f"{why} {turn}") < _chances(
                rows, some, fold, few
            )
            kept, rank, placed = kept[keep], rank[keep], placed[keep]
        if len(kept) == before:
            break
    return [int(index) for index in kept]


def _chances(rows: Floats, some: prior.Pairs, fold: Ints, few: Container[int]) -> Floats:
    """Return with which probability each pair must be kept, so that what `rows` say tells nothing, (pairs,)."""
    found = np.ones(len(rows))
    for cell in np.unique(some.cell):
        at = np.flatnonzero(some.cell == cell)
        truth = some.truth[at]
        belief = weighed(rows[at], fitted(rows[at], truth, fold[at]), fold[at])
        # As certain as it is right on other scenes: noise would cost too many pairs.
        belief = tempered(around(np.log(belief)), truth, fold[at])
        true = belief[np.arange(len(at)), truth]
        least = _LEAST_OF_FEW if int(cell) in few else prior.LEAST_TOLD
        if np.log(4 * true).sum() > least:
            found[at] = belief.min(axis=1) / true
    return found


def _drawn(
    spans: Sequence[ClipSpan], offered: Sequence[Candidate], kept: Ints, draw: Draw, why: str
) -> Floats:
    """Return a number from 0 to 1 for each pair, drawn for this."""
    some = (offered[index] for index in kept.tolist())
    numbers = [draw(spans[one.span].text.span_id, why, *one.names) for one in some]
    return np.array(numbers, dtype=float) / 2**64


def _asked_before(reader: prior.Reader, some: prior.Pairs, rank: Floats) -> Floats:
    """Return what is true of like facts in pairs of lower rank in their scene, (pairs, clues, 4), around 0.

    That is of each fact at each level, from itself to any turn; of whether both go together, by what is true of each
    and in all pairs of the cell; and of both in one pair.
    """
    every, pairs = np.arange(len(rank)), prior.COMBINATIONS
    facts = np.stack([some.first, some.second], axis=1)
    clue, sign = (one[facts] for one in reader.levels.clues())  # (pairs, 2, levels)
    scene = reader.scenes[reader.spans[some.first]]

    def before(of: Ints, true: Ints, *where: Ints) -> Floats:
        """Return half the log odds of what was true, 1 or -1, in the same place of the same scene."""
        place = np.column_stack([scene[of], *where])
        sums = _sums_before(place, rank[of], np.stack([true > 0, true < 0], axis=1))
        return np.asarray(0.5 * np.log((sums[:, 0] + _DOUBT) / (sums[:, 1] + _DOUBT)), dtype=float)

    values = sign * pairs[some.truth][:, :, None]
    known = clue >= 0
    of = np.nonzero(known)[0]
    leans = np.zeros((2, *clue.shape))  # in all cells, and in the pair's own: thinning changes each
    leans[0, known] = before(of, values[known], clue[known])
    leans[1, known] = before(of, values[known], clue[known], some.cell[of])
    leans *= sign
    # One weight for both facts: more would be fitted to noise.
    alone = np.concatenate((leans[..., None] * pairs.T[:, None]).sum(axis=2), axis=1)
    both = pairs.prod(axis=1)
    together = np.stack(
        [leans[0, :, :, 0].prod(axis=1), before(every, both[some.truth], some.cell)], axis=1
    )
    # In one pair: in one order, whichever fact is named first.
    first = np.argsort(clue[:, :, 0], axis=1)
    stated = np.take_along_axis(sign[:, None, :, 0] * pairs, first[:, None, :], axis=2)
    place = (stated < 0) @ np.array([2, 1])
    names = np.take_along_axis(clue[:, :, 0], first, axis=1)
    seen = np.eye(4)[place[every, some.truth]]
    count = _sums_before(np.column_stack([scene, names]), rank, seen)
    joint = around(np.log(np.take_along_axis(count, place, axis=1) + _DOUBT))
    return np.concatenate([alone, together[:, :, None] * both, joint[:, None]], axis=1)


def _placed(reader: prior.Reader, some: prior.Pairs, rank: Floats) -> Floats:
    """Return what the places of names tell of each pair, by pairs of lower rank in its scene, (pairs, clues, 4).

    No two visits need to share a name for that. It is told of orders, of sides, and of both facts of a pair.
    """
    facts, pairs = np.stack([some.first, some.second], axis=1), prior.COMBINATIONS
    sided = reader.sided[facts]
    parts = [
        foretold.clues(reader.levels, facts.ravel()),
        foretold.clues(reader.sums, facts.ravel()),
        foretold.around(reader.context, reader.spans[facts.ravel()], sided.ravel()),
    ]
    row, clue, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    scene = reader.scenes[reader.spans[some.first]]
    places = foretold.foretold((row, clue, weight), pairs[some.truth], scene, rank)
    kinds = np.stack([~sided, sided]).astype(float)
    alone = np.einsum("knf,nef,cf->nkec", kinds, places[:, :, :2], pairs).reshape(len(rank), -1, 4)
    return np.concatenate([alone, places[:, :, 2:] * pairs.prod(axis=1)], axis=1)


def _sums_before(where: Ints, rank: Floats, what: Floats | Bools) -> Floats:
    """Return the sum of `what`, (n, columns), over all of lower rank in the same place; `where` is (n, any)."""
    _, place = np.unique(where, axis=0, return_inverse=True)
    order = np.lexsort((rank, place))
    place, rank = place[order], rank[order]
    sums = np.cumsum(what[order], axis=0, dtype=float) - what[order]
    # Two facts of a pair have one rank: neither is before the other.
    new = np.ones(len(place), dtype=bool)
    new[1:] = (np.diff(place) != 0) | (np.diff(rank) != 0)
    first = np.maximum.accumulate(np.where(new, np.arange(len(place)), 0))
    found = np.empty(what.shape)
    found[order] = sums[first] - sums[np.searchsorted(place, place)]
    return found


def _crowded(posterior: Floats, size: Ints) -> Floats:
    """Return what a prior believes of each fact and of both, by how many pairs the span has, (pairs, 9, 4)."""
    combinations = prior.COMBINATIONS
    parts = np.stack([combinations[:, 0], combinations[:, 1], combinations.prod(axis=1)])
    logs = np.log(posterior) @ parts.T / 4
    crowds = np.stack([size == 1, size == 2, size > 2], axis=1)
    rows = logs[:, :, None, None] * crowds[:, None, :, None] * parts[None, :, None, :]
    return np.asarray(rows.reshape(len(size), 9, 4), dtype=float)


def balanced(
    spans: Sequence[ClipSpan],
    offered: Sequence[Candidate],
    reader: prior.Reader,
    pairs: prior.Pairs,
    thinned: Sequence[int],
    draw: Draw,
) -> list[int]:
    """Drop pairs until no sum of what is true is further from even than three standard errors.

    Exactly even sums could be inverted by somebody who knows most answers. With a bound of two standard errors
    such readers answered 25.9 % of 25,300 pairs in a fair world, without any bound 25.1 %.
    """
    if not thinned:
        return []
    kept: Ints = np.array(thinned, dtype=np.int64)
    which, mark, value = _marks(offered, reader, pairs, kept)
    sums = np.bincount(mark, value)
    wide = _wide(mark, value, reader.scenes[reader.spans[pairs.first[kept]]][which])
    counted = np.isfinite(wide)[mark]
    bounds = np.searchsorted(which[counted], np.arange(len(kept) + 1)).tolist()
    marks, values = mark[counted].tolist(), value[counted].tolist()
    sums, wide = sums.tolist(), wide.tolist()
    order = sorted(
        range(len(kept)),
        key=lambda at: draw(
            spans[offered[thinned[at]].span].text.span_id, "balance", *offered[thinned[at]].names
        ),
    )
    found = []
    for at in order:
        over, own = 0, range(bounds[at], bounds[at + 1])
        for entry in own:
            if abs(sums[marks[entry]]) > wide[marks[entry]]:
                over += 1 if sums[marks[entry]] * values[entry] > 0 else -1
        if over <= 0:
            found.append(thinned[at])
            continue
        for entry in own:
            sums[marks[entry]] -= values[entry]
    return sorted(found)


def _marks(
    offered: Sequence[Candidate], reader: prior.Reader, pairs: prior.Pairs, kept: Ints
) -> tuple[Ints, Ints, Ints]:
    """Return what is counted of each pair, in the order of pairs: which pair, which sum, and 1 or -1.

    Counted are both facts, and whether both are equal, in the cell and in the stratum; and each clue of a fact
    in the category.
    """
    some = pairs[kept]
    true = prior.COMBINATIONS[some.truth]
    both = np.concatenate([true, true.prod(axis=1, keepdims=True)], axis=1)
    asked = [offered[at] for at in kept.tolist()]
    every, first = np.arange(len(kept)), 0
    found: list[tuple[Ints, Ints, Ints]] = []
    for place in (some.cell, _numbers([one.stratum for one in asked])):
        found += [(every, first + 3 * place + column, both[:, column]) for column in range(3)]
        first += 3 * (int(place.max()) + 1)
    category = _numbers([one.category for one in asked])
    categories = int(category.max()) + 1
    for facts, value in ((some.first, true[:, 0]), (some.second, true[:, 1])):
        for lists in (reader.levels, reader.sums):
            pair, clue, sign = lists.of_rows(facts)
            found.append((pair, first + clue * categories + category[pair], sign * value[pair]))
    which, marks, values = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(which, kind="stable")
    _, mark = np.unique(marks[order], return_inverse=True)
    return which[order], mark, values[order]


def _numbers(names: Sequence[object]) -> Ints:
    """Return each name's number, from 0 in order of appearance."""
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(name, len(seen)) for name in names], dtype=np.int64)


def _wide(mark: Ints, value: Ints, scene: Ints) -> Floats:
    """Return how far from 0 each sum may be: three standard errors; infinitely far if it sums few pairs.

    Scenes are drawn, not pairs: what is true of a walk is true of the next one in the same house.
    """
    size = np.bincount(mark)
    mean = np.bincount(mark, value) / size
    of_scene, entry = np.unique(mark * (int(scene.max()) + 1) + scene, return_inverse=True)
    owner = of_scene // (int(scene.max()) + 1)
    apart = np.bincount(entry, value) - np.bincount(entry) * mean[owner]
    varied = np.bincount(owner, apart**2, minlength=len(size))
    return np.where(size >= _LEAST_SUMMED, _SIGMAS * np.sqrt(np.maximum(size, varied)), inf)
