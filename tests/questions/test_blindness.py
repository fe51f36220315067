"""Composed items of random routes: nothing in their text or columns predicts the answer, and one option is true."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.blind.items import from_rows
from pipeline.blind.probe import run_probe
from pipeline.demo.grammar import draw_rows
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Rows
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.compose import run
from pipeline.questions.rows import Expected, Item, Span, Stratum, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.review.rows import Answer
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Video

pytestmark = pytest.mark.slow

CLIPS = 400


@cache
def made() -> tuple[list[Item], dict[str, Span], dict[str, Route], list[Video], list[Stratum]]:
    """Return the items of random clips whose routes people verified, their spans, routes, videos and cells."""
    videos, clips, drafts = draw_rows(CLIPS, 0)
    verified = ["route", "direction", "landmark", "action"]
    routes = tuple(
        one.model_copy(update={"origin": "verified", "verified_categories": verified})
        for one in drafts
    )
    given = {Video: tuple(videos), Clip: tuple(clips), Route: routes}
    rows = Rows({**given, **dict.fromkeys((Turn, Written, Rejection, Answer, Expected), ())})
    # Many frames, so that no turn is left out for its speed.
    settings = ComposeSettings.model_validate({"frames_per_second": 4, "most_frames": 256})
    with TemporaryDirectory() as folder:
        workspace = WorkspaceFolder(Path(folder))
        (workspace.root / "secret").write_bytes(b"drawn for this test alone")
        found = list(run(rows, settings, workspace))
    items = [row for row in found if isinstance(row, Item)]
    spans = {row.span_id: row for row in found if isinstance(row, Span)}
    strata = [row for row in found if isinstance(row, Stratum)]
    return items, spans, {route.clip_id: route for route in routes}, list(videos), strata


def choices() -> list[Item]:
    return [item for item in made()[0] if item.format == "mcq"]


def test_clips_make_enough_items_of_every_task_and_kind() -> None:
    assert len(choices()) >= 1_500
    # A third of the names occur in a fixed order, so a cell of orders may be closed.
    open_cells = {(one.category, one.contrast) for one in made()[-1] if not one.closed}
    assert {"direction", "landmark"} <= {category for category, _ in open_cells}
    assert {(item.category, item.contrast) for item in choices()} == open_cells
    assert {item.task for item in choices()} == {
        f"{category}_{way}" for (category, _), way in product(open_cells, ("forward", "reverse"))
    }


def test_no_reader_without_the_video_finds_a_leak() -> None:
    items, spans, _, videos, _ = made()
    report = run_probe(from_rows(items, videos, spans.values()))
    assert {one.name for one in report.attacks} >= {
        "centrality", "intersection", "disclosure", "letters", "columns", "replay", "scene",
    }  # fmt: skip
    assert report.leaks() == []


def test_letters_are_equal_within_one_in_each_task_and_split() -> None:
    used: dict[tuple[str, str], Counter[int | None]] = {}
    for item in choices():
        used.setdefault((item.task, item.split), Counter())[item.answer_index] += 1
    for stratum, letters in used.items():
        counts = [letters[index] for index in range(4)]
        assert max(counts) - min(counts) <= 1, stratum


# ---- what is true, worked out again from the steps, by no code of the toolkit ----------------------

FROM_START = {"first": 0, "second": 1, "third": 2}
FROM_END = {"last": -1, "second to last": -2, "third to last": -3}
OTHER = {"left": "right", "right": "left"}


def is_true(statement: str, steps: Sequence[Step], item: Item) -> bool:
    """Return whether one of the two statements of an option is true of a span with these steps."""
    back = item.orientation == "reverse"
    for ordinal, place in (FROM_START | FROM_END).items():
        for side in OTHER:
            if statement == f"{ordinal} turn {side}":
                sides = [step.move for step in steps if step.move in OTHER]
                way = [OTHER[one] for one in reversed(sides)] if back else sides
                return way[place] == side
    one, other = statement.split(" before ")
    undone = back and all(
        name in {(step.undo or "").lower() for step in steps} for name in (one, other)
    )
    names = [
        text.lower()
        for step in steps
        for text in (step.landmark, step.undo if undone else step.action)
        if text
    ]
    assert names.count(one) == names.count(other) == 1
    return (names.index(one) < names.index(other)) != back


def test_of_four_options_exactly_the_answer_is_true_by_brute_force() -> None:
    _, spans, routes, *_ = made()
    for item in choices():
        span = spans[item.span_id or ""]
        steps = [
            step
            for step in routes[item.clip_id].steps
            if span.start_us <= step.start_us and step.end_us <= span.end_us
        ]
        true = [
            all(is_true(statement, steps, item) for statement in option.split("; "))
            for option in item.options
        ]
        assert true == [index == item.answer_index for index in range(4)], (item, steps)
        assert len({option.casefold() for option in item.options}) == 4
