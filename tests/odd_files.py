"""Odd video files as cameras, recorders and tools write them, all showing the same numbered scene.

A file is made from what a player shows: the writers apply the inverse of the orientation, pixel aspect
or colour encoding that the file declares.
"""

import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numbered
import numpy as np
from numpy.typing import NDArray

from pipeline.video import colour

COUNT, RATE = 60, 30
SIZE = (320, 180)
PATCHES = {
    "red": (205, 40, 40),
    "green": (40, 165, 60),
    "blue": (50, 60, 190),
    "white": (230, 230, 230),
}
Picture = NDArray[np.uint8]
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p")


def scene(number: int, size: tuple[int, int] = SIZE) -> Picture:
    """Return the picture of a number: its bits at the top, four patches of colour at the bottom."""
    width, height = size
    pixels = numbered.painted(number, *size)
    for index, patch in enumerate(PATCHES.values()):
        pixels[height * 2 // 3 :, width * index // 4 : width * (index + 1) // 4] = patch
    return pixels


def patches(picture: Picture) -> NDArray[np.float64]:
    """Return the mean colour (4, 3) inside each patch of a picture of any size."""
    height, width = picture.shape[:2]
    rows = slice(round(height * 0.75), round(height * 0.93))
    return np.array(
        [
            picture[rows, round(width * (n + 0.2) / 4) : round(width * (n + 0.8) / 4)]
            .reshape(-1, 3)
            .mean(axis=0)
            for n in range(4)
        ]
    )


@dataclass(frozen=True)
class Odd:
    """How to write one file, and what it shows.

    `shown` are the numbers of its frames in display order, `apart_us` their times (default: 30 per
    second), `rotation` the manifest's.
    """

    name: str
    write: Callable[[Path], None]
    shown: Sequence[int] = range(COUNT)
    times_us: Sequence[int] | None = None
    size: tuple[int, int] = SIZE
    rotation: int = 0
    notes: Sequence[str] = ()
    slack_us: int = 0  # by which its times may be rounded


def ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> None:
    """Run the ffmpeg that the toolkit brings along."""
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    command = [binary, "-y", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, input=stdin)


def film(
    path: Path,
    *options: str,
    pictures: Iterable[NDArray[np.generic]] | None = None,
    layout: str = "rgb24",
    inputs: Sequence[str] = (),
) -> None:
    """Encode pictures (default: the scene) with ffmpeg's options."""
    shown = list(pictures) if pictures is not None else [scene(n) for n in range(COUNT)]
    height, width = shown[0].shape[-2:] if layout.startswith("yuv") else shown[0].shape[:2]
    raw = ("-f", "rawvideo", "-pix_fmt", layout, "-s", f"{width}x{height}", "-r", str(RATE))
    data = b"".join(picture.tobytes() for picture in shown)
    ffmpeg(*raw, "-i", "-", *inputs, *(options or X264), path, stdin=data)


def beside(path: Path, name: str) -> Path:
    """Return the path of an intermediate file."""
    folder = path.parent / "parts"
    folder.mkdir(exist_ok=True)
    return folder / name


def oriented(stored: Callable[[Picture], Picture], *matrix: str) -> Callable[[Path], None]:
    """Return a writer of a file whose display matrix undoes what `stored` does to each picture."""

    def write(path: Path) -> None:
        plain = beside(path, "stored.mp4")
        film(plain, pictures=[np.ascontiguousarray(stored(scene(n))) for n in range(COUNT)])
        ffmpeg(*matrix, "-i", plain, "-c", "copy", path)

    return write


def encoded(*options: str) -> Callable[[Path], None]:
    """Return a writer with these encoder options."""
    return lambda path: film(path, *options)


def with_sei(path: Path) -> None:
    plain = beside(path, "stored.mp4")
    film(
        plain,
        *X264,
        "-g",
        "20",
        "-x264-params",
        "aud=1",
        pictures=[np.rot90(scene(n)).copy() for n in range(COUNT)],
    )
    turned = "h264_metadata=display_orientation=insert:rotate=270"
    ffmpeg("-i", plain, "-c", "copy", "-bsf:v", turned, path)


def anamorphic(path: Path) -> None:
    narrow = [cv2.resize(scene(n), (240, 180), interpolation=cv2.INTER_AREA) for n in range(COUNT)]
    film(path, *X264, "-vf", "setsar=4/3", pictures=narrow)


def anamorphic_sideways(path: Path) -> None:
    def stored(picture: Picture) -> Picture:
        return cv2.resize(np.rot90(picture), (135, 320), interpolation=cv2.INTER_AREA)[:, :134]

    plain = beside(path, "stored.mp4")
    pictures = [stored(scene(n)).copy() for n in range(COUNT)]
    film(plain, *X264, "-vf", "setsar=90/67", pictures=pictures)
    ffmpeg("-display_rotation:v", "-90", "-i", plain, "-c", "copy", path)


# ---- colours -----------------------------------------------------------------------------------

_BT2020 = np.linalg.inv(np.array(colour._TO_SRGB[9]))
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p10le")


def hdr(transfer: str) -> Callable[[Path], None]:
    """Return a writer of BT.2020 in 10 bits as phones store it, with diffuse white at 203 nits."""

    def write(path: Path) -> None:
        params = f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited"
        pictures = [_yuv10(_encoders[transfer](_linear(scene(n)))) for n in range(COUNT)]
        film(
            path,
            *X265,
            "-x265-params",
            params,
            "-tag:v",
            "hvc1",
            pictures=pictures,
            layout="yuv444p10le",
        )

    return write


def tagged_outside(path: Path) -> None:
    """HDR as some tools rewrite it: the container alone declares its colours."""
    plain = beside(path, "plain.mp4")
    hdr("smpte2084")(plain)
    numbers = "colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"
    ffmpeg("-i", plain, "-c", "copy", "-bsf:v", f"hevc_metadata={numbers}", path)


def prores_hlg(path: Path) -> None:
    """HLG whose frames declare no colours, as FFmpeg's own encoder writes it."""
    tags = ("-color_primaries", "bt2020", "-color_trc", "arib-std-b67", "-colorspace", "bt2020nc")
    pictures = [_yuv10(_hlg(_linear(scene(n)))) for n in range(COUNT)]
    options = ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le", *tags)
    film(path, *options, pictures=pictures, layout="yuv444p10le")


def _linear(picture: Picture) -> NDArray[np.float64]:
    """Return light in BT.2020's primaries, 1 for white."""
    encoded = picture / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.clip(light @ _BT2020.T, 0, None)


def _pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    power = np.clip(light * 203 / 10_000, 0, 1) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def _hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    nits = light * 203 / 1000
    luminance = (nits @ np.array([0.2627, 0.6780, 0.0593]))[..., None].clip(1e-6)
    scene_light = np.clip(nits * luminance ** (1 / 1.2 - 1), 0, 1)
    bright = 0.17883277 * np.log(np.maximum(12 * scene_light - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene_light <= 1 / 12, np.sqrt(3 * scene_light), bright)


def _srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


_encoders = {"smpte2084": _pq, "arib-std-b67": _hlg, "bt2020-10": _srgb}


def _yuv10(encoded: NDArray[np.float64]) -> NDArray[np.uint16]:
    luma = encoded @ np.array([0.2627, 0.6780, 0.0593])
    blue, red = (encoded[..., 2] - luma) / 1.8814, (encoded[..., 0] - luma) / 1.4746
    planes = [64 + 876 * luma, 512 + 896 * blue, 512 + 896 * red]
    return np.stack(planes).round().clip(0, 1023).astype("<u2")


def matrixed(matrix: str, levels: str = "tv") -> Callable[[Path], None]:
    """Return a writer of SDR with this matrix and range, both tagged."""
    filters = f"scale=out_color_matrix={matrix}:out_range={levels}"
    tags = (
        "-colorspace",
        matrix,
        "-color_range",
        levels,
        "-color_primaries",
        "bt709",
        "-color_trc",
        "bt709",
    )
    return encoded(*X264, "-vf", filters, *tags)


# ---- tracks ------------------------------------------------------------------------------------


def with_cover(path: Path) -> None:
    behind_picture(path, "cover.png", "attached_pic")


def with_unmarked_cover(path: Path) -> None:
    """A tagger's picture as an ordinary first track, larger than the video."""
    behind_picture(path, "cover.jpg", "default")


def behind_picture(path: Path, picture: str, disposition: str) -> None:
    """Write a video whose first track is a still picture with this disposition."""
    cover, plain = beside(path, picture), beside(path, "plain.mp4")
    cv2.imwrite(str(cover), np.full((600, 600, 3), 90, np.uint8))
    film(plain)
    tracks = ("-i", cover, "-i", plain, "-map", "0", "-map", "1", "-c", "copy")
    ffmpeg(*tracks, "-disposition:v:0", disposition, path)


def two_tracks(default: int | None, first_size: tuple[int, int]) -> Callable[[Path], None]:
    """Return a writer of a file with another track in front of the scene's."""

    def write(path: Path) -> None:
        other, plain = beside(path, "other.mp4"), beside(path, "plain.mp4")
        film(other, pictures=[np.full((*first_size[::-1], 3), 60, np.uint8)] * COUNT)
        film(plain)
        flags = [
            item
            for n in (0, 1)
            for item in (f"-disposition:v:{n}", "default" if n == default else "0")
        ]
        ffmpeg("-i", other, "-i", plain, "-map", "0", "-map", "1", "-c", "copy", *flags, path)

    return write


# ---- time --------------------------------------------------------------------------------------


def sound(offset: float, seconds: float = 2.0, *options: str) -> Callable[[Path], None]:
    """Return a writer with sound that begins `offset` seconds after the video (negative: before)."""
    codec = ("-c:a", "mp2") if "mpeg2video" in options else ("-c:a", "aac")

    def write(path: Path) -> None:
        plain, tone = beside(path, "plain.mp4"), beside(path, "tone.mka")
        film(plain, *(options or X264))
        ffmpeg("-f", "lavfi", "-i", f"sine=frequency=300:duration={seconds}", *codec, tone)
        late = ("-itsoffset", str(max(0.0, -offset))), ("-itsoffset", str(max(0.0, offset)))
        ffmpeg(
            *late[0],
            "-i",
            plain,
            *late[1],
            "-i",
            tone,
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-c",
            "copy",
            path,
        )

    return write


def joined(*options: str) -> Callable[[Path], None]:
    """Return a writer of two recordings, one file appended to the other."""

    def write(path: Path) -> None:
        data = b""
        for part in (range(45), range(45, COUNT)):
            one = beside(path, f"part{path.suffix}")
            film(one, *options, pictures=[scene(n) for n in part])
            data += one.read_bytes()
        path.write_bytes(data)

    return write


def cut_between_keyframes(path: Path) -> None:
    """A transport stream that begins with packets whose keyframe is missing."""
    whole = beside(path, "whole.ts")
    film(whole, *X264, "-g", "20", "-sc_threshold", "0", "-bf", "0")
    data = whole.read_bytes()
    path.write_bytes(data[len(data) // 188 // 20 * 188 :])


def edited(path: Path) -> None:
    whole = beside(path, "whole.mp4")
    film(whole, *X264, "-g", "30")
    ffmpeg("-ss", "0.7", "-i", whole, "-c", "copy", path)


def variable(path: Path) -> None:
    plain = beside(path, "plain.mkv")
    film(plain, *X264, "-bf", "2")
    ffmpeg(
        "-i", plain, "-c", "copy", "-bsf:v", "setts=pts=PTS*(1+PTS/4000):dts=DTS*(1+DTS/4000)", path
    )


def changing(*sizes: tuple[int, int]) -> Callable[[Path], None]:
    """Return a writer of VP8 whose size changes, as recorders of video calls write it."""

    def write(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libvpx", rate=RATE)
            stream.width, stream.height = sizes[0]
            stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 1000)
            edges = [COUNT * n // len(sizes) for n in range(len(sizes) + 1)]
            for size, (begin, end) in zip(sizes, pairwise(edges), strict=True):
                encoder = av.CodecContext.create("libvpx", "w")
                encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
                encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE)
                encoder.options = {"deadline": "realtime", "b": "2M", "lag-in-frames": "0"}
                packets = []
                for number in range(begin, end):
                    frame = av.VideoFrame.from_ndarray(cv2.resize(scene(number), size), "rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, RATE)
                    packets += encoder.encode(frame)
                for packet in [*packets, *encoder.encode(None)]:
                    packet.stream, packet.time_base = stream, Fraction(1, RATE)
                    container.mux(packet)

    return write


def transparent(path: Path) -> None:
    film(path, "-c:v", "libvpx-vp9", "-cpu-used", "8", "-b:v", "2M", "-pix_fmt", "yuva420p")


def av1(path: Path) -> None:
    film(path, "-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "25", "-b:v", "0")


def odd_sides(path: Path) -> None:
    pictures = [scene(n, (641, 359)) for n in range(COUNT)]
    film(path, "-c:v", "libx264", "-crf", "16", "-pix_fmt", "yuv444p", pictures=pictures)


VARIABLE_US = [round((n / RATE * 1000) * (1 + n / RATE * 1000 / 4000)) * 1000 for n in range(COUNT)]
MILLISECONDS = [round(n * 1000 / RATE) * 1000 for n in range(COUNT)]

ODD = {
    "plain": Odd("a.mp4", encoded()),
    "rotated 90": Odd("a.mp4", oriented(lambda p: np.rot90(p), "-display_rotation:v", "-90")),
    "rotated 180": Odd("a.mp4", oriented(lambda p: np.rot90(p, 2), "-display_rotation:v", "180")),
    "rotated 270": Odd("a.mov", oriented(lambda p: np.rot90(p, 3), "-display_rotation:v", "90")),
    "mirrored": Odd("a.mp4", oriented(lambda p: p[:, ::-1], "-display_hflip:v")),
    "flipped": Odd("a.mp4", oriented(lambda p: p[::-1], "-display_vflip:v")),
    "mirrored and rotated": Odd(
        "a.mp4", oriented(lambda p: np.rot90(p[:, ::-1], -1), "-display_rotation:v", "90", "-display_hflip:v"),
    ),
    "rotated by 3 degrees": Odd(
        "a.mp4", oriented(lambda p: p, "-display_rotation:v", "-3"), notes=["rotation by 3 degrees"]
    ),
    "orientation in SEI": Odd("a.mp4", with_sei),
    "rotation by the manifest": Odd("a.mp4", oriented(lambda p: np.rot90(p, 2)), rotation=180),
    "rotation by both": Odd(
        "a.mp4", oriented(lambda p: np.rot90(p, 2), "-display_rotation:v", "-90"), rotation=90
    ),
    "wide pixels": Odd("a.mp4", anamorphic),
    "wide pixels, rotated": Odd("a.mp4", anamorphic_sideways),
    "HLG": Odd("a.mov", hdr("arib-std-b67")),
    "PQ": Odd("a.mp4", hdr("smpte2084")),
    "PQ declared by the container alone": Odd("a.mp4", tagged_outside),
    "HLG in ProRes": Odd("a.mov", prores_hlg),
    "BT.2020, not HDR": Odd("a.mp4", hdr("bt2020-10")),
    "BT.709": Odd("a.mp4", matrixed("bt709")),
    "BT.709, full range": Odd("a.mp4", matrixed("bt709", "pc")),
    "BT.601, full range": Odd("a.mp4", matrixed("smpte170m", "pc")),
    "cover art first": Odd("a.mp4", with_cover),
    "unmarked cover art": Odd("a.mkv", with_unmarked_cover, slack_us=1000),
    "unmarked cover art in MP4": Odd("a.mp4", with_unmarked_cover),
    "second track is the default": Odd("a.mkv", two_tracks(1, (640, 360)), notes=["2 video tracks"], slack_us=1000),
    "largest of two tracks": Odd("a.mkv", two_tracks(None, (160, 90)), notes=["2 video tracks"], slack_us=1000),
    "late video": Odd("a.mp4", sound(-0.8)),
    "late video in Matroska": Odd("a.mkv", sound(-1.4), slack_us=1000),
    "late video in a transport stream": Odd("a.ts", sound(-0.8)),
    "late sound": Odd("a.mp4", sound(1.0)),
    "long sound in Matroska": Odd("a.mkv", sound(0, 5.0), slack_us=1000),
    "transport stream": Odd("a.ts", sound(0)),
    "program stream": Odd("a.mpg", sound(0, 2.0, "-c:v", "mpeg2video", "-q:v", "2")),
    "joined transport streams": Odd("a.ts", joined(*X264), notes=["damaged at 1.4 s"], slack_us=1000),
    "joined program streams": Odd("a.mpg", joined("-c:v", "mpeg2video", "-q:v", "2"), slack_us=1000),
    "size changes": Odd("a.webm", changing((320, 180), (160, 90), (480, 270)), slack_us=1000),
    "open GOP": Odd("a.mp4", encoded(*X264, "-x264-params", "open-gop=1:keyint=20:bframes=3:b-adapt=0")),
    "begins between keyframes": Odd("a.ts", cut_between_keyframes, shown=range(20, COUNT)),
    "variable rate": Odd("a.mkv", variable, times_us=VARIABLE_US, slack_us=1000),
    "edit list": Odd("a.mp4", edited, shown=range(21, COUNT)),
    "fragmented": Odd("a.mp4", encoded(*X264, "-g", "15", "-movflags", "frag_keyframe+empty_moov")),
    "fragmented, first part in moov": Odd("a.mp4", encoded(*X264, "-g", "15", "-movflags", "frag_keyframe")),
    "negative offsets": Odd(
        "a.mp4",
        encoded(*X264, "-bf", "3", "-use_editlist", "0", "-movflags", "negative_cts_offsets"),
    ),
    "interlaced": Odd("a.mpg", encoded("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme")),
    "B-frames in AVI": Odd("a.avi", encoded("-c:v", "mpeg4", "-q:v", "3", "-bf", "2")),
    "Motion JPEG": Odd("a.avi", encoded("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p")),
    "ProRes": Odd("a.mov", encoded("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le")),
    "ProRes 4444": Odd("a.mov", encoded("-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le")),
    "4:2:2 in 10 bits": Odd("a.mp4", encoded("-c:v", "libx264", "-pix_fmt", "yuv422p10le")),
    "RGB": Odd("a.mp4", encoded("-c:v", "libx264rgb", "-crf", "16")),
    "VP9 with transparency": Odd("a.webm", transparent, slack_us=1000),
    "AV1": Odd("a.mp4", av1),
    "FLV": Odd("a.flv", encoded("-c:v", "flv", "-q:v", "3"), slack_us=1000),
    "WMV": Odd("a.wmv", encoded("-c:v", "wmv2", "-q:v", "3"), slack_us=1000),
    "Theora": Odd("a.ogv", encoded("-c:v", "libtheora", "-q:v", "8")),
    "odd sides": Odd("a.mkv", odd_sides, size=(641, 359), slack_us=1000),
}  # fmt: skip
