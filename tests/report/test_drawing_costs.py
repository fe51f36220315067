"""What drawing clips reads: the rows of their videos, however many others the workspace holds."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories import SECOND, video

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row
from pipeline.engine.store import Store, opened
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.report import glance

CLIPS = 3  # of each video


def rows_of(name: str) -> Iterator[Row]:
    """Yield what the frames stage writes for one video."""
    for number in range(CLIPS):
        start_us = number * 10 * SECOND
        clip = Clip(
            clip_id=f"c_{name}_{number}",
            video_id=f"v_{name}",
            start_us=start_us,
            end_us=start_us + 10 * SECOND,
        )
        yield clip
        times = [start_us, start_us + 9 * SECOND]
        yield Heading(clip_id=clip.clip_id, t_us=times, yaw_degrees=[0.0, 90.0])
        yield Turn(
            clip_id=clip.clip_id, start_us=start_us + SECOND, end_us=start_us + 3 * SECOND,
            kind="left", yaw_degrees=90.0 + number, moving=True, confidence=0.9,
        )  # fmt: skip
        yield Frame(
            clip_id=clip.clip_id, t_us=start_us, pts=0, width=64, height=48, media="none.jpg",
            sharpness=1.0, reason="start", suspect=False,
        )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A workspace of 30 videos."""
    names = [f"{number:02}" for number in range(30)]
    with opened(WorkspaceFolder(tmp_path)) as store:
        store.finish("split", "all", "", "done", [video(name) for name in names])
        for name in names:
            store.finish("frames", f"v_{name}", "", "done", rows_of(name))
        yield store


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the calls of Store's reads, and the rows that they return, by table."""
    counts: Counter[str] = Counter()

    def counted(read: Callable[..., list[Row]]) -> Callable[..., list[Row]]:
        def counting(*given: object) -> list[Row]:
            found = read(*given)
            counts["calls"] += 1
            counts.update(row.table for row in found)
            return found

        return counting

    monkeypatch.setattr(Store, "rows", counted(Store.rows))
    monkeypatch.setattr(Store, "rows_of", counted(Store.rows_of))
    return counts


def test_after_a_run_only_the_drawn_clips_videos_are_read(store: Store, read: Counter[str]) -> None:
    before = {f"v_{number:02}": "" for number in range(30) if number not in (4, 17)}
    lines = list(glance.measured(store, store.folder, before))
    pictures = [line.removeprefix("  picture: ") for line in lines if "picture:" in line]
    assert [Path(one).stem for one in pictures] == [
        f"c_{name}_{number}" for name in ("04", "17") for number in range(CLIPS)
    ]
    assert lines[2] == "04.mp4 0:10.0 to 0:20.0: left 91° at 0:01.0"
    assert {table: read[table] for table in ("frames", "headings", "turns")} == {
        "frames": 2 * CLIPS,
        "headings": 2 * CLIPS,
        "turns": 2 * CLIPS,
    }


def test_a_picture_of_every_clip_reads_every_row_once(store: Store, read: Counter[str]) -> None:
    clips = store.rows(Clip)
    read.clear()
    drawn = list(glance.drawn(store, store.folder, clips))
    assert len(drawn) == len(clips) == 30 * CLIPS
    assert read["frames"] == read["headings"] == read["turns"] == len(clips)
    assert read["videos"] == 30
    assert read["calls"] == 1 + 3 * 30
    for path in (Path(picture) for _, picture in drawn):
        assert f"({path.stem})" in path.read_text(encoding="utf-8")


def test_showing_a_video_reads_no_table_once_per_clip(store: Store, read: Counter[str]) -> None:
    lines = list(glance.show(store, store.folder, "07.mp4"))
    assert sum(line.startswith("picture: ") for line in lines) == CLIPS
    assert read["frames"] == (30 + 1) * CLIPS
