"""The blind probe on items that leak and on fair ones, its verdicts, and how its figures are computed."""

import json
import random
from collections import defaultdict
from dataclasses import replace

import blind_items as made
import numpy as np
import pytest

from pipeline.blind import cells, tried
from pipeline.blind.cells import Cell, Leak, state_of, told
from pipeline.blind.probe import ProbeReport, attack_figure, run_probe
from pipeline.blind.sheet import Figure, OptionTable, ProbeItem, Strategy, lay_out, take


@pytest.fixture(scope="module")
def leaky() -> ProbeReport:
    return run_probe(made.leaky())


def two(number: int, options: tuple[str, ...], group: str, answer: int = 0) -> ProbeItem:
    return ProbeItem(str(number), "Which?", options, answer, group, f"c{number}")


def test_it_finds_the_leak_in_items_that_leak(leaky: ProbeReport) -> None:
    figure = leaky.learned.overall
    assert figure.items == 600
    assert figure.low > 0.6
    assert figure.chance == 0.25
    assert leaky.verdict().startswith("LEAKS: learned probe answers")
    untrained = {one.name: one.overall.accuracy for one in leaky.baselines}
    assert untrained["longest"] > 0.33
    assert untrained["always A"] > 0.33
    assert untrained["shortest"] < 0.2


def test_words_of_the_question_tell_where_all_items_have_the_same_options() -> None:
    rng, deeds = random.Random(4), ["cooking", "reading", "jumping", "sleeping", "flying"]
    items = []
    for number in range(600):
        deed = rng.choice(deeds)
        no = rng.random() < (0.9 if deed in ("sleeping", "flying") else 0.3)
        question = f"Is the person {deed}?"
        item = ProbeItem(str(number), question, ("Yes", "No"), int(no), f"g{number // 3}", "c")
        items.append(item)
    figure = run_probe(items).learned.overall
    assert figure.low > 0.65
    mixed = [replace(item, answer=rng.randrange(2)) for item in items]
    assert abs(run_probe(mixed).learned.overall.accuracy - 0.5) < 0.07


def test_its_control_is_at_chance_where_the_probe_finds_a_leak(leaky: ProbeReport) -> None:
    assert len(leaky.control) == 3
    assert abs(np.mean(leaky.control) - 0.25) < 0.04


def test_the_most_guessable_items_are_named(leaky: ProbeReport) -> None:
    assert len(leaky.guessable) == 10
    margins = [one.margin for one in leaky.guessable]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] > 0


def test_unbalanced_turns_of_a_biased_world_leak() -> None:
    """Sides are 80/20: if flips aren't balanced, the probe has to find it."""
    rng = random.Random(1)
    items = []
    for number in range(300):
        moves = rng.choices(("right", "left"), (8, 2), k=7)
        items.append(made.placed(number, made.as_text(moves), made.square(moves, 0, 1), rng))
    assert run_probe(items).learned.overall.accuracy > 0.5


def test_the_same_items_give_the_same_report() -> None:
    items = made.leaky(80)
    assert json.dumps(run_probe(items).to_json()) == json.dumps(run_probe(items).to_json())


def test_json_has_the_figure_on_top(leaky: ProbeReport) -> None:
    report = json.loads(json.dumps(leaky.to_json()))
    assert report["accuracy"] == pytest.approx(leaky.learned.overall.accuracy, abs=1e-4)
    assert report["low"] < report["accuracy"] < report["high"]
    assert (report["chance"], report["items"]) == (0.25, 600)
    assert set(report["attacks"]) >= {"centrality", "replay", "columns"}


def test_few_items_prove_nothing() -> None:
    few = run_probe(made.composed(35))
    assert few.learned.overall.clips >= 30
    assert few.state() == "unproven"
    assert {cell.verdict for cell in few.cells} == {"too few to tell"}
    assert few.verdict().startswith("unproven: too few to tell: ")
    assert str(few).splitlines()[-1] == few.verdict()


