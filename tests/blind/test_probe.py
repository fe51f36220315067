"""The blind probe on items that leak and on squares, and how its figures are computed."""

import json
import random
from collections import defaultdict
from dataclasses import replace

import blind_items as made
import numpy as np
import pytest

from pipeline.blind.probe import ProbeReport, run_probe
from pipeline.blind.sheet import Figure, OptionTable, ProbeItem, lay_out, take


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


def test_its_control_is_at_chance_where_the_probe_finds_a_leak(leaky: ProbeReport) -> None:
    assert len(leaky.control) == 5
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


def test_few_items_are_reported_as_noisy(leaky: ProbeReport) -> None:
    few = run_probe(made.composed(12))
    assert few.learned.overall.items < 100
    assert "under 600" in few.verdict()
    points = int(few.verdict().split("(under 600), ")[1].split(" points either way are noise")[0])
    assert 5 <= points <= 25
    assert "noise" not in leaky.verdict()
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


def told(count: int, clips: int, **fields: str) -> list[ProbeItem]:
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
        replace(item, group=f"g{int(item.clip[1:]) % groups}") for item in told(400, clips=100)
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
    report = run_probe(told(60, clips))
    assert report.state() == state
    assert report.verdict().startswith("unproven: 29 clips are too few") == (clips == 29)
    assert str(report).splitlines()[-1] == report.verdict()


def test_a_fair_test_of_one_scene_is_met() -> None:
    report = run_probe([replace(item, group="kitchen") for item in made.composed(40)])
    assert "too few groups" in report.grouping
    assert report.learned.overall.groups == 1
    assert 0 < report.learned.overall.low < report.learned.overall.high < 1
    assert report.state() == "met"


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
    learned = replace(report.learned, within={}, overall=Figure(0.35, 0, 1, 0.25, 80, 40, 40, 0.01))
    report = replace(report, learned=learned)
    assert report.verdict().startswith("LEAKS: ")
    report = replace(report, limits=(0.2, 0.2))
    assert (report.state(), report.verdict()[:13]) == ("met", "no leak found")


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
    figure = Figure(accuracy, accuracy - 0.02, accuracy + 0.02, 0.25, 1000, 500, 900, error)
    assert figure.leaks(0.05, 3.5) is leaks
