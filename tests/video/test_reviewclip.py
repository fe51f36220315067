"""Review clips show what keyframes show at the same time, at a constant rate, and sound as in the source."""

import errno
import os
import resource
import subprocess
import wave
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

import av
import imageio_ffmpeg
import numbered
import numpy as np
import pytest

from pipeline.errors import RowError
from pipeline.video import reader, reviewclip, seeking
from pipeline.video.reviewclip import FPS, Excerpt, Form
from pipeline.video.seeking import frames_between
from pipeline.video.sound import RATE
from pipeline.video.stream import Clock, main_stream, open_video

GOPRO = Path(__file__).parents[3] / "shared" / "video" / "gopro_walk" / "video.mp4"
UNEVEN_MS = [sum((17, 50, 33, 90, 8)[number % 5] for number in range(end)) for end in range(90)]
OPEN_GOP = {"x264-params": "open-gop=1:keyint=20:bframes=3:b-adapt=0"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=30:min-keyint=30:bframes=0"}


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, arguments)]
    # Otherwise this build crashes on transport streams with a service name.
    subprocess.run(command, check=True, env=os.environ | {"GCONV_PATH": os.devnull})


def tone(path: Path, seconds: float, begins: float, rate: int, channels: int = 1) -> Path:
    """Write silence that becomes a tone."""
    times = np.arange(round(seconds * rate)) / rate
    samples = np.where(times >= begins, np.sin(2 * np.pi * 440 * times), 0) * 20_000
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(np.repeat(samples.astype("<i2"), channels).tobytes())
    return path


def late_video(folder: Path, name: str) -> list[int]:
    """Write a file in which the sound begins 0.8 s before the first frame."""
    times = numbered.write(folder / "whole.mp4", options={"g": "30", "bf": "2"})
    sound = tone(folder / "tone.wav", 4, 1, 44_100)
    ffmpeg("-itsoffset", "0.8", "-i", folder / "whole.mp4", "-i", sound, "-c:v", "copy", "-c:a", "aac",
           folder / name)  # fmt: skip
    return times


def program_stream(folder: Path) -> list[int]:
    times = numbered.write(folder / "whole.mp4")
    ffmpeg("-i", folder / "whole.mp4", "-c:v", "mpeg2video", "-q:v", "2", "-g", "15", "-bf", "2", "-f", "vob",
           folder / "a.mpg")  # fmt: skip
    return times


def joined(folder: Path) -> list[int]:
    times = numbered.write(folder / "one.ts", options={"g": "30", "bf": "2"})
    (folder / "a.ts").write_bytes((folder / "one.ts").read_bytes() * 2)
    return [*times, *(time + 3_000_000 for time in times)]


def anamorphic(folder: Path) -> list[int]:
    times = numbered.write(folder / "whole.mp4")
    ffmpeg("-i", folder / "whole.mp4", "-vf", "setsar=4/3", folder / "a.mp4")
    return times


def with_cover(folder: Path) -> list[int]:
    times = numbered.write(folder / "whole.mp4")
    ffmpeg("-i", folder / "whole.mp4", "-frames:v", "1", folder / "cover.png")
    ffmpeg("-i", folder / "cover.png", "-i", folder / "whole.mp4", "-map", "0", "-map", "1", "-c", "copy",
           "-disposition:v:0", "attached_pic", folder / "a.mp4")  # fmt: skip
    return times


ODD: dict[str, tuple[str, Callable[[Path], list[int]]]] = {
    "plain": ("a.mp4", lambda folder: numbered.write(folder / "a.mp4")),
    "times in milliseconds": ("a.mkv", lambda folder: numbered.write(folder / "a.mkv")),
    "variable rate": (
        "a.mp4",
        lambda folder: numbered.write(folder / "a.mp4", times_ms=UNEVEN_MS, options={"bf": "3"}),
    ),
    "open gop": ("a.mkv", lambda folder: numbered.write(folder / "a.mkv", options=OPEN_GOP)),
    "intra refresh": ("a.mp4", lambda folder: numbered.write(folder / "a.mp4", options=REFRESH)),
    "avi": (
        "a.avi",
        lambda folder: numbered.write(folder / "a.avi", codec="mpeg4", options={"g": "30"}),
    ),
    "transport stream": ("a.ts", lambda folder: numbered.write(folder / "a.ts")),
    "program stream": ("a.mpg", program_stream),
    "late video": ("a.mov", lambda folder: late_video(folder, "a.mov")),
    "late video mkv": ("a.mkv", lambda folder: late_video(folder, "a.mkv")),
    "late video ts": ("a.ts", lambda folder: late_video(folder, "a.ts")),
    "joined recordings": ("a.ts", joined),
    "cover art first": ("a.mp4", with_cover),
    "anamorphic": ("a.mp4", anamorphic),
}


