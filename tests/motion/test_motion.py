import csv
import math
import runpy
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.motion.tracking import Lens, RotationStep, Tracker
from pipeline.motion.turns import HeadingTrack, Swing, course, swings
from pipeline.video import reader

REAL = Path(__file__).parents[3] / "shared" / "video"
MIRRORED = {"left": "right", "right": "left", "around": "around"}


def texture(seed: int = 0) -> np.ndarray:
    """Return a panorama (360 degrees wide, 120 high, 8 pixels per degree) with edges at all scales."""
    random = np.random.default_rng(seed)
    image = np.full((960, 2880), 120, np.uint8)
    for _ in range(900):
        x, y, w, h = random.integers(0, 2880), random.integers(0, 960), *random.integers(8, 160, 2)
        cv2.rectangle(
            image, (int(x), int(y)), (int(x + w), int(y + h)), int(random.integers(0, 255)), -1
        )
    return cv2.GaussianBlur(image, (3, 3), 0)


def seen(
    image: np.ndarray, yaw: float, lens: Lens, pitch: float = 0.0, blur: int = 0
) -> np.ndarray:
    """Return the view of a camera in the middle of the panorama; yaw is positive to the left."""
    across, down = np.meshgrid(np.arange(320, dtype=np.float32), np.arange(180, dtype=np.float32))
    rays = lens.rays(np.stack([across.ravel(), down.ravel()], axis=1), 320, 180)
    tilt = math.radians(pitch)
    rays = rays @ np.array(
        [[1, 0, 0], [0, math.cos(tilt), math.sin(tilt)], [0, -math.sin(tilt), math.cos(tilt)]]
    )
    azimuth = np.degrees(np.arctan2(rays[:, 0], rays[:, 2])) - yaw
    height = np.degrees(np.arcsin(np.clip(rays[:, 1], -1, 1)))
    x = (azimuth % 360 * 8).reshape(180, 320).astype(np.float32)
    y = ((height + 60) * 8).reshape(180, 320).astype(np.float32)
    picture = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return cv2.blur(picture, (blur, 1)) if blur else picture


def measured(yaws: list[float], lens: Lens, view: Lens | None = None, **how: float) -> HeadingTrack:
    image = texture()
    tracker = Tracker(lens)
    for number, yaw in enumerate(yaws):
        tracker.add(number * 100_000, seen(image, yaw, view or lens, **how))  # type: ignore[arg-type]
    return course(0, tracker.steps)


@pytest.mark.parametrize(
    "lens", [Lens(57), Lens(70), Lens(95), Lens(110, "fisheye"), Lens(150, "fisheye")]
)
def test_heading_follows_a_turn_on_the_spot(lens: Lens) -> None:
    yaws = [0.0] * 5 + [float(4 * n) for n in range(31)] + [120.0] * 5
    found = measured(yaws, lens)
    assert np.abs(found.yaw_degrees - yaws).max() < 3
    (turn,) = swings(found)
    assert turn.kind == "left"
    assert turn.yaw_degrees == pytest.approx(120, abs=3)


@pytest.mark.parametrize("step", [10.0, 14.0, 17.0])
def test_fast_head_turns_are_tracked(step: float) -> None:
    yaws = [0.0, 0.0, *(-step * n for n in range(7)), -6 * step, -6 * step]
    found = measured(yaws, Lens(57), blur=9)
    assert found.yaw_degrees[-1] == pytest.approx(-6 * step, rel=0.03)


def test_frames_are_requested_at_a_closer_spacing_while_the_head_turns_fast() -> None:
    lens, tracker, image = Lens(70), Tracker(Lens(70)), texture()
    asked = []
    for number, yaw in enumerate([0, 0, 0, 2, 4, 10, 16, 22, 22, 22]):
        tracker.add(number * 100_000, seen(image, float(yaw), lens))
        asked.append(tracker.apart_us)
    assert asked == [105_000] * 5 + [70_000] * 3 + [105_000] * 2


def test_a_tilted_head_measures_the_same_turn() -> None:
    yaws = [0.0] * 5 + [float(4 * n) for n in range(26)] + [100.0] * 5
    found = measured(yaws, Lens(70), pitch=-28.0)
    assert found.yaw_degrees[-1] == pytest.approx(100, rel=0.06)


