"""The curve beneath the keyframes: whatever was measured, it stays inside its picture and reads right."""

from xml.etree import ElementTree

import pytest

from pipeline.motion.headingcurve import heading_curve
from pipeline.motion.rows import Clip, Frame, Heading, Turn

START_US, END_US = 7_000_000, 37_000_000
CLIP = Clip(clip_id="c", video_id="v", start_us=START_US, end_us=END_US)
LEFT, RIGHT, TOP, FLOOR = 360, 7020, 40, 1100


def drawn(
    heading: Heading | None, *turns: Turn, frames: tuple[Frame, ...] = ()
) -> ElementTree.Element:
    return ElementTree.fromstring(heading_curve(CLIP, heading, turns, frames))


def points(picture: ElementTree.Element) -> list[tuple[int, int]]:
    line = picture.find("polyline")
    assert line is not None
    numbers = [int(one) for one in line.get("points", "").split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def heading(*yaws: float) -> Heading:
    times = [START_US + (END_US - START_US) * n // max(len(yaws) - 1, 1) for n in range(len(yaws))]
    return Heading(clip_id="c", t_us=times, yaw_degrees=list(yaws))


@pytest.mark.parametrize("top", [3.0, 45.0, 46.0, 89.9, 361.5, 1234.5, 20_000.0])
@pytest.mark.parametrize("bottom", [-2.0, -45.1, -700.0])
def test_every_point_lies_inside_and_left_is_up(top: float, bottom: float) -> None:
    found = points(drawn(heading(0.0, top, bottom)))
    assert [x for x, _ in found] == [LEFT, (LEFT + RIGHT) // 2, RIGHT]
    assert all(TOP - 1 <= y <= FLOOR for _, y in found)
    assert found[1][1] < found[0][1] <= found[2][1]


def test_levels_stand_where_their_angle_is_drawn() -> None:
    picture = drawn(heading(0.0, 90.0, -45.0))
    labels = {one.text: int(one.get("y", "")) - 35 for one in picture.iter("text")}
    (_, zero), (_, up), (_, down) = points(picture)
    assert (labels["0°"], labels["90°"], labels["-45°"]) == pytest.approx((zero, up, down), abs=1)


def test_a_long_measurement_is_thinned_and_a_missing_one_leaves_the_axes() -> None:
    found = points(drawn(heading(*(float(n % 7) for n in range(1200)))))
    assert 45 <= len(found) <= 90
    empty = drawn(None)
    assert empty.find("polyline") is None
    told = [one.text for one in empty.iter("text")]
    assert told[-6:] == ["0:00.0", "0:06.0", "0:12.0", "0:18.0", "0:24.0", "0:30.0"]


def test_turns_are_bands_and_looks_aside_pale_ones() -> None:
    turn = Turn(
        clip_id="c",
        start_us=START_US,
        end_us=START_US + 15_000_000,
        kind="left",
        yaw_degrees=84.4,
        moving=True,
        confidence=0.9,
    )
    look = turn.model_copy(update={"moving": False, "start_us": END_US - 1})
    picture = drawn(heading(0.0, 84.0), turn, look.model_copy(update={"end_us": END_US}))
    bands = [one for one in picture.iter("rect") if one.get("fill-opacity")]
    assert [one.get("fill-opacity") for one in bands] == ["0.25", "0.08"]
    assert (bands[0].get("x"), bands[0].get("width")) == ("360", "3330")
    assert {"←84°", "aside"} <= {one.text for one in picture.iter("text")}