def test_few_items_raise_no_false_alarm() -> None:
    items = made.composed(60)
    by_group = defaultdict(list)
    for item in items:
        by_group[item.group].append(item)
    groups = list(by_group.values())
    for at in range(0, 12, 4):
        report = run_probe([item for group in groups[at : at + 4] for item in group])
        assert report.leaks() == []


def test_above_the_limit_whole_groups_are_sampled() -> None:
    items = made.leaky(400)
    taken = take(items, 100, seed=0)
    assert len(taken) == 100
    per_group = defaultdict(int)
    for item in taken:
        per_group[item.group] += 1
    assert sorted(per_group.values())[1:] == [4] * 24 or set(per_group.values()) == {4}
    assert [item.id for item in taken] == [item.id for item in items if item in taken]
    report = run_probe(items, sample=100)
    assert (report.given, report.learned.overall.items) == (400, 100)
    assert "100 items of 400" in str(report)


@pytest.mark.parametrize(
    "item",
    [two(0, ("a",), "g"), two(0, ("a", "b"), "g", answer=2), two(0, ("a", "b"), "g", answer=-1)],
)
def test_an_item_without_a_choice_is_refused(item: ProbeItem) -> None:
    with pytest.raises(ValueError, match="two options and an answer among them"):
        run_probe([item])


def test_an_empty_test_is_refused() -> None:
    with pytest.raises(ValueError, match="no items"):
        run_probe([])


# ---- what the figures rest on ----------------------------------------------------------------------


def folds_of(sheet: OptionTable, key: str) -> dict[str, set[int]]:
    found = defaultdict(set)
    for item, fold in zip(sheet.items, sheet.fold.tolist(), strict=True):
        found[getattr(item, key)].add(fold)
    return found


def test_a_group_never_sits_on_both_sides() -> None:
    sheet = lay_out(made.leaky(200), 0)
    folds = folds_of(sheet, "group")
    assert len(folds) == 50
    assert all(len(found) == 1 for found in folds.values())
    assert set(sheet.fold.tolist()) == set(range(5))


def test_items_that_share_an_option_share_a_fold() -> None:
    items = [two(n, (f"x{n // 3}", f"y{n}", f"z{n}"), f"g{n}") for n in range(60)]
    sheet = lay_out(items, 0)
    assert sheet.grouping == "items of one group, and items that share an option"
    folds = sheet.fold.reshape(20, 3)
    assert (folds == folds[:, :1]).all()


def test_where_all_options_are_shared_the_report_says_what_is_kept_together() -> None:
    items = [two(n, ("left", "right", f"y{n}"), f"g{n}") for n in range(60)]
    assert lay_out(items, 0).grouping == "items of one group, and items with the same options"
    items = [two(n, ("left", "right"), f"g{n}") for n in range(60)]
    assert lay_out(items, 0).grouping == "items of one group"


def of_one_scene(count: int, clips: int, **fields: str) -> list[ProbeItem]:
    """Return items of one scene whose answer is the only option with a full stop."""
    options = ("left.", "right", "ahead", "back")
    found = []
    for number in range(count):
        shown = (*options[number % 4 :], *options[: number % 4])
        item = two(number, shown, "kitchen", shown.index("left."))
        found.append(replace(item, clip=f"c{number % clips}", **fields))
    return found


@pytest.mark.parametrize("groups", [1, 9])
def test_a_test_answered_blind_fails_however_few_groups_it_has(groups: int) -> None:
    items = [
        replace(item, group=f"g{int(item.clip[1:]) % groups}")
        for item in of_one_scene(400, clips=100)
    ]
    report = run_probe(items)
    figure = report.learned.overall
    assert (figure.accuracy, figure.items, figure.groups, figure.clips) == (1, 400, groups, 100)
    assert figure.error < 0.05
    assert report.state() == "failed"
    assert "learned probe" in {leak.name for leak in report.leaks() if not leak.where}
    assert report.verdict().startswith("LEAKS: ")
    assert report.to_json()["state"] == "failed"


