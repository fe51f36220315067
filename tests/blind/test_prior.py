"""The reader finds what is predictable, and an item's own answer never reaches its posterior."""

import gc
import random
import weakref
from itertools import product

import numpy as np
import pytest

from pipeline.blind.memory import Along, Leans, Lists, Memory
from pipeline.blind.prior import COMBINATIONS, Asked, Cell, Pairs, Reader
from pipeline.blind.sheet import FOLDS
from pipeline.blind.weighing import tempered, weighed


def random_memory(seed: int) -> tuple[Memory, list[dict[str, bool]], np.ndarray]:
    rng = random.Random(seed)
    memory, seen = Memory(), []
    for _ in range(120):
        seen.append({name: rng.random() < 0.5 for name in rng.sample("abcdefgh", 4)})
        memory.learn(((name,), value) for name, value in seen[-1].items())
    memory.sort()
    return memory, seen, np.array([rng.randrange(FOLDS) for _ in seen])


def test_clues_are_counted_together_by_fold() -> None:
    memory, seen, fold = random_memory(1)
    for one, other in product("abcdefgh", repeat=2):
        if one == other:
            continue
        numbers = (np.array([memory.number((name,))]) for name in (one, other))
        (found,) = memory.joint(*numbers, np.array([0]), [fold])
        wanted = np.zeros((FOLDS, 4))
        for span, of in zip(seen, fold.tolist(), strict=True):
            if one in span and other in span:
                wanted[of, 2 * (not span[one]) + (not span[other])] += 1
        assert (found[0] == wanted).all()


def test_a_lean_leaves_out_its_own_fold_and_another() -> None:
    memory, seen, fold = random_memory(2)
    lists = Lists(memory, 1)
    lists.add([[(("a",), True)]])
    own, other = 1, 3
    (lean,) = Leans(memory, fold).of(lists, np.array([own]))[other][0]
    kept = [
        span["a"]
        for span, of in zip(seen, fold.tolist(), strict=True)
        if "a" in span and of not in (own, other)
    ]
    true, false = kept.count(True), kept.count(False)
    assert lean == pytest.approx(-0.5 * np.log((true + 1.5) / (false + 1.5)))


def reader_of(truths: list[tuple[str, int]]) -> tuple[Reader, Pairs]:
    """Return a reader of spans that each show two facts; the facts are named like their span's kind."""
    reader = Reader()
    numbers = []
    for number, (scene, truth) in enumerate(truths):
        first, second = (COMBINATIONS[truth] > 0).tolist()
        kind = f"kind{number % 3}"
        clues = [(("one", kind), first), (("two", kind), second), (("any",), first)]
        places = {f"one {kind}": 1.0 if first else -1.0, f"two {kind}": 1.0 if second else -1.0}
        reader.learn(scene, clues, [[("near", kind)]], (places, places))
    for number in range(len(truths)):
        kind = f"kind{number % 3}"
        asked = [
            Asked(
                "fact",
                True,
                (((name, kind), False), (("any",), False)),
                (),
                (),
                (((f"{name} {kind}", 1.0),),) * 2,
            )
            for name in ("one", "two")
        ]
        numbers.append([reader.ask(number, one) for one in asked])
    first, second = np.array(numbers).T
    truth = np.array([truth for _, truth in truths])
    return reader, Pairs(np.zeros(len(truth), int), first, second, truth)


def fair(count: int, seed: int) -> list[tuple[str, int]]:
    rng = random.Random(seed)
    return [(f"scene{number // 4}", rng.randrange(4)) for number in range(count)]


@pytest.mark.parametrize("scenes", [5, 7, 9])
def test_few_scenes_are_dealt_out_to_folds(scenes: int) -> None:
    reader, _ = reader_of([(f"house {number % scenes}", 0) for number in range(40)])
    for view in reader.views:
        sizes = np.bincount(view.by_span[:scenes])
        assert (view.by_span == view.by_span[np.arange(40) % scenes]).all()
        assert len(sizes) == FOLDS
        assert sizes.max() - sizes.min() <= 1


