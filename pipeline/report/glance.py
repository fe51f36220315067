"""The text output of `egost status`, `frames` and `show`: the funnel, measured turns, and rows by id."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row
from pipeline.engine.store import Store
from pipeline.engine.tables import TABLES
from pipeline.engine.workspace import Workspace
from pipeline.errors import NOT_WRITABLE, UserError, plain
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.motion.settings import FramesSettings
from pipeline.questions.rows import Item, Span, Stratum
from pipeline.report import clip_picture
from pipeline.report.clip_picture import ClipPicture
from pipeline.review.rows import Verdict
from pipeline.routes.rows import Route
from pipeline.sources.intake import few
from pipeline.sources.manifest import MANIFEST_NAME
from pipeline.sources.rows import Probe, Video
from pipeline.times import print_time

_DRAWN = 6  # clips listed and drawn after a run; `egost show` draws the others


def status(store: Store) -> Iterator[str]:
    """Yield the counts from videos to items, one line each."""
    videos = store.rows(Video)
    clips, verdicts, refused = (
        sum(1 for _ in store.each(kind)) for kind in (Clip, Verdict, Rejection)
    )
    turns = Counter(turn.kind if turn.moving else "glance" for turn in store.each(Turn))
    frames = Counter(frame.suspect for frame in store.each(Frame))
    items = Counter((item.status, item.task) for item in store.each(Item))
    statuses, tasks = Counter[str](), Counter[str]()
    for (state, task), count in items.items():
        statuses[state] += count
        tasks[task] += count
    minutes = sum(video.duration_us for video in videos) / 60e6
    yield f"videos: {len(videos)}, {minutes:.1f} minutes{_counts(video.split for video in videos)}"
    yield f"clips: {clips}"
    yield f"turns: {turns.total()}{_counts(turns)}"
    yield f"keyframes: {frames.total()}" + (f" ({frames[True]} suspect)" if frames[True] else "")
    yield f"verdicts: {verdicts}"
    yield f"items: {items.total()}{_counts(statuses)}"
    yield f"tasks:{_counts(tasks) or ' none'}"
    spans = Counter("mirrored" for span in store.each(Span) if span.mirrored)
    yield f"spans: {sum(1 for _ in store.each(Span))}{_counts(spans)}"
    for cell in store.each(Stratum):
        yield (
            f"{cell.category} {cell.contrast}: {cell.candidates} candidates, {cell.admissible} admissible, "
            f"{cell.asked} asked" + (f"; closed: {cell.closed}" if cell.closed else "")
        )
    yield f"rejections: {refused}" + (" (egost rejections lists the reasons)" if refused else "")


def measured(store: Store, folder: WorkspaceFolder, before: Mapping[str, str]) -> Iterator[str]:
    """Yield the turns of the clips measured since `before`, and draw the first few of these clips.

    `before` holds the keys of the frames stage before the run.
    """
    new = {unit for unit, key in store.keys("frames").items() if before.get(unit) != key}
    if not new:
        return
    videos = {video.video_id: video for video in store.rows(Video)}
    clips = [clip for clip in store.rows(Clip) if clip.video_id in new]
    clips.sort(key=lambda clip: (videos[clip.video_id].path, clip.video_id, clip.start_us))
    for line, picture in drawn(store, folder, clips[:_DRAWN]):
        yield line
        yield f"  picture: {picture}"
    if len(clips) > _DRAWN:
        rest = clips[_DRAWN]
        yield (
            f"and {len(clips) - _DRAWN} more clips; to draw one, name its id or its video's path: "
            f"egost -w {folder.root} show {rest.clip_id}"
        )


def assumed(workspace: Workspace) -> Iterator[str]:
    """Yield a line about videos whose field of view is unknown, and the value assumed for them."""
    settings = workspace.settings("frames", FramesSettings)
    videos = workspace.store.rows(Video)
    unknown = [video.path for video in videos if video.hfov_degrees is None]
    if unknown and settings.motion:
        yield (
            f"field of view: unknown for {len(unknown)} of {len(videos)} videos "
            f"({few(unknown, 2)}), assumed to be {settings.default_hfov_degrees:g} degrees; measured "
            f"angles scale with it, so set hfov_degrees in {MANIFEST_NAME} if you know it"
        )


@dataclass(frozen=True)
class _Measured:
    """What the frames stage found in one video, by clip: a clip is drawn without reading whole tables."""

    video: Video
    headings: Mapping[str, Heading]
    turns: Mapping[str, list[Turn]]
    frames: Mapping[str, list[Frame]]

    @classmethod
    def of(cls, store: Store, video: Video) -> "_Measured":
        turns: defaultdict[str, list[Turn]] = defaultdict(list)
        frames: defaultdict[str, list[Frame]] = defaultdict(list)
        for turn in store.rows_of(Turn, "frames", video.video_id):
            turns[turn.clip_id].append(turn)
        for frame in store.rows_of(Frame, "frames", video.video_id):
            frames[frame.clip_id].append(frame)
        headings = store.rows_of(Heading, "frames", video.video_id)
        return cls(video, {heading.clip_id: heading for heading in headings}, turns, frames)

    def name(self, clip: Clip) -> str:
        """Return the video's path and the span of a clip."""
        return f"{plain(self.video.path)} {print_time(clip.start_us)} to {print_time(clip.end_us)}"

    def line(self, clip: Clip) -> str:
        """Return a clip's name and its turns with their clip times, on one line."""
        if clip.clip_id not in self.headings:
            return f"{self.name(clip)}: motion not measured"
        turns = [
            f"{_kind(turn)} {abs(turn.yaw_degrees):.0f}° at {print_time(turn.start_us - clip.start_us)}"
            for turn in self.turns[clip.clip_id]
        ]
        return f"{self.name(clip)}: {', '.join(turns) or 'no turns'}"

    def draw(self, folder: WorkspaceFolder, clip: Clip, spans: Iterable[Span]) -> str:
        """Draw a clip's keyframes along its heading, turns shaded; return the SVG's path, or why there is none."""
        frames = self.frames[clip.clip_id]
        drawn = clip_picture.draw(
            ClipPicture(
                title=f"{self.name(clip)} ({clip.clip_id})",
                clip=clip,
                frames=frames,
                jpegs=[_read(folder.media_path(frame.media)) for frame in frames],
                heading=self.headings.get(clip.clip_id),
                turns=self.turns[clip.clip_id],
                spans=clip_picture.marks(spans),
            )
        )
        path = folder.root / "pictures" / f"{clip.clip_id}.svg"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(drawn, encoding="utf-8")
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise
            return f"not drawn: {path.parent} can't be written"
        return str(path)


