"""The figures of an evaluation, on small cases computed by hand and on scripted models."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import scripted_answers as scripted
from scripted_answers import fact, predicted, question

from pipeline.errors import UserError
from pipeline.evaluate.cells import ALL, LEAST_WITHHELD
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import Metrics, summarise
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored


def metrics(questions: Sequence[Question], given: Iterable[Prediction], **more: int) -> Metrics:
    return summarise(questions, scored(questions, given), **more)


def value(figure: Figure) -> Any:
    return None if figure.value is None else pytest.approx(figure.value)


def whole(parts: Any) -> Figure:
    found: Figure = parts[ALL][ALL]
    return found


def test_failed_requests_are_missing_and_all_else_counts() -> None:
    questions = [question(f"i_{number}") for number in range(5)]
    outcomes = ("refused", "truncated", "failed")
    arm = metrics(
        questions,
        [
            predicted("i_0", "A"),
            predicted("i_1", None),
            *(predicted(f"i_{2 + n}", None, outcome=one) for n, one in enumerate(outcomes)),
        ],
    ).arms["frames"]
    assert whole(arm.accuracy).value == 1 / 4
    assert whole(arm.accuracy).items == 4
    assert whole(arm.readable).value == 1
    assert whole(arm.facts).value == 2 / 8
    assert arm.outcomes == dict.fromkeys(("right", "unreadable", *outcomes), 1)
    assert arm.coverage == 4 / 5
    assert arm.bounds == (pytest.approx(1 / 5), pytest.approx(2 / 5))


def test_items_without_a_prediction_are_missing_in_the_main_arm_alone() -> None:
    questions = [question("i_0"), question("i_1")]
    found = metrics(questions, [predicted("i_0", "A"), predicted("i_0", "A", arm="one")])
    assert (found.arms["frames"].missing, found.arms["frames"].coverage) == (1, 0.5)
    assert found.arms["frames"].bounds == (0.5, 1.0)
    assert (found.arms["one"].missing, found.arms["one"].coverage) == (0, 1.0)
    assert found.coverage == 0.5


def test_repeats_are_one_observation() -> None:
    questions = [question("i_0"), question("i_1")]
    given = [
        predicted(name, letter, repeat=repeat)
        for name, letters in (("i_0", "AABB"), ("i_1", "AAAA"))
        for repeat, letter in enumerate(letters)
    ]
    arm = metrics(questions, given).arms["frames"]
    assert whole(arm.accuracy).value == 0.75
    assert whole(arm.accuracy).items == 2
    assert arm.runs == (1.0, 1.0, 0.5, 0.5)
    assert arm.between_runs == pytest.approx(np.std([1, 1, 0.5, 0.5], ddof=1))


def test_repeats_may_have_any_numbers() -> None:
    questions = [question("i_0", twin="t"), question("i_1", twin="t")]
    given = [
        predicted(one.id, "A", repeat=repeat) for one in questions for repeat in (-3, 7, 10**12)
    ]
    found = metrics(questions, [*given, predicted("i_0", "A", repeat=5, arm="blind")])
    assert whole(found.arms["frames"].pairs).value == 1
    assert found.arms["frames"].runs == (1.0, 1.0, 1.0)
    assert found.agreement[0].same.value == 1


def test_facts_and_errors_come_from_the_values_of_the_options() -> None:
    # The answer is A (left, right); B has the first side wrong, C the second, D both.
    questions = [question(f"i_{letter}") for letter in "ABCD"]
    arm = metrics(questions, [predicted(f"i_{letter}", letter) for letter in "ABCD"]).arms["frames"]
    assert whole(arm.accuracy).value == whole(arm.both_facts).value == 1 / 4
    assert whole(arm.facts).value == 4 / 8
    assert arm.facts["fact"]["turn"].items == 8
    assert arm.errors is not None
    assert whole(arm.errors.mirror).value == 1 / 4
    assert arm.errors.mirror_of_wrong.value == pytest.approx(1 / 3)
    assert whole(arm.errors.order).value is None  # none of them asks about an order


def test_a_mixed_item_tells_mirror_errors_from_order_errors() -> None:
    facts = (fact("turn:1", "left left right right"), fact("landmark:a|b", "first second " * 2))
    questions = [question(f"i_{n}", facts=facts, contrast="mixed") for n in range(4)]
    answers = [predicted(f"i_{n}", letter) for n, letter in enumerate("ABCD")]
    errors = metrics(questions, answers).arms["frames"].errors
    assert errors is not None
    assert (whole(errors.mirror).value, whole(errors.order).value) == (1 / 4, 1 / 4)
    kinds = metrics(questions, answers).arms["frames"].facts["fact"]
    assert {name: figure.value for name, figure in kinds.items()} == {"turn": 0.5, "landmark": 0.5}


def test_a_pair_counts_if_both_twins_are_right() -> None:
    questions = [
        question(f"i_{twin}{way}", twin=f"t_{twin}", orientation=way, task=f"direction_{way}")
        for twin in range(4)
        for way in ("forward", "reverse")
    ]
    wrong = {"i_1reverse", "i_2forward", "i_2reverse"}
    failed = {"i_3forward"}
    given = [
        predicted(one.id, None, outcome="failed")
        if one.id in failed
        else predicted(one.id, "D" if one.id in wrong else "A")
        for one in questions
    ]
    arm = metrics(questions, given).arms["frames"]
    assert (whole(arm.pairs).value, whole(arm.pairs).items) == (pytest.approx(1 / 3), 3)
    assert arm.pairs["category"]["direction"].items == 3
    assert "task" not in arm.pairs  # a forward and a reverse item are not of one task


def test_pairs_of_repeats_are_of_the_same_repeat() -> None:
    questions = [question("i_0", twin="t"), question("i_1", twin="t")]
    given = [
        predicted(name, letter, repeat=repeat)
        for name, letters in (("i_0", "AD"), ("i_1", "DA"))
        for repeat, letter in enumerate(letters)
    ]
    assert whole(metrics(questions, given).arms["frames"].pairs).value == 0


def test_every_mean_over_tasks_has_its_parts() -> None:
    questions = [
        question(f"i_{n}", task=task, category=category, turns=turns, seconds=seconds)
        for n, (task, category, turns, seconds) in enumerate(
            (("x_forward", "x", 0, 9.9), ("x_reverse", "x", 2, 10), ("y", "y", 9, 75))
        )
    ]
    given = [predicted(one.id, "A" if one.category == "x" else "B") for one in questions]
    parts = metrics(questions, given).arms["frames"].accuracy
    shown = {
        name: {cell: one.value for cell, one in cells.items()} for name, cells in parts.items()
    }
    assert shown == {
        "all": {"all": pytest.approx(2 / 3)},
        "task": {"x_forward": 1, "x_reverse": 1, "y": 0},
        "category": {"x": 1, "y": 0},
        "orientation": {"forward": pytest.approx(2 / 3)},
        "contrast": {"turn": pytest.approx(2 / 3)},
        "split": {"test": pytest.approx(2 / 3)},
        "turns": {"0 turns": 1, "2 turns": 1, "6+ turns": 0},
        "span": {"0 to 10 s": 1, "10 to 20 s": 1, "60+ s": 0},
    }
    assert list(parts["turns"]) == ["0 turns", "2 turns", "6+ turns"]


def test_a_preferred_letter_is_found() -> None:
    questions = [
        question(f"i_{n}", answer="ABCD"[n % 4], split_group=f"g_{n // 20}") for n in range(400)
    ]
    given = [predicted(one.id, "B" if n % 2 else one.answer) for n, one in enumerate(questions)]
    letters = metrics(questions, given).arms["frames"].letters
    assert letters is not None
    assert letters.answers == dict.fromkeys("ABCD", 100)
    assert letters.answered["B"] == 200
    assert letters.excess["B"].low is not None
    assert letters.excess["B"].low > 0.1
    assert letters.p is not None
    assert letters.p < 1e-6


def test_an_arm_is_compared_item_by_item() -> None:
    questions = [question(f"i_{n}", split_group=f"g_{n}") for n in range(12)]
    seen = [predicted(one.id, "A") for one in questions]
    blind = [
        predicted(one.id, "A" if n % 4 == 0 else "B", arm="blind")
        for n, one in enumerate(questions[:8])
    ]
    found = metrics(questions, [*seen, *blind])
    (gain,) = found.gains
    assert (gain.arm, gain.over) == ("frames", "blind")
    assert whole(gain.parts).value == 0.75
    assert whole(gain.parts).items == 8
    assert "task" in gain.parts
    (same,) = found.agreement
    assert (same.same.value, same.same.items) == (0.25, 8)


def test_fewer_frames_are_compared_in_order_of_their_number() -> None:
    questions = [question("i_0")]
    arms = ("frames", "frames-16", "frames-4", "frames-8")
    gains = metrics(questions, [predicted("i_0", "A", arm=arm) for arm in arms]).gains
    assert [gain.over for gain in gains] == ["frames-4", "frames-8", "frames-16"]


def two_of_three(name: str, **fields: Any) -> Question:
    """An item about the first and the third of three turns: reversing the frames swaps its facts."""
    return question(
        name,
        facts=(
            fact("turn:1", "left right left right", rewound="turn:3=right"),
            fact("turn:3", "left left right right", rewound="turn:1=right"),
        ),
        **fields,
    )


def first_of_three(name: str) -> Question:
    """An item about the first two of three turns: reversed frames show them as second and third."""
    return question(
        name,
        facts=(
            fact("turn:1", "left right left right", rewound="turn:3=right"),
            fact("turn:2", "left left right right", rewound="turn:2=right"),
        ),
    )


def test_the_maps_name_the_option_that_is_true_of_reversed_frames() -> None:
    assert two_of_three("i").option_true_of("rewound") == 3
    assert first_of_three("i").option_true_of("rewound") is None
    assert (
        question("i").option_true_of("rewound") == 0
    )  # left, then right: so are the reversed frames
    assert question("i", facts=()).option_true_of("rewound") is None


@pytest.mark.parametrize(("seeing", "gain"), [(True, 1.0), (False, 0.0)])
def test_reversed_frames_tell_a_seeing_model_from_a_blind_one(seeing: bool, gain: float) -> None:
    questions = [two_of_three(f"i_{n}", split_group=f"g_{n % 12}") for n in range(48)]
    questions += [question("i_same"), first_of_three("i_left_out")]
    frames = [
        predicted(one.id, "A" if seeing else "ABCD"[n % 4]) for n, one in enumerate(questions)
    ]
    back = [
        predicted(
            one.id,
            ("A" if one.id == "i_same" else "D") if seeing else "ABCD"[n % 4],
            arm="reversed",
        )
        for n, one in enumerate(questions)
    ]
    found = metrics(questions, [*frames, *back]).reversed
    assert found is not None
    assert (found.unchanged, found.left_out) == (1, 1)
    assert whole(found.follows).items == 48
    assert whole(found.follows).value == (1 if seeing else 0.25)
    assert whole(found.keeps).value == (0 if seeing else 0.25)
    assert found.gain.value == gain
    assert found.gain.low is not None
    assert (found.gain.low > 0.5) is seeing


def test_what_is_right_of_reversed_frames_is_what_they_show() -> None:
    questions = [two_of_three("i_0"), two_of_three("i_1"), first_of_three("i_2")]
    given = [
        predicted(one.id, letter, arm="reversed")
        for one, letter in zip(questions, "DAD", strict=True)
    ]
    arm = metrics(questions, given).arms["reversed"]
    assert (whole(arm.accuracy).value, whole(arm.accuracy).items) == (0.5, 2)
    assert whole(arm.facts).value == 0.5
    assert arm.letters is not None
    assert arm.letters.answers["D"] == 2


def test_blank_frames_tell_a_seeing_model_from_a_blind_one() -> None:
    rng = np.random.default_rng(0)
    questions = [question(f"i_{n}", split_group=f"g_{n % 30}") for n in range(600)]

    def gain(seen: float) -> Figure:
        def letters(share: float, arm: str) -> list[Prediction]:
            known = rng.random(600) < share
            guessed = rng.integers(0, 4, 600)
            return [
                predicted(one.id, "A" if known[n] else "ABCD"[guessed[n]], arm=arm)
                for n, one in enumerate(questions)
            ]

        found = metrics(questions, [*letters(seen, "frames"), *letters(0, "blank")]).gains
        return whole(found[0].parts)

    assert gain(0.6).low is not None
    assert gain(0.6).low > 0.2  # type: ignore[operator]
    blind = gain(0)
    assert blind.low is not None
    assert blind.high is not None
    assert blind.low < 0 < blind.high


def test_all_four_rotations_must_be_right() -> None:
    questions = [question("i_0"), question("i_1")]
    arms = ("frames", "rotate-1", "rotate-2", "rotate-3")
    given = [predicted(one.id, "A", arm=arm) for one in questions for arm in arms]
    given[-1] = predicted("i_1", "B", arm="rotate-3")
    assert whole(metrics(questions, given).all_rotations).value == 0.5
    assert metrics(questions, given[:3]).all_rotations == {}


WORDS = tuple(
    {side: frozenset({f"{nth} turn {side}"}) for side in ("left", "right")}
    for nth in ("first", "second")
)


@pytest.mark.parametrize(
    ("reply", "stated", "agrees"),
    [
        ("The first turn is to the left.\n<answer>A</answer>", 1, 1.0),
        ("The FIRST turn\nright, then a door.\n<answer>A</answer>", 1, 0.0),
        ("First turn left or first turn right? Left.\n<answer>A</answer>", 0, None),
        ("The first turn is not left.\n<answer>A</answer>", 0, None),
        ("<answer>A</answer> first turn left", 0, None),
        ("A. first turn left; second turn right", 0, None),
    ],
)  # fmt: skip
def test_stated_reasoning_is_compared_with_the_answer(
    reply: str, stated: int, agrees: float | None
) -> None:
    questions = [question("i", words=WORDS)]
    found = metrics(questions, [predicted("i", "A", reply=reply)]).arms["frames"].reasons
    assert found is not None
    assert found.stated.value == stated / 2
    assert (found.agrees.value, found.true.value) == (agrees, agrees)


def test_reasoning_in_a_field_of_its_own_counts() -> None:
    given = predicted("i", "D", reply="D", reasoning="So the second turn goes left.")
    found = metrics([question("i", words=WORDS)], [given]).arms["frames"].reasons
    assert found is not None
    assert (found.stated.value, found.agrees.value, found.true.value) == (0.5, 1, 0)


def test_a_release_without_facts_has_no_figures_of_facts_and_says_so() -> None:
    questions = [question("i", facts=(), twin=None, turns=None)]
    found = metrics(questions, [predicted("i", "A"), predicted("i", "B", arm="reversed")])
    arm = found.arms["frames"]
    assert whole(arm.accuracy).value == 1
    assert whole(arm.facts).value is whole(arm.pairs).value is None
    assert arm.errors is found.reversed is None
    assert "turns" not in arm.accuracy
    assert any("without facts" in note for note in found.notes)


# ---- withheld splits ---------------------------------------------------------------------------------


def withheld(counts: dict[str, int]) -> Metrics:
    questions = [
        question(f"i_{task}{n}", task=task, split_group=f"g_{n % 12}")
        for task, count in counts.items()
        for n in range(count)
    ]
    return metrics(questions, [predicted(one.id, "A") for one in questions], least=LEAST_WITHHELD)


def test_withheld_figures_are_of_thirty_items_at_least() -> None:
    assert whole(withheld({"x": 30}).arms["frames"].accuracy).value == 1
    arm = withheld({"x": 29}).arms["frames"]
    assert whole(arm.accuracy).value is None
    assert arm.bounds is arm.letters is None
    assert (arm.outcomes, arm.runs) == ({}, ())


def test_what_is_hidden_can_not_be_computed_from_the_rest() -> None:
    # 100 items less 60 and 32 shown would leave the 8 of the third task.
    tasks = withheld({"x": 60, "y": 32, "z": 8}).arms["frames"].accuracy["task"]
    assert {name: one.value for name, one in tasks.items()} == {"x": 1, "y": None, "z": None}
    tasks = withheld({"x": 60, "y": 29, "z": 8}).arms["frames"].accuracy["task"]
    assert {name: one.value for name, one in tasks.items()} == {"x": 1, "y": None, "z": None}


# ---- what can't be scored ----------------------------------------------------------------------------


def test_what_can_not_be_scored_is_an_error() -> None:
    questions = [question("i"), question("i_withheld", answer=None)]
    for given, message in (
        ([predicted("j", "A")], "j: is no multiple-choice item"),
        ([predicted("i", "A"), predicted("i", "B")], "i: has two predictions in arm frames"),
        ([predicted("i_withheld", "A")], "i_withheld: has no answer"),
    ):
        with pytest.raises(UserError, match=message):
            scored(questions, given)


def test_a_failed_request_says_nothing_of_facts() -> None:
    (found,) = scored([question("i")], [predicted("i", None, outcome="failed")])
    assert (found.outcome, found.letter, found.facts_right) == ("failed", None, None)


@pytest.mark.parametrize("letter", ["E", "a", "AB", ""])
def test_a_letter_that_no_option_has_is_unreadable(letter: str) -> None:
    (found,) = scored([question("i")], [predicted("i", letter, outcome="answered")])
    assert (found.outcome, found.letter, found.facts_right) == ("unreadable", None, (False, False))


# ---- scripted models ---------------------------------------------------------------------------------


def test_the_metrics_of_a_scripted_model_are_its_known_accuracies() -> None:
    rng = np.random.default_rng(0)
    sets = scripted.answered(rng, 1, 40, 150)
    questions, predictions = scripted.as_rows(sets, 0)
    arm = metrics(questions, predictions).arms["frames"]
    right = (sets.chosen == sets.answer)[sets.real]
    assert whole(arm.accuracy).value == pytest.approx(float(right.mean()))
    for kind, contrast in enumerate(scripted.CONTRASTS):
        figure = arm.accuracy["contrast"][contrast]
        assert figure.low is not None
        assert figure.low <= scripted.true_accuracy(kind) <= figure.high  # type: ignore[operator]
    for name, figure in arm.facts["fact"].items():
        assert figure.value == pytest.approx(scripted.true_fact_accuracy(name), abs=0.02)
    share = {name: count / len(questions) for name, count in arm.outcomes.items()}
    assert share["unreadable"] == pytest.approx(scripted.UNREADABLE, abs=0.01)
    assert share["refused"] == pytest.approx(scripted.REFUSED, abs=0.01)
    assert arm.letters is not None
    assert arm.letters.excess["A"].low is not None
    assert arm.letters.excess["A"].low > 0


def test_everything_can_be_written_as_json() -> None:
    import json

    questions = [two_of_three(f"i_{n}", twin=f"t_{n // 2}", words=WORDS) for n in range(24)]
    arms = ("frames", "blind", "reversed", "rotate-1", "rotate-2", "rotate-3")
    given = [predicted(one.id, "A", arm=arm) for one in questions for arm in arms]
    text = json.dumps(metrics(questions, given).to_json(), allow_nan=False)
    assert json.loads(text)["arms"]["frames"]["accuracy"]["all"]["all"]["value"] == 1


def test_no_predictions_give_no_figures() -> None:
    found = metrics([question("i")], [])
    assert (found.arms, found.coverage) == ({}, 0.0)
    assert metrics([], []).items == 0
