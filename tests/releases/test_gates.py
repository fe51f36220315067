"""Each gate is met by a correct candidate and fails for a fault planted in it."""

from dataclasses import replace
from typing import Any

import pytest
from factories import item, route

from pipeline.questions.rows import Item
from pipeline.releases.gates import GATES, Gate, Origin, ReleaseCandidate, check_gates

BACK = {
    "item_id": "i_r",
    "task": "direction_reverse",
    "orientation": "reverse",
    "options": [
        "turn left -> turn left",
        "turn left -> turn right",
        "turn right -> turn right",
        "turn right -> turn left",
    ],
    "answer_index": 1,
    "answer_text": "turn left -> turn right",
}


def candidate(*items: Item, **fields: Any) -> ReleaseCandidate:
    given: dict[str, Any] = {
        "items": items or (item(), item(**BACK)),
        "routes": {"c_a": route(moves=["straight", "left", "right"])},
        "min_verified": 1.0,
    }
    given["verified_by"] = {one.item_id: frozenset(["person"]) for one in given["items"]}
    return ReleaseCandidate(**(given | fields))


def failed(of: ReleaseCandidate) -> set[str]:
    return {gate.name for gate in check_gates(of) if not gate.met}


def open_item(**fields: Any) -> Item:
    """A route description, which has no options."""
    given: dict[str, Any] = {
        "task": "route_forward", "category": "route", "format": "open", "options": [],
        "answer_index": None, "answer_text": "there", "option_kind": None, "contrast": None,
    }  # fmt: skip
    return item(**(given | fields))


def test_a_correct_candidate_meets_every_gate() -> None:
    assert failed(candidate()) == set()
    pair = (open_item(item_id="i_1"), open_item(item_id="i_2", orientation="reverse"))
    assert failed(candidate(item(), item(**BACK), *pair)) == set()


def written(**fields: Any) -> Item:
    """An item written by a model: it has no route and no reverse item."""
    given: dict[str, Any] = {
        "item_id": "i_m", "task": "direction", "option_kind": "model", "contrast": "content",
        "flips": [], "question": "Which way after the red door?", "answer_text": "to the sink",
        "options": ["to the sink", "to the lamp", "up", "down"],
    }  # fmt: skip
    return item(**(given | fields))


def test_items_written_by_a_model_need_no_inverse_and_no_route() -> None:
    pair = (item(), item(**BACK))
    opened = {"options": [], "answer_index": None, "format": "open", "contrast": None}
    for extra in (written(), written(orientation="reverse"), written(**opened)):
        assert failed(candidate(*pair, extra)) == set()
        assert failed(candidate(extra, *pair)) == set()


def test_items_written_by_a_model_need_four_options_and_their_answer() -> None:
    pair = (item(), item(**BACK))
    assert failed(candidate(*pair, written(options=["to the sink", "a", "b"]))) == {"four_options"}
    assert failed(candidate(*pair, written(answer_index=1))) == {"schema"}


ORIGIN = Origin("g_a", "v_a", 0, 60, ("a", "b"))


def two_clips(**same: Any) -> ReleaseCandidate:
    """Two correct clips, one in train and one in test, that share the given fields."""
    moves = ["straight", "left", "right"]
    second = [
        found.model_copy(
            update={"item_id": f"{found.item_id}2", "clip_id": "c_b", "split": "train"}
        )
        for found in (item(), item(**BACK))
    ]
    origins = {
        "c_a": replace(Origin("g_a", "v_a", 0, 60, ("a", "b")), **same),
        "c_b": replace(Origin("g_b", "v_b", 60, 120, ("c", "d")), **same),
    }
    if "frames" in same and "other" in same["frames"]:
        origins["c_b"] = replace(origins["c_b"], frames=("p", "another"))
    return candidate(
        *(item(), item(**BACK), *second),
        routes={"c_a": route(moves=moves), "c_b": route("b", moves)},
        origins=origins,
    )


def skewed() -> ReleaseCandidate:
    """Twelve clips whose forward answer is always A."""
    names = "abcdefghijkl"
    return candidate(
        *(
            found.model_copy(update={"item_id": f"{found.item_id}{name}", "clip_id": f"c_{name}"})
            for name in names
            for found in (item(), item(**BACK))
        ),
        routes={f"c_{name}": route(name, ["straight", "left", "right"]) for name in names},
        origins={f"c_{name}": Origin(f"g_{name}", f"v_{name}", 0, 60) for name in names},
    )


