"""frames: decode a video once; yield clips, measured heading, turns and stays, and keyframes with reasons."""

import statistics
import tempfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.errors import RowError
from pipeline.motion.candidates import Sharpest, Spill, SpilledFrame, sharpness, small_grey
from pipeline.motion.cuts import Span, equal_spans, steady_spans
from pipeline.motion.keyframes import ChosenFrame, TurnEvent, choose
from pipeline.motion.rows import Clip, Frame, Heading, JudgedClip, Stay, Turn, clip_id
from pipeline.motion.settings import FramesSettings
from pipeline.motion.stays import rests
from pipeline.motion.tracking import Lens, RotationStep, Tracker
from pipeline.motion.turns import (
    HeadingTrack,
    Swing,
    confidence,
    course,
    during,
    swings,
    travelling,
)
from pipeline.sources.manifest import WIDEST_FLAT
from pipeline.sources.rows import Video
from pipeline.video import reader

_MISSING_US = 1_000_000  # a longer end without frames is reported


def run(rows: Rows, settings: FramesSettings, folder: WorkspaceFolder) -> Iterable[Row]:
    """Yield the clips of one video with their headings, turns, stays and keyframes.

    Spans that people have judged remain clips; the settings determine the rest of the video.
    Raises RowError if the file is gone (tried again next time) or no frame can be decoded.
    """
    row = rows.one(Video)
    path = Path(row.root) / row.path
    if not path.is_file():
        raise RowError(
            f"the file is gone: {row.path}",
            "restore it, or run egost frames on its new location",
            again=True,
        )
    judged = sorted((one.start_us, one.end_us) for one in rows.before(JudgedClip))
    cv2.setNumThreads(1)  # the pool already has a process per core
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


def _longest_us(settings: FramesSettings) -> int:
    return round(settings.max_clip_seconds * 1_000_000)


def lens_of(row: Video, settings: FramesSettings) -> Lens:
    """Return the video's lens from its manifest or container, or else from the settings."""
    degrees = row.hfov_degrees or settings.default_hfov_degrees
    return Lens(degrees, row.lens or ("fisheye" if degrees > WIDEST_FLAT else settings.lens))


def _with_motion(
    row: Video, path: Path, judged: Sequence[Span],
    settings: FramesSettings, folder: WorkspaceFolder, spill: Spill,
) -> Iterator[Row]:  # fmt: skip
    tracker = Tracker(lens_of(row, settings))
    candidates = Sharpest(spill)
    times: list[int] = []
    damaged: list[int] = []
    skipped: reader.DecodedFrame | None = None
    for frame in reader.frames(path, lambda: tracker.apart_us, rotation=row.manifest_rotation):
        times.append(frame.t_us)
        damaged += [frame.t_us] if frame.suspect else []
        if tracker.wants(frame.t_us):
            candidates.add(frame, _track(frame, tracker, skipped))
            skipped = None
        else:
            skipped = frame
    if skipped:  # the last frame is always used
        candidates.add(skipped, _track(skipped, tracker, None))
    kept = candidates.all()
    if len(times) < 2:
        raise RowError("only one of its frames can be decoded", "copy or download it again")
    whole = course(times[0], tracker.steps)
    end_us = _end_us(row, times)
    yield from _faults(row, end_us, damaged)
    found = swings(whole)
    for start, stop in steady_spans(whole, found, judged, end_us, _longest_us(settings)):
        yield from _clip(row, start, stop, whole, tracker.steps, kept, settings, folder, spill)


def _faults(row: Video, end_us: int, damaged: Sequence[int]) -> Iterator[Rejection]:
    """Yield rejections for an end without frames, and for damaged stretches."""
    if row.duration_us - end_us > _MISSING_US:
        yield Rejection(
            stage="frames",
            unit=row.path,
            what=f"the last {(row.duration_us - end_us) / 1e6:.1f} s contain no frame that can be decoded; the rest is kept",
            fix="copy or download it again if you need the end",
        )
        damaged = [t_us for t_us in damaged if t_us < end_us - _MISSING_US]  # reported above
    if damaged:
        begins = [
            0,
            *(n for n in range(1, len(damaged)) if damaged[n] - damaged[n - 1] > 1_000_000),
        ]
        first = [damaged[number] / 1e6 for number in begins]
        shown = ", ".join(f"{second:.1f} s" for second in first[:4])
        more = f" and {len(first) - 4} more places" if len(first) > 4 else ""
        yield Rejection(
            stage="frames",
            unit=row.path,
            what=f"damaged at {shown}{more}; frames from there to the next intact keyframe are marked as suspect",
            fix="copy or download it again if you need it complete",
        )