@pytest.mark.parametrize(("clips", "state"), [(29, "unproven"), (30, "failed")])
def test_under_thirty_clips_the_result_is_unproven(clips: int, state: str) -> None:
    report = run_probe(of_one_scene(60, clips))
    assert report.state() == state
    assert report.verdict().startswith("unproven: 29 clips are too few") == (clips == 29)
    assert str(report).splitlines()[-1] == report.verdict()


def test_a_fair_test_of_one_scene_does_not_leak() -> None:
    report = run_probe([replace(item, group="kitchen") for item in made.composed(40)])
    assert "too few groups" in report.grouping
    assert report.learned.overall.groups == 1
    assert 0 < report.learned.overall.low < report.learned.overall.high < 1
    assert report.leaks() == []
    assert report.state() == "unproven"


@pytest.mark.parametrize("groups", [1, 5, 40])
def test_guessing_is_seldom_beyond_two_errors_and_never_beyond_four(groups: int) -> None:
    """Each clip has four items that are guessed right together, as twins are."""
    rng = np.random.default_rng(1)
    items = [
        replace(two(number, tuple("abcd"), f"g{number // 4 % groups}"), clip=f"c{number // 4}")
        for number in range(400)
    ]
    sheet = lay_out(items, 0)
    figures = [
        sheet.figure(np.repeat((rng.random(100) < 0.25).astype(float), 4)) for _ in range(400)
    ]
    assert sum(one.leaks(0.05, 2) for one in figures) < 0.06 * len(figures)
    assert not any(one.leaks(0.05, 4) for one in figures)


def test_the_verdict_uses_the_limits_of_the_gate() -> None:
    """A gate with stricter limits must not print that no leak was found."""
    report = replace(run_probe(made.leaky(80)), baselines=(), attacks=())
    slight = replace(report.learned, within={}, overall=figure(0.35, twins=800))
    cell = Cell("route", figure(0.25, twins=800), "learned probe", leaks=False)
    report = replace(report, learned=slight, best=slight, cells=(cell,))
    assert report.verdict().startswith("LEAKS: ")
    report = replace(report, limits=(0.2, 0.2))
    assert (report.state(), report.verdict()[:32]) == ("met", "no leak found in 1 of 1 cells; t")


# ---- verdicts ----------------------------------------------------------------------------------------


