"""Each structural attack catches its leak, and stays at chance without it."""

import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import replace

import blind_items as made
import pytest

from pipeline.blind.attacks import shape
from pipeline.blind.parts import inverse, pieces, self_inverse
from pipeline.blind.probe import AttackResult, attack_figure
from pipeline.blind.sheet import ProbeItem, lay_out
from pipeline.engine.rows import digest

Plant = Callable[[list[ProbeItem]], list[ProbeItem]]


@pytest.fixture(scope="module")
def clean() -> list[ProbeItem]:
    return made.composed(250)


def by_letters(draw: Callable[[int, ProbeItem], int]) -> Plant:
    """Move each answer to the letter that a public recipe draws."""

    def plant(items: list[ProbeItem]) -> list[ProbeItem]:
        return made.with_letters(items, [draw(row, item) for row, item in enumerate(items)])

    return plant


def by_stream(seed: int) -> Plant:
    def plant(items: list[ProbeItem]) -> list[ProbeItem]:
        rng = random.Random(seed)
        letters = []
        for _ in items:
            order = [0, 1, 2, 3]
            rng.shuffle(order)
            letters.append(order.index(0))
        return made.with_letters(items, letters)

    return plant


def balanced_under_a_seed(items: list[ProbeItem]) -> list[ProbeItem]:
    letters = [place % 4 for place in range(len(items))]
    random.Random(2024).shuffle(letters)
    return made.with_letters(items, letters)


def balanced_within_a_task(items: list[ProbeItem]) -> list[ProbeItem]:
    """Draw the letters of one task with a common seed, balanced within each split."""
    known: dict[int, int] = {}
    for split in sorted({item.split for item in items}):
        rows = [
            row
            for row, item in enumerate(items)
            if (item.split, item.task) == (split, "action_reverse")
        ]
        letters = [place % 4 for place in range(len(rows))]
        random.Random(25).shuffle(letters)
        known |= zip(rows, letters, strict=True)
    return made.with_letters(items, [known.get(row, item.answer) for row, item in enumerate(items)])


def by_dataset_name(_: int, item: ProbeItem) -> int:
    return int.from_bytes(hmac.digest(b"walks", item.id.encode(), "sha256")[:8], "big") % 4


def named(items: list[ProbeItem]) -> list[ProbeItem]:
    return [replace(item, columns={**item.columns, "dataset": "walks"}) for item in items]


def ids_with_answer(items: list[ProbeItem]) -> list[ProbeItem]:
    return [
        replace(item, id="i_" + digest(item.clip, item.task, item.options[item.answer]))
        for item in items
    ]


def ids_with_answer_in_sha1(items: list[ProbeItem]) -> list[ProbeItem]:
    found = []
    for item in items:
        text = f"{item.question}|{item.options[item.answer]}"
        found.append(replace(item, id=hashlib.sha1(text.encode()).hexdigest()[:12]))
    return found


def among_sorted(items: list[ProbeItem]) -> list[ProbeItem]:
    """Sort the distractors and insert the answer at a random position."""
    rng = random.Random(1)
    tidy = []
    for item in items:
        rest = sorted(text for text in item.options if text != item.options[item.answer])
        at = rng.randrange(4)
        options = (*rest[:at], item.options[item.answer], *rest[at:])
        tidy.append(replace(item, options=options, answer=at))
    return tidy


def two_columns(items: list[ProbeItem]) -> list[ProbeItem]:
    """Add two columns that only together determine the letter."""
    rng = random.Random(2)
    found = []
    for item in items:
        one = rng.randrange(4)
        other = (item.answer - one) % 4
        found.append(replace(item, columns={"batch": f"b{one}", "rig": f"r{other}"}))
    return found


