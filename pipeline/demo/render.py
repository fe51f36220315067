"""Render textured planar polygons with a pinhole camera: exact homographies and a depth buffer.

World coordinates: metres, x and y on the ground, z up. Camera coordinates: x right, y down, z ahead.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.demo.walk import Floats

Picture = npt.NDArray[np.uint8]
_NEAR_M = 0.06
_FAR_M = 45.0
_SHIFT = 4  # sub-pixel bits of polygon corners


@dataclass
class Texture:
    """An image with downscaled copies, made on first use and indexed by (x halvings, y halvings)."""

    base: Picture  # (h, w, 3), or (h, w, 4) with transparency
    copies: dict[tuple[int, int], Picture] = field(default_factory=dict)

    def level(self, nx: int, ny: int) -> tuple[Picture, float, float]:
        """Return the copy and its exact scale along x and y."""
        height, width = self.base.shape[:2]
        nx, ny = min(nx, max(width.bit_length() - 2, 0)), min(ny, max(height.bit_length() - 2, 0))
        size = max(width >> nx, 1), max(height >> ny, 1)
        if (nx, ny) not in self.copies:
            small = (
                cv2.resize(self.base, size, interpolation=cv2.INTER_AREA) if nx or ny else self.base
            )
            self.copies[nx, ny] = np.ascontiguousarray(small, dtype=np.uint8)
        return self.copies[nx, ny], size[0] / width, size[1] / height


@dataclass(frozen=True, eq=False)
class Surface:
    """A textured convex polygon: `origin` is the texture's upper left corner, `u` and `v` its metres
    along the texture's x and y, `polygon` (n, 2) its outline in texture shares 0..1.

    It is visible from the side that `u x v` points away from, or from both sides if `double`.
    """

    texture: Texture
    origin: Floats
    u: Floats
    v: Floats
    polygon: Floats = field(default_factory=lambda: np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
    double: bool = False
    glow: bool = False  # emits light: distance does not dim it

    @property
    def corners(self) -> Floats:
        """The outline in world coordinates (n, 3)."""
        return np.asarray(self.origin + self.polygon[:, :1] * self.u + self.polygon[:, 1:] * self.v)

    @property
    def normal(self) -> Floats:
        """The unit vector towards the visible side."""
        n = -np.cross(self.u, self.v)
        return np.asarray(n / np.linalg.norm(n))


@dataclass(frozen=True)
class CameraView:
    """A camera: its position (3,), its rotation (3, 3) with rows right, down and ahead, its focal length."""

    place: Floats
    rotation: Floats
    focal: float
    size: tuple[int, int]

    @property
    def lens(self) -> Floats:
        """The camera matrix (3, 3); pixel centres have integer coordinates."""
        w, h = self.size
        return np.array([[self.focal, 0, (w - 1) / 2], [0, self.focal, (h - 1) / 2], [0, 0, 1.0]])


def aim(yaw: float, pitch: float, roll: float) -> Floats:
    """Return the rotation (rows right, down, ahead) of a camera; degrees, pitch up, roll clockwise."""
    y, p, r = np.radians([yaw, pitch, roll])
    ahead = np.array([np.cos(p) * np.cos(y), np.cos(p) * np.sin(y), np.sin(p)])
    right = np.array([np.sin(y), -np.cos(y), 0.0])
    down = np.cross(ahead, right)
    return np.stack(
        [np.cos(r) * right + np.sin(r) * down, np.cos(r) * down - np.sin(r) * right, ahead]
    )


class Scene:
    """Fixed surfaces, indexed so that rendering a frame only considers visible ones."""

    def __init__(self, surfaces: list[Surface], corridors: list[int]) -> None:
        self.surfaces = surfaces
        self._corridors = np.array(corridors)
        corners = [s.corners for s in surfaces]
        self._middles = np.array([c.mean(axis=0) for c in corners])
        self._radii = np.array(
            [
                np.linalg.norm(c - m, axis=1).max()
                for c, m in zip(corners, self._middles, strict=True)
            ]
        )
        self._normals = np.array([s.normal for s in surfaces])
        self._double = np.array([s.double for s in surfaces])

    def seen(self, view: CameraView, low: int, high: int) -> list[Surface]:
        """Return the surfaces in view that face the camera in corridors `low` to `high`, nearest first."""
        offset = self._middles - view.place
        facing = (np.einsum("ij,ij->i", offset, self._normals) < 0) | self._double
        x, y, z = (offset @ view.rotation.T).T
        w, h = view.size
        across, tall = w / 2 / view.focal, h / 2 / view.focal
        reach = self._radii
        inside = (
            (z > _NEAR_M - reach)
            & (z < _FAR_M)
            & (np.abs(x) - across * z < reach * np.hypot(1, across))
            & (np.abs(y) - tall * z < reach * np.hypot(1, tall))
        )
        found = np.flatnonzero(
            facing & inside & (self._corridors >= low) & (self._corridors <= high)
        )
        order = found[np.argsort(np.einsum("ij,ij->i", offset[found], offset[found]))]
        return [self.surfaces[i] for i in order]


class Canvas:
    """A frame being rendered: colours and, per pixel, the inverse depth."""

    def __init__(self, size: tuple[int, int]) -> None:
        w, h = size
        self.colour: Picture = np.zeros((h, w, 3), np.uint8)
        self.nearness = np.zeros((h, w), np.float32)
        self.glow: Picture = np.zeros((h, w), np.uint8)
        self._glows = False
        self._xs = np.arange(w, dtype=np.float32)[None, :]
        self._ys = np.arange(h, dtype=np.float32)[:, None]

    def draw(self, surfaces: Iterable[Surface], view: CameraView) -> None:
        """Draw surfaces; nearest first is fastest, and transparent ones come last."""
        late = []
        for seen in _projected(list(surfaces), view):
            if seen.surface.texture.base.shape[2] == 4:
                late.append(seen)
            else:
                self._draw_one(seen)
        for seen in reversed(late):
            self._draw_one(seen)

    def _draw_one(self, seen: "_Seen") -> None:
        left, top, right, bottom = seen.box
        box = np.s_[top:bottom, left:right]
        a, b, c = seen.plane
        near = (b * self._ys[top:bottom] + c) + a * self._xs[:, left:right]
        shape: Picture = np.zeros(near.shape, np.uint8)
        points = np.array([(_fixed(x - left), _fixed(y - top)) for x, y in seen.outline], np.int32)
        cv2.fillConvexPoly(shape, points, 255, cv2.LINE_8, _SHIFT)
        behind = self.nearness[box]
        mask = cv2.bitwise_and(shape, cv2.compare(near, behind, cv2.CMP_GT))
        x, y, w, h = cv2.boundingRect(mask)
        if not w:
            return
        # Most partly hidden surfaces are visible only in a corner.
        part = np.s_[y : y + h, x : x + w]
        mask, near, behind = mask[part], near[part], behind[part]
        left, top, right, bottom = left + x, top + y, left + x + w, top + y + h
        box = np.s_[top:bottom, left:right]
        texture = _warp(seen, (left, top, right, bottom))
        target = self.colour[box]
        if texture.shape[2] == 4:
            alpha = cv2.bitwise_and(np.ascontiguousarray(texture[:, :, 3]), mask)
            share = alpha[:, :, None].astype(np.uint16)
            target[:] = (texture[:, :, :3] * share + target * (255 - share) + 127) // 255
            mask = np.where(alpha > 127, np.uint8(255), np.uint8(0))
        else:
            cv2.copyTo(texture, mask, target)
        cv2.copyTo(near, mask, behind)
        glow = seen.surface.glow
        self._glows |= glow
        if self._glows:
            cv2.copyTo(np.full_like(mask, 255 if glow else 0), mask, self.glow[box])


@dataclass(frozen=True, eq=False)
class _Seen:
    """A projected surface: its outline in pixels, in a box (left, top, right, bottom).

    The inverse depth is a x + b y + c with `plane` (a, b, c); `back` (3, 3) maps pixels to texture
    coordinates.
    """

    surface: Surface
    outline: list[list[float]]
    box: tuple[int, int, int, int]
    plane: tuple[np.float32, np.float32, np.float32]
    back: Floats


def _projected(surfaces: list[Surface], view: CameraView) -> Iterator[_Seen]:
    """Yield the projections of the surfaces that are in the frame, computed in one batch."""
    if not surfaces:
        return
    lens = view.lens
    # Per surface, in camera coordinates: rows u, v, origin.
    frames = np.array([(s.u, s.v, s.origin - view.place) for s in surfaces]) @ view.rotation.T
    # n . p = n . origin on the plane and p = z * ray, so 1 / z is linear in the pixel
    normals = np.cross(frames[:, 0], frames[:, 1])
    reaches = np.einsum("ij,ij->i", normals, frames[:, 2])
    sidelong = np.abs(reaches) < 1e-7
    frames[sidelong] = np.eye(3)
    reaches[sidelong] = 1.0
    planes = (normals @ np.linalg.inv(lens) / reaches[:, None]).astype(np.float32)
    backs = np.linalg.inv(lens @ frames.transpose(0, 2, 1))
    width, height = view.size
    counts = [len(surface.polygon) for surface in surfaces]
    u, v, origins = np.repeat(frames, counts, axis=0).transpose(1, 0, 2)
    shares = np.concatenate([surface.polygon for surface in surfaces])
    corners = shares[:, :1] * u + shares[:, 1:] * v + origins
    in_front, points = (corners[:, 2] > _NEAR_M).tolist(), _points(corners, lens)
    stop = 0
    for number, count in enumerate(counts):
        start, stop = stop, stop + count
        outline = points[start:stop]
        if not all(in_front[start:stop]):
            outline = _points(clip_near(corners[start:stop]), lens)
        if sidelong[number] or len(outline) < 3:
            continue
        xs, ys = zip(*outline, strict=True)
        left, top = max(math.floor(min(xs)) - 1, 0), max(math.floor(min(ys)) - 1, 0)
        right, bottom = min(math.ceil(max(xs)) + 2, width), min(math.ceil(max(ys)) + 2, height)
        if right > left and bottom > top:
            box, plane = (left, top, right, bottom), tuple(planes[number])
            yield _Seen(surfaces[number], outline, box, plane, backs[number])


def _points(corners: Floats, lens: Floats) -> list[list[float]]:
    """Return the pixel coordinates of corners (n, 3) given in camera coordinates."""
    flat = corners.reshape(-1, 3) @ lens.T
    points: list[list[float]] = (flat[:, :2] / np.maximum(flat[:, 2:], _NEAR_M)).tolist()
    return points


def _fixed(pixels: float) -> int:
    """Return a length in OpenCV's fixed-point fractions of a pixel, clamped to its range."""
    return round(min(max(pixels * (1 << _SHIFT), -1e7), 1e7))


