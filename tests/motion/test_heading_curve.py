"""The heading curve: every point is inside the plot, angles and times are where their labels are."""

from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from pipeline.motion.heading_curve import Mark, heading_curve, time_x
from pipeline.motion.rows import Heading, Turn

START_US, END_US = 7_000_000, 37_000_000
WIDTH, LEFT, RIGHT, TOP, FLOOR = 7200, 480, 7000, 40, 1100
SVG = "{http://www.w3.org/2000/svg}"


def drawn(
    heading: Heading | None,
    *turns: Turn,
    keyframes_us: tuple[int, ...] = (),
    leaders: int = 0,
    marks: tuple[Mark, ...] = (),
) -> ElementTree.Element:
    return ElementTree.fromstring(
        heading_curve(START_US, END_US, heading, turns, keyframes_us, leaders=leaders, marks=marks)
    )


def points(picture: ElementTree.Element) -> list[tuple[int, int]]:
    (line,) = picture.iter(f"{SVG}polyline")
    numbers = [int(one) for one in line.get("points", "").split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def texts(picture: ElementTree.Element) -> dict[str | None, ElementTree.Element]:
    return {one.text: one for one in picture.iter(f"{SVG}text")}


def heading(*yaws: float) -> Heading:
    times = [START_US + (END_US - START_US) * n // max(len(yaws) - 1, 1) for n in range(len(yaws))]
    return Heading(clip_id="c", t_us=times, yaw_degrees=list(yaws))


def turn(start_us: int, end_us: int, degrees: float = 84.4, moving: bool = True) -> Turn:
    return Turn(
        clip_id="c",
        start_us=start_us,
        end_us=end_us,
        kind="left",
        yaw_degrees=degrees,
        moving=moving,
        confidence=0.9,
    )


@pytest.mark.parametrize("top", [3.0, 45.0, 46.0, 89.9, 361.5, 1234.5, 20_000.0])
@pytest.mark.parametrize("bottom", [-2.0, -45.1, -700.0])
def test_every_point_is_inside_and_left_is_up(top: float, bottom: float) -> None:
    found = points(drawn(heading(0.0, top, bottom)))
    assert [x for x, _ in found] == [LEFT, (LEFT + RIGHT) // 2, RIGHT]
    assert all(TOP <= y <= FLOOR for _, y in found)
    assert found[1][1] < found[0][1] <= found[2][1]


def test_angles_are_drawn_where_their_labels_are() -> None:
    picture = drawn(heading(0.0, 90.0, -45.0))
    labels = {text: int(one.get("y", "0")) - 35 for text, one in texts(picture).items()}
    (_, zero), (_, up), (_, down) = points(picture)
    assert (labels["0°"], labels["90°"], labels["-45°"]) == pytest.approx((zero, up, down), abs=1)


def test_a_straight_walk_is_not_magnified() -> None:
    (_, low), (_, high) = points(drawn(heading(0.0, 2.0)))
    assert 0 < low - high < 30


def test_a_long_measurement_is_thinned_and_a_missing_one_leaves_the_axes() -> None:
    found = points(drawn(heading(*(float(n % 7) for n in range(1200)))))
    assert 45 <= len(found) <= 91
    assert (found[0][0], found[-1][0]) == (LEFT, RIGHT)
    empty = drawn(None)
    assert not list(empty.iter(f"{SVG}polyline"))
    times = [text for text in texts(empty) if text and ":" in text and text != "min:s"]
    assert times == ["0:00.0", "0:05.0", "0:10.0", "0:15.0", "0:20.0", "0:25.0", "0:30.0"]


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.0, 9.7, 45.6, 61.0, 3600.0, 86_400.0])
def test_times_are_drawn_where_their_labels_are_and_apart(seconds: float) -> None:
    end_us = round(seconds * 1e6)
    picture = ElementTree.fromstring(heading_curve(0, end_us, None, (), ()))
    labels = {t: int(one.get("x", "0")) for t, one in texts(picture).items() if t and "." in t}
    assert len(labels) <= 40
    for text, x in labels.items():
        minutes, rest = text.split(":")
        time_us = round((int(minutes) * 60 + float(rest)) * 1e6)
        assert time_x(time_us, 0, end_us, WIDTH) == pytest.approx(x, abs=800 if seconds < 1 else 40)
    if seconds <= 3600:
        assert all(later - one >= 400 for one, later in pairwise(sorted(labels.values())))


def test_turns_are_bands_and_glances_are_pale_bands() -> None:
    picture = drawn(
        heading(0.0, 84.0),
        turn(START_US, START_US + 15_000_000),
        turn(END_US - 1, END_US, moving=False),
    )
    bands = [one for one in picture.iter(f"{SVG}rect") if one.get("class")]
    assert [one.get("fill-opacity") for one in bands] == ["0.25", "0.1"]
    assert (bands[0].get("x"), bands[0].get("width")) == ("480", "3260")
    assert {"← 84°", "glance"} <= set(texts(picture))


def test_labels_of_turns_never_overlap() -> None:
    many = [turn(START_US + n * 300_000, START_US + n * 300_000 + 90_000) for n in range(99)]
    labels = [one for one in drawn(None, *many).iter(f"{SVG}text") if one.get("class")]
    assert 30 < len(labels) < 99
    for one, other in combinations(labels, 2):
        apart = abs(int(one.get("x", "0")) - int(other.get("x", "0")))
        assert one.get("y") != other.get("y") or apart >= 5 * 60


def test_leaders_lead_from_a_strip_to_the_times_of_its_keyframes() -> None:
    picture = drawn(None, keyframes_us=(START_US, END_US), leaders=200)
    (leaders,) = (one for one in picture.iter(f"{SVG}path") if one.get("class") == "leader")
    assert leaders.get("d") == f"M1800 0L{LEFT} 200M5400 0L{RIGHT} 200"


def test_the_names_of_marks_cover_neither_the_curve_nor_the_labels_of_turns():
    marks = (Mark(START_US, 20_000_000, "span 1"), Mark(20_000_000, END_US, "span 2"))
    picture = drawn(heading(0.0, 0.0, 84.4, 84.4), turn(18_000_000, 20_000_000), marks=marks)
    found = texts(picture)
    names = [int(found[mark.label].get("y", "")) for mark in marks]
    assert max(names) < min(y for _, y in points(picture))
    assert min(names) >= int(found["← 84°"].get("y", "")) + 100
