"""Frames are sent as the release has them, byte for byte, unless a size is set."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.evaluate.pictures import Pictures


@pytest.fixture
def release(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "a.jpg"), noise)
    return tmp_path


def test_a_frame_is_sent_byte_for_byte_with_its_size(release: Path) -> None:
    (one,) = Pictures(release).frames(["frames/a.jpg"])
    assert one.jpeg == (release / "frames" / "a.jpg").read_bytes()
    assert (one.width, one.height) == (160, 90)


def test_grey_images_have_the_size_of_the_frames_and_nothing_else(release: Path) -> None:
    (one,) = Pictures(release).grey(["frames/a.jpg"])
    pixels = cv2.imdecode(np.frombuffer(one.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (90, 160, 3)
    assert np.ptp(pixels) == 0


def test_a_size_scales_down_and_never_up(release: Path) -> None:
    (small,) = Pictures(release, 80).frames(["frames/a.jpg"])
    assert (small.width, small.height) == (80, 45)
    (same,) = Pictures(release, 500).frames(["frames/a.jpg"])
    assert same == Pictures(release).frames(["frames/a.jpg"])[0]


def test_a_missing_or_damaged_frame_is_named_with_what_to_do(release: Path) -> None:
    with pytest.raises(UserError, match=r"b\.jpg.*is missing"):
        Pictures(release).frames(["frames/b.jpg"])
    (release / "frames" / "c.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"c\.jpg.*is no JPEG"):
        Pictures(release).frames(["frames/c.jpg"])
