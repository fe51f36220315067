"""Readers of scenes, sequences, names and versions catch what is planted for them, and nothing in fair items."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import blind_items as made
import numpy as np
import pytest

from pipeline.blind.attacks import ATTACKS
from pipeline.blind.context import context
from pipeline.blind.names import tokens
from pipeline.blind.null import spreads
from pipeline.blind.probe import attack_figure, run_probe
from pipeline.blind.sequences import named_sequences
from pipeline.blind.sheet import ProbeItem, lay_out
from pipeline.blind.tallies import counted, usual
from pipeline.blind.versions import paired, versions
from pipeline.cli.console import exit_code
from pipeline.cli.main import cli

NAMES = [f"door {letter}" for letter in "abcdefghijklmnopqrst"]


def items_of(
    make: Callable[[random.Random, int], tuple[str, Sequence[str], dict[str, object]]],
    count: int = 500,
) -> list[ProbeItem]:
    rng = random.Random(21)
    found = []
    for number in range(count):
        truth, wrong, fields = make(rng, number)
        found.append(made.placed(number, truth, wrong, rng, **fields))
    return found


def shuffles(rng: random.Random, names: Sequence[str], count: int = 3) -> list[str]:
    """Return other orders of these names, as options."""
    found: set[str] = set()
    while len(found) < count:
        order = rng.sample(names, len(names))
        if order != list(names):
            found.add(" -> ".join(order))
    return sorted(found)


def statements_of_a_scene(
    rng: random.Random, number: int
) -> tuple[str, list[str], dict[str, object]]:
    """Say what is true of a house in all its items; what is false differs from item to item."""
    house = random.Random(f"house {number // 10}")
    own = [house.choice(made._PLACES) for _ in range(6)]
    at = rng.sample(range(6), 2)
    options = [[f"room {place} has a {own[place]}" for place in at]]
    while len(options) < 4:
        other = [f"room {place} has a {rng.choice(made._PLACES)}" for place in at]
        options += [other] if other not in options else []
    truth, *wrong = ("; ".join(one) for one in options)
    return truth, wrong, {"group": f"house{number // 10}"}


def corridor(rng: random.Random, number: int) -> tuple[str, list[str], dict[str, object]]:
    at = sorted(rng.sample(range(len(NAMES)), 4))
    names = [NAMES[place] for place in at][:: rng.choice((1, -1))]
    return " -> ".join(names), shuffles(rng, names), {}


def turns(
    truth: Callable[[random.Random], list[str]],
) -> Callable[..., tuple[str, list[str], dict[str, object]]]:
    """Return a maker of sequences of sides, whose distractors are random walks of the same length."""

    def make(rng: random.Random, _: int) -> tuple[str, list[str], dict[str, object]]:
        true = truth(rng)
        wrong: set[str] = set()
        while len(wrong) < 3:
            wrong.add(made.as_text(made.walk(rng, len(true))))
            wrong.discard(made.as_text(true))
        return made.as_text(true), sorted(wrong), {}

    return make


def closed(rng: random.Random) -> list[str]:
    side = rng.choice(("left", "right"))
    moves = [side] * 5 + made.back([side])
    return rng.sample(moves, 6)


def there_and_back(rng: random.Random) -> list[str]:
    half = made.walk(rng, 3)
    return half + made.back(half)


def mostly_alternating(rng: random.Random) -> list[str]:
    moves = made.walk(rng, 1)
    while len(moves) < 6:
        moves.append(made.back(moves[-1:])[0] if rng.random() < 0.85 else moves[-1])
    return moves


def in_twos(rng: random.Random) -> list[str]:
    side = rng.choice(("left", "right"))
    return [side] * 2 + made.back([side] * 2) + [side] * 2


def right_before_the_end(rng: random.Random) -> list[str]:
    return [*made.walk(rng, 4), "right", "right"]


def named_file(
    spelled: Callable[[str, str, int], str], column: str
) -> Callable[..., tuple[str, list[str], dict[str, object]]]:
    def make(rng: random.Random, number: int) -> tuple[str, list[str], dict[str, object]]:
        names = rng.sample(made._PLACES, 4)
        text = spelled(names[0].split()[-1], names[3].split()[-1], number)
        fields: dict[str, object] = (
            {"columns": {column: text}} if column != "clip" else {"clip": text}
        )
        if number % 2:
            names = names[::-1]
            fields |= {"orientation": "reverse", "task": "landmark_reverse"}
        else:
            fields |= {"orientation": "forward", "task": "landmark_forward"}
        return " -> ".join(names), shuffles(rng, names), fields

    return make


def balanced_exactly(count: int = 600) -> list[ProbeItem]:
    """Return pairs of sides of which each is true as often as its opposite, to one."""
    rng = random.Random(31)
    truths = [sides for sides in range(4) for _ in range(count // 4)]
    rng.shuffle(truths)
    found = []
    for number, true in enumerate(truths):
        place = number % 12
        sides = ("left", "right")
        options = [
            f"turn {place}a {one}; turn {place}b {other}" for one in sides for other in sides
        ]
        found.append((place, true, options))
    # Balanced within each place: the truths of a place are a shuffled list of equal numbers.
    for place in range(12):
        own = [at for at, one in enumerate(found) if one[0] == place]
        equal = [at % 4 for at in range(len(own))]
        rng.shuffle(equal)
        for at, true in zip(own, equal, strict=True):
            found[at] = (place, true, found[at][2])
    return [
        made.placed(n, options[true], [o for o in options if o != options[true]], rng)
        for n, (_, true, options) in enumerate(found)
    ]


def sensible(*scripts: Sequence[str]) -> Callable[..., tuple[str, list[str], dict[str, object]]]:
    """Return a maker of scripts, each time in other words: nothing can be learned from other items."""

    def make(rng: random.Random, number: int) -> tuple[str, list[str], dict[str, object]]:
        things = [
            f"{rng.choice('bcdfgklm')}{rng.choice('aeiou')}{number}{letter}" for letter in "wxyz"
        ]
        script = rng.choice(scripts)
        names = [f"{word} {thing}" for word, thing in zip(script, things, strict=True)]
        way = ("forward", "reverse")[number % 2]
        names = names[::-1] if number % 2 else names
        return (
            " -> ".join(names),
            shuffles(rng, names),
            {"orientation": way, "task": f"action_{way}"},
        )

    return make


def deeds() -> list[ProbeItem]:
    return items_of(
        sensible(("open", "take", "pour", "close"), ("unlock", "enter", "sit", "leave"))
    )


def places() -> list[ProbeItem]:
    return items_of(
        sensible(("street", "gate", "hall", "desk"), ("road", "garden", "entrance", "bedroom"))
    )


def walked_again(rng: random.Random, number: int) -> tuple[str, list[str], dict[str, object]]:
    """Give all clips of a house the same answer; all options occur equally often everywhere."""
    options = [
        made.as_text(moves)
        for moves in (["left"] * 4, ["right"] * 4, ["left", "right"] * 2, ["right", "left"] * 2)
    ]
    true = random.Random(f"house {number // 5}").randrange(4)
    return (
        options[true],
        [o for o in options if o != options[true]],
        {"group": f"house{number // 5}"},
    )


def cut_in_spans(count: int = 400) -> list[ProbeItem]:
    """Return spans of walks in the order of the rows: names of one span come before those of the next."""
    rng = random.Random(41)
    found = []
    for number in range(count):
        walk, at = divmod(number, 4)
        names = random.Random(f"walk {walk}").sample(NAMES, 10)[2 * at : 2 * at + 4]
        truth = " -> ".join(names)
        found.append(
            made.placed(
                number, truth, shuffles(rng, names), rng, group=f"walk{walk}", id=f"{number:05}"
            )
        )
    return found


def asked_if_true(count: int = 500) -> list[ProbeItem]:
    """Return clips that have a second item only if the first turn goes left."""
    rng = random.Random(51)
    found = []
    for number in range(count):
        side = rng.choice(("left", "right"))
        fields = {"group": f"g{number}", "clip": f"c{number}"}
        truth, *wrong = (
            f"first turn {one}; then {other}"
            for one, other in (
                (side, "up"),
                (side, "down"),
                (made.back([side])[0], "up"),
                (made.back([side])[0], "down"),
            )
        )
        found.append(made.placed(number, truth, wrong, rng, **fields))
        if side == "left":
            found.append(made.placed(number, "yes", ["no", "perhaps", "never"], rng, **fields))
    return found


_OUT = ("buy a coffee", "unfold the newspaper", "show the pass", "yawn")
_HOME = ("call home", "light a cigarette", "buy some flowers", "loosen the scarf")


def walked_either_way(clue: str, told: str = "order", count: int = 500) -> list[ProbeItem]:
    """Return clips of one path; what they show besides (`clue`) tells the order, or the side, that is asked.

    No order of two names is usual, nor is a side, and nothing in an item tells more about it.
    """
    rng = random.Random(53)
    found = []
    for number in range(count):
        scene = rng.randrange(100)
        home = scene % 2 == 0 if clue == "scene" else rng.random() < 0.5
        marks = [NAMES[at] for at in sorted(rng.sample(range(8), 2))]
        if home if told == "order" else rng.random() < 0.5:
            marks.reverse()
        side = ("left", "right")[home if told == "side" else rng.randrange(2)]
        shown = (_HOME if home else _OUT) if clue in ("names", "scene") else _HOME + _OUT
        path = (f"first turn {side}", " before ".join(marks))
        deeds = (
            f"last turn {rng.choice(('left', 'right'))}",
            " before ".join(rng.sample(shown, 2)),
        )
        asked = {"path": path, "deeds": deeds}
        if clue == "scene":
            # Never both in one clip.
            del asked[rng.choice(("path", "deeds"))]
        for task, (turn, order) in asked.items():
            truth, *wrong = (
                f"{one}; {other}"
                for one in (turn, " ".join([*turn.split()[:2], *made.back([turn.split()[2]])]))
                for other in (order, " before ".join(order.split(" before ")[::-1]))
            )
            columns = {"seconds": round(rng.gauss(40 if home else 20, 6), 1)}
            found.append(
                made.placed(
                    number, truth, wrong, rng, group=f"s{scene}", clip=f"c{number}", task=task,
                    columns=columns if clue == "length" else {},
                )
            )  # fmt: skip
    return found


PLANTED: dict[str, tuple[str, Callable[[], list[ProbeItem]], float]] = {
    "statements of a scene": ("scene", lambda: items_of(statements_of_a_scene), 0.6),
    "options of a scene": ("scene", made.shown_elsewhere, 0.9),
    "a corridor, either way": ("name order", lambda: items_of(corridor), 0.8),
    "names in a script": ("name order", made.names_follow_a_script, 0.9),
    "closed loops": ("turn sequence", lambda: items_of(turns(closed)), 0.6),
    "there and back": ("turn sequence", lambda: items_of(turns(there_and_back)), 0.8),
    "alternation": ("turn sequence", lambda: items_of(turns(mostly_alternating)), 0.55),
    "two by two": ("turn sequence", lambda: items_of(turns(in_twos)), 0.8),
    "right before the end": ("turn sequence", lambda: items_of(turns(right_before_the_end)), 0.55),
    "A_to_B.mp4": ("file names", lambda: items_of(named_file("{}_to_{}_{}.mp4".format, "video")), 0.5),
    "walk-N/AThenB": (
        "file names",
        lambda: items_of(named_file(lambda a, b, n: f"walk-{n}/{a.title()}Then{b.title()}", "clip")),
        0.5,
    ),
    "a title": ("file names", lambda: items_of(named_file("From the {} to my {} ({})".format, "title")), 0.5),
    "exact balance": ("pooling", balanced_exactly, 0.35),
    "a house walked again": ("pooling", lambda: items_of(walked_again), 0.9),
    "a script in other words": ("common sense", deeds, 0.9),
    "spans in order": ("neighbours", cut_in_spans, 0.5),
    "out or home, by what is done": ("context", lambda: walked_either_way("names"), 0.33),
    "out or home, by the length": ("context", lambda: walked_either_way("length", count=800), 0.32),
    "out or home, by the scene": ("context", lambda: walked_either_way("scene", count=1500), 0.32),
    "a side, by what is done": ("context", lambda: walked_either_way("names", "side"), 0.33),
    "a side, by the length": ("context", lambda: walked_either_way("length", "side", 800), 0.32),
    "asked if true": ("existence", asked_if_true, 0.45),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_caught(name: str) -> None:
    attack, make, least = PLANTED[name]
    assert attack_figure(make(), attack).overall.accuracy > least


READERS: dict[str, tuple[str, Callable[[], list[ProbeItem]], float]] = {
    "the most usual 4-gram of sides": ("turn sequence", PLANTED["right before the end"][1], 0.6),
    "most closing after 360 degrees": ("turn sequence", PLANTED["closed loops"][1], 0.65),
    "the most usual total turning": ("turn sequence", PLANTED["closed loops"][1], 0.65),
    "most undoing itself": ("turn sequence", PLANTED["there and back"][1], 0.75),
    "most alternating": ("turn sequence", PLANTED["alternation"][1], 0.65),
    "most in twos": ("turn sequence", PLANTED["two by two"][1], 0.65),
    "the most usual triple of names": ("name order", PLANTED["a corridor, either way"][1], 0.4),
    "the most usual name between two others, either way": (
        "name order",
        PLANTED["a corridor, either way"][1],
        0.8,
    ),
    "the least usual option but for the clip": ("pooling", balanced_exactly, 0.5),
    "the most usual option of the scene": ("pooling", PLANTED["a house walked again"][1], 0.9),
    "most option shown in the scene's other clips": ("scene", made.shown_elsewhere, 0.9),
    "most often the inverse of a sibling's option": ("intersection", made.sets_grouped_apart, 0.9),
    "most expected by rules for actions": ("common sense", deeds, 0.9),
    "most expected by shipped words for actions": ("common sense", deeds, 0.9),
    "most expected by rules for places": ("common sense", places, 0.9),
    "most expected by shipped words for places": ("common sense", places, 0.9),
}


@pytest.mark.parametrize("name", READERS)
def test_each_strategy_finds_what_is_planted_for_it(name: str) -> None:
    """On its own: others of the same reader may find the same leak."""
    reader, make, least = READERS[name]
    table = lay_out(make(), 0)
    (attack,) = (one for one in ATTACKS if one.name == reader)
    (scores,) = (one.scores for one in attack.strategies(table) if one.name == name)
    assert table.hits(scores).mean() > least


@pytest.fixture(scope="module")
def fair() -> list[ProbeItem]:
    return made.composed(250)


@pytest.mark.parametrize("attack", sorted({attack for attack, *_ in PLANTED.values()}))
def test_fair_items_are_at_chance(fair: list[ProbeItem], attack: str) -> None:
    figure = attack_figure(fair, attack).overall
    # More than 900 twins: five standard errors, of a reader whose halves are coupled.
    assert figure.twins > 700
    assert abs(figure.excess) < 0.1
    assert not figure.leaks(0.05, 4)


@pytest.mark.parametrize("clue", ["names", "length"])
def test_what_a_clip_shows_tells_nothing_if_no_direction_goes_with_it(clue: str) -> None:
    """The same items, each with the options and the answer of another clip."""
    items = walked_either_way(clue)
    rng = random.Random(54)
    result = []
    for task in ("path", "deeds"):
        own = [item for item in items if item.task == task]
        other = rng.sample(own, len(own)) if task == "path" else own
        result += [
            replace(item, options=one.options, answer=one.answer)
            for item, one in zip(own, other, strict=True)
        ]
    figure = attack_figure(result, "context").overall
    assert abs(figure.excess) < 0.05
    assert not figure.leaks(0.05, 3)


def test_context_needs_clips_to_learn_from_and_names_or_sides() -> None:
    assert list(context(lay_out(walked_either_way("names", count=40), 0))) == []
    colours = [
        ProbeItem(str(n), "Which colour?", ("red", "blue"), n % 2, f"g{n}", f"c{n}")
        for n in range(200)
    ]
    assert list(context(lay_out(colours, 0))) == []


@pytest.mark.parametrize("broken", [float("nan"), float("-inf"), 10**400, "forty", True])
def test_context_reads_a_column_with_a_broken_number(broken: float | str) -> None:
    items = walked_either_way("length", count=800)
    items[::50] = [replace(item, columns={"seconds": broken}) for item in items[::50]]
    assert attack_figure(items, "context").overall.accuracy > 0.31


@pytest.mark.parametrize("name", PLANTED)
def test_with_answers_permuted_nothing_is_left(name: str) -> None:
    """The answers keep their letters' distribution, but belong to other items."""
    attack, make, _ = PLANTED[name]
    items = make()
    letters = [item.answer for item in items]
    random.Random(61).shuffle(letters)
    permuted = [replace(item, answer=letter) for item, letter in zip(items, letters, strict=True)]
    assert not attack_figure(permuted, attack).overall.leaks(0.05, 4)