def _warp(seen: _Seen, box: tuple[int, int, int, int]) -> Picture:
    """Return the texture warped into a box of the frame, from the copy with the best scale at its centre."""
    left, top, right, bottom = box
    texture = seen.surface.texture
    height, width = texture.base.shape[:2]
    low, high = seen.box[:2], seen.box[2:]
    inside = [[min(max(p[k], low[k]), high[k]) for p in seen.outline] for k in (0, 1)]
    x, y = (sum(values) / len(values) for values in inside)
    (a, b, c), (d, e, f), (g, h, i) = seen.back.tolist()
    ahead = g * x + h * y + i
    across, down = (a * x + b * y + c) / ahead, (d * x + e * y + f) / ahead
    # Texels per pixel, along the texture's x and y.
    steps = (
        math.hypot(a - across * g, b - across * h) / abs(ahead) * width,
        math.hypot(d - down * g, e - down * h) / abs(ahead) * height,
    )
    nx, ny = (min(max(math.floor(math.log2(max(step, 1e-9)) + 0.35), 0), 9) for step in steps)
    picture, sx, sy = texture.level(nx, ny)
    # frame pixel -> texture coordinate -> texel; texel centres are integers, hence the half-texel shift
    texels = np.array([[width * sx, 0, -0.5], [0, height * sy, -0.5], [0, 0, 1.0]])
    shift = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return np.asarray(
        cv2.warpPerspective(
            picture,
            texels @ seen.back @ shift,
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.uint8,
    )


def clip_near(corners: Floats) -> Floats:
    """Return the part of a polygon in front of the camera; corners (n, 3) in camera coordinates."""
    depth = corners[:, 2] - _NEAR_M
    if (depth > 0).all():
        return corners
    kept = []
    for i in range(len(corners)):
        k = (i + 1) % len(corners)
        if depth[i] > 0:
            kept.append(corners[i])
        if (depth[i] > 0) != (depth[k] > 0):
            kept.append(corners[i] + (corners[k] - corners[i]) * (depth[i] / (depth[i] - depth[k])))
    return np.array(kept)