def test_the_answers_of_a_scene_do_not_reach_its_posteriors() -> None:
    truths = fair(400, 1)
    changed = [(scene, (truth + 1) % 4 if scene == "scene7" else truth) for scene, truth in truths]
    before, after = (Cell(*reader_of(some)).believed() for some in (truths, changed))
    own = np.array([scene == "scene7" for scene, _ in truths])
    assert own.sum() == 4
    assert np.abs(before[own] - after[own]).max() < 1e-9
    assert np.abs(before[~own] - after[~own]).max() > 1e-4


def test_a_fact_that_is_asked_again_is_looked_up_like_the_first() -> None:
    def asked(number: int) -> Asked:
        name = f"kind{number}"
        level = ((name, "level"), number == 1)
        return Asked(
            ("landmark", "action", "turn")[number],
            number == 2,
            (level, None),
            ((level, ((name, "sum"), True)), ()),
            ((((name, "tell"), False),),) * number,
            (((name, 1.0), ("unknown", 1.0)), ((name, -1.0),) * number),
            hunch=number / 4,
            manner=(number, -1, 0),
        )

    readers = Reader(), Reader()
    for reader in readers:
        for number in range(12):
            name = f"kind{number % 3}"
            clues = [((name, what), number % 4 > 0) for what in ("level", "sum", "tell")]
            reader.learn(f"scene{number}", clues, [[(name, "tell")]], ({name: 0.5},) * 2)
    kinds = [0, 1, 2, 2, 0, 1, 1]
    for span, kind in enumerate(kinds):
        number = readers[0].ask(span, asked(kind))
        first = kinds.index(kind)
        again = readers[1].again(span, first) if first < span else readers[1].ask(span, asked(kind))
        assert number == again == span
    one, other = readers
    for name in ("spans", "sided", "hunches", "manners"):
        assert (getattr(one, name) == getattr(other, name)).all()
    for name in ("levels", "sums", "tells"):
        lists = zip(getattr(one, name).flat(), getattr(other, name).flat(), strict=True)
        assert all((left == right).all() for left, right in lists)
    for left, right in zip(one.views, other.views, strict=True):
        for name in ("alone", "tells", "follows", "expected"):
            told, wanted = getattr(right, name), getattr(left, name)
            assert all((told[way] == wanted[way]).all() for way in wanted)
    assert one.views[0].alone[None].any(axis=0).sum() > 3
    pairs = Pairs(*(np.array(column) for column in ([0, 0], [0, 0], [4, 4], [1, 2])))
    assert one.kinds(pairs) == other.kinds(pairs) == ("landmark", "landmark")


def test_what_is_predictable_is_predicted() -> None:
    rng = random.Random(2)
    # In kind0, both facts are mostly true; in kind1 they go together; kind2 is fair.
    truths = []
    for number in range(900):
        odds = ([8, 1, 1, 1], [4, 1, 1, 4], [1, 1, 1, 1])[number % 3]
        truths.append((f"scene{number // 4}", rng.choices(range(4), odds)[0]))
    reader, pairs = reader_of(truths)
    found = Cell(reader, pairs).believed()
    kind = np.arange(900) % 3
    assert found[kind == 0, 0].mean() > 0.6
    assert found[kind == 1][:, [0, 3]].sum(axis=1).mean() > 0.7
    assert np.abs(found[kind == 2] - 0.25).mean() < 0.08


def test_probabilities_are_calibrated_in_a_fair_world() -> None:
    found = Cell(*reader_of(fair(900, 3))).believed()
    assert found.sum(axis=1) == pytest.approx(1)
    assert np.abs(found - 0.25).mean() < 0.05
    assert found.max() < 0.5


