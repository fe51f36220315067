"""Rendered walks: the ground truth is consistent, and agrees with the frames and the turn definition."""

import csv
import hashlib
import json
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from pipeline.demo import catalogue, layout
from pipeline.demo.render import CameraView, Canvas, Scene, Surface, Texture, aim
from pipeline.demo.walks import Walk, pictures, plan_walk, write_walk, write_walks
from pipeline.demo.world import build_world, stand_of
from pipeline.motion.turns import HeadingTrack, swings

SEEDS = range(40)
SMALL = (160, 120)


def short_walk(**more: object) -> Walk:
    """A cheap walk: two turns, small frames, 10 per second."""
    return plan_walk(5, sides="LR", seconds=20, size=SMALL, fps=10, glances=0, around=False, **more)


def digest(walk: Walk, count: int) -> str:
    hasher = hashlib.sha256()
    for picture, _ in zip(pictures(walk), range(count), strict=False):
        hasher.update(picture.tobytes())
    return hasher.hexdigest()


def test_a_seed_determines_the_frames() -> None:
    walk = short_walk()
    assert digest(walk, 3) == digest(short_walk(), 3)
    assert digest(walk, 3) != digest(plan_walk(6, size=SMALL, fps=10), 3)


def test_the_encoded_file_is_reproducible(tmp_path) -> None:
    walk = short_walk()
    first, second = (write_walk(walk, tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_true_turns_agree_with_the_definition(seed: int) -> None:
    walk = plan_walk(seed)
    wanted = sorted([*walk.turns, *walk.glances], key=lambda turn: turn.start_us)
    found = swings(HeadingTrack(np.array(walk.t_us), np.array(walk.yaw_degrees)))
    assert [swing.kind for swing in found] == [turn.kind for turn in wanted]
    for swing, turn in zip(found, wanted, strict=True):
        assert swing.start_us < turn.end_us
        assert turn.start_us < swing.end_us
        assert swing.yaw_degrees == pytest.approx(turn.yaw_degrees, abs=5)


@pytest.mark.parametrize("seed", SEEDS)
def test_turns_stay_clear_of_the_thresholds_and_of_each_other(seed: int) -> None:
    walk = plan_walk(seed)
    assert 2 <= len(walk.turns) <= 6
    for turn in [*walk.turns, *walk.glances]:
        size = abs(turn.yaw_degrees)
        assert not 40.5 < size < 49.5
        assert not 135 < size < 165
        assert (turn.kind == "around") == (size >= 150)
        assert turn.kind == "around" or (turn.kind == "left") == (turn.yaw_degrees > 0)
    assert all(
        after.start_us - before.end_us >= 1_500_000 for before, after in pairwise(walk.turns)
    )
    assert all(51 <= abs(look.yaw_degrees) <= 62 for look in walk.glances)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_cover_the_walk_and_contain_their_narrations(seed: int) -> None:
    walk = plan_walk(seed)
    edges = [walk.steps[0].start_us, *(step.end_us for step in walk.steps)]
    assert edges[0] == 0
    assert edges[-1] == walk.duration_us
    assert [step.start_us for step in walk.steps] == edges[:-1]
    assert [s.move for s in walk.steps if s.move != "straight"] == [t.kind for t in walk.turns]
    assert [s.start_us for s in walk.steps if s.move != "straight"] == [
        turn.start_us for turn in walk.turns
    ]
    told = [
        (step.landmark, step.action, step.undo)
        for step in walk.steps
        if step.landmark or step.action
    ]
    assert told == [(line.landmark, line.action, line.undo) for line in walk.narrations]
    for line in walk.narrations:
        (step,) = [step for step in walk.steps if step.start_us <= line.t_us < step.end_us]
        assert (step.landmark, step.action) == (line.landmark, line.action)
        assert (line.action is None) == (line.undo is None)
    names = [step.landmark for step in walk.steps if step.landmark]
    assert len(names) == len(set(names)) >= 2


def test_narrated_objects_are_a_little_ahead() -> None:
    for seed in SEEDS:
        walk = plan_walk(seed)
        plan = layout.build(walk.corners, walk.half_widths)
        used = {action.text: action.thing for action in catalogue.ACTIONS}
        for line in walk.narrations:
            name = line.landmark or used[line.action or ""]
            (placed,) = [p for p in walk.placements if p.thing == name]
            spot = stand_of(plan, placed, 2.6).foot[:2]
            i = int(np.searchsorted(walk.t_us, line.t_us))
            i = min(i, len(walk.t_us) - 1)
            away = np.hypot(*(spot - [walk.camera.x[i], walk.camera.y[i]]))
            assert 0.3 < away < 4.5, (seed, name)


def test_the_sides_of_turns_are_drawn_evenly() -> None:
    kinds = [turn.kind for seed in range(300) for turn in plan_walk(seed).turns]
    left = kinds.count("left") / (kinds.count("left") + kinds.count("right"))
    assert 0.45 < left < 0.55
    assert 0 < kinds.count("around") < 0.2 * len(kinds)


def test_frames_turn_as_in_the_ground_truth() -> None:
    """A frame rotated by the true angle resembles the next frame; rotated the other way it doesn't."""
    walk = short_walk(shake=0.0)
    turn = walk.turns[0]
    middle = int(np.searchsorted(walk.t_us, (turn.start_us + turn.end_us) // 2))
    kept = [picture for picture, _ in zip(pictures(walk), range(middle + 1), strict=False)]
    w, h = SMALL
    focal = w / 2 / np.tan(np.radians(walk.hfov_degrees / 2))
    lens = CameraView(np.zeros(3), np.eye(3), float(focal), SMALL).lens

    def error(sense: int) -> float:
        turned = sense * (walk.yaw_degrees[middle] - walk.yaw_degrees[middle - 1])
        pitch = float(walk.camera.pitch[middle])
        between = aim(turned, pitch, 0) @ aim(0, pitch, 0).T
        guess = cv2.warpPerspective(kept[-2], lens @ between @ np.linalg.inv(lens), SMALL)
        inner = np.s_[h // 4 : -h // 4, w // 4 : -w // 4]
        return float(np.abs(guess[inner].astype(int) - kept[-1][inner]).mean())

    assert walk.yaw_degrees[middle] - walk.yaw_degrees[middle - 1] > 2
    assert turn.kind == "left"
    assert error(1) < 0.6 * error(-1)
    assert error(1) < 0.6 * error(0)


def test_a_mirrored_walk_has_flipped_frames_and_flipped_truth() -> None:
    walk, other = short_walk(), short_walk(mirror=True)
    assert np.array_equal(next(pictures(walk))[:, ::-1], next(pictures(other)))
    assert other.yaw_degrees == [-yaw for yaw in walk.yaw_degrees]
    assert [turn.kind for turn in other.turns] == ["right", "left"]
    assert [s.move for s in other.steps if s.move != "straight"] == ["right", "left"]
    assert other.name != walk.name


def test_an_object_that_is_picked_up_disappears() -> None:
    """Before and after the action, the corridor differs only at the object."""
    walk = plan_walk(5, sides="LRL", actions=3)
    world = build_world(walk)
    acted = [placement for placement in walk.placements if placement.act_us is not None]
    assert len(acted) == len(world.changing) >= 2
    for placement, thing in world.changing:
        assert thing.change is not None
        before, after = thing.change(0.0), thing.change(1.0)
        if placement.thing.startswith(("table", "hook")):
            assert before
            assert not after
        else:
            assert [s.corners.tolist() for s in before] != [s.corners.tolist() for s in after]


def test_a_nearer_surface_hides_a_farther_one_and_is_projected_correctly() -> None:
    def wall(x: float, colour: int, half: float) -> Surface:
        texture = Texture(np.full((8, 8, 3), colour, np.uint8))
        origin = np.array([x, half, half])
        return Surface(texture, origin, np.array([0, -2 * half, 0]), np.array([0, 0, -2 * half]))

    view = CameraView(np.zeros(3), aim(0, 0, 0), 50.0, (101, 101))
    scene = Scene([wall(4.0, 90, 4.0), wall(2.0, 200, 1.0), wall(-2.0, 30, 4.0)], [0, 0, 0])
    canvas = Canvas(view.size)
    seen = scene.seen(view, 0, 0)
    assert len(seen) == 2  # not the one behind
    canvas.draw(reversed(seen), view)
    row = canvas.colour[50, :, 0]
    assert row[50] == 200
    # 1 m to the side at 2 m with a focal length of 50 pixels: 25 pixels from the centre
    inner = np.flatnonzero(row == 200)
    assert inner[0] == pytest.approx(25, abs=1)
    assert inner[-1] == pytest.approx(75, abs=1)
    assert (row[:20] == 90).all()


@pytest.mark.parametrize(
    "name", [*catalogue.LANDMARKS, *(action.thing for action in catalogue.ACTIONS)]
)
def test_everything_in_the_catalogue_can_be_built(name: str) -> None:
    from pipeline.demo.things import Stand, make

    at = Stand(np.zeros(3), np.array([1.0, 0, 0]), 1.2, 2.6)
    thing = make(name, at, np.random.default_rng(1))
    surfaces = [*thing.fixed, *(thing.change(0.3) if thing.change else [])]
    assert surfaces
    assert all(np.isfinite(s.corners).all() for s in surfaces)
    assert all(s.corners[:, 2].min() > -0.01 for s in surfaces)


def test_written_walks_have_sidecars_truth_and_a_manifest(tmp_path) -> None:
    seen = []
    paths = write_walks(tmp_path, 1, 3, seen.append, fps=5)
    assert seen == paths
    (path,) = paths
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [int(frame.time * 1_000_000 + 0.5) for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
    told = json.loads((tmp_path / "truth" / f"{path.stem}.json").read_text())
    assert times == told["t_us"]
    lines = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert {"time", "text"} <= set(lines[0]) <= {"time", "text", "landmark", "action", "undo"}
    with (tmp_path / "manifest.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == path.name
    assert row["consent"] == "release"
    assert float(row["hfov_degrees"]) == told["hfov_degrees"]
    assert not list(tmp_path.glob("*.part*"))
