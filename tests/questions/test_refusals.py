"""Why a clip has no items of a category, and what would help it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from small_release import small_space

from pipeline.engine.rows import Rejection
from pipeline.engine.workspace import Workspace
from pipeline.questions.asking import Asking
from pipeline.questions.composition import Composition, RouteToAsk, ask, spans_of
from pipeline.questions.draw import Draw
from pipeline.questions.refusals import Refusals
from pipeline.questions.rows import Stratum
from pipeline.questions.settings import ComposeSettings
from pipeline.routes.remedies import Material
from pipeline.routes.rows import Move, Route, Step
from pipeline.routes.wording import load

DRAW = Draw(b"secret")
SETTINGS = ComposeSettings()
MATERIAL = Material(20, 20, 40, "motion", landmarks=True, actions=True)
APART_US = 1_000_000


def step(number: int, move: Move = "straight", **names: str) -> Step:
    return Step(start_us=number * 5_000_000, end_us=(number + 1) * 5_000_000, move=move, **names)


def actions(*names: str) -> list[Step]:
    return [step(number, "stay", action=name) for number, name in enumerate(names)]


def route(steps: Sequence[Step], name: str = "c") -> RouteToAsk:
    return RouteToAsk(name, name, "test", tuple(steps), load("en"))


def reasons(
    steps: Sequence[Step], guessable: Counter[str] | None = None, closed: Sequence[str] = ()
) -> dict[str, tuple[str, str]]:
    """Return why a clip without any item has none, and what would help, by category."""
    spans = spans_of(route(steps), SETTINGS, DRAW)
    strata = [
        Stratum(category=cell.split()[0], contrast=cell.split()[1], candidates=9, admissible=0, asked=0, closed="why", fitted=True)
        for cell in closed
    ]  # fmt: skip
    nothing = Composition(
        defaultdict(list), {spans[0].span_id: guessable or Counter()}, strata, Asking(DRAW), DRAW
    )
    found = Refusals(nothing, strata, (), DRAW, APART_US).of("c", spans, MATERIAL)
    return {row.what.split()[1]: (row.what, row.fix) for row in found if row.what[:3] == "no "}


def test_three_actions_without_a_turn_make_no_pair_and_the_reason_says_so() -> None:
    three = actions("takes a cup", "opens a tap", "wipes the table")
    why, fix = reasons(three)["action"]
    assert "can't be asked together" in why
    assert fix.startswith("narrations that name more actions")
    four, nothing = reasons([*three, step(3, "stay", action="folds a cloth")])["action"]
    assert "none was drawn" in four
    assert nothing.startswith("nothing is wrong with the clip")
    turned, _ = reasons([*three, step(3, "left")])["action"]
    assert "none was drawn" in turned


def test_a_clip_without_spans_has_too_few_facts() -> None:
    nothing = Composition({}, {}, (), Asking(DRAW), DRAW)
    found = Refusals(nothing, (), (), DRAW, APART_US).of("c", [], MATERIAL)
    assert [row.what.split(": ")[1].split()[:2] for row in found] == [["fewer", "than"]] * 4


def test_a_closed_cell_is_the_reason_only_if_the_clip_has_no_pairs_of_an_open_one() -> None:
    walk = [step(0, landmark="red door"), step(1, "left"), step(2, landmark="plant")]
    assert "none was drawn" in reasons(walk, closed=["landmark order"])["landmark"][0]
    assert "cells are closed" in reasons(walk, closed=["landmark mixed"])["landmark"][0]


def test_pairs_that_can_be_guessed_are_the_reason_for_their_own_category_alone() -> None:
    walk = [
        step(0, landmark="red door"),
        step(1, "left"),
        step(2, "right"),
        step(3, landmark="plant"),
    ]
    found = reasons(walk, Counter({"landmark mixed": 2}))
    assert "all pairs of facts can be guessed" in found["landmark"][0]
    assert "none was drawn" in found["direction"][0]
    some = reasons(walk, Counter({"landmark mixed": 1}))
    assert "none was drawn" in some["landmark"][0]


def test_two_actions_of_one_script_are_counted_as_guessable() -> None:
    names = ("takes a cup", "opens a tap", "wipes the table", "folds a cloth", "calls a friend")
    spans = [
        span
        for name in ("one", "two")
        for span in spans_of(route(actions(*names), name), SETTINGS, DRAW)
    ]
    found = ask(spans, {}, SETTINGS, DRAW)
    assert not any(found.pairs.values())
    (cell,) = found.strata
    counted = sum((found.guessable[span.span_id] for span in spans), Counter[str]())
    assert cell.candidates > 0
    assert counted == {"action order": cell.candidates}


def test_a_workspace_still_tells_what_can_be_guessed_when_composed_again(tmp_path: Path) -> None:
    def told(space: Workspace) -> list[str]:
        rows = space.store.rows(Rejection, ["compose"])
        return sorted(f"{row.unit}: {row.what}" for row in rows)

    with small_space(tmp_path / "workspace", clips=12) as space:
        first = told(space)
        assert any("can be guessed" in line for line in first)
        surer = [
            draft.model_copy(update={"confidence": 0.95})
            for draft in space.store.rows(Route, ["draft"])
        ]
        space.store.finish("draft", "all", "made up again", "done", surer)
        (summary,) = space.run(["compose"])
        assert summary.kept > 0
        assert told(space) == first