def test_a_wider_lens_gives_a_larger_angle() -> None:
    edge = np.array([[0.0, 89.5]])
    for kind in ("rectilinear", "fisheye"):
        narrow, wide = (Lens(hfov, kind).rays(edge, 320, 180)[0] for hfov in (60, 80))
        assert math.degrees(math.atan2(-narrow[0], narrow[2])) == pytest.approx(30, abs=0.2)
        assert math.degrees(math.atan2(-wide[0], wide[2])) == pytest.approx(40, abs=0.2)


def test_blank_frames_give_no_rotation() -> None:
    tracker = Tracker(Lens())
    for number in range(5):
        tracker.add(number * 100_000, np.full((180, 320), 77, np.uint8))
    assert [step.share for step in tracker.steps] == [0.0] * 4
    assert not course(0, tracker.steps).yaw_degrees.any()


@pytest.mark.parametrize("share", [0.15, 0.35])
def test_a_person_crossing_the_frame_is_not_a_turn(share: float) -> None:
    lens, wide = Lens(70), round(320 * share)
    room, coat = texture(), texture(1)
    tracker = Tracker(lens)
    for number in range(30):
        picture = seen(room, 0.1 * number, lens)
        left = round((320 + wide) * number / 29) - wide
        columns = slice(max(0, left), max(0, min(320, left + wide)))
        shown = slice(columns.start - left, columns.stop - left)
        picture[:, columns] = coat[400:580, shown]
        tracker.add(number * 100_000, picture)
    found = course(0, tracker.steps)
    assert np.abs(found.yaw_degrees - 0.1 * np.arange(30)).max() < 4
    assert swings(found) == []


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_flickering_light_is_not_motion(sense: float) -> None:
    lens, tracker = Lens(80), Tracker(Lens(80))
    yaws = sense * np.interp(np.arange(30), [0, 8, 20, 29], [0, 0, 90, 90])
    for number, yaw in enumerate(yaws):
        dimmed = seen(texture(), float(yaw), lens) * (0.9 if number % 2 else 0.65)
        tracker.add(number * 100_000, dimmed.astype(np.uint8))
    assert np.abs(course(0, tracker.steps).yaw_degrees - yaws).max() < 3


