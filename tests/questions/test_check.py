"""Automatic checks: what each one reports, and what passes."""

from pathlib import Path
from typing import Any

import factories
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Row, Rows
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.check import CHECKS, run
from pipeline.questions.rows import Item, Span
from pipeline.questions.settings import CheckSettings
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Narration

SECOND = factories.SECOND


def step(start: float, end: float, move: str = "straight", **facts: str) -> Step:
    return Step.model_validate(
        {"start_us": round(start * SECOND), "end_us": round(end * SECOND), "move": move, **facts}
    )


def turn(start: float, kind: str = "left", moving: bool = True) -> Turn:
    degrees = {"left": 90.0, "right": -90.0, "around": 180.0}[kind]
    given = {"clip_id": "c_a", "kind": kind, "yaw_degrees": degrees, "moving": moving}
    begin = round(start * SECOND)
    return Turn.model_validate(
        {**given, "start_us": begin, "end_us": begin + SECOND, "confidence": 0.9}
    )


def narration(at: float, landmark: str | None = None, text: str = "prose") -> Narration:
    return Narration(video_id="v_a", t_us=round(at * SECOND), text=text, landmark=landmark)


def found(
    steps: list[Step] | None = None,
    turns: tuple[Turn, ...] = (),
    narrations: tuple[Narration, ...] = (),
    items: tuple[Item, ...] = (),
    forward: str = "left left right right",
    reverse: str = "left left right right",
    language: str = "en",
    **settings: Any,
) -> list[Finding]:
    route = factories.route(
        "a",
        steps=steps or [step(0, 60)],
        forward_description=forward,
        reverse_description=reverse,
        language=language,
    )
    seen: dict[type[Row], tuple[Row, ...]] = {
        Clip: (factories.clip("a", 60),),
        Turn: turns,
        Narration: narrations,
        Route: (route,),
        Item: items,
        Span: (factories.span(),),
    }
    rows = run(Rows(seen), CheckSettings(**settings), WorkspaceFolder(Path()))
    return [row for row in rows if isinstance(row, Finding)]


def kinds(*args: Any, **kwargs: Any) -> list[tuple[str, str]]:
    return [(one.kind, one.severity) for one in found(*args, **kwargs)]


def item(**fields: Any) -> Item:
    return factories.item(**fields)


LEFT = [step(0, 10), step(10, 14, "left"), step(14, 60)]


def test_a_route_that_agrees_with_all_evidence_has_no_finding() -> None:
    route_steps = [step(0, 10, landmark="Red Door"), step(10, 60, "left", landmark="sink")]
    narrations = (narration(3, "red door"), narration(12, "sink"))
    assert found(route_steps, (turn(11),), narrations) == []


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ((turn(11, "right"),), [("motion_contradicts", "error")]),
        ((turn(11, "around"),), [("motion_differs", "warning")]),
        ((), [("motion_absent", "warning")]),
        ((turn(11), turn(30, "right")), [("turn_left_out", "warning")]),
        ((turn(11, moving=False),), [("glance_told", "info")]),
        ((turn(11),), []),
        ((turn(15.4),), []),  # within the slack of 1.5 s
    ],
)
def test_moves_are_compared_with_the_measured_turns(
    turns: tuple[Turn, ...], expected: list[tuple[str, str]]
) -> None:
    assert kinds(LEFT, turns) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([step(0, 61)], [("outside_clip", "error")]),
        ([step(-1, 60)], [("outside_clip", "error")]),
        ([step(0, 5), step(5, 5), step(5, 60)], [("no_duration", "error")]),
        ([step(0, 9), step(5, 60)], [("out_of_order", "error")]),
        ([step(0, 5), step(5, 60)], []),
    ],
)
def test_times_are_compared_with_the_clip(
    steps: list[Step], expected: list[tuple[str, str]]
) -> None:
    assert kinds(steps) == expected


def test_landmarks_in_another_order_than_narrated_are_reported() -> None:
    route_steps = [step(0, 10, landmark="sink"), step(10, 60, landmark="red door")]
    wrong = (narration(3, "red door"), narration(12, "sink"))
    assert kinds(route_steps, narrations=wrong) == [("landmark_out_of_order", "warning")]
    assert kinds(route_steps, narrations=(narration(11.9, "sink"), narration(11, "red door"))) == []
    assert (
        kinds(route_steps, narrations=(*wrong, narration(40, "red door"))) == []
    )  # there may be two of them


@pytest.mark.parametrize(
    ("forward", "reverse", "expected"),
    [
        ("Turn left at the door.", "Turn around, then right.", 0),
        ("Turn LEFT.", "Right!", 0),
        ("Go on to the door.", "Turn right.", 1),
        ("Turn left.", "Turn left.", 1),
        ("A leftover bottle.", "Bright light.", 2),
    ],
)
def test_a_description_without_a_turn_is_reported(
    forward: str, reverse: str, expected: int
) -> None:
    got = kinds(LEFT, (turn(11),), forward=forward, reverse=reverse)
    assert got == [("turn_not_described", "warning")] * expected


def test_descriptions_may_be_in_another_language() -> None:
    german = {"forward": "Links abbiegen.", "reverse": "Rechts."}
    assert len(found(LEFT, (turn(11),), **german)) == 2
    assert found(LEFT, (turn(11),), language="de", **german) == []
    (one,) = found(LEFT, (turn(11),), language="de", forward="links", reverse="left")
    assert "'rechts' for 0 of 1 such turns" in one.message


