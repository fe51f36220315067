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


def panned(folder: Path, degrees: list[float]) -> list[Path]:
    """Write frames of a textured panorama, seen while the camera heads in these directions (left positive)."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 720), np.uint8)
    wall = cv2.GaussianBlur(
        cv2.resize(noise, (3600, 240), interpolation=cv2.INTER_CUBIC), (0, 0), 2
    )
    lens, paths = Lens(), []
    x, y = np.meshgrid(np.arange(320), np.arange(240))
    right = np.degrees(np.arctan((x - 159.5) / lens.focal(320)))
    for number, heading in enumerate(degrees):
        column = ((right - heading) % 360 * 10).astype(np.float32)
        frame = cv2.remap(wall, column, y.astype(np.float32), cv2.INTER_LINEAR)
        paths.append(folder / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), frame)
    return paths


def test_turns_are_measured_from_released_frames(tmp_path: Path) -> None:
    heading = [0, 0, 0, 30, 60, 90, 90, 90, 90, 60, 30, 0, 0, 0]
    paths = panned(tmp_path, heading)
    seconds = [0.5 + number for number in range(len(paths))]
    assert turns_shown(paths, seconds) == ["left", "right"]
    assert turns_shown(paths[:1], seconds[:1]) == []
    paths[2].write_bytes(b"no image")
    assert turns_shown(paths, seconds) is None


def test_frames_and_video_are_rows_of_their_own(tmp_path: Path) -> None:
    heading = [0, 0, 0, -30, -60, -90, -90, -90, -90, -60, -30, 0, 0, 0]
    (tmp_path / "frames").mkdir()
    paths = panned(tmp_path / "frames", heading)
    one = question(
        "i",
        frames=tuple(f"frames/{path.name}" for path in paths),
        frame_seconds=tuple(0.5 + number for number in range(len(paths))),
    )
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
