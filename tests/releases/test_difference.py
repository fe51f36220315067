"""Releases are compared row by row, and the change determines the next version number."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories import square
from small_release import add_stills, edit, release, small_space

from pipeline.engine.stage import PULL
from pipeline.engine.workspace import Workspace
from pipeline.errors import UserError
from pipeline.flow import open_workspace
from pipeline.questions.rows import Item, Span
from pipeline.releases.difference import Difference, changes_text, difference, next_versions
from pipeline.releases.reading import open_release
from pipeline.releases.verify import verify
from pipeline.review.rows import Verdict
from pipeline.routes.rows import Route

Edit = Callable[[list[Item]], list[Item]]


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with 1.0.0 released."""
    with small_space(tmp_path / "workspace") as space:
        release(space, "1.0.0")
        yield space


def against_first(space: Workspace, version: str) -> Difference:
    folder = release(space, version).folder
    return difference(open_release(space.folder.releases / "v1.0.0"), open_release(folder))


def turned(row: Route | Verdict) -> Route | Verdict:
    """Return a route or verdict with left and right exchanged."""
    sides = {"left": "right", "right": "left"}
    steps = [
        step.model_copy(update={"move": sides.get(step.move, step.move)}) for step in row.steps
    ]
    return row.model_copy(update={"steps": steps})


def reworded(items: list[Item]) -> list[Item]:
    return [items[0].model_copy(update={"question": "Which way, please?"}), *items[1:]]


def test_no_change_is_a_patch(space: Workspace) -> None:
    found = against_first(space, "1.0.1")
    assert (found.added, found.removed, found.changed, found.evidence_only) == ((), (), (), 0)
    assert list(found.lines()) == []


def test_added_removed_and_changed_rows_are_listed_with_their_columns(space: Workspace) -> None:
    first, *others = items = space.store.rows(Item)
    gone = next(item for item in others if item.clip_id != first.clip_id)
    new = first.model_copy(update={"item_id": "i_new"})
    edit(space.store, lambda rows: [*reworded([row for row in rows if row != gone]), new])
    found = against_first(space, "2.0.0")
    assert (found.added, found.removed) == (("i_new",), (gone.item_id,))
    (change,) = found.changed
    assert change.id == first.item_id
    assert change.columns == {"question": (first.question, "Which way, please?")}
    assert str(found) == "diff: 1.0.0 to 2.0.0: 1 added, 1 removed, 1 changed: a major change"
    assert [line for line in found.lines() if line[0] != " "] == [
        "+ i_new", f"- {gone.item_id}", f"~ {first.item_id}",
    ]  # fmt: skip
    told = json.loads(found.as_json())
    assert told["changed"][0]["columns"]["question"]["after"] == "Which way, please?"
    assert (told["level"], told["added"], told["removed"]) == ("major", ["i_new"], [gone.item_id])
    assert len(items) > 3


def test_a_new_split_is_a_changed_row(space: Workspace) -> None:
    first = space.store.rows(Item)[0]
    edit(space.store, lambda rows: [rows[0].model_copy(update={"split": "validation"}), *rows[1:]])
    (change,) = against_first(space, "2.0.0").changed
    assert change.columns == {"split": (first.split, "validation")}


def test_changed_evidence_alone_is_a_patch(space: Workspace) -> None:
    edit(space.store, lambda rows: [row.model_copy(update={"fingerprint": "new"}) for row in rows])
    found = against_first(space, "1.0.1")
    assert (found.level, found.evidence_only) == ("patch", len(space.store.rows(Item)))