def test_unknown_words_are_reported_only_if_known_ones_are_given() -> None:
    route_steps = [step(0, 60, landmark="Red doro 7")]
    assert found(route_steps) == []
    (one,) = found(route_steps, known_words=["red", "door"])
    assert (one.kind, one.severity) == ("unknown_words", "info")
    assert one.message.endswith(": doro")


def test_overlong_texts_are_reported() -> None:
    long_fact = [step(0, 60, landmark="x" * 81)]
    assert kinds(long_fact) == [("overlong", "warning")]
    assert kinds(forward="left right " * 200) == [("overlong", "warning")]
    options = ["a" * 401, "b", "c", "d"]
    wide = item(question="q" * 301, options=options, answer_text=options[0], option_kind="model")
    assert kinds(items=(wide,)) == [("overlong", "warning")] * 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("the note ann@example.org", "e-mail"),
        ("a sign: +44 20 7946 0958", "telephone"),
        ("a sign: 020-7946-0958", "telephone"),
        ("a van KA-01 AB 1234", "licence plate"),
        ("a car B AB 1234", "licence plate"),
        ("the desk of Dr. Miller", "name"),
    ],
)
def test_personal_data_is_found_in_routes_and_narrations(text: str, what: str) -> None:
    (one,) = found([step(0, 60, landmark=text)])
    assert (one.kind, one.severity) == ("personal_data", "warning")
    assert what in one.message
    assert [f.message for f in found(narrations=(narration(5, text=text),))] == [one.message]
    assert found(narrations=(narration(61, text=text),)) == []  # beyond the clip


@pytest.mark.parametrize(
    "text",
    ["room B 12", "exit 3 of 4", "the EXIT sign", "a 1999 poster", "platform 10", "the DVD shelf"],
)
def test_ordinary_landmarks_are_not_personal_data(text: str) -> None:
    assert found([step(0, 60, landmark=text)]) == []


def test_equal_and_nearly_equal_options_are_found() -> None:
    same = ["turn left", "Turn left", "b", "c"]
    near = ["past the door", "the door", "b", "c"]
    for options, expected in ((same, "error"), (near, "warning")):
        one = item(
            options=options, answer_text=options[0], option_kind="model", category="landmark"
        )
        assert [severity for _, severity in kinds(items=(one,))] == [expected]


TWO = [step(0, 5, "left"), step(5, 10, "right")]
SEEN = (turn(2), turn(7, "right"))


def test_an_item_whose_answer_is_false_is_found() -> None:
    walk = [step(0, 5), step(5, 10, "left"), step(10, 15, "right")]
    seen = (turn(7), turn(12, "right"))
    assert kinds(walk, seen, items=(item(),)) == []
    wrong = item(answer_index=1, answer_text=item().options[1])
    assert kinds(walk, seen, items=(wrong,)) == [
        ("answer_not_borne_out", "error"),
        ("two_true", "error"),
    ]
    # The same item of a span in which the second turn goes the other way.
    other = [step(0, 5), step(5, 10, "left"), step(10, 15, "left")]
    found_there = kinds(other, (turn(7), turn(12)), items=(item(),))
    assert ("answer_not_borne_out", "error") in found_there


def test_a_square_of_an_earlier_version_with_a_second_true_option_is_found() -> None:
    assert kinds(TWO, SEEN, items=(factories.square(),)) == []
    wrong = factories.square(answer_index=1, answer_text="turn right -> turn right")
    assert kinds(TWO, SEEN, items=(wrong,)) == [
        ("answer_not_borne_out", "error"),
        ("two_true", "error"),
    ]


def test_items_by_a_model_are_checked_if_the_route_decides() -> None:
    route_steps = [step(0, 5, "left", landmark="sink"), step(5, 60, "right", landmark="door")]
    good = ["sink -> door", "door -> sink", "turn right -> sink", "door -> turn left"]
    model = {"option_kind": "model", "category": "landmark", "flips": []}
    fine = item(options=good, answer_text=good[0], **model)
    assert kinds(route_steps, SEEN, items=(fine,)) == []
    both = [*good[:3], "sink -> turn right"]
    twice = item(options=both, answer_text=good[0], **model)
    assert kinds(route_steps, SEEN, items=(twice,)) == [("two_true", "error")]
    unknown = item(
        options=[*good[:3], "sink -> lamp"], answer_text=good[0], answer_index=1, **model
    )
    assert kinds(route_steps, SEEN, items=(unknown,)) == []


def test_a_question_that_contains_its_answer_is_reported() -> None:
    options = ["the red door", "the sink", "the lamp", "the stairs"]
    given = {"options": options, "answer_text": options[0], "option_kind": "model"}
    leaks = item(question="What comes after THE red door?", **given)
    assert kinds(items=(leaks,)) == [("answer_in_question", "warning")]
    both = item(question="The red door or the sink?", **given)
    assert kinds(items=(both,)) == []


def test_the_verified_route_is_checked_rather_than_the_draft() -> None:
    draft = factories.route("a", ["left"])
    verified = factories.route("a", ["straight"], origin="verified")
    seen: dict[type[Row], tuple[Row, ...]] = {
        Clip: (factories.clip("a", 60),),
        Turn: (),
        Narration: (),
        Route: (draft, verified),
        Item: (),
        Span: (),
    }
    assert list(run(Rows(seen), CheckSettings(), WorkspaceFolder(Path()))) == []
    seen[Route] = ()
    assert list(run(Rows(seen), CheckSettings(), WorkspaceFolder(Path()))) == []


def test_every_check_is_in_the_tuple_once_with_its_severity() -> None:
    names = [check.__name__ for _, check in CHECKS]
    assert len(names) == len(set(names)) >= 12
    assert {severity for severity, _ in CHECKS} == {"info", "warning", "error"}
