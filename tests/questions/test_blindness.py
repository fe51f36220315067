"""Composed items of 800 random routes: nothing in their text or columns predicts the answer."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.blind.items import from_rows
from pipeline.blind.probe import ProbeReport, run_probe
from pipeline.demo.grammar import draw_rows
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Rows
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.compose import run
from pipeline.questions.rows import Expected, Item, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.review.rows import Answer
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Video

pytestmark = pytest.mark.slow

CLIPS = 800
OVERALL, WITHIN = 0.05, 0.08


@cache
def made(seed: int = 0) -> tuple[tuple[Item, ...], dict[str, Route], ProbeReport]:
    """Return the items of 800 random clips, their routes, and the probe's report on them."""
    videos, clips, routes = draw_rows(CLIPS, seed)
    given = {Video: tuple(videos), Clip: tuple(clips), Route: tuple(routes)}
    rows = Rows({**given, **dict.fromkeys((Turn, Written, Expected, Rejection, Answer), ())})
    with TemporaryDirectory() as folder:
        workspace = WorkspaceFolder(Path(folder))
        (workspace.root / "secret").write_bytes(b"drawn for this test alone: %d" % seed)
        found = run(rows, ComposeSettings(), workspace)
        items = tuple(row for row in found if isinstance(row, Item))
    report = run_probe(from_rows(items, videos, clips))
    return items, {route.clip_id: route for route in routes}, report


def choices(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if item.format == "mcq"]


def test_eight_hundred_clips_make_enough_items() -> None:
    items, _, _ = made()
    assert len(items) >= 5_000
    assert len(choices(items)) >= 3_400
    assert {item.task for item in choices(items)} == {
        f"{category}_{orientation}"
        for category, orientation in product(
            ("direction", "landmark", "action"), ("forward", "reverse")
        )
    }


def test_no_blind_method_is_more_than_five_points_above_chance() -> None:
    _, _, report = made()
    assert len(report.measured) >= 12
    assert {one.name for one in report.attacks} >= {
        "centrality", "intersection", "disclosure", "letters", "columns", "replay",
    }  # fmt: skip
    above = {one.name: round(one.overall.excess, 3) for one in report.measured}
    assert {name: excess for name, excess in above.items() if excess > OVERALL} == {}
    assert report.leaks() == []
    assert "no leak found in " in report.verdict()


def test_no_task_or_cell_is_more_than_eight_points_above_chance() -> None:
    _, _, report = made()
    named = {where for one in report.measured for where in one.within}
    assert {"cell=direction turn", "cell=landmark mixed", "cell=action mixed"} <= named
    assert sum(name.startswith("task=") for name in named) == 6
    above = {
        (one.name, where): round(figure.excess, 3)
        for one in report.measured
        for where, figure in one.within.items()
        if figure.excess > max(WITHIN, 2 * figure.error)
    }
    assert above == {}


def test_letters_are_equal_within_one_in_each_task_and_split() -> None:
    items, _, _ = made()
    used: dict[tuple[str, str], Counter[int | None]] = {}
    for item in choices(items):
        used.setdefault((item.task, item.split), Counter())[item.answer_index] += 1
    for stratum, letters in used.items():
        counts = [letters[index] for index in range(4)]
        assert max(counts) - min(counts) <= 1, stratum


# ---- what is true, worked out again from the steps, by no code of the toolkit ----------------------

SAID = {"left": "turn left", "right": "turn right", "around": "turn around"}
BACK = {"left": "turn right", "right": "turn left", "around": "turn around"}


def happenings(steps: Sequence[Step], orientation: str, category: str) -> list[str]:
    """Return all events of a route in order, in the words that options use."""
    order = steps if orientation == "forward" else list(reversed(steps))
    return [text for step in order for text in _of(step, orientation, category)]


def _of(step: Step, orientation: str, category: str) -> Iterator[str]:
    words = SAID if orientation == "forward" else BACK
    turn = [words[step.move]] if step.move != "straight" else []
    if category == "direction":
        yield from turn
        return
    doing = step.action if orientation == "forward" else step.undo
    known = [step.landmark] if step.landmark else []
    done = [doing] if doing and step.undo else []
    inside = [*known, *turn, *done]
    yield from inside if orientation == "forward" else reversed(inside)


def comes_about(parts: Sequence[str], events: Sequence[str]) -> bool:
    at = -1
    for part in parts:
        later = [index for index in range(at + 1, len(events)) if events[index] == part]
        if not later:
            return False
        at = later[0]
    return True


def test_of_four_options_exactly_the_answer_is_true_by_brute_force() -> None:
    items, routes, _ = made()
    wrong = []
    for item in choices(items):
        events = happenings(routes[item.clip_id].steps, item.orientation, item.category)
        parts = [option.split(" -> ") for option in item.options]
        if item.category == "direction":
            true = [index for index, part in enumerate(parts) if part == events]
        else:
            true = [index for index, part in enumerate(parts) if comes_about(part, events)]
        if true != [item.answer_index] or len({o.casefold() for o in item.options}) != 4:
            wrong.append((item.item_id, item.options, events))
    assert wrong == []


def test_the_brute_force_finds_a_second_truth() -> None:
    assert comes_about(["sink", "turn left"], ["turn left", "sink", "door", "turn left"])
    assert not comes_about(["sink", "sink"], ["turn left", "sink", "door"])