@pytest.mark.parametrize(
    ("change", "wrong", "right"),
    [
        (reworded, ["1.0.1", "1.1.0", "3.0.0"], "2.0.0"),
        (lambda rows: rows[1:], ["1.0.1", "1.1.0"], "2.0.0"),
        (
            lambda rows: [*rows, rows[0].model_copy(update={"item_id": "i_new"})],
            ["1.0.1", "2.0.0"],
            "1.1.0",
        ),
        (lambda rows: rows, ["1.1.0", "2.0.0", "0.9.0"], "1.0.1"),
    ],
    ids=["changed", "removed", "added", "the same"],
)
def test_export_refuses_a_version_that_does_not_follow(
    space: Workspace, change: Edit, wrong: list[str], right: str
) -> None:
    edit(space.store, change)
    for version in wrong:
        with pytest.raises(UserError) as told:
            release(space, version)
        assert told.value.fix == f"export {right}"
        assert not (space.folder.releases / f"v{version}").exists()
    made = release(space, right)
    before = verify(space.folder.releases / "v1.0.0").root_digest
    text = (made.folder / "CHANGES.md").read_text(encoding="utf-8")
    assert f"Compared with 1.0.0, whose root digest is `{before}`" in text
    assert sorted(path.name for path in space.folder.releases.iterdir()) == ["v1.0.0", f"v{right}"]


def test_an_item_that_is_left_out_is_removed_with_its_reason(space: Workspace) -> None:
    first = space.store.rows(Item)[0]
    aside = {"status": "set_aside", "status_reason": "the picture is black"}
    edit(space.store, lambda rows: [rows[0].model_copy(update=aside), *rows[1:]])
    text = (release(space, "2.0.0").folder / "CHANGES.md").read_text(encoding="utf-8")
    assert f"- `{first.item_id}`: set aside: the picture is black\n" in text


def test_changed_rows_have_a_reason(space: Workspace) -> None:
    reworded_one, moved, corrected, *others = space.store.rows(Item)
    clips = {one.clip_id for one in (reworded_one, moved, corrected)}
    other_clip = next(item for item in others if item.clip_id not in clips)
    asked_again = {"question": "Which way, please?"}
    edit(
        space.store,
        lambda rows: [
            row.model_copy(update=asked_again)
            if row.item_id in (reworded_one.item_id, other_clip.item_id)
            else row.model_copy(update={"split": "validation"})
            if row.item_id == moved.item_id
            else row
            for row in rows
        ],
    )
    for kind, stage in ((Route, "review"), (Verdict, PULL)):
        rows = [
            turned(row) if row.clip_id == other_clip.clip_id else row
            for row in space.store.rows(kind, [stage])
        ]
        space.store.finish(stage, "all", "edited", "done", rows)
    made = release(space, "2.0.0")
    text = (made.folder / "CHANGES.md").read_text(encoding="utf-8")
    assert f"- `{reworded_one.item_id}`: question: composed again from the same route\n" in text
    assert f"- `{moved.item_id}`: split: moved from split {moved.split} to validation\n" in text
    why = "its route was corrected by a person's verdict"
    assert f"- `{other_clip.item_id}`: question: {why}\n" in text
    found = difference(open_release(space.folder.releases / "v1.0.0"), open_release(made.folder))
    assert {change.id: change.reason for change in found.changed}[other_clip.item_id] == why
    assert all(change.reason for change in found.changed)


def test_withholding_answers_is_reported_as_the_reason(space: Workspace) -> None:
    folder = release(space, "2.0.0", withhold=["test"]).folder
    found = difference(open_release(space.folder.releases / "v1.0.0"), open_release(folder))
    assert {change.reason for change in found.changed} == {
        "its answer is withheld from this version on"
    }


def test_the_first_version_may_have_any_number(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=1) as space:
        folder = release(space, "3.1.4").folder
    assert (folder / "CHANGES.md").read_text(encoding="utf-8").endswith("The first version.\n")


@pytest.mark.parametrize(
    ("previous", "level", "allowed"),
    [
        ("1.2.3", "major", ("2.0.0",)),
        ("1.2.3", "minor", ("1.3.0",)),
        ("1.2.3", "patch", ("1.2.4",)),
        ("0.2.3", "major", ("0.3.0", "1.0.0")),
        ("0.2.3", "minor", ("0.3.0", "1.0.0")),
        ("0.2.3", "patch", ("0.2.4", "1.0.0")),
        ("9.9.9", "minor", ("9.10.0",)),
    ],
)
def test_the_change_determines_the_next_version(
    previous: str, level: str, allowed: tuple[str, ...]
) -> None:
    assert next_versions(previous, level) == allowed


def test_the_changes_file_gives_the_reason_of_each_row() -> None:
    found = Difference("1.0.0", "2.0.0", (), ("i_a", "i_b"), ())
    text = changes_text(found, "2.0.0", "ab" * 32, {"i_a": "without consent to release"})
    assert "- `i_a`: without consent to release\n- `i_b`\n" in text


