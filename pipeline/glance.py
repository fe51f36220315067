"""Looking at a workspace: the funnel at a glance, and all that is known of one video, clip or item."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import UserError
from pipeline.records import TABLES, Clip, Frame, Heading, Item, Rejection, Turn, Verdict, Video
from pipeline.store import Place, Store


def status(store: Store) -> Iterator[str]:
    """Yield the funnel from videos to items, one line each."""
    videos, clips, items = store.rows(Video), store.rows(Clip), store.rows(Item)
    minutes = sum(video.duration_us for video in videos) / 60e6
    yield f"videos: {len(videos)}, {minutes:.1f} minutes{_shown(video.split for video in videos)}"
    yield f"clips: {len(clips)}; turns: {len(store.rows(Turn))}"
    yield f"verdicts: {len(store.rows(Verdict))}"
    yield f"items: {len(items)}{_shown(item.status for item in items)}"
    yield f"tasks:{_shown(item.task for item in items) or ' none'}"
    yield f"rejections: {len(store.rows(Rejection))}"


def _shown(values: Iterable[str]) -> str:
    counts = Counter(values)
    return (
        f" ({', '.join(f'{count} {name}' for name, count in sorted(counts.items()))})"
        if counts
        else ""
    )


def show(store: Store, place: Place, unit: str) -> Iterator[str]:
    """Yield every row that names this id, and the pictures of its clips; raise UserError if none does."""
    found = False
    for name, kind in TABLES.items():
        for row in store.rows(kind):
            if unit in row.identity() or unit == getattr(row, "unit", None):
                found = True
                yield f"{name}: {row.model_dump_json(indent=1)}"
    if not found:
        raise UserError(unit, "no video, clip or item has this id", "ids are in tables/*.parquet")
    for clip in store.rows(Clip):
        if unit in (clip.clip_id, clip.video_id):
            yield f"picture: {picture(store, place, clip.clip_id)}"


def picture(store: Store, place: Place, clip_id: str) -> Path:
    """Draw one clip's keyframes along its heading, turns shaded; return the PNG's path."""
    from pipeline.report.pictures import Sheet, draw_sheet

    (clip,) = (clip for clip in store.rows(Clip) if clip.clip_id == clip_id)
    (video,) = (video for video in store.rows(Video) if video.video_id == clip.video_id)
    sheet = Sheet(
        title=f"{video.path}  {clip.start_us / 1e6:.1f} s to {clip.end_us / 1e6:.1f} s  ({clip_id})",
        clip=clip,
        frames=[frame for frame in store.rows(Frame) if frame.clip_id == clip_id],
        heading=next((row for row in store.rows(Heading) if row.clip_id == clip_id), None),
        turns=[turn for turn in store.rows(Turn) if turn.clip_id == clip_id],
    )
    return draw_sheet(sheet, place, place.root / "pictures" / f"{clip_id}.png")
