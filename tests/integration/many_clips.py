"""Draft many clips of a workspace against a server: `python many_clips.py FOLDER URL COUNT`, killable."""

import sys
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.run import run_stage
from pipeline.engine.settings import RunSettings
from pipeline.engine.stage import Summary
from pipeline.engine.store import Store, opened
from pipeline.flow import STAGES
from pipeline.motion.rows import Clip
from pipeline.routes.settings import DraftSettings
from tests.clip_rows import clip, frames, narration, turn, video

STAGE = next(stage for stage in STAGES if stage.name == "draft")


def fill(store: Store, count: int, videos: int = 1) -> None:
    """Put videos with many clips, no two of which ask the same; each video is a group of its own."""
    shown = frames(store.folder)
    rows: list[Any] = [
        video(seconds=20 * count).model_copy(
            update={"video_id": f"v{number + 1}", "split_group": f"g{number}"}
        )
        for number in range(videos)
    ]
    for number in range(count):
        span = clip(f"c{number:04d}", 20 * number, 20 * number + 20)
        of = {"video_id": f"v{number % videos + 1}"}
        moved = {"clip_id": span.clip_id}
        told = narration(20 * number + 1, f"walk {number}")
        rows += [span.model_copy(update=of), told.model_copy(update=of)]
        rows += [f.model_copy(update={**moved, "t_us": f.t_us + span.start_us}) for f in shown]
        begin = turn(20 * number + 5, 20 * number + 7)
        rows.append(begin.model_copy(update=moved))
    store.finish("frames", "v1", "1", "done", rows)


def draft_all(store: Store, url: str, **changes: Any) -> Summary:
    given: dict[str, Any] = {"timeout_seconds": 1.0, "attempts": 8, **changes}
    settings = DraftSettings(provider="openai", model="m", base_url=url, **given)
    return run_stage(STAGE, store, settings, RunSettings(max_failed=1.0), ["frames"])


def main(folder: str, url: str, count: str) -> None:
    workspace = WorkspaceFolder(Path(folder))
    with opened(workspace) as store:
        if not store.rows(Clip):
            fill(store, int(count))
        draft_all(store, url)


if __name__ == "__main__":
    main(*sys.argv[1:])
