"""Where the wearer stays in place: rendered pauses are found, walks and flights have none."""

import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from test_frames import REAL, made, of

from pipeline.demo.walk import Camera, Walk
from pipeline.demo.walks import plan_walk, write_walk
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row
from pipeline.motion.rows import Clip, Stay, Turn
from pipeline.motion.stays import rests
from pipeline.motion.tracking import RotationStep
from pipeline.motion.turns import during

FPS, PAUSE = 10, 140
Pause = Literal["looks", "leans"]


def paused(seed: int, how: Pause | None) -> tuple[Walk, tuple[int, int]]:
    """Return a walk that pauses for 14 s in the middle of its first leg, and the frames of the pause."""
    walk = plan_walk(
        seed, fps=FPS, seconds=20, turns=2, actions=0, glances=0, around=False, size=(320, 240)
    )
    if how is None:
        return walk, (0, 0)
    first = walk.steps[0]
    at = int(np.searchsorted(walk.t_us, (first.start_us + first.end_us) // 2))
    frames = np.r_[: at + 1, np.full(PAUSE, at), at + 1 : len(walk.t_us)]
    random = np.random.default_rng(seed)
    sway = {"yaw": 0.5, "pitch": 0.5, "roll": 0.3, "x": 0.01, "y": 0.01, "z": 0.01}
    sway |= {"yaw": 30.0, "pitch": 10.0} if how == "looks" else {}
    sway |= dict.fromkeys("xyz", 0.12) if how == "leans" else {}
    pose = {}
    for name, width in sway.items():
        pose[name] = getattr(walk.camera, name)[frames]
        pose[name][at : at + PAUSE] += _wander(width, random)
    times = [round(number * 1e6 / FPS) for number in range(len(frames))]
    near = [walk.near[frame] for frame in frames]
    longer = dataclasses.replace(walk, t_us=times, camera=Camera(**pose), near=near)
    return longer, (times[at], times[at + PAUSE])


def _wander(width: float, random: np.random.Generator) -> np.ndarray:
    """Return a smooth random path of this width, from 0 to 0."""
    knots = np.convolve(random.normal(0, width, PAUSE // 8 + 3), [0.25, 0.5, 0.25], "same")
    ramp = np.minimum(1, np.minimum(np.arange(PAUSE), np.arange(PAUSE)[::-1]) / 5)
    return np.interp(np.arange(PAUSE) / 8, np.arange(len(knots)), knots) * ramp


def rows_of(walk: Walk, folder: Path, hfov_degrees: float | None) -> list[Row]:
    video = write_walk(walk, folder)
    return made(WorkspaceFolder(folder / "workspace"), video, hfov_degrees)


@pytest.mark.parametrize(("how", "lens_known"), [("looks", False), ("leans", True)])
def test_a_pause_is_a_stay_whatever_the_head_does(
    how: Pause, lens_known: bool, tmp_path: Path
) -> None:
    walk, (start_us, end_us) = paused(1, how)  # its field of view is 91 degrees; 70 are assumed
    (stay,) = of(rows_of(walk, tmp_path, walk.hfov_degrees if lens_known else None), Stay)
    assert stay.start_us == pytest.approx(start_us, abs=700_000)
    assert stay.end_us == pytest.approx(end_us, abs=700_000)
    assert stay.confidence >= 0.5


def test_a_walk_with_turns_has_no_stay(tmp_path: Path) -> None:
    rows = rows_of(paused(1, None)[0], tmp_path, None)
    assert [turn.moving for turn in of(rows, Turn)] == [True, True]
    assert of(rows, Stay) == []


@pytest.mark.skipif(not REAL.is_dir(), reason="needs shared/video")
@pytest.mark.parametrize("name", ["gopro_walk", "gopro_karma_drone"])
def test_a_real_walk_and_a_flight_over_a_far_coast_have_no_stay(name: str, tmp_path: Path) -> None:
    rows = made(WorkspaceFolder(tmp_path), REAL / name / "video.mp4")
    assert len(of(rows, Clip)) == 1
    assert of(rows, Stay) == []


def steps(
    seconds: float, parallax: float, ahead: tuple[float, float, float] = (0, 0, 1),
    start: float = 0.0, share: float = 0.8, yaw: float = 0.0,
) -> list[RotationStep]:  # fmt: skip
    """Return steps of 0.1 s; parallax and yaw are degrees per second."""
    times = [round((start + number / 10) * 1e6) for number in range(round(seconds * 10) + 1)]
    return [
        RotationStep(one, other, (0.0, yaw / 10, 0.0), share, parallax / 10, ahead)
        for one, other in pairwise(times)
    ]


def test_slow_parallax_in_one_direction_is_a_walk_in_the_distance() -> None:
    assert rests(steps(20, 0.35)) == []
    (rest,) = rests(steps(20, 0.05))
    assert (rest.start_us, rest.end_us) == (0, 20_000_000)
    assert rest.confidence == pytest.approx(1 - 0.05 / 0.15 / 2, abs=0.001)


def test_where_the_lens_is_unknown_some_parallax_may_come_from_turning_the_head() -> None:
    looking = steps(20, 0.8, yaw=15.0)
    assert rests(looking) == []
    assert [rest.end_us for rest in rests(looking, lens_known=False)] == [20_000_000]
    assert rests(steps(20, 0.8, yaw=5.0), lens_known=False) == []


def test_a_walk_while_the_head_turns_is_not_a_sway() -> None:
    """The camera moves along one line, while the head turns about the vertical in full circles."""
    walk = [
        dataclasses.replace(step, ahead=(-math.sin(angle), 0.0, math.cos(angle)))
        for number, step in enumerate(steps(8, 1.2, yaw=90.0), start=1)
        for angle in [math.radians(-9 * number)]
    ]
    assert rests(walk) == []
    assert rests([dataclasses.replace(step, rotation=(0.0, 0.0, 0.0)) for step in walk])


def test_there_and_back_at_walking_pace_is_not_a_stay() -> None:
    there, back = steps(2, 4.0), steps(2, 4.0, (0, 0, -1), start=2)
    assert rests([*there, *back]) == []


def test_nothing_is_known_where_nothing_could_be_tracked() -> None:
    assert rests(steps(20, 0.0, share=0.0)) == []
    assert rests(steps(20, 0.0, share=0.3)) == []
    assert rests([]) == []


def test_less_than_four_seconds_are_no_stay_and_clips_are_measured_on_their_own() -> None:
    walk = [*steps(5, 4.0), *steps(6, 0.0, start=5), *steps(5, 4.0, start=11)]
    (rest,) = rests(walk)
    assert (rest.start_us, rest.end_us) == pytest.approx((5_000_000, 11_000_000), abs=300_000)
    assert rests(during(0, 8_500_000, walk)) == []
