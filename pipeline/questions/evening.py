"""Drop pairs whose number, or whose sum of what is true, would tell something. Pure."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from math import inf

import numpy as np

from pipeline.blind import prior
from pipeline.blind.sheet import Floats, Ints
from pipeline.blind.weighing import fitted, weighed
from pipeline.questions.candidates import Candidate, ClipSpan
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS

_EVENINGS = 4  # rounds: dropping a pair changes how many its span has
_LEAST_TOLD = 2.0  # nats by which a span's number of pairs must tell something, on other scenes
_LEAST_SUMMED = 12  # pairs: sums of fewer are chance


def evened(
    spans: Sequence[ClipSpan],
    offered: Sequence[Candidate],
    posterior: Floats,
    reader: prior.Reader,
    pairs: prior.Pairs,
    thinned: Sequence[int],
    draw: Draw,
) -> list[int]:
    """Drop pairs until how many a span has tells nothing about what is true of them.

    What is true of a walk's pairs goes together: on the usual way all of them are likely, so most are thinned.
    Many pairs left mean the unusual way (33 % in wards whose rooms are mostly passed upwards).
    """
    kept: Ints = np.array(thinned, dtype=np.int64)
    for turn in range(_EVENINGS):
        size = np.bincount(reader.spans[pairs.first[kept]], minlength=1)
        keep = np.ones(len(kept), dtype=bool)
        for cell in np.unique(pairs.cell[kept]):
            at = np.flatnonzero(pairs.cell[kept] == cell)
            some = pairs[kept[at]]
            fold = reader.views[turn % len(reader.views)].fold[some.first]
            rows = _crowded(posterior[kept[at]], size[reader.spans[some.first]])
            found = weighed(rows, fitted(rows, some.truth, fold), fold)
            true = found[np.arange(len(at)), some.truth]
            if np.log(4 * true).sum() <= _LEAST_TOLD:
                continue
            drawn = [
                draw(spans[one.span].text.span_id, f"even {turn}", *one.names) / 2**64
                for one in (offered[index] for index in kept[at].tolist())
            ]
            keep[at] = np.array(drawn) < found.min(axis=1) / true
        kept = kept[keep]
        if keep.all():
            break
    return [int(index) for index in kept]


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
    thinned: Sequence[int],
    draw: Draw,
) -> list[int]:
    """Drop pairs until no sum of what is true is further from even than two standard errors.

    Exactly even sums could be inverted by somebody who knows most answers.
    """
    marks = {index: list(_marks(offered[index])) for index in thinned}
    scene_of = {index: int(reader.scenes[offered[index].span]) for index in thinned}
    sums, wide = _sums(marks, scene_of)
    kept = []
    order = sorted(
        thinned,
        key=lambda index: draw(
            spans[offered[index].span].text.span_id, "balance", *offered[index].names
        ),
    )
    for index in order:
        over = 0
        for mark, value in marks[index]:
            if abs(sums[mark]) > wide[mark]:
                over += 1 if sums[mark] * value > 0 else -1
        if over <= 0:
            kept.append(index)
            continue
        for mark, value in marks[index]:
            sums[mark] -= value
    return sorted(kept)


def _sums(
    marks: Mapping[int, Sequence[tuple[Hashable, int]]], scene_of: Mapping[int, int]
) -> tuple[Counter[Hashable], Mapping[Hashable, float]]:
    """Return the sum of each mark, and how far from 0 it may be: two standard errors.

    Scenes are drawn, not pairs: what is true of a walk is true of the next one in the same house.
    """
    sums: Counter[Hashable] = Counter()
    sizes: Counter[Hashable] = Counter()
    scenes: dict[Hashable, dict[int, list[int]]] = defaultdict(dict)
    for index, some in marks.items():
        for mark, value in some:
            sums[mark] += value
            sizes[mark] += 1
            scene = scenes[mark].setdefault(scene_of[index], [0, 0])
            scene[0] += value
            scene[1] += 1
    wide = {}
    for mark, size in sizes.items():
        mean = sums[mark] / size
        varied = sum((total - count * mean) ** 2 for total, count in scenes[mark].values())
        wide[mark] = 2 * max(size, varied) ** 0.5 if size >= _LEAST_SUMMED else inf
    return sums, wide


def _marks(one: Candidate) -> Iterator[tuple[Hashable, int]]:
    """Yield what is counted of a pair, each with 1 or -1: both facts, and whether both are equal."""
    values = [1 if fact.value else -1 for fact in one.facts]
    for place in (one.cell, one.stratum):
        yield (place, 0), values[0]
        yield (place, 1), values[1]
        yield (place, 2), values[0] * values[1]
    for fact, value in zip(one.facts, values, strict=True):
        kind = KINDS[fact.kind]
        for level in (*kind.levels(fact), *(one for some in kind.sums(fact) for one in some)):
            if level:
                yield (one.category, level[0]), -value if level[1] else value