# ---- two versions ----------------------------------------------------------------------------------


def corrected(items: Sequence[ProbeItem]) -> list[ProbeItem]:
    """Return a version with other distractors, in a new order."""
    rng = random.Random(71)
    found = []
    for item in items:
        truth = item.options[item.answer]
        wrong = [f"{text}, then back" for text in item.options if text != truth]
        new = made.placed(0, truth, wrong, rng)
        found.append(replace(item, options=new.options, answer=new.answer))
    return found


@pytest.mark.parametrize("same_ids", [True, False])
def test_what_a_correction_kept_gives_the_answer_away(same_ids: bool) -> None:
    before = made.composed(32)
    after = corrected(before)
    if not same_ids:
        after = [replace(item, id=f"new {item.id}") for item in after]
    report = run_probe(after, earlier=before)
    (figure,) = (one.overall for one in report.attacks if one.name == "versions")
    assert figure.accuracy > 0.99
    assert report.state() == "failed"
    assert "versions" not in {one.name for one in run_probe(before).attacks}


def with_some(
    corrected_: Sequence[ProbeItem], before: Sequence[ProbeItem], every: int
) -> list[ProbeItem]:
    """Return the earlier items, of which every nth was corrected."""
    both = zip(corrected_, before, strict=True)
    return [new if at % every == 0 else old for at, (new, old) in enumerate(both)]


