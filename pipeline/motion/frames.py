"""One decode per video: measured heading and turns, clips, and exact keyframes with their reasons."""

import statistics
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.errors import RowError
from pipeline.motion.candidates import Sharpest, Spill, SpilledFrame, sharpness, small_grey
from pipeline.motion.keyframes import ChosenFrame, TurnEvent, choose
from pipeline.motion.rows import Clip, Frame, Heading, JudgedClip, Turn, clip_id
from pipeline.motion.settings import FramesSettings
from pipeline.motion.tracking import Lens, RotationStep, Tracker
from pipeline.motion.turns import HeadingTrack, Swing, confidence, course, swings, travelling
from pipeline.sources.manifest import WIDEST_FLAT
from pipeline.sources.rows import Video
from pipeline.video import reader

_MISSING_US = 1_000_000  # an end without pictures longer than this is told
_SHORTEST_US = 1_000_000  # what is left beside judged clips and shorter than this is no clip

_Span = tuple[int, int]


def run(rows: Rows, settings: FramesSettings, folder: WorkspaceFolder) -> Iterable[Row]:
    """Yield the clips of one video with their headings, turns and keyframes.

    Spans that people have judged stay clips; the settings decide about the rest of the video.
    Raises RowError when the file is gone (tried again next time) or shows no picture.
    """
    row = rows.one(Video)
    path = Path(row.root) / row.path
    if not path.is_file():
        raise RowError(
            f"the file is gone: {row.path}",
            "bring it back, or run egost frames on its new place",
            again=True,
        )
    judged = sorted((one.start_us, one.end_us) for one in rows.before(JudgedClip))
    cv2.setNumThreads(1)  # one thread per process: the pool already fills the machine
    folder.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder.root) as spill:
        if settings.motion:
            yield from _with_motion(
                row, path, judged, settings, folder, Spill(spill, settings.width, settings.quality)
            )
        else:
            yield from _without_motion(
                row, path, judged, settings, folder, Spill(spill, settings.width, settings.quality)
            )


def lens_of(row: Video, settings: FramesSettings) -> Lens:
    """Return the video's lens: what its manifest or container tells, else what the settings say."""
    degrees = row.hfov_degrees or settings.default_hfov_degrees
    return Lens(degrees, row.lens or ("fisheye" if degrees > WIDEST_FLAT else settings.lens))


def _with_motion(
    row: Video, path: Path, judged: Sequence[_Span],
    settings: FramesSettings, folder: WorkspaceFolder, spill: Spill,
) -> Iterator[Row]:  # fmt: skip
    tracker = Tracker(lens_of(row, settings))
    candidates = Sharpest(spill)
    times: list[int] = []
    damaged: list[int] = []
    passed: reader.DecodedFrame | None = None
    for picture in reader.pictures(path, lambda: tracker.apart_us):
        times.append(picture.t_us)
        damaged += [picture.t_us] if picture.suspect else []
        if tracker.wants(picture.t_us):
            candidates.see(picture, _followed(picture, tracker, passed))
            passed = None
        else:
            passed = picture
    if passed:  # the last picture always counts
        candidates.see(passed, _followed(passed, tracker, None))
    kept = candidates.all()
    if len(times) < 2:
        raise RowError(
            "one picture only can be decoded, so no time passes in it", "copy or download it again"
        )
    whole = course(times[0], tracker.steps)
    end_us = _end_us(row, times)
    yield from _faults(row, end_us, damaged)
    found = swings(whole)
    spans = list(judged)
    for begin, end in _beside(judged, end_us):
        spans += _spans(whole, found, begin, end, settings)
    for start, stop in sorted(spans):
        yield from _clip(row, start, stop, whole, tracker.steps, kept, settings, folder, spill)


