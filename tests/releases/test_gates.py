"""Each gate is met by a correct candidate and fails for a fault planted in it."""

from dataclasses import replace
from typing import Any

import pytest
from factories import item, reverse_item, square, steps

from pipeline.questions.rows import AskedFact, Item
from pipeline.releases.candidate import Place, ReleaseCandidate, Said
from pipeline.releases.gates import GATES, Gate, check_gates
from pipeline.routes.rows import Move
from pipeline.routes.wording import load

SAID = {name: Said(load(name).moves, load(name).facts) for name in ("en", "de")}
SQUARE_BACK = {
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


def place(moves: list[Move] | None = None, language: str = "en", **fields: Any) -> Place:
    walked = steps(moves if moves is not None else ["straight", "left", "right"])
    given: dict[str, Any] = {
        "split_group": "g_a", "video": "v_a", "start_us": 0, "end_us": 15, "frames": ("a", "b"),
        "steps": tuple(walked), "said": SAID[language],
    }  # fmt: skip
    return Place(**(given | fields))


def candidate(*items: Item, **fields: Any) -> ReleaseCandidate:
    given: dict[str, Any] = {
        "items": items or (item(), reverse_item()),
        "places": {"s_a": place(), "c_a": place()},
        "min_verified": 1.0,
    }
    given["verified_by"] = {one.item_id: frozenset(["person"]) for one in given["items"]}
    given["visible"] = {one.item_id: [True, True] for one in given["items"] if one.facts}
    return ReleaseCandidate(**(given | fields))


def failed(of: ReleaseCandidate) -> set[str]:
    return {gate.name for gate in check_gates(of) if not gate.met}


def open_item(**fields: Any) -> Item:
    """A route description, which has no options."""
    given: dict[str, Any] = {
        "task": "route_forward", "category": "route", "format": "open", "options": [],
        "answer_index": None, "answer_text": "there", "option_kind": None, "contrast": None,
        "facts": [], "twin": "t_route",
    }  # fmt: skip
    return item(**(given | fields))


def test_a_correct_candidate_meets_every_gate() -> None:
    assert failed(candidate()) == set()
    pair = (open_item(item_id="i_1"), open_item(item_id="i_2", orientation="reverse"))
    assert failed(candidate(item(), reverse_item(), *pair)) == set()


def written(**fields: Any) -> Item:
    """An item written by a model: it has no route and no reverse item."""
    given: dict[str, Any] = {
        "item_id": "i_m", "task": "direction", "option_kind": "model", "contrast": "content",
        "facts": [], "twin": None, "question": "Which way after the red door?", "answer_text": "to the sink",
        "options": ["to the sink", "to the lamp", "up", "down"],
    }  # fmt: skip
    return item(**(given | fields))


def test_items_of_earlier_versions_are_judged_by_their_words() -> None:
    assert failed(candidate(square(), square(**SQUARE_BACK))) == set()
    around = ["turn around -> turn right", *square().options[1:]]
    assert failed(
        candidate(square(options=around, answer_text=around[0]), square(**SQUARE_BACK))
    ) == {
        "inverse_pairs",
        "no_true_distractor",
    }


def test_items_of_two_languages_are_judged_by_their_own_words() -> None:
    """712 items failed while the words of the most frequent language were used for all."""
    pairs = [
        *(item(), reverse_item()),
        *(of_span(german(found), "b") for found in (item(), reverse_item())),
    ]
    places = {"s_a": place(), "s_b": place(language="de", video="v_b")}
    assert failed(candidate(*pairs, places=places)) == set()
    assert failed(candidate(*pairs, places=places | {"s_b": place(video="v_b")})) == {
        "no_true_distractor"
    }


def test_orders_are_judged_by_what_the_steps_show() -> None:
    """A mirrored span's steps are those that its frames show; orders stay, sides don't."""
    names = "landmark:door|plant"
    sides = ["left", "right", "left", "right"]
    orders = ["first", "first", "second", "second"]
    facts = [
        AskedFact(name=names, values=orders, back=f"{names}=second", rewound=f"{names}=second",
                  mirrored=f"{names}=first", seen_us=[0, 1, 1, 2]),
        AskedFact(name="turn:1", values=sides, back="turn:1=right", rewound="turn:1=right",
                  mirrored="turn:1=right", seen_us=[0, 1]),
    ]  # fmt: skip
    texts = ["door before plant; first turn left", "door before plant; first turn right",
             "plant before door; first turn left", "plant before door; first turn right"]  # fmt: skip
    shown = tuple(
        step.model_copy(update={"landmark": landmark})
        for step, landmark in zip(
            steps(["straight", "left", "straight"]), ("door", None, "plant"), strict=True
        )
    )
    asked = {"category": "landmark", "contrast": "mixed", "options": texts, "facts": facts}
    back = [
        one.model_copy(update={"back": there})
        for one, there in zip(facts, (f"{names}=first", "turn:1=left"), strict=True)
    ]
    pair = (
        item(**asked, task="landmark_forward"),
        reverse_item(**(asked | {"facts": back}), task="landmark_reverse", answer_index=3),
    )
    assert failed(candidate(*pair, places={"s_a": place(steps=shown)})) == set()
    mirrored = place(
        steps=tuple(
            step.model_copy(update={"move": "right"}) if step.move == "left" else step
            for step in shown
        )
    )
    assert failed(candidate(*pair, places={"s_a": mirrored})) == {"no_true_distractor"}


def test_items_written_by_a_model_need_no_inverse_and_no_route() -> None:
    pair = (item(), reverse_item())
    opened = {"options": [], "answer_index": None, "format": "open", "contrast": None}
    for extra in (written(), written(orientation="reverse"), written(**opened)):
        assert failed(candidate(*pair, extra)) == set()
        assert failed(candidate(extra, *pair)) == set()


def test_items_written_by_a_model_need_four_options_and_their_answer() -> None:
    pair = (item(), reverse_item())
    assert failed(candidate(*pair, written(options=["to the sink", "a", "b"]))) == {"four_options"}
    assert failed(candidate(*pair, written(answer_index=1))) == {"schema"}


def of_span(found: Item, name: str, **fields: Any) -> Item:
    """Return an item as one of another span."""
    update = {"item_id": f"{found.item_id}{name}", "span_id": f"s_{name}", "twin": f"t_{name}"}
    return found.model_copy(update={**update, **fields})


def two_spans(**same: Any) -> ReleaseCandidate:
    """Two correct spans, one in train and one in test, that share the given fields."""
    second = [of_span(found, "b", split="train") for found in (item(), reverse_item())]
    places = {
        "s_a": place(**same),
        "s_b": replace(
            place(split_group="g_b", video="v_b", frames=("c", "d"), start_us=15, end_us=30), **same
        ),
    }
    if "frames" in same and "other" in same["frames"]:
        places["s_b"] = replace(places["s_b"], frames=("p", "another"))
    return candidate(item(), reverse_item(), *second, places=places)


def skewed() -> ReleaseCandidate:
    """Twelve spans whose forward answer is always A."""
    names = "abcdefghijkl"
    return candidate(
        *(of_span(found, name) for name in names for found in (item(), reverse_item())),
        places={f"s_{name}": place(video=f"v_{name}") for name in names},
    )


def with_facts(of: Item, **changes: Any) -> Item:
    """Return an item whose first fact is changed."""
    first, *others = of.facts
    return of.model_copy(update={"facts": [first.model_copy(update=changes), *others]})


def german(of: Item) -> Item:
    """Return an item of the same facts in German words."""
    said = SAID["de"].facts
    options = [
        said["and"].join(
            said["turn"].format(nth=said[f"nth_{number + 1}"], side=said[fact.values[index]])
            for number, fact in enumerate(of.facts)
        )
        for index in range(4)
    ]
    text = options[of.answer_index or 0]
    return of.model_copy(update={"options": options, "answer_text": text})


FAULTS = {
    "no items": (candidate(items=()), {"schema", "verified_by_people"}),
    "the same id twice": (
        candidate(item(), reverse_item(item_id="i_f")),
        {"schema", "verified_by_people"},
    ),
    "an empty question": (candidate(item(question=" "), reverse_item()), {"schema"}),
    "an empty answer": (
        candidate(open_item(answer_text=" "), open_item(item_id="i_r", orientation="reverse")),
        {"schema"},
    ),
    "an open item with options": (
        candidate(open_item(options=["a"]), open_item(item_id="i_r", orientation="reverse")),
        {"schema"},
    ),
    "an answer that is not the option of its letter": (
        candidate(item(answer_index=1, answer_text="there"), reverse_item()),
        {"schema", "no_true_distractor"},
    ),
    "a letter beyond the options": (
        candidate(item(answer_index=4, answer_text="there"), reverse_item()),
        {"schema", "no_true_distractor", "inverse_pairs"},
    ),
    "no letter": (
        candidate(item(answer_index=None), reverse_item()),
        {"schema", "no_true_distractor", "inverse_pairs"},
    ),
    "three options": (
        candidate(item(options=item().options[:3]), reverse_item()),
        {"four_options", "inverse_pairs", "no_true_distractor"},
    ),
    "an option twice": (
        candidate(item(options=[*item().options[:3], item().options[2]]), reverse_item()),
        {"four_options", "no_true_distractor"},
    ),
    "an option twice but for its capitals": (
        candidate(item(options=[*item().options[:3], item().options[2].upper()]), reverse_item()),
        {"four_options", "no_true_distractor"},
    ),
    "a reverse item is missing": (candidate(item()), {"inverse_pairs"}),
    "a reverse description is missing": (candidate(open_item()), {"inverse_pairs"}),
    "reverse facts that none inverts": (
        candidate(item(), with_facts(reverse_item(), name="turn:3")),
        {"inverse_pairs", "no_true_distractor"},
    ),
    "an inverse that states another value": (
        candidate(with_facts(item(), back="turn:2=left"), reverse_item()),
        {"inverse_pairs"},
    ),
    "a reverse answer that is not the inverse": (
        candidate(item(), reverse_item(answer_index=0)),
        {"inverse_pairs", "no_true_distractor"},
    ),
    "a forward item and two reverse ones": (
        candidate(item(), reverse_item(), reverse_item(item_id="i_3", question="And back?")),
        {"inverse_pairs"},
    ),
    "one fact": (
        candidate(item(facts=item().facts[:1]), reverse_item()),
        {"inverse_pairs", "no_true_distractor"},
    ),
    "facts without names": (
        candidate(with_facts(item(), name="turn:x"), reverse_item()),
        {"inverse_pairs", "no_true_distractor"},
    ),
    "an answer that is false": (
        candidate(places={"s_a": place(["right", "right"])}),
        {"no_true_distractor"},
    ),
    "an option that doesn't state its facts": (
        candidate(item(options=["first turn left", *item().options[1:]]), reverse_item()),
        {"no_true_distractor"},
    ),
    "the words of another language": (
        candidate(places={"s_a": place(language="de")}),
        {"no_true_distractor"},
    ),
    "no steps to recompute from": (candidate(places={}), {"no_true_distractor"}),
    "a fact that no frame shows": (
        candidate(visible={"i_f": [True, False], "i_r": [True, True]}),
        {"visible_facts"},
    ),
    "facts of which nothing is known": (candidate(visible={}), {"visible_facts"}),
    "an earlier item with two true options": (
        candidate(
            square(options=["turn right", *square().options[1:]], answer_text="turn right"),
            square(**SQUARE_BACK),
        ),
        {"inverse_pairs", "no_true_distractor"},
    ),
    "an earlier item whose reverse options invert none": (
        candidate(
            square(),
            square(**(SQUARE_BACK | {"options": ["turn around", *SQUARE_BACK["options"][1:]]})),  # type: ignore[misc]
        ),
        {"inverse_pairs"},
    ),
    "a letter that is right too often": (skewed(), {"letters"}),
    "the same question twice": (
        candidate(
            *(open_item(item_id="i_1"), open_item(item_id="i_3", twin="t_other")),
            open_item(item_id="i_2", orientation="reverse"),
            open_item(item_id="i_4", orientation="reverse", twin="t_other"),
        ),
        {"duplicates"},
    ),
    "a split group on two sides": (two_spans(split_group="g"), {"split_leak"}),
    "a video on two sides": (two_spans(video="v"), {"split_leak"}),
    "equal frames in two splits": (two_spans(frames=("p", "q")), {"split_leak"}),
    "one black frame in two splits": (two_spans(frames=("p", "other")), set()),
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
        candidate(item(status="draft"), reverse_item()),
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
    half = candidate(item(status="draft"), reverse_item(), min_verified=0.5)
    assert failed(half) == set()
    assert "verified_by_people" in failed(
        candidate(item(status="draft"), reverse_item(), min_verified=0.51)
    )


def test_a_gate_of_an_earlier_release_is_met_or_failed() -> None:
    for met, state in ((True, "met"), (False, "failed")):
        old = Gate.model_validate({"name": "x", "met": met, "figure": "1", "limit": "0"})
        assert (old.state, old.met) == (state, met)
    unproven = Gate(name="x", state="unproven", figure="1", limit="0")
    assert str(unproven) == "x: unproven: 1, required 0"
    assert Gate.model_validate(unproven.model_dump()) == unproven