# ---- what is asked changes ------------------------------------------------------------------------------


def composed_again(space: Workspace, version: str) -> Difference:
    list(space.run(["compose"]))
    add_stills(space.store)
    space.store.rebuild()
    return against_first(space, version)


def test_a_corrected_span_has_new_items_and_the_old_ones_have_a_reason(space: Workspace) -> None:
    clip_id = space.store.rows(Item)[0].clip_id
    before = {item.item_id for item in space.store.rows(Item) if item.clip_id == clip_id}
    for kind, stage in ((Route, "review"), (Verdict, PULL)):
        rows = [
            turned(row) if row.clip_id == clip_id else row
            for row in space.store.rows(kind, [stage])
        ]
        space.store.finish(stage, "all", "edited", "done", rows)
    found = composed_again(space, "2.0.0")
    assert {*found.removed} == before
    assert found.added
    assert not found.changed
    assert {*found.reasons.values()} == {"its route was corrected by a person's verdict"}
    assert found.reasons.keys() == before
    assert f"- {found.removed[0]}: its route was corrected by a person's verdict" in found.lines()


def test_mirrored_spans_are_a_major_change_with_a_reason(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    with small_space(root, clips=8) as space:
        release(space, "1.0.0")
    with open_workspace(root, ["compose.mirror=coin"]) as space:
        mirrored = composed_again(space, "2.0.0")
        flipped = {span.clip_id for span in space.store.rows(Span) if span.mirrored}
        folder = space.folder.releases / "v2.0.0"
    assert mirrored.level == "major"
    assert flipped
    why = "the frames of its span are flipped left to right now, or no longer"
    assert why in mirrored.reasons.values()
    assert verify(folder).items
    evidence = [row for row in open_release(folder).evidence() if row.facts]
    assert {row.clip_id for row in evidence if row.mirrored} <= flipped
    manifest = open_release(folder).manifest
    assert manifest["mirrored_spans"] == len(flipped)
    assert f"{len(flipped)} of 8 spans, drawn at random, are mirrored" in (
        folder / "README.md"
    ).read_text(encoding="utf-8")


def test_items_of_an_earlier_construction_are_replaced_with_a_reason(space: Workspace) -> None:
    pairs = [(square(), "forward"), (square(), "reverse")]
    clip = next(item for item in space.store.rows(Item) if item.format == "mcq")
    earlier = [
        row.model_copy(
            update={
                "item_id": f"i_{way}", "clip_id": clip.clip_id, "video_id": clip.video_id,
                "orientation": way, "task": f"direction_{way}",
            }
        )
        for row, way in pairs
    ]  # fmt: skip
    new = space.store.rows(Item)
    edit(space.store, lambda _: earlier)
    folder = release(space, "2.0.0").folder
    assert verify(folder).items == 2
    edit(space.store, lambda _: new)
    last = release(space, "3.0.0").folder
    found = difference(open_release(folder), open_release(last))
    assert found.level == "major"
    assert found.reasons == dict.fromkeys(
        ("i_forward", "i_reverse"),
        "composed again: items ask about two facts of a span, no longer about whole clips",
    )
    assert "i_forward`: composed again" in (last / "CHANGES.md").read_text(encoding="utf-8")


def test_why_an_item_of_a_withheld_split_is_gone_is_told_without_details(space: Workspace) -> None:
    folder = release(space, "2.0.0", withhold=["test"]).folder
    gone = next(item for item in space.store.rows(Item) if item.split == "test")
    aside = {"status": "set_aside", "status_reason": "another option is right, say 2 of 3"}
    edit(
        space.store,
        lambda rows: [
            row.model_copy(update=aside) if row.item_id == gone.item_id else row for row in rows
        ],
    )
    last = release(space, "3.0.0", withhold=["test"]).folder
    text = (last / "CHANGES.md").read_text(encoding="utf-8")
    assert f"- `{gone.item_id}`: set aside\n" in text
    assert "another option" not in text
    assert difference(open_release(folder), open_release(last)).removed == (gone.item_id,)
