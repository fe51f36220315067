"""The lines with which `egost generate-qa` ends."""

import factories
import pytest

from pipeline.engine.rows import Rejection
from pipeline.questions.refusals import UNSEEN
from pipeline.questions.rows import Item, Stratum
from pipeline.questions.summary import composed


def items(count: int, category: str = "direction", contrast: str = "turn") -> list[Item]:
    return [
        factories.item(
            item_id=f"i{category}{number}", twin=f"t{category}{number // 2}", category=category, contrast=contrast
        )
        for number in range(count)
    ]  # fmt: skip


def cell(category: str, contrast: str, candidates: int, admissible: int, closed: str | None = None, fitted: bool = True) -> Stratum:  # fmt: skip
    asked = 0 if closed else admissible // 2
    return Stratum.model_validate(
        {
            "category": category,
            "contrast": contrast,
            "candidates": candidates,
            "admissible": admissible,
            "asked": asked,
            "closed": closed,
            "fitted": fitted,
        }
    )


def test_items_are_counted_by_category_and_kind_and_those_set_aside_apart() -> None:
    made = [*items(4), *items(2, "landmark", "mixed"), factories.item(status="set_aside")]
    (line,) = composed(made, [], [], "off")
    assert line == (
        "items: 6 (4 direction turn, 2 landmark mixed); 3 pairs of a forward and a reverse one; 1 set aside"
    )


@pytest.mark.parametrize(
    ("contrast", "mirror", "offered"),
    [("turn", "off", True), ("mixed", "off", True), ("order", "off", False), ("turn", "coin", False)],
)  # fmt: skip
def test_a_closed_cell_has_its_reason_and_what_would_open_it(
    contrast: str, mirror: str, offered: bool
) -> None:
    strata = [
        cell("direction", contrast, 400, 20, closed="5% of pairs are admissible"),
        cell("action", "order", 300, 300),
    ]
    lines = [
        line
        for line in composed(items(4), [], strata, mirror)
        if not line.startswith("mirrored: 0 of 0")
    ]
    assert lines[1] == f"closed: direction {contrast}: 5% of pairs are admissible"
    assert ('compose.mirror = "coin"' in lines[2]) is offered
    assert "add other scenes" in lines[2]
    assert (
        lines[3] == "not asked: 380 of 700 pairs of facts, which can be guessed without the video"
    )
    assert len(lines) == 4


def test_a_small_workspace_is_unproven() -> None:
    strata = [cell("direction", "turn", 150, 150), cell("landmark", "order", 60, 60)]
    assert not any("unproven" in line for line in composed(items(2), [], strata, "off"))
    few = cell("action", "order", 199, 199, fitted=False)
    (line,) = (line for line in composed(items(2), [], [*strata, few], "off") if "unproven" in line)
    assert line.endswith("judged them (199 action order)")


def test_clips_whose_frames_show_too_little_are_counted_once() -> None:
    refused = [
        Rejection(
            stage="compose", unit=f"c{number // 2}", what=f"no {number} items: {what}", fix=""
        )
        for number, what in enumerate([UNSEEN] * 3 + ["fewer than two facts"])
    ]
    (_, line) = composed(items(2), [], [], "off", refused)
    assert line.startswith("not shown: a category in 2 clips, by too few frames; more frames")
    assert len(list(composed(items(2), [], [], "off", refused[3:]))) == 1


def test_mirrored_spans_are_counted() -> None:
    spans = [factories.span(str(number), mirrored=number < 2) for number in range(5)]
    spans.append(factories.span("sign", upright=True))
    lines = list(composed(items(2), spans, [], "coin"))
    assert lines[1] == "mirrored: 2 of 6 spans; 1 are never flipped (compose.never_mirror)"
    assert len(list(composed(items(2), spans, [], "off"))) == 1
