"""The picture of a clip: valid XML whatever a name contains, every keyframe once, none overlapping."""

import re
from base64 import b64decode
from itertools import combinations
from xml.etree import ElementTree

import pytest

from pipeline.motion.heading_curve import Mark
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.report.clip_picture import ClipPicture, draw

SVG = "{http://www.w3.org/2000/svg}"
CLIP = Clip(clip_id="c", video_id="v", start_us=5_000_000, end_us=35_000_000)
HEADING = Heading(clip_id="c", t_us=[5_000_000, 34_000_000], yaw_degrees=[0.0, 90.0])
TURN = Turn(
    clip_id="c",
    start_us=9_000_000,
    end_us=12_000_000,
    kind="right",
    yaw_degrees=-88.0,
    moving=True,
    confidence=0.9,
)


def frame(number: int, count: int, reason: str = "middle of turn 1 (right, 88 degrees)") -> Frame:
    return Frame(
        clip_id="c",
        t_us=CLIP.start_us + (CLIP.end_us - CLIP.start_us) * number // count,
        pts=number,
        width=640,
        height=480,
        media=f"{number}.jpg",
        sharpness=1.0,
        reason=reason,
        suspect=False,
    )


def drawn(
    frames: list[Frame], title: str = "walk.mp4", jpegs: list[bytes | None] | None = None
) -> ElementTree.Element:
    images = jpegs or [str(number).encode() for number in range(len(frames))]
    return ElementTree.fromstring(draw(ClipPicture(title, CLIP, frames, images, HEADING, [TURN])))


@pytest.mark.parametrize("count", [0, 1, 2, 5, 16, 17, 256])
def test_every_keyframe_is_shown_once_inside_the_picture(count: int) -> None:
    picture = drawn([frame(number, count) for number in range(count)])
    images = list(picture.iter(f"{SVG}image"))
    data = [b64decode(one.get("href", "").partition("base64,")[2]) for one in images]
    assert data == [str(number).encode() for number in range(count)]
    _, _, width, height = map(int, picture.get("viewBox", "").split())
    boxes = [[int(one.get(name, "")) for name in ("x", "y", "width", "height")] for one in images]
    for x, y, w, h in boxes:
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
    for (x, y, w, h), (other_x, other_y, _, _) in combinations(boxes, 2):
        assert abs(x - other_x) >= w or abs(y - other_y) >= h


@pytest.mark.parametrize(
    "name", ["<a & 'b'>\"", "\x1b[31m\x00.mp4", "\udcff.mp4", "日本 ↶ ﷽.mp4", "]]>"]
)
def test_any_name_and_reason_gives_valid_xml(name: str) -> None:
    picture = drawn([frame(0, 1, reason=name)], title=name)
    texts = ["".join(one.itertext()) for one in picture.iter(f"{SVG}text")]
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    assert texts[0] == shown
    assert texts[-1] == f"0:00.0 {shown}"


def test_the_spans_of_a_clip_are_marked() -> None:
    spans = [
        Mark(5_000_000, 20_000_000, "span 1, mirrored"),
        Mark(20_000_000, 35_000_000, "span 2"),
    ]
    drawing = draw(ClipPicture("walk.mp4", CLIP, [], [], HEADING, [TURN], spans))
    picture = ElementTree.fromstring(drawing)
    texts = ["".join(one.itertext()) for one in picture.iter(f"{SVG}text")]
    assert [text for text in texts if "span" in text] == ["span 1, mirrored", "span 2"]
    borders = [one.get("d", "") for one in picture.iter(f"{SVG}path") if one.get("class") == "mark"]
    (first, end), (begin, last) = (
        [int(x) for x in re.findall(r"M(\d+) ", border)] for border in borders
    )
    assert first < end == begin < last
    assert end - first == pytest.approx(last - begin, abs=1)


def test_a_missing_keyframe_leaves_its_place_empty() -> None:
    picture = drawn([frame(number, 3) for number in range(3)], jpegs=[b"0", None, b"2"])
    assert len(list(picture.iter(f"{SVG}image"))) == 2
    captions = ["".join(one.itertext()) for one in picture.iter(f"{SVG}text")][-3:]
    assert captions[1] == "0:10.0 middle of turn 1"


def test_a_look_aside_is_called_a_glance_as_on_the_curve() -> None:
    reason = "between turn 3 (left, 80 degrees) and look 4 (right, 51 degrees)"
    assert frame(0, 1, reason=reason).brief_reason == "between turn 3 and glance 4"
