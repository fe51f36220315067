"""Composing whole workspaces of synthetic routes: what is asked, and what never changes."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import factories
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.compose import depends, run
from pipeline.questions.composition import steps_shown, written_id
from pipeline.questions.draw import Draw
from pipeline.questions.rows import Expected, Item, Span, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.questions.truth import true_options
from pipeline.review.rows import Answer
from pipeline.routes.route import canonical
from pipeline.routes.rows import Move, Route
from pipeline.routes.wording import load
from pipeline.sources.rows import Video

World = dict[str, dict[str, Any]]
SAID = load("en").facts


def world(count: int, seed: int = 2, right: float = 0.5) -> World:
    """Return clips of six to nine turns, each of five seconds."""
    draw = random.Random(seed)
    found: World = {}
    for number in range(count):
        sides: list[Move] = [
            "right" if draw.random() < right else "left" for _ in range(draw.randint(6, 9))
        ]
        split = draw.choice(["train", "test", "test"])
        found[f"{number:03}"] = {"moves": sides, "split": split}
    return found


def routes_of(clips: World) -> dict[str, Route]:
    return {
        f"c_{name}": factories.route(name, one["moves"], verified=one.get("verified", ()))
        for name, one in clips.items()
    }


def measured(route: Route, confidence: float = 0.9) -> list[Turn]:
    """Return a measured turn for each step of a route that turns."""
    return [
        Turn(
            clip_id=route.clip_id,
            start_us=step.start_us,
            end_us=step.end_us,
            kind=step.move,
            yaw_degrees=90.0,
            moving=True,
            confidence=confidence,
        )
        for step in route.steps
        if step.move in ("left", "right", "around")
    ]


def composed(
    folder: WorkspaceFolder,
    clips: World,
    earlier: Iterable[Row] = (),
    more: Sequence[Row] = (),
    order: int = 1,
    **settings: Any,
) -> dict[str, Item]:
    return {
        row.item_id: row
        for row in rows_of(folder, clips, earlier, more, order, **settings)
        if isinstance(row, Item)
    }


def rows_of(
    folder: WorkspaceFolder,
    clips: World,
    earlier: Iterable[Row] = (),
    more: Sequence[Row] = (),
    order: int = 1,
    **settings: Any,
) -> list[Row]:
    """Compose clips; `earlier` are all rows of the last run, `more` further rows of any type."""
    names = list(clips)[::order]
    routes = routes_of({name: clips[name] for name in names})
    given = [
        *(factories.video(name, split=clips[name]["split"]) for name in names),
        *(factories.clip(name) for name in names),
        *routes.values(),
        *more,
    ]
    if not any(isinstance(row, Turn) for row in more):
        given += [turn for route in routes.values() for turn in measured(route)]
    kinds: tuple[type[Row], ...] = (
        *(Video, Clip, Route, Turn),
        *(Written, Expected, Rejection, Answer),
    )
    seen = {kind: tuple(row for row in given if isinstance(row, kind)) for kind in kinds}
    before: dict[type[Row], tuple[Row, ...]] = {}
    for row in earlier:
        before[type(row)] = (*before.get(type(row), ()), row)
    return list(run(Rows(seen, before), ComposeSettings.model_validate(settings), folder))


def moved(before: Iterable[Row], after: Iterable[Row]) -> set[str]:
    """Return the clips with an item that existed before and has changed or gone."""
    now = {row.item_id: row for row in after if isinstance(row, Item)}
    return {row.clip_id for row in before if isinstance(row, Item) if now.get(row.item_id) != row}


def spans(rows: Iterable[Row]) -> dict[str, Span]:
    return {row.span_id: row for row in rows if isinstance(row, Span)}


def items(rows: Iterable[Row], form: str = "mcq") -> list[Item]:
    return [row for row in rows if isinstance(row, Item) and row.format == form]


def test_each_item_has_four_options_one_of_them_true(folder: WorkspaceFolder) -> None:
    clips = world(60)
    routes, rows = routes_of(clips), rows_of(folder, clips)
    assert len(items(rows)) > 60
    for item in items(rows):
        steps = steps_shown(spans(rows)[item.span_id or ""], routes[item.clip_id].steps)
        true = true_options(item, steps, SAID)
        assert len(set(item.options)) == 4
        assert true == [index == item.answer_index for index in range(4)]
        assert item.options[item.answer_index or 0] == item.answer_text
        assert {fact.name.split(":")[0] for fact in item.facts} == {"turn"}


def test_all_four_combinations_of_two_facts_are_options(folder: WorkspaceFolder) -> None:
    for item in items(rows_of(folder, world(20))):
        one, other = item.facts
        assert {*zip(one.values, other.values, strict=True)} == {
            ("left", "left"), ("left", "right"), ("right", "left"), ("right", "right"),
        }  # fmt: skip


def test_twins_ask_about_the_same_facts(folder: WorkspaceFolder) -> None:
    twins: dict[str | None, list[Item]] = {}
    for item in items(rows_of(folder, world(20))):
        twins.setdefault(item.twin, []).append(item)
    for forward, reverse in twins.values():
        assert {forward.orientation, reverse.orientation} == {"forward", "reverse"}
        seen = [{tuple(fact.seen_us) for fact in one.facts} for one in (forward, reverse)]
        assert seen[0] == seen[1]
        stated = {f"{fact.name}={fact.values[reverse.answer_index or 0]}" for fact in reverse.facts}
        assert {fact.back for fact in forward.facts} == stated


def test_no_turn_of_a_clip_is_asked_about_twice(folder: WorkspaceFolder) -> None:
    asked: dict[str, list[tuple[int, ...]]] = {}
    for item in items(rows_of(folder, world(40))):
        if item.orientation == "forward":
            asked.setdefault(item.clip_id, []).extend(tuple(fact.seen_us) for fact in item.facts)
    assert asked
    assert all(len(seen) == len(set(seen)) for seen in asked.values())


def test_spans_of_a_clip_are_disjoint_and_within_their_limits(folder: WorkspaceFolder) -> None:
    clips = world(20)
    rows, routes = rows_of(folder, clips, span_seconds=15), routes_of(clips)
    by_clip: dict[str, list[Span]] = {}
    for span in spans(rows).values():
        by_clip.setdefault(span.clip_id, []).append(span)
        assert 10_000_000 <= span.end_us - span.start_us <= 15_000_000
        turns = [step for step in routes[span.clip_id].steps if step.move != "straight"]
        for edge in (span.start_us, span.end_us):
            assert not any(step.start_us < edge < step.end_us for step in turns)
    assert max(map(len, by_clip.values())) > 1
    for found in by_clip.values():
        for one, other in combinations(found, 2):
            assert one.end_us <= other.start_us or other.end_us <= one.start_us


def test_a_clip_that_is_shorter_than_a_span_is_one_span(folder: WorkspaceFolder) -> None:
    clips: World = {"a": {"moves": ["left"], "split": "test"}}
    (span,) = spans(rows_of(folder, clips)).values()
    assert (span.start_us, span.end_us) == (0, 5_000_000)
    assert len(span.frame_us) == 8


def test_the_number_of_frames_follows_from_the_length(folder: WorkspaceFolder) -> None:
    for span in spans(rows_of(folder, world(20))).values():
        seconds = (span.end_us - span.start_us) / 1e6
        assert len(span.frame_us) == min(64, max(8, round(seconds)))
        gaps = {b - a for a, b in zip(span.frame_us, span.frame_us[1:], strict=False)}
        assert max(gaps) - min(gaps) <= 1


def test_letters_are_even_in_each_task_and_split(folder: WorkspaceFolder) -> None:
    used: dict[tuple[str, str], Counter[int | None]] = {}
    for item in items(rows_of(folder, world(101))):
        used.setdefault((item.task, item.split), Counter())[item.answer_index] += 1
    assert len(used) == 4
    for letters in used.values():
        assert max(letters[i] for i in range(4)) - min(letters[i] for i in range(4)) <= 1


def test_the_order_of_rows_does_not_matter(folder: WorkspaceFolder) -> None:
    assert composed(folder, world(30)) == composed(folder, world(30), order=-1)


def test_another_secret_draws_other_ids_and_letters(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    other = WorkspaceFolder(tmp_path / "other")
    other.root.mkdir()
    one, two = rows_of(folder, world(30)), rows_of(other, world(30))
    assert not {row.item_id for row in items(one)} & {row.item_id for row in items(two)}
    assert not spans(one).keys() & spans(two).keys()
    assert depends(ComposeSettings(), folder) != depends(ComposeSettings(), other)


def test_no_other_item_changes_when_a_clip_is_added(folder: WorkspaceFolder) -> None:
    before = rows_of(folder, world(20))
    clips = world(20) | {"more": {"moves": ["left", "left", "right"], "split": "test"}}
    after = rows_of(folder, clips, before)
    assert moved(before, after) == set()
    known = {row.item_id for row in before if isinstance(row, Item)}
    added = {row.clip_id for row in after if isinstance(row, Item) and row.item_id not in known}
    assert added == {"c_more"}


def test_no_other_item_changes_when_a_clip_is_taken_away(folder: WorkspaceFolder) -> None:
    before = rows_of(folder, world(20))
    clips = world(20)
    del clips["007"]
    assert moved(before, rows_of(folder, clips, before)) == {"c_007"}


@pytest.mark.parametrize("moves", [["left", "right", "right"], ["around"], ["right"] * 6])
def test_a_correction_changes_only_its_own_clip(folder: WorkspaceFolder, moves: list[Move]) -> None:
    before = rows_of(folder, world(20))
    clips = world(20)
    clips["007"]["moves"] = moves
    after = rows_of(folder, clips, before)
    assert moved(before, after) == {"c_007"}
    known = {row.item_id for row in before if isinstance(row, Item)}
    corrected = {row.item_id for row in after if isinstance(row, Item) and row.clip_id == "c_007"}
    assert not known & corrected, "a corrected item is a new item"


def test_a_verdict_that_changes_no_step_changes_no_letter(folder: WorkspaceFolder) -> None:
    clips = world(60)
    before = rows_of(folder, clips)
    clip_id = items(before)[0].clip_id
    name = clip_id.removeprefix("c_")
    verified = factories.route(name, clips[name]["moves"], "verified", ["direction"])
    after = composed(folder, clips, before, [verified])
    changed = {"status"}
    for item in before:
        if isinstance(item, Item):
            now = after[item.item_id]
            assert item.model_dump(exclude=changed) == now.model_dump(exclude=changed)
    status = {(item.category, item.status) for item in after.values() if item.clip_id == clip_id}
    assert status == {("direction", "verified"), ("route", "draft")}


def test_composing_again_gives_the_same(folder: WorkspaceFolder) -> None:
    before = rows_of(folder, world(30))
    again = rows_of(folder, world(30), before)
    assert moved(before, again) == set() == moved(again, before)
    assert spans(before) == spans(again)


def test_other_settings_compose_everything_again(folder: WorkspaceFolder) -> None:
    before = rows_of(folder, world(60))
    after = rows_of(folder, world(60), before, apart_seconds=6)
    assert {span.made for span in spans(before).values()} != {
        span.made for span in spans(after).values()
    }
    assert moved(before, after)


def test_a_mirrored_span_states_the_sides_that_its_frames_show(folder: WorkspaceFolder) -> None:
    clips = world(40)
    routes, rows = routes_of(clips), rows_of(folder, clips, mirror="coin")
    found = spans(rows)
    share = sum(span.mirrored for span in found.values()) / len(found)
    assert 0.25 < share < 0.75
    for item in items(rows):
        span = found[item.span_id or ""]
        real = canonical(routes[item.clip_id].steps)
        true = true_options(item, steps_shown(span, real), SAID)
        assert true == [index == item.answer_index for index in range(4)]
        if span.mirrored:
            as_filmed = steps_shown(span.model_copy(update={"mirrored": False}), real)
            assert not true_options(item, as_filmed, SAID)[item.answer_index or 0]
    for item in items(rows, "open"):
        span = found[item.span_id or ""]
        if span.mirrored and item.orientation == "forward":
            shown = [step.move for step in steps_shown(span, canonical(routes[item.clip_id].steps))]
            assert item.reference_moves == shown


def test_a_description_needs_three_facts(folder: WorkspaceFolder) -> None:
    clips: World = {
        "a": {"moves": ["straight", "left", "right"], "split": "test"},
        "b": {"moves": ["left", "right", "right"], "split": "test"},
    }
    rows = rows_of(folder, clips)
    assert {row.clip_id for row in items(rows, "open")} == {"c_b"}
    (why,) = [
        row.what
        for row in rows
        if isinstance(row, Rejection) and row.unit == "c_a" and "route" in row.what
    ]
    assert "fewer than 3" in why


def test_a_verified_wording_is_the_reference_of_a_span_that_is_the_whole_clip(
    folder: WorkspaceFolder,
) -> None:
    clips: World = {
        "a": {"moves": ["left", "right", "right"], "split": "test"},
        "b": {"moves": ["left", "right"] * 6, "split": "test"},
    }
    texts: dict[str, set[str]] = {}
    for item in items(rows_of(folder, clips), "open"):
        texts.setdefault(item.clip_id, set()).add(item.answer_text)
    assert texts["c_a"] == {"there", "back"}
    assert not texts["c_b"] & {"there", "back"}


def test_what_people_rejected_is_set_aside_with_their_reason(folder: WorkspaceFolder) -> None:
    refused = Rejection(stage="review", unit="c_001", what="too dark", fix="film again")
    found = composed(folder, world(3), more=[refused])
    aside = {row.clip_id: row.status_reason for row in found.values() if row.status == "set_aside"}
    assert aside == {"c_001": "too dark"}


def test_a_clip_without_a_route_is_not_asked(folder: WorkspaceFolder) -> None:
    seen = {
        Video: (factories.video(),),
        Clip: (factories.clip(),),
        **dict.fromkeys((Route, Rejection, Written, Turn, Answer, Expected), ()),
    }
    assert list(run(Rows(seen), ComposeSettings(), folder)) == []


def three_turns(**fields: Any) -> World:
    """Return clips of three turns; a pair of them is asked about in some."""
    sides: list[list[Move]] = [["left", "right", "left"], ["right", "right", "left"]]
    return {
        f"{number:02}": {"moves": sides[number % 2], "split": "test", **fields}
        for number in range(16)
    }


def seen(rows: Iterable[Row]) -> set[tuple[int, ...]]:
    return {tuple(fact.seen_us) for item in items(rows) for fact in item.facts}


@pytest.mark.usefixtures("unguessable")
def test_a_turn_that_was_hardly_measured_waits_for_people(folder: WorkspaceFolder) -> None:
    first, second, third = (0, 5_000_000), (5_000_000, 10_000_000), (10_000_000, 15_000_000)
    routes = routes_of(three_turns()).values()
    doubtful = [
        turn.model_copy(update={"confidence": 0.1 if turn.start_us == third[0] else 0.9})
        for route in routes
        for turn in measured(route)
    ]
    assert seen(rows_of(folder, three_turns(), more=doubtful)) == {first, second}
    faint = [turn for route in routes for turn in measured(route, 0.1)]
    assert seen(rows_of(folder, three_turns(), more=faint)) == set()
    verified = [
        route.model_copy(update={"origin": "verified", "verified_categories": ["direction"]})
        for route in routes
    ]
    assert seen(rows_of(folder, three_turns(), more=[*faint, *verified])) == {first, second, third}


def test_a_turn_that_no_frame_shows_is_not_asked_about(folder: WorkspaceFolder) -> None:
    clips = three_turns()
    assert items(rows_of(folder, clips))
    fast = [
        turn.model_copy(update={"end_us": turn.start_us + 300_000})
        for route in routes_of(clips).values()
        for turn in measured(route)
    ]
    rows = rows_of(folder, clips, more=fast)
    assert items(rows) == []
    reasons = [row for row in rows if isinstance(row, Rejection) and "direction" in row.what]
    assert all("frames don't show enough" in row.what for row in reasons)
    assert all("compose.frames_per_second" in row.fix for row in reasons)
    assert items(rows_of(folder, clips, more=fast, frames_per_second=10, most_frames=256))


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
    plain = rows_of(folder, clips)
    more = [written(name) for name in clips]
    before = rows_of(folder, clips, plain, more)
    assert moved(plain, before) == set()
    changed = [
        written(name, answer="turn about") if name == "007" else written(name) for name in clips
    ]
    after = rows_of(folder, clips, before, changed)
    assert moved(before, after) == {"c_007"}
    letters = {row.item_id: row.answer_index for row in items(before)}
    assert {row.item_id: row.answer_index for row in items(after)} == letters


def test_a_written_open_item_has_no_options(folder: WorkspaceFolder) -> None:
    row = written("000", format="open", answer="Past the door.", distractors=[])
    found = composed(folder, world(1), more=[row])
    item = found[written_id(row, Draw(folder.secret()))]
    assert (item.format, item.options, item.answer_text) == ("open", [], "Past the door.")
    assert (item.option_kind, item.contrast, item.answer_index) == ("model", None, None)


def test_items_written_for_a_refused_clip_are_set_aside(folder: WorkspaceFolder) -> None:
    refused = Rejection(stage="review", unit="c_001", what="too dark", fix="film again")
    found = composed(folder, world(3), more=[refused, written("000"), written("001")])
    status = {row.clip_id: row.status for row in found.values() if row.task == "direction"}
    assert status == {"c_000": "draft", "c_001": "set_aside"}


def test_an_item_whose_evidence_is_in_two_spans_is_rejected(folder: WorkspaceFolder) -> None:
    clips: World = {"a": {"moves": ["left", "right"] * 6, "split": "test"}}
    there, apart = written("a", 0), written("a", 1, evidence_us=[1, 58_000_000])
    rows = rows_of(folder, clips, more=[there, apart])
    (item,) = [row for row in items(rows) if row.option_kind == "model"]
    assert spans(rows)[item.span_id or ""].start_us == 0
    (why,) = [row for row in rows if isinstance(row, Rejection) and row.unit == apart.item_id]
    assert "one span" in why.what