def shown(path: Path) -> list[int]:
    """Return the number that each frame of a clip carries."""
    with av.open(str(path)) as file:
        return [numbered.read(frame.to_ndarray(format="bgr24")) for frame in file.decode(video=0)]


@pytest.mark.parametrize(("name", "write"), ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("start_us", [0, 1_216_667, 2_100_000])
def test_a_review_clip_shows_the_frames_of_its_span(
    tmp_path: Path, name: str, write: Callable[[Path], list[int]], start_us: int
) -> None:
    times = write(tmp_path)
    end_us = times[-1] + 33_333 if start_us > 2_000_000 else start_us + 900_000
    reviewclip.cut(
        tmp_path / name, Excerpt("v", start_us, end_us), Form(320), tmp_path / "clip.mp4"
    )
    # Container times are rounded to at most a millisecond.
    at = [start_us + 2_000 + number * 1_000_000 / FPS for number in range(1000)]
    count = round((end_us - start_us) * FPS / 1e6)
    expected = [bisect_right(times, time_us) - 1 for time_us in at[:count]]
    assert shown(tmp_path / "clip.mp4") == [number % 90 for number in expected]


@pytest.mark.parametrize(("name", "write"), ODD.values(), ids=ODD.keys())
def test_frames_of_a_stretch_begin_with_the_one_displayed(
    tmp_path: Path, name: str, write: Callable[[Path], list[int]]
) -> None:
    times = write(tmp_path)
    path = tmp_path / name
    every = list(reader.frames(path))
    for start_us, end_us in (
        (0, 100_000),
        (times[47], times[60]),
        (times[47] - 1_100, times[61] + 1_100),
        (times[88] + 1_100, times[-1] + 10_000_000),
        (times[20] + 1_100, times[20] + 1_200),
    ):
        first = max(i for i, frame in enumerate(every) if i == 0 or frame.t_us <= start_us)
        expected = [frame for frame in every[first:] if frame.t_us < end_us]
        found = list(frames_between(path, start_us, end_us))
        assert [one.t_us for one in found] == [one.t_us for one in expected]
        for one, other in zip(found, expected, strict=True):
            assert numbered.read(one.bgr(320)) == numbered.read(other.bgr(320))


@pytest.mark.parametrize(("first", "shown"), [(0, [0, 40]), (2, [40])])
def test_frames_displayed_before_the_first_one_give_no_time(
    tmp_path: Path, first: int, shown: list[int]
) -> None:
    """A keyframe may come before the first displayed frame, whose timestamp may be 0."""
    numbered.write(tmp_path / "a.mp4", count=3)
    with open_video(tmp_path / "a.mp4") as container:
        stream = main_stream(container)
        clock = Clock(stream, "mp4", first)
        key = next(packet for packet in container.demux(stream) if packet.is_keyframe)
        key.pts = -80
        assert clock.begin(key)
        read = []
        for stamp in (-80, -40, 0, 40):
            frame = av.VideoFrame(16, 16)
            frame.pts = stamp
            read.append(clock.read(frame))
    assert [one[0] for one in read if one] == shown


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "libx264"), ("a.avi", "mpeg4")],
)
def test_a_stretch_is_decoded_from_a_keyframe_near_its_start(
    tmp_path: Path, name: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    numbered.write(path, count=900, codec=codec, options={"g": "30"})
    decoded = []
    original = seeking.decoded

    def counted(*given: object) -> list[av.VideoFrame]:
        found = original(*given)  # type: ignore[arg-type]
        decoded.extend(found)
        return found

    monkeypatch.setattr(seeking, "decoded", counted)
    found = list(frames_between(path, 20_500_000, 21_000_000))
    assert [numbered.read(frame.bgr(320)) for frame in found] == list(range(615, 630))
    assert len(decoded) < 200


@pytest.mark.parametrize(
    ("how", "rotation", "pixels", "size"),
    [
        ({"size": (322, 178), "rotation": 90}, 0, 320, (176, 320)),
        ({"size": (200, 100)}, 0, 320, (200, 100)),
        ({"size": (322, 178)}, 90, 320, (176, 320)),
        ({"size": (640, 360)}, 0, 321, (320, 180)),
    ],
)
def test_a_review_clip_is_upright_even_and_of_constant_rate(
    tmp_path: Path, how: dict[str, object], rotation: int, pixels: int, size: tuple[int, int]
) -> None:
    numbered.write(tmp_path / "walk.mp4", **how)  # type: ignore[arg-type]
    span = Excerpt("v", 500_000, 1_500_000, rotation)
    reviewclip.cut(tmp_path / "walk.mp4", span, Form(pixels), tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as file:
        frames = list(file.decode(video=0))
        codec = file.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.color_range) == ("h264", "yuv420p", 1)
    assert (frames[0].width, frames[0].height, frames[0].rotation) == (*size, 0)
    assert [round(frame.time * FPS) for frame in frames] == list(range(30))
    image = np.rot90(
        frames[0].to_ndarray(format="bgr24"), (rotation - how.get("rotation", 0)) // 90
    )  # type: ignore[operator]
    assert numbered.read(image) == 15


def test_the_colours_of_a_review_clip_are_those_of_a_keyframe(tmp_path: Path) -> None:
    bars = "smptehdbars=size=640x360:rate=30:duration=1"
    bt709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    ffmpeg("-f", "lavfi", "-i", bars, "-pix_fmt", "yuv420p", *bt709, tmp_path / "a.mp4")
    reviewclip.cut(tmp_path / "a.mp4", Excerpt("v", 0, 500_000), Form(320), tmp_path / "clip.mp4")
    keyframe = next(reader.frames(tmp_path / "a.mp4")).bgr(320)
    with av.open(str(tmp_path / "clip.mp4")) as file:
        frame = next(file.decode(video=0))
    assert np.abs(frame.to_ndarray(format="bgr24").astype(int) - keyframe).mean() < 3


def test_review_clips_have_no_metadata_and_are_reproducible(tmp_path: Path) -> None:
    late_video(tmp_path, "a.mov")
    span, target = Excerpt("v", 500_000, 2_500_000), tmp_path / "clip.mp4"
    found = set()
    random = np.random.default_rng(1)
    for _ in range(8):
        for size in random.integers(100, 400_000, 60):  # what unwritten memory contains
            random.bytes(size)
        reviewclip.cut(tmp_path / "a.mov", span, Form(160, sound=True), target)
        found.add(target.read_bytes())
    assert len(found) == 1
    with av.open(str(target)) as file:
        assert not {"encoder", "creation_time", "comment"} & file.metadata.keys()
        keys = [frame.time for frame in file.decode(video=0) if frame.key_frame]
    assert keys == [0.0, 1.0]


@pytest.mark.parametrize("sound", [False, True])
def test_a_review_clip_contains_no_camera_metadata(tmp_path: Path, sound: bool) -> None:
    if not GOPRO.exists():
        pytest.skip("needs the real clips in ../shared/video")
    with av.open(str(GOPRO)) as file:
        assert {stream.type for stream in file.streams} == {"video", "audio", "data"}
        assert "location" in file.metadata
    target = tmp_path / "clip.mp4"
    reviewclip.cut(GOPRO, Excerpt("v", 2_000_000, 5_000_000), Form(640, sound), target)
    with av.open(str(target)) as file:
        kinds = [stream.type for stream in file.streams]
        assert kinds == (["video", "audio"] if sound else ["video"])
        assert not {"location", "creation_time"} & set(file.metadata)
        stream = file.streams.video[0]
        assert (stream.width, stream.height) == (640, 362)
        assert stream.average_rate == FPS
        keys = [frame.time for frame in file.decode(video=0) if frame.key_frame]
    assert keys == [0.0, 1.0, 2.0]
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert not [word for word in (b"gpmd", b"GoPro", b"+33.1268", b"fdsc") if word in data]


def onset(path: Path) -> float | None:
    """Return when a clip's sound begins, in seconds."""
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()).max(axis=0) > 0.1)
            if loud.size:
                assert frame.time is not None
                return frame.time + int(loud[0]) / RATE
    return None


