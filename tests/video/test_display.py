"""Which track is read, how its frames are oriented, sized and coloured, and what is refused."""

import struct
from pathlib import Path

import av
import cv2
import numbered
import numpy as np
import odd_files
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RowError
from pipeline.video import reader
from pipeline.video.colour import Colours, Declared, converted, refuse_dolby
from pipeline.video.display import Display, Orientation


class Tagged:
    """A frame with side data that no encoder here writes."""

    def __init__(self, matrix: bytes | None = None, **fields: object) -> None:
        self.side_data = {"DISPLAYMATRIX": matrix} if matrix else {}
        self.width, self.height, self.color_trc, self.colorspace = 320, 180, ColorTrc.UNSPECIFIED, 2
        self.color_primaries = 2
        self.__dict__.update(fields)


def matrix(a: float, b: float, c: float, d: float) -> bytes:
    return struct.pack("=9i", *(round(one * 65536) for one in (a, b, 0, c, d, 0, 0, 0, 16384)))


@given(st.sampled_from([0, 1, 2, 3]), st.booleans(), st.floats(0.1, 4), st.floats(-40, 40))
def test_any_display_matrix_is_a_mirroring_and_a_number_of_quarter_turns(
    quarters: int, mirrored: bool, scale: float, tilt: float
) -> None:
    angle = np.radians(90 * quarters + tilt)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flip = np.diag([-1 if mirrored else 1, 1])
    found = Orientation.of(Tagged(matrix(*(flip @ turn).ravel())))  # type: ignore[arg-type]
    assert found is not None
    assert (found.mirrored, found.quarters) == (mirrored, quarters)
    # Where the matrix puts a pixel, seen from the centre, is where `applied` puts it.
    pixels = np.zeros((5, 5), np.uint8)
    pixels[1, 4] = 1  # right of the centre, and a little above
    exact = flip @ np.round(turn / scale) if tilt == 0 else None
    if exact is not None:
        across, down = np.array([2, -1]) @ exact
        assert found.applied(pixels)[round(2 + down), round(2 + across)] == 1


def test_the_rotation_of_the_manifest_comes_after_the_display_matrix(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    odd_files.oriented(lambda p: p[:, ::-1], "-display_hflip:v")(path)
    upright = next(reader.frames(path)).bgr(320)
    for rotation in (90, 180, 270):
        info = reader.probe(path, rotation)
        turned = next(reader.frames(path, rotation=rotation)).bgr(320)
        assert (info.width, info.height) == turned.shape[1::-1]
        expected = np.rot90(upright, -rotation // 90)
        expected = cv2.resize(expected, turned.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(turned.astype(int) - expected).mean() < 3
        (sought,) = reader.frames_at(path, [0], rotation=rotation)
        assert (sought.bgr(320) == turned).all()
    assert info.conversion == "mirrored"


def test_another_aspect_ratio_is_refused_with_its_time_and_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    odd_files.changing((320, 180), (240, 180))(path)
    with pytest.raises(RowError, match=r"320 x 180 to 240 x 180 pixels at 1\.0 s") as told:
        list(reader.frames(path))
    assert told.value.fix == "make a copy with one size: egost repair FILE"
    with pytest.raises(RowError, match="240 x 180"):
        list(reader.frames_at(path, [1_500_000]))


def test_every_frame_has_the_size_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    odd_files.changing((320, 180), (160, 90), (426, 240))(path)
    for frame in reader.frames(path):
        assert (frame.width, frame.height) == (320, 180)
        assert frame.grey(160).shape == (90, 160)
        assert frame.bgr(640).shape == (180, 320, 3)


def test_an_orientation_that_changes_is_refused() -> None:
    upright = Tagged(matrix(1, 0, 0, 1))
    stream = type(
        "Stream",
        (),
        {"sample_aspect_ratio": None, "codec_context": av.CodecContext.create("h264", "r")},
    )
    display = Display.of(upright, stream, Declared())  # type: ignore[arg-type]
    display.show(Tagged(), stream, 1, 33_333, False)  # type: ignore[arg-type]
    with pytest.raises(RowError, match=r"change their orientation at 1\.0 s"):
        display.show(Tagged(matrix(-1, 0, 0, -1)), stream, 1, 1_000_000, False)  # type: ignore[arg-type]


def test_colours_that_cannot_be_converted_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    odd_files.film(path, *odd_files.X265, "-tag:v", "dvh1", "-strict", "unofficial")
    with pytest.raises(RowError, match="Dolby Vision"):
        reader.probe(path)
    path = tmp_path / "b.mp4"
    odd_files.film(path, *odd_files.X264, "-x264-params", "colormatrix=YCgCo")
    with pytest.raises(RowError, match="matrix 8"):
        reader.probe(path)
    # With an HLG picture in it, as phones record it, Dolby Vision is read like HLG.
    refuse_dolby(Tagged(color_trc=ColorTrc.ARIB_STD_B67), "dvh1")  # type: ignore[arg-type]


@pytest.mark.parametrize("matrix", [3, 10])
def test_unusual_matrices_are_read_like_the_closest_one(tmp_path: Path, matrix: int) -> None:
    path, tagged = tmp_path / "a.mp4", tmp_path / "b.mp4"
    odd_files.film(path, "-c:v", "libx264", "-pix_fmt", "yuv422p10le")
    change = f"h264_metadata=matrix_coefficients={matrix}"
    odd_files.ffmpeg("-i", path, "-c", "copy", "-bsf:v", change, tagged)
    assert next(reader.frames(tagged)).bgr(320).shape == (180, 320, 3)
    assert next(reader.frames(tagged)).grey(320).shape == (180, 320)


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_brighter_light_never_becomes_darker(curve: str) -> None:
    grey = np.repeat(np.linspace(0, 1, 1024)[:, None], 3, axis=1)
    shown = converted(grey, Colours(curve, ColorPrimaries.BT2020))
    assert (np.diff(shown, axis=0) >= -1e-9).all()
    assert shown[0].max() == pytest.approx(0, abs=0.01)
    assert 0.97 < shown[-1].min() <= 1
    assert np.abs(shown - shown[:, :1]).max() < 0.005, "grey stays grey"


def test_the_tracks_of_a_file_are_reported(tmp_path: Path) -> None:
    odd_files.two_tracks(1, (640, 360))(tmp_path / "a.mkv")
    info = reader.probe(tmp_path / "a.mkv")
    assert (info.width, info.height, info.conversion) == (320, 180, "track 1")
    (note,) = info.notes
    assert (
        note.what
        == "it has 2 video tracks: 1 (320 x 180), 0 (640 x 360); track 1 is used, the others aren't"
    )
    odd_files.with_cover(tmp_path / "b.mp4")
    info = reader.probe(tmp_path / "b.mp4")
    assert (info.width, info.conversion, info.notes) == (320, "", ())


def test_an_explicit_field_of_view_turns_with_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    numbered.write(path, count=5, metadata={"hfov_degrees": "90"})
    assert reader.probe(path).hfov_degrees == 90
    # Half the height of 180 at a focal length of 160.
    sideways = 2 * np.degrees(np.arctan(90 / 160))
    assert reader.probe(path, 90).hfov_degrees == pytest.approx(sideways, abs=0.01)