def test_a_reader_is_freed_while_collection_is_paused() -> None:
    """Else those of all parts stay: 6 GB at 100,000 clips."""
    reader, pairs = reader_of(fair(60, 6))
    Cell(reader, pairs).believed()
    left = weakref.ref(reader)
    gc.disable()
    try:
        del reader
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("along", [True, False])
def test_what_was_true_in_walks_of_the_same_way_is_expected(
    along: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shops of two kinds have two neighbours in opposite orders; another name tells the kind."""
    if not along:
        monkeypatch.setattr(Along, "told", lambda self, way, used: np.zeros((800, way.shape[1])))
    rng, reader, truths, numbers = random.Random(4), Reader(), [], []
    for number in range(400):
        back, coin = rng.random() < 0.5, rng.random() < 0.5
        clues = [(("order",), not back), (("coin",), coin)]
        places = {"ends": -1.0 if back else 1.0, "one": 0.1, "two": 0.1}
        reader.learn(f"scene{number // 4}", clues, [[("shows", back)]], (places, places))
        truths.append(2 * back + (not coin))
    for number in range(400):
        order = Asked(
            "order", False, ((("order",), False),), (), (), ((("one", 1.0), ("two", -1.0)),) * 2
        )
        coin_ = Asked("coin", False, ((("coin",), False),), (), (), ((),) * 2)
        numbers.append([reader.ask(number, one) for one in (order, coin_)])
    first, second = np.array(numbers).T
    truth = np.array(truths)
    found = Cell(reader, Pairs(np.zeros(400, int), first, second, truth)).believed()
    of_order = found.reshape(400, 2, 2).sum(axis=2)[np.arange(400), truth // 2]
    assert bool(of_order.mean() > 0.9) is along


@pytest.mark.parametrize(("odds", "kept"), [([1, 1, 1, 1], True), ([5, 3, 2, 2], False)])
def test_pairs_are_left_alone_by_a_reader_who_is_no_better_than_chance(
    odds: list[int], kept: bool
) -> None:
    rng = random.Random(0)
    truths = [(f"scene{number // 4}", rng.choices(range(4), odds)[0]) for number in range(900)]
    reader, pairs = reader_of(truths)
    cell = Cell(reader, pairs)
    everywhere = np.ones(900, dtype=bool)
    found = cell.calibrated(cell.believed(), lambda some: everywhere)
    assert bool((found == 0.25).all()) is kept


def test_what_a_model_believes_is_weighed() -> None:
    truths = fair(600, 4)
    reader, pairs = reader_of(truths)
    told = np.full((600, 4), 0.1)
    told[np.arange(600), pairs.truth] = 0.7
    found = reader.posteriors(pairs, lambda some: some.max(axis=1) <= 0.4, told)
    assert found[np.arange(600), pairs.truth].mean() > 0.9


def test_too_few_pairs_are_judged_by_the_most_certain_reader() -> None:
    reader, pairs = reader_of(fair(30, 5))
    assert Cell(reader, pairs).believed() == pytest.approx(0.25)


def sharp(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a reader who is certain says of pairs, and the scenes of the pairs as folds."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(0, 0.8, (count, 4))
    return logs - logs.mean(axis=1, keepdims=True), np.arange(count) // 4 % FOLDS


@pytest.mark.parametrize(("count", "certainty"), [(600, (0, 0.08)), (8, (0.1, 0.5))])
def test_a_reader_who_is_right_no_more_often_than_chance_loses_its_certainty(
    count: int, certainty: tuple[float, float]
) -> None:
    logs, fold = sharp(count, 1)
    truth = np.random.default_rng(2).integers(0, 4, count)
    found = tempered(logs, truth, fold)
    assert certainty[0] <= (found.max(axis=1) - 0.25).mean() <= certainty[1]


def test_a_reader_who_is_as_often_right_as_it_says_keeps_its_certainty() -> None:
    logs, fold = sharp(600, 1)
    chance = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    rng = np.random.default_rng(2)
    truth = np.array([rng.choice(4, p=one) for one in chance])
    assert tempered(logs, truth, fold) == pytest.approx(chance, abs=0.08)


def test_no_combination_is_impossible_however_certain_a_reader_is() -> None:
    rows = np.array([[[4000.0, 0.0, 0.0, -4000.0]]])
    (found,) = weighed(rows, np.array([[1.0]]), np.array([0]))
    assert found.sum() == pytest.approx(1)
    assert np.isfinite(np.log(found)).all()
