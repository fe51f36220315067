"""Baselines without a model: letters, the blind probe, measured motion, people."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scripted_answers import fact, question
from small_release import release, small_space

from pipeline.evaluate.baselines import (
    BLIND_PROBE,
    MOST_FREQUENT,
    MOTION_FRAMES,
    MOTION_VIDEO,
    baselines,
    blind_probe,
    human,
    measured_motion,
    most_frequent_letter,
)
from pipeline.evaluate.metrics import summarise
from pipeline.evaluate.odometry import turns_shown
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored
from pipeline.motion.tracking import Lens
from pipeline.releases.layout import Evidence
from pipeline.releases.reading import Released, open_release


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    with small_space(tmp_path_factory.mktemp("baselines") / "w", 8) as space:
        yield open_release(release(space).folder)


def evidence(name: str, **fields: Any) -> Evidence:
    """Return evidence of a span from 10 to 30 s of its video."""
    given: dict[str, Any] = {
        "id": name, "clip_id": "c", "status": "verified", "verified_by": [], "flips": [],
        "reference_moves": [], "reference_landmarks": [], "steps": [], "turn_kinds": [], "turn_start": [],
        "turn_end": [], "turn_degrees": [], "frame_seconds": [], "frame_media": [], "findings": [],
        "provider": "motion", "model": None, "prompt_sha256": None, "reply_id": None, "cost_usd": None,
        "verdicts": 1, "fingerprint": "f", "written_evidence": None, "written_seconds": [],
        "span_start": 10.0, "span_end": 30.0,
    }  # fmt: skip
    return Evidence.model_validate(given | fields)


def turning(*turns: tuple[str, float, float]) -> dict[str, Any]:
    return {
        "turn_kinds": [kind for kind, _, _ in turns],
        "turn_start": [start for _, start, _ in turns],
        "turn_end": [end for _, _, end in turns],
        "turn_degrees": [0.0 for _ in turns],
    }


def letters(found: Iterable[Prediction], arm: str) -> dict[str, str | None]:
    return {one.id: one.letter for one in found if one.arm == arm}


def motion(one: Question, *turns: tuple[str, float, float]) -> str | None:
    known = {one.id: evidence(one.id, **turning(*turns))}
    found = measured_motion([one], known, Path("nowhere"))
    return letters(found, MOTION_VIDEO).get(one.id)


def test_measured_turns_answer_items_about_sides() -> None:
    # Options: A left right, B right right, C left left, D right left.
    assert motion(question("i"), ("left", 11, 13), ("right", 15, 17)) == "A"
    assert motion(question("i"), ("right", 11, 13), ("left", 15, 17)) == "D"


def test_turns_around_glances_and_turns_of_other_spans_do_not_count() -> None:
    others = (("left", 7, 11), ("around", 13, 14), ("glance", 15, 16), ("right", 29, 32))
    turns = sorted([*others, ("right", 17, 18), ("left", 20, 22)], key=lambda one: one[1])
    assert motion(question("i"), *turns) == "D"


def test_the_way_back_has_the_turns_in_reverse_with_other_sides() -> None:
    back = question("i", orientation="reverse")
    assert motion(back, ("left", 11, 13), ("left", 15, 17)) == "B"
    assert motion(back, ("left", 11, 13), ("right", 15, 17)) == "A"


def test_what_was_not_measured_is_drawn_among_what_agrees() -> None:
    drawn = {motion(question(f"i_{n}"), ("right", 11, 13)) for n in range(40)}
    assert drawn == {"B", "D"}
    order = question("i", facts=(fact("landmark:a|b", "first second first second"),))
    assert motion(order, ("left", 11, 13)) is None


def test_frames_that_are_missing_answer_nothing() -> None:
    one = question("i", frames=("frames/x.jpg",), frame_seconds=(1.0,))
    found = baselines([one], {one.id: evidence("i")}, Path("nowhere"))
    assert letters(found.predictions, MOTION_FRAMES) == {}
    assert found.notes[0].startswith(f"{MOTION_FRAMES}: answers 0 of 1 items")


def walked(folder: Path, degrees: list[float]) -> tuple[Path, ...]:
    """Write frames of a walk past 3,000 signs, half a metre per frame in these headings (left is positive)."""
    rng = np.random.default_rng(0)
    signs = np.column_stack(
        [rng.uniform(-14, 14, 3000), rng.uniform(-2.5, 2.5, 3000), rng.uniform(-14, 14, 3000)]
    )
    looks = rng.integers(0, 256, (3000, 5, 5), np.uint8)
    lens, at, paths = Lens(90.0), np.zeros(3), []
    for number, heading in enumerate(degrees):
        turn = np.radians(heading)
        ahead, right = (
            np.array([-np.sin(turn), 0, np.cos(turn)]),
            np.array([np.cos(turn), 0, np.sin(turn)]),
        )
        at = at + 0.5 * ahead
        seen = np.column_stack([(signs - at) @ right, (signs - at)[:, 1], (signs - at) @ ahead])
        frame = np.full((240, 320), 128, np.uint8)
        for index in np.argsort(-seen[:, 2]):
            if seen[index, 2] < 0.7:
                break
            x, y = 160 + lens.focal(320) * seen[index, :2] / seen[index, 2]
            size = round(lens.focal(320) * 0.35 / seen[index, 2])
            left, top = round(x - size / 2), round(y - size / 2)
            if size > 2 and 0 <= left < 320 - size and 0 <= top < 240 - size:
                look = cv2.resize(looks[index], (size, size), interpolation=cv2.INTER_NEAREST)
                frame[top : top + size, left : left + size] = look
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), frame)
    return tuple(paths)


LEFT_THEN_RIGHT = [0, 0, 0, 0, 22, 45, 67, 90, 90, 90, 90, 90, 67, 45, 22, 0, 0, 0, 0]
SECONDS = tuple(0.3 + 0.6 * number for number in range(len(LEFT_THEN_RIGHT)))


def test_turns_are_measured_from_released_frames(tmp_path: Path) -> None:
    paths = walked(tmp_path, LEFT_THEN_RIGHT)
    assert turns_shown(paths, SECONDS) == ("left", "right")
    assert turns_shown(paths[:1], SECONDS[:1]) == turns_shown((), ()) == ()
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no image")
    assert turns_shown((*paths, damaged), (*SECONDS, 20.0)) is None


def test_frames_of_a_straight_walk_show_no_turn(tmp_path: Path) -> None:
    paths = walked(tmp_path, [0] * 19)
    assert turns_shown(paths, SECONDS) == ()


def test_frames_without_anything_to_match_show_no_turn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = tuple(tmp_path / f"{number}.png" for number in range(12))
    for number, path in enumerate(paths):
        noise = rng.integers(0, 256, (240, 320), np.uint8)
        cv2.imwrite(str(path), noise if number % 3 else np.zeros_like(noise))
    assert turns_shown(paths, SECONDS[:12]) == ()


def test_frames_and_video_are_rows_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    paths = walked(tmp_path / "frames", [-heading for heading in LEFT_THEN_RIGHT])
    names = tuple(f"frames/{path.name}" for path in paths)
    one = question("i", frames=names, frame_seconds=SECONDS)
    turns = turning(("left", 11, 13), ("right", 15, 17))
    found = measured_motion([one], {"i": evidence("i", **turns)}, tmp_path)
    assert letters(found, MOTION_FRAMES) == {"i": "D"}
    assert letters(found, MOTION_VIDEO) == {"i": "A"}


def test_the_most_frequent_letter_comes_from_other_items() -> None:
    train = [question(f"t_{n}", split="train", answer=letter) for n, letter in enumerate("CCB")]
    test = [question(f"i_{n}", answer="D") for n in range(5)]
    found = most_frequent_letter([*train, *test], test)
    assert {one.letter for one in found} == {"C"}
    assert {one.arm for one in found} == {MOST_FREQUENT}
    # Without training items: those of other scenes, never of its own.
    test = [question(f"i_{n}", answer="D", split_group="g") for n in range(5)]
    test.append(question("j", answer="B"))
    assert [one.letter for one in most_frequent_letter(test, test)] == ["B"] * 5 + ["D"]


def test_the_blind_probe_learns_from_other_scenes_alone() -> None:
    def leaky(n: int) -> Question:
        place = n % 4
        options = [f"somewhere {n} {at}" for at in range(4)]
        options[place] = f"certainly here {n}"
        return question(
            f"i_{n}",
            split_group=f"g_{n % 20}",
            video=f"s_{n}",
            options=tuple(options),
            answer="ABCD"[place],
        )

    questions = [leaky(n) for n in range(80)]
    found = blind_probe(questions)
    right = sum(
        one.letter == question.answer for one, question in zip(found, questions, strict=True)
    )
    assert right > 72
    assert blind_probe([]) == []


def test_people_are_measured_on_the_items_that_they_answered() -> None:
    questions = [question(f"i_{n}", split_group=f"g_{n}") for n in range(4)]
    audited = {
        "i_0": evidence("i_0", human_answers=2, human_right=2),
        "i_1": evidence("i_1", human_answers=4, human_right=1),
        "i_2": evidence("i_2"),
    }
    found = human(questions, audited)
    assert found is not None
    figure = found.accuracy["all"]["all"]
    assert (figure.value, figure.items, found.answers) == (0.625, 2, 6)
    assert found.items == {"i_0", "i_1"}
    assert human(questions, {}) is None


def test_a_release_has_all_baselines(released: Released) -> None:
    questions, known = questions_of(released)
    found = baselines(questions, known, released.folder, scored=lambda one: one.split == "test")
    wanted = [one for one in questions if one.split == "test"]
    metrics = summarise(wanted, scored(wanted, found.predictions))
    assert list(metrics.arms) == [MOST_FREQUENT, BLIND_PROBE, MOTION_FRAMES, MOTION_VIDEO]
    assert metrics.chance == 0.25
    # The walks of this workspace have turns that were measured as their routes say.
    assert metrics.arms[MOTION_VIDEO].facts["fact"]["turn"].value == 1
    assert metrics.coverage == 1


def test_a_release_is_read_with_its_evidence(released: Released) -> None:
    questions, known = questions_of(released)
    assert {one.id for one in questions} == {*known}
    for one in questions:
        assert one.twin
        assert one.answer_index is not None
        assert sum(other.twin == one.twin for other in questions) == 2
        # Every option says, in the words of its facts, what its values state.
        for place, text in enumerate(one.options):
            for asked, words in zip(one.facts, one.words, strict=True):
                assert any(wording in text for wording in words[asked.values[place]])
        assert one.turns == sum(step.move in ("left", "right") for step in known[one.id].steps)
