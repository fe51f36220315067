"""How many items an hour of footage gives: question-answer pairs, and multiple-choice items among them.

python benchmarks/yields.py [--minutes 20] [--bench 60] [--rate 8] [--set compose.mirror=coin] [--videos DIR]

It renders brisk walks and a bench, puts them into workspaces of their own and composes with motion alone, with
narrated landmarks and actions, and with narrated actions that nothing undoes. `--videos` adds a folder of your own.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl

from pipeline.demo.walks import plan_walk, write_walk

WALK_SECONDS = 60
_VERBS = (
    "pick up",
    "put down",
    "turn over",
    "wipe",
    "open",
    "close",
    "press",
    "push",
    "pull",
    "tap",
    "fold",
    "shake",
)
_THINGS = (
    "screwdriver", "pliers", "cable", "red clip", "blue clip", "lens", "cover", "board", "battery", "brush",
    "tape", "glue", "ruler", "lamp", "magnifier", "tray", "small box", "large box", "label", "cloth",
)  # fmt: skip


@dataclass(frozen=True)
class Yield:
    """What one kind of footage gave."""

    name: str
    hours: float
    items: int
    choices: int
    by_cell: Counter[str]

    def __str__(self) -> str:
        cells = ", ".join(
            f"{round(n / self.hours)} {cell}" for cell, n in self.by_cell.most_common()
        )
        return (
            f"{self.name:28} {self.items / self.hours:5.0f} items, {self.choices / self.hours:5.0f} multiple-choice "
            f"per hour; 20 h: {20 * self.items / self.hours:,.0f}  ({cells})"
        )


def walks(folder: Path, minutes: float) -> None:
    """Render walks of a minute, with a turn about every ten seconds, and their narrations."""
    rows = ["path,scene,consent,hfov_degrees"]
    for number in range(max(1, round(minutes * 60 / WALK_SECONDS))):
        walk = plan_walk(
            7000 + number, turns=6, seconds=WALK_SECONDS, actions=3, fps=15, hfov_degrees=90
        )
        path = write_walk(walk, folder)
        rows.append(f"{path.name},building {number // 4},release,90")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def without_narrations(folder: Path, target: Path) -> None:
    """Copy the videos of a folder and their manifest."""
    target.mkdir()
    for path in (*folder.glob("*.mp4"), folder / "manifest.csv"):
        (target / path.name).hardlink_to(path)


def bench(folder: Path, minutes: float, rate: float) -> None:
    """Render a bench seen by somebody who hardly moves, with narrated actions that nothing undoes."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    rows = ["path,scene,consent"]
    for number in range(max(1, round(minutes / 5))):
        seconds = min(300.0, minutes * 60)
        path = folder / f"bench_{number}.mp4"
        _film(path, seconds, number)
        lines, at = [], 3.0
        while at < seconds - 3:
            action = f"{draw.choice(_VERBS)} the {draw.choice(_THINGS)}"
            lines.append(
                json.dumps({"time": round(at, 1), "text": f"I {action}", "action": action})
            )
            at += draw.uniform(0.6, 1.4) * 60 / rate
        path.with_suffix(".jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        rows.append(f"{path.name},bench {number},release")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _film(path: Path, seconds: float, seed: int, fps: int = 5) -> None:
    """Write a textured table top that sways a little; an object on it moves."""
    draw = np.random.default_rng(seed)
    table = cv2.resize(draw.integers(40, 215, (60, 80, 3), dtype=np.uint8), (480, 360))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(round(seconds * fps)):
            t = number / fps
            x, y = round(70 + 6 * np.sin(t / 3)), round(50 + 5 * np.sin(t / 4 + 1))
            picture = table[y : y + 240, x : x + 320].copy()
            cv2.circle(picture, (round(160 + 60 * np.sin(t)), 150), 18, (60, 60, 220), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def composed(name: str, videos: Path, root: Path, settings: Sequence[str]) -> Yield:
    """Run frames and generate-qa on a folder of videos; count the items."""
    changed = [word for setting in settings for word in ("--set", setting)]
    for command in (["frames", str(videos)], ["generate-qa"]):
        subprocess.run(
            [sys.executable, "-m", "pipeline", "-w", str(root), *changed, *command],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    seconds = pl.read_parquet(root / "tables" / "videos.parquet")["duration_us"].sum() / 1e6
    items = pl.read_parquet(root / "tables" / "items.parquet")
    vacuous = items.filter(
        (pl.col("format") == "open") & (pl.col("answer_text").str.count_matches(",") < 1)
    )
    if vacuous.height:
        print(f"  {name}: {vacuous.height} descriptions of a single step", file=sys.stderr)
    cells = Counter(
        f"{category} {contrast or ''}".strip()
        for category, contrast in items.select("category", "contrast").iter_rows()
    )
    choices = items.filter(pl.col("format") == "mcq").height
    return Yield(name, seconds / 3600, items.height, choices, cells)


def main(arguments: Iterable[str] | None = None) -> None:
    """Render, compose, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=20, help="length of the walks (default: 20)"
    )
    parser.add_argument(
        "--bench", type=float, default=60, help="minutes of the bench (default: 60)"
    )
    parser.add_argument(
        "--rate", type=float, default=8, help="actions a minute at the bench (default: 8)"
    )
    parser.add_argument(
        "--videos", type=Path, action="append", default=[], help="also a folder of your own videos"
    )
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], help="a setting, as for egost"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        there = Path(scratch)
        walks(there / "narrated", given.minutes)
        without_narrations(there / "narrated", there / "motion")
        bench(there / "bench", given.bench, given.rate)
        kinds = {
            "walk, motion alone": there / "motion",
            "walk, narrated": there / "narrated",
            "bench, narrated actions": there / "bench",
            **{f"your {folder.name}": folder for folder in given.videos},
        }
        for number, (name, videos) in enumerate(kinds.items()):
            print(composed(name, videos, there / f"workspace{number}", given.settings), flush=True)


if __name__ == "__main__":
    main()
