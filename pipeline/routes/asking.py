"""What a model may be told about a clip, and how: keyframes with times, measured turns, narrations."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.errors import RowError
from pipeline.models.chat import Message, PromptImage
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import on_loopback
from pipeline.motion.rows import Clip, Frame, Turn
from pipeline.routes import templates
from pipeline.sources.rows import Narration, Video


def told(rows: Rows) -> tuple[Narration, ...]:
    """Return the narrations that fall into the clip; one at the very end of the video counts, too.

    Two copies of a video bring the same narrations twice; each is told once.
    """
    clip, video = rows.one(Clip), rows.one(Video)
    end_us = clip.end_us + (clip.end_us >= video.duration_us)
    said = {
        (n.t_us, n.text, n.landmark, n.action, n.undo): n
        for n in rows[Narration]
        if clip.start_us <= n.t_us < end_us
    }
    return tuple(said.values())


def may_leave(video: Video, settings: ModelSettings) -> bool:
    """Tell whether a video's pictures may go to this server."""
    return video.consent != "local" or on_loopback(settings.base_url)


def refuse_to_send(video: Video, settings: ModelSettings) -> None:
    """Raise RowError for a video that has to stay on this machine."""
    if not may_leave(video, settings):
        raise RowError(
            f"{video.path} must stay on this machine (consent = local), and {settings.base_url} is elsewhere",
            "where the people shown agree: consent = model in the video's line of manifest.csv,"
            ' or consent = "model" under [ingest] in egost.toml',
        )


def messages(
    rows: Rows, count: int, folder: WorkspaceFolder, ask: templates.Prompt, more: Mapping[str, Any]
) -> tuple[Message, ...]:
    """Return what is sent about a clip: the rules, `count` keyframes with their times, the question last."""
    clip = rows.one(Clip)
    variables = {**_variables(rows), **more}
    parts: list[str | PromptImage] = []
    for number, frame in enumerate(choose(rows[Frame], rows[Turn], count), start=1):
        moment = {"number": number, "seconds": (frame.t_us - clip.start_us) / 1e6}
        parts += [ask.render("frame", **variables, frame=moment), _picture(folder, frame)]
    parts.append(ask.render("question", **variables))
    return (
        Message("system", (ask.render("system", **variables),)),
        Message("user", tuple(parts)),
    )


def repair_text(repair: templates.Prompt, problems: Sequence[str], schema: str) -> str:
    """Return the second try: what was wrong with the first answer."""
    return repair.render(
        "question", problems=[templates.clean(text)[:300] for text in problems], schema=schema
    )


def _variables(rows: Rows) -> dict[str, object]:
    clip, video = rows.one(Clip), rows.one(Video)
    return {
        "clip": {
            "file": templates.clean(PurePath(video.path).name)[:200],
            "seconds": (clip.end_us - clip.start_us) / 1e6,
        },
        "turns": [
            {
                "start": (turn.start_us - clip.start_us) / 1e6,
                "end": (turn.end_us - clip.start_us) / 1e6,
                "kind": turn.kind,
                "degrees": round(turn.yaw_degrees),
                "glance": not turn.moving,
                "confidence": turn.confidence,
            }
            for turn in rows[Turn]
        ],
        "narrations": [
            {
                "seconds": (said.t_us - clip.start_us) / 1e6,
                "text": templates.clean(said.text)[:500],
                **{
                    name: templates.fact(getattr(said, name))
                    for name in ("landmark", "action", "undo")
                },
            }
            for said in told(rows)
        ],
    }


def choose(frames: Sequence[Frame], turns: Sequence[Turn], count: int) -> list[Frame]:
    """Return at most `count` keyframes: both ends, the middles of turns, then the widest gaps."""
    left = [frame for frame in frames if not frame.suspect] or list(frames)
    wanted = [left[0].t_us, left[-1].t_us] if left else []
    wanted += [(turn.start_us + turn.end_us) // 2 for turn in turns if turn.moving]
    chosen: list[Frame] = []
    while left and len(chosen) < count:
        if wanted:
            aim = wanted.pop(0)
            best = min(left, key=lambda frame: abs(frame.t_us - aim))
        else:
            best = max(left, key=lambda f: (min(abs(f.t_us - c.t_us) for c in chosen), -f.t_us))
        chosen.append(best)
        left.remove(best)
    return sorted(chosen, key=lambda frame: frame.t_us)


def _picture(folder: WorkspaceFolder, frame: Frame) -> PromptImage:
    try:
        jpeg = folder.media_path(frame.media).read_bytes()
    except OSError as error:
        raise RowError(
            f"the keyframe {frame.media} can't be read: {error.strerror}",
            "run egost frames again: it makes lost keyframes anew",
        ) from error
    return PromptImage(jpeg, frame.width, frame.height)