def drawn(
    store: Store, folder: WorkspaceFolder, clips: Iterable[Clip], spans: Iterable[Span] = ()
) -> Iterator[tuple[str, str]]:
    """Draw clips; yield for each a line with its turns, and its SVG file, or why there is none.

    The rows of a video are read once for all its clips that follow each other. `spans` are marked.
    """
    parts: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        parts[span.clip_id].append(span)
    videos = {video.video_id: video for video in store.rows(Video)}
    for video_id, group in groupby(clips, key=lambda clip: clip.video_id):
        of = _Measured.of(store, videos[video_id])
        for clip in group:
            yield of.line(clip), of.draw(folder, clip, parts[clip.clip_id])


def _kind(turn: Turn) -> str:
    return turn.kind if turn.moving else f"glance {turn.kind}"


def _counts(values: Iterable[str] | Mapping[str, int]) -> str:
    counts = Counter(values)
    return (
        f" ({', '.join(f'{count} {name}' for name, count in sorted(counts.items()))})"
        if counts
        else ""
    )


def show(store: Store, folder: WorkspaceFolder, unit: str) -> Iterator[str]:
    """Yield every row with this id or video path, then what it asks, and draw its clips.

    Raises UserError if there is none.
    """
    found = False
    unit = next((video.video_id for video in store.rows(Video) if video.path == unit), unit)
    for name, kind in TABLES.items():
        if kind is Probe:  # repeats its video
            continue
        for row in store.rows(kind):
            if unit in row.identity() or unit in (getattr(row, "unit", None), _twin(row)):
                found = True
                yield f"{name}: {row.model_dump_json(indent=1)}"
    if not found:
        raise UserError(
            unit,
            "no row has this id, and no video has this path",
            "egost show PATH lists the clips of a video; all ids are in tables/*.parquet",
        )
    spans = store.rows(Span)
    clips = [clip for clip in store.rows(Clip) if unit in (clip.clip_id, clip.video_id)]
    for line, picture in drawn(store, folder, clips, spans):
        yield line
        yield f"picture: {picture}"
    yield from _asked(store, unit, spans)


def _twin(row: Row) -> str | None:
    return row.twin if isinstance(row, Item) else None


def _asked(store: Store, unit: str, spans: Iterable[Span]) -> Iterator[str]:
    """Yield what the items of a video, clip, span or pair of twins ask, or one item."""
    # Loads numpy, which a run of `egost frames` with nothing to do must not.
    from pipeline.report.asked import AskedClip, by_clip

    items = by_clip(store.rows(Item))
    of_clip = by_clip(spans)
    videos = {video.video_id: video for video in store.rows(Video)}
    routes = {route.clip_id: route for route in store.rows(Route)}  # verified ones come last
    for clip in store.rows(Clip):
        own = sorted(items[clip.clip_id], key=lambda one: (one.twin or "", one.orientation))
        named = [one for one in own if unit in (one.item_id, one.twin, one.span_id)]
        whole = unit in (clip.clip_id, clip.video_id)
        if not named and not (whole and clip.clip_id in routes):
            continue
        turns = [
            turn
            for turn in store.rows_of(Turn, "frames", clip.video_id)
            if turn.clip_id == clip.clip_id
        ]
        asked = AskedClip(
            clip,
            videos[clip.video_id],
            routes.get(clip.clip_id),
            of_clip[clip.clip_id],
            own,
            turns,
        )
        yield from asked.lines() if whole else asked.told(named)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