SOUNDS: dict[str, tuple[str, str, float, float, float, int, int]] = {
    # name, codec, offset of the video and of the sound, length of the sound, its rate and channels
    "late video": ("a.mov", "aac", 0.8, 0, 4, 44_100, 1),
    "late video ts": ("a.ts", "aac", 0.8, 0, 4, 48_000, 2),
    "late sound": ("a.mkv", "libopus", 0, 0.7, 4, 48_000, 2),
    "short sound": ("a.mp4", "aac", 0, 0, 2, 22_050, 1),
    "surround": ("a.mkv", "ac3", 0, 0, 4, 48_000, 6),
    "uncompressed": ("a.mov", "pcm_s16le", 0.3, 0, 4, 8_000, 1),
}


@pytest.mark.parametrize("how", SOUNDS.values(), ids=SOUNDS.keys())
@pytest.mark.parametrize("start_us", [0, 900_000])
def test_sound_and_image_are_as_far_apart_as_in_the_source(
    tmp_path: Path, how: tuple[str, str, float, float, float, int, int], start_us: int
) -> None:
    name, codec, video_at, sound_at, seconds, rate, channels = how
    numbered.write(tmp_path / "whole.mp4", options={"g": "30"})
    sound = tone(tmp_path / "tone.wav", seconds, 1.5, rate, channels)
    ffmpeg("-itsoffset", str(video_at), "-i", tmp_path / "whole.mp4", "-itsoffset", str(sound_at), "-i", sound,
           "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", codec, tmp_path / name)  # fmt: skip
    target = tmp_path / "clip.mp4"
    reviewclip.cut(
        tmp_path / name, Excerpt("v", start_us, start_us + 2_400_000), Form(160, True), target
    )
    began = onset(target)
    expected = max(1.5 + sound_at - video_at - start_us / 1e6, 0)
    assert began == pytest.approx(expected, abs=0.02)
    with av.open(str(target)) as file:
        track = file.streams.audio[0]
        assert (track.rate, track.layout.name) == (RATE, "stereo")
        assert track.duration is not None
        assert track.time_base is not None
        # An encoder adds up to a frame of 1024 samples at either end.
        assert float(track.duration * track.time_base) == pytest.approx(2.4, abs=0.05)


