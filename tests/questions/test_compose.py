"""Composing whole workspaces of synthetic routes: what is balanced, and what never changes."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import factories
import pytest

from pipeline.demo import grammar
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.motion.rows import Clip, Turn
from pipeline.questions import balance
from pipeline.questions.compose import depends, run
from pipeline.questions.rows import Item, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.review.rows import Answer
from pipeline.routes.rows import Move, Route
from pipeline.sources.rows import Video

World = dict[str, dict[str, Any]]


def world(count: int, seed: int = 1, right: float = 0.6) -> World:
    """Return clips of three to six turns, most of them to the right."""
    draw = random.Random(seed)
    found: World = {}
    for number in range(count):
        sides: list[Move] = [
            "right" if draw.random() < right else "left" for _ in range(draw.randint(3, 6))
        ]
        split = draw.choice(["train", "test", "test"])
        found[f"{number:03}"] = {"moves": sides, "split": split}
    return found


def composed(
    folder: WorkspaceFolder,
    clips: World,
    earlier: Iterable[Item] = (),
    more: Sequence[Row] = (),
    order: int = 1,
) -> dict[str, Item]:
    return {
        row.item_id: row
        for row in rows_of(folder, clips, earlier, more, order)
        if isinstance(row, Item)
    }


def rows_of(
    folder: WorkspaceFolder,
    clips: World,
    earlier: Iterable[Item] = (),
    more: Sequence[Row] = (),
    order: int = 1,
) -> list[Row]:
    names = list(clips)[::order]
    seen: dict[type[Row], tuple[Row, ...]] = {
        Video: tuple(factories.video(name, split=clips[name]["split"]) for name in names),
        Clip: tuple(factories.clip(name) for name in names),
        Route: tuple(
            factories.route(name, clips[name]["moves"], verified=clips[name].get("verified", ()))
            for name in names
        )
        + tuple(row for row in more if isinstance(row, Route)),
        Rejection: tuple(row for row in more if isinstance(row, Rejection)),
        Written: tuple(row for row in more if isinstance(row, Written)),
        Turn: tuple(row for row in more if isinstance(row, Turn)),
        Answer: tuple(row for row in more if isinstance(row, Answer)),
    }
    return list(run(Rows(seen, {Item: tuple(earlier)}), ComposeSettings(), folder))


def moved(before: dict[str, Item], after: dict[str, Item]) -> set[str]:
    """Return the clips with an item that existed before and has changed."""
    return {row.clip_id for name, row in before.items() if after.get(name) != row}


def test_each_item_has_four_options_one_of_them_true(folder: WorkspaceFolder) -> None:
    clips = world(40)
    for item in composed(folder, clips).values():
        if item.format == "mcq":
            assert len(set(item.options)) == 4
            assert item.answer_index is not None
            assert item.options[item.answer_index] == item.answer_text
            words = [f"turn {move}" for move in clips[item.clip_id[2:]]["moves"]]
            if item.orientation == "reverse":
                other = {"turn left": "turn right", "turn right": "turn left"}
                words = [other[word] for word in reversed(words)]
            assert item.answer_text == " -> ".join(words)


def test_both_orientations_or_neither(folder: WorkspaceFolder) -> None:
    pairs = Counter((item.clip_id, item.category) for item in composed(folder, world(20)).values())
    assert set(pairs.values()) == {2}
    assert len(pairs) == 2 * 20


def test_letters_are_even_in_each_task_and_split(folder: WorkspaceFolder) -> None:
    used: dict[tuple[str, str], Counter[int]] = {}
    for item in composed(folder, world(101)).values():
        if item.answer_index is not None:
            used.setdefault((item.task, item.split), Counter())[item.answer_index] += 1
    assert len(used) == 4
    for letters in used.values():
        assert max(letters[i] for i in range(4)) - min(letters[i] for i in range(4)) <= 1


def test_sides_are_even_in_each_split_though_most_turns_are_right(folder: WorkspaceFolder) -> None:
    clips = world(120)
    true: dict[str, Counter[tuple[str, str]]] = {}
    for item in composed(folder, clips).values():
        if item.task == "direction_forward":
            first, second = (int(name.removeprefix("turn:")) for name in item.flips)
            moves = clips[item.clip_id[2:]]["moves"]
            true.setdefault(item.split, Counter())[moves[first], moves[second]] += 1
    for split, combinations in true.items():
        assert len(combinations) == 4, split
        # Clips that turn one way only can't be helped; all others even them out.
        assert max(combinations.values()) - min(combinations.values()) <= 2, (split, combinations)


def test_the_forward_and_the_reverse_item_flip_the_same_turns(folder: WorkspaceFolder) -> None:
    flips: dict[str, set[tuple[str, ...]]] = {}
    for item in composed(folder, world(20)).values():
        if item.category == "direction":
            flips.setdefault(item.clip_id, set()).add(tuple(item.flips))
    assert all(len(found) == 1 for found in flips.values())


def test_the_order_of_rows_does_not_matter(folder: WorkspaceFolder) -> None:
    assert composed(folder, world(30)) == composed(folder, world(30), order=-1)


def test_another_secret_draws_other_letters(folder: WorkspaceFolder, tmp_path: Path) -> None:
    other = WorkspaceFolder(tmp_path / "other")
    other.root.mkdir()
    one, two = composed(folder, world(30)), composed(other, world(30))
    assert one.keys() == two.keys()
    assert [item.answer_index for item in one.values()] != [two[name].answer_index for name in one]
    assert depends(ComposeSettings(), folder) != depends(ComposeSettings(), other)


def test_no_other_item_changes_when_a_clip_is_added(folder: WorkspaceFolder) -> None:
    before = composed(folder, world(20))
    clips = world(20) | {"more": {"moves": ["left", "left", "right"], "split": "test"}}
    after = composed(folder, clips, before.values())
    assert moved(before, after) == set()
    assert {item.clip_id for name, item in after.items() if name not in before} == {"c_more"}


def test_no_other_item_changes_when_a_clip_is_taken_away(folder: WorkspaceFolder) -> None:
    before = composed(folder, world(20))
    clips = world(20)
    del clips["007"]
    assert moved(before, composed(folder, clips, before.values())) == {"c_007"}


@pytest.mark.parametrize("moves", [["left", "right"], ["around"], ["right"] * 6])
def test_a_correction_changes_only_its_own_clip(folder: WorkspaceFolder, moves: list[Move]) -> None:
    before = composed(folder, world(20))
    clips = world(20)
    clips["007"]["moves"] = moves
    after = composed(folder, clips, before.values())
    assert moved(before, after) == {"c_007"}
    # An id never depends on the answer.
    assert after.keys() <= before.keys()


def test_a_verdict_that_changes_no_step_changes_no_letter(folder: WorkspaceFolder) -> None:
    before = composed(folder, world(20))
    verified = factories.route("007", world(20)["007"]["moves"], "verified", ["direction"])
    after = composed(folder, world(20), before.values(), [verified])
    changed = {"status"}
    for name, item in before.items():
        same = item.model_dump(exclude=changed) == after[name].model_dump(exclude=changed)
        assert same
    status = {item.task: item.status for item in after.values() if item.clip_id == "c_007"}
    assert status == {
        "direction_forward": "verified",
        "direction_reverse": "verified",
        "route_forward": "draft",
        "route_reverse": "draft",
    }


def test_composing_again_gives_the_same(folder: WorkspaceFolder) -> None:
    before = composed(folder, world(30))
    assert composed(folder, world(30), before.values()) == before


def test_a_clip_without_a_square_is_a_rejection_with_the_reason(folder: WorkspaceFolder) -> None:
    clips: World = {"a": {"moves": ["straight", "left"], "split": "test"}}
    rows = rows_of(folder, clips)
    refused = [row for row in rows if isinstance(row, Rejection)]
    assert {(row.stage, row.unit) for row in refused} == {("compose", "c_a")}
    by_category = {row.what.split()[1]: row.what for row in refused}
    assert "1 turn to the left or right" in by_category["direction"]
    assert "0 landmarks" in by_category["landmark"]
    assert "0 actions" in by_category["action"]
    assert {row.task for row in rows if isinstance(row, Item)} == {"route_forward", "route_reverse"}


def test_what_people_rejected_is_set_aside_with_their_reason(folder: WorkspaceFolder) -> None:
    refused = Rejection(stage="review", unit="c_001", what="too dark", fix="film again")
    found = composed(folder, world(3), more=[refused])
    aside = {row.clip_id: row.status_reason for row in found.values() if row.status == "set_aside"}
    assert aside == {"c_001": "too dark"}


def test_a_clip_without_a_route_is_not_asked(folder: WorkspaceFolder) -> None:
    seen = {
        Video: (factories.video(),),
        Clip: (factories.clip(),),
        Route: (),
        Rejection: (),
        Written: (),
        Turn: (),
        Answer: (),
    }
    assert list(run(Rows(seen), ComposeSettings(), folder)) == []


def written(name: str, ordinal: int = 0, **fields: Any) -> Written:
    given: dict[str, Any] = {
        "clip_id": f"c_{name}", "task": "direction", "ordinal": ordinal, "category": "direction",
        "orientation": "forward", "format": "mcq", "question": "Which way after the red door?",
        "answer": "turn left", "distractors": ["turn right", "go straight", "turn around"],
        "evidence": "The door is on the left.", "evidence_us": [1], "model": "m",
        "prompt_sha256": "p", "reply_id": "r", "cost_usd": 0.01,
    }  # fmt: skip
    return Written.model_validate(given | fields)


def test_what_a_model_wrote_becomes_items_with_even_letters(folder: WorkspaceFolder) -> None:
    clips = world(41)
    more = [written(name, ordinal) for name in clips for ordinal in (0, 1)]
    found = [row for row in composed(folder, clips, more=more).values() if row.task == "direction"]
    assert len(found) == 82
    assert {(row.option_kind, row.contrast, row.status) for row in found} == {
        ("model", "content", "draft")
    }
    for row in found:
        assert row.answer_index is not None
        assert row.options[row.answer_index] == row.answer_text == "turn left"
        assert sorted(row.options) == ["go straight", "turn around", "turn left", "turn right"]
    for split in ("train", "test"):
        used = Counter(row.answer_index for row in found if row.split == split)
        assert max(used.values()) - min(used[index] for index in range(4)) <= 1


def test_written_items_keep_letters_and_ids_and_change_no_composed_item(
    folder: WorkspaceFolder,
) -> None:
    clips = world(20)
    plain = composed(folder, clips)
    more = [written(name) for name in clips]
    before = composed(folder, clips, plain.values(), more)
    assert moved(plain, before) == set()
    changed = [
        written(name, answer="turn about") if name == "007" else written(name) for name in clips
    ]
    after = composed(folder, clips, before.values(), changed)
    assert moved(before, after) == {"c_007"}
    assert after.keys() == before.keys()
    letters = {name: row.answer_index for name, row in before.items()}
    assert {name: row.answer_index for name, row in after.items()} == letters


def test_a_written_open_item_has_no_options(folder: WorkspaceFolder) -> None:
    row = written("000", format="open", answer="Past the door.", distractors=[])
    found = composed(folder, world(1), more=[row])
    item = found[row.item_id]
    assert (item.format, item.options, item.answer_text) == ("open", [], "Past the door.")
    assert (item.option_kind, item.contrast, item.answer_index) == ("model", None, None)


def test_items_written_for_a_refused_clip_are_set_aside(folder: WorkspaceFolder) -> None:
    refused = Rejection(stage="review", unit="c_001", what="too dark", fix="film again")
    found = composed(folder, world(3), more=[refused, written("000"), written("001")])
    status = {row.clip_id: row.status for row in found.values() if row.task == "direction"}
    assert status == {"c_000": "draft", "c_001": "set_aside"}


def test_a_turn_that_was_hardly_measured_is_not_asked_about(folder: WorkspaceFolder) -> None:
    clips: World = {"a": {"moves": ["left", "right", "left"], "split": "test"}}
    steps = factories.route("a", ["left", "right", "left"]).steps
    turns = [
        Turn(
            clip_id="c_a",
            start_us=step.start_us,
            end_us=step.end_us,
            kind=step.move,
            yaw_degrees=90.0,
            moving=True,
            confidence=sure,
        )
        for step, sure in zip(steps, (0.9, 0.1, 0.9), strict=True)
    ]
    for _ in range(2):  # whatever the secret draws
        asked = composed(folder, clips, more=turns)
        flips = {tuple(item.flips) for item in asked.values() if item.category == "direction"}
        assert flips == {("turn:0", "turn:2")}
        (folder.root / "secret").unlink()
    # If all turns are doubtful, a square is composed anyway: people have to check.
    faint = [turn.model_copy(update={"confidence": 0.1}) for turn in turns]
    assert any(
        item.category == "direction" for item in composed(folder, clips, more=faint).values()
    )


def looked_up(items: Sequence[Item]) -> float:
    """Return how often the names where an option's pairs meet predict the answer, from all other items."""
    right: Counter[tuple[str, ...]] = Counter()
    seen: Counter[tuple[str, ...]] = Counter()
    met = [[tuple(text.split(" -> ")[1:3]) for text in item.options] for item in items]
    for item, names in zip(items, met, strict=True):
        seen.update(names)
        right[names[item.answer_index or 0]] += 1
    hits = 0.0
    for item, names in zip(items, met, strict=True):
        own = [index == item.answer_index for index in range(4)]
        scores = [
            (right[name] - mine - (seen[name] - 1) / 4) / (seen[name] + 3)
            for name, mine in zip(names, own, strict=True)
        ]
        best = [index for index, score in enumerate(scores) if score >= max(scores) - 1e-9]
        hits += (item.answer_index in best) / len(best)
    return hits / len(items)


@pytest.mark.parametrize(("weight", "leaks"), [(0, True), (balance._SEAM, False)])
def test_names_that_meet_do_not_predict_the_answer_in_a_small_vocabulary(
    folder: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch, weight: int, leaks: bool
) -> None:
    """With few names, some never follow one another, which would predict the answer if not balanced."""
    monkeypatch.setattr(balance, "_SEAM", weight)
    monkeypatch.setattr(grammar, "LANDMARKS", grammar.LANDMARKS[:12])
    (folder.root / "secret").write_bytes(b"drawn for this test alone")
    videos, clips, routes = grammar.draw_rows(400, seed=1)
    given = {Video: tuple(videos), Clip: tuple(clips), Route: tuple(routes)}
    rows = Rows({**given, **dict.fromkeys((Turn, Written, Rejection, Answer), ())})
    items = [
        row
        for row in run(rows, ComposeSettings(), folder)
        if isinstance(row, Item) and row.task == "landmark_forward" and row.contrast == "order"
    ]
    assert len(items) > 200
    assert (looked_up(items) > 0.29) is leaks
    assert leaks or looked_up(items) < 0.26
