"""Rendered first-person walks with exact ground truth: plan a walk, render its frames, write a video.

walk = plan_walk(7)
for picture in pictures(walk): ...            # (h, w, 3) uint8, BGR
write_walk(walk, folder)                      # .mp4, narration sidecar, truth/<stem>.json
write_walks(folder, count=6, seed=1)          # several of them and their manifest.csv
"""

import csv
import dataclasses
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.demo.plan import mirrored, plan_walk
from pipeline.demo.render import CameraView, Canvas, Picture, Scene, aim
from pipeline.demo.walk import TrueNarration, TrueTurn, Walk
from pipeline.demo.world import build_world

__all__ = [
    "MANIFEST_COLUMNS",
    "TrueNarration",
    "TrueTurn",
    "Walk",
    "mirrored",
    "pictures",
    "plan_walk",
    "write_walk",
    "write_walks",
]

MANIFEST_COLUMNS = (
    *("path", "scene", "wearer", "source", "licence", "hfov_degrees", "lens", "split", "consent"),
)


def pictures(walk: Walk) -> Iterator[Picture]:
    """Render a walk's frames in order, each (h, w, 3) uint8 BGR; the same walk gives the same bytes."""
    world = build_world(walk)
    scene = Scene(world.fixed, world.corridors)
    finishing = _Finish(walk)
    w, _ = walk.size
    focal = w / 2 / np.tan(np.radians(walk.hfov_degrees / 2))
    camera = walk.camera
    for i, t_us in enumerate(walk.t_us):
        place = np.array([camera.x[i], camera.y[i], camera.z[i]])
        rotation = aim(float(camera.yaw[i]), float(camera.pitch[i]), float(camera.roll[i]))
        view = CameraView(place, rotation, float(focal), walk.size)
        canvas = Canvas(walk.size)
        low, high = walk.near[i]
        canvas.draw([*world.now(t_us, low, high), *scene.seen(view, low, high)], view)
        picture = finishing(canvas, i)
        yield cv2.flip(picture, 1).astype(np.uint8) if walk.mirror else picture


class _Finish:
    """The camera model: dimming by distance, exposure, colour, vignette, motion blur and noise."""

    def __init__(self, walk: Walk) -> None:
        w, h = walk.size
        look = walk.look
        ys, xs = np.mgrid[0:h, 0:w]
        radius = np.hypot(xs - w / 2, ys - h / 2) / np.hypot(w / 2, h / 2)
        self._vignette = (255 * (1 - 0.28 * radius**2)).astype(np.uint8)
        distance = 1 / np.maximum(np.arange(256) / 255 * 1.6, 1e-3)
        self._dim = (255 * (0.42 + 0.58 * np.exp(-distance / 13))).clip(0, 255).astype(np.uint8)
        warm = np.array([1 - 0.1 * look.warmth, 1.0, 1 + 0.1 * look.warmth]) * look.brightness
        ramp = np.arange(256)[:, None] * warm[None, :]
        knee = 255 * (1 - np.exp(-ramp / 255 * 1.9)) / (1 - np.exp(-1.9))  # bright parts roll off
        self._tone = (0.55 * ramp + 0.45 * knee).clip(0, 255).astype(np.uint8)[:, None, :]
        rng = np.random.default_rng([walk.seed, 4])
        self._noise = rng.normal(0, look.noise, (h + 64, w + 64, 3)).round().astype(np.int16)
        self._shifts = rng.integers(0, 64, (len(walk.t_us), 2)).tolist()
        rate = np.gradient(walk.camera.yaw) * float(walk.fps)
        focal = w / 2 / np.tan(np.radians(walk.hfov_degrees / 2))
        self._smear = np.radians(np.abs(rate)) * look.exposure_s * focal

    def __call__(self, canvas: Canvas, index: int) -> Picture:
        near = cv2.convertScaleAbs(canvas.nearness, alpha=255 / 1.6)
        dim = cv2.max(cv2.LUT(near, self._dim), canvas.glow)
        dim = cv2.multiply(dim, self._vignette, scale=1 / 255)
        picture = cv2.multiply(canvas.colour, cv2.merge([dim, dim, dim]), scale=1 / 255)
        picture = cv2.LUT(picture, self._tone)
        smear = round(float(self._smear[index]))
        if smear > 1:
            picture = cv2.blur(picture, (smear, 1))
        dx, dy = self._shifts[index]
        h, w = picture.shape[:2]
        noise = self._noise[dy : dy + h, dx : dx + w]
        return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), dtype=np.uint8)


