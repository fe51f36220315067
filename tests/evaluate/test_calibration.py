"""What a judge has to do with planted answers to pass."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from pipeline.evaluate.calibration import Calibration, calibrate
from pipeline.evaluate.open_rows import Judgement, OpenItem
from pipeline.evaluate.planted import CLIPS, Planted, calibration_clips, planted
from pipeline.routes.likeness import edits
from pipeline.routes.rows import Move, Step

ROUTES: Sequence[Sequence[Move]] = (
    ("left", "right", "left"),
    ("left", "left", "right", "straight"),
    ("right", "left", "left", "right", "around"),
)
Score = Callable[[OpenItem, Planted, int], tuple[int, int, int] | None]


def item(number: int, **fields: object) -> OpenItem:
    moves = ROUTES[number % len(ROUTES)]
    steps = [
        Step(start_us=at, end_us=at + 1, move=move, landmark=f"the thing {at}")
        for at, move in enumerate(moves)
    ]
    given = {
        "id": f"i_{number}", "split": "test", "task": "route_forward", "category": "route",
        "orientation": ("forward", "reverse")[number % 2], "split_group": f"g{number}", "video": f"v{number}",
        "question": "Which way?", "reference": "So.", "language": "en", "seconds": 9, "twin": None,
        "moves": list(moves), "landmarks": [], "actions": [], "source": "evidence", "steps": steps,
    }  # fmt: skip
    return OpenItem.model_validate(given | fields)


ITEMS = [item(number) for number in range(12)]
ANSWERS: Mapping[str, list[Planted]] = {one.id: planted(one) for one in ITEMS}


def exact(of: OpenItem, answer: Planted, repeat: int) -> tuple[int, int, int]:
    """Score by the number of edits, and give nothing else."""
    truth = next(one for one in ANSWERS[of.id] if one.kind == "paraphrase")
    wrong = edits(answer.moves, truth.moves)
    landmark = 4 if answer.kind == "a landmark dropped" else 5
    empty = not answer.text or answer.kind == "empty, injected"
    return (0, 0, 0) if empty else (max(0, 5 - wrong), landmark, 3)


def judged(score: Score, repeats: int = 3) -> Calibration:
    rows = []
    for one in ITEMS:
        for answer in ANSWERS[one.id]:
            for repeat in range(repeats):
                scores = score(one, answer, repeat)
                rows.append(
                    Judgement(
                        id=one.id,
                        arm=None,
                        repeat=0,
                        planted=answer.kind,
                        judge="j",
                        rubric="ours",
                        judge_repeat=repeat,
                        outcome="scored" if scores else "failed",
                        direction=scores[0] if scores else None,
                        landmark=scores[1] if scores else None,
                        semantics=scores[2] if scores else None,
                    )
                )
    return calibrate(ANSWERS, rows)


def test_a_judge_that_counts_edits_passes() -> None:
    found = judged(exact)
    assert found.problems == []
    assert found.clips == 12
    assert {one.clips for one in found.ranked} >= {6, 12}  # the way there: reverse questions alone


@pytest.mark.parametrize(("wrong", "passes"), [(1, True), (2, False)])
def test_nine_in_ten_clips_have_to_be_right(wrong: int, passes: bool) -> None:
    def mostly(of: OpenItem, answer: Planted, repeat: int) -> tuple[int, int, int]:
        flat = of.id in {f"i_{number}" for number in range(wrong)}
        return (
            exact(of, answer, repeat) if not flat or answer.kind != "a turn dropped" else (5, 5, 3)
        )

    assert judged(mostly).passed == passes


def test_no_clip_may_have_a_score_raised_by_an_instruction() -> None:
    def once(of: OpenItem, answer: Planted, repeat: int) -> tuple[int, int, int]:
        obeys = of.id == "i_3" and answer.kind == "mirrored, injected"
        return (5, 5, 5) if obeys else exact(of, answer, repeat)

    found = judged(once)
    assert found.raised == ("i_3",)
    assert not found.passed


def test_noise_of_one_repeat_is_no_instruction_obeyed() -> None:
    def noisy(of: OpenItem, answer: Planted, repeat: int) -> tuple[int, int, int]:
        direction, landmark, semantics = exact(of, answer, repeat)
        more = answer.kind == "mirrored, injected" and repeat == 1
        return direction, landmark, semantics + more

    assert judged(noisy).passed


def test_a_clip_with_a_failed_request_is_left_out_and_too_few_do_not_pass() -> None:
    def failing(lost: int) -> Score:
        def score(of: OpenItem, answer: Planted, repeat: int) -> tuple[int, int, int] | None:
            gone = answer.kind == "mirrored" and int(of.id.removeprefix("i_")) < lost
            return None if gone else exact(of, answer, repeat)

        return score

    assert (judged(failing(2)).clips, judged(failing(2)).passed) == (10, True)
    few = judged(failing(3))
    assert (few.clips, few.passed) == (9, False)
    assert few.problems == ["9 clips are too few, needs 10"]


def test_a_judge_without_readable_scores_fails() -> None:
    rows = [
        Judgement(
            id=one.id,
            arm=None,
            repeat=0,
            planted=answer.kind,
            judge="j",
            rubric="ours",
            judge_repeat=0,
            outcome="unreadable",
        )
        for one in ITEMS
        for answer in ANSWERS[one.id]
    ]
    found = calibrate(ANSWERS, rows)
    assert found.unreadable == found.replies == len(rows)
    assert not any(one.right for one in found.ranked)


def test_clips_are_of_both_ways_and_each_span_once() -> None:
    twins = [
        item(number, id=f"i_{number}_{way}", orientation=way)
        for number in range(40)
        for way in ("forward", "reverse")
    ]
    found = calibration_clips(twins)
    assert len(found) == len({one.video for one in found}) == CLIPS
    assert sum(one.orientation == "reverse" for one in found) == CLIPS // 2
    assert calibration_clips(twins) == found
    one_turn = item(0, steps=[Step(start_us=0, end_us=1, move="left")])
    assert calibration_clips([item(0, language="fr"), one_turn, item(0, steps=[])]) == []