def wall_seen(aside: float, depth: float, lens: Lens) -> np.ndarray:
    """Return a wall at this depth with pillars half as far before it, seen from `aside` metres."""
    image = texture()
    across, down = np.meshgrid(np.arange(320, dtype=np.float32), np.arange(180, dtype=np.float32))
    rays = lens.rays(np.stack([across.ravel(), down.ravel()], axis=1), 320, 180)
    rays = rays / rays[:, 2:]
    near = (rays[:, 0] * depth / 2 + aside) % 1.2 < 0.5
    far = np.where(near, depth / 2, depth)
    x = (rays[:, 0] * far + aside) * 250 + 1300 + 400 * near
    y = rays[:, 1] * far * 250 + 480
    grid = (180, 320)
    return cv2.remap(
        image, x.reshape(grid).astype(np.float32), y.reshape(grid).astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip


@pytest.mark.parametrize("sense", [1, -1])
def test_sidestepping_past_near_objects_is_not_a_turn(sense: int) -> None:
    lens, tracker = Lens(70), Tracker(Lens(70))
    for number in range(25):
        tracker.add(number * 100_000, wall_seen(sense * 0.06 * number, 2.0, lens))
    found = course(0, tracker.steps)
    # 1.5 m past a wall 2 m away would be 37 degrees if measured as a rotation.
    assert np.abs(found.yaw_degrees).max() < 10
    assert np.median([step.parallax for step in tracker.steps]) > 0.5


def test_every_second_frame_is_skipped_while_the_head_is_steady() -> None:
    lens, tracker, image = Lens(70), Tracker(Lens(70)), texture()
    yaws = np.interp(np.arange(60), [0, 20, 35, 59], [0, 0, 90, 90])
    added = []
    for number, yaw in enumerate(yaws):
        if tracker.wants(number * 100_000):
            tracker.add(number * 100_000, seen(image, float(yaw), lens))
            added.append(number)
    assert len([n for n in added if n < 20]) <= 11
    assert len([n for n in added if 24 <= n < 35]) == 11
    assert course(0, tracker.steps).yaw_degrees[-1] == pytest.approx(90, abs=3)


@pytest.mark.parametrize(
    ("before", "last", "wanted"), [(3, 20, True), (20, 20, False), (20, 3, False)]
)
def test_no_frame_is_skipped_while_the_head_accelerates(
    before: float, last: float, wanted: bool
) -> None:
    tracker = Tracker(Lens(70))
    tracker.add(400_000, seen(texture(), 0, Lens(70)))
    for start_us, speed in ((0, before), (200_000, last)):
        turned = 0.0, speed / 5, 0.0
        tracker.steps.append(
            RotationStep(start_us, start_us + 200_000, turned, 0.9, 0.0, (0.0, 0.0, 1.0))
        )
    assert tracker.wants(500_000) == wanted


def test_a_skipped_frame_is_used_if_a_turn_begins_there() -> None:
    lens, tracker, image = Lens(70), Tracker(Lens(70)), texture()
    yaws = np.interp(np.arange(30), [0, 19, 25, 29], [0, 0, 90, 90]).tolist()
    passed, asked = None, []

    def look(number: int) -> tuple[int, np.ndarray]:
        asked.append(number)
        return number * 100_000, seen(image, yaws[number], lens)

    for number, yaw in enumerate(yaws):
        if tracker.wants(number * 100_000):
            again = None if passed is None else lambda passed=passed: look(passed)
            tracker.add(number * 100_000, seen(image, yaw, lens), again)
            passed = None
        else:
            passed = number
    assert asked
    assert set(asked) <= {19, 20}  # while steady, skipped frames are not used
    assert tracker.steps[-1].end_us == 2_900_000
    assert course(0, tracker.steps).yaw_degrees[-1] == pytest.approx(90, abs=2)


def test_rotation_is_interpolated_where_nothing_is_tracked() -> None:
    def step(number: int, degrees: float, share: float) -> RotationStep:
        span = (number * 100_000, (number + 1) * 100_000)
        return RotationStep(*span, (0.0, degrees, 0.0), share, 0.0, (0.0, 0.0, 1.0))

    steps = [step(n, 5.0, 0.8) if n != 5 else step(n, -30.0, 0.02) for n in range(12)]
    assert course(0, steps).yaw_degrees[-1] == pytest.approx(60, abs=1)
    assert not course(0, [step(n, 9.0, 0.0) for n in range(5)]).yaw_degrees.any()


def swings_of(*points: tuple[float, float]) -> list[Swing]:
    """Return the swings of a heading that is linear between (second, degrees) points."""
    t_us = np.arange(0, round(points[-1][0] * 1e6), 100_000)
    yaw = np.interp(t_us / 1e6, *zip(*points, strict=True))
    return swings(HeadingTrack(t_us, yaw))


def test_kinds_and_thresholds() -> None:
    for degrees, kinds in (
        (40, []), (50, ["left"]), (-50, ["right"]), (140, ["left"]), (160, ["around"]), (-160, ["around"]),
    ):  # fmt: skip
        found = swings_of((0, 0), (3, 0), (5, degrees), (8, degrees))
        assert [swing.kind for swing in found] == kinds
        if found:
            assert found[0].yaw_degrees == pytest.approx(degrees, abs=0.5)
            assert 2_800_000 <= found[0].start_us < found[0].end_us <= 5_200_000


@pytest.mark.parametrize(("stretched", "kinds"), [(1, ["around"]), (2, ["left", "left"])])
def test_half_a_second_still_and_half_a_second_of_sway_are_not_a_rest(
    stretched: int, kinds: list[str]
) -> None:
    pause = [0] * 5 * stretched + [8, 8, -8, -8] * 2 * stretched
    rates = np.array([0] * 20 + [40] * 22 + pause + [40] * 22 + [0] * 20)
    yaw = np.concatenate([[0], rates.cumsum() / 10])
    found = swings(HeadingTrack(np.arange(len(yaw)) * 100_000, yaw))
    assert [swing.kind for swing in found] == kinds


def test_a_rest_separates_two_turns_and_a_short_one_does_not() -> None:
    rest = swings_of((0, 0), (3, 0), (5, 90), (7, 90), (9, 180), (12, 180))
    assert [swing.kind for swing in rest] == ["left", "left"]
    short = swings_of((0, 0), (3, 0), (5, 90), (5.5, 90), (7.5, 180), (10, 180))
    assert [swing.kind for swing in short] == ["around"]


def test_a_large_reversal_separates_turns_and_a_small_one_does_not() -> None:
    small = swings_of((0, 0), (3, 60), (3.5, 54), (6, 120), (9, 120))
    assert [swing.kind for swing in small] == ["left"]
    large = swings_of((0, 0), (3, 60), (3.5, 40), (6, 110), (9, 110))
    assert [swing.kind for swing in large] == ["left", "left"]


def test_a_video_that_is_too_short_has_no_turns() -> None:
    assert swings(HeadingTrack(np.array([0]), np.array([0.0]))) == []


def test_turns_match_their_definition() -> None:
    path = REAL / "turns_from_yaw.py"
    if not path.is_file():
        pytest.skip("the definition is not beside this checkout (../shared/video)")
    definition = runpy.run_path(str(path))["turns"]
    kinds = {"u_turn": "around", "left": "left", "right": "right"}
    count = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        apart = 1 / random.choice([5, 10, 15, 29.97])
        t_us = np.round(np.arange(0, 60, apart) * 1e6).astype(np.int64)
        seconds = t_us / 1e6
        yaw = np.zeros(len(seconds))
        for _ in range(random.integers(2, 10)):
            middle, sharp = random.uniform(0, 60), random.uniform(1, 6)
            yaw += random.normal(0, 90) * (1 + np.tanh((seconds - middle) * sharp)) / 2
        found = swings(HeadingTrack(t_us, yaw))
        expected = definition(seconds, yaw)
        assert [one.kind for one in found] == [kinds[kind] for _, _, kind, _ in expected]
        for one, (start, end, _, angle) in zip(found, expected, strict=True):
            assert one.yaw_degrees == pytest.approx(angle, rel=0.05)
            assert (one.start_us / 1e6, one.end_us / 1e6) == pytest.approx((start, end), abs=0.5)
        count += len(found)
    assert count > 80


def clip(name: str) -> Path:
    if not REAL.is_dir():
        pytest.skip("the real clips are not beside this checkout (../shared/video)")
    return REAL / name


def real_swings(folder: Path, hfov_degrees: float, *, mirror: bool) -> list[Swing]:
    tracker = Tracker(Lens(hfov_degrees))
    for frame in reader.frames(folder / "video.mp4", lambda: tracker.apart_us):
        grey = frame.grey(320)
        tracker.add(frame.t_us, np.ascontiguousarray(grey[:, ::-1]) if mirror else grey)
    return swings(course(0, tracker.steps))


def score(found: list[Swing], truth: list[tuple[float, float, str]]) -> float:
    """Return F1: a turn is found if one of the same kind overlaps it, each counted once."""
    left = list(truth)
    hits = 0
    for swing in found:
        for start, end, kind in left:
            if kind == swing.kind and swing.start_us < end * 1e6 and swing.end_us > start * 1e6:
                left.remove((start, end, kind))
                hits += 1
                break
    return 2 * hits / (len(found) + len(truth)) if found or truth else 1.0


@pytest.mark.parametrize("mirror", [False, True])
def test_turns_of_a_real_office_walk(mirror: bool) -> None:
    folder = clip("hololens_indoor")
    with (folder / "gt_turns.csv").open() as file:
        rows = list(csv.DictReader(file))
    truth = [
        (float(row["start_s"]), float(row["end_s"]), row["kind"].replace("u_turn", "around"))
        for row in rows
    ]
    if mirror:
        truth = [(start, end, MIRRORED[kind]) for start, end, kind in truth]
    assert score(real_swings(folder, 57.2, mirror=mirror), truth) >= 0.9


@pytest.mark.parametrize("name", ["gopro_walk", "gopro_karma_drone"])
def test_a_video_without_turns_has_none(name: str) -> None:
    assert real_swings(clip(name), 70, mirror=False) == []


def test_hours_of_walking_need_little_memory() -> None:
    rng = np.random.default_rng(3)
    count = 72_000  # two hours at ten frames per second
    turning = np.repeat(rng.choice([-3.0, 0.0, 0.0, 3.0], count // 50), 50)
    steps = [
        RotationStep(
            100_000 * n, 100_000 * (n + 1), (0.0, float(turn), 0.0), 0.9, 0.2, (0.0, 0.0, 1.0)
        )
        for n, turn in enumerate(turning)
    ]
    tracemalloc.start()
    whole = course(0, steps)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100 << 20
    assert whole.yaw_degrees[-1] == pytest.approx(turning.sum(), abs=1)
    part = course(0, steps[:3000])
    assert part.yaw_degrees[:2500] == pytest.approx(whole.yaw_degrees[:2501][:2500], abs=1e-6)