def write_walk(walk: Walk, folder: Path) -> Path:
    """Write `<name>.mp4` (H.264), its narration sidecar and `truth/<name>.json`; return the video."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth").mkdir(exist_ok=True)
    path = folder / f"{walk.name}.mp4"
    part = folder / f"{walk.name}.part.mp4"
    _encode(walk, part)
    lines = [
        json.dumps({k: v for k, v in _narration(line).items() if v is not None}, ensure_ascii=False)
        for line in walk.narrations
    ]
    (folder / f"{walk.name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / "truth" / f"{walk.name}.json").write_text(json.dumps(truth(walk), indent=1) + "\n")
    part.replace(path)
    return path


def _narration(line: TrueNarration) -> dict[str, float | str | None]:
    return {
        "time": line.t_us / 1e6,
        "text": line.text,
        "landmark": line.landmark,
        "action": line.action,
        "undo": line.undo,
    }


def truth(walk: Walk) -> dict[str, object]:
    """Return a walk's ground truth, ready for JSON."""
    return {
        "seed": walk.seed,
        "name": walk.name,
        "mirror": walk.mirror,
        "fps": str(walk.fps),
        "size": list(walk.size),
        "hfov_degrees": walk.hfov_degrees,
        "duration_us": walk.duration_us,
        "t_us": walk.t_us,
        "yaw_degrees": [round(v, 4) for v in walk.yaw_degrees],
        "turns": [dataclasses.asdict(turn) for turn in walk.turns],
        "glances": [dataclasses.asdict(turn) for turn in walk.glances],
        "steps": [step.model_dump() for step in walk.steps],
        "narrations": [dataclasses.asdict(line) for line in walk.narrations],
    }


def _encode(walk: Walk, path: Path) -> None:
    """Encode on one thread with fixed options, so that the same frames give the same bytes."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=walk.fps)
        stream.width, stream.height = walk.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = 48
        # mbtree=0: with mbtree, libx264's output varied with earlier contents of memory
        params = "threads=1:mbtree=0"
        stream.options = {"preset": "veryfast", "crf": "24", "x264-params": params}
        for index, picture in enumerate(pictures(walk)):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = index
            frame.time_base = 1 / Fraction(walk.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_walks(
    folder: Path,
    count: int,
    seed: int,
    progress: Callable[[Path], None] | None = None,
    *,
    fps: Fraction | int | None = 15,
    train: int = 0,
) -> list[Path]:
    """Write `count` walks and their `manifest.csv`; walks in pairs share a scene and a wearer.

    With `train`, the manifest puts that many walks into the split `train` and the others into `test`. At 15 frames per second, four walks take under 40 s on one core; `None` draws a rate per walk.
    """
    walks = [plan_walk(1000 * seed + index, fps=fps) for index in range(count)]
    paths = []
    # Walks are independent, and rendering them takes most of the demo's time.
    with multiprocessing.get_context("spawn").Pool(min(count, os.cpu_count() or 1)) as pool:
        for path in pool.imap(partial(write_walk, folder=folder), walks):
            paths.append(path)
            if progress is not None:
                progress(path)
    splits = ["train"] * train + ["test"] * (count - train) if train else [""] * count
    rows = [
        _manifest_row(walk, index) | {"split": split}
        for index, (walk, split) in enumerate(zip(walks, splits, strict=True))
    ]
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return paths


def _manifest_row(walk: Walk, index: int) -> dict[str, str]:
    return {
        "path": f"{walk.name}.mp4",
        "scene": f"building {index // 2 + 1}",
        "wearer": f"walker {index // 2 + 1}",
        "source": "rendered walk",
        "licence": "CC0-1.0",
        "hfov_degrees": f"{walk.hfov_degrees}",
        "lens": "rectilinear",
        "split": "",
        "consent": "release",
    }