def figure(accuracy: float, twins: int, clips: int = 900) -> Figure:
    error = (0.1875 / twins) ** 0.5
    span = (accuracy - 2 * error, accuracy + 2 * error)
    return Figure(accuracy, *span, 0.25, 2 * twins, clips // 5, clips, twins, error)


def verdicts(*cells: tuple[str, int, bool]) -> list[Cell]:
    return [Cell(name, figure(0.26, twins), "majority", leaks) for name, twins, leaks in cells]


@pytest.mark.parametrize(
    ("twins", "leaks", "verdict"),
    [
        (600, False, "no leak found"),
        (599, False, "too few to tell"),
        (599, True, "leak"),
        (5000, True, "leak"),
    ],
)
def test_the_verdict_on_a_cell(twins: int, leaks: bool, verdict: str) -> None:
    (cell,) = verdicts(("action mixed", twins, leaks))
    assert cell.verdict == verdict


def state(*cells: tuple[str, int, bool]) -> str:
    found = verdicts(*cells)
    leaks = [Leak(cell.reader, cell.name, "", cell.figure) for cell in found if cell.leaks]
    return state_of(figure(0.25, sum(twins for _, twins, _ in cells)), leaks, found, 0.05)


def test_a_test_is_met_only_if_what_is_unknown_could_not_matter() -> None:
    assert state(("turn", 900, False), ("order", 700, False)) == "met"
    # Answered completely, 40 of 1,640 twins add less than two points.
    assert state(("turn", 900, False), ("order", 700, False), ("mixed", 40, False)) == "met"
    assert state(("turn", 900, False), ("order", 700, False), ("mixed", 140, False)) == "unproven"
    assert state(("turn", 500, False)) == "unproven"
    assert state(("turn", 900, False), ("order", 40, True)) == "failed"


def test_the_line_names_the_cells_with_too_few_items() -> None:
    names = ("action mixed", "action order", "landmark mixed", "direction turn")
    few = [(name, 300 - at, False) for at, name in enumerate(names)]
    assert told(verdicts(("landmark order", 800, False), few[0])) == (
        "no leak found in 1 of 2 cells; too few to tell: action mixed (300 twins)"
    )
    assert told(verdicts(*few)) == (
        "too few to tell: action mixed (300 twins), action order (299 twins), "
        "landmark mixed (298 twins), 1 more"
    )


def test_each_leak_is_listed_once(leaky: ProbeReport) -> None:
    named = [(leak.name, leak.where) for leak in leaky.leaks()]
    assert ("learned probe", "") in named
    assert any(where.startswith("cell=") for _, where in named)
    assert len(named) == len(set(named))


def test_a_leak_in_one_cell_fails_the_test_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """All turns go to the left, and nothing else is amiss."""
    monkeypatch.setattr(cells, "ENOUGH_TWINS", 60)
    fair = made.composed(140)
    told_apart = [
        replace(item, answer=max(range(4), key=lambda at: item.options[at].count("left")))
        if item.contrast == "turn"
        else item
        for item in fair
    ]
    report = run_probe(told_apart)
    found = {cell.name: cell.verdict for cell in report.cells}
    assert found.pop("direction turn") == "leak"
    assert "leak" not in found.values()
    assert report.state() == "failed"
    assert " blind" in report.verdict()
    assert any(leak.where == "cell=direction turn" for leak in report.leaks())

    report = run_probe(fair)
    assert report.leaks() == []
    assert {cell.verdict for cell in report.cells if cell.figure.twins >= 60} == {"no leak found"}


def test_twins_are_one_observation() -> None:
    items = made.composed(60)
    sheet = lay_out(items, 0)
    for name, within in sheet.cells.items():
        ways = [item.orientation for item in items if item.cell == name]
        found = sheet.figure(np.full(len(items), 0.25), within)
        assert found.twins == ways.count("forward") == ways.count("reverse")
        assert found.error >= (0.1875 / found.twins) ** 0.5 - 1e-9
    alone = lay_out([item for item in items if item.orientation == "reverse"], 0)
    assert len(set(alone.twin.tolist())) == len(alone.items)
    named = lay_out([replace(item, twin=item.id, clip="all") for item in items], 0)
    assert len(set(named.twin.tolist())) == len(items)


def test_of_thousands_of_cells_the_smallest_are_one() -> None:
    items = [two(n, ("a", "b"), f"g{n}") for n in range(200)]
    named = [replace(one, task=f"t{min(n, 150)}") for n, one in enumerate(items)]
    cells = lay_out(named, 0).cells
    assert len(cells) == 41
    assert cells["t150"].sum() == 50
    assert sum(within.sum() for within in cells.values()) == 200
    strata = dict(tried.strata_of(lay_out(named, 0)))
    assert len(strata) == 81


def test_what_is_below_chance_leaks_too() -> None:
    assert figure(0.12, twins=900).leaks(0.05, 4)
    assert not figure(0.22, twins=900).leaks(0.05, 4)


def test_the_best_reader_is_chosen_on_other_scenes() -> None:
    """The best of hundreds on the same items is above chance; chosen elsewhere it isn't."""
    items = made.composed(60)
    found = []
    for number in range(4):
        rng = random.Random(number)
        fair = made.with_letters(items, [rng.randrange(4) for _ in items])
        sheet = lay_out(fair, number)
        scores = np.random.default_rng(number).random((300, len(sheet.texts)))
        noise = tried.tried_out(sheet, "noise", "", (Strategy("", one) for one in scores))
        found.append(tried.measure(noise).overall.accuracy)
        assert noise.hits.mean(axis=1).max() > 0.3
    assert np.mean(found) < 0.29


def test_a_reader_that_is_chosen_or_learned_in_the_other_half_is_less_certain() -> None:
    """Both halves then rise and fall together: their sum varies like one half, not like two."""
    items = made.composed(60)
    sheet, rng = lay_out(items, 0), np.random.default_rng(0)
    first, second, half = rng.random((3, len(sheet.texts)))
    for strategies, coupling in (
        ([Strategy("", first)], 1),
        ([Strategy("one", first), Strategy("other", second)], 2),
        ([Strategy("", first, half)], 2),
    ):
        found = tried.tried_out(sheet, "noise", "", strategies)
        hits, _ = tried.cross_chosen(found, np.ones(len(items), bool))
        error = tried.measure(found).overall.error
        assert error**2 == pytest.approx(coupling * sheet.figure(hits).error ** 2)


def test_a_single_item_is_measured_too() -> None:
    report = run_probe([two(0, ("a", "b", "c"), "g")])
    assert report.learned.overall.chance == pytest.approx(1 / 3)
    assert report.learned.overall.accuracy == pytest.approx(1 / 3)  # nothing to learn from
    assert report.leaks() == []


def test_odd_texts_and_columns_are_measured_too() -> None:
    odd = [{"a": float("nan"), "b": True}, {"a": float("inf"), "b": "x"}, {"c": -(10**30)}, {}]
    items = [
        replace(two(n, ("", "...", "→", "😀")[: 2 + n % 3], f"g{n}", n % 2), columns=odd[n % 4])
        for n in range(40)
    ]
    report = run_probe(items)
    assert report.learned.overall.items == 40
    assert report.learned.overall.chance == pytest.approx((14 / 2 + 13 / 3 + 13 / 4) / 40)


@pytest.mark.parametrize(
    "large", [10**309, -(10**309), 10**4000], ids=["larger", "smaller", "longest"]
)
def test_columns_of_numbers_too_large_for_a_float_are_read(large: int) -> None:
    """The last of them tells the answer."""
    items = [
        replace(
            two(n, ("a", "b"), f"g{n}", n % 2), columns={"start": large + n, "mark": large + n % 2}
        )
        for n in range(400)
    ]
    figures = {name: attack_figure(items, name).overall for name in ("columns", "neighbours")}
    assert figures["columns"].accuracy == 1
    assert figures["neighbours"].items == 400


def test_ties_share_the_hit() -> None:
    sheet = lay_out([two(n, ("a", "b", "c", "d"), f"g{n}", answer=n % 4) for n in range(8)], 0)
    assert sheet.hits(np.zeros(32)).tolist() == [0.25] * 8
    first_two = (sheet.position < 2).astype(float)
    assert sheet.hits(first_two).tolist() == [0.5, 0.5, 0, 0] * 2


def test_chance_is_the_mean_over_items() -> None:
    items = [two(0, ("a", "b"), "g0"), two(1, ("a", "b", "c", "d"), "g1")]
    sheet = lay_out(items, 0)
    assert sheet.figure(sheet.hits(np.zeros(6))).chance == 0.375


def test_the_interval_counts_groups_not_items() -> None:
    """Forty copies of one item in a group count as one: they must not narrow the interval."""
    few = [two(n, ("a", "b"), f"g{n}", answer=n % 2) for n in range(20)]
    many = [replace(item, id=f"{item.id}.{k}") for item in few for k in range(40)]
    widths = []
    for items in (few, many):
        sheet = lay_out(items, 0)
        figure = sheet.figure(sheet.hits(-sheet.position.astype(float)))
        widths.append(figure.high - figure.low)
    assert widths[0] == pytest.approx(widths[1], abs=0.02)
    assert widths[0] > 0.3


@pytest.mark.parametrize(
    ("accuracy", "error", "leaks"), [(0.35, 0.01, True), (0.29, 0.001, False), (0.40, 0.1, False)]
)
def test_a_leak_is_beyond_the_limit_and_beyond_noise(
    accuracy: float, error: float, leaks: bool
) -> None:
    found = Figure(accuracy, accuracy - 0.02, accuracy + 0.02, 0.25, 1000, 500, 900, 950, error)
    assert found.leaks(0.05, 3.5) is leaks
