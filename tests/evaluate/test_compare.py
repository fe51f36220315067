"""Two models on the same items: what is compared, what is refused, what withheld splits show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scripted_answers import answered, as_rows, predicted, question
from small_release import release, small_space

from pipeline.errors import UserError
from pipeline.evaluate.compare import check_comparable, compare
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.scoring import scored
from pipeline.releases.reading import open_release

NAMES = ("small", "large")


def test_two_models_are_compared_item_by_item() -> None:
    questions = [question(f"i_{n:02}", split_group=f"g_{n % 12}") for n in range(24)]
    one = [predicted(item.id, "A" if n < 18 else "B") for n, item in enumerate(questions)]
    other = [predicted(item.id, "A" if n >= 15 else "C") for n, item in enumerate(questions)]
    other[0] = predicted("i_00", None, outcome="failed")
    other[1] = predicted("i_01", None)
    found = compare(questions, scored(questions, one), scored(questions, other), NAMES)
    figure = found.parts["all"]["all"]
    assert (found.wins, found.losses) == (14, 6)
    assert figure.items == 23  # the failed one is missing for both
    assert figure.value == pytest.approx(8 / 23)
    assert figure.low is not None
    assert found.p == pytest.approx(0.1153, abs=1e-4)  # 2 * P(at most 6 of 20)
    assert len(found.items) == 20
    assert (found.items[0].id, found.items[0].better, found.items[0].letters) == (
        "i_01",
        "small",
        ("A", None),
    )
    assert found.items[-1].better == "large"
    assert found.parts["task"]["direction_forward"].items == 23


def test_paired_differences_are_narrower_than_independent_ones() -> None:
    sets = answered(np.random.default_rng(0), 1, 40, 20)
    questions, one = as_rows(sets, 0)
    other = [row if n % 10 else predicted(row.id, "A") for n, row in enumerate(one)]
    found = compare(questions, scored(questions, one), scored(questions, other), NAMES)
    paired = found.parts["all"]["all"]
    assert paired.low is not None
    assert paired.high is not None
    assert paired.high - paired.low < 0.06
    assert paired.value is not None
    assert paired.low <= paired.value <= paired.high


def test_only_one_arm_is_compared() -> None:
    questions = [question("i")]
    one = scored(questions, [predicted("i", "A"), predicted("i", "B", arm="blind")])
    other = scored(questions, [predicted("i", "A")])
    assert compare(questions, one, other, NAMES).parts["all"]["all"].value == 0
    with pytest.raises(UserError, match="large: has no predictions in arm blind"):
        compare(questions, one, other, NAMES, arm="blind")


def test_results_of_other_releases_or_prompts_are_refused_unless_told() -> None:
    one = {"release": "a" * 64, "prompt": "ours 1"}
    other = {"release": "a" * 64, "prompt": "direct 1"}
    assert check_comparable(one, dict(one)) == []
    with pytest.raises(UserError, match="prompt: ours 1 and direct 1"):
        check_comparable(one, other)
    assert check_comparable(one, other, anyway=True) == ["prompt: ours 1 and direct 1"]
    with pytest.raises(UserError, match=r"release: a+… and b+…"):
        check_comparable(one, {**one, "release": "b" * 64})
    with pytest.raises(UserError, match="frames"):
        check_comparable(one, {**one, "frames": 8})


def test_withheld_items_are_never_named() -> None:
    questions = [question(f"i_{n}", split_group=f"g_{n % 12}") for n in range(40)]
    one = scored(questions, [predicted(item.id, "A") for item in questions])
    other = scored(questions, [predicted(item.id, "B") for item in questions])
    found = compare(questions, one, other, NAMES, least=30)
    assert (found.parts["all"]["all"].value, found.items, found.wins) == (1, (), 40)
    few = questions[:29]
    found = compare(few, one[:29], other[:29], NAMES, least=30)
    assert (found.parts["all"]["all"].value, found.wins, found.p) == (None, None, None)


def test_a_withheld_release_has_questions_and_nothing_else(tmp_path: Path) -> None:
    with small_space(tmp_path / "w", 8) as space:
        made = release(space, withhold=["test"])
        found = open_release(made.folder)
        questions, evidence = questions_of(found)
        hidden = [one for one in questions if one.split == "test"]
        assert hidden
        for one in hidden:
            assert one.answer is one.twin is one.turns is None
            assert one.facts == one.words == ()
            assert one.id not in evidence
        known, evidence = questions_of(found, made.sealed)
    assert [replace(one, answer=None) for one in known] != known
    assert all(one.answer and one.facts and one.id in evidence for one in known)
    assert [one.id for one in known] == [one.id for one in questions]
