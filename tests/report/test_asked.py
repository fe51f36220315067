"""What `egost show`, `egost status` and the report tell about spans and facts."""

import json
from collections.abc import Iterator

import pytest
from small_release import small_space

from pipeline.engine.workspace import Workspace
from pipeline.questions.rows import Item, Span, Stratum
from pipeline.report import glance
from pipeline.report.gallery import gallery_of
from pipeline.report.page import render
from pipeline.review.settings import ReviewSettings


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with small_space(tmp_path_factory.mktemp("asked") / "workspace", clips=6) as space:
        store = space.store
        closed = {
            "candidates": 40, "admissible": 3, "asked": 0, "closed": "3 of 40 are admissible",
            "fitted": True,
        }  # fmt: skip
        cell = Stratum.model_validate({"category": "landmark", "contrast": "order", **closed})
        # One span is flipped, and has one frame left.
        spans, items = store.rows(Span), store.rows(Item)
        changed = next(
            one for one in spans if any(item.span_id == one.span_id for item in items if item.facts)
        )
        flipped = changed.model_copy(update={"mirrored": True, "frame_us": changed.frame_us[:1]})
        rows = [one if one is not changed else flipped for one in spans]
        store.finish("compose", "all", "", "done", [*rows, *items, cell])
        yield space


def mirrored(space: Workspace) -> Span:
    return next(span for span in space.store.rows(Span) if span.mirrored)


def test_a_clip_is_shown_with_its_route_divided_by_spans_and_their_items(space: Workspace) -> None:
    span = mirrored(space)
    own = [item for item in space.store.rows(Item) if item.clip_id == span.clip_id]
    lines = list(glance.show(space.store, space.folder, span.clip_id))
    begin = next(index for index, line in enumerate(lines) if line.startswith("span 1 "))
    assert f"({span.span_id}) from 0:00.0 to " in lines[begin]
    assert lines[begin].endswith("mirrored: shown with left and right exchanged")
    assert lines[begin + 1].startswith("  0:00.0 ")
    text = "\n".join(lines[begin:])
    assert all(item.item_id in text for item in own)
    assert text.count("the answer)") == sum(bool(item.options) for item in own)


def test_an_item_is_shown_with_what_each_option_states_and_whether_it_can_be_seen(
    space: Workspace,
) -> None:
    span = mirrored(space)
    item = next(one for one in space.store.rows(Item) if one.span_id == span.span_id and one.facts)
    row, *lines = glance.show(space.store, space.folder, item.item_id)
    assert row.startswith("items: ")
    assert lines[0].startswith(f"{item.item_id} asks about span 1 ({span.span_id})")
    assert f"twin {item.twin}" in lines[1]
    for index, letter in enumerate("ABCD"):
        stated = ", ".join(f"{fact.name}={fact.values[index]}" for fact in item.facts)
        assert lines[2 + index].startswith(f"    {letter} {item.options[index]} ({stated}")
        assert ("the answer" in lines[2 + index]) is (index == item.answer_index)
    facts = lines[6:]
    assert [line.split(": ")[0].strip() for line in facts] == [fact.name for fact in item.facts]
    assert any(": not shown by the frames; " in line for line in facts)
    for fact, line in zip(item.facts, facts, strict=True):
        assert line.endswith(f", mirrored {fact.mirrored.rpartition('=')[2]}")
    both = list(glance.show(space.store, space.folder, item.twin or ""))
    assert sum("asks about span" in line for line in both) == 2


def test_the_status_counts_spans_and_cells(space: Workspace) -> None:
    lines = list(glance.status(space.store))
    assert f"spans: {len(space.store.rows(Span))} (1 mirrored)" in lines
    assert (
        "landmark order: 40 candidates, 3 admissible, 0 asked; closed: 3 of 40 are admissible"
        in lines
    )


def test_the_report_holds_spans_facts_and_cells(space: Workspace) -> None:
    gallery = gallery_of(space.store, space.folder, ReviewSettings())
    span = mirrored(space)
    (card,) = (clip for clip in gallery.clips if clip.clip_id == span.clip_id)
    shown = json.loads(json.dumps(card.as_json()))
    assert [label for _, _, label in shown["spans"]] == ["span 1, mirrored"]
    assert "span 1, mirrored" in card.curve()
    asked = {item.item_id: item for item in space.store.rows(Item)}
    for item in shown["items"]:
        row = asked[item["id"]]
        assert (item["span"], item["twin"]) == (1, row.twin)
        assert [fact["name"] for fact in item["facts"]] == [fact.name for fact in row.facts]
        assert [fact["values"] for fact in item["facts"]] == [fact.values for fact in row.facts]
    seen = [fact["seen"] for item in shown["items"] for fact in item["facts"]]
    assert False in seen
    page = render(gallery, space.folder.root)
    assert '<span class="chip bad">closed</span> 3 of 40 are admissible' in page
