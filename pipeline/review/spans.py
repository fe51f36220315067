"""The spans of judged clips: kept as soon as people judge them, so that no setting cuts them differently."""

from collections.abc import Iterable, Set

from pipeline.engine.stage import PULL
from pipeline.engine.workspace import Workspace
from pipeline.motion.rows import Clip, JudgedClip, clip_id
from pipeline.review.rows import Verdict
from pipeline.review.verdicts import Pulled
from pipeline.sources.rows import Video


def judged_clips(verdicts: Iterable[Verdict]) -> set[str]:
    """Return the ids of the clips that people judged, including verdicts that can't be used yet."""
    return {one.clip_id for one in verdicts if one.worked}


def keep_spans(workspace: Workspace, judged: Set[str]) -> None:
    """Store the spans of judged clips. Call this before storing the judgements."""
    keys = workspace.store.keys(PULL)
    for clip in workspace.store.rows(Clip):
        unit = _unit(clip.clip_id)
        if clip.clip_id in judged and unit not in keys:
            span = JudgedClip.model_validate(clip.model_dump())
            workspace.store.finish(PULL, unit, clip.clip_id, "done", [span])


def restore_spans(workspace: Workspace, found: Iterable[Pulled]) -> str | None:
    """Store the spans of clips that were judged as sent, but have been cut differently since.

    Return advice on how to cut them again, or None if there are no such clips.
    """
    clips = {clip.clip_id for clip in workspace.store.rows(Clip)}
    lost = {
        one.verdict.clip_id: one.span_us
        for one in found
        if one.verdict.clip_id not in clips and one.verdict.worked
    }
    if not lost:
        return None
    kept = workspace.store.rows(JudgedClip)
    videos = [video.video_id for video in workspace.store.rows(Video)]
    for key, (start, end) in sorted(lost.items()):
        video = next((one for one in videos if clip_id(one, start, end) == key), None)
        if video is None or any(
            one.video_id == video and one.start_us < end and start < one.end_us for one in kept
        ):
            continue  # the video is gone, or people have also judged a clip that overlaps this span
        span = JudgedClip(clip_id=key, video_id=video, start_us=start, end_us=end)
        workspace.store.finish(PULL, _unit(key), key, "done", [span])
        workspace.store.outdate("frames", video)
        kept.append(span)
    restored = len(lost.keys() & {one.clip_id for one in kept})
    gone = len(lost) - restored
    advice = []
    if restored:
        advice.append(
            f"{restored} clips were judged as sent, but [frames] has cut them differently since: "
            "run egost frames and egost generate-qa to cut them as they were judged"
        )
    if gone:
        advice.append(
            f"{gone} judged clips can't be cut again, because their video is gone or people judged "
            "overlapping clips; their verdicts are kept, but don't count"
        )
    return "; ".join(advice)


def _unit(key: str) -> str:
    return f"span of {key}"