def _faults(row: Video, end_us: int, damaged: Sequence[int]) -> Iterator[Rejection]:
    """Yield what to say of an end without pictures, and of stretches that damage has touched."""
    if row.duration_us - end_us > _MISSING_US:
        yield Rejection(
            stage="frames",
            unit=row.path,
            what=f"the last {(row.duration_us - end_us) / 1e6:.1f} s hold no picture that decodes; the rest is kept",
            fix="copy or download it again if you want its end",
        )
        damaged = [t_us for t_us in damaged if t_us < end_us - _MISSING_US]  # that break is told
    if damaged:
        breaks = [
            0,
            *(n for n in range(1, len(damaged)) if damaged[n] - damaged[n - 1] > 1_000_000),
        ]
        first = [damaged[number] / 1e6 for number in breaks]
        shown = ", ".join(f"{second:.1f} s" for second in first[:4])
        more = f" and {len(first) - 4} more places" if len(first) > 4 else ""
        yield Rejection(
            stage="frames",
            unit=row.path,
            what=f"damaged from {shown}{more} on; pictures up to the next sound one are marked suspect",
            fix="copy or download it again if you want it whole",
        )


def _followed(
    picture: reader.DecodedFrame, tracker: Tracker, passed: reader.DecodedFrame | None
) -> float:
    """Give the tracker a picture, and the one last passed over, and return its sharpness."""
    grey = small_grey(picture)
    tracker.add(picture.t_us, grey, (lambda: (passed.t_us, small_grey(passed))) if passed else None)
    return sharpness(grey)


def _end_us(row: Video, times: Sequence[int]) -> int:
    """Return where the last picture ends, which is the declared end unless pictures are missing."""
    apart = round(statistics.median(later - earlier for earlier, later in pairwise(times)))
    missing = row.duration_us - times[-1]
    return row.duration_us if 0 < missing <= 2 * apart else times[-1] + apart


def _clip(
    row: Video, start_us: int, end_us: int, whole: HeadingTrack, steps: Sequence[RotationStep],
    kept: Sequence[SpilledFrame], settings: FramesSettings, folder: WorkspaceFolder, spill: Spill,
) -> Iterator[Row]:  # fmt: skip
    inside = [one for one in kept if start_us <= one.candidate.t_us < end_us]
    if not inside:
        yield _unseen(row, start_us, end_us)
        return
    clip = _clip_of(row, start_us, end_us)
    yield clip
    part = whole.between(start_us, end_us)
    yield Heading(
        clip_id=clip.clip_id,
        t_us=part.t_us.tolist(),
        yaw_degrees=[round(yaw, 3) for yaw in part.yaw_degrees.tolist()],
    )
    found = swings(part)
    events: list[TurnEvent] = []
    for number, (swing, moving) in enumerate(zip(found, travelling(found, steps), strict=True), 1):
        yield Turn(
            clip_id=clip.clip_id,
            start_us=swing.start_us,
            end_us=swing.end_us,
            kind=swing.kind,
            yaw_degrees=round(swing.yaw_degrees, 1),
            moving=moving,
            confidence=confidence(swing, steps, lens_known=row.hfov_degrees is not None),
        )
        events.append(_event(number, swing, moving))
    choices = choose([one.candidate for one in inside], events, settings.budget)
    yield from _frames(clip, inside, choices, folder, spill)


def _clip_of(row: Video, start_us: int, end_us: int) -> Clip:
    return Clip(
        clip_id=clip_id(row.video_id, start_us, end_us),
        video_id=row.video_id,
        start_us=start_us,
        end_us=end_us,
    )


def _unseen(row: Video, start_us: int, end_us: int) -> Rejection:
    return Rejection(
        stage="frames",
        unit=row.path,
        what=f"no picture between {start_us / 1e6:g} s and {end_us / 1e6:g} s; the rest is kept",
        fix="copy or download it again if there should be one",
    )


def _event(number: int, swing: Swing, moving: bool) -> TurnEvent:
    """Return what keyframes should show of a turn; real turns come before looks aside."""
    what = f"turn {number}" if moving else f"look {number}"
    degrees = abs(swing.yaw_degrees)
    name = f"{what} ({swing.kind}, {degrees:.0f} degrees)"
    return TurnEvent(swing.start_us, swing.end_us, name, degrees + (1000 if moving else 0))