def test_what_a_few_corrections_tell_is_not_diluted_by_what_was_not_changed() -> None:
    before = made.composed(60)
    after = with_some(corrected(before), before, 10)
    report = run_probe(after, earlier=before)
    (figure,) = (one.overall for one in report.attacks if one.name == "versions")
    assert (figure.accuracy, figure.items) == (1, len(before[::10]))
    assert "versions" in {leak.name for leak in report.leaks()}
    assert report.state() == "failed"


def test_ids_that_are_mere_row_numbers_do_not_pair_other_items() -> None:
    before = [replace(item, id=str(at)) for at, item in enumerate(made.composed(20))]
    after = [replace(item, id=str(at)) for at, item in enumerate(corrected(before)[3:])]
    found = paired(after, before)
    assert len(found) == len(after)
    assert all(other.clip == after[index].clip for index, other in found.items())
    assert (
        paired(after, [replace(item, clip="another", options=("x", "y")) for item in before]) == {}
    )


def written(path: Path, items: Sequence[ProbeItem]) -> str:
    rows = [
        {"id": one.id, "clip": one.clip, "scene": one.group, "task": one.task}
        | {"question": one.question, "options": one.options, "answer": "ABCD"[one.answer]}
        for one in items
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_egost_blind_compares_with_an_earlier_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = made.composed(32)
    after = with_some(corrected(before), before, 3)
    old, new = written(tmp_path / "old.jsonl", before), written(tmp_path / "new.jsonl", after)
    page = tmp_path / "page.html"
    assert exit_code(cli, ["blind", new, "--earlier", old, "--html", str(page)]) == 0
    out, changed = capsys.readouterr().out, len(before[::3])
    note = f"has {len(before)} of {len(before)} items, {changed} of them with other options"
    assert f"earlier version {old}: {note} or in another order, which are compared" in out
    assert "LEAKS: versions answers 100.0% blind (chance 25.0%)" in out
    tell = f"an option of the earlier version: has the answer in {changed} of {changed} items"
    assert tell in out
    shown = page.read_text()
    assert "Versions: what was kept since the earlier version tells the answer" in shown
    assert "<td>an option of the earlier version</td>" in shown
    assert note in shown

    assert exit_code(cli, ["blind", new, "--earlier", old, "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["earlier"] == {"items": len(before), "paired": len(before), "changed": changed}
    assert found["attacks"]["versions"]["accuracy"] == 1
    wanted = after[0].id
    assert exit_code(cli, ["blind", new, "--earlier", old, "--explain", wanted]) == 0
    assert "versions: most option kept" in capsys.readouterr().out


def test_versions_that_have_nothing_in_common_or_are_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = made.composed(8)
    new = written(tmp_path / "new.jsonl", items)
    assert exit_code(cli, ["blind", new, "--earlier", new, "--quick"]) == 0
    assert (
        "0 of them with other options or in another order: nothing to compare"
        in capsys.readouterr().out
    )
    others = [replace(item, id=f"x{item.id}", clip="c", options=tuple("abcd")) for item in items]
    other = written(tmp_path / "other.jsonl", others)
    assert exit_code(cli, ["blind", new, "--earlier", other, "--quick"]) == 2
    assert (
        f"{other}: none of its {len(items)} items is an earlier version" in capsys.readouterr().err
    )


def test_a_version_with_everything_drawn_anew_tells_nothing() -> None:
    before = made.composed(150)
    rng = random.Random(81)
    table = lay_out(
        [replace(item, options=tuple(rng.sample(item.options, 4))) for item in before], 0
    )
    fair = table.with_answers([rng.randrange(4) for _ in before])
    strategies = list(versions(fair, before))
    assert len(strategies) > 4
    for one in strategies:
        assert abs(fair.hits(one.scores).mean() - 0.25) < 0.06
    assert list(versions(table, [])) == []


# ---- what the readers rest on ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kitchen_to_hall.mp4", ["kitchen", "to", "hall", "mp4"]),
        ("fromKitchen-toHall2", ["from", "kitchen", "to", "hall2"]),
        ("", []),
        ("___", []),
    ],
)
def test_words_of_a_file_name(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_sequences_of_names_are_found_in_lists_and_in_statements() -> None:
    def found(*options: str) -> list[list[tuple[str, ...]]]:
        return named_sequences(lay_out([ProbeItem("i", "?", options, 0, "g", "c")], 0))

    assert found("a -> b -> c", "b -> a -> c") == [[("a", "b", "c")], [("b", "a", "c")]]
    assert found("the lamp before the bin", "the bin before the lamp") == [
        [("the lamp", "the bin")],
        [("the bin", "the lamp")],
    ]
    two = found(
        *(
            f"{turn}; {order}"
            for turn in ("turn left", "turn right")
            for order in ("a before b", "b before a")
        )
    )
    assert two == [[("a", "b")], [("b", "a")]] * 2
    assert found("yes", "no") == [[], []]


@pytest.mark.parametrize("leave", ["fold", "clip"])
def test_a_tally_never_sees_the_answer_of_the_clip_it_scores(leave: str) -> None:
    """Other answers in a clip (or a fold) change no score there, and some elsewhere."""
    items = made.usual_statements(200)
    table = lay_out(items, 0)
    matrix = counted(text.split("; ") for text in table.texts)
    inside = table.fold == 0 if leave == "fold" else table.clip == 0
    flipped = [
        (one.answer + 1) % 4 if out else one.answer for one, out in zip(items, inside, strict=True)
    ]
    rows = inside[table.item_of]
    before, after = (
        next(iter(usual(of, "part", matrix, leave))) for of in (table, table.with_answers(flipped))
    )
    for one, other in ((before.scores, after.scores), (before.half_scores, after.half_scores)):
        assert (one[rows] == other[rows]).all()
        assert (one[~rows] != other[~rows]).any()


def test_a_strategy_learns_again_from_other_answers() -> None:
    items = made.composed(60)
    table = lay_out(items, 0)
    other = table.with_answers([(item.answer + 1) % 4 for item in items])
    matrix = counted(text.split("; ") for text in table.texts)
    for one, fresh in zip(usual(table, "part", matrix), usual(other, "part", matrix), strict=True):
        assert one.learn
        assert (one.learn(other)[0] == fresh.scores).all()
        assert (one.learn(other)[1] == fresh.half_scores).all()


def test_the_sampled_null_is_as_wide_as_the_figures_of_fair_sets() -> None:
    """One tally of four letters: learned in each half, its two figures rise and fall together."""
    rng = random.Random(91)
    figures, sampled = [], []
    for number in range(60):
        items = [
            ProbeItem(str(n), "?", ("a", "b", "c", "d"), rng.randrange(4), f"g{n}", f"c{n}")
            for n in range(120)
        ]
        table = lay_out(items, number)
        matrix = counted([text] for text in table.texts)
        both = list(usual(table, "option", matrix))[:1]
        everyone = {"": np.ones(len(items), bool)}
        figures.append(table.hits(both[0].scores).mean() - 0.25)
        if number % 6 == 0:
            sampled.append(spreads(table, both, everyone)[""])
    assert np.mean(sampled) == pytest.approx(np.std(figures), rel=0.35)
    assert np.mean(sampled) > 1.15 * (0.1875 / 120) ** 0.5


def test_a_key_that_repeats_is_added_up() -> None:
    assert counted([["a", "a", "b"], []]).toarray().tolist() == [[2, 1], [0, 0]]
    items = [
        ProbeItem(str(n), "?", ("up, up, down", "up, down, down"), n % 2, f"g{n % 7}", f"c{n}")
        for n in range(40)
    ]
    figure = attack_figure(items, "pooling").overall
    assert figure.items == 40