FAULTS = {
    "no items": (candidate(items=()), {"schema", "verified_by_people"}),
    "the same id twice": (
        candidate(item(), item(**(BACK | {"item_id": "i_f"}))),
        {"schema", "verified_by_people"},
    ),
    "an empty question": (candidate(item(question=" "), item(**BACK)), {"schema"}),
    "an empty answer": (
        candidate(open_item(answer_text=" "), open_item(item_id="i_r", orientation="reverse")),
        {"schema"},
    ),
    "an open item with options": (
        candidate(open_item(options=["a"]), open_item(item_id="i_r", orientation="reverse")),
        {"schema"},
    ),
    "an answer that is not the option of its letter": (
        candidate(item(answer_index=1), item(**BACK)),
        {"schema", "no_true_distractor"},
    ),
    "a letter beyond the options": (
        candidate(item(answer_index=4), item(**BACK)),
        {"schema", "no_true_distractor"},
    ),
    "no letter": (
        candidate(item(answer_index=None), item(**BACK)),
        {"schema", "no_true_distractor"},
    ),
    "three options": (
        candidate(item(options=item().options[:3]), item(**BACK)),
        {"four_options", "inverse_pairs"},
    ),
    "an option twice": (
        candidate(item(options=[*item().options[:3], "turn left -> turn left"]), item(**BACK)),
        {"four_options", "inverse_pairs"},
    ),
    "an option twice but for its capitals": (
        candidate(item(options=[*item().options[:3], "Turn Left -> Turn Left"]), item(**BACK)),
        {"four_options", "inverse_pairs"},
    ),
    "a reverse item is missing": (candidate(item()), {"inverse_pairs"}),
    "a reverse description is missing": (candidate(open_item()), {"inverse_pairs"}),
    "reverse options that invert none": (
        candidate(item(), item(**(BACK | {"options": ["turn around", *BACK["options"][1:]]}))),  # type: ignore[misc]
        {"inverse_pairs"},
    ),
    "a reverse answer that is not the inverse": (
        candidate(
            item(), item(**(BACK | {"answer_index": 0, "answer_text": "turn left -> turn left"}))
        ),
        {"inverse_pairs", "no_true_distractor"},
    ),
    "an answer that is false": (
        candidate(routes={"c_a": route(moves=["right", "right"])}),
        {"no_true_distractor"},
    ),
    "no route to recompute from": (candidate(routes={}), {"no_true_distractor"}),
    "a letter that is right too often": (skewed(), {"letters"}),
    "the same question twice": (
        candidate(
            *(open_item(item_id="i_1"), open_item(item_id="i_3")),
            open_item(item_id="i_2", orientation="reverse"),
            origins={"c_a": ORIGIN},
        ),
        {"duplicates"},
    ),
    "a split group on two sides": (two_clips(split_group="g"), {"split_leak"}),
    "a video on two sides": (two_clips(video="v"), {"split_leak"}),
    "equal frames in two splits": (two_clips(frames=("p", "q")), {"split_leak"}),
    "one black frame in two splits": (two_clips(frames=("p", "other")), set()),
    "nobody judged": (candidate(verified_by={}), {"verified_by_people"}),
    "a script alone judged": (
        candidate(verified_by=dict.fromkeys(("i_f", "i_r"), frozenset(["script"]))),
        {"verified_by_people"},
    ),
    "a person verified its twin alone": (
        candidate(verified_by={"i_f": frozenset(["person"]), "i_r": frozenset(["script"])}),
        {"verified_by_people"},
    ),
    "a person judged another category": (
        candidate(item(status="draft"), item(**BACK)),
        {"verified_by_people"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_its_gates_and_no_other(fault: str) -> None:
    faulty, gates = FAULTS[fault]
    assert failed(faulty) == gates


def test_every_gate_has_a_planted_fault() -> None:
    planted = set().union(*(gates for _, gates in FAULTS.values()))
    assert planted == {gate.__name__ for gate in GATES}


def test_a_failed_gate_names_rows_and_fix() -> None:
    (gate,) = (gate for gate in check_gates(candidate(item())) if not gate.met)
    assert gate.rows == ("i_f",)
    assert gate.fix
    assert (
        str(gate) == "inverse_pairs: NOT MET: 1 items without a matching inverse, required 0 (i_f)"
    )


def test_the_share_verified_by_people_is_compared_with_the_setting() -> None:
    half = candidate(item(status="draft"), item(**BACK), min_verified=0.5)
    assert failed(half) == set()
    assert "verified_by_people" in failed(
        candidate(item(status="draft"), item(**BACK), min_verified=0.51)
    )


def test_a_gate_of_an_earlier_release_is_met_or_failed() -> None:
    for met, state in ((True, "met"), (False, "failed")):
        old = Gate.model_validate({"name": "x", "met": met, "figure": "1", "limit": "0"})
        assert (old.state, old.met) == (state, met)
    unproven = Gate(name="x", state="unproven", figure="1", limit="0")
    assert str(unproven) == "x: unproven: 1, required 0"
    assert Gate.model_validate(unproven.model_dump()) == unproven