def test_a_gap_in_the_sound_does_not_shift_what_follows(tmp_path: Path) -> None:
    numbered.write(tmp_path / "whole.mp4")
    sound = tone(tmp_path / "tone.wav", 3, 2.2, 48_000)
    ffmpeg("-i", tmp_path / "whole.mp4", "-i", sound, "-c:v", "copy", "-c:a", "pcm_s16le",
           "-af", "aselect='not(between(t,0.5,1.5))'", tmp_path / "a.mkv")  # fmt: skip
    with av.open(str(tmp_path / "a.mkv")) as file:
        times = [frame.time or 0 for frame in file.decode(audio=0)]
    assert max(np.diff(times)) > 0.9
    reviewclip.cut(
        tmp_path / "a.mkv", Excerpt("v", 0, 3_000_000), Form(160, True), tmp_path / "clip.mp4"
    )
    assert onset(tmp_path / "clip.mp4") == pytest.approx(2.2, abs=0.02)


def test_joined_recordings_keep_their_sound(tmp_path: Path) -> None:
    late_video(tmp_path, "one.ts")
    (tmp_path / "a.ts").write_bytes((tmp_path / "one.ts").read_bytes() * 2)
    target = tmp_path / "clip.mp4"
    reviewclip.cut(tmp_path / "a.ts", Excerpt("v", 0, 1_000_000), Form(160, True), target)
    first = onset(target)
    reviewclip.cut(tmp_path / "a.ts", Excerpt("v", 3_000_000, 4_000_000), Form(160, True), target)
    assert first == pytest.approx(0.2, abs=0.02)
    assert onset(target) == pytest.approx(0.2, abs=0.05)


def test_a_clip_of_a_video_without_sound_has_none(tmp_path: Path) -> None:
    numbered.write(tmp_path / "a.mp4", count=30)
    reviewclip.cut(
        tmp_path / "a.mp4", Excerpt("v", 0, 900_000), Form(160, True), tmp_path / "clip.mp4"
    )
    with av.open(str(tmp_path / "clip.mp4")) as file:
        assert [stream.type for stream in file.streams] == ["video"]


def test_a_full_disk_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    """A file-size limit simulates a full disk."""
    numbered.write(tmp_path / "a.mp4")
    folder = tmp_path / "clips"
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (1, 2_000, 10_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
        try:
            with pytest.raises(OSError, match=r"clip\.mp4") as full:
                reviewclip.cut(
                    tmp_path / "a.mp4", Excerpt("v", 0, 3_000_000), Form(320), folder / "clip.mp4"
                )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
        assert full.value.errno == errno.EFBIG
        assert list(folder.iterdir()) == []


def test_a_video_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RowError, match="is gone") as gone:
        reviewclip.cut(tmp_path / "x.mp4", Excerpt("v", 0, 1), Form(160), tmp_path / "clip.mp4")
    assert gone.value.again


def test_the_rotation_of_the_manifest_makes_another_clip() -> None:
    plain, turned = (reviewclip.clip_name(Excerpt("v", 0, 9, turn), Form(640)) for turn in (0, 180))
    assert plain != turned
