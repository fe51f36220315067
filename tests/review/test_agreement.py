import pytest
from walked import clip, draft, steps

from pipeline.assets import asset
from pipeline.errors import UserError
from pipeline.review.agreement import agreement, annotators, nominal
from pipeline.review.facts import facts_of
from pipeline.review.gold import read_gold
from pipeline.review.rows import MISSED, Verdict
from pipeline.review.verified import verify
from pipeline.routes import wording
from pipeline.routes.motion_draft import describe_steps
from pipeline.routes.rows import Route
from pipeline.routes.templates import load

LEFT, RIGHT = steps("straight", "left"), steps("straight", "right")


def verdict(who: str, walked, name: str = "walk", **changed) -> Verdict:
    drafted = draft(clip(name), LEFT)
    return Verdict.model_validate(
        {
            "clip_id": drafted.clip_id,
            "fingerprint": f"{name} {drafted.fingerprint}",
            "round": 1,
            "annotator": who,
            "verdict": "accept",
            "reasons": [],
            "steps": list(walked),
            "forward_description": "",
            "reverse_description": "",
            "seconds": 10.0,
            "guideline_version": "1.0",
            "created_us": 1,
            "annotation_id": f"{who} {name}",
            "kind": "real",
            "by": "person",
            **changed,
        }
    )


def test_alpha_equals_a_worked_example():
    # Krippendorff (2011), "Computing Krippendorff's alpha-reliability", part A: two observers,
    # ten units, binary: alpha = 0.095.
    one, other = "0100000000", "1110010010"
    found = nominal(list(zip(one, other, strict=True)))
    assert found.alpha == pytest.approx(0.095, abs=0.0005)
    assert found.percent == pytest.approx(0.6)


def test_alpha_weighs_units_with_more_people():
    # The same source, part C (four observers, missing values): nominal alpha = 0.743.
    units = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11"]
    assert nominal(units).alpha == pytest.approx(0.743, abs=0.0005)


def test_agreement_is_computed_by_category():
    bare = steps("straight", "left", landmark=None)
    named = steps("straight", "left", landmark="the Red door.")
    again = steps("straight", "left", landmark="the red  door")
    found = agreement(
        [
            *(verdict("a", named, "one"), verdict("b", again, "one")),
            *(verdict("a", named, "two"), verdict("b", bare, "two")),
            *(verdict("a", LEFT, "three"), verdict("b", RIGHT, "three")),
            verdict("a", LEFT, "alone"),
        ],
        facts_of({}),
    )
    assert {name: one.clips for name, one in found.items()} == dict.fromkeys(found, 3)
    assert found["direction"].percent == pytest.approx(2 / 3)
    assert found["landmark"].percent == pytest.approx(2 / 3)
    assert found["action"].alpha is None
    assert found["route"].percent == pytest.approx(1 / 3)


def test_no_agreement_without_two_judges():
    assert agreement([verdict("a", LEFT)], facts_of({})) == {}


def test_caught_planted_errors_are_counted_by_annotator():
    done = [
        verdict("a", LEFT, "one", seconds=10),
        verdict("a", LEFT, "two", seconds=30, kind="planted", verdict="corrected"),
        verdict("b", LEFT, "two", kind="planted", by="script"),
        verdict("b", (), "three", verdict="skip"),
    ]
    found = annotators(done, {}, facts_of({}))
    assert (found["a"].verdicts, found["a"].median_seconds, found["a"].caught) == (2, 20, 1)
    assert (found["b"].verdicts, found["b"].planted, found["b"].caught) == (1, 1, 0)
    assert (found["a"].scripted, found["b"].scripted) == (False, True)


def test_a_correction_of_something_else_leaves_a_planted_error_uncaught():
    fields = {"kind": "planted", "verdict": "corrected"}
    found = annotators(
        [
            verdict("a", LEFT, "one", **fields),
            verdict("a", LEFT, "two", reasons=[MISSED], **fields),
        ],
        {},
        facts_of({}),
    )
    assert (found["a"].planted, found["a"].caught) == (2, 1)


def test_gold_clips_count_whose_facts_are_true():
    truth = {clip("one").clip_id: RIGHT, clip("two").clip_id: LEFT}
    done = [verdict("a", RIGHT, "one"), verdict("a", LEFT, "two"), verdict("b", LEFT, "one")]
    found = annotators([*done, verdict("b", LEFT, "three")], truth, facts_of({}))
    assert (found["a"].gold, found["a"].right) == (2, 2)
    assert (found["b"].gold, found["b"].right) == (1, 0)


def test_the_gold_example_can_be_read_and_a_broken_line_is_named(tmp_path):
    (steps_,) = read_gold(asset("annotations/gold.example.jsonl")).values()
    assert [step.move for step in steps_] == ["straight", "left", "straight"]
    broken = tmp_path / "gold.jsonl"
    broken.write_text('{"clip_id": "a", "steps": "0:00.0 go up"}')
    with pytest.raises(UserError, match="column 8") as caught:
        read_gold(broken)
    assert caught.value.where == f"{broken}:1"


def test_a_stay_matters_to_the_route_alone_and_earlier_verdicts_compare_as_before():
    walk, stay = steps("straight", "left", "straight"), steps("stay", "left", "straight")
    facts = facts_of({})
    differ = [name for name, fact in facts.items() if fact(walk) != fact(stay)]
    assert differ == ["route"]
    assert facts["direction"](stay) == ("left",)
    assert facts["route"](walk)[0] == ("left",)  # as before there were stays
    assert facts["route"](steps("stay", "stay", "left"))[0] == ("stay", "left")


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_straight_corrected_to_a_stay_is_described_as_one(language: str):
    describe, words = load("describe.j2"), wording.load(language)
    ways = [describe_steps(describe, LEFT, way, words) for way in ("forward", "reverse")]
    drafted = draft(clip(), LEFT, *ways).model_copy(update={"language": language})
    corrected = verdict(
        "a", steps("stay", "left"), verdict="corrected", fingerprint=drafted.fingerprint,
        forward_description=ways[0], reverse_description=ways[1],
    )  # fmt: skip
    found = verify(drafted, [corrected], 2, facts_of({}))
    (verified,) = [row for row in found if isinstance(row, Route)]
    stay = words.moves["stay"]
    assert verified.forward_description.casefold().startswith(stay)
    assert verified.reverse_description.endswith(f"{stay}.")
