"""A release whose train split has real videos, each of which shows when and which way round it is seen."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brightening import brightening
from small_release import fill, release, small_space, varied

from pipeline.engine.config import commented
from pipeline.flow import SECTIONS, open_workspace
from pipeline.releases.layout import file_digest
from pipeline.releases.reading import Released, open_release
from pipeline.routes.rows import Step
from pipeline.sources.rows import Video

FPS, BY, START = 10, 6, 24
"""Frames a second of the videos; how much brighter their left half gets each second, and how bright it is at first."""


@dataclass(frozen=True)
class Filmed:
    """The folder of a release, and that of its videos."""

    folder: Path
    videos: Path

    @property
    def released(self) -> Released:
        return open_release(self.folder)


def filmed(
    root: Path,
    clips: int = 6,
    walk: Callable[[int], list[Step]] = varied,
    settings: dict[str, Any] | None = None,
    exported: dict[str, Any] | None = None,
    fps: int = FPS,
    split: str | None = "train",
    **fields: Any,
) -> Filmed:
    """Make a release of so many videos; `fields` are those of all videos, `exported` settings of the export.

    Without a split, every fourth video is in train, and the others are in test.
    """
    with small_space(root / "w", 0):
        pass
    (root / "w" / "egost.toml").write_text(commented(SECTIONS, settings or {}), encoding="utf-8")
    (root / "videos").mkdir()
    with open_workspace(root / "w") as space:
        fill(space, clips, walk=walk, **(({"split": split} if split else {}) | fields))
        found = []
        for number, video in enumerate(space.store.rows(Video)):
            seconds = walk(number)[-1].end_us // 1_000_000
            path = root / "videos" / f"{number}.mp4"
            brightening(path, seconds, fps, BY, START + number)
            found.append(video.model_copy(update={"sha256": file_digest(path)}))
        space.store.finish("split", "all", "made up", "done", found)
        return Filmed(release(space, **(exported or {})).folder, root / "videos")
