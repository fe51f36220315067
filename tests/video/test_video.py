import random
import shutil
import struct
import subprocess
import wave
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numbered
import numpy as np
import pytest

from pipeline.errors import RowError
from pipeline.video import reader
from pipeline.video.lens_tags import LensTags, read_lens

RANDOM = random.Random(7)
VFR_MS = [0]
for _ in range(89):
    VFR_MS.append(VFR_MS[-1] + RANDOM.choice([11, 33, 40, 90, 250]))

REAL = Path(__file__).parents[3] / "shared" / "video"
STREAMS = {
    "constant rate": {"name": "a.mp4"},
    "b-frames": {"name": "a.mp4", "options": {"bf": "3", "g": "30"}},
    "open gop": {"name": "a.mkv", "options": {"x264-params": "open-gop=1:keyint=20:bframes=3:b-adapt=0"}},
    "variable rate": {"name": "a.mp4", "times_ms": VFR_MS, "options": {"bf": "3", "g": "25"}},
    "variable rate mkv": {"name": "a.mkv", "times_ms": VFR_MS, "options": {"bf": "2", "g": "25"}},
    "ts without index": {"name": "a.ts", "times_ms": VFR_MS, "options": {"bf": "2", "g": "25"}},
    "rotated": {"name": "a.mp4", "rotation": 90},
    "hevc 10 bit": {
        "name": "a.mp4", "codec": "libx265", "pix_fmt": "yuv420p10le",
        "options": {"x265-params": "log-level=none:keyint=30:bframes=3"},
    },
    "av1": {"name": "a.mkv", "codec": "libsvtav1"},
    "vp9": {"name": "a.webm", "codec": "libvpx-vp9", "options": {"g": "30", "cpu-used": "8"}},
    "avi": {"name": "a.avi", "codec": "mpeg4", "options": {"g": "30"}},
}  # fmt: skip


def written(tmp_path: Path, name: str, **how: object) -> tuple[Path, list[int]]:
    path = tmp_path / name
    return path, numbered.write(path, **how)  # type: ignore[arg-type]