MADE = {
    "single edits": ("centrality", made.single_edits, 0.6),
    "sets grouped apart": ("intersection", made.sets_grouped_apart, 0.6),
    "only self-inverse": ("missing siblings", made.reverse_of_self_inverse_rejected, 0.33),
    "true side printed": ("disclosure", made.true_side_printed, 0.6),
    "names in a script": ("name order", made.names_follow_a_script, 0.9),
    "turn counts published": ("columns", made.turn_counts_published, 0.9),
    "sides in turn": ("shape", made.sides_in_turn, 0.99),
    "shown in the scene": ("scene", made.shown_elsewhere, 0.9),
    "usual statements": ("majority", made.usual_statements, 0.5),
    "exact tallies": ("majority", made.tallies_balanced, 0.9),
    "a chain of orders": ("transitivity", made.chained, 0.5),
    "a corridor walked either way": ("direction", made.corridor, 0.42),
    "a corridor, by all experts": ("combined", made.corridor, 0.42),
}
PLANTS: dict[str, tuple[str, Plant, float]] = {
    "letters in turn": ("letters", by_letters(lambda row, _: row % 4), 0.95),
    "the next letter": ("letters", by_letters(lambda row, _: row // 3 % 4), 0.6),
    "letters in a cycle of seven": (
        "letters",
        by_letters(lambda row, _: max(0, row % 7 - 3)),
        0.95,
    ),
    "among sorted distractors": ("letters", among_sorted, 0.45),
    "two columns": ("columns", two_columns, 0.95),
    "shuffled, seed 42": ("replay", by_stream(42), 0.99),
    "balanced, seed 2024": ("replay", balanced_under_a_seed, 0.99),
    "HMAC under the name": (
        "replay",
        lambda items: by_letters(by_dataset_name)(named(items)),
        0.99,
    ),
    "last digit of the id": (
        "replay",
        by_letters(lambda _, item: int(item.id.split("_")[1], 16) % 4),
        0.99,
    ),
    "id digests the answer": ("replay", ids_with_answer, 0.99),
    "id digests the answer in SHA-1": ("replay", ids_with_answer_in_sha1, 0.99),
}


def spoken(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def dated(days: int) -> str:
    return f"{days % 28 + 1} {('March', 'May', 'October')[days // 28 % 3]} {2000 + days // 84}"


def in_words(number: int) -> str:
    return ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")[number // 100 + 1]


@pytest.mark.parametrize(
    ("name", "written", "place"),
    [
        ("smallest number or date", str, 0),
        ("second smallest number or date", "about {} cm".format, 1),
        ("second largest number or date", "{:,}.5 m".format, -2),
        ("largest number or date", spoken, -1),
        ("third smallest number or date", "{} steps".format, 2),
        ("smallest number or date", dated, 0),
        ("largest number or date", in_words, -1),
    ],
)
def test_answers_by_the_size_of_numbers_are_found(
    name: str, written: Callable[[int], str], place: int
) -> None:
    rng = random.Random(8)
    items = []
    for number in range(200):
        values = (
            sorted(rng.sample(range(0, 700, 100), 4))
            if written is in_words
            else sorted(rng.sample(range(2000), 4))
        )
        truth = values.pop(place)
        items.append(made.placed(number, written(truth), [written(one) for one in values], rng))
    table = lay_out(items, 0)
    right = {one.name: table.hits(one.scores).mean() for one in shape(table)}
    assert right[name] == 1


@pytest.mark.parametrize("name", MADE)
def test_a_synthetic_leak_is_caught(name: str) -> None:
    attack, make, least = MADE[name]
    assert attack_figure(make(), attack).overall.accuracy > least


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_leak_is_caught(clean: list[ProbeItem], name: str) -> None:
    attack, plant, least = PLANTS[name]
    assert attack_figure(plant(clean), attack).overall.accuracy > least


@pytest.mark.parametrize(
    "attack", sorted({attack for attack, *_ in (*MADE.values(), *PLANTS.values())})
)
def test_items_without_a_leak_stay_at_chance(clean: list[ProbeItem], attack: str) -> None:
    figure = attack_figure(clean, attack).overall
    # 700 twins: three standard errors are 5 points.
    assert figure.items > 1000
    assert figure.accuracy < 0.33


def test_a_leak_in_a_single_task_shows_there(clean: list[ProbeItem]) -> None:
    moved = by_letters(lambda row, item: row % 4 if item.task != "action_reverse" else 0)(clean)
    figures = attack_figure(moved, "letters").within
    assert figures["task=action_reverse"].accuracy > 0.95


def test_a_replayed_draw_in_one_task_shows_there(clean: list[ProbeItem]) -> None:
    figures = attack_figure(balanced_within_a_task(clean), "replay").within
    assert figures["task=action_reverse"].accuracy > 0.99
    assert figures["task=action_forward"].accuracy < 0.4


def test_the_strategy_is_chosen_on_the_other_half(clean: list[ProbeItem]) -> None:
    """With 24 items and hundreds of strategies the luckiest is far above chance; this figure isn't."""
    figures = [attack_figure(clean[at : at + 24], "columns") for at in range(0, 480, 24)]
    assert min(one.tried for one in figures) > 100
    mean = sum(one.overall.accuracy for one in figures) / len(figures)
    assert mean < 0.31


def test_joint_assignment_adds_to_the_intersection() -> None:
    items = made.sets_grouped_apart()
    found: AttackResult = attack_figure(items, "intersection")
    assert found.tried > 5
    assert "sibling" in found.how or "shared out" in found.how


def test_foreign_items_may_repeat_an_option_and_crowd_one_clip() -> None:
    """Numpy's warnings about divisions by zero are errors here."""
    rng = random.Random(3)
    pairs = [("turn left", ["turn right", "turn right"]), ("turn right", ["turn left", "straight"])]
    items = [
        replace(made.placed(number, *pairs[number % 2], rng), clip="all of them")
        for number in range(200)
    ]
    figure = attack_figure(items, "intersection").overall
    assert figure.items == 200
    assert 0 <= figure.accuracy <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("turn left -> turn right", ("turn left", "turn right")),
        ("Turn left, then turn right.", ("turn left", "turn right")),
        ("past the 2.5 m sign; go on", ("past the 2.5 m sign", "go on")),
    ],
)
def test_parts_of_an_option(text: str, expected: tuple[str, ...]) -> None:
    assert pieces(text) == expected


def test_the_inverse_runs_backwards_with_sides_swapped() -> None:
    assert inverse("turn left -> turn left -> turn around") == (
        "turn around",
        "turn right",
        "turn right",
    )
    assert self_inverse("turn left -> turn right")
    assert not self_inverse("turn left -> turn left")