def _frames(
    clip: Clip,
    kept: Sequence[SpilledFrame],
    choices: Sequence[ChosenFrame],
    folder: WorkspaceFolder,
    spill: Spill,
) -> Iterator[Frame]:
    for choice in choices:
        one = kept[choice.index]
        yield Frame(
            clip_id=clip.clip_id,
            t_us=one.candidate.t_us,
            pts=one.pts,
            width=one.width,
            height=one.height,
            media=folder.keep(spill.read(one), ".jpg"),
            sharpness=round(one.candidate.sharpness, 2),
            reason=choice.reason,
            suspect=one.candidate.suspect,
        )


def _beside(judged: Sequence[_Span], end_us: int) -> Iterator[_Span]:
    """Yield what lies between, before and after judged spans; all of 0..end where there are none."""
    reached = 0
    for start, stop in (*judged, (end_us, end_us)):
        if start - reached >= _SHORTEST_US or not judged:
            yield reached, start
        reached = max(reached, stop)


def _spans(
    whole: HeadingTrack, found: Sequence[Swing], start: int, end_us: int, settings: FramesSettings
) -> list[_Span]:
    """Cut start..end into spans of at most the longest clip, where the heading is calmest."""
    longest = round(settings.max_clip_seconds * 1_000_000)
    spans: list[_Span] = []
    while end_us - start > longest:
        left = end_us - start
        pieces = -(-left // longest)
        # Between half a clip and a whole one, and so that the rest still fits into the other pieces.
        earliest = max(start + longest // 2, end_us - (pieces - 1) * longest)
        cut = _calmest(whole, found, earliest, min(start + longest, end_us - longest // 10))
        spans.append((start, cut))
        start = cut
    return [*spans, (start, end_us)]


def _calmest(whole: HeadingTrack, found: Sequence[Swing], earliest: int, latest: int) -> int:
    """Return the picture time in the span whose heading changes least over two seconds around it."""
    inside = [int(t) for t in whole.t_us if earliest <= t <= latest]
    outside = [t for t in inside if not any(swing.start_us <= t <= swing.end_us for swing in found)]
    around = 1_000_000

    def unrest(t_us: int) -> float:
        span = whole.yaw_degrees[(whole.t_us >= t_us - around) & (whole.t_us <= t_us + around)]
        return float(span.max() - span.min())

    return min(outside or inside, key=lambda t_us: (round(unrest(t_us), 1), -t_us), default=latest)


def _without_motion(
    row: Video, path: Path, judged: Sequence[_Span],
    settings: FramesSettings, folder: WorkspaceFolder, spill: Spill,
) -> Iterator[Row]:  # fmt: skip
    """Yield clips of equal length with keyframes spread evenly; nothing is said about turns."""
    longest = round(settings.max_clip_seconds * 1_000_000)
    spans = list(judged)
    for begin, end in _beside(judged, row.duration_us):
        pieces = max(1, -(-(end - begin) // longest))
        edges = [begin + (end - begin) * number // pieces for number in range(pieces + 1)]
        spans += pairwise(edges)
    spans.sort()
    count = settings.budget
    wishes = [
        start_us + (end_us - start_us) * (2 * number + 1) // (2 * count)
        for start_us, end_us in spans
        for number in range(count)
    ]
    # All at once: to find the way to one picture takes reading all packets of the file.
    kept = [
        spill.add(picture, sharpness(small_grey(picture)))
        for picture in reader.pictures_at(path, wishes)
    ]
    last_us = kept[-1].candidate.t_us if kept else 0
    # The last picture on show has yet to end: no later than two pictures' time after the wish.
    apart_us = 1_000_000 * row.fps_den // row.fps_num if row.fps_num else 0
    whole = not kept or wishes[-1] - last_us <= 2 * apart_us + _MISSING_US
    damaged = [one.candidate.t_us for one in kept if one.candidate.suspect]
    yield from _faults(row, row.duration_us if whole else last_us + apart_us, damaged)
    for start_us, end_us in spans:
        inside = [one for one in kept if start_us <= one.candidate.t_us < end_us]
        if not inside:
            yield _unseen(row, start_us, end_us)
            continue
        clip = _clip_of(row, start_us, end_us)
        yield clip
        choices = [ChosenFrame(index, "evenly spread") for index in range(len(inside))]
        yield from _frames(clip, inside, choices, folder, spill)