def _track(
    frame: reader.DecodedFrame, tracker: Tracker, skipped: reader.DecodedFrame | None
) -> float:
    """Add a frame, and the last skipped one, to the tracker; return the frame's sharpness."""
    grey = small_grey(frame)
    tracker.add(
        frame.t_us, grey, (lambda: (skipped.t_us, small_grey(skipped))) if skipped else None
    )
    return sharpness(grey)


def _end_us(row: Video, times: Sequence[int]) -> int:
    """Return the end of the last frame, which is the declared end unless frames are missing."""
    apart = round(statistics.median(later - earlier for earlier, later in pairwise(times)))
    missing = row.duration_us - times[-1]
    return row.duration_us if 0 < missing <= 2 * apart else times[-1] + apart


def _clip(
    row: Video, start_us: int, end_us: int, whole: HeadingTrack, steps: Sequence[RotationStep],
    kept: Sequence[SpilledFrame], settings: FramesSettings, folder: WorkspaceFolder, spill: Spill,
) -> Iterator[Row]:  # fmt: skip
    inside = _seen(kept, start_us, end_us)
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
    lens_known = row.hfov_degrees is not None
    events: list[TurnEvent] = []
    for number, (swing, moving) in enumerate(zip(found, travelling(found, steps), strict=True), 1):
        yield Turn(
            clip_id=clip.clip_id,
            start_us=swing.start_us,
            end_us=swing.end_us,
            kind=swing.kind,
            yaw_degrees=round(swing.yaw_degrees, 1),
            moving=moving,
            confidence=confidence(swing, steps, lens_known=lens_known),
        )
        events.append(_event(number, swing, moving))
    yield from _stays(clip, during(start_us, end_us, steps), lens_known=lens_known)
    choices = choose([one.candidate for one in inside], events, settings.budget)
    yield from _frames(clip, inside, choices, folder, spill)


def _seen(kept: Sequence[SpilledFrame], start_us: int, end_us: int) -> Sequence[SpilledFrame]:
    """Return the candidates of one clip; `kept` is in time order."""
    first, stop = (bisect_left(kept, t_us, key=_time_of) for t_us in (start_us, end_us))
    return kept[first:stop]


def _time_of(one: SpilledFrame) -> int:
    return one.candidate.t_us


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
        what=f"no frame between {start_us / 1e6:g} s and {end_us / 1e6:g} s; the rest is kept",
        fix="copy or download it again if there should be one",
    )


def _stays(clip: Clip, steps: Sequence[RotationStep], *, lens_known: bool) -> Iterator[Stay]:
    """Yield the stays of a clip; one that touches its first or last step reaches to its edge."""
    for rest in rests(steps, lens_known=lens_known):
        first, last = rest.start_us == steps[0].start_us, rest.end_us == steps[-1].end_us
        yield Stay(
            clip_id=clip.clip_id,
            start_us=clip.start_us if first else rest.start_us,
            end_us=clip.end_us if last else rest.end_us,
            confidence=rest.confidence,
        )


def _event(number: int, swing: Swing, moving: bool) -> TurnEvent:
    """Return the event that keyframes should show; turns come before glances."""
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


def _without_motion(
    row: Video, path: Path, judged: Sequence[Span],
    settings: FramesSettings, folder: WorkspaceFolder, spill: Spill,
) -> Iterator[Row]:  # fmt: skip
    """Yield clips of equal length with evenly spread keyframes, without heading and turns."""
    spans = equal_spans(judged, row.duration_us, _longest_us(settings))
    count = settings.budget
    times = [
        start_us + (end_us - start_us) * (2 * number + 1) // (2 * count)
        for start_us, end_us in spans
        for number in range(count)
    ]
    # All at once: seeking reads all packets of the file once.
    found = reader.frames_at(path, times, rotation=row.manifest_rotation)
    kept = sorted((spill.add(frame, sharpness(small_grey(frame))) for frame in found), key=_time_of)
    last_us = kept[-1].candidate.t_us if kept else 0
    # The last displayed frame may begin up to two frame intervals before the last requested time.
    apart_us = 1_000_000 * row.fps_den // row.fps_num if row.fps_num else 0
    whole = not kept or times[-1] - last_us <= 2 * apart_us + _MISSING_US
    damaged = [one.candidate.t_us for one in kept if one.candidate.suspect]
    yield from _faults(row, row.duration_us if whole else last_us + apart_us, damaged)
    for start_us, end_us in spans:
        inside = _seen(kept, start_us, end_us)
        if not inside:
            yield _unseen(row, start_us, end_us)
            continue
        clip = _clip_of(row, start_us, end_us)
        yield clip
        choices = [ChosenFrame(index, "evenly spread") for index in range(len(inside))]
        yield from _frames(clip, inside, choices, folder, spill)