def ffmpeg(*arguments: str | Path) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([binary, "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def upright(frame: reader.DecodedFrame) -> int:
    """Read the number, after undoing the rotation of a rotated stream."""
    return numbered.read(np.rot90(frame.bgr(640), frame.display.orientation.quarters))


@pytest.mark.parametrize("how", STREAMS.values(), ids=STREAMS.keys())
def test_every_frame_has_its_own_time(tmp_path: Path, how: dict[str, object]) -> None:
    path, times = written(tmp_path, **how)  # type: ignore[arg-type]
    shown = list(reader.frames(path))
    assert [upright(frame) for frame in shown] == list(range(90))
    assert [frame.t_us for frame in shown] == times
    assert not any(frame.suspect for frame in shown)


@pytest.mark.parametrize("how", STREAMS.values(), ids=STREAMS.keys())
def test_seeking_finds_the_displayed_frame(tmp_path: Path, how: dict[str, object]) -> None:
    path, times = written(tmp_path, **how)  # type: ignore[arg-type]
    for times_us in (
        [0],
        [times[-1] + 10_000_000],
        [times[47]],
        [times[47] - 1, times[61] + 1, times[62], 5],
    ):
        expected = {
            max(n for n, t_us in enumerate(times) if t_us <= time_us) for time_us in times_us
        }
        found = list(reader.frames_at(path, times_us))
        assert [upright(frame) for frame in found] == sorted(expected)
        assert [frame.t_us for frame in found] == [times[number] for number in sorted(expected)]


def test_an_edit_list_hides_frames_and_moves_time_zero(tmp_path: Path) -> None:
    whole, _ = written(tmp_path, "whole.mp4", options={"g": "30"})
    cut = tmp_path / "cut.mp4"
    ffmpeg("-ss", "1.4", "-i", whole, "-c", "copy", cut)
    with av.open(str(cut)) as container:
        assert container.streams.video[0].frames == 60, "the hidden frames are in the file"
    shown = list(reader.frames(cut))
    assert [numbered.read(frame.bgr(640)) for frame in shown] == list(range(42, 90))
    assert shown[0].t_us == 0
    (sought,) = reader.frames_at(cut, [0])
    assert numbered.read(sought.bgr(640)) == 42


def test_rotation_is_applied_as_in_players(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "a.mp4", rotation=90, count=3)
    info = reader.probe(path)
    assert (info.rotation, info.width, info.height) == (90, 180, 320)
    ffmpeg("-i", path, "-frames:v", "1", tmp_path / "a.png")
    ours = next(reader.frames(path)).bgr(640)
    assert np.abs(cv2.imread(str(tmp_path / "a.png")).astype(int) - ours).mean() < 2


BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv422p"])
@pytest.mark.parametrize("tags", [(), BT709, ("-colorspace", "smpte170m")])
def test_colours_match_ffmpeg(tmp_path: Path, layout: str, tags: tuple[str, ...]) -> None:
    path, shown = tmp_path / "a.mp4", tmp_path / "a.png"
    bars = "smptehdbars=size=640x360:rate=5:duration=1"
    ffmpeg("-f", "lavfi", "-i", bars, "-pix_fmt", layout, *tags, path)
    ffmpeg("-i", path, "-frames:v", "1", "-vf", "scale=320:180:flags=area", shown)
    ours = next(reader.frames(path)).bgr(320)
    assert np.abs(cv2.imread(str(shown)).astype(int) - ours).mean() < 2


def test_anamorphic_pixels_become_square(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "a.mp4", count=5)
    ffmpeg("-i", path, "-vf", "setsar=4/3", tmp_path / "wide.mp4")
    info = reader.probe(tmp_path / "wide.mp4")
    assert (info.width, info.height) == (427, 180)
    assert next(reader.frames(tmp_path / "wide.mp4")).bgr(640).shape == (180, 427, 3)


@pytest.mark.parametrize(
    ("apart_ms", "steps_ms"), [(33, {66, 99}), (50, {100}), (67, {67}), (83, {83})]
)
def test_thinning_gives_a_fairly_even_spacing(
    tmp_path: Path, apart_ms: int, steps_ms: set[int]
) -> None:
    path = tmp_path / "a.mp4"
    times = numbered.write(path, times_ms=[number * apart_ms for number in range(40)])
    thin = [frame.t_us for frame in reader.frames(path, lambda: 105_000)]
    assert thin[0] == 0
    assert thin[-1] == times[-1]
    assert set(np.diff(thin[:-1]).tolist()) <= {step * 1000 for step in steps_ms}


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_thinning_follows_a_changing_spacing(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.mp4"
    times = numbered.write(path, codec=codec, times_ms=[number * 40 for number in range(120)])
    shown: list[int] = []

    def apart_us() -> int:
        return 45_000 if shown and 1_500_000 < shown[-1] < 3_000_000 else 130_000

    for frame in reader.frames(path, apart_us):
        shown.append(frame.t_us)  # noqa: PERF401 (`apart_us` reads it meanwhile)
    steps = dict(zip(shown[1:], np.diff(shown).tolist(), strict=True))
    late = 400_000  # the decoder already holds some frames when the spacing changes
    assert {step for t, step in steps.items() if t < 1_500_000} <= {80_000, 120_000}
    assert {step for t, step in steps.items() if 1_500_000 + late < t < 3_000_000} == {40_000}
    assert {step for t, step in steps.items() if 3_000_000 + late < t < times[-1]} <= {
        80_000,
        120_000,
    }


def test_probe_returns_the_properties_of_the_file(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "a.mkv", options={"g": "30"})
    info = reader.probe(path)
    assert (info.codec, info.width, info.height, info.rotation) == ("h264", 320, 180, 0)
    assert info.has_audio is False
    assert abs(info.duration_us - 3_000_000) < 50_000
    assert info.fps_num / info.fps_den == pytest.approx(30, rel=0.02)
    assert info.hfov_degrees is None


def test_the_container_may_specify_the_field_of_view(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "a.mp4", count=5, metadata={"hfov_degrees": "92.5"})
    assert reader.probe(path).hfov_degrees == 92.5
    phone = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
    path, _ = written(tmp_path, "b.mp4", count=5, metadata={phone: "26"})
    assert reader.probe(path).hfov_degrees == pytest.approx(71.9, abs=0.2)


def damaged(path: Path, *, at: float, size: int) -> Path:
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + size] = bytes(RANDOM.randrange(256) for _ in range(size))
    target = path.with_name(f"damaged{path.suffix}")
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_damage_is_always_marked(tmp_path: Path, name: str) -> None:
    path, _ = written(tmp_path, name, options={"g": "15", "bf": "2"})
    sound = {p.t_us: p.bgr(320).astype(int) for p in reader.frames(path)}
    wrong = suspects = 0
    for part in (0.3, 0.4, 0.5, 0.6):
        shown = list(reader.frames(damaged(path, at=part, size=1500)))
        suspects += sum(frame.suspect for frame in shown)
        for frame in shown:
            other = sound.get(frame.t_us)
            if not frame.suspect and (other is None or np.abs(other - frame.bgr(320)).mean() > 2):
                wrong += 1
        assert not shown[0].suspect
        assert not shown[-1].suspect, "a sound keyframe ends it"
    assert wrong == 0
    assert suspects > 0


def test_damage_is_marked_in_every_pass_over_a_file(tmp_path: Path) -> None:
    whole, _ = written(tmp_path, "whole.mp4", options={"g": "30", "bf": "0"})
    path = damaged(whole, at=0.5, size=400)
    first = [frame.t_us for frame in reader.frames(path) if frame.suspect]
    assert first == [frame.t_us for frame in reader.frames(path) if frame.suspect]
    thinned = [(p.t_us, p.suspect) for p in reader.frames(path, lambda: 100_000)]
    assert any(suspect for _, suspect in thinned)
    assert all(suspect == (t_us in first) for t_us, suspect in thinned)


def test_lost_packets_of_a_transport_stream_make_frames_suspect(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "a.ts", options={"g": "30"})
    sound = {frame.t_us: frame.grey(320) for frame in reader.frames(path)}
    data = path.read_bytes()
    at = len(data) // 188 // 2 * 188
    path.write_bytes(data[:at] + data[at + 188 * 6 :])
    shown = list(reader.frames(path))
    assert any(frame.suspect for frame in shown)
    for frame in shown:
        apart = np.abs(frame.grey(320).astype(int) - sound[frame.t_us]).max()
        assert frame.suspect or apart < 8
    assert not shown[0].suspect
    assert not shown[-1].suspect, "a keyframe has come since"


def test_time_continues_in_concatenated_transport_streams(tmp_path: Path) -> None:
    path, times = written(tmp_path, "a.ts", options={"g": "30", "bf": "2"})
    joined = tmp_path / "joined.ts"
    joined.write_bytes(path.read_bytes() * 2)
    assert reader.probe(joined).duration_us == pytest.approx(6_000_000, abs=40_000)
    shown = list(reader.frames(joined))
    assert [numbered.read(frame.bgr(320)) for frame in shown] == [*range(90), *range(90)]
    assert [p.t_us for p in shown[90:]] == pytest.approx([t + 3_000_000 for t in times], abs=1001)
    sought = reader.frames_at(joined, [1_000_000, 4_010_000])
    assert [numbered.read(frame.bgr(320)) for frame in sought] == [30, 30]


def test_intra_refresh_keyframes_are_handled(tmp_path: Path) -> None:
    how = {"options": {"x264-params": "intra-refresh=1:keyint=30:min-keyint=30:bframes=0"}}
    path, times = written(tmp_path, "a.mp4", **how)
    times_us = [times[number] for number in (10, 33, 40, 66, 89)]
    sought = list(reader.frames_at(path, times_us))
    assert [numbered.read(frame.bgr(320)) for frame in sought] == [10, 33, 40, 66, 89]
    assert not any(frame.suspect for frame in sought)


def test_a_late_first_timestamp_does_not_lengthen_a_recording(tmp_path: Path) -> None:
    whole, _ = written(tmp_path, "a.mp4")
    late = tmp_path / "late.mkv"
    ffmpeg("-i", whole, "-c", "copy", "-output_ts_offset", "5", late)
    assert reader.probe(late).duration_us == pytest.approx(3_000_000, abs=40_000)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def item(key: bytes, kind: bytes, size: int, value: bytes) -> bytes:
    padded = value + bytes(-len(value) % 4)
    return struct.pack(">4scBH", key, kind, size, len(value) // size) + padded


@pytest.mark.parametrize(
    ("mode", "degrees", "across", "lens"),
    [
        (b"W", 134.0, 118.0, "fisheye"),
        (b"L", 100.0, 92.2, "rectilinear"),
        (b"W", 999.0, None, None),
    ],
)
def test_the_field_of_view_is_read_from_the_gopro_box(
    tmp_path: Path, mode: bytes, degrees: float, across: float | None, lens: str | None
) -> None:
    inside = item(b"DVNM", b"c", 1, b"HERO") + item(b"VFOV", b"c", 1, mode)
    inside += item(b"ZFOV", b"f", 4, struct.pack(">f", degrees))
    gpmf = box(b"GPMF", item(b"DEVC", b"\0", 1, inside))
    path = tmp_path / "a.mp4"
    path.write_bytes(
        box(b"ftyp", b"mp41") + box(b"moov", box(b"udta", box(b"FIRM", b"HD8") + gpmf))
    )
    found = read_lens(path, {}, 848, 480)
    assert found.hfov_degrees == pytest.approx(across, abs=1.5)
    assert found.lens == lens


@pytest.mark.parametrize("cut", range(0, 90, 7))
def test_a_broken_box_is_ignored(tmp_path: Path, cut: int) -> None:
    gpmf = box(b"GPMF", item(b"ZFOV", b"f", 4, struct.pack(">f", 120)))
    path = tmp_path / "a.mp4"
    whole = box(b"ftyp", b"mp41") + box(b"moov", box(b"udta", gpmf))
    path.write_bytes(whole[:cut])
    assert cut >= len(whole) or read_lens(path, {}, 848, 480) == LensTags()


def test_the_lens_of_a_real_gopro_recording_is_known() -> None:
    path = REAL / "gopro_walk" / "video.mp4"
    if not path.is_file():
        pytest.skip("the real clips are not beside this checkout (../shared/video)")
    info = reader.probe(path)
    # With this lens straight edges are straight, and curved without it.
    assert (info.hfov_degrees, info.lens) == (119.56, "fisheye")


def rejected(path: Path) -> RowError:
    with pytest.raises(RowError) as caught:
        reader.probe(path)
    assert caught.value.what
    assert caught.value.fix
    return caught.value


def test_files_that_are_not_videos_are_rejected_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    cv2.imwrite(str(tmp_path / "x.jpg"), numbered.painted(3))
    cv2.imwrite(str(tmp_path / "x.png"), numbered.painted(3))
    for data, reason in (
        (b"", "zero bytes"),
        ("grüße, world\n".encode(), "text"),
        (b"#EXTM3U\nhttp://example.org/a.ts\n", "text"),
        (bytes(RANDOM.randrange(256) for _ in range(5000)), "not a video"),
        ((tmp_path / "x.jpg").read_bytes(), "image"),
        ((tmp_path / "x.png").read_bytes(), "image"),
    ):
        path.write_bytes(data)
        assert reason in rejected(path).what


def test_a_folder_a_missing_and_an_unreadable_file_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.mp4").mkdir()
    assert "folder" in rejected(tmp_path / "x.mp4").what
    assert rejected(tmp_path / "gone.mp4").again
    loop = tmp_path / "loop.mp4"
    loop.symlink_to(loop)
    assert "can't be read" in rejected(loop).what
    path, _ = written(tmp_path, "closed.mp4", count=3)
    path.chmod(0)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)  # the tests may run as root, who can read everything
    assert "permission" in rejected(path).what


def test_unusable_videos_are_rejected_with_the_reason(tmp_path: Path) -> None:
    whole, _ = written(tmp_path, "whole.mp4")
    short = tmp_path / "short.mp4"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert "moov" in rejected(short).what

    one, _ = written(tmp_path, "one.mp4", count=1)
    assert "only one frame" in rejected(one).what

    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\1" * 8000)
    shutil.copy(tmp_path / "sound.wav", tmp_path / "sound.mp4")
    assert "no video stream" in rejected(tmp_path / "sound.mp4").what

    ffmpeg("-i", whole, "-c", "copy", tmp_path / "bare.h264")
    assert "no duration" in rejected(tmp_path / "bare.h264").what


def test_any_file_name_is_accepted(tmp_path: Path) -> None:
    for name in ('it\'s 50%02d "x".mp4', "línea\nnueva.mp4", "http:x.mp4", "-i.mp4"):
        path, _ = written(tmp_path, "plain.mp4", count=3)
        path = path.rename(tmp_path / name)
        assert reader.probe(path).codec == "h264"
