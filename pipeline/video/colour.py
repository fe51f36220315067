"""Colours as an ordinary screen shows them: HDR and wide-gamut frames become sRGB by a 3-D lookup table.

FFmpeg's `lut3d` applies the table. The FFmpeg in PyAV has no `zscale`, its `tonemap` expects linear
light, and its scaler, which can convert colours, takes 6 s to build its own table (FFmpeg 8, 2026-11).
"""

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import av
import av.filter
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import RowError

_GRID = 33  # points on each axis of the table
_WHITE = 203.0  # nits of diffuse white in HDR (BT.2408); it becomes SDR white, but for the knee
_KNEE = 0.7  # linear, of SDR white: darker colours are exact, brighter ones are compressed
_CURVES = {ColorTrc.SMPTE2084: "pq", ColorTrc.ARIB_STD_B67: "hlg"}
_TO_SRGB = {  # of linear light (BT.2087, SMPTE EG 432-1)
    ColorPrimaries.BT2020: [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    ColorPrimaries.SMPTE432: [  # Display P3
        [1.2249, -0.2249, 0.0],
        [-0.0420, 1.0420, 0.0],
        [-0.0196, -0.0786, 1.0983],
    ],
}
_LUMINANCE = [0.2627, 0.6780, 0.0593]  # of BT.2020's primaries
_DEEP = "gbrp12le"  # 8 bits of PQ would show bands
_TICK = Fraction(1, 1000)  # the filter needs one
# Matrices by their number in H.273, most of which PyAV's Colorspace lacks; FFmpeg's scaler refuses others.
_RGB, _UNSPECIFIED, _RESERVED, _BT2020_CONSTANT = 0, 2, 3, 10
_MATRICES = {_RGB, _UNSPECIFIED, *Colorspace, 6, _RESERVED, _BT2020_CONSTANT}
_DOLBY_TAGS = {"dvh1", "dvhe", "dva1", "dvav", "dav1"}
_EXPORT = "export it again as SDR, HLG or HDR10 from the camera or the app that made it"

_Light = NDArray[Any]


def refuse_dolby(frame: av.VideoFrame, codec_tag: str) -> None:
    """Raise RowError for Dolby Vision's own colours: a stream of them declares no others."""
    dolby = codec_tag in _DOLBY_TAGS or "DOVI_METADATA" in frame.side_data
    if dolby and frame.color_trc == ColorTrc.UNSPECIFIED:
        raise RowError("Dolby Vision without a standard picture in it (profile 5)", _EXPORT)


def refuse_unknown(frame: av.VideoFrame) -> None:
    """Raise RowError for colours that can't be converted, such as ICtCp and YCgCo."""
    if frame.colorspace not in _MATRICES:
        what = f"colours in a form that can't be converted (matrix {frame.colorspace})"
        raise RowError(what, _EXPORT)


@dataclass(frozen=True)
class Declared:
    """The colours that a container declares, by their numbers in H.273."""

    primaries: int = _UNSPECIFIED
    curve: int = _UNSPECIFIED
    matrix: int = _UNSPECIFIED

    @classmethod
    def of(cls, stream: VideoStream) -> "Declared":
        """Return the colours of a stream that hasn't been decoded: a decoder replaces them with its own."""
        context = stream.codec_context
        return cls(context.color_primaries, context.color_trc, context.colorspace)

    def complete(self, frame: av.VideoFrame) -> None:
        """Give a frame that declares no colours of its own the container's."""
        own = (frame.color_primaries, frame.color_trc, frame.colorspace)
        if all(number == _UNSPECIFIED for number in own):
            frame.color_primaries, frame.color_trc = self.primaries, self.curve
            frame.colorspace = self.matrix


def scaled(frame: av.VideoFrame, width: int, height: int, layout: str) -> av.VideoFrame:
    """Return a frame averaged down to a size in another pixel format, in its own colours."""
    matrix = frame.colorspace
    if matrix == _BT2020_CONSTANT or (matrix == _UNSPECIFIED and Colours.of(frame)):
        matrix = Colorspace.BT2020
    elif matrix in (_UNSPECIFIED, _RESERVED):
        matrix = Colorspace.ITU601
    return _scaler(layout).reformat(
        frame,
        width,
        height,
        format=layout,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        interpolation="AREA",
    )


@cache
def _scaler(layout: str) -> VideoReformatter:
    """Return the scaler for a pixel format: it rebuilds its tables when formats change, which takes as long as scaling."""
    return VideoReformatter()


@dataclass(frozen=True)
class Colours:
    """The transfer curve (`sdr`, `pq` or `hlg`) and the primaries of frames that are not sRGB."""

    curve: str
    primaries: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Colours | None":
        """Return the colours of a frame, or None if an ordinary screen shows them unchanged."""
        curve = _CURVES.get(frame.color_trc)  # type: ignore[call-overload]
        primaries = frame.color_primaries
        if curve and primaries == ColorPrimaries.UNSPECIFIED:
            primaries = ColorPrimaries.BT2020
        return cls(curve or "sdr", primaries) if curve or primaries in _TO_SRGB else None

    def to_bgr(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """Return a frame scaled to this size in sRGB: (height, width, 3) in OpenCV's channel order."""
        small = scaled(frame, width, height, _DEEP)
        small.time_base = _TICK
        graph = _graph(self, width, height)
        graph.vpush(small)
        return graph.vpull().to_ndarray()  # type: ignore[return-value]


@lru_cache(maxsize=8)
def _graph(colours: Colours, width: int, height: int) -> av.filter.Graph:
    """Return the filter that converts frames of this size."""
    graph = av.filter.Graph()
    graph.threads = 1
    with tempfile.NamedTemporaryFile("w", suffix=".cube") as cube:
        cube.write(f"LUT_3D_SIZE {_GRID}\n")
        np.savetxt(cube, table(colours).reshape(-1, 3), fmt="%.5f")
        cube.flush()
        graph.link_nodes(
            graph.add_buffer(
                width=width, height=height, format=VideoFormat(_DEEP), time_base=_TICK
            ),
            graph.add("lut3d", file=cube.name),
            graph.add("format", pix_fmts="bgr24"),
            graph.add("buffersink"),
        ).configure()
    return graph


def table(colours: Colours) -> NDArray[np.float64]:
    """Return sRGB values (blue, green, red, 3) for evenly spaced values of encoded red, green and blue."""
    steps = np.linspace(0, 1, _GRID)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return converted(np.stack([red, green, blue], axis=-1), colours)


def converted(encoded: _Light, colours: Colours) -> _Light:
    """Return sRGB (..., 3) for encoded red, green and blue from 0 to 1."""
    decode = {"pq": _from_pq, "hlg": _from_hlg, "sdr": _from_srgb}[colours.curve]
    light = decode(encoded)
    if colours.primaries in _TO_SRGB:
        light = light @ np.array(_TO_SRGB[ColorPrimaries(colours.primaries)]).T
    light = light.clip(0)
    return _to_srgb(light if colours.curve == "sdr" else _compressed(light))


def _compressed(light: _Light) -> _Light:
    """Compress what is brighter than the knee, by the brightest channel, so that hues stay."""
    brightest = light.max(axis=-1, keepdims=True).clip(1e-9)
    above = (brightest - _KNEE).clip(0) / (1 - _KNEE)
    compressed = brightest.clip(max=_KNEE) + (1 - _KNEE) * above / (1 + above)
    scaling: _Light = compressed / brightest
    return light * scaling


def _from_pq(encoded: _Light) -> _Light:
    """Return light relative to diffuse white (SMPTE ST 2084)."""
    power = encoded ** (32 / 2523)
    nits = 10_000 * ((power - 107 / 128).clip(0) / (2413 / 128 - 2392 / 128 * power)) ** (
        8192 / 1305
    )
    return nits / _WHITE


def _from_hlg(encoded: _Light) -> _Light:
    """Return light relative to diffuse white, on BT.2100's nominal display of 1000 nits and gamma 1.2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(encoded <= 0.5, encoded**2 / 3, (np.exp((encoded - c) / a) + b) / 12)
    luminance = (scene @ np.array(_LUMINANCE))[..., None]
    light: _Light = scene * luminance**0.2 * 1000 / _WHITE
    return light


def _from_srgb(encoded: _Light) -> _Light:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _to_srgb(light: _Light) -> _Light:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
